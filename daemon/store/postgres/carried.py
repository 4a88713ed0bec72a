"""A database as a side of a carrying: the store in it at one moment, or a draft of one in a schema of its own."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, LiteralString, cast

import msgspec
from psycopg import Cursor

from enhanced_memory.client.errors import Conflict, StoreHeld, StoreRefused
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store import Health
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec, built_in
from enhanced_memory.daemon.store.carrying import ARRIVING, Mark, Source, carrying
from enhanced_memory.daemon.store.ground import Counters
from enhanced_memory.daemon.store.postgres import database, months, verifying
from enhanced_memory.daemon.store.postgres.failures import translated
from enhanced_memory.daemon.store.postgres.hearing import HOST, PRESENT
from enhanced_memory.daemon.store.postgres.rows import PostgresRows
from enhanced_memory.daemon.store.postgres.searching import Searching
from enhanced_memory.daemon.store.postgres.statements import halfvec, indexed, int8, property_told, property_value
from enhanced_memory.daemon.store.tables import Row, Table
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["DRAFT", "PostgresDraft", "PostgresSide"]

DRAFT = f"{database.NAME}_{ARRIVING}"
"""The schema in which a draft lies, beside the store."""
INDEXES = f"{ARRIVING}_indexes"
"""Under this key a draft's `meta` keeps what indexes are made once it is full."""
_WRITING = 0x454D7772
"""The advisory lock of whoever writes a draft."""
EARLIEST = 946_684_800_000
"""What is of before 2000 gets no months of its own: it was hardly said then."""
BUILD_MB = 256
"""What an index may take in memory as it is made."""

_DROPPABLE = """SELECT c.oid::regclass::text, pg_get_indexdef(c.oid) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT c.relispartition AND NOT i.indisunique ORDER BY 1"""
_NUMBERED = """SELECT c.relname::text, a.attname::text, pg_get_serial_sequence(quote_ident(c.relname), a.attname)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL"""
_THERE = """SELECT a.application_name::text FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid::bigint = %s
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


class PostgresSide:
    """The store in a database, at one moment. For one thread; to be closed."""

    schema = database.NAME
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, settings: Settings) -> None:
        """`StoreRefused` for a database that cannot be reached, holds no store, or one of another version."""
        self.settings = settings
        self.connection = database.connected(settings)
        try:
            with translated():
                self._ready()
        except BaseException:
            self.connection.close()
            raise

    def _ready(self) -> None:
        run = self._run
        database.look_at(self.connection)
        path = database.extended(self.connection, self.schema)
        found = database.found(self.connection, path, self.schema)
        if found is None:
            raise StoreRefused(
                f"There is no store in {self.settings.store_name}.", "a daemon makes one, or `memoryctl migrate`"
            )
        database.fits(self.connection, path)
        database.prepare(self.connection, found, True)
        # It may be long between two statements, and nobody waits for the lock of this transaction.
        for name in ("idle_in_transaction_session_timeout", "statement_timeout"):
            run(f"SET {name} = 0")
        if aside := [one.says for one in months.months(self.connection, ["messages"]) if not one.attached]:
            raise StoreRefused(
                f"The messages of {', '.join(aside)} are set aside, and would be left out.",
                f"memory-db months --attach {aside[0]}",
            )
        run(self.begin)
        self.codec = Codec({BUILT_IN: built_in()})
        call = Call(Peer(client="memory-db", greeted=True), Request())
        self.tx = Tx(PostgresRows(self.connection, Searching()), self.codec, call, 0, self.settings)

    def close(self) -> None:
        """Let go of the database."""
        self.connection.close()

    def _run(self, text: str, values: Sequence[Any] | None = None) -> "Cursor[Row]":
        return self.connection.execute(cast("LiteralString", text), values)

    def _one(self, text: str, *values: Any) -> Any:
        row = self._run(text, values or None).fetchone()
        return None if row is None else row[0]

    def rows(self, table: Table, after: list[Any] | None = None) -> Iterator[Row]:
        """A table's rows by their key."""
        columns, key, values = list(table.columns), list(table.key), list(after or ())
        if table.name == "properties":
            columns[2:3] = ["kind", "number", "word"]
            key[2:3] = ["kind", "number", "word"]
            values[2:3] = property_value(values[2]) if values else []
        order = ", ".join(f'"{name}"' for name in key)
        beyond = f"WHERE ({order}) > ({', '.join(['%s'] * len(values))})" if values else ""
        named = ", ".join('halfvec_send("vector")' if name == "vector" else f'"{name}"' for name in columns)
        place = table.place("vector") if table.name == "vectors" else 0
        with translated():
            for row in verifying.each(
                self.connection, f'SELECT {named} FROM "{table.name}" {beyond} ORDER BY {order}', tuple(values)
            ):
                if table.name == "properties":
                    yield (*row[:2], _kept(*row[2:5]), *row[5:])
                elif place:
                    yield (*row[:place], int8(row[place]), *row[place + 1 :])
                elif table.name != "meta" or carrying(row[0]):
                    yield row

    def count(self, table: Table) -> int:
        """How many rows there are."""
        return self._one(f'SELECT count(*) FROM "{table.name}"')

    def counters(self) -> Counters:
        """The highest numbers given out."""
        row = self._run("SELECT change, entity, relation, message, passage, conflict FROM numbers").fetchone()
        return Counters(*(row or ()))

    def source(self) -> Source:
        """What the store is."""
        return Source(
            bytes(self._one("SELECT value FROM meta WHERE key = 'store_id'")).decode(),
            self._one("SELECT coalesce(max(number), 0) FROM changes"),
            self._one("SELECT coalesce(max(id), 0) FROM access"),
            "postgresql",
        )

    def check(self) -> Health:
        """As a daemon does that is asked to verify."""
        with translated():
            return verifying.check(self.connection, self.codec, False)

    def others(self) -> list[str]:
        """The daemons that have the store open, each as its process and its host: `4711@there`."""
        with translated():
            return [name.partition(" ")[2] for (name,) in self._run(_THERE, (PRESENT,)).fetchall()]

    def alone(self, stop: bool = False, wait_s: float = 30.0) -> list[int]:
        """`StoreHeld` where a daemon has the store open; with `stop` those of this host are ended first. Which were."""
        until, ended = time.monotonic() + wait_s, list[int]()
        while others := self.others():
            here = [int(pid) for pid, _, host in (one.partition("@") for one in others) if host == HOST]
            if not stop or len(here) < len(others) or time.monotonic() > until:
                raise StoreHeld(
                    f"{self.settings.store_name} is open: {len(others)} daemons have it ({', '.join(others[:5])}).",
                    "end them on those hosts first: memoryctl stop",
                )
            for pid in set(here) - set(ended):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
                ended.append(pid)
            time.sleep(0.05)
        return ended


class PostgresDraft(PostgresSide):
    """A store that is being written into a schema beside the one that is served."""

    schema = DRAFT
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED"

    def __init__(self, settings: Settings, anew: bool = False, empty: bool = True) -> None:
        """`Conflict` where the database holds a store already that is not an empty one, unless `empty` says that it may."""
        self._anew = anew
        self._empty = empty
        super().__init__(settings)

    def _ready(self) -> None:
        database.look_at(self.connection)
        path = database.extended(self.connection, DRAFT)
        if self._empty and self.held():
            raise Conflict(
                f"{self.settings.store_name} holds a store already.",
                "name a database that holds none; or put this one aside: ALTER SCHEMA enhanced_memory RENAME TO …",
            )
        if not self._one("SELECT pg_try_advisory_lock(%s)", _WRITING):
            raise Conflict(
                f"Somebody else is writing a draft into {self.settings.store_name}.",
                "wait for its end; of a run that was killed the server may still be at its last statement",
            )
        if self._anew:
            self._drop(DRAFT)
        with self.connection.transaction():
            if database.make(self.connection, path, DRAFT):
                self._bare()
        super()._ready()

    def held(self) -> bool:
        """Whether a store is in the database that was ever used: an empty one may be replaced."""
        if self._one("SELECT to_regclass(%s)::text", f"{database.NAME}.changes") is None:
            return False
        used = " OR ".join(f"EXISTS (SELECT 1 FROM {database.NAME}.{table})" for table in ("changes", "answers"))
        return bool(self._one(f"SELECT {used}"))

    def _drop(self, schema: str) -> None:
        self._run(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')

    def _bare(self) -> None:
        """Take away what a new store comes with, and the indexes that are made quicker once all rows are there."""
        run = self._run
        for table in ("spaces", "numbers"):
            run(f"DELETE FROM {table}")
        run("DELETE FROM meta WHERE key <> 'schema'")
        indexes = run(_DROPPABLE).fetchall()
        for name, _ in indexes:
            run(f"DROP INDEX {name}")
        told = msgspec.json.encode([text.replace(" ON ONLY ", " ON ", 1) for _, text in indexes])
        run("INSERT INTO meta (key, value) VALUES (%s, %s)", (INDEXES, told))

    def mark(self) -> Mark | None:
        """What `meta` says of how far it is."""
        value = self._one("SELECT value FROM meta WHERE key = %s", ARRIVING)
        return None if value is None else msgspec.msgpack.decode(value, type=Mark)

    def keep(self, mark: Mark) -> None:
        """Commit, and go on in the next transaction. It need not be on disk yet: the last commit sees to that."""
        with translated():
            self._run("SET LOCAL synchronous_commit = off")
            self._run(
                "INSERT INTO meta (key, value) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (ARRIVING, msgspec.msgpack.encode(mark)),
            )
            self._run("COMMIT")
            self._run(self.begin)

    def anew(self) -> None:
        """Delete the draft, and begin another."""
        with translated():
            self._run("COMMIT")
            self._run("RESET ALL")
            self._anew = True
            self._ready()

    def put(self, table: Table, rows: list[Row]) -> None:
        """COPY rows in, what was said and asked for into months of its own."""
        if table.name in months.TABLES:
            at = table.place("at")
            months.made(self.connection, {months.of(table.name, row[at]) for row in rows if row[at] >= EARLIEST})
        columns = list(table.columns)
        if table.name == "properties":
            columns[2:3] = ["kind", "number", "word"]
            rows = [(*row[:2], *property_value(row[2]), *row[3:]) for row in rows]
        elif table.name == "vectors":
            place = table.place("vector")
            rows = [(*row[:place], halfvec(row[place]), *row[place + 1 :]) for row in rows]
        self._copy(table.name, columns, rows)

    def put_words(self, name: str, rows: list[dict[str, Any]]) -> None:
        """COPY the words of passages in."""
        told = [(row["id"], row["entity"], *indexed(row)) for row in rows]
        self._copy(name, ["id", "entity", "length", "lexemes"], told)

    def _copy(self, table: str, columns: list[str], rows: list[Row]) -> None:
        named = ", ".join(f'"{name}"' for name in columns)
        text = cast("LiteralString", f'COPY "{table}" ({named}) FROM STDIN')
        with translated(), self.connection.cursor() as cursor, cursor.copy(text) as copy:
            for row in rows:
                copy.write_row(row)

    def finish(self, counters: Counters) -> None:
        """Make the indexes, and note the numbers to go on from."""
        run = self._run
        with translated():
            run(f"SET maintenance_work_mem = '{BUILD_MB}MB'")
            waiting = self._one("SELECT value FROM meta WHERE key = %s", INDEXES)
            for text in msgspec.json.decode(waiting, type=list[str]) if waiting else ():
                run(text)
            run("DELETE FROM meta WHERE key = %s", (INDEXES,))
            run("DELETE FROM numbers")
            given = msgspec.structs.asdict(counters)
            names = ", ".join(given)
            run(
                f"INSERT INTO numbers (id, {names}) VALUES (1, {', '.join(['%s'] * len(given))})",
                tuple(given.values()),
            )
            for table, column, sequence in run(_NUMBERED).fetchall():
                run(
                    f'SELECT setval(%s, coalesce(max("{column}"), 0) + 1, false) FROM "{table}"',
                    (sequence,),
                )
            run("COMMIT")
            for (table,) in run(database.WHOLE_TABLES).fetchall():
                run(f'VACUUM (ANALYZE) "{table}"')
            run(self.begin)

    def take_place(self, aside: str = "") -> None:
        """Let it be the store from one moment to the next; one that was there is called `aside` then, or is deleted where it was
        never used. `StoreHeld` where a daemon has it open.
        """
        run = self._run
        with translated():
            run("COMMIT")
            run("BEGIN")
            run("SELECT pg_advisory_xact_lock(%s)", (database.MAKING,))
            self.alone()
            if self._one("SELECT to_regnamespace(%s)::text", database.NAME) is not None:
                if aside:
                    run(f'ALTER SCHEMA {database.NAME} RENAME TO "{aside}"')
                elif self.held():
                    raise Conflict(f"{self.settings.store_name} holds a store meanwhile.", "run it again")
                else:
                    self._drop(database.NAME)
            run("DELETE FROM meta WHERE key = %s", (ARRIVING,))
            run(f"ALTER SCHEMA {DRAFT} RENAME TO {database.NAME}")
            run("COMMIT")

    def discard(self) -> None:
        """Delete the draft."""
        with translated():
            self._run("ROLLBACK")
            self._drop(DRAFT)


def _kept(kind: int, number: Any, word: str) -> Any:
    """A property's value as a file keeps it: a whole number that is too large for one there is no whole number."""
    if kind == 3:
        return b""
    value = property_told(kind, number, word)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value
