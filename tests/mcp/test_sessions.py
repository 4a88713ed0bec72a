"""Sessions over MCP, in both protocol eras: begun, listed, summed up, ended, put away, deleted; and read by address."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.transports import FastMCPTransport

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.values import MessageInput
from enhanced_memory.mcp_server.profiles import profile
from enhanced_memory.mcp_server.server import build

Tell = Callable[..., Awaitable[CallToolResult]]


@pytest.fixture(params=["auto", "legacy"])
async def session(request: pytest.FixtureRequest, memory: AsyncMemory) -> AsyncIterator[Client[FastMCPTransport]]:
    """A client that has the core and the sessions."""
    async with Client(build(lambda: memory, profile("core,sessions")), mode=request.param) as client:
        yield client


@pytest.fixture
def tell(session: Client[FastMCPTransport]) -> Tell:
    async def call(tool: str, **arguments: Any) -> CallToolResult:
        return await session.call_tool(tool, arguments, raise_on_error=False)

    return call


def data(result: CallToolResult) -> Any:
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def test_a_session_goes_from_its_beginning_to_its_end(tell: Tell) -> None:
    made = data(await tell("start_session", name="talk", title="Roof", user="ada"))
    assert made["name"] == "talk"
    data(
        await tell(
            "append_messages", stream="talk", messages=[{"content": "The roof leaks since the storm of Tuesday."}]
        )
    )
    (listed,) = data(await tell("list_sessions", user="ada"))["sessions"]
    assert (listed["title"], listed["messages"]) == ("Roof", 1)
    kept = data(await tell("keep_summary", stream="talk", text="About the roof."))
    assert kept["text"] == "About the roof."
    assert data(await tell("end_session", session="talk"))["summary"] == "About the roof."
    refused = await tell("append_messages", stream="talk", messages=[{"content": "more"}])
    assert refused.is_error
    assert "start_session" in refused.content[0].text
    assert data(await tell("archive_session", session="talk"))["archived_at"]
    assert data(await tell("list_sessions", status="current")).get("sessions") == []
    assert data(await tell("delete_session", session="talk"))["ids"] == [made["id"]]


async def test_a_stream_is_told_what_to_keep(tell: Tell, memory: AsyncMemory) -> None:
    await memory.append_messages("log", [MessageInput(f"line {n}") for n in range(9)])
    told = data(await tell("set_retention", stream="log", messages=3))
    assert (told["keep_messages"], told["archived"]) == (3, 6)
    assert len((await memory.recent_messages("log")).messages) == 3


async def test_sessions_are_read_by_their_addresses(
    session: Client[FastMCPTransport], tell: Tell, memory: AsyncMemory
) -> None:
    async def read(uri: str) -> Any:
        [content] = await session.read_resource(uri)
        return json.loads(content.text)

    data(await tell("start_session", name="one", title="First"))
    data(await tell("start_session", name="two", title="Second"))
    await memory.append_messages("one", [MessageInput("hello")])
    assert [one["title"] for one in (await read("memory://sessions"))["sessions"]] == ["First", "Second"]
    shown = await read("memory://session/one")
    assert (shown["session"]["title"], shown["session"]["messages"]) == ("First", 1)
    assert [line["content"] for line in shown["messages"]] == ["hello"]
    await memory.append_messages("a character", [MessageInput("I am.")], stream_type="character")
    await memory.keep_summary("a character", "Who is.")
    shown = await read("memory://session/a%20character")
    assert (shown["summary"], "session" in shown) == ("Who is.", False)
