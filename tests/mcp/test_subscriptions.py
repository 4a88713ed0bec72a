"""`memory://knowledge-graph` is watched in both protocol eras, and every change is told of, whoever made it."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.subscriptions import listen as listening

from enhanced_memory.client import AsyncMemory, Memory, Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.session import Session
from enhanced_memory.mcp_server.subscriptions import GRAPH, Feeds
from enhanced_memory.mcp_server.warming import ENVELOPE

Environment = dict[str, str]
UPDATED = "notifications/resources/updated"


def updates(session: Any) -> list[Any]:
    return [one["params"]["uri"] for one in session.told if one["method"] == UPDATED]


def listen(session: Any, *uris: str) -> int:
    """Subscribe in the newer era; over when it is acknowledged."""
    params = {"notifications": {"resourceSubscriptions": list(uris)}, "_meta": ENVELOPE}
    number: int = session.begin("subscriptions/listen", params)
    session.wait(lambda: any(one["method"] == "notifications/subscriptions/acknowledged" for one in session.told))
    return number


@pytest.fixture(params=["relay", "alone"])
def arguments(request: pytest.FixtureRequest) -> list[str]:
    return ["--no-relay"] if request.param == "alone" else []


def test_both_eras_hear_of_a_change_and_only_who_subscribed_does(
    environment: Environment, launch: Any, arguments: list[str]
) -> None:
    older, newer, silent, writer = (launch(environment, *arguments) for _ in range(4))
    for session in (older, silent, writer):
        session.greet()
    assert older.ask("resources/subscribe", {"uri": GRAPH})["result"] == {}
    listen(newer, GRAPH)
    writer.create(f"news {arguments}")
    for session in (older, newer):
        session.wait(lambda session=session: updates(session) == [GRAPH])
    assert "result" in silent.ask("ping")
    assert silent.told == []
    assert newer.told[-1]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 1


def test_a_change_by_another_program_is_told_of_and_across_profiles(environment: Environment, launch: Any) -> None:
    compat = launch(environment, "--profile", "compat")
    compat.greet()
    compat.ask("resources/subscribe", {"uri": GRAPH})
    with Memory(Settings.load(environment=environment)) as memory:
        memory.create_entities([EntityInput(name="by the way", type="t")])
    compat.wait(lambda: updates(compat) == [GRAPH])


def test_another_space_s_changes_are_not_told_of(environment: Environment, launch: Any) -> None:
    mine = launch(environment | {"ENHANCED_MEMORY_SPACE": "mine"})
    other = launch(environment | {"ENHANCED_MEMORY_SPACE": "other"})
    for session in (mine, other):
        session.greet()
        session.create("first")
    mine.ask("resources/subscribe", {"uri": GRAPH})
    other.create("elsewhere")
    mine.create("here")
    mine.wait(lambda: len(updates(mine)) == 1)
    time.sleep(0.3)  # nothing is to come: there is nothing to wait for
    assert updates(mine) == [GRAPH]


def test_a_space_that_is_made_by_its_first_change_is_heard_of(environment: Environment, launch: Any) -> None:
    fresh = launch(environment | {"ENHANCED_MEMORY_SPACE": "not there yet"})
    fresh.greet()
    fresh.ask("resources/subscribe", {"uri": GRAPH})
    fresh.create("first")
    fresh.wait(lambda: len(updates(fresh)) >= 1)


def test_an_unsubscribed_session_hears_no_more(environment: Environment, launch: Any) -> None:
    session, witness = launch(environment), launch(environment)
    for one in (session, witness):
        one.greet()
        one.ask("resources/subscribe", {"uri": GRAPH})
    session.ask("resources/unsubscribe", {"uri": GRAPH})
    witness.create("after")
    witness.wait(lambda: len(updates(witness)) == 1)
    assert "result" in session.ask("ping")
    assert updates(session) == []


def test_a_cancelled_stream_ends(environment: Environment, launch: Any) -> None:
    session, witness = launch(environment), launch(environment)
    witness.greet()
    witness.ask("resources/subscribe", {"uri": GRAPH})
    number = listen(session, GRAPH)
    session.send({"method": "notifications/cancelled", "params": {"requestId": number}})
    session.ask("tools/list", {"_meta": ENVELOPE})
    witness.create("after cancelling")
    witness.wait(lambda: len(updates(witness)) == 1)
    session.ask("tools/list", {"_meta": ENVELOPE})
    assert updates(session) == []
    assert number not in session.answers


def test_an_open_stream_does_not_keep_a_session_whose_input_has_ended(environment: Environment, launch: Any) -> None:
    session = launch(environment)
    listen(session, GRAPH)
    assert session.end() == (0, "")


def test_what_is_no_memory_cannot_be_subscribed_to(environment: Environment, launch: Any) -> None:
    session = launch(environment)
    session.greet()
    assert session.ask("resources/subscribe", {"uri": "file:///etc/passwd"})["error"]["code"] == -32602


def test_many_changes_at_once_are_told_of_in_few_words_and_the_last_is_not_missed(
    environment: Environment, launch: Any
) -> None:
    session = launch(environment | {"ENHANCED_MEMORY_SPACE": "burst"})
    session.greet()
    session.ask("resources/subscribe", {"uri": GRAPH})
    began = time.monotonic()
    for number in range(200):
        session.begin(
            "tools/call",
            {
                "name": "create_entities",
                "arguments": {"entities": [{"name": f"e{number}", "entityType": "t", "observations": []}]},
            },
        )
    session.wait(lambda: len(session.answers) == 202)
    lasted = time.monotonic() - began
    session.wait(lambda: len(updates(session)) >= 1)
    time.sleep(0.5)  # until the last word, which by this law comes within a tenth of a second
    assert 1 <= len(updates(session)) <= lasted / 0.1 + 3


def test_a_daemon_that_is_killed_is_heard_of_again_and_what_may_be_missing_is_told_once(
    own_environment: Environment, launch: Any, kill: Callable[[int, int], None]
) -> None:
    session = launch(own_environment)
    session.greet()
    session.create("before")
    session.ask("resources/subscribe", {"uri": GRAPH})
    kill(session.call("get_memory_status")["structuredContent"]["pid"], signal.SIGKILL)
    assert session.call("read_graph")["structuredContent"]["entities"][0]["name"] == "before"
    session.wait(lambda: len(updates(session)) == 1)
    with Memory(Settings.load(environment=own_environment)) as memory:
        memory.create_entities([EntityInput(name="after", type="t")])
    session.wait(lambda: len(updates(session)) == 2)


async def test_the_sdk_s_older_client_is_told(environment: Environment, command: list[str]) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def on_message(message: Any) -> None:
        await heard.put(message)

    launched = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    async with (
        stdio_client(launched) as (read, write),
        ClientSession(read, write, message_handler=on_message) as session,
    ):
        await session.initialize()
        await session.subscribe_resource(GRAPH)
        await session.call_tool(
            "create_entities", {"entities": [{"name": "sdk", "entityType": "t", "observations": []}]}
        )
        async with asyncio.timeout(10):
            while getattr(await heard.get(), "method", "") != UPDATED:
                pass


@pytest.fixture
async def session(memory: AsyncMemory) -> AsyncIterator[Session]:
    yield Session(memory)


async def test_sessions_in_one_space_share_one_connection_which_ends_with_the_last(
    memory: AsyncMemory, session: Session
) -> None:
    other = Session(memory)
    feeds = Feeds()

    async def tell() -> None:
        pass

    before = (await memory.get_memory_status()).connections
    one = await feeds.watch(session, tell)
    two = await feeds.watch(other, tell)
    assert (await memory.get_memory_status()).connections == before + 1
    one()
    one()
    assert (await memory.get_memory_status()).connections == before + 1
    two()
    async with asyncio.timeout(10):
        while (await memory.get_memory_status()).connections != before:
            await asyncio.sleep(0.005)


async def test_a_subscriber_follows_its_session_into_another_space(memory: AsyncMemory, session: Session) -> None:
    feeds = Feeds()
    heard: list[str] = []

    async def tell() -> None:
        heard.append(memory.space)

    await feeds.watch(session, tell)
    await memory.create_space("elsewhere")
    await memory.switch("elsewhere")
    feeds.moved(session)
    await asyncio.sleep(0)
    heard.clear()
    async with asyncio.timeout(10):
        while not heard:
            await memory.create_entities([EntityInput(name=os.urandom(4).hex(), type="t")])
            await asyncio.sleep(0.05)
    await feeds.close()


async def test_where_no_daemon_is_a_subscriber_is_told_once_there_is_one(
    own_environment: Environment, command: list[str]
) -> None:
    memory = AsyncMemory(Settings.load({"autostart": False}, own_environment))
    feeds = Feeds()
    heard = asyncio.Event()

    async def tell() -> None:
        heard.set()

    await feeds.watch(Session(memory), tell)
    assert not heard.is_set()
    async with AsyncMemory(Settings.load(environment=own_environment)):
        async with asyncio.timeout(15):
            await heard.wait()
    await feeds.close()


async def test_the_sdk_s_newer_client_is_told_and_does_not_notice_that_its_host_dies(
    own_environment: Environment,
    command: list[str],
    hosts_of: Callable[[Environment], list[int]],
    kill: Callable[[int, int], None],
) -> None:
    async with (
        Client(StdioTransport(command[0], command[1:], env=own_environment)) as client,
        listening(client.session, resource_subscriptions=[GRAPH]) as stream,
    ):
        for turn in range(2):
            entity = {"name": f"e{turn}", "entityType": "t", "observations": []}
            made = (await client.call_tool("create_entities", {"entities": [entity]})).structured_content
            assert made is not None
            assert made["entities"][0]["action"] == "created"
            async with asyncio.timeout(20):
                event = await anext(aiter(stream))
            assert str(event.uri) == GRAPH
            for host in hosts_of(own_environment):
                await asyncio.to_thread(kill, host, signal.SIGKILL)


def test_a_subscription_made_before_the_first_call_watches_the_file_s_world(
    environment: Environment, launch: Any, tmp_path: Path
) -> None:
    """Its space is known only once the session has arrived."""
    file = tmp_path / "world.jsonl"
    file.write_text('{"type":"entity","name":"old","entityType":"t","observations":[]}\n')
    theirs = environment | {"MEMORY_FILE_PATH": str(file)}
    one, other = launch(theirs), launch(theirs)
    one.greet()
    assert one.ask("resources/subscribe", {"uri": GRAPH})["result"] == {}
    other.greet()
    for name in ("new", "newer"):  # the first may be told of together with what was taken in
        before = len(updates(one))
        other.create(name)
        one.wait(lambda before=before: len(updates(one)) > before)
    assert one.answers.keys() == {1, 2}  # it has called nothing


def test_a_subscription_is_not_kept_waiting_by_a_long_import(
    environment: Environment, launch: Any, tmp_path: Path
) -> None:
    file = tmp_path / "long.jsonl"
    record = {"type": "entity", "entityType": "t", "observations": ["x" * 100]}
    file.write_text("".join(json.dumps(record | {"name": f"n{number}"}) + "\n" for number in range(6000)))
    session = launch(environment | {"MEMORY_FILE_PATH": str(file)})
    session.greet()
    session.ask("resources/subscribe", {"uri": GRAPH})
    status = session.call("get_memory_status")["structuredContent"]
    assert status["entities"] == 6000


def test_a_folder_in_place_of_the_file_does_not_keep_from_subscribing_and_is_told_to_the_first_call(
    environment: Environment, launch: Any, tmp_path: Path
) -> None:
    session = launch(environment | {"MEMORY_FILE_PATH": str(tmp_path)})
    session.greet()
    assert session.ask("resources/subscribe", {"uri": GRAPH})["result"] == {}
    first = session.call("read_graph")
    assert first["isError"]
    assert "is a folder" in first["content"][0]["text"]
    assert session.create("works").get("isError") is not True


def test_a_session_that_switches_hears_of_the_space_it_went_to(environment: Environment, launch: Any) -> None:
    there = environment | {"ENHANCED_MEMORY_SPACE": "there"}
    other, session = launch(there), launch(environment, "--profile", "core,spaces")
    other.greet()
    other.create("first")
    session.greet()
    session.ask("resources/subscribe", {"uri": GRAPH})
    session.call("switch", space="there")
    # Going on is told once: what it sees is another world.
    session.wait(lambda: len(updates(session)) > 0)
    before = len(updates(session))
    other.create("second")
    session.wait(lambda: len(updates(session)) > before)
