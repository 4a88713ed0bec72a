"""The queue before an engine's writer, and the thread that empties it: whatever waits is handed on together.

What a batch is carried out with, and what is done when nothing waits, is the engine's own.
"""

import queue
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from enhanced_memory.client.errors import Unavailable
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store.jobs import Job, Later, settle
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["Intake", "Worker"]

A = TypeVar("A")

IDLE_S = 0.25
"""How long nothing has to come before what can wait is done."""

Plain = Callable[[], None]
"""Something that is called between two batches. It raises nothing."""


class Worker(Protocol):
    """Whoever carries out what comes in, on the intake's thread alone. Nothing of it raises."""

    def group(self, batch: list[Job], /) -> None:
        """Carry out a batch in one transaction, and leave in each job what became of it."""
        ...

    @property
    def chores(self) -> bool:
        """Whether there is something to do when nothing waits."""
        ...

    def chore(self, waited_for: Callable[[], bool], /) -> None:
        """Do one small piece of it."""
        ...

    def relieve(self, waited_for: Callable[[], bool], /) -> None:
        """Do what cannot wait until nothing else is to do, for some milliseconds; called after each batch, once its answers are on
        their way. `waited_for` says whether somebody waits already."""
        ...

    def end(self) -> None:
        """Let go of what is held: nothing comes any more."""
        ...


class Intake:
    """Takes work from any thread, and hands it to a worker, up to `group_max` jobs at a time."""

    def __init__(
        self, worker: Worker, group_max: int, loop: AbstractEventLoop, finished: Callable[[list[Job]], None]
    ) -> None:
        """`finished` is called on the loop with jobs whose answers are known."""
        self.noted: list[Later] = []
        """Rows that nobody waits for; whoever writes them takes them away."""
        self._worker = worker
        self._group_max = group_max
        self._loop = loop
        self._finished = finished
        self._queue: queue.SimpleQueue[Job | Later | Plain | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._under_way = 0

    def start(self) -> None:
        """Begin to work."""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def put(self, item: Job | Later | Plain) -> None:
        """Hand over work. `Unavailable` once it is being stopped."""
        if self._thread is None:
            raise Unavailable("The daemon is stopping.", "ask again; it starts anew")
        self._queue.put(item)

    async def write(self, work: Callable[[Tx], A], call: Call) -> A:
        """What `work` answers, once what it wrote is kept."""
        waiter: Future[A] = self._loop.create_future()
        self.put(Job(work, call, waiter))
        return await waiter

    def between(self, work: Callable[[], A]) -> "Future[A]":
        """Have `work` called between two batches; what it answers is known then. On the loop."""
        waiter: Future[A] = self._loop.create_future()

        def called() -> None:
            result: Any = None
            error: BaseException | None = None
            try:
                result = work()
            except BaseException as problem:
                error = problem
            self._loop.call_soon_threadsafe(settle, waiter, result, error)

        self.put(called)
        return waiter

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

    def _waited_for(self) -> bool:
        return not self._queue.empty()

    def _run(self) -> None:
        going = True
        while going:
            batch: list[Job] = []
            plain: list[Plain] = []
            try:
                item = self._queue.get(timeout=IDLE_S if self.noted or self._worker.chores else None)
            except queue.Empty:
                self._worker.chore(self._waited_for)
                continue
            while True:
                if item is None:
                    going = False
                elif isinstance(item, Job):
                    batch.append(item)
                elif isinstance(item, Later):
                    self.noted.append(item)
                else:
                    plain.append(item)
                if len(batch) >= self._group_max:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._under_way = len(batch)
                self._worker.group(batch)
                self._under_way = 0
                self._loop.call_soon_threadsafe(self._finished, batch)
                self._worker.relieve(self._waited_for)
            for one in plain:
                one()
        self._worker.end()
