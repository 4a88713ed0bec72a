"""This daemon's writer: a thread that takes whatever waits into one transaction and answers after the commit.

Other daemons have writers too. They take turns: a group begins by locking the one row of `numbers`, which holds the highest
numbers given out, and writes them back before it commits. So changes are committed in the order of their numbers, nobody reads
what another is about to write, and no view of a number ever changes.

A connection that breaks is made anew, to whichever server takes changes then, and the group is carried out once more, unless it
stands already. Every group leaves a mark of its own, by which that is known; a transaction's number would not do, since a standby
that took over may give it out again.
"""

import logging
import secrets
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import asdict, replace
from psycopg import Connection
from psycopg import Error as PostgresError
from psycopg.errors import ReadOnlySqlTransaction

from enhanced_memory.client.errors import Broken, Error
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store import Touched
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.ground import Counters
from enhanced_memory.daemon.store.intake import Intake
from enhanced_memory.daemon.store.jobs import HalfDone, Job, carry_out, fail, insert, taken
from enhanced_memory.daemon.store.postgres.failures import clashed, lost, of_the_server, told, translated
from enhanced_memory.daemon.store.postgres.hearing import Hearing, pieces
from enhanced_memory.daemon.store.postgres.replicas import PLACE, Replicas
from enhanced_memory.daemon.store.postgres.rows import PostgresRows
from enhanced_memory.daemon.store.postgres.searching import Searching
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["MARK", "Writer"]

log = logging.getLogger(__name__)

CLASHES = 5
"""How often a group is carried out anew because somebody else's transaction was in the way."""
PAUSE_S = 0.1
"""Between attempts to reach the server again."""

MARK = "writer/"
"""Before a writer's own name: the key in `meta` of its mark, which is the time and the group."""
NOBODY_KNOWS = (
    "The connection to PostgreSQL was lost as a change was committed, and nobody can say yet whether it stands."
)


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
    hearing: Hearing
    """Other daemons are told under its name; what is our own it need not tell us."""
    replicas: Replicas | None = None
    """Who may answer questions instead of the server that is written to."""
    counters: Counters = field(default_factory=Counters)
    state: str = "ready"
    problem: str = ""
    commits: int = 0
    intake: Intake = field(init=False)
    _rows: PostgresRows | None = None
    _mark: str = field(default_factory=lambda: f"{MARK}{secrets.token_hex(8)}")
    """Where this writer says which group it committed last."""
    _group: str = ""
    """The group that is under way, once its commit may have reached the server."""
    _doubted: str = ""
    """The group whose connection broke at its commit; whether it stands is not known."""
    _own: int = 0
    """The server's number of the transaction that is under way."""
    _last: int = 0
    """The same of the last one that wrote, on this connection."""
    _place: int = 0
    """Where the server's log was after the last commit, if there are replicas."""
    _announced: list[Touched] = field(default_factory=list[Touched])
    """What was called this daemon's own, and is not known to be committed."""

    def __post_init__(self) -> None:
        self.intake = Intake(self, self.settings.group_max, self.loop, self.finished)

    def start(self) -> None:
        """Begin to work."""
        self.intake.start()

    def stop(self) -> None:
        """Finish what was handed over, then let go of the connection. Blocks until then."""
        self.intake.stop()

    def end(self) -> None:
        """Write what nobody waits for, and let go of the connection."""
        if self.intake.noted:
            self._write_noted()
        if self._rows is not None:
            with suppress(PostgresError):
                self._rows.plain("DELETE FROM meta WHERE key = :mark", mark=self._mark)
        self._leave()

    def group(self, batch: list[Job]) -> None:
        """Carry out a batch in one transaction. If that fails as a whole, every job in it has failed, and says so."""
        before = replace(self.counters)
        try:
            with translated():
                self._persist(batch)
            if self.replicas is not None:
                for job in batch:
                    self.replicas.reached(job.call.peer, self._place)
            self.state, self.problem = "ready", ""
        except BaseException as problem:
            self._withdraw()
            self._group = self._doubted = ""
            self.counters = before
            self.state, self.problem = "failing", str(problem)
            fail(batch, problem)

    def _persist(self, batch: list[Job]) -> None:
        """Carry out a batch, again where it was the connection that failed, or somebody else's transaction."""
        until = time.monotonic() + self.settings.connect_timeout_s
        clashes = 0
        careful = False
        while True:
            noted = list(self.intake.noted)
            try:
                self._carry_out(batch, self._careful if careful else self._trusting)
                return
            except HalfDone:
                careful = True
                self._undo()
            except (PostgresError, Error) as problem:
                self.intake.noted = noted
                self._undo()
                if isinstance(problem, PostgresError) and clashed(problem) and clashes < CLASHES:
                    clashes += 1
                elif self._elsewhere(problem):
                    self._doubted, self._group = self._group or self._doubted, ""
                    self._leave()
                    if time.monotonic() > until:
                        if self._doubted:
                            raise Broken(NOBODY_KNOWS, "send a change that carried a key again: it is applied once; look before repeating another") from None  # fmt: skip
                        raise
                    log.warning("a group of %d changes is carried out anew: %s", len(batch), problem)
                    time.sleep(PAUSE_S)
                else:
                    raise

    def _elsewhere(self, problem: BaseException) -> bool:
        """Whether another connection may do: this one is gone, there was none, or its server is a standby now."""
        gone = lost(problem) or isinstance(problem, ReadOnlySqlTransaction)
        return gone or (isinstance(problem, Error) and self._rows is None)

    def _stands(self, rows: PostgresRows) -> bool:
        """Whether the group whose connection broke at its commit was committed after all. The turn is ours, so that it is not
        under way any more."""
        row = rows.one("get_meta", key=self._mark)
        stands = row is not None and bytes(row[0]).decode().endswith(self._doubted)
        if stands:
            # Where commits wait for a standby, this one's wait is that of the group, which nobody has waited for to the end.
            self._leave_mark(rows, self._doubted)
            self._end_turn(rows)
            self.intake.noted = []
        self._doubted = ""
        return stands

    def _leave_mark(self, rows: PostgresRows, group: str) -> None:
        rows.run("set_meta", key=self._mark, value=f"{self.clock()} {group}")

    def _carry_out(self, batch: list[Job], one: Callable[[Job], None]) -> None:
        rows = self._turn([job.call for job in batch])
        if self._doubted and self._stands(rows):
            return
        self._withdraw()
        for job in batch:
            job.call.used.clear()
        for job in taken(batch):
            one(job)
        if self.intake.noted:
            self._insert_noted(rows)
        self._commit(rows, [Touched(*job.touched) for job in batch if job.touched is not None])

    def _turn(self, calls: Sequence[Call] = ()) -> PostgresRows:
        """Begin a transaction once no other daemon writes, and learn the numbers to go on from, and what `calls` will ask."""
        if self._rows is None:
            with translated():
                self._rows = PostgresRows(self.reach(), self.searching)
        turn = self._rows.take_turn(self._last, calls)
        if turn is None:
            raise Broken("The store has lost its numbers.", "restore a backup")
        self._group = ""
        self.counters, self._own = turn
        return self._rows

    def _commit(self, rows: PostgresRows, changes: list[Touched]) -> None:
        if rows.wrote:
            rows.run("keep_numbers", **asdict(self.counters))
            told = changes
            if rows.vectors is not None or rows.reshaped:
                told = [*changes, Touched(0, "", "", [], 0, vectors=rows.vectors, everything=rows.reshaped)]
            self._announced = changes
            self.hearing.committed(changes)
            rows.many("tell", [{"piece": piece} for piece in pieces(self.hearing.name, told) if told])
            group = secrets.token_hex(8)
            self._leave_mark(rows, group)
            self._group = group
        self._end_turn(rows)

    def _end_turn(self, rows: PostgresRows) -> None:
        """Commit, and learn up to where a replica has to have come for who wrote."""
        at = time.monotonic()
        rows.say("COMMIT")
        if self.replicas is None:
            rows.settle()
        else:
            self._place = rows.plain(PLACE)[0][0]
            self.replicas.seen(at, self._place)
        if rows.wrote:
            self._last = self._own
        self._group, self._announced = "", []
        self.commits += 1

    def _trusting(self, job: Job) -> None:
        """Carry out a job as one that will not fail half way: what fails mostly does so before it writes, and then there is
        nothing to undo. `HalfDone` where a savepoint is needed, and where the server refused something."""
        assert self._rows is not None
        mark, wrote = replace(self.counters), self._rows.wrote
        self._rows.wrote = False
        failure: BaseException | None = None
        try:
            rehearsal = self._work(job)
        except BaseException as problem:
            if of_the_server(problem):
                raise
            failure, rehearsal = problem, True
        if rehearsal:
            if self._rows.wrote or isinstance(failure, PostgresError):
                raise HalfDone from failure
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
            if of_the_server(problem):
                raise
            job.error, job.touched, rehearsal = (
                told(problem) if isinstance(problem, PostgresError) else problem,
                None,
                True,
            )
        if rehearsal:
            self.counters = mark
            rows.forget()
            rows.connection.execute("ROLLBACK TO one")
            rows.connection.execute("RELEASE one")

    def _work(self, job: Job) -> bool:
        """Carry out a job; whether it was a rehearsal, to be undone now that its answer is known."""
        assert self._rows is not None
        tx = Tx(self._rows, self.codec, job.call, self.clock(), self.settings, self.counters)
        return carry_out(job, tx, self.counters)

    def _undo(self) -> None:
        if self._rows is None:
            return
        self._rows.forget()
        try:
            self._rows.connection.execute("ROLLBACK")
        except PostgresError:
            self._leave()

    def _withdraw(self) -> None:
        """Call own no more what did not come to stand: another daemon will use its numbers."""
        self.hearing.withdrawn(self._announced)
        self._announced = []

    def _leave(self) -> None:
        rows, self._rows, self._last = self._rows, None, 0
        if rows is not None:
            rows.connection.close()

    # What nobody waits for

    @property
    def chores(self) -> bool:
        """Whether something can be done when nothing waits."""
        return bool(self.intake.noted)

    def relieve(self, waited_for: Callable[[], bool], /) -> None:
        """Nothing: the server looks after its indexes itself."""

    def chore(self, _waited_for: Callable[[], bool], /) -> None:
        """Write rows that nobody waits for."""
        self._write_noted()

    def _write_noted(self) -> None:
        """That is not tried for ever: a server that is gone would make them pile up."""
        try:
            with translated():
                rows = self._turn()
                self._insert_noted(rows)
                self._commit(rows, [])
        except Error as problem:
            log.warning("rows that nobody waits for were not written: %s", problem)
            self.intake.noted.clear()
            self._group = ""
            self._undo()

    def _insert_noted(self, rows: PostgresRows) -> None:
        noted, self.intake.noted = self.intake.noted, []
        insert(noted, rows, self.codec, self.clock(), self.settings)
