"""The service that keeps memories in order: what has expired goes by itself, and curation runs when it is due.

How far curations are is known here; when the last one was stands in the store, so that one that was missed is made up for.
"""

import asyncio
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from enhanced_memory.client.errors import Conflict, Error, Invalid
from enhanced_memory.client.operations.curation import AutonomousCuration, Curated, Expire, Expired
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.conflicts.comparing import LEXICAL, Meaning
from enhanced_memory.daemon.curation.curating import Curating
from enhanced_memory.daemon.curation.expiring import expire
from enhanced_memory.daemon.curation.steadiness import Steadiness, due
from enhanced_memory.daemon.store import HOUSE, Engine
from enhanced_memory.daemon.store.tended import Mark

__all__ = ["MODES", "Tending"]

log = logging.getLogger(__name__)

AFTER_START_S = 5.0
EVERY_S = 3600.0

MODES = ("apply", "propose", "off")


class Tending:
    """Answers `expire` and `autonomous_curation`, and does by itself what is due."""

    def __init__(self, engine: Engine, settings: Settings, steadiness: Steadiness | None = None) -> None:
        self._engine = engine
        self._settings = settings
        self._steadiness = steadiness or Steadiness(engine.clock)
        self._call = Call(Peer(), Request())
        self._pool = ThreadPoolExecutor(1, "curation")
        self._runs: dict[str, Curating] = {}
        self._task: asyncio.Task[None] | None = None
        self._busy = False
        self.problem = ""

    @property
    def working(self) -> bool:
        """Whether there is work under way that a daemon should not leave undone."""
        return self._busy or any(not one.task.done() for one in self._runs.values())

    def start(self) -> None:
        """Begin to look after the store, now and then; on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def stop(self) -> None:
        """End at the next slice; what was done stays."""
        for one in self._runs.values():
            one.stop()
        for task in [self._task, *(one.task for one in self._runs.values())]:
            if task is not None:
                if task is self._task:
                    task.cancel()
                with suppress(asyncio.CancelledError, Error):
                    await task
        self._pool.shutdown(wait=True)

    # Asked for

    async def expire(self, call: Call) -> Expired:
        """What has expired in the caller's space goes now."""
        ask: Any = call.ask
        assert isinstance(ask, Expire)
        _checked(ask.wait_s)
        # A task of its own: what answers requests without one knows no pauses.
        return await asyncio.get_running_loop().create_task(expire(self._engine, call, ask, ask.wait_s))

    async def curate(self, call: Call) -> Curated:
        """Begin, end or look at the curation of the caller's space."""
        ask: Any = call.ask
        assert isinstance(ask, AutonomousCuration)
        _checked(ask.wait_s)
        space = call.peer.space
        one = self._runs.get(space)
        if ask.stop:
            if one is None:
                return Curated("none", space=space)
            one.stop()
        elif ask.start:
            if one is not None and not one.task.done():
                raise Conflict(
                    f"A curation of {space!r} is under way{', a dry run' if one.ask.dry_run else ''}.",
                    "ask with start false how far it is, or end it with stop",
                )
            one = self._begin(call)
        elif one is None:
            return Curated("none", space=space)
        with suppress(TimeoutError):
            await asyncio.get_running_loop().create_task(_ended(one, ask.wait_s))
        return one.told(ask.limit)

    def _begin(self, call: Call) -> Curating:
        run = Curating(self._engine, self._pool, self._meaning, call, self._settings.curation_cap)
        self._runs[call.peer.space] = run
        return run

    def _meaning(self) -> Meaning:
        if self._settings.embedder == "none":
            return LEXICAL
        from enhanced_memory.daemon.conflicts.meaning import static_meaning

        return static_meaning()

    # By itself

    async def _go_on(self) -> None:
        await asyncio.sleep(AFTER_START_S)
        while True:
            self._busy = True
            try:
                await self.look_after()
            except Error as problem:
                log.warning("looking after the store has to wait: %s", problem)
            except Exception:
                log.exception("looking after the store failed")
            finally:
                self._busy = False
            await asyncio.sleep(EVERY_S)

    async def look_after(self) -> None:
        """Do what is due, in every space, unless another daemon does it."""
        if not self._engine.leads(HOUSE):
            return
        self.problem = self._steadiness.look()
        if self.problem:
            log.warning("%s", self.problem)
            return
        for space in await self._engine.read(lambda tx: tx.tended.spaces_expiring(), self._call):
            ask = Expire(message="expired")
            gone = await expire(self._engine, Call(_peer("expiry", space), ask), ask)
            log.info("expired space=%s entities=%d", space, gone.count)
        if self._settings.curation != "off":
            for space in await self._due():
                await self._curate_by_itself(space)

    async def _due(self) -> list[str]:
        """The spaces whose last curation was long enough ago; without one, the time counts from the making of the store."""
        runs: dict[str, Mark | None]
        runs, made_at = await self._engine.read(lambda tx: (tx.tended.runs(), tx.tended.made_at()), self._call)
        now, every_h = self._engine.clock(), self._settings.curation_every_h
        return [space for space, mark in runs.items() if due(mark.at if mark else made_at, now, every_h)]

    async def _curate_by_itself(self, space: str) -> None:
        before = self._runs.get(space)
        if before is not None and not before.task.done():
            return
        ask = AutonomousCuration(dry_run=self._settings.curation == "propose")
        run = self._begin(Call(_peer("curation", space), ask))
        await run.task
        told = run.told(0)
        log.info(
            "curated space=%s state=%s dry_run=%s acts=%s left=%d seconds=%.1f %s",
            space, told.state, told.dry_run, told.counts, told.left, told.seconds, told.problem,
        )  # fmt: skip


def _peer(agent: str, space: str) -> Peer:
    return Peer(client="memory-db", agent=agent, space=space, greeted=True)


def _checked(wait_s: float) -> None:
    if not math.isfinite(wait_s):
        raise Invalid("wait_s is not a number of seconds.")


async def _ended(run: Curating, wait_s: float) -> None:
    await asyncio.wait_for(asyncio.shield(run.task), wait_s)
