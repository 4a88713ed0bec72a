"""Agents of the real MemoRizz remember in the daemon: saved, loaded, run with a model that is a stub, and forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("memorizz", reason="LEFT OUT: the extra memorizz is not installed (scripts/test --adapters)")

from memorizz.enums.memory_type import MemoryType
from memorizz.long_term.semantic.persona.persona import Persona
from memorizz.memagent.core import MemAgent
from memorizz.memory_provider.base import MemoryProvider

from enhanced_memory.client import Memory
from enhanced_memory.client.adapters.memorizz import EnhancedMemoryProvider
from enhanced_memory.client.errors import Invalid


class Stub:
    """A model that says the same whatever it is told, and remembers what it was told."""

    model = "stub"
    client = None

    def __init__(self, says: str = "Noted.") -> None:
        self.says = says
        self.told: list[list[dict[str, Any]]] = []

    def generate(
        self, messages: list[dict[str, Any]], tools: Any = None, tool_choice: str = "auto", **more: Any
    ) -> Any:
        self.told.append(messages)
        return self.says

    def generate_text(self, prompt: str, instructions: str | None = None, **more: Any) -> str:
        return self.says

    def get_config(self) -> dict[str, Any]:
        return {"provider": "stub", "model": "stub"}

    def get_last_usage(self) -> None:
        return None

    def get_context_window_tokens(self) -> int:
        return 8000


@pytest.fixture
def provider(memory: Memory) -> Iterator[EnhancedMemoryProvider]:
    made = EnhancedMemoryProvider({"memory": memory, "model": f"test {memory.space}"})
    yield made
    made.close()


def agent(provider: EnhancedMemoryProvider, says: str = "Noted.", **more: Any) -> MemAgent:
    return MemAgent(model=Stub(says), memory_provider=provider, instruction="Be brief.", **more)


# The interface


def test_every_abstract_member_is_there_with_its_parameters() -> None:
    assert not inspect.isabstract(EnhancedMemoryProvider)
    for name in MemoryProvider.__abstractmethods__:
        wanted = inspect.signature(getattr(MemoryProvider, name)).parameters
        mine = inspect.signature(getattr(EnhancedMemoryProvider, name)).parameters
        named = [one for one in wanted if wanted[one].kind is not inspect.Parameter.VAR_KEYWORD]
        assert list(mine)[: len(named)] == named, name


def test_what_memorizz_asks_for_beside_it_is_there() -> None:
    for name in (
        "retrieve_memagent",
        "update_memagent",
        "supports_entity_memory",
        "list_tool_logs",
        "store_summary_with_links",
    ):
        assert callable(getattr(EnhancedMemoryProvider, name))


# Agents


def test_an_agent_is_saved_and_loaded_with_all_that_it_is(provider: EnhancedMemoryProvider) -> None:
    made = agent(provider, name="Ada's helper", memory_ids=["m-1", "m-2"], max_steps=7)
    made.save()
    loaded = MemAgent.load(made.agent_id, memory_provider=provider, model=Stub())
    assert (loaded.agent_id, loaded.name, loaded.instruction, loaded.max_steps) == (
        made.agent_id, "Ada's helper", "Be brief.", 7,
    )  # fmt: skip
    assert loaded.memory_ids == ["m-1", "m-2"]
    loaded.instruction = "Be wordy."
    loaded.save()
    assert MemAgent.load(made.agent_id, memory_provider=provider, model=Stub()).instruction == "Be wordy."
    assert [one.agent_id for one in provider.list_memagents()] == [made.agent_id]
    with pytest.raises(ValueError, match="not found"):
        MemAgent.load("nobody", memory_provider=provider)


def test_an_agent_remembers_what_was_said_across_processes(provider: EnhancedMemoryProvider, memory: Memory) -> None:
    made = agent(provider, "Tea it is.", memory_ids=["m-1"])
    made.save()
    assert made.run("I like green tea", memory_id="m-1", thread_id="t-1", user_id="ada") == "Tea it is."
    again = EnhancedMemoryProvider({"memory": memory, "model": f"test {memory.space}"})
    loaded = MemAgent.load(made.agent_id, memory_provider=again, model=Stub("As I said."))
    assert loaded.run("What do I like?", memory_id="m-1", thread_id="t-1", user_id="ada") == "As I said."
    told = str(loaded.model.told[-1])
    assert "I like green tea" in told
    assert "Tea it is." in told
    history = again.retrieve_conversation_history_ordered_by_timestamp("m-1", user_id="ada", thread_id="t-1")
    said = [(one["role"], one["content"]) for one in history]
    assert said == [
        ("user", "I like green tea"),
        ("assistant", "Tea it is."),
        ("user", "What do I like?"),
        ("assistant", "As I said."),
    ]
    assert again.retrieve_conversation_history_ordered_by_timestamp("m-1", user_id="bob") == []
    assert again.retrieve_conversation_history_ordered_by_timestamp("m-1", thread_id="t-2") == []


def test_a_persona_goes_with_its_agent(provider: EnhancedMemoryProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Persona, "_generate_embedding", lambda self: [1.0, 0.0])
    persona = Persona(name="Butler", role="General", goals="serve tea", background="has a kettle")
    made = agent(provider, persona=persona)
    made.save()
    loaded = provider.retrieve_memagent(made.agent_id)
    assert (loaded.persona.name, loaded.persona.background) == ("Butler", persona.background)


def test_deleting_an_agent_with_cascade_takes_what_no_other_agent_remembers(provider: EnhancedMemoryProvider) -> None:
    one, other = agent(provider, memory_ids=["own", "both"]), agent(provider, memory_ids=["both"])
    for made in (one, other):
        made.save()
    one.run("only here", memory_id="own")
    one.run("shared", memory_id="both")
    assert provider.delete_memagent(one.agent_id, cascade=True)
    assert provider.retrieve_memagent(one.agent_id) is None
    assert provider.retrieve_conversation_history_ordered_by_timestamp("own") == []
    assert len(provider.retrieve_conversation_history_ordered_by_timestamp("both")) == 2
    assert provider.delete_memagent(other.agent_id, cascade=True)
    assert provider.retrieve_conversation_history_ordered_by_timestamp("both") == []
    assert not provider.delete_memagent(other.agent_id)


def test_an_agent_s_memories_are_listed_and_taken_from_it(provider: EnhancedMemoryProvider) -> None:
    made = agent(provider)
    made.save()
    assert provider.update_memagent_memory_ids(made.agent_id, ["x", "y"])
    assert provider.retrieve_memagent(made.agent_id).memory_ids == ["x", "y"]
    assert provider.delete_memagent_memory_ids(made.agent_id)
    assert provider.retrieve_memagent(made.agent_id).memory_ids == []
    assert not provider.update_memagent_memory_ids("nobody", ["x"])


# Records


def test_records_are_retrieved_by_id_name_filter_vector_and_words(provider: EnhancedMemoryProvider) -> None:
    rows = [
        {"_id": "a", "name": "kettle", "content": "boils water", "embedding": [1.0, 0.0], "memory_id": "m"},
        {"_id": "b", "name": "cat", "content": "sleeps all day", "embedding": [0.0, 1.0], "memory_id": "m"},
        {"_id": "c", "name": "cat", "content": "of somebody else", "embedding": [0.0, 1.0], "memory_id": "n"},
    ]
    kind = MemoryType.KNOWLEDGE_BASE
    assert provider.store_many(rows, kind) == ["a", "b", "c"]
    assert (provider.retrieve_by_id("a", "long_term_memory") or {}) == rows[0] | {"id": "a"}
    assert (provider.retrieve_by_name("cat", kind) or {})["_id"] == "b"

    def found(query: Any, **how: Any) -> list[str]:
        return [one["_id"] for one in provider.retrieve_by_query(query, memory_type=kind, **{"limit": 5} | how)]

    assert found({"name": "cat"}) == ["b", "c"]
    assert found({"name": "cat"}, memory_id="n") == ["c"]
    assert found({"embedding": [0.9, 0.1]}, limit=1) == ["a"]
    assert found({"embedding": [0.1, 0.9]}, memory_id="m") == ["b", "a"]
    assert found("water") == ["a"]
    assert found("sleeps", memory_id="n") == []
    (one,) = provider.retrieve_by_query({"embedding": [1.0, 0.0]}, kind, 1)
    assert (one["score"], "embedding" in one) == (1.0, False)
    assert provider.retrieve_by_query({"name": "kettle"}, kind, include_embedding=True)[0]["embedding"] == [1.0, 0.0]


def test_text_is_embedded_by_the_provider_that_was_given(memory: Memory) -> None:
    class Embedder:
        def get_embedding(self, text: str, **more: Any) -> list[float]:
            return [1.0, 0.0] if "tea" in text else [0.0, 1.0]

    made = EnhancedMemoryProvider({"memory": memory, "model": f"test {memory.space}", "embedding_provider": Embedder()})
    made.store({"_id": "drink", "embedding": [1.0, 0.1]}, "knowledge_base")
    made.store({"_id": "pet", "embedding": [0.1, 1.0]}, "knowledge_base")
    assert [one["_id"] for one in made.retrieve_by_query("a cup of tea", "knowledge_base", limit=1)] == ["drink"]


def test_a_wrong_dimension_is_a_clear_error(provider: EnhancedMemoryProvider) -> None:
    provider.store({"_id": "a", "embedding": [1.0, 2.0, 3.0]}, "personas")
    with pytest.raises(Invalid, match="have 3 numbers here, this one 2"):
        provider.store({"_id": "b", "embedding": [1.0, 2.0]}, "toolbox")
    with pytest.raises(Invalid, match="have 3 numbers here, this one 1"):
        provider.retrieve_by_query({"embedding": [1.0]}, "personas")
    assert provider.list_all("toolbox") == []


def test_records_are_updated_in_parts_and_deleted(provider: EnhancedMemoryProvider) -> None:
    kind = MemoryType.WORKFLOW_MEMORY
    for name in ("x", "y", "z"):
        provider.store({"_id": name, "name": name, "outcome": "open"}, kind)
    assert provider.update_by_id("x", {"outcome": "done"}, kind)
    assert (provider.retrieve_by_id("x", kind) or {})["name"] == "x"
    assert not provider.update_by_id("nothing", {"outcome": "done"}, kind)
    assert provider.delete_by_name("y", kind)
    assert not provider.delete_by_name("y", kind)
    assert provider.delete_by_id("x", kind)
    assert [one["_id"] for one in provider.list_all(kind)] == ["z"]
    assert provider.delete_all(kind)
    assert provider.list_all(kind) == []


def test_a_user_sees_what_is_theirs_and_of_some_types_what_is_everybody_s(provider: EnhancedMemoryProvider) -> None:
    for kind in ("summaries", "knowledge_base"):
        for user in ("ada", "bob", None):
            provider.store({"_id": f"{kind}-{user}", "user_id": user, "content": "tea"}, kind)

    def seen(kind: str, **who: Any) -> list[str]:
        listed = [one["_id"].rpartition("-")[2] for one in provider.list_all(kind, **who)]
        assert sorted(listed) == sorted(
            one["_id"].rpartition("-")[2] for one in provider.retrieve_by_query("tea", kind, limit=9, **who)
        )
        return listed

    assert seen("summaries") == seen("knowledge_base") == ["ada", "bob", "None"]
    assert seen("summaries", user_id="ada") == ["ada"]
    assert seen("knowledge_base", user_id="ada") == ["ada", "None"]
    assert seen("summaries", user_id=None) == seen("knowledge_base", user_id=None) == ["None"]


def test_history_is_the_newest_in_order_of_their_instants(provider: EnhancedMemoryProvider) -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for number in (2, 0, 1, 3):
        when = (start + timedelta(minutes=number)).isoformat()
        when = when.replace("+00:00", "Z") if number == 1 else when
        provider.store({"content": str(number), "timestamp": when, "memory_id": "m"}, "conversation_memory")
    history = provider.retrieve_conversation_history_ordered_by_timestamp
    assert [one["content"] for one in history("m")] == ["0", "1", "2", "3"]
    assert [one["content"] for one in history("m", limit=2)] == ["2", "3"]


def test_a_change_moves_no_message_that_says_no_time(provider: EnhancedMemoryProvider) -> None:
    ids = [
        provider.store({"content": text}, MemoryType.CONVERSATION_MEMORY, memory_id="m") for text in ("one", "two", "three")
    ]  # fmt: skip
    provider.touch_many(ids[:1], MemoryType.CONVERSATION_MEMORY)
    provider.update_by_id(ids[1], {"seen": True}, MemoryType.CONVERSATION_MEMORY)
    provider.store_summary_with_links({"content": "a sum", "source_message_ids": ids[:1]})
    history = provider.retrieve_conversation_history_ordered_by_timestamp("m")
    assert [one["content"] for one in history] == ["one", "two", "three"]


def test_a_shared_memory_is_swapped_only_from_what_is_expected(provider: EnhancedMemoryProvider) -> None:
    provider.store({"_id": "board", "content": "one"}, "shared_memory")
    assert not provider.compare_and_swap_shared_memory("board", "two", "three")
    assert provider.compare_and_swap_shared_memory("board", "one", "two")
    assert not provider.compare_and_swap_shared_memory("nothing", "one", "two")
    assert (provider.retrieve_by_id("board", "shared_memory") or {})["content"] == "two"


def test_a_summary_and_the_marks_on_its_messages_are_one_change(provider: EnhancedMemoryProvider) -> None:
    for name in ("a", "b", "c"):
        provider.store({"_id": name, "content": name, "memory_id": "m"}, "conversation_memory")
    number = provider.store_summary_with_links({"content": "a and b", "source_message_ids": ["a", "b", "gone"]})
    marks = {one["_id"]: one.get("summary_id") for one in provider.list_all("conversation_memory")}
    assert marks == {"a": number, "b": number, "c": None}
    assert (provider.retrieve_by_id(number, "summaries") or {})["content"] == "a and b"


def test_vectors_are_staged_and_searched_by_namespace(provider: EnhancedMemoryProvider) -> None:
    provider.upsert_vector("notes", "n1", [1.0, 0.0], metadata={"kind": "x"})
    provider.upsert_vector("notes", "n2", [0.0, 1.0], metadata={"kind": "y"})
    provider.upsert_vector("other", "n3", [1.0, 0.0], metadata={})
    found = provider.query_vectors("notes", [0.9, 0.1], limit=2)
    assert [one["source_id"] for one in found] == ["n1", "n2"]
    assert provider.delete_vector("notes", "n1")
    assert [one["source_id"] for one in provider.query_vectors("notes", [0.9, 0.1], limit=2)] == ["n2"]


def test_tool_calls_are_told_newest_first(provider: EnhancedMemoryProvider) -> None:
    for number in range(3):
        when = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat()
        provider.store({"tool_name": str(number), "timestamp": when, "memory_id": "m", "thread_id": "t"}, "tool_log")
    assert [one["tool_name"] for one in provider.list_tool_logs("m", limit=2)] == ["2", "1"]
    assert provider.list_tool_logs("m", thread_id="other") == []


def test_a_setting_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Invalid, match="colour"):
        EnhancedMemoryProvider({"colour": "red"})
