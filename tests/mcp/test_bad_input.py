"""Whatever a client sends, the answer is a clear word or the thing itself, and the next call works."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastmcp.client.client import CallToolResult

from enhanced_memory.mcp_server.fencing import json_text
from enhanced_memory.mcp_server.tools import declaration

Tell = Callable[..., Awaitable[CallToolResult]]

ENTITY = {"name": "Ada", "entityType": "person", "observations": ["writes"]}
RELATION = {"from": "Ada", "to": "Bob", "relationType": "knows"}

GOOD: dict[str, dict[str, Any]] = {
    "create_entities": {"entities": [ENTITY]},
    "create_relations": {"relations": [RELATION]},
    "add_observations": {"observations": [{"entityName": "Ada", "contents": ["sings"]}]},
    "delete_entities": {"entityNames": ["Ada"]},
    "delete_observations": {"deletions": [{"entityName": "Ada", "observations": ["writes"]}]},
    "delete_relations": {"relations": [RELATION]},
    "read_graph": {},
    "search_nodes": {"query": "Ada", "limit": 5},
    "open_nodes": {"names": ["Ada"]},
    "append_messages": {"stream": "chat", "messages": [{"content": "hello"}]},
    "search_messages": {"query": "hello"},
    "memory_history": {"entity": "Ada"},
    "detect_conflicts": {"entity_data": {"name": "Ada", "entityType": "person", "observations": ["sings"]}},
    "get_memory_status": {},
}
"""A call of each tool that is as it should be."""

WRONG: tuple[Any, ...] = (3, 1.5, True, "[]", [], {}, None, [None], [3], [[]], [{}], ["x"], {"x": 1})


def spoilt(value: Any) -> list[Any]:
    """`value` with one part of it replaced by each thing of another type, and with each key left out."""
    found: list[Any] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            found.append({name: other for name, other in value.items() if name != key})
            found += [value | {key: wrong} for wrong in spoilt(inner)]
    elif isinstance(value, list):
        found += [3, True, None, "[]", {"x": 1}]
        found += [[wrong] for wrong in spoilt(value[0])]
    elif isinstance(value, str):
        found += [3, 1.5, True, None, [], {"x": 1}]
    else:
        found += [0, -1, 10**12, 10**30, 1.5, "5", True, [], {}]
    return found


def accepted(tool: str, arguments: Any) -> bool:
    """What is not wrong: an optional argument that is left out, and an id where a name may stand."""
    if tool == "search_nodes":
        return arguments == {"query": "Ada"}
    return type(arguments.get({"append_messages": "stream", "memory_history": "entity"}.get(tool))) is int


BAD = [(tool, arguments) for tool, good in GOOD.items() for arguments in spoilt(good) if not accepted(tool, arguments)]


def text(result: CallToolResult) -> str:
    return str(result.content[0].text)


async def test_every_wrong_type_and_missing_key_is_named_in_words_of_our_own(call: Tell) -> None:
    before = (await call("read_graph")).structured_content
    for tool, arguments in BAD:
        result = await call(tool, **arguments)
        said = text(result)
        assert result.is_error, (tool, arguments)
        assert said.startswith(f"{tool} cannot use these arguments: "), said
        assert " (it takes {" in said, said
        assert "http" not in said
        assert "pydantic" not in said
        assert "`" not in said
        assert result.structured_content is None
    assert (await call("read_graph")).structured_content == before


def test_the_list_of_bad_calls_reaches_every_tool_that_takes_anything() -> None:
    assert {tool for tool, _ in BAD} == {tool for tool, good in GOOD.items() if good}


@pytest.mark.parametrize("tool", GOOD)
async def test_unknown_keys_are_accepted_at_every_level(call: Tell, tool: str) -> None:
    def more(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: more(item) for key, item in value.items()} | {"unknown": {"deep": [1, None]}}
        return [more(item) for item in value] if isinstance(value, list) else value

    if tool != "create_entities":
        assert not (await call("create_entities", entities=[ENTITY])).is_error
    result = await call(tool, **more(GOOD[tool]))
    assert not result.is_error, text(result)


async def test_an_unknown_tool_is_an_error_and_not_the_end(call: Tell) -> None:
    result = await call("forget_everything")
    assert result.is_error
    assert "forget_everything" in text(result)
    assert not (await call("read_graph")).is_error


@pytest.mark.parametrize(
    "said",
    [
        "🦊 naïve Ünïcode ☃",
        "مرحبا بالعالم",
        "שלום 🌍 mixed",
        "雪だるま",
        "\u202eright to left\u202c",
        "👩‍👩‍👧‍👦",
        'quo"te \\ back\nline\ttab',
        "'; DROP TABLE entity; --",
    ],
)
async def test_every_script_comes_back_as_it_went_in(call: Tell, said: str) -> None:
    entity = {"name": said, "entityType": f"kind {said}", "observations": [said, f"more {said}"]}
    relation = {"from": said, "to": f"to {said}", "relationType": said}
    assert not (await call("create_entities", entities=[entity])).is_error
    assert not (await call("create_relations", relations=[relation])).is_error
    for result in (
        await call("open_nodes", names=[said]),
        await call("read_graph"),
        await call("search_nodes", query=said),
    ):
        assert result.structured_content is not None, text(result)
        [found] = result.structured_content["entities"]
        assert {key: found[key] for key in entity} == entity
        assert result.structured_content["relations"] == [relation]
        assert json.loads(text(result)) == result.structured_content
        assert json_text(said) in text(result)


@pytest.mark.parametrize(
    "query", ['"', "AND", "a OR", "NEAR(", "*", "(", "-x", "a:b", "^", "{a b}", "%", "'", " ", "\t", "?" * 5000]
)
async def test_no_query_is_a_syntax_error(call: Tell, query: str) -> None:
    result = await call("search_nodes", query=query)
    assert not result.is_error, text(result)
    assert result.structured_content is not None
    assert result.structured_content["entities"] == []


async def test_an_observation_of_a_million_characters_is_kept(call: Tell) -> None:
    long = ("remember the lighthouse keeper " * 40_000)[:1_000_000]
    entity = {"name": "long", "entityType": "text", "observations": [long]}
    assert not (await call("create_entities", entities=[entity])).is_error
    for result in (await call("open_nodes", names=["long"]), await call("search_nodes", query="lighthouse")):
        assert result.structured_content is not None
        assert result.structured_content["entities"][0]["observations"] == [long]
        assert long in text(result)


async def test_a_longer_one_is_refused_with_the_limit(call: Tell) -> None:
    entity = {"name": "longer", "entityType": "text", "observations": ["x" * 1_000_001]}
    result = await call("create_entities", entities=[entity])
    assert result.is_error
    assert "1,000,000" in text(result)
    graph = (await call("read_graph")).structured_content
    assert graph is not None
    assert graph["entities"] == []


async def test_more_than_the_wire_carries_at_once_is_still_read_whole(
    call: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declaration, "CORE_BYTES", 12_000_000)
    for number in range(20):
        entity = {"name": f"big {number}", "entityType": "text", "observations": [f"{number} " + "x" * 900_000]}
        assert not (await call("create_entities", entities=[entity])).is_error
    reads: list[tuple[str, dict[str, Any]]] = [
        ("read_graph", {}),
        ("search_nodes", {"query": ""}),
        ("search_nodes", {"query": "big"}),
        ("open_nodes", {"names": [f"big {number}" for number in range(20)]}),
    ]
    for tool, arguments in reads:
        result = await call(tool, **arguments)
        names: list[str] = []
        while True:
            assert result.structured_content is not None, text(result)
            shown = result.structured_content
            names += [entity["name"] for entity in shown["entities"]]
            if "cursor" not in shown:
                break
            assert shown["cut"] is True
            result = await call(tool, **arguments, cursor=shown["cursor"])
        assert len(names) == 20
        if (
            arguments.get("query") != "big"
        ):  # meaning arrives in the background, and may reorder hits between two answers
            assert sorted(names) == sorted(f"big {number}" for number in range(20))


@pytest.mark.parametrize("part", ["name", "entityType", "observations"])
async def test_a_nul_character_is_refused_in_plain_words_and_nothing_is_kept(call: Tell, part: str) -> None:
    bad = "before\0after"
    entity = ENTITY | {part: [bad] if part == "observations" else bad}
    result = await call("create_entities", entities=[{"name": "first", "entityType": "x", "observations": []}, entity])
    assert result.is_error
    assert "NUL" in text(result)
    graph = (await call("read_graph")).structured_content
    assert graph is not None
    assert graph["entities"] == []


async def test_a_name_of_a_megabyte_is_refused_with_the_limit(call: Tell) -> None:
    result = await call("create_entities", entities=[ENTITY | {"name": "x" * 1_000_000}])
    assert result.is_error
    assert "2,000" in text(result)
    assert len(text(result)) < 500
