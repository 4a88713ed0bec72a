"""Summaries: what a stream or an entity says in short, and keeping it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.relations import CreateRelations
from enhanced_memory.client.operations.summaries import StoreSummary, Summarized, SummarizeEntity, Told
from enhanced_memory.client.values import (
    TRUST_ORDER,
    EntityInput,
    Message,
    ObservationInput,
    OriginInput,
    Outcome,
    RelationInput,
    Trust,
)
from enhanced_memory.daemon.handlers.entities import create_entities
from enhanced_memory.daemon.handlers.filters import message_conditions
from enhanced_memory.daemon.handlers.relations import create_relations
from enhanced_memory.daemon.handlers.summing import gist_of
from enhanced_memory.daemon.handlers.told import details_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.text import check_data, check_text

if TYPE_CHECKING:
    from enhanced_memory.daemon.summary import Chosen

# What summarises needs NumPy, what masks many patterns: both are loaded when they are first used.

__all__ = ["text_of"]

TYPE = "summary"
SUMMARIZES = "summarizes"


@SummarizeEntity.handler
def summarize_entity(tx: Tx, ask: SummarizeEntity) -> Summarized:
    """Messages where there are any, observations otherwise."""
    known = tx.entities.get(ask.entity)
    total = tx.streams.count(known.id)
    messages = _messages(tx, known.id, ask.limit, ask.since) if total else []
    if total:
        gist = gist_of(messages, chars=ask.chars, events=ask.events)
    else:
        from enhanced_memory.daemon.summary import Line, summarize

        said = _said(known)
        total = len(said)
        gist = summarize([Line(noted.text, "", noted.id) for noted in said], ask.chars, ask.events)
    tx.call.used.append(known.id)
    return Summarized(
        known.id,
        known.state.name,
        gist.text,
        "messages" if messages else "observations",
        gist.lines,
        _told(gist.sentences),
        _told(gist.key_events),
        {name: _told(said) for name, said in list(gist.developments.items())[:20]},
        _told(gist.plot_points),
        gist.first,
        gist.last,
        total,
        _trust_of(tx, known, messages),
        space=tx.space_name,
    )


def text_of(tx: Tx, ask: SummarizeEntity) -> str:
    """What `summarize_entity` reads, as a model is given it: line by line with who says it, secrets masked."""
    from enhanced_memory.daemon.extraction.secrets import masked

    known = tx.entities.get(ask.entity)
    if tx.streams.count(known.id):
        heard = [one for one in _messages(tx, known.id, ask.limit, ask.since) if one.role != "system"]
        lines = [f"{one.speaker or one.role}: {one.content}" for one in heard]
    else:
        lines = [noted.text for noted in _said(known)]
    return masked("\n".join([known.state.name, *lines]))[0]


def _said(known: Stored) -> list[Noted]:
    """The observations of an entity, without those that are quarantined."""
    return [noted for noted in known.state.observations if not (noted.extra or {}).get("quarantined")]


def _messages(tx: Tx, stream: int, limit: int, since: int | None) -> list[Message]:
    conditions, values = message_conditions([], [], [])
    if since is not None:
        conditions.append("beyond_up")
        values |= {"beyond": since, "beyond_id": since}
        return tx.streams.read(stream, *conditions, limit=limit, **values)
    return tx.streams.read(stream, *conditions, down=True, limit=limit, **values)[::-1]


def _told(chosen: "Iterable[Chosen]") -> list[Told]:
    return [Told(one.text, one.line, one.speaker, one.score) for one in chosen]


def _trust_of(tx: Tx, known: Stored, messages: Sequence[Message]) -> Trust:
    """The least trusted of what is summarised: a tool's line makes all of it a tool's."""
    if messages:
        changes = tx.log.changes({one.change for one in messages})
        trusts: list[Trust] = [change.origin.trust for change in changes.values()]
        if any(one.role == "tool" for one in messages):
            trusts.append("tool")
    else:
        trusts = [noted.origin.trust for noted in details_of(tx, [known])[known.id]]
    return TRUST_ORDER[max(map(TRUST_ORDER.index, trusts))] if trusts else "agent"


@StoreSummary.handler
def store_summary(tx: Tx, ask: StoreSummary) -> Outcome:
    """A new entity each time: a summary is of a moment. Secrets are masked."""
    from enhanced_memory.daemon.extraction.secrets import masked

    known = tx.entities.get(ask.entity)
    limit = tx.settings.max_text_chars
    check_text(ask.text, "The summary", limit)
    text, _ = masked(ask.text)
    properties = {
        "of": known.id,
        "first": ask.first,
        "last": ask.last,
        "key_events": [masked(one)[0] for one in ask.key_events],
        "developments": {name: [masked(one)[0] for one in said] for name, said in ask.developments.items()},
        "plot_points": [masked(one)[0] for one in ask.plot_points],
    }
    check_data(properties, "A property", limit)
    messages = _covered(tx, known.id, ask.first, ask.last)
    origin = OriginInput(method=ask.method, trust=_trust_of(tx, known, messages))
    name = f"Summary of {known.state.name}"[: tx.settings.max_name_chars]
    given = EntityInput(name, TYPE, [ObservationInput(text, origin=origin)], properties)
    made = create_entities(tx, CreateEntities([given])).results[0]
    create_relations(tx, CreateRelations([RelationInput(from_=made.id, to=known.id, type=SUMMARIZES)]))
    return made


def _covered(tx: Tx, stream: int, first: int, last: int) -> list[Message]:
    """The messages that a summary is of, the newest thousand at the most; all of a stream where it does not say."""
    conditions, values = message_conditions([], [], [])
    if last:
        conditions.append("before_message")
        values["before"] = last + 1
    return [one for one in tx.streams.read(stream, *conditions, down=True, limit=1000, **values) if one.id >= first]
