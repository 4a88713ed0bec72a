"""Entities: named, typed things with observations and properties."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from enhanced_memory.client.conflict_values import ConflictFound
from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import (
    At,
    Confidence,
    Entity,
    EntityInput,
    Filter,
    Graph,
    Lifetime,
    Limit,
    Number,
    ObservationInput,
    Outcome,
    Priority,
    Ref,
    Tier,
    Value,
)

Refs = Annotated[list[Ref], Meta(max_length=10_000)]


class Created(Value, frozen=True):
    """One outcome per entity, in the order given."""

    results: list[Outcome]
    space: str = "default"
    conflicts: list[ConflictFound] = []
    """What was new conflicts with this; only where the setting `check_conflicts` is on."""


class CreateEntities(Change[Created]):
    """Store entities. What happens to a name that exists is `on_existing`:

    `merge` adds the observations, properties and tags that are new (a new version), `skip` leaves it untouched, `replace` lets
    the given state take the place of the old (which stays in the history), `error` refuses the whole call.
    """

    entities: Annotated[list[EntityInput], Meta(max_length=10_000)]
    on_existing: Literal["merge", "skip", "replace", "error"] = "merge"
    message: str = ""


class ObservationsInput(msgspec.Struct, omit_defaults=True):
    """Observations to be added to one entity."""

    entity: Ref
    contents: list[str | ObservationInput]
    expected_version: Number | None = None


class AddObservations(Change[Created]):
    """Add observations to entities that exist, all or nothing. Text that the entity says already is not added twice."""

    observations: Annotated[list[ObservationsInput], Meta(max_length=10_000)]
    message: str = ""


class UpdateEntity(Change[Outcome]):
    """Change what an entity is, beside its observations. What is not given stays; a property set to null is removed."""

    entity: Ref
    type: str | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET
    tier: Tier | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    importance: Annotated[float, Meta(ge=0, le=10)] | None | UnsetType = UNSET
    confidence: Confidence | None | UnsetType = UNSET
    relevance_score: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    always_include: bool | UnsetType = UNSET
    expires_at: datetime | None | UnsetType = UNSET
    expected_version: Number | None = None
    message: str = ""
    ttl_s: Lifetime | None = None
    """Seconds from now after which it expires, instead of `expires_at`."""


class RenameEntity(Change[Outcome]):
    """Give an entity another name. Its id, relations and history stay with it. `conflict` where the name is taken."""

    entity: Ref
    name: str
    expected_version: Number | None = None
    message: str = ""


class Removed(Value, frozen=True):
    """What was removed, by id, and what was not there to remove."""

    ids: list[int]
    missing: list[Ref] = []
    space: str = "default"


class DeleteEntities(Change[Removed]):
    """Delete entities and the relations that touch them. Softly: `restore_entities` brings both back."""

    entities: Refs
    expected_version: Number | None = None
    """Refuse the call unless the entity is at this version; with one entity alone."""
    message: str = ""


class RestoreEntities(Change[Created]):
    """Bring deleted entities back, or archived ones out of cold storage, with the relations that went with them.

    A name means the one deleted last under it. Where the name has been taken since, the call is refused as `conflict`;
    `as_name` restores one entity under another name.
    """

    entities: Refs
    as_name: str | None = None
    expected_version: Number | None = None
    """Refuse the call unless the entity is at this version; with one entity alone."""
    message: str = ""


class ObservationsDeletion(msgspec.Struct, omit_defaults=True):
    """Observations to be taken from one entity, by text or by their ids."""

    entity: Ref
    observations: list[Ref]
    expected_version: Number | None = None


class DeleteObservations(Change[Created]):
    """Take observations from entities: all that equal a given text, or the one with a given id. What is not there is passed over."""

    deletions: Annotated[list[ObservationsDeletion], Meta(max_length=10_000)]
    message: str = ""


class Receipt(Value, frozen=True):
    """What a purge removed: rows by table, and a SHA-256 over the ids and checksums of all versions that are gone."""

    ids: list[int]
    removed: dict[str, int]
    sha256: str
    missing: list[Ref] = []
    backups: list[str] = []
    """Known backups that still hold what was purged. Files of cold storage that held it were replaced, and these name the old ones."""
    entities: list["PurgedEntity"] = []
    spaces: list[str] = []
    """The spaces that it was removed from: this one, and overlays and branches with copies of their own."""
    kept_in: list[str] = []
    """Spaces that still hold an entity of that id: those that this one reads through to, and copies of their own elsewhere."""
    files: list[str] = []
    """Files beside the store that may hold it still: imported ones, what a mirror kept aside, and files of cold storage that are damaged
    or not this store's."""
    answers: int = 0
    """Kept answers that named it and were dropped."""
    dictionaries: int = 0
    """Compression dictionaries that held pieces of its text and were replaced."""
    rewritten: bool = False
    """Whether the store's file was written anew without what is free in it; if not, free pages were written over."""
    log_emptied: bool = False
    """Whether the log was folded into the file and emptied."""
    mirrors: list[str] = []
    """Mirrors that were written anew."""


class PurgedEntity(Value, frozen=True):
    """One entity of a purge: how many versions of it went, and a SHA-256 over their checksums."""

    id: int
    versions: int
    sha256: str


class PurgeEntities(Change[Receipt]):
    """Remove entities for good: every version, passage, vector, tag, relation and message, beyond `restore_entities`.

    Copies in spaces that read through this one go too. The store's free pages and log are cleared, mirrors written anew,
    dictionaries that held its words replaced; this takes seconds in a large store. `confirm` must be true.
    """

    entities: Refs
    confirm: bool = False
    expected_version: Number | None = None
    """Refuse the call unless the entity is at this version; with one entity alone."""
    message: str = ""


class OpenNodes(Question[Graph]):
    """Open entities by name or id, with the relations that touch them. Names that do not exist are in `missing`.

    `at` opens them as they were: after a change by its number, at a time (`2026-11-20T08:00:00Z`) or in a snapshot; `version`
    opens that version of a single entity. `valid_at` shows the observations alone that were true then.
    """

    point: ClassVar[bool] = True

    names: Annotated[list[Ref], Meta(max_length=1000)]
    scope: str = ""
    relations: bool = True
    details: bool = False
    at: At | None = None
    version: Annotated[int, Meta(ge=1, le=2**62)] | None = None
    valid_at: datetime | None = None


class EntityPage(Value, frozen=True):
    """A page of entities and where the next begins."""

    entities: list[Entity]
    cursor: str | None = None
    space: str = "default"


class ListEntities(Question[EntityPage]):
    """List entities, filtered and in order. `order_by` is `id`, `name`, `updated`, `created`, `priority`, or `property:KEY`."""

    types: list[str] = []
    tiers: list[Tier] = []
    tags: list[str] = []
    where: list[Filter] = []
    scope: str | None = None
    always_include: bool | None = None
    quarantined: bool | None = None
    deleted: bool = False
    updated_since: datetime | None = None
    updated_until: datetime | None = None
    order_by: str = "id"
    descending: bool = False
    limit: Limit = 100
    cursor: str | None = None
    details: bool = False
    at: At | None = None


class Tag(Change[Created]):
    """Add tags to entities."""

    entities: Refs
    tags: list[str]
    expected_version: Number | None = None
    """Refuse the call unless the entity is at this version; with one entity alone."""
    message: str = ""


class Untag(Change[Created]):
    """Take tags from entities."""

    entities: Refs
    tags: list[str]
    expected_version: Number | None = None
    """Refuse the call unless the entity is at this version; with one entity alone."""
    message: str = ""


class Pin(Change[Created]):
    """Mark entities to be part of every context (or, with `pinned` false, no longer)."""

    entities: Refs
    pinned: bool = True
    expected_version: Number | None = None
    """Refuse the call unless the entity is at this version; with one entity alone."""
    message: str = ""


class Confirm(Change[Created]):
    """Say that what entities hold is still true: sets `last_confirmed` and restores `relevance_score`.

    Observations given by text or id become trusted as the user's own.
    """

    entities: Refs
    observations: list[Ref] = []
    expected_version: Number | None = None
    """Refuse the call unless the entity is at this version; with one entity alone."""
    message: str = ""


class Quarantine(Change[Created]):
    """Hide entities, or the given observations of them alone, from searches unless asked for (`quarantined` false: no longer)."""

    entities: Refs
    quarantined: bool = True
    observations: list[Ref] = []
    expected_version: Number | None = None
    """Refuse the call unless the entity is at this version; with one entity alone."""
    message: str = ""
