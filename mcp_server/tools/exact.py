"""The three reading tools as an exact profile answers them: everything, in the official form, up to the reply's budget.

The official form has no room to say that it was cut; the log says it, and the budget is larger than ordinary stores
are.
"""

import logging

from enhanced_memory.client.values import Hit, Relation
from enhanced_memory.mcp_server.tools import shapes
from enhanced_memory.mcp_server.tools.budget import ENTITIES, cut_to, first_that_fit, size_of
from enhanced_memory.mcp_server.tools.declaration import Call, Structured
from enhanced_memory.mcp_server.tools.paging import PAGE, graph_pages, opened, searched

__all__ = ["found", "nodes", "whole"]

log = logging.getLogger(__name__)


async def whole(call: Call, *, loose: bool = True) -> Structured:
    """The graph in the order of its making; relations between names that are no entities only if `loose`."""
    entities: list[Structured] = []
    relations: list[Relation] = []
    used, space = 0, ""
    async for _, page, _ in graph_pages(call):
        fresh = [shapes.entity(one, page.space) for one in shapes.in_order(page.entities)]
        entities += fresh
        relations += [one for one in page.relations if loose or one.from_id is not None or one.to_id is not None]
        space = page.space
        used += sum(map(size_of, fresh))
        if used > call.budget:
            break
    return _within(call, entities, relations) | {"space": space}


async def found(call: Call, query: str, limit: int | None) -> Structured:
    """What holds the query as it stands, then what its words find, each best first; with every relation that touches
    one.
    """
    hits: list[Hit] = []
    entities: list[Structured] = []
    used = 0
    while True:
        many = PAGE if limit is None else min(PAGE, limit - len(hits))
        result = await searched(call, query, many, len(hits), substring=True)
        fresh = [shapes.entity(hit.entity, result.space) for hit in result.hits]
        hits += result.hits
        entities += fresh
        used += sum(map(size_of, fresh))
        if not result.hits or not result.cut or used > call.budget or (limit is not None and len(hits) >= limit):
            break
    touching = await opened(call, [hit.entity.id for hit in hits])
    return _within(call, entities, touching.relations) | {"space": result.space}


async def nodes(call: Call, names: list[str]) -> Structured:
    """The entities of these names that exist, in the order of their making, with every relation that touches one."""
    graph = await opened(call, names)
    entities = [shapes.entity(one, graph.space) for one in shapes.in_order(graph.entities)]
    return _within(call, entities, graph.relations) | {"space": graph.space}


def _within(call: Call, entities: list[Structured], relations: list[Relation]) -> Structured:
    """Both lists, cut to the budget if need be."""
    told = [shapes.relation(one) for one in shapes.in_order(relations)]
    if sum(map(size_of, entities)) + sum(map(size_of, told)) <= call.budget:
        return {"entities": entities, "relations": told}
    cut = cut_to(entities, int(call.budget * ENTITIES))
    names = {entity["name"] for entity in cut.shown}
    touching = [one for one in told if one["from"] in names or one["to"] in names]
    shown = first_that_fit(touching, int(call.budget * (1 - ENTITIES)))
    log.warning(
        "%s was cut to %d of %d entities and %d of %d relations at reply_bytes=%d",
        call.tool, len(cut.shown), len(entities), len(shown), len(told), call.budget,
    )  # fmt: skip
    return {"entities": cut.shown, "relations": shown}
