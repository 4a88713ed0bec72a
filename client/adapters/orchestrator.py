"""Memory Orchestrator: one store for a voice assistant's sessions, memories, profiles and agent states.

The original is a schema without calls: the names here are its tables' and columns', rows are dictionaries keyed by its columns,
and its CHECK and UNIQUE constraints are refused as `Invalid` and `Conflict`. Ids are the caller's. Times are aware of their zone.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from enhanced_memory.client.adapters.accesses import Accesses
from enhanced_memory.client.adapters.containment import contains
from enhanced_memory.client.adapters.orchestrator_cold import ColdSessions
from enhanced_memory.client.adapters.orchestrator_columns import entity_of, expired, filters_of, iso, update_of
from enhanced_memory.client.adapters.orchestrator_rows import ENTRY, SESSION, memory_row, relationship_row, session_row
from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteEntities,
    ListEntities,
    OpenNodes,
    RestoreEntities,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import Entity, EntityInput, Filter, RelationInput

__all__ = ["MemoryOrchestrator"]

BATCH = 500
"""Memories that one call of the daemon makes."""
PAGE = 1000
OVERFETCH = 4
"""How many times the limit is asked for where what comes back is compared once more."""


class MemoryOrchestrator(ColdSessions):
    """Sessions, memory entries, tags, embeddings, profiles, agent states, relationships and the access log.

    `memory` is a client of the daemon; without one, a `Memory` is made with the settings given. Every call on a memory is noted in
    the access log (`log_accesses=False`: none is); the rows go along with the next change, and at `close`.
    """

    def __init__(self, memory: Memory | None = None, *, log_accesses: bool = True, **settings: Any) -> None:
        super().__init__(memory, "orchestrator", settings)
        self.accesses = Accesses(self.memory, log_accesses)

    def close(self) -> None:
        """Write the accesses that wait; end the connection, unless it was given."""
        self.accesses.flush()
        super().close()

    # Sessions

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
        """Make a session; its id. `Conflict` where the id is taken."""
        name = session_id or uuid.uuid4().hex
        now = datetime.now(UTC)
        said = {
            "session_type": session_type,
            "user": user_id,
            "metadata": dict(metadata) if metadata is not None else None,
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
        if found is None:
            return None
        newest = self.memory.list_entities(
            types=[ENTRY], where=[Filter("session", equal=session_id)], order_by="updated", descending=True, limit=1
        )
        return session_row(found, newest.entities[0].updated_at if newest.entities else None)

    def list_sessions(
        self,
        user_id: str | None = None,
        session_type: str | None = None,
        *,
        active: bool | None = None,
        is_archived: bool | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Sessions, the one changed last first. `active`: those that have not ended, or those that have."""
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
        return [session_row(one) for one in self._pages(asked, limit)]

    def update_session(self, session_id: str, **columns: Any) -> None:
        """Change `user_id`, `session_type`, `metadata`, `summary`; null empties a column. `NotFound` where there is none."""
        names = {"user_id": "user", "session_type": "session_type", "metadata": "metadata", "summary": "summary"}
        unknown = sorted(columns.keys() - names.keys())
        if unknown:
            raise Invalid(f"A session has no column {', '.join(unknown)} to change.", f"it has {', '.join(names)}")
        said = {names[key]: value for key, value in columns.items()}
        self.memory.send(UpdateEntity(self._session(session_id).id, properties=said))

    def end_session(self, session_id: str, summary: str | None = None) -> None:
        """Note that a session has ended, with a summary if there is one. Ending it twice keeps the first time."""
        found = self._session(session_id)
        said = {"ended_at": found.properties.get("ended_at") or iso(datetime.now(UTC))}
        self.memory.send(UpdateEntity(found.id, properties=said | ({} if summary is None else {"summary": summary})))

    def delete_session(self, session_id: str, *, keep_permanent: bool = False) -> int:
        """Delete a session and its memories with their tags, embeddings and relationships; how many memories those were.

        `keep_permanent` keeps memories that never expire, without their session. Agent states stay, without their session.
        Softly: `undo` brings all of it back. `NotFound` where there is no such session.
        """
        found = self._session(session_id)
        # First of all, so that nothing new comes in meanwhile.
        self.memory.send(DeleteEntities([found.id]))
        gone = 0
        kept: set[int] = set()
        where = [Filter("session", equal=session_id)]
        for one in self._pages(ListEntities(types=[ENTRY], where=where), None):
            if keep_permanent and one.expires_at is None:
                self.memory.send(UpdateEntity(one.id, properties={"session": None}))
                kept.add(one.id)
        while page := [
            one.id
            for one in self.memory.list_entities(types=[ENTRY], where=where, limit=PAGE).entities
            if one.id not in kept
        ]:
            gone += len(self.memory.send(DeleteEntities(list(page))).ids)
        self._empty_states(session_id)
        return gone

    # Memories

    def create_memory(
        self,
        content: Mapping[str, Any],
        memory_type: str,
        *,
        memory_id: str | None = None,
        session_id: str | None = None,
        source_agent: str | None = None,
        expires_at: datetime | None = None,
        priority: int = 5,
        tags: Sequence[str] = (),
        embeddings: Mapping[str, Sequence[float]] | None = None,
        created_at: datetime | None = None,
    ) -> str:
        """Keep a memory; its id. `Conflict` where the id is taken, `NotFound` for a session that is not there, `Invalid` for a priority outside 1 to 10.

        What is searched are the words of `content`, its `text` first. `embeddings` are vectors by the names of their models.
        """
        given: dict[str, Any] = {
            "memory_id": memory_id, "session_id": session_id, "memory_type": memory_type, "content": content,
            "source_agent": source_agent, "expires_at": expires_at, "priority": priority, "tags": tags,
            "embeddings": embeddings, "created_at": created_at,
        }  # fmt: skip
        return self.create_memories([given])[0]

    def create_memories(self, rows: Iterable[Mapping[str, Any]], *, skip_existing: bool = False) -> list[str]:
        """Keep many memories, each given by what `create_memory` takes; their ids. Up to 500 at a time all or nothing.

        An id that is taken is a `Conflict`, or is left as it is (`skip_existing`).
        """
        ids: list[str] = []
        batch: list[Mapping[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH:
                ids += self._create(batch, skip_existing)
                batch = []
        return ids + (self._create(batch, skip_existing) if batch else [])

    def _create(self, rows: list[Mapping[str, Any]], skip_existing: bool) -> list[str]:
        entities = [entity_of(row) for row in rows]
        sessions = list(dict.fromkeys(row["session_id"] for row in rows if row.get("session_id")))
        missing = self.memory.open_nodes(list(sessions), scope=SESSION, relations=False).missing if sessions else []
        request = (
            {"memories": len(rows), "content": rows[0].get("content")} if len(rows) == 1 else {"memories": len(rows)}
        )
        with self.accesses.noted(
            "create", session=str(sessions[0]) if len(sessions) == 1 else "", request=request
        ) as noted:
            if missing:
                raise NotFound(f"There is no session {str(missing[0])[:100]!r}.", "make it with `create_session`")
            made = self.accesses.send(CreateEntities(entities, on_existing="skip" if skip_existing else "error"))
            noted.about = [one.id for one in made.results]
            noted.agents = [row.get("source_agent") or "" for row in rows]
        return [one.name for one in made.results]

    def known_memories(self, memory_ids: Sequence[str]) -> set[str]:
        """Which of these ids are taken."""
        found: set[str] = set()
        for begin in range(0, len(memory_ids), PAGE):
            some = list(memory_ids[begin : begin + PAGE])
            found |= {one.name for one in self.memory.open_nodes(list(some), scope=ENTRY, relations=False).entities}
        return found

    def get_memory(self, memory_id: str, *, agent_id: str = "") -> dict[str, Any] | None:
        """The memory's row; None where there is none, or where it was deleted or has expired."""
        with self.accesses.noted("read", agent=agent_id, request={"memory_id": memory_id}) as noted:
            found = self._named(memory_id, ENTRY)
            if found is None or expired(found):
                return None
            noted.concerns(found)
            return memory_row(found)

    def update_memory(self, memory_id: str, *, agent_id: str = "", **columns: Any) -> None:
        """Change `content`, `memory_type`, `session_id`, `source_agent`, `expires_at`, `priority` of a memory, or delete it (`is_active=False`).

        What it said before stays in its history. `NotFound` where there is none.
        """
        with self.accesses.noted("update", agent=agent_id, request=columns) as noted:
            found = self._memory(memory_id)
            noted.concerns(found)
            self.accesses.send(update_of(found.id, dict(columns)))
            if columns.get("is_active") is False:
                self.accesses.send(DeleteEntities([found.id]))

    def delete_memory(self, memory_id: str, *, agent_id: str = "") -> bool:
        """Delete a memory softly, with its relationships; whether there was one. `restore_memory` brings it back."""
        with self.accesses.noted("delete", agent=agent_id, request={"memory_id": memory_id}) as noted:
            found = self._named(memory_id, ENTRY)
            if found is None:
                return False
            noted.concerns(found)
            self.accesses.send(DeleteEntities([found.id]))
            return True

    def restore_memory(self, memory_id: str) -> None:
        """Bring a deleted memory back, with its relationships. `NotFound`, or `Conflict` where the id is taken again."""
        self.memory.send(RestoreEntities([memory_id]))

    def list_memories(self, *, limit: int = 100, order_by: str = "updated", **filters: Any) -> list[dict[str, Any]]:
        """Memories that meet the filters of `search`, the one changed last first (or by `created`, `priority`)."""
        asked = ListEntities(types=[ENTRY], order_by=order_by, descending=True, **filters_of(filters, "updated_"))
        return [memory_row(one) for one in self._matching(self._pages(asked, None), filters, limit)]

    def search(
        self,
        text: str = "",
        *,
        embedding: Sequence[float] | None = None,
        model: str = "",
        limit: int = 10,
        agent_id: str = "",
        **filters: Any,
    ) -> list[dict[str, Any]]:
        """Memories by words, meaning, or an embedding of `model`, best first, each with its `score`. What has expired is not found.

        Filters: `memory_type`, `session_id`, `source_agent`, `tags` (all of them), `content` (a part of it, as `@>`), `min_priority`,
        `since` and `until` (when changed). With neither text nor embedding: what meets the filters, the newest first.
        """
        request = {"text": text, "model": model, "limit": limit} | filters
        with self.accesses.noted("search", agent=agent_id, request=request) as noted:
            more = min(PAGE, limit * OVERFETCH) if filters.get("content") is not None else limit
            answer = self.memory.send(
                SearchNodes(
                    text, limit=min(more, PAGE), types=[ENTRY], vector=None if embedding is None else list(embedding), model=model, **filters_of(filters),
                )
            )  # fmt: skip
            scores = {hit.entity.id: hit.score for hit in answer.hits}
            found = list(self._matching((hit.entity for hit in answer.hits), filters, limit))
            noted.about = [one.id for one in found[:20]]
            return [memory_row(one) | {"score": scores[one.id]} for one in found]

    # Tags and embeddings

    def add_tag(self, memory_id: str, tag: str) -> None:
        """Give a memory a tag. `Conflict` where it has it."""
        found = self._memory(memory_id)
        if tag in found.tags:
            raise Conflict(f"The memory has the tag {tag[:100]!r} already.")
        self.memory.send(Tag([found.id], [tag], expected_version=found.version))

    def remove_tag(self, memory_id: str, tag: str) -> bool:
        """Take a tag from a memory; whether it had it."""
        found = self._memory(memory_id)
        self.memory.send(Untag([found.id], [tag]))
        return tag in found.tags

    def add_embedding(self, memory_id: str, embedding: Sequence[float], embedding_model: str) -> None:
        """Keep what a memory means to a model of the caller's. `Conflict` where there is one of this model; `Invalid` for another length than the model's others."""
        found = self._memory(memory_id)
        models: list[str] = found.properties.get("embedding_models", [])
        if embedding_model in models:
            raise Conflict(f"The memory has an embedding of {embedding_model[:100]!r} already.")
        given = EntityInput(
            memory_id, ENTRY, properties={"embedding_models": [*models, embedding_model]},
            vectors={embedding_model: [float(one) for one in embedding]}, expected_version=found.version,
            priority=found.priority,
        )  # fmt: skip
        self.memory.send(CreateEntities([given]))

    # Relationships

    def add_relationship(
        self,
        source_memory_id: str,
        target_memory_id: str,
        relationship_type: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> int:
        """Relate two memories; the relationship's id. `Conflict` where they are related so already, `Invalid` for a memory with itself."""
        if source_memory_id == target_memory_id:
            raise Invalid("A memory cannot be related to itself.")
        ends = self._memory(source_memory_id).id, self._memory(target_memory_id).id
        answer = self.memory.send(
            CreateRelations([RelationInput(*ends, relationship_type, metadata=dict(metadata or {}))])
        )
        if not answer.created:
            raise Conflict(f"These memories are related by {relationship_type[:100]!r} already.")
        return answer.created[0].id

    def get_relationships(self, memory_id: str) -> list[dict[str, Any]]:
        """The relationships that begin or end at a memory."""
        graph = self.memory.open_nodes([self._memory(memory_id).id])
        return [relationship_row(one) for one in graph.relations]

    def remove_relationship(self, source_memory_id: str, target_memory_id: str, relationship_type: str) -> bool:
        """Take a relationship away; whether there was one."""
        ends = self._memory(source_memory_id).id, self._memory(target_memory_id).id
        return self.memory.send(DeleteRelations([RelationInput(*ends, relationship_type)])).removed > 0

    # Finding

    def _named(self, name: str, kind: str) -> Entity | None:
        found = self.memory.send(OpenNodes([name], scope=kind, relations=False)).entities
        return found[0] if found else None

    def _memory(self, memory_id: str) -> Entity:
        found = self._named(memory_id, ENTRY)
        if found is None:
            raise NotFound(f"There is no memory {memory_id[:100]!r}.", "it may have been deleted: see `restore_memory`")
        return found

    def _session(self, session_id: str) -> Entity:
        found = self._named(session_id, SESSION)
        if found is None:
            raise NotFound(f"There is no session {session_id[:100]!r}.", "make it with `create_session`")
        return found

    def _matching(self, found: Iterable[Entity], filters: Mapping[str, Any], limit: int) -> Iterator[Entity]:
        part = filters.get("content")
        for one in found:
            if limit <= 0:
                return
            if part is None or contains(one.properties.get("content"), part):
                limit -= 1
                yield one
