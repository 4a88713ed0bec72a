"""Branches: another line of memory, begun from a space as it was, compared with it and merged back."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import Limit, Number, Outcome, Ref, Space, Value

__all__ = [
    "Branch",
    "BranchDiff",
    "BranchList",
    "Changed",
    "DiffBranch",
    "DiscardBranch",
    "EntityDiff",
    "ListBranches",
    "MemoryBranch",
    "MergeBranch",
    "MergeConflict",
    "Merged",
    "RelationDiff",
]


class Branch(Value, frozen=True):
    """A space that sees its parent as it was when it began, with what was changed in it since."""

    name: str
    parent: str
    pinned_at: int | None = None
    """The parent's change that it sees; none where it reads through to the parent as it is now (an imported branch)."""
    entity: int | None = None
    """The one entity that it is a branch of; none: of all."""
    entity_name: str = ""
    created_at: datetime | None = None
    created_by: str = ""
    """The agent, or else the client."""
    message: str = ""
    entities: int = 0
    """How many entities it holds of its own: changed, created or deleted in it."""
    merged_at: int | None = None
    """The change that last merged it into its parent."""
    discarded: bool = False


class MemoryBranch(Change[Branch]):
    """Begin a branch of the space in use: it sees everything as it is now, and what is changed in it stays in it.

    `entity` makes a branch of that entity alone: the rest is seen, and nothing else can be changed. `at` begins it in the past: at
    the number of a change or at a time. `parent` names another space to branch from. Work in it with `switch`. Costs the same
    whatever the space holds.
    """

    name: str
    entity: Ref | None = None
    parent: str | None = None
    at: Number | datetime | None = None
    message: str = ""


class BranchList(Value, frozen=True):
    """A page of branches, and where the next page begins."""

    branches: list[Branch]
    current: str
    cursor: str | None = None


class ListBranches(Question[BranchList]):
    """The branches there are, in the order of their making. `parent` asks for those of one space, `discarded` for discarded ones too."""

    parent: str | None = None
    discarded: bool = False
    limit: Limit = 100
    cursor: str | None = None


class Changed(Value, frozen=True):
    """A part that differs: `name`, `type`, an attribute, or a property as `property:KEY`. What is null on a side is not there."""

    part: str
    before: Any = None
    after: Any = None


class EntityDiff(Value, frozen=True):
    """How an entity of a branch differs from its parent's."""

    id: int
    name: str
    action: Literal["added", "removed", "changed"]
    changed: list[Changed] = []
    observations_added: list[str] = []
    observations_removed: list[str] = []
    tags_added: list[str] = []
    tags_removed: list[str] = []


class RelationDiff(Value, frozen=True):
    """A relation that a branch has and its parent has not, or the other way round, or with another strength or metadata."""

    action: Literal["added", "removed", "changed"]
    from_: str = msgspec.field(name="from")
    to: str
    type: str
    changed: list[Changed] = []


class BranchDiff(Value, frozen=True):
    """What differs: entities first, then relations, page by page."""

    branch: str
    parent: str
    against: str
    entities: list[EntityDiff] = []
    relations: list[RelationDiff] = []
    messages: int = 0
    """How many messages the branch has added; told on the last page."""
    cursor: str | None = None


class DiffBranch(Question[BranchDiff]):
    """How a branch (the space in use, unless named) differs from its parent: `against` the parent as the branch began (`pin`) or as it is `now`.

    `before` is the parent, `after` the branch. Against `now`, what the parent changed since counts too.
    """

    branch: str | None = None
    against: Literal["pin", "now"] = "pin"
    limit: Limit = 100
    cursor: str | None = None


class MergeConflict(Value, frozen=True):
    """What both sides changed, each otherwise. `ours` is the space merged into, `theirs` the branch; null: it is not there."""

    id: int
    """The entity; of a relation, the one it starts at (0 where that does not exist yet)."""
    name: str
    part: str
    """`entity`, `name`, `type`, an attribute, `property:KEY`, `observation:ID`, `messages`, or `relation`."""
    says: str
    base: Any = None
    ours: Any = None
    theirs: Any = None
    settled: Literal["", "ours", "theirs", "union"] = ""
    """How the strategy settled it; empty: it is open, and ours stands."""


class Merged(Value, frozen=True):
    """What a merge did, or would do."""

    branch: str
    into: str
    dry_run: bool = False
    results: list[Outcome] = []
    """The entities that were changed; the first `limit` of them."""
    created: int = 0
    updated: int = 0
    deleted: int = 0
    restored: int = 0
    relations_added: int = 0
    relations_removed: int = 0
    relations_waiting: int = 0
    """Relations held back, because an entity at one of their ends is in conflict."""
    messages: int = 0
    conflicts: list[MergeConflict] = []
    """The open ones first; the first `limit` of all."""
    open: int = 0
    """How many conflicts are open. The next merge tells of them again."""
    settled: int = 0
    """How many the strategy settled."""


class MergeBranch(Change[Merged]):
    """Merge a branch (the space in use, unless named) into its parent, or into a space that the parent reads through to.

    What one side alone changed is taken; observations and tags are merged as sets; what both changed otherwise is a conflict.
    With `report` conflicts stay open: ours stands, all else is merged. `ours` (the space merged into) or `theirs` (the branch)
    settles them so; `union` keeps both where there is such a thing: both values of a property, what one side deleted and the
    other changed. `dry_run` tells what would happen. Merging again merges what is new, and asks again about open conflicts.
    """

    branch: str | None = None
    into: str | None = None
    strategy: Literal["report", "ours", "theirs", "union"] = "report"
    dry_run: bool = False
    limit: Limit = 100
    message: str = ""


class DiscardBranch(Change[Space]):
    """Take a branch out of use, merged or not. Refused while other spaces read through it, and from within it.

    Its memories stay in the file: `create_space` of the same name over the same parent brings it back, until a new branch takes the name.
    """

    branch: str
    message: Annotated[str, Meta(max_length=10_000)] = ""
