"""Search: entities and messages by words and by meaning."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.operations.search import (
    MessageSearch,
    SearchMessages,
    SearchNodes,
    SearchResult,
    SearchStreams,
    StreamHit,
    StreamSearch,
)
from enhanced_memory.client.values import Hit, MessageHit
from enhanced_memory.daemon import ranking
from enhanced_memory.daemon.ageing import relevance
from enhanced_memory.daemon.handlers.filters import entity_conditions, equals, message_conditions
from enhanced_memory.daemon.handlers.moments import look_back, stream_of
from enhanced_memory.daemon.handlers.near import apart, as_many_near, meant, meant_among
from enhanced_memory.daemon.handlers.saying import Fit, Wanted, shown_of
from enhanced_memory.daemon.handlers.told import entities_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.narrowing import passages_of, within
from enhanced_memory.daemon.store.substring import containing, holds
from enhanced_memory.daemon.store.terms import terms
from enhanced_memory.daemon.store.words import MAX_CANDIDATES, Candidate
from enhanced_memory.daemon.times import millis

_AT_LEAST = 100
"""Passages looked at, however few entities are wanted: an entity may have several."""

_SUBSTRING_BODIES = {False: 1_000, True: 50_000}
"""Bodies opened to look for the query as it stands: where words found too little, and where the caller asks for it."""

_ALWAYS = {"not_expired", "not_quarantined"}
"""Conditions that nearly everything meets: judged on what was found, where that needs no look at each match."""

_ECHOES = 20
"""Messages looked at beyond the limit, for those that take the place of others that say the same."""

_LOOKED_AT = 1_000
"""Messages looked at for the streams that they are of."""

_COUNTED = 2_000
"""Entities opened at a time to be counted."""


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
    if not query and tx.call.meaning is None:
        return _all(tx, ask, wants, conditions, values)

    if not query:
        return _nearest(tx, ask, wants, conditions, values)
    before_the_cut = conditions if set(conditions) - _ALWAYS else []
    exact = tx.entities.named_in_any_scope(query)
    few = within(tx, ask.tags, equals(ask.where), values.get("types", ""))
    wanted, whole = max(_AT_LEAST, upto * 4), False
    while True:
        candidates, more = ([], False) if few == set() else tx.words.matching(
            query, wanted, tx.view, False, 0, *before_the_cut, enough=max(_AT_LEAST // 2, upto * 2), whole=whole, among=few or (),
            now=tx.now, **values,
        )  # fmt: skip
        # Who wants the query as it stands wants text: what is merely near in meaning would make every search find something.
        if ask.substring:
            cosines = dict[int, float]()
        elif few is not None:
            candidates, cosines, cut = meant_among(tx, candidates, wanted, few, wants)
            more = more or cut
        else:
            candidates, cosines = meant(tx, candidates, wanted, messages=False)
            # The nearest are judged by the filters after they were found: where so many were, there may be more.
            more = more or (bool(before_the_cut) and as_many_near(cosines, wanted))
        words = {one.passage: one.score for one in candidates}
        fused = ranking.fused(words, cosines)
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
        if len(known) > upto or not more or wanted >= MAX_CANDIDATES:
            break
        wanted, whole = wanted * 8, True
    arms = ["names", "words", *(["meaning"] if tx.call.meaning is not None and not ask.substring else [])]
    holding: set[int] = set()
    if query and (ask.substring or len(known) < upto):
        bodies = _SUBSTRING_BODIES[ask.substring]
        if few is not None and len(few) <= bodies:
            left, complete = tx.entities.many(few, *conditions, **values), True
            others = {entity: one for entity, one in left.items() if holds(one.state, ask.query.lower())}
        else:
            ids, complete = containing(tx, tx.entities, ask.query, bodies, tx.view, *conditions, **values)
            others = tx.entities.many(ids)
        arms.append("substring")
        fits |= wants.of(tx, others.values())
        holding.update(entity for entity, one in others.items() if _holds(one, fits[entity], ask.query))
        known |= {entity: one for entity, one in others.items() if entity in holding}
        more = more or (ask.substring and not complete)
    known = {entity: shown_of(one, fits[entity]) for entity, one in known.items()}
    nothing: tuple[float, list[Candidate]] = (0.0, [])
    gains = {
        entity: {
            "fused": scored.get(entity, nothing)[0],
            "name": ranking.name_bonus(one.state.name, query),
            "substring": ranking.SUBSTRING if ask.substring and entity in holding else 0.0,
        }
        | ranking.standing(standing_of(tx, one))
        for entity, one in known.items()
    }
    scores = {entity: sum(each.values()) for entity, each in gains.items()}
    best = sorted(known.values(), key=lambda one: (-scores[one.id], one.id))
    chosen = best[ask.offset : upto]
    tx.call.used += [one.id for one in chosen]
    sought = terms(query)
    hits: list[Hit] = []
    for one, entity in zip(chosen, entities_of(tx, chosen, ask.details), strict=True):
        passages = scored.get(entity.id, nothing)[1]
        explained: dict[str, float] = {}
        if ask.explain:
            explained = _arms([one.passage for one in passages], words, cosines) | gains[entity.id]
        hits.append(Hit(entity, round(scores[entity.id], 4), *_where(one, passages, sought, query), _told(explained)))
    total = _counted(tx, wants, query, conditions, values) if ask.count else None
    return SearchResult(hits, arms, tx.space_name, len(best) > upto or more, total)


def _all(tx: Tx, ask: SearchNodes, wants: Wanted, conditions: list[str], values: dict[str, Any]) -> SearchResult:
    """What an empty query finds: everything that meets the filters, newest change first."""
    upto = ask.offset + ask.limit
    within = ask.session is not None or ask.agent is not None or ask.minimum_trust is not None
    wanted = None if ask.count else upto + 1
    found: list[Stored] = []
    beyond: tuple[Any, int] | None = None
    while True:
        page = tx.entities.page(
            *conditions, key="key_updated", down=True, limit=_COUNTED if wanted is None or within else wanted, beyond=beyond, **values
        )  # fmt: skip
        fits = wants.of(tx, page)
        found += [shown_of(one, fits[one.id]) for one in page if fits[one.id].wanted]
        if len(page) < (_COUNTED if wanted is None or within else wanted) or (
            wanted is not None and len(found) >= wanted
        ):
            break
        beyond = (page[-1].place, page[-1].id)
    hits = [Hit(entity, 0.0) for entity in entities_of(tx, found[ask.offset : upto], ask.details)]
    return SearchResult(hits, ["all"], tx.space_name, len(found) > upto, len(found) if ask.count else None)


def _nearest(tx: Tx, ask: SearchNodes, wants: Wanted, conditions: list[str], values: dict[str, Any]) -> SearchResult:
    """What a vector alone finds: the entities with the nearest passages, by nothing but how near; as many as asked for, if so many meet the filters."""
    meaning = tx.call.meaning
    assert meaning is not None
    upto = ask.offset + ask.limit
    wanted = max(_AT_LEAST, upto * 4)
    ids = within(tx, ask.tags, equals(ask.where), values.get("types", ""))
    few = None if ids is None or not apart(tx, ids, wants) else passages_of(tx, ids)
    while True:
        if few is not None:
            cosines = meaning.cosines(tx, [one.passage for one in few])
            pool = [one for one in few if one.passage in cosines]
        else:
            cosines = dict(meaning.nearest(tx, wanted, False, among=ids or ()))
            pool = tx.words.seen(tx.vectors.passages(cosines), tx.view)
        # The nearest first, so that no more are opened than are told.
        pool.sort(key=lambda one: (-cosines[one.passage], one.entity))
        known, fits, best = dict[int, Stored](), dict[int, Fit](), dict[int, Candidate]()
        for begin in range(0, len(pool), _AT_LEAST):
            some = pool[begin : begin + _AT_LEAST]
            opened = tx.entities.many({one.entity for one in some} - known.keys(), *conditions, **values)
            known |= opened
            fits |= wants.of(tx, opened.values())
            for one in some:
                if one.entity in known and fits[one.entity].wanted and fits[one.entity].through(one.part):
                    best.setdefault(one.entity, one)
            if len(best) > upto:
                break
        if few is not None or len(best) > upto or len(cosines) < wanted or wanted >= MAX_CANDIDATES:
            break
        wanted *= 8
    ranked = list(best.values())
    chosen = ranked[ask.offset : upto]
    tx.call.used += [one.entity for one in chosen]
    shown = [shown_of(known[one.entity], fits[one.entity]) for one in chosen]
    hits: list[Hit] = []
    for place, entity in enumerate(entities_of(tx, shown, ask.details)):
        one, cosine = chosen[place], round(cosines[chosen[place].passage], 4)
        where = _where(shown[place], [one], terms(""), "")
        hits.append(Hit(entity, cosine, *where, {"meaning": cosine} if ask.explain else {}))
    total = _counted(tx, wants, "", conditions, values) if ask.count else None
    return SearchResult(hits, ["meaning"], tx.space_name, len(ranked) > upto, total)


def _counted(tx: Tx, wants: Wanted, query: str, conditions: list[str], values: dict[str, Any]) -> int:
    ids = sorted(tx.words.entities_with(query, tx.view))
    if wants.session is None and wants.agent is None and wants.minimum_trust is None:
        # Whatever an entity says, it is wanted: none has to be opened.
        return len(tx.entities.living(ids, *conditions, **values))
    return sum(
        fit.wanted
        for begin in range(0, len(ids), _COUNTED)
        for fit in wants.of(
            tx, tx.entities.many(ids[begin : begin + _COUNTED], *conditions, **values).values()
        ).values()
    )


def standing_of(tx: Tx, one: Stored) -> ranking.Standing:
    """An entity, as far as its rank depends on what it is."""
    own = one.state.attributes
    return ranking.Standing(
        own.get("tier") or 0,
        own.get("priority", 5),
        own.get("importance") or 0.0,
        bool(own.get("pinned")),
        tx.now - one.touched_at,
        own.get("relevance", 1.0),
        relevance(1.0, one.last_at, tx.now, tx.settings.relevance_half_life_days),
    )


def _arms(passages: Iterable[int], words: dict[int, float], cosines: dict[int, float]) -> dict[str, float]:
    """The best score of each arm for any of the passages."""
    found: dict[str, float] = {}
    for name, scores in (("words", words), ("meaning", cosines)):
        best = max((scores.get(one, 0.0) for one in passages), default=0.0)
        if best:
            found[name] = best
    return found


def _told(explained: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in explained.items() if value}


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
    stream = stream_of(tx, ask.stream).id if ask.stream is not None else 0
    conditions, values = message_conditions(ask.roles, ask.kinds, ask.speakers, ask.since, ask.until)
    wanted, whole, some_dead = max(ranking.POOL, ask.limit * 2), False, False
    if tx.call.meaning is not None and not tx.call.crowded:
        tx.call.meaning.begin(tx.view, wanted, stream)
    while True:
        candidates, more = tx.words.matching(
            ask.query, wanted, tx.view, True, stream, *conditions, enough=max(ranking.POOL // 2, ask.limit * 2), whole=whole,
            **values,
        )  # fmt: skip
        pool, cosines = meant(tx, candidates, wanted, messages=True, stream=stream)
        heads = tx.streams.heads([one.message for one in pool], *conditions, **values)
        pool = [one for one in pool if one.message in heads]
        if some_dead:
            living = tx.entities.living({one.entity for one in pool})
            pool = [one for one in pool if one.entity in living]
        if len(pool) <= ask.limit and more and wanted < MAX_CANDIDATES:
            wanted, whole = wanted * 8, True
            continue
        lines = [
            ranking.Line(
                one.passage, one.score, cosines.get(one.passage, 0.0), head.speaker, head.role, head.length, head.stream,
                tx.now - head.at, head.importance or 0.0,
            )
            for one in pool
            for head in (heads[one.message],)
        ]  # fmt: skip
        near_top = ranking.order(ask.query, lines, ask.limit + _ECHOES)
        streams_near_top = {one.line.stream for one in near_top}
        if some_dead or tx.entities.living(streams_near_top) == streams_near_top:
            break
        some_dead = True  # a stream was deleted, which is rare: only then are all looked at
    # What they say is read of those alone that may be told.
    message_of = {one.passage: one.message for one in pool}
    known = tx.streams.many([message_of[one.line.passage] for one in near_top])
    said = {one.line.passage: known[message_of[one.line.passage]] for one in near_top}
    chosen = ranking.without_echoes(near_top, {passage: message.content for passage, message in said.items()})[
        : ask.limit
    ]
    streams = tx.entities.many({one.line.stream for one in chosen})
    words = {one.passage: one.score for one in pool}
    sought = terms(ask.query)
    hits = [
        MessageHit(
            said[one.line.passage],
            streams[one.line.stream].state.name,
            round(one.score, 4),
            ranking.snippet(said[one.line.passage].content, sought),
            _told(_arms([one.line.passage], words, cosines) | one.explained) if ask.explain else {},
        )
        for one in chosen
    ]
    arms = ["words", "meaning"] if tx.call.meaning is not None else ["words"]
    total = _messages_counted(tx, ask, stream, conditions, values) if ask.count else None
    return MessageSearch(hits, arms, tx.space_name, len(pool) > ask.limit or more, total)


@SearchStreams.handler
def search_streams(tx: Tx, ask: SearchStreams) -> StreamSearch:
    """Whose passages matched is known without a look at the messages."""
    wanted = max(_LOOKED_AT, 8 * ask.limit)
    found, more = tx.words.matching(ask.query, wanted, tx.view, True, enough=wanted)
    score: dict[int, float] = {}
    count = Counter(one.entity for one in found)
    for one in found:
        score[one.entity] = max(one.score, score.get(one.entity, one.score))
    streams = tx.entities.many(score)
    types = {one.casefold() for one in ask.types}
    known = [one for one in streams.values() if not types or one.state.type.casefold() in types]
    known.sort(key=lambda one: (-score[one.id], one.id))
    hits = [
        StreamHit(one.id, one.state.name, one.state.type, round(score[one.id], 4), count[one.id])
        for one in known[: ask.limit]
    ]
    return StreamSearch(hits, tx.space_name, len(known) > ask.limit or more)


def _messages_counted(tx: Tx, ask: SearchMessages, stream: int, conditions: list[str], values: dict[str, Any]) -> int:
    """Those of streams that were deleted do not count, as they are not found."""
    if tx.view.now:
        counts = tx.words.messages_by_stream(ask.query, tx.view, stream, *conditions, **values)
    else:
        every, _ = tx.words.matching(ask.query, MAX_CANDIDATES, tx.view, True, stream, beside=False)
        known = tx.streams.heads([one.message for one in every], *conditions, **values)
        counts = Counter(head.stream for head in known.values())
    living = tx.entities.living(counts)
    return sum(count for one, count in counts.items() if one in living)
