"""What a connection's client is owed: the requests that are not answered yet. So many and no more are taken at a time."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

__all__ = ["UNANSWERED", "Owed"]

UNANSWERED = 64
"""Requests of one connection that are answered at a time; it is read no further meanwhile."""

Number = int | str


class Owed:
    """Requests by their ids. Some are answered by tasks of our own, the others by the SDK."""

    def __init__(self, settled: Callable[[], None]) -> None:
        """`settled` is called whenever a request has been answered, or is not to be."""
        self._settled = settled
        self._pending: dict[Number, int] = {}
        self._tasks: dict[Number, asyncio.Task[None]] = {}
        self.room = asyncio.Event()
        """Set while one more request may be taken."""
        self.nothing = asyncio.Event()
        """Set while none is unanswered."""
        self._count()

    def __contains__(self, number: Number) -> bool:
        return _same(number) in self._pending

    @property
    def ours(self) -> bool:
        """Whether the SDK has nothing to answer."""
        return len(self._pending) == len(self._tasks)

    def take(self, number: Number) -> None:
        """A request has come. A client may use an id twice."""
        known = _same(number)
        self._pending[known] = self._pending.get(known, 0) + 1
        self._count()

    def begin(self, number: Number, answering: Coroutine[Any, Any, None]) -> None:
        """A request has come that a task of ours answers, and then settles."""
        self.take(number)
        known = _same(number)
        task = self._tasks[known] = asyncio.get_running_loop().create_task(answering)
        task.add_done_callback(partial(self._done, known))

    def _done(self, known: Number, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(known) is task:
            del self._tasks[known]

    def settle(self, number: Number) -> None:
        """A request has been answered, or is not to be."""
        known = _same(number)
        left = self._pending.get(known, 0) - 1
        if left > 0:
            self._pending[known] = left
        elif left == 0:
            del self._pending[known]
        self._count()
        self._settled()

    def cancel(self, number: Number) -> None:
        """The client does not want the answer any more, and gets none."""
        task = self._tasks.pop(_same(number), None)
        if task is not None:
            task.cancel()
        self.settle(number)

    async def end(self) -> None:
        """Give up what is left to us, and wait until it has been given up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _count(self) -> None:
        self.room.set() if len(self._pending) < UNANSWERED else self.room.clear()
        self.nothing.clear() if self._pending else self.nothing.set()


def _same(number: Number) -> Number:
    """The SDK takes `"7"` and `7` for one id, and so must whoever counts beside it."""
    if isinstance(number, str):
        try:
            return int(number)
        except ValueError:
            pass
    return number
