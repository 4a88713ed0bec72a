# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The file: owning it alone, making it, knowing it for ours, bringing an older one up to date."""

import fcntl
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

import apsw

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import StoreDamaged, StoreHeld, StoreRefused
from enhanced_memory.client.folders import make_private
from enhanced_memory.daemon import ROOT
from enhanced_memory.daemon.store.sqlite import sealing
from enhanced_memory.daemon.store.sqlite.rows import each, translated

__all__ = ["SCHEMA", "Owned", "connect", "drafts", "fold", "fold_log", "leaving", "migrations", "open_store"]

SCHEMA = ROOT / "schema.sql"
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 5_000
"""How long a statement waits for a lock."""
READERS_MS = 100
"""How long the writer waits for readers before the log begins anew. Changes that come meanwhile wait too."""
LOG_PAGES = 10_000
"""One checkpoint for every 40 MB of log: smaller ones cost more commits a stall (measured), idle moments truncate it."""

_LEAVING = "leaving"


class Owned:
    """The right to write a store: a lock on `<store>.lock`, held until `release` or the end of the process."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self._path = store.with_name(store.name + ".lock")
        try:
            make_private(store.parent)
            self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise StoreRefused(
                f"{store.parent} cannot be written to: {problem.strerror}.",
                "make the folder writable, or set ENHANCED_MEMORY_STORE",
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 32).decode("ascii", "replace").partition(_LEAVING)[0].strip()
            os.close(self._lock)
            held = StoreHeld(f"Another daemon{f' (process {holder})' if holder else ''} owns {store}.")
            held.pid = int(holder) if holder.isdigit() else 0
            raise held from None
        for path in drafts(store):  # of a change of key that was killed; it may be in the clear
            try:
                path.unlink(missing_ok=True)
            except OSError as problem:
                os.close(self._lock)
                raise StoreRefused(
                    f"{path} cannot be removed: {problem.strerror}.",
                    "delete it: a change of key left it, maybe unencrypted",
                ) from None
        before = os.pread(self._lock, 32, 0)
        self.unclean = bool(before) and _LEAVING.encode() not in before
        """Whether the one before ended without saying that it would."""
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def leave(self) -> None:
        """Tell whoever wants the store that it will be free soon."""
        os.pwrite(self._lock, f"{os.getpid()} {_LEAVING}\n".encode(), 0)

    def release(self) -> None:
        """Let others own the store."""
        os.close(self._lock)


def drafts(store: Path) -> list[Path]:
    """The file that a change of key writes before it takes the store's place, and what SQLite may put beside it."""
    return [store.with_name(f"{store.name}.rekeying{end}") for end in ("", "-wal", "-shm", "-journal")]


def leaving(store: Path) -> bool:
    """Whether the one that owns the store is on its way out."""
    try:
        return _LEAVING in store.with_name(store.name + ".lock").read_text("ascii", "replace")
    except OSError:
        return False


def connect(
    path: Path, *, readonly: bool, synchronous: str = "FULL", key: sealing.Key | None = None
) -> apsw.Connection:
    """A connection with our settings, for one thread. `notes` on each stand beside it."""
    flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(os.fspath(path), flags=flags | apsw.SQLITE_OPEN_NOMUTEX)
    connection.set_busy_timeout(BUSY_MS)
    run = connection.execute
    if key is not None:
        sealing.unlock(connection, key)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)  # no statement can harm the file's structure
    connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    # Without this, a statement whose plan could depend on a value (a partial index, say) is prepared anew each time the value
    # is bound: 72 us instead of 3 for the relations of an entity.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    run("PRAGMA trusted_schema = OFF")
    run("PRAGMA cell_size_check = ON")
    run("PRAGMA temp_store = MEMORY")
    run(f"PRAGMA cache_size = {-16384 if readonly else -65536}")
    if readonly:
        run("PRAGMA query_only = ON")
        if key is None:
            run("PRAGMA mmap_size = 1073741824")  # a page that has to be decrypted is no page of the file
    else:
        run(f"PRAGMA synchronous = {'NORMAL' if synchronous.upper() == 'NORMAL' else 'FULL'}")
        run("PRAGMA secure_delete = FAST")
        connection.set_wal_hook(_Folding())
    return connection


class _Folding:
    """Copies the log into the file while changes keep coming: called after each of them."""

    def __init__(self) -> None:
        self._copied = 0

    def __call__(self, connection: apsw.Connection, _: str, pages: int) -> int:
        if pages < self._copied:
            self._copied = 0  # it begins at its start again
        if pages - self._copied >= LOG_PAGES:
            self._copied = pages
            # Where somebody was always reading it never began anew: it does once nobody reads in it for a moment, and who
            # begins to read after it was copied reads in the file.
            with suppress(apsw.Error):  # the change stands in the log; what ails the file is found by who uses it next
                fold_log(
                    connection,
                    apsw.SQLITE_CHECKPOINT_PASSIVE if pages < 2 * LOG_PAGES else apsw.SQLITE_CHECKPOINT_RESTART,
                )
        return apsw.SQLITE_OK


def fold_log(connection: apsw.Connection, mode: int) -> bool:
    """Copy the log into the file, and wait a moment for readers where `mode` wants it; whether all was done."""
    connection.set_busy_timeout(READERS_MS)
    try:
        connection.wal_checkpoint(mode=mode)
    except (apsw.BusyError, apsw.LockedError):
        return False
    finally:
        connection.set_busy_timeout(BUSY_MS)
    return True


def fold(path: Path, key: sealing.Key | None = None) -> None:
    """Copy the log into the file as far as readers allow. Who else does so just now is as good."""
    connection = connect(path, readonly=False, key=key)
    try:
        fold_log(connection, apsw.SQLITE_CHECKPOINT_PASSIVE)
    finally:
        connection.close()


def open_store(path: Path, synchronous: str, key: sealing.Key | None = None) -> apsw.Connection:
    """The writer's connection to the store at `path`, which is made, or brought up to date, if need be.

    `StoreRefused` for a file that is not ours, is newer than this program, or cannot be written; `StoreDamaged` for one
    that SQLite cannot read. Nothing is written before the file is known for ours.
    """
    sealing.fits(path, key)
    fresh = not path.exists() or path.stat().st_size == 0 or _known(path, key)
    with translated(), sealing.opened(path, key):
        if key is not None:
            sealing.note(path, key)
        try:
            connection = connect(path, readonly=False, synchronous=synchronous, key=key)
            os.chmod(path, 0o600)
            connection.execute("PRAGMA journal_mode = WAL")
        except (apsw.CantOpenError, PermissionError):
            raise StoreRefused(
                f"{path} cannot be opened for writing.", "check the permissions of the file and its folder"
            ) from None
        if fresh:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(SCHEMA.read_text("utf-8"))
            connection.execute(
                "INSERT INTO meta (key, value) VALUES ('store_id', ?), ('made_at', ?)",
                (secrets.token_hex(8), int(time.time() * 1000)),
            )
            connection.execute("COMMIT")
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        else:
            _migrate(connection, path, key)
    return connection


def _copy(connection: apsw.Connection, copy: Path, key: sealing.Key | None) -> None:
    """Write a copy and look at it before it gets its name: what is about to be changed can be had back."""
    partial = copy.with_name(copy.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        connection.execute("VACUUM INTO ?", (os.fspath(partial),))
        os.chmod(partial, 0o600)
        written = connect(partial, readonly=True, key=key)
        found = [line for (line,) in each(written, "PRAGMA quick_check")]
        newest = "SELECT count(*), max(number) FROM changes"
        same = next(each(written, newest)) == next(each(connection, newest))
        written.close()
        if found != ["ok"] or not same:
            raise StoreDamaged(f"The copy before bringing the store up to date is not sound: {found[0]}.")
        sync(partial)
        os.rename(partial, copy)
        sync(copy.parent)
    finally:
        partial.unlink(missing_ok=True)


def migrations() -> dict[int, Path]:
    """The steps that bring an older file here, by the version that each makes."""
    found = {
        int(match.group(1)): path for path in MIGRATIONS.glob("*.sql") if (match := re.match(r"(\d{4})_", path.name))
    }
    return dict(sorted(found.items()))


def schema_version() -> int:
    """The version of the schema that this program reads and writes."""
    match = re.search(r"PRAGMA user_version = (\d+)", SCHEMA.read_text("utf-8"))
    assert match, "schema.sql does not say its version"
    return int(match.group(1))


def application_id() -> int:
    """The mark by which a file is known for ours."""
    match = re.search(r"PRAGMA application_id = (\d+)", SCHEMA.read_text("utf-8"))
    assert match, "schema.sql does not say its mark"
    return int(match.group(1))


def _known(path: Path, key: sealing.Key | None) -> bool:
    """Refuse a file that is not ours, without writing to it. True for an SQLite file that holds nothing yet: a making that was cut short."""
    if not path.is_file():
        raise StoreRefused(f"{path} is not a file.", "set ENHANCED_MEMORY_STORE to a file")
    try:
        with open(path, "rb") as file:
            head = file.read(100)
    except OSError as problem:
        raise StoreRefused(f"{path} cannot be read: {problem.strerror}.", "check its permissions") from None
    if key is None and not head.startswith(b"SQLite format 3\0"):
        raise StoreRefused(
            f"{path} is not an SQLite file.",
            "it was left untouched; set ENHANCED_MEMORY_STORE to another path, or move it away",
        )
    if len(head) < 100:
        raise StoreDamaged(f"{path} ends within its header.")
    mark, version, empty = int.from_bytes(head[68:72], "big"), int.from_bytes(head[60:64], "big"), False
    if path.with_name(path.name + "-wal").exists() or not mark or key is not None:
        # The newest header may stand in the log still, or be encrypted; only SQLite can say what it is.
        with translated(), sealing.opened(path, key):
            connection = connect(path, readonly=True, key=key)
            mark = next(each(connection, "PRAGMA application_id"))[0]
            version = next(each(connection, "PRAGMA user_version"))[0]
            empty = next(each(connection, "SELECT count(*) FROM sqlite_schema"))[0] == 0
            connection.close()
    if not mark and empty:
        return True
    if mark != application_id():
        raise StoreRefused(
            f"{path} is an SQLite file of another program.",
            "it was left untouched; set ENHANCED_MEMORY_STORE to another path",
        )
    if version > schema_version():
        raise StoreRefused(
            f"{path} has schema {version}; this program knows {schema_version()}.",
            "install the newer enhanced-memory, or restore a backup made by this one",
        )
    return False


def _migrate(connection: apsw.Connection, path: Path, key: sealing.Key | None) -> None:
    """Carry out the steps that an older file lacks, all in one transaction, after a copy was put beside it."""
    found = next(each(connection, "PRAGMA user_version"))[0]
    wanted = schema_version()
    if found > wanted:
        connection.close()
        raise StoreRefused(
            f"{path} has schema {found}; this program knows {wanted}.",
            "install the newer enhanced-memory, or restore a backup made by this one",
        )
    if found == wanted:
        return
    copy = path.with_name(f"{path.name}.before-schema-{wanted}")
    if not copy.exists():
        _copy(connection, copy, key)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version, step in migrations().items():
            if version > found:
                connection.execute(step.read_text("utf-8"))
        connection.execute(f"PRAGMA user_version = {wanted:d}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
