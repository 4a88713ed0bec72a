"""The service that keeps memories in order: what has expired goes by itself, and curation runs when it is due."""

import asyncio
import logging
import math
from contextlib import suppress
from typing import Any

from enhanced_memory.client.errors import Error, Invalid
from enhanced_memory.client.operations.curation import Expire, Expired
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.curation.expiring import expire
from enhanced_memory.daemon.curation.steadiness import Steadiness
from enhanced_memory.daemon.store import Engine

__all__ = ["Tending"]

log = logging.getLogger(__name__)

AFTER_START_S = 5.0
EVERY_S = 3600.0


class Tending:
    """Answers `expire`, and does by itself what is due."""

    def __init__(self, engine: Engine, settings: Settings, steadiness: Steadiness | None = None) -> None:
        self._engine = engine
        self._settings = settings
        self._steadiness = steadiness or Steadiness(engine.clock)
        self._call = Call(Peer(), Request())
        self._task: asyncio.Task[None] | None = None
        self.problem = ""
        self.working = False
        """Whether there is work under way that a daemon should not leave undone."""

    def start(self) -> None:
        """Begin to look after the store, now and then; on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def stop(self) -> None:
        """End at the next slice; what was done stays."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def expire(self, call: Call) -> Expired:
        """What has expired in the caller's space goes now."""
        ask: Any = call.ask
        assert isinstance(ask, Expire)
        if not math.isfinite(ask.wait_s):
            raise Invalid("wait_s is not a number of seconds.")
        # A task of its own: what answers requests without one knows no pauses.
        return await asyncio.get_running_loop().create_task(expire(self._engine, call, ask, ask.wait_s))

    async def _go_on(self) -> None:
        await asyncio.sleep(AFTER_START_S)
        while True:
            self.working = True
            try:
                await self.look_after()
            except Error as problem:
                log.warning("looking after the store has to wait: %s", problem)
            except Exception:
                log.exception("looking after the store failed")
            finally:
                self.working = False
            await asyncio.sleep(EVERY_S)

    async def look_after(self) -> None:
        """Do what is due, in every space."""
        self.problem = self._steadiness.look()
        if self.problem:
            log.warning("%s", self.problem)
            return
        for space in await self._engine.read(lambda tx: tx.tended.spaces_expiring(), self._call):
            ask = Expire(message="expired")
            peer = Peer(client="memory-db", agent="expiry", space=space, greeted=True)
            gone = await expire(self._engine, Call(peer, ask), ask)
            log.info("expired space=%s entities=%d", space, gone.count)
