"""Curation through MCP, in both protocol eras: tiers by hand, and what the rules would do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.profiles import profile
from enhanced_memory.mcp_server.server import build
from enhanced_memory.mcp_server.tools.curation import CURATION

Tell = Callable[..., Awaitable[CallToolResult]]


def data(result: CallToolResult) -> Any:
    """The structured content of an answer that is no error."""
    assert not result.is_error, result.content[0].text
    return result.structured_content


@pytest.fixture(params=["auto", "legacy"])
async def tell(memory: AsyncMemory, request: pytest.FixtureRequest) -> AsyncIterator[Tell]:
    """Call a tool of the core or of the toolset; the raw result, errors included."""
    async with Client(build(lambda: memory, profile("core,curation")), mode=request.param) as client:

        async def call(tool: str, **arguments: object) -> CallToolResult:
            return await client.call_tool(tool, arguments, raise_on_error=False)

        yield call


async def test_an_entity_is_promoted_under_the_names_that_models_guess(tell: Tell, memory: AsyncMemory) -> None:
    made = await memory.create_entities([EntityInput("Ada", "person", ["a"])])
    done = data(await tell("promote_to_tier", entity_id=made.results[0].id, new_tier="semantic"))
    assert (done["before"], done["tier"], done["action"]) == ("working", "semantic", "updated")
    assert (await memory.open_nodes(["Ada"])).entities[0].tier == "semantic"
    wrong = await tell("promote_to_tier", entity="Ada", tier="eternal")
    assert wrong.is_error
    assert "tier" in wrong.content[0].text


async def test_curation_tells_what_it_would_do_and_does_it_when_told(tell: Tell, memory: AsyncMemory) -> None:
    said = ["The user drinks green tea"]
    await memory.create_entities(
        [EntityInput(f"day {number}", "note", list(said), tier="episodic") for number in range(3)]
    )
    told = data(await tell("autonomous_curation"))
    assert (told["state"], told["dry_run"], told["counts"]) == ("done", True, {"repeated_episodes": 1})
    assert told["acts"][0]["reason"] == "3 similar episodes say it"
    assert (await memory.open_nodes(said)).missing == said
    done = data(await tell("autonomous_curation", dryRun=False, rules=["repeated_episodes"]))
    assert (done["dry_run"], done["counts"], len(done["changes"])) == (False, {"repeated_episodes": 1}, 1)
    assert (await memory.open_nodes(said)).entities[0].tier == "semantic"
    again = data(await tell("autonomous_curation", dry_run=False))
    assert "changes" not in again


async def test_a_model_cannot_raise_the_cap(tell: Tell, memory: AsyncMemory) -> None:
    [tool] = [tool for tool in CURATION if tool.name == "autonomous_curation"]
    assert "cap" not in tool.parameters()["properties"]
    assert tool.given({"cap": 1.0}).cap is None


async def test_a_rule_that_there_is_not_is_refused(tell: Tell) -> None:
    wrong = await tell("autonomous_curation", rules=["delete_everything"])
    assert wrong.is_error
    assert "rules" in wrong.content[0].text
