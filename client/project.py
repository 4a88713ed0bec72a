"""Which space a folder's work belongs to: `auto` is one space per project, worktrees of one repository folded into one."""

import os
from pathlib import Path

__all__ = ["project_of", "space_name"]


def space_name(setting: str, folder: str | None = None) -> tuple[str, str | None]:
    """The space that `setting` means for work in `folder`, and the parent it is given when it is made."""
    if setting != "auto":
        return setting or "default", None
    project = project_of(Path(folder or os.getcwd()))
    return (f"project:{project}", "default") if project else ("default", None)


def project_of(folder: Path) -> str | None:
    """The project that `folder` lies in: its git common directory's folder. None outside a repository: nothing is guessed."""
    for place in (folder, *folder.parents):
        mark = place / ".git"
        if mark.is_dir():
            return str(place)
        if mark.is_file():
            return _main_worktree(mark) or str(place)
    return None


def _main_worktree(mark: Path) -> str | None:
    try:
        line = mark.read_text("utf-8").strip()
        git = (mark.parent / line.removeprefix("gitdir:").strip()).resolve()
        common = (git / "commondir").read_text("utf-8").strip()
        return str((git / common).resolve().parent)
    except (OSError, UnicodeDecodeError):
        return None
