"""A purge leaves nothing: no row of the entity, no byte of what it said."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from enhanced_memory.client.errors import Denied
from enhanced_memory.client.operations.entities import (
    AddObservations,
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    PurgeEntities,
    RenameEntity,
    Tag,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import CreateRelations
from enhanced_memory.client.operations.spaces import DeleteSpace
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.values import EntityInput, MessageInput, RelationInput
from enhanced_memory.daemon.store import Tx, training
from enhanced_memory.daemon.store.bodies import Codec, train
from enhanced_memory.daemon.store.sqlite import engine as sqlite_engine
from enhanced_memory.daemon.store.sqlite import scrubbing
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World

COLUMNS = {"id": ("entities",), "entity": (), "stream": (), "from_id": (), "to_id": ()}
"""Columns that hold an entity's id; `id` only in the tables named. The journal keeps ids: it says that something was done, not what was said."""


async def tables(world: World) -> list[str]:
    sqlite = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    postgres = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    return [row[0] for row in await world.rows(sqlite if world.engine.near else postgres)]


async def columns_of(world: World, table: str) -> list[str]:
    if world.engine.near:
        return [row[1] for row in await world.rows(f"SELECT * FROM pragma_table_info('{table}')")]
    sql = "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position"
    return [row[0] for row in await world.rows(sql, table)]


async def everything(world: World) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, bodies and answers as plain bytes."""
    engine: Any = world.engine
    codec = Codec(engine.dictionaries)
    told: dict[str, list[dict[str, Any]]] = {}
    for table in await tables(world):
        if table in ("words", "words_past", "dictionaries", "numbers"):  # the last: how far is counted, and of nothing
            continue
        columns = await columns_of(world, table)
        told[table] = []
        for row in await world.rows(f"SELECT * FROM {table}"):
            values = dict(zip(columns, row, strict=True))
            for name in ("body", "answer"):
                if values.get(name) and table in ("entities", "messages", "answers"):
                    values[name] = codec.unsqueeze(values[name])
            told[table].append(values)
    return told


def indexed(world: World) -> set[str]:
    """Every term that stands in the words indexes, marked as deleted or not."""
    found: set[str] = set()
    if not world.engine.near:
        for table in ("words", "words_past"):
            found |= {row[0] for row in world.spoil(f"SELECT word FROM ts_stat('SELECT lexemes FROM {table}')")}
        return found
    connection = apsw.Connection(world.engine.path, flags=apsw.SQLITE_OPEN_READONLY)
    for table in ("words", "words_past"):
        connection.execute(f"CREATE VIRTUAL TABLE temp.{table}_terms USING fts5vocab('main', '{table}', 'row')")
        found |= {row[0] for row in connection.execute(f"SELECT term FROM {table}_terms")}
    connection.close()
    return found


async def test_a_purge_leaves_no_row_and_no_text(default: Place, world: World) -> None:
    await default.create("Bystander", "stays")
    number = (
        (
            await default.keyed(
                CreateEntities(
                    [EntityInput("Secretname", "thing", ["zanzibar one"], {"pkey": "zanzibar two"}, ["zanzitag"])]
                ),
                "k1",
            )
        )
        .results[0]
        .id
    )
    await default.keyed(CreateEntities([EntityInput("Secretname", "thing", ["zanzibar one"])]), "k2")
    await default.keyed(AddObservations([ObservationsInput("Secretname", ["zanzibar three"])]), "k3")
    await default.keyed(DeleteObservations([ObservationsDeletion("Secretname", ["zanzibar one"])]), "k4")
    await default.keyed(RenameEntity("Secretname", "Othersecretname"), "k5")
    await default.keyed(
        CreateRelations([RelationInput("Othersecretname", "Bystander", "knows", metadata={"m": "zanzibar"})]), "k6"
    )
    await default.keyed(CreateRelations([RelationInput("Bystander", "Othersecretname", "knows")]), "k7")
    await default.keyed(AppendMessages("Othersecretname", [MessageInput("zanzibar said", speaker="zanzibar")]), "k8")
    await default.keyed(Tag(["Othersecretname"], ["zanzitag2"]), "k9")
    await default.delete("Othersecretname")
    kept = await default.keyed(Tag(["Bystander"], ["t"]), "k10")
    receipt = await default.do(PurgeEntities([number], confirm=True))
    assert receipt.ids == [number]
    assert len(receipt.sha256) == 64
    assert {table for table, count in receipt.removed.items() if count} >= {
        "entities",
        "versions",
        "names",
        "tags",
        "properties",
        "passages",
        "messages",
        "relations",
        "answers",
    }
    for table, rows in (await everything(world)).items():
        for row in rows:
            for column, tables in COLUMNS.items():
                if column in row and (not tables or table in tables):
                    assert row[column] != number, (table, row)
            text = repr(row).lower()
            if not table.startswith(("words_", "words_past_")):
                assert "zanzi" not in text, (table, row)
                assert "secretname" not in text, (table, row)
    assert not [term for term in indexed(world) if "zanzi" in term or "secretname" in term]
    assert "stai" in indexed(world)
    assert await default.entity(number) is None
    assert await default.found("zanzibar") == []
    assert await default.overheard("zanzibar") == []
    assert await default.listed(deleted=True) == []
    assert await default.entity(number, as_of=5) is None
    assert await default.keyed(Tag(["Bystander"], ["t"]), "k10") == kept
    await world.sound()


async def test_a_purge_of_what_keeps_few_versions_takes_the_answers_of_all(default: Place, world: World) -> None:
    await default.keyed(CreateEntities([EntityInput("Secretname", "agent_state")]), "k0")
    for number in range(1, 30):
        await default.keyed(UpdateEntity("Secretname", properties={"n": number}), f"k{number}")
    await default.do(PurgeEntities(["Secretname"], confirm=True))
    assert (await everything(world))["answers"] == []


async def test_purging_frees_the_name(default: Place) -> None:
    await default.create("Ada", "first")
    await default.do(PurgeEntities(["Ada"], confirm=True))
    await default.create("Ada", "second")
    assert await default.says("Ada") == ["second"]
    assert len(await default.history("Ada")) == 1


async def test_a_purge_must_be_meant(default: Place) -> None:
    await default.create("Ada")
    with pytest.raises(Denied, match="cannot be undone"):
        await default.do(PurgeEntities(["Ada"]))
    assert await default.listed() == ["Ada"]


async def test_a_purge_by_a_former_name_of_something_that_lives_takes_nothing(default: Place) -> None:
    await default.create("Ada")
    await default.do(RenameEntity("Ada", "Countess"))
    receipt = await default.do(PurgeEntities(["Ada"], confirm=True))
    assert (receipt.ids, receipt.missing) == ([], ["Ada"])
    assert await default.listed() == ["Countess"]


async def test_an_overlay_can_purge_its_own_copy_and_nothing_of_its_parent(default: Place, world: World) -> None:
    project = await world.overlay("project")
    number = await default.create("Ada", "a")
    assert (await project.do(PurgeEntities(["Ada"], confirm=True))).missing == ["Ada"]
    await project.do(AddObservations([ObservationsInput("Ada", ["mine"])]))
    assert (await project.do(PurgeEntities(["Ada"], confirm=True))).ids == [number]
    assert await project.says("Ada") == ["a"]
    assert await project.found("mine") == []
    assert await default.says("Ada") == ["a"]
    await world.sound()


async def test_a_purge_leaves_nothing_hanging_in_an_overlay(default: Place, world: World) -> None:
    project = await world.overlay("project")
    await default.create("Ada")
    await project.create("Bob")
    await project.relate("Bob", "likes", "Ada")
    await project.say("Ada", "hanging words")
    await default.do(PurgeEntities(["Ada"], confirm=True))
    assert await project.related() == set()
    assert await project.overheard("hanging") == []
    assert await world.rows("SELECT id FROM relations") == []
    assert await world.rows("SELECT id FROM messages") == []
    await world.sound()


async def test_a_purge_takes_the_copies_of_overlays_and_branches(default: Place, world: World) -> None:
    number = await default.create("Ada", "zanzibar")
    await default.create("Bob")
    project, branch = await world.overlay("project"), await world.branch("branch")
    deep = await world.branch("deep", "project")
    for place in (project, branch, deep):
        await place.do(AddObservations([ObservationsInput("Ada", ["zanzibar too"])]))
    await deep.do(RenameEntity("Ada", "Zanzicopy"))
    await world.default.do(DeleteSpace("branch"))
    receipt = await default.do(PurgeEntities(["Ada"], confirm=True))
    assert receipt.spaces == ["branch", "deep", "default", "project"]
    assert receipt.kept_in == []
    assert receipt.entities[0].versions == 1 + 1 + 1 + 2
    for place in (default, project, deep):
        assert await place.entity(number) is None
        assert await place.listed() == ["Bob"]
        assert await place.found("zanzibar") == []
    assert not any("zanzi" in repr(row).lower() for rows in (await everything(world)).values() for row in rows)
    await world.sound()


async def test_a_purge_in_an_overlay_says_where_the_entity_still_is(default: Place, world: World) -> None:
    project = await world.overlay("project")
    await default.create("Ada")
    await project.do(Tag(["Ada"], ["x"]))
    receipt = await project.do(PurgeEntities(["Ada"], confirm=True))
    assert (receipt.spaces, receipt.kept_in) == (["project"], ["default"])


async def test_a_purge_takes_vectors_and_tells_who_keeps_them_in_memory(default: Place, world: World) -> None:
    await default.create("Ada", "a", "b")
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["b"])]))
    await default.create("Bob", "c")
    passages = [row[0] for row in await world.rows("SELECT id FROM passages ORDER BY id")]

    def embed(tx: Tx) -> None:
        for number, name in ((1, "m"), (2, "n")):
            model = tx.vectors.add_model(name, f"f{number}", 8, "static")
            rows = [{"model": model.id, "passage": passage, "vector": b"12345678"} for passage in passages]
            tx.rows.many("add_vector", rows)

    await default.write(embed)
    ended: list[int] = []
    world.engine.listeners.append(lambda touched: ended.extend(touched.ended))
    await default.do(PurgeEntities(["Ada"], confirm=True))
    left = {passage for passage, _ in await world.vectors()}
    bobs = {row[0] for row in await world.rows("SELECT id FROM passages")}
    assert left == bobs != set(passages)
    assert set(ended) == set(passages) - bobs
    await world.sound()


async def test_answers_that_name_it_go_and_others_stay(default: Place, world: World) -> None:
    """An answer may name what its change did not touch."""
    await default.create("Secretname")
    skipped = CreateEntities([EntityInput("Secretname", "thing"), EntityInput("Other", "thing")], on_existing="skip")
    await default.keyed(skipped, "skipped")
    await default.keyed(CreateEntities([EntityInput("Third", "thing")]), "kept")
    await default.keyed(Tag(["Third"], ["Secretname-like"]), "kept too")
    receipt = await default.do(PurgeEntities(["Secretname"], confirm=True))
    assert await world.rows("SELECT key FROM answers ORDER BY key") == [("kept",), ("kept too",)]
    assert receipt.answers == 1


@pytest.mark.engines("sqlite")
async def test_a_dictionary_that_holds_purged_text_is_replaced(default: Place, world: World) -> None:
    engine = world.engine
    assert isinstance(engine, SqliteEngine)
    secrets = [f"the zanzibar harbour protocol, section {number}" for number in range(40)]
    bodies = [f"{text} {text}".encode() * 3 for text in secrets] * 10
    words = train(bodies)
    assert b"zanzibar harbour" in words

    def use(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO dictionaries (id, at, bytes) VALUES (2, 0, ?)", (words,))
        engine.dictionaries[2] = words
        engine.dictionary = 2
        engine._writer.codec.use(2)

    await engine.alone(use)
    number = await default.create("Harbour", *secrets)
    for place in range(3):
        await default.create(f"Other {place}", "zanzi", *(f"o{each}" for each in range(place)))
    await default.say("talk", "hello")
    await default.keyed(Tag(["Other 1"], ["t"]), "k")
    for step in range(40):
        await default.do(UpdateEntity("Other 0", properties={"n": step}))
    asked: set[str] = set()

    def purge(tx: Tx) -> None:
        HANDLERS[PurgeEntities.op](tx, PurgeEntities([number], confirm=True))
        asked.update(tx.forgotten)

    await default.write(purge, PurgeEntities([number], confirm=True))
    done = await engine.scrub(asked)
    assert (done.dictionaries, done.rewritten, done.log_emptied) == (1, True, True)
    assert await world.rows("SELECT id FROM dictionaries") == []
    assert await world.rows("SELECT key FROM meta WHERE key = 'scrub_due'") == []
    assert b"zanzibar" not in Path(engine.path).read_bytes()
    assert len(await default.history("Other 0", limit=100)) == 41
    assert await default.heard("talk") == ["hello"]
    assert engine.dictionary == 1
    del engine.dictionaries[2]  # as after the next start: nothing may need it
    await world.sound()


@pytest.mark.engines("sqlite")
async def test_purges_and_what_the_store_learns_meanwhile_do_not_get_in_each_others_way(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine
    assert isinstance(engine, SqliteEngine)
    said = [f"Shift {number % 7}: kiln {number % 11}, sample {number * 7919}." for number in range(200)]
    await default.say("talk", *said)
    async with asyncio.timeout(20):
        while engine.dictionary != 2 or engine._writer.repacking is not None:
            await asyncio.sleep(0.02)
    together = threading.Barrier(3)

    def trained_together(*given: Any) -> Any:
        found = training.trained(*given)
        with suppress(threading.BrokenBarrierError):
            together.wait(0.3)
        return found

    monkeypatch.setattr(sqlite_engine, "trained", trained_together)
    purges = asyncio.gather(engine.scrub(None), engine.scrub(None))
    await asyncio.sleep(0.05)
    engine._train()
    assert [done.log_emptied for done in await purges] == [True, True]
    assert engine._trainer is not None
    await asyncio.to_thread(engine._trainer.join)
    assert await default.heard("talk") == said
    await world.sound()


async def test_a_purge_that_was_cut_short_is_finished_later(reopen: Any) -> None:
    async with reopen() as world:
        await world.default.create("Ada", "zanzibar" * 2000)
        await world.default.create("Bob")
        await world.default.do(PurgeEntities(["Ada"], confirm=True))
    async with reopen() as world:
        assert world.engine.scrub_due
        await world.engine.scrub(None)
        assert not world.engine.scrub_due
    async with reopen() as world:
        assert not world.engine.scrub_due
        await world.sound()


@pytest.mark.engines("sqlite")
async def test_free_pages_of_a_large_store_are_written_over(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubbing, "REWRITE_BYTES", 0)
    engine = world.engine
    assert isinstance(engine, SqliteEngine)
    for number in range(20):
        await default.create(f"zanzibar {number}", tags=[f"zanzitag {number} {each}" for each in range(40)])
    await default.create("Bob")
    await default.do(PurgeEntities([f"zanzibar {number}" for number in range(20)], confirm=True))
    done = await engine.scrub({"zanzibar"})
    assert (done.rewritten, done.log_emptied) == (False, True)
    (free,) = (await world.rows("SELECT freelist_count FROM pragma_freelist_count"))[0]
    assert free > 3
    data = Path(engine.path).read_bytes()
    assert data.count(b"zanzi") == 0
    await world.sound()


@pytest.mark.engines("sqlite")
async def test_verify_finds_what_hangs_in_the_air(default: Place, world: World) -> None:
    await default.create("Ada", "a", tags=["t"], properties={"p": 1})
    await default.say("talk", "x")
    assert isinstance(world.engine, SqliteEngine)
    orphans = (
        "INSERT INTO vectors VALUES (999 << 6 | 1, x'00')",
        "INSERT INTO tags VALUES (1, 'x', 77, 5, 1)",
        "INSERT INTO properties VALUES (1, 'k', 'v', 77, 5, 1)",
        "INSERT INTO passages VALUES (500, 1, 77, 0, 0, 1, 2)",
        "INSERT INTO versions VALUES (1, 77, 1, 1, 2, 0, 0, 0, x'00')",
        "UPDATE messages SET stream = 78",
    )
    for sql in orphans:
        await world.engine.alone(lambda connection, sql=sql: connection.execute(sql))
    health = await world.engine.check(quick=False)
    for word in ("vectors", "tags", "properties", "passages", "versions", "messages"):
        assert any(word in problem for problem in health.problems), (word, health.problems)
