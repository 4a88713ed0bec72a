"""Versions: what entities said before."""

from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations.versions import History, MemoryHistory
from enhanced_memory.client.values import Origin, Version
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.times import moment


@MemoryHistory.handler
def memory_history(tx: Tx, ask: MemoryHistory) -> History:
    """Newest first, through the layers: what an overlay changed, then what its parent said before."""
    ids = (
        [ask.entity]
        if isinstance(ask.entity, int)
        else [found]
        if (found := tx.entities.named(ask.entity)) is not None
        else tx.entities.once_named(ask.entity)
    )
    entity = next((one for one in ids if tx.entities.known(one) is not None), None)
    if entity is None:
        raise NotFound(f"There is no entity {ask.entity!r}, nor was there one.", "search for it with `search_nodes`")
    found = tx.entities.history(entity, ask.before, ask.limit + 1)
    changes = tx.log.changes({one.began for one in found})
    versions: list[Version] = []
    for one in found[: ask.limit]:
        change = changes.get(one.began)
        versions.append(
            Version(
                version=one.version,
                change=one.began,
                at=moment(change.at if change else 0),
                origin=change.origin if change else Origin(),
                op=change.op if change else "",
                message=change.message if change else "",
                space=tx.view.name_of(one.space) or tx.space_name,
                name=one.state.name,
                type=one.state.type,
                deleted=one.deleted,
                current=one.current,
                observations=[noted.text for noted in one.state.observations],
                properties=one.state.properties,
                tags=one.state.tags,
            )
        )
    return History(entity, versions, versions[-1].version if len(found) > ask.limit else None, tx.space_name)
