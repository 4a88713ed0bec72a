"""What branches and overlays meet elsewhere: searches for pieces of text, the past, purges, names that are filled later, copies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.operations.branches import DiscardBranch, MemoryBranch, MergeBranch
from enhanced_memory.client.operations.entities import (
    DeleteObservations,
    ObservationsDeletion,
    OpenNodes,
    PurgeEntities,
    RenameEntity,
    RestoreEntities,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import DeleteRelations
from enhanced_memory.client.operations.spaces import CreateSpace, DeleteSpace
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import RelationInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def ends(place: Place, name: str) -> list[tuple[str, int | None]]:
    """Where the relations of an entity lead to, each by name and id."""
    return [(edge.to, edge.to_id) for edge in (await place.do(OpenNodes([name]))).relations]


# Pieces of text


async def test_a_piece_of_text_is_found_where_it_stands_and_nowhere_else(default: Place, world: World) -> None:
    await default.create("Ada", "xylophone")
    await default.create("Bob", "saxophone")
    branch = await world.branch("b")
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["xylophone"])]))
    await default.add("Ada", "vibraphone")
    await default.delete("Bob")
    await branch.create("Eve", "telephone")
    for piece, here, there in (
        ("ylopho", [], ["Ada"]),
        ("brapho", ["Ada"], []),
        ("axopho", [], ["Bob"]),
        ("elepho", [], ["Eve"]),
    ):
        assert await default.found(piece, substring=True) == here, piece
        assert await branch.found(piece, substring=True) == there, piece
    assert await branch.found("phone", substring=True, types=["nothing"]) == []


async def test_a_piece_of_text_in_an_overlay_is_that_of_its_own_copy(default: Place, project: Place) -> None:
    await default.create("Ada", "xylophone")
    await project.do(DeleteObservations([ObservationsDeletion("Ada", ["xylophone"])]))
    assert await project.found("ylopho", substring=True) == []
    assert await default.found("ylopho", substring=True) == ["Ada"]


# The past of a branch


async def test_a_branch_has_a_past_of_its_own_over_its_parents(default: Place, world: World) -> None:
    await default.create("Ada", "one")
    first = await world.last_change()
    await default.add("Ada", "two")
    branch = await world.branch("b")
    begun = await world.last_change()
    await branch.add("Ada", "three")
    third = await world.last_change()
    await default.add("Ada", "elsewhere")
    await branch.do(RenameEntity("Ada", "Countess"))
    await branch.create("Bob")
    assert await branch.says("Ada", as_of=first) == ["one"]
    assert await branch.says("Ada", as_of=begun) == ["one", "two"]
    assert await branch.says("Ada", as_of=third) == ["one", "two", "three"]
    assert await branch.says("Ada") is None
    assert await branch.listed(as_of=third) == ["Ada"]
    assert await branch.found("three", as_of=begun) == []
    assert await branch.found("three", as_of=third) == ["Ada"]
    assert await branch.found("elsewhere", as_of=third) == []


async def test_what_a_merge_brought_is_not_in_the_parents_past(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    branch = await world.branch("b")
    await branch.add("Ada", "parrot")
    await branch.create("Bob", "parrot")
    before = await world.last_change()
    await default.do(MergeBranch("b"))
    assert sorted(await default.found("parrot")) == ["Ada", "Bob"]
    assert await default.found("parrot", as_of=before) == []
    assert await default.listed(as_of=before) == ["Ada"]


# Names that are filled later


async def test_a_name_in_an_overlays_relation_becomes_the_entity_that_its_parent_makes(
    default: Place, project: Place, world: World
) -> None:
    await default.create("Ada")
    await project.relate("Ada", "likes", "ghost")
    await project.relate("ghost", "fears", "Ada")
    deep = await world.overlay("deep", "project")
    await deep.relate("Ada", "envies", "ghost")
    pinned = await world.branch("pinned", "project")
    number = await default.create("ghost")
    for place in (project, deep):
        told = (await place.do(OpenNodes(["ghost"]))).relations
        assert {(edge.from_, edge.type, edge.to) for edge in told} >= {
            ("Ada", "likes", "ghost"),
            ("ghost", "fears", "Ada"),
        }
        assert {edge.to_id if edge.to == "ghost" else edge.from_id for edge in told} == {number}
    assert await ends(pinned, "Ada") == [("ghost", None), ("Ada", 1)]
    await default.do(RenameEntity("ghost", "Ghost"))
    assert ("Ada", "likes", "Ghost") in await project.related()
    assert await default.related() == set()
    await default.delete("Ghost")
    assert await project.related() == set()
    await default.do(RestoreEntities(["Ghost"]))
    assert ("Ada", "likes", "Ghost") in await project.related()
    await world.sound()


async def test_a_name_that_means_another_entity_in_the_overlay_stays_that_ones(
    default: Place, project: Place, world: World
) -> None:
    await default.create("Ada")
    own = await project.create("ghost")
    await project.relate("Ada", "likes", "ghost")
    await default.relate("Ada", "likes", "ghost")
    theirs = await default.create("ghost")
    assert (await ends(default, "Ada"))[0][1] == theirs
    assert (await ends(project, "Ada"))[0][1] == own
    await world.sound()


async def test_a_space_brought_back_learns_whom_its_relations_name(default: Place, project: Place) -> None:
    await default.create("Ada")
    await project.relate("Ada", "likes", "ghost")
    await default.do(DeleteSpace("project"))
    number = await default.create("ghost")
    await default.do(CreateSpace("project", "default"))
    assert await ends(project, "Ada") == [("ghost", number)]


async def test_a_merge_gives_names_in_overlays_of_its_target_their_entity(
    default: Place, project: Place, world: World
) -> None:
    await default.create("Ada")
    await project.relate("Ada", "likes", "ghost")
    branch = await world.branch("b")
    number = await branch.create("ghost")
    assert await ends(project, "Ada") == [("ghost", None)]
    await default.do(MergeBranch("b"))
    assert await ends(project, "Ada") == [("ghost", number)]


# Purges


async def test_a_purge_in_the_parent_takes_the_copies_of_overlays_and_branches_too(
    default: Place, project: Place, world: World
) -> None:
    await default.create("Ada", "secretword")
    seeing, changed = await world.branch("b"), await world.branch("c")
    for place in (project, changed):
        await place.add("Ada", "mine")
    await project.create("Bob")
    await project.relate("Ada", "likes", "Bob")
    await default.do(PurgeEntities(["Ada"], confirm=True))
    for place in (default, project, seeing, changed):
        assert await place.entity("Ada") is None
        assert await place.found("secretword") == []
        assert await place.related() == set()
    assert await world.rows("SELECT count(*) FROM entities WHERE id = 1") == [(0,)]
    assert (await default.do(MergeBranch("c"))).results == []
    await world.sound()


async def test_a_purge_in_an_overlay_leaves_the_parents(default: Place, project: Place, world: World) -> None:
    await default.create("Ada", "a")
    await project.add("Ada", "secretword")
    await project.do(PurgeEntities(["Ada"], confirm=True))
    assert await default.says("Ada") == ["a"]
    assert await project.found("secretword") == []
    await world.sound()


async def test_a_purge_takes_what_merges_noted_of_the_entity(default: Place, world: World) -> None:
    await default.create("Ada", properties={"secretword": 1})
    branch = await world.branch("b")
    await branch.do(UpdateEntity("Ada", properties={"secretword": 2}))
    await default.do(UpdateEntity("Ada", properties={"secretword": 3}))
    await default.do(MergeBranch("b"))
    assert await world.rows("SELECT part FROM merges WHERE subject = 'entity'") == [("property:secretword",)]
    await default.do(PurgeEntities(["Ada"], confirm=True))
    assert await world.rows("SELECT part FROM merges WHERE subject = 'entity'") == []


# Merges taken back


async def test_what_a_merge_noted_can_be_forgotten_so_that_it_is_merged_again(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    branch = await world.branch("b")
    await branch.add("Ada", "b")
    await default.do(MergeBranch("b"))
    merged = await world.last_change()
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["b"])]))
    assert (await default.do(MergeBranch("b"))).updated == 0
    await default.write(lambda tx: tx.branches.forget(merged))
    assert (await default.do(MergeBranch("b"))).updated == 1
    assert await default.says("Ada") == ["a", "b"]


# Copies


@pytest.mark.engines("sqlite")
async def test_a_backup_holds_every_branch_and_how_far_it_was_merged(
    default: Place, world: World, new_world: Callable[[Settings], Awaitable[World]], home: Path
) -> None:
    await default.create("Ada", "a")
    branch = await world.branch("b")
    await branch.add("Ada", "b")
    await default.do(MergeBranch("b"))
    await branch.add("Ada", "c")
    await default.do(MemoryBranch("gone"))
    await default.do(DiscardBranch("gone"))
    await default.do(DeleteRelations([RelationInput("Ada", "Ada", "likes")]))
    made = await world.engine.backup(str(home / "copy.db"))
    copy = await new_world(Settings.load({"store": made.path, "readers": 1}))
    try:
        assert await copy.place("b").says("Ada") == ["a", "b", "c"]
        assert (await copy.default.do(MergeBranch("b"))).updated == 1
        assert await copy.default.says("Ada") == ["a", "b", "c"]
        await copy.sound()
    finally:
        await copy.engine.close()


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE spaces SET pinned = 1000 WHERE name = 'b'", "pinned"),
        ("UPDATE spaces SET parent = 77 WHERE name = 'b'", "not there"),
        ("UPDATE merges SET target = 77", "merges"),
    ],
)
async def test_verify_finds_a_branch_that_stands_on_nothing(default: Place, world: World, sql: str, says: str) -> None:
    await default.create("Ada")
    branch = await world.branch("b")
    await branch.add("Ada", "x")
    await default.do(MergeBranch("b"))
    await world.sound()
    world.spoil(sql)
    assert says in " ".join((await world.engine.check(quick=False)).problems)
