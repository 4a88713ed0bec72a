"""A branch sees its parent as it was when it began: never what came later, and the parent never sees the branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteObservations,
    ListEntities,
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
from enhanced_memory.client.operations.service import GetMemoryStatus
from enhanced_memory.client.values import EntityInput, Filter, RelationInput
from enhanced_memory.daemon.store import known as known_module
from enhanced_memory.daemon.store.known import Known, Stored

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


@pytest.fixture
async def known(default: Place) -> int:
    """Ada, known before any branch begins."""
    return await default.create("Ada", "engine", type="person", tags=["x"], properties={"age": 36}, priority=3)


async def test_a_branch_never_sees_what_its_parent_creates_later(default: Place, world: World, known: int) -> None:
    branch = await world.branch("what if")
    later = await default.create("Bob", "engine too", tags=["x"], properties={"age": 36})
    assert await branch.entity("Bob") is None
    assert await branch.entity(later) is None
    assert await branch.listed() == ["Ada"]
    assert await branch.listed(order_by="name") == ["Ada"]
    assert await branch.listed(order_by="property:age") == ["Ada"]
    assert await branch.listed(order_by="updated", descending=True) == ["Ada"]
    assert await branch.listed(tags=["x"], where=[Filter("age", equal=36)]) == ["Ada"]
    assert await branch.found("engine") == ["Ada"]
    assert await branch.found("Bob") == []
    assert await branch.found("") == ["Ada"]


async def test_a_branch_never_sees_what_its_parent_changes_later(default: Place, world: World, known: int) -> None:
    branch = await world.branch("what if")
    before = await branch.entity("Ada")
    await default.add("Ada", "locomotive")
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["engine"])]))
    await default.do(UpdateEntity("Ada", type="robot", properties={"age": 1}, priority=9, tier="semantic"))
    await default.do(Untag(["Ada"], ["x"]))
    await default.do(Tag(["Ada"], ["y"]))
    await default.do(Pin(["Ada"]))
    after = await branch.entity("Ada")
    assert before is not None
    assert after is not None
    assert (after.observations, after.type, after.tags, after.properties, after.version) == (
        ["engine"],
        "person",
        ["x"],
        {"age": 36},
        1,
    )
    assert (after.priority, after.tier, after.always_include, after.updated_at) == (
        3,
        "working",
        False,
        before.updated_at,
    )
    assert await branch.found("engine") == ["Ada"]
    assert await branch.found("locomotive") == []
    assert await branch.found("robot") == []
    assert len(await branch.history("Ada")) == 1


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ({"types": ["person"]}, {"types": ["robot"]}),
        ({"tags": ["x"]}, {"tags": ["y"]}),
        ({"tiers": ["working"]}, {"tiers": ["semantic"]}),
        ({"always_include": False}, {"always_include": True}),
        ({"quarantined": False}, {"quarantined": True}),
        ({"where": [Filter("age", equal=36)]}, {"where": [Filter("age", equal=1)]}),
        ({"where": [Filter("age", at_least=30)]}, {"where": [Filter("age", at_most=30)]}),
        ({"where": [Filter("age", any_of=[36, "x"])]}, {"where": [Filter("new", exists=True)]}),
        ({"where": [Filter("new", exists=False)]}, {"where": [Filter("new", equal=True)]}),
        ({"where": [Filter("words", at_most="b")]}, {"where": [Filter("words", at_least="b")]}),
        ({"where": [Filter("list", equal=2)]}, {"where": [Filter("list", equal=3)]}),
    ],
    ids=str,
)
async def test_a_branchs_filters_judge_what_was_true_when_it_began(
    default: Place, world: World, then: object, now: object
) -> None:
    await default.create(
        "Ada", "engine", type="person", tags=["x"], properties={"age": 36, "words": "a", "list": [1, 2]}
    )
    branch = await world.branch("what if")
    await default.do(
        UpdateEntity(
            "Ada", type="robot", properties={"age": 1, "new": True, "words": "c", "list": [3]}, tier="semantic"
        )
    )
    await default.do(Untag(["Ada"], ["x"]))
    await default.do(Tag(["Ada"], ["y"]))
    await default.do(Pin(["Ada"]))
    await default.do(Quarantine(["Ada"]))
    assert await branch.listed(**then) == ["Ada"]  # type: ignore[arg-type]
    assert await branch.listed(**now) == []  # type: ignore[arg-type]
    assert await default.listed(**then) == []  # type: ignore[arg-type]
    assert await default.listed(**now) == ["Ada"]  # type: ignore[arg-type]
    if "always_include" not in str(then) and "quarantined" not in str(then):
        assert await branch.found("engine", **then) == ["Ada"]  # type: ignore[arg-type]
        assert await branch.found("engine", **now) == []  # type: ignore[arg-type]


async def test_a_branch_finds_by_search_what_its_parent_quarantined_later(
    default: Place, world: World, known: int
) -> None:
    branch = await world.branch("what if")
    await default.do(Quarantine(["Ada"]))
    assert await branch.found("engine") == ["Ada"]
    assert await default.found("engine") == []


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("priority", ["b", "c", "a"]),
        ("property:age", ["b", "a", "c"]),
        ("name", ["a", "b", "c"]),
        ("created", ["c", "a", "b"]),
        ("updated", ["c", "b", "a"]),
    ],
)
async def test_a_branchs_order_is_that_of_its_beginning(
    default: Place, world: World, order: str, told: list[str]
) -> None:
    await default.create("c", properties={"age": 30}, priority=5)
    await default.create("a", properties={"age": 20}, priority=7)
    await default.create("b", properties={"age": 10}, priority=1)
    await default.add("a", "changed")
    branch = await world.branch("what if")
    await default.do(UpdateEntity("c", properties={"age": 1}, priority=1))
    await default.do(UpdateEntity("b", properties={"age": 99}, priority=10))
    await default.do(RenameEntity("a", "z"))
    for limit in (1, 2, 3):
        assert await branch.listed(order_by=order, limit=limit) == told
        assert await branch.listed(order_by=order, descending=True, limit=limit) == told[::-1]


async def test_a_branch_pages_through_what_its_parent_deleted_later(default: Place, world: World) -> None:
    names = [f"n{number:02}" for number in range(20)]
    await default.do(CreateEntities([EntityInput(name, "thing") for name in names]))
    await default.delete("n05")
    branch = await world.branch("what if")
    await default.delete(*names[:5], *names[10:15])
    await default.do(RestoreEntities(["n05"]))
    expected = [name for name in names if name != "n05"]
    for limit in (1, 3, 7):
        assert await branch.listed(limit=limit) == expected
        assert await branch.listed(limit=limit, order_by="name") == expected
        assert await branch.listed(limit=limit, order_by="priority") == expected
    assert await branch.listed(deleted=True) == ["n05"]


async def test_a_branch_still_sees_what_its_parent_deletes_later(default: Place, world: World, known: int) -> None:
    branch = await world.branch("what if")
    await default.delete("Ada")
    assert await branch.says("Ada") == ["engine"]
    assert await branch.says(known) == ["engine"]
    assert await branch.listed() == ["Ada"]
    assert await branch.listed(tags=["x"]) == ["Ada"]
    assert await branch.found("engine") == ["Ada"]
    assert await branch.listed(deleted=True) == []


async def test_a_branch_never_sees_what_its_parent_restores_later(default: Place, world: World, known: int) -> None:
    await default.delete("Ada")
    branch = await world.branch("what if")
    await default.do(RestoreEntities(["Ada"]))
    assert await branch.entity("Ada") is None
    assert await branch.listed() == []
    assert await branch.found("engine") == []
    assert await branch.listed(deleted=True) == ["Ada"]


async def test_a_branch_knows_entities_by_the_names_they_had(default: Place, world: World, known: int) -> None:
    branch = await world.branch("what if")
    await default.do(RenameEntity("Ada", "Countess"))
    other = await default.create("Ada")
    assert await branch.entity("Countess") is None
    assert await branch.entity(other) is None
    found = await branch.entity("Ada")
    assert found is not None
    assert (found.id, found.name) == (known, "Ada")
    assert await branch.found("Countess") == []
    assert await branch.found("Ada") == ["Ada"]
    assert await branch.listed(order_by="name") == ["Ada"]


async def test_a_branch_never_learns_a_name_that_came_and_went_later(default: Place, world: World, known: int) -> None:
    branch = await world.branch("what if")
    await default.do(RenameEntity("Ada", "Countess"))
    await default.do(RenameEntity("Countess", "Lady"))
    with pytest.raises(NotFound):
        await branch.history("Countess")


async def test_a_branch_never_sees_its_parents_later_relations(default: Place, world: World, known: int) -> None:
    await default.create("Bob")
    await default.relate("Ada", "likes", "Bob")
    branch = await world.branch("what if")
    await default.do(DeleteRelations([RelationInput("Ada", "Bob", "likes")]))
    await default.relate("Bob", "likes", "Ada")
    assert await branch.related() == {("Ada", "likes", "Bob")}
    assert await default.related() == {("Bob", "likes", "Ada")}
    await default.delete("Bob")
    assert await branch.related() == {("Ada", "likes", "Bob")}


async def test_a_branch_keeps_a_dangling_end_that_its_parent_fills_later(
    default: Place, world: World, known: int
) -> None:
    await default.relate("Ada", "likes", "ghost")
    branch = await world.branch("what if")
    theirs = await default.create("ghost")
    (edge,) = (await branch.do(OpenNodes(["Ada"]))).relations
    assert (edge.to, edge.to_id) == ("ghost", None)
    mine = await branch.create("ghost")
    (edge,) = (await branch.do(OpenNodes(["Ada"]))).relations
    assert edge.to_id == mine != theirs


async def test_a_branch_never_hears_its_parents_later_messages(default: Place, world: World) -> None:
    await default.say("talk", "one parrot")
    branch = await world.branch("what if")
    await default.say("talk", "two parrot")
    await branch.say("talk", "mine parrot")
    assert await branch.heard("talk") == ["one parrot", "mine parrot"]
    assert await default.heard("talk") == ["one parrot", "two parrot"]
    assert sorted(await branch.overheard("parrot")) == ["mine parrot", "one parrot"]
    assert sorted(await default.overheard("parrot")) == ["one parrot", "two parrot"]
    await default.say("other talk", "parrot")
    with pytest.raises(NotFound):
        await branch.heard("other talk")


async def test_the_parent_never_sees_its_branch(default: Place, world: World, known: int) -> None:
    await default.create("Bob")
    branch = await world.branch("what if")
    before = (await default.entity("Ada"), await default.listed(), await default.related())
    await branch.add("Ada", "locomotive")
    await branch.do(RenameEntity("Ada", "Countess"))
    await branch.create("Eve", "locomotive")
    await branch.delete("Bob")
    await branch.relate("Eve", "likes", "Countess")
    await branch.say("talk", "locomotive")
    assert (await default.entity("Ada"), await default.listed(), await default.related()) == before
    assert await default.found("locomotive") == []
    assert await default.overheard("locomotive") == []
    assert await default.entity("Countess") is None
    assert sorted(await branch.listed()) == ["Countess", "Eve", "talk"]
    assert len(await default.history("Ada")) == 1
    await world.sound()


async def test_two_branches_of_one_parent_are_apart(default: Place, world: World, known: int) -> None:
    one, two = await world.branch("one"), await world.branch("two")
    await one.add("Ada", "a")
    await two.add("Ada", "b")
    await one.create("Bob")
    assert await one.says("Ada") == ["engine", "a"]
    assert await two.says("Ada") == ["engine", "b"]
    assert await two.entity("Bob") is None


async def test_a_branch_can_begin_in_the_past(default: Place, world: World, known: int) -> None:
    then = await world.last_change()
    await default.add("Ada", "locomotive")
    await default.create("Bob")
    branch = await world.branch("what if", pinned=then)
    assert await branch.listed() == ["Ada"]
    assert await branch.says("Ada") == ["engine"]
    await branch.add("Ada", "balloon")
    assert await branch.says("Ada") == ["engine", "balloon"]
    assert [one.version for one in await branch.history("Ada")] == [2, 1]


async def test_a_branch_of_a_branch_is_pinned_through_all_of_them(default: Place, world: World, known: int) -> None:
    first = await world.branch("first")
    await first.add("Ada", "in first")
    second = await world.branch("second", "first")
    await first.add("Ada", "later in first")
    await first.create("Bob")
    await default.create("Eve")
    assert await second.says("Ada") == ["engine", "in first"]
    assert await second.listed() == ["Ada"]
    await second.add("Ada", "in second")
    assert await second.says("Ada") == ["engine", "in first", "in second"]
    assert await first.says("Ada") == ["engine", "in first", "later in first"]
    assert [one.space for one in await second.history("Ada")] == ["second", "first", "default"]


async def test_a_branch_of_an_overlay_pins_the_ground_below_it_too(default: Place, world: World, known: int) -> None:
    project = await world.overlay("project")
    await project.add("Ada", "in project")
    await default.create("Bob", "b")
    branch = await world.branch("what if", "project")
    await default.add("Bob", "later")
    await default.create("Eve")
    await project.add("Ada", "later")
    assert await project.listed() == ["Ada", "Bob", "Eve"]
    assert await branch.listed() == ["Ada", "Bob"]
    assert await branch.says("Ada") == ["engine", "in project"]
    assert await branch.says("Bob") == ["b"]


async def test_an_overlay_change_made_later_does_not_hide_what_the_branch_saw_below(
    default: Place, world: World, known: int
) -> None:
    """The overlay's first row of Ada came after the branch: for the branch, the ground below decides."""
    project = await world.overlay("project")
    await default.create("Bob")
    await default.relate("Ada", "likes", "Bob")
    branch = await world.branch("what if", "project")
    await project.add("Ada", "mine")
    await project.do(DeleteRelations([RelationInput("Ada", "Bob", "likes")]))
    await project.delete("Bob")
    assert await branch.says("Ada") == ["engine"]
    assert await branch.listed() == ["Ada", "Bob"]
    assert await branch.related() == {("Ada", "likes", "Bob")}
    assert await branch.found("engine") == ["Ada"]
    assert await project.related() == set()


async def test_a_branch_counts_what_it_sees(default: Place, world: World, known: int) -> None:
    branch = await world.branch("what if")
    await default.create("Bob", type="person")
    await default.do(UpdateEntity("Ada", type="robot", tier="semantic"))
    status = await branch.do(GetMemoryStatus())
    assert (status.entities, status.by_type, status.by_tier) == (1, {"person": 1}, {"working": 1})
    await default.delete("Ada")
    status = await branch.do(GetMemoryStatus())
    assert (status.entities, status.by_type) == (1, {"person": 1})
    assert (await default.do(GetMemoryStatus())).by_type == {"person": 1}


async def test_a_branch_keeps_the_version_it_stands_on_though_its_kind_keeps_few(default: Place, world: World) -> None:
    await default.create("mood", type="agent_state", properties={"n": 0})
    branch = await world.branch("what if")
    for number in range(1, 60):
        await default.do(UpdateEntity("mood", properties={"n": number}))
    found = await branch.entity("mood")
    assert found is not None
    assert found.properties == {"n": 0}
    assert await branch.listed() == ["mood"]
    await world.sound()


async def test_a_page_opens_no_more_than_it_shows_of_what_its_parents_changed_since(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"n{number:02}" for number in range(40)]
    await default.do(CreateEntities([EntityInput(name, "thing") for name in names]))
    middle = await world.branch("middle")
    await middle.do(Tag(names[::2], ["begun"]))
    inner = await world.branch("inner", "middle")
    await middle.do(Tag(names[::2], ["later"]))
    await default.do(Tag(names, ["later"]))
    monkeypatch.setattr(known_module, "CHUNK", 3)
    opened: list[int] = []

    def counting(method: Any) -> Any:
        def counted(self: Known, row: tuple[Any, ...], *given: Any) -> Stored | None:
            opened.append(row[0])
            return method(self, row, *given)

        return counted

    for name in ("_stored", "_back"):
        monkeypatch.setattr(Known, name, counting(getattr(Known, name)))
    for place, layers in ((middle, 1), (inner, 2)):
        seen: list[str] = []
        cursor: str | None = None
        for page in range(8):
            opened.clear()
            told = await place.do(ListEntities(limit=5, cursor=cursor))
            # A page looks one further, and opens each layer's share of it by threes.
            assert len(opened) <= layers * 9 + 6, page
            seen += [one.name for one in told.entities]
            cursor = told.cursor
        assert cursor is None
        assert seen == names
    assert await inner.listed(tags=["later"], limit=5) == []
    assert await inner.listed(tags=["begun"], limit=5) == names[::2]
