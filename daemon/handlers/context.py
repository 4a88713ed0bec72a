"""The context of a turn: pinned, state, relevant and recent, each thing once, within a budget of tokens."""

from collections.abc import Callable, Iterable

import msgspec

from enhanced_memory.client.operations.search import Context, ContextItem, GetContext, Part, SearchMessages
from enhanced_memory.client.values import TRUST_ORDER, Message, Observation, Origin
from enhanced_memory.daemon import ranking
from enhanced_memory.daemon.handlers.filters import entity_conditions
from enhanced_memory.daemon.handlers.moments import look_back, stream_of
from enhanced_memory.daemon.handlers.search import meant, search_messages, standing_of
from enhanced_memory.daemon.handlers.told import details_of
from enhanced_memory.daemon.packing import packed
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.tokens import counter

_PINNED = 200
"""Pinned entities looked at, the most important first."""


@GetContext.handler
def get_context(tx: Tx, ask: GetContext) -> Context:
    """Gathers more than fits of each part, and packs."""
    look_back(tx, ask.at)
    conditions, values = entity_conditions(types=[], tiers=[], tags=[], where=[], quarantined=False)
    stream = stream_of(tx, ask.stream) if ask.stream is not None else None
    recent = tx.streams.read(stream.id, down=True, limit=ask.recent) if stream is not None and ask.recent else []
    named = [tx.entities.get(ref) for ref in ask.entities]
    subjects = {one.id: one for one in [*named, *([stream] if stream is not None else [])]}
    subjects = tx.entities.many(subjects, *conditions, **values)
    pinned = tx.entities.page("is_pinned", *conditions, key="key_priority", down=True, limit=_PINNED, **values)
    query = ask.query.strip() or (recent[0].content if recent and ask.relevant else "")

    items: dict[Part, list[ContextItem]] = {
        "pinned": _said(tx, "pinned", pinned),
        "state": [*_state(subjects.values()), *_said(tx, "state", subjects.values())],
        "recent": _heard(tx, "recent", recent, stream.state.name if stream is not None else ""),
        "relevant": [],
    }
    lowest = TRUST_ORDER.index(ask.minimum_trust) if ask.minimum_trust is not None else len(TRUST_ORDER)

    def trusted(item: ContextItem) -> bool:
        return item.origin is None or TRUST_ORDER.index(item.origin.trust) <= lowest

    items = {part: [one for one in each if trusted(one)] for part, each in items.items()}
    elsewhere = [one for each in items.values() for one in each]
    arms: list[str] = []
    if query and ask.relevant:
        passages = _relevant(tx, query, conditions, ask.relevant, elsewhere, trusted)
        found = search_messages(tx, SearchMessages(query, limit=max(1, ask.relevant)))
        lines = [
            msgspec.structs.replace(item, score=hit.score)
            for hit in found.hits
            for item in _heard(tx, "relevant", [hit.message], hit.stream)
            if trusted(item)
        ]
        arms = found.arms
        items["relevant"] = _apart(_interleaved(passages, lines), elsewhere)[: ask.relevant]
    count, counted_by = counter()
    chosen, text, left_off = packed(items, ask.tokens, count)
    tx.call.used += dict.fromkeys(item.entity for item in chosen if item.entity is not None)
    return Context(chosen, text, count(text), counted_by, left_off, arms, tx.space_name)


def _said(tx: Tx, part: Part, entities: Iterable[Stored]) -> list[ContextItem]:
    """The observations of entities, the newest of each first; a name alone for one that has none."""
    entities = list(entities)
    told = _visible(tx, entities)
    items: list[ContextItem] = []
    for one in entities:
        items += [_observed(part, one, noted) for noted in reversed(told[one.id])]
        if part == "pinned":
            items += _state([one], part)
            if not told[one.id] and not one.state.properties:
                items.append(ContextItem(part, one.state.type, 0, 0.0, one.id, one.state.name))
    return items


def _visible(tx: Tx, entities: list[Stored]) -> dict[int, list[Observation]]:
    """What entities say with where it comes from, without single observations that are quarantined."""
    return {one: [noted for noted in told if not noted.quarantined] for one, told in details_of(tx, entities).items()}


def _state(entities: Iterable[Stored], part: Part = "state") -> list[ContextItem]:
    """The properties of each entity, as one thing that is known of it."""
    return [
        ContextItem(part, "; ".join(f"{key} = {_plain(value)}" for key, value in one.state.properties.items()), 0,
                    0.0, one.id, one.state.name)
        for one in entities
        if one.state.properties
    ]  # fmt: skip


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _heard(tx: Tx, part: Part, messages: Iterable[Message], stream: str) -> list[ContextItem]:
    messages = list(messages)
    changes = tx.log.changes({one.change for one in messages})
    return [
        ContextItem(
            part, one.content, 0, 0.0, None, stream, message=one.id, speaker=one.speaker or one.role, at=one.at,
            origin=changes[one.change].origin if one.change in changes else Origin(),
        )
        for one in messages
    ]  # fmt: skip


def _relevant(
    tx: Tx,
    query: str,
    conditions: list[str],
    enough: int,
    elsewhere: list[ContextItem],
    trusted: Callable[[ContextItem], bool],
) -> list[ContextItem]:
    """What entities say that answers the query, best first: each observation by itself, until `enough` are not told elsewhere.

    All candidates are ranked; where each thing comes from is looked up for those alone that may be told.
    """
    candidates, _ = tx.words.matching(query, ranking.POOL, tx.view, False, enough=ranking.POOL // 2)
    candidates, cosines = meant(tx, candidates, ranking.POOL, messages=False)
    fused = ranking.fused({one.passage: one.score for one in candidates}, cosines)
    known = tx.entities.many({one.entity for one in candidates}, *conditions)
    stands = {one.id: sum(ranking.standing(standing_of(tx, one)).values()) for one in known.values()}
    ranked = [
        (fused[each.passage] + stands[each.entity], each.entity, each.part)
        for each in candidates
        if each.entity in known
    ]
    ranked.sort(key=lambda each: -round(each[0], 4))
    items: list[ContextItem] = []
    for begin in range(0, len(ranked), enough):
        some = ranked[begin : begin + enough]
        told = _visible(tx, [known[entity] for entity in dict.fromkeys(entity for _, entity, _ in some)])
        for score, entity, part in some:
            items += [item for item in _answering(known[entity], told[entity], part, round(score, 4)) if trusted(item)]
        if len(_apart(items, elsewhere)) >= enough:
            break
    return items


def _answering(one: Stored, told: list[Observation], part: int, score: float) -> list[ContextItem]:
    """What to tell of an entity of which a passage was found: that observation; or, where name, type or properties answer, the
    first of what is known of it."""
    if part:
        found = [noted for noted in told if noted.id == part]
        return [_observed("relevant", one, noted, score) for noted in found]
    known = [*_state([one], "relevant"), *(_observed("relevant", one, noted) for noted in reversed(told))][:3]
    return [msgspec.structs.replace(item, score=score) for item in known]


def _observed(part: Part, one: Stored, noted: Observation, score: float = 0.0) -> ContextItem:
    return ContextItem(
        part, noted.text, 0, score, one.id, one.state.name, noted.id, at=noted.at, origin=noted.origin
    )  # fmt: skip


def _interleaved(*found: list[ContextItem]) -> list[ContextItem]:
    """Lists that are scored apart, as one: by what share of its list's best each reaches."""
    shares = [(item.score / (each[0].score or 1.0), item) for each in found for item in each]
    return [item for _, item in sorted(shares, key=lambda pair: -pair[0])]


def _apart(items: list[ContextItem], told: Iterable[ContextItem]) -> list[ContextItem]:
    """The items, each once, without what is told elsewhere."""
    seen = {(one.entity, one.observation, one.message) for one in told}
    kept: list[ContextItem] = []
    for one in items:
        which = (one.entity, one.observation, one.message)
        if which not in seen:
            seen.add(which)
            kept.append(one)
    return kept
