"""What a type checker must know of the public face. Checked, never run: `tests/typing/test_public_face.py` hands it to pyright."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any, assert_type

from enhanced_memory.client import AsyncMemory, Memory, Settings
from enhanced_memory.client.operations.branches import Branch, BranchDiff, BranchList, Merged
from enhanced_memory.client.operations.entities import Created, EntityPage, OpenNodes, Receipt, Removed
from enhanced_memory.client.operations.search import MessageSearch, SearchResult
from enhanced_memory.client.operations.service import AccessPage, Pong, Status, Verified, Welcome
from enhanced_memory.client.operations.streams import Appended, Messages, Window
from enhanced_memory.client.operations.versions import History
from enhanced_memory.client.values import BackupMade, EntityInput, Graph, MessageInput, Outcome, Space


def plain(memory: Memory) -> None:
    """`Memory` gives the answer itself."""
    assert_type(memory.create_entities([EntityInput("a", "t")]), Created)
    assert_type(memory.update_entity("a", priority=3), Outcome)
    assert_type(memory.delete_entities(["a", 1]), Removed)
    assert_type(memory.purge_entities([1], confirm=True), Receipt)
    assert_type(memory.open_nodes(["a"]), Graph)
    assert_type(memory.list_entities(limit=3), EntityPage)
    assert_type(memory.search_nodes("a", limit=3), SearchResult)
    assert_type(memory.search_messages("a"), MessageSearch)
    assert_type(memory.append_messages("s", [MessageInput("x")]), Appended)
    assert_type(memory.recent_messages("s"), Messages)
    assert_type(memory.get_window("s"), Window)
    assert_type(memory.memory_history("a"), History)
    assert_type(memory.switch("default"), Space)
    assert_type(memory.memory_branch("b", entity=1), Branch)
    assert_type(memory.list_branches(), BranchList)
    assert_type(memory.diff_branch("b", against="now"), BranchDiff)
    assert_type(memory.merge_branch("b", strategy="union"), Merged)
    assert_type(memory.discard_branch("b"), Space)
    assert_type(memory.ping(), Pong)
    assert_type(memory.get_memory_status(), Status)
    assert_type(memory.verify(), Verified)
    assert_type(memory.backup("copies"), BackupMade)
    assert_type(memory.access_log(), AccessPage)
    assert_type(memory.send(OpenNodes(["a"])), Graph)
    assert_type(memory.send_all([OpenNodes(["a"])]), list[Any])
    assert_type(memory.welcome, Welcome)
    assert_type(memory.settings, Settings)
    with memory as same:
        assert_type(same, Memory)


async def awaited(memory: AsyncMemory) -> None:
    """`AsyncMemory` gives something to await."""
    assert_type(memory.create_entities([EntityInput("a", "t")]), Awaitable[Created])
    assert_type(await memory.create_entities([EntityInput("a", "t")]), Created)
    assert_type(await memory.open_nodes(["a"]), Graph)
    assert_type(await memory.search_nodes("a"), SearchResult)
    assert_type(await memory.ping(), Pong)
    assert_type(await memory.send(OpenNodes(["a"])), Graph)
    assert_type(memory.events(), AsyncIterator[dict[str, Any]])
    async with memory as same:
        assert_type(same, AsyncMemory)


def refused(memory: Memory) -> None:
    """What a type checker must not let pass."""
    memory.create_entities("a")  # pyright: ignore[reportArgumentType]
    memory.open_nodes()  # pyright: ignore[reportCallIssue]
    memory.merge_branch("b", strategy="guess")  # pyright: ignore[reportArgumentType]
    memory.search_nodes("a", limits=3)  # pyright: ignore[reportCallIssue]
    memory.list_entities(tiers=["no such tier"])  # pyright: ignore[reportArgumentType]
    memory.no_such_operation()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
