"""The graph: what is around an entity, and the way from one to another. Both are bounded, whatever the graph is like."""

from collections.abc import Iterable

from enhanced_memory.client.operations.relations import (
    Direction,
    FindPath,
    FindRelated,
    Neighbour,
    Neighbourhood,
    Path,
)
from enhanced_memory.daemon.handlers.moments import look_back
from enhanced_memory.daemon.handlers.told import entities_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.relations import Edge

EDGES = 5_000
"""Relations followed in one step."""

ENTITIES = 20_000
"""Entities looked at on the way from one to another."""

_BACK: dict[Direction, Direction] = {"out": "in", "in": "out", "both": "both"}


@FindRelated.handler
def find_related(tx: Tx, ask: FindRelated) -> Neighbourhood:
    """Step by step outwards, each entity once, by its nearest distance."""
    look_back(tx, ask.at)
    start = tx.entities.get(ask.entity).id
    distance = {start: 0}
    followed: dict[int, Edge] = {}
    front, cut = [start], False
    for step in range(1, ask.depth + 1):
        edges, more = _edges(tx, front, ask.types, ask.direction)
        cut = cut or more
        reached = _reached(tx, edges, front, ask.direction)
        next_front: list[int] = []
        for edge in edges:
            ends = reached.get(edge.id, ())
            known = [end for end in ends if end in distance]
            fresh = [end for end in ends if end not in distance]
            if fresh and len(distance) + len(fresh) > ask.limit + 1:
                cut = True
                continue
            distance |= dict.fromkeys(fresh, step)
            next_front += fresh
            if known or fresh or not (edge.from_.id and edge.to.id):
                followed[edge.id] = edge
        front = next_front
        if not front:
            break
    order = [entity for entity in distance if entity != start]
    known_as = tx.entities.many(order)
    tx.call.used += [start, *order]
    told = entities_of(tx, [known_as[entity] for entity in order if entity in known_as])
    return Neighbourhood(
        [Neighbour(entity, distance[entity.id]) for entity in told],
        tx.relations.told([followed[number] for number in sorted(followed)]),
        cut,
        tx.space_name,
    )


@FindPath.handler
def find_path(tx: Tx, ask: FindPath) -> Path:
    """Step by step from both ends, the smaller side first, until they meet."""
    look_back(tx, ask.at)
    start, goal = tx.entities.get(ask.from_).id, tx.entities.get(ask.to).id
    # By which relation each was reached from its own end; None at that end itself.
    came: dict[int, Edge | None] = {start: None}
    went: dict[int, Edge | None] = {goal: None}
    fronts, cut = ([start], [goal]), False
    steps = 0
    meeting = start if start == goal else 0
    while not meeting and steps < ask.max_depth and fronts[0] and fronts[1]:
        forward = len(fronts[0]) <= len(fronts[1])
        mine, other = (came, went) if forward else (went, came)
        direction = ask.direction if forward else _BACK[ask.direction]
        front = fronts[0] if forward else fronts[1]
        edges, more = _edges(tx, front, ask.types, direction)
        cut = cut or more
        reached = _reached(tx, edges, front, direction)
        fresh: list[int] = []
        for edge in edges:
            for end in reached.get(edge.id, ()):
                if end not in mine:
                    mine[end] = edge
                    fresh.append(end)
                    if not meeting and end in other:
                        meeting = end
        fronts = (fresh, fronts[1]) if forward else (fronts[0], fresh)
        steps += 1
        if not meeting and len(came) + len(went) > ENTITIES:
            cut = True
            break
    if not meeting:
        return Path(cut=cut, space=tx.space_name)
    before, after = _chain(meeting, came), _chain(meeting, went)
    ids = [*(entity for entity, _ in reversed(before)), meeting, *(entity for entity, _ in after)]
    edges = [*(edge for _, edge in reversed(before)), *(edge for _, edge in after)]
    known = tx.entities.many(ids)
    tx.call.used += ids
    return Path(entities_of(tx, [known[entity] for entity in ids]), tx.relations.told(edges), False, tx.space_name)


def _edges(tx: Tx, front: list[int], types: list[str], direction: Direction) -> tuple[list[Edge], bool]:
    """The relations that lead on from `front`, those made first before others, and whether that is not all of them."""
    edges = tx.relations.touching(
        front, outgoing=direction == "out", incoming=direction == "in", types=types, most=EDGES + 1
    )
    return edges[:EDGES], len(edges) > EDGES


def _reached(tx: Tx, edges: Iterable[Edge], front: list[int], direction: Direction) -> dict[int, tuple[int, ...]]:
    """Which living entities each relation leads to."""
    here = set(front)
    ends = {
        edge.id: tuple(
            there
            for one, there, way in ((edge.from_.id, edge.to.id, "out"), (edge.to.id, edge.from_.id, "in"))
            if one in here and there and direction in (way, "both")
        )
        for edge in edges
    }
    living = tx.entities.living({end for each in ends.values() for end in each})
    return {number: tuple(end for end in each if end in living) for number, each in ends.items()}


def _chain(meeting: int, by: dict[int, Edge | None]) -> list[tuple[int, Edge]]:
    """The entities from where both ways met to one end, each with the relation that led from it."""
    found: list[tuple[int, Edge]] = []
    at = meeting
    while (edge := by[at]) is not None:
        at = edge.from_.id if edge.to.id == at else edge.to.id
        found.append((at, edge))
    return found
