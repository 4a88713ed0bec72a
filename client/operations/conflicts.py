"""Conflicts: what duplicates, updates or contradicts what."""

from typing import Annotated, Literal

from msgspec import Meta

from enhanced_memory.client.conflict_values import (
    ConflictFound,
    ConflictStatus,
    ConflictType,
    MemoryConflict,
    Resolution,
)
from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import Confidence, EntityInput, Limit, Outcome, Ref, Value

Threshold = Annotated[
    float, Meta(ge=0, le=1, description="share of observations above which two entities are duplicates")
]


class Detected(Value, frozen=True):
    """The conflicts found, the most certain of each entity first."""

    conflicts: list[ConflictFound]
    compared: int = 0
    """How many entities were looked at closely."""
    arms: list[str] = []
    """Where those were looked for: `names`, `words`, `meaning`."""
    space: str = "default"


class DetectConflicts(Question[Detected]):
    """What given data, or entities in the store, conflict with. Nothing is written.

    Within a type, overlap is the share of observations that two entities have in common, of the larger number: a `duplicate`
    above `threshold`, an `update` above 0.3. Beyond that, observations of entities of one name are compared one by one: the
    same in other words is a duplicate; another value, number or date of one attribute, a denial or an opposite is a
    `contradiction`; a sentence that tells of a change is an `update`. With `stored`, an entity's own observations are
    compared too.
    """

    entities: Annotated[list[EntityInput], Meta(max_length=1000)] = []
    stored: Annotated[list[Ref], Meta(max_length=1000)] = []
    threshold: Threshold = 0.85


class Scan(Value, frozen=True):
    """How far a scan of the whole space has come."""

    state: Literal["none", "running", "done", "stopped", "failed"]
    done: int = 0
    """Steps of `total`: entities read and pairs compared."""
    total: int = 0
    entities: int = 0
    pairs: int = 0
    """Pairs that an index brought together, each of which was compared."""
    found: int = 0
    recorded: int = 0
    """Those that were not known yet."""
    seconds: float = 0.0
    problem: str = ""
    space: str = "default"


class ScanConflicts(Change[Scan]):
    """Compare everything in this space in the background and record the conflicts found; call again to see how far it is.

    `start` false only looks, `stop` ends it. A scan that runs is not begun twice. A conflict that was recorded before is not
    recorded again, nor one that was resolved, unless what it is about has changed since.
    """

    start: bool = True
    stop: bool = False
    threshold: Threshold = 0.85
    wait_s: Annotated[float, Meta(ge=0, le=20, description="how long to wait for its end")] = 1.0


class ConflictPage(Value, frozen=True):
    """Conflicts, newest first, and where the next page begins."""

    conflicts: list[MemoryConflict]
    cursor: int | None = None
    space: str = "default"


class ListConflicts(Question[ConflictPage]):
    """List the conflicts that were recorded, newest first, with what both sides say."""

    status: ConflictStatus | Literal["any"] = "pending"
    types: list[ConflictType] = []
    entity: Ref | None = None
    minimum_confidence: Confidence = 0.0
    limit: Limit = 20
    before: Annotated[int, Meta(ge=1, le=2**62)] | None = None


class Resolved(Value, frozen=True):
    """A conflict that was resolved, and what became of its entities."""

    conflict: MemoryConflict
    results: list[Outcome] = []
    branch: str | None = None
    """The branch that was made."""


class ResolveConflict(Change[Resolved]):
    """Resolve a recorded conflict. One that is resolved already is refused as `conflict`: undo the first resolution instead.

    `merge`: `keep` (the older one, unless given) gains what the other says; the other becomes a tombstone whose
    `parent_entity_id` is the one kept, and its relations go over. `update`: both stay, and the newer one (or `keep`) ranks above
    the other by `relevance_score`. `branch`: a branch keeps both as they are, here only one (the older one, or `keep`) remains.
    `ignore`: nothing but the status changes. Within one entity `keep` is `older` or `newer`: merge and branch take the other
    observation away, update ends its time (`valid_to`).
    """

    conflict: Annotated[int, Meta(ge=1, le=2**62)]
    action: Resolution
    keep: Ref | None = None
    branch: str = ""
    """What the branch is called; `conflict-N` unless given."""
    notes: str = ""
    message: str = ""
