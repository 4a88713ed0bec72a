"""A store in a database is backed up, proven, restored, checked and looked after as one in a file is.

These need a server (scripts/postgres_server.py); without one they are left out.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Settings  # noqa: E402
from enhanced_memory.client.errors import StoreDamaged, StoreHeld, StoreRefused  # noqa: E402
from enhanced_memory.daemon import databases as verbs  # noqa: E402
from enhanced_memory.daemon import probing  # noqa: E402
from enhanced_memory.daemon.backing_up import Backups  # noqa: E402
from enhanced_memory.daemon.backups import Kept, choose, kept  # noqa: E402
from enhanced_memory.daemon.store.postgres import database  # noqa: E402
from enhanced_memory.daemon.wellbeing import Wellbeing  # noqa: E402

from .conftest import Daemon, Databases, World  # noqa: E402


@pytest.fixture
def stored(databases: Databases, home: Path) -> Settings:
    """Settings that name an empty database."""
    url = databases.url("backed up")
    with psycopg.connect(url, autocommit=True) as connection:
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'enhanced_memory_%'"
        for (name,) in connection.execute(schemas).fetchall():
            connection.execute(f"DROP SCHEMA {name} CASCADE")
    return Settings.load({"store": url, "readers": 1, "embedder": "none", "synchronous": "NORMAL"})


async def fill(world: World) -> None:
    """Something of most things."""
    place = world.default
    await place.create("Ada", "likes tea", type="person", properties={"born": 1815, "city": "Bath"}, tags=["engine"])
    await place.create("Bob", "likes rum", type="person")
    await place.relate("Ada", "knows", "Bob")
    await place.add("Ada", "hates fog")
    await place.say("talk", "about zeppelins", "and about tea")
    await (await world.branch("draft")).add("Ada", "in the draft alone")


async def test_a_backup_is_made_while_the_store_is_used_proven_and_told_of(daemon: Daemon, stored: Settings) -> None:
    world = await daemon()
    await fill(world)
    keeper = Backups(world.engine, stored)
    made = await keeper.make("", prune=True)
    (one,) = kept(keeper.folder)
    assert (one.good, str(one.path), one.manifest is not None) == (True, made.path, True)
    assert one.manifest is not None
    assert (one.manifest.store_id, one.manifest.change) == (world.engine.store_id, await world.last_change())
    assert (made.entities, made.messages) == (4, 2)
    last = await world.default.read(lambda tx: tx.log.last_backup())
    assert last is not None
    assert last[1] == made.path
    # Retention knows which are this store's.
    fewer = Backups(world.engine, replace(stored, backup_keep_count=1))
    assert (await fewer.make("", prune=True)).pruned == [made.path]
    drilled = await asyncio.to_thread(verbs.tried, stored, choose(keeper.folder, "latest"))
    assert [(step.what, step.ok) for step in drilled.steps][-2:] == [
        ("verify", True),
        ("restore into the database", True),
    ]
    with psycopg.connect(stored.store) as connection:
        assert connection.execute("SELECT to_regnamespace('enhanced_memory_arriving')").fetchone() == (None,)


async def test_a_backup_takes_the_place_of_the_store_which_is_kept_beside_it(daemon: Daemon, stored: Settings) -> None:
    world = await daemon()
    await fill(world)
    await Backups(world.engine, stored).make("", prune=False)
    one = choose(Path(stored.backup_folder), "latest")
    await world.default.create("Eve", "came after the backup")
    with pytest.raises(StoreHeld, match=f"{os.getpid()}@"):
        await asyncio.to_thread(verbs.restore, stored, one)
    await world.leave()
    done = await asyncio.to_thread(verbs.restore, stored, one)
    assert done.replaced.startswith("schema enhanced_memory_replaced_")
    back = await daemon()
    assert await back.default.says("Ada") == ["likes tea", "hates fog"]
    assert await back.place("draft").says("Ada") == ["likes tea", "hates fog", "in the draft alone"]
    assert await back.default.says("Eve") is None
    assert await back.default.overheard("zeppelins") == ["about zeppelins", "and about tea"]
    await back.sound()
    await back.default.create("Eve", "once more")
    with psycopg.connect(stored.store) as connection:
        aside = done.replaced.removeprefix("schema ")
        assert connection.execute(f"SELECT count(*) FROM {aside}.entities WHERE type = 'thing'").fetchone() != (0,)  # type: ignore[arg-type]


async def test_a_damaged_backup_replaces_nothing(daemon: Daemon, stored: Settings) -> None:
    world = await daemon()
    await fill(world)
    made = await Backups(world.engine, stored).make("", prune=False)
    await world.leave()
    data = bytearray(Path(made.path).read_bytes())
    data[len(data) // 2] ^= 0x40
    Path(made.path).write_bytes(data)
    one = Kept(Path(made.path), datetime.now(UTC), len(data))
    with pytest.raises(StoreDamaged):
        await asyncio.to_thread(verbs.restore, stored, one)
    assert not (await asyncio.to_thread(verbs.tried, stored, one)).ok
    assert await (await daemon()).default.says("Bob") == ["likes rum"]


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("UPDATE entities SET body = overlay(body PLACING '\\x00'::bytea FROM 8) WHERE id = 1", "entity 1"),
        ("UPDATE entities SET crc = crc + 1 WHERE id = 2", "entity 2"),
        ("UPDATE messages SET body = overlay(body PLACING '\\xff'::bytea FROM 4)", "message 1"),
        ("UPDATE versions SET crc = 7 WHERE version = 1", "version 1"),
        ("DELETE FROM names WHERE name = 'Ada'", "without a name"),
        ("DELETE FROM words", "words index"),
        ("UPDATE passages SET message = 999 WHERE message = 1", "without their message"),
    ],
    ids=["body", "checksum", "message", "version", "name", "words", "passage"],
)
async def test_verify_finds_what_was_planted(daemon: Daemon, stored: Settings, harm: str, says: str) -> None:
    world = await daemon()
    await fill(world)
    world.spoil(harm)
    problems = (await world.engine.check(quick=False)).problems
    assert says in " ".join(problems)
    assert (await asyncio.to_thread(verbs.check, stored, False)).problems == problems


async def test_health_says_when_backups_fail_or_are_old(
    daemon: Daemon, stored: Settings, clock: Any, home: Path
) -> None:
    world = await daemon()
    await fill(world)
    health = Wellbeing(world.engine, stored, lambda: iter(()), lambda: 1.0)
    world.spoil("UPDATE meta SET value = ? WHERE key = 'made_at'", str(clock.ms).encode())  # by the test's own clock
    # What the machine suffers of is not the store's.
    assert {one.name for one in (await health.look()).ailments} <= {"memory", "disk_full", "many_files"}
    (home / "file").touch()
    with pytest.raises(Exception, match="exists"):
        await Backups(world.engine, stored).make(str(home / "file"), prune=False)
    assert "backup_failed" in [one.name for one in (await health.look()).ailments]
    clock.ms += int(timedelta(days=9).total_seconds() * 1000)
    assert "no_backup" in [one.name for one in (await health.look()).ailments]


def findings(settings: Settings) -> dict[str, tuple[str, str]]:
    """What a probe finds that is not well: by its name what it says and what mends it."""
    return {one.check: (one.says, one.mend) for one in probing.probe(settings).findings if one.state != "ok"}


def test_a_probe_finds_nothing_wrong_with_a_database_that_serves(stored: Settings) -> None:
    assert findings(stored) == {}


@pytest.mark.parametrize(
    ("change", "check", "says", "mend"),
    [
        (lambda url: url.replace("?", "_gone?"), "database", "does not exist", "CREATE DATABASE"),
        (lambda url: url.replace("host=", "host=/nowhere"), "database", "cannot be reached", "server runs"),
        (lambda url: url.replace("postgres@", "nobody_there@"), "database", "nobody_there", "CREATE ROLE"),
    ],
    ids=["database", "server", "role"],
)
def test_a_probe_names_what_keeps_a_daemon_away_and_what_mends_it(
    stored: Settings, change: Any, check: str, says: str, mend: str
) -> None:
    found = findings(replace(stored, store=change(stored.store)))[check]
    assert says in found[0]
    assert mend in found[1]


def test_a_probe_names_what_is_too_old_or_lacking(stored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    database.ours(stored).close()
    monkeypatch.setattr(database, "OLDEST_SERVER", 990_000)
    monkeypatch.setattr(database, "OLDEST_VECTOR", (99, 0))
    monkeypatch.setattr(probing, "SKEW_S", -1)
    found = findings(stored)
    assert "oldest that serves" in found["server"][0]
    assert "ALTER EXTENSION vector UPDATE" in found["pgvector"][1]
    assert "timedatectl" in found["server clock"][1]
    monkeypatch.undo()
    # Another database, which has no pgvector, and a role that may bring nothing in.
    with psycopg.connect(stored.store, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'poor'").fetchone():
            connection.execute("CREATE ROLE poor LOGIN")
    poor = stored.store.replace("postgres@", "poor@").replace(stored.store.split("@/")[1].split("?")[0], "postgres")
    found = findings(replace(stored, store=poor))
    assert "CREATE EXTENSION vector" in found["pgvector"][1]
    assert "GRANT CREATE ON DATABASE" in found["schema"][1]


def test_a_probe_by_a_role_whose_the_store_is_not_names_the_role_that_owns_it(stored: Settings) -> None:
    database.ours(stored).close()
    with psycopg.connect(stored.store, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'poor'").fetchone():
            connection.execute("CREATE ROLE poor LOGIN")
        connection.execute("GRANT CREATE ON DATABASE " + connection.info.dbname + " TO poor")
        poor = replace(stored, store=stored.store.replace("postgres@", "poor@"))
        for grant in ("SELECT 1", "GRANT USAGE ON SCHEMA enhanced_memory TO poor"):
            connection.execute(grant)
            found = findings(poor)
            assert set(found) == {"schema"}
            assert "the role postgres's" in found["schema"][0]
            assert 'GRANT "postgres" TO "poor"' in found["schema"][1]
            assert "poor@" not in found["schema"][1], "who lacks it cannot grant it"
        connection.execute('GRANT "postgres" TO "poor"')
        try:
            assert findings(poor) == {}
        finally:
            connection.execute('REVOKE "postgres" FROM "poor"')
            connection.execute("REVOKE ALL ON SCHEMA enhanced_memory FROM poor")
            connection.execute("REVOKE ALL ON DATABASE " + connection.info.dbname + " FROM poor")


def test_a_probe_names_replicas_that_answer_nothing_and_goes_on(stored: Settings) -> None:
    away = stored.store.replace("host=", "host=/nowhere")
    probed = probing.probe(replace(stored, replicas=f"{away} {stored.store}"))
    assert probed.ok, "the primary answers instead"
    says = [one.says for one in probed.findings if one.check == "replica"]
    assert len(says) == 2
    assert "cannot be reached" in says[0]
    assert "no standby" in says[1]


async def test_a_month_that_was_set_aside_is_left_out_of_no_backup_silently(daemon: Daemon, stored: Settings) -> None:
    from enhanced_memory.daemon.store.postgres import months

    world = await daemon()
    await world.default.say("talk", "long ago", at=datetime(2024, 3, 5, tzinfo=UTC))
    with database.ours(stored) as connection:
        with connection.transaction():
            months.made(connection, {months.Month("messages", 2024, 3)})
        months.detach(connection, "2024-03")
    with pytest.raises(StoreRefused, match="2024-03 are set aside"):
        await world.engine.backup(stored.backup_folder)
    with database.ours(stored) as connection:
        months.attach(connection, "2024-03")
    assert Path((await world.engine.backup(stored.backup_folder)).path).is_file()
