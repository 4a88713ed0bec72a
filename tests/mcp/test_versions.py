"""The past through MCP: what was known is read, compared and brought back; an undoing is told before it is done."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult

from enhanced_memory.client import AsyncMemory
from enhanced_memory.mcp_server.profiles import FULL
from enhanced_memory.mcp_server.server import build

Tell = Callable[..., Awaitable[CallToolResult]]


def data(result: CallToolResult) -> Any:
    """The structured content of an answer that is no error."""
    assert not result.is_error, result.content[0].text
    return result.structured_content


@pytest.fixture(params=["auto", "legacy"])
async def call_full(memory: AsyncMemory, request: pytest.FixtureRequest) -> AsyncIterator[Tell]:
    """Call a tool of the full profile; the raw result, errors included."""
    async with Client(build(lambda: memory, FULL), mode=request.param) as client:

        async def call(tool: str, **arguments: object) -> CallToolResult:
            return await client.call_tool(tool, arguments, raise_on_error=False)

        yield call


async def test_a_models_way_through_the_past(call_full: Tell) -> None:
    call = call_full
    data(
        await call("create_entities", entities=[{"name": "Ada", "entityType": "person", "observations": ["likes tea"]}])
    )
    made = data(await call("memory_commit", name="before", message="all is well"))
    data(await call("add_observations", observations=[{"entityName": "Ada", "contents": ["likes coffee"]}]))
    then = data(await call("open_nodes", names=["Ada"], at="before"))
    assert then["entities"][0]["observations"] == ["likes tea"]
    for tool, arguments in (
        ("search_nodes", {"query": "Ada", "at": made["change"]}),
        ("read_graph", {"at": "before"}),
        ("graph_at", {"timestamp": "before"}),
    ):
        assert data(await call(tool, **arguments))["entities"][0]["observations"] == ["likes tea"]
    found = data(await call("search_nodes", query="coffee", at="before"))["entities"]  # near in meaning, perhaps
    assert [one["observations"] for one in found] in ([], [["likes tea"]])
    found = data(await call("memory_diff", name="Ada", version1=1, version2=2, unified=True))
    assert found["added"] == ["likes coffee"]
    assert "+- likes coffee" in found["text"]
    (last, *_) = data(await call("journal", entity="Ada"))["entries"]
    planned = data(await call("undo", change=last["change"]))
    assert (planned["dry_run"], planned["conflicts"], planned["effects"][0]["removed"]) == (True, [], ["likes coffee"])
    assert data(await call("open_nodes", names=["Ada"]))["entities"][0]["observations"] == ["likes tea", "likes coffee"]
    assert data(await call("undo", change=last["change"], dry_run=False))["dry_run"] is False
    assert data(await call("open_nodes", names=["Ada"]))["entities"][0]["observations"] == ["likes tea"]
    data(await call("redo", dry_run=False))
    assert data(await call("memory_revert", entity="Ada", to="before"))["action"] == "updated"
    assert [one["op"] for one in data(await call("memory_history", entity="Ada"))["versions"]] == [
        "memory_revert", "redo", "undo", "add_observations", "create_entities",
    ]  # fmt: skip
    assert data(await call("list_snapshots"))["snapshots"][0]["name"] == "before"


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("memory_revert", {"entity": "Ada", "to": 0}, ">= 1"),
        ("memory_revert", {"entity": "Ada", "to": 9}, "no version 9"),
        ("open_nodes", {"names": ["Ada"], "at": 999}, "has not been made yet"),
        ("graph_at", {"at": "2999-01-01T00:00:00Z"}, "future"),
        ("undo", {"change": 999}, "no change 999"),
    ],
)
async def test_a_moment_that_is_none_is_an_error_that_says_so(
    call_full: Tell, tool: str, arguments: Any, says: str
) -> None:
    data(await call_full("create_entities", entities=[{"name": "Ada", "entityType": "x", "observations": []}]))
    result = await call_full(tool, **arguments)
    assert result.is_error
    assert says in result.content[0].text
