"""Folders that are their owner's alone."""

from pathlib import Path

__all__ = ["make_private"]


def make_private(folder: Path) -> None:
    """Make a folder with mode 0700, and so every folder above it that is not there. One that is there stays as it is. `OSError`.

    `Path.mkdir` gives its mode to the last one alone: the first run would leave `~/.memories` open to others.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
