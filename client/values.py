"""What requests and answers are made of.

Times are UTC and travel as ISO 8601 text. Values are frozen; an answer's list is the caller's own to keep.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

__all__ = [
    "TRUST_ORDER",
    "AccessRow",
    "Action",
    "At",
    "BackupMade",
    "Entity",
    "EntityInput",
    "Filter",
    "Graph",
    "Hit",
    "Limit",
    "Message",
    "MessageHit",
    "MessageInput",
    "Observation",
    "ObservationInput",
    "Origin",
    "OriginInput",
    "Outcome",
    "Ref",
    "Relation",
    "RelationInput",
    "Scalar",
    "Source",
    "Space",
    "Tier",
    "Trust",
    "Value",
    "Version",
]

Ref = int | str
"""An entity by its id (a number) or by its name (text)."""

Scalar = str | int | float | bool

Tier = Literal["working", "episodic", "semantic", "procedural"]
Trust = Literal["user", "agent", "tool", "import"]
"""Where an observation comes from, most trusted first: confirmed by the user, said by an agent, a tool's or the web's output, imported or made by code."""

TRUST_ORDER: tuple[Trust, ...] = get_args(Trust)
"""The same, in order."""

Action = Literal["created", "updated", "replaced", "unchanged", "skipped"]

Limit = Annotated[int, Meta(ge=1, le=1000, description="how many at most")]
Number = Annotated[int, Meta(ge=0, le=2**62)]
At = Annotated[int, Meta(ge=1, le=2**62)] | Annotated[str, Meta(min_length=1, max_length=200)]
"""A moment: the number of a change (or of a version), a snapshot's name, a time (`2026-11-20T08:00:00Z`) or `change:17`."""
Confidence = Annotated[float, Meta(ge=0, le=1)]
Priority = Annotated[int, Meta(ge=1, le=10)]
Lifetime = Annotated[float, Meta(gt=0, le=3_200_000_000)]


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that is told, not a thing that changes."""


class Origin(Value, frozen=True):
    """Where a memory came from. The daemon sets what the channel proves; the client says the rest."""

    channel: str = ""
    """How it came in: `socket`, `mcp`, `code`, `import`, `extraction` …"""
    client: str = ""
    agent: str = ""
    session: str = ""
    tool: str = ""
    run: str = ""
    user: str = ""
    """The account of the peer process, as the system proves it."""
    method: str = "manual"
    """How it was made: `manual`, or the name of an extraction."""
    trust: Trust = "agent"


class OriginInput(Value, frozen=True):
    """What a caller may say about where an observation comes from, narrowing what the daemon knows."""

    session: str = ""
    agent: str = ""
    method: str = "manual"
    trust: Trust = "agent"
    at: datetime | None = None


class Observation(Value, frozen=True):
    """One thing said about an entity, with its provenance."""

    id: int
    text: str
    change: int
    at: datetime
    origin: Origin
    confidence: float | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    confirmed_at: datetime | None = None
    quarantined: bool = False
    sources: list[list[int]] = []
    """What it was derived from: ids of an entity and an observation (0: all of them)."""
    said: str = ""
    """The sentence that it was taken from, where that is another."""
    speaker: str = ""
    """Who said it, where that is noted."""


class Entity(Value, frozen=True):
    """A named, typed thing as one view of one space knows it."""

    id: int
    name: str
    type: str
    observations: list[str] = []
    properties: dict[str, Any] = {}
    tags: list[str] = []
    space: str = "default"
    scope: str = ""
    version: int = 1
    tier: Tier = "working"
    priority: int = 5
    importance: float | None = None
    confidence: float | None = None
    relevance_score: float = 1.0
    always_include: bool = False
    quarantined: bool = False
    deleted: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    last_confirmed: datetime | None = None
    access_count: int = 0
    last_accessed: datetime | None = None
    parent_entity_id: int | None = None
    """For a tombstone: the entity that it was merged into."""
    conflict_resolution_method: str | None = None
    """How the last conflict that it was in was resolved."""
    original_size: int = 0
    """Bytes of the body as JSON text."""
    compressed_size: int = 0
    """Bytes of the body as stored."""
    checksum: str = ""
    """CRC-32 of the stored body, checked on every read."""
    details: list[Observation] = []
    """The observations with their provenance, where asked for."""


class Relation(Value, frozen=True):
    """A typed edge between two entities, named in the active voice: `from` *works_at* `to`."""

    id: int
    from_: str = msgspec.field(name="from")
    to: str
    type: str
    from_id: int | None = None
    """Null while no entity of that name exists."""
    to_id: int | None = None
    strength: float = 1.0
    metadata: dict[str, Any] = {}
    space: str = "default"
    created_at: datetime | None = None


class Graph(Value, frozen=True):
    """Entities and the relations that touch them."""

    entities: list[Entity]
    relations: list[Relation] = []
    missing: list[Ref] = []
    cursor: str | None = None
    """Where the next page begins; none on the last one."""
    space: str = "default"


class Outcome(Value, frozen=True):
    """What became of one entity of a change."""

    id: int
    name: str
    action: Action
    version: int
    added: list[str] = []
    """The observations that an entity which was there already gained."""


class Version(Value, frozen=True):
    """What an entity said at one time, and who made it so."""

    version: int
    change: int
    at: datetime
    origin: Origin
    op: str
    message: str = ""
    space: str = "default"
    name: str = ""
    type: str = ""
    deleted: bool = False
    current: bool = False
    observations: list[str] = []
    properties: dict[str, Any] = {}
    tags: list[str] = []


class Message(Value, frozen=True):
    """A line in a stream."""

    id: int
    role: str
    content: str
    at: datetime
    kind: str = "dialogue"
    speaker: str = ""
    tick: int | None = None
    importance: float | None = None
    tokens: int | None = None
    provider: str = ""
    metadata: dict[str, Any] = {}
    stream: int = 0
    change: int = 0


class Hit(Value, frozen=True):
    """An entity found by a search, best first."""

    entity: Entity
    score: float
    snippet: str = ""
    """The observation that matched best, shortened around the words found."""
    matched: list[str] = []
    """Where: `name`, `observation`, `property`."""
    explained: dict[str, float] = {}
    """Where asked for: the score of each arm for it (`words` is BM25, `meaning` a cosine), and what each prior adds."""


class MessageHit(Value, frozen=True):
    """A message found by a search, best first."""

    message: Message
    stream: str
    score: float
    snippet: str = ""
    explained: dict[str, float] = {}
    """Where asked for: the score of each arm for it (`words` is BM25, `meaning` a cosine), and what each prior adds."""


class Space(Value, frozen=True):
    """A world of memory. What it does not hold itself it reads through its parent."""

    id: int
    name: str
    parent: str | None = None
    pinned_at: int | None = None
    """The parent's change number a branch is pinned at; none for a live parent."""
    kind: Literal["space", "branch"] = "space"
    entity: int | None = None
    """The one entity that a branch is of; none: of all."""
    created_at: datetime | None = None
    deleted: bool = False
    metadata: dict[str, Any] = {}


class BackupMade(Value, frozen=True):
    """A backup that was written and opened again."""

    path: str
    bytes: int
    sha256: str
    entities: int
    messages: int
    change: int
    seconds: float
    store_bytes: int = 0
    """Of the store in it, unpacked."""
    second: str = ""
    """Its copy in the second folder."""
    pruned: list[str] = []
    """Older backups that were deleted."""
    problem: str = ""
    """What could not be done beside it."""
    cold_files: int = 0
    """Files of cold storage that the store needs, and that are not in the backup: copy their folder as well."""
    cold_bytes: int = 0
    cold_folder: str = ""


class AccessRow(Value, frozen=True):
    """Who asked for what, and what came of it."""

    at: datetime
    op: str
    ok: bool
    ms: float
    origin: Origin
    pid: int = 0
    space: str = "default"
    error: str = ""
    change: int | None = None
    entity: int | None = None
    """Noted by a caller: what it was about, whether that is still there or not."""
    address: str = ""
    """Noted by a caller: where its own caller is."""
    request: dict[str, Any] = {}
    """Noted by a caller: what was asked, with the length of every text in its place."""
    says: str = ""
    """Noted by a caller: what went wrong, without what was quoted in it."""
    id: int = 0
    """The row's own number; later rows have greater ones."""


# What callers hand in


Vectors = dict[
    Annotated[str, Meta(min_length=1, max_length=200)], Annotated[list[float], Meta(min_length=1, max_length=8192)]
]
"""Vectors of a caller's own models, by the models' names: what a memory means to them."""


class ObservationInput(msgspec.Struct, omit_defaults=True):
    """An observation with what is known about it; plain text does where nothing is. It is trusted no more than its `sources`."""

    text: str
    confidence: Confidence | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    origin: OriginInput | None = None
    sources: list["Source"] = []
    vectors: Vectors = {}
    said: str = ""
    """The sentence that it was taken from."""
    speaker: str = ""
    """Who said it."""


class Source(msgspec.Struct, omit_defaults=True):
    """What an observation is derived from: an entity, or one observation of it."""

    entity: Ref
    observation: Ref | None = None


class EntityInput(msgspec.Struct, omit_defaults=True):
    """An entity to be stored. Names are unique within a space and scope. An `expected_version` of 0: there is none of that name."""

    name: str
    type: str
    observations: list[str | ObservationInput] = []
    properties: dict[str, Any] = {}
    tags: list[str] = []
    scope: str = ""
    tier: Tier | None = None
    priority: Priority | None = None
    importance: Annotated[float, Meta(ge=0, le=10)] | None = None
    confidence: Confidence | None = None
    always_include: bool | None = None
    expires_at: datetime | None = None
    expected_version: Number | None = None
    vectors: Vectors = {}
    """What the entity as a whole means; its observations may have their own."""
    ttl_s: Lifetime | None = None
    """Seconds from now after which it expires, instead of `expires_at`."""


class RelationInput(msgspec.Struct, omit_defaults=True):
    """A relation to be stored; its ends need not exist yet."""

    from_: Ref = msgspec.field(name="from")
    to: Ref
    type: str
    strength: Annotated[float, Meta(ge=0, le=1)] = 1.0
    metadata: dict[str, Any] = {}


class MessageInput(msgspec.Struct, omit_defaults=True):
    """A line to be appended to a stream."""

    content: str
    role: str = "user"
    kind: str = "dialogue"
    speaker: str = ""
    at: datetime | None = None
    """When it was said; now, unless given."""
    tick: Annotated[int, Meta(ge=-(2**62), le=2**62)] | None = None
    importance: Annotated[float, Meta(ge=0, le=10)] | None = None
    tokens: Number | None = None
    provider: str = ""
    metadata: dict[str, Any] = {}
    vectors: Vectors = {}


class Filter(msgspec.Struct, omit_defaults=True):
    """A condition on one property; all that are given must hold."""

    property: str
    equal: Scalar | msgspec.UnsetType = msgspec.UNSET
    any_of: list[Scalar] | msgspec.UnsetType = msgspec.UNSET
    at_least: float | str | msgspec.UnsetType = msgspec.UNSET
    at_most: float | str | msgspec.UnsetType = msgspec.UNSET
    exists: bool | msgspec.UnsetType = msgspec.UNSET
