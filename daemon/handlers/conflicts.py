"""Conflicts: listing and resolving them."""

from typing import Any

from enhanced_memory.client.conflict_values import ConflictStatus, MemoryConflict, Resolution
from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.conflicts import ConflictPage, ListConflicts, ResolveConflict, Resolved
from enhanced_memory.client.values import Outcome
from enhanced_memory.daemon.handlers.editing import copy, outcome, put, set_attribute
from enhanced_memory.daemon.handlers.filters import as_json
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted
from enhanced_memory.daemon.store.conflicts import Kept
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.relations import End
from enhanced_memory.daemon.text import check_name, check_text
from enhanced_memory.daemon.times import moment_or_none

__all__ = ["told"]

STATUS: dict[Resolution, ConflictStatus] = {
    "merge": "merged",
    "update": "updated",
    "branch": "branched",
    "ignore": "ignored",
}

BELOW = 0.5
"""The relevance of what an update puts behind, as a share of the lower of the two."""

NOTES_CHARS = 10_000


@ListConflicts.handler
def list_conflicts(tx: Tx, ask: ListConflicts) -> ConflictPage:
    """Newest first; one more than the page is read, to know whether another follows."""
    names: list[str] = []
    values: dict[str, Any] = {}
    if ask.status != "any":
        names.append("conflicts_with_status")
        values["status"] = ask.status
    if ask.types:
        names.append("conflicts_of_types")
        values["types"] = as_json(ask.types)
    if ask.entity is not None:
        names.append("conflicts_of_entity")
        values["entity"] = _any(tx, ask.entity)
    if ask.minimum_confidence > 0:
        names.append("conflicts_at_least")
        values["confidence"] = ask.minimum_confidence
    found = tx.conflicts.page(*names, limit=ask.limit + 1, before=ask.before, **values)
    page = found[: ask.limit]
    return ConflictPage(told(tx, page), page[-1].id if len(found) > ask.limit else None, tx.space_name)


def _any(tx: Tx, ref: int | str) -> int:
    """The entity that `ref` means, deleted or not: its conflicts may be looked at still."""
    if isinstance(ref, int):
        if tx.entities.known(ref) is None:
            raise NotFound(f"There is no entity {ref} in space {tx.space_name!r}, nor was there one.")
        return ref
    found = tx.entities.named(ref)
    once = [found] if found is not None else tx.entities.once_named(ref)
    if not once:
        raise NotFound(f"There is no entity {ref[:100]!r} in space {tx.space_name!r}, nor was there one.")
    return once[0]


def told(tx: Tx, found: list[Kept]) -> list[MemoryConflict]:
    """Conflicts with the names that their entities have and what those say by now."""
    known = {one: tx.entities.known(one) for one in {each for kept in found for each in (kept.entity, kept.other)}}
    return [_told(tx, one, known.get(one.entity), known.get(one.other)) for one in found]


def _told(tx: Tx, one: Kept, entity: Stored | None, other: Stored | None) -> MemoryConflict:
    gone = [number for number, stored in ((one.entity, entity), (one.other, other)) if stored is None or stored.deleted]
    return MemoryConflict(
        id=one.id,
        type=one.type,
        entity_id=one.entity,
        entity=entity.state.name if entity else "",
        conflicting_entity_id=one.other,
        conflicting_entity=other.state.name if other else "",
        confidence=one.confidence,
        reason=one.reason,
        suggested_action=one.action,
        status=one.status,
        entity_says=_says(entity, one.part),
        conflicting_says=_says(other, one.other_part) if one.type != "merge" else None,
        detected_at=moment_or_none(one.found_at if one.found_at is not None else tx.now),
        resolved_at=None
        if one.status == "pending"
        else moment_or_none(one.began_at if one.began_at is not None else tx.now),
        notes=one.notes,
        gone=list(dict.fromkeys(gone)),
        space=tx.view.name_of(one.space) or tx.space_name,
    )


def _says(stored: Stored | None, part: int) -> str | None:
    if stored is None or not part:
        return None
    return next((noted.text for noted in stored.state.observations if noted.id == part), None)


@ResolveConflict.handler
def resolve_conflict(tx: Tx, ask: ResolveConflict) -> Resolved:
    """One change: entities, relations and the conflict's own status, all through the store's ordinary verbs."""
    check_text(ask.notes, "The notes", NOTES_CHARS)
    one = tx.conflicts.get(ask.conflict)
    if one.status != "pending":
        raise Conflict(
            f"Conflict {one.id} is resolved already: {one.status}.",
            "undo the change that resolved it to resolve it otherwise, or scan again if the entities have changed since",
        )
    results: list[Outcome] = []
    branch: str | None = None
    if ask.branch and ask.action != "branch":
        raise Invalid(f"`branch` names a branch, and {ask.action} makes none.", "leave it out, or use action branch")
    if one.type == "merge" and ask.action != "ignore":
        raise Conflict(
            f"Conflict {one.id} is of a merge: {one.reason}.",
            "settle it by `merge_branch` with a strategy, or change the entity and merge again; ignore leaves it be",
        )
    if ask.action != "ignore":
        entity, other = _living(tx, one, one.entity), _living(tx, one, one.other)
        if ask.action == "branch":
            branch = _branch(tx, one, ask.branch)
        if one.entity == one.other:
            results = _within(tx, one, entity, ask)
        else:
            kept, left = _kept(tx, ask, entity, other)
            results = {"merge": _merge, "update": _rank, "branch": _set_apart}[ask.action](tx, kept, left)
        tx.conflicts.settle(one, STATUS[ask.action], ask.notes)
        if ask.action in ("merge", "branch") and one.entity != one.other:
            _settle_with(tx, one, {result.id for result in results})
    else:
        if ask.keep is not None:
            raise Invalid("ignore keeps both.", "leave out keep, or choose merge, update or branch")
        tx.conflicts.settle(one, "ignored", ask.notes)
    return Resolved(told(tx, [tx.conflicts.get(one.id)])[0], results, branch)


def _living(tx: Tx, one: Kept, entity: int) -> Stored:
    found = tx.entities.find(entity)
    if found is None:
        raise NotFound(
            f"Entity {entity} of conflict {one.id} is deleted.",
            "restore it with `restore_entities`, or resolve the conflict with ignore",
        )
    return found


def _kept(tx: Tx, ask: ResolveConflict, entity: Stored, other: Stored) -> tuple[Stored, Stored]:
    """Which of the two stays (or ranks above), and which does not."""
    if ask.keep is None:
        # The newer one ranks above the other; where one goes, the older one stays, to which more refers.
        return (other, entity) if ask.action == "update" else (entity, other)
    chosen = tx.entities.get(ask.keep).id
    if chosen not in (entity.id, other.id):
        raise Invalid(
            f"Entity {chosen} is no part of conflict {ask.conflict}.", f"keep entity {entity.id} or {other.id}"
        )
    return (entity, other) if chosen == entity.id else (other, entity)


def _merge(tx: Tx, kept: Stored, left: Stored) -> list[Outcome]:
    """The union of both, and a tombstone that leads to it."""
    if tx.streams.count(left.id):
        raise Conflict(
            f"Entity {left.id} is a stream with messages, which cannot be moved.",
            f"keep entity {left.id} instead, or resolve the conflict with update",
        )
    state = copy(kept.state)
    said = {noted.text for noted in state.observations}
    for noted in left.state.observations:
        if noted.text not in said:
            said.add(noted.text)
            # Who said it, and when, goes with it.
            state.observations.append(Noted(state.next_id, noted.change, noted.text, noted.extra))
            state.next_id += 1
    state.properties = left.state.properties | state.properties
    state.tags += [tag for tag in left.state.tags if tag not in state.tags]
    state.attributes["resolution"] = "merge"
    merged = put(tx, kept, state)
    _hand_over(tx, kept, left)
    return [merged, _tombstone(tx, left, kept, "merge")]


def _hand_over(tx: Tx, kept: Stored, left: Stored) -> None:
    """The relations of what goes become those of what stays, unless it has them or would be related to itself."""
    for edge in tx.relations.touching([left.id]):
        tx.relations.delete(edge)
        from_ = End(kept.id) if edge.from_.id == left.id else edge.from_
        to = End(kept.id) if edge.to.id == left.id else edge.to
        if from_ != to and tx.relations.find(from_, to, edge.type) is None:
            tx.relations.create(from_, to, edge.type, edge.strength, edge.metadata)


def _tombstone(tx: Tx, left: Stored, kept: Stored, how: str) -> Outcome:
    state = copy(left.state)
    state.attributes |= {"parent": kept.id, "resolution": how}
    return outcome(left, tx.entities.change(left, state, act="delete", deleted=True), "updated")


def _rank(tx: Tx, kept: Stored, left: Stored) -> list[Outcome]:
    """Both stay; what is behind is worth less than either was."""
    above, below = copy(kept.state), copy(left.state)
    lower = min(above.attributes.get("relevance", 1.0), below.attributes.get("relevance", 1.0))
    set_attribute(below.attributes, "relevance", round(lower * BELOW, 6), 1.0)
    below.attributes["resolution"] = "update"
    above.attributes["resolution"] = "update"
    return [put(tx, kept, above), put(tx, left, below)]


def _branch(tx: Tx, one: Kept, name: str) -> str:
    """A branch of the caller's space as it was before this change; its name. `Conflict` where that is taken."""
    name = check_name(name or f"conflict-{one.id}", "The branch's name", 200)
    if name == "auto" or tx.spaces.find(name) is not None:
        raise Conflict(f"There is a space {name!r} already.", "name the branch otherwise")
    tx.add_space(name, tx.space, tx.number - 1, "branch", _NOTHING)
    return name


_NOTHING = b"\x80"
"""An empty msgpack map."""


def _set_apart(tx: Tx, kept: Stored, left: Stored) -> list[Outcome]:
    """Here one remains; the branch has both."""
    for edge in tx.relations.touching([left.id]):
        tx.relations.delete(edge)
    state = copy(kept.state)
    state.attributes["resolution"] = "branch"
    return [put(tx, kept, state), _tombstone(tx, left, kept, "branch")]


def _within(tx: Tx, one: Kept, entity: Stored, ask: ResolveConflict) -> list[Outcome]:
    """Of two observations of one entity the other is taken away, or its time ended."""
    if ask.keep not in (None, "older", "newer"):
        raise Invalid(
            f"Both sides of conflict {one.id} are observations of one entity.", 'keep is "older" or "newer" here'
        )
    keep = ask.keep or ("newer" if ask.action == "update" else "older")
    goes = one.part if keep == "newer" else one.other_part
    state = copy(entity.state)
    noted = next((each for each in state.observations if each.id == goes), None)
    if noted is None or not any(each.id in {one.part, one.other_part} - {goes} for each in state.observations):
        raise Conflict(f"An observation that conflict {one.id} is about is gone.", "resolve the conflict with ignore")
    if ask.action == "update":
        noted.extra = (noted.extra or {}) | {"valid_to": max(tx.now, (noted.extra or {}).get("valid_from", 0))}
    else:
        state.observations.remove(noted)
    state.attributes["resolution"] = ask.action
    return [put(tx, entity, state)]


def _settle_with(tx: Tx, one: Kept, both: set[int]) -> None:
    """Whatever else was pending between the two is settled with it: one of them is gone."""
    for kept in tx.conflicts.among(both):
        if kept.status == "pending" and kept.id != one.id and {kept.entity, kept.other} == both:
            tx.conflicts.settle(kept, "ignored", f"settled with conflict {one.id}")
