"""Rows of the orchestrator's tables, made of what the daemon keeps. Pure."""

from datetime import datetime
from typing import Any

from enhanced_memory.client.values import Entity, Relation

__all__ = [
    "ENTRY",
    "PROFILE",
    "SESSION",
    "STATE",
    "memory_row",
    "profile_row",
    "relationship_row",
    "session_row",
    "state_row",
]

SESSION = "session"
ENTRY = "memory_entry"
PROFILE = "user_profile"
STATE = "agent_state"


def _time(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def session_row(one: Entity, newest: Entity | None = None) -> dict[str, Any]:
    """A row of `sessions`; `newest` is its memory that was changed last."""
    said = one.properties
    created = _time(said.get("created_at")) or one.created_at
    told = _time(said.get("last_interaction"))
    # What came from elsewhere says when it was last used, and so do memories that came with it and were not changed since.
    here = newest if newest is not None and (told is None or newest.version > 1) else None
    moved = [when for when in (told or one.updated_at, here.updated_at if here else None) if when is not None]
    return {
        "session_id": one.name,
        "user_id": said.get("user"),
        "created_at": created,
        "updated_at": max(moved, default=created),
        "ended_at": _time(said.get("ended_at")),
        "metadata": said.get("metadata"),
        "summary": said.get("summary"),
        "is_archived": said.get("archived_at") is not None,
        "session_type": said.get("session_type"),
    }


def memory_row(one: Entity) -> dict[str, Any]:
    """A row of `memory_entries`, with its tags and the models of which it has embeddings."""
    said = one.properties
    return {
        "memory_id": one.name,
        "session_id": said.get("session"),
        "memory_type": said.get("memory_type"),
        "content": said.get("content"),
        "text_content": said.get("text_content"),
        "source_agent": said.get("source_agent"),
        "created_at": _time(said.get("created_at")) or one.created_at,
        "updated_at": one.updated_at,
        "expires_at": one.expires_at,
        "priority": one.priority,
        "is_active": not one.deleted,
        "tags": list(one.tags),
        "embedding_models": list(said.get("embedding_models", [])),
    }


def relationship_row(one: Relation) -> dict[str, Any]:
    """A row of `memory_relationships`."""
    return {
        "relationship_id": one.id,
        "source_memory_id": one.from_,
        "target_memory_id": one.to,
        "relationship_type": one.type,
        "metadata": one.metadata or None,
        "created_at": one.created_at,
    }


def profile_row(one: Entity) -> dict[str, Any]:
    """A row of `user_profiles`."""
    said = one.properties
    return {
        "user_id": one.name,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "profile_data": said.get("profile_data"),
        "preferences": said.get("preferences"),
        "is_active": said.get("is_active", True),
    }


def state_row(one: Entity) -> dict[str, Any]:
    """A row of `agent_states`."""
    said = one.properties
    return {
        "state_id": one.id,
        "agent_id": said.get("agent"),
        "session_id": said.get("session"),
        "state_data": said.get("state_data"),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "expires_at": one.expires_at,
    }
