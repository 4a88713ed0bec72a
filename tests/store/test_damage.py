"""Damage is told, never passed on: a body that is not what was written is refused on reading and named by the check."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.errors import Conflict, StoreDamaged
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.backups import describe, unpacked
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.verifying import check

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def flip(world: World, table: str, where: str) -> None:
    """Flip the last bit of one body."""
    ((body,),) = await world.rows(f"SELECT body FROM {table} WHERE {where}")
    world.spoil(f"UPDATE {table} SET body = ? WHERE {where}", body[:-1] + bytes([body[-1] ^ 1]))


async def problems(world: World, quick: bool = False) -> list[str]:
    return (await world.engine.check(quick)).problems


@pytest.mark.parametrize("quick", [False, True])
async def test_a_damaged_entity_is_refused_and_named(default: Place, world: World, quick: bool) -> None:
    await default.create("Ada", "a few words of text that are long enough")
    await default.create("Bob", "others")
    await flip(world, "entities", "id = 1")
    with pytest.raises(StoreDamaged) as refused:
        await default.says("Ada")
    assert "memoryctl verify" in refused.value.hint
    assert await default.says("Bob") == ["others"]
    (problem,) = await problems(world, quick)
    assert "entity 1 in space 1" in problem
    with pytest.raises(StoreDamaged):
        await default.create("Ada", "more")


async def test_a_damaged_version_is_refused_and_named_and_the_newer_ones_read(default: Place, world: World) -> None:
    for text in ("one", "two", "three", "four"):
        await default.create("Ada", text)
    await flip(world, "versions", "entity = 1 AND version = 2")
    assert await default.says("Ada") == ["one", "two", "three", "four"]
    assert [one.version for one in await default.history("Ada", limit=1)] == [4]
    with pytest.raises(StoreDamaged):
        await default.history("Ada")
    (problem,) = await problems(world)
    assert "entity 1 in space 1, version 2" in problem
    assert await problems(world, quick=True) == []


async def test_a_damaged_message_is_refused_and_named(default: Place, world: World) -> None:
    await default.say("talk", "a few words of text that are long enough")
    await flip(world, "messages", "id = 1")
    with pytest.raises(StoreDamaged):
        await default.heard("talk")
    (problem,) = await problems(world)
    assert "message 1" in problem


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DELETE FROM names WHERE name = 'Ada'", "living entities without a name"),
        (
            "INSERT INTO names (space, name, scope, began, entity) VALUES (1, 'Ghost', '', 1, 99)",
            "living names without a living entity",
        ),
        ("INSERT INTO tags (space, tag, began, entity) VALUES (1, 'x', 1, 99)", "living tags"),
        pytest.param(
            "INSERT INTO properties (space, key, value, began, entity) VALUES (1, 'x', 1, 1, 99)",
            "living properties",
            marks=pytest.mark.engines("sqlite"),
        ),
        pytest.param(
            "INSERT INTO properties (space, key, kind, number, began, entity) VALUES (1, 'x', 1, 1, 1, 99)",
            "living properties",
            marks=pytest.mark.engines("postgres"),
        ),
        ("DELETE FROM passages WHERE entity = 1", "words index"),
        ("INSERT INTO passages (id, space, entity, began) VALUES (900, 1, 99, 1)", "living passages"),
        ("UPDATE relations SET to_id = 99", "relations to entities that are nowhere"),
        ("DELETE FROM messages", "passages without their message"),
        ("DELETE FROM changes WHERE number = 1", "journal entries without their change"),
        ("UPDATE entities SET body = ? WHERE id = 1", "entity 1"),
        ("UPDATE entities SET body = ? WHERE id = 1 AND space = 1", "entity 1"),
        ("DELETE FROM entities WHERE id = 1", "has versions but no entity"),
    ],
)
async def test_whatever_contradicts_is_found(default: Place, world: World, sql: str, says: str) -> None:
    await default.create("Ada", "a")
    await default.create("Ada", "b")
    await default.relate("Ada", "likes", "Ada")
    await default.say("talk", "hello")
    await world.sound()
    world.spoil(sql, *([b"\xff\x00" if "space" in sql else b""] if "?" in sql else []))
    assert any(says in problem for problem in await problems(world)), await problems(world)


async def test_many_problems_are_named_up_to_a_limit_and_then_counted(default: Place, world: World) -> None:
    for number in range(0, 150):
        await default.create(f"n{number}")
    world.spoil("UPDATE entities SET crc = crc + 1")
    found = await problems(world)
    assert len(found) == 101
    assert found[-1] == "… and more"


# Copies


@pytest.mark.engines("sqlite")
async def test_a_backup_is_whole_checked_and_opened_as_a_store(default: Place, world: World, home: Path) -> None:
    await default.create("Ada", "a")
    await default.create("Ada", "b")
    await default.say("talk", "hello")
    made = await world.engine.backup(str(home / "copies"))
    assert (made.entities, made.messages, made.change) == (2, 1, 3)
    assert Path(made.path).stat().st_size == made.bytes
    assert Path(made.path).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (home / "copies").iterdir()) == [
        Path(made.path).name,
        Path(made.path).name + ".json",
    ]
    engine = world.engine
    assert isinstance(engine, SqliteEngine)
    unpacked(describe(Path(made.path)), home / "again.db")
    assert check(home / "again.db", quick=False).problems == []
    again = await SqliteEngine.open(Settings.load({"store": str(home / "again.db"), "readers": 1}))
    try:
        state = await again.read(lambda tx: tx.entities.get("Ada").state, default.call())
        assert [noted.text for noted in state.observations] == ["a", "b"]
        assert again.store_id == engine.store_id
    finally:
        await again.close()


@pytest.mark.engines("sqlite")
async def test_a_backup_never_overwrites(default: Place, world: World, home: Path) -> None:
    target = home / "copy.db"
    target.write_bytes(b"precious")
    with pytest.raises(Conflict):
        await world.engine.backup(str(target))
    assert target.read_bytes() == b"precious"
    with pytest.raises(Conflict):
        await world.engine.backup(world.engine.path)


@pytest.mark.engines("sqlite")
async def test_a_damaged_store_makes_no_backup(default: Place, world: World, home: Path) -> None:
    await default.create("Ada", "a few words of text that are long enough")
    await flip(world, "entities", "id = 1")
    with pytest.raises(StoreDamaged):
        await world.engine.backup(str(home / "copies"))
    assert list((home / "copies").iterdir()) == []


@pytest.mark.engines("sqlite")
async def test_writing_goes_on_while_a_backup_is_made(default: Place, world: World, home: Path) -> None:
    for number in range(50):
        await default.create(f"n{number}", "x" * 500)
    copying = asyncio.ensure_future(world.engine.backup(str(home / "copies")))
    made = 0
    while not copying.done():
        await default.create(f"m{made}")
        made += 1
    assert (await copying).entities >= 50
    assert len(await default.listed()) == 50 + made
