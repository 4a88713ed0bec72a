"""Retention by the clock: what streams do not keep any more is summed up and archived once a day, whoever is or is not writing.

When the last round was stands in the store, so one that was missed is made up for at the next start. A stream's own settings say
what it keeps (`set_retention`, `start_session`); nothing is dropped.
"""

import asyncio
import logging

from enhanced_memory.client.errors import Busy, Conflict, Error, NotFound, StoreFull, Unavailable
from enhanced_memory.client.operations.streams import ArchiveMessages
from enhanced_memory.client.request import HANDLERS, Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import Filter
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.curation.steadiness import Steadiness, due
from enhanced_memory.daemon.handlers.filters import property_filters
from enhanced_memory.daemon.store import HOUSE, Engine, Tx

__all__ = ["ROUND", "Retention"]

log = logging.getLogger(__name__)

ROUND = "retention_round"
"""Under this key `meta` keeps when the last round was, in milliseconds."""

AFTER_START_S = 5.0
LOOK_EVERY_S = 600.0
PAGE = 500


class Retention:
    """Goes round the streams when it is due."""

    def __init__(self, engine: Engine, settings: Settings, steadiness: Steadiness | None = None) -> None:
        self._engine = engine
        self._settings = settings
        self._steadiness = steadiness or Steadiness(engine.clock)
        self._call = Call(Peer(), Request())

    async def keep_to_it(self) -> None:
        """Look now and then whether a round is due, for as long as the daemon runs."""
        await asyncio.sleep(AFTER_START_S)
        while True:
            try:
                await self.go_round_if_due()
            except Error as problem:
                log.warning("the round of retention has to wait: %s", problem)
            except Exception:
                log.exception("the round of retention failed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def go_round_if_due(self) -> int:
        """Archive what is due in every space, where the last round is long enough ago and no other daemon does it; how many
        messages that were.
        """
        every_h = self._settings.retention_every_h
        if not every_h or not self._engine.leads(HOUSE) or self._steadiness.look():
            return 0
        now = self._engine.clock()
        last = await self._engine.read(lambda tx: tx.log.kept(ROUND), self._call)
        if not due(int(last) if last is not None else 0, now, every_h):
            return 0
        count = await self.go_round()
        await self._engine.write(lambda tx: tx.log.keep(ROUND, now), self._call)
        return count

    async def go_round(self) -> int:
        """Archive what streams of every space do not keep, stream by stream; how many messages that were. A stream that cannot be
        archived is logged and passed over.
        """
        spaces = await self._engine.read(lambda tx: [one.name for one in tx.spaces.all(deleted=False)], self._call)
        total = streams = 0
        for space in spaces:
            peer = Peer(client="memory-db", agent="retention", space=space, greeted=True)
            for stream in await self._engine.read(_with_retention, Call(peer, Request())):
                archived = await self._archive(peer, stream)
                total, streams = total + archived, streams + bool(archived)
        if total:
            log.info("retention archived messages=%d streams=%d", total, streams)
        return total

    async def _archive(self, peer: Peer, stream: int) -> int:
        ask = ArchiveMessages(stream, message="retention")
        total = 0
        while True:
            try:
                done = await self._engine.write(lambda tx: HANDLERS[ask.op](tx, ask), Call(peer, ask))
            except (NotFound, Conflict):
                return total  # it was deleted meanwhile
            except (Busy, StoreFull, Unavailable):
                raise  # no other stream would fare better: the round comes again
            except Exception:
                log.exception("retention passes over stream %d of space %s until its next round", stream, peer.space)
                return total
            total += done.messages
            if not done.messages:
                return total
            await asyncio.sleep(0)


def _with_retention(tx: Tx) -> list[int]:
    """The streams that the space itself holds and that say what they keep."""
    found: dict[int, None] = {}
    for key in ("keep_messages", "keep_days"):
        filters = property_filters([Filter(key, exists=True)])
        after = 0
        while page := tx.entities.page("with_properties", "after_id", limit=PAGE, filters=filters, after=after):
            found |= dict.fromkeys(one.id for one in page if one.space == tx.space)
            after = page[-1].id
    return list(found)
