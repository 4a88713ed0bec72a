"""Summaries: what a stream or an entity says in short, and keeping what was made of it, here or by a model elsewhere."""

from typing import Annotated, Literal

from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import Number, Outcome, Ref, Trust, Value


class Told(Value, frozen=True):
    """A sentence that was chosen, who said it, and the message or observation that it is of."""

    text: str
    line: int
    speaker: str = ""
    score: float = 0.0


class Summarized(Value, frozen=True):
    """What something says in short. Every sentence is one of its own; each list is in the order of the text."""

    entity: int
    name: str
    text: str
    of: Literal["messages", "observations"]
    lines: int
    """How many were read."""
    sentences: list[Told] = []
    key_events: list[Told] = []
    """What happened."""
    developments: dict[str, list[Told]] = {}
    """By character: what they felt, thought, learnt, became."""
    plot_points: list[Told] = []
    """What decides how it goes on: decisions, plans, promises, discoveries, reversals."""
    first: int = 0
    last: int = 0
    """The range covered: ids of messages, or of observations."""
    total: int = 0
    """How many there are."""
    trust: Trust = "agent"
    """The least trusted of what was read."""
    method: str = "extractive"
    """`extractive`, or the model that wrote the text; the lists are sentences of the source in any case."""
    note: str = ""
    """Why a model that was to write it did not."""
    space: str = "default"


class SummarizeEntity(Question[Summarized]):
    """Tell in short what an entity says: the newest messages of a stream, or its observations where it has none.

    Without a model: the sentences that say most, each once, as they were said, each with its place. Nothing is written;
    `store_summary` keeps it, and `keep_summary` keeps that of a stream with the stream.
    """

    entity: Ref
    chars: Annotated[int, Meta(ge=50, le=20_000, description="about how long")] = 800
    events: Annotated[int, Meta(ge=0, le=50, description="key events and plot points at most")] = 5
    limit: Annotated[int, Meta(ge=1, le=10_000, description="messages at most, the newest")] = 1000
    since: Annotated[Number | None, Meta(description="only messages after this one")] = None


class StoreSummary(Change[Outcome]):
    """Keep a summary of a stream or an entity, whoever made it, as an entity of the type `summary` that `summarizes` it.

    It is trusted no more than what it summarises. Its properties are `key_events`, `developments`, `plot_points` and the range of
    messages covered, `first` to `last`.
    """

    entity: Ref
    text: Annotated[str, Meta(min_length=1)]
    key_events: list[str] = []
    developments: dict[str, list[str]] = {}
    plot_points: list[str] = []
    first: Number = 0
    last: Number = 0
    method: str = "host"
    message: str = ""
