"""Memory Orchestrator: one store for a voice assistant's sessions, memories, profiles and agent states.

The original is a schema without calls: the names here are its tables' and columns', rows are dictionaries keyed by its columns,
and its CHECK and UNIQUE constraints are refused as `Invalid` and `Conflict`. Ids are the caller's. Times are aware of their zone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import Any

import msgspec

from enhanced_memory.client.adapters.accesses import Accesses
from enhanced_memory.client.adapters.containment import contains
from enhanced_memory.client.adapters.documents import mapping, needed
from enhanced_memory.client.adapters.orchestrator_cold import ColdSessions
from enhanced_memory.client.adapters.orchestrator_columns import (
    entity_of,
    expired,
    filters_of,
    update_of,
)
from enhanced_memory.client.adapters.orchestrator_rows import ENTRY, SESSION, memory_row, relationship_row
from enhanced_memory.client.adapters.orchestrator_states import no_session
from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.curation import Expire
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteEntities,
    ListEntities,
    RestoreEntities,
    Tag,
    Untag,
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
    the access log (`log_accesses=False`: none is), with the `ip_address` for which this object works; the rows go along with the
    next change, and at `close`.
    """

    def __init__(
        self, memory: Memory | None = None, *, log_accesses: bool = True, ip_address: str = "", **settings: Any
    ) -> None:
        super().__init__(memory, "orchestrator", settings)
        self.accesses = Accesses(self.memory, log_accesses, ip_address)

    def close(self) -> None:
        """Write the accesses that wait; end the connection, unless it was given."""
        self.accesses.flush()
        super().close()

    # Memories

    def create_memory(
        self,
        content: Any,
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

        `content` is any JSON. What is searched are its words, its `text` first. `embeddings` are vectors by the names of their models.
        """
        given: dict[str, Any] = {
            "memory_id": memory_id, "session_id": session_id, "memory_type": memory_type, "content": content,
            "source_agent": source_agent, "expires_at": expires_at, "priority": priority, "tags": tags,
            "embeddings": embeddings, "created_at": created_at,
        }  # fmt: skip
        return self.create_memories([given])[0]

    def create_memories(
        self, rows: Iterable[Mapping[str, Any]], *, skip_existing: bool = False, kept_elsewhere: bool = False
    ) -> list[str]:
        """Keep many memories, each given by what `create_memory` takes; their ids. Up to 500 at a time all or nothing.

        An id that is taken is a `Conflict`, or is left as it is (`skip_existing`). `kept_elsewhere`: they come with their session
        from another store, and the session's `updated_at` stays what it was there.
        """
        ids: list[str] = []
        batch: list[Mapping[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH:
                ids += self._create(batch, skip_existing, kept_elsewhere)
                batch = []
        return ids + (self._create(batch, skip_existing, kept_elsewhere) if batch else [])

    def _create(self, rows: list[Mapping[str, Any]], skip_existing: bool, kept_elsewhere: bool) -> list[str]:
        sessions = list(dict.fromkeys(row["session_id"] for row in rows if row.get("session_id")))
        request = (
            {"memories": len(rows), "content": rows[0].get("content")} if len(rows) == 1 else {"memories": len(rows)}
        )
        with self.accesses.noted("create", request=request) as noted:
            noted.agents = [str(row.get("source_agent") or "") for row in rows]
            noted.sessions = [str(row.get("session_id") or "") for row in rows]
            entities = [entity_of(row) for row in rows]
            known = self.memory.open_nodes(sessions, scope=SESSION, relations=False) if sessions else None
            if known is not None and known.missing:
                raise no_session(str(known.missing[0]))
            made = self.accesses.send(CreateEntities(entities, on_existing="skip" if skip_existing else "error"))
            noted.about = [one.id for one in made.results]
            if known is not None and not kept_elsewhere:
                for ask in self._lives_on(known.entities):
                    self.memory.send(ask)
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
        """Change `content`, `memory_type`, `session_id`, `source_agent`, `expires_at`, `priority` of a memory, delete it (`is_active=False`), or bring it back.

        What it said before stays in its history. `NotFound` where there is none, or no such session.
        """
        with self.accesses.noted("update", agent=agent_id, request=columns) as noted:
            if columns.get("is_active") is True and self._named(memory_id, ENTRY) is None:
                self._restore(memory_id)
            found = self._memory(memory_id)
            noted.concerns(found)
            if columns.get("session_id") is not None:
                self._session(columns["session_id"])
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

    def restore_memory(self, memory_id: str, *, agent_id: str = "") -> None:
        """Bring a deleted memory back, with its relationships. `NotFound`, or `Conflict` where the id is taken again."""
        with self.accesses.noted("update", agent=agent_id, request={"memory_id": memory_id}) as noted:
            noted.about = [self._restore(memory_id)]

    def purge_expired(self) -> int:
        """Delete what has expired now, instead of waiting for the daemon to do so; how many that were. Softly: `undo` brings it back."""
        gone = 0
        while True:
            answer = self.memory.send(Expire(message="expired"))
            gone += answer.count
            if not answer.more:
                return gone

    def list_memories(
        self, *, limit: int = 100, order_by: str = "updated", agent_id: str = "", **filters: Any
    ) -> list[dict[str, Any]]:
        """Memories that meet the filters of `search`, the one changed last first (or by `created`, `priority`: the newest, the weightiest)."""
        request = {"limit": limit, "order_by": order_by} | filters
        with self.accesses.noted("search", agent=agent_id, request=request) as noted:
            asked = ListEntities(types=[ENTRY], order_by=order_by, descending=True, **filters_of(filters, "updated_"))
            most = limit if filters.get("content") is None else None
            pages = self._by_creation(asked, most) if order_by == "created" else self._pages(asked, most)
            found = list(self._matching(pages, filters, limit))
            noted.about = [one.id for one in found[:20]]
            return [memory_row(one) for one in found]

    def _by_creation(self, asked: ListEntities, most: int | None) -> Iterator[Entity]:
        """What was made here by when that was, and what says when it was made elsewhere by that: one order of both."""
        here = msgspec.structs.replace(asked, where=[*asked.where, Filter("created_at", exists=False)])
        told = msgspec.structs.replace(
            asked, where=[*asked.where, Filter("created_at", exists=True)], order_by="property:created_at"
        )
        return merge(
            self._pages(here, None),
            self._pages(told, None),
            key=lambda one: memory_row(one)["created_at"],
            reverse=True,
        )

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
            more = max(limit, min(PAGE, limit * OVERFETCH)) if filters.get("content") is not None else limit
            answer = self.memory.send(
                SearchNodes(
                    text, limit=more, types=[ENTRY], vector=None if embedding is None else list(embedding), model=model, **filters_of(filters),
                )
            )  # fmt: skip
            scores = {hit.entity.id: hit.score for hit in answer.hits}
            found = list(self._matching((hit.entity for hit in answer.hits), filters, limit))
            noted.about = [one.id for one in found[:20]]
            return [memory_row(one) | {"score": scores[one.id]} for one in found]

    # Tags and embeddings

    def add_tag(self, memory_id: str, tag: str) -> None:
        """Give a memory a tag. `Conflict` where it has it."""
        with self.accesses.noted("update", request={"tag": tag}) as noted:
            found = self._memory(memory_id)
            noted.concerns(found)
            if tag in found.tags:
                raise Conflict(f"The memory has the tag {tag[:100]!r} already.")
            self.accesses.send(Tag([found.id], [tag], expected_version=found.version))

    def remove_tag(self, memory_id: str, tag: str) -> bool:
        """Take a tag from a memory; whether it had it."""
        with self.accesses.noted("update", request={"tag": tag}) as noted:
            found = self._memory(memory_id)
            noted.concerns(found)
            if tag not in found.tags:
                return False
            self.accesses.send(Untag([found.id], [tag]))
            return True

    def add_embedding(
        self, memory_id: str, embedding: Sequence[float], embedding_model: str, *, replace: bool = False
    ) -> None:
        """Keep what a memory means to a model of the caller's. `Conflict` where there is one of this model, unless it is to be replaced.

        `Invalid` for another length than the model's others.
        """
        with self.accesses.noted("update", request={"embedding_model": embedding_model}) as noted:
            found = self._memory(memory_id)
            noted.concerns(found)
            models: list[str] = found.properties.get("embedding_models", [])
            if embedding_model in models and not replace:
                raise Conflict(
                    f"The memory has an embedding of {embedding_model[:100]!r} already.",
                    "`replace=True` takes its place",
                )
            given = EntityInput(
                memory_id, ENTRY, properties={"embedding_models": list(dict.fromkeys([*models, embedding_model]))},
                vectors={embedding_model: [float(one) for one in embedding]}, expected_version=found.version,
                priority=found.priority,
            )  # fmt: skip
            self.accesses.send(CreateEntities([given]))

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
        needed(relationship_type, "relationship_type", "reply")
        said = {} if metadata is None else mapping(metadata, "metadata")
        with self.accesses.noted("update", request={"relationship_type": relationship_type}) as noted:
            source = self._memory(source_memory_id)
            noted.concerns(source)
            related = RelationInput(source.id, self._memory(target_memory_id).id, relationship_type, metadata=said)
            answer = self.accesses.send(CreateRelations([related]))
            if not answer.created:
                raise Conflict(f"These memories are related by {relationship_type[:100]!r} already.")
            return answer.created[0].id

    def get_relationships(self, memory_id: str) -> list[dict[str, Any]]:
        """The relationships that begin or end at a memory."""
        with self.accesses.noted("read", request={"memory_id": memory_id}) as noted:
            found = self._memory(memory_id)
            noted.concerns(found)
            return [relationship_row(one) for one in self.memory.open_nodes([found.id]).relations]

    def remove_relationship(self, source_memory_id: str, target_memory_id: str, relationship_type: str) -> bool:
        """Take a relationship away; whether there was one."""
        with self.accesses.noted("update", request={"relationship_type": relationship_type}) as noted:
            source = self._memory(source_memory_id)
            noted.concerns(source)
            gone = RelationInput(source.id, self._memory(target_memory_id).id, relationship_type)
            return self.accesses.send(DeleteRelations([gone])).removed > 0

    # Finding

    def _memory(self, memory_id: str) -> Entity:
        found = self._named(memory_id, ENTRY)
        if found is None:
            raise NotFound(f"There is no memory {memory_id[:100]!r}.", "it may have been deleted: see `restore_memory`")
        return found

    def _restore(self, memory_id: str) -> int:
        """Bring a deleted memory back, whatever else is called so. Its number."""
        if self._named(memory_id, ENTRY) is not None:
            raise Conflict(
                f"The memory {memory_id[:100]!r} is there.", "what was deleted under its id before stays deleted"
            )
        number = self._number(memory_id)
        self.accesses.send(RestoreEntities([number]))
        return number

    def _matching(self, found: Iterable[Entity], filters: Mapping[str, Any], limit: int) -> Iterator[Entity]:
        part = filters.get("content")
        for one in found:
            if limit <= 0:
                return
            if part is None or contains(one.properties.get("content"), part):
                limit -= 1
                yield one
