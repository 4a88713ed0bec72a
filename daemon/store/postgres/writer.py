"""This daemon's writer: a thread that takes whatever waits into one transaction and answers after the commit.

Other daemons have writers too. They take turns: a group begins by locking the one row of `numbers`, which holds the highest
numbers given out, and writes them back before it commits. So changes are committed in the order of their numbers, nobody reads
what another is about to write, and no view of a number ever changes.

A connection that breaks is made anew and the group carried out once more, unless the server says that its commit was done.
"""

import logging
import queue
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import asdict, replace
from psycopg import Connection
from psycopg import Error as PostgresError

from enhanced_memory.client.errors import Broken, Error, TimedOut, Unavailable
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.ground import Counters
from enhanced_memory.daemon.store.jobs import Job, Later
from enhanced_memory.daemon.store.postgres.failures import clashed, lost, told, translated
from enhanced_memory.daemon.store.postgres.rows import PostgresRows
from enhanced_memory.daemon.store.postgres.searching import Searching
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["Writer"]

log = logging.getLogger(__name__)

IDLE_S = 0.25
CLASHES = 5
"""How often a group is carried out anew because somebody else's transaction was in the way."""
PAUSE_S = 0.1
"""Between attempts to reach the server again."""

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"


class _HalfDone(Exception):
    """A job failed after it had written: the group is to be carried out anew, with a savepoint for each."""


@dataclass(slots=True)
class Writer:
    """Owns a connection and the thread that alone writes with it."""

    reach: "Callable[[], Connection[tuple[Any, ...]]]"
    codec: Codec
    settings: Settings
    clock: Callable[[], int]
    loop: AbstractEventLoop
    finished: Callable[[list[Job]], None]
    """Called on the loop with jobs whose answers are known."""
    searching: Searching
    counters: Counters = field(default_factory=Counters)
    state: str = "ready"
    problem: str = ""
    commits: int = 0
    _queue: "queue.SimpleQueue[Job | Later | Callable[[], None] | None]" = field(
        default_factory=queue.SimpleQueue["Job | Later | Callable[[], None] | None"]
    )
    _thread: threading.Thread | None = None
    _rows: PostgresRows | None = None
    _under_way: int = 0
    _xid: str = ""
    """The transaction that is under way, as the server knows it; empty before it has one."""
    _noted: list[Later] = field(default_factory=list["Later"])

    def start(self) -> None:
        """Begin to work."""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def put(self, item: "Job | Later | Callable[[], None]") -> None:
        """Hand over work; a plain function is called between transactions."""
        if self._thread is None:
            raise Unavailable("The daemon is stopping.", "ask again; it starts anew")
        self._queue.put(item)

    @property
    def waiting(self) -> int:
        """Requests that wait, those among them that are being carried out."""
        return self._queue.qsize() + self._under_way

    def stop(self) -> None:
        """Finish what was handed over, then end. Blocks until then."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _run(self) -> None:
        going = True
        while going:
            batch: list[Job] = []
            plain: list[Callable[[], None]] = []
            try:
                item = self._queue.get(timeout=IDLE_S if self._noted else None)
            except queue.Empty:
                self._write_noted()
                continue
            while True:
                if item is None:
                    going = False
                elif isinstance(item, Job):
                    batch.append(item)
                elif isinstance(item, Later):
                    self._noted.append(item)
                else:
                    plain.append(item)
                if len(batch) >= self.settings.group_max:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._under_way = len(batch)
                self._group(batch)
                self._under_way = 0
                self.loop.call_soon_threadsafe(self.finished, batch)
            for one in plain:
                one()
        if self._noted:
            self._write_noted()
        self._leave()

    def _group(self, batch: list[Job]) -> None:
        """Carry out a batch in one transaction. If that fails as a whole, every job in it has failed, and says so."""
        before = replace(self.counters)
        try:
            with translated():
                self._persist(batch)
            self.state, self.problem = "ready", ""
        except BaseException as problem:
            self.counters = before
            self.state, self.problem = "failing", str(problem)
            failure = problem if isinstance(problem, Error) else Broken(f"Writing failed: {type(problem).__name__}.")
            if not isinstance(problem, Error):
                log.exception("a group of %d changes failed", len(batch))
            for job in batch:
                job.result, job.touched = None, None
                job.error = job.error or failure

    def _persist(self, batch: list[Job]) -> None:
        """Carry out a batch, again where it was the connection that failed, or somebody else's transaction."""
        until = time.monotonic() + self.settings.connect_timeout_s
        clashes = 0
        careful = False
        while True:
            noted = list(self._noted)
            try:
                self._carry_out(batch, self._careful if careful else self._trusting)
                return
            except _HalfDone:
                careful = True
                self._undo()
            except (PostgresError, Error) as problem:
                self._noted = noted
                self._undo()
                if isinstance(problem, PostgresError) and clashed(problem) and clashes < CLASHES:
                    clashes += 1
                elif lost(problem) or (isinstance(problem, Error) and self._rows is None):
                    if self._stands(until):
                        self._noted = []
                        return
                    if time.monotonic() > until:
                        raise
                    log.warning("a group of %d changes is carried out anew: %s", len(batch), problem)
                    time.sleep(PAUSE_S)
                else:
                    raise
            for job in batch:
                job.call.used.clear()

    def _stands(self, until: float) -> bool:
        """Whether the transaction whose connection broke was committed; asked of the server once it can be reached."""
        xid, self._xid = self._xid, ""
        self._leave()
        while xid:
            try:
                with self.reach() as connection:
                    row = connection.execute("SELECT pg_xact_status(%s::text::xid8)", (xid,)).fetchone()
                if row is None or row[0] != "in progress":
                    return row is not None and row[0] == "committed"
            except (PostgresError, Error):
                pass
            if time.monotonic() > until:
                raise Broken(
                    "The connection to PostgreSQL was lost as a change was committed, and nobody can say yet whether it stands.",
                    "send a change that carried a key again: it is applied once; look before repeating another",
                )
            time.sleep(PAUSE_S)
        return False

    def _carry_out(self, batch: list[Job], one: Callable[[Job], None]) -> None:
        rows = self._turn()
        for job in batch:
            job.result = job.error = job.touched = None
            if job.call.deadline is not None and time.monotonic() > job.call.deadline:
                job.error = TimedOut("The deadline passed while the request waited its turn.")
                continue
            one(job)
        if self._noted:
            self._insert_noted(rows)
        self._commit(rows)

    def _turn(self) -> PostgresRows:
        """Begin a transaction once no other daemon writes, and learn the numbers to go on from."""
        if self._rows is None:
            with translated():
                self._rows = PostgresRows(self.reach(), self.searching)
        rows = self._rows
        self._xid = ""
        rows.begin(BEGIN)
        row = rows.one("take_turn")
        if row is None:
            raise Broken("The store has lost its numbers.", "restore a backup")
        self.counters, self._xid = Counters(*row[:6]), row[6]
        return rows

    def _commit(self, rows: PostgresRows) -> None:
        if rows.wrote:
            rows.run("keep_numbers", **asdict(self.counters))
        else:
            self._xid = ""  # nothing to be unsure of
        rows.say("COMMIT")
        rows.settle()
        self._xid = ""
        self.commits += 1

    def _trusting(self, job: Job) -> None:
        """Carry out a job as one that will not fail half way: what fails mostly does so before it writes, and then there is
        nothing to undo. `_HalfDone` where a savepoint is needed, and where the server refused something."""
        assert self._rows is not None
        mark, wrote = replace(self.counters), self._rows.wrote
        self._rows.wrote = False
        failure: BaseException | None = None
        try:
            rehearsal = self._work(job)
        except BaseException as problem:
            if lost(problem) or clashed(problem):
                raise
            failure, rehearsal = problem, True
        if rehearsal:
            if self._rows.wrote or isinstance(failure, PostgresError):
                raise _HalfDone from failure
            self.counters = mark
            job.error = failure
        self._rows.wrote = wrote or self._rows.wrote

    def _careful(self, job: Job) -> None:
        """Carry out a job within a savepoint of its own, so that what it raises undoes it alone."""
        assert self._rows is not None
        rows, mark = self._rows, replace(self.counters)
        rows.say("SAVEPOINT one")
        rows.settle()
        try:
            rehearsal = self._work(job)
            if not rehearsal:
                rows.say("RELEASE one")
            rows.settle()
        except BaseException as problem:
            if lost(problem) or clashed(problem):
                raise
            job.error, job.touched, rehearsal = (
                told(problem) if isinstance(problem, PostgresError) else problem,
                None,
                True,
            )
        if rehearsal:
            self.counters = mark
            rows.forget()
            # Each by itself: psycopg forgets at a rollback what it has prepared, and what is under way would ask for it.
            rows.connection.execute("ROLLBACK TO one", prepare=False)
            rows.connection.execute("RELEASE one", prepare=False)

    def _work(self, job: Job) -> bool:
        """Carry out a job; whether it was a rehearsal, to be undone now that its answer is known."""
        assert self._rows is not None
        call = job.call
        tx = Tx(self._rows, self.codec, call, self.clock(), self.settings, self.counters)
        job.result = job.work(tx)
        if tx.rehearsal:
            return True
        tx.finish()
        if tx.started:
            job.touched = (
                tx.number, call.ask.op, tx.space_name, tx.touched, self.counters.passage, tx.ended, tx.given,
                tx.renewed,
            )  # fmt: skip
        return False

    def _undo(self) -> None:
        if self._rows is None:
            return
        self._rows.forget()
        try:
            self._rows.connection.execute("ROLLBACK", prepare=False)
        except PostgresError:
            self._leave()

    def _leave(self) -> None:
        rows, self._rows = self._rows, None
        if rows is not None:
            rows.connection.close()

    # What nobody waits for

    def _write_noted(self) -> None:
        """Rows that nobody waits for are not tried for ever: a server that is gone would make them pile up."""
        try:
            with translated():
                rows = self._turn()
                self._insert_noted(rows)
                self._commit(rows)
        except Error as problem:
            log.warning("rows that nobody waits for were not written: %s", problem)
            self._noted.clear()
            self._undo()

    def _insert_noted(self, rows: PostgresRows) -> None:
        noted, self._noted = self._noted, []
        for item in noted:
            made = item.rows
            if item.prepare is not None:
                tx = Tx(rows, self.codec, Call(Peer(), Request()), self.clock(), self.settings)
                made = [item.prepare(tx, row) for row in made]
            rows.many(item.name, made)
