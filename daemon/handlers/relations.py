"""Relations: making and removing them."""

from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations, Related, Unrelated
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.relations import Edge, End
from enhanced_memory.daemon.text import check_data, check_name


@CreateRelations.handler
def create_relations(tx: Tx, ask: CreateRelations) -> Related:
    """What is there already stays as it is; of two equal ones in a call the first is made."""
    created: list[Edge] = []
    existing: list[Edge] = []
    wanted: list[tuple[End, End, str]] = []
    for given in ask.relations:
        check_name(given.type, "The relation's type", tx.settings.max_name_chars, empty=True)
        check_data(given.metadata, "The relation's metadata", tx.settings.max_text_chars)
        for end in (given.from_, given.to):
            if isinstance(end, str):
                check_name(end, "An end of the relation", tx.settings.max_name_chars, empty=True)
        wanted.append((tx.relations.end(given.from_), tx.relations.end(given.to), given.type))
    tx.relations.expect(dict.fromkeys(wanted))
    for given, between in zip(ask.relations, wanted, strict=True):
        known = tx.relations.find(*between)
        if known is None:
            created.append(tx.relations.create(*between, given.strength, given.metadata))
        else:
            existing.append(known)
    return Related(tx.relations.told(created), tx.relations.told(existing), tx.space_name)


@DeleteRelations.handler
def delete_relations(tx: Tx, ask: DeleteRelations) -> Unrelated:
    """What is not there is passed over, an unknown id included."""
    removed = 0
    for given in ask.relations:
        ends: list[End] = []
        for ref in (given.from_, given.to):
            if isinstance(ref, str):
                ends.append(tx.relations.end(ref))
            else:
                ends.append(End(ref))
        edge = tx.relations.find(ends[0], ends[1], given.type)
        removed += edge is not None
        while edge is not None:
            tx.relations.delete(edge)
            edge = tx.relations.find(ends[0], ends[1], given.type)  # a parent may have made the same
    return Unrelated(removed, tx.space_name)
