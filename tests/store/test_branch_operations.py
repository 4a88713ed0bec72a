"""Branches are begun, listed, compared and discarded; what cannot be is refused, with nothing half done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, Denied, Error, Invalid, NotFound, Refused
from enhanced_memory.client.operations.branches import (
    BranchDiff,
    Changed,
    DiffBranch,
    DiscardBranch,
    EntityDiff,
    ListBranches,
    MemoryBranch,
    MergeBranch,
    RelationDiff,
)
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    PurgeEntities,
    RenameEntity,
    Tag,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import DeleteRelations
from enhanced_memory.client.operations.spaces import CreateSpace, DeleteSpace, ListSpaces, Switch
from enhanced_memory.client.values import EntityInput, RelationInput
from enhanced_memory.daemon.store.ground import DEEPEST

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def diff(place: Place, branch: str | None = "b", **more: Any) -> BranchDiff:
    return await place.do(DiffBranch(branch, **more))


# Beginning


async def test_a_branch_begins_with_one_row_whatever_its_parent_holds(default: Place, world: World) -> None:
    tables = ("entities", "versions", "names", "tags", "properties", "relations", "passages", "vectors", "messages")

    async def rows() -> dict[str, int]:
        return {
            name: (await world.rows(f"SELECT count(*) FROM {name}"))[0][0]
            for name in (*tables, "spaces", "journal", "changes")
        }

    for names in (range(1), range(1, 400)):
        await default.do(CreateEntities([EntityInput(f"e{number}", "thing", ["x"], tags=["t"]) for number in names]))
        before = await rows()
        await default.do(MemoryBranch(f"b{len(names)}"))
        after = await rows()
        assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
            "spaces": 1,
            "journal": 1,
            "changes": 1,
        }


async def test_a_branch_says_what_it_is(default: Place, world: World) -> None:
    await default.create("Ada")
    made = await world.place("default", agent="me").do(MemoryBranch("feature/tea", message="why not"))
    told = (await default.do(ListBranches())).branches
    assert told == [made]
    assert (made.name, made.parent, made.pinned_at, made.created_by, made.message) == (
        "feature/tea", "default", await world.last_change(), "me", "why not",
    )  # fmt: skip
    assert (made.entities, made.merged_at, made.discarded, made.entity) == (0, None, False, None)
    branch = world.place("feature/tea")
    await branch.add("Ada", "x")
    await default.do(MergeBranch("feature/tea"))
    (now,) = (await default.do(ListBranches())).branches
    assert (now.entities, now.merged_at) == (1, await world.last_change())
    assert (await branch.do(Switch("feature/tea"))).kind == "branch"


async def test_a_branch_of_an_empty_store_stays_empty(default: Place, world: World) -> None:
    branch = await world.branch("b")
    await default.create("Ada")
    assert await branch.listed() == []
    assert await branch.found("Ada") == []


async def test_a_branch_of_a_space_nobody_has_written_to(default: Place, world: World) -> None:
    await default.create("Ada")
    new = world.place("new", parent="default")
    await new.do(MemoryBranch("b"))
    await default.create("Bob")
    await new.create("Eve")
    assert await world.place("b").listed() == ["Ada"]
    assert await new.listed() == ["Ada", "Bob", "Eve"]


async def test_a_branch_begins_at_a_change_or_a_time(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    number, then = await world.last_change(), datetime.fromtimestamp(world.clock.ms / 1000, UTC)
    await default.create("Bob")
    by_number = await world.branch("one", pinned=number)
    await default.do(MemoryBranch("two", at=then + timedelta(milliseconds=500)))
    assert await by_number.listed() == ["Ada"]
    assert await world.place("two").listed() == ["Ada"]
    for at, says in ((0, "nothing yet"), (10_000, "newest"), (then - timedelta(days=1), "nothing yet")):
        with pytest.raises(Invalid, match=says):
            await default.do(MemoryBranch("three", at=at))


async def test_a_branch_of_one_entity_changes_that_one_and_nothing_else(default: Place, world: World) -> None:
    ada, bob = await default.create("Ada", "a"), await default.create("Bob")
    made = await default.do(MemoryBranch("b", "Ada"))
    assert (made.entity, made.entity_name) == (ada, "Ada")
    branch = world.place("b")
    await branch.add("Ada", "mine")
    await branch.relate("Ada", "likes", "Bob")
    await branch.say("Ada", "hello")
    await branch.do(RenameEntity("Ada", "Countess"))
    last = await world.last_change()
    for work in (
        branch.create("Eve"),
        branch.add("Bob", "x"),
        branch.delete("Bob"),
        branch.relate("Bob", "likes", "Bob"),
        branch.say("Bob", "x"),
        branch.do(PurgeEntities([bob], confirm=True)),
    ):
        try:
            await work
        except Denied as refused:
            assert "alone" in str(refused)
        else:
            assert await world.last_change() == last  # nothing of Bob's is the branch's to purge
    assert await world.last_change() == last
    deeper = await branch.do(MemoryBranch("c"))
    assert deeper.entity == ada
    with pytest.raises(Denied):
        await branch.do(MemoryBranch("d", "Bob"))
    merged = await default.do(MergeBranch("b"))
    assert (merged.updated, merged.relations_added, merged.messages, merged.open) == (1, 1, 1, 0)
    assert await default.says("Countess") == ["a", "mine"]
    assert await default.related() == {("Countess", "likes", "Bob")}
    await world.sound()


async def test_nothing_is_branched_from_what_is_deleted(default: Place, world: World) -> None:
    number = await default.create("Ada")
    await default.delete("Ada")
    await default.do(CreateSpace("gone"))
    await default.do(DeleteSpace("gone"))
    last = await world.last_change()
    for ask, says in (
        (MemoryBranch("b", "Ada"), "is deleted"),
        (MemoryBranch("b", number), "is deleted"),
        (MemoryBranch("b", "Bob"), "no entity 'Bob'"),
        (MemoryBranch("b", parent="gone"), "no space 'gone'"),
        (MemoryBranch("b", parent="nowhere"), "no space 'nowhere'"),
    ):
        with pytest.raises(NotFound, match=says):
            await default.do(ask)
    assert await world.last_change() == last
    assert (await default.do(ListBranches(discarded=True))).branches == []


@pytest.mark.parametrize("name", ["", "auto", "a\0b", "x" * 201], ids=["empty", "auto", "nul", "long"])
async def test_what_is_no_name_is_refused(default: Place, name: str) -> None:
    with pytest.raises(Refused):
        await default.do(MemoryBranch(name))


@pytest.mark.parametrize("name", ["a/b/c", "../up", "with space", "ünïcode/枝", "~", "-dash", "."])
async def test_a_branch_may_have_any_other_name(default: Place, world: World, name: str) -> None:
    await default.create("Ada")
    place = await world.branch(name)
    await place.create("Bob")
    assert await place.listed() == ["Ada", "Bob"]
    assert (await default.do(MergeBranch(name))).created == 1
    assert (await default.do(DiscardBranch(name))).deleted


async def test_a_name_in_use_is_not_taken(default: Place, world: World) -> None:
    await world.branch("b")
    await world.overlay("project")
    await default.do(CreateSpace("gone"))
    await default.do(DeleteSpace("gone"))
    for name in ("b", "project", "default", "gone"):
        with pytest.raises(Conflict):
            await default.do(MemoryBranch(name))


async def test_spaces_read_through_one_another_only_so_deep(default: Place, world: World) -> None:
    parent = "default"
    for number in range(DEEPEST - 1):
        await world.branch(f"b{number}", parent)
        parent = f"b{number}"
    assert await world.place(parent).listed() == []
    for ask in (MemoryBranch("one more", parent=parent), CreateSpace("one more", parent)):
        with pytest.raises(Conflict, match=str(DEEPEST)):
            await default.do(ask)
    assert parent in [space.name for space in (await default.do(ListSpaces())).spaces]


# Many


async def test_a_thousand_branches_are_listed_page_by_page(default: Place, world: World) -> None:
    await default.create("Ada")

    def make(tx: Any) -> None:
        for number in range(999):
            tx.branches.begin(f"b{number:03}", "default", None, 0)

    await default.write(make)
    last = await world.branch("last")
    names: list[str] = []
    cursor = None
    while True:
        page = await default.do(ListBranches(limit=300, cursor=cursor))
        names += [one.name for one in page.branches]
        cursor = page.cursor
        if cursor is None:
            break
    assert names == [*(f"b{number:03}" for number in range(999)), "last"]
    await last.add("Ada", "x")
    assert await world.place("b500").says("Ada") == []
    assert (await default.do(MergeBranch("last"))).updated == 1
    assert await default.says("Ada") == ["x"]
    with pytest.raises(Invalid):
        await default.do(ListBranches(cursor="nonsense"))


async def test_branches_are_listed_by_parent_and_discarded_ones_if_asked(default: Place, world: World) -> None:
    await world.overlay("project")
    await world.branch("a")
    await world.branch("b", "project")
    await world.branch("c", "b")
    await default.do(DiscardBranch("a"))

    async def told(**more: Any) -> list[str]:
        return [one.name for one in (await default.do(ListBranches(**more))).branches]

    assert await told() == ["b", "c"]
    assert await told(discarded=True) == ["a", "b", "c"]
    assert await told(parent="project") == ["b"]
    assert await told(parent="default", discarded=True) == ["a"]
    with pytest.raises(NotFound):
        await told(parent="nowhere")


# Comparing


async def test_a_diff_tells_what_the_branch_changed_and_nothing_that_its_parent_did(
    default: Place, world: World
) -> None:
    ada = await default.create("Ada", "tea", "chess", type="person", tags=["x"], properties={"age": 36, "city": "L"})
    bob = await default.create("Bob", "b", tags=["t"])
    await default.relate("Ada", "likes", "Bob")
    await default.relate("Ada", "likes", "ghost")
    branch = await world.branch("b")
    await branch.add("Ada", "rum")
    await branch.do(DeleteObservations([ObservationsDeletion("Ada", ["tea"])]))
    await branch.do(UpdateEntity("Ada", type="countess", properties={"age": 37, "city": None}, tier="semantic"))
    await branch.do(Tag(["Ada"], ["y"]))
    await branch.delete("Bob")
    eve = await branch.create("Eve", "e")
    ghost = await branch.create("ghost")
    await branch.relate("Eve", "knows", "Ada")
    await branch.say("Eve", "hello")
    await branch.add("Ada", "gone again")
    await branch.do(DeleteObservations([ObservationsDeletion("Ada", ["gone again"])]))
    await default.add("Ada", "later")
    await default.create("Later")
    found = await diff(default)
    assert found.entities == [
        EntityDiff(
            ada,
            "Ada",
            "changed",
            [
                Changed("type", "person", "countess"),
                Changed("property:age", 36, 37),
                Changed("property:city", "L", None),
                Changed("tier", "working", "semantic"),
            ],
            ["rum"],
            ["tea"],
            ["y"],
            [],
        ),
        EntityDiff(bob, "Bob", "removed", [Changed("name", "Bob", None), Changed("type", "thing", None)], [], ["b"], [], ["t"]),
        EntityDiff(eve, "Eve", "added", [Changed("name", None, "Eve"), Changed("type", None, "thing")], ["e"], [], [], []),
        EntityDiff(ghost, "ghost", "added", [Changed("name", None, "ghost"), Changed("type", None, "thing")]),
    ]  # fmt: skip
    assert found.relations == [
        RelationDiff("removed", "Ada", "Bob", "likes"),
        RelationDiff("added", "Ada", "ghost", "likes"),
        RelationDiff("added", "Eve", "Ada", "knows"),
    ]
    assert (found.branch, found.parent, found.against, found.messages, found.cursor) == ("b", "default", "pin", 1, None)
    assert await diff(branch, None) == found


async def test_a_diff_against_now_tells_what_the_parent_did_too(default: Place, world: World) -> None:
    await default.create("Ada", "tea")
    await default.create("Bob")
    await default.relate("Ada", "likes", "Bob")
    branch = await world.branch("b")
    await branch.add("Ada", "same")
    await default.add("Ada", "same")
    await default.add("Bob", "later")
    await default.create("Eve", "e")
    await default.do(DeleteRelations([RelationInput("Ada", "Bob", "likes")]))
    assert [one.name for one in (await diff(default)).entities] == ["Ada"]
    found = await diff(default, against="now")
    assert [(one.name, one.action, one.observations_added, one.observations_removed) for one in found.entities] == [
        ("Bob", "changed", [], ["later"]),
        ("Eve", "removed", [], ["e"]),
    ]
    assert found.relations == [RelationDiff("added", "Ada", "Bob", "likes")]


async def test_a_diff_comes_page_by_page(default: Place, world: World) -> None:
    names = [f"n{number:02}" for number in range(30)]
    await default.do(CreateEntities([EntityInput(name, "thing") for name in names]))
    branch = await world.branch("b")
    for name in names[:20]:
        await branch.add(name, "x")
    for name in names[20:]:
        await branch.relate(name, "likes", names[0])
    for name in names[:5]:  # touched, and as it was
        await branch.do(DeleteObservations([ObservationsDeletion(name, ["x"])]))
    for limit in (1, 4, 15, 25, 100):
        entities: list[str] = []
        relations: list[str] = []
        cursor = None
        while True:
            page = await diff(default, limit=limit, cursor=cursor)
            assert len(page.entities) + len(page.relations) <= limit
            entities += [one.name for one in page.entities]
            relations += [one.from_ for one in page.relations]
            cursor = page.cursor
            if cursor is None:
                break
        assert entities == names[5:20]
        assert relations == names[20:]
    with pytest.raises(Invalid):
        await diff(default, cursor="nonsense")


async def test_an_overlay_is_compared_with_what_it_changed(default: Place, project: Place) -> None:
    await default.create("Ada", "a")
    await default.add("Ada", "seen")
    await project.add("Ada", "mine")
    await default.add("Ada", "later")
    (one,) = (await diff(default, "project")).entities
    assert (one.observations_added, one.observations_removed) == (["mine"], [])
    (one,) = (await diff(default, "project", against="now")).entities
    assert (one.observations_added, one.observations_removed) == (["mine"], ["later"])


@pytest.mark.parametrize("name", ["default", "nowhere", ""])
async def test_what_is_no_branch_is_not_compared(default: Place, world: World, name: str) -> None:
    with pytest.raises((Invalid, NotFound)):
        await diff(default, name or None)


# Discarding


async def test_a_discarded_branch_is_gone_and_its_name_is_free(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    branch = await world.branch("b")
    await branch.create("Bob")
    gone = await default.do(DiscardBranch("b"))
    assert gone.deleted
    assert await branch.listed() == []
    for ask in (DiffBranch("b"), MergeBranch("b"), DiscardBranch("b"), Switch("b")):
        with pytest.raises(NotFound):
            await default.do(ask)
    with pytest.raises(NotFound, match="deleted"):
        await branch.create("Eve")
    again = await world.branch("b")
    assert await again.listed() == ["Ada"]
    told = (await default.do(ListBranches(discarded=True))).branches
    assert [(one.name.split("~")[0], one.discarded, one.entities) for one in told] == [("b", True, 1), ("b", False, 0)]
    await world.sound()


async def test_a_discarded_branch_comes_back_while_its_name_is_free(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    branch = await world.branch("b")
    await branch.create("Bob")
    await default.do(DiscardBranch("b"))
    await default.add("Ada", "later")
    back = await default.do(CreateSpace("b", "default"))
    assert back.kind == "branch"
    assert await branch.listed() == ["Ada", "Bob"]
    assert await branch.says("Ada") == ["a"]


async def test_a_branch_with_children_or_in_use_here_is_not_discarded(default: Place, world: World) -> None:
    branch = await world.branch("b")
    await world.branch("child", "b")
    await world.overlay("over", "b")
    refusals: list[tuple[Place, str, type[Error], str]] = [
        (default, "b", Conflict, "'child', 'over'"),
        (world.place("child"), "child", Denied, "switch"),
        (default, "default", Invalid, "no branch"),
        (default, "nowhere", NotFound, "nowhere"),
    ]
    for place, name, error, says in refusals:
        with pytest.raises(error, match=says):
            await place.do(DiscardBranch(name))
    assert await branch.listed() == []
    await default.do(DiscardBranch("child"))
    await default.do(DeleteSpace("over"))
    assert (await default.do(DiscardBranch("b"))).deleted
