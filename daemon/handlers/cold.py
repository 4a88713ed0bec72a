"""What lies in cold storage: its addresses, and what is said there."""

from collections.abc import Iterator
from typing import cast

import msgspec

from enhanced_memory.client.errors import StoreDamaged
from enhanced_memory.client.operations.cold import ArchivedEntity, ArchivedPage, ListArchived
from enhanced_memory.client.texts import strings
from enhanced_memory.client.values import Entity, Ref
from enhanced_memory.daemon.handlers import cursors
from enhanced_memory.daemon.handlers.told import entity_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted
from enhanced_memory.daemon.store.cold import Address
from enhanced_memory.daemon.store.cold_files import Group
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.records import EntityRecord, read, states
from enhanced_memory.daemon.times import moment

PAGE = 500
LOOKED_AT = 5_000
"""Addresses that one call looks at; where files are opened, a fifth of it."""


@ListArchived.handler
def list_archived(tx: Tx, ask: ListArchived) -> ArchivedPage:
    """Address by address; a file is opened only where what lies in it is asked for."""
    missing: list[Ref] = []
    wanted: set[int] | None = None
    if ask.entities:
        wanted = set()
        for ref in ask.entities:
            found = _meant(tx, ref)
            wanted |= {found} if found is not None else set()
            missing += [ref] if found is None else []
    (after,) = cursors.read(ask.cursor, int) if ask.cursor else (0,)
    kept: list[ArchivedEntity] = []
    files = {one.id: one.name for one in tx.cold.files()}
    looked, most = 0, LOOKED_AT // 5 if ask.containing else LOOKED_AT
    opened: set[int] = set()
    going_on = True
    for address, known in _addresses(tx, after, wanted):
        if looked == most or len(kept) > ask.limit:
            break
        looked, after = looked + 1, address.entity
        if not _fits(ask, known):
            continue
        group, problem = None, ""
        if ask.containing or ask.contents:
            opened.add(address.file)
            try:
                group = tx.cold.group(address)
            except StoreDamaged as damage:
                problem = f"{damage.message} {damage.hint}".strip()
            if group is not None and ask.containing and not says(group, ask.containing):
                continue
        kept.append(_told(tx, ask, address, known, files.get(address.file, ""), group, problem))
    else:
        going_on = False
    page = kept[: ask.limit]
    if len(kept) > ask.limit:
        after = page[-1].id
    following = cursors.write(after) if going_on or len(kept) > ask.limit else None
    return ArchivedPage(page, following, missing, len(opened), tx.space_name)


def _addresses(tx: Tx, after: int, wanted: set[int] | None) -> Iterator[tuple[Address, Stored]]:
    while page := tx.cold.addresses(after, PAGE):
        chosen = [one for one in page if wanted is None or one.entity in wanted]
        loaded = tx.entities.load((one.entity for one in chosen), tx.view)
        # An overlay's own row hides what its parent has archived.
        yield from (
            (one, known)
            for one in chosen
            if (known := loaded.get(one.entity)) is not None and known.deleted and known.space == one.space
        )
        after = page[-1].entity
        if len(page) < PAGE:
            return


def _meant(tx: Tx, ref: Ref) -> int | None:
    """The archived entity that an id or a name means."""
    for entity in [ref] if isinstance(ref, int) else tx.entities.once_named(ref):
        known = tx.entities.known(entity)
        if known is not None and known.deleted and tx.cold.address(known.space, entity) is not None:
            return entity
    return None


def _fits(ask: ListArchived, known: Stored) -> bool:
    state = known.state
    return (
        (not ask.types or state.type in ask.types)
        and set(ask.tags) <= set(state.tags)
        and ask.name.casefold() in state.name.casefold()
        and all(state.properties.get(key) == value for key, value in ask.properties.items())
    )


def says(group: Group, text: str) -> bool:
    """Whether a text is in what any version or message of it says."""
    wanted = text.casefold()
    return any(wanted in one.casefold() for record in group.records for one in strings(record))


def _told(
    tx: Tx, ask: ListArchived, address: Address, known: Stored, file: str, group: Group | None, problem: str
) -> ArchivedEntity:
    said = known.state
    entity = _last_said(tx, known, group) if ask.contents and group is not None else None
    return ArchivedEntity(
        known.id, said.name, said.type, moment(address.at), file, said.tags, said.properties, address.versions, address.messages,
        entity, problem,
    )  # fmt: skip


def _last_said(tx: Tx, known: Stored, group: Group) -> Entity:
    """What an entity said when it was archived, as answers tell it."""
    told = [record for record in group.records if record["type"] == "entity"]
    record = cast("EntityRecord", read(told[-1]))
    state, noted = states(record)[-1]
    state.observations = [Noted(one.id, one.change, one.text) for one in noted]
    one = msgspec.structs.replace(known, state=state, version=record.versions[-1].version, deleted=False)
    return entity_of(tx, one, [])
