"""Entities: what changes them."""

from collections.abc import Hashable, Iterable
from datetime import datetime
from functools import partial

import msgspec
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
    put,
    set_attribute,
)
from enhanced_memory.daemon.handlers.gathering import Draft, Gathering, vectors_of
from enhanced_memory.daemon.handlers.sources import Sources
from enhanced_memory.daemon.kinds import accept, kind_of
from enhanced_memory.daemon.lifetimes import lifetimes
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted, State
from enhanced_memory.daemon.store.known import TIERS, Stored
from enhanced_memory.daemon.text import check_data, check_name, check_text


@CreateEntities.handler
def create_entities(tx: Tx, ask: CreateEntities) -> Created:
    """Each given entity in turn; of two with one name in a call, the second meets the first."""
    gathering = Gathering(tx, _about(ask))
    outcomes = [_create(tx, given, ask.on_existing, gathering) for given in ask.entities]
    return Created(outcomes, tx.space_name, tx.call.conflicts)


def _about(ask: CreateEntities) -> Iterable[Hashable]:
    """What each item is about, where items of one entity may be gathered."""
    if ask.on_existing == "skip":
        # A name alone means another entity once one of that name was made in a scope.
        return () if any(given.scope for given in ask.entities) else (given.name for given in ask.entities)
    if ask.on_existing == "replace":
        # A caller's vector may go with what the next item replaces.
        own = any(
            isinstance(one, ObservationInput) and one.vectors for given in ask.entities for one in given.observations
        )
        return () if own or any(given.vectors for given in ask.entities) else map(_meant, ask.entities)
    return map(_meant, ask.entities) if ask.on_existing == "merge" else ()


def _scope(given: EntityInput) -> str:
    """The scope in which its name is looked for."""
    return given.scope or (given.type if kind_of(given.type).scope == "type" else "")


def _meant(given: EntityInput) -> tuple[str, str] | None:
    """What decides which entity is meant; None where none is but a new one."""
    return None if _always_new(given) else (given.name, _scope(given))


def _always_new(given: EntityInput) -> bool:
    """Whether its name means nothing that there is."""
    return kind_of(given.type).scope == "own" and not given.scope


def _create(tx: Tx, given: EntityInput, on_existing: str, gathering: Gathering) -> Outcome:
    check_name(given.name, "The entity's name", tx.settings.max_name_chars, empty=on_existing == "skip")
    check_name(given.type, "The entity's type", tx.settings.max_name_chars, empty=on_existing == "skip")
    check_text(given.scope, "The scope", tx.settings.max_name_chars)
    scope, draft = _scope(given), None
    if on_existing == "skip" and not given.scope:
        # The official rule knows names alone: whatever is called so, in any scope, is the one that exists.
        known = gathering.meet(given.name, partial(_first_named, tx, given.name))
    elif _always_new(given):
        known = None
    elif on_existing in ("merge", "replace"):
        draft = gathering.open((given.name, scope), lambda: tx.entities.find(given.name, scope))
        known = draft.known if draft is not None else None
    else:
        known = tx.entities.find(given.name, scope)
    if given.expected_version is not None and given.expected_version != (known.version if known else 0):
        raise Conflict(
            f"{given.name[:100]!r} is at version {known.version}, not {given.expected_version}."
            if known
            else f"There is no entity {given.name[:100]!r}, and version {given.expected_version} of it is expected.",
            "read it again and repeat the change on what it says now",
        )
    if known is None:
        one = tx.entities.create(_fresh(tx, given, gathering.sources), given.scope)
        gathering.sources.changed(one.id, given.name)
        tx.relations.adopt(one.id, given.name)
        _give(tx, one.id, one.state, given)
        if on_existing == "skip":
            gathering.made(given.name, one)
        elif not _always_new(given):
            gathering.begun((given.name, scope), one)
        return Outcome(one.id, given.name, "created", one.version)
    if on_existing == "error":
        raise Conflict(
            f"The name {given.name[:100]!r} is taken by entity {known.id}.", "use on_existing merge, skip or replace"
        )
    if on_existing == "skip":
        return Outcome(known.id, given.name, "skipped", known.version)
    assert draft is not None
    return (_replace if on_existing == "replace" else _merge)(tx, draft, given, gathering)


def _first_named(tx: Tx, name: str) -> Stored | None:
    same = tx.entities.named_in_any_scope(name)
    return tx.entities.find(same[0]) if same else None


def _replace(tx: Tx, draft: Draft, given: EntityInput, gathering: Gathering) -> Outcome:
    state, was = _fresh(tx, given, gathering.sources), draft.settle()
    old = {noted.text: noted for noted in was.observations}
    # What was said before and still is keeps its provenance.
    state.observations = [old.get(noted.text, noted) for noted in state.observations]
    fresh = [noted for noted in state.observations if noted.text not in old]
    for number, noted in enumerate(fresh):
        noted.id = was.next_id + number
    state.next_id = was.next_id + len(fresh)
    draft.replace(state)
    vectors = vectors_of({noted.text: noted.id for noted in state.observations}, given.observations, given.vectors)
    replaced = gathering.put(draft, True, fresh, vectors)
    gathering.sources.changed(draft.known.id, given.name)
    return msgspec.structs.replace(replaced, action="replaced")


def _give(tx: Tx, entity: int, state: State, given: EntityInput) -> None:
    """Store the caller's own vectors of an entity and of its observations."""
    vectors = vectors_of({noted.text: noted.id for noted in state.observations}, given.observations, given.vectors)
    if vectors:
        tx.vectors.give_entity(entity, vectors)


def _merge(tx: Tx, draft: Draft, given: EntityInput, gathering: Gathering) -> Outcome:
    state = draft.state
    fresh = draft.add(tx, given.observations, gathering.sources)
    check_data(given.properties, "A property", tx.settings.max_text_chars)
    accept(state.type, given.properties)
    properties = state.properties | given.properties
    tags = [tag for tag in checked_tags(tx, given.tags) if tag not in state.tags]
    own = state.attributes | attributes(tx, given)
    changed = bool(fresh or tags) or properties != state.properties or own != state.attributes
    if changed:
        state.properties, state.attributes = properties, own
        state.tags += tags
    vectors = vectors_of(draft.said, given.observations, given.vectors)
    return gathering.put(draft, changed, fresh, vectors)


def _fresh(tx: Tx, given: EntityInput, sources: Sources) -> State:
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
    add(tx, state, given.observations, repeats=True, sources=sources)
    return state


@AddObservations.handler
def add_observations(tx: Tx, ask: AddObservations) -> Created:
    """All of them or none: an entity that is not there ends the call before anything stands."""
    outcomes: list[Outcome] = []
    gathering = Gathering(tx, (given.entity for given in ask.observations))
    for given in ask.observations:
        draft = gathering.open(given.entity, partial(tx.entities.get, given.entity))
        assert draft is not None
        expect(draft.known, given.expected_version)
        fresh = draft.add(tx, given.contents, gathering.sources)
        outcomes.append(gathering.put(draft, bool(fresh), fresh, vectors_of(draft.said, given.contents)))
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
    gathering = Gathering(tx, (given.entity for given in ask.deletions))
    for given in ask.deletions:
        draft = gathering.open(given.entity, partial(tx.entities.find, given.entity))
        if draft is None:
            continue
        expect(draft.known, given.expected_version)
        outcomes.append(gathering.put(draft, draft.take(given.observations)))
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
