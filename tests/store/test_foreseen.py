"""A change on PostgreSQL costs two exchanges with the server, however many names it tells of, and never goes by what is out of date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client.errors import Conflict  # noqa: E402
from enhanced_memory.client.operations.entities import (  # noqa: E402
    AddObservations,
    CreateEntities,
    DeleteEntities,
    ObservationsInput,
    RenameEntity,
)
from enhanced_memory.client.operations.relations import CreateRelations  # noqa: E402
from enhanced_memory.client.operations.streams import AppendMessages  # noqa: E402
from enhanced_memory.client.values import EntityInput, MessageInput, RelationInput  # noqa: E402
from enhanced_memory.daemon.store.postgres.exchange import Exchange  # noqa: E402
from enhanced_memory.daemon.store.postgres.foreseen import MOST, Foreseen, questions  # noqa: E402
from enhanced_memory.daemon.store.postgres.statements import QUERIES  # noqa: E402
from enhanced_memory.daemon.store.views import NOW, Layer, View  # noqa: E402

if TYPE_CHECKING:
    from enhanced_memory.client import Settings
    from enhanced_memory.tests.store.conftest import Daemon, Databases, Place, World

pytestmark = pytest.mark.postgres


@pytest.fixture
def stored(settings: Settings, databases: Databases) -> Settings:
    from dataclasses import replace

    return replace(settings, store=databases.url("one"))


@pytest.fixture
async def world(daemon: Daemon) -> World:
    """A store on PostgreSQL, whose default space is known."""
    made = await daemon()
    await made.default.create("first")
    return made


@pytest.fixture
def default(world: World) -> Place:
    return world.default


@contextmanager
def exchanges(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many statements went to the server in each exchange meanwhile."""
    met: list[int] = []
    put = Exchange._put

    def counted(exchange: Exchange, said: Any) -> Any:
        met.append(len(said) + exchange.under_way)
        return put(exchange, said)

    with monkeypatch.context() as patched:
        patched.setattr(Exchange, "_put", counted)
        yield met


def things(*names: str) -> CreateEntities:
    return CreateEntities([EntityInput(name, "thing", [f"of {name}"]) for name in names])


@pytest.mark.parametrize(
    "ask",
    [
        lambda: things("one"),
        lambda: things(*(f"n{number}" for number in range(60))),
        lambda: AddObservations([ObservationsInput("first", ["another"]), ObservationsInput("second", ["and one"])]),
        lambda: AppendMessages("talk", [MessageInput("hello", speaker="ann"), MessageInput("yes", speaker="bob")]),
    ],
    ids=["entity", "entities", "observations", "messages"],
)
async def test_a_change_takes_two_exchanges(
    default: Place, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], Any]
) -> None:
    await default.create("second")
    await default.say("talk", "before")
    for key in ("", "key"):
        with exchanges(monkeypatch) as met:
            await (default.keyed(ask(), key) if key else default.do(ask()))
        assert len(met) == 2
        if not isinstance(ask(), CreateEntities):
            continue
        for one in ask().entities:
            assert await default.says(one.name) == [f"of {one.name}"]
        await default.delete(*(one.name for one in ask().entities))


async def test_relations_of_a_call_take_four_exchanges(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the beginning, for what is there already, for the names of the answer, for the commit."""
    await default.do(things(*(f"n{number}" for number in range(30))))
    asks = [RelationInput("first", f"n{number}", "knows") for number in range(40)]
    asks += [RelationInput(f"n{number}", "first", "knows") for number in range(30)]
    for created in (70, 0):
        with exchanges(monkeypatch) as met:
            made = await default.do(CreateRelations(asks))
        assert len(met) == 4
        assert (len(made.created), len(made.existing)) == (created, 70 - created)
    again = await default.do(CreateRelations([RelationInput("n1", "n2", "twice"), RelationInput("n1", "n2", "twice")]))
    assert (len(again.created), len(again.existing)) == (1, 1)
    assert len(await default.related()) == 71
    await world.sound()


async def test_a_group_of_changes_asks_for_all_of_its_names_together(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with exchanges(monkeypatch) as met:
        await asyncio.gather(*(default.do(things(f"n{number}")) for number in range(40)))
    groups = world.engine._writer.commits  # type: ignore[attr-defined]
    assert len(met) <= 2 * groups
    assert len(await default.listed()) == 41
    await world.sound()


async def test_two_of_a_name_in_one_group_meet_each_other(default: Place, world: World) -> None:
    """What was asked at the beginning holds no more, once the first of them stands."""
    both = await asyncio.gather(*(default.do(things("twice", "twice", f"n{number % 3}")) for number in range(12)))
    assert len({one.results[0].id for one in both}) == 1
    assert [one.results[0].action for one in both].count("created") == 1
    assert all(one.results[1].id == one.results[0].id for one in both)
    asks = [
        default.do(RenameEntity("twice", "other")),
        default.do(things("twice")),
        default.do(DeleteEntities(["other"])),
        default.do(RenameEntity("twice", "other")),
        default.do(AddObservations([ObservationsInput("other", ["said to the new one"])])),
        default.do(AddObservations([ObservationsInput("other", ["and more"])])),
    ]
    await asyncio.gather(*asks)
    assert await default.says("other") == ["of twice", "said to the new one", "and more"]
    assert await default.entity("twice") is None
    await world.sound()


async def test_a_key_sent_twice_in_one_group_is_carried_out_once(default: Place, world: World) -> None:
    answers = await asyncio.gather(
        *(default.keyed(AddObservations([ObservationsInput("first", ["once"])]), "again") for _ in range(6))
    )
    assert len({str(answer) for answer in answers}) == 1
    assert await default.says("first") == ["once"]
    with pytest.raises(Conflict, match="key"):
        await asyncio.gather(default.keyed(things("a"), "mixed"), default.keyed(DeleteEntities(["first"]), "mixed"))


async def test_an_end_that_came_first_is_adopted_in_the_same_group(default: Place, world: World) -> None:
    await asyncio.gather(
        default.do(CreateRelations([RelationInput("first", "later", "knows")])),
        default.do(things("later")),
        default.do(CreateRelations([RelationInput("soon", "first", "knows")])),
        default.do(things("soon")),
    )
    assert await default.related() == {("first", "knows", "later"), ("soon", "knows", "first")}
    await default.do(RenameEntity("later", "renamed"))
    assert ("first", "knows", "renamed") in await default.related()
    await world.sound()


async def test_what_another_daemon_wrote_meanwhile_is_met(daemon: Daemon, world: World, default: Place) -> None:
    other = (await daemon()).default
    for number in range(5):
        mine, theirs = await default.create(f"n{number}", "mine"), await other.create(f"n{number}", "theirs")
        assert mine == theirs
        assert await default.says(f"n{number}") == ["mine", "theirs"]
        await other.do(DeleteEntities([f"n{number}"]))
        assert await default.create(f"n{number}", "anew") != mine
    await world.sound()


async def test_names_are_looked_for_in_every_layer_of_a_branch(default: Place, world: World) -> None:
    over = await world.overlay("over")
    await over.create("own")
    for _ in range(2):
        await over.add("first", "said over it")
    assert await over.create("first", "not another") == (await default.create("first"))
    assert await default.says("first") == []
    await world.sound()


async def test_a_name_that_fails_leaves_the_others_of_its_group(default: Place, world: World) -> None:
    async def refused(name: str) -> None:
        with pytest.raises(Conflict):
            await default.do(
                CreateEntities([EntityInput("x" + name, "thing"), EntityInput("first", "thing")], on_existing="error")
            )

    await asyncio.gather(*(refused(str(number)) if number % 2 else default.create(f"n{number}") for number in range(8)))
    assert sorted(await default.listed()) == ["first", "n0", "n2", "n4", "n6"]
    await world.sound()


# What is asked, and what is forgotten


def test_so_many_questions_are_asked_and_no_more(default: Place) -> None:
    views = {"default": View((Layer(1),), ("default",))}
    call = default.call(things(*(f"n{number}" for number in range(MOST))))
    assert len(questions([call], views)) == MOST
    assert questions([call], {}) == []
    past = {"default": View((Layer(1, 7),), ("default",))}
    assert questions([call], past) == []
    twice = [default.call(things("a", "a")), default.call(things("a"))]
    assert [name for name, _ in questions(twice, views)] == ["name", "dangling"]
    by_id = default.call(AddObservations([ObservationsInput(7, ["said"])]))
    assert questions([by_id], views) == [("entity", {"space": 1, "id": 7})]


def test_a_write_forgets_what_it_touches() -> None:
    foreseen = Foreseen()
    mine, other = {"space": 1, "name": "mine", "at": NOW}, {"space": 1, "name": "other", "at": NOW}
    for values in (mine, other):
        foreseen.keep(("name", values), [("", 3)])
    foreseen.keep(("entities_named", {"space": 1, "name": "mine"}), [(3, 1, "")])
    entity = {"space": 1, "id": 3}
    assert foreseen.answer("entity", entity) == [(3, 1, "")]
    foreseen.written("add_passage", [{"id": 1}])
    assert foreseen.answer("name", mine) == [("", 3)]
    foreseen.written("set_entity", [entity | {"version": 2}])
    assert foreseen.answer("entity", entity) is None
    foreseen.written("end_name", [{"space": 1, "name": "mine", "scope": "", "number": 9}])
    assert foreseen.answer("name", mine) is None
    assert foreseen.answer("name", other) == [("", 3)]
    foreseen.written("purge_names", [{"spaces": "[1]", "ids": "[3]"}])
    assert foreseen.answer("name", other) is None


def test_a_relation_touches_what_is_about_its_ends() -> None:
    foreseen = Foreseen()
    first = {"from_id": 1, "from_name": "", "to_id": 0, "to_name": "later"}
    other = {"from_id": 1, "from_name": "", "to_id": 2, "to_name": ""}
    rest = {"space": 1, "at": NOW, "nearer": "[]", "type": "knows"}
    for ends in (first, other):
        foreseen.keep(("relations_same", ends | rest), [])
    for name in ("later", "never"):
        foreseen.keep(("dangling", {"name": name}), [])
    foreseen.written("add_relation", [first | {"id": 9, "type": "likes"}])
    assert foreseen.answer("relations_same", first | rest) is None
    assert foreseen.answer("relations_same", other | rest) == []
    assert foreseen.answer("dangling", {"name": "later"}) is None
    assert foreseen.answer("dangling", {"name": "never"}) == []
    foreseen.written("end_relation", [{"row": 3, "number": 8}])
    assert foreseen.answer("relations_same", other | rest) is None


def test_whether_a_name_is_free_is_known_only_where_it_was_asked() -> None:
    foreseen = Foreseen()
    assert not foreseen.free(1, "mine", "")
    foreseen.keep(("name", {"space": 1, "name": "mine", "at": NOW}), [("#4", 4)])
    assert foreseen.free(1, "mine", "")
    assert not foreseen.free(1, "mine", "#4")
    assert not foreseen.free(2, "mine", "")


def test_what_is_kept_tells_of_the_tables_that_its_query_names() -> None:
    import re

    from enhanced_memory.daemon.store.postgres import foreseen

    for name, tables in foreseen._OF.items():
        read = set(re.findall(r"\b(?:FROM|JOIN)\s+([a-z]\w*)", QUERIES[name])) - {"json_array_elements"}
        assert read - {"changes"} == set(tables), name  # a change's own row is written once, and never altered
