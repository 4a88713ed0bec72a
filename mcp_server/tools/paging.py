"""Reading what one message does not hold: the graph, any number of entities, hits of any size."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from enhanced_memory.client.errors import TooLarge
from enhanced_memory.client.operations.entities import OpenNodes
from enhanced_memory.client.operations.relations import ReadGraph
from enhanced_memory.client.operations.search import SearchNodes, SearchResult
from enhanced_memory.client.request import Request
from enhanced_memory.client.values import At, Entity, Graph, Ref, Relation
from enhanced_memory.mcp_server.tools.declaration import Call

__all__ = ["NOW", "When", "graph_pages", "opened", "searched"]

A = TypeVar("A")

PAGE = 1000
"""The most entities that the daemon gives at once."""


@dataclass(frozen=True, slots=True)
class When:
    """Which moment is asked about: of what was known, and of what was true."""

    at: At | None = None
    valid_at: datetime | None = None


NOW = When()


async def graph_pages(
    call: Call, cursor: str | None = None, many: int = PAGE, when: When = NOW
) -> AsyncIterator[tuple[str | None, Graph, int]]:
    """The graph of the caller's space, page by page, each with the cursor that it begins at and how many entities a
    message held.
    """
    while True:
        page, many = await _fitting(call, partial(_page_of_graph, cursor, when), many)
        yield cursor, page, many
        cursor = page.cursor
        if cursor is None:
            return


async def opened(
    call: Call, refs: Sequence[Ref], *, relations: bool = True, details: bool = False, when: When = NOW
) -> Graph:
    """The entities of these names or ids that exist and, if wanted, every relation that touches one.

    A relation between entities of two pages is there twice.
    """
    entities: list[Entity] = []
    touching: list[Relation] = []
    missing: list[Ref] = []
    start = 0
    while True:
        page, taken = await _fitting(call, partial(_page_of_nodes, refs[start:], relations, details, when), PAGE)
        entities += page.entities
        touching += page.relations
        missing += page.missing
        start += taken
        # Asked at least once, even of no names: the answer says in which space there is nothing.
        if start >= len(refs):
            return Graph(entities=entities, relations=touching, missing=missing, space=page.space)


async def searched(
    call: Call,
    query: str,
    limit: int,
    offset: int = 0,
    *,
    substring: bool = False,
    details: bool = False,
    when: When = NOW,
) -> SearchResult:
    """The best hits behind the first `offset`, `limit` at most; fewer, and marked as cut, where they do not fit into
    one message.
    """
    result, _ = await _fitting(call, partial(_search, query, offset, substring, details, when), limit)
    return result


def _page_of_graph(cursor: str | None, when: When, many: int) -> Request[Graph]:
    return ReadGraph(limit=many, cursor=cursor, at=when.at, valid_at=when.valid_at)


def _page_of_nodes(refs: Sequence[Ref], relations: bool, details: bool, when: When, many: int) -> Request[Graph]:
    return OpenNodes(names=list(refs[:many]), relations=relations, details=details, at=when.at, valid_at=when.valid_at)


def _search(query: str, offset: int, substring: bool, details: bool, when: When, many: int) -> Request[SearchResult]:
    return SearchNodes(
        query=query, limit=many, offset=offset, substring=substring, details=details, at=when.at, valid_at=when.valid_at
    )


async def _fitting(call: Call, asking: Callable[[int], Request[A]], many: int) -> tuple[A, int]:
    """The answer about `many` entities, or about as many fewer as fit into one message; and how many that is."""
    while True:
        try:
            return await call.ask(asking(many)), many
        except TooLarge:
            if many == 1:
                raise
            many = max(1, many // 8)
