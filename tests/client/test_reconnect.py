"""A connection mends itself: after a restart, a kill, a fork, another event loop."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import AsyncMemory, Memory
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.values import EntityInput

Face = Callable[..., Any]


def daemon_of(home: Path) -> int:
    return int((home / "memory.db.lock").read_text())


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def end(home: Path, number: int) -> None:
    pid = daemon_of(home)
    os.kill(pid, number)
    deadline = threading.Event()
    for _ in range(2000):
        if gone(pid):
            return
        deadline.wait(0.01)
    raise AssertionError("the daemon did not leave")


def in_child(work: Callable[[], Any]) -> None:
    """Run `work` in a forked child; its failure fails the test. It may not take longer than 20 s."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_client_goes_on_after_its_daemon_ended(face: Face, home: Path, number: int) -> None:
    client = face()
    client.call("create_entities", [EntityInput("before", "t")])
    first = daemon_of(home)
    end(home, number)
    assert client.call("create_entities", [EntityInput("after", "t")]).results[0].action == "created"
    assert daemon_of(home) != first
    assert [one.name for one in client.call("open_nodes", ["before", "after"]).entities] == ["before", "after"]


def test_a_client_goes_on_in_its_space(face: Face, home: Path) -> None:
    client = face()
    client.call("create_space", "project")
    client.call("switch", "project")
    end(home, signal.SIGKILL)
    assert client.call("create_entities", [EntityInput("x", "t")]).space == "project"


def test_both_sides_of_a_fork_keep_what_they_write(home: Path) -> None:
    """Each with keys of its own: a child's change must not pass for a repeat of its parent's."""
    with Memory() as memory:
        memory.ping()
        for number in range(3):
            in_child(lambda n=number: memory.create_entities([EntityInput(f"child {n}", "t")]))
            memory.create_entities([EntityInput(f"parent {number}", "t")])
        expected = [f"{who} {n}" for who in ("child", "parent") for n in range(3)]
        assert memory.open_nodes(list(expected)).missing == []


def test_a_child_is_not_held_up_by_what_its_parents_threads_are_doing(home: Path) -> None:
    with Memory() as memory:
        memory.ping()
        with memory._turn:  # as a thread in the middle of a call holds it
            holder = threading.Thread(target=memory.ping)
            holder.start()
            pid = os.fork()
            if pid == 0:
                signal.alarm(20)
                code = 1
                try:
                    thread = threading.Thread(target=memory.create_entities, args=([EntityInput("child", "t")],))
                    thread.start()
                    thread.join(15)
                    code = int(thread.is_alive())
                finally:
                    os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0
        holder.join()
        assert memory.open_nodes(["child"]).missing == []


def test_an_async_client_connects_anew_in_a_forked_child(home: Path) -> None:
    memory = AsyncMemory()

    async def write(name: str) -> None:
        await memory.create_entities([EntityInput(name, "t")])

    asyncio.run(write("parent"))

    in_child(lambda: asyncio.run(write("child")))
    asyncio.run(write("parent again"))

    async def missing() -> list[Any]:
        found = (await memory.open_nodes(["parent", "child", "parent again"])).missing
        await memory.close()
        return found

    assert asyncio.run(missing()) == []


def test_threads_share_a_client(home: Path) -> None:
    with Memory() as memory:

        def write(who: int) -> None:
            for number in range(20):
                assert (
                    memory.create_entities([EntityInput(f"{who}/{number}", "t")]).results[0].name == f"{who}/{number}"
                )

        threads = [threading.Thread(target=write, args=(who,)) for who in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert memory.get_memory_status().total_entities == 160


async def test_tasks_share_a_client_through_a_kill(home: Path) -> None:
    """Every call under way is sent again to the next daemon, and applied once."""
    async with AsyncMemory() as memory:
        calls = [memory.send(CreateEntities([EntityInput(f"n{n}", "t")], on_existing="error")) for n in range(300)]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        os.kill(daemon_of(home), signal.SIGKILL)
        await asyncio.gather(*tasks)
        assert (await memory.get_memory_status()).total_entities == 300


async def test_events_go_on_after_a_restart_though_nobody_calls(home: Path) -> None:
    async with AsyncMemory() as listener, AsyncMemory() as writer:
        await listener.subscribe()
        heard: list[dict[str, Any]] = []

        async def listen() -> None:
            async for event in listener.events():
                heard.append(event)

        listening = asyncio.ensure_future(listen())
        await writer.create_entities([EntityInput("one", "t")])
        await _until(lambda: len(heard) == 1)
        await asyncio.to_thread(end, home, signal.SIGTERM)
        await writer.create_entities([EntityInput("two", "t")])  # starts the next daemon
        await _until(lambda: any(event["event"] == "resumed" for event in heard))
        await writer.create_entities([EntityInput("three", "t")])
        await _until(lambda: heard[-1]["event"] == "changed" and heard[-1]["entities"] == [3])
        await listener.close()
        await asyncio.wait_for(listening, 10)  # closing ends the events


async def test_a_listener_does_not_start_a_daemon_that_was_stopped(home: Path) -> None:
    async with AsyncMemory() as listener:
        await listener.subscribe()
        listening = asyncio.ensure_future(anext(listener.events()))
        await asyncio.sleep(0)
        end(home, signal.SIGTERM)
        done, _ = await asyncio.wait([listening], timeout=0.5)
        assert not done
        assert not (home / "run" / "db.sock").exists()
        listening.cancel()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)
