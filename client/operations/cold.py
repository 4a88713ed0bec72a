"""Room: entities that are archived out of the store into files beside it, what their addresses still tell, and free room given back."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import Entity, Filter, Limit, Ref, Value


class Archival(Value, frozen=True):
    """What went into cold storage, or would."""

    ids: list[int]
    files: list[str] = []
    """The files that were written, by name."""
    bytes: int = 0
    """Their size."""
    versions: int = 0
    messages: int = 0
    missing: list[Ref] = []
    kept: dict[str, str] = {}
    """What stays in the store: the id, and why."""
    more: bool = False
    """Whether more would go than `limit` let go."""
    changes: list[int] = []
    dry_run: bool = False
    space: str = "default"


class ArchiveEntities(Change[Archival]):
    """Move entities out of the store into compressed, hashed files beside it: all versions, and the messages of streams.

    Named ones, or those that meet every condition given: types, tags, property filters, and not changed or read for
    `unused_days`. The address stays: id, name, type, tags and short properties; `list_archived` lists and reads them,
    `restore_entities` brings them back with all that they had, `purge_entities` and exports reach them. Searches and the
    past do not see them meanwhile. What a branch still sees, or another space has its own version of, is kept and named. A call
    that was interrupted is repeated.
    """

    entities: Annotated[list[Ref], Meta(max_length=1000)] = []
    types: list[str] = []
    tags: list[str] = []
    where: list[Filter] = []
    unused_days: Annotated[float, Meta(ge=0, le=36_500)] | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    dry_run: bool = False
    message: str = ""


class Vacuumed(Value, frozen=True):
    """What writing the store anew did."""

    before: int
    """Bytes of the store and its log."""
    after: int
    seconds: float
    engine: str = ""
    problem: str = ""
    """Why it was not done, or not all of it."""


class Vacuum(Change[Vacuumed]):
    """Write the store's file anew without free room, after merging its words index. Changes wait meanwhile, seconds in a large store.

    That needs as much room on disk again. A database server does this by itself: then nothing is done, and that is said.
    """


class ArchivedEntity(Value, frozen=True):
    """An entity in cold storage, as its address tells it."""

    id: int
    name: str
    type: str
    archived_at: datetime
    file: str
    tags: list[str] = []
    properties: dict[str, Any] = {}
    """Those that are short."""
    versions: int = 0
    messages: int = 0
    entity: Entity | None = None
    """What it last said, where it was asked for."""
    problem: str = ""
    """Why that cannot be told."""


class ArchivedPage(Value, frozen=True):
    """A page of archived entities and where the next begins."""

    entities: list[ArchivedEntity]
    cursor: str | None = None
    missing: list[Ref] = []
    read: int = 0
    """Files that were opened."""
    space: str = "default"


class ListArchived(Question[ArchivedPage]):
    """List what lies in cold storage, by id: named ones, or those that meet every condition.

    `name` is a part of the name, in any case; `properties` equal short ones. `containing` finds a text in what they said, their
    messages among it, in any case: that opens the files, some thousand entities at a time, so a page may be short and
    have a cursor. `contents` tells what each last said, without bringing it back.
    """

    entities: Annotated[list[Ref], Meta(max_length=1000)] = []
    types: list[str] = []
    tags: list[str] = []
    properties: dict[str, str | int | float | bool] = {}
    name: str = ""
    containing: str = ""
    contents: bool = False
    limit: Limit = 50
    cursor: str | None = None
