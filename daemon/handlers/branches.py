"""Branches: beginning, listing, comparing, discarding."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from enhanced_memory.client.errors import Conflict, Denied, Invalid, NotFound
from enhanced_memory.client.operations.branches import (
    Branch,
    BranchDiff,
    BranchList,
    DiffBranch,
    DiscardBranch,
    EntityDiff,
    ListBranches,
    MemoryBranch,
    RelationDiff,
)
from enhanced_memory.client.values import Ref, Space
from enhanced_memory.daemon.handlers import cursors
from enhanced_memory.daemon.handlers.comparing import Bound, Key, edges_in, entity_diff, key_of, relation_diff
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.branches import Line, Span
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.relations import End
from enhanced_memory.daemon.store.views import View
from enhanced_memory.daemon.text import check_name
from enhanced_memory.daemon.times import millis

SCAN = 2000
"""How many entities are compared for one page at most: most may be alike."""


@MemoryBranch.handler
def memory_branch(tx: Tx, ask: MemoryBranch) -> Branch:
    """One row, whatever the parent holds."""
    check_name(ask.name, "The branch's name", 200)
    if ask.name == "auto":
        raise Invalid("'auto' means the space of the project at hand.", "choose another name")
    if ask.parent is not None:
        tx.work_in(ask.parent)
        tx.spaces.get(ask.parent)
    at = _number(tx, ask.at)
    view = tx.view if at is None else tx.view.until(at)
    entity = 0
    if ask.entity is not None:
        entity = _entity(tx, ask.entity, view).id
    if view.only and entity not in (0, view.only):
        raise Denied(f"{tx.space_name!r} is a branch of entity {view.only} alone.", "`switch` to its parent first")
    parent = tx.space  # made now, if nothing has been written in it yet
    assert parent
    tx.branches.begin(ask.name, tx.space_name, at, entity or view.only)
    return _told(tx, [tx.branches.get(ask.name)])[0]


def _number(tx: Tx, at: int | datetime | None) -> int | None:
    """The change that a branch is to begin at; None for now."""
    if at is None:
        return None
    last = tx.log.last_change()
    number = at if isinstance(at, int) else tx.branches.number_at(millis(at, "at"))
    if not number:
        raise Invalid("There was nothing yet to branch from.", "changes are numbered from 1; give no `at` for now")
    if number > last:
        raise Invalid(f"There is no change {number}; the newest is {last}.", "give no `at` for now")
    return number


def _entity(tx: Tx, ref: Ref, view: View) -> Stored:
    found = tx.entities.find(ref, view=view)
    if found is not None:
        return found
    gone = [ref] if isinstance(ref, int) else tx.entities.once_named(ref)
    known = next(
        (one for one in (tx.entities.known(number, view) for number in gone) if one is not None and one.deleted), None
    )
    if known is not None:
        raise NotFound(
            f"Entity {known.id} is deleted: there is nothing to branch from.", "bring it back with `restore_entities`"
        )
    raise NotFound(f"There is no entity {ref!r} in space {tx.space_name!r}.", "search for it with `search_nodes`")


@ListBranches.handler
def list_branches(tx: Tx, ask: ListBranches) -> BranchList:
    """A page; one more is read, to know whether another follows."""
    (after,) = cursors.read(ask.cursor, int) if ask.cursor else (0,)
    conditions = [] if ask.discarded else ["branch_in_use"]
    values: dict[str, int] = {}
    if ask.parent is not None:
        conditions.append("branch_over")
        values["parent"] = tx.spaces.get(ask.parent).id
    found = tx.branches.page(*conditions, after=after, limit=ask.limit + 1, **values)
    page = found[: ask.limit]
    following = cursors.write(page[-1][0]) if len(found) > ask.limit else None
    return BranchList(_told(tx, [branch for _, branch in page]), tx.space_name, following)


def _told(tx: Tx, branches: list[Branch]) -> list[Branch]:
    """The branches with the names that their one entity has in them."""
    told: list[Branch] = []
    for branch in branches:
        view = tx.view_of(branch.name) if branch.entity is not None else None
        known = tx.entities.known(branch.entity, view) if branch.entity is not None and view is not None else None
        told.append(branch if known is None else msgspec.structs.replace(branch, entity_name=known.state.name))
    return told


@DiscardBranch.handler
def discard_branch(tx: Tx, ask: DiscardBranch) -> Space:
    """Retired, not removed."""
    branch = tx.branches.get(ask.branch)
    if ask.branch == tx.space_name:
        raise Denied(f"This connection works in {ask.branch!r}.", f"`switch` to {branch.parent!r} first")
    readers = tx.branches.readers([ask.branch], limit=6)
    if readers:
        named = ", ".join(map(repr, readers[:5])) + (" and others" if len(readers) > 5 else "")
        raise Conflict(f"{ask.branch!r} is read through by {named}.", "discard or merge those first")
    return tx.spaces.retire(ask.branch)


# Comparing


@DiffBranch.handler
def diff_branch(tx: Tx, ask: DiffBranch) -> BranchDiff:
    """Entities by their ids, then relations by theirs."""
    line = tx.branches.line(ask.branch or tx.space_name)
    phase, after = cursors.read(ask.cursor, str, int) if ask.cursor else ("entities", 0)
    entities: list[EntityDiff] = []
    if phase == "entities":
        entities, following = _entities(tx, line, ask, after)
        if following is not None:
            return BranchDiff(line.name, line.into, ask.against, entities, cursor=cursors.write("entities", following))
        phase, after = "relations", 0
    room = ask.limit - len(entities)
    relations, following = _relations(tx, line, ask.against, after, room) if room else ([], 0)
    cursor = None if following is None else cursors.write("relations", following)
    messages = tx.branches.count_messages(line.own) if cursor is None else 0
    return BranchDiff(line.name, line.into, ask.against, entities, relations, messages, cursor)


def _entities(tx: Tx, line: Line, ask: DiffBranch, after: int) -> tuple[list[EntityDiff], int | None]:
    """The differences behind the entity `after`, and behind which one to go on; None where all were compared."""
    found: list[EntityDiff] = []
    looked = 0
    while True:
        ids = tx.branches.entities(line.own, 0, after, ask.limit)
        if ask.against == "now":
            ids = sorted({*ids, *tx.branches.since(line, after, ask.limit)})[: ask.limit]
        if not ids:
            return found, None
        before, now = _before(tx, line, ask.against, ids), tx.entities.seen(ids, line.view)
        for entity in ids:
            one = entity_diff(before.get(entity), now.get(entity))
            after, looked = entity, looked + 1
            if one is not None:
                found.append(one)
            if len(found) >= ask.limit or looked >= SCAN:
                return found, after


def _before(tx: Tx, line: Line, against: str, ids: list[int]) -> dict[int, Stored]:
    """The entities as the other space has them, or as the branch found them."""
    if against == "now":
        return tx.entities.seen(ids, line.here)
    if not line.beneath.live:
        return tx.entities.seen(ids, line.beneath)
    known = {entity: tx.entities.known(entity, tx.branches.base(line, entity, 0)) for entity in ids}
    return {entity: one for entity, one in known.items() if one is not None}


def _relations(tx: Tx, line: Line, against: str, after: int, room: int) -> tuple[list[RelationDiff], int | None]:
    """The differences behind relation `after`, and behind which one to go on; None where all were compared."""
    spans = tx.branches.spans(line, against == "now")
    found: list[RelationDiff] = []
    last, many = after, room + 1
    while ids := tx.branches.relation_ids(spans, after, many):
        for number, one in _compared(tx, line, spans, against, after, ids[-1]):
            if len(found) >= room and number != last:
                return found, last
            last = number
            if one is not None:
                found.append(one)
        after, many = ids[-1], min(2 * many, SCAN)
    return found, None


def _compared(
    tx: Tx, line: Line, spans: list[Span], against: str, after: int, upto: int
) -> list[tuple[int, RelationDiff | None]]:
    """How the relations behind one id and up to another differ, by their ids.

    One that is known by its ends and type is told of under the id of its oldest row in the branch, wherever that is.
    """
    edge = tx.relations.edge
    page = {key_of(edge(row)) for row in tx.branches.relation_rows_among(spans, after, upto)}
    bound = _bound(tx, line, spans, {end for key in page for end in key[:2]})
    wanted = dict.fromkeys(each for key in sorted(page, key=str) for each in bound.others(key))
    edges = [edge(row) for row in tx.branches.relation_rows_between(spans, wanted)]
    places = {span.space: place for place, span in enumerate(spans)}
    edges.sort(key=lambda one: (-one.began, places[one.space], one.id, one.row))
    numbers: dict[Key, int] = {}
    views: dict[Key, View] = {}
    for one in edges:
        for key in (key_of(one), bound.key(key_of(one))):
            # A branch of a live space is compared with what that said when the branch first changed the relation.
            views[key] = line.here if against == "now" else line.beneath.until(one.began)
        numbers[bound.key(key_of(one))] = one.id
    before = {bound.key(key): edge for key, edge in edges_in(tx, views).items()}
    now = {bound.key(key): edge for key, edge in edges_in(tx, dict.fromkeys(views, line.view)).items()}
    names = _names(tx, (end.id for key in numbers for end in key[:2] if end.id), line.view, line.here)
    return [
        (number, relation_diff(key, before.get(key), now.get(key), names))
        for key, number in sorted(numbers.items(), key=lambda one: (one[1], str(one[0])))
        if after < number <= upto
    ]


def _bound(tx: Tx, line: Line, spans: list[Span], ends: set[End]) -> Bound:
    """What names among the ends mean, and by which names rows of `spans` call the entities among them."""
    bound = Bound(tx, ends, line.view, line.here)
    ids = {bound.end(end).id for end in ends} - {0}
    called = {
        one.state.name
        for view in (line.view, line.here)
        for one in tx.entities.seen(ids, view).values()
        if not one.deleted and not one.scope
    }
    more = tx.branches.ends(spans, called) - {end.name for end in ends}
    return Bound(tx, [*ends, *(End(0, name) for name in more)], line.view, line.here) if more else bound


def _names(tx: Tx, ids: Iterable[int], *views: View) -> dict[int, str]:
    """What entities are called in the first of the views that knows them, deleted or not."""
    found: dict[int, str] = {}
    left = set(ids)
    for view in views:
        found |= {entity: one.state.name for entity, one in tx.entities.seen(left - found.keys(), view).items()}
    return found
