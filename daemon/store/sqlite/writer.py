# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The one writer: a thread that takes whatever waits into one transaction and answers after the commit.

What a request raises undoes that one alone. Nothing is answered before it is on disk.
What nobody waits for (merging words, checkpoints, access rows) is done when nothing else is to do.
"""

import logging
import time
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import apsw
from msgspec.structs import replace

from enhanced_memory.client.errors import Broken, Error, StoreDamaged, Unavailable
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.ground import Counters
from enhanced_memory.daemon.store.intake import Intake
from enhanced_memory.daemon.store.jobs import HalfDone, Job, carry_out, fail, insert, taken
from enhanced_memory.daemon.store.sqlite import file
from enhanced_memory.daemon.store.sqlite.merging import Merging
from enhanced_memory.daemon.store.sqlite.place import Place
from enhanced_memory.daemon.store.sqlite.rows import Epoch, SqliteRows, each, translated
from enhanced_memory.daemon.store.sqlite.scrubbing import REPACK_DUE, Repacking, tidy, untidied, untidy
from enhanced_memory.daemon.store.sqlite.sealed_files import SealedFiles
from enhanced_memory.daemon.store.sqlite.sealing import Key
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["Writer"]

A = TypeVar("A")

log = logging.getLogger(__name__)

DOUBT_S = 0.5
"""How long after a look at a file that was not known to be good, and was not found so, the next one comes."""
TIDY_AFTER_S = 10.0
"""How long nothing was changed before the file is tidied: nobody can write meanwhile."""
REPACK_S = 0.01
"""How long bodies are packed anew in an idle moment, at the most."""
LARGE_WAL_PAGES = 1000


@dataclass(slots=True)
class Writer:
    """Owns the writing connection and the thread that alone uses it."""

    connection: apsw.Connection
    codec: Codec
    settings: Settings
    clock: Callable[[], int]
    loop: AbstractEventLoop
    finished: Callable[[list[Job]], None]
    """Called on the loop with jobs whose answers are known."""
    place: Place
    harmed: Callable[[str], None] = lambda why: None
    """Called on the loop when the daemon had better begin anew."""
    epoch: Epoch = field(default_factory=Epoch)
    key: Key | None = None
    """What the file is encrypted with."""
    counters: Counters = field(default_factory=Counters)
    committing: int = 0
    committed: int = 0
    """Commits begun, and commits done: while both are the same number as before, nothing has changed in between."""
    state: str = "ready"
    problem: str = ""
    repacking: Repacking | None = None
    """Bodies that wait to be packed with a better dictionary than theirs. Set on the writer's thread alone, or before it starts."""
    intake: Intake = field(init=False)
    _merging: Merging = field(default_factory=Merging)
    _rows: SqliteRows | None = None
    _sql: Any = None
    _checkpoint_due: bool = False
    _untidy: bool = True
    """Whether the file may be worth tidying."""
    _changed_at: float = field(default_factory=time.monotonic)
    _doubt: Error | None = None
    """Why the file is not known to be good; until it is, nothing is acknowledged."""
    _doubted_at: float | None = None

    def __post_init__(self) -> None:
        self.intake = Intake(self, self.settings.group_max, self.loop, self.finished)

    def start(self) -> None:
        """Begin to work."""
        self._begin()
        self.intake.start()

    def _begin(self) -> None:
        self._rows = SqliteRows(self.connection, SealedFiles(self.key is not None), self.epoch)
        self._sql = self.connection.cursor().execute
        row = self._rows.one("high_water") or (0, 0, 0, 0, 0, 0)
        mark = self._rows.one("get_meta", key="entity_high_water")
        self.counters = Counters(row[0], max(row[1], mark[0] if mark else 0), row[2], row[3], row[4], row[5])
        segments = self._rows.one("words_segments")
        if segments:
            self._merging.found(segments[0])

    def stop(self) -> None:
        """Finish what was handed over, then close the file. Blocks until then."""
        self.intake.stop()

    def end(self) -> None:
        """Write what nobody waits for, and leave the file in order."""
        try:
            with translated():
                while self.intake.noted:
                    self._write_noted()
                self._fold()
        except Error as problem:  # what was answered stands in the log, and the next one to open the store reads it
            log.warning("not all was put in order at the end: %s", problem)
        with suppress(apsw.Error):
            self.connection.close()

    def group(self, batch: list[Job]) -> None:
        """Carry out a batch in one transaction. If that fails as a whole, every job in it has failed, and says so."""
        before = replace(self.counters)
        try:
            with translated():
                self._be_sure()
                try:
                    self._carry_out(batch, self._trusting)
                except HalfDone:
                    self._undo(before)
                    self._carry_out(batch, self._careful)
            self._checkpoint_due = self._untidy = True
            self._changed_at = time.monotonic()
            self._merging.commits += 1
            self.state, self.problem = "ready", ""
        except BaseException as problem:
            self._undo(before)
            self._doubt_after(problem)
            self.state, self.problem = "failing", str(problem)
            fail(batch, problem)

    def _carry_out(self, batch: list[Job], one: Callable[[Job], None]) -> None:
        assert self._rows is not None
        self._sql("BEGIN IMMEDIATE")
        for job in taken(batch):
            one(job)
            if not self.connection.in_transaction:
                raise job.error or Broken("The transaction ended by itself.")
        if self.intake.noted:
            self._insert_noted()
        self._rows.settle()
        self._commit()
        if self._rows.spaces_changed:
            self._rows.spaces_changed = False
            self.epoch.number += 1

    def _commit(self) -> None:
        self.committing += 1
        try:
            self._sql("COMMIT")
        finally:
            self.committed = self.committing

    def _trusting(self, job: Job) -> None:
        """Carry out a job as one that will not fail half way: what fails mostly does so before it writes, and then there is
        nothing to undo. A savepoint for each would cost a fifth of all that a change costs. `HalfDone` where one is needed."""
        assert self._rows is not None
        mark, written, put_off = replace(self.counters), self.connection.total_changes(), len(self._rows.put_off)
        try:
            failure = None
            rehearsal = self._work(job)
        except BaseException as problem:
            failure, rehearsal = problem, True
        if rehearsal:
            if self.connection.total_changes() != written or len(self._rows.put_off) != put_off:
                job.call.used.clear()
                raise HalfDone from failure
            self.counters = mark
            job.error = _told(failure) if failure is not None else None

    def _careful(self, job: Job) -> None:
        """Carry out a job within a savepoint of its own, so that what it raises undoes it alone."""
        assert self._rows is not None
        self._rows.settle()  # what others put off is not this job's to undo
        mark = replace(self.counters)
        self._sql("SAVEPOINT one")
        try:
            rehearsal = self._work(job)
            self._rows.settle()
            if not rehearsal:
                self._sql("RELEASE one")
        except BaseException as problem:
            job.error, job.touched, rehearsal = _told(problem), None, True
        if rehearsal:
            self.counters = mark
            self._rows.forget()
            if self.connection.in_transaction:
                self._sql("ROLLBACK TO one")
                self._sql("RELEASE one")

    def _work(self, job: Job) -> bool:
        """Carry out a job; whether it was a rehearsal, to be undone now that its answer is known."""
        assert self._rows is not None
        passages = self.counters.passage
        tx = Tx(self._rows, self.codec, job.call, self.clock(), self.settings, self.counters)
        rehearsal = carry_out(job, tx, self.counters)
        if not rehearsal:
            self._merging.unmerged += self.counters.passage - passages + 1
        return rehearsal

    # Being sure of the file

    def _doubt_after(self, problem: BaseException) -> None:
        """After a failure of the disk, or of SQLite, nobody knows what the file holds. A full disk, or a caller's error, says nothing of it."""
        if type(problem) in (Broken, StoreDamaged):
            self._doubt = problem if isinstance(problem, Error) else None

    def _be_sure(self) -> None:
        """Raise unless the file is the one that was opened, and known to be good."""
        if self.place.moved:
            raise self.place.harm() or StoreDamaged()
        if self.place.log_gone:
            # What was answered stands in a file without a name; this one still has it open.
            self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
            self.loop.call_soon_threadsafe(self.harmed, "its log was deleted")
            raise Unavailable(
                "The store's log was deleted; all of it is in the file.", "ask again; the daemon begins anew"
            )
        if self._doubt is None:
            return
        now = time.monotonic()
        if self._doubted_at is not None and now - self._doubted_at < DOUBT_S:
            raise self._doubt
        self._doubted_at = now
        fresh = file.connect(self.place.path, readonly=False, synchronous=self.settings.synchronous, key=self.key)
        try:
            newest = next(each(fresh, "SELECT coalesce(max(number), 0) FROM changes"))[0]
            if newest < self.counters.change:
                raise StoreDamaged(
                    f"Change {self.counters.change} was answered, and the file ends with change {newest}."
                )
            wrong = [line for (line,) in each(fresh, "PRAGMA quick_check(1)") if line != "ok"]
            if wrong:
                raise StoreDamaged(f"The file is not sound: {wrong[0]}.")
        except BaseException:
            fresh.close()
            raise
        with suppress(apsw.Error):
            self.connection.close()
        self.connection = fresh
        self._begin()
        self._doubt = self._doubted_at = None
        log.warning("the store was opened anew after a failure, and is good up to change=%d", newest)

    def _undo(self, counters: Counters) -> None:
        self.counters = counters
        if self._rows is not None:
            self._rows.forget()
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except apsw.Error as problem:
            # SQLite has rolled back in its memory already; whether the file is sound is looked at before the next change.
            self._doubt = StoreDamaged(f"What failed could not be undone: {problem}.")

    def alone(self, work: Callable[[apsw.Connection], A]) -> "Future[A]":
        """Have `work` run on the bare connection, between transactions; for backups and checks. On the loop."""

        def done() -> A:
            with translated():
                return work(self.connection)

        return self.intake.between(done)

    # What is done when nothing else is

    @property
    def chores(self) -> bool:
        """Whether something can be done when nothing waits."""
        return (
            bool(self.intake.noted)
            or self._merging.due
            or self.repacking is not None
            or self._checkpoint_due
            or self._untidy
        )

    def chore(self, waited_for: Callable[[], bool], /) -> None:
        """One small piece of work that can wait."""
        try:
            with translated():
                self._be_sure()
                if self.intake.noted:
                    self._write_noted()
                elif self._merging.due:
                    self._merging.idle(self.connection, waited_for)
                elif self.repacking is not None:
                    self._repack(self.repacking, waited_for)
                elif self._checkpoint_due:
                    # With few pages in the log there is nothing to gain; a reader in the way is no reason to wait.
                    self._checkpoint_due = False
                    self._fold()
                elif self._untidy:
                    self._tidy()
        except Exception as problem:
            # What nobody waits for is not tried for ever: a full disk would make it pile up. Whatever it was, changes go on.
            _note("a chore failed", problem)
            self._doubt_after(problem)
            self.intake.noted.clear()
            self._merging.unmerged = 0
            self.repacking = None
            self._untidy = False

    def _fold(self) -> None:
        """Fold the log into the file and empty it. With a reader in the way, some other time will do."""
        if not file.fold_log(self.connection, apsw.SQLITE_CHECKPOINT_TRUNCATE):
            log.debug("the log was not folded into the file: somebody reads")

    def relieve(self, waited_for: Callable[[], bool], /) -> None:
        """Some merging, where changes come without a pause in which to do it."""
        if self._doubt is not None or not self._merging.pressing(waited_for):
            return
        try:
            with translated():
                self._be_sure()
                self._merging.beside(self.connection, waited_for)
        except Exception as problem:
            _note("words could not be merged", problem)
            self._doubt_after(problem)
            self._merging.commits = 0

    def _repack(self, repacking: Repacking, waited_for: Callable[[], bool]) -> None:
        end = time.monotonic() + REPACK_S
        while repacking.step(self.connection):
            if time.monotonic() >= end or waited_for():
                break
        else:
            repacking.drop(self.connection)
            with self.connection:
                self.connection.execute("DELETE FROM meta WHERE key = ?", (REPACK_DUE,))
                untidied(self.connection)
            self.repacking = None
            self._untidy = True
        self._checkpoint_due = True

    def _tidy(self) -> None:
        self._untidy = untidy(self.connection, self.place.room)
        if self._untidy and time.monotonic() - self._changed_at >= TIDY_AFTER_S:
            began = time.monotonic()
            # Even if it fails: the log keeps the room that it took until it is emptied.
            self._untidy, self._checkpoint_due = False, True
            tidy(self.connection)
            log.info("the file was tidied in ms=%d", (time.monotonic() - began) * 1000)

    def _write_noted(self) -> None:
        before = replace(self.counters)
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self._insert_noted()
            self._commit()
        except apsw.Error:
            self._undo(before)
            raise

    def _insert_noted(self) -> None:
        assert self._rows is not None
        noted, self.intake.noted = self.intake.noted, []
        insert(noted, self._rows, self.codec, self.clock(), self.settings)


def _note(what: str, problem: Exception) -> None:
    """Log a failure that nobody is told of; one that is no error of ours with where it came from."""
    log.log(
        logging.WARNING if isinstance(problem, Error) else logging.ERROR,
        "%s: %s", what, problem, exc_info=None if isinstance(problem, Error) else problem,
    )  # fmt: skip


def _told(problem: BaseException) -> BaseException:
    """What SQLite raised as one of our errors; anything else as it is."""
    try:
        with translated():
            raise problem
    except BaseException as told:
        return told
