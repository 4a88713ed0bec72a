"""The context of a turn: pinned, state, relevant and recent, each thing once, within a budget of tokens."""

from collections.abc import Iterable

import msgspec

from enhanced_memory.client.operations.search import Context, ContextItem, GetContext, Part, SearchMessages
from enhanced_memory.client.values import TRUST_ORDER, Message, Observation, Origin
from enhanced_memory.daemon import ranking
from enhanced_memory.daemon.handlers.filters import entity_conditions
from enhanced_memory.daemon.handlers.moments import look_back
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
    stream = tx.entities.get(ask.stream) if ask.stream is not None else None
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
    arms: list[str] = []
    if query and ask.relevant:
        passages = _relevant(tx, query, conditions)
        found = search_messages(tx, SearchMessages(query, limit=max(1, ask.relevant)))
        lines = [
            msgspec.structs.replace(item, score=hit.score)
            for hit in found.hits
            for item in _heard(tx, "relevant", [hit.message], hit.stream)
        ]
        arms = found.arms
        items["relevant"] = _interleaved(passages, lines)
    if ask.minimum_trust is not None:
        lowest = TRUST_ORDER.index(ask.minimum_trust)
        items = {
            part: [one for one in each if one.origin is None or TRUST_ORDER.index(one.origin.trust) <= lowest]
            for part, each in items.items()
        }
    items["relevant"] = _apart(items["relevant"], [one for part in items if part != "relevant" for one in items[part]])
    items["relevant"] = items["relevant"][: ask.relevant]
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
        items += [
            ContextItem(part, noted.text, 0, 0.0, one.id, one.state.name, noted.id, at=noted.at, origin=noted.origin)
            for noted in reversed(told[one.id])
        ]
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


def _relevant(tx: Tx, query: str, conditions: list[str]) -> list[ContextItem]:
    """What entities say that answers the query, best first: each observation by itself."""
    candidates, _ = tx.words.matching(query, ranking.POOL, tx.view, False, enough=ranking.POOL // 2)
    candidates, cosines = meant(tx, candidates, ranking.POOL, messages=False)
    fused = ranking.fused({one.passage: one.score for one in candidates}, cosines)
    known = tx.entities.many({one.entity for one in candidates}, *conditions)
    told = {entity: {noted.id: noted for noted in noteds} for entity, noteds in _visible(tx, [*known.values()]).items()}
    items: list[ContextItem] = []
    for candidate in candidates:
        one = known.get(candidate.entity)
        if one is None:
            continue
        score = fused[candidate.passage] + sum(ranking.standing(standing_of(tx, one)).values())
        noted = told[one.id].get(candidate.part)
        if noted is not None:
            items.append(
                ContextItem(
                    "relevant", noted.text, 0, round(score, 4), one.id, one.state.name, noted.id, at=noted.at,
                    origin=noted.origin,
                )
            )  # fmt: skip
        elif not candidate.part:
            # Its name, type or properties answer: what is known of it is what to tell.
            items += [
                msgspec.structs.replace(item, part="relevant", score=round(score, 4))
                for item in [*_state([one]), *_said(tx, "relevant", [one])][:3]
            ]
    return sorted(items, key=lambda item: -item.score)


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
