"""A plain call is answered past the SDK: a client cannot tell, and whatever is not plain goes the whole way."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from enhanced_memory.client import AsyncMemory, Settings
from enhanced_memory.client.errors import NotFound
from enhanced_memory.mcp_server import direct, profiles
from enhanced_memory.mcp_server.edge import Outcome, Served
from enhanced_memory.mcp_server.owed import UNANSWERED
from enhanced_memory.mcp_server.profiles import COMPAT, CORE, Profile
from enhanced_memory.mcp_server.server import build
from enhanced_memory.mcp_server.session import Launch, Session, memory
from enhanced_memory.mcp_server.subscriptions import Feeds
from enhanced_memory.mcp_server.tools.declaration import Call, Structured, Tool
from enhanced_memory.mcp_server.warming import ENVELOPE

Connect = Callable[..., Any]
_numbers = itertools.count(1)

ADA = {"name": "Ada", "entityType": "person", "observations": ["writes programs", "ünï \u202e\u0007\n"]}
GRAPH = [
    {"name": "create_entities", "arguments": {"entities": [ADA]}},
    {"name": "create_entities", "arguments": {"entities": [ADA, {"name": "B", "entityType": "", "observations": []}]}},
    {"name": "create_relations", "arguments": {"relations": [{"from": "Ada", "to": "x", "relationType": "knows"}]}},
    {"name": "add_observations", "arguments": {"observations": [{"entityName": "Ada", "contents": ["a", "a"]}]}},
    {"name": "add_observations", "arguments": {"observations": [{"entityName": "Nobody", "contents": ["a"]}]}},
    {"name": "open_nodes", "arguments": {"names": ["Ada", "Nobody"]}},
    {"name": "search_nodes", "arguments": {"query": "programs"}},
    {"name": "delete_entities", "arguments": {"entityNames": ["Ada"]}},
    {"name": "read_graph", "arguments": {}},
]
AMISS = [
    {"name": "open_nodes", "arguments": {"names": 3}},
    {"name": "open_nodes", "arguments": {}},
    {"name": "open_nodes"},
    {"name": "open_nodes", "arguments": None},
    {"name": "open_nodes", "arguments": []},
    {"name": "open_nodes", "arguments": {"names": ["Ada"], "unknown": {"deep": [1.5, None, 2**70, True]}}},
    {"name": "open_nodes", "arguments": {"names": ["Ada"]}, "_meta": {}},
    {"name": "open_nodes", "arguments": {"names": ["Ada"]}, "_meta": {"progressToken": 3}},
    {"name": "open_nodes", "arguments": {"names": ["Ada"]}, "_meta": 3},
    {"name": "open_nodes", "arguments": {"names": ["Ada"]}, "task": {"ttl": 5}},
    {"name": "open_nodes", "arguments": {"names": ["Ada"]}, "surplus": 1},
    {"name": "nonsense", "arguments": {}},
    {"name": 7, "arguments": {}},
    {"arguments": {"names": []}},
    {},
    [],
]
CALL = b'"method":"tools/call","params":{"name":"open_nodes","arguments":{"names":["Ada"]}}}'
LINES = [
    b'{"jsonrpc":"2.0","id":"text",' + CALL,
    b'{"jsonrpc":"2.0","id":"7",' + CALL,
    b'{"jsonrpc":"2.0","id":-1,' + CALL,
    b'{"jsonrpc":"2.0","id":0,' + CALL,
    b'{"jsonrpc":"2.0","id":123456789012345678901234567890,' + CALL,
    b'{"jsonrpc":"2.0","id":"quo\\"te\\\\",' + CALL,
    b'{"jsonrpc":"1.0","id":5,' + CALL,
    b'{"id":5,' + CALL,
    b'{"jsonrpc":"2.0","id":5,"surplus":1,' + CALL,
    b'{"jsonrpc":"2.0","id":5,"id":6,' + CALL,
    b'{"jsonrpc":"2.0","id":5,' + CALL.replace(b"Ada", b"\xff\xfe"),
    b'{"jsonrpc":"2.0","id":5,' + CALL.replace(b"Ada", b"\\ud800"),
    b'{"jsonrpc":"2.0","id":5,' + CALL.replace(b'"Ada"', b"NaN"),
    b'{"jsonrpc":"2.0","id":5,' + CALL.replace(b'"Ada"', b"1e999"),
    b'{"jsonrpc":"2.0","id":5,' + CALL.replace(b'"Ada"', b"[" * 3000 + b"]" * 3000),
    b'{"jsonrpc":"2.0","id":5,' + CALL.replace(b"Ada", b"A" * (direct.LONGEST + 1)),
    b' {"jsonrpc":"2.0","id":5,' + CALL + b" ",
]

NO_IDS = ("1.0", "1.5", "true", "null", "[1]", '{"a":1}')
"""What the SDK takes for no id at all, and the call for a notification, which is not answered."""


class Counted:
    """How often a call was answered past the SDK."""

    def __init__(self) -> None:
        self.calls = 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    answer = direct.Direct.answer

    async def counting(self: direct.Direct, *given: Any) -> bytes:
        counted.calls += 1
        return await answer(self, *given)

    monkeypatch.setattr(direct.Direct, "answer", counting)
    return counted


@pytest.fixture
async def connect(wired: Any) -> AsyncIterator[Connect]:
    """Connect to a server of a profile, with or without the way past the SDK, in an era; the handshake is done."""
    async with AsyncExitStack() as stack:

        async def start(
            settings: Settings, profile: Profile, era: str, plain: bool = True, capabilities: Any = None
        ) -> Any:
            served = Served(build(memory, profile, lambda: None), Feeds(), profile if plain else None)
            stack.push_async_callback(served.close)
            remembered = AsyncMemory(settings)
            stack.push_async_callback(remembered.close)
            client = await stack.enter_async_context(wired(served, Session(remembered)))
            if era == "legacy":
                hello = {"protocolVersion": "2025-11-25", "clientInfo": {"name": "t", "version": "1"}}
                await client.send(id=0, method="initialize", params=hello | {"capabilities": capabilities or {}})
                await client.read()
                await client.send(method="notifications/initialized")
            return client

        yield start


def said(params: Any, number: Any, era: str) -> bytes:
    if era == "modern" and isinstance(params, dict):
        beside = params.get("_meta", {})
        params = params | {"_meta": ENVELOPE | beside if isinstance(beside, dict) else beside}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()


async def answers(client: Any, lines: list[bytes]) -> list[Any]:
    """What comes back for each line, one after the other; the store's own numbers and times left out."""
    found: list[Any] = []
    for line in lines:
        await client.raw(line + b"\n")
        heard = await client.line()
        heard = re.sub(rb'(?<!"2\.0",)(\\?"id\\?":)\d+', rb"\g<1>0", heard)
        found.append(json.loads(re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+Z", b"now", heard)))
    return found


@pytest.mark.parametrize("profile", [CORE, COMPAT], ids=["core", "compat"])
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_both_ways_answer_the_same(
    own_environment: dict[str, str],
    connect: Connect,
    counted: Counted,
    era: str,
    profile: Profile,
) -> None:
    # No embedder: a model that is loaded while we search would tell the answers apart.
    calls = [said(params, 100 + number, era) for number, params in enumerate([*GRAPH, *GRAPH, *AMISS, GRAPH[-1]])]
    odd = LINES if era == "legacy" else []
    heard: list[list[Any]] = []
    for plain in (True, False):
        settings = Settings.load({"space": f"both-{next(_numbers)}", "agent": "x", "embedder": "none"}, own_environment)
        space = settings.space.encode()
        client = await connect(settings, profile, era, plain)
        said_back = await answers(client, [*calls, *odd, calls[0]])
        heard.append(json.loads(json.dumps(said_back).replace(space.decode(), "space")))
        if plain:
            # All of the first two rounds but the very first one; of what is amiss only what is a call like those.
            assert counted.calls >= 2 * len(GRAPH) - 1 - 2 * (profile is CORE)
    for asked, ours, theirs in zip([*calls, *odd, calls[0]], *heard, strict=True):
        assert ours == theirs, f"{asked[:300]!r}\n{json.dumps(ours)}\n{json.dumps(theirs)}"
    assert heard[0][0]["result"]["structuredContent"]


@pytest.mark.parametrize("plain", [True, False], ids=["past", "whole"])
async def test_a_call_without_a_usable_id_is_answered_on_neither_way(
    connect: Connect, settings: Settings, house: "House", plain: bool
) -> None:
    client = await connect(settings, house.profile, "legacy", plain)
    await learnt(client)
    call = b'"method":"tools/call","params":{"name":"quick","arguments":{"name":"ghost"}}}\n'
    for number in NO_IDS:
        await client.raw(b'{"jsonrpc":"2.0","id":' + number.encode() + b"," + call)
    await client.raw(b'{"jsonrpc":"2.0",' + call)
    await client.call(5, "quick", name="after")
    assert (await client.read())["id"] == 5
    assert house.began == ["first", "after"]


class Name(msgspec.Struct):
    name: str = ""


class House:
    def __init__(self) -> None:
        self.began: list[str] = []
        self.cancelled: list[str] = []
        self.keys: list[str] = []
        self.go = asyncio.Event()
        self.profile = Profile(
            "trial",
            tuple(
                Tool(name=name, title=name, description=name, takes=Name, ask=ask)
                for name, ask in (
                    ("quick", self.quick),
                    ("slow", self.slow),
                    ("wrong", self.wrong),
                    ("faulty", self.faulty),
                )
            ),
        )

    async def quick(self, call: Call, given: Name) -> Structured:
        self.began.append(given.name)
        self.keys.append(call.key)
        return {"name": given.name}

    async def slow(self, _: Call, given: Name) -> Structured:
        self.began.append(given.name)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(given.name)
            raise
        return {"name": given.name}

    async def wrong(self, _: Call, given: Name) -> Structured:
        raise NotFound(f"There is no {given.name}.", "make one")

    async def faulty(self, _: Call, given: Name) -> Structured:
        raise RuntimeError(f"a secret: {given.name}")


@pytest.fixture
def house() -> House:
    return House()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def learnt(client: Any) -> None:
    """The connection's first call, from which it is known."""
    await client.call("first", "quick", name="first")
    await client.read()


async def test_a_connection_s_first_call_goes_the_whole_way(
    connect: Connect, settings: Settings, house: House, counted: Counted
) -> None:
    client = await connect(settings, house.profile, "legacy")
    for number in range(3):
        await client.call(number, "quick")
        await client.read()
    assert counted.calls == 2


async def test_an_error_teaches_nothing_and_is_told_in_the_same_words(
    connect: Connect, settings: Settings, house: House, counted: Counted
) -> None:
    client = await connect(settings, house.profile, "legacy")
    told: list[Any] = []
    for number in range(2):
        for tool in ("wrong", "faulty"):
            await client.call(9, tool, name="cup")
            told.append((await client.read())["result"])
        assert counted.calls == 2 * number
        await learnt(client)
    assert told[:2] == told[2:]
    assert told[0] == {"content": [{"type": "text", "text": "There is no cup. (make one)"}], "isError": True}
    assert "RuntimeError" in told[1]["content"][0]["text"]
    assert "cup" not in told[1]["content"][0]["text"]


async def test_a_cancelled_call_is_cancelled_and_never_answered(
    connect: Connect, settings: Settings, house: House
) -> None:
    client = await connect(settings, house.profile, "legacy")
    await learnt(client)
    for name, by in ((1, 1), (2, "2"), ("3", 3), ("four", "four")):
        await client.call(name, "slow", name=str(name))
        await until(lambda name=name: str(name) in house.began)
        await client.send(method="notifications/cancelled", params={"requestId": by})
        await until(lambda name=name: str(name) in house.cancelled)
    await client.call(5, "quick")
    assert (await client.read())["id"] == 5
    client.ends()
    # Nothing is owed, so the end is not waited with.
    assert await asyncio.wait_for(client.task, 10) is Outcome.ANSWERED
    with pytest.raises(EOFError):
        await client.line()


async def test_an_id_is_free_again_once_its_call_was_cancelled(
    connect: Connect, settings: Settings, house: House, counted: Counted
) -> None:
    """Call, cancel and call again in one piece: the first is cancelled before it has begun."""
    client = await connect(settings, house.profile, "legacy")
    await learnt(client)
    cancel = json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}).encode()
    slow = said({"name": "slow", "arguments": {"name": "late"}}, 7, "legacy")
    quick = said({"name": "quick", "arguments": {"name": "now"}}, 7, "legacy")
    for _ in range(3):
        await client.raw(slow + b"\n" + cancel + b"\n" + quick + b"\n")
        answer = await client.read()
        assert (answer["id"], answer["result"]["structuredContent"]) == (7, {"name": "now"})
    client.ends()
    assert await asyncio.wait_for(client.task, 10) is Outcome.ANSWERED
    assert house.began.count("now") == 3
    assert counted.calls >= 3


@pytest.mark.parametrize("junk", [None, [], {}, 1.5, True, "x" * 5000, 10**30], ids=str)
async def test_cancelling_what_is_not_there_harms_nothing(
    connect: Connect, settings: Settings, house: House, junk: Any
) -> None:
    client = await connect(settings, house.profile, "legacy")
    await learnt(client)
    await client.send(method="notifications/cancelled", params={"requestId": junk})
    await client.send(method="notifications/cancelled")
    await client.call(5, "quick")
    assert (await client.read())["id"] == 5


async def test_the_end_of_the_input_leaves_no_plain_call_unanswered(
    connect: Connect, settings: Settings, house: House
) -> None:
    client = await connect(settings, house.profile, "legacy")
    await learnt(client)
    await client.call(1, "slow", name="last")
    client.ends()
    await until(lambda: "last" in house.began)
    assert not client.task.done()
    house.go.set()
    assert (await client.read())["id"] == 1
    assert await client.task is Outcome.ANSWERED


async def test_a_client_that_dies_has_its_plain_calls_cancelled(
    connect: Connect, settings: Settings, house: House, counted: Counted
) -> None:
    client = await connect(settings, house.profile, "legacy")
    await learnt(client)
    await client.call(1, "slow", name="orphan")
    await until(lambda: "orphan" in house.began)
    assert counted.calls == 1
    client.peer.close()
    assert await client.task is Outcome.GONE
    assert house.cancelled == ["orphan"]


async def test_no_more_plain_calls_are_taken_than_are_answered(
    connect: Connect, settings: Settings, house: House, counted: Counted
) -> None:
    client = await connect(settings, house.profile, "legacy")
    await learnt(client)
    house.began.clear()
    for number in range(UNANSWERED + 20):
        await client.call(number, "slow", name=str(number))
    await until(lambda: len(house.began) == UNANSWERED)
    assert counted.calls == UNANSWERED
    house.go.set()
    assert {(await client.read())["id"] for _ in range(UNANSWERED + 20)} == set(range(UNANSWERED + 20))


async def test_a_plain_call_does_not_overtake_one_on_the_whole_way(
    connect: Connect, settings: Settings, house: House
) -> None:
    client = await connect(settings, house.profile, "legacy")
    await learnt(client)
    house.began.clear()
    lines: list[bytes] = []
    for number in range(40):
        # Every third one wants progress, and goes the whole way.
        beside = {} if number % 3 else {"_meta": {"progressToken": number}}
        lines.append(said({"name": "quick", "arguments": {"name": str(number)}} | beside, number, "legacy"))
    await client.raw(b"\n".join([*lines, b""]))
    for _ in lines:
        await client.read()
    assert house.began == [str(number) for number in range(40)]


async def test_a_plain_call_has_its_own_line_s_key(wired: Any, settings: Settings, house: House) -> None:
    served = Served(build(memory, house.profile, lambda: None), Feeds(), house.profile)
    async with wired(served, Session(AsyncMemory(settings), session_id="one")) as client:
        await client.greet()
        for number in range(3):
            await client.call(number, "quick")
            await client.read()
    await served.close()
    assert house.keys == ["one:2", "one:3", "one:4"]


async def test_a_connection_that_is_opened_anew_is_learnt_anew(
    connect: Connect, settings: Settings, house: House, counted: Counted
) -> None:
    client = await connect(settings, house.profile, "legacy")
    await learnt(client)
    await client.greet()
    await learnt(client)
    assert counted.calls == 0
    await client.call(1, "quick")
    await client.read()
    assert counted.calls == 1


async def test_a_session_that_has_not_arrived_goes_the_whole_way(
    environment: dict[str, str], wired: Any, counted: Counted, tmp_path: Any
) -> None:
    """Its first call may have failed for the file it means; the space is decided before anything is answered."""
    served = Served(build(memory, COMPAT), Feeds(), COMPAT)
    remembered = AsyncMemory(Settings.load({"space": f"arrival-{next(_numbers)}"}, environment))
    session = Session(remembered, launch=Launch("/", str(tmp_path), True, str(tmp_path)))
    async with wired(served, session) as client:
        await client.greet()
        assert not session.arrived
        await client.call(1, "read_graph")
        assert (await client.read())["result"]["isError"] is True  # a folder is no memory file
        assert not session.arrived
        await client.call(2, "read_graph")
        await client.read()
        assert session.arrived
        assert counted.calls == 0
        await client.call(3, "read_graph")
        await client.read()
        assert counted.calls == 1
    await remembered.close()
    await served.close()


async def test_what_a_person_may_have_to_be_asked_about_goes_the_whole_way(
    environment: dict[str, str], connect: Connect, counted: Counted
) -> None:
    settings = Settings.load({"space": f"asking-{next(_numbers)}", "confirm_deletes": 1}, environment)
    client = await connect(settings, CORE, "legacy", capabilities={"elicitation": {}})
    await client.call(1, "read_graph")
    await client.read()
    await client.call(2, "delete_entities", entityNames=["a", "b"])
    question = await client.read()
    assert question["method"] == "elicitation/create"
    await client.send(id=question["id"], result={"action": "decline"})
    assert (await client.read())["id"] == 2
    assert counted.calls == 0


def test_no_tool_of_ours_is_too_odd_for_the_way_past() -> None:
    """Left out is what may have to ask a person, what runs code, and the status, which says what the sandbox is."""
    for profile in (CORE, COMPAT, profiles.FULL):
        known = direct.Direct(profile.tools, exact=profile.exact)
        left_out = {
            tool.name
            for tool in profile.tools
            if known.plain(said({"name": tool.name, "arguments": {}}, 1, "legacy")) is None
        }
        wanted = {
            tool.name for tool in profile.tools if tool.question or tool.chooses or tool.needs_sandbox or tool.whole
        }
        assert left_out == wanted
        assert len(left_out) < len(profile.tools) / 2


async def test_the_status_says_the_same_however_often_it_is_asked(
    environment: dict[str, str], connect: Connect
) -> None:
    """What it says of this side is known on the whole way alone."""
    client = await connect(Settings.load({"space": f"status-{next(_numbers)}"}, environment), CORE, "legacy")
    told: list[set[str]] = []
    for number in range(3):
        await client.call(number, "get_memory_status")
        told.append(set((await client.read())["result"]["structuredContent"]))
    assert "sandbox" in told[0]
    assert told[0] == told[1] == told[2]
