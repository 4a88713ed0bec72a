"""Conflicts over MCP: looking before storing, scanning with progress, and asking a person which to keep."""

from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.elicitation import ElicitResult

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.profiles import profile
from enhanced_memory.mcp_server.server import build


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Any:
    """Both protocol eras."""
    return request.param


@pytest.fixture(autouse=True)
async def known(memory: AsyncMemory) -> None:
    """Two entities that contradict each other."""
    await memory.create_entities(
        [EntityInput("Ada", "person", ["Lives in Prague"]), EntityInput("ADA", "person", ["Lives in Vienna"])]
    )


class Person:
    """Somebody who answers every question alike, and notes what was asked."""

    def __init__(self, action: Any, content: Any = None) -> None:
        self.asked: list[str] = []
        self.answer = ElicitResult(action=action, content=content)

    async def __call__(self, message: str, response_type: Any, params: Any, context: Any) -> Any:
        self.asked.append(message)
        return self.answer


async def call(
    memory: AsyncMemory, mode: Any, tool: str, person: Person | None = None, **arguments: Any
) -> CallToolResult:
    chosen = profile("core,versions")
    async with Client(build(lambda: memory, chosen), mode=mode, elicitation_handler=person) as client:
        return await client.call_tool(tool, arguments, raise_on_error=False)


def text(result: CallToolResult) -> str:
    return str(result.content[0].text)


async def the_conflict(memory: AsyncMemory) -> int:
    scan = await memory.scan_conflicts(wait_s=20.0)
    assert (scan.state, scan.recorded) == ("done", 1)
    return (await memory.list_conflicts()).conflicts[0].id


async def test_data_is_compared_under_the_guides_keys(memory: AsyncMemory, mode: Any) -> None:
    given = {"name": "Ada", "entityType": "person", "observations": ["Lives in Rome"]}
    answer = (await call(memory, mode, "detect_conflicts", entity_data=given)).structured_content
    assert answer is not None
    assert answer["conflict_count"] == len(answer["conflicts"]) == 2
    for one in answer["conflicts"]:
        assert {"existing_entity", "existing_id", "conflict_type", "confidence", "suggested_action"} <= set(one)
        assert (one["conflict_type"], one["new_says"]) == ("contradiction", "Lives in Rome")


@pytest.mark.parametrize("threshold", [-1, 1.5, "0.5", None])
async def test_a_wrong_threshold_is_named(memory: AsyncMemory, mode: Any, threshold: Any) -> None:
    given = {"name": "Ada", "entityType": "person", "observations": ["x"]}
    result = await call(memory, mode, "detect_conflicts", entity_data=given, threshold=threshold)
    assert result.is_error
    assert "threshold" in text(result)


async def test_a_scan_tells_its_progress(memory: AsyncMemory, mode: Any) -> None:
    await memory.create_entities([EntityInput(f"n{number}", "x", [f"has {number}"]) for number in range(3000)])
    told: list[float] = []

    async def heard(done: float, total: float | None, message: str | None) -> None:
        told.append(done)

    async with Client(build(lambda: memory, profile("versions")), mode=mode, progress_handler=heard) as client:
        answer = (await client.call_tool("scan_conflicts", {"wait_s": 20})).structured_content
    assert answer is not None
    assert answer["state"] in ("done", "running")
    assert told == sorted(told)


async def test_a_person_is_shown_both_and_chooses(memory: AsyncMemory, mode: Any) -> None:
    number = await the_conflict(memory)
    person = Person("accept", {"value": "newer"})
    result = await call(memory, mode, "resolve_conflict", person, conflict=number, action="merge")
    assert not result.is_error, text(result)
    [asked] = person.asked
    assert "“Lives in Prague”" in asked
    assert "“Lives in Vienna”" in asked
    assert [one.name for one in (await memory.open_nodes(["Ada", "ADA"])).entities] == ["ADA"]


@pytest.mark.parametrize(("action", "said"), [("decline", "said no"), ("cancel", "did not decide")])
async def test_where_a_person_decides_nothing_nothing_is_done(
    memory: AsyncMemory, mode: Any, action: str, said: str
) -> None:
    number = await the_conflict(memory)
    result = await call(memory, mode, "resolve_conflict", Person(action), conflict=number, action="merge")
    assert result.is_error
    assert said in text(result)
    assert len((await memory.list_conflicts()).conflicts) == 1


async def test_nobody_is_asked_what_the_model_says_or_what_needs_no_choice(memory: AsyncMemory, mode: Any) -> None:
    number = await the_conflict(memory)
    person = Person("decline")
    result = await call(memory, mode, "resolve_conflict", person, conflict=number, action="ignore")
    assert not result.is_error, text(result)
    again = await call(memory, mode, "resolve_conflict", person, conflict=number, action="merge")
    assert "resolved already" in text(again)
    unknown = await call(memory, mode, "resolve_conflict", person, conflict=999, action="merge")
    assert "no conflict 999" in text(unknown)
    assert person.asked == []


async def test_who_cannot_ask_gets_both_texts_and_may_choose_by_argument(memory: AsyncMemory, mode: Any) -> None:
    number = await the_conflict(memory)
    listed = (await call(memory, mode, "list_conflicts")).structured_content
    assert listed is not None
    [one] = listed["conflicts"]
    assert (one["entity_says"], one["conflicting_says"]) == ("Lives in Prague", "Lives in Vienna")
    result = await call(memory, mode, "resolve_conflict", conflict=number, action="update", keep="Ada")
    assert not result.is_error, text(result)
    ada, other = (await memory.open_nodes(["Ada", "ADA"])).entities
    assert ada.relevance_score > other.relevance_score


async def test_what_a_question_quotes_hides_nothing(memory: AsyncMemory, mode: Any) -> None:
    await memory.create_entities([EntityInput("Eve\u202e\x1b", "person", ["Lives in Rome", "Lives in Oslo"])])
    scan = await memory.scan_conflicts(wait_s=20.0)
    assert scan.state == "done"
    person = Person("decline")
    for one in (await memory.list_conflicts(entity="Eve\u202e\x1b")).conflicts:
        await call(memory, mode, "resolve_conflict", person, conflict=one.id, action="merge")
    assert person.asked
    assert not any("\u202e" in asked or "\x1b" in asked for asked in person.asked)
