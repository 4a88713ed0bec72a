"""Versions: what entities said before, names for moments, differences, and going back."""

import difflib
from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.operations.versions import (
    DeleteSnapshot,
    Diff,
    History,
    ListSnapshots,
    MemoryCommit,
    MemoryDiff,
    MemoryHistory,
    MemoryRevert,
    Moment,
    RelationChange,
    Snapshot,
    SnapshotPage,
    TextChange,
    ValueChange,
)
from enhanced_memory.client.values import At, Origin, Outcome, Relation, Version
from enhanced_memory.daemon.differences import BOOKKEEPING, difference, lines
from enhanced_memory.daemon.handlers.editing import copy, expect, put
from enhanced_memory.daemon.handlers.moments import any_time, change_at, check_snapshot_name
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.known import TIERS, Stored
from enhanced_memory.daemon.store.log import ChangeRow
from enhanced_memory.daemon.store.relations import Edge, Held
from enhanced_memory.daemon.store.snapshots import Taken
from enhanced_memory.daemon.store.views import NOW, View
from enhanced_memory.daemon.text import check_text
from enhanced_memory.daemon.times import moment, moment_or_none

_NOTHING = State("", "")


@MemoryHistory.handler
def memory_history(tx: Tx, ask: MemoryHistory) -> History:
    """Newest first, through the layers: what an overlay changed, then what its parent said before."""
    entity = any_time(tx, ask.entity)
    found = tx.entities.history(entity, ask.before, ask.limit + 1)
    page = found[: ask.limit]
    events: list[tuple[int, Held, bool]] = []
    more = False
    if ask.relations and page:
        events, more = _relation_events(tx, entity, ask.before, page, last=len(found) <= ask.limit, limit=ask.limit)
    changes = tx.log.changes({one.began for one in page} | {number for number, *_ in events})
    versions: list[Version] = []
    for one in page:
        change = changes.get(one.began)
        versions.append(
            Version(
                version=one.version,
                change=one.began,
                at=moment(change.at if change else 0),
                origin=change.origin if change else Origin(),
                op=change.op if change else "",
                message=change.message if change else "",
                space=tx.view.name_of(one.space) or tx.space_name,
                name=one.state.name,
                type=one.state.type,
                deleted=one.deleted,
                current=one.current,
                observations=[noted.text for noted in one.state.observations],
                properties=one.state.properties,
                tags=one.state.tags,
            )
        )
    cursor = versions[-1].version if len(found) > ask.limit else None
    return History(entity, versions, cursor, _events_told(tx, events, changes), more, tx.space_name)


def _relation_events(
    tx: Tx, entity: int, before: int | None, page: list[Stored], last: bool, limit: int
) -> tuple[list[tuple[int, Held, bool]], bool]:
    """What began (true) and ended of its relations while the versions of a page stood, newest first; and whether there is more."""
    upto = NOW if before is None else tx.entities.stood(entity, before)[0].began - 1
    after = 0 if last else page[-1].began - 1
    events: list[tuple[int, Held, bool]] = []
    for _, layer in tx.view:
        until = min(upto, layer.at)
        rows = tx.relations.between(entity, layer.space, after, until, limit + 1)
        began = {(row.edge.id, row.edge.began) for row in rows}
        for row in rows:
            # A row that hides a parent's is a removal; one that another of the same relation follows at once is neither.
            if after < row.edge.began <= until and not any(
                other.edge.id == row.edge.id and other.ended == row.edge.began for other in rows
            ):
                events.append((row.edge.began, row, not row.hiding))
            if after < row.ended <= until and (row.edge.id, row.ended) not in began:
                events.append((row.ended, row, row.hiding))
    events.sort(key=lambda event: (-event[0], -event[1].edge.id))
    return events[:limit], len(events) > limit


def _events_told(tx: Tx, events: list[tuple[int, Held, bool]], changes: dict[int, ChangeRow]) -> list[RelationChange]:
    told = {edge.id: edge for edge in _related(tx, [row.edge for _, row, _ in events])}
    found: list[RelationChange] = []
    for number, row, began in events:
        change = changes.get(number)
        if change is not None and row.edge.id in told:
            found.append(
                RelationChange(
                    number, moment(change.at), change.origin, change.op, "created" if began else "removed", told[row.edge.id],
                    change.message, tx.view.name_of(row.edge.space) or tx.space_name,
                )
            )  # fmt: skip
    return found


def _related(tx: Tx, edges: list[Edge]) -> list[Relation]:
    """Edges as values, their ends by the names that they have or had last."""
    ends = {end.id for edge in edges for end in (edge.from_, edge.to) if end.id}
    return tx.relations.told(edges, tx.entities.last_names(ends)) if edges else []


# Snapshots


@MemoryCommit.handler
def memory_commit(tx: Tx, ask: MemoryCommit) -> Snapshot:
    """What was known after this very change, unless an earlier moment is named."""
    check_text(ask.name, "The snapshot's name", 200)
    check_snapshot_name(ask.name)
    number = None if ask.at is None else change_at(tx, ask.at)[0]
    return _snapshot(tx, tx.snapshots.add(ask.name, number), ask.message)


@ListSnapshots.handler
def list_snapshots(tx: Tx, ask: ListSnapshots) -> SnapshotPage:
    """Of this space and of those that it reads through to."""
    found = tx.snapshots.page(ask.cursor, ask.limit + 1)
    page = found[: ask.limit]
    return SnapshotPage(
        [_snapshot(tx, one, one.message) for one in page],
        page[-1].began if len(found) > ask.limit else None,
        tx.space_name,
    )


@DeleteSnapshot.handler
def delete_snapshot(tx: Tx, ask: DeleteSnapshot) -> Snapshot:
    """As it was."""
    one = tx.snapshots.drop(ask.name)
    return _snapshot(tx, one, one.message)


def _snapshot(tx: Tx, one: Taken, message: str) -> Snapshot:
    return Snapshot(one.name, one.number, moment(one.at), message, tx.view.name_of(one.space) or tx.space_name)


# Differences


@MemoryDiff.handler
def memory_diff(tx: Tx, ask: MemoryDiff) -> Diff:
    """Old against new; a side at which the entity was not there says nothing."""
    entity = any_time(tx, ask.entity)
    new, new_last = _side(tx, entity, ask.new)
    if ask.old is not None:
        old, old_last = _side(tx, entity, ask.old)
    elif new is not None and new.version > 1:
        old, old_last = tx.entities.stood(entity, new.version - 1)
    else:
        old, old_last = None, (new.began - 1 if new is not None else 0)
    states = (_said(old), _said(new))
    found = difference(*states)
    edges = (_edges(tx, entity, old_last, old), _edges(tx, entity, new_last, new))
    gone = [edge for number, edge in edges[0].items() if number not in edges[1]]
    come = [edge for number, edge in edges[1].items() if number not in edges[0]]
    ends = (_moment(tx, old, old_last), _moment(tx, new, new_last))
    return Diff(
        entity=entity,
        old=ends[0],
        new=ends[1],
        same=found.nothing and not gone and not come,
        added=[noted.text for noted in found.added],
        removed=[noted.text for noted in found.removed],
        changed=[TextChange(other.id, one.text, other.text) for one, other in found.changed],
        attributes=_values(found.attributes),
        properties=_values(found.properties),
        tags_added=found.tags_added,
        tags_removed=found.tags_removed,
        relations_added=_related(tx, come),
        relations_removed=_related(tx, gone),
        text=_unified(tx, ends, states, edges) if ask.unified else "",
        space=tx.space_name,
    )


def _said(one: Stored | None) -> State:
    return _NOTHING if one is None or one.deleted else one.state


def _side(tx: Tx, entity: int, at: At | None) -> tuple[Stored | None, int]:
    """What an entity said at a moment (none: not there), and the last change that is seen there."""
    if at is None:
        return tx.entities.known(entity), NOW
    if isinstance(at, int):
        return tx.entities.stood(entity, at)
    number, _ = change_at(tx, at)
    found = tx.entities.known(entity, tx.view.until(number))
    if found is None and number >= (tx.entities.first_change(entity) or NOW):
        raise NotFound(
            f"What entity {entity} said at change {number} is not kept any more.",
            "its kind keeps its newest versions alone",
        )
    return found, number


def _edges(tx: Tx, entity: int, last: int, one: Stored | None) -> dict[int, Edge]:
    if one is None or one.deleted:
        return {}
    view: View = tx.view.until(last)
    return {edge.id: edge for edge in tx.relations.touching([entity], view=view)}


def _values(found: Iterable[tuple[str, Any, Any]]) -> list[ValueChange]:
    told: list[ValueChange] = []
    for key, old, new in found:
        act = "added" if old is msgspec.UNSET else "removed" if new is msgspec.UNSET else "changed"
        told.append(
            ValueChange(key, act, *(_shown(key, None if value is msgspec.UNSET else value) for value in (old, new)))
        )
    return told


def _shown(key: str, value: Any) -> Any:
    """An attribute as answers tell it elsewhere."""
    if key == "tier" and isinstance(value, int):
        return TIERS[value]
    if key in ("expires_at", "confirmed_at") and isinstance(value, int):
        return moment(value)
    return value


def _moment(tx: Tx, one: Stored | None, last: int) -> Moment:
    if one is None:
        return Moment(0, min(last, tx.log.last_change()))
    change = tx.log.changes([one.began]).get(one.began)
    return Moment(
        one.version, one.began, moment_or_none(change.at if change else None), change.origin if change else Origin(),
        change.message if change else "", one.state.name, one.deleted, tx.view.name_of(one.space) or tx.space_name,
    )  # fmt: skip


def _unified(
    tx: Tx, ends: tuple[Moment, Moment], states: tuple[State, State], edges: tuple[dict[int, Edge], dict[int, Edge]]
) -> str:
    def told(end: Moment, state: State, held: dict[int, Edge]) -> list[str]:
        related = (f"{one.from_} {one.type} {one.to}" for one in _related(tx, list(held.values())))
        return lines(state if end.version and not end.deleted else None, related)

    def head(end: Moment) -> tuple[str, str]:
        return f"{end.name or 'nothing'} version {end.version}", end.at.isoformat(timespec="seconds") if end.at else ""

    (old, when), (new, now) = head(ends[0]), head(ends[1])
    texts = [told(*side) for side in zip(ends, states, edges, strict=True)]
    return "\n".join(difflib.unified_diff(texts[0], texts[1], old, new, when, now, lineterm=""))


# Going back


@MemoryRevert.handler
def memory_revert(tx: Tx, ask: MemoryRevert) -> Outcome:
    """All that the version said, its name included; observations keep the ids and the provenance that they had."""
    known = tx.entities.find(ask.entity)
    if known is None:
        gone = tx.entities.known(any_time(tx, ask.entity))
        if gone is not None and gone.deleted:
            raise Conflict(f"Entity {gone.id} is deleted.", "`restore_entities` brings it back; then revert it")
        known = tx.entities.get(ask.entity)
    expect(known, ask.expected_version)
    then, last = _side(tx, known.id, ask.to)
    if then is None:
        raise NotFound(f"Entity {known.id} was not there at {str(ask.to)[:100]!r}.", "see `memory_history`")
    if then.deleted:
        raise Conflict(
            f"Version {then.version} of entity {known.id} is its deletion.",
            "`delete_entities`, or revert to a version before it",
        )
    state = copy(then.state)
    state.next_id = max(state.next_id, known.state.next_id)
    for key in BOOKKEEPING:
        state.attributes.pop(key, None)
        if key in known.state.attributes:
            state.attributes[key] = known.state.attributes[key]
    answer = put(tx, known, state, act="revert")
    if state.name != known.state.name:
        tx.relations.adopt(known.id, state.name)
    if ask.relations:
        _relate_as(tx, known.id, tx.view.until(last))
    return answer


def _relate_as(tx: Tx, entity: int, then: View) -> None:
    """Make the relations of an entity those that another view has, where both ends are there."""
    now = {edge.id: edge for edge in tx.relations.touching([entity])}
    was = {edge.id: edge for edge in tx.relations.touching([entity], view=then)}
    for number, edge in now.items():
        if number not in was:
            tx.relations.delete(edge)
    back = [edge for number, edge in was.items() if number not in now]
    there = tx.entities.living({end.id for edge in back for end in (edge.from_, edge.to) if end.id})
    for edge in back:
        both = all(not end.id or end.id in there for end in (edge.from_, edge.to))
        if both and tx.relations.find(edge.from_, edge.to, edge.type) is None:
            tx.relations.put(edge)
