# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The one writer: a thread that takes whatever waits into one transaction and answers after the commit.

What a request raises undoes that one alone. Nothing is answered before it is on disk.
What nobody waits for (merging words, checkpoints, access rows) is done when nothing else is to do.
"""

import logging
import queue
import threading
import time
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import apsw
from msgspec.structs import replace

from enhanced_memory.client.errors import Broken, Error, StoreDamaged, TimedOut, Unavailable
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.ground import Counters
from enhanced_memory.daemon.store.jobs import Job, Later, settle
from enhanced_memory.daemon.store.sqlite import file
from enhanced_memory.daemon.store.sqlite.place import Place
from enhanced_memory.daemon.store.sqlite.rows import Epoch, SqliteRows, each, translated
from enhanced_memory.daemon.store.sqlite.scrubbing import REPACK_DUE, Repacking
from enhanced_memory.daemon.store.sqlite.sealing import Key
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["Plain", "Writer"]

log = logging.getLogger(__name__)

IDLE_S = 0.25
DOUBT_S = 0.5
"""How long after a look at a file that was not known to be good, and was not found so, the next one comes."""
MERGE_PAGES = 64
MERGE_AFTER = 500
"""Passages written after which merging the words index is worth an idle moment."""
MANY_SEGMENTS = 12
"""Segments of the words index above which a store that was just opened has its merging to do: a load that ended with the
process leaves them, and every word is looked up in each (a probe of a word takes four times as long with 26 as with one)."""
LARGE_WAL_PAGES = 1000


class _HalfDone(Exception):
    """A job failed after it had written: the group is to be carried out anew, with a savepoint for each."""


@dataclass(slots=True)
class Plain:
    """Work on the bare connection, between transactions; for backups and checks."""

    work: Callable[[apsw.Connection], Any]
    waiter: "Future[Any]"


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
    _queue: "queue.SimpleQueue[Job | Later | Plain | None]" = field(
        default_factory=queue.SimpleQueue["Job | Later | Plain | None"]
    )
    _thread: threading.Thread | None = None
    _rows: SqliteRows | None = None
    _sql: Any = None
    _under_way: int = 0
    _unmerged: int = 0
    _checkpoint_due: bool = False
    _noted: list[Later] = field(default_factory=list["Later"])
    _doubt: Error | None = None
    """Why the file is not known to be good; until it is, nothing is acknowledged."""
    _doubted_at: float | None = None

    def start(self) -> None:
        """Begin to work."""
        self._begin()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def _begin(self) -> None:
        self._rows = SqliteRows(self.connection, self.epoch)
        self._sql = self.connection.cursor().execute
        row = self._rows.one("high_water") or (0, 0, 0, 0, 0, 0)
        mark = self._rows.one("get_meta", key="entity_high_water")
        self.counters = Counters(row[0], max(row[1], mark[0] if mark else 0), row[2], row[3], row[4], row[5])
        segments = self._rows.one("words_segments")
        if segments and segments[0] > MANY_SEGMENTS:
            self._unmerged = MERGE_AFTER + 1

    def put(self, item: "Job | Later | Plain") -> None:
        """Hand over work."""
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
            plain: list[Plain] = []
            try:
                item = self._queue.get(timeout=IDLE_S if self._chores else None)
            except queue.Empty:
                self._chore()
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
                self._alone(one)
        try:
            with translated():
                while self._noted:
                    self._write_noted()
                self._fold()
        except Error as problem:  # what was answered stands in the log, and the next one to open the store reads it
            log.warning("not all was put in order at the end: %s", problem)
        with suppress(apsw.Error):
            self.connection.close()

    def _group(self, batch: list[Job]) -> None:
        """Carry out a batch in one transaction. If that fails as a whole, every job in it has failed, and says so."""
        before = replace(self.counters)
        try:
            with translated():
                self._be_sure()
                try:
                    self._carry_out(batch, self._trusting)
                except _HalfDone:
                    self._undo(before)
                    self._carry_out(batch, self._careful)
            self._checkpoint_due = True
            self.state, self.problem = "ready", ""
        except BaseException as problem:
            self._undo(before)
            self._doubt_after(problem)
            self.state, self.problem = "failing", str(problem)
            failure = problem if isinstance(problem, Error) else Broken(f"Writing failed: {type(problem).__name__}.")
            if not isinstance(problem, Error):
                log.exception("a group of %d changes failed", len(batch))
            for job in batch:
                job.result, job.touched = None, None
                job.error = job.error or failure

    def _carry_out(self, batch: list[Job], one: Callable[[Job], None]) -> None:
        assert self._rows is not None
        self._sql("BEGIN IMMEDIATE")
        for job in batch:
            job.result = job.error = job.touched = None
            if job.call.deadline is not None and time.monotonic() > job.call.deadline:
                job.error = TimedOut("The deadline passed while the request waited its turn.")
                continue
            one(job)
            if not self.connection.in_transaction:
                raise job.error or Broken("The transaction ended by itself.")
        if self._noted:
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
        nothing to undo. A savepoint for each would cost a fifth of all that a change costs. `_HalfDone` where one is needed."""
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
                raise _HalfDone from failure
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
        call, passages = job.call, self.counters.passage
        tx = Tx(self._rows, self.codec, call, self.clock(), self.settings, self.counters)
        job.result = job.work(tx)
        if tx.rehearsal:
            return True
        tx.finish()
        self._unmerged += self.counters.passage - passages
        if tx.started:
            job.touched = (
                tx.number, call.ask.op, tx.space_name, tx.touched, self.counters.passage, tx.ended, tx.given,
            )  # fmt: skip
        return False

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

    def _alone(self, item: Plain) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            with translated():
                result = item.work(self.connection)
        except BaseException as problem:
            error = problem
        self.loop.call_soon_threadsafe(settle, item.waiter, result, error)

    # What is done when nothing else is

    @property
    def _chores(self) -> bool:
        return bool(self._noted) or self._unmerged > MERGE_AFTER or self.repacking is not None or self._checkpoint_due

    def _chore(self) -> None:
        """One small piece of work that can wait."""
        try:
            with translated():
                self._be_sure()
                if self._noted:
                    self._write_noted()
                elif self._unmerged > MERGE_AFTER:
                    self._merge()
                elif self.repacking is not None:
                    self._repack(self.repacking)
                elif self._checkpoint_due:
                    # With few pages in the log there is nothing to gain; a reader in the way is no reason to wait.
                    self._checkpoint_due = False
                    self._fold()
        except Error as problem:
            # What nobody waits for is not tried for ever: a full disk would make it pile up.
            log.warning("a chore failed: %s", problem)
            self._doubt_after(problem)
            self._noted.clear()
            self._unmerged = 0
            self.repacking = None

    def _fold(self) -> None:
        """Fold the log into the file and empty it. With a reader in the way, some other time will do."""
        try:
            self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.BusyError, apsw.LockedError):
            log.debug("the log was not folded into the file: somebody reads")

    def _merge(self) -> None:
        before = self.connection.total_changes()
        self.connection.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (MERGE_PAGES,))
        # FTS5 says so: fewer than two rows changed means that nothing was left to merge.
        if self.connection.total_changes() - before < 2:
            self._unmerged = 0

    def _repack(self, repacking: Repacking) -> None:
        if not repacking.step(self.connection):
            self.connection.execute("DELETE FROM meta WHERE key = ?", (REPACK_DUE,))
            self.repacking = None
        self._checkpoint_due = True

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
        noted, self._noted = self._noted, []
        for item in noted:
            rows = item.rows
            if item.prepare is not None:
                tx = Tx(self._rows, self.codec, Call(Peer(), Request()), self.clock(), self.settings)
                rows = [item.prepare(tx, row) for row in rows]
            self._rows.many(item.name, rows)


def _told(problem: BaseException) -> BaseException:
    """What SQLite raised as one of our errors; anything else as it is."""
    try:
        with translated():
            raise problem
    except BaseException as told:
        return told
