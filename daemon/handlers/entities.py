"""Entities: what changes them."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET, UnsetType

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.operations.entities import (
    AddObservations,
    Confirm,
    Created,
    CreateEntities,
    DeleteObservations,
    Pin,
    Quarantine,
    RenameEntity,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.values import EntityInput, ObservationInput, Outcome, Ref
from enhanced_memory.daemon.handlers.editing import (
    add,
    attributes,
    checked_tags,
    copy,
    each,
    expect,
    expiry,
    outcome,
    put,
    set_attribute,
)
from enhanced_memory.daemon.kinds import accept, kind_of
from enhanced_memory.daemon.lifetimes import lifetimes
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted, State
from enhanced_memory.daemon.store.known import TIERS, Stored
from enhanced_memory.daemon.text import check_data, check_name, check_text


@CreateEntities.handler
def create_entities(tx: Tx, ask: CreateEntities) -> Created:
    """Each given entity in turn; of two with one name in a call, the second meets the first."""
    return Created([_create(tx, given, ask.on_existing) for given in ask.entities], tx.space_name, tx.call.conflicts)


def _create(tx: Tx, given: EntityInput, on_existing: str) -> Outcome:
    check_name(given.name, "The entity's name", tx.settings.max_name_chars, empty=on_existing == "skip")
    check_name(given.type, "The entity's type", tx.settings.max_name_chars, empty=on_existing == "skip")
    kind = kind_of(given.type)
    scope = check_text(given.scope, "The scope", tx.settings.max_name_chars) or (
        given.type if kind.scope == "type" else ""
    )
    if on_existing == "skip" and not given.scope:
        # The official rule knows names alone: whatever is called so, in any scope, is the one that exists.
        same = tx.entities.named_in_any_scope(given.name)
        known = tx.entities.find(same[0]) if same else None
    else:
        known = None if kind.scope == "own" and not given.scope else tx.entities.find(given.name, scope)
    if given.expected_version is not None and given.expected_version != (known.version if known else 0):
        raise Conflict(
            f"{given.name[:100]!r} is at version {known.version}, not {given.expected_version}."
            if known
            else f"There is no entity {given.name[:100]!r}, and version {given.expected_version} of it is expected.",
            "read it again and repeat the change on what it says now",
        )
    if known is None:
        one = tx.entities.create(_fresh(tx, given), given.scope)
        tx.relations.adopt(one.id, given.name)
        _give(tx, one.id, one.state, given.vectors, given.observations)
        return Outcome(one.id, given.name, "created", one.version)
    if on_existing == "error":
        raise Conflict(
            f"The name {given.name[:100]!r} is taken by entity {known.id}.", "use on_existing merge, skip or replace"
        )
    if on_existing == "skip":
        return Outcome(known.id, given.name, "skipped", known.version)
    if on_existing == "replace":
        state = _fresh(tx, given)
        old = {noted.text: noted for noted in known.state.observations}
        # What was said before and still is keeps its provenance.
        state.observations = [old.get(noted.text, noted) for noted in state.observations]
        fresh = [noted for noted in state.observations if noted.text not in old]
        for number, noted in enumerate(fresh):
            noted.id = known.state.next_id + number
        state.next_id = known.state.next_id + len(fresh)
        replaced = outcome(known, tx.entities.change(known, state), "replaced")
        _give(tx, known.id, state, given.vectors, given.observations)
        return replaced
    return _merge(tx, known, given)


def _give(
    tx: Tx, entity: int, state: State, whole: dict[str, list[float]], told: Sequence[str | ObservationInput]
) -> None:
    """Store the caller's own vectors of an entity and of its observations."""
    given: dict[int, dict[str, list[float]]] = {0: whole} if whole else {}
    parts = {noted.text: noted.id for noted in state.observations}
    given |= {parts[one.text]: one.vectors for one in told if isinstance(one, ObservationInput) and one.vectors}
    if given:
        tx.vectors.give_entity(entity, given)


def _merge(tx: Tx, known: Stored, given: EntityInput) -> Outcome:
    state = copy(known.state)
    add(tx, state, given.observations)
    check_data(given.properties, "A property", tx.settings.max_text_chars)
    accept(state.type, given.properties)
    state.properties |= given.properties
    state.tags += [tag for tag in checked_tags(tx, given.tags) if tag not in state.tags]
    state.attributes |= attributes(tx, given)
    merged = put(tx, known, state)
    _give(tx, known.id, state, given.vectors, given.observations)
    return merged


def _fresh(tx: Tx, given: EntityInput) -> State:
    check_data(given.properties, "A property", tx.settings.max_text_chars)
    accept(given.type, given.properties)
    kind = kind_of(given.type)
    said = kind.defaults | given.properties
    state = State(given.name, given.type, [], said, checked_tags(tx, given.tags), attributes(tx, given))
    if given.tier is None and kind.tier != "working":
        state.attributes["tier"] = TIERS.index(kind.tier)
    lifetime_s = lifetimes(tx.settings.expire_after_days).get(given.type)
    if lifetime_s is not None:
        state.attributes.setdefault("expires_at", tx.now + int(lifetime_s * 1000))
    add(tx, state, given.observations, repeats=True)
    return state


@AddObservations.handler
def add_observations(tx: Tx, ask: AddObservations) -> Created:
    """All of them or none: an entity that is not there ends the call before anything stands."""
    outcomes: list[Outcome] = []
    for given in ask.observations:
        known = tx.entities.get(given.entity)
        expect(known, given.expected_version)
        state = copy(known.state)
        add(tx, state, given.contents)
        outcomes.append(put(tx, known, state))
        _give(tx, known.id, state, {}, given.contents)
    return Created(outcomes, tx.space_name, tx.call.conflicts)


@UpdateEntity.handler
def update_entity(tx: Tx, ask: UpdateEntity) -> Outcome:
    """Only what is given is changed."""
    known = tx.entities.get(ask.entity)
    expect(known, ask.expected_version)
    state = copy(known.state)
    if ask.type is not UNSET:
        state.type = check_name(ask.type, "The entity's type", tx.settings.max_name_chars)
    if ask.properties is not UNSET:
        check_data(ask.properties, "A property", tx.settings.max_text_chars)
        accept(state.type, ask.properties)
        merged = state.properties | ask.properties
        state.properties = {key: value for key, value in merged.items() if value is not None}
    own = state.attributes
    for name, value, default in (
        ("tier", UNSET if ask.tier is UNSET else TIERS.index(ask.tier), 0),
        ("priority", ask.priority, 5),
        ("importance", ask.importance, None),
        ("confidence", ask.confidence, None),
        ("relevance", ask.relevance_score, 1.0),
        ("pinned", ask.always_include, False),
        ("expires_at", _expiry(tx, ask), None),
    ):
        if value is not UNSET:
            set_attribute(own, name, value, default)
    return put(tx, known, state)


def _expiry(tx: Tx, ask: UpdateEntity) -> int | UnsetType | None:
    if ask.ttl_s is None and not isinstance(ask.expires_at, datetime):
        return ask.expires_at
    return expiry(tx, ask.expires_at if isinstance(ask.expires_at, datetime) else None, ask.ttl_s)


@RenameEntity.handler
def rename_entity(tx: Tx, ask: RenameEntity) -> Outcome:
    """Only the name changes: whatever points at the entity points at its id."""
    known = tx.entities.get(ask.entity)
    expect(known, ask.expected_version)
    state = copy(known.state)
    state.name = check_name(ask.name, "The new name", tx.settings.max_name_chars)
    renamed = put(tx, known, state, act="rename")
    tx.relations.adopt(known.id, ask.name)
    return renamed


@DeleteObservations.handler
def delete_observations(tx: Tx, ask: DeleteObservations) -> Created:
    """What equals a given text, or has a given id, goes; the rest stays as it is."""
    outcomes: list[Outcome] = []
    for given in ask.deletions:
        known = tx.entities.find(given.entity)
        if known is None:
            continue
        expect(known, given.expected_version)
        state = copy(known.state)
        gone = set(given.observations)
        state.observations = [noted for noted in state.observations if noted.id not in gone and noted.text not in gone]
        outcomes.append(put(tx, known, state))
    return Created(outcomes, tx.space_name)


@Tag.handler
def tag(tx: Tx, ask: Tag) -> Created:
    """Tags that an entity has already are passed over."""
    wanted = checked_tags(tx, ask.tags)

    def add(state: State) -> None:
        state.tags += [one for one in wanted if one not in state.tags]

    return each(tx, ask.entities, add, ask.expected_version)


@Untag.handler
def untag(tx: Tx, ask: Untag) -> Created:
    """Tags that an entity does not have are passed over."""

    def take(state: State) -> None:
        state.tags = [one for one in state.tags if one not in ask.tags]

    return each(tx, ask.entities, take, ask.expected_version)


@Pin.handler
def pin(tx: Tx, ask: Pin) -> Created:
    """Sets `always_include`."""
    return each(
        tx,
        ask.entities,
        lambda state: set_attribute(state.attributes, "pinned", ask.pinned, False),
        ask.expected_version,
    )


@Quarantine.handler
def quarantine(tx: Tx, ask: Quarantine) -> Created:
    """Sets `quarantined`, of the entity or of the observations named. `NotFound` for one that an entity does not have."""
    named = set(ask.observations)

    def set_aside(state: State) -> None:
        if not named:
            set_attribute(state.attributes, "quarantined", ask.quarantined, False)
            return
        for noted in _named(state, named):
            extra = dict(noted.extra or {})
            set_attribute(extra, "quarantined", ask.quarantined, False)
            noted.extra = extra or None

    return each(tx, ask.entities, set_aside, ask.expected_version)


def _named(state: State, wanted: set[Ref]) -> list[Noted]:
    """The observations that are meant by text or id. `NotFound` where one is not there."""
    there = {noted.id for noted in state.observations} | {noted.text for noted in state.observations}
    for one in wanted - there:
        raise NotFound(f"{state.name[:100]!r} has no observation {str(one)[:100]!r}.", "open it with `details`")
    return [noted for noted in state.observations if noted.id in wanted or noted.text in wanted]


@Confirm.handler
def confirm(tx: Tx, ask: Confirm) -> Created:
    """Notes the time; the observations named become the user's own word."""
    origin = tx.origin(tx.call.origin(trust="user")) if ask.observations else 0

    def note(state: State) -> None:
        state.attributes["confirmed_at"] = tx.now
        state.attributes.pop("relevance", None)
        named = set(ask.observations)
        for noted in state.observations:
            if noted.id in named or noted.text in named:
                noted.extra = (noted.extra or {}) | {"confirmed_at": tx.now, "trusted": origin}

    return each(tx, ask.entities, note, ask.expected_version)
