"""The records of a full export, kind by kind, and the check that a record is one. `docs/export.md` tells of them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from enhanced_memory.client.conflict_values import ConflictStatus, ConflictType, Resolution
from enhanced_memory.client.errors import Invalid, Refused
from enhanced_memory.client.values import Origin
from enhanced_memory.daemon.store.bodies import Noted, State
from enhanced_memory.daemon.text import check_data

__all__ = [
    "VERSION",
    "Attributes",
    "ChangeRecord",
    "ConflictRecord",
    "EntityRecord",
    "Extra",
    "HeaderRecord",
    "JournalRecord",
    "MergeRecord",
    "MessageRecord",
    "NotedRecord",
    "Record",
    "RelationRecord",
    "SnapshotRecord",
    "SpaceRecord",
    "UseRecord",
    "VersionRecord",
    "read",
    "states",
]

VERSION = 1
"""The version of the format."""

ANY_LENGTH = 1 << 62

Number = Annotated[int, Meta(ge=0, le=2**62)]
Id = Annotated[int, Meta(ge=1, le=2**62)]
Millis = Annotated[int, Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)]
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Extra(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What an observation says about itself beyond its change."""

    confidence: float | UnsetType = UNSET
    valid_from: Millis | UnsetType = UNSET
    valid_to: Millis | UnsetType = UNSET
    confirmed_at: Millis | UnsetType = UNSET
    at: Millis | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET
    trusted: Origin | UnsetType = UNSET
    """Who confirmed it as the user's own word."""
    quarantined: bool | UnsetType = UNSET
    sources: list[list[Whole]] | UnsetType = UNSET
    """What it is derived from: pairs of an entity's id and an observation's, 0 for all of the entity."""
    said: str | UnsetType = UNSET
    """The sentence that it was taken from."""
    speaker: str | UnsetType = UNSET


class Attributes(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What an entity says of itself where it differs from the default."""

    tier: Annotated[int, Meta(ge=0, le=3)] | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=1, le=10)] | UnsetType = UNSET
    importance: float | UnsetType = UNSET
    confidence: float | UnsetType = UNSET
    relevance: float | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    quarantined: bool | UnsetType = UNSET
    expires_at: Millis | UnsetType = UNSET
    confirmed_at: Millis | UnsetType = UNSET
    parent: Id | UnsetType = UNSET
    """The entity that it was merged into."""
    resolution: str | UnsetType = UNSET
    """How a conflict that it was in was resolved."""
    born: Millis | UnsetType = UNSET
    """When it was made, where its space did not have it from the beginning."""
    copied: list[Whole] | UnsetType = UNSET
    """For what was merged in and has a name of its own: its id where it comes from, and the time of its making."""
    touched: Millis | UnsetType = UNSET
    """When somebody last changed it, where curation has changed it since."""


class NotedRecord(msgspec.Struct, forbid_unknown_fields=True):
    """An observation."""

    id: Id
    change: Id
    text: str
    extra: Extra | None = None


class VersionRecord(msgspec.Struct, forbid_unknown_fields=True):
    """What an entity said from change `began` on."""

    version: Id
    began: Id
    name: str
    type: str
    observations: list[NotedRecord | int] = []
    """A number stands for the observation of that id as the version before it in this record has it."""
    properties: dict[str, Any] = {}
    tags: list[str] = []
    attributes: Attributes = msgspec.field(default_factory=Attributes)
    next_id: Id = 1
    deleted: bool = False
    late: bool = False
    """What stood at the export's change was no longer kept; this is the oldest that was."""


class HeaderRecord(msgspec.Struct, tag="export", forbid_unknown_fields=True):
    """The first record: what the others are."""

    version: int
    change: Number


class SpaceRecord(msgspec.Struct, tag="space", forbid_unknown_fields=True):
    """A world of memory."""

    id: Id
    name: str
    parent: Number = 0
    pinned: Number = 0
    kind: Literal["space", "branch"] = "space"
    entity: Number = 0
    metadata: dict[str, Any] = {}
    began: Number = 0
    ended: Number = 0


class ChangeRecord(msgspec.Struct, tag="change", forbid_unknown_fields=True):
    """A request that changed something."""

    number: Id
    at: Millis
    space: Id
    op: str
    message: str = ""
    origin: Origin = Origin()


class EntityRecord(msgspec.Struct, tag="entity", forbid_unknown_fields=True):
    """An entity in one space, with all its versions or those that follow the record before."""

    space: Id
    id: Id
    first: Id
    head: Id
    """The number of its newest version; a record whose last version has it is the entity's last."""
    versions: Annotated[list[VersionRecord], Meta(min_length=1)]
    scope: str = ""


class RelationRecord(msgspec.Struct, tag="relation", forbid_unknown_fields=True):
    """An edge, for as long as it stood in one space."""

    space: Id
    id: Id
    kind: str
    began: Id
    from_id: Number = 0
    to_id: Number = 0
    from_name: str = ""
    to_name: str = ""
    strength: float = 1.0
    metadata: dict[str, Any] = {}
    deleted: bool = False
    ended: Number = 0


class MessageRecord(msgspec.Struct, tag="message", forbid_unknown_fields=True):
    """A line in a stream."""

    id: Id
    space: Id
    stream: Id
    role: str
    kind: str
    content: str
    at: Millis
    began: Id
    speaker: str = ""
    tick: Whole | None = None
    importance: float | None = None
    tokens: Whole | None = None
    provider: str = ""
    metadata: dict[str, Any] = {}
    ended: Number = 0


class JournalRecord(msgspec.Struct, tag="journal", forbid_unknown_fields=True):
    """What a change did to one thing."""

    number: Id
    seq: Number
    subject: str
    id: Number
    act: str
    before: Number = 0
    after: Number = 0


class SnapshotRecord(msgspec.Struct, tag="snapshot", forbid_unknown_fields=True):
    """A name for what a space knew after a change."""

    space: Id
    name: str
    change: Number
    began: Id
    ended: Number = 0


class UseRecord(msgspec.Struct, tag="use", forbid_unknown_fields=True):
    """How often and when an entity was last read."""

    entity: Id
    count: Number
    last: Millis


class MergeRecord(msgspec.Struct, tag="merge", forbid_unknown_fields=True):
    """What a merge left for the next one."""

    branch: Id
    target: Id
    subject: Literal["all", "entity", "relation", "same"]
    id: Number
    part: str
    began: Id
    base: Number
    ended: Number = 0


class ConflictRecord(msgspec.Struct, tag="conflict", forbid_unknown_fields=True):
    """Two entities that conflict, or two observations of one, for as long as it stood so."""

    space: Id
    id: Id
    kind: ConflictType
    entity: Id
    other: Id
    part: Number
    other_part: Number
    confidence: float
    reason: str
    action: Resolution
    status: ConflictStatus
    notes: str
    found: Id
    began: Id
    ended: Number = 0


Record = (
    HeaderRecord
    | SpaceRecord
    | ChangeRecord
    | EntityRecord
    | RelationRecord
    | MessageRecord
    | JournalRecord
    | UseRecord
    | MergeRecord
    | SnapshotRecord
    | ConflictRecord
)


def read(record: dict[str, Any]) -> Record:
    """The record that a map says. `Invalid` where it says none."""
    try:
        found = msgspec.convert(record, Record)
    except msgspec.ValidationError as problem:
        raise Invalid(str(problem).replace("`", "")) from None
    except RecursionError:
        raise Invalid("it is nested too deeply") from None
    if isinstance(found, HeaderRecord) and found.version != VERSION:
        raise Invalid(f"it is of version {found.version} of the format; this program reads version {VERSION}")
    try:
        _check(found)
    except Refused as problem:
        raise Invalid(problem.message) from None
    return found


def _check(found: Record) -> None:
    """Refuse text with NUL and what is no plain data."""
    if isinstance(found, EntityRecord):
        told: list[Any] = [found.scope]
        for place, version in enumerate(found.versions):
            if version.version != found.versions[0].version + place:
                raise Invalid(f"version {version.version} does not follow the one before it")
            if place and version.began <= found.versions[place - 1].began:
                raise Invalid(f"version {version.version} began before or with the one before it")
            told += (version.name, version.type, version.tags)
            for noted in version.observations:
                if isinstance(noted, NotedRecord):
                    told.append(noted.text)
                    if noted.extra is not None:
                        told += (_plain(origin) for origin in (noted.extra.origin, noted.extra.trusted) if origin)
            if version.properties:
                check_data(version.properties, "A property", ANY_LENGTH)
        if found.versions[-1].version > found.head:
            raise Invalid(f"it has a version beyond {found.head}, which it calls its newest")
        if found.first > found.versions[0].began:
            raise Invalid("its first version began before the entity did")
    elif isinstance(found, SpaceRecord | RelationRecord | MessageRecord):
        if found.ended and found.ended < found.began:
            raise Invalid("it ended before it began")
        check_data(found.metadata, "The metadata", ANY_LENGTH)
        told = [value for value in (getattr(found, name) for name in found.__struct_fields__) if isinstance(value, str)]
    else:
        told = [_plain(found)]
    check_data(told, "A text", ANY_LENGTH)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def states(record: EntityRecord) -> list[tuple[State, list[NotedRecord]]]:
    """What each version says, and its observations as they are told. `Invalid` for a number that stands for none."""
    found: list[tuple[State, list[NotedRecord]]] = []
    before: dict[int, NotedRecord] = {}
    for version in record.versions:
        told: list[NotedRecord] = []
        for one in version.observations:
            noted = before.get(one) if isinstance(one, int) else one
            if noted is None:
                raise Invalid(
                    f"version {version.version} refers to observation {one}, which the version before does not have"
                )
            told.append(noted)
        before = {noted.id: noted for noted in told}
        if len(before) != len(told):
            raise Invalid(f"version {version.version} has two observations of one id")
        if told and version.next_id <= max(before):
            raise Invalid(f"version {version.version} would give an observation's id out again")
        state = State(
            version.name, version.type, [Noted(noted.id, noted.change, noted.text) for noted in told],
            version.properties, version.tags, _plain(version.attributes), version.next_id,
        )  # fmt: skip
        found.append((state, told))
    return found
