"""What was known after any change can be read again: opening, listing, searching, relations, messages, history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.operations.entities import (
    AddObservations,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    RenameEntity,
    RestoreEntities,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import DeleteRelations
from enhanced_memory.client.values import Filter, RelationInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def test_each_change_of_an_entitys_life_can_be_seen_again(default: Place, world: World) -> None:
    seen: list[tuple[int, list[str] | None, list[str]]] = []

    async def remember() -> None:
        seen.append((await world.last_change(), await default.says(1), await default.listed()))

    await default.create("Ada", "a")
    await remember()
    await default.do(AddObservations([ObservationsInput("Ada", ["b"])]))
    await remember()
    await default.do(RenameEntity("Ada", "Countess"))
    await remember()
    await default.do(DeleteObservations([ObservationsDeletion("Countess", ["a"])]))
    await remember()
    await default.delete("Countess")
    await remember()
    await default.create("Countess", "another")
    await remember()
    await default.delete("Countess")
    await default.do(RestoreEntities([1]))
    await remember()
    for change, says, names in seen:
        assert await default.says(1, as_of=change) == says
        assert await default.listed(as_of=change) == names
        assert await default.listed(as_of=change, order_by="name") == sorted(names)
        assert await default.listed(as_of=change, order_by="updated", limit=1) == await default.listed(
            as_of=change, order_by="updated"
        )
    assert await default.listed(as_of=0) == []
    await world.sound()


async def test_names_are_read_as_they_were(default: Place, world: World) -> None:
    first = await default.create("Ada")
    then = await world.last_change()
    await default.do(RenameEntity("Ada", "Countess"))
    second = await default.create("Ada")
    ids = [
        one.id if one else None
        for one in (
            await default.entity("Ada", as_of=then),
            await default.entity("Ada"),
            await default.entity("Countess", as_of=then),
        )
    ]
    assert ids == [first, second, None]


async def test_filters_are_judged_by_what_was_true(default: Place, world: World) -> None:
    await default.create("Ada", type="person", tags=["x"], properties={"age": 36})
    then = await world.last_change()
    await default.do(UpdateEntity("Ada", type="robot", properties={"age": 1}))
    await default.do(Untag(["Ada"], ["x"]))
    await default.do(Tag(["Ada"], ["y"]))
    assert await default.listed(as_of=then, types=["person"], tags=["x"], where=[Filter("age", at_least=30)]) == ["Ada"]
    assert await default.listed(as_of=then, types=["robot"]) == []
    assert await default.listed(as_of=then, tags=["y"]) == []
    assert await default.listed(as_of=then, where=[Filter("age", equal=1)]) == []
    assert await default.listed(as_of=then, order_by="property:age") == ["Ada"]


async def test_words_that_have_ended_are_found_in_their_time_and_only_then(default: Place, world: World) -> None:
    await default.create("Ada", "steam engine")
    early = await world.last_change()
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["steam engine"])]))
    between = await world.last_change()
    await default.do(AddObservations([ObservationsInput("Ada", ["steam ship"])]))
    late = await world.last_change()
    await default.delete("Ada")
    assert [await default.found("steam", as_of=change) for change in (early, between, late)] == [["Ada"], [], ["Ada"]]
    assert [await default.found("engine", as_of=change) for change in (early, between, late)] == [["Ada"], [], []]
    assert [await default.found("ship", as_of=change) for change in (early, between, late)] == [[], [], ["Ada"]]
    assert await default.found("steam") == []
    assert [await default.found("Ada", as_of=change) for change in (early, late, late + 1)] == [["Ada"], ["Ada"], []]


async def test_relations_are_read_as_they_were(default: Place, world: World) -> None:
    await default.create("a")
    await default.relate("a", "likes", "b")
    dangling = await world.last_change()
    await default.create("b")
    await default.relate("b", "likes", "a")
    both = await world.last_change()
    await default.do(DeleteRelations([RelationInput("a", "b", "likes")]))
    one = await world.last_change()
    await default.delete("a")
    assert await default.related(as_of=dangling) == {("a", "likes", "b")}
    assert await default.related(as_of=both) == {("a", "likes", "b"), ("b", "likes", "a")}
    assert await default.related(as_of=one) == {("b", "likes", "a")}
    assert await default.related() == set()


async def test_messages_are_heard_as_far_as_they_had_come(default: Place, world: World) -> None:
    await default.say("talk", "one parrot")
    then = await world.last_change()
    await default.say("talk", "two parrot")
    assert await default.heard("talk", as_of=then) == ["one parrot"]
    assert await default.overheard("parrot", as_of=then) == ["one parrot"]
    with pytest.raises(NotFound):
        await default.heard("talk", as_of=then - 1)


async def test_history_ends_where_the_view_does(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    then = await world.last_change()
    await default.do(AddObservations([ObservationsInput("Ada", ["b"])]))
    assert [one.observations for one in await default.history("Ada", as_of=then)] == [["a"]]


async def test_an_overlays_past_is_its_own_over_its_parents(default: Place, world: World) -> None:
    project = await world.overlay("project")
    await default.create("Ada", "a")
    first = await world.last_change()
    await default.do(AddObservations([ObservationsInput("Ada", ["b"])]))
    second = await world.last_change()
    await project.do(AddObservations([ObservationsInput("Ada", ["mine"])]))
    third = await world.last_change()
    await project.delete("Ada")
    fourth = await world.last_change()
    await default.do(AddObservations([ObservationsInput("Ada", ["c"])]))
    said = [await project.says("Ada", as_of=change) for change in (first, second, third, fourth)]
    assert said == [["a"], ["a", "b"], ["a", "b", "mine"], None]
    assert [await project.listed(as_of=change) for change in (first, third, fourth)] == [["Ada"], ["Ada"], []]
    assert [await project.found("mine", as_of=change) for change in (second, third, fourth)] == [[], ["Ada"], []]


async def test_deleting_creating_again_and_restoring_the_first_has_one_answer(default: Place, world: World) -> None:
    """A conflict that says what to do; under another name it works, and nothing of either is lost."""
    first = await default.create("Ada", "the first")
    then = await world.last_change()
    await default.delete("Ada")
    second = await default.create("Ada", "the second")
    for ref in ("Ada", first):
        with pytest.raises(Conflict, match=f"taken by entity {second}") as refused:
            await default.do(RestoreEntities([ref]))
        assert "as_name" in refused.value.hint
    await default.do(RestoreEntities([first], as_name="Ada I"))
    assert await default.says("Ada") == ["the second"]
    assert await default.says("Ada I") == ["the first"]
    assert await default.says("Ada", as_of=then) == ["the first"]
    await default.delete("Ada")
    await default.do(RenameEntity("Ada I", "Ada"))
    with pytest.raises(Conflict, match=f"taken by entity {first}"):
        await default.do(RestoreEntities([second]))
    await world.sound()


async def test_of_two_deleted_under_one_name_the_last_deleted_is_meant(default: Place) -> None:
    first = await default.create("Ada", "1")
    await default.delete("Ada")
    second = await default.create("Ada", "2")
    await default.delete("Ada")
    await default.do(RestoreEntities(["Ada"]))
    found = await default.entity("Ada")
    assert found is not None
    assert found.id == second != first
