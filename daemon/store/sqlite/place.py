"""Whether the file that the daemon has open is still the one at its path.

A file that is deleted, or that another one is put in place of, stays open and takes writes as if nothing were; they would be
gone with the process.
"""

import os
import shutil
from pathlib import Path

from enhanced_memory.client.errors import Error, StoreDamaged

__all__ = ["Place"]


class Place:
    """Where a store and its log lay when it was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = os.fspath(path) + "-wal"
        self._file_was = _inode(os.fspath(path))
        self._log_was: tuple[int, int] | None = None

    @property
    def moved(self) -> bool:
        """Whether the store itself is gone from its path."""
        return _inode(os.fspath(self.path)) != self._file_was

    @property
    def log_gone(self) -> bool:
        """Whether the log that was written to is gone from its path."""
        now = _inode(self._log)
        if self._log_was is None:
            self._log_was = now  # SQLite makes it when it is first needed
        return now != self._log_was

    @property
    def room(self) -> int:
        """The bytes that are free on its disk; 0 where that cannot be found out."""
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError:
            return 0

    def harm(self) -> Error | None:
        """What happened to the store, or nothing."""
        if self.moved:
            what = "replaced" if self.path.exists() else "deleted"
            return StoreDamaged(
                f"{self.path} was {what} while the daemon had it open; no change is taken.",
                "put it back, or save what the daemon still holds (`memoryctl backup --to FILE`), then `memoryctl stop`",
            )
        if self.log_gone:
            return StoreDamaged(
                f"{self._log} was deleted while the daemon had it open.",
                "`memoryctl stop`; the next daemon begins anew",
            )
        return None


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
