"""The orchestrator's columns as the daemon keeps them: a memory's row as an entity, changes of it, filters. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from enhanced_memory.client.adapters.containment import facets, text_of
from enhanced_memory.client.adapters.documents import needed, plain
from enhanced_memory.client.adapters.orchestrator_rows import ENTRY
from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.entities import UpdateEntity
from enhanced_memory.client.values import Entity, EntityInput, Filter

__all__ = ["aware", "entity_of", "expired", "filters_of", "iso", "update_of"]


def aware(when: datetime) -> datetime:
    """A time with a zone; without one it is UTC."""
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def iso(when: datetime | None) -> str | None:
    """A time as a property holds it; without a zone it is UTC."""
    if when is None:
        return None
    return aware(when).isoformat()


def expired(one: Entity) -> bool:
    """Whether an entity's time is over."""
    return one.expires_at is not None and one.expires_at <= datetime.now(UTC)


def _said(content: Any) -> dict[str, Any]:
    """A content and what it is found by."""
    document = plain(needed(content, "content", "{'text': '…'}"))
    return {"content": document, "text_content": text_of(document), "facets": facets(document)}


def entity_of(row: Mapping[str, Any]) -> EntityInput:
    """A memory, given by the columns of its row with `tags` and `embeddings`."""
    embeddings = cast("Mapping[str, Sequence[float]]", row.get("embeddings") or {})
    priority = row.get("priority")
    said = _said(row.get("content")) | {
        "memory_type": needed(row.get("memory_type"), "memory_type", "context"),
        "session": row.get("session_id"),
        "source_agent": row.get("source_agent"),
        "priority": 5 if priority is None else priority,
        "created_at": iso(row.get("created_at")),
        "embedding_models": list(embeddings) or None,
    }
    return EntityInput(
        row.get("memory_id") or uuid.uuid4().hex,
        ENTRY,
        properties={key: value for key, value in said.items() if value is not None},
        tags=list(row.get("tags") or ()),
        priority=priority,
        expires_at=aware(row["expires_at"]) if row.get("expires_at") is not None else None,
        vectors={model: [float(one) for one in vector] for model, vector in embeddings.items()},
    )


def update_of(entity: int, columns: Mapping[str, Any]) -> UpdateEntity:
    """The change of a memory's columns. `Invalid` for one that it has not."""
    said: dict[str, Any] = {}
    ask = UpdateEntity(entity)
    for column, value in columns.items():
        match column:
            case "content":
                said |= _said(value)
            case "memory_type":
                said[column] = needed(value, column, "context")
            case "source_agent":
                said[column] = value
            case "session_id":
                said["session"] = value
            case "expires_at":
                ask.expires_at = None if value is None else aware(value)
            case "priority":
                needed(value, column, "5")
                ask.priority = said["priority"] = value
            case "is_active":
                if value is not True and value is not False:
                    raise Invalid("is_active is true or false.")
            case _:
                raise Invalid(f"A memory has no column {column} to change.", "see `MemoryOrchestrator.update_memory`")
    if said:
        ask.properties = said
    return ask


def filters_of(filters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The filters of a search as the daemon takes them."""
    names = {"memory_type": "memory_type", "session_id": "session", "source_agent": "source_agent"}
    known = {*names, "tags", "content", "min_priority", "since", "until"}
    unknown = sorted(filters.keys() - known)
    if unknown:
        raise Invalid(f"Memories are not filtered by {', '.join(unknown)}.", f"use {', '.join(sorted(known))}")
    where = [Filter(names[key], equal=value) for key, value in filters.items() if key in names and value is not None]
    if filters.get("content") is not None:
        where += [Filter("facets", equal=facet) for facet in facets(filters["content"])]
    if filters.get("min_priority") is not None:
        where.append(Filter("priority", at_least=float(filters["min_priority"])))
    times = {prefix + key: aware(filters[key]) for key in ("since", "until") if filters.get(key) is not None}
    return {"where": where, "tags": list(filters.get("tags") or ())} | times
