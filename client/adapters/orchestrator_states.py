"""The orchestrator's user profiles, agent states, and access log."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from enhanced_memory.client.adapters.accesses import OPERATIONS, Accesses
from enhanced_memory.client.adapters.containment import contains, facets
from enhanced_memory.client.adapters.documents import needed, plain
from enhanced_memory.client.adapters.lent import Lent
from enhanced_memory.client.adapters.orchestrator_columns import aware, expired
from enhanced_memory.client.adapters.orchestrator_rows import ENTRY, PROFILE, SESSION, STATE, profile_row, state_row
from enhanced_memory.client.errors import Error, Invalid, NotFound
from enhanced_memory.client.operations.cold import ListArchived
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteEntities,
    ListEntities,
    OpenNodes,
    UpdateEntity,
)
from enhanced_memory.client.operations.service import AccessInput
from enhanced_memory.client.values import AccessRow, Entity, EntityInput, Filter

__all__ = ["Profiles", "no_session"]

PAGE = 1000


def no_session(session_id: str) -> NotFound:
    """What to say of a session that is not there."""
    return NotFound(f"There is no session {session_id[:100]!r}.", "make it with `create_session`")


class Profiles(Lent):
    """Profiles, states and the log, over the same client as the rest."""

    accesses: Accesses

    # Profiles

    def save_profile(
        self,
        user_id: str,
        profile_data: Any = None,
        preferences: Any = None,
        is_active: bool | None = None,
    ) -> None:
        """Make a user's profile, or change what is given of it; both documents are any JSON."""
        said: dict[str, Any] = {
            "profile_data": plain(profile_data),
            "preferences": plain(preferences),
            "facets": None if preferences is None else facets(plain(preferences)),
            "is_active": is_active,
        }
        given = {key: value for key, value in said.items() if value is not None}
        self.memory.send(CreateEntities([EntityInput(user_id, PROFILE, properties=given)]))

    def delete_profile(self, user_id: str) -> bool:
        """Delete a user's profile, softly; whether there was one. The user's sessions stay."""
        found = self._named(user_id, PROFILE)
        return found is not None and bool(self.memory.send(DeleteEntities([found.id])).ids)

    def get_profile(self, user_id: str) -> dict[str, Any] | None:
        """A user's row; None where there is none."""
        found = self._named(user_id, PROFILE)
        return None if found is None else profile_row(found)

    def find_profiles(
        self, preferences: Any = None, is_active: bool | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Profiles whose preferences hold a part, as `@>`, in the order of their making."""
        part = plain(preferences)
        where = [Filter("facets", equal=facet) for facet in ([] if part is None else facets(part))]
        if is_active is not None:
            where.append(Filter("is_active", equal=is_active))
        found = (
            one
            for one in self._pages(ListEntities(types=[PROFILE], where=where), None)
            if part is None or contains(one.properties.get("preferences"), part)
        )
        return [profile_row(one) for one, _ in zip(found, range(limit), strict=False)]

    # Agent states

    def save_agent_state(
        self,
        agent_id: str,
        state_data: Any,
        session_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> int:
        """Keep an agent's state, any JSON, the only one it has in this session (or, without one, outside of any); the state's id.

        What the state was before stays in its history, as far back as the kind keeps it. `NotFound` for a session that is not there.
        """
        said: dict[str, Any] = {"agent": agent_id, "state_data": plain(needed(state_data, "state_data", "{'step': 1}"))}
        scope = STATE
        if session_id is not None:
            said["session"] = session_id
            scope = self._scope_in(agent_id, session_id)
        when = None if expires_at is None else aware(expires_at)
        given = EntityInput(agent_id, STATE, properties=said, scope=scope, expires_at=when)
        return self.memory.send(CreateEntities([given], on_existing="replace")).results[0].id

    def _scope_in(self, agent_id: str, session_id: str) -> str:
        """Where an agent's name is unique in a session: a later session of the same id is another one."""
        session = self._session(session_id)
        known = self._state(agent_id, session_id)
        return known.scope if known is not None else f"{STATE}/{session.id}/{session_id}"

    def _state(self, agent_id: str, session_id: str | None) -> Entity | None:
        """The state of an agent in a session, or outside of any, expired or not."""
        if session_id is None:
            return self._named(agent_id, STATE)
        where = [Filter("agent", equal=agent_id), Filter("session", equal=session_id)]
        found = self.memory.send(ListEntities(types=[STATE], where=where, limit=1)).entities
        return found[0] if found else None

    def get_agent_state(self, agent_id: str, session_id: str | None = None) -> dict[str, Any] | None:
        """An agent's state in a session (or outside of any); None where there is none, or it has expired."""
        found = self._state(agent_id, session_id)
        return None if found is None or expired(found) else state_row(found)

    def list_agent_states(
        self, agent_id: str | None = None, session_id: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """The states that have not expired, of an agent or in a session, in the order of their making."""
        where = [
            Filter(key, equal=value)
            for key, value in (("agent", agent_id), ("session", session_id))
            if value is not None
        ]
        return [state_row(one) for one in self._pages(ListEntities(types=[STATE], where=where), limit)]

    def delete_agent_state(self, agent: str | int, session_id: str | None = None) -> bool:
        """Delete the state of an agent in a session (or outside of any), or the one of a `state_id`; whether there was one."""
        if isinstance(agent, int):
            opened = self.memory.send(OpenNodes([agent], relations=False)).entities
            found = next((one for one in opened if one.type == STATE), None)
        else:
            found = self._state(agent, session_id)
        return found is not None and bool(self.memory.send(DeleteEntities([found.id])).ids)

    def _empty_states(self, session_id: str) -> None:
        """States outlive their session, without it. Each stays the one that it was: a global state of its agent is another."""
        where = [Filter("session", equal=session_id)]
        for one in list(self._pages(ListEntities(types=[STATE], where=where), None)):
            self.memory.send(UpdateEntity(one.id, properties={"session": None}))

    # The access log

    def log_access(
        self,
        operation: str,
        memory_id: str | None = None,
        *,
        session_id: str = "",
        agent_id: str = "",
        request_data: Mapping[str, Any] | None = None,
        success: bool = True,
        error_message: str = "",
        ip_address: str = "",
        timestamp: datetime | None = None,
    ) -> None:
        """Note an access that was not made through this object. No text of it is kept, only how long each was.

        `Invalid` for an operation that is none of create, read, update, delete, search; `NotFound` for a memory that never was.
        """
        if operation not in OPERATIONS:
            raise Invalid(f"{operation[:40]!r} is no operation of the access log.", f"use {', '.join(OPERATIONS)}")
        row = AccessInput(
            operation, self._number(memory_id) if memory_id else None, session=session_id, agent=agent_id, error="" if success else "failed",
            says=error_message, request=dict(request_data or {}), address=ip_address, at=timestamp,
        )  # fmt: skip
        self.accesses.add(row)
        self.accesses.flush()

    def access_log(
        self,
        memory_id: str | int | None = None,
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        operation: str | None = None,
        success: bool | None = None,
        since: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Rows of `memory_access_logs`, newest first; `before` goes on behind a row's `log_id`. They outlive their memories and sessions.

        After a purge the daemon knows a memory by its number alone: `memory_id` may be that number, and is one in such rows.
        """
        self.accesses.flush()
        about = self._number(memory_id) if isinstance(memory_id, str) else memory_id
        page = self.memory.access_log(
            limit=limit, ops=list(OPERATIONS) if operation is None else [operation], agent=agent_id, session=session_id,
            failed=None if success is None else not success, since=since, entity=about, before=before,
            space=self.memory.space,
        )  # fmt: skip
        names = self._called({row.entity for row in page.rows if row.entity})
        return [_access_row(row, names) for row in page.rows]

    def _number(self, memory_id: str) -> int:
        """The daemon's number of a memory, deleted and put away ones too. `NotFound` where there was none of that id, or it was purged."""
        found = self._named(memory_id, ENTRY)
        if found is not None:
            return found.id
        past, cold = self.memory.send_all(
            [OpenNodes([memory_id], scope=ENTRY, relations=False, version=1), ListArchived([memory_id], types=[ENTRY])]
        )
        if not isinstance(past, Error):
            return past.entities[0].id
        if not isinstance(cold, Error) and cold.entities:
            return cold.entities[0].id
        raise NotFound(
            f"There never was a memory {memory_id[:100]!r}, or it was purged.", "a purged one goes by its number"
        )

    def _called(self, numbers: set[int]) -> dict[int, str]:
        """Memories' ids by the daemon's numbers, deleted and put away ones too. What was purged is called nothing any more."""
        names = {one.id: one.name for one in self.memory.open_nodes(list(numbers), relations=False).entities}
        for past in self.memory.send_all(
            [OpenNodes([one], relations=False, version=1) for one in sorted(numbers - names.keys())]
        ):
            if not isinstance(past, Error):
                names[past.entities[0].id] = past.entities[0].name
        if away := sorted(numbers - names.keys()):
            cold = self.memory.send(ListArchived(list(away), limit=PAGE))
            names |= {one.id: one.name for one in cold.entities}
        return names

    def _named(self, name: str, scope: str) -> Entity | None:
        found = self.memory.send(OpenNodes([name], scope=scope, relations=False)).entities
        return found[0] if found else None

    def _session(self, session_id: str) -> Entity:
        found = self._named(session_id, SESSION)
        if found is None:
            raise no_session(session_id)
        return found

    def _pages(self, ask: ListEntities, limit: int | None) -> Iterator[Entity]:
        """Every entity of a listing, page by page."""
        left = limit
        while left is None or left > 0:
            page = self.memory.send(msgspec.structs.replace(ask, limit=PAGE if left is None else min(PAGE, left)))
            yield from page.entities
            if page.cursor is None:
                return
            ask = msgspec.structs.replace(ask, cursor=page.cursor)
            left = None if left is None else left - len(page.entities)


def _access_row(row: AccessRow, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "log_id": row.id,
        "memory_id": None if row.entity is None else names.get(row.entity, row.entity),
        "session_id": row.origin.session or None,
        "agent_id": row.origin.agent or None,
        "operation": row.op,
        "timestamp": row.at,
        "request_data": row.request or None,
        "success": row.ok,
        "error_message": row.says or row.error or None,
        "ip_address": row.address or None,
    }
