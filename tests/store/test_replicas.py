"""Replicas answer questions, and nobody is told less than he knows, or what is older than the setting allows.

A real server and a real standby that follows it. Replaying is stopped where a law is about a replica that is behind.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Settings  # noqa: E402
from enhanced_memory.client.operations.entities import AddObservations, CreateEntities, ObservationsInput, OpenNodes  # noqa: E402
from enhanced_memory.client.request import HANDLERS, Request  # noqa: E402
from enhanced_memory.client.values import EntityInput  # noqa: E402
from enhanced_memory.daemon import probing  # noqa: E402
from enhanced_memory.daemon.call import Call, Peer  # noqa: E402
from enhanced_memory.daemon.dispatch import answer_from  # noqa: E402
from enhanced_memory.daemon.store.postgres import replicas  # noqa: E402
from enhanced_memory.daemon.store.postgres.engine import PostgresEngine  # noqa: E402
from enhanced_memory.daemon.wellbeing import Wellbeing  # noqa: E402

from ..servers import Cluster, clusters, short  # noqa: E402

assert HANDLERS

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("replicas")]

LAG_S = 0.5


@dataclass
class Pair:
    """A server and the standby that follows it, each with the same empty store."""

    primary: Cluster
    standby: Cluster

    def pause(self) -> None:
        self.standby.say("SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        self.standby.say("SELECT pg_wal_replay_resume()")

    async def level(self) -> None:
        """Wait until the standby knows all that the primary does."""
        place = self.primary.say(replicas.PLACE)[0][0]
        async with asyncio.timeout(30):
            while self.standby.say(replicas.REPLAYED)[0][0] < place:
                await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with clusters() as made:
        made.append(made[0].standby(short()))
        yield Pair(*made)


class Connection:
    """A client's connection to a daemon."""

    def __init__(self, engine: PostgresEngine) -> None:
        self._peer = Peer(client="test", user="tester", greeted=True)
        self._answer = answer_from(engine, {})

    async def ask(self, request: Request[Any]) -> Any:
        return await self._answer(Call(self._peer, request))

    async def create(self, name: str) -> None:
        await self.ask(CreateEntities([EntityInput(name, "thing", ["first"])]))

    async def add(self, name: str, text: str) -> None:
        await self.ask(AddObservations([ObservationsInput(name, [text])]))

    async def says(self, name: str) -> list[str] | None:
        found = (await self.ask(OpenNodes([name])))["entities"]
        return found[0]["observations"] if found else None


@dataclass
class Daemon:
    """An engine with one replica, and its clients."""

    engine: Any

    def connection(self) -> Connection:
        return Connection(self.engine)

    @property
    def asked(self) -> int:
        """Questions that the replica has answered."""
        return self.engine._replicas.all[0].asked


@pytest.fixture
async def daemon(pair: Pair, settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Daemon]:
    name = re.sub(r"\W", "_", request.node.name)[:60].lower()
    pair.primary.say(f"CREATE DATABASE {name}")
    both = [one.url.replace("/postgres?", f"/{name}?") for one in (pair.primary, pair.standby)]
    stored = replace(settings, store=both[0], replicas=both[1], replica_lag_s=LAG_S)
    made = await PostgresEngine.open(stored)
    await pair.level()
    yield Daemon(made)
    pair.resume()
    await made.close()


async def answered(daemon: Daemon, connection: Connection, name: str = "Ada") -> None:
    """Ask until it was the replica that answered: its first connection is made beside the questions."""
    before = daemon.asked
    async with asyncio.timeout(30):
        while daemon.asked == before:
            await connection.says(name)
            await asyncio.sleep(0.01)


async def test_a_replica_answers_questions_and_changes_go_to_the_primary(daemon: Daemon, pair: Pair) -> None:
    one = daemon.connection()
    await one.create("Ada")
    await pair.level()
    await answered(daemon, one)
    assert await one.says("Ada") == ["first"]


async def test_nobody_misses_his_own_change(daemon: Daemon, pair: Pair) -> None:
    one = daemon.connection()
    await one.create("Ada")
    await answered(daemon, one)
    pair.pause()
    for number in range(5):
        await one.add("Ada", f"more {number}")
        asked = daemon.asked
        assert await one.says("Ada") == ["first", *(f"more {n}" for n in range(number + 1))]
        assert daemon.asked == asked, "the replica cannot know it"
    pair.resume()
    await answered(daemon, one)
    assert len(await one.says("Ada") or []) == 6


async def test_what_others_changed_is_known_within_the_bound(daemon: Daemon, pair: Pair) -> None:
    one, other = daemon.connection(), daemon.connection()
    await one.create("Ada")
    await pair.level()
    await answered(daemon, other)
    pair.pause()
    loop = asyncio.get_running_loop()
    await one.add("Ada", "more")
    changed = loop.time()
    while (said := await other.says("Ada")) == ["first"]:
        assert loop.time() < changed + LAG_S + 20, "the change was never seen"
        asked_at = loop.time()
        await asyncio.sleep(0.01)
        # What was asked later than that must not be answered by a replica that stands still.
        if asked_at > changed + LAG_S:
            before = daemon.asked
            assert await other.says("Ada") == ["first", "more"]
            assert daemon.asked == before
            break
    assert said in (["first"], ["first", "more"])
    assert await other.says("Ada") == ["first", "more"]


async def test_time_never_goes_back_on_a_connection(daemon: Daemon, pair: Pair) -> None:
    """Who was shown something by the primary is not shown less by a replica that is within the bound."""
    one, other = daemon.connection(), daemon.connection()
    await one.create("Ada")
    await pair.level()
    await answered(daemon, other)
    pair.pause()
    await one.add("Ada", "more")
    other._peer.reached = one._peer.reached  # as if the primary had answered it
    assert await other.says("Ada") == ["first", "more"]
    assert await other.says("Ada") == ["first", "more"]


async def test_a_replica_that_is_gone_costs_nobody_an_answer(
    daemon: Daemon, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "AGAIN_S", 0.1)
    one = daemon.connection()
    await one.create("Ada")
    await answered(daemon, one)
    pair.standby.kill()
    assert await one.says("Ada") == ["first"]
    await one.add("Ada", "more")
    assert await one.says("Ada") == ["first", "more"]
    [(name, why)] = daemon.engine.left_alone
    assert name
    assert why
    health = Wellbeing(daemon.engine, daemon.engine.settings, lambda: iter(()), lambda: 1.0)
    ailments = (await health.look()).ailments
    assert [one.state for one in ailments if one.name == "replica_away" and name in one.says] == ["degraded"]
    pair.standby.start()
    await answered(daemon, one)
    assert await one.says("Ada") == ["first", "more"]
    assert not daemon.engine.left_alone


async def test_what_is_written_after_it_was_read_is_read_at_the_primary(daemon: Daemon, pair: Pair) -> None:
    """Only what a client asks may lag: work of the daemon's own that reads and then writes may not."""
    one = daemon.connection()
    await one.create("Ada")
    await answered(daemon, one)
    before = daemon.asked
    await daemon.engine.read(lambda tx: tx.entities.find(1), Call(Peer(), OpenNodes(["Ada"])))
    assert daemon.asked == before


async def test_what_is_no_standby_is_not_asked(pair: Pair, settings: Settings, daemon: Daemon) -> None:
    url = daemon.engine.settings.store
    made = await PostgresEngine.open(replace(settings, store=url, replicas=url))
    try:
        here = Daemon(made)
        one = here.connection()
        await one.create("Eve")
        for _ in range(3):
            assert await one.says("Eve") == ["first"]
        assert (here.asked, made._replicas.all[0].away) == (0, "it is no standby")
    finally:
        await made.close()


async def test_a_probe_tells_a_replica_that_keeps_up_from_one_that_does_not(pair: Pair, settings: Settings) -> None:
    named = replace(settings, store=pair.primary.url, replicas=pair.standby.url, replica_lag_s=LAG_S)
    await pair.level()

    def found() -> probing.Seen:
        return next(one for one in probing.probe(named).findings if one.check == "replica")

    assert (await asyncio.to_thread(found)).state == "ok"
    pair.pause()
    try:
        pair.primary.say("SELECT pg_logical_emit_message(true, 'test', 'something')")
        behind = await asyncio.to_thread(found)
        assert (behind.state, "behind" in behind.says) == ("warning", True)
        assert "pg_stat_replication" in behind.mend
    finally:
        pair.resume()
