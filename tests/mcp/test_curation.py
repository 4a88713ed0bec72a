"""Curation through MCP, in both protocol eras: tiers by hand, and what has expired."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.profiles import profile
from enhanced_memory.mcp_server.server import build

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


async def test_what_has_expired_goes_when_asked(tell: Tell, memory: AsyncMemory) -> None:
    made = await memory.create_entities([EntityInput("short", "note", ttl_s=0.001)])
    assert data(await tell("expire", dry_run=True))["count"] == 1
    assert data(await tell("expire"))["ids"] == [made.results[0].id]
    assert data(await tell("expire"))["count"] == 0
