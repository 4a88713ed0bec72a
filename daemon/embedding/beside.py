"""What goes on beside everything else, and how long a query waits for it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Beside"]

log = logging.getLogger(__name__)

WAIT_S = 1.5
"""How long a query waits for what it means before words answer alone: a model that is loaded takes milliseconds."""

WAITERS = 8
"""Queries that may wait for a model at a time."""


class Beside:
    """Tasks that nobody awaits to their end; whoever ends cancels them."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        self._waiters = 0

    def begin(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Let `work` go on by itself; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def soon(self, work: Coroutine[Any, Any, Any], well: Callable[[], None]) -> Any:
        """What `work` gives, or None where it fails or takes longer than a query waits. It goes on by itself then; `well` is
        called once it has succeeded."""
        if self._waiters >= WAITERS:
            work.close()
            return None
        self._waiters += 1
        task = self.begin(work)

        def done(ended: "asyncio.Task[Any]") -> None:
            self._waiters -= 1
            if not ended.cancelled() and ended.exception() is None:
                well()

        task.add_done_callback(done)
        await asyncio.wait({task}, timeout=WAIT_S)
        return None if not task.done() or task.exception() is not None else task.result()

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (failed := task.exception()) is not None:
            log.warning("meaning: %s", failed)
