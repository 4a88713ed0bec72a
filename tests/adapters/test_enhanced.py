"""The guide's acceptance list, one test for each line, and the weaknesses that are not inherited."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.adapters import enhanced
from enhanced_memory.client.adapters.enhanced import (
    ConnectionPool,
    MemoryClient,
    MemoryDBService,
    autonomous_curation,
    compress_data,
    create_entities_batch,
    create_entity,
    decompress_data,
    get_entity_cached,
    get_system_health,
    promote_to_tier,
    search_entities,
)
from enhanced_memory.client.errors import Conflict, Invalid, NotFound, StoreDamaged
from enhanced_memory.client.values import EntityInput

Answer = dict[str, Any]


@pytest.fixture
def client(there: str, monkeypatch: pytest.MonkeyPatch) -> MemoryClient:
    """The guide's client and functions, in a space of the test's own."""
    monkeypatch.setattr(enhanced, "_client", None)
    return MemoryClient()


def ada(*observations: str) -> Answer:
    return {"name": "Ada", "entityType": "person", "observations": list(observations)}


# Minimal


async def test_minimal_what_is_stored_is_compressed(client: MemoryClient, apart: Memory) -> None:
    await client.create_entities([ada(*(f"wrote the note number {n} about engines" for n in range(20)))])
    (one,) = apart.open_nodes(["Ada"]).entities
    assert one.compressed_size < one.original_size
    data = {"observations": ["a", "b"] * 100}
    assert decompress_data(compress_data(data)) == data
    assert len(compress_data(data)) < 100
    for broken in (b"", b"pickle", compress_data(data)[:-3], b"\0" + compress_data(data)[1:]):
        with pytest.raises(StoreDamaged):
            decompress_data(broken)


def test_minimal_create_read_update_and_delete(client: MemoryClient, apart: Memory) -> None:
    number = create_entity("Ada", "person", ["likes tea"])
    with pytest.raises(Conflict):
        create_entity("Ada", "person", ["likes coffee"])
    assert get_entity_cached("Ada") == {"id": number, "name": "Ada", "type": "person", "observations": ["likes tea"]}
    told = asyncio.run(client.create_entities([ada("likes coffee")]))
    assert told == {"success": True, "results": [{"name": "Ada", "action": "updated", "id": number}]}
    assert get_entity_cached("Ada") == {"id": number, "name": "Ada", "type": "person", "observations": ["likes coffee"]}
    apart.delete_entities(["Ada"])
    assert (get_entity_cached("Ada"), search_entities("coffee")) == (None, [])


async def test_minimal_extraction_by_patterns(client: MemoryClient, apart: Memory) -> None:
    text = (
        "I prefer tea.\nBecause of rain.\nDo you like it?\n> I never said so\n  We always meet at noon.  \nUnlike you."
    )
    told = await client.auto_extract_facts(text, session_id="s1")
    (fact,) = told["facts"]
    assert list(told) == ["success", "facts", "count", "stored", "entity_ids"]
    assert (told["count"], told["stored"]) == (1, True)
    assert fact["observations"] == ["I prefer tea.", "We always meet at noon."]
    assert (fact["name"], fact["entityType"], fact["extraction_method"]) == (
        "auto-extracted-s1", "auto_extracted", "auto",
    )  # fmt: skip
    told = await client.auto_extract_facts("Fine weather.\nWe decided to ship the lamp on Friday.", session_id="s2")
    assert told["facts"][0]["observations"] == ["We decided to ship the lamp on Friday."]
    told = await client.auto_extract_facts(
        "I always use ghp_0123456789abcdefghijABCDEFGHIJ012345 here.\nGood night.", session_id="s3"
    )
    assert "ghp_0123" not in str(told["facts"])
    await client.auto_extract_facts("I need a lamp.", session_id="s1")
    (one,) = apart.open_nodes(["auto-extracted-s1"], details=True).entities
    assert one.observations == ["I prefer tea.", "We always meet at noon.", "I need a lamp."]
    assert {(noted.origin.session, noted.origin.method) for noted in one.details} == {("s1", "auto")}
    assert await client.auto_extract_facts("Nothing here.") == {
        "success": True, "facts": [], "count": 0, "stored": False,
    }  # fmt: skip
    only_told = await client.auto_extract_facts("I want peace.", auto_store=False)
    assert (only_told["stored"], "entity_ids" in only_told) == (False, False)
    assert get_entity_cached("auto-extracted-session") is None


async def test_minimal_search(client: MemoryClient) -> None:
    await client.create_entities([ada("likes green tea"), {"name": "Bob", "entityType": "person"}])
    told = await client.search_nodes("tea", limit=10)
    assert list(told) == ["success", "results", "count"]
    assert [list(one) for one in told["results"]] == [["id", "name", "type", "observations"]]
    assert (told["count"], told["results"][0]["name"]) == (1, "Ada")
    assert (await client.search_nodes("100%_"))["results"] == []


# Production


def test_production_a_service_on_a_socket(client: MemoryClient, there: str) -> None:
    service = MemoryDBService()
    told = service.handle_request({"method": "create_entities", "params": {"entities": [ada("likes tea")]}})
    assert told["success"] is True
    assert service.handle_request({"method": "search_nodes", "params": {"query": "tea", "limit": 3}})["count"] == 1
    assert service.handle_request({"method": "drop_all"}) == {"success": False, "error": "Unknown method: drop_all"}
    wrong: list[Answer] = [
        {},
        {"method": "search_nodes", "params": {"no": 1}},
        {"method": "_store"},
        {"method": "close"},
    ]
    for request in wrong:
        assert service.handle_request(request)["success"] is False


async def test_production_the_tools_answer_errors_and_do_not_raise_them(client: MemoryClient) -> None:
    """The MCP tools themselves are tested in tests/mcp; here, that a client is told what is wrong with its request."""
    wrong: list[Any] = [[{"name": "x"}], [{"name": "", "entityType": "t"}], "text", [3], [ada("\0")]]
    for entities in wrong:
        told = await client.create_entities(entities)
        assert (told["success"], bool(told["error"])) == (False, True)
    assert (await client.search_nodes("x", limit=0))["success"] is False


async def test_production_versions_are_kept(client: MemoryClient, apart: Memory) -> None:
    for drink in ("tea", "coffee", "water"):
        await client.create_entities([ada(f"likes {drink}")])
    history = apart.memory_history("Ada").versions
    assert [one.observations for one in history] == [["likes water"], ["likes coffee"], ["likes tea"]]


async def test_production_conflicts_are_found_and_resolved(client: MemoryClient, apart: Memory) -> None:
    await client.create_entities([ada("likes tea", "lives in London", "plays chess")])
    again = {"name": "Ada L.", "entityType": "person", "observations": ["likes tea", "lives in London", "plays chess"]}
    told = await client.detect_conflicts(again)
    assert list(told) == ["success", "conflicts", "conflict_count"]
    assert told["conflicts"][0] == told["conflicts"][0] | {
        "existing_entity": "Ada", "conflict_type": "duplicate", "confidence": 1.0, "suggested_action": "merge",
    }  # fmt: skip
    assert list(told["conflicts"][0]) == [
        "existing_entity", "existing_id", "conflict_type", "confidence", "suggested_action",
    ]  # fmt: skip
    none = await client.detect_conflicts({"name": "Rome", "entityType": "city", "observations": ["is old"]})
    assert (none["conflicts"], none["conflict_count"]) == ([], 0)
    assert len(apart.list_entities().entities) == 1, "nothing is written"


@pytest.mark.slow
async def test_production_code_runs_in_a_sandbox(client: MemoryClient) -> None:
    told = await client.execute_code_safely("result = sum(context['numbers'])", {"numbers": [1, 2, 3]})
    assert told == {"success": True, "result": 6}
    for attack in ("import os", "open('/etc/passwd')", "result = ().__class__"):
        assert (await client.execute_code_safely(attack))["success"] is False


def test_production_four_tiers(client: MemoryClient, apart: Memory) -> None:
    number = create_entity("Ada", "person", ["likes tea"])
    for tier in ("episodic", "semantic", "procedural", "working"):
        promote_to_tier(number, tier)
        assert apart.open_nodes([number]).entities[0].tier == tier
    with pytest.raises(Invalid, match="no tier 'eternal'"):
        promote_to_tier(number, "eternal")
    with pytest.raises(NotFound):
        promote_to_tier(987_654, "semantic")
    assert autonomous_curation() == {"promoted_to_episodic": 0}, "nothing here is a month old"


def test_production_health_tells_a_new_store_from_a_sick_one(client: MemoryClient) -> None:
    health = get_system_health()
    assert list(health) == ["total_entities", "database_size_mb", "memory_usage_mb", "status"]
    assert health["status"] == "healthy"
    assert health["database_size_mb"] > 0
    assert health["memory_usage_mb"] > 0


# The guide's own test script, and its targets


async def test_the_guides_own_steps_run_unchanged(client: MemoryClient) -> None:
    result = await client.create_entities(
        [{"name": "test_entity", "entityType": "test", "observations": ["This is a test", "Memory system working"]}]
    )
    assert result["success"], "creating an entity with two observations reports success"
    result = await client.search_nodes("test", limit=10)
    assert result["success"]
    assert result["count"] > 0
    status = await client.get_memory_status()
    assert status["success"]
    assert status["total_entities"] > 0


async def test_target_more_than_fifty_clients_at_once(there: str) -> None:
    async def one(number: int) -> Answer:
        own = MemoryClient()
        try:
            return await own.create_entities(
                [{"name": f"e{number}", "entityType": "t", "observations": [f"o{number}"]}]
            )
        finally:
            await own.close()

    told = await asyncio.gather(*(one(number) for number in range(60)))
    assert all(answer["success"] for answer in told)
    assert len({answer["results"][0]["id"] for answer in told}) == 60


# What is not inherited


async def test_storing_again_leaves_what_others_said_of_it(client: MemoryClient, apart: Memory) -> None:
    apart.create_entities([EntityInput("Ada", "person", ["a"], {"age": 36}, ["pioneer"], tier="semantic", priority=9)])
    told = await client.create_entities([ada("b"), ada("c")])
    assert [one["action"] for one in told["results"]] == ["updated", "updated"]
    (one,) = apart.open_nodes(["Ada"]).entities
    assert (one.observations, one.properties, one.tags, one.tier, one.priority) == (
        ["c"], {"age": 36}, ["pioneer"], "semantic", 9,
    )  # fmt: skip


async def test_large_requests_and_many_at_once_arrive_whole(client: MemoryClient) -> None:
    many = [{"name": f"e{n}", "entityType": "t", "observations": ["x" * 200]} for n in range(250)]
    told = await create_entities_batch(many)
    assert [one["name"] for one in told["results"]] == [one["name"] for one in many]
    with pytest.raises(Invalid):
        await create_entities_batch(many, 0)
    assert (await client.create_entities([ada("y" * 500_000)]))["success"] is True


def test_a_client_lives_through_one_event_loop_after_the_other(client: MemoryClient) -> None:
    for _ in range(3):
        assert asyncio.run(client.get_memory_status())["success"] is True


def test_a_pool_lends_each_connection_to_one_at_a_time(there: str) -> None:
    pool = ConnectionPool(max_connections=2)
    first, second = pool.get_connection(), pool.get_connection()
    assert first is not second
    pool.return_connection(first)
    assert pool.get_connection() is first
    for one in (first, second):
        one.close()


EXAMPLES = {
    "guide": "stored: [('Ada', 'created')]\nfound: ['Ada']\nfacts: ['I always work at night.']\n"
    "conflicts: [('Ada', 'duplicate')]\nall is well: True\n",
    "chronicle": "characters: ['Mara']\nprops: [('brass key', 1)]\nfound again: ['The lighthouse']\n",
    "tinyworld": "last: At tick 30 I asked what virtue is.\nkept: 20\nrecent: 10 relevant: 5\n"
    "goals: {'know': 'thyself'}\n",
    "sessions": "first line: system\nlines: 7 of 201\n"
    "still found: My lamp is broken: it went dark after the storm of Tuesday.\nended: True\n",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_says_what_it_should(there: str, name: str) -> None:
    path = Path(__file__).parents[2] / "examples" / f"{name}.py"
    ran = subprocess.run([sys.executable, "-P", path], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith(EXAMPLES[name])
