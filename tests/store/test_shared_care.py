"""What is done by itself, one daemon does for all that share a database; what a daemon leaves half done, another one goes on with.

These need a server (scripts/postgres_server.py); without one they are left out.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Settings
from enhanced_memory.client.operations.streams import SetRetention
from enhanced_memory.daemon import detection as detecting
from enhanced_memory.daemon.archiving import ColdStorage
from enhanced_memory.daemon.backing_up import Backups
from enhanced_memory.daemon.conflicts import scanning
from enhanced_memory.daemon.conflicts.comparing import LEXICAL, Meaning
from enhanced_memory.daemon.conflicts.entities import Found, Told, judge_alone
from enhanced_memory.daemon.conflicts.scanning import Scanning
from enhanced_memory.daemon.curation.steadiness import Steadiness
from enhanced_memory.daemon.detection import Detection
from enhanced_memory.daemon.embedding.service import Embedding
from enhanced_memory.daemon.retention import Retention
from enhanced_memory.daemon.store import HOUSE
from enhanced_memory.daemon.store.postgres import hearing

from .conftest import Daemon, Databases, World


@pytest.fixture
def stored(settings: Settings, databases: Databases) -> Settings:
    """Settings that name an empty database."""
    return replace(settings, store=databases.url("cared for"), embedder="none", backup_every_h=1.0)


@pytest.fixture(autouse=True)
def hears_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "LOOK_S", 0.05)


async def test_daemons_know_who_of_them_is_there(daemon: Daemon) -> None:
    one, other = await daemon(), await daemon()
    assert await one.engine.present() == await other.engine.present() == {one.engine.name, other.engine.name}
    await other.leave()
    async with asyncio.timeout(20):  # the server lets go of a connection in its own time
        while await one.engine.present() != {one.engine.name}:
            await asyncio.sleep(0.02)


async def test_retention_is_one_daemon_s_round(daemon: Daemon, stored: Settings, clock: Any) -> None:
    one, other = await daemon(), await daemon()
    assert (one.engine.leads(HOUSE), other.engine.leads(HOUSE)) == (True, False)
    await one.default.say("talk", *(f"line {number}" for number in range(200)))
    await one.default.do(SetRetention("talk", days=1.0))
    clock.ms += 5 * 86_400_000
    rounds = [Retention(world.engine, stored, Steadiness(clock, lambda: clock() / 1000)) for world in (other, one)]
    assert [await each.go_round_if_due() for each in rounds] == [0, 200]


async def test_a_backup_that_is_due_and_files_of_cold_storage_are_one_daemon_s(
    daemon: Daemon, stored: Settings, home: Path
) -> None:
    one, other = await daemon(), await daemon()
    stored = replace(stored, cold_folder=str(home / "cold"))
    (home / "cold").mkdir()
    stray = home / "cold" / "cold_20200101_000000_00000000.zst.partial"
    tried: list[str] = []
    for world in (other, one):
        stray.write_bytes(b"")
        os.utime(stray, (0, 0))
        await ColdStorage(world.engine, stored).look_after()
        tried.append("left" if stray.exists() else "tidied")
    assert tried == ["left", "tidied"]

    asked: list[World] = []
    for world in (other, one):
        keeper = Backups(world.engine, stored)

        async def made(to: str, prune: bool, world: World = world) -> Any:
            asked.append(world)
            raise detecting.Error("not now")

        keeper.make = made  # type: ignore[method-assign]
        await keeper.make_if_due()
    assert asked == [one]


async def test_a_scan_that_a_daemon_left_is_another_s_to_finish(
    daemon: Daemon, stored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await daemon(), await daemon()
    for at in range(4):
        await other.default.create(f"n{at}", f"Lives in town {at}", f"Lives in port {at}")
    monkeypatch.setattr(detecting, "LOOK_EVERY_S", 0.05)

    def judged(told: Told, meaning: Meaning) -> list[Found]:
        scan.leave()
        return judge_alone(told, meaning)

    monkeypatch.setattr(scanning, "PAGE", 1)
    monkeypatch.setattr(scanning, "judge_alone", judged)
    with ThreadPoolExecutor(1) as pool:
        scan = Scanning(other.engine, pool, LEXICAL, other.default.call(), 0.85)
        await scan.task
    monkeypatch.setattr(scanning, "judge_alone", judge_alone)
    mark = await one.default.read(lambda tx: tx.conflicts.marked())
    assert mark is not None
    assert mark.daemon == other.engine.name

    detection = Detection(one.engine, Embedding(one.engine, stored), stored)
    detection.start()
    try:
        await detection._take_up()
        assert not detection.working, "who left it is there still, and may be at it"
        await other.leave()
        async with asyncio.timeout(20):
            while await one.default.read(lambda tx: tx.conflicts.scans_left()):
                await asyncio.sleep(0.02)
    finally:
        await detection.stop()
    found = await one.default.read(lambda tx: tx.conflicts.page(limit=100))
    assert len({each.entity for each in found}) == 4
