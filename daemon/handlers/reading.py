"""Entities and the graph: opening and listing."""

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.entities import EntityPage, ListEntities, OpenNodes
from enhanced_memory.client.operations.relations import ReadGraph
from enhanced_memory.client.operations.versions import GraphAt
from enhanced_memory.client.values import Graph, Ref
from enhanced_memory.daemon.handlers import cursors
from enhanced_memory.daemon.handlers.filters import entity_conditions, equals
from enhanced_memory.daemon.handlers.moments import any_time, look_back
from enhanced_memory.daemon.handlers.saying import only_valid
from enhanced_memory.daemon.handlers.told import entities_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.times import millis

_KEYS = {"id": "key_id", "updated": "key_updated", "created": "key_id", "priority": "key_priority", "name": "key_name"}
"""Ids are given out in the order of creation, and a copy in an overlay keeps its id."""


@OpenNodes.handler
def open_nodes(tx: Tx, ask: OpenNodes) -> Graph:
    """In the order given, each once. A name that several entities share opens all of them."""
    if ask.version is not None:
        return _open_version(tx, ask, ask.version)
    look_back(tx, ask.at)
    found: dict[int, Stored] = {}
    missing: list[Ref] = []
    for ref in ask.names:
        known = tx.entities.opened(ref, ask.scope or None)
        found |= {one.id: one for one in known}
        if not known:
            missing.append(ref)
    tx.call.used += found
    relations = tx.relations.touching(found) if ask.relations and found else []
    names = {one.id: one.state.name for one in found.values()}
    return Graph(
        entities_of(tx, only_valid(tx, list(found.values()), ask.valid_at), ask.details),
        tx.relations.told(relations, names) if relations else [],
        missing,
        None,
        tx.space_name,
    )


def _open_version(tx: Tx, ask: OpenNodes, number: int) -> Graph:
    """One entity as a version of it says, deleted since or not, with the relations that it had when that version ended."""
    if len(ask.names) != 1 or ask.at is not None:
        raise Invalid("A version is of one entity.", "give one name, and either version or at")
    one, last = tx.entities.stood(any_time(tx, ask.names[0], ask.scope or None), number)
    tx.look_back(last)
    change = tx.log.changes([one.began]).get(one.began)
    one.updated_at = change.at if change else 0
    edges = tx.relations.touching([one.id]) if ask.relations and not one.deleted else []
    told = entities_of(tx, only_valid(tx, [one], ask.valid_at), ask.details)
    return Graph(told, tx.relations.told(edges, {one.id: one.state.name}) if edges else [], [], None, tx.space_name)


@ListEntities.handler
def list_entities(tx: Tx, ask: ListEntities) -> EntityPage:
    """A page in the order asked for; one more than the page is read, to know whether another follows."""
    look_back(tx, ask.at)
    conditions, values = entity_conditions(
        types=ask.types,
        tiers=list(ask.tiers),
        tags=ask.tags,
        where=ask.where,
        quarantined=ask.quarantined,
        pinned=ask.always_include,
        scope=ask.scope,
        since=millis(ask.updated_since, "updated_since") if ask.updated_since else None,
        until=millis(ask.updated_until, "updated_until") if ask.updated_until else None,
    )
    if ask.deleted:
        conditions.remove("not_expired")
    if ask.order_by in _KEYS:
        key = _KEYS[ask.order_by]
    elif ask.order_by.startswith("property:") and len(ask.order_by) > 9:
        key, values["order_key"] = "key_property", ask.order_by[9:]
    else:
        raise Invalid(f"order_by {ask.order_by[:100]!r} is not known.", f"use {', '.join(_KEYS)} or property:KEY")
    if ask.deleted and key in ("key_name", "key_property"):
        raise Invalid(
            f"What is deleted is not ordered by {ask.order_by[:100]!r}: names and properties end with it.",
            "order by id, updated or priority",
        )
    # A page goes on from the last one's place, whatever came in between.
    last, number = cursors.read(ask.cursor, str | int | float, int) if ask.cursor else (None, 0)
    found = tx.entities.page(
        *conditions,
        key=key,
        down=ask.descending,
        limit=ask.limit + 1,
        beyond=(last, number) if number else None,
        deleted=ask.deleted,
        rare=(ask.tags, equals(ask.where)),
        **values,
    )
    page = found[: ask.limit]
    following = cursors.write(page[-1].place, page[-1].id) if len(found) > ask.limit else None
    return EntityPage(entities_of(tx, page, ask.details), following, tx.space_name)


@GraphAt.handler
def graph_at(tx: Tx, ask: GraphAt) -> Graph:
    """As `read_graph` does, at a moment that has to be named."""
    return read_graph(tx, ReadGraph(ask.limit, ask.cursor, ask.at, ask.valid_at))


@ReadGraph.handler
def read_graph(tx: Tx, ask: ReadGraph) -> Graph:
    """Entities by their ids, each page with the relations that start at them, so that every relation comes once."""
    look_back(tx, ask.at)
    (after,) = cursors.read(ask.cursor, int) if ask.cursor else (0,)
    conditions = ["not_expired", *(["after_id"] if after else [])]
    found = tx.entities.page(*conditions, limit=ask.limit + 1, **({"after": after} if after else {}))
    more = len(found) > ask.limit
    found = found[: ask.limit]
    names = {one.id: one.state.name for one in found}
    edges = tx.relations.touching(names, outgoing=True) if names else []
    if not more:
        edges += tx.relations.loose()
    return Graph(
        entities_of(tx, only_valid(tx, found, ask.valid_at)),
        tx.relations.told(edges, names),
        [],
        cursors.write(found[-1].id) if more else None,
        tx.space_name,
    )
