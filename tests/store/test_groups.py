"""Changes that share a commit: each stands or falls alone, and numbers, ids and names stay whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, Error, TimedOut
from enhanced_memory.client.operations.entities import AddObservations, CreateEntities, ObservationsInput
from enhanced_memory.client.operations.relations import CreateRelations
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.values import EntityInput, MessageInput, ObservationInput, OriginInput, RelationInput
from enhanced_memory.daemon.store import Touched, Tx
from enhanced_memory.daemon.store.bodies import State

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


class Mishap(Exception):
    """Raised by a test's own work."""


async def test_what_one_raises_undoes_that_one_alone(default: Place, world: World) -> None:
    def half(tx: Tx) -> Any:
        made = tx.entities.create(State("half", "thing"))
        tx.relations.create(tx.relations.end(made.id), tx.relations.end("x"), "likes", 1.0, {})
        raise Mishap

    works: list[Any] = []
    for number in range(20):
        works.append(default.do(CreateEntities([EntityInput(f"n{number}", "thing", [f"word{number}"])])))
        works.append(default.write(half))
    answers = await asyncio.gather(*works, return_exceptions=True)
    assert [type(answer) for answer in answers[1::2]] == [Mishap] * 20
    ids = [answer.results[0].id for answer in answers[::2]]
    assert ids == list(range(1, 21))
    assert await default.listed() == [f"n{number}" for number in range(20)]
    assert await world.rows("SELECT number FROM changes ORDER BY number") == [(number,) for number in range(1, 21)]
    assert await world.rows("SELECT * FROM relations") == []
    assert await default.found("half") == []
    await world.sound()


async def test_what_others_wrote_stands_though_a_failure_read_their_words(default: Place, world: World) -> None:
    """Reading the words settles what others of the group put off; undoing the reader must not undo that."""

    def reads(tx: Tx) -> Any:
        tx.entities.create(State("half", "thing"))
        tx.words.scour()
        raise Mishap

    works: list[Any] = []
    for number in range(5):
        works.append(default.do(CreateEntities([EntityInput(f"n{number}", "thing", [f"word{number}"])])))
        works.append(default.write(reads))
    answers = await asyncio.gather(*works, return_exceptions=True)
    assert [type(answer) for answer in answers[1::2]] == [Mishap] * 5
    for number in range(5):
        assert await default.found(f"word{number}") == [f"n{number}"]
    assert await world.rows("SELECT count(*) FROM changes") == [(5,)]
    await world.sound()


async def test_ids_and_numbers_go_on_where_they_should_after_a_failure(default: Place, world: World) -> None:
    def half(tx: Tx) -> Any:
        for number in range(5):
            tx.entities.create(State(f"half{number}", "thing"))
        raise Mishap

    with pytest.raises(Mishap):
        await default.write(half)
    assert await default.create("a") == 1
    await default.say("talk", "x")
    await default.relate("a", "likes", "talk")
    assert await world.rows("SELECT id FROM relations UNION ALL SELECT id FROM messages") == [(1,), (1,)]
    assert await world.rows("SELECT max(id) FROM passages") == [(3,)]
    assert await world.last_change() == 3


async def test_an_origin_interned_by_a_failure_in_a_group_is_whole_for_the_next(world: World) -> None:
    given = ObservationInput("x", origin=OriginInput(agent="web"))
    eve, bob = world.place("default", agent="eve"), world.place("default", agent="bob")
    refused = CreateEntities([EntityInput("a", "thing", [given]), EntityInput("a", "thing")], on_existing="error")
    good = CreateEntities([EntityInput("b", "thing", [given])])
    answers = await asyncio.gather(eve.do(refused), bob.do(good), eve.do(refused), bob.do(good), return_exceptions=True)
    assert [isinstance(answer, Conflict) for answer in answers] == [True, False, True, False]
    assert await world.rows(
        "SELECT count(*) FROM changes c WHERE NOT EXISTS (SELECT 1 FROM origins o WHERE o.id = c.origin)"
    ) == [(0,)]
    assert (await bob.entity("b")) is not None


async def test_of_many_who_create_one_name_one_does(default: Place, world: World) -> None:
    ask = CreateEntities([EntityInput("one", "thing")], on_existing="error")
    answers = await asyncio.gather(*(default.do(ask) for _ in range(30)), return_exceptions=True)
    assert sum(not isinstance(answer, Error) for answer in answers) == 1
    assert all(isinstance(answer, Conflict) for answer in answers if isinstance(answer, Error))
    assert await default.listed() == ["one"]
    await world.sound()


async def test_additions_side_by_side_are_all_there(default: Place, world: World) -> None:
    await default.create("a")
    await asyncio.gather(
        *(default.do(AddObservations([ObservationsInput("a", [f"o{number}"])])) for number in range(50))
    )
    says = await default.says("a")
    assert says is not None
    assert sorted(says) == sorted(f"o{number}" for number in range(50))
    assert [one.version for one in await default.history("a", limit=100)] == list(range(51, 0, -1))
    await world.sound()


async def test_of_many_who_expect_one_version_one_is_right(default: Place) -> None:
    await default.create("a")
    asks = [AddObservations([ObservationsInput("a", [f"o{number}"], expected_version=1)]) for number in range(20)]
    answers = await asyncio.gather(*(default.do(ask) for ask in asks), return_exceptions=True)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 19
    assert await default.says("a") is not None


async def test_one_relation_made_by_many_is_one(default: Place) -> None:
    await default.create("a")
    answers = await asyncio.gather(
        *(default.do(CreateRelations([RelationInput("a", "a", "likes")])) for _ in range(20))
    )
    assert sum(len(answer.created) for answer in answers) == 1
    assert await default.related() == {("a", "likes", "a")}


async def test_one_key_sent_many_times_at_once_is_applied_once(default: Place) -> None:
    ask = AppendMessages("talk", [MessageInput("hello")])
    answers = await asyncio.gather(*(default.keyed(ask, "k") for _ in range(20)))
    assert {tuple(answer.ids) for answer in answers} == {(1,)}
    assert await default.heard("talk") == ["hello"]


async def test_a_change_whose_deadline_passed_while_it_waited_is_not_made(default: Place, world: World) -> None:
    with pytest.raises(TimedOut):
        await default.do(CreateEntities([EntityInput("late", "thing")]), deadline=0.0)
    assert await default.listed() == []


async def test_listeners_hear_of_each_change_after_it_stands(default: Place, world: World) -> None:
    heard: list[Touched] = []
    world.engine.listeners.append(heard.append)
    await default.create("a")
    with pytest.raises(Conflict):
        await default.do(CreateEntities([EntityInput("a", "thing")], on_existing="error"))
    await default.create("a")
    await default.relate("a", "likes", "a")
    await default.say("talk", "x")
    assert [(one.number, one.op, one.space, one.entities) for one in heard] == [
        (1, "create_entities", "default", [1]),
        (2, "create_relations", "default", [1]),
        (3, "append_messages", "default", [2]),
    ]


async def test_a_question_sees_one_state_while_writes_go_on(default: Place) -> None:
    """Two reads within one question agree, whatever is committed between them."""
    await default.create("a")
    stop = asyncio.Event()

    async def write() -> None:
        number = 0
        while not stop.is_set() and number < 400:
            number += 1
            await default.do(AddObservations([ObservationsInput("a", [f"o{number}"])]))

    def twice(tx: Tx) -> tuple[int, int]:
        first = tx.entities.get("a").version
        total = sum(len(tx.entities.history(1, None, 1000)) for _ in range(3))
        return first, total // 3

    writing = asyncio.create_task(write())
    try:
        for _ in range(10):
            version, versions = await default.read(twice)
            assert version == versions
    finally:
        stop.set()
        await writing


async def test_what_was_answered_is_there_when_the_store_is_opened_again(reopen: Any) -> None:
    async with reopen() as world:
        await asyncio.gather(*(world.default.create(f"n{number}", f"word{number}") for number in range(40)))
        last = await world.last_change()
    async with reopen() as world:
        assert sorted(await world.default.listed()) == sorted(f"n{number}" for number in range(40))
        assert await world.last_change() == last
        assert await world.default.create("next") == 41
        assert await world.default.found("word7") == ["n7"]
        await world.sound()


async def test_what_was_handed_over_before_closing_is_finished(reopen: Any) -> None:
    async with reopen() as world:
        waiting = [asyncio.ensure_future(world.default.create(f"n{number}")) for number in range(20)]
        await asyncio.sleep(0)
    assert sorted(await asyncio.gather(*waiting)) == list(range(1, 21))
    async with reopen() as world:
        assert len(await world.default.listed()) == 20
