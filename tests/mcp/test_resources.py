"""What is remembered, read by address, in both protocol eras; completion of names; prompts."""

import json
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import FastMCPTransport
from fastmcp.exceptions import McpError
from mcp.types import ResourceTemplateReference

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.values import EntityInput, MessageInput, RelationInput
from enhanced_memory.mcp_server.profiles import COMPAT
from enhanced_memory.mcp_server.resources import ENTITY, GRAPH, SESSION
from enhanced_memory.mcp_server.server import build

Server = Client[FastMCPTransport]

STRANGE = ["../x", "/etc/passwd", "a b/c?d#e", "ü☃", "100%", "{name}"]


@pytest.fixture(autouse=True)
async def known(memory: AsyncMemory) -> None:
    """A few entities, strange names among them, and a conversation."""
    await memory.create_entities([EntityInput("Ada", "person", ["likes tea"]), EntityInput("Adam", "person")])
    await memory.create_entities([EntityInput(name, "x", [f"about {name}"]) for name in STRANGE])
    await memory.create_relations([RelationInput("Ada", "Adam", "knows")])
    await memory.append_messages("chat", [MessageInput("hello"), MessageInput("who is there?", role="assistant")])


async def read(client: Server, uri: str) -> Any:
    [content] = await client.read_resource(uri)
    assert content.mime_type == "application/json"
    return json.loads(content.text)


def addressed(name: str) -> str:
    from urllib.parse import quote

    return "memory://entity/" + quote(name, safe="")


async def test_the_graph_is_exactly_the_official_one(client: Server, memory: AsyncMemory) -> None:
    [content] = await client.read_resource(GRAPH)
    async with Client(build(lambda: memory, COMPAT)) as exact:
        whole = await exact.call_tool("read_graph")
        [same] = await exact.read_resource(GRAPH)
    assert content.text == same.text == whole.content[0].text
    [listed] = [one for one in await client.list_resources() if str(one.uri) == GRAPH]
    assert (listed.name, listed.title, listed.mime_type) == ("knowledge-graph", "Knowledge Graph", "application/json")
    assert listed.description == "The full knowledge graph with all entities and relations"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_exact_profile_offers_the_graph_alone(memory: AsyncMemory, mode: Any) -> None:
    async with Client(build(lambda: memory, COMPAT), mode=mode) as client:
        assert [str(one.uri) for one in await client.list_resources()] == [GRAPH]
        assert await client.list_resource_templates() == []
        assert await client.list_prompts() == []


async def test_every_entity_has_an_address_whatever_its_name(client: Server) -> None:
    for name in ["Ada", *STRANGE]:
        shown = await read(client, addressed(name))
        assert [entity["name"] for entity in shown["entities"]] == [name]
    shown = await read(client, addressed("Ada"))
    assert shown["relations"] == [{"from": "Ada", "to": "Adam", "relationType": "knows"}]
    assert shown["entities"][0]["provenance"][0]["trust"] == "agent"


async def test_a_name_that_nothing_has_is_an_error_of_the_address(client: Server) -> None:
    with pytest.raises(McpError, match="Nothing is remembered") as caught:
        await client.read_resource(addressed("Nobody"))
    assert caught.value.code == -32602
    with pytest.raises(McpError):
        await client.read_resource("memory://nothing")


async def test_a_session_is_read_by_name_or_id(client: Server, memory: AsyncMemory) -> None:
    [stream] = (await memory.open_nodes(["chat"])).entities
    for address in ("chat", str(stream.id)):
        shown = await read(client, f"memory://session/{address}")
        assert [message["content"] for message in shown["messages"]] == ["hello", "who is there?"]


async def test_what_changed_last_and_the_status_are_told(client: Server, memory: AsyncMemory) -> None:
    recent = await read(client, "memory://recent")
    assert recent["entities"][0]["name"] == "chat"
    assert (await read(client, "memory://status"))["space"] == memory.space


async def test_names_are_completed_best_first(client: Server) -> None:
    async def completed(template: str, key: str, typed: str) -> list[str]:
        answer = await client.complete(
            ResourceTemplateReference(type="ref/resource", uri=template), {"name": key, "value": typed}
        )
        return answer.values

    assert (await completed(ENTITY, "name", "ad"))[:2] == ["Ada", "Adam"]
    assert await completed(ENTITY, "name", "dam") == ["Adam"]
    assert set(await completed(ENTITY, "name", "")) >= {"Ada", "Adam"}
    assert await completed(SESSION, "id", "ch") == ["chat"]
    assert await completed("memory://other/{name}", "name", "a") == []


async def test_prompts_ask_to_recall_and_to_remember_and_fence_what_they_show(client: Server) -> None:
    assert [prompt.name for prompt in await client.list_prompts()] == [
        "recall-first",
        "remember",
        "extract-facts",
        "summarize",
    ]

    async def told(name: str, **arguments: str) -> str:
        [message] = (await client.get_prompt(name, arguments)).messages
        return str(message.content.text)

    plain = await told("recall-first")
    assert "search_nodes" in plain
    assert "<memory-" not in plain
    found = await told("recall-first", topic="tea")
    assert "Ada (person): likes tea\n</memory-" in found
    assert "found nothing" in await told("recall-first", topic="xylophone")
    assert "create_entities" in await told("remember")
    assert "the sea is wet\n</memory-" in await told("remember", what="the sea is wet")
