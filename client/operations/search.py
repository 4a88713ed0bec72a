"""Search: entities and messages by words."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from enhanced_memory.client.request import Question
from enhanced_memory.client.values import At, Filter, Hit, Limit, MessageHit, Ref, Tier, Trust, Value

Query = Annotated[str, Meta(max_length=100_000, description="words or a sentence")]


class SearchResult(Value, frozen=True):
    """Hits, best first, with what was searched."""

    hits: list[Hit]
    arms: list[str]
    """What answered: `names`, `words`, `meaning`, `substring`, `all` (an empty query lists everything)."""
    space: str = "default"
    cut: bool = False
    """Whether there is more behind the last hit."""


class SearchNodes(Question[SearchResult]):
    """Find entities by words, best first; exact hits on names lead. An empty query lists entities, newest change first.

    Where words find fewer than `limit`, entities whose name, type or any observation contains the query as it stands follow,
    out of the 1,000 changed last. `substring` puts those in front, out of the 50,000 changed last, and leaves meaning aside.
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


class MessageSearch(Value, frozen=True):
    """Messages, best first, with what was searched."""

    hits: list[MessageHit]
    arms: list[str]
    space: str = "default"
    cut: bool = False


class SearchMessages(Question[MessageSearch]):
    """Find messages by words, best first, in one stream or in all; `at` as in `search_nodes`."""

    query: Query
    limit: Limit = 10
    stream: Ref | None = None
    roles: list[str] = []
    kinds: list[str] = []
    speakers: list[str] = []
    since: datetime | None = None
    until: datetime | None = None
    at: At | None = None
