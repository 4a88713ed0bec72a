"""What the six official tools that change the memory ask of the daemon."""

from enhanced_memory.client.errors import Denied, Error, NotFound
from enhanced_memory.client.operations.entities import (
    AddObservations,
    CreateEntities,
    DeleteEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
)
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.fencing import visible
from enhanced_memory.mcp_server.tools import shapes
from enhanced_memory.mcp_server.tools.contract import (
    AddArguments,
    DeleteEntitiesArguments,
    DeleteObservationsArguments,
    Entities,
    Relations,
)
from enhanced_memory.mcp_server.tools.declaration import Call, Structured
from enhanced_memory.mcp_server.tools.paging import opened

__all__ = [
    "add_observations",
    "ask_before_deleting",
    "create_entities",
    "create_relations",
    "delete_entities",
    "delete_observations",
    "delete_relations",
]

NAMED = 5
"""How many of the entities to be deleted a question names."""


async def create_entities(call: Call, given: Entities) -> Structured:
    """Store what is new. A name that exists is left as it is in an exact profile; else it gains what is new of its
    observations.
    """
    asked = [(entity.name, entity.entity_type, entity.observations) for entity in given.entities]
    inputs = [EntityInput(name=name, type=kind, observations=list(said)) for name, kind, said in asked]
    answer = await call.ask(CreateEntities(entities=inputs, on_existing="skip" if call.exact else "merge"))
    return shapes.created_entities(asked, answer, exact=call.exact)


async def create_relations(call: Call, given: Relations) -> Structured:
    """Relate by name; the ends need not exist."""
    inputs = [relation.input() for relation in given.relations]
    return shapes.created_relations(await call.ask(CreateRelations(relations=inputs)))


async def add_observations(call: Call, given: AddArguments) -> Structured:
    """Add to entities that exist, all or nothing. `NotFound` in the official server's words."""
    inputs = [ObservationsInput(entity=item.entity_name, contents=list(item.contents)) for item in given.observations]
    try:
        return shapes.added_observations(await call.ask(AddObservations(observations=inputs)))
    except NotFound as problem:
        raise await _first_missing(call, given, problem) from None


async def _first_missing(call: Call, given: AddArguments, problem: NotFound) -> Error:
    """The official server's sentence about the first name that does not exist; `problem` where all exist by now."""
    names = [item.entity_name for item in given.observations]
    known = {entity.name for entity in (await opened(call, names, relations=False)).entities}
    return next((NotFound(f"Entity with name {name} not found") for name in names if name not in known), problem)


async def delete_entities(call: Call, given: DeleteEntitiesArguments) -> Structured:
    """Delete by name; unknown names are passed over.

    `Denied` for many at once without `confirm`, but in an exact profile.
    """
    if not call.exact and not given.confirm and _many(given, call.settings):
        raise Denied(
            f"{len(given.entity_names)} entities are more than {call.settings.confirm_deletes}, which may go unasked.",
            "ask the user, then call again with confirm true; nothing was deleted",
        )
    await call.ask(DeleteEntities(entities=list(given.entity_names)))
    return shapes.done("Entities deleted successfully")


def ask_before_deleting(given: DeleteEntitiesArguments, settings: Settings) -> str:
    """What a person is asked before many entities are deleted at once; nothing for a few."""
    if not _many(given, settings):
        return ""
    named = ", ".join(f"“{visible(name)[:60]}”" for name in given.entity_names[:NAMED])
    others = len(given.entity_names) - NAMED
    return (
        f"Delete {len(given.entity_names)} entities from memory? {named}{f' and {others} more' if others > 0 else ''}."
    )


def _many(given: DeleteEntitiesArguments, settings: Settings) -> bool:
    return len(given.entity_names) > settings.confirm_deletes


async def delete_observations(call: Call, given: DeleteObservationsArguments) -> Structured:
    """Delete by exact text; what is not there is passed over."""
    inputs = [ObservationsDeletion(item.entity_name, list(item.observations)) for item in given.deletions]
    await call.ask(DeleteObservations(deletions=inputs))
    return shapes.done("Observations deleted successfully")


async def delete_relations(call: Call, given: Relations) -> Structured:
    """Delete exact triples; what is not there is passed over."""
    await call.ask(DeleteRelations(relations=[relation.input() for relation in given.relations]))
    return shapes.done("Relations deleted successfully")
