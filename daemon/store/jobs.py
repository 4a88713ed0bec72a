"""What an engine's writer is handed, a request's work or rows that nobody waits for, and what is done with it on every engine."""

import logging
import time
from asyncio import Future
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from enhanced_memory.client.errors import Broken, Error, TimedOut
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store import Touched
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.ground import Counters, Rows
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["HalfDone", "Job", "Later", "answer", "carry_out", "expect_in_time", "fail", "insert", "settle", "taken"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """A request's work, and who waits for it."""

    work: Callable[[Tx], Any]
    call: Call
    waiter: "Future[Any]"
    result: Any = None
    error: BaseException | None = None
    touched: tuple[int, str, str, list[int], int, list[int], list[int]] | None = None


@dataclass(slots=True)
class Later:
    """Rows that nobody waits for."""

    name: str
    rows: list[dict[str, Any]]
    prepare: Callable[[Tx, dict[str, Any]], dict[str, Any]] | None = None


class HalfDone(Exception):
    """A job failed after it had written: the group is to be carried out anew, with a savepoint for each."""


def settle(waiter: "Future[Any]", result: Any, error: BaseException | None) -> None:
    """Give whoever waits the answer; nobody may be waiting any more."""
    if waiter.done():
        return
    if error is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(result)


def answer(jobs: Iterable[Job], listeners: Iterable[Callable[[Touched], None]]) -> None:
    """Tell the listeners what changed, and give each job its answer, in order; the changes are on disk."""
    for job in jobs:
        if job.touched is not None:
            for listen in listeners:
                listen(Touched(*job.touched))
        settle(job.waiter, job.result, job.error)


def expect_in_time(call: Call) -> None:
    """`TimedOut` for a call whose deadline passed while it waited."""
    if call.deadline is not None and time.monotonic() > call.deadline:
        raise TimedOut("The deadline passed while the request waited its turn.")


def taken(batch: Iterable[Job]) -> Generator[Job]:
    """The jobs of a batch, one after the other, as if nothing had been tried yet; those whose deadline has passed are left out, and fail."""
    for job in batch:
        job.result = job.error = job.touched = None
        try:
            expect_in_time(job.call)
        except TimedOut as late:
            job.error = late
        else:
            yield job


def carry_out(job: Job, tx: Tx, counters: Counters) -> bool:
    """Carry out a job; whether it was a rehearsal, to be undone now that its answer is known."""
    job.result = job.work(tx)
    if tx.rehearsal:
        return True
    tx.finish()
    if tx.started:
        job.touched = (
            tx.number, job.call.ask.op, tx.space_name, tx.touched, counters.passage, tx.ended, tx.given
        )  # fmt: skip
    return False


def fail(batch: list[Job], problem: BaseException) -> None:
    """Let every job of a group that failed as a whole say so. What is no error of ours is logged."""
    failure = problem if isinstance(problem, Error) else Broken(f"Writing failed: {type(problem).__name__}.")
    if not isinstance(problem, Error):
        log.error("a group of %d changes failed", len(batch), exc_info=problem)
    for job in batch:
        job.result, job.touched = None, None
        job.error = job.error or failure


def insert(noted: Iterable[Later], rows: Rows, codec: Codec, now: int, settings: Settings) -> None:
    """Write rows that nobody waits for."""
    for item in noted:
        made = item.rows
        if item.prepare is not None:
            tx = Tx(rows, codec, Call(Peer(), Request()), now, settings)
            made = [item.prepare(tx, row) for row in made]
        rows.many(item.name, made)
