"""The three official reading tools. Where a profile is not exact, an answer that would be too long says so and can be
gone on with.
"""

from collections.abc import Iterable, Sequence

from enhanced_memory.client.values import Ref, Relation
from enhanced_memory.mcp_server.tools import exact, shapes
from enhanced_memory.mcp_server.tools.budget import (
    ENTITIES,
    NAMES,
    RELATIONS,
    cut_to,
    first_that_fit,
    read_cursor,
    size_of,
    write_cursor,
)
from enhanced_memory.mcp_server.tools.contract import GraphArguments, Names, Query
from enhanced_memory.mcp_server.tools.declaration import Call, Structured
from enhanced_memory.mcp_server.tools.paging import NOW, When, graph_pages, opened, searched

__all__ = ["open_nodes", "read_graph", "search_nodes"]

GRAPH_PAGE = 250
NODES = 50
HITS = 50
"""How many entities a search shows unless told otherwise."""


async def read_graph(call: Call, given: GraphArguments) -> Structured:
    """The graph in the order of its making."""
    if call.exact:
        return await exact.whole(call)
    return await _graph(call, given.cursor, given.limit, given.detail, When(given.at, given.valid_at))


async def search_nodes(call: Call, given: Query) -> Structured:
    """The hits, best first, with every relation that touches one; all there is for an empty query."""
    if not given.query.strip():
        if call.exact:
            return await exact.whole(call, loose=False)
        return await _graph(
            call, given.cursor, given.limit, given.detail, When(given.at, given.valid_at), loose=False
        ) | {"arms": ["all"]}
    if call.exact:
        return await exact.found(call, given.query, given.limit)
    offset, said = read_cursor(given.cursor, int, int) if given.cursor else (0, 0)
    when = When(given.at, given.valid_at)
    # What is ranked depends on how many are wanted in all: parts of one page are asked for as that page.
    many = given.limit or HITS
    result = await searched(call, given.query, many - offset % many, offset, details=given.detail != "names", when=when)
    entities = [shapes.entity(hit.entity, result.space, given.detail) for hit in result.hits]
    ids = [hit.entity.id for hit in result.hits]
    relations = (await opened(call, ids, when=when)).relations if given.detail != "names" else []
    answer, whole, left_off = _within(call.budget, entities, ids, relations, said, touching=True)
    answer |= {"space": result.space, "arms": result.arms}
    if whole < len(entities):
        return _cut(answer, call.budget, write_cursor(offset + whole, left_off))
    if result.cut:
        return _cut(answer, call.budget, write_cursor(offset + whole, 0))
    return answer


async def open_nodes(call: Call, given: Names) -> Structured:
    """The entities of these names that exist, with every relation that touches one."""
    if call.exact:
        return await exact.nodes(call, given.names)
    start, place, said = read_cursor(given.cursor, int, int, int) if given.cursor else (0, 0, 0)
    names = list(dict.fromkeys(given.names))
    entities: list[Structured] = []
    ids: list[int] = []
    places: list[tuple[int, int]] = []
    relations: list[Relation] = []
    missing: list[Ref] = []
    used = 0
    while True:
        graph = await opened(
            call, names[start : start + NODES], details=given.detail != "names", when=When(given.at, given.valid_at)
        )
        for number, one in enumerate(shapes.in_order(graph.entities)):
            if number >= place:
                entities.append(shapes.entity(one, graph.space, given.detail))
                ids.append(one.id)
                places.append((start, number))
                used += size_of(entities[-1])
        relations += graph.relations if given.detail != "names" else []
        missing += graph.missing
        start, place = start + NODES, 0
        if start >= len(names) or used > call.budget:
            break
    places.append((start, 0))
    answer, whole, left_off = _within(call.budget, entities, ids, relations, said, touching=True)
    answer["space"] = graph.space
    if missing:
        answer["missing"] = missing
    if whole == len(entities) and start >= len(names):
        return answer
    answer["more"] = [entity["name"] for entity in entities[whole:]] + names[start:]
    return _cut(answer, call.budget, write_cursor(*places[whole], left_off))


async def _graph(
    call: Call, cursor: str | None, limit: int | None, detail: str, when: When = NOW, *, loose: bool = True
) -> Structured:
    """Entities from a cursor on, each with the relations that start at it; those that start nowhere come at the end.

    Relations between names that are no entities are told only if `loose`: a search's relations touch a hit.
    """
    start, after, said, at_once = read_cursor(cursor, str, int, int, int) if cursor else ("", 0, 0, GRAPH_PAGE)
    entities: list[Structured] = []
    ids: list[int] = []
    pages: list[str] = []
    relations: list[Relation] = []
    used, ended, space = 0, True, ""
    async for page_cursor, page, held in graph_pages(call, start or None, _sensible(at_once), when):
        at_once = held
        fresh = [one for one in shapes.in_order(page.entities) if one.id > after]
        known = {one.id for one in fresh}
        shown = [shapes.entity(one, page.space, detail) for one in fresh]
        entities += shown
        ids += [one.id for one in fresh]
        pages += [page_cursor or ""] * len(fresh)
        if detail != "names":
            before = {one.id for one in page.entities} - known
            touching = [one for one in page.relations if loose or one.from_id is not None or one.to_id is not None]
            relations += [one for one in touching if one.from_id not in before]
        space, ended = page.space, page.cursor is None
        used += sum(map(size_of, shown))
        if used > call.budget or (limit is not None and len(entities) >= limit):
            break
    wanted = len(entities) if limit is None else min(limit, len(entities))
    ended = ended and wanted == len(entities)
    answer, whole, left_off = _within(call.budget, entities[:wanted], ids[:wanted], relations, said, loose=ended)
    answer["space"] = space
    if whole == wanted and ended:
        return answer
    # Where the next answer begins: behind the last entity that is whole, on the page of the one that follows it.
    behind = ids[whole - 1] if whole else after
    on = pages[whole] if whole < len(pages) else pages[-1] if pages else start
    answer.setdefault("more", [entity["name"] for entity in entities[whole:]])
    return _cut(answer, call.budget, write_cursor(on, behind, left_off, at_once))


def _sensible(many: int) -> int:
    """How many entities to ask for at once: as many as a message held before, as its cursor says."""
    return max(1, min(many, GRAPH_PAGE))


def _within(
    budget: int, entities: Sequence[Structured], ids: Sequence[int], relations: Iterable[Relation], said: int,
    *, touching: bool = False, loose: bool = False,
) -> tuple[Structured, int, int]:  # fmt: skip
    """Entities and their relations within the budget; how many entities are whole, and how much is said of the next.

    A relation is told with an entity that it starts at, or, if `touching`, ends at; `loose` ones are told if nothing
    is left.
    """
    ordered = shapes.in_order(relations)
    told = [shapes.relation(one) for one in ordered if loose or touching or one.from_id in set(ids)]
    if not said and sum(map(size_of, entities)) + sum(map(size_of, told)) <= budget:
        return {"entities": list(entities), "relations": told}, len(entities), 0
    cut = cut_to(entities, int(budget * ENTITIES), said)
    whole = set(ids[: cut.whole])
    everything = cut.whole == len(entities)
    mine = [
        shapes.relation(one)
        for one in ordered
        if one.from_id in whole
        or (touching and one.to_id in whole)
        or (loose and everything and one.from_id not in set(ids))
    ]
    answer: Structured = {"entities": cut.shown, "relations": first_that_fit(mine, int(budget * RELATIONS))}
    if len(answer["relations"]) < len(mine):
        answer["relationsLeft"] = len(mine) - len(answer["relations"])
    if not everything:
        answer["more"] = [entity["name"] for entity in entities[cut.whole :]]
    return answer, cut.whole, cut.said


def _cut(answer: Structured, budget: int, cursor: str) -> Structured:
    """The answer, saying that it is not all there is: names of what follows, as many as fit, and where to go on."""
    if answer.get("more"):
        answer["more"] = first_that_fit(answer["more"], int(budget * NAMES))
    if not answer.get("more"):
        answer.pop("more", None)
    return answer | {"cut": True, "cursor": cursor}
