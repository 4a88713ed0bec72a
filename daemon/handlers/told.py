"""What is kept, as answers tell it."""

from collections.abc import Iterable

import msgspec

from enhanced_memory.client.values import Entity, Observation, Origin
from enhanced_memory.daemon.ageing import relevance
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import TIERS, Stored
from enhanced_memory.daemon.times import moment, moment_or_none

__all__ = ["details_of", "entities_of", "entity_of"]

_SAYS_NOTHING = Origin()


def entity_of(tx: Tx, one: Stored, details: list[Observation]) -> Entity:
    """An entity as the caller's view knows it."""
    state, own = one.state, one.state.attributes
    return Entity(
        id=one.id,
        name=state.name,
        type=state.type,
        observations=[noted.text for noted in state.observations],
        properties=state.properties,
        tags=state.tags,
        space=tx.view.name_of(one.space) or tx.space_name,
        scope=one.scope,
        version=one.version,
        tier=TIERS[own.get("tier") or 0],
        priority=own.get("priority", 5),
        importance=own.get("importance"),
        confidence=own.get("confidence"),
        relevance_score=round(
            relevance(own.get("relevance", 1.0), one.last_at, tx.now, tx.settings.relevance_half_life_days), 4
        ),
        always_include=bool(own.get("pinned")),
        quarantined=bool(own.get("quarantined")),
        deleted=one.deleted,
        created_at=moment_or_none(one.created_at or None),
        updated_at=moment_or_none(one.updated_at or None),
        expires_at=moment_or_none(own.get("expires_at")),
        last_confirmed=moment_or_none(own.get("confirmed_at")),
        access_count=one.used,
        last_accessed=moment_or_none(one.used_at or None),
        parent_entity_id=own.get("parent"),
        conflict_resolution_method=own.get("resolution"),
        original_size=one.text_bytes,
        compressed_size=one.stored_bytes,
        checksum=f"{one.crc:08x}",
        details=details,
    )


def entities_of(tx: Tx, found: Iterable[Stored], details: bool = False) -> list[Entity]:
    """Entities in the order given, with their observations' provenance if `details`."""
    found = list(found)
    if not details:
        return [entity_of(tx, one, []) for one in found]
    told = details_of(tx, found)
    return [entity_of(tx, one, told[one.id]) for one in found]


def details_of(tx: Tx, found: list[Stored]) -> dict[int, list[Observation]]:
    """The observations of entities with where each comes from: the change's own origin, unless the observation says otherwise."""
    notes = [(one.id, noted) for one in found for noted in one.state.observations]
    changes = tx.log.changes({noted.change for _, noted in notes})
    origins = tx.log.origins({noted.extra["origin"] for _, noted in notes if noted.extra and "origin" in noted.extra})
    told: dict[int, list[Observation]] = {one.id: [] for one in found}
    for entity, noted in notes:
        extra = noted.extra or {}
        change = changes.get(noted.change)
        origin = (
            origins.get(extra["origin"], _SAYS_NOTHING)
            if "origin" in extra
            else change.origin
            if change
            else _SAYS_NOTHING
        )
        if "trusted" in extra:
            origin = msgspec.structs.replace(origin, trust="user")  # the user has confirmed it since
        told[entity].append(
            Observation(
                id=noted.id,
                text=noted.text,
                change=noted.change,
                at=moment(extra.get("at", change.at if change else 0)),
                origin=origin,
                confidence=extra.get("confidence"),
                valid_from=moment_or_none(extra.get("valid_from")),
                valid_to=moment_or_none(extra.get("valid_to")),
                confirmed_at=moment_or_none(extra.get("confirmed_at")),
                quarantined=bool(extra.get("quarantined")),
                sources=extra.get("sources", []),
                said=extra.get("said", ""),
                speaker=extra.get("speaker", ""),
            )
        )
    return told
