"""Search: entities and messages by words."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from enhanced_memory.client.request import Question
from enhanced_memory.client.values import At, Filter, Hit, Limit, MessageHit, Origin, Ref, Tier, Trust, Value

Query = Annotated[str, Meta(max_length=100_000, description="words or a sentence")]
Vector = Annotated[list[float], Meta(min_length=1, max_length=8192, description="a query of your own model")]


class SearchResult(Value, frozen=True):
    """Hits, best first, with what was searched."""

    hits: list[Hit]
    arms: list[str]
    """What answered: `names`, `words`, `meaning`, `substring`, `all` (an empty query lists everything)."""
    space: str = "default"
    cut: bool = False
    """Whether there is more behind the last hit."""
    total: int | None = None
    """Where asked for: exactly how many entities meet the filters and hold any word of the query, stop words aside."""
    note: str = ""
    """Why words answered alone, where meaning should have, and what helps."""


class SearchNodes(Question[SearchResult]):
    """Find entities by words, best first; exact hits on names lead. An empty query lists entities, newest change first.

    Where words find fewer than `limit`, entities whose name, type or any observation contains the query as it stands follow,
    out of the 1,000 changed last. `substring` puts those in front, out of the 50,000 changed last, and leaves meaning aside.
    Filters are judged before the best are chosen. `count` also counts all that the words find, which takes as long as they are
    many; `explain` shows with each hit what every arm and every prior gave it.
    A `vector` without a query finds what is nearest, by nothing but how near: `score` is the cosine then.
    `session`, `agent`, `minimum_trust` and `valid_at` ask for one observation that fits all of them; where the last two are
    given, the others are not shown. `at` searches what was known then: after a change by its number, at a time
    (`2026-11-20T08:00:00Z`) or in a snapshot. `quarantined` brings what is hidden by default.
    """

    query: Query
    limit: Limit = 10
    offset: Annotated[int, Meta(ge=0, le=100_000, description="how many of the best to leave out")] = 0
    types: list[str] = []
    tiers: list[Tier] = []
    tags: list[str] = []
    where: list[Filter] = []
    since: datetime | None = None
    until: datetime | None = None
    session: str | None = None
    agent: str | None = None
    minimum_trust: Trust | None = None
    quarantined: bool = False
    substring: bool = False
    details: bool = False
    at: At | None = None
    valid_at: datetime | None = None
    count: bool = False
    explain: bool = False
    vector: Vector | None = None
    """What is sought, as a vector of `model`: instead of what `query` means, which may then be empty."""
    model: Annotated[str, Meta(max_length=200)] = ""
    """The name under which vectors of the same model were stored with memories (`not_found`: none were); empty: the daemon's own model."""


class MessageSearch(Value, frozen=True):
    """Messages, best first, with what was searched."""

    hits: list[MessageHit]
    arms: list[str]
    space: str = "default"
    cut: bool = False
    total: int | None = None
    """Where asked for: exactly how many messages meet the filters and hold any word of the query, stop words aside."""
    note: str = ""
    """Why words answered alone, where meaning should have, and what helps."""


class SearchMessages(Question[MessageSearch]):
    """Find messages by words, best first, in one stream or in all. `at`, `count` and `explain` as in `search_nodes`."""

    query: Query
    limit: Limit = 10
    stream: Ref | None = None
    roles: list[str] = []
    kinds: list[str] = []
    speakers: list[str] = []
    since: datetime | None = None
    until: datetime | None = None
    at: At | None = None
    count: bool = False
    explain: bool = False
    vector: Vector | None = None
    """What is sought, as a vector of `model`: instead of what `query` means, which may then be empty."""
    model: Annotated[str, Meta(max_length=200)] = ""
    """The name under which vectors of the same model were stored with messages; empty: the daemon's own model."""


class StreamHit(Value, frozen=True):
    """A stream in which something was said that was sought."""

    stream: int
    name: str
    type: str
    score: float
    """How well the best of its messages answers."""
    messages: int
    """How many of those that were looked at are its own."""


class StreamSearch(Value, frozen=True):
    """Streams, best first."""

    hits: list[StreamHit]
    space: str = "default"
    cut: bool = False
    """Whether there may be more."""


class SearchStreams(Question[StreamSearch]):
    """Find streams by words that were said in them, best first. What was said is not read, which `search_messages` does.

    The best thousand messages are looked at, or eight for each stream that is wanted; `types` names the types of streams
    (`session`, `character` …) that are told.
    """

    query: Query
    limit: Limit = 10
    types: list[str] = []


Part = Literal["pinned", "state", "relevant", "recent"]


class ContextItem(Value, frozen=True):
    """One thing worth knowing, and where it comes from."""

    part: Part
    text: str
    tokens: int
    score: float = 0.0
    """How well it answers the query; 0 for what is there without one."""
    entity: int | None = None
    name: str = ""
    """The entity's, or the stream's."""
    observation: int | None = None
    message: int | None = None
    speaker: str = ""
    at: datetime | None = None
    origin: Origin | None = None
    """Who said so; none for a property, which the entity's history tells of."""


class Context(Value, frozen=True):
    """What to know for a turn, within a budget."""

    items: list[ContextItem]
    """Pinned, state, relevant (best first), recent (oldest first)."""
    text: str
    """The same as text, a line for each item under the heading of its part."""
    tokens: int
    """Of `text`."""
    counted_by: str
    """`tiktoken o200k_base`, or how tokens are estimated where that is not installed with its data."""
    left_off: int = 0
    """Items that did not fit."""
    arms: list[str] = []
    space: str = "default"
    note: str = ""
    """Why words answered alone, where meaning should have, and what helps."""


class GetContext(Question[Context]):
    """What is worth knowing now: what is pinned, the state of the entities named, what the query finds, and the end of the stream.

    Each thing is told once, with where it comes from. The parts take the budget in that order, but none of the first three
    and `recent` more than its share (40, 20, all, 30 %) while another still wants it. What is quarantined or expired is left out.
    Without a query the last message of the stream is what is looked for. `at` as in `search_nodes`.
    """

    query: Annotated[str, Meta(max_length=100_000)] = ""
    stream: Ref | None = None
    entities: Annotated[list[Ref], Meta(max_length=100)] = []
    tokens: Annotated[int, Meta(ge=20, le=1_000_000, description="the budget")] = 2000
    recent: Annotated[int, Meta(ge=0, le=1000, description="messages of the stream at most")] = 20
    relevant: Annotated[int, Meta(ge=0, le=200, description="found things at most")] = 20
    minimum_trust: Trust | None = None
    at: At | None = None
