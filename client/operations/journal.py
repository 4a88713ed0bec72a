"""The journal: what was changed, by whom, and taking it back."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import Limit, Number, Origin, Ref, Value

ChangeNumber = Annotated[int, Meta(ge=1, le=2**62)]


class Deed(Value, frozen=True):
    """What a change did to one thing."""

    subject: str
    """`entity`, `relation`, `messages`, `space`, `snapshot`, or `change` for what was undone or redone."""
    id: int
    act: str
    name: str = ""
    """What an entity is called now, or was last."""
    before: int = 0
    """An entity's version before; 0: none."""
    after: int = 0


class JournalEntry(Value, frozen=True):
    """A change, who made it, and what it did."""

    change: int
    at: datetime
    op: str
    origin: Origin
    deeds: list[Deed]
    message: str = ""
    space: str = "default"
    undone_by: int | None = None
    """The change that undid it, unless that was taken back."""
    more: int = 0
    """Deeds that are not told here."""


class JournalPage(Value, frozen=True):
    """Changes, newest first, and where the next page begins."""

    entries: list[JournalEntry]
    cursor: int | None = None
    space: str = "default"


class Journal(Question[JournalPage]):
    """What was changed in this space and those that it reads through to, newest first: by whom, when, why, and what it touched.

    `of` narrows to what touched an entity. An entry names a hundred things at the most and counts the others.
    """

    limit: Limit = 20
    before: Number | None = None
    change: ChangeNumber | None = None
    of: Ref | None = None
    agent: str | None = None
    client: str | None = None
    session: str | None = None
    ops: list[str] = []
    since: datetime | None = None
    until: datetime | None = None


class Effect(Value, frozen=True):
    """What an undoing does to one thing."""

    subject: Literal["entity", "relation", "messages"]
    id: int
    act: str
    """Of an entity `change`, `delete` or `restore`; of a relation `relate` or `unrelate`; of messages `withdraw` or `append`."""
    name: str
    version: int = 0
    """The entity's version before."""
    added: list[str] = []
    """Observations that come back."""
    removed: list[str] = []
    """Observations that go."""


class Obstacle(Value, frozen=True):
    """Why a change cannot be undone as things stand."""

    change: int
    subject: str
    id: int
    name: str
    reason: str


class Undone(Value, frozen=True):
    """What was undone, or would be. Nothing is while there are conflicts."""

    changes: list[int]
    """The changes that are taken back (by `redo`: done again)."""
    effects: list[Effect]
    conflicts: list[Obstacle] = []
    change: int | None = None
    """The change that did it; none in a dry run."""
    dry_run: bool = False
    space: str = "default"


class Undo(Change[Undone]):
    """Take back changes made in this space: one by its number, everything by an agent or session (since a time), or the last one.

    A dry run tells what would happen and does nothing; `dry_run` false does it, as a change of its own, all or nothing. What
    others changed since is kept; where the same thing was changed again, the call is refused as `conflict`. What was undone
    already is refused as `conflict`, too: `redo` takes an undoing back. A purge cannot be undone.
    """

    change: ChangeNumber | None = None
    agent: str | None = None
    client: str | None = None
    session: str | None = None
    since: datetime | None = None
    dry_run: bool = True
    message: str = ""


class Redo(Change[Undone]):
    """Take back an undoing: the last one, or the one that `change` names (by its own number or that of a change it undid).

    A dry run tells what would happen and does nothing; `dry_run` false does it.
    """

    change: ChangeNumber | None = None
    dry_run: bool = True
    message: str = ""
