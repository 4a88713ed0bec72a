"""The server is killed under load and its standby takes over; its disk is full. Nothing that was answered is lost, nothing is there twice.

Real servers, one following the other; real daemons, which nobody starts anew.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Memory  # noqa: E402
from enhanced_memory.client.errors import Error, StoreFull  # noqa: E402
from enhanced_memory.client.operations.entities import ObservationsInput  # noqa: E402
from enhanced_memory.client.values import EntityInput, MessageInput  # noqa: E402

from ..servers import clusters, program, short  # noqa: E402
from .conftest import House  # noqa: E402

pytestmark = pytest.mark.postgres

WAITS_S = 60.0
"""For a daemon, an answer, a server: a busy machine does all of it slowly."""
SLOW = {
    "connect_timeout_s": WAITS_S,
    "timeout_s": 2 * WAITS_S,
    "embedder": "none",
    "curation": "off",
    "retention_every_h": 0,
}


@pytest.fixture
def houses() -> Iterator[Callable[[str], House]]:
    """Makes daemons on a database; all are ended."""
    made: list[House] = []

    def house(url: str, **settings: Any) -> House:
        made.append(House(Path(tempfile.mkdtemp(prefix="em-", dir="/tmp")), store=url, **SLOW | settings))
        return made[-1].start()

    yield house
    for one in made:
        if one.process is not None:
            one.process.kill()
            one.process.wait()
        shutil.rmtree(one.folder, ignore_errors=True)


class Talk(threading.Thread):
    """Somebody who goes on appending lines to one stream, and knows which were answered."""

    def __init__(self, house: House, who: str) -> None:
        super().__init__(daemon=True)
        self.memory = house.memory(WAITS_S)
        self.who = who
        self.kept: list[str] = []
        self.unsure: list[str] = []
        self.stop = False

    def run(self) -> None:
        number = 0
        while not self.stop:
            number += 1
            line = f"{self.who} {number}"
            try:
                self.memory.append_messages("talk", [MessageInput(line)])
                self.kept.append(line)
            except Error:
                self.unsure.append(line)
        self.memory.close()


def wait_for(condition: Callable[[], Any], wait_s: float = 3 * WAITS_S) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition never came to hold"
        time.sleep(0.02)


def said(memory: Memory) -> Counter[str]:
    """Every line of the stream, and how often it is there."""
    lines: list[str] = []
    before: int | None = None
    while True:
        page = memory.recent_messages("talk", limit=1000, before=before).messages
        if not page:
            return Counter(lines)
        lines += [one.content for one in page]
        before = page[0].id


@pytest.mark.parametrize("then", ["promoted", "started"])
def test_every_change_that_was_answered_outlives_the_server_and_daemons_go_on_by_themselves(
    houses: Callable[..., House], then: str
) -> None:
    """Whether its standby takes over, or the server itself comes back."""
    with clusters("synchronous_commit = on") as servers:
        primary = servers[0]
        url = primary.url
        if then == "promoted":
            standby = primary.standby(short(), "synchronous_standby_names = ''")
            servers.append(standby)
            primary.set("synchronous_standby_names = '*'")
            primary.say("SELECT pg_reload_conf()")
            wait_for(lambda: primary.say("SELECT sync_state FROM pg_stat_replication") == [("sync",)])
            hosts = f"{primary.sockets},{standby.sockets}"
            url = f"postgresql://postgres@/postgres?host={hosts}&target_session_attrs=read-write"
        first, second = houses(url), houses(url)
        with first.memory(WAITS_S) as memory:
            memory.start_session("talk")
        talks = [
            Talk(house, f"{place}{number}") for place, house in (("a", first), ("b", second)) for number in range(3)
        ]
        for one in talks:
            one.start()
        wait_for(lambda: all(len(one.kept) > 5 for one in talks))
        primary.kill()
        if then == "promoted":
            servers[-1].promote()
        else:
            primary.start()
        before = [len(one.kept) for one in talks]
        wait_for(lambda: all(len(one.kept) > had + 5 for one, had in zip(talks, before, strict=True)))
        for one in talks:
            one.stop = True
        for one in talks:
            one.join(WAITS_S)
        with second.memory(WAITS_S) as memory:
            there = said(memory)
            assert memory.verify().ok
        kept = [line for one in talks for line in one.kept]
        assert [line for line in kept if there[line] == 0] == [], "answered, and lost"
        assert [line for line, times in there.items() if times > 1] == [], "carried out twice"
        assert set(there) <= {*kept, *(line for one in talks for line in one.unsure)}


@pytest.fixture
def small_place(postgres: str) -> Iterator[tuple[str, Path]]:
    """A database of which all lies on a disk of 40 MB: its URL, and where the disk is."""
    folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0755", "tmpfs", folder], capture_output=True)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    name = folder.name.replace("-", "_")
    try:
        (folder / "t").mkdir()
        program.as_nobody(folder)
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}/t'")
            connection.execute(f"CREATE DATABASE {name} TABLESPACE {name}")
        yield postgres.replace("/postgres?", f"/{name}?"), folder
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.execute(f"DROP TABLESPACE {name}")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def test_a_full_disk_of_the_server_is_said_and_once_there_is_room_all_goes_on(
    small_place: tuple[str, Path], houses: Callable[..., House]
) -> None:
    url, disk = small_place
    house = houses(url)
    with house.memory(WAITS_S) as memory:
        memory.create_entities([EntityInput("Ada", "person")])
        room = shutil.disk_usage(disk).free
        (disk / "ballast").write_bytes(bytes(max(0, room - 3_000_000)))
        kept: list[str] = []
        with pytest.raises(StoreFull) as full:
            for number in range(2000):
                text = f"{number} " + "".join(f"{n * 7919 * (number + 1):x} " for n in range(400))
                memory.add_observations([ObservationsInput("Ada", [text])])
                kept.append(text)
        assert "PostgreSQL" in full.value.message
        assert full.value.hint
        assert memory.open_nodes(["Ada"]).entities[0].observations == kept, (
            "questions are answered, nothing is half there"
        )
        (disk / "ballast").unlink()
        memory.add_observations([ObservationsInput("Ada", ["there is room again"])])
        assert memory.open_nodes(["Ada"]).entities[0].observations == [*kept, "there is room again"]
        wait_for(lambda: memory.health().state != "failing")
        assert memory.verify().ok
