"""`execute_code` and `run_skill` as an MCP client meets them, in both protocol eras."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server import server as server_module
from enhanced_memory.mcp_server.profiles import COMPAT, CORE, FULL
from enhanced_memory.mcp_server.sandbox.offering import runs_code
from enhanced_memory.mcp_server.server import build

Tell = Callable[..., Awaitable[CallToolResult]]


def data(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, result.content[0].text
    assert json.loads(result.content[0].text) == result.structured_content
    assert result.structured_content is not None
    return result.structured_content


@pytest.fixture
async def known(memory: AsyncMemory) -> None:
    """A hundred people in a few cities."""
    cities = ("London", "Paris", "Rome")
    await memory.create_entities(
        [
            EntityInput(f"person {number}", "person", [f"lives in {cities[number % 3]}"], {"age": number})
            for number in range(100)
        ]
    )


@pytest.mark.usefixtures("known")
async def test_one_call_answers_what_takes_many(call: Tell) -> None:
    code = "people = list_entities(types=['person'], limit=1000)['entities']\n"
    code += "result = Counter(p['observations'][0].split()[-1] for p in people).most_common()\nprint(len(people))"
    told = data(await call("execute_code", code=code))
    assert told["ok"] is True
    assert told["result"] == [["London", 34], ["Paris", 33], ["Rome", 33]]
    assert told["stdout"] == "100\n"
    assert (told["truncated"], told["error"], told["calls"]) == (False, None, 1)
    assert told["isolation"]["level"] in ("A", "B")
    assert "seccomp" in told["isolation"]["layers"]
    assert told["ms"] > 0


async def test_an_error_of_the_code_is_an_answer_with_its_line_and_a_hint(call: Tell) -> None:
    told = data(await call("execute_code", code="x = 1\nx.nothing"))
    assert (told["ok"], told["result"]) == (False, None)
    assert told["error"]["line"] == 2
    told = data(await call("execute_code", code="x = 1\ny = f'{x'\n"))
    assert (told["error"]["type"], told["error"]["line"]) == ("SyntaxError", 2)
    told = data(await call("execute_code", code="\n\nimport os"))
    assert told["error"]["line"] == 3
    assert "json, math, re" in told["error"]["message"]


async def test_what_cannot_be_begun_is_refused_in_words(call: Tell) -> None:
    for arguments, words in (
        ({"code": "1", "grants": ["root"]}, "no grant 'root'"),
        ({"code": "1", "limits": {"seconds": 10**6}}, "limits.seconds"),
        ({"code": "x" * 300_000}, "262,144 are allowed"),
        ({"code": 1}, "execute_code cannot use these arguments"),
        ({"code": "1", "limits": {"seconds": -1}}, "execute_code cannot use these arguments"),
    ):
        result = await call("execute_code", **arguments)
        assert result.is_error
        assert words in result.content[0].text


async def test_context_and_grants_reach_the_code(call: Tell, memory: AsyncMemory) -> None:
    code = "create_entities([{'name': n, 'type': 'thing'} for n in context['names']])\nresult = 'done'"
    assert data(await call("execute_code", code=code, context={"names": ["a"]}))["error"]["type"] == "Denied"
    told = data(await call("execute_code", code=code, context={"names": ["a", "b"]}, grants=["change"]))
    assert told["result"] == "done"
    [found] = (await memory.open_nodes(["b"], details=True)).entities
    assert (found.details or found.name) == "b"
    [version] = (await memory.memory_history("b")).versions
    assert (version.origin.tool, version.origin.run, version.origin.channel) == ("execute_code", told["run"], "code")


async def test_a_long_answer_is_cut_to_the_budget_and_says_so(call: Tell, memory: AsyncMemory) -> None:
    memory.settings = replace(memory.settings, reply_bytes=2000)
    for result in ("['x' * 50] * 500", "'y' * 9000", "{str(n): n for n in range(2000)}", "[['z' * 9000]]"):
        answer = await call("execute_code", code=f"print('p' * 9000)\nresult = {result}")
        told = data(answer)
        assert told["truncated"] is True
        assert "cut to fit" in told["note"]
        assert len(answer.content[0].text.encode()) <= 2000 + 100


async def test_hidden_characters_of_a_result_are_escaped(call: Tell) -> None:
    answer = await call("execute_code", code="result = '\\u202e'")
    assert data(answer)["result"] == "\u202e"
    assert "\u202e" not in answer.content[0].text


async def test_status_says_what_holds_code(call: Tell) -> None:
    assert data(await call("get_memory_status"))["sandbox"]["level"] in ("A", "B")


async def test_it_is_listed_as_what_it_may_do(client: Any) -> None:
    [tool] = [tool for tool in await client.list_tools() if tool.name == "execute_code"]
    assert tool.annotations.read_only_hint is False
    assert tool.annotations.destructive_hint is True
    assert "api()" in tool.input_schema["properties"]["code"]["description"]


async def test_where_nothing_holds_code_the_tools_are_not_there(
    memory: AsyncMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "runs_code", lambda: False)
    for profile in (CORE, FULL):
        async with Client(build(lambda: memory, profile)) as client:
            names = {tool.name for tool in await client.list_tools()}
            assert not names & {"execute_code", "run_skill"}
            assert "search_nodes" in names
    async with Client(build(lambda: memory, COMPAT)) as client:
        assert "execute_code" not in {tool.name for tool in await client.list_tools()}


def test_the_setting_decides_whether_it_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    from enhanced_memory.mcp_server.sandbox import offering

    for there in (True, False):
        monkeypatch.setattr(offering, "seccomp_supported", lambda there=there: there)
        for setting, expected in (("auto", there), ("insecure", True), ("off", False)):
            monkeypatch.setenv("ENHANCED_MEMORY_SANDBOX", setting)
            assert runs_code() is expected


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_skills_are_saved_listed_and_run(mode: Any, memory: AsyncMemory) -> None:
    async with Client(build(lambda: memory, FULL), mode=mode) as client:

        async def call(tool: str, **arguments: Any) -> CallToolResult:
            return await client.call_tool(tool, arguments, raise_on_error=False)

        code = "result = len(search_nodes(context['words'])['hits'])"
        data(await call("save_skill", name="count hits", code=code, parameters={"words": None}))
        told = data(await call("run_skill", name="count hits", arguments={"words": "tea"}))
        assert (told["ok"], told["result"], told["skill"], told["noted"]) == (True, 0, "count hits", True)
        [skill] = data(await call("list_skills"))["skills"]
        assert (skill["name"], skill["runs"]) == ("count hits", 1)
        assert (await call("run_skill", name="nothing")).is_error
