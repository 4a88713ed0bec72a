"""Three states of one thing made into one: what it was (base), what it is here (ours) and there (theirs). Pure.

A part that one side alone changed is taken from that side; where both made the same change there is nothing to do; where they
made different ones it is a clash, and ours stays unless a strategy says otherwise. Observations and tags are sets: what a side
added is added, what it removed is removed. Nothing is judged by what a text means.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, cast

import msgspec

from enhanced_memory.daemon.store.bodies import Noted, State

__all__ = [
    "ABSENT",
    "Clash",
    "Settled",
    "Strategy",
    "Union",
    "alike",
    "joined",
    "plain",
    "said_of",
    "same",
    "settle",
    "united",
]

Strategy = Literal["report", "ours", "theirs", "union"]
Settled = Literal["", "ours", "theirs", "union"]

ABSENT = msgspec.UNSET
"""What a side says that has no such part."""

_BOOKKEEPING = ("born", "copied", "touched")
"""Attributes that tell of a space's copy, not of the entity."""
_LATER = ("confirmed_at",)
"""Of two times the later is right, whoever wrote it."""


class Clash(msgspec.Struct):
    """A part that both sides changed, each otherwise."""

    part: str
    base: Any
    ours: Any
    theirs: Any
    settled: Settled = ""
    """The strategy that settled it; empty: it is open, and ours stands."""


class Union(msgspec.Struct):
    """What three states come to."""

    state: State
    clashes: list[Clash]


def same(one: Any, other: Any) -> bool:
    """Whether two plain values are equal; true is not 1."""
    return type(one) is type(other) and one == other


def settle(
    clashes: list[Clash], part: str, base: Any, ours: Any, theirs: Any, strategy: Strategy, union: Any = ABSENT
) -> Any:
    """What one part comes to. A clash is noted; `union` is what holds both sides, where there is such a thing."""
    if same(theirs, base) or same(ours, theirs):
        return ours
    if same(ours, base):
        return theirs
    clash = Clash(part, base, ours, theirs)
    clashes.append(clash)
    if strategy == "ours":
        clash.settled = "ours"
        return ours
    if strategy == "theirs":
        clash.settled = "theirs"
        return theirs
    if strategy == "union" and union is not ABSENT:
        clash.settled = "union"
        return union
    return ours


def united(
    base: State | None, ours: State, theirs: State, strategy: Strategy, older: Mapping[str, State | None] | None = None
) -> Union:
    """What three living states come to. `older` has other bases by part: a part that stayed in conflict keeps the one it had.

    Observations are the same where their text is; those that theirs adds keep their provenance and get ids of ours.
    """
    sides = _Sides(base, ours, theirs, strategy, older or {})
    name = sides.scalar("name", lambda state: state.name)
    kind = sides.scalar("type", lambda state: state.type)
    attributes = {key: ours.attributes[key] for key in _BOOKKEEPING if key in ours.attributes} | sides.attributes()
    observations, next_id = sides.observations()
    state = State(name, kind, observations, sides.properties(), sides.tags(), attributes, next_id)
    return Union(state, sides.clashes)


class _Sides:
    """Three states, and what is found while they are compared."""

    def __init__(
        self, base: State | None, ours: State, theirs: State, strategy: Strategy, older: Mapping[str, State | None]
    ) -> None:
        self._base = base
        self._ours = ours
        self._theirs = theirs
        self._strategy: Strategy = strategy
        self._older = older
        self.clashes: list[Clash] = []

    def _settle(self, part: str, get: Callable[[State], Any], both: Callable[[Any, Any], Any] | None = None) -> Any:
        before = self._older.get(part, self._base)
        base = ABSENT if before is None else get(before)
        ours, theirs = get(self._ours), get(self._theirs)
        return settle(self.clashes, part, base, ours, theirs, self._strategy, both(ours, theirs) if both else ABSENT)

    def scalar(self, part: str, get: Callable[[State], Any]) -> Any:
        """What a part that every state has comes to."""
        return self._settle(part, get)

    def attributes(self) -> dict[str, Any]:
        """Those that tell of the entity."""
        found: dict[str, Any] = {}
        maps = [state.attributes for state in (self._ours, self._theirs, self._base) if state is not None]
        for key in _all_keys(*maps):
            if key in _LATER:
                found[key] = max((one[key] for one in maps[:2] if key in one), default=ABSENT)
            elif key not in _BOOKKEEPING:
                found[key] = self._settle(key, lambda state, key=key: state.attributes.get(key, ABSENT))
        return {key: value for key, value in found.items() if value is not ABSENT}

    def properties(self) -> dict[str, Any]:
        """Key by key."""
        maps = [state.properties for state in (self._ours, self._theirs, self._base) if state is not None]
        found = {
            key: self._settle(f"property:{key}", lambda state, key=key: state.properties.get(key, ABSENT), _both)
            for key in _all_keys(*maps)
        }
        return {key: value for key, value in found.items() if value is not ABSENT}

    def tags(self) -> list[str]:
        """A set: there is nothing to be in conflict."""
        before = self._base.tags if self._base is not None else []
        kept = [tag for tag in self._ours.tags if tag in self._theirs.tags or tag not in before]
        return kept + [tag for tag in self._theirs.tags if tag not in self._ours.tags and tag not in before]

    def observations(self) -> tuple[list[Noted], int]:
        """Those that last, ours first, and the id that the next one gets."""
        before, parts = self._noted_before()
        here, there = _by_text(self._ours.observations), _by_text(self._theirs.observations)
        told: dict[tuple[str, int], Noted | None] = {}
        for key in dict.fromkeys([*there, *before]):
            base, ours, theirs = before.get(key), here.get(key), there.get(key)
            if base is not None:
                told[key] = self._noted(parts[key], base, ours, theirs)
            elif ours is None:
                told[key] = theirs
        kept = [told.get(key, noted) for key, noted in here.items()]
        found = [noted for noted in kept if noted is not None]
        next_id = max([self._ours.next_id, *(noted.id + 1 for noted in found)])
        for key, noted in told.items():
            if noted is not None and key not in here:
                next_id = max(next_id, noted.id)
                found.append(Noted(next_id, noted.change, noted.text, noted.extra))
                next_id += 1
        return found, next_id

    def _noted_before(self) -> tuple[dict[tuple[str, int], Noted], dict[tuple[str, int], str]]:
        """The observations of the base, each with the name of its part; those in conflict as their older base has them."""
        found = _by_text(self._base.observations) if self._base is not None else {}
        for part, state in self._older.items():
            for key, noted in _by_text(state.observations).items() if state is not None else ():
                if part == f"observation:{noted.id}":
                    found[key] = noted
        return found, {key: f"observation:{noted.id}" for key, noted in found.items()}

    def _noted(self, part: str, base: Noted, ours: Noted | None, theirs: Noted | None) -> Noted | None:
        """What becomes of an observation of the base."""
        left = ours or theirs
        if left is None:
            return None
        if ours is None or theirs is None:
            # Who confirmed what the other side removed contradicts it.
            was, mine, other = (ABSENT if one is None else _about(one, "trusted") for one in (base, ours, theirs))
            value = settle(self.clashes, part, was, mine, other, self._strategy, _about(left, "trusted"))
            return None if value is ABSENT else left
        was, mine, other = (_about(one, *_LATER, "trusted") for one in (base, ours, theirs))
        extra: dict[str, Any] = dict(settle(self.clashes, part, was, mine, other, self._strategy))
        for key in (*_LATER, "trusted"):
            sides = [one.extra[key] for one in (ours, theirs) if one.extra and key in one.extra]
            if sides:
                extra[key] = max(sides) if key in _LATER else sides[0]
        return Noted(
            ours.id, ours.change, ours.text, {key: value for key, value in extra.items() if key != "text"} or None
        )


def _about(noted: Noted, *less: str) -> dict[str, Any]:
    """An observation and what it says of itself, `less` some of that."""
    return {"text": noted.text} | {key: value for key, value in (noted.extra or {}).items() if key not in less}


def alike(one: State, other: State) -> bool:
    """Whether two states say the same, whatever ids and bookkeeping they say it with."""
    return _content(one) == _content(other)


def _content(state: State) -> tuple[Any, ...]:
    attributes = {key: value for key, value in state.attributes.items() if key not in _BOOKKEEPING}
    noted = [(one.text, one.extra or {}) for one in state.observations]
    return state.name, state.type, sorted(noted, key=repr), state.properties, set(state.tags), attributes


def _both(ours: Any, theirs: Any) -> Any:
    """A value that holds both: what is left where one is absent, maps by their keys where those agree, else a list."""
    if ours is ABSENT or theirs is ABSENT:
        return theirs if ours is ABSENT else ours
    if isinstance(ours, dict) and isinstance(theirs, dict):
        here, there = cast("dict[str, Any]", ours), cast("dict[str, Any]", theirs)
        return here | {
            key: _both(here[key], value) if key in here and not same(here[key], value) else value
            for key, value in there.items()
        }
    found: list[Any] = list(cast("list[Any]", ours)) if isinstance(ours, list) else [ours]
    for value in cast("list[Any]", theirs) if isinstance(theirs, list) else [theirs]:
        if not any(same(value, held) for held in found):
            found.append(value)
    return found


def _by_text(observations: Iterable[Noted]) -> dict[tuple[str, int], Noted]:
    """Observations by their text; of equal ones in one state the first is 0, the second 1."""
    found: dict[tuple[str, int], Noted] = {}
    for noted in observations:
        place = 0
        while (noted.text, place) in found:
            place += 1
        found[noted.text, place] = noted
    return found


def _all_keys(*maps: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(key for one in maps for key in one))


def plain(one: State) -> dict[str, Any]:
    """A state as it is told in a conflict."""
    told: dict[str, Any] = {
        "name": one.name,
        "type": one.type,
        "observations": [noted.text for noted in one.observations],
    }
    if one.properties:
        told["properties"] = one.properties
    if one.tags:
        told["tags"] = one.tags
    return told


def joined(ours: object, theirs: object) -> object:
    """What is left where one side removed a relation; nothing where both gave it other values."""
    return theirs if ours is ABSENT else ours if theirs is ABSENT else ABSENT


def said_of(mine: object, other: object) -> str:
    """How two sides of a relation differ, in words."""
    return "removed on one side, changed on the other" if None in (mine, other) else "both changed it, each otherwise"
