"""The official tools' rules, kept by the real daemon behind the exact profile, in both protocol eras."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.transports import FastMCPTransport

from enhanced_memory.client import AsyncMemory
from enhanced_memory.mcp_server.profiles import COMPAT
from enhanced_memory.mcp_server.server import build

Tell = Callable[..., Awaitable[CallToolResult]]

ADA = {"name": "Ada", "entityType": "person", "observations": ["writes programs", "likes tea"]}
BOB = {"name": "Bob", "entityType": "person", "observations": ["climbs mountains"]}
ACME = {"name": "Acme", "entityType": "company", "observations": []}
WORKS = {"from": "Ada", "to": "Acme", "relationType": "works_at"}
KNOWS = {"from": "Bob", "to": "Ghost", "relationType": "knows"}


@pytest.fixture(params=["auto", "legacy"])
async def client(memory: AsyncMemory, request: pytest.FixtureRequest) -> AsyncIterator[Client[FastMCPTransport]]:
    """An MCP client of the exact profile, in each protocol era."""
    async with Client(build(lambda: memory, COMPAT), mode=request.param) as client:
        yield client


def data(result: CallToolResult) -> Any:
    """The structured content of an answer that is no error."""
    assert not result.is_error, result.content[0].text
    assert len(result.content) == 1
    return result.structured_content


def text(result: CallToolResult) -> str:
    return str(result.content[0].text)


@pytest.fixture
async def known(call: Tell) -> None:
    """Ada works at Acme; Bob knows a ghost."""
    data(await call("create_entities", entities=[ADA, BOB, ACME]))
    data(await call("create_relations", relations=[WORKS, KNOWS]))


async def names(call: Tell) -> list[str]:
    return [entity["name"] for entity in data(await call("read_graph"))["entities"]]


# create_entities


async def test_created_entities_are_answered_as_a_bare_list_and_wrapped(call: Tell) -> None:
    result = await call("create_entities", entities=[ADA, ACME])
    assert data(result) == {"entities": [ADA, ACME]}
    assert json.loads(text(result)) == data(result)["entities"]
    assert text(result).startswith('[\n  {\n    "name": "Ada",\n    "entityType": "person",\n    "observations": [\n')


@pytest.mark.usefixtures("known")
async def test_a_name_that_exists_is_left_as_it_is_and_not_answered(call: Tell) -> None:
    result = await call("create_entities", entities=[ADA | {"observations": ["something else"]}, ACME])
    assert data(result) == {"entities": []}
    assert text(result) == "[]"
    opened = data(await call("open_nodes", names=["Ada"]))
    assert opened["entities"][0]["observations"] == ADA["observations"]


async def test_of_two_equal_names_in_one_call_the_first_wins(call: Tell) -> None:
    result = await call("create_entities", entities=[ADA, ADA | {"entityType": "robot"}])
    assert data(result) == {"entities": [ADA]}
    assert data(await call("open_nodes", names=["Ada"]))["entities"][0]["entityType"] == "person"


@pytest.mark.parametrize("kind", ["person", "character", "preference", "tool", "summary"])
async def test_a_name_is_unique_whatever_the_type_says(call: Tell, kind: str) -> None:
    """Types that the daemon knows keep their names apart elsewhere; the official server knows no types."""
    one = {"name": "Python", "entityType": kind, "observations": ["first"]}
    assert data(await call("create_entities", entities=[one])) == {"entities": [one]}
    assert data(await call("create_entities", entities=[one, one | {"entityType": "snake"}])) == {"entities": []}
    added = data(await call("add_observations", observations=[{"entityName": "Python", "contents": ["second"]}]))
    assert added["results"][0]["addedObservations"] == ["second"]
    opened = data(await call("open_nodes", names=["Python"]))
    assert opened["entities"] == [one | {"observations": ["first", "second"]}]
    data(await call("delete_entities", entityNames=["Python"]))
    assert await names(call) == []


async def test_creating_nothing_is_answered_with_nothing(call: Tell) -> None:
    assert data(await call("create_entities", entities=[])) == {"entities": []}
    assert data(await call("create_relations", relations=[])) == {"relations": []}
    assert data(await call("add_observations", observations=[])) == {"results": []}


async def test_fifty_creates_sent_at_once_are_fifty_entities(call: Tell) -> None:
    sent = [{"name": f"e{number}", "entityType": "thing", "observations": [f"fact {number}"]} for number in range(50)]
    answers = await asyncio.gather(*(call("create_entities", entities=[entity]) for entity in sent))
    assert [data(answer)["entities"] for answer in answers] == [[entity] for entity in sent]
    assert set(await names(call)) == {entity["name"] for entity in sent}


# create_relations


@pytest.mark.usefixtures("known")
async def test_a_relation_is_created_once_and_its_ends_need_not_exist(call: Tell) -> None:
    new = {"from": "Nobody", "to": "Nowhere", "relationType": "lives_in"}
    result = await call("create_relations", relations=[WORKS, new, new, WORKS | {"relationType": "owns"}])
    assert data(result) == {"relations": [new, WORKS | {"relationType": "owns"}]}
    assert json.loads(text(result)) == data(result)["relations"]
    assert data(await call("create_relations", relations=[new])) == {"relations": []}
    assert data(await call("read_graph"))["relations"] == [
        WORKS,
        KNOWS,
        new,
        WORKS | {"relationType": "owns"},
    ]


# add_observations


@pytest.mark.usefixtures("known")
async def test_added_observations_are_those_that_were_new(call: Tell) -> None:
    result = await call(
        "add_observations",
        observations=[
            {"entityName": "Ada", "contents": ["likes tea", "plays chess"]},
            {"entityName": "Acme", "contents": ["makes anvils"]},
        ],
    )
    assert data(result) == {
        "results": [
            {"entityName": "Ada", "addedObservations": ["plays chess"]},
            {"entityName": "Acme", "addedObservations": ["makes anvils"]},
        ]
    }
    assert json.loads(text(result)) == data(result)["results"]
    opened = data(await call("open_nodes", names=["Ada"]))
    assert opened["entities"][0]["observations"] == ["writes programs", "likes tea", "plays chess"]


@pytest.mark.usefixtures("known")
async def test_if_one_entity_is_missing_nothing_is_added_and_the_sentence_is_the_official_one(call: Tell) -> None:
    before = data(await call("read_graph"))
    result = await call(
        "add_observations",
        observations=[
            {"entityName": "Ada", "contents": ["plays chess"]},
            {"entityName": "Nobody", "contents": ["is missing"]},
            {"entityName": "No one else", "contents": ["is missing too"]},
        ],
    )
    assert result.is_error
    assert text(result) == "Entity with name Nobody not found"
    assert result.structured_content is None
    assert data(await call("read_graph")) == before


# deletions


@pytest.mark.usefixtures("known")
async def test_a_deleted_entity_takes_its_relations_along(call: Tell) -> None:
    result = await call("delete_entities", entityNames=["Acme", "Unknown"])
    assert data(result) == {"success": True, "message": "Entities deleted successfully"}
    assert text(result) == "Entities deleted successfully"
    left = data(await call("read_graph"))
    assert left == {"entities": [ADA, BOB], "relations": [KNOWS]}


@pytest.mark.usefixtures("known")
async def test_an_end_that_never_existed_is_deleted_with_its_relations(call: Tell) -> None:
    """The official server drops every relation that touches a deleted name, entity or not."""
    data(await call("delete_entities", entityNames=["Ghost"]))
    assert data(await call("read_graph"))["relations"] == [WORKS]


@pytest.mark.usefixtures("known")
async def test_observations_are_deleted_by_text_and_what_is_not_there_is_passed_over(call: Tell) -> None:
    result = await call(
        "delete_observations",
        deletions=[
            {"entityName": "Ada", "observations": ["likes tea", "never said"]},
            {"entityName": "Unknown", "observations": ["anything"]},
        ],
    )
    assert data(result) == {"success": True, "message": "Observations deleted successfully"}
    assert text(result) == "Observations deleted successfully"
    opened = data(await call("open_nodes", names=["Ada"]))
    assert opened["entities"][0]["observations"] == ["writes programs"]


@pytest.mark.usefixtures("known")
async def test_relations_are_deleted_by_their_exact_triple(call: Tell) -> None:
    result = await call("delete_relations", relations=[WORKS | {"relationType": "other"}, KNOWS])
    assert data(result) == {"success": True, "message": "Relations deleted successfully"}
    assert text(result) == "Relations deleted successfully"
    assert data(await call("read_graph"))["relations"] == [WORKS]


# reading


@pytest.mark.usefixtures("known")
async def test_the_graph_is_everything_in_the_order_of_making(call: Tell) -> None:
    result = await call("read_graph")
    assert data(result) == {"entities": [ADA, BOB, ACME], "relations": [WORKS, KNOWS]}
    assert json.loads(text(result)) == data(result)


async def test_a_graph_of_many_pages_is_read_whole(call: Tell) -> None:
    sent = [{"name": f"n{number}", "entityType": "node", "observations": []} for number in range(2500)]
    links = [{"from": f"n{number}", "to": f"n{number + 1}", "relationType": "next"} for number in range(2500)]
    data(await call("create_entities", entities=sent))
    data(await call("create_relations", relations=links))
    everything = data(await call("read_graph"))
    assert everything["entities"] == sent
    assert everything["relations"] == links
    assert data(await call("search_nodes", query=""))["entities"] == sent
    opened = data(await call("open_nodes", names=[entity["name"] for entity in sent]))
    assert opened == {"entities": sent, "relations": links}


@pytest.mark.usefixtures("known")
async def test_a_search_finds_by_word_and_brings_relations_that_touch_a_hit_at_one_end(call: Tell) -> None:
    result = await call("search_nodes", query="mountains")
    assert data(result) == {"entities": [BOB], "relations": [KNOWS]}
    assert json.loads(text(result)) == data(result)
    assert [entity["name"] for entity in data(await call("search_nodes", query="Acme"))["entities"]] == ["Acme"]
    by_type = data(await call("search_nodes", query="company"))
    assert [entity["name"] for entity in by_type["entities"]] == ["Acme"]


@pytest.mark.usefixtures("known")
async def test_an_empty_query_is_everything_and_a_fruitless_one_nothing(call: Tell) -> None:
    for nothing in ("", "  "):
        assert data(await call("search_nodes", query=nothing)) == data(await call("read_graph"))
    assert data(await call("search_nodes", query="xylophone")) == {"entities": [], "relations": []}


@pytest.mark.usefixtures("known")
async def test_nodes_are_opened_by_exact_name_and_unknown_ones_passed_over(call: Tell) -> None:
    result = await call("open_nodes", names=["Acme", "ada", "Unknown", "Ada", "Ada"])
    assert data(result) == {"entities": [ADA, ACME], "relations": [WORKS]}
    assert json.loads(text(result)) == data(result)
    assert data(await call("open_nodes", names=[])) == {"entities": [], "relations": []}
