"""Threads that answer questions: each takes the next that waits, and has what it needs to answer it to itself."""

import queue
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store.jobs import expect_in_time, settle
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["Answering", "Readers"]

A = TypeVar("A")

Answering = Callable[[Callable[[Tx], Any], Call], Any]
"""Runs a question's work on one consistent view."""


class Readers:
    """Some threads before one queue."""

    def __init__(
        self, number: int, loop: AbstractEventLoop, ready: Callable[[], AbstractContextManager[Answering]]
    ) -> None:
        """`ready` makes what one thread answers with; it is entered, used and left on that thread."""
        self._loop = loop
        self._ready = ready
        self._asked: queue.SimpleQueue[tuple[Callable[[Tx], Any], Call, Future[Any]] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"reader-{which}", daemon=True) for which in range(number)
        ]
        for thread in self._threads:
            thread.start()

    async def read(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run `work` on one of the threads."""
        waiter: Future[Any] = self._loop.create_future()
        self._asked.put((work, call, waiter))
        return await waiter

    def _serve(self) -> None:
        with self._ready() as run:
            while (item := self._asked.get()) is not None:
                work, call, waiter = item
                result: Any = None
                error: BaseException | None = None
                try:
                    expect_in_time(call)
                    call.crowded = call.crowded or not self._asked.empty()
                    result = run(work, call)
                except BaseException as problem:
                    error = problem
                self._loop.call_soon_threadsafe(settle, waiter, result, error)

    def stop(self) -> None:
        """Take no further question; those that wait are answered."""
        for _ in self._threads:
            self._asked.put(None)

    def join(self) -> None:
        """Wait until the last is answered."""
        for thread in self._threads:
            thread.join()
