"""Relations: typed edges between entities."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import At, Entity, Graph, Limit, Ref, Relation, RelationInput, Value


class Related(Value, frozen=True):
    """The relations that were created and, apart, those that were there already."""

    created: list[Relation]
    existing: list[Relation] = []
    space: str = "default"


class CreateRelations(Change[Related]):
    """Relate entities. A relation is one (from, to, type); ends are ids or names, and a name need not exist yet."""

    relations: Annotated[list[RelationInput], Meta(max_length=10_000)]
    message: str = ""


class Unrelated(Value, frozen=True):
    """How many relations were removed."""

    removed: int
    space: str = "default"


class DeleteRelations(Change[Unrelated]):
    """Remove relations by (from, to, type). What is not there is passed over."""

    relations: Annotated[list[RelationInput], Meta(max_length=10_000)]
    message: str = ""


class ReadGraph(Question[Graph]):
    """The whole graph, page by page in the order in which entities were created; each page brings the relations that start at its entities.

    Relations whose start does not exist as an entity come with the last page. `at` is a change's number, a snapshot's name or
    a time (`2026-11-20T08:00:00Z`); `valid_at` leaves out the observations that were not true then.
    """

    limit: Limit = 1000
    cursor: str | None = None
    at: At | None = None
    valid_at: datetime | None = None


Direction = Literal["out", "in", "both"]
"""Which way relations are followed: from an entity, towards it, or either."""


class Neighbour(Value, frozen=True):
    """An entity that relations lead to, and in how many steps."""

    entity: Entity
    distance: int


class Neighbourhood(Value, frozen=True):
    """What is around an entity, nearest first."""

    found: list[Neighbour]
    relations: list[Relation] = []
    """Those that were followed, and those that lead to a name which no entity has."""
    cut: bool = False
    """Whether there is more within the depth asked for."""
    space: str = "default"


class FindRelated(Question[Neighbourhood]):
    """Entities that relations lead to from one entity, within `depth` steps, nearest first. `types` narrows to these relations.

    At most `limit` entities are told, and at most 5,000 relations of a step are followed, those made first; `cut` says so.
    """

    entity: Ref
    depth: Annotated[int, Meta(ge=1, le=6)] = 1
    types: list[str] = []
    direction: Direction = "both"
    limit: Limit = 100
    at: At | None = None


class Path(Value, frozen=True):
    """A shortest way between two entities; nothing where there is none."""

    entities: list[Entity] = []
    """From the first to the last."""
    relations: list[Relation] = []
    """Between each of them and the next one."""
    cut: bool = False
    """Whether the search ended at its bound, so that there may be a way after all."""
    space: str = "default"


class FindPath(Question[Path]):
    """A shortest way from one entity to another over relations of the given types, of at most `max_depth` steps.

    Of several shortest ways the one over the relations made first is told. At most 20,000 entities are looked at.
    """

    from_: Ref = msgspec.field(name="from")
    to: Ref
    max_depth: Annotated[int, Meta(ge=1, le=10)] = 6
    types: list[str] = []
    direction: Direction = "both"
    at: At | None = None
