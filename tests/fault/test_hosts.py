"""Daemons on several hosts that share a database: each in a network namespace of its own, with a wire to the server that can be cut."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import AsyncMemory, Memory  # noqa: E402
from enhanced_memory.client.errors import Conflict, Error  # noqa: E402
from enhanced_memory.client.operations.entities import ObservationsInput  # noqa: E402
from enhanced_memory.client.values import EntityInput, MessageInput  # noqa: E402

from ..servers import Cluster, clusters  # noqa: E402
from .conftest import House  # noqa: E402

pytestmark = pytest.mark.postgres

WAIT_S = 120.0
NOTICED_S = 5.0
"""`connect_timeout_s` of the daemons: twice as long, and whoever vanished is given up."""


def ip(*words: str, netns: str = "") -> None:
    """Say something to the kernel about its networks."""
    done = subprocess.run(["ip", *(("-n", netns) if netns else ()), *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@dataclass
class Host:
    """A network namespace with one wire to here, and the daemon that runs in it."""

    name: str
    number: int
    port: int
    made: list[House] = field(default_factory=list[House])

    @property
    def wire(self) -> str:
        return f"{self.name}w"

    def url(self, database: str) -> str:
        """The server as it is seen from there."""
        return f"postgresql://postgres@10.213.{self.number}.1:{self.port}/{database}"

    def lay(self) -> None:
        ip("netns", "add", self.name)
        ip("link", "add", self.wire, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("addr", "add", f"10.213.{self.number}.1/30", "dev", self.wire)
        ip("link", "set", self.wire, "up")
        ip("addr", "add", f"10.213.{self.number}.2/30", "dev", "eth0", netns=self.name)
        for device in ("lo", "eth0"):
            ip("link", "set", device, "up", netns=self.name)

    def cut(self) -> None:
        ip("link", "set", self.wire, "down")

    def mend(self) -> None:
        ip("link", "set", self.wire, "up")

    def house(self, database: str, **settings: Any) -> House:
        given = {
            "embedder": "none",
            "curation": "off",
            "retention_every_h": 0,
            "timeout_s": WAIT_S,
            "connect_timeout_s": WAIT_S,
        }
        folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
        self.made.append(House(folder, store=self.url(database), **given | settings))
        return self.made[-1].start(through=("ip", "netns", "exec", self.name))

    def end(self) -> None:
        for one in self.made:
            if one.process is not None:
                one.process.kill()
                one.process.wait()
            shutil.rmtree(one.folder, ignore_errors=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
        subprocess.run(["ip", "link", "del", self.wire], capture_output=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    with clusters("listen_addresses = '*'", f"port = {port}", admits="host all all 10.213.0.0/16 trust") as made:
        made[0].port = port
        yield made[0]


@pytest.fixture
def hosts(server: Cluster) -> Iterator[tuple[Host, Host]]:
    """Two hosts. Needs the right to make network namespaces."""
    tag = f"em{os.getpid() % 100_000}"
    place = os.getpid() % 120
    both = Host(tag + "a", place + 1, server.port), Host(tag + "b", place + 121, server.port)
    try:
        try:
            for one in both:
                one.lay()
        except OSError as problem:
            pytest.skip(
                f"NO NETWORK NAMESPACE CAN BE MADE HERE, so that daemons on several hosts are not tried: {problem}"
            )
        yield both
    finally:
        for one in both:
            one.end()


@pytest.fixture
def database(server: Cluster, request: pytest.FixtureRequest) -> str:
    name = f"h{len(server.say('SELECT 1 FROM pg_database'))}"
    server.say(f"CREATE DATABASE {name}")
    return name


def wait_for(condition: Callable[[], Any], wait_s: float = WAIT_S) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition never came to hold"
        time.sleep(0.05)


def leads(house: House) -> bool:
    return "does by itself: housekeeping" in house.log.read_text()


async def test_on_two_hosts_no_update_is_lost_and_each_hears_of_the_others(
    hosts: tuple[Host, Host], database: str
) -> None:
    first, second = (host.house(database) for host in hosts)
    with first.memory(WAIT_S) as here, second.memory(WAIT_S) as there:
        await asyncio.to_thread(here.create_entities, [EntityInput("Ada", "person")])

        def race(memory: Memory, who: str) -> list[str]:
            """Read and write what was read and one more, until it was right; what was written."""
            written: list[str] = []
            for number in range(10):
                while True:
                    known = memory.open_nodes(["Ada"]).entities[0]
                    ask = ObservationsInput("Ada", [f"{who}{number}"], expected_version=known.version)
                    try:
                        memory.add_observations([ask])
                        written.append(f"{who}{number}")
                        break
                    except Conflict:
                        continue
            return written

        written = await asyncio.gather(asyncio.to_thread(race, here, "a"), asyncio.to_thread(race, there, "b"))
        ada = there.open_nodes(["Ada"]).entities[0]
        assert sorted(ada.observations) == sorted(written[0] + written[1])
        assert ada.version == 21, "each of them saw what it changed"
        async with AsyncMemory(second.settings()) as listener:
            await listener.subscribe()
            events = listener.events()
            made = await asyncio.to_thread(here.create_entities, [EntityInput("Bob", "person", ["sails"])])
            async with asyncio.timeout(WAIT_S):
                event = await anext(events)
            assert (event["event"], event["entities"]) == ("changed", [made.results[0].id])
        assert [hit.entity.name for hit in there.search_nodes("sails").hits] == ["Bob"]


def test_a_host_that_is_killed_leaves_its_work_and_nothing_half_done(hosts: tuple[Host, Host], database: str) -> None:
    first = hosts[0].house(database)
    first.memory(WAIT_S).close()
    wait_for(lambda: leads(first))
    second = hosts[1].house(database)
    with second.memory(WAIT_S) as there:
        assert not leads(second)
        there.create_entities([EntityInput("Ada", "person")])
        first.kill()
        there.add_observations([ObservationsInput("Ada", ["still there"])])
        wait_for(lambda: leads(second))
        assert there.verify().ok


def test_a_host_that_is_cut_off_holds_nobody_up_for_long_and_comes_back_by_itself(
    hosts: tuple[Host, Host], database: str
) -> None:
    first, second = (host.house(database, connect_timeout_s=NOTICED_S) for host in hosts)
    first.memory(WAIT_S).close()
    kept: list[str] = []
    unsure: list[str] = []
    stop = threading.Event()

    def talk(house: House, who: str) -> None:
        with house.memory(WAIT_S, timeout_s=WAIT_S) as memory:
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    memory.append_messages("talk", [MessageInput(f"{who} {number}")])
                    kept.append(f"{who} {number}")
                except Error:
                    unsure.append(f"{who} {number}")

    with second.memory(WAIT_S) as memory:
        memory.start_session("talk")
    talking = [threading.Thread(target=talk, args=(house, who)) for who, house in (("a", first), ("b", second))]
    for one in talking:
        one.start()
    try:
        for who in "ab":
            wait_for(lambda who=who: sum(line.startswith(who) for line in kept) > 5)
        hosts[0].cut()
        wait_for(lambda: any(line.startswith("a") for line in unsure))
        had = len(kept)
        wait_for(lambda: sum(line.startswith("b") for line in kept[had:]) > 5)
        hosts[0].mend()
        had = len(kept)
        wait_for(lambda: sum(line.startswith("a") for line in kept[had:]) > 5)
    finally:
        stop.set()
        for one in talking:
            one.join()
    with second.memory(WAIT_S) as memory:
        lines: list[str] = []
        before: int | None = None
        while page := memory.recent_messages("talk", limit=1000, before=before).messages:
            lines += [one.content for one in page]
            before = page[0].id
        assert memory.verify().ok
    there = Counter(lines)
    assert [line for line in kept if there[line] == 0] == []
    assert [line for line, times in there.items() if times > 1] == []
    assert set(there) <= {*kept, *unsure}
