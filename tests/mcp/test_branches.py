"""Branches over MCP, in both protocol eras: try something apart, look at it, bring it back or let it go."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult

from enhanced_memory.client import AsyncMemory, Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.http import shown
from enhanced_memory.mcp_server.profiles import profile
from enhanced_memory.mcp_server.server import build

Tell = Callable[..., Awaitable[CallToolResult]]


@pytest.fixture
async def trunk(memory: AsyncMemory) -> Settings:
    """The settings of a space of one's own that knows Ada."""
    await memory.create_entities([EntityInput("Ada", "person", ["tea"], {"n": 1})])
    return memory.settings


@pytest.fixture(params=["auto", "legacy"])
async def tell(request: pytest.FixtureRequest, trunk: Settings) -> AsyncIterator[Tell]:
    """Calls tools of a session in that space that has the core and the versions."""
    own = AsyncMemory(trunk, client="tests", channel="mcp")
    async with Client(build(lambda: own, profile("core,versions")), mode=request.param) as client:

        async def call(tool: str, **arguments: Any) -> CallToolResult:
            return await client.call_tool(tool, arguments, raise_on_error=False)

        yield call
    await own.close()


def data(result: CallToolResult) -> Any:
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def test_a_session_works_in_a_branch_and_brings_it_back(tell: Tell, memory: AsyncMemory) -> None:
    home, name = memory.settings.space, f"{memory.settings.space}/try it"
    made = data(await tell("memory_branch", name=name, message="why not"))
    assert (made["name"], made["parent"]) == (name, home)
    assert data(await tell("switch", space=name))["kind"] == "branch"
    data(await tell("add_observations", observations=[{"entityName": "Ada", "contents": ["rum"]}]))
    data(await tell("create_entities", entities=[{"name": "Bob", "entityType": "person", "observations": []}]))
    assert (await memory.open_nodes(["Ada"])).entities[0].observations == ["tea"]
    diff = data(await tell("diff_branch"))
    assert [(one["name"], one["action"]) for one in diff["entities"]] == [("Ada", "changed"), ("Bob", "added")]
    (listed,) = data(await tell("list_branches", parent=home))["branches"]
    assert (listed["name"], listed["entities"]) == (name, 2)
    merged = data(await tell("merge_branch"))
    assert (merged["into"], merged["created"], merged["updated"]) == (home, 1, 1)
    assert sorted(one.name for one in (await memory.list_entities()).entities) == ["Ada", "Bob"]
    refused = await tell("discard_branch", branch=name)
    assert refused.is_error
    assert "switch" in refused.content[0].text
    data(await tell("switch", space=home))
    assert data(await tell("discard_branch", branch=name))["deleted"]


async def test_conflicts_come_with_both_sides_and_wait_for_a_choice(tell: Tell, memory: AsyncMemory) -> None:
    name = f"{memory.settings.space}/b"
    data(await tell("memory_branch", branch=name))
    await memory.update_entity("Ada", properties={"n": 3})
    data(await tell("switch", space=name))
    data(await tell("create_entities", entities=[{"name": "Ada", "entityType": "person", "observations": ["rum"]}]))
    there = AsyncMemory(replace(memory.settings, space=name))
    await there.update_entity("Ada", properties={"n": 2})
    await there.close()
    merged = data(await tell("merge_branch", branch=name))
    (clash,) = merged["conflicts"]
    assert (clash["part"], clash["base"], clash["ours"], clash["theirs"]) == ("property:n", 1, 3, 2)
    assert (merged["open"], merged["updated"]) == (1, 1)
    data(await tell("merge_branch", branch=name, strategy="theirs"))
    (ada,) = (await memory.open_nodes(["Ada"])).entities
    assert (ada.properties, ada.observations) == ({"n": 2}, ["tea", "rum"])


async def test_what_cannot_be_merged_says_why(tell: Tell) -> None:
    for arguments, says in (({"branch": "default"}, "no branch"), ({"branch": "nowhere"}, "no branch 'nowhere'")):
        refused = await tell("merge_branch", **arguments)
        assert refused.is_error
        assert says in refused.content[0].text


def test_over_http_a_token_opens_one_space_and_no_branch_of_it() -> None:
    names = {tool.name for tool in shown("core,versions").tools}
    assert not names & {"memory_branch", "list_branches", "switch", "diff_branch", "merge_branch", "discard_branch"}
