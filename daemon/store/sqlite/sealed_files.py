# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Files beside an encrypted store, encrypted as it is: each a small file of SQLite's of its own, with one row.

Each has a key of its own, which the store keeps. So another key for the store leaves them as they are, a backup can still read
them, and where the row with the key is purged nothing of the file can be read any more.
"""

import os
from pathlib import Path

import apsw

from enhanced_memory.client.errors import StoreDamaged, StoreRefused
from enhanced_memory.daemon.store.sqlite import sealing
from enhanced_memory.daemon.store.sqlite.rows import each, translated

__all__ = ["SealedFiles"]


class SealedFiles:
    """Writes and reads such files."""

    def __init__(self, wanted: bool = False) -> None:
        self.wanted = wanted
        """Whether what is written is to be encrypted, for the store is. What was, can be read all the same."""

    def write(self, path: Path, packed: bytes) -> str:
        """Write a file that must not exist yet (0600), not yet synced; the digits of its key. `OSError`, `StoreFull`, `Broken`."""
        key = sealing.fresh(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with translated():
            connection = _opened(path, key, apsw.SQLITE_OPEN_READWRITE)
            try:
                # A file that was not written to its end is thrown away, so nothing has to be rolled back.
                connection.execute("PRAGMA journal_mode = OFF")
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("CREATE TABLE contents (packed BLOB NOT NULL) STRICT")
                connection.execute("INSERT INTO contents VALUES (?)", (packed,))
            finally:
                connection.close()
        return key.digits

    def read(self, path: Path, digits: str) -> bytes:
        """What a file holds. `OSError`; `StoreDamaged` where its pages are not what was written under this key; `StoreRefused` where
        this build of SQLite reads nothing encrypted."""
        if not hasattr(apsw, "mc_version"):
            raise StoreRefused(
                f"{path} is encrypted, and the SQLite that is installed reads nothing encrypted.", sealing.CHANGE_BUILD
            )
        os.stat(path)  # SQLite would say no more than that it cannot open it
        with translated():
            connection = _opened(path, sealing.Key(path, digits), apsw.SQLITE_OPEN_READONLY)
            try:
                for (packed,) in each(connection, "SELECT packed FROM contents"):
                    return packed
            finally:
                connection.close()
        raise StoreDamaged(f"{path} holds nothing.")


def _opened(path: Path, key: sealing.Key, flags: int) -> apsw.Connection:
    connection = apsw.Connection(os.fspath(path), flags=flags)
    sealing.unlock(connection, key)
    return connection
