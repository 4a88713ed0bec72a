"""Every change makes a version, and every version reads back as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations.entities import (
    AddObservations,
    Confirm,
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    Pin,
    Quarantine,
    RenameEntity,
    RestoreEntities,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.operations.versions import MemoryHistory
from enhanced_memory.client.values import EntityInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def test_every_kind_of_change_makes_one_version(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    await default.do(AddObservations([ObservationsInput("Ada", ["b"])], message="heard it"))
    await default.do(UpdateEntity("Ada", properties={"x": 1}))
    await default.do(Tag(["Ada"], ["t"]))
    await default.do(Pin(["Ada"]))
    await default.do(Quarantine(["Ada"]))
    await default.do(Confirm(["Ada"]))
    await default.do(Untag(["Ada"], ["t"]))
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["a"])]))
    await default.do(RenameEntity("Ada", "Countess"))
    await default.delete("Countess")
    await default.do(RestoreEntities(["Countess"]))
    history = await default.history("Countess")
    assert [one.version for one in history] == list(range(12, 0, -1))
    assert [one.op for one in history[::-1]] == [
        "create_entities", "add_observations", "update_entity", "tag", "pin", "quarantine", "confirm", "untag", "delete_observations",
        "rename_entity", "delete_entities", "restore_entities",
    ]  # fmt: skip
    assert [one.message for one in history if one.op == "add_observations"] == ["heard it"]
    assert [one.deleted for one in history[:3]] == [False, True, False]
    assert [one.current for one in history] == [True] + [False] * 11
    assert len({one.change for one in history}) == 12
    assert [one.at for one in history] == sorted((one.at for one in history), reverse=True)
    await world.sound()


async def test_several_changes_of_an_entity_in_one_request_make_one_version(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    await default.create("Ada", "b")
    await default.do(
        AddObservations(
            [ObservationsInput("Ada", ["c"]), ObservationsInput("Ada", ["d"]), ObservationsInput("Ada", ["e"])]
        )
    )
    history = await default.history("Ada")
    assert [(one.version, one.observations) for one in history] == [
        (3, ["a", "b", "c", "d", "e"]),
        (2, ["a", "b"]),
        (1, ["a"]),
    ]
    assert await default.found("d") == ["Ada"]
    await world.sound()


async def test_an_entity_made_and_changed_in_one_request_has_one_version(default: Place, world: World) -> None:
    await default.do(CreateEntities([EntityInput("Ada", "thing", [text], tags=[text]) for text in "abc"]))
    assert [(one.version, one.observations, one.tags) for one in await default.history("Ada")] == [
        (1, ["a", "b", "c"], ["a", "b", "c"])
    ]
    await world.sound()


async def test_two_hundred_versions_read_back_exactly(default: Place, world: World) -> None:
    await default.create("Ada", "v1", properties={"n": 1})
    for number in range(2, 201):
        if number % 7 == 0:
            await default.create("Ada", f"v{number}", "replaced", on_existing="replace", properties={"n": number})
        elif number % 11 == 0:
            await default.do(RenameEntity(1, f"Ada {number}"))
            await default.do(AddObservations([ObservationsInput(1, ["gone soon"])]))
            await default.do(DeleteObservations([ObservationsDeletion(1, ["gone soon"])]))
            await default.do(RenameEntity(1, "Ada"))
        else:
            await default.do(UpdateEntity("Ada", properties={"n": number, f"k{number % 5}": "x" * (number % 50)}))
    newest = await default.entity("Ada")
    assert newest is not None
    assert newest.version >= 200
    history = await default.history("Ada", limit=1000)
    assert [one.version for one in history] == list(range(newest.version, 0, -1))
    then = {one.change: one for one in history}
    for change in list(then)[::9]:
        seen = await default.entity(1, as_of=change)
        assert seen is not None
        told = then[change]
        assert (seen.name, seen.version, seen.observations, seen.properties) == (
            told.name,
            told.version,
            told.observations,
            told.properties,
        )
    assert history[-1].properties.get("n") == 1
    wholes = await world.rows("SELECT version FROM versions WHERE whole = 1 ORDER BY version")
    assert len(wholes) >= newest.version // 32 - 1
    await world.sound()


async def test_history_pages_meet_and_do_not_overlap(default: Place) -> None:
    await default.create("Ada", "0")
    for number in range(1, 40):
        await default.create("Ada", str(number))
    told: list[int] = []
    before: int | None = None
    while True:
        page = await default.do(MemoryHistory("Ada", limit=7, before=before))
        told += [one.version for one in page.versions]
        assert all(len(one.observations) == one.version for one in page.versions)
        before = page.cursor
        if before is None:
            break
    assert told == list(range(40, 0, -1))


async def test_a_kind_keeps_as_many_versions_as_it_says(default: Place, world: World) -> None:
    await default.create("mood", type="agent_state", properties={"n": 0})
    for number in range(1, 80):
        await default.do(UpdateEntity("mood", properties={"n": number}))
    history = await default.history("mood", limit=1000)
    assert [one.properties["n"] for one in history] == list(range(79, 59, -1))
    await world.sound()


async def test_what_a_kind_no_longer_keeps_is_not_known_in_the_past_and_harms_nothing(
    default: Place, world: World
) -> None:
    await default.create("mood", type="agent_state")
    await default.create("Ada")
    then = await world.last_change()
    for number in range(40):
        await default.do(UpdateEntity("mood", properties={"n": number}))
    assert await default.listed(as_of=then) == ["Ada"]
    assert await default.entity("mood", as_of=then) is None
    assert await default.entity("mood", as_of=then + 39) is not None


async def test_a_replaced_state_can_still_be_read(default: Place, world: World) -> None:
    await default.create("Ada", *[f"a long observation number {number}" for number in range(50)])
    await default.create("Ada", "short", on_existing="replace")
    history = await default.history("Ada")
    assert (len(history[1].observations), history[0].observations) == (50, ["short"])
    await world.sound()


async def test_a_large_body_and_its_versions_read_back(default: Place, world: World) -> None:
    large = "".join(f"{number:x} " for number in range(60_000))
    await default.create("Ada", large)
    await default.do(AddObservations([ObservationsInput("Ada", ["more"])]))
    await default.do(DeleteObservations([ObservationsDeletion("Ada", [large])]))
    assert [[len(text) for text in one.observations] for one in await default.history("Ada")] == [
        [4],
        [len(large), 4],
        [len(large)],
    ]
    await world.sound()


async def test_history_is_told_of_what_is_deleted_and_of_former_names(default: Place) -> None:
    await default.create("Ada", "a")
    await default.do(RenameEntity("Ada", "Countess"))
    assert [one.name for one in await default.history("Ada")] == ["Countess", "Ada"]
    await default.delete("Countess")
    assert [one.deleted for one in await default.history("Countess")] == [True, False, False]
    with pytest.raises(NotFound):
        await default.history("Nobody")
    with pytest.raises(NotFound):
        await default.history(99)


async def test_a_change_that_changes_nothing_makes_no_version(default: Place, world: World) -> None:
    await default.create("Ada", "a", tags=["t"], priority=5)
    before = await world.last_change()
    await default.do(Tag(["Ada"], ["t"]))
    await default.do(Untag(["Ada"], ["never"]))
    await default.do(UpdateEntity("Ada", priority=5))
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["never"])]))
    await default.do(RenameEntity("Ada", "Ada"))
    assert len(await default.history("Ada")) == 1
    assert await world.last_change() == before
