"""Two views compared: entities by what they say, relations by their ends and type."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from enhanced_memory.client.operations.branches import Changed, EntityDiff, RelationDiff
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.known import TIERS, Stored
from enhanced_memory.daemon.store.relations import Edge, End
from enhanced_memory.daemon.store.views import View
from enhanced_memory.daemon.threeway import ABSENT, same
from enhanced_memory.daemon.times import moment_or_none

__all__ = ["Bound", "Key", "edges_in", "entity_diff", "key_of", "relation_diff", "shown_part", "told_name"]

Key = tuple[End, End, str]
"""By what a relation is known: its ends and its type."""

_UNTOLD = ("born", "copied", "touched", "confirmed_at")
"""Attributes that are no difference in what an entity says."""
_TIMES = ("at", "confirmed_at", "valid_from", "valid_to")
_NAMES = {"pinned": "always_include", "relevance": "relevance_score"}


def told_name(part: str) -> str:
    """A part by the name that answers have for it."""
    return _NAMES.get(part, part)


_DEFAULTS: dict[str, Any] = {"tier": 0, "priority": 5, "pinned": False, "quarantined": False, "relevance": 1.0}


def shown_part(part: str, value: Any) -> Any:
    """A part as answers tell it: an attribute that is absent has its default, times are times."""
    if value is ABSENT:
        value = _DEFAULTS.get(part)
    if part == "tier" and value is not None:
        return TIERS[int(value)]
    if part.startswith("observation:") and value is not None:
        return {
            name: moment_or_none(each) if name in _TIMES else each for name, each in value.items() if name != "origin"
        }
    return moment_or_none(value) if part == "expires_at" else value


def entity_diff(before: Stored | None, after: Stored | None) -> EntityDiff | None:
    """How an entity differs; None where it does not. What is deleted is not there."""
    was = before.state if before is not None and not before.deleted else None
    now = after.state if after is not None and not after.deleted else None
    known = after or before
    if known is None or (was is None and now is None):
        return None
    name = (now or known.state).name
    if was is None or now is None:
        state = now or was or known.state
        texts, tags = [noted.text for noted in state.observations], list(state.tags)
        parts = _parts(None, state) if was is None else _parts(state, None)
        if was is None:
            return EntityDiff(known.id, name, "added", parts, texts, [], tags, [])
        return EntityDiff(known.id, name, "removed", parts, [], texts, [], tags)
    added, removed = _beyond(now, was), _beyond(was, now)
    tags = [tag for tag in now.tags if tag not in was.tags]
    untagged = [tag for tag in was.tags if tag not in now.tags]
    parts = _parts(was, now)
    if not (added or removed or tags or untagged or parts):
        return None
    return EntityDiff(known.id, name, "changed", parts, added, removed, tags, untagged)


def _beyond(one: State, other: State) -> list[str]:
    """The observations of `one` that `other` does not have; equal ones are counted."""
    left = Counter(noted.text for noted in other.observations)
    found: list[str] = []
    for noted in one.observations:
        if left[noted.text]:
            left[noted.text] -= 1
        else:
            found.append(noted.text)
    return found


def _parts(was: State | None, now: State | None) -> list[Changed]:
    before, after = _said(was), _said(now)
    if was is None or now is None:
        return [
            Changed(told_name(part), *(shown_part(part, side[part]) if side else None for side in (before, after)))
            for part in (before or after)
        ]
    return [
        Changed(
            told_name(part),
            shown_part(part, before.get(part, ABSENT)),
            shown_part(part, after.get(part, ABSENT)),
        )
        for part in dict.fromkeys([*before, *after])
        if part not in before or part not in after or not same(before[part], after[part])
    ]


def _said(state: State | None) -> dict[str, Any]:
    if state is None:
        return {}
    told: dict[str, Any] = {"name": state.name, "type": state.type}
    told |= {name: value for name, value in state.attributes.items() if name not in _UNTOLD}
    return told | {f"property:{key}": value for key, value in state.properties.items()}


def key_of(edge: Edge, same_as: dict[int, int] | None = None) -> Key:
    """The key of an edge; `same_as` says which entity stands for which."""
    if not same_as:
        return edge.from_, edge.to, edge.type
    from_, to = (End(same_as.get(end.id, end.id), end.name) for end in (edge.from_, edge.to))
    return from_, to, edge.type


def edges_in(tx: Tx, views: Mapping[Key, View]) -> dict[Key, Edge]:
    """The edges of the given keys that there are, each in its view; of one view after the other, in the order of their making.

    Each is looked up: what else begins at its ends may be much, and is another in each view.
    """
    tx.relations.expect(views)
    found = [
        (view, key, edge) for key, view in views.items() if (edge := tx.relations.find(*key, view=view)) is not None
    ]
    places = {view: place for place, view in enumerate(dict.fromkeys(views.values()))}
    return {key: edge for _, key, edge in sorted(found, key=lambda one: (places[one[0]], one[2].id))}


class Bound:
    """Names of ends that mean an entity in one of the views: `Ada likes ghost` is the same relation once there is a ghost."""

    def __init__(self, tx: Tx, ends: Iterable[End], *views: View) -> None:
        self._ids: dict[str, int] = {}
        self._names: dict[int, list[str]] = {}
        for name in {end.name for end in ends if not end.id}:
            meant = (tx.entities.named(name, "", view) for view in views)
            found = next((entity for entity in meant if entity is not None), None)
            if found is not None:
                self._ids[name] = found
                self._names.setdefault(found, []).append(name)

    def end(self, end: End) -> End:
        """The end with an id, where its name means an entity."""
        return end if end.id or end.name not in self._ids else End(self._ids[end.name])

    def key(self, key: Key) -> Key:
        """The key with ids for names that mean an entity."""
        return self.end(key[0]), self.end(key[1]), key[2]

    def others(self, key: Key) -> list[Key]:
        """All keys that mean the same as this one, itself among them."""
        from_, to, type_name = self.key(key)
        return [(one, other, type_name) for one in self._called(from_) for other in self._called(to)]

    def _called(self, end: End) -> list[End]:
        return [end, *(End(0, name) for name in self._names.get(end.id, ()) if end.id)]


def relation_diff(key: Key, before: Edge | None, after: Edge | None, names: dict[int, str]) -> RelationDiff | None:
    """How a relation differs; None where it does not. `names` has those of its ends."""
    from_, to = (names.get(end.id, "") if end.id else end.name for end in key[:2])
    if before is not None and after is not None:
        parts = [
            Changed(part, old, new)
            for part, old, new in (
                ("strength", before.strength, after.strength),
                ("metadata", before.metadata, after.metadata),
            )
            if not same(old, new)
        ]
        return RelationDiff("changed", from_, to, key[2], parts) if parts else None
    if before is None and after is None:
        return None
    action: Literal["added", "removed"] = "removed" if after is None else "added"
    return RelationDiff(action, from_, to, key[2])
