"""Having the disk keep what was written."""

import os
from pathlib import Path

__all__ = ["sync"]


def sync(path: Path) -> None:
    """Have the disk keep what was written to a file, or the names in a folder. Raises `OSError` where it cannot."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
