"""The orchestrator's sessions: made, told, changed, ended."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from enhanced_memory.client.adapters.documents import mapping
from enhanced_memory.client.adapters.orchestrator_columns import aware, iso
from enhanced_memory.client.adapters.orchestrator_rows import ENTRY, SESSION, session_row
from enhanced_memory.client.adapters.orchestrator_states import Profiles
from enhanced_memory.client.errors import Error, Invalid
from enhanced_memory.client.operations.entities import CreateEntities, ListEntities, UpdateEntity
from enhanced_memory.client.values import Entity, EntityInput, Filter

__all__ = ["Sessions"]

LATEST = "9999-12-31T00:00:00+00:00"

COLUMNS = {
    "user_id": "user",
    "session_type": "session_type",
    "metadata": "metadata",
    "summary": "summary",
    "ended_at": "ended_at",
    "is_archived": "archived_at",
}
"""The columns of a session that can be changed, and the properties that hold them."""


class Sessions(Profiles):
    """The table `sessions`."""

    def create_session(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        session_type: str = "conversation",
        metadata: Mapping[str, Any] | None = None,
        *,
        summary: str | None = None,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        ended_at: datetime | None = None,
        is_archived: bool = False,
    ) -> str:
        """Make a session; its id. `Conflict` where the id is taken.

        `updated_at` is for sessions that were kept elsewhere before: it stands until something happens in the session here.
        """
        name = session_id or uuid.uuid4().hex
        now = datetime.now(UTC)
        said = {
            "session_type": session_type,
            "user": user_id,
            "metadata": None if metadata is None else mapping(metadata, "metadata"),
            "summary": summary,
            "created_at": iso(created_at),
            "last_interaction": iso(updated_at),
            "ended_at": iso(ended_at),
            "archived_at": iso(ended_at or updated_at or now) if is_archived else None,
        }
        given = {key: value for key, value in said.items() if value is not None}
        self.memory.send(CreateEntities([EntityInput(name, SESSION, properties=given)], on_existing="error"))
        return name

    def get_session(self, session_id: str) -> dict[str, Any] | None:
        """The session's row; None where there is none. `updated_at` moves with its memories."""
        found = self._named(session_id, SESSION)
        return None if found is None else self._session_rows([found])[0]

    def list_sessions(
        self,
        user_id: str | None = None,
        session_type: str | None = None,
        *,
        active: bool | None = None,
        is_archived: bool | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Sessions, the one changed last first; a memory that was added is no change of its session, though `updated_at` tells of it.

        `active`: those that have not ended, or those that have.
        """
        where = [
            Filter(key, equal=value)
            for key, value in (("user", user_id), ("session_type", session_type))
            if value is not None
        ]
        if active is not None:
            where.append(Filter("ended_at", exists=not active))
        if is_archived is not None:
            where.append(Filter("archived_at", exists=is_archived))
        asked = ListEntities(types=[SESSION], where=where, order_by="updated", descending=True)
        return self._session_rows(list(self._pages(asked, limit)))

    def update_session(self, session_id: str, **columns: Any) -> None:
        """Change `user_id`, `session_type`, `metadata`, `summary`, `ended_at` or `is_archived`; null empties a column. `NotFound` where there is none."""
        unknown = sorted(columns.keys() - COLUMNS.keys())
        if unknown:
            raise Invalid(f"A session has no column {', '.join(unknown)} to change.", f"it has {', '.join(COLUMNS)}")
        self._change(self._session(session_id), columns)

    def end_session(self, session_id: str, summary: str | None = None) -> None:
        """Note that a session has ended, with a summary if there is one. Ending it twice keeps the first time."""
        found = self._session(session_id)
        ended = found.properties.get("ended_at") or datetime.now(UTC)
        self._change(found, {"ended_at": ended} | ({} if summary is None else {"summary": summary}))

    def complete_session(
        self,
        session_id: str,
        *,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        **columns: Any,
    ) -> bool:
        """Fill in what a session does not say yet; whether anything was. What it says stays. `NotFound` where there is none.

        Of two `created_at` the earlier one is right. `updated_at` counts where nothing has happened in the session here.
        """
        found = self._session(session_id)
        has = found.properties
        unsaid = {key: value for key, value in columns.items() if value is not None and has.get(COLUMNS[key]) is None}
        times: dict[str, Any] = {}
        if created_at is not None and aware(created_at) < datetime.fromisoformat(has.get("created_at") or LATEST):
            times["created_at"] = iso(created_at)
        if updated_at is not None and found.version == 1 and has.get("last_interaction") is None:
            times["last_interaction"] = iso(updated_at)
        if not unsaid and not times:
            return False
        self._change(found, unsaid, times)
        return True

    def _change(self, found: Entity, columns: Mapping[str, Any], times: Mapping[str, Any] | None = None) -> None:
        said: dict[str, Any] = {COLUMNS[key]: value for key, value in columns.items()}
        if "session_type" in columns and not columns["session_type"]:
            raise Invalid("A session has a session_type.", "give one, `conversation` or `task` for instance")
        if columns.get("metadata") is not None:
            said["metadata"] = mapping(columns["metadata"], "metadata")
        if "ended_at" in columns and isinstance(columns["ended_at"], datetime):
            said["ended_at"] = iso(columns["ended_at"])
        if "is_archived" in columns:
            if not isinstance(columns["is_archived"], bool):
                raise Invalid("is_archived is true or false.")
            put_away = found.properties.get("archived_at") or iso(datetime.now(UTC))
            said["archived_at"] = put_away if columns["is_archived"] else None
        # What is said of it here is later than whatever it said of its past elsewhere, unless that is what is said.
        if times is None and found.properties.get("last_interaction") is not None:
            said["last_interaction"] = None
        self.memory.send(UpdateEntity(found.id, properties=said | dict(times or {})))

    def _lives_on(self, sessions: Iterable[Entity]) -> list[UpdateEntity]:
        """What notes that something happens here in sessions that were kept elsewhere before."""
        return [
            UpdateEntity(one.id, properties={"last_interaction": None})
            for one in sessions
            if one.properties.get("last_interaction") is not None
        ]

    def _session_rows(self, found: list[Entity]) -> list[dict[str, Any]]:
        """The rows of sessions, each with the time of its newest memory."""
        pages = self.memory.send_all(
            ListEntities(
                types=[ENTRY], where=[Filter("session", equal=one.name)], order_by="updated", descending=True, limit=1
            )
            for one in found
        )
        rows: list[dict[str, Any]] = []
        for one, page in zip(found, pages, strict=True):
            if isinstance(page, Error):
                raise page
            rows.append(session_row(one, page.entities[0] if page.entities else None))
        return rows
