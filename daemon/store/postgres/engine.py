"""The PostgreSQL engine: a writer that takes its turn among all daemons' writers, and readers, each with a connection."""

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, Self, TypeVar

from psycopg import Connection
from psycopg import Error as PostgresError
from psycopg_pool import ConnectionPool, PoolTimeout

from enhanced_memory.client.errors import Broken, Error
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store import HOUSE, MEANING, Copy, Health, Held, Scrubbed, Touched, Usage
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec, built_in
from enhanced_memory.daemon.store.jobs import Job, Later, answer
from enhanced_memory.daemon.store.keeping import Beside, KeptWords
from enhanced_memory.daemon.store.postgres import database, months, verifying
from enhanced_memory.daemon.store.postgres.failures import clashed, lost, translated
from enhanced_memory.daemon.store.postgres.hearing import PRESENT, Hearing
from enhanced_memory.daemon.store.postgres.indexing import Indexing
from enhanced_memory.daemon.store.postgres.posted import NEWEST, Looking, Posted
from enhanced_memory.daemon.store.postgres.replicas import PLACE, REPLAYED, Replicas
from enhanced_memory.daemon.store.postgres.rows import BEGIN_READING, PostgresRows
from enhanced_memory.daemon.store.postgres.searching import Searching
from enhanced_memory.daemon.store.postgres.writer import MARK, Writer
from enhanced_memory.daemon.store.purging import SCRUB_DUE
from enhanced_memory.daemon.store.readers import Answering, Readers
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["PostgresEngine"]

A = TypeVar("A")
Row = tuple[Any, ...]

log = logging.getLogger(__name__)

PRESENT_NOW = """SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = :mark
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
MARKS_KEPT_MS = 86_400_000
TRIES = 3
"""How often a question is put when its connection breaks."""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class PostgresEngine:
    """Keeps memories in a PostgreSQL database that other daemons may use, too. Made by `open`, on the running loop."""

    near = False
    followed = None
    comparing = ""
    sealing = None
    """The server's disk is the server's affair, and files of cold storage are the affair of whoever has its clients."""
    unclean = False
    """The server looks after its own files when it starts again."""

    def __init__(self, settings: Settings, clock: Callable[[], int], loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.clock = clock
        self.path = settings.store_name
        self.place = settings.store_path
        self.listeners: list[Callable[[Touched], None]] = []
        self.chosen: list[Callable[[], None]] = []
        self.give_up: Callable[[str], None] = log.error
        self._loop = loop
        self._found = database.opened(settings)
        self.store_id = self._found.store_id
        self._searching = Searching()
        readers = max(1, settings.readers)
        self._pool: ConnectionPool[Connection[Row]] = ConnectionPool(
            kwargs=database.parameters(settings) | {"autocommit": True}, min_size=1, max_size=readers + max(1, settings.pool_overflow),
            configure=self._prepare, timeout=settings.connect_timeout_s, name="enhanced-memory", open=True,
        )  # fmt: skip
        # What a trained dictionary holds of a purged text would have to be found and packed anew in every daemon: there is none.
        self.dictionaries = {BUILT_IN: built_in()}
        with translated(), self._lent() as rows:
            self.scrub_due = rows.one("get_meta", key=SCRUB_DUE) is not None
            newest = rows.told(NEWEST)[0][0]
            # Of writers that were killed. One that is at work renews its own with each group.
            rows.plain(
                "DELETE FROM meta WHERE key LIKE :marks AND split_part(convert_from(value, 'UTF8'), ' ', 1)::bigint < :before",
                marks=MARK + "%",
                before=clock() - MARKS_KEPT_MS,
            )
        self.kept = KeptWords(self._look, newest, settings.words_memory_mb << 20, shared=True)
        self.listeners.append(self.kept.changed)
        works = (HOUSE,) if settings.embedder.strip() == "none" else (HOUSE, MEANING)
        self._hearing = Hearing(self._reach, works, self._heard, self._were_chosen)
        self._replicas = Replicas(settings, self._prepare) if settings.replicas.strip() else None
        self.name = self._hearing.name
        self._writer = Writer(
            self._reach,
            Codec(self.dictionaries),
            settings,
            clock,
            loop,
            self._finished,
            self._searching,
            self._hearing,
            self._replicas,
        )
        self._indexing = Indexing(settings.vectors_indexed_from, self._lent, self._reach, lambda: self.leads(MEANING))
        self._writer.start()
        self._hearing.start()
        self._readers = Readers(readers, loop, self._answering)

    @classmethod
    async def open(cls, settings: Settings, clock: Callable[[], int] = now_ms) -> Self:
        """Reach the database and make ready. Raises what `database.opened` raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, cls, settings, clock, loop)

    # Connections

    def _prepare(self, connection: "Connection[Row]") -> None:
        database.prepare(
            connection, self._found, self.settings.synchronous.upper() != "NORMAL", self.settings.connect_timeout_s
        )

    def _reach(self) -> "Connection[Row]":
        connection = database.connected(self.settings)
        self._prepare(connection)
        return connection

    @contextmanager
    def _lent(self) -> Generator[PostgresRows]:
        """A connection for a while."""
        try:
            with self._pool.connection() as connection:
                yield PostgresRows(connection, self._searching)
        except PoolTimeout:
            raise Broken("PostgreSQL cannot be reached.", "see that the server runs") from None

    def _look(self) -> Looking:
        return Looking(self._reach, lambda connection: PostgresRows(connection, self._searching))

    @contextmanager
    def _lent_to_read(self) -> Generator[PostgresRows]:
        """A connection for a question, which finds the words that are kept in memory."""
        with self._lent() as rows:
            rows.posted = Beside(self.kept, lambda: Posted(rows))
            yield rows

    @contextmanager
    def _lent_for(self, call: Call, tried: int) -> Generator[PostgresRows]:
        """A connection to where a question may be put: a replica that knows enough, or the primary."""
        replicas = self._replicas
        if replicas is None or not call.may_lag:
            with self._lent_to_read() as rows:
                yield rows
            return
        # What a replica broke off, or lost to what it replays, the primary answers.
        lent = replicas.lend(replicas.least(call.peer, self._place)) if tried == 1 else None
        if lent is None:
            with self._lent_to_read() as rows:
                yield rows
                replicas.reached(call.peer, rows.plain(PLACE)[0][0])
            return
        one, connection = lent
        try:
            # It asks the index on disk for words: what is kept in memory is of the primary, and may be of later.
            rows = PostgresRows(connection, self._searching)
            yield rows
            # Not before: what was shown lies before this place, and the next answer is to show no less.
            replicas.reached(call.peer, rows.plain(REPLAYED)[0][0] or 0)
            one.asked += 1
        finally:
            one.pool.putconn(connection)

    def _place(self) -> int:
        """Where the primary's log is."""
        with self._lent() as rows:
            return rows.plain(PLACE)[0][0]

    # Reading

    def point(self, work: Callable[[Tx], A], call: Call) -> NoReturn:
        """Never: the server is another process, and the loop does not wait for one."""
        raise Broken("A point read was put to an engine that is not near.")

    async def read(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run `work` on a reader's thread."""
        return await self._readers.read(work, call)

    @contextmanager
    def _answering(self) -> Generator[Answering]:
        codec = Codec(self.dictionaries)

        def run(work: Callable[[Tx], Any], call: Call) -> Any:
            with translated():
                return self._answer(work, call, codec)

        yield run

    def _answer(self, work: Callable[[Tx], A], call: Call, codec: Codec) -> A:
        """Run `work` on one consistent view, again where the connection breaks: a question changes nothing."""
        tried = 0
        while True:
            tried += 1
            try:
                with self._lent_for(call, tried) as rows:
                    rows.begin(BEGIN_READING)
                    try:
                        answer = work(Tx(rows, codec, call, self.clock(), self.settings))
                        rows.say("COMMIT")
                        rows.settle()
                        return answer
                    except BaseException:
                        with suppress(PostgresError):
                            rows.forget()
                            rows.connection.execute("ROLLBACK")
                        raise
            except PostgresError as problem:
                if tried >= TRIES or not (lost(problem) or clashed(problem)):
                    raise
                call.used.clear()
                self._pool.check()

    # Writing

    async def write(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run `work` on the writer's thread; its answer comes after the commit."""
        return await self._writer.intake.write(work, call)

    def note(
        self,
        name: str,
        rows: list[dict[str, Any]],
        prepare: Callable[[Tx, dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        """Write rows that nobody waits for."""
        self._writer.intake.put(Later(name, rows, prepare))

    def _finished(self, jobs: list[Job]) -> None:
        """Give each job its answer, and tell the listeners what changed; the changes are on disk."""
        answer(jobs, self.listeners)

    # Others

    def leads(self, work: str) -> bool:
        """Whether this daemon is the one that does `work` for all."""
        return work in self._hearing.leading

    @property
    def left_alone(self) -> list[tuple[str, str]]:
        """Replicas that could not be asked the last time, and why; they are tried again with the next question."""
        return [(one.name, one.away) for one in self._replicas.all if one.away] if self._replicas is not None else []

    async def present(self) -> set[str]:
        """The daemons whose connections the server knows."""

        def named() -> set[str]:
            with translated(), self._lent() as rows:
                return {f"{number & 0xFFFFFFFF:08x}" for (number,) in rows.plain(PRESENT_NOW, mark=PRESENT)}

        return {self.name} | await self._loop.run_in_executor(None, named)

    def _heard(self, changes: list[Touched]) -> None:
        def tell() -> None:
            for one in changes:
                for listen in self.listeners:
                    listen(one)

        self._on_loop(tell)

    def _were_chosen(self) -> None:
        self._on_loop(lambda: [call() for call in self.chosen])

    def _on_loop(self, work: Callable[[], Any]) -> None:
        with suppress(RuntimeError):  # the loop has ended before us
            self._loop.call_soon_threadsafe(work)

    # Forgetting

    async def scrub(self, texts: set[str] | None) -> Scrubbed:
        """Clear deleted rows from the tables. The server's log, its backups and its replicas are its operator's."""

        def clear() -> None:
            self._vacuum("VACUUM")
            with translated(), self._lent() as rows:
                rows.plain("DELETE FROM meta WHERE key = :due", due=SCRUB_DUE)

        self.kept.forget()
        await self._loop.run_in_executor(None, clear)
        self.scrub_due = False
        return Scrubbed(rewritten=False, log_emptied=False, dictionaries=0)

    # Care

    @property
    def state(self) -> tuple[str, str]:
        """`ready` or `failing`, and why."""
        return self._writer.state, self._writer.problem

    def harm(self) -> Error | None:
        """Nothing that we could see: the server has the files."""
        return None

    @property
    def commits(self) -> int:
        """Transactions written since the start."""
        return self._writer.commits

    @property
    def waiting(self) -> int:
        """Changes that wait for the writer."""
        return self._writer.intake.waiting

    async def alive(self) -> bool:
        """Whether the writer came round to its queue."""
        return await self._writer.intake.between(lambda: True)

    async def check(self, quick: bool) -> Health:
        """Check bodies and indexes on one consistent view."""
        return await self._loop.run_in_executor(None, self._check, quick)

    def _check(self, quick: bool) -> Health:
        with translated(), self._lent() as rows, rows.connection.transaction():
            rows.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return verifying.check(rows.connection, Codec(self.dictionaries), quick)

    def reindexed(self) -> None:
        """The words index was made anew: what is kept of it is of another one. Other daemons are told with the commit."""
        self.kept.forget()

    async def held(self, model: int, dimension: int) -> Held | None:
        """Counts, where pgvector's index answers."""
        return await self._loop.run_in_executor(None, self._indexing.held, model, dimension)

    def tend(self, now: int, access_before: int) -> None:
        """Make the partitions of the months to come, and let go of those that nothing is kept in. What fails is tried the next time."""
        self._loop.run_in_executor(None, self._tend, now, access_before)

    def _tend(self, now: int, access_before: int) -> None:
        try:
            with translated(), self._lent() as rows, rows.connection.transaction():
                # Whoever writes is not made to wait for long: there are months of time.
                rows.connection.execute("SET LOCAL lock_timeout = '3s'")
                made = months.ahead(rows.connection, now)
                gone = months.let_go(rows.connection, now, access_before)
                aside = [one.says for one in months.months(rows.connection, ["messages"]) if not one.attached]
        except Error as problem:
            log.warning("the months' partitions were not seen to: %s", problem)
            return
        if made or gone:
            log.info("partitions: made=%s let_go=%s", [one.name for one in made], [one.name for one in gone])
        if aside:
            log.warning("months of messages that are set aside, and not searched: %s", ", ".join(aside))

    async def fold(self) -> None:
        """Nothing: the server's own checkpointer does it."""

    async def vacuum(self) -> str:
        """Free the room of rows that nobody sees, and let the planner count anew. Others go on reading and writing, so tables get
        no smaller but at their end."""
        await self._loop.run_in_executor(None, self._vacuum, "VACUUM (ANALYZE)")
        return ""

    def _vacuum(self, how: str) -> None:
        with translated(), self._lent() as rows:
            for (table,) in rows.plain(database.WHOLE_TABLES):
                rows.connection.execute(f'{how} "{table}"'.encode())

    async def backup(self, to: str) -> Copy:
        """Write what the store holds at this moment as a file, open and check it, and note it in the store."""
        from enhanced_memory.daemon.store.postgres.backup import backup

        made = await self._loop.run_in_executor(None, backup, self.settings, to)
        row = {"at": self.clock(), "path": made.path, "bytes": made.bytes, "sha256": made.sha256, "number": made.change}
        self.note("add_backup", [row])
        return made

    async def usage(self) -> Usage:
        """The room that the store takes in the database; 0 where the server does not say."""
        return Usage(
            engine=f"PostgreSQL {self._found.server}", file=await self._loop.run_in_executor(None, self._size), wal=0
        )

    def _size(self) -> int:
        try:
            with translated(), self._lent() as rows:
                return rows.plain(
                    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
                    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'"
                )[0][0]
        except Error as problem:
            log.warning("the store's size is not known: %s", problem)
            return 0

    def leave(self) -> None:
        """Others may use the store at any time."""

    async def close(self) -> None:
        """Carry out what was handed over, then let go of the connections."""
        self._readers.stop()
        await self._loop.run_in_executor(None, self._close)

    def _close(self) -> None:
        self._indexing.stop()
        self._readers.join()
        self.kept.close()
        self._writer.stop()
        self._hearing.stop()
        self._pool.close()
        if self._replicas is not None:
            self._replicas.close()
