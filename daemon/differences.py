"""What differs between two states of an entity, and a change taken back out of a later state. Pure.

An observation is the same where its id is. One that went while a similar one came counts as changed: nobody edits an
observation, models delete one and add another.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from enhanced_memory.daemon.store.bodies import Noted, State

__all__ = ["Difference", "Refusal", "alike", "difference", "lines", "taken_back"]

SIMILAR = 0.6
"""From which share of common words on two texts are one that was changed (Dice: twice what both have, by what each has)."""
COMPARED = 100
"""Texts that went, and texts that came, beyond which none are paired: each pair costs a comparison."""
COMPARED_CHARS = 2000

BOOKKEEPING = frozenset(("born", "copied", "touched"))
"""Attributes that tell of a space's row, not of the entity."""
_LATER_STAYS = frozenset(("confirmed_at", "relevance"))
"""Attributes of which a later value stays where an earlier change is taken back: they say how it fared since."""

Absent: Any = msgspec.UNSET


class Difference(msgspec.Struct):
    """What differs, old against new."""

    added: list[Noted]
    removed: list[Noted]
    changed: list[tuple[Noted, Noted]]
    properties: list[tuple[str, Any, Any]]
    """Key, old, new; `UNSET` where there is none."""
    attributes: list[tuple[str, Any, Any]]
    tags_added: list[str]
    tags_removed: list[str]

    @property
    def nothing(self) -> bool:
        """Whether both say the same."""
        return not any(getattr(self, name) for name in self.__struct_fields__)


def difference(old: State, new: State) -> Difference:
    """What differs between two states."""
    was = {noted.id: noted for noted in old.observations}
    now = {noted.id: noted for noted in new.observations}
    removed = [noted for number, noted in was.items() if number not in now]
    added = [noted for number, noted in now.items() if number not in was]
    changed = [
        (noted, now[number]) for number, noted in was.items() if number in now and not _same_note(noted, now[number])
    ]
    for one, other in _paired(removed, added):
        removed.remove(one)
        added.remove(other)
        changed.append((one, other))
    return Difference(
        added, removed, changed,
        _values(old.properties, new.properties),
        _values(_described(old), _described(new)),
        [tag for tag in new.tags if tag not in old.tags],
        [tag for tag in old.tags if tag not in new.tags],
    )  # fmt: skip


def _described(state: State) -> dict[str, Any]:
    own = {key: value for key, value in state.attributes.items() if key not in BOOKKEEPING}
    return {"name": state.name, "type": state.type} | own


def _values(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    keys = [*old, *(key for key in new if key not in old)]
    pairs = ((key, old.get(key, Absent), new.get(key, Absent)) for key in keys)
    return [(key, before, after) for key, before, after in pairs if not _same(before, after)]


def _same(one: Any, other: Any) -> bool:
    """Whether two plain values are equal; true is not 1."""
    return type(one) is type(other) and one == other


def _same_note(one: Noted, other: Noted) -> bool:
    return one.text == other.text and (one.extra or {}) == (other.extra or {})


def _paired(gone: list[Noted], come: list[Noted]) -> list[tuple[Noted, Noted]]:
    """Each text that went with the most similar one that came, the most similar pairs first."""
    if not gone or not come or len(gone) > COMPARED or len(come) > COMPARED:
        return []
    likeness: list[tuple[float, int, int]] = []
    words = [[_words(noted) for noted in each] for each in (gone, come)]
    for before, one in enumerate(words[0]):
        for after, other in enumerate(words[1]):
            common = len(one & other)
            if common and 2 * common >= SIMILAR * (len(one) + len(other)):
                likeness.append((-2 * common / (len(one) + len(other)), before, after))
    pairs: list[tuple[Noted, Noted]] = []
    used: set[tuple[str, int]] = set()
    for _, before, after in sorted(likeness):
        if ("old", before) not in used and ("new", after) not in used:
            used |= {("old", before), ("new", after)}
            pairs.append((gone[before], come[after]))
    return pairs


def _words(noted: Noted) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", noted.text[:COMPARED_CHARS].lower()))


def lines(state: State | None, related: Iterable[str] = ()) -> list[str]:
    """A state as the lines that a person compares."""
    if state is None:
        return []
    told = [f"{key}: {_plain(value)}" for key, value in _described(state).items()]
    told += [f"property {key}: {_plain(value)}" for key, value in sorted(state.properties.items())]
    told += [f"tag: {tag}" for tag in sorted(state.tags)]
    for noted in state.observations:
        first, *rest = noted.text.splitlines() or [""]
        told += [f"- {first}", *(f"  {line}" for line in rest)]
    return told + [f"relation: {one}" for one in sorted(related)]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# Taking back


class Refusal(msgspec.Struct):
    """Why a change cannot be taken back out of a later state."""

    reason: str


def alike(one: State, other: State) -> bool:
    """Whether two states say the same, whatever the order."""
    return difference(one, other).nothing


def taken_back(before: State, after: State, now: State) -> State | Refusal:
    """`now` without what happened between `before` and `after`. What happened since stays; a `Refusal` where it is of the same thing."""
    if alike(after, now):
        return _copied(before, now)
    state = _copied(now, now)
    for what in ("name", "type"):
        was, became, current = (getattr(one, what) for one in (before, after, now))
        if was != became and current != was:
            if current != became:
                return Refusal(f"its {what} was changed again since")
            setattr(state, what, was)
    for what, keep in (("properties", frozenset[str]()), ("attributes", _LATER_STAYS | BOOKKEEPING)):
        refused = _values_back(getattr(before, what), getattr(after, what), getattr(state, what), keep, what)
        if refused is not None:
            return refused
    state.tags = [tag for tag in state.tags if tag in before.tags or tag not in after.tags]
    state.tags += [tag for tag in before.tags if tag not in after.tags and tag not in state.tags]
    return _observations_back(before, after, state) or state


def _values_back(
    before: dict[str, Any], after: dict[str, Any], now: dict[str, Any], keep: frozenset[str], what: str
) -> Refusal | None:
    for key, was, became in _values(before, after):
        current = now.get(key, Absent)
        if key in BOOKKEEPING or _same(current, was):
            continue
        if not _same(current, became):
            if key in keep:
                continue
            return Refusal(f"its {'property' if what == 'properties' else 'attribute'} {key!r} was changed again since")
        if was is Absent:
            del now[key]
        else:
            now[key] = was
    return None


def _observations_back(before: State, after: State, state: State) -> Refusal | None:
    was = {noted.id: noted for noted in before.observations}
    became = {noted.id: noted for noted in after.observations}
    kept: list[Noted] = []
    for noted in state.observations:
        old, new = was.get(noted.id), became.get(noted.id)
        if new is None or (old is not None and _same_note(old, new)):
            kept.append(noted)  # the change did not touch it
        elif _same_note(noted, new):
            if old is not None:
                kept.append(old)
        elif old is not None and _same_note(noted, old):
            kept.append(noted)
        else:
            return Refusal(f"observation {noted.id} was changed again since")
    there = {noted.id for noted in kept}
    said = {noted.text for noted in kept}
    back: dict[int, list[Noted]] = {}
    """What comes back, by the observation that it stood behind; 0: in front of all."""
    behind = 0
    for noted in before.observations:
        if noted.id in there:
            behind = noted.id
        elif noted.id not in became and noted.text not in said:
            back.setdefault(behind, []).append(noted)
    state.observations = [*back.get(0, ()), *(one for noted in kept for one in (noted, *back.get(noted.id, ())))]
    return None


def _copied(state: State, last: State) -> State:
    """What `state` says, going on from `last`: ids of observations are never given out again."""
    noted: Callable[[Noted], Noted] = lambda one: Noted(one.id, one.change, one.text, one.extra)  # noqa: E731
    own = {key: value for key, value in state.attributes.items() if key not in BOOKKEEPING}
    own |= {key: value for key, value in last.attributes.items() if key in BOOKKEEPING}
    return State(
        state.name, state.type, [noted(one) for one in state.observations], dict(state.properties), list(state.tags), own,
        max(state.next_id, last.next_id),
    )  # fmt: skip
