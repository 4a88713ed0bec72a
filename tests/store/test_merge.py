"""A merge takes what one side alone changed, leaves what both changed, says so, and never takes the same thing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.branches import MergeBranch, MergeConflict, Merged
from enhanced_memory.client.operations.conflicts import ListConflicts, ResolveConflict
from enhanced_memory.client.operations.entities import (
    Confirm,
    DeleteObservations,
    ObservationsDeletion,
    OpenNodes,
    PurgeEntities,
    RenameEntity,
    RestoreEntities,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.values import RelationInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def merge(place: Place, branch: str | None = "b", **more: Any) -> Merged:
    return await place.do(MergeBranch(branch, **more))


async def change(place: Place, ref: int | str = "Ada", **what: Any) -> None:
    await place.do(UpdateEntity(ref, **what))


async def take(place: Place, ref: int | str, *texts: str) -> None:
    await place.do(DeleteObservations([ObservationsDeletion(ref, list(texts))]))


def parts(merged: Merged) -> list[tuple[str, str]]:
    return [(one.part, one.settled) for one in merged.conflicts]


@pytest.fixture
async def ada(default: Place) -> int:
    """Somebody whom both sides may change."""
    return await default.create(
        "Ada", "tea", "chess", type="person", tags=["x", "y"], properties={"age": 36, "city": "London"}
    )


@pytest.fixture
async def branch(world: World, ada: int) -> Place:
    """Somebody in a branch that knows Ada."""
    return await world.branch("b")


# What is clean


async def test_what_the_branch_alone_changed_comes_whole(default: Place, branch: Place, world: World, ada: int) -> None:
    await branch.add("Ada", "rum")
    await take(branch, "Ada", "tea")
    await change(branch, type="countess", properties={"age": 37, "city": None, "new": [1]}, priority=9, tier="semantic")
    await branch.do(Untag(["Ada"], ["x"]))
    await branch.do(Tag(["Ada"], ["z"]))
    await branch.do(RenameEntity("Ada", "Countess"))
    merged = await merge(default)
    assert (merged.updated, merged.open, merged.settled, merged.created, merged.deleted) == (1, 0, 0, 0, 0)
    found = await default.entity("Countess")
    theirs = await branch.entity("Countess")
    assert found is not None
    assert theirs is not None
    assert found.id == ada
    for name in ("observations", "type", "properties", "tags", "priority", "tier", "created_at"):
        assert getattr(found, name) == getattr(theirs, name), name
    assert await default.entity("Ada") is None
    assert await default.found("rum") == ["Countess"]
    assert await default.found("tea") == []
    assert await default.listed(tags=["z"]) == ["Countess"]
    await world.sound()


async def test_changes_of_different_parts_are_both_kept(default: Place, branch: Place, world: World) -> None:
    await branch.add("Ada", "from branch")
    await default.add("Ada", "from parent")
    await take(branch, "Ada", "tea")
    await take(default, "Ada", "chess")
    await change(branch, properties={"age": 37})
    await change(default, properties={"city": "Paris"})
    await branch.do(Tag(["Ada"], ["b"]))
    await default.do(Untag(["Ada"], ["x"]))
    await branch.do(RenameEntity("Ada", "Countess"))
    await change(default, type="countess")
    merged = await merge(default)
    assert merged.conflicts == []
    found = await default.entity("Countess")
    assert found is not None
    assert sorted(found.observations) == ["from branch", "from parent"]
    assert (found.type, found.properties, sorted(found.tags)) == ("countess", {"age": 37, "city": "Paris"}, ["b", "y"])
    assert await branch.says("Countess") == ["chess", "from branch"]
    await world.sound()


async def test_the_same_change_on_both_sides_is_no_conflict(default: Place, branch: Place) -> None:
    for place in (default, branch):
        await place.add("Ada", "rum")
        await take(place, "Ada", "tea")
        await change(place, properties={"age": 37}, type="countess")
        await place.do(RenameEntity("Ada", "Countess"))
        await place.do(Tag(["Countess"], ["z"]))
    before = await default.entity("Countess")
    merged = await merge(default)
    assert (merged.conflicts, merged.updated) == ([], 0)
    assert await default.entity("Countess") == before


async def test_merged_observations_keep_who_said_them_and_when(default: Place, branch: Place, world: World) -> None:
    other = world.place("b", agent="somebody else")
    await other.add("Ada", "rum")
    said = (await branch.do(OpenNodes(["Ada"], details=True))).entities[0].details[-1]
    await default.add("Ada", "mine")
    await merge(default)
    details = (await default.do(OpenNodes(["Ada"], details=True))).entities[0].details
    kept = next(one for one in details if one.text == "rum")
    assert (kept.origin.agent, kept.change, kept.at) == ("somebody else", said.change, said.at)
    assert len({one.id for one in details}) == len(details)


async def test_what_the_branch_made_has_the_same_id_and_time_in_the_parent(
    default: Place, branch: Place, world: World
) -> None:
    number = await branch.create("Bob", "b", tags=["t"])
    made = await branch.entity("Bob")
    merged = await merge(default)
    assert [(one.id, one.name, one.action) for one in merged.results] == [(number, "Bob", "created")]
    found = await default.entity("Bob")
    assert found is not None
    assert made is not None
    assert (found.id, found.observations, found.created_at) == (number, ["b"], made.created_at)
    assert await default.found("b") == ["Bob"]
    await world.sound()


async def test_a_deletion_comes_with_its_relations_and_a_restoration_brings_them_back(
    default: Place, branch: Place, world: World
) -> None:
    await default.create("Bob")
    await default.relate("Ada", "likes", "Ada")
    second = await world.branch("c")
    await second.delete("Ada")
    merged = await merge(default, "c")
    assert (merged.deleted, merged.open) == (1, 0)
    assert await default.entity("Ada") is None
    assert await default.related() == set()
    third = await world.branch("d")
    await third.do(RestoreEntities(["Ada"]))
    await third.add("Ada", "back")
    merged = await merge(default, "d")
    assert (merged.restored, merged.open) == (1, 0)
    assert await default.says("Ada") == ["tea", "chess", "back"]
    assert await default.related() == {("Ada", "likes", "Ada")}
    await world.sound()


async def test_relations_come_and_go_by_ends_and_type(default: Place, branch: Place, world: World) -> None:
    await default.create("Bob")
    await default.relate("Ada", "likes", "Bob")
    await default.relate("Bob", "likes", "Ada")
    b = await world.branch("c")
    await b.do(DeleteRelations([RelationInput("Ada", "Bob", "likes")]))
    await b.create("Eve")
    await b.relate("Eve", "knows", "Ada")
    await b.relate("Bob", "knows", "nobody yet")
    await default.relate("Ada", "knows", "Bob")
    merged = await merge(default, "c")
    assert (merged.relations_added, merged.relations_removed, merged.conflicts) == (2, 1, [])
    assert await default.related() == {
        ("Bob", "likes", "Ada"),
        ("Eve", "knows", "Ada"),
        ("Bob", "knows", "nobody yet"),
        ("Ada", "knows", "Bob"),
    }
    await world.sound()


async def test_a_name_that_the_branch_filled_is_filled_in_the_parent(
    default: Place, branch: Place, world: World
) -> None:
    await default.relate("Ada", "likes", "ghost")
    await default.relate("Ada", "fears", "ghost")
    b = await world.branch("c")
    ghost = await b.create("ghost")
    await b.do(DeleteRelations([RelationInput("Ada", "ghost", "fears")]))
    merged = await merge(default, "c")
    assert merged.conflicts == []
    (edge,) = (await default.do(OpenNodes(["Ada"]))).relations
    assert (edge.type, edge.to, edge.to_id) == ("likes", "ghost", ghost)
    await world.sound()


async def test_messages_of_the_branch_follow_those_of_the_parent(default: Place, world: World) -> None:
    await default.say("talk", "one parrot")
    b = await world.branch("b")
    await default.say("talk", "two parrot")
    await b.say("talk", "three parrot", speaker="Eve", tick=7)
    await b.say("other", "four parrot")
    merged = await merge(default)
    assert merged.messages == 2
    assert await default.heard("talk") == ["one parrot", "two parrot", "three parrot"]
    assert await default.heard("other") == ["four parrot"]
    assert len(await default.overheard("parrot")) == 4
    assert (await merge(default)).messages == 0
    assert await b.heard("talk") == ["one parrot", "three parrot"]
    await world.sound()


async def test_names_that_change_places_do(default: Place, world: World) -> None:
    ids = [await default.create(name, name) for name in ("a", "b", "c")]
    b = await world.branch("ring")
    for old, new in (("a", "x"), ("b", "a"), ("c", "b"), ("x", "c")):
        await b.do(RenameEntity(old, new))
    merged = await merge(default, "ring")
    assert (merged.conflicts, merged.updated) == ([], 3)
    assert [await default.says(name) for name in ("a", "b", "c")] == [["b"], ["c"], ["a"]]
    assert [one.name for one in (await default.do(OpenNodes(list(ids)))).entities] == ["c", "a", "b"]
    assert [len(await default.history(number)) for number in ids] == [2, 2, 2]
    await world.sound()


async def test_a_name_freed_by_a_deletion_is_given_to_what_the_branch_made(default: Place, branch: Place) -> None:
    await branch.delete("Ada")
    second = await branch.create("Ada", "another")
    merged = await merge(default)
    assert (merged.deleted, merged.created, merged.open) == (1, 1, 0)
    found = await default.entity("Ada")
    assert found is not None
    assert (found.id, found.observations) == (second, ["another"])


# What is in conflict


SIDES = {
    "report": ({"age": 1}, "king", 3, ""),
    "ours": ({"age": 1}, "king", 3, "ours"),
    "theirs": ({"age": 2}, "queen", 9, "theirs"),
}


@pytest.mark.parametrize("strategy", list(SIDES))
async def test_what_both_changed_otherwise_is_told_with_both_sides_and_the_base(
    default: Place, branch: Place, world: World, ada: int, strategy: Any
) -> None:
    await change(default, properties={"age": 1}, type="king", priority=3)
    await change(branch, properties={"age": 2}, type="queen", priority=9)
    await branch.add("Ada", "clean")
    merged = await merge(default, strategy=strategy)
    properties, kind, priority, settled = SIDES[strategy]
    told = {(one.part, one.base, one.ours, one.theirs, one.settled) for one in merged.conflicts}
    assert told == {
        ("property:age", 36, 1, 2, settled),
        ("type", "person", "king", "queen", settled),
        ("priority", 5, 3, 9, settled),
    }
    assert {(one.id, one.name) for one in merged.conflicts} == {(ada, "Ada")}
    assert (merged.open, merged.settled) == ((3, 0) if not settled else (0, 3))
    found = await default.entity("Ada")
    assert found is not None
    assert (found.properties, found.type, found.priority) == (properties | {"city": "London"}, kind, priority)
    assert found.observations == ["tea", "chess", "clean"]
    await world.sound()


async def test_union_keeps_both_where_both_can_be(default: Place, branch: Place) -> None:
    await change(default, properties={"age": 1, "city": ["A", "B"], "map": {"a": 1}}, type="king")
    await change(branch, properties={"age": 2, "city": ["B", "C"], "map": {"b": 2}}, type="queen")
    merged = await merge(default, strategy="union")
    assert sorted(parts(merged)) == [
        ("property:age", "union"),
        ("property:city", "union"),
        ("property:map", "union"),
        ("type", ""),
    ]
    found = await default.entity("Ada")
    assert found is not None
    assert found.properties == {"age": [1, 2], "city": ["A", "B", "C"], "map": {"a": 1, "b": 2}}
    assert found.type == "king"


@pytest.mark.parametrize(
    ("strategy", "there", "open_"), [("report", True, 1), ("ours", True, 0), ("theirs", False, 0), ("union", True, 0)]
)
async def test_deleted_in_the_branch_and_changed_in_the_parent(
    default: Place, branch: Place, world: World, strategy: Any, there: bool, open_: int
) -> None:
    await branch.delete("Ada")
    await default.add("Ada", "new")
    merged = await merge(default, strategy=strategy)
    (conflict,) = merged.conflicts
    assert (conflict.part, conflict.theirs, conflict.ours["observations"]) == ("entity", None, ["tea", "chess", "new"])
    assert (await default.entity("Ada") is not None) is there
    assert merged.open == open_
    assert (await merge(default)).open == open_
    await world.sound()


@pytest.mark.parametrize(
    ("strategy", "there", "open_"), [("report", False, 1), ("ours", False, 0), ("theirs", True, 0), ("union", True, 0)]
)
async def test_deleted_in_the_parent_and_changed_in_the_branch(
    default: Place, branch: Place, world: World, strategy: Any, there: bool, open_: int
) -> None:
    await branch.add("Ada", "new")
    await branch.create("Bob")
    await branch.relate("Bob", "likes", "Ada")
    await default.delete("Ada")
    merged = await merge(default, strategy=strategy)
    (conflict,) = merged.conflicts
    assert (conflict.part, conflict.ours, conflict.theirs["observations"]) == ("entity", None, ["tea", "chess", "new"])
    assert await default.says("Ada") == (["tea", "chess", "new"] if there else None)
    assert await default.related() == ({("Bob", "likes", "Ada")} if there else set())
    assert merged.open == open_
    again = await merge(default)
    assert (again.open, again.created) == (open_, 0)
    await world.sound()


async def test_a_deletion_of_what_the_other_side_left_alone_is_no_conflict(
    default: Place, branch: Place, world: World
) -> None:
    await default.delete("Ada")
    await branch.do(Tag(["Ada"], ["new"]))
    await branch.do(Untag(["Ada"], ["new"]))
    assert (await merge(default)).conflicts == []
    assert await default.entity("Ada") is None


async def test_one_name_for_two_made_apart_is_a_conflict_and_a_strategy_makes_them_one(
    default: Place, world: World
) -> None:
    places = {name: await world.branch(name) for name in ("report", "ours", "theirs", "union")}
    await default.create("Ann")
    for strategy, place in places.items():
        name = f"Bob {strategy}"
        mine = await default.create(name, "mine", type="king")
        await place.create(name, "theirs", type="queen")
        await place.create(f"Eve {strategy}")
        await place.relate(f"Eve {strategy}", "likes", name)
        merged = await merge(default, strategy, strategy=strategy)
        assert ("entity", "" if strategy == "report" else strategy) in parts(merged)
        found = await default.entity(name)
        assert found is not None
        assert found.id == mine
        assert (found.observations, found.type) == {
            "report": (["mine"], "king"),
            "ours": (["mine"], "king"),
            "theirs": (["mine", "theirs"], "queen"),
            "union": (["mine", "theirs"], "king"),
        }[strategy]
        assert ((f"Eve {strategy}", "likes", name) in await default.related()) is (strategy != "report")
        assert merged.relations_waiting == (strategy == "report")
    await places["union"].add("Bob union", "more")
    assert (await merge(default, "union")).updated == 1
    assert await default.says("Bob union") == ["mine", "theirs", "more"]
    await world.sound()


async def test_a_new_name_that_is_taken_keeps_the_old_and_waits(default: Place, branch: Place, world: World) -> None:
    await branch.do(RenameEntity("Ada", "Countess"))
    await branch.add("Countess", "clean")
    other = await default.create("Countess")
    merged = await merge(default, strategy="theirs")
    assert parts(merged) == [("name", "")]
    assert str(other) in merged.conflicts[0].says
    assert await default.says("Ada") == ["tea", "chess", "clean"]
    await default.do(RenameEntity("Countess", "Other"))
    assert (await merge(default)).conflicts == []
    assert await default.says("Countess") == ["tea", "chess", "clean"]
    await world.sound()


@pytest.mark.parametrize(
    ("strategy", "says"),
    [("report", True), ("ours", True), ("theirs", False), ("union", True)],
)
async def test_an_observation_that_one_side_removed_and_the_other_confirmed(
    default: Place, branch: Place, world: World, strategy: Any, says: bool
) -> None:
    await take(branch, "Ada", "tea")
    await default.do(Confirm(["Ada"], ["tea"]))
    await default.do(Confirm(["Ada"], ["chess"]))
    await branch.do(Confirm(["Ada"], ["chess"]))
    merged = await merge(default, strategy=strategy)
    (conflict,) = merged.conflicts
    assert (conflict.part, conflict.theirs) == ("observation:1", None)
    assert (conflict.base, conflict.ours["text"]) == ({"text": "tea"}, "tea")
    assert conflict.ours["confirmed_at"] is not None
    assert await default.says("Ada") == (["tea", "chess"] if says else ["chess"])
    assert (await merge(default)).open == (strategy == "report")
    assert (await merge(default, strategy="theirs")).settled == (strategy == "report")
    assert await default.says("Ada") == (["tea", "chess"] if strategy in ("ours", "union") else ["chess"])
    details = (await default.do(OpenNodes(["Ada"], details=True))).entities[0].details
    assert details[-1].origin.trust == "user"
    await world.sound()


@pytest.mark.parametrize("strategy", ["report", "ours", "theirs", "union"])
async def test_a_relation_that_both_changed_otherwise(
    default: Place, branch: Place, world: World, strategy: Any
) -> None:
    async def strength(place: Place, value: float) -> None:
        await place.do(DeleteRelations([RelationInput("Ada", "Ada", "likes")]))
        await place.do(CreateRelations([RelationInput("Ada", "Ada", "likes", strength=value)]))

    await strength(default, 0.5)
    b = await world.branch("c")
    await strength(b, 0.9)
    await strength(default, 0.1)
    merged = await merge(default, "c", strategy=strategy)
    (conflict,) = merged.conflicts
    assert (conflict.part, conflict.name) == ("relation", "Ada")
    assert [side["strength"] for side in (conflict.base, conflict.ours, conflict.theirs)] == [0.5, 0.1, 0.9]
    (edge,) = (await default.do(OpenNodes(["Ada"]))).relations
    assert edge.strength == (0.9 if strategy == "theirs" else 0.1)
    still = strategy in ("report", "union")
    assert merged.open == still
    assert (await merge(default, "c")).open == still
    assert (await merge(default, "c", strategy="theirs")).open == 0
    (edge,) = (await default.do(OpenNodes(["Ada"]))).relations
    assert edge.strength == (0.1 if strategy == "ours" else 0.9)
    await world.sound()


async def test_a_purge_in_the_parent_is_not_undone_by_a_merge(default: Place, branch: Place, world: World) -> None:
    await branch.add("Ada", "new")
    await default.do(PurgeEntities(["Ada"], confirm=True))
    for strategy in ("report", "ours", "theirs", "union"):
        assert (await merge(default, strategy=strategy)).results == []
        assert await default.entity("Ada") is None
    await world.sound()


# Again


async def test_merging_twice_merges_only_what_is_new(default: Place, branch: Place, world: World) -> None:
    await branch.add("Ada", "one")
    await branch.create("Bob", "b")
    assert (await merge(default)).updated == 1
    last = await world.last_change()
    nothing = await merge(default)
    assert nothing == Merged("b", "default")
    assert await world.last_change() == last
    await take(default, "Ada", "one")
    await default.delete("Bob")
    await branch.add("Ada", "two")
    merged = await merge(default)
    assert (merged.updated, merged.created, merged.conflicts) == (1, 0, [])
    assert await default.says("Ada") == ["tea", "chess", "two"]
    assert await default.entity("Bob") is None
    await world.sound()


async def test_an_open_conflict_is_told_again_until_it_is_settled(default: Place, branch: Place, world: World) -> None:
    await change(default, properties={"age": 1})
    await change(branch, properties={"age": 2})
    first = await merge(default)
    last = await world.last_change()
    again = await merge(default)
    assert again.conflicts == first.conflicts
    assert await world.last_change() == last
    await branch.add("Ada", "more")
    assert parts(await merge(default)) == [("property:age", "")]
    assert await default.says("Ada") == ["tea", "chess", "more"]
    assert parts(await merge(default, strategy="theirs")) == [("property:age", "theirs")]
    assert (await merge(default)).conflicts == []
    found = await default.entity("Ada")
    assert found is not None
    assert found.properties["age"] == 2


async def test_a_conflict_settled_by_hand_is_none_any_more(default: Place, branch: Place) -> None:
    await change(default, properties={"age": 1})
    await change(branch, properties={"age": 2})
    assert (await merge(default)).open == 1
    await change(default, properties={"age": 2})
    assert (await merge(default)).open == 0


async def test_a_conflict_is_recorded_once_and_settled_with_the_merge_that_settles_it(
    default: Place, branch: Place, world: World, ada: int
) -> None:
    await change(default, properties={"age": 1})
    await change(branch, properties={"age": 2})
    for _ in range(3):
        await merge(default)
    (kept,) = (await default.do(ListConflicts())).conflicts
    assert (kept.type, kept.entity_id, kept.entity, kept.status) == ("merge", ada, "Ada", "pending")
    assert kept.reason == "property:age changed in branch 'b' and here, each otherwise"
    assert (await branch.do(ListConflicts())).conflicts == []
    with pytest.raises(Conflict, match="merge_branch"):
        await default.do(ResolveConflict(kept.id, "merge"))
    await merge(default, strategy="theirs", dry_run=True)
    assert (await default.do(ListConflicts())).conflicts == [kept]
    await merge(default, strategy="theirs")
    assert (await default.do(ListConflicts())).conflicts == []
    (kept,) = (await default.do(ListConflicts(status="any"))).conflicts
    assert (kept.status, kept.notes) == ("merged", "settled by a merge (theirs)")
    await world.sound()


async def test_what_was_merged_and_settled_stays_so_when_the_branch_goes_on(default: Place, branch: Place) -> None:
    await change(default, properties={"age": 1})
    await change(branch, properties={"age": 2})
    await merge(default, strategy="ours")
    await branch.add("Ada", "x")
    assert (await merge(default)).conflicts == []
    await change(branch, properties={"age": 3})
    assert parts(await merge(default)) == [("property:age", "")]


# A dry run, and where one stands


async def test_a_dry_run_tells_what_the_merge_then_does_and_changes_nothing(
    default: Place, branch: Place, world: World
) -> None:
    await branch.create("Bob", "b")
    await branch.relate("Bob", "likes", "Ada")
    await branch.add("Ada", "rum")
    await change(branch, properties={"age": 2})
    await change(default, properties={"age": 1})
    await branch.say("talk", "hello")
    last, rows = await world.last_change(), await world.rows("SELECT count(*), max(id) FROM passages")
    told = await merge(default, dry_run=True)
    assert told.dry_run
    assert await world.last_change() == last
    assert await world.rows("SELECT count(*), max(id) FROM passages") == rows
    assert await default.entity("Bob") is None
    done = await merge(default)
    assert (done.results, done.conflicts, done.created, done.relations_added, done.messages) == (
        told.results,
        told.conflicts,
        told.created,
        told.relations_added,
        told.messages,
    )
    await world.sound()


async def test_a_merge_is_the_change_of_the_space_merged_into_wherever_one_stands(
    default: Place, branch: Place, world: World
) -> None:
    await branch.add("Ada", "rum")
    merged = await merge(branch, None)
    assert (merged.branch, merged.into) == ("b", "default")
    assert await default.says("Ada") == ["tea", "chess", "rum"]
    assert await world.rows("SELECT space FROM changes ORDER BY number DESC LIMIT 1") == [(1,)]
    assert (await default.history("Ada"))[0].op == "merge_branch"


async def test_a_branch_of_a_branch_comes_back_step_by_step_or_at_once(
    default: Place, branch: Place, world: World
) -> None:
    await branch.add("Ada", "first")
    deep = await world.branch("deep", "b")
    await deep.add("Ada", "second")
    await deep.create("Bob")
    assert (await merge(deep, "deep")).into == "b"
    assert await branch.says("Ada") == ["tea", "chess", "first", "second"]
    assert await default.says("Ada") == ["tea", "chess"]
    assert (await merge(default, "b")).created == 1
    assert await default.says("Ada") == ["tea", "chess", "first", "second"]
    await deep.add("Ada", "third")
    assert (await merge(default, "deep", into="default")).conflicts == []
    assert await default.says("Ada") == ["tea", "chess", "first", "second", "third"]
    await world.sound()


async def test_ten_deep_comes_back_to_the_ground(default: Place, world: World) -> None:
    await default.create("Ada", "0")
    parent = "default"
    for number in range(1, 11):
        place = await world.branch(f"b{number}", parent)
        await place.add("Ada", str(number))
        await place.create(f"e{number}")
        parent = place.peer["space"]
    for number in range(10, 0, -1):
        merged = await merge(default, f"b{number}")
        assert merged.conflicts == []
    assert await default.says("Ada") == [str(number) for number in range(11)]
    assert await default.listed() == ["Ada", *(f"e{number}" for number in range(1, 11))]
    await world.sound()


async def test_an_overlay_can_be_merged_into_its_live_parent(default: Place, project: Place, world: World) -> None:
    await default.create("Ada", "a", properties={"n": 1})
    await project.add("Ada", "mine")
    await default.add("Ada", "theirs")
    await change(default, properties={"n": 2})
    await project.create("Bob")
    await project.relate("Ada", "likes", "Bob")
    merged = await merge(default, "project")
    assert merged.conflicts == []
    assert await default.says("Ada") == ["a", "theirs", "mine"]
    assert await default.related() == {("Ada", "likes", "Bob")}
    assert await project.says("Ada") == ["a", "mine"]
    await world.sound()


async def test_what_may_not_be_merged_is_refused_before_anything_is_done(
    default: Place, branch: Place, world: World
) -> None:
    await world.branch("child", "b")
    await world.overlay("side")
    await default.do(MergeBranch("b"))
    last = await world.last_change()
    for ask, error, says in (
        (MergeBranch("b", into="b"), Invalid, "itself"),
        (MergeBranch("b", into="child"), Invalid, "its branch"),
        (MergeBranch("b", into="side"), Invalid, "does not read through"),
        (MergeBranch("default"), Invalid, "no branch"),
        (MergeBranch(), Invalid, "no branch"),
        (MergeBranch("nowhere"), NotFound, "nowhere"),
        (MergeBranch("b", into="nowhere"), NotFound, "nowhere"),
    ):
        with pytest.raises(error, match=says):
            await default.do(ask)
    assert await world.last_change() == last


def test_a_conflict_says_all_that_is_needed_to_choose() -> None:
    assert {"id", "name", "part", "base", "ours", "theirs", "says"} <= set(MergeConflict.__struct_fields__)
