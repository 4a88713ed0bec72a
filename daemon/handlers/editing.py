"""How an entity's state is edited: what the handlers that change entities share."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from enhanced_memory.client.errors import Conflict, Invalid
from enhanced_memory.client.operations.entities import Created
from enhanced_memory.client.values import TRUST_ORDER, Action, EntityInput, ObservationInput, Outcome, Ref, Source
from enhanced_memory.daemon.handlers.sources import Sources
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted, State
from enhanced_memory.daemon.store.known import TIERS, Stored
from enhanced_memory.daemon.text import check_name, check_text
from enhanced_memory.daemon.times import LATEST, millis

__all__ = [
    "add",
    "attributes",
    "checked_tags",
    "copy",
    "each",
    "expect",
    "expect_one",
    "expiry",
    "noted",
    "outcome",
    "put",
    "set_attribute",
]


def each(tx: Tx, refs: list[Ref], alter: Callable[[State], None], expected: int | None = None) -> Created:
    """Alter each entity. `NotFound` for one that is not there, `Conflict` where a single one is not at the `expected` version."""
    expect_one(refs, expected)
    outcomes: list[Outcome] = []
    for ref in refs:
        known = tx.entities.get(ref)
        expect(known, expected)
        state = copy(known.state)
        alter(state)
        outcomes.append(put(tx, known, state))
    return Created(outcomes, tx.space_name)


def put(tx: Tx, known: Stored, state: State, act: str = "update") -> Outcome:
    """Make `state` the next version, unless it says what the last one says."""
    if state == known.state:
        return Outcome(known.id, known.state.name, "unchanged", known.version)
    return outcome(known, tx.entities.change(known, state, act=act), "updated")


def outcome(before: Stored, after: Stored, action: Action) -> Outcome:
    """What became of an entity, with the observations that are new."""
    old = {noted.id for noted in before.state.observations}
    return Outcome(
        after.id,
        after.state.name,
        action,
        after.version,
        [noted.text for noted in after.state.observations if noted.id not in old],
    )


def expect(known: Stored, version: int | None) -> None:
    """Refuse a change that was made for another version than the entity is at."""
    if version is not None and version != known.version:
        raise Conflict(
            f"Entity {known.id} is at version {known.version}, not {version}.",
            "read it again and repeat the change on what it says now",
        )


def expect_one(refs: list[Ref], version: int | None) -> None:
    """`Invalid` where a version is expected of several entities at once."""
    if version is not None and len(refs) != 1:
        raise Invalid(
            f"expected_version is of one entity, but {len(refs)} are given.", "change them one by one, or leave it out"
        )


def add(
    tx: Tx,
    state: State,
    given: Iterable[str | ObservationInput],
    repeats: bool = False,
    sources: Sources | None = None,
) -> None:
    """Add observations to a state. What it says already is not added; `repeats` keeps equal ones within `given` (the official rule for new entities)."""
    said = {noted.text: noted.id for noted in state.observations}
    fresh = noted(tx, given, said, state.next_id, Sources(tx) if sources is None else sources, repeats)
    state.observations += fresh
    state.next_id += len(fresh)


def noted(
    tx: Tx,
    given: Iterable[str | ObservationInput],
    said: dict[str, int],
    next_id: int,
    sources: Sources,
    repeats: bool = False,
) -> list[Noted]:
    """What is new in `given` as it is kept, from the id `next_id` on. `said` are the texts that are there with their ids, to which it adds."""
    fresh: list[Noted] = []
    number, most_chars = 0, tx.settings.max_text_chars
    for one in given:
        text = one if isinstance(one, str) else one.text
        check_text(text, "An observation", most_chars)
        if text in said and not repeats:
            continue
        extra = None if isinstance(one, str) else _extra(tx, one, sources)
        number = number or tx.number  # asked for where something is new alone: it begins a change
        fresh.append(Noted(next_id + len(fresh), number, text, extra))
        said[text] = fresh[-1].id
    return fresh


def _extra(tx: Tx, given: ObservationInput, sources: Sources) -> dict[str, Any] | None:
    """What an observation says about itself beyond its change. Trust can be lowered by the caller, never raised."""
    extra: dict[str, Any] = {}
    if given.confidence is not None:
        extra["confidence"] = given.confidence
    for name in ("valid_from", "valid_to"):
        when = getattr(given, name)
        if when is not None:
            extra[name] = millis(when, name)
    if extra.get("valid_from", 0) > extra.get("valid_to", 1 << 62):
        raise Invalid("An observation's valid_from is later than its valid_to.")
    for name, limit in (("said", tx.settings.max_text_chars), ("speaker", tx.settings.max_name_chars)):
        value = getattr(given, name)
        if value and value != given.text:
            extra[name] = check_text(value, f"An observation's {name}", limit)
    if given.origin is not None:
        own = tx.call.origin()
        trust = max(own.trust, given.origin.trust, key=TRUST_ORDER.index)
        for what in ("session", "agent", "method"):
            check_text(getattr(given.origin, what), f"The origin's {what}", tx.settings.max_name_chars)
        said = msgspec.structs.replace(
            own,
            session=given.origin.session or own.session,
            agent=given.origin.agent or own.agent,
            method=given.origin.method,
            trust=trust,
        )
        extra["origin"] = tx.origin(said)
        if given.origin.at is not None:
            extra["at"] = millis(given.origin.at, "The observation's time")
    if given.sources:
        _derive(tx, given.sources, extra, sources)
    return extra or None


def _derive(tx: Tx, given: list[Source], extra: dict[str, Any], sources: Sources) -> None:
    """Note what an observation is derived from; it is trusted no more than the least trusted of that."""
    told: list[list[int]] = []
    own = tx.log.origins([extra["origin"]])[extra["origin"]] if "origin" in extra else tx.call.origin()
    trust = TRUST_ORDER.index(own.trust)
    for source in given:
        meant, least = sources.of(source)
        told.append(meant)
        trust = max(trust, least)
    extra["sources"] = told
    if TRUST_ORDER[trust] != own.trust:
        extra["origin"] = tx.origin(msgspec.structs.replace(own, trust=TRUST_ORDER[trust]))


def attributes(tx: Tx, given: EntityInput) -> dict[str, Any]:
    """The attributes that a new entity says of itself."""
    own: dict[str, Any] = {}
    set_attribute(own, "tier", TIERS.index(given.tier) if given.tier else 0, 0)
    set_attribute(own, "priority", given.priority or 5, 5)
    set_attribute(own, "importance", given.importance, None)
    set_attribute(own, "confidence", given.confidence, None)
    set_attribute(own, "pinned", bool(given.always_include), False)
    set_attribute(own, "expires_at", expiry(tx, given.expires_at, given.ttl_s), None)
    return own


def expiry(tx: Tx, at: datetime | None, ttl_s: float | None) -> int | None:
    """When something is to expire: at a time, or so many seconds from now. `Invalid` for both, and for a time that is past."""
    if ttl_s is not None:
        if at is not None:
            raise Invalid("expires_at and ttl_s both say when it expires.", "give one of the two")
        return min(tx.now + max(1, int(ttl_s * 1000)), LATEST)
    if at is None:
        return None
    when = millis(at, "expires_at")
    if when <= tx.now:
        raise Invalid(
            f"expires_at {at.isoformat()} is past: it would be gone at once.",
            "choose a time to come, or leave it out; what should go now goes by `delete_entities`",
        )
    return when


def set_attribute(own: dict[str, Any], name: str, value: Any, default: Any) -> None:
    """Note an attribute; one that has its default is left out."""
    if value == default:
        own.pop(name, None)
    else:
        own[name] = value


def checked_tags(tx: Tx, tags: Iterable[str]) -> list[str]:
    """Tags, each once; `Invalid` for a blank one."""
    return list(dict.fromkeys(check_name(one, "A tag", tx.settings.max_name_chars) for one in tags))


def copy(state: State) -> State:
    """A state that can be altered without altering the other."""
    return State(
        state.name,
        state.type,
        [Noted(noted.id, noted.change, noted.text, noted.extra) for noted in state.observations],
        dict(state.properties),
        list(state.tags),
        dict(state.attributes),
        state.next_id,
    )
