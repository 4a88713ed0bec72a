"""Where a search is answered: in the daemon, or in one of the processes beside it.

One who asks alone is answered here, as soon as can be. Where questions keep having to wait for each other, a process is started, and
further ones while that is not enough; they read the file themselves and are told of what changes. A process that nobody needed for a
while is ended. Whatever goes wrong there, the question is answered here: what a process is lost with is time.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import psutil

from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.wire import pack
from enhanced_memory.daemon.apart.running import Running
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.pressure import pressure
from enhanced_memory.daemon.store import Engine, Touched

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.service import Embedding

__all__ = ["Apart"]

log = logging.getLogger(__name__)

CROWDED = 10
"""So many questions that had to wait within a second make it a crowded one; after two in a row a process is started."""
IDLE_S = 60.0
"""Unused for so long, a process is ended."""
START_S = 60.0
"""How long a process may take until it is ready."""
AT_ONCE = 2
"""Questions that a process has at a time: with the next at hand it need not wait until the daemon comes round to it."""
ROOM = 4
"""A process is started where so many times as much memory is free as the daemon takes."""
AGAIN_S = 60.0
"""After one that failed, none is started for so long."""

Here = Callable[[], Awaitable[Any]]


class Apart:
    """The processes beside one daemon, and whose turn it is. On the loop."""

    def __init__(self, engine: Engine, settings: Settings, embedding: "Embedding") -> None:
        self._followed = engine.followed
        self._settings = settings
        self._embedding = embedding
        self._processes: list[Running] = []
        self._here = 0
        """Questions that are being answered in the daemon."""
        self._waiting: deque[asyncio.Future[Running | None]] = deque()
        self._starting: asyncio.Task[None] | None = None
        self._second, self._waited, self._crowded = 0, 0, 0
        self._not_before = 0.0
        self._stopped = False
        if engine.followed is not None:
            engine.listeners.append(self._changed)
            engine.followed.aged.append(self.retire)
            embedding.told.append(self._stored)
            embedding.aged.append(self.retire)

    @property
    def most(self) -> int:
        """How many processes there may be: the daemon itself keeps one core busy."""
        if self._followed is None:
            return 0
        return min(self._settings.search_processes, _cores() - 1)

    @property
    def running(self) -> int:
        """How many there are."""
        return sum(one.ready for one in self._processes)

    async def answer(self, call: Call, here: Here) -> Any:
        """What a search finds: `here`'s answer, or that of a process, as it travels."""
        if not self.most or self._stopped:
            return await here()
        process = await self._turn()
        call.crowded = bool(self._waiting) or any(one.asked for one in self._processes)
        try:
            told = await process.ask(call) if process is not None else None
            return told if told is not None else await here()
        finally:
            self._done(process)

    # Whose turn it is

    async def _turn(self) -> Running | None:
        """Wait until there is somebody to answer: a process, or None for the daemon itself."""
        free, process = self._free()
        if not free or (process is None and self._here >= max(1, self._settings.readers)):
            self._one_waits()
        if free:
            self._taken(process)
            return process
        turn: asyncio.Future[Running | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._done(turn.result())
            raise

    def _free(self) -> tuple[bool, Running | None]:
        ready = [one for one in self._processes if one.ready]
        if not ready or not self._here:
            return True, None
        idle = min(ready, key=lambda one: one.asked)
        if idle.asked < AT_ONCE:
            return True, idle
        # Two threads of this process would take turns for Python's lock.
        return False, None

    def _taken(self, process: Running | None) -> None:
        if process is None:
            self._here += 1
        else:
            process.asked += 1

    def _done(self, process: Running | None) -> None:
        if process is None:
            self._here -= 1
        else:
            process.asked -= 1
            process.used_at = monotonic()
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting:
            free, process = self._free()
            if not free:
                return
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken(process)
                turn.set_result(process)

    # Beginning and end

    def _one_waits(self) -> None:
        """A question has to wait. Where that goes on, one process more is started."""
        now = int(monotonic())
        if now != self._second:
            self._crowded = self._crowded + 1 if now == self._second + 1 and self._waited >= CROWDED else 0
            self._second, self._waited = now, 0
        self._waited += 1
        if self._crowded >= 2 and self._starting is None and len(self._processes) < self.most:
            self._crowded = 0
            if monotonic() >= self._not_before and _room():
                self._starting = asyncio.get_running_loop().create_task(self._start())

    async def _start(self) -> None:
        assert self._followed is not None
        model = self._embedding.index
        process = Running(self._lost)
        self._processes.append(process)
        try:
            await asyncio.wait_for(
                process.start(self._followed.module, self._settings, model.model if model else 0, model.dimension if model else 0),
                START_S,
            )  # fmt: skip
            if not process.ready:
                process.fail("what it has read is out of date")
                return
            log.info("a process answers searches beside the daemon: pid=%d", process.pid)
            self._go_on()
            asyncio.get_running_loop().call_later(IDLE_S, self._end_idle, process)
        except BaseException as problem:
            self._not_before = monotonic() + AGAIN_S
            process.fail(str(problem) or f"it did not start ({type(problem).__name__})")
            if not isinstance(problem, OSError | EOFError | TimeoutError | Error):
                raise
        finally:
            self._starting = None

    def _end_idle(self, process: Running) -> None:
        if process not in self._processes:
            return
        unused = monotonic() - process.used_at
        if process.asked or unused < IDLE_S:
            asyncio.get_running_loop().call_later(max(1.0, IDLE_S - unused), self._end_idle, process)
        else:
            self._lost(process)

    def _lost(self, process: Running) -> None:
        """Count a process out, and end it once it has answered."""
        if process in self._processes:
            self._processes.remove(process)
        process.leave()
        self._go_on()

    def retire(self) -> None:
        """What processes have in memory is of a store that is another one now: they end, and others begin if they are needed."""
        for process in list(self._processes):
            self._lost(process)

    async def stop(self) -> None:
        """End all of them."""
        self._stopped = True
        if self._starting is not None:
            self._starting.cancel()
            with suppress(asyncio.CancelledError):
                await self._starting
        ending = list(self._processes)
        self.retire()
        for process in ending:
            await process.ended()

    # What changes in the store

    def _changed(self, touched: Touched) -> None:
        if self._processes and self._followed is not None:
            self._tell({"changed": [touched.number, touched.passage, touched.ended, self._followed.epoch()]})

    def _stored(self, first: int, last: int, gone: list[int]) -> None:
        if self._processes:
            self._tell({"vectors": [first, last, gone]})

    def _tell(self, message: dict[str, Any]) -> None:
        frame = pack(message)
        for process in self._processes:
            process.send(frame)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _room() -> bool:
    """Whether there is memory for one process more."""
    near = pressure()
    free = psutil.virtual_memory().available
    if near is not None:
        free = min(free, near.limit - near.used)
    return free > ROOM * psutil.Process().memory_info().rss
