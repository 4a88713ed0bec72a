"""Every change leaves one numbered row, the journal says what it touched, and every observation says where it comes from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.operations.entities import (
    AddObservations,
    Confirm,
    Created,
    CreateEntities,
    DeleteEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    OpenNodes,
    Pin,
    PurgeEntities,
    Quarantine,
    RenameEntity,
    RestoreEntities,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.operations.spaces import CreateSpace, DeleteSpace
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.request import Change
from enhanced_memory.client.values import EntityInput, MessageInput, ObservationInput, OriginInput, RelationInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World

STORY: list[tuple[Change[Any], list[tuple[str, int, str, int, int]]]] = [
    (
        CreateEntities([EntityInput("a", "thing", ["x"]), EntityInput("b", "thing")]),
        [("entity", 1, "create", 0, 1), ("entity", 2, "create", 0, 1)],
    ),
    (AddObservations([ObservationsInput("a", ["y"])]), [("entity", 1, "update", 1, 2)]),
    (DeleteObservations([ObservationsDeletion("a", ["y"])]), [("entity", 1, "update", 2, 3)]),
    (UpdateEntity("a", priority=1), [("entity", 1, "update", 3, 4)]),
    (RenameEntity("a", "A"), [("entity", 1, "rename", 4, 5)]),
    (Tag(["A"], ["t"]), [("entity", 1, "update", 5, 6)]),
    (Untag(["A"], ["t"]), [("entity", 1, "update", 6, 7)]),
    (Pin(["A"]), [("entity", 1, "update", 7, 8)]),
    (Quarantine(["A"]), [("entity", 1, "update", 8, 9)]),
    (Confirm(["A"]), [("entity", 1, "update", 9, 10)]),
    (CreateRelations([RelationInput("A", "b", "likes")]), [("relation", 1, "create", 0, 1)]),
    (DeleteRelations([RelationInput("A", "b", "likes")]), [("relation", 1, "delete", 1, 0)]),
    (CreateRelations([RelationInput("b", "A", "likes")]), [("relation", 2, "create", 0, 1)]),
    (DeleteEntities(["A"]), [("relation", 2, "delete", 1, 0), ("entity", 1, "delete", 10, 11)]),
    (RestoreEntities(["A"]), [("entity", 1, "restore", 11, 12), ("relation", 2, "restore", 0, 1)]),
    (
        AppendMessages("talk", [MessageInput("1"), MessageInput("2")]),
        [("entity", 3, "create", 0, 1), ("messages", 1, "append", 0, 2)],
    ),
    (AppendMessages("talk", [MessageInput("3")]), [("messages", 3, "append", 0, 3)]),
    (PurgeEntities(["b"], confirm=True), [("entity", 2, "purge", 1, 0)]),
    (CreateSpace("s", "default"), [("space", 2, "create", 0, 0)]),
    (DeleteSpace("s"), [("space", 2, "delete", 0, 0)]),
    (CreateSpace("s", "default"), [("space", 2, "restore", 0, 0)]),
]


async def test_the_journal_tells_the_whole_story(default: Place, world: World) -> None:
    for place, (ask, wanted) in enumerate(STORY, 1):
        await default.do(ask)
        assert await world.last_change() == place
        assert (
            await world.rows("SELECT subject, id, act, before, after FROM journal WHERE number = ? ORDER BY seq", place)
            == wanted
        ), ask.op
        assert await world.rows("SELECT op, space, at FROM changes WHERE number = ?", place) == [
            (ask.op, 1, world.clock.ms)
        ]
    await world.sound()


async def test_what_changes_nothing_leaves_no_row(default: Place, world: World) -> None:
    await default.create("a", "x")
    for ask in (
        CreateEntities([EntityInput("a", "thing", ["x"])]),
        CreateEntities([EntityInput("a", "thing", ["y"])], on_existing="skip"),
        CreateEntities([]),
        DeleteEntities(["nobody"]),
        DeleteRelations([RelationInput("a", "b", "likes")]),
        Untag(["a"], ["t"]),
        AddObservations([ObservationsInput("a", ["x"])]),
    ):
        await default.do(ask)
    assert await world.rows("SELECT count(*) FROM changes") == [(1,)]


async def test_a_refused_change_leaves_no_row_and_no_gap(default: Place, world: World) -> None:
    await default.create("a")
    with pytest.raises(NotFound):
        await default.do(AddObservations([ObservationsInput("a", ["x"]), ObservationsInput("nobody", ["x"])]))
    await default.create("b")
    assert await world.rows("SELECT number FROM changes") == [(1,), (2,)]
    assert await world.rows("SELECT id FROM entities") == [(1,), (2,)]


async def test_a_message_given_with_a_change_stays_with_it(default: Place, world: World) -> None:
    await default.do(CreateEntities([EntityInput("a", "thing")], message="why not"))
    assert await world.rows("SELECT message FROM changes") == [("why not",)]


# Provenance


async def test_each_observation_says_who_said_it_and_when(world: World) -> None:
    ada = world.place("default", client="editor", agent="ada", session="s1")
    bob = world.place("default", client="shell", agent="bob", session="s2", user="bob")
    await ada.create("a", "from ada")
    first = world.clock.ms
    await bob.do(AddObservations([ObservationsInput("a", ["from bob"])]), tool="note", run="r7")
    told = (await ada.do(OpenNodes(["a"], details=True))).entities[0].details
    by_ada, by_bob = (one.origin for one in told)
    assert (by_ada.client, by_ada.agent, by_ada.session, by_ada.user, by_ada.channel, by_ada.trust) == (
        "editor",
        "ada",
        "s1",
        "tester",
        "socket",
        "agent",
    )
    assert (by_bob.agent, by_bob.user, by_bob.tool, by_bob.run, by_bob.channel, by_bob.trust) == (
        "bob",
        "bob",
        "note",
        "r7",
        "code",
        "import",
    )
    assert [int(one.at.timestamp() * 1000) for one in told] == [first, world.clock.ms]
    assert [one.origin.agent for one in await ada.history("a")] == ["bob", "ada"]


async def test_an_observation_keeps_its_provenance_when_others_change_the_entity(world: World) -> None:
    ada, bob = world.place("default", agent="ada"), world.place("default", agent="bob")
    await ada.create("a", "x", "y")
    await bob.do(UpdateEntity("a", properties={"k": 1}))
    await bob.do(DeleteObservations([ObservationsDeletion("a", ["x"])]))
    project = await world.overlay("project")
    await project.do(Tag(["a"], ["t"]))
    for place in (bob, project):
        (told,) = (await place.do(OpenNodes(["a"], details=True))).entities[0].details
        assert (told.text, told.origin.agent, told.change) == ("y", "ada", 1)


async def test_what_is_said_of_an_observation_is_kept_with_it(default: Place) -> None:
    since, until, when = (datetime(year, 1, 1, tzinfo=UTC) for year in (2001, 2002, 2003))
    given = ObservationInput(
        "x",
        confidence=0.5,
        valid_from=since,
        valid_to=until,
        origin=OriginInput(agent="web", session="s9", method="extracted", trust="tool", at=when),
    )
    await default.do(CreateEntities([EntityInput("a", "thing", [given, "plain"])]))
    told, plain = (await default.do(OpenNodes(["a"], details=True))).entities[0].details
    assert (told.confidence, told.valid_from, told.valid_to, told.at) == (0.5, since, until, when)
    assert (told.origin.agent, told.origin.session, told.origin.method, told.origin.trust, told.origin.user) == (
        "web",
        "s9",
        "extracted",
        "tool",
        "tester",
    )
    assert (plain.confidence, plain.origin.method) == (None, "manual")


async def test_an_origin_is_written_once(world: World) -> None:
    ada, bob = world.place("default", agent="ada"), world.place("default", agent="bob")
    for place in (ada, bob, ada, bob):
        await place.say("talk", "x")
    assert await world.rows("SELECT agent FROM origins ORDER BY id") == [("ada",), ("bob",)]
    assert await world.rows("SELECT DISTINCT origin FROM changes ORDER BY 1") == [(1,), (2,)]


async def test_an_origin_first_met_in_a_refused_change_is_met_again(world: World) -> None:
    """What a refused change interned is undone with it; the next must not point at nothing."""
    eve = world.place("default", agent="eve")
    given = ObservationInput("x", origin=OriginInput(agent="web"))
    with pytest.raises(Conflict):
        await eve.do(
            CreateEntities([EntityInput("a", "thing", [given]), EntityInput("a", "thing")], on_existing="error")
        )
    assert await world.rows("SELECT * FROM origins") == []
    await eve.do(CreateEntities([EntityInput("a", "thing", [given])]))
    told = (await eve.do(OpenNodes(["a"], details=True))).entities[0].details[0]
    assert told.origin.agent == "web"


# Answers


async def test_a_change_repeated_under_its_key_is_applied_once_and_answered_alike(default: Place, world: World) -> None:
    ask = AppendMessages("talk", [MessageInput("hello")])
    first = await default.keyed(ask, "k1")
    assert await default.keyed(ask, "k1") == first
    assert await default.heard("talk") == ["hello"]
    assert (await default.keyed(ask, "k2")).ids != first.ids
    assert await default.heard("talk") == ["hello", "hello"]
    assert await world.rows("SELECT key, number, op FROM answers ORDER BY key") == [
        ("k1", 1, "append_messages"),
        ("k2", 2, "append_messages"),
    ]


async def test_a_key_belongs_to_its_user(world: World) -> None:
    ada, bob = world.place("default", uid=1), world.place("default", uid=2)
    ask = AppendMessages("talk", [MessageInput("hello")])
    assert (await ada.keyed(ask, "k")).ids != (await bob.keyed(ask, "k")).ids


async def test_a_key_used_for_another_operation_is_a_conflict(default: Place) -> None:
    await default.keyed(CreateEntities([EntityInput("a", "thing")]), "k")
    with pytest.raises(Conflict, match="create_entities"):
        await default.keyed(DeleteEntities(["a"]), "k")
    assert await default.listed() == ["a"]


async def test_a_refused_change_keeps_no_answer(default: Place, world: World) -> None:
    ask: Change[Created] = AddObservations([ObservationsInput("a", ["x"])])
    with pytest.raises(NotFound):
        await default.keyed(ask, "k")
    assert await world.rows("SELECT * FROM answers") == []
    await default.create("a")
    assert (await default.keyed(ask, "k")).results[0].added == ["x"]


async def test_an_answer_survives_the_store_being_opened_again(reopen: Any) -> None:
    ask = AppendMessages("talk", [MessageInput("hello")])
    async with reopen() as world:
        first = await world.default.keyed(ask, "k")
    async with reopen() as world:
        assert await world.default.keyed(ask, "k") == first
        assert await world.default.heard("talk") == ["hello"]
