# The package of the extra `memorizz` may not be there, and leaves parts of its types open:
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUntypedBaseClass=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportIncompatibleMethodOverride=false, reportMissingTypeArgument=false, reportPrivateUsage=false
"""A memory provider for the real MemoRizz: its agents remember in the daemon.

MemoRizz has a licence of its own, PolyForm Noncommercial 1.0.0, which whoever installs the extra has to heed. This module is
written against its interface; nothing of it is part of this package.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from enhanced_memory.client.adapters.provider import Records, name_of, plain
from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.sync import Memory

try:
    from memorizz.enums.memory_type import MemoryType
    from memorizz.memagent.models import MemAgentModel
    from memorizz.memory_provider.base import _UNSET, MemoryProvider, MemoryProviderCapabilities
    from memorizz.memory_provider.vectors import (
        VECTOR_MARKER,
        scope_matches,
        validate_scope,
        validate_vector,
        vector_hit,
    )
except ImportError as missing:
    raise ImportError(
        "The provider for MemoRizz needs its package: pip install 'enhanced-memory[memorizz]'"
    ) from missing

__all__ = ["EnhancedMemoryProvider"]

ANYBODY = _UNSET
"""In place of a user: whoever it is."""

SHARED = frozenset({"knowledge_base", "skillbox", "toolbox"})
"""Types of which a record without a user is everybody's."""

AGENTS = MemoryType.MEMAGENT.value
CONVERSATION = MemoryType.CONVERSATION_MEMORY.value


class EnhancedMemoryProvider(MemoryProvider):
    """What MemoRizz keeps, as records in the daemon's space. Made of a `config` map, every key of which may be left out:

    `memory` (a client of the daemon), `settings` (of the client that is made without one), `model` (the name under which embeddings are
    kept; all of a name have one length), `embedding_provider` (what embeds text for MemoRizz; without one, text is searched by the
    daemon's own words and meaning).
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.config = dict(config or {})
        unknown = sorted(self.config.keys() - {"memory", "settings", "model", "embedding_provider"})
        if unknown:
            raise Invalid(f"The provider has no setting {', '.join(unknown)}.", "see `EnhancedMemoryProvider`")
        given = self.config.get("memory")
        self.memory: Memory = given or Memory(client="memorizz", **self.config.get("settings", {}))
        self._own = given is None
        self._records = Records(self.memory, self.config.get("model", "memorizz"))

    def close(self) -> None:
        """End the connection, unless it was given."""
        if self._own:
            self.memory.close()

    # What it can

    def memory_capabilities(self) -> Any:
        """Batches all or nothing, scores, vectors compared in the daemon."""
        return MemoryProviderCapabilities(
            provider="enhanced-memory",
            batch_store=True,
            transactional_batch=True,
            result_scores=True,
            native_vector_search=True,
            vector_store=True,
        )

    def supports_entity_memory(self) -> bool:
        """It does."""
        return True

    def _get_embedding_provider(self) -> Any:
        return self.config.get("embedding_provider")

    # Storing

    def store(
        self,
        data: dict[str, Any] | None = None,
        memory_store_type: Any = None,
        memory_id: str | None = None,
        memory_unit: Any = None,
    ) -> str:
        """Keep a record, or a memory unit of a memory; its id. `_id` or `id` in it is kept, and replaces what is there under it."""
        record = dict(plain(memory_unit) if memory_unit is not None else data or {})
        if memory_id is not None:
            record["memory_id"] = memory_id
        kind = name_of(
            memory_store_type or record.get("memory_type") or (CONVERSATION if memory_unit is not None else None)
        )
        if kind == AGENTS:
            return self._store_agent(record)
        return self._records.put(kind, record)

    def store_many(
        self, rows: list[dict[str, Any]], memory_store_type: Any, *, memory_id: str | None = None
    ) -> list[str]:
        """Keep records, all or none of up to 1,000; their ids."""
        kind = name_of(memory_store_type)
        beside = {} if memory_id is None else {"memory_id": memory_id}
        if kind == AGENTS:
            return [self._store_agent(row | beside) for row in rows]
        return self._records.put_all(kind, [row | beside for row in rows])

    def update_by_id(self, id: str, data: dict[str, Any], memory_store_type: Any) -> bool:
        """Change the fields that `data` names; whether there was such a record."""
        return self._records.change(name_of(memory_store_type), id, lambda record: record | data)

    def compare_and_swap_shared_memory(self, memory_id: str, expected_content: Any, content: str) -> bool:
        """Replace the content of a shared memory if it is the expected one; whether it was."""
        expected = plain(expected_content)

        def swap(record: dict[str, Any]) -> dict[str, Any] | None:
            return record | {"content": content} if record.get("content") == expected else None

        return self._records.change(MemoryType.SHARED_MEMORY.value, memory_id, swap)

    def store_summary_with_links(self, summary: Mapping[str, Any]) -> str:
        """Keep a summary and mark the messages that it is of, in one change; the summary's id."""
        record = dict(summary)
        name = str(record.get("_id") or record.get("id") or record.get("summary_id") or uuid.uuid4())
        linked = {str(one): {"summary_id": name} for one in record.get("source_message_ids") or ()}
        return self._records.put_with(MemoryType.SUMMARIES.value, record | {"_id": name}, CONVERSATION, linked)

    # Retrieving

    def retrieve_by_id(self, id: str, memory_store_type: Any) -> dict[str, Any] | None:
        """The record of an id, with `_id` and `id`; None where there is none."""
        return self._records.get(name_of(memory_store_type), str(id))

    def retrieve_by_name(self, name: str, memory_store_type: Any) -> dict[str, Any] | None:
        """The first record of a name; None where there is none."""
        return next(self._records.all(name_of(memory_store_type), {"name": name}), None)

    def retrieve_by_query(
        self,
        query: Any,
        memory_store_type: Any = None,
        limit: int = 1,
        memory_id: str | None = None,
        memory_type: Any = None,
        user_id: Any = ANYBODY,
        thread_id: str | None = None,
        namespace: str | None = None,
        agent_id: str | None = None,
        statuses: Iterable[str] | None = None,
        knowledge_base_ids: Iterable[str] | None = None,
        include_embedding: bool = False,
        **others: Any,
    ) -> list[dict[str, Any]]:
        """Records of one type: those that meet a filter, the nearest to the `embedding` in it, or the best for a text.

        All scopes are judged before the limit. What was searched for has a `score`.
        """
        kind = name_of(memory_type or memory_store_type)
        wanted = {} if isinstance(query, str) else dict(plain(query or {}))
        embedding = wanted.pop("embedding", None)
        known = {str(one) for one in knowledge_base_ids or ()}
        if memory_id is not None and not known:
            wanted["memory_id"] = memory_id
        wanted |= {
            key: str(value) for key, value in (("thread_id", thread_id), ("namespace", namespace)) if value is not None
        }
        status = None if statuses is None else frozenset(statuses)

        def fits(record: dict[str, Any]) -> bool:
            base = str(record.get("knowledge_base_id") or record.get("long_term_memory_id") or "")
            return (
                _is_of(record, user_id, kind)
                and (not known or base in known or (memory_id is not None and record.get("memory_id") == memory_id))
                and (status is None or record.get("status") in status)
                and (agent_id is None or record.get("agent_id") in (None, agent_id))
            )

        if isinstance(query, str) and self._get_embedding_provider() is not None:
            embedding = self.embed_text(query)
        if embedding is not None or isinstance(query, str):
            text = query if isinstance(query, str) and embedding is None else ""
            found = self._records.search(
                kind, query=text, embedding=embedding, wanted=wanted, fits=fits, limit=max(1, limit)
            )
        else:
            fitting = (record for record in self._records.all(kind, wanted) if fits(record))
            found = [one for one, _ in zip(fitting, range(max(1, limit)), strict=False)]
        if not include_embedding:
            for one in found:
                one.pop("embedding", None)
        return found

    def retrieve_conversation_history_ordered_by_timestamp(
        self,
        memory_id: str,
        memory_type: Any = None,
        limit: int | None = None,
        user_id: Any = ANYBODY,
        thread_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """The newest messages of a memory, the oldest of them first; all of them without a limit."""
        kind = name_of(memory_type or CONVERSATION)
        wanted = {"memory_id": memory_id} | ({} if thread_id is None else {"thread_id": str(thread_id)})
        many = limit if limit and limit > 0 else None
        return self._records.latest(kind, wanted, many, lambda record: _is_of(record, user_id, kind))

    def list_all(self, memory_store_type: Any, user_id: Any = ANYBODY) -> list[dict[str, Any]]:
        """Every record of a type that a user may see, in the order of their making."""
        kind = name_of(memory_store_type)
        return [one for one in self._records.all(kind) if _is_of(one, user_id, kind)]

    def list_tool_logs(
        self, memory_id: str | None = None, user_id: Any = ANYBODY, limit: int = 20, thread_id: str | None = None
    ) -> list[dict[str, Any]]:
        """Tool calls, the newest first."""
        kind = MemoryType.TOOL_LOG.value
        wanted = {key: str(one) for key, one in (("memory_id", memory_id), ("thread_id", thread_id)) if one is not None}
        many = limit if limit and limit > 0 else None
        return self._records.latest(kind, wanted, many, lambda record: _is_of(record, user_id, kind))[::-1]

    def query_vectors(
        self,
        namespace: str,
        embedding: Any,
        *,
        limit: int = 10,
        scope: dict[str, Any] | None = None,
        include_embedding: bool = False,
    ) -> list[dict[str, Any]]:
        """The nearest of the vectors that `upsert_vector` put into a namespace and that are of the scope."""
        bounds = validate_scope(scope or {})
        wanted = {"namespace": namespace, "metadata": {"format": VECTOR_MARKER}}
        found = self._records.search(
            MemoryType.KNOWLEDGE_BASE.value, embedding=validate_vector(embedding), wanted=wanted, limit=limit,
            fits=lambda record: bool(scope_matches(record["metadata"], bounds)),
        )  # fmt: skip
        return [vector_hit(one, include_embedding=include_embedding) for one in found]

    # Deleting

    def delete_by_id(self, id: str, memory_store_type: Any) -> bool:
        """Delete a record softly; whether there was one."""
        return self._records.remove(name_of(memory_store_type), [str(id)]) > 0

    def delete_by_name(self, name: str, memory_store_type: Any) -> bool:
        """Delete the first record of a name; whether there was one."""
        found = self.retrieve_by_name(name, memory_store_type)
        return found is not None and self.delete_by_id(found["_id"], memory_store_type)

    def delete_all(self, memory_store_type: Any) -> bool:
        """Delete every record of a type; true, however many there were."""
        self._records.clear(name_of(memory_store_type))
        return True

    def _delete_memory_units_by_memory_id(self, memory_id: str, memory_type: Any) -> None:
        self._records.clear(name_of(memory_type), {"memory_id": memory_id})

    # Agents

    def store_memagent(self, memagent: Any) -> str:
        """Keep an agent's configuration; the agent's id. One that is there is replaced."""
        return self._store_agent(dict(memagent) if isinstance(memagent, Mapping) else _agent_record(memagent))

    def update_memagent(self, memagent: Any) -> str:
        """The same."""
        return self.store_memagent(memagent)

    def _store_agent(self, record: dict[str, Any]) -> str:
        identifier = str(record.get("agent_id") or record.get("_id") or record.get("id") or uuid.uuid4())
        told = plain(record)
        self._records.put(AGENTS, told | {"_id": identifier, "agent_id": identifier})
        self._sync_agent_tools_to_toolbox(identifier, told.get("tools"))
        return identifier

    def retrieve_memagent(self, agent_id: str) -> Any:
        """An agent's configuration; None where there is none."""
        record = self._records.get(AGENTS, agent_id)
        return None if record is None else MemAgentModel.from_document(record)

    def list_memagents(self) -> list[Any]:
        """Every agent's configuration, in the order of their making."""
        return [MemAgentModel.from_document(one) for one in self._records.all(AGENTS)]

    def delete_memagent(self, agent_id: str, cascade: bool = False) -> bool:
        """Delete an agent; with `cascade` also what it remembers and no other agent does. Whether there was such an agent."""
        record = self._records.get(AGENTS, agent_id)
        if record is not None and cascade:
            for memory_id in record.get("memory_ids") or ():
                self.delete_memory_units(memory_id, agent_id=agent_id)
        return self._records.remove(AGENTS, [agent_id]) > 0

    def update_memagent_memory_ids(self, agent_id: str, memory_ids: list[str]) -> bool:
        """Say which memories an agent has; whether there is such an agent."""
        return self.update_by_id(agent_id, {"memory_ids": list(memory_ids)}, AGENTS)

    def delete_memagent_memory_ids(self, agent_id: str) -> bool:
        """Leave an agent without memories; whether there is such an agent."""
        return self.update_memagent_memory_ids(agent_id, [])


def _agent_record(memagent: Any) -> dict[str, Any]:
    """A model of an agent as a record. Its persona says itself what it is made of; its LLM is named in `llm_config`, not kept."""
    dump: Callable[..., dict[str, Any]] = memagent.model_dump
    record = dump(exclude={"persona", "model"})
    persona = memagent.persona
    return record | {"persona": persona.to_dict() if hasattr(persona, "to_dict") else persona}


def _is_of(record: Mapping[str, Any], user_id: Any, kind: str) -> bool:
    """Whether a user may see a record: none named, everything; else what is that user's, and what is everybody's."""
    if user_id is ANYBODY:
        return True
    owner = record.get("user_id")
    return owner == user_id or (owner is None and user_id is not None and kind in SHARED)
