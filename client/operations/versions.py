"""Versions: what entities said before, names for moments, differences, and going back."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import At, Graph, Limit, Number, Origin, Outcome, Ref, Relation, Value, Version

SnapshotName = Annotated[str, Meta(min_length=1, max_length=200)]


class RelationChange(Value, frozen=True):
    """A relation that touches an entity began or ended."""

    change: int
    at: datetime
    origin: Origin
    op: str
    act: str
    """`created` or `removed`."""
    relation: Relation
    message: str = ""
    space: str = "default"


class History(Value, frozen=True):
    """Versions, newest first, and where the next page begins."""

    entity: int
    versions: list[Version]
    cursor: int | None = None
    relations: list[RelationChange] = []
    """What became of its relations while these versions stood, newest first."""
    more_relations: bool = False
    """Whether there was more of that than is told here; `journal` tells all of it."""
    space: str = "default"


class MemoryHistory(Question[History]):
    """The versions of an entity, newest first, deleted or not: who changed it, when, and what it said then.

    With `relations` also what became of its relations meanwhile, as many as `limit` at the most.
    """

    entity: Ref
    limit: Limit = 20
    before: Number | None = None
    relations: bool = True


class Snapshot(Value, frozen=True):
    """A name for what a space knew after a change."""

    name: str
    change: int
    """The change after which it is."""
    at: datetime
    """When the name was given."""
    message: str = ""
    space: str = "default"


class MemoryCommit(Change[Snapshot]):
    """Name what this space knows now (or knew `at` an earlier moment). The name may stand wherever a time may.

    Nothing is copied. Kinds that keep few versions keep all since a snapshot. `conflict` where the name is taken.
    """

    name: SnapshotName
    at: At | None = None
    message: str = ""


class SnapshotPage(Value, frozen=True):
    """Snapshots, the newest first, and where the next page begins."""

    snapshots: list[Snapshot]
    cursor: int | None = None
    space: str = "default"


class ListSnapshots(Question[SnapshotPage]):
    """The snapshots that may be named in this space, the one made last first."""

    limit: Limit = 100
    cursor: Number | None = None


class DeleteSnapshot(Change[Snapshot]):
    """Take a snapshot's name away. What was known then can still be asked for by its change."""

    name: SnapshotName
    message: str = ""


class Moment(Value, frozen=True):
    """One side of a comparison: which version, made by which change. Version 0: the entity was not there."""

    version: int
    change: int
    at: datetime | None = None
    origin: Origin = Origin()
    message: str = ""
    name: str = ""
    deleted: bool = False
    space: str = "default"


class TextChange(Value, frozen=True):
    """An observation that says otherwise."""

    id: int
    old: str
    new: str


class ValueChange(Value, frozen=True):
    """A property or an attribute that is otherwise. `act` is `added`, `removed` or `changed`."""

    key: str
    act: str
    old: Any = None
    new: Any = None


class Diff(Value, frozen=True):
    """What differs between two versions of an entity."""

    entity: int
    old: Moment
    new: Moment
    same: bool = False
    """Whether nothing differs."""
    added: list[str] = []
    """Observations."""
    removed: list[str] = []
    changed: list[TextChange] = []
    """Observations that went while a similar one came, or whose provenance alone is another (then both texts are equal)."""
    attributes: list[ValueChange] = []
    """Name, type, tier, priority and what else an entity is beside its observations and properties."""
    properties: list[ValueChange] = []
    tags_added: list[str] = []
    tags_removed: list[str] = []
    relations_added: list[Relation] = []
    relations_removed: list[Relation] = []
    text: str = ""
    """The same as a unified diff, where asked for."""
    space: str = "default"


class MemoryDiff(Question[Diff]):
    """What changed in an entity between two versions, times or snapshots: observations, properties, tags, relations.

    A number is a version of the entity; text is a snapshot's name, a time (`2026-11-20T08:00:00Z`) or `change:17`. Without
    `new` the comparison is with now, without `old` with the version before `new`. A relation belongs to the version that stood
    when it began.
    """

    entity: Ref
    old: At | None = None
    new: At | None = None
    unified: bool = False


class MemoryRevert(Change[Outcome]):
    """Make an entity say again what it said in an earlier version, by a new version; the history stays as it is.

    `to` is a version's number, a snapshot's name, a time or `change:17`. With `relations` those that touch it become again
    what they were then, as far as their other ends exist.
    """

    entity: Ref
    to: At
    relations: bool = False
    expected_version: Number | None = None
    message: str = ""


class GraphAt(Question[Graph]):
    """The graph as it was known at a moment, page by page like `read_graph`.

    A number is a change; text is a snapshot's name or a time (`2026-11-20T08:00:00Z`).
    """

    at: At
    limit: Limit = 1000
    cursor: str | None = None
    valid_at: datetime | None = None
