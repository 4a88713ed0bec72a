"""Facts: found in a conversation by rules, or by a model elsewhere, and kept by whom they are about."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from enhanced_memory.client.request import Change
from enhanced_memory.client.values import Confidence, Number, Ref, Source, Trust, Value

FactKind = Literal["preference", "requirement", "decision", "plan", "habit", "profile", "relationship", "correction"]
"""What a fact tells: `profile` is what somebody or a project is and has; a `correction` says what is otherwise now."""

Text = Annotated[str, Meta(max_length=4_000_000)]


class Fact(Value, frozen=True):
    """A fact, where it comes from, and what became of it."""

    text: str
    kind: str
    subject: str
    """The entity that it is kept with: `user`, a person, a project."""
    subject_type: str
    confidence: float
    status: Literal["stored", "known", "unsure", "found"]
    """`known`: the entity says it already; `unsure`: below the threshold; `found`: nothing was to be stored."""
    speaker: str = ""
    source: str = ""
    """The sentence as it was said."""
    trust: Trust = "agent"
    message: int | None = None
    """The message of the stream that it was said in."""
    times: int = 1
    """How often it was said."""
    entity: int | None = None
    relation: str = ""
    other: str = ""


class Extracted(Value, frozen=True):
    """The facts of a conversation in its order, and what became of them."""

    facts: list[Fact]
    count: int = 0
    stored: int = 0
    """How many were new and were stored."""
    entity_ids: list[int] = []
    """The entities that they went to."""
    masked: dict[str, int] = {}
    """How many secrets were masked, by sort."""
    sentences: int = 0
    """How many were read."""
    language: str = ""
    method: str = "rules"
    """What found them: `rules`, a model's name, or `host`."""
    note: str = ""
    space: str = "default"


class SaidInput(msgspec.Struct, omit_defaults=True):
    """A message of a conversation, as chat interfaces have it."""

    content: Text
    role: str = "user"
    speaker: str = ""
    """A name, where several people speak."""


class AutoExtractFacts(Change[Extracted]):
    """Find facts in a conversation by grammar, without a model, and store those that are sure enough.

    The conversation is text (`Name: …` begins a turn), `messages`, or the newest messages of a `stream`. Facts of the speaker go
    to the entity `user`, others to the person or project; secrets are masked first.
    """

    conversation_text: Text = ""
    session_id: str | None = None
    auto_store: bool = True
    messages: Annotated[list[SaidInput], Meta(max_length=10_000)] = []
    stream: Ref | None = None
    after: Annotated[Number | None, Meta(description="only messages of the stream after this one")] = None
    threshold: Annotated[Confidence, Meta(description="store from this confidence on")] = 0.6
    project: Annotated[str, Meta(min_length=1, description="the entity that gets what `we` decided")] = "project"
    trust: Annotated[Trust | None, Meta(description="tool: the text is a tool's or a page's")] = None
    language: Annotated[str, Meta(description="en or de; empty: found out")] = ""
    message: str = ""


class FactInput(msgspec.Struct, omit_defaults=True):
    """A fact as a model found it."""

    text: Annotated[str, Meta(min_length=1, description="one fact, in a short sentence")]
    kind: FactKind = "profile"
    subject: Annotated[str, Meta(min_length=1, description="user, or the name of a person or project")] = "user"
    subject_type: str = ""
    confidence: Confidence | None = None
    source: Annotated[str, Meta(description="the sentence that says it, word for word")] = ""
    speaker: str = ""
    sources: list[Source] = []
    trust: Trust | None = None
    relation: Annotated[str, Meta(description="e.g. works_at, from the subject to `other`")] = ""
    other: str = ""


class StoreFacts(Change[Extracted]):
    """Keep facts that a model found, each with the sentence it rests on, by their subjects. What is known is not stored twice."""

    facts: Annotated[list[FactInput], Meta(min_length=1, max_length=1000)]
    session_id: str | None = None
    message: str = ""
