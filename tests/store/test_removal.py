"""A purge leaves nothing: no row of the entity, no byte of what it said."""

from __future__ import annotations

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
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.values import EntityInput, MessageInput, RelationInput
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World

COLUMNS = {"id": ("entities",), "entity": (), "stream": (), "from_id": (), "to_id": ()}
"""Columns that hold an entity's id; `id` only in the tables named. The journal keeps ids: it says that something was done, not what was said."""


async def everything(world: World) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, bodies and answers as plain bytes."""
    engine = world.engine
    assert isinstance(engine, SqliteEngine)
    codec = Codec(engine.dictionaries)
    told: dict[str, list[dict[str, Any]]] = {}
    for (table,) in await world.rows("SELECT name FROM sqlite_schema WHERE type = 'table'"):
        if table in ("words", "words_past", "dictionaries"):
            continue
        columns = [row[1] for row in await world.rows(f"SELECT * FROM pragma_table_info('{table}')")]
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
    connection = apsw.Connection(world.engine.path, flags=apsw.SQLITE_OPEN_READONLY)
    found: set[str] = set()
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
