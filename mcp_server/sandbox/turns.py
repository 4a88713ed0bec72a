"""Whose turn it is: a few runs at a time, and of those that wait the sessions in turn, so that one with many delays
nobody else's first."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager

from enhanced_memory.client.errors import Busy

__all__ = ["Turns"]


class Turns:
    """Lets `at_once` in at a time, and `waiting` wait."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = at_once
        self._room = waiting
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, who: Hashable, wait_s: float) -> AsyncGenerator[None]:
        """A turn for `who`. `Busy` where too many wait, or it did not come within `wait_s`."""
        await self._taken(who, wait_s)
        try:
            yield
        finally:
            self._passed_on()

    async def _taken(self, who: Hashable, wait_s: float) -> None:
        if self._free:
            self._free -= 1
            return
        if not self._room:
            raise Busy("Too many runs of code wait already.")
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(place)
        self._room -= 1
        try:
            async with asyncio.timeout(wait_s):
                await place
        except BaseException as problem:
            self._leave(who, place)
            if place.done() and not place.cancelled():
                self._passed_on()  # it came in the same moment
            if isinstance(problem, TimeoutError):
                raise Busy(f"The run did not get its turn within {wait_s:g} s.") from None
            raise
        finally:
            self._room += 1

    def _leave(self, who: Hashable, place: asyncio.Future[None]) -> None:
        line = self._waiting.get(who)
        if line is not None and place in line:
            line.remove(place)
            if not line:
                del self._waiting[who]

    def _passed_on(self) -> None:
        while self._waiting:
            who, line = next(iter(self._waiting.items()))
            place = line.popleft()
            if line:
                self._waiting.move_to_end(who)
            else:
                del self._waiting[who]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
