"""Relations: unique by ends and type, by name where an end does not exist yet, gone and back with their ends."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteEntities,
    OpenNodes,
    PurgeEntities,
    RenameEntity,
    RestoreEntities,
)
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations, ReadGraph
from enhanced_memory.client.operations.versions import MemoryHistory
from enhanced_memory.client.values import EntityInput, RelationInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


@pytest.fixture
async def pair(default: Place) -> tuple[int, int]:
    """Two entities, `a` and `b`."""
    return await default.create("a"), await default.create("b")


async def test_a_relation_is_one_by_from_to_and_type(default: Place, pair: tuple[int, int]) -> None:
    a, b = pair
    first = await default.do(
        CreateRelations(
            [RelationInput("a", "b", "likes", strength=0.5, metadata={"since": 1843}), RelationInput(a, b, "likes")]
        )
    )
    again = await default.do(
        CreateRelations(
            [
                RelationInput("a", b, "likes", strength=1.0),
                RelationInput("a", "b", "knows"),
                RelationInput("b", "a", "likes"),
            ]
        )
    )
    assert (len(first.created), len(first.existing)) == (1, 1)
    assert (len(again.created), len(again.existing)) == (2, 1)
    assert (again.existing[0].id, again.existing[0].strength, again.existing[0].metadata) == (
        first.created[0].id,
        0.5,
        {"since": 1843},
    )
    assert await default.related() == {("a", "likes", "b"), ("a", "knows", "b"), ("b", "likes", "a")}


async def test_a_relation_may_lead_back_to_its_start(default: Place, pair: tuple[int, int]) -> None:
    await default.relate("a", "knows", "a")
    await default.relate("a", "knows", "a")
    assert await default.related() == {("a", "knows", "a")}
    assert len((await default.do(OpenNodes(["a"]))).relations) == 1
    await default.delete("a")
    await default.do(RestoreEntities(["a"]))
    assert await default.related() == {("a", "knows", "a")}


async def test_an_unknown_id_is_no_end(default: Place, pair: tuple[int, int]) -> None:
    with pytest.raises(NotFound):
        await default.relate("a", "likes", 999)
    assert (await default.do(DeleteRelations([RelationInput("a", 999, "likes")]))).removed == 0


async def test_removing_a_relation_removes_it_alone_and_once(default: Place, pair: tuple[int, int]) -> None:
    await default.relate("a", "likes", "b")
    await default.relate("a", "knows", "b")
    assert (
        await default.do(DeleteRelations([RelationInput("a", "b", "likes"), RelationInput("a", "b", "likes")]))
    ).removed == 1
    assert await default.related() == {("a", "knows", "b")}
    await default.relate("a", "likes", "b")
    assert await default.related() == {("a", "knows", "b"), ("a", "likes", "b")}


@pytest.mark.parametrize(("from_", "to"), [("ghost", "a"), ("a", "ghost"), ("ghost", "ghost"), ("ghost", "spirit")])
async def test_a_dangling_relation_is_told_and_becomes_the_entitys_when_it_comes(
    default: Place, world: World, pair: tuple[int, int], from_: str, to: str
) -> None:
    await default.relate(from_, "haunts", to)
    await default.relate(from_, "haunts", to)
    assert await default.related() == {(from_, "haunts", to)}
    number = await default.create("ghost")
    (edge,) = (await default.do(OpenNodes(["ghost"]))).relations
    assert {"ghost": number, "a": pair[0], "spirit": None}[edge.from_] == edge.from_id
    assert {"ghost": number, "a": pair[0], "spirit": None}[edge.to] == edge.to_id
    await default.relate(from_, "haunts", to)
    await default.relate(*[number if end == "ghost" else end for end in (from_,)], "haunts", to)
    assert await default.related() == {(from_, "haunts", to)}
    await world.sound()


@pytest.mark.parametrize("how", ["rename", "restore as", "stream", "restore"])
async def test_a_dangling_end_is_adopted_however_the_name_comes_to_be(default: Place, how: str) -> None:
    await default.create("a")
    await default.create("ghost" if how == "restore" else "other")
    if how == "restore":
        await default.delete("ghost")
    await default.relate("a", "likes", "ghost")
    if how == "rename":
        await default.do(RenameEntity("other", "ghost"))
    elif how == "restore as":
        await default.delete("other")
        await default.do(RestoreEntities(["other"], as_name="ghost"))
    elif how == "stream":
        await default.say("ghost", "boo")
    else:
        await default.do(RestoreEntities(["ghost"]))
    found = await default.entity("ghost")
    (edge,) = (await default.do(OpenNodes(["a"]))).relations
    assert found is not None
    assert edge.to_id == found.id


async def test_adopting_what_is_related_already_makes_no_second_relation(default: Place, world: World) -> None:
    await default.create("a")
    number = await default.create("b")
    await default.relate("a", "likes", "b")
    await default.relate("a", "likes", "ghost")
    await default.do(RenameEntity("b", "ghost"))
    assert [edge.to_id for edge in (await default.do(OpenNodes(["a"]))).relations] == [number]
    await world.sound()


async def test_restoring_meets_a_dangling_relation_made_meanwhile(default: Place, world: World) -> None:
    await default.create("a")
    number = await default.create("b")
    await default.relate("a", "likes", "b")
    await default.delete("b")
    await default.relate("a", "likes", "b")
    await default.do(RestoreEntities(["b"]))
    assert [edge.to_id for edge in (await default.do(OpenNodes(["a"]))).relations] == [number]
    await world.sound()


async def test_deleting_a_name_that_never_was_takes_its_dangling_relations(default: Place) -> None:
    await default.create("a")
    await default.relate("a", "likes", "ghost")
    removed = await default.do(DeleteEntities(["ghost"]))
    assert (removed.ids, removed.missing) == ([], ["ghost"])
    assert await default.related() == set()


@pytest.mark.parametrize("deleted", [["a"], ["b"], ["a", "b"], ["b", "a"]], ids=str)
@pytest.mark.parametrize("together", [True, False])
async def test_relations_come_back_with_their_ends_in_whatever_order(
    default: Place, world: World, pair: tuple[int, int], deleted: list[str], together: bool
) -> None:
    await default.relate("a", "likes", "b")
    for order in itertools.permutations(deleted):
        if together:
            await default.delete(*deleted)
            await default.do(RestoreEntities(list(order)))
        else:
            for name in deleted:
                await default.delete(name)
            assert await default.related() == set()
            for name in order:
                await default.do(RestoreEntities([name]))
        assert await default.related() == {("a", "likes", "b")}
    await world.sound()


async def test_a_relation_removed_before_its_end_was_deleted_stays_removed(
    default: Place, pair: tuple[int, int]
) -> None:
    await default.relate("a", "likes", "b")
    await default.do(DeleteRelations([RelationInput("a", "b", "likes")]))
    await default.delete("a")
    await default.do(RestoreEntities(["a"]))
    assert await default.related() == set()


async def test_relations_follow_a_renamed_entity(default: Place, pair: tuple[int, int]) -> None:
    await default.relate("a", "likes", "b")
    await default.do(RenameEntity("a", "A"))
    assert await default.related() == {("A", "likes", "b")}
    await default.create("a")
    assert await default.related() == {("A", "likes", "b")}


async def test_relations_do_not_pass_to_another_of_the_same_name(default: Place, pair: tuple[int, int]) -> None:
    await default.relate("a", "likes", "b")
    await default.delete("b")
    await default.create("b")
    assert await default.related() == set()


async def test_a_purged_end_takes_its_relations_for_good(default: Place, world: World, pair: tuple[int, int]) -> None:
    await default.relate("a", "likes", "b")
    await default.do(PurgeEntities(["b"], confirm=True))
    assert await default.related() == set()
    await world.sound()


async def test_the_graph_in_pages_tells_every_entity_and_relation_once(default: Place) -> None:
    await default.do(CreateEntities([EntityInput(f"n{number}", "thing") for number in range(25)]))
    wanted = {(f"n{number}", "next", f"n{(number * 7 + 1) % 25}") for number in range(25)} | {
        ("ghost", "next", "n1"),
        ("n3", "next", "ghost"),
    }
    await default.do(CreateRelations([RelationInput(from_, to, type) for from_, type, to in wanted]))
    for limit in (1, 4, 25, 1000):
        names: list[str] = []
        edges: list[tuple[str, str, str]] = []
        cursor: str | None = None
        while True:
            page = await default.do(ReadGraph(limit=limit, cursor=cursor))
            names += [one.name for one in page.entities]
            edges += [(edge.from_, edge.type, edge.to) for edge in page.relations]
            cursor = page.cursor
            if cursor is None:
                break
        assert names == [f"n{number}" for number in range(25)]
        assert sorted(edges) == sorted(wanted)


async def test_opening_brings_the_relations_that_touch(default: Place, pair: tuple[int, int]) -> None:
    await default.create("c")
    for from_, to in (("a", "b"), ("b", "c"), ("c", "a")):
        await default.relate(from_, "likes", to)
    opened = await default.do(OpenNodes(["a", "b"]))
    assert {(edge.from_, edge.to) for edge in opened.relations} == {("a", "b"), ("b", "c"), ("c", "a")}
    assert {(edge.from_, edge.to) for edge in (await default.do(OpenNodes(["a"]))).relations} == {
        ("a", "b"),
        ("c", "a"),
    }
    assert (await default.do(OpenNodes(["a"], relations=False))).relations == []


async def test_a_history_says_when_its_relations_were_made(default: Place, pair: tuple[int, int]) -> None:
    await default.relate("a", "likes", "b")
    (made,) = (await default.do(OpenNodes(["a"]))).relations
    await default.do(DeleteRelations([RelationInput("a", "b", "likes")]))
    for page in (await default.do(MemoryHistory("a")), await default.do(MemoryHistory("a"))):
        assert {event.relation.created_at for event in page.relations} == {made.created_at}
