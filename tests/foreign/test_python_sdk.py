"""The official Python SDK's own client, on stdio and over HTTP, in both protocol eras."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import mcp.types as t
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import listen

Serving = Any
"""A process that serves: its `url`, and `token(name)`."""

GRAPH = "memory://knowledge-graph"
TEXT = "Keeps the lamp — «ünïcödé» ✓"
ENTITY = {"name": "Keeper", "entityType": "keeper", "observations": [TEXT]}
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
WAIT_S = 20

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")  # the older era is tried on purpose


@asynccontextmanager
async def over_http(url: str, token: str) -> AsyncIterator[Any]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http,
        streamable_http_client(url, http_client=http) as streams,
    ):
        yield streams


async def session(server: StdioServerParameters | AbstractAsyncContextManager[Any], mode: Any) -> None:
    """List, subscribe, create, be told, call in vain, read: as it should be."""
    told: asyncio.Queue[str] = asyncio.Queue()

    async def heard(message: Any) -> None:
        if isinstance(message, t.ResourceUpdatedNotification):
            await told.put(str(message.params.uri))

    async with Client(server, mode=mode, message_handler=heard) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert {"create_entities", "search_nodes", "get_memory_status"} <= tools
        if mode == "legacy":
            await client.session.subscribe_resource(GRAPH)
            made = await client.call_tool("create_entities", {"entities": [ENTITY]})
            assert await asyncio.wait_for(told.get(), WAIT_S) == GRAPH
            await client.session.unsubscribe_resource(GRAPH)
        else:
            async with listen(client.session, resource_subscriptions=[GRAPH]) as subscription:
                made = await client.call_tool("create_entities", {"entities": [ENTITY]})
                event = await asyncio.wait_for(anext(aiter(subscription)), WAIT_S)
                assert event.uri == GRAPH  # type: ignore[union-attr]
        assert isinstance(made, t.CallToolResult)
        assert made.structured_content is not None
        assert made.structured_content["entities"][0]["observations"] == [TEXT]
        wrong = await client.call_tool("open_nodes", {"names": 3})
        assert isinstance(wrong, t.CallToolResult)
        assert wrong.is_error
        [content] = (await client.read_resource(GRAPH)).contents
        assert isinstance(content, t.TextResourceContents)
        assert json.loads(content.text)["entities"] == [ENTITY]


@MODES
async def test_a_session_on_stdio(environment: dict[str, str], command: list[str], mode: str) -> None:
    await session(StdioServerParameters(command=command[0], args=command[1:], env=environment), mode)


@MODES
async def test_a_session_over_http(server: Serving, mode: str) -> None:
    await session(over_http(server.url, server.token("keeper")), mode)
