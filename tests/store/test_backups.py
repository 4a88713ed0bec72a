"""Backups as files: what is in one is proven, what is let go is never the last good one, and restoring loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from enhanced_memory.client.errors import Broken, Error, NotFound, StoreDamaged, StoreHeld
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import backups
from enhanced_memory.daemon.backing_up import FAILED, Backups
from enhanced_memory.daemon.backups import Kept, choose, describe, kept, let_go, manifest_of, read_manifest
from enhanced_memory.daemon.curation.steadiness import Steadiness
from enhanced_memory.daemon.drill import drill
from enhanced_memory.daemon.store.sqlite import backup, verifying
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.restore import restore

if TYPE_CHECKING:
    from .conftest import Place, World

pytestmark = pytest.mark.engines("sqlite")
"""A store in PostgreSQL is copied by the server's own tools."""

NOW = datetime(2026, 11, 21, 3, 15, tzinfo=UTC)


@pytest.fixture
async def made(default: Place, world: World, home: Path) -> Kept:
    """A backup of a store that holds two versions of Ada."""
    await default.create("Ada", "likes tea in the morning", type="person")
    await default.create("Ada", "likes the sea")
    await default.say("talk", "hello")
    return describe(Path((await world.engine.backup(str(home / "copies"))).path))


def like(one: Kept, folder: Path, at: datetime, **changed: Any) -> Path:
    """A backup of another time: the same file under another name."""
    folder.mkdir(exist_ok=True)
    path = folder / backups.name_at(at)
    path.write_bytes(one.path.read_bytes())
    assert one.manifest is not None
    manifest = msgspec.structs.replace(one.manifest, file=path.name, made_at=at, **changed)
    manifest_of(path).write_bytes(msgspec.json.encode(manifest))
    return path


async def test_a_manifest_says_what_is_in_a_backup(made: Kept, world: World) -> None:
    manifest = read_manifest(made.path)
    assert manifest is not None
    assert made.good
    assert (manifest.change, manifest.counts["entities"], manifest.counts["messages"]) == (3, 2, 1)
    assert (manifest.store_id, manifest.bytes) == (world.engine.store_id, made.path.stat().st_size)
    assert backups.proven(made.path) == (manifest.store_sha256, manifest.store_bytes)
    assert manifest.bytes < manifest.store_bytes
    for path in (made.path, manifest_of(made.path)):
        assert path.stat().st_mode & 0o777 == 0o600


async def test_a_large_copy_is_checked_by_a_process_of_its_own(
    default: Place, world: World, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await default.create("Ada", "a few words")
    monkeypatch.setattr(backup, "APART", 0)
    copy = await world.engine.backup(str(home / "copies"))
    assert (copy.entities, copy.change) == (1, 1)
    engine = world.engine
    assert isinstance(engine, SqliteEngine)
    await engine.alone(lambda connection: connection.execute("UPDATE entities SET crc = crc + 1").fetchall())
    with pytest.raises(StoreDamaged, match="entity 1"):
        await world.engine.backup(str(home / "copies" / "other.db"))


async def test_a_large_store_is_checked_by_a_process_of_its_own(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await default.create("Ada", "a few words")
    monkeypatch.setattr(backup, "APART", 0)
    monkeypatch.setattr(verifying, "check", None)  # here it is not done
    engine = world.engine
    assert isinstance(engine, SqliteEngine)
    await engine.alone(lambda connection: connection.execute("UPDATE entities SET crc = crc + 1").fetchall())
    found = await engine.check(quick=True)
    assert found.checked["entities"] == 1
    assert "entity 1" in found.problems[0]


async def test_whoever_leaves_does_not_wait_for_a_check(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await default.create("Ada", "a few words")
    monkeypatch.setattr(backup, "APART", 0)
    stopped = asyncio.Event()
    begun = subprocess.Popen

    def stuck(*given: Any, **also: Any) -> Any:
        child = begun(*given, **also)
        child.send_signal(signal.SIGSTOP)
        loop.call_soon_threadsafe(stopped.set)
        return child

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(subprocess, "Popen", stuck)
    check = loop.create_task(world.engine.check(quick=True))
    await stopped.wait()
    engine = world.engine
    assert isinstance(engine, SqliteEngine)
    engine.end_checks()
    with pytest.raises(Broken, match="could not be checked"):
        await check
    with pytest.raises(Broken, match="could not be checked"):
        await engine.check(quick=True)  # one that begins as everybody leaves is ended too


# Which


def test_the_newest_good_one_is_the_latest(made: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older, newer, torn = (like(made, tmp_path, NOW - timedelta(hours=hours)) for hours in (2, 1, 0))
    torn.write_bytes(torn.read_bytes()[:-10])
    assert choose(tmp_path, "latest").path == newer
    assert choose(tmp_path, torn.name).problem.endswith(f"says {made.bytes:,}")
    assert choose(tmp_path, (NOW - timedelta(minutes=90)).isoformat()).path == older
    assert choose(Path("/nowhere"), str(older)).path == older
    monkeypatch.chdir(tmp_path)
    assert choose(Path("/nowhere"), older.name).path == older, "one in the folder where we are"
    assert choose(Path("/nowhere"), str(tmp_path)).path == newer
    with pytest.raises(NotFound, match="or before"):
        choose(tmp_path, "2020-01-01")
    with pytest.raises(NotFound, match="no backup 'yesterday'"):
        choose(tmp_path, "yesterday")


def test_what_lacks_a_manifest_is_used_only_when_named(made: Kept, tmp_path: Path) -> None:
    path = like(made, tmp_path, NOW)
    manifest_of(path).unlink()
    with pytest.raises(NotFound, match="1 there are not good"):
        choose(tmp_path, "latest")
    assert choose(tmp_path, path.name).problem == "it has no manifest"


# Letting go


def test_old_ones_go_and_the_newest_good_one_never(made: Kept, tmp_path: Path) -> None:
    assert made.manifest is not None
    ours = made.manifest.store_id
    days = [like(made, tmp_path, NOW - timedelta(days=number)) for number in (1, 6, 8, 30)]
    foreign = like(made, tmp_path, NOW - timedelta(days=40), store_id="another")
    bare = tmp_path / "memory_20200101_000000.db.zst"
    bare.write_bytes(b"x")
    assert sorted(let_go(tmp_path, 7, 0, ours, NOW)) == sorted(days[2:])
    assert [one.path for one in kept(tmp_path)] == [*days[:2], foreign, bare]
    assert let_go(tmp_path, 7, 0, ours, NOW + timedelta(days=400)) == [days[1]]
    assert days[0].exists()
    assert manifest_of(days[0]).exists()


def test_more_than_the_count_go_the_oldest_first(made: Kept, tmp_path: Path) -> None:
    assert made.manifest is not None
    hours = [like(made, tmp_path, NOW - timedelta(hours=number)) for number in range(5)]
    hours[0].write_bytes(b"torn")  # the newest is not good, so the one before it stays whatever the count says
    assert set(let_go(tmp_path, 0, 1, made.manifest.store_id, NOW)) == set(hours[2:])
    assert hours[1].exists()
    (tmp_path / "memory_20261121_031500.db.copy.partial").touch()
    os.utime(tmp_path / "memory_20261121_031500.db.copy.partial", (0, 0))
    assert let_go(tmp_path, 7, 0, made.manifest.store_id, NOW) == []
    assert not list(tmp_path.glob("*.partial"))


def test_without_a_good_one_nothing_goes(made: Kept, tmp_path: Path) -> None:
    assert made.manifest is not None
    old = like(made, tmp_path, NOW - timedelta(days=90))
    old.write_bytes(b"torn")
    assert let_go(tmp_path, 7, 1, made.manifest.store_id, NOW) == []
    assert old.exists()


# By the daemon


async def test_a_second_folder_gets_a_copy_and_what_fails_there_is_told(
    default: Place, world: World, home: Path
) -> None:
    await default.create("Ada", "a")
    second = home / "other disk"
    keeper = Backups(world.engine, Settings.load({"backup_second_folder": str(second), "backup_keep_count": 1}))
    first = await keeper.make("", prune=True)
    assert Path(first.second).read_bytes() == Path(first.path).read_bytes()
    assert (describe(Path(first.second)).good, first.problem, first.pruned) == (True, "", [])
    made = await keeper.make("", prune=True)
    assert made.pruned == [first.path, first.second]
    broken = Backups(world.engine, Settings.load({"backup_second_folder": "/proc/nowhere"}))
    told = await broken.make("", prune=False)
    assert told.problem
    assert Path(told.path).is_file()


async def test_why_the_last_backup_was_not_made_is_kept_until_one_is(default: Place, world: World, home: Path) -> None:
    await default.create("Ada", "a")
    keeper = Backups(world.engine, Settings.load())
    (home / "file").touch()
    with pytest.raises(Error):
        await keeper.make(str(home / "file"), prune=False)
    engine = world.engine
    assert isinstance(engine, SqliteEngine)

    async def noted() -> str:
        return (await world.rows("SELECT value FROM meta WHERE key = ?", FAILED))[0][0]

    assert "exists" in msgspec.json.decode(await noted())[1]
    await keeper.make(str(home / "there"), prune=False)
    assert await noted() == ""


async def test_one_is_made_when_it_is_due(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    keeper = Backups(world.engine, Settings.load({"backup_every_h": 24}))
    await keeper.make_if_due()
    (first,) = kept(keeper.folder)
    await default.create("Bob", "b")
    await keeper.make_if_due()
    assert [one.path for one in kept(keeper.folder)] == [first.path]
    first.path.unlink()
    world.clock.ms += 25 * 3_600_000
    await keeper.make_if_due()
    assert len(kept(keeper.folder)) == 1


# Restoring


async def test_a_backup_takes_the_stores_place_and_what_was_there_is_kept(
    made: Kept, default: Place, world: World, home: Path
) -> None:
    await default.create("Bob", "came after the backup")
    store = Path(world.engine.path)
    with pytest.raises(StoreHeld, match=str(os.getpid())):
        restore(store, made)
    assert await default.says("Bob") == ["came after the backup"]
    await world.engine.close()
    done = restore(store, made)
    assert (done.change, done.counts["entities"], done.manifest) == (3, 2, True)
    for path, names in ((done.store, ["Ada", "talk"]), (done.replaced, ["Ada", "talk", "Bob"])):
        engine = await SqliteEngine.open(Settings.load({"store": path, "readers": 1}))
        found = await engine.read(lambda tx: tx.entities.names_of({1, 2, 3}), default.call())
        assert list(found.values()) == names
        await engine.close()
    assert Path(done.store).stat().st_mode & 0o777 == 0o600
    assert not list(home.glob("*.restoring*"))
    world.engine = await SqliteEngine.open(Settings.load())


def damaged(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x40
    path.write_bytes(data)


@pytest.mark.parametrize("at", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("manifest", [True, False])
async def test_a_damaged_backup_replaces_nothing(made: Kept, world: World, at: float, manifest: bool) -> None:
    store = Path(world.engine.path)
    damaged(made.path, at)
    if not manifest:
        manifest_of(made.path).unlink()
    before = store.stat()
    with pytest.raises(Error) as told:
        restore(store, describe(made.path))
    assert not isinstance(told.value, StoreHeld)
    assert store.stat().st_ino == before.st_ino
    assert not list(store.parent.glob("*.restoring*"))
    found = await asyncio.to_thread(drill, describe(made.path))
    assert not found.ok


async def test_a_backup_that_holds_less_than_its_manifest_says_is_refused(made: Kept, world: World) -> None:
    assert made.manifest is not None
    wrong = msgspec.structs.replace(made.manifest, counts=made.manifest.counts | {"entities": 3})
    manifest_of(made.path).write_bytes(msgspec.json.encode(wrong))
    with pytest.raises(StoreDamaged, match="should hold"):
        restore(Path(world.engine.path), describe(made.path))


async def test_a_drill_uses_a_copy_and_changes_nothing(made: Kept) -> None:
    before = made.path.read_bytes()
    found = await asyncio.to_thread(drill, made)
    assert [(step.what, step.ok) for step in found.steps] == [
        (what, True) for what in ("unpack and check", "open", "find", "write", "verify")
    ]
    assert found.ok
    assert made.path.read_bytes() == before


# Clocks that are wrong


async def test_a_clock_that_jumped_ahead_lets_no_backup_go(default: Place, world: World, home: Path) -> None:
    await default.create("Ada", "a few words")
    settings = Settings.load({"backup_folder": str(home / "copies"), "backup_keep_days": 7.0})
    backups_of = Backups(world.engine, settings, Steadiness(world.clock, lambda: 0.0))
    first = await backups_of.make("", prune=True)
    older = like(describe(Path(first.path)), home / "copies", datetime.now(UTC) - timedelta(days=8))
    world.clock.ms += 400 * 86_400_000
    told = await backups_of.make("", prune=True)
    assert "jumped ahead" in told.problem
    assert told.pruned == []
    assert older.exists()


async def test_a_backup_of_tomorrow_does_not_keep_today_s_from_being_made(
    default: Place, world: World, home: Path
) -> None:
    await default.create("Ada", "a few words")
    settings = Settings.load({"backup_folder": str(home / "copies"), "backup_every_h": 24.0})
    backups_of = Backups(world.engine, settings)
    world.clock.ms += 4 * 365 * 86_400_000  # a clock of four years later
    await backups_of.make_if_due()
    world.clock.ms -= 4 * 365 * 86_400_000
    await backups_of.make_if_due()
    await backups_of.make_if_due()
    assert len(kept(home / "copies")) == 2
