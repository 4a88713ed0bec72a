"""Entities: deleting, restoring, purging."""

import hashlib

from enhanced_memory.client.errors import Conflict, Denied, Invalid, NotFound
from enhanced_memory.client.operations.entities import (
    Created,
    DeleteEntities,
    PurgedEntity,
    PurgeEntities,
    Receipt,
    Removed,
    RestoreEntities,
)
from enhanced_memory.client.values import Outcome, Ref
from enhanced_memory.daemon.handlers.editing import copy, expect, expect_one
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.cold_files import Given
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.purging import Gone
from enhanced_memory.daemon.text import check_name

__all__ = ["bury", "bury_relations"]


@DeleteEntities.handler
def delete_entities(tx: Tx, ask: DeleteEntities) -> Removed:
    """A tombstone each; their relations end with them."""
    expect_one(ask.entities, ask.expected_version)
    ids: list[int] = []
    missing: list[Ref] = []
    for ref in ask.entities:
        known = tx.entities.find(ref)
        if known is None:
            missing.append(ref)
            continue
        expect(known, ask.expected_version)
        bury(tx, known)
        ids.append(known.id)
    # Relations may name what was never made; deleting the name takes them too (the official server's rule).
    for edge in tx.relations.touching([], names=[ref for ref in missing if isinstance(ref, str)]):
        tx.relations.delete(edge)
    return Removed(ids, missing, tx.space_name)


def bury(tx: Tx, known: Stored, act: str = "delete") -> None:
    """Make a tombstone of an entity; the relations that touch it end with it."""
    bury_relations(tx, known)
    tx.entities.change(known, copy(known.state), act=act, deleted=True)


def bury_relations(tx: Tx, known: Stored) -> None:
    """End the relations that touch an entity."""
    for edge in tx.relations.touching([known.id]):
        tx.relations.delete(edge)


@RestoreEntities.handler
def restore_entities(tx: Tx, ask: RestoreEntities) -> Created:
    """As they were when they were deleted, under their own name or `as_name`."""
    if ask.as_name is not None and len(ask.entities) != 1:
        raise Invalid("as_name renames one entity, but several are given.", "restore them one by one")
    expect_one(ask.entities, ask.expected_version)
    outcomes: list[Outcome] = []
    for ref in ask.entities:
        known = _deleted(tx, ref)
        expect(known, ask.expected_version)
        address = tx.cold.address(known.space, known.id)
        given: list[Given] = []
        if address is not None:
            if known.space != tx.space:
                raise Conflict(
                    f"Entity {known.id} was archived in a space that this one reads through to.", "restore it there"
                )
            known, given = tx.cooling.bring_back(known, address)
        state = copy(known.state)
        for name in ("parent", "resolution"):
            state.attributes.pop(name, None)  # it stands for itself again
        if state.attributes.get("expires_at", tx.now + 1) <= tx.now:
            del state.attributes["expires_at"]  # or it would be gone again
        if ask.as_name is not None:
            state.name = check_name(ask.as_name, "The new name", tx.settings.max_name_chars)
        holder = tx.entities.named(state.name, known.scope)
        if holder is not None:
            raise Conflict(
                f"The name {state.name[:100]!r} was taken by entity {holder} after entity {known.id} was deleted.",
                "restore it under another name with as_name, or rename or delete the one that has it",
            )
        one = tx.entities.change(known, state, act="restore")
        tx.relations.restore(known.id, known.began, known.space)
        tx.relations.adopt(known.id, state.name)
        tx.cooling.give(known.id, given)
        outcomes.append(Outcome(one.id, state.name, "updated", one.version))
    return Created(outcomes, tx.space_name)


def _deleted(tx: Tx, ref: Ref) -> Stored:
    """The deleted entity that `ref` means; for a name, the one deleted last under it."""
    known = _tombstone(tx, ref)
    if known is not None:
        return known
    there = tx.entities.find(ref)
    if there is not None:
        raise Conflict(f"Entity {there.id} is not deleted.", "there is nothing to restore")
    raise NotFound(
        f"No deleted entity {ref!r} is known in space {tx.space_name!r}.", "see `list_entities` with deleted true"
    )


def _tombstone(tx: Tx, ref: Ref) -> Stored | None:
    """What `ref` meant when it was deleted; None where nothing deleted was called so at its end."""
    for entity in [ref] if isinstance(ref, int) else tx.entities.once_named(ref):
        known = tx.entities.known(entity)
        if known is not None and known.deleted and (isinstance(ref, int) or known.state.name == ref):
            return known
    return None


@PurgeEntities.handler
def purge_entities(tx: Tx, ask: PurgeEntities) -> Receipt:
    """Every row, here and in the spaces that read through to here. What is left of it in the store's files is cleared after the commit."""
    if not ask.confirm:
        raise Denied("A purge cannot be undone.", "set confirm to true, or use `delete_entities`, which can")
    expect_one(ask.entities, ask.expected_version)
    missing: list[Ref] = []
    chosen: dict[int, None] = {}
    for ref in ask.entities:
        known = tx.entities.find(ref)
        if known is None:
            known = _tombstone(tx, ref)
        if known is None or known.space != tx.space:
            missing.append(ref)
            continue
        expect(known, ask.expected_version)
        chosen[known.id] = None
    if not chosen:
        return Receipt([], {}, hashlib.sha256().hexdigest(), missing)
    purging = tx.purging()
    gone = [purging.take(entity) for entity in chosen]
    answers, messages, tx.forgotten = purging.finish()
    removed = purging.removed | {"answers": answers, "notes": purging.removed["notes"] + messages}
    told = [PurgedEntity(one.id, len(one.crcs), _digest(one)) for one in gone]
    whole = hashlib.sha256("".join(one.sha256 for one in told).encode()).hexdigest()
    return Receipt(
        [one.id for one in gone], removed, whole, missing, tx.log.backups(min(one.first for one in gone)), told,
        sorted({name for one in gone for name in one.spaces}), sorted({name for one in gone for name in one.kept_in}),
        answers=answers,
    )  # fmt: skip


def _digest(one: Gone) -> str:
    said = "".join(f"{one.id}:{space}:{version}:{checksum:08x};" for space, version, checksum in sorted(one.crcs))
    return hashlib.sha256(said.encode()).hexdigest()
