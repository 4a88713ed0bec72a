# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Copies and checks: a backup that was opened and counted before it is called one, and a look at every row."""

import hashlib
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import apsw
import msgspec

from enhanced_memory.client.errors import Broken, Conflict, Invalid, StoreDamaged, StoreFull
from enhanced_memory.daemon.store import Health, checking
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.sqlite import file
from enhanced_memory.daemon.store.sqlite.rows import each, translated

__all__ = ["Copy", "backup", "check"]


class Copy(msgspec.Struct):
    """A verified copy of the store."""

    path: str
    bytes: int
    sha256: str
    entities: int
    messages: int
    change: int
    seconds: float


def fold(path: Path) -> None:
    """Copy the log into the file as far as readers allow. Who else does so just now is as good."""
    connection = file.connect(path, readonly=False)
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except (apsw.BusyError, apsw.LockedError):
        pass
    finally:
        connection.close()


def backup(store: Path, to: Path, dictionaries: Mapping[int, bytes], own: Path) -> Copy:
    """Copy the store while it is in use, check the copy, and only then give it its name.

    `to` is a folder (the copy is named `memory_<time>.db` in it) or a file that must not exist yet. `Conflict` where it does.
    """
    began = time.monotonic()
    to = _target(to, own)
    partial = to.with_name(to.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with translated():
            source = file.connect(store, readonly=True)
            try:
                # One snapshot, written compactly; writers go on meanwhile.
                source.execute("PRAGMA query_only = OFF")
                source.execute("VACUUM INTO ?", (os.fspath(partial),))
            finally:
                source.close()
        health = check(partial, dictionaries, quick=True)
        if health.problems:
            raise StoreDamaged(
                f"The copy has {len(health.problems)} problems: {health.problems[0]}",
                "run `memoryctl verify` on the store itself",
            )
        digest = _digest(partial)
        _sync(partial)
        os.rename(partial, to)
        _sync(to.parent)
    except OSError as problem:
        if problem.errno == 28:
            raise StoreFull(f"There is no space left at {to.parent}.") from None
        raise Broken(f"{to} cannot be written: {problem.strerror}.", "choose another folder") from None
    finally:
        partial.unlink(missing_ok=True)
        for end in ("-wal", "-shm", "-journal"):
            partial.with_name(partial.name + end).unlink(missing_ok=True)
    checked = health.checked
    return Copy(
        str(to),
        to.stat().st_size,
        digest,
        checked["entities"],
        checked["messages"],
        checked["last_change"],
        time.monotonic() - began,
    )


def _target(to: Path, own: Path) -> Path:
    """The file that a backup to `to` is written to; its folder is made if need be."""
    if "\0" in os.fspath(to):
        raise Invalid("The backup's path holds a NUL character.", "remove it")
    try:
        to = to.expanduser().absolute()
        if to.is_dir() or (to.suffix == "" and not to.exists()):
            to = to / f"memory_{datetime.now(UTC):%Y%m%d_%H%M%S}.db"
        if to.exists() or to == own:
            raise Conflict(f"{to} exists.", "name a folder, or a file that does not exist yet")
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as problem:
        raise Invalid(
            f"A backup cannot be written there: {getattr(problem, 'strerror', None) or problem}.",
            "choose another folder",
        ) from None
    return to


def check(store: Path, dictionaries: Mapping[int, bytes], quick: bool) -> Health:
    """Look for damage: in the file's structure, in every body's checksum, and in every index against what it was derived from.

    `quick` leaves out the bodies of older versions and the comparison of passages with their owners.
    """
    health = Health([], {})
    with translated():
        connection = file.connect(store, readonly=True)
        try:
            connection.execute("BEGIN")
            for (line,) in each(connection, "PRAGMA integrity_check" if not quick else "PRAGMA quick_check"):
                if line != "ok":
                    checking.found(health, f"file: {line}")
            known = dict(dictionaries) | {
                row[0]: row[1] for row in each(connection, "SELECT id, bytes FROM dictionaries")
            }
            codec = Codec(known)
            rows = partial(each, connection)
            checking.bodies(rows, codec, health)
            if not quick:
                checking.versions(rows, codec, health)
            for problem in checking.indexes(rows, quick, "_docsize"):
                checking.found(health, problem)
            health.checked["last_change"] = next(each(connection, "SELECT coalesce(max(number), 0) FROM changes"))[0]
        finally:
            connection.close()
    return health


def _digest(path: Path) -> str:
    with open(path, "rb") as file_:
        return hashlib.file_digest(file_, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
