"""An overlay reads through to its parent as it is; what is changed in it stays in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.errors import Conflict
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    OpenNodes,
    Pin,
    Quarantine,
    RenameEntity,
    RestoreEntities,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import DeleteRelations
from enhanced_memory.client.values import EntityInput, Filter, RelationInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def test_an_overlay_sees_what_its_parent_knows_and_says_whose_it_is(default: Place, project: Place) -> None:
    await default.create("Ada", "a")
    await project.create("Bob", "b")
    assert [(one.name, one.space) for one in (await project.do(OpenNodes(["Ada", "Bob"]))).entities] == [
        ("Ada", "default"),
        ("Bob", "project"),
    ]
    assert await project.listed() == ["Ada", "Bob"]
    assert await default.listed() == ["Ada"]


async def test_a_live_parents_changes_are_seen_until_the_overlay_has_its_own(default: Place, project: Place) -> None:
    await default.create("Ada", "a")
    await default.add("Ada", "b")
    assert await project.says("Ada") == ["a", "b"]
    await project.add("Ada", "mine")
    await default.add("Ada", "c")
    assert await project.says("Ada") == ["a", "b", "mine"]
    assert await default.says("Ada") == ["a", "b", "c"]


async def test_a_change_in_an_overlay_leaves_the_parent_as_it_was(default: Place, project: Place, world: World) -> None:
    number = await default.create("Ada", "old words", type="person", tags=["t"], properties={"age": 36})
    before = await default.entity("Ada")
    await project.do(UpdateEntity("Ada", type="countess", properties={"age": 37}, priority=9))
    await project.do(Tag(["Ada"], ["mine"]))
    await project.do(Pin(["Ada"]))
    await project.add(number, "newwords")
    assert await default.entity("Ada") == before
    assert await default.found("newwords") == []
    mine = await project.entity("Ada")
    assert mine is not None
    assert (mine.id, mine.space, mine.type, mine.tags, mine.properties, mine.always_include) == (
        number,
        "project",
        "countess",
        ["t", "mine"],
        {"age": 37},
        True,
    )
    await world.sound()


async def test_an_overlays_own_entity_is_nobody_elses(default: Place, project: Place, world: World) -> None:
    other = await world.overlay("other")
    number = await project.create("Bob", "secretword", tags=["t"])
    for place in (default, other):
        assert await place.entity("Bob") is None
        assert await place.entity(number) is None
        assert await place.listed() == []
        assert await place.found("secretword") == []
        assert await place.found("Bob") == []


async def test_a_deletion_in_an_overlay_hides_and_a_restoration_shows_again(
    default: Place, project: Place, world: World
) -> None:
    number = await default.create("Ada", "findme", tags=["t"])
    await project.delete("Ada")
    assert await project.entity("Ada") is None
    assert await project.entity(number) is None
    assert await project.listed() == []
    assert await project.listed(deleted=True) == ["Ada"]
    assert await project.listed(tags=["t"]) == []
    assert await project.found("findme") == []
    assert await project.found("Ada") == []
    assert await default.says("Ada") == ["findme"]
    await default.add("Ada", "later")
    await project.do(RestoreEntities(["Ada"]))
    assert await project.says("Ada") == ["findme"]
    assert await project.listed(tags=["t"]) == ["Ada"]
    assert await project.found("findme") == ["Ada"]
    await world.sound()


async def test_what_the_parent_deleted_can_be_restored_in_the_overlay_alone(default: Place, project: Place) -> None:
    await default.create("Ada", "a")
    await default.create("Bob")
    await default.relate("Ada", "knows", "Bob")
    await default.delete("Ada")
    assert await project.entity("Ada") is None
    await project.do(RestoreEntities(["Ada"]))
    assert await project.says("Ada") == ["a"]
    assert await project.related() == {("Ada", "knows", "Bob")}
    assert await default.entity("Ada") is None
    assert await default.related() == set()


async def test_a_name_freed_in_an_overlay_can_be_given_again_there(default: Place, project: Place) -> None:
    first = await default.create("Ada", "old")
    await project.delete("Ada")
    second = await project.create("Ada", "new")
    assert second != first
    assert await project.says("Ada") == ["new"]
    assert await project.listed() == ["Ada"]
    assert await default.says("Ada") == ["old"]
    with pytest.raises(Conflict, match="taken") as refused:
        await project.do(RestoreEntities([first]))
    assert "as_name" in refused.value.hint
    await project.do(RestoreEntities([first], as_name="Ada the first"))
    assert sorted(await project.listed()) == ["Ada", "Ada the first"]


async def test_a_rename_in_an_overlay_hides_the_old_name_there_alone(default: Place, project: Place) -> None:
    number = await default.create("Ada", "a")
    await project.do(RenameEntity("Ada", "Countess"))
    assert await project.entity("Ada") is None
    assert await project.listed() == ["Countess"]
    assert await project.listed(order_by="name") == ["Countess"]
    assert await project.found("Ada") == []
    assert await project.found("Countess") == ["Countess"]
    assert await default.listed() == ["Ada"]
    assert await default.entity("Countess") is None
    assert await project.create("Ada") != number


async def test_a_parents_rename_is_seen_unless_the_overlay_has_its_own(default: Place, project: Place) -> None:
    for name in ("Ada", "Bob"):
        await default.create(name)
    await project.add("Bob", "mine")
    await default.do(RenameEntity("Ada", "Ada2"))
    await default.do(RenameEntity("Bob", "Bob2"))
    assert await project.listed() == ["Ada2", "Bob"]
    assert await project.entity("Bob2") is None
    assert await project.entity("Ada") is None


async def test_an_own_entity_cannot_take_a_name_that_the_parents_has(default: Place, project: Place) -> None:
    await default.create("Ada")
    await project.create("Bob")
    with pytest.raises(Conflict, match="taken"):
        await project.do(RenameEntity("Bob", "Ada"))
    await default.create("Eve")
    await project.add("Eve", "mine")
    with pytest.raises(Conflict, match="taken"):
        await project.do(RenameEntity("Eve", "Ada"))
    assert await project.listed() == ["Ada", "Bob", "Eve"]


async def test_creating_in_an_overlay_meets_what_the_parent_has(default: Place, project: Place) -> None:
    number = await default.create("Ada", "a")
    made = await project.do(CreateEntities([EntityInput("Ada", "thing", ["b"])]))
    assert (made.results[0].id, made.results[0].action, made.space) == (number, "updated", "project")
    assert await project.says("Ada") == ["a", "b"]
    assert await default.says("Ada") == ["a"]


async def test_where_both_have_the_name_the_nearest_is_meant(default: Place, project: Place) -> None:
    mine = await project.create("Ada", "mine")
    theirs = await default.create("Ada", "theirs")
    assert await project.says("Ada") == ["mine"]
    assert await project.says(theirs) == ["theirs"]
    assert await default.says("Ada") == ["theirs"]
    assert await default.entity(mine) is None


async def test_filters_judge_what_the_overlay_says(default: Place, project: Place) -> None:
    await default.create("Ada", type="person", tags=["x"], properties={"age": 36}, priority=3)
    await project.do(Untag(["Ada"], ["x"]))
    await project.do(UpdateEntity("Ada", type="robot", properties={"age": 1}, priority=8, tier="semantic"))
    await project.do(Quarantine(["Ada"]))
    by_age = [Filter("age", equal=36)]
    assert await project.listed(tags=["x"]) == []
    assert await project.listed(types=["person"]) == []
    assert await project.listed(where=by_age) == []
    assert await project.listed(
        types=["robot"], tiers=["semantic"], quarantined=True, where=[Filter("age", at_most=1)]
    ) == ["Ada"]
    assert await default.listed(tags=["x"], types=["person"], where=by_age, quarantined=False) == ["Ada"]
    assert await project.found("Ada") == []
    assert await default.found("Ada") == ["Ada"]


async def test_searching_an_overlay_finds_own_words_and_the_parents_but_not_what_it_overrode(
    default: Place, project: Place
) -> None:
    await default.create("Ada", "analytical engine")
    await default.create("Bob", "difference engine")
    first = (await project.do(OpenNodes(["Ada"], details=True))).entities[0].details[0].id
    await project.do(DeleteObservations([ObservationsDeletion("Ada", [first])]))
    await project.add("Ada", "steam locomotive")
    assert await project.found("engine") == ["Bob"]
    assert await project.found("locomotive") == ["Ada"]
    assert sorted(await default.found("engine")) == ["Ada", "Bob"]
    assert await default.found("locomotive") == []


async def test_relations_made_or_removed_in_an_overlay_stay_in_it(default: Place, project: Place, world: World) -> None:
    for name in ("a", "b", "c"):
        await default.create(name)
    await default.relate("a", "likes", "b")
    await project.relate("b", "likes", "c")
    await project.do(DeleteRelations([RelationInput("a", "b", "likes")]))
    assert await project.related() == {("b", "likes", "c")}
    assert await default.related() == {("a", "likes", "b")}
    await project.relate("a", "likes", "b")
    assert await project.related() == {("a", "likes", "b"), ("b", "likes", "c")}
    await world.sound()


async def test_a_relation_both_have_is_one_and_goes_as_one(default: Place, project: Place) -> None:
    for name in ("a", "b"):
        await default.create(name)
    await project.relate("a", "likes", "b")
    await default.relate("a", "likes", "b")
    assert await project.related() == {("a", "likes", "b")}
    assert (await project.do(DeleteRelations([RelationInput("a", "b", "likes")]))).removed == 1
    assert await project.related() == set()
    assert await default.related() == {("a", "likes", "b")}


async def test_deleting_in_an_overlay_hides_the_parents_relations_and_restoring_shows_them(
    default: Place, project: Place
) -> None:
    for name in ("a", "b"):
        await default.create(name)
    await default.relate("a", "likes", "b")
    await project.delete("a")
    assert await project.related() == set()
    assert await default.related() == {("a", "likes", "b")}
    await project.do(RestoreEntities(["a"]))
    assert await project.related() == {("a", "likes", "b")}
    assert {edge.type for edge in (await project.do(OpenNodes(["b"]))).relations} == {"likes"}


async def test_a_renamed_end_is_told_by_the_name_it_has_here(default: Place, project: Place) -> None:
    for name in ("a", "b"):
        await default.create(name)
    await default.relate("a", "likes", "b")
    await project.do(RenameEntity("a", "A"))
    assert await project.related() == {("A", "likes", "b")}
    assert await default.related() == {("a", "likes", "b")}


async def test_a_dangling_end_is_adopted_in_the_overlay_alone(default: Place, project: Place, world: World) -> None:
    await default.create("a")
    await default.relate("a", "likes", "ghost")
    number = await project.create("ghost")
    (edge,) = (await project.do(OpenNodes(["ghost"]))).relations
    assert (edge.from_, edge.to, edge.to_id) == ("a", "ghost", number)
    (edge,) = (await default.do(OpenNodes(["a"]))).relations
    assert (edge.to, edge.to_id) == ("ghost", None)
    other = await default.create("ghost")
    (edge,) = (await default.do(OpenNodes(["a"]))).relations
    assert edge.to_id == other
    (edge,) = (await project.do(OpenNodes(["a"]))).relations
    assert edge.to_id == number
    await world.sound()


async def test_messages_of_an_overlay_follow_the_parents_and_are_heard_there_alone(
    default: Place, project: Place
) -> None:
    await default.say("talk", "one parrot")
    await project.say("talk", "two parrot")
    await default.say("talk", "three parrot")
    assert await project.heard("talk") == ["one parrot", "two parrot", "three parrot"]
    assert await default.heard("talk") == ["one parrot", "three parrot"]
    assert sorted(await project.overheard("parrot")) == sorted(await project.heard("talk"))
    assert sorted(await default.overheard("parrot")) == sorted(await default.heard("talk"))


async def test_an_overlays_history_goes_on_into_its_parents(default: Place, project: Place) -> None:
    await default.create("Ada", "a")
    await default.add("Ada", "b")
    await project.add("Ada", "mine")
    await default.add("Ada", "theirs")
    told = [(one.version, one.space, one.observations, one.current) for one in await project.history("Ada")]
    assert told == [
        (3, "project", ["a", "b", "mine"], True),
        (2, "default", ["a", "b"], False),
        (1, "default", ["a"], False),
    ]
    assert [one.observations[-1] for one in await default.history("Ada")] == ["theirs", "b", "a"]


async def test_a_copy_keeps_the_time_of_its_birth(default: Place, project: Place) -> None:
    await default.create("Ada", "a")
    before = await default.entity("Ada")
    await project.add("Ada", "b")
    after = await project.entity("Ada")
    assert before is not None
    assert after is not None
    assert after.created_at == before.created_at
    assert after.updated_at != before.updated_at


async def test_three_levels_each_see_down_and_never_up(default: Place, project: Place, world: World) -> None:
    task = await world.overlay("task", "project")
    await default.create("Ada", "ground")
    await project.create("Bob", "middle")
    await task.create("Eve", "top")
    assert [await place.listed() for place in (default, project, task)] == [
        ["Ada"],
        ["Ada", "Bob"],
        ["Ada", "Bob", "Eve"],
    ]
    await project.add("Ada", "from project")
    assert await task.says("Ada") == ["ground", "from project"]
    await task.add("Ada", "from task")
    await project.add("Ada", "later")
    assert await task.says("Ada") == ["ground", "from project", "from task"]
    assert await project.says("Ada") == ["ground", "from project", "later"]
    assert await default.says("Ada") == ["ground"]
    await project.delete("Bob")
    assert await task.listed() == ["Ada", "Eve"]
    await task.relate("Eve", "likes", "Ada")
    await project.relate("Ada", "likes", "Ada")
    assert await task.related() == {("Eve", "likes", "Ada"), ("Ada", "likes", "Ada")}
    assert await project.related() == {("Ada", "likes", "Ada")}
    assert await default.related() == set()
    assert [one.space for one in await task.history("Ada")] == ["task", "project", "default"]
    await world.sound()


async def test_a_space_made_by_its_first_change_is_seen_within_that_change(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    new = world.place("new", parent="default")
    assert await new.says("Ada") == ["a"]
    made = await new.do(
        CreateEntities(
            [EntityInput("Bob", "thing", ["b"]), EntityInput("Bob", "thing", ["c"]), EntityInput("Ada", "thing", ["d"])]
        )
    )
    assert [one.action for one in made.results] == ["created", "updated", "updated"]
    assert await new.says("Bob") == ["b", "c"]
    assert await new.says("Ada") == ["a", "d"]
    assert await default.listed() == ["Ada"]
    assert [(space.name, space.parent) for space in await new.read(lambda tx: tx.spaces.all(False))] == [
        ("default", None),
        ("new", "default"),
    ]


async def test_a_space_is_made_within_the_change_that_needs_it_whatever_that_change_is(
    default: Place, world: World
) -> None:
    await default.create("Ada")
    new = world.place("new", parent="default")
    await new.delete("Ada")
    assert await new.listed() == []
    other = world.place("other", parent="default")
    await other.relate("Ada", "likes", "Ada")
    assert await other.related() == {("Ada", "likes", "Ada")}
    assert await default.related() == set()
    third = world.place("third", parent="default")
    await third.say("talk", "hello")
    assert await third.heard("talk") == ["hello"]
