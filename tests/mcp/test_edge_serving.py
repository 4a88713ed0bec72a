"""What the edge relies on of FastMCP and the SDK, over a socket pair and without a process: a new release is tried here first."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from fastmcp import Context, FastMCP
from fastmcp.server.lifespan import lifespan

from enhanced_memory.client import AsyncMemory, Settings
from enhanced_memory.mcp_server.channel import Channel
from enhanced_memory.mcp_server.edge import Outcome, Served
from enhanced_memory.mcp_server.owed import UNANSWERED
from enhanced_memory.mcp_server.session import Session, current, request_key
from enhanced_memory.mcp_server.subscriptions import Feeds
from enhanced_memory.mcp_server.warming import ENVELOPE, warm

PREFIX = b'{"jsonrpc":"2.0","id":'
VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


@dataclass
class House:
    """A server with tools for trying, and how often what has happened."""

    served: Served
    lives: list[str] = field(default_factory=list)
    began: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    lives: list[str] = []

    @lifespan
    async def life(_: Any) -> AsyncIterator[dict[str, Any]]:
        lives.append("entered")
        yield {}
        lives.append("left")

    server: FastMCP = FastMCP("trial", lifespan=life)
    made: list[House] = []

    @server.tool
    async def who() -> dict[str, Any]:
        return {"session": current().session_id, "pid": current().pid, "key": request_key.get()}

    @server.tool
    async def slow(name: str) -> str:
        made[0].began.append(name)
        try:
            await made[0].go.wait()
        except asyncio.CancelledError:
            made[0].cancelled.append(name)
            raise
        made[0].ended.append(name)
        return name

    @server.tool
    async def long(size: int) -> str:
        made[0].began.append("long")
        return "x" * size

    @server.tool
    async def talk(ctx: Context) -> str:
        await ctx.debug("a word")
        return "said"

    made.append(House(Served(server, Feeds()), lives))
    yield made[0]
    await made[0].served.close()


class Client(Protocol):
    """The other end of a connection."""

    peer: socket.socket
    channel: Channel
    task: "asyncio.Task[Outcome]"
    raw: Callable[[bytes], Awaitable[None]]
    send: Callable[..., Awaitable[None]]
    line: Callable[[], Awaitable[bytes]]
    read: Callable[[], Awaitable[dict[str, Any]]]
    call: Callable[..., Awaitable[None]]
    greet: Callable[..., Awaitable[dict[str, Any]]]
    ends: Callable[[], None]


Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def connect(house: House, settings: Settings, wired: Any) -> AsyncIterator[Connect]:
    """Connect to the house; a session's keys are its name and the line."""
    async with AsyncExitStack() as stack:

        async def start(name: str = "one") -> Client:
            session = Session(AsyncMemory(settings), session_id=name, pid=os.getpid())
            return await stack.enter_async_context(wired(house.served, session))

        yield start


async def told(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_version_with_a_handshake_is_served_in_its_own(connect: Connect, version: str) -> None:
    client = await connect()
    answer = await client.greet(version)
    assert answer["result"]["protocolVersion"] == version
    assert answer["result"]["capabilities"]["resources"]["subscribe"] is True
    await client.call(1, "who")
    assert (await client.read())["result"]["structuredContent"]["session"] == "one"


async def test_a_first_request_with_the_newer_envelope_is_served_without_a_handshake(connect: Connect) -> None:
    client = await connect()
    await client.send(id=1, method="tools/call", params={"name": "who", "arguments": {}, "_meta": ENVELOPE})
    answer = await client.read()
    assert answer["result"]["structuredContent"] == {"session": "one", "pid": os.getpid(), "key": "one:0"}
    assert answer["result"]["resultType"] == "complete"


async def test_a_server_lives_once_however_many_connect(house: House, connect: Connect) -> None:
    for name in ("a", "b", "c"):
        await (await connect(name)).greet()
    assert house.lives == ["entered"]


async def test_each_call_knows_its_session_and_the_number_of_its_line(connect: Connect) -> None:
    one, two = await connect("one"), await connect("two")
    await one.greet()
    await two.greet("2025-06-18")
    for number in range(3):
        await one.call(number, "who")
        await two.call(number, "who")
    for client, name in ((one, "one"), (two, "two")):
        said = [(await client.read())["result"]["structuredContent"] for _ in range(3)]
        assert [found["session"] for found in said] == [name] * 3
        assert sorted(found["key"] for found in said) == [f"{name}:{number}" for number in (2, 3, 4)]


async def test_one_session_s_log_level_is_not_another_s(connect: Connect) -> None:
    loud, still = await connect("loud"), await connect("still")
    await loud.greet()
    await still.greet()
    await loud.send(id=1, method="logging/setLevel", params={"level": "debug"})
    await still.send(id=1, method="logging/setLevel", params={"level": "error"})
    await loud.read()
    await still.read()
    await loud.call(2, "talk")
    await still.call(2, "talk")
    assert (await loud.read())["method"] == "notifications/message"
    assert (await still.read())["id"] == 2


@pytest.mark.parametrize("number", [7, "text", 'quo"te\\', 0, "ü"])
async def test_an_answer_begins_with_its_id_as_the_relay_reads_it(connect: Connect, number: Any) -> None:
    from enhanced_memory.mcp_server.ledger import answered_id

    client = await connect()
    await client.greet()
    for tool in ("who", "nonsense"):
        await client.call(number, tool)
        line = await client.line()
        assert line.startswith(PREFIX)
        raw = answered_id(line)
        assert raw is not None
        assert json.loads(raw) == number


async def test_the_end_of_the_input_leaves_no_question_unanswered(house: House, connect: Connect) -> None:
    client = await connect()
    await client.greet()
    await client.call(1, "slow", name="last")
    client.ends()
    await told(lambda: house.began == ["last"])
    assert not client.task.done()
    house.go.set()
    assert (await client.read())["id"] == 1
    assert await client.task is Outcome.ANSWERED


async def test_a_client_that_dies_has_its_calls_cancelled(house: House, connect: Connect) -> None:
    client = await connect()
    await client.greet()
    await client.call(1, "slow", name="orphan")
    await told(lambda: house.began == ["orphan"])
    client.peer.close()
    assert await client.task is Outcome.GONE
    assert house.cancelled == ["orphan"]


async def test_a_cancelled_call_is_cancelled_and_owes_no_answer(house: House, connect: Connect) -> None:
    client = await connect()
    await client.greet()
    await client.call(1, "slow", name="one")
    await told(lambda: house.began == ["one"])
    await client.send(method="notifications/cancelled", params={"requestId": 1})
    await told(lambda: house.cancelled == ["one"])
    client.ends()
    assert await client.task is Outcome.ANSWERED
    with pytest.raises(EOFError):
        await client.line()


@pytest.mark.parametrize(
    ("said", "code", "number"),
    [
        (b"junk", -32700, None),
        (b"\xff\xfe{}", -32700, None),
        (b'{"jsonrpc":"2.0","id":1', -32700, None),
        (b"[" * 100_000, -32700, None),
        (b"[1,2]", -32600, None),
        (b'"text"', -32600, None),
        (b'{"jsonrpc":"2.0","id":5,"method":7}', -32600, 5),
        (b'{"id":"x","method":"ping"}', -32600, "x"),
    ],
)
async def test_junk_is_answered_and_the_session_lives(connect: Connect, said: bytes, code: int, number: Any) -> None:
    client = await connect()
    await client.greet()
    await client.raw(said + b"\n\r\n\n")
    answer = await client.read()
    assert (answer["error"]["code"], answer["id"]) == (code, number)
    await client.call(2, "who")
    assert (await client.read())["id"] == 2


async def test_junk_before_the_first_request_is_answered_too(connect: Connect) -> None:
    client = await connect()
    await client.raw(b"junk\n")
    assert (await client.read())["error"]["code"] == -32700
    assert "result" in await client.greet()


async def test_a_line_over_the_limit_is_told_of_once_and_the_session_lives(connect: Connect) -> None:
    client = await connect()
    await client.greet()
    sending = asyncio.create_task(client.raw(b"x" * (33 * 1024 * 1024) + b"\n"))
    assert (await client.read())["error"]["code"] == -32600
    await sending
    await client.call(2, "who")
    assert (await client.read())["id"] == 2


async def test_a_large_message_is_answered_whole(connect: Connect) -> None:
    client = await connect()
    await client.greet()
    sending = asyncio.create_task(client.call(1, "long", size=5_000_000, more="y" * 5_000_000))
    answer = await client.read()
    await sending
    assert answer["id"] == 1


async def test_no_more_is_taken_than_is_answered(house: House, connect: Connect) -> None:
    client = await connect()
    await client.greet()
    for number in range(UNANSWERED + 20):
        await client.call(number, "slow", name=str(number))
    await told(lambda: len(house.began) == UNANSWERED)
    other = await connect("other")
    await other.greet()
    await other.call(1, "who")
    await other.read()
    assert len(house.began) == UNANSWERED
    house.go.set()
    assert {(await client.read())["id"] for _ in range(UNANSWERED + 20)} == set(range(UNANSWERED + 20))


async def test_a_client_that_does_not_read_is_not_read_from(house: House, connect: Connect) -> None:
    client = await connect()
    await client.greet()
    asked = 600
    message = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "long", "arguments": {"size": 100_000}}}
    lines = b"".join(json.dumps(message | {"id": number}).encode() + b"\n" for number in range(asked))
    sending = asyncio.create_task(client.raw(lines))
    await told(lambda: len(house.began) >= UNANSWERED)
    other = await connect("other")
    await other.greet()
    for number in range(20):
        await other.call(number, "who")
        await other.read()
    # What fits into the socket's buffers is answered; for the rest nobody works ahead.
    assert len(house.began) < UNANSWERED * 2
    assert {(await client.read())["id"] for _ in range(asked)} == set(range(asked))
    await sending


async def test_a_session_that_is_to_go_elsewhere_has_its_answers_first_and_hears_nothing_of_the_rest(
    house: House, connect: Connect
) -> None:
    client = await connect()
    await client.greet()
    await client.call(1, "slow", name="taken")
    await told(lambda: house.began == ["taken"])
    client.channel.leave()
    await client.call(2, "slow", name="not taken")
    house.go.set()
    assert (await client.read())["id"] == 1
    assert await client.task is Outcome.LEFT
    assert house.began == ["taken"]
    with pytest.raises(EOFError):
        await client.line()


async def test_warming_asks_neither_for_a_daemon_nor_for_a_space(settings: Settings, home: Path) -> None:
    from enhanced_memory.mcp_server.profiles import COMPAT, CORE
    from enhanced_memory.mcp_server.server import build
    from enhanced_memory.mcp_server.session import memory

    settings = replace(settings, mirror=str(home / "mirror.jsonl"))
    (home / "memory.jsonl").write_text('{"type":"entity","name":"old","entityType":"t","observations":[]}\n')
    for chosen in (CORE, COMPAT):
        served = Served(build(memory, chosen), Feeds())
        await warm(served, settings)
        await served.close()
    assert not settings.store_path.exists()
    assert not settings.socket_path.exists()
