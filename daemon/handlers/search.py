"""Search: entities and messages by words and by meaning."""

import msgspec

from enhanced_memory.client.operations.search import MessageSearch, SearchMessages, SearchNodes, SearchResult
from enhanced_memory.client.values import Hit, MessageHit
from enhanced_memory.daemon import ranking
from enhanced_memory.daemon.handlers.filters import as_json, entity_conditions
from enhanced_memory.daemon.handlers.moments import look_back
from enhanced_memory.daemon.handlers.saying import Fit, Wanted, shown_of
from enhanced_memory.daemon.handlers.told import entities_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.substring import containing, holds
from enhanced_memory.daemon.store.words import Candidate, match_any, terms
from enhanced_memory.daemon.times import millis

_AT_LEAST = 100
"""Passages looked at, however few entities are wanted: an entity may have several."""

_SUBSTRING_BODIES = {False: 1_000, True: 50_000}
"""Bodies opened to look for the query as it stands: where words found too little, and where the caller asks for it."""


@SearchNodes.handler
def search_nodes(tx: Tx, ask: SearchNodes) -> SearchResult:
    """Names first, then the words of the query in any passage of an entity."""
    look_back(tx, ask.at)
    conditions, values = entity_conditions(
        types=ask.types,
        tiers=list(ask.tiers),
        tags=ask.tags,
        where=ask.where,
        quarantined=None if ask.quarantined else False,
        since=millis(ask.since, "since") if ask.since else None,
        until=millis(ask.until, "until") if ask.until else None,
    )
    wants = Wanted(ask.session, ask.agent, ask.minimum_trust, ask.valid_at, ask.quarantined)
    query = ask.query.strip()
    upto = ask.offset + ask.limit
    if not query:
        found = tx.entities.page(*conditions, key="key_updated", down=True, limit=upto + 1, **values)
        fits = wants.of(tx, found)
        found = [shown_of(one, fits[one.id]) for one in found if fits[one.id].wanted]
        hits = [Hit(entity, 0.0) for entity in entities_of(tx, found[ask.offset : upto], ask.details)]
        return SearchResult(hits, ["all"], tx.space_name, len(found) > upto)

    exact = tx.entities.named_in_any_scope(query)
    wanted = max(_AT_LEAST, upto * 4)
    while True:
        candidates, more = tx.words.matching(match_any(query), wanted, tx.view, messages=False)
        # Who wants the query as it stands wants text: what is merely near in meaning would make every search find something.
        candidates, cosines = (candidates, {}) if ask.substring else _meant(tx, candidates, wanted, messages=False)
        fused = ranking.fused({one.passage: one.score for one in candidates}, cosines)
        known = tx.entities.many({*(one.entity for one in candidates), *exact}, *conditions, **values)
        fits = wants.of(tx, known.values())
        scored = ranking.by_entity(
            msgspec.structs.replace(one, score=fused[one.passage])
            for one in candidates
            if one.entity in known and fits[one.entity].through(one.part)
        )
        known = {
            entity: one
            for entity, one in known.items()
            if fits[entity].wanted and (entity in scored or entity in exact)
        }
        if len(known) > upto or not more:
            break
        wanted *= 8
    arms = ["names", "words", *(["meaning"] if tx.call.meaning is not None and not ask.substring else [])]
    holding: set[int] = set()
    if ask.substring or len(known) < upto:
        ids, complete = containing(
            tx, tx.entities, ask.query, _SUBSTRING_BODIES[ask.substring], tx.view, *conditions, **values
        )
        arms.append("substring")
        others = tx.entities.many(ids)
        fits |= wants.of(tx, others.values())
        holding.update(entity for entity, one in others.items() if _holds(one, fits[entity], ask.query))
        known |= {entity: one for entity, one in others.items() if entity in holding}
        more = more or (ask.substring and not complete)
    known = {entity: shown_of(one, fits[entity]) for entity, one in known.items()}
    nothing: tuple[float, list[Candidate]] = (0.0, [])
    scores = {
        entity: scored.get(entity, nothing)[0]
        + ranking.name_bonus(one.state.name, query)
        + (ranking.SUBSTRING if ask.substring and entity in holding else 0.0)
        for entity, one in known.items()
    }
    best = sorted(known.values(), key=lambda one: (-scores[one.id], one.id))
    chosen = best[ask.offset : upto]
    tx.call.used += [one.id for one in chosen]
    sought = terms(query)
    hits = [
        Hit(entity, round(scores[entity.id], 4), *_where(one, scored.get(entity.id, nothing)[1], sought, query))
        for one, entity in zip(chosen, entities_of(tx, chosen, ask.details), strict=True)
    ]
    return SearchResult(hits, arms, tx.space_name, len(best) > upto or more)


def _where(one: Stored, passages: list[Candidate], sought: list[str], query: str) -> tuple[str, list[str]]:
    """The snippet of a hit, and in which of its parts the words, or the query as it stands, are."""
    if not passages:
        needle = query.lower()
        texts = [noted.text for noted in one.state.observations]
        held = next((text for text in texts if needle in text.lower()), None)
        parts = ["name"] if needle in one.state.name.lower() else []
        return ranking.snippet(held or next(iter(texts), ""), [query]), parts + (
            ["observation"] if held is not None else []
        )
    texts = {noted.id: noted.text for noted in one.state.observations}
    parts = {passage.part for passage in passages}
    matched = ["observation"] if parts - {0} else []
    if 0 in parts or ranking.name_bonus(one.state.name, query) >= ranking.SAME_NAME:
        matched.insert(0, "name")
    best = next((texts[passage.part] for passage in passages if passage.part in texts), next(iter(texts.values()), ""))
    return ranking.snippet(best, sought), matched


def _holds(one: Stored, fit: Fit, query: str) -> bool:
    """Whether what may be found of an entity contains the query as it stands."""
    if not fit.wanted:
        return False
    if fit.found_by is None:
        return True
    kept = [noted for noted in one.state.observations if noted.id in fit.found_by]
    return holds(msgspec.structs.replace(one.state, observations=kept), query.lower())


@SearchMessages.handler
def search_messages(tx: Tx, ask: SearchMessages) -> MessageSearch:
    """The words of the query in any message; an empty query finds nothing."""
    look_back(tx, ask.at)
    stream = tx.entities.get(ask.stream).id if ask.stream is not None else 0
    conditions: list[str] = []
    values: dict[str, object] = {}
    for name, key, given in (
        ("of_roles", "roles", ask.roles),
        ("of_kinds", "kinds", ask.kinds),
        ("of_speakers", "speakers", ask.speakers),
    ):
        if given:
            conditions.append(name)
            values[key] = as_json(given)
    for name, key, when in (("said_since", "since", ask.since), ("said_until", "until", ask.until)):
        if when is not None:
            conditions.append(name)
            values[key] = millis(when, key)
    match = match_any(ask.query)
    wanted = max(ranking.POOL, ask.limit * 2)
    while True:
        candidates, more = tx.words.matching(match, wanted, tx.view, messages=True, stream=stream)
        pool, cosines = _meant(tx, candidates, wanted, messages=True, stream=stream)
        known = tx.streams.many([one.message for one in pool], *conditions, **values)
        streams = tx.entities.many({message.stream for message in known.values()})
        pool = [one for one in pool if one.message in known and one.entity in streams]
        if len(pool) > ask.limit or not more:
            break
        wanted *= 8
    of = {one.passage: known[one.message] for one in pool}
    lines = [
        ranking.Line(
            one.passage,
            one.score,
            cosines.get(one.passage, 0.0),
            said.speaker,
            said.role,
            len(said.content.split()),
            said.stream,
        )
        for one in pool
        for said in (of[one.passage],)
    ]
    ranked = ranking.order(ask.query, lines)
    sought = terms(ask.query)
    hits = [
        MessageHit(
            of[line.passage],
            streams[line.stream].state.name,
            round(score, 4),
            ranking.snippet(of[line.passage].content, sought),
        )
        for line, score in ranked[: ask.limit]
    ]
    arms = ["words", "meaning"] if tx.call.meaning is not None else ["words"]
    return MessageSearch(hits, arms, tx.space_name, len(ranked) > ask.limit or more)


def _meant(
    tx: Tx, found: list[Candidate], count: int, messages: bool, stream: int = 0
) -> tuple[list[Candidate], dict[int, float]]:
    """What words found together with what is near in meaning, and how near each of them is."""
    meaning = tx.call.meaning
    if meaning is None:
        return found, {}
    near = {passage: cosine for passage, cosine in meaning.nearest(tx, count) if cosine >= ranking.NEAR}
    held = {one.passage for one in found}
    others = [
        one
        for one in tx.vectors.passages(near.keys() - held)
        if bool(one.message) is messages and (not stream or one.entity == stream)
    ]
    return found + tx.words.seen(others, tx.view), near | meaning.cosines(
        tx, [passage for passage in held if passage not in near]
    )
