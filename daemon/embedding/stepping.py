"""One step of the embedding backlog: a model's next passages get their vectors, in the store and in memory."""

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.embedding import Runner
from enhanced_memory.daemon.embedding.backlog import Backlog
from enhanced_memory.daemon.embedding.here import HereEmbedder
from enhanced_memory.daemon.store import Engine, Tx
from enhanced_memory.daemon.store.vectors import Model

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.index import Index

__all__ = ["Done", "step"]


class Done(NamedTuple):
    """What a step did."""

    more: bool
    """Whether there may be more to do."""
    stored: list[int] = []
    """The passages that got a vector."""
    gone: list[int] = []
    """Those that lost theirs, since another one's speaks for them."""


async def step(engine: Engine, backlog: Backlog, call: Call, runner: Runner, model: Model, index: "Index") -> Done:
    """Embed a model's next passages."""
    from enhanced_memory.daemon.embedding.index import quantised

    page = 16 * runner.batch if isinstance(runner, HereEmbedder) else runner.batch

    def look(tx: Tx) -> Any:
        after = next((one.embedded for one in tx.vectors.models() if one.id == model.id), 0)
        return after, tx.vectors.waiting(after, page), tx.vectors.last_passage()

    with backlog.watching() as ended:
        after, waiting, last = await engine.read(look, call)
        model.embedded = after
        if waiting is None:
            if last > after:
                await engine.write(lambda tx: tx.vectors.see_to(model.id, last), call)
            model.embedded = max(after, last)
            return Done(False)
        leads = waiting.leads
        stored: list[bytes] = []
        if leads:
            vectors = quantised(await runner.embed([lead.text for lead in leads]))
            stored = [vector.tobytes() for vector in vectors]
        model.embedded, kept = await engine.write(
            lambda tx: tx.vectors.keep(model.id, waiting.upto, leads, stored), call
        )
        rows = [
            (lead.passage, stored[place], lead.space, lead.entity, lead.message)
            for place in kept
            for lead in (leads[place],)
            if ended.isdisjoint(lead.members)
        ]
        gone = [passage for place in kept for passage in leads[place].members[1:]]
        index.drop(gone)
        await asyncio.get_running_loop().run_in_executor(None, index.add, rows)
        index.drop([passage for row in rows if (passage := row[0]) in ended])
    return Done(True, [row[0] for row in rows], gone)
