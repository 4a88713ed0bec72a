"""A person is asked before much is deleted, where the client can ask; where it cannot, the tool's own argument
decides.
"""

from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.elicitation import ElicitResult

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.profiles import COMPAT, CORE, Profile
from enhanced_memory.mcp_server.server import build

NAMES = [f"n{number}" for number in range(21)]


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Any:
    """Both protocol eras."""
    return request.param


@pytest.fixture(autouse=True)
async def known(memory: AsyncMemory) -> None:
    """One more entity than is deleted unasked."""
    await memory.create_entities([EntityInput(name, "x") for name in NAMES])


class Person:
    """Somebody who answers every question alike, and notes what was asked."""

    def __init__(self, action: Any, content: Any = None) -> None:
        self.asked: list[str] = []
        self.answer = ElicitResult(action=action, content=content)

    async def __call__(self, message: str, response_type: Any, params: Any, context: Any) -> Any:
        self.asked.append(message)
        return self.answer


async def delete(
    memory: AsyncMemory, mode: Any, person: Person | None, profile: Profile = CORE, **arguments: Any
) -> CallToolResult:
    async with Client(build(lambda: memory, profile), mode=mode, elicitation_handler=person) as client:
        return await client.call_tool("delete_entities", {"entityNames": NAMES} | arguments, raise_on_error=False)


async def left(memory: AsyncMemory) -> int:
    return (await memory.get_memory_status()).entities


async def test_who_agrees_is_asked_once_and_all_is_deleted(memory: AsyncMemory, mode: Any) -> None:
    person = Person("accept", {"value": True})
    assert not (await delete(memory, mode, person)).is_error
    assert len(person.asked) == 1
    assert "21 entities" in person.asked[0]
    assert "“n0”" in person.asked[0]
    assert await left(memory) == 0


@pytest.mark.parametrize(
    ("action", "content", "said"),
    [("accept", {"value": False}, "said no"), ("decline", None, "said no"), ("cancel", None, "did not decide")],
)
async def test_who_does_not_agree_loses_nothing_whatever_the_model_says(
    memory: AsyncMemory, mode: Any, action: str, content: Any, said: str
) -> None:
    person = Person(action, content)
    result = await delete(memory, mode, person, confirm=True)
    assert result.is_error
    assert said in result.content[0].text
    assert len(person.asked) == 1
    assert await left(memory) == 21


async def test_where_nobody_can_be_asked_the_argument_decides(memory: AsyncMemory, mode: Any) -> None:
    refused = await delete(memory, mode, None)
    assert refused.is_error
    assert "confirm true" in refused.content[0].text
    assert await left(memory) == 21
    assert not (await delete(memory, mode, None, confirm=True)).is_error
    assert await left(memory) == 0


async def test_a_few_are_deleted_unasked(memory: AsyncMemory, mode: Any) -> None:
    person = Person("decline")
    assert not (await delete(memory, mode, person, entityNames=NAMES[:20])).is_error
    assert person.asked == []


async def test_the_exact_profile_asks_nobody(memory: AsyncMemory, mode: Any) -> None:
    person = Person("decline")
    assert not (await delete(memory, mode, person, COMPAT)).is_error
    assert person.asked == []
    assert await left(memory) == 0


async def test_wrong_arguments_are_refused_before_anybody_is_asked(memory: AsyncMemory, mode: Any) -> None:
    person = Person("accept", {"value": True})
    result = await delete(memory, mode, person, entityNames=[*NAMES, 3])
    assert "entityNames[21]: expected string" in result.content[0].text
    assert person.asked == []


async def test_names_in_the_question_hide_nothing(memory: AsyncMemory, mode: Any) -> None:
    person = Person("decline")
    await delete(memory, mode, person, entityNames=["\u202eevil\n\x1b[2J", *NAMES])
    assert "\u202e" not in person.asked[0]
    assert "\n" not in person.asked[0]
    assert "\x1b" not in person.asked[0]
