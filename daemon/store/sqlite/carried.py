# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""A file as a side of a carrying: one that is read and left as it is, or a draft of one that is written."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import Conflict, StoreRefused
from enhanced_memory.client.folders import make_private
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store import Health
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.carrying import ARRIVING, Mark, Source, carrying
from enhanced_memory.daemon.store.cold import KEY_OF
from enhanced_memory.daemon.store.ground import Counters
from enhanced_memory.daemon.store.sqlite import file, sealing, verifying
from enhanced_memory.daemon.store.sqlite.rows import SqliteRows, dictionaries, each, translated
from enhanced_memory.daemon.store.sqlite.sealed_files import SealedFiles
from enhanced_memory.daemon.store.tables import META_NUMBERS, Row, Table
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["SqliteDraft", "SqliteSide"]

_ENDS = ("", "-wal", "-shm", "-journal")

VECTOR = 64
"""A vector's key is its passage's number times this, and its model's."""


class SqliteSide:
    """A store's file at one moment. For one thread; to be closed."""

    def __init__(self, path: Path, settings: Settings, key: sealing.Key | None = None, readonly: bool = True) -> None:
        """`StoreRefused` for a file that is of another program, or of an older or newer one."""
        if not path.is_file():
            raise StoreRefused(f"{path} is not a file.", "name the store's file")
        self.path, self.key = path, key
        with translated():
            sealing.fits(path, key)
            self.connection = file.connect(path, readonly=readonly, synchronous="NORMAL", key=key)
            version = next(each(self.connection, "PRAGMA user_version"))[0]
            if next(each(self.connection, "PRAGMA application_id"))[0] != file.application_id():
                self.connection.close()
                raise StoreRefused(f"{path} is no store of enhanced-memory.", "name the store's file")
            if version != (wanted := file.schema_version()):
                self.connection.close()
                raise StoreRefused(
                    f"{path} has schema {version}, and this program's is {wanted}.",
                    "let a daemon of this version open it once: it brings an older store up to date and keeps a copy"
                    if version < wanted
                    else "install the newer enhanced-memory",
                )
            self.connection.execute("BEGIN")
            self.codec = Codec(dictionaries(self.connection))
        call = Call(Peer(client="memory-db", greeted=True), Request())
        self._own = SqliteRows(self.connection, SealedFiles(key is not None))
        self.tx = Tx(self._own, self.codec, call, 0, settings)

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def rows(self, table: Table, after: list[Any] | None = None) -> Iterator[Row]:
        """A table's rows by their key."""
        order, beyond, values = [f'"{name}"' for name in table.key], "", tuple[Any, ...](after or ())
        columns = [f'"{name}"' for name in table.columns]
        if table.name == "vectors":
            owner = f"FROM passages p WHERE p.id = key / {VECTOR}"
            columns = [
                f"key / {VECTOR}",
                f"key % {VECTOR}",
                f"coalesce((SELECT p.entity {owner}), 0)",
                f"coalesce((SELECT p.message > 0 {owner}), 0)",
                "vector",
            ]
            order = ["key"]
            values = (after[0] * VECTOR + after[1],) if after else ()
        if values:
            beyond = f"WHERE ({', '.join(order)}) > ({', '.join('?' * len(values))})"
        text = f'SELECT {", ".join(columns)} FROM "{table.name}" {beyond} ORDER BY {", ".join(order)}'
        with translated():
            for row in each(self.connection, text, values):
                if table.name != "meta":
                    yield row
                elif carrying(row[0]):
                    yield row[0], row[1] if isinstance(row[1], bytes) else str(row[1]).encode()

    def count(self, table: Table) -> int:
        """How many rows there are."""
        return next(each(self.connection, f'SELECT count(*) FROM "{table.name}"'))[0]

    def counters(self) -> Counters:
        """The highest numbers given out, as a daemon finds them when it opens the file."""
        row = self.tx.rows.one("high_water") or (0,) * 6
        mark = self.tx.rows.one("get_meta", key="entity_high_water")
        return Counters(row[0], max(row[1], mark[0] if mark else 0), *row[2:])

    def source(self) -> Source:
        """What the file is."""
        row = next(
            each(
                self.connection,
                """SELECT (SELECT value FROM meta WHERE key = 'store_id'), (SELECT coalesce(max(number), 0) FROM changes),
                          (SELECT coalesce(max(id), 0) FROM access)""",
            )
        )
        return Source(str(row[0]), row[1], row[2], "sqlite")

    def check(self) -> Health:
        """As `memory-db check` does."""
        return verifying.check(self.path, False, self.key)


class SqliteDraft(SqliteSide):
    """A file that is being written beside the place that it is to have."""

    def __init__(self, to: Path, settings: Settings, key: sealing.Key | None = None, anew: bool = False) -> None:
        """`Conflict` where something lies at `to` already. With `anew` nothing of an earlier run is gone on with."""
        if to.exists():
            raise Conflict(f"{to} exists.", "name a file that does not exist yet, or move it away")
        self.to, self._settings = to, settings
        draft = to.with_name(f"{to.name}.{ARRIVING}")
        if anew:
            _removed(draft)
        self._made(draft, key)

    def _made(self, draft: Path, key: sealing.Key | None) -> None:
        make_private(draft.parent)
        file.open_store(draft, "NORMAL", key).close()
        super().__init__(draft, self._settings, key, readonly=False)
        # Indexes grow as rows come: what fits in here is not read again for each of them.
        self.connection.execute("PRAGMA cache_size = -262144")
        self._marked = self.mark()
        if self._marked is None:
            for table in ("spaces", "meta"):
                self.connection.execute(f"DELETE FROM {table}")

    def mark(self) -> Mark | None:
        """What `meta` says of how far it is."""
        row = self.tx.rows.one("get_meta", key=ARRIVING)
        return None if row is None else msgspec.msgpack.decode(row[0], type=Mark)

    def keep(self, mark: Mark) -> None:
        """Commit, and go on in the next transaction."""
        with translated():
            self.tx.rows.run("set_meta", key=ARRIVING, value=msgspec.msgpack.encode(mark))
            self.connection.execute("COMMIT")
            self.connection.execute("BEGIN")

    def anew(self) -> None:
        """Delete the draft, and begin another."""
        self.close()
        _removed(self.path)
        self._made(self.path, self.key)

    def put(self, table: Table, rows: list[Row]) -> None:
        """Insert rows."""
        columns = ", ".join(f'"{name}"' for name in table.columns)
        if table.name == "vectors":
            columns = "key, vector"
            rows = [(row[0] * VECTOR + row[1], row[4]) for row in rows]
        elif table.name == "meta":
            rows = [(key, _valued(key, value)) for key, value in rows]
        text = f'INSERT INTO "{table.name}" ({columns}) VALUES ({", ".join("?" * len(rows[0]))})'
        with translated():
            self.connection.executemany(text, rows)

    def put_words(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Index passages."""
        with translated():
            self._own.many(f"add_{name}", rows)
            self._own.settle()

    def finish(self, counters: Counters) -> None:
        """Note the numbers that the tables alone do not tell, and merge the index of words."""
        with translated():
            marks = (("entity", counters.entity), ("message", counters.message), ("passage", counters.passage))
            for name, number in marks:
                self.tx.rows.run("set_meta", key=f"{name}_high_water", value=number)
            for name in ("words", "words_past"):
                self.connection.execute(f"INSERT INTO {name} ({name}) VALUES ('optimize')")
            self.connection.execute("COMMIT")
            self.connection.execute("BEGIN")

    def take_place(self) -> None:
        """Let it be the store from one moment to the next."""
        with translated():
            self.connection.execute("COMMIT")
            self.connection.execute("DELETE FROM meta WHERE key = ?", (ARRIVING,))
            self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self.connection.close()
        sync(self.path)
        try:
            os.link(self.path, self.to)
        except FileExistsError:
            raise Conflict(f"{self.to} is there meanwhile.", "move it away, and run this again") from None
        if self.key is not None:
            sealing.note(self.to, self.key)
        for end in _ENDS:
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        sync(self.to.parent)

    def discard(self) -> None:
        """Delete the draft."""
        self.connection.close()
        _removed(self.path)


def _removed(draft: Path) -> None:
    for end in _ENDS:
        draft.with_name(draft.name + end).unlink(missing_ok=True)


def _valued(key: str, value: bytes) -> Any:
    """A value of `meta` of the type that a file's daemon gives it."""
    if key in META_NUMBERS:
        return int(value)
    return value if key.startswith(("import/", KEY_OF)) else value.decode()
