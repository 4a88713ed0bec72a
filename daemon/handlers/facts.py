"""Facts: each goes to the entity that it is about, with who said it, where, and how sure it is."""

from typing import Literal

import msgspec

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.facts import AutoExtractFacts, Extracted, Fact, StoreFacts
from enhanced_memory.client.operations.relations import CreateRelations
from enhanced_memory.client.values import EntityInput, ObservationInput, OriginInput, RelationInput, Source
from enhanced_memory.daemon.conflicts.statements import plain
from enhanced_memory.daemon.handlers.editing import add, copy, put
from enhanced_memory.daemon.handlers.entities import create_entities
from enhanced_memory.daemon.handlers.moments import stream_of
from enhanced_memory.daemon.handlers.relations import create_relations
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.text import check_name, check_text


@AutoExtractFacts.handler
def auto_extract_facts(tx: Tx, ask: AutoExtractFacts) -> Extracted:
    """What was found before the transaction; stored here as far as it is sure enough."""
    found = tx.call.facts
    if found is None:
        raise Invalid("Nothing was extracted.", "ask the daemon, which extracts before it stores")
    facts = [
        fact if fact.status == "known" else msgspec.structs.replace(fact, status=_status(fact, ask))
        for fact in found.facts
    ]
    stream = stream_of(tx, ask.stream).id if ask.stream is not None else None
    return _kept(tx, found, facts, ask.session_id or "", found.method, [Source(stream)] if stream is not None else [])


def _status(fact: Fact, ask: AutoExtractFacts) -> Literal["stored", "unsure", "found"]:
    return "found" if not ask.auto_store else "stored" if fact.confidence >= ask.threshold else "unsure"


@StoreFacts.handler
def store_facts(tx: Tx, ask: StoreFacts) -> Extracted:
    """All of them, or none where one cannot be kept. Secrets were masked, and what is known was found out, before."""
    found = tx.call.facts
    if found is None:
        raise Invalid("Nothing was looked at.", "ask the daemon, which masks before it stores")
    return _kept(tx, found, found.facts, ask.session_id or "", "host", [], [one.sources for one in ask.facts])


def _kept(
    tx: Tx, found: Extracted, facts: list[Fact], session: str, method: str, sources: list[Source],
    own: list[list[Source]] | None = None,
) -> Extracted:  # fmt: skip
    check_text(session, "The session", tx.settings.max_name_chars)
    subjects: dict[str, list[int]] = {}
    for place, fact in enumerate(facts):
        check_name(fact.subject, "A fact's subject", tx.settings.max_name_chars)
        if fact.status == "stored":
            subjects.setdefault(fact.subject, []).append(place)
    for subject, places in subjects.items():
        known = tx.entities.find(subject)
        said = {plain(noted.text) for noted in known.state.observations} if known is not None else set[str]()
        told: list[str | ObservationInput] = []
        for place in places:
            fact = facts[place]
            if plain(fact.text) in said:
                facts[place] = msgspec.structs.replace(fact, status="known", entity=known.id if known else None)
                continue
            said.add(plain(fact.text))
            told.append(_observation(fact, session, method, sources + (own[place] if own else [])))
        if told:
            entity = _given(tx, known, subject, facts[places[0]].subject_type, told, _tags(facts, places))
            for place in places:
                if facts[place].status == "stored" or facts[place].entity is None:
                    facts[place] = msgspec.structs.replace(facts[place], entity=entity)
    edges = [
        RelationInput(from_=fact.subject, to=fact.other, type=fact.relation)
        for fact in facts
        if fact.status == "stored" and fact.relation and fact.other
    ]
    if edges:
        create_relations(tx, CreateRelations(edges))
    return msgspec.structs.replace(
        found,
        facts=facts,
        count=len(facts),
        stored=sum(fact.status == "stored" for fact in facts),
        entity_ids=sorted({fact.entity for fact in facts if fact.status == "stored" and fact.entity is not None}),
        space=tx.space_name,
    )


def _given(
    tx: Tx, known: Stored | None, subject: str, kind: str, told: list[str | ObservationInput], tags: list[str]
) -> int:
    """The id of the entity of a subject, which says `told` from now on: one that is called so, or a new one."""
    if known is None:
        return (
            create_entities(tx, CreateEntities([EntityInput(subject, kind or "person", told, tags=tags)])).results[0].id
        )
    state = copy(known.state)
    add(tx, state, told)
    state.tags += [tag for tag in tags if tag not in state.tags]
    return put(tx, known, state).id


def _observation(fact: Fact, session: str, method: str, sources: list[Source]) -> ObservationInput:
    return ObservationInput(
        fact.text,
        confidence=fact.confidence,
        origin=OriginInput(session=session, method=method, trust=fact.trust),
        sources=sources,
        said=fact.source,
        speaker=fact.speaker,
    )


def _tags(facts: list[Fact], places: list[int]) -> list[str]:
    """The kinds of fact that an entity has, to be filtered by."""
    return sorted({facts[place].kind for place in places if facts[place].status == "stored" and facts[place].kind})
