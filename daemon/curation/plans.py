"""An act of curation as it was thought of by a reader, and how the writer carries it out, if it still holds."""

from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.operations.curation import CurationAct
from enhanced_memory.client.values import TRUST_ORDER, Trust
from enhanced_memory.daemon.curation import actions, episodes
from enhanced_memory.daemon.handlers.editing import copy, set_attribute
from enhanced_memory.daemon.handlers.removal import bury
from enhanced_memory.daemon.handlers.told import details_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted, State
from enhanced_memory.daemon.store.known import TIERS, Stored
from enhanced_memory.daemon.store.relations import End

__all__ = ["DERIVED_FROM", "METHOD", "Plan", "carry_out", "free_name", "title"]

DERIVED_FROM = "derived_from"
"""The relation of what was made to each of its sources."""

METHOD = "curation"
"""How what it says came about, in its provenance."""

TITLE_CHARS = 80


class Plan(msgspec.Struct):
    """An act, and what must still hold when it is done."""

    told: CurationAct
    began: int = 0
    """The change of the version that was looked at."""
    used: int = 0
    """How often the entity had been read."""
    shared: episodes.Shared | None = None
    habit: actions.Habit | None = None


def carry_out(tx: Tx, plan: Plan) -> CurationAct | None:
    """Do what was planned; None where it does not hold any more."""
    if plan.shared is not None:
        made = _know(tx, plan.told, plan.shared)
    elif plan.habit is not None:
        made = _procedure(tx, plan.told, plan.habit)
    else:
        made = _change(tx, plan)
    return None if made is None else msgspec.structs.replace(plan.told, entity=made)


def title(text: str) -> str:
    """What something is called that is known by a text: its beginning, up to a whole word."""
    said = " ".join(text.split())
    if len(said) <= TITLE_CHARS:
        return said
    return (said[:TITLE_CHARS].rpartition(" ")[0] or said[:TITLE_CHARS]) + " …"


def free_name(tx: Tx, name: str) -> str | None:
    """`name`, or with a number behind it where it is taken; None where curation made one of that name and somebody took it back."""
    number, free = 1, name
    while True:
        if _taken_back(tx, free):
            return None
        if not tx.entities.named_in_any_scope(free):
            return free
        number += 1
        free = f"{name} ({number})"


def _taken_back(tx: Tx, name: str) -> bool:
    """Whether curation made something of a name that was undone or deleted since."""
    for entity in tx.entities.once_named(name):
        known = tx.entities.known(entity)
        if known is None or not known.deleted or known.state.name != name:
            continue
        if tx.tended.declined(known.began) or any(
            one.origin.method == METHOD for one in details_of(tx, [known])[known.id]
        ):
            return True
    return False


def _change(tx: Tx, plan: Plan) -> int | None:
    told = plan.told
    known = tx.entities.find(told.entity) if told.entity is not None else None
    if known is None or known.space != tx.space or known.began != plan.began or known.used != plan.used:
        return None
    if told.act == "delete":
        bury(tx, known, "release")
        return known.id
    state = copy(known.state)
    set_attribute(state.attributes, "tier", TIERS.index(told.tier or "working"), 0)
    state.attributes["touched"] = known.touched_at
    tx.entities.change(known, state, act="promote")
    return known.id


def _know(tx: Tx, told: CurationAct, shared: episodes.Shared) -> int | None:
    """Make an entity of what episodes share: each observation with its sources, and no more trusted than the least of them."""
    known = {one.id: one for one in tx.entities.many(shared.episodes).values() if one.space == tx.space}
    details = details_of(tx, list(known.values()))
    trust: dict[tuple[int, int], Trust] = {
        (entity, noted.id): noted.origin.trust for entity, noteds in details.items() for noted in noteds
    }
    name = free_name(tx, title(shared.statements[0].text))
    if name is None:
        return None
    observations: list[Noted] = []
    sources: set[int] = set()
    for one in shared.statements:
        at = [place for place in one.at if place in trust]
        if len({entity for entity, _ in at}) < episodes.LEAST:
            continue  # some have changed meanwhile
        sources |= {entity for entity, _ in at}
        observations.append(_noted(tx, len(observations) + 1, one.text, (trust[place] for place in at), at))
    if not observations:
        return None
    tier = TIERS.index(told.tier or "semantic")
    state = State(name, shared.type, observations, attributes={"tier": tier}, next_id=len(observations) + 1)
    return _made(tx, state, sources)


def _procedure(tx: Tx, told: CurationAct, habit: actions.Habit) -> int | None:
    """Make an entity of what was done again and again: a step in each observation."""
    streams = {one.id for one in tx.entities.many(habit.streams).values()}
    name = free_name(tx, told.name)
    if not streams or name is None:
        return None
    changes = tx.log.changes(tx.tended.origins_of(habit.messages))
    trust: list[Trust] = [change.origin.trust for change in changes.values()] or ["import"]
    at = [(stream, 0) for stream in sorted(streams)]
    steps = [_noted(tx, place, text, trust, at) for place, text in enumerate(habit.steps, 1)]
    properties: dict[str, Any] = {"steps": list(habit.steps), "times": habit.times}
    state = State(name, told.type, steps, properties, attributes={"tier": 3}, next_id=len(steps) + 1)
    return _made(tx, state, streams)


def _noted(tx: Tx, number: int, text: str, trust: Iterable[Trust], at: list[tuple[int, int]]) -> Noted:
    lowest = max(trust, key=TRUST_ORDER.index)
    origin = tx.origin(tx.call.origin(method=METHOD, trust=lowest))
    return Noted(number, tx.number, text, {"origin": origin, "sources": [list(place) for place in at]})


def _made(tx: Tx, state: State, sources: set[int]) -> int:
    one: Stored = tx.entities.create(state)
    tx.relations.adopt(one.id, state.name)
    for source in sorted(sources):
        tx.relations.create(End(one.id), End(source), DERIVED_FROM, 1.0, {})
    return one.id
