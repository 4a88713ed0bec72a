# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""A look at every row of a file: whether what the store says is what was written, and every index what it was derived from."""

from functools import partial
from pathlib import Path

from enhanced_memory.daemon.store import Health, checking
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.sqlite import file, sealing
from enhanced_memory.daemon.store.sqlite.rows import dictionaries, each, translated

__all__ = ["check"]


def check(store: Path, quick: bool, key: sealing.Key | None = None) -> Health:
    """Look for damage: in the file's structure, in every body's checksum, and in every index against what it was derived from.

    `quick` leaves out the bodies of older versions and the comparison of passages with their owners.
    """
    health = Health([], {})
    sealing.fits(store, key)
    with translated(), sealing.opened(store, key):
        connection = file.connect(store, readonly=True, key=key)
        try:
            connection.execute("BEGIN")
            for (line,) in each(connection, "PRAGMA integrity_check" if not quick else "PRAGMA quick_check"):
                if line != "ok":
                    checking.found(health, f"file: {line}")
            codec = Codec(dictionaries(connection))
            rows = partial(each, connection)
            checking.bodies(rows, codec, health)
            if not quick:
                checking.versions(rows, codec, health)
            for problem in checking.indexes(rows, quick, "_docsize", "v.key >> 6", "v.key & 63"):
                checking.found(health, problem)
            health.checked["last_change"] = next(each(connection, "SELECT coalesce(max(number), 0) FROM changes"))[0]
        finally:
            connection.close()
    return health
