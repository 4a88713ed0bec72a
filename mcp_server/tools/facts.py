"""Facts as tools: found by rules under the guide's keys, or found by the host's own model and kept."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from enhanced_memory.client.operations import facts, summaries
from enhanced_memory.client.operations.facts import Extracted, Fact, FactKind
from enhanced_memory.client.values import Confidence
from enhanced_memory.mcp_server.tools.declaration import Call, Structured, Tool

__all__ = ["FACTS", "STORE_FACTS"]


class ConversationArguments(msgspec.Struct):
    """What `auto_extract_facts` takes."""

    conversation_text: Annotated[str, Meta(description="`Name: …` begins a turn")]
    session_id: str | None = None
    auto_store: bool = True


async def _extract(call: Call, given: ConversationArguments) -> Structured:
    request = facts.AutoExtractFacts(given.conversation_text, given.session_id, given.auto_store)
    found = await call.ask(request)
    shown = _shown(found, given.session_id)
    stored = {"stored": given.auto_store and found.stored > 0}
    return shown | stored | ({"entity_ids": found.entity_ids} if stored["stored"] else {})


def _shown(found: Extracted, session: str | None) -> Structured:
    shown: Structured = {
        "success": True,
        "facts": [_fact(one, session, found.method) for one in found.facts],
        "count": found.count,
    }
    if found.masked:
        shown["masked"] = found.masked
    return shown


def _fact(one: Fact, session: str | None, method: str) -> Structured:
    """A fact under the guide's keys, and what there is beyond them."""
    told: Structured = {
        "name": one.subject,
        "entityType": one.subject_type,
        "observations": [one.text],
        "source_session": session,
        "extraction_method": "auto" if method == "rules" else method,
        "kind": one.kind,
        "confidence": one.confidence,
        "status": one.status,
    }
    for name in ("speaker", "source"):
        if getattr(one, name):
            told[name] = getattr(one, name)
    return told | ({"trust": one.trust} if one.trust != "agent" else {})


EXTRACT_FACTS = Tool(
    name=facts.AutoExtractFacts.op,
    title="Extract facts",
    description="Extract facts from a conversation by rules, and store the sure ones. You find more: store_facts.",
    takes=ConversationArguments,
    ask=_extract,
    repeatable=True,
)


class FactArguments(msgspec.Struct):
    """One fact."""

    text: Annotated[str, Meta(min_length=1, description="Short")]
    kind: FactKind = "profile"
    subject: Annotated[str, Meta(min_length=1, description="user, a person, a project")] = "user"
    source: Annotated[str, Meta(description="Its sentence")] = ""
    confidence: Confidence | None = None


class FactsArguments(msgspec.Struct):
    """What `store_facts` takes."""

    facts: Annotated[list[FactArguments], Meta(min_length=1, max_length=1000)]
    session_id: str | None = None


async def _store(call: Call, given: FactsArguments) -> Structured:
    told = [
        facts.FactInput(one.text, one.kind, one.subject, confidence=one.confidence, source=one.source)
        for one in given.facts
    ]
    found = await call.ask(facts.StoreFacts(told, given.session_id))
    shown: Structured = {
        "stored": found.stored,
        "known": [one.text for one in found.facts if one.status == "known"],
        "entity_ids": found.entity_ids,
    }
    return shown | ({"masked": found.masked} if found.masked else {})


STORE_FACTS = Tool(
    name=facts.StoreFacts.op,
    title="Store facts",
    description="Store facts that you found in a conversation, each with the sentence it rests on.",
    takes=FactsArguments,
    ask=_store,
    repeatable=True,
)


async def _answered(call: Call, request: Any) -> Structured:
    answer = await call.ask(request)
    shown: Structured = msgspec.to_builtins(answer)
    return shown | ({"text": answer.text} if isinstance(answer, summaries.Summarized) else {})


FACTS = (
    EXTRACT_FACTS,
    STORE_FACTS,
    Tool(
        name=summaries.SummarizeEntity.op,
        title="Summarize entity",
        description="Summarize a stream or an entity: its telling sentences, key events, developments.",
        takes=summaries.SummarizeEntity,
        ask=_answered,
        hidden=frozenset({"events", "since"}),
        reads=True,
        repeatable=True,
    ),
    Tool(
        name=summaries.StoreSummary.op,
        title="Store summary",
        description="Store a summary that you wrote of a stream or an entity.",
        takes=summaries.StoreSummary,
        ask=_answered,
        hidden=frozenset({"key_events", "developments", "plot_points", "first", "last", "method", "message"}),
    ),
)
"""The toolset `facts`."""
