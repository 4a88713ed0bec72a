"""What has expired becomes a tombstone: looked for by readers, deleted by the writer in slices of a few milliseconds."""

import asyncio
from dataclasses import replace
from functools import partial
from time import monotonic

from enhanced_memory.client.operations.curation import Expire, Expired
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.curation.slices import in_slices
from enhanced_memory.daemon.handlers.removal import bury
from enhanced_memory.daemon.store import Engine, Tx

__all__ = ["TOLD", "expire"]

PAGE = 500
TOLD = 1000


async def expire(engine: Engine, call: Call, ask: Expire, wait_s: float | None = None) -> Expired:
    """Delete what has expired in the call's space, for `wait_s` at the most; or say what would be."""
    until = None if wait_s is None else monotonic() + wait_s
    ids: list[int] = []
    changes: list[int] = []
    count, more = 0, True
    beyond: tuple[int, int] | None = None
    while more:
        page = await engine.read(partial(_page, beyond), call)
        more = len(page) == PAGE
        if not page:
            break
        beyond = page[-1]
        found = [entity for _, entity in page]
        done: list[int] = found if ask.dry_run else []
        if not ask.dry_run:
            async for slice_ in in_slices(engine, replace(call, ask=ask), found, _bury, until):
                done += slice_.done
                changes += [slice_.change] if slice_.change else []
        count += len(done)
        ids += done[: TOLD - len(ids)]
        if until is not None and monotonic() >= until:
            more = more or len(done) < len(found)
            break
        await asyncio.sleep(0)
    return Expired(ids, count, more, changes[:TOLD], ask.dry_run, call.peer.space)


def _page(beyond: tuple[int, int] | None, tx: Tx) -> list[tuple[int, int]]:
    return tx.tended.expired(beyond, PAGE)


def _bury(tx: Tx, entity: int) -> int | None:
    """Delete one that is expired still, here, and not brought back by an undoing."""
    known = tx.entities.find(entity)
    when = known.state.attributes.get("expires_at") if known is not None else None
    if known is None or known.space != tx.space or when is None or when > tx.now:
        return None  # somebody was quicker
    bury(tx, known, "expire")
    return entity
