"""A call that is repeated makes each of its changes once; a call that makes several makes them all."""

import msgspec

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.values import EntityInput, MessageInput
from enhanced_memory.mcp_server.tools.declaration import Call, Structured, Tool


class Nothing(msgspec.Struct):
    pass


async def _several(call: Call, _: Nothing) -> Structured:
    """Two changes of one operation, and one of another between them."""
    first = await call.ask(CreateEntities([EntityInput("one", "t")]))
    said = await call.ask(AppendMessages("log", [MessageInput("hello")]))
    second = await call.ask(CreateEntities([EntityInput("two", "t")]))
    return {"actions": [first.results[0].action, second.results[0].action], "messages": msgspec.to_builtins(said)}


SEVERAL = Tool(name="several", title="", description="", takes=Nothing, ask=_several)


async def test_two_changes_of_one_operation_within_a_call_are_two(memory: AsyncMemory) -> None:
    _, told = await SEVERAL.answer(Call(memory, "several", key="session:1"), {})
    assert told["actions"] == ["created", "created"]
    assert {entity.name for entity in (await memory.read_graph()).entities} >= {"one", "two"}


async def test_the_same_call_sent_again_changes_nothing_and_says_the_same(memory: AsyncMemory) -> None:
    once = await SEVERAL.answer(Call(memory, "several", key="session:2"), {})
    again = await SEVERAL.answer(Call(memory, "several", key="session:2"), {})
    assert again == once
    assert len((await memory.recent_messages("log")).messages) == 1


async def test_another_call_is_another_change(memory: AsyncMemory) -> None:
    for number in range(3, 5):
        await SEVERAL.answer(Call(memory, "several", key=f"session:{number}"), {})
    assert len((await memory.recent_messages("log")).messages) == 2


async def test_a_client_that_repeats_nothing_gives_no_key_of_its_own(memory: AsyncMemory) -> None:
    for _ in range(2):
        await SEVERAL.answer(Call(memory, "several"), {})
    assert len((await memory.recent_messages("log")).messages) == 2
