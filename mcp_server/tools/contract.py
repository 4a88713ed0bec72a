"""What the official memory server's nine tools take and give, as types: its keys in its order, described in our words.

Arguments that are ours stand behind them; an exact profile knows nothing of those.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from enhanced_memory.client.values import At, Limit, RelationInput

__all__ = [
    "AddAnswer",
    "AddArguments",
    "DeleteEntitiesArguments",
    "DeleteObservationsArguments",
    "Done",
    "Entities",
    "GraphArguments",
    "Names",
    "Query",
    "Relations",
    "Shown",
]

Observations = Annotated[list[str], Meta(description="Facts, one per string")]

When = Annotated[
    At | None, Meta(description="Memory as it was: a change's number, a time (2026-11-20T08:00:00Z) or a snapshot")
]
ValidAt = Annotated[datetime | None, Meta(description="Only observations that were true at this time")]
Cursor = Annotated[str | None, Meta(description="Where an answer that was cut goes on")]
Detail = Literal["full", "names", "provenance"]


class NamedEntity(msgspec.Struct, rename="camel"):
    """An entity as the official server writes it."""

    name: Annotated[str, Meta(description="Unique name")]
    entity_type: Annotated[str, Meta(description="Kind of thing, e.g. person, project")]
    observations: Observations


class NamedRelation(msgspec.Struct, rename="camel"):
    """A relation as the official server writes it."""

    from_: Annotated[str, Meta(description="Entity it starts at")] = msgspec.field(name="from")
    to: Annotated[str, Meta(description="Entity it ends at")]
    relation_type: Annotated[str, Meta(description="Verb, e.g. works_at")]

    def input(self) -> RelationInput:
        """The relation as the daemon takes it."""
        return RelationInput(from_=self.from_, to=self.to, type=self.relation_type)


class Entities(msgspec.Struct):
    """What `create_entities` takes and gives."""

    entities: list[NamedEntity]


class Relations(msgspec.Struct):
    """What `create_relations` takes and gives, and `delete_relations` takes."""

    relations: list[NamedRelation]


class Additions(msgspec.Struct, rename="camel"):
    """Observations for one entity."""

    entity_name: Annotated[str, Meta(description="An entity that exists")]
    contents: Observations


class Added(msgspec.Struct, rename="camel"):
    """Which of them were new."""

    entity_name: str
    added_observations: list[str]


class Deletions(msgspec.Struct, rename="camel"):
    """Observations to be taken from one entity."""

    entity_name: Annotated[str, Meta(description="The entity that holds them")]
    observations: Annotated[list[str], Meta(description="Exact texts")]


class AddArguments(msgspec.Struct):
    """What `add_observations` takes."""

    observations: list[Additions]


class AddAnswer(msgspec.Struct):
    """What `add_observations` gives."""

    results: list[Added]


class DeleteEntitiesArguments(msgspec.Struct, rename="camel"):
    """What `delete_entities` takes."""

    entity_names: Annotated[list[str], Meta(description="Exact names")]
    confirm: Annotated[bool, Meta(description="True where the user agreed to delete many at once")] = False


class DeleteObservationsArguments(msgspec.Struct):
    """What `delete_observations` takes."""

    deletions: list[Deletions]


class Done(msgspec.Struct):
    """What the deleting tools give."""

    success: bool
    message: str


class GraphArguments(msgspec.Struct):
    """What `read_graph` takes."""

    limit: Annotated[Limit | None, Meta(description="How many entities at most")] = None
    cursor: Cursor = None
    detail: Annotated[Literal["full", "names"], Meta(description="names: without observations")] = "full"
    at: When = None
    valid_at: ValidAt = None


class Query(msgspec.Struct):
    """What `search_nodes` takes."""

    query: Annotated[str, Meta(description="Words to look for in names, types and observations; empty: everything")]
    limit: Annotated[Limit | None, Meta(description="How many entities at most")] = None
    cursor: Cursor = None
    detail: Annotated[Detail, Meta(description="provenance: also where each observation comes from")] = "full"
    at: When = None
    valid_at: ValidAt = None


class Names(msgspec.Struct):
    """What `open_nodes` takes."""

    names: Annotated[list[str], Meta(description="Exact names")]
    cursor: Cursor = None
    detail: Detail = "full"
    at: When = None
    valid_at: ValidAt = None


class Shown(msgspec.Struct):
    """What the reading tools give."""

    entities: list[NamedEntity]
    relations: list[NamedRelation]
