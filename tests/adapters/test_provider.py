"""Records by memory type, with no package at all. The acceptance list of the provider's users, a test a line, comes first."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.adapters.provider import MemoryProvider
from enhanced_memory.client.errors import Invalid, Refused
from enhanced_memory.client.settings import Settings


class MemoryType(Enum):
    """As programs for other providers have it."""

    LONG_TERM_MEMORY = "long_term_memory"
    CONVERSATION_MEMORY = "conversation_memory"


@pytest.fixture
def provider(memory: Memory) -> Iterator[MemoryProvider]:
    with MemoryProvider(memory, model=f"test {memory.space}") as made:
        yield made


RECORD: dict[str, Any] = {
    "name": "tea",
    "content": "Ada likes green tea",
    "embedding": [0.1, -2.5, 3.0, 1e-30],
    "metadata": {"from": ["chat", 3], "deep": {"on": True, "none": None}},
    "memory_id": "m-1",
    "score": 0.5,
}


def test_what_was_stored_comes_back_field_by_field(provider: MemoryProvider) -> None:
    for kind in (
        "personas",
        "toolbox",
        "workflow_memory",
        "agents",
        "summaries",
        "whatever",
        MemoryType.CONVERSATION_MEMORY,
    ):
        number = provider.store(RECORD, kind)
        assert provider.retrieve_by_id(number, kind) == RECORD | {"_id": number, "id": number}
    assert provider.retrieve_by_id("nothing", "personas") is None


def test_a_query_by_embedding_and_filter_gives_at_most_its_limit_nearest_first(provider: MemoryProvider) -> None:
    """However many are nearer and do not meet the filter."""
    for number in range(300):
        data = {
            "name": f"n{number}",
            "embedding": [1.0, number / 300],
            "memory_id": "rare" if number % 60 == 59 else "common",
        }
        provider.store(data, MemoryType.LONG_TERM_MEMORY)
    query = {"embedding": [1.0, 0.0], "memory_id": "rare"}
    found = provider.retrieve_by_query(query, MemoryType.LONG_TERM_MEMORY, limit=3)
    assert [one["name"] for one in found] == ["n59", "n119", "n179"]
    assert found[0]["score"] > found[1]["score"] > found[2]["score"]
    assert len(provider.retrieve_by_query(query, "long_term_memory", limit=10)) == 5
    assert provider.retrieve_by_query(query | {"memory_id": "none"}, "long_term_memory") == []
    assert provider.retrieve_by_query(query, "personas") == []


def test_a_list_holds_one_memory_type(provider: MemoryProvider) -> None:
    provider.store({"name": "a"}, MemoryType.LONG_TERM_MEMORY)
    provider.store({"name": "b"}, "LONG_TERM_MEMORY")
    provider.store({"name": "c"}, "conversation_memory")
    assert [one["name"] for one in provider.list_all("long_term_memory")] == ["a", "b"]
    assert [one["name"] for one in provider.list_all("knowledge_base")] == ["a", "b"]


def test_a_wrong_length_of_an_embedding_is_a_clear_error(provider: MemoryProvider) -> None:
    provider.store({"_id": "a", "embedding": [1, 2, 3]}, "personas")
    with pytest.raises(Invalid, match="have 3 numbers here, this one 2"):
        provider.store({"_id": "b", "embedding": [1, 2]}, "personas")
    with pytest.raises(Invalid, match="have 3 numbers here, this one 4"):
        provider.retrieve_by_query({"embedding": [1, 2, 3, 4]}, "personas")
    with pytest.raises(Invalid, match="list of numbers"):
        provider.store({"embedding": "x"}, "personas")
    assert [one["_id"] for one in provider.list_all("personas")] == ["a"]


def test_embeddings_come_back_as_they_were_to_the_last_bit(provider: MemoryProvider) -> None:
    dice = random.Random(1)
    exact = [dice.gauss(0, 1) for _ in range(1536)]
    number = provider.store({"embedding": exact}, "personas")
    assert (provider.retrieve_by_id(number, "personas") or {})["embedding"] == exact
    zeros = provider.store({"embedding": [0.0] * 1536}, "personas")
    assert (provider.retrieve_by_id(zeros, "personas") or {})["embedding"] == [0.0] * 1536


def test_records_are_found_by_fields_and_by_words(provider: MemoryProvider) -> None:
    provider.store({"_id": "a", "content": "the kettle boils", "tags": ["k"], "n": 1}, "short_term_memory")
    provider.store({"_id": "b", "content": "a cat sleeps", "tags": [], "n": 2}, "short_term_memory")

    def found(query: Any, **how: Any) -> list[str]:
        return [one["_id"] for one in provider.retrieve_by_query(query, "short_term_memory", **how)]

    assert found({"content": "a cat sleeps"}) == ["b"]
    assert found({"n": 1}) == ["a"]
    assert found({"n": {"$gte": 1}}) == ["a", "b"]
    assert found({}, limit=1) == ["a"]
    assert found("kettle") == ["a"]
    assert found({"content": "kettle"}) == []
    with pytest.raises(Invalid):
        found({}, limit=0)


def test_a_record_is_found_by_its_id_in_a_filter(provider: MemoryProvider) -> None:
    first, second = (provider.store({"content": text}, "workflow_memory") for text in ("one", "two"))
    for key in ("_id", "id"):
        assert [one["content"] for one in provider.retrieve_by_query({key: second}, "workflow_memory")] == ["two"]
    assert [one["_id"] for one in provider.retrieve_by_query({"_id": first, "content": "two"}, "workflow_memory")] == []


def test_a_filter_that_nobody_knows_is_refused(provider: MemoryProvider) -> None:
    provider.store({"size": 3}, "workflow_memory")
    assert len(provider.retrieve_by_query({"size": {"$gte": 3}}, "workflow_memory")) == 1
    with pytest.raises(Invalid, match="frob"):
        provider.retrieve_by_query({"size": {"$frob": 3}}, "workflow_memory")


def test_an_update_changes_what_it_names_and_a_delete_takes_it_away(provider: MemoryProvider, memory: Memory) -> None:
    number = provider.store(RECORD, "personas")
    assert provider.update(number, {"content": "Ada likes rum", "new": 1}, "personas")
    changed = provider.retrieve_by_id(number, "personas") or {}
    assert (changed["content"], changed["new"], changed["embedding"]) == ("Ada likes rum", 1, RECORD["embedding"])
    assert [one["_id"] for one in provider.retrieve_by_query("rum", "personas")] == [number]
    assert [one["_id"] for one in provider.retrieve_by_query({"embedding": RECORD["embedding"]}, "personas")] == [
        number
    ]
    assert provider.store({"_id": number, "content": "else"}, "personas") == number
    assert (provider.retrieve_by_id(number, "personas") or {}).keys() == {"content", "_id", "id"}
    (entity,) = memory.list_entities(types=["persona"]).entities
    assert len(memory.memory_history(entity.id).versions) == 3
    assert not provider.update("nothing", {}, "personas")
    assert provider.delete(number, "personas")
    assert not provider.delete(number, "personas")
    assert provider.retrieve_by_query({"embedding": RECORD["embedding"]}, "personas") == []


def test_updates_of_many_at_once_lose_none(provider: MemoryProvider, served: Settings) -> None:
    number = provider.store({"n": 0}, "personas")

    def add(key: str) -> None:
        provider.update(number, {key: 1}, "personas")

    threads = [threading.Thread(target=add, args=(f"k{one}",)) for one in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (provider.retrieve_by_id(number, "personas") or {}).keys() == {
        "n",
        "_id",
        "id",
        *(f"k{one}" for one in range(8)),
    }


def test_times_and_enumerations_are_kept_as_plain_data(provider: MemoryProvider) -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    number = provider.store({"at": when, "kind": MemoryType.CONVERSATION_MEMORY, "call": print, "some": {1}}, "x")
    record = provider.retrieve_by_id(number, "x") or {}
    assert (record["at"], record["kind"], record["some"]) == (when.isoformat(), "conversation_memory", [1])
    assert "call" not in record


WRONG: dict[str, tuple[dict[str, Any], Any]] = {
    "no memory type": ({"n": 1}, None),
    "a blank one": ({"n": 1}, " "),
    "what is no plain data": ({"n": object()}, "personas"),
    "a NUL": ({"n": "a\0b"}, "personas"),
    "an id of a megabyte": ({"_id": "x" * 1_000_000}, "personas"),
    "not a number": ({"embedding": [float("nan")]}, "personas"),
}


@pytest.mark.parametrize(("data", "kind"), WRONG.values(), ids=list(WRONG))
def test_what_cannot_be_kept_is_refused(provider: MemoryProvider, data: dict[str, Any], kind: Any) -> None:
    with pytest.raises(Refused):
        provider.store(data, kind)
    assert provider.list_all("personas") == []
