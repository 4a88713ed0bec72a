"""The backlog: passages that are written and have no vector yet, since when they wait, and when to see to them."""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from time import monotonic

from enhanced_memory.client.request import Request
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store import Engine

__all__ = ["Backlog"]

GATHER_S = 0.1
"""How long passages gather before they are embedded: each commit on its own would make every write two."""

QUIET_S = 0.03
"""Nothing written for so long counts as an idle moment."""

LATEST_S = 2.0
MANY = 8192
"""While others write, passages wait for an idle moment, but not longer than this, nor more of them."""

MARK_S = 0.1


class Backlog:
    """Knows what waits. On the event loop."""

    def __init__(self, engine: Engine) -> None:
        self.last = 0
        """The newest passage."""
        self.woken = asyncio.Event()
        self._engine = engine
        self._marks: deque[list[float]] = deque()
        """`[passage, since]`: what was written up to that passage waits since then at most."""
        self._changed_at = 0.0
        self._watching: list[set[int]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def begin(self) -> None:
        """Learn what the store holds."""
        self._loop = asyncio.get_running_loop()
        last = await self._engine.read(lambda tx: tx.vectors.last_passage(), Call(Peer(), Request()))
        if last > self.last:
            self.last = last
            self._marks.appendleft([last, monotonic()])

    def grew(self, passage: int) -> None:
        """Something was written; `passage` is the newest one's id."""
        now = self._changed_at = monotonic()
        if passage > self.last:
            self.last = passage
            if self._marks and now - self._marks[-1][1] < MARK_S:
                self._marks[-1][0] = passage
            else:
                self._marks.append([passage, now])
            self.woken.set()

    def ended(self, passages: Sequence[int]) -> None:
        """Passages ended: whoever is embedding them should know."""
        for watch in self._watching:
            watch.update(passages)

    @contextmanager
    def watching(self) -> "Generator[set[int]]":
        """Inside, the set that is given gathers the passages that end."""
        watch: set[int] = set()
        self._watching.append(watch)
        try:
            yield watch
        finally:
            self._watching.remove(watch)

    def seen(self, embedded: int) -> None:
        """Everything up to `embedded` has been seen to."""
        while self._marks and self._marks[0][0] <= embedded:
            self._marks.popleft()

    def waiting(self, embedded: int) -> int:
        """How many passages wait."""
        return max(0, self.last - embedded)

    def lag_s(self, embedded: int) -> float:
        """For how long the oldest of them has waited."""
        self.seen(embedded)
        return monotonic() - self._marks[0][1] if self._marks and self.waiting(embedded) else 0.0

    def busy(self) -> bool:
        """Whether somebody writes just now."""
        return self._engine.waiting > 0 or monotonic() - self._changed_at < QUIET_S

    async def gather(self) -> None:
        """Wait for an idle moment, within bounds."""
        await asyncio.sleep(GATHER_S)
        while self._marks and self.busy() and monotonic() - self._marks[0][1] < LATEST_S:
            if self.last - self._marks[0][0] > MANY:
                return
            await asyncio.sleep(QUIET_S)

    def from_any_thread(self, work: Callable[[], None]) -> None:
        """Run `work` on the loop."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(work)
