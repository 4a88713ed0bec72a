"""Relations: typed edges between entities."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import At, Graph, Limit, Relation, RelationInput, Value


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
