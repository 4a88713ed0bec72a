"""Undoing takes out what was done and leaves what was done since; what cannot be taken out is said and nothing is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.branches import MergeBranch
from enhanced_memory.client.operations.conflicts import ListConflicts, ResolveConflict
from enhanced_memory.client.operations.entities import (
    AddObservations,
    Confirm,
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    PurgeEntities,
    RenameEntity,
    RestoreEntities,
    Tag,
    UpdateEntity,
)
from enhanced_memory.client.operations.journal import Journal, Redo, Undo
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.operations.versions import MemoryCommit
from enhanced_memory.client.values import EntityInput, RelationInput
from enhanced_memory.daemon.store.conflicts import Proposal

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def seen(place: Place) -> Any:
    """All that a space shows."""
    names = await place.listed()
    return [
        (
            (one := await place.entity(name))
            and (one.id, one.type, one.observations, one.properties, sorted(one.tags), one.always_include)
        )
        for name in names
    ], await place.related()


async def add(place: Place, name: str, *texts: str) -> None:
    await place.do(AddObservations([ObservationsInput(name, list(texts))]))


CHANGES: dict[str, Any] = {
    "create": CreateEntities([EntityInput("New", "thing", ["n"])]),
    "create several": CreateEntities([EntityInput("New", "thing"), EntityInput("Ada", "thing", ["more"])]),
    "create what was named already": CreateEntities([EntityInput("Nobody", "thing")]),
    "replace": CreateEntities([EntityInput("Ada", "robot", ["b", "x"])], on_existing="replace"),
    "add": AddObservations([ObservationsInput("Ada", ["c", "d"])]),
    "take": DeleteObservations([ObservationsDeletion("Ada", ["a", "b"])]),
    "properties": UpdateEntity("Ada", properties={"age": 37, "x": None, "new": [1]}),
    "type": UpdateEntity("Ada", type="robot", tier="semantic", always_include=True),
    "rename": RenameEntity("Ada", "Countess"),
    "tag": Tag(["Ada", "Bob"], ["t2"]),
    "confirm": Confirm(["Ada"], [1]),
    "relate": CreateRelations(
        [RelationInput("Bob", "Ada", "knows", 0.5, {"m": 1}), RelationInput("Ada", "Later", "seeks")]
    ),
    "unrelate": DeleteRelations([RelationInput("Ada", "Bob", "likes")]),
}


async def ground(place: Place) -> None:
    await place.create("Ada", "a", "b", properties={"age": 36, "x": "y"}, tags=["t1"])
    await place.create("Bob", "bob")
    await place.relate("Ada", "likes", "Bob")
    await place.relate("Ada", "seeks", "Nobody")


@pytest.mark.parametrize("what", list(CHANGES))
async def test_every_kind_of_change_is_undone_and_done_again(what: str, default: Place, world: World) -> None:
    await ground(default)
    before = await seen(default)
    await default.do(CHANGES[what])
    after = await seen(default)
    change = await world.last_change()
    planned = await default.do(Undo())
    assert (planned.dry_run, planned.changes, planned.conflicts, planned.change) == (True, [change], [], None)
    assert planned.effects
    assert await seen(default) == after
    done = await default.do(Undo(dry_run=False))
    assert (done.changes, done.effects, done.change) == ([change], planned.effects, change + 1)
    assert await seen(default) == before
    again = await default.do(Redo(dry_run=False))
    assert again.changes == [change]
    assert await seen(default) == after
    await default.do(Undo(change, dry_run=False))
    assert await seen(default) == before
    await world.sound()


async def test_deleting_and_restoring_are_undone_with_their_relations(default: Place, world: World) -> None:
    await ground(default)
    before = await seen(default)
    await default.delete("Ada")
    without = await seen(default)
    await default.do(Undo(dry_run=False))
    assert await seen(default) == before
    await default.do(Redo(dry_run=False))
    assert await seen(default) == without
    await default.do(RestoreEntities(["Ada"]))
    assert await seen(default) == before
    await default.do(Undo(dry_run=False))
    assert await seen(default) == without
    await world.sound()


async def test_undoing_walks_back_and_redoing_forward(default: Place) -> None:
    states: list[Any] = []
    for number in range(4):
        states.append(await seen(default))
        await default.create("Ada", f"o{number}")
    states.append(await seen(default))
    for state in states[-2::-1]:
        await default.do(Undo(dry_run=False))
        assert await seen(default) == state
    with pytest.raises(NotFound, match="no change to undo"):
        await default.do(Undo())
    for state in states[1:]:
        await default.do(Redo(dry_run=False))
        assert await seen(default) == state
    with pytest.raises(NotFound, match="no undoing"):
        await default.do(Redo())


async def test_what_was_done_since_stays(default: Place, world: World) -> None:
    await ground(default)
    await add(default, "Ada", "wrong")
    wrong = await world.last_change()
    await add(default, "Ada", "later")
    await default.do(UpdateEntity("Ada", properties={"age": 40}))
    await default.do(Undo(wrong, dry_run=False))
    assert await default.says("Ada") == ["a", "b", "later"]
    found = await default.entity("Ada")
    assert found is not None
    assert found.properties == {"age": 40, "x": "y"}


async def test_observations_come_back_where_they_stood(default: Place, world: World) -> None:
    await default.create("Ada", "a", "b", "c", "d")
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["b", "c"])]))
    gone = await world.last_change()
    await add(default, "Ada", "e")
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["a"])]))
    await default.do(Undo(gone, dry_run=False))
    assert await default.says("Ada") == ["b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        (UpdateEntity("Ada", properties={"age": 1}), UpdateEntity("Ada", properties={"age": 2}), "property 'age'"),
        (RenameEntity("Ada", "Countess"), RenameEntity("Countess", "Lady"), "its name was changed again"),
        (
            AddObservations([ObservationsInput("Ada", ["c"])]),
            Confirm(["Ada"], ["c"]),
            "observation 3 was changed again",
        ),
        (CreateEntities([EntityInput("New", "thing")]), Tag(["New"], ["t"]), "changed again since"),
        (
            CreateEntities([EntityInput("New", "thing")]),
            CreateRelations([RelationInput("Bob", "New", "has")]),
            "related since",
        ),
        (
            RenameEntity("Ada", "Countess"),
            CreateEntities([EntityInput("Ada", "thing")]),
            "the name 'Ada' is entity 3's",
        ),
        (Tag(["Ada"], ["t"]), PurgeEntities(["Ada"], confirm=True), "purged"),
        (CreateEntities([EntityInput("New", "thing")]), PurgeEntities(["New"], confirm=True), "purged"),
    ],
    ids=["property", "name", "observation", "tagged", "related", "taken", "purged", "created and purged"],
)
async def test_a_conflict_with_a_later_change_is_told_and_nothing_is_done(
    first: Any, then: Any, why: str, default: Place, world: World
) -> None:
    await ground(default)
    await default.do(first)
    change = await world.last_change()
    await default.do(then)
    before, last = await seen(default), await world.last_change()
    planned = await default.do(Undo(change))
    assert [(one.change, why in one.reason) for one in planned.conflicts] == [(change, True)], planned.conflicts
    with pytest.raises(Conflict, match="Nothing was undone"):
        await default.do(Undo(change, dry_run=False))
    assert (await seen(default), await world.last_change()) == (before, last)
    await world.sound()


async def test_one_conflict_keeps_all_of_an_undoing_from_being_done(world: World) -> None:
    eve = world.place("default", agent="eve")
    await eve.create("One", "x")
    await eve.create("Two", "x")
    await add(world.default, "Two", "mine")
    with pytest.raises(Conflict, match="Two"):
        await world.default.do(Undo(agent="eve", dry_run=False))
    assert await world.default.listed() == ["One", "Two"]


async def test_everything_by_somebody_since_a_time_is_undone_together(world: World) -> None:
    eve, session = world.place("default", agent="eve"), world.place("default", agent="eve", session="s2")
    await ground(world.default)
    await eve.create("Kept", "k")
    since = datetime.fromtimestamp(world.clock.ms / 1000, UTC) + timedelta(milliseconds=1)
    before = await seen(world.default)
    await eve.create("New", "n")
    await add(world.default, "Bob", "mine")
    await add(eve, "Ada", "c")
    await session.do(RenameEntity("Ada", "Countess"))
    await session.delete("Bob")
    planned = await world.default.do(Undo(session="s2"))
    assert sorted((one.act, one.name) for one in planned.effects) == [
        ("change", "Ada"), ("relate", "Countess likes Bob"), ("restore", "Bob"),
    ]  # fmt: skip
    done = await world.default.do(Undo(agent="eve", since=since, dry_run=False))
    assert len(done.changes) == 4
    after = await seen(world.default)
    bob = next(one for one in after[0] if one[2][0] == "bob")
    assert bob[2] == ["bob", "mine"]
    bob[2].remove("mine")
    assert after == before
    await world.default.do(Redo(dry_run=False))
    assert await world.default.listed() == ["Countess", "Kept", "New"]
    await world.sound()


async def test_what_is_undone_cannot_be_undone_again(default: Place, world: World) -> None:
    await default.create("Ada")
    await default.do(Undo(1, dry_run=False))
    for dry_run in (True, False):
        with pytest.raises(Conflict, match="undone already, by change 2") as refused:
            await default.do(Undo(1, dry_run=dry_run))
        assert "redo" in refused.value.hint
        with pytest.raises(Conflict, match="itself an undo"):
            await default.do(Undo(2, dry_run=dry_run))
    await default.do(Redo(1, dry_run=False))
    with pytest.raises(Conflict, match="not undone"):
        await default.do(Redo(1))
    with pytest.raises(Conflict, match="done again already"):
        await default.do(Redo(2))
    with pytest.raises(Conflict, match="itself a redo"):
        await default.do(Undo(3))


async def test_undoing_refuses_what_it_cannot_mean(default: Place, world: World) -> None:
    project = await world.overlay("project")
    await default.create("Ada")
    change = await world.last_change()
    with pytest.raises(NotFound, match="no change 99"):
        await default.do(Undo(99))
    with pytest.raises(Conflict, match="not made in space 'project'"):
        await project.do(Undo(change))
    with pytest.raises(Conflict, match="nothing that can be undone"):
        await default.do(Undo(1))  # made a space
    with pytest.raises(Invalid, match="one change"):
        await default.do(Undo(change, agent="x"))
    with pytest.raises(Invalid, match="everybody"):
        await default.do(Undo(since=datetime(2020, 1, 1, tzinfo=UTC)))
    with pytest.raises(NotFound, match="by them"):
        await default.do(Undo(agent="nobody"))
    await default.do(MemoryCommit("then"))
    assert (await default.do(Undo())).changes == [change]
    await default.do(PurgeEntities(["Ada"], confirm=True))
    with pytest.raises(Conflict, match="cannot be undone"):
        await default.do(Undo(await world.last_change()))


async def test_an_overlays_change_is_undone_in_the_overlay_alone(default: Place, world: World) -> None:
    project = await world.overlay("project")
    await ground(default)
    await add(project, "Ada", "mine")
    await project.do(Undo(dry_run=False))
    assert await project.says("Ada") == ["a", "b"]
    await project.delete("Ada")
    assert await project.related() == set()
    await project.do(Undo(dry_run=False))
    assert await project.says("Ada") == ["a", "b"]
    assert await project.related() == await default.related()
    await world.sound()


async def test_messages_are_withdrawn_and_stand_again(default: Place, world: World) -> None:
    await default.say("talk", "first parrot")
    await default.say("talk", "second parrot", "third zebra")
    said = await world.last_change()
    await default.say("talk", "fourth parrot")
    planned = await default.do(Undo(said))
    assert [(one.subject, one.act, one.name) for one in planned.effects] == [("messages", "withdraw", "talk")]
    await default.do(Undo(said, dry_run=False))
    assert await default.heard("talk") == ["first parrot", "fourth parrot"]
    assert await default.overheard("zebra") == []
    assert await default.overheard("zebra", as_of=said) == ["third zebra"]
    await default.do(Redo(dry_run=False))
    assert await default.heard("talk") == ["first parrot", "second parrot", "third zebra", "fourth parrot"]
    assert (await default.overheard("zebra"))[0] == "third zebra"
    await default.do(Undo(said, dry_run=False))
    assert await default.overheard("zebra") == []
    with pytest.raises(Conflict, match="appended"):
        await default.do(Undo(1, dry_run=False))
    await world.sound()


async def test_the_journal_says_who_did_what_to_what(world: World) -> None:
    ada, bob = world.place("default", agent="ada", session="s1"), world.place("default", agent="bob")
    await ada.create("One", "x")
    await bob.do(AddObservations([ObservationsInput("One", ["y"])], message="why"))
    await bob.create("Two")
    await bob.relate("Two", "of", "One")
    await ada.do(Undo(2, dry_run=False))
    page = await ada.do(Journal())
    assert [(one.change, one.op, one.origin.agent, one.undone_by) for one in page.entries] == [
        (5, "undo", "ada", None), (4, "create_relations", "bob", None), (3, "create_entities", "bob", None), (2, "add_observations", "bob", 5),
        (1, "create_entities", "ada", None),
    ]  # fmt: skip
    (deed,) = page.entries[3].deeds
    assert (deed.subject, deed.act, deed.name, deed.before, deed.after, page.entries[3].message) == (
        "entity",
        "update",
        "One",
        1,
        2,
        "why",
    )
    assert [one.subject for one in page.entries[0].deeds] == ["entity", "change"]

    async def numbers(**asked: Any) -> list[int]:
        return [one.change for one in (await ada.do(Journal(**asked))).entries]

    assert await numbers(agent="bob") == [4, 3, 2]
    assert await numbers(session="s1") == [5, 1]
    assert await numbers(of="One") == [5, 4, 2, 1]
    assert await numbers(ops=["undo"]) == [5]
    assert await numbers(change=3) == [3]
    first = await ada.do(Journal(limit=2))
    assert await numbers(limit=2, before=first.cursor) == [3, 2]


async def test_a_branchs_journal_ends_where_it_began_but_for_its_own(default: Place, world: World) -> None:
    await default.create("Ada")
    branch = await world.branch("branch")
    await default.create("Bob")
    await branch.create("Cleo")
    ops = [
        (one.space, one.deeds[0].name)
        for one in (await branch.do(Journal())).entries
        if one.deeds[0].subject == "entity"
    ]
    assert ops == [("branch", "Cleo"), ("default", "Ada")]


# Merges and conflicts


async def test_a_merge_that_was_undone_is_offered_again_and_one_redone_is_not(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    await default.say("talk", "here")
    branch = await world.branch("b")
    await branch.add("Ada", "b")
    await branch.say("talk", "there")
    merged = await default.do(MergeBranch("b"))
    assert (merged.updated, merged.messages) == (1, 1)
    number = await world.last_change()
    await default.do(Undo(number, dry_run=False))
    assert (await default.says("Ada"), await default.heard("talk")) == (["a"], ["here"])
    offered = await default.do(MergeBranch("b", dry_run=True))
    assert (offered.updated, offered.messages) == (1, 1)
    await default.do(Redo(number, dry_run=False))
    assert (await default.says("Ada"), await default.heard("talk")) == (["a", "b"], ["here", "there"])
    again = await default.do(MergeBranch("b"))
    assert (again.updated, again.messages) == (0, 0)
    await world.sound()


async def test_a_resolution_that_was_undone_leaves_its_conflict_pending(default: Place, world: World) -> None:
    await default.create("Ada", "Is vegan", type="person")
    await default.create("Eve", "Is vegan", type="person")
    proposal = Proposal(1, 2, 0, 0, "duplicate", 1.0, "the same", "merge")
    conflict = await default.write(lambda tx: tx.conflicts.record(proposal))

    async def status() -> list[str]:
        return [one.status for one in (await default.do(ListConflicts("any"))).conflicts]

    await default.do(ResolveConflict(conflict, "merge"))
    resolved = await world.last_change()
    assert await status() == ["merged"]
    await default.do(Undo(resolved, dry_run=False))
    assert await status() == ["pending"]
    assert await default.listed() == ["Ada", "Eve"]
    await default.do(Redo(resolved, dry_run=False))
    assert await status() == ["merged"]
    assert await default.listed() == ["Ada"]
    await world.sound()
