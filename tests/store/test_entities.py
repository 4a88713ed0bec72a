"""Entities: what becomes of a name that is there, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, Denied, Invalid, NotFound, TooLarge
from enhanced_memory.client.operations.entities import (
    AddObservations,
    Confirm,
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    OpenNodes,
    Pin,
    PurgeEntities,
    Quarantine,
    RenameEntity,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.values import EntityInput, ObservationInput, OriginInput
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, Reopen, World


async def test_what_is_created_is_opened_by_name_and_by_id(default: Place) -> None:
    number = await default.create(
        "Ada", "wrote the first program", type="person", tags=["maths"], properties={"born": 1815}
    )
    by_name, by_id = await default.entity("Ada"), await default.entity(number)
    assert by_name == by_id
    assert by_name is not None
    assert (by_name.id, by_name.type, by_name.observations) == (number, "person", ["wrote the first program"])
    assert (by_name.tags, by_name.properties, by_name.version, by_name.space) == (
        ["maths"],
        {"born": 1815},
        1,
        "default",
    )


async def test_merging_adds_what_is_new_and_nothing_twice(default: Place) -> None:
    await default.create("Ada", "a", "b", properties={"x": 1, "y": 1}, tags=["t"])
    made = await default.do(CreateEntities([EntityInput("Ada", "thing", ["b", "c"], {"y": 2}, ["t", "u"])]))
    found = await default.entity("Ada")
    assert found is not None
    assert (made.results[0].action, made.results[0].added) == ("updated", ["c"])
    assert (found.observations, found.properties, found.tags) == (["a", "b", "c"], {"x": 1, "y": 2}, ["t", "u"])


async def test_merging_what_is_known_makes_no_version(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    before = await world.last_change()
    made = await default.do(CreateEntities([EntityInput("Ada", "thing", ["a"])]))
    assert (made.results[0].action, made.results[0].version) == ("unchanged", 1)
    assert await world.last_change() == before


async def test_skipping_leaves_the_entity_as_it_is(default: Place) -> None:
    await default.create("Ada", "a")
    made = await default.do(CreateEntities([EntityInput("Ada", "thing", ["b"])], on_existing="skip"))
    assert made.results[0].action == "skipped"
    assert await default.says("Ada") == ["a"]


async def test_replacing_keeps_the_provenance_of_what_is_said_again_and_never_reuses_an_observation_id(
    default: Place,
) -> None:
    await default.create("Ada", "a", "b")
    first = (await default.do(OpenNodes(["Ada"], details=True))).entities[0]
    await default.create("Ada", "c", "b", on_existing="replace")
    then = (await default.do(OpenNodes(["Ada"], details=True))).entities[0]
    assert then.observations == ["c", "b"]
    by_text = {one.text: one for one in then.details}
    assert by_text["b"] == first.details[1]
    assert by_text["c"].id not in {one.id for one in first.details}


async def test_an_error_on_existing_undoes_the_whole_call(default: Place) -> None:
    await default.create("Ada")
    with pytest.raises(Conflict) as refused:
        await default.do(
            CreateEntities([EntityInput("Bob", "thing"), EntityInput("Ada", "thing")], on_existing="error")
        )
    assert refused.value.hint
    assert await default.entity("Bob") is None


async def test_of_two_with_one_name_in_a_call_the_second_meets_the_first(default: Place) -> None:
    made = await default.do(CreateEntities([EntityInput("Ada", "thing", ["a"]), EntityInput("Ada", "thing", ["b"])]))
    assert [one.action for one in made.results] == ["created", "updated"]
    assert {one.id for one in made.results} == {1}
    assert await default.says("Ada") == ["a", "b"]


async def test_adding_observations_is_all_or_nothing(default: Place) -> None:
    await default.create("Ada")
    with pytest.raises(NotFound):
        await default.do(AddObservations([ObservationsInput("Ada", ["a"]), ObservationsInput("Nobody", ["b"])]))
    assert await default.says("Ada") == []


async def test_an_observation_is_taken_by_text_or_by_id(default: Place) -> None:
    await default.create("Ada", "a", "b", "c")
    third = (await default.do(OpenNodes(["Ada"], details=True))).entities[0].details[2].id
    await default.do(
        DeleteObservations([ObservationsDeletion("Ada", ["a", third]), ObservationsDeletion("Nobody", ["x"])])
    )
    assert await default.says("Ada") == ["b"]
    await default.do(AddObservations([ObservationsInput("Ada", ["d"])]))
    assert (await default.do(OpenNodes(["Ada"], details=True))).entities[0].details[1].id > third


async def test_an_expected_version_that_is_not_the_one_is_a_conflict(default: Place) -> None:
    await default.create("Ada")
    await default.do(Tag(["Ada"], ["x"]))
    for ask in (
        AddObservations([ObservationsInput("Ada", ["a"], expected_version=1)]),
        UpdateEntity("Ada", priority=1, expected_version=1),
        RenameEntity("Ada", "Eve", expected_version=1),
        DeleteObservations([ObservationsDeletion("Ada", ["a"], expected_version=1)]),
    ):
        with pytest.raises(Conflict, match="version 2, not 1"):
            await default.do(ask)
    assert (await default.do(UpdateEntity("Ada", priority=1, expected_version=2))).version == 3


async def test_an_update_changes_what_is_given_and_a_null_property_goes(default: Place) -> None:
    await default.create("Ada", properties={"x": 1, "y": 2}, priority=7)
    await default.do(UpdateEntity("Ada", properties={"x": None, "z": 3}, tier="semantic", importance=4.5))
    found = await default.entity("Ada")
    assert found is not None
    assert (found.properties, found.tier, found.importance, found.priority) == ({"y": 2, "z": 3}, "semantic", 4.5, 7)


async def test_marks_are_set_and_taken(default: Place) -> None:
    await default.create("Ada", "a")
    await default.do(Pin(["Ada"]))
    await default.do(Quarantine(["Ada"]))
    await default.do(Tag(["Ada"], ["x", "y"]))
    await default.do(Untag(["Ada"], ["x", "never"]))
    found = await default.entity("Ada")
    assert found is not None
    assert (found.always_include, found.quarantined, found.tags) == (True, True, ["y"])
    await default.do(Pin(["Ada"], pinned=False))
    await default.do(Quarantine(["Ada"], quarantined=False))
    found = await default.entity("Ada")
    assert found is not None
    assert (found.always_include, found.quarantined) == (False, False)


async def test_a_confirmed_observation_has_the_users_trust(default: Place, world: World) -> None:
    await default.create("Ada", "a", "b")
    await default.do(UpdateEntity("Ada", relevance_score=0.2))
    await default.do(Confirm(["Ada"], ["a"]))
    found = (await default.do(OpenNodes(["Ada"], details=True))).entities[0]
    assert [one.origin.trust for one in found.details] == ["user", "agent"]
    assert found.relevance_score == 1.0
    assert found.last_confirmed is not None
    assert int(found.last_confirmed.timestamp() * 1000) == world.clock.ms


async def test_a_rename_keeps_id_and_history_and_frees_the_name(default: Place) -> None:
    number = await default.create("Ada", "a")
    await default.do(RenameEntity("Ada", "Countess"))
    assert await default.entity("Ada") is None
    assert [one.name for one in await default.history(number)] == ["Countess", "Ada"]
    assert await default.create("Ada") != number


async def test_a_rename_to_a_taken_name_is_a_conflict(default: Place) -> None:
    await default.create("Ada")
    await default.create("Bob")
    with pytest.raises(Conflict, match="taken"):
        await default.do(RenameEntity("Ada", "Bob"))
    assert sorted(await default.listed()) == ["Ada", "Bob"]


async def test_names_of_kinds_are_unique_within_the_kind_and_ordinary_ones_go_first(default: Place) -> None:
    plain = await default.create("Mira", type="person")
    session = await default.create("Mira", type="session")
    skill = await default.create("Mira", type="skill")
    assert len({plain, session, skill}) == 3
    found = await default.entity("Mira")
    assert found is not None
    assert found.id == plain
    await default.delete(plain)
    assert {one.id for one in (await default.do(OpenNodes(["Mira"]))).entities} == {session, skill}
    with pytest.raises(Conflict, match="2 entities are called"):
        await default.do(UpdateEntity("Mira", priority=1))
    assert (await default.do(OpenNodes(["Mira"], scope="session"))).entities[0].id == session


async def test_two_characters_of_one_name_are_two_characters(default: Place) -> None:
    first, second = await default.create("Guard", type="character"), await default.create("Guard", type="character")
    assert first != second
    for number in (first, second):
        found = await default.entity(number)
        assert found is not None
        assert found.name == "Guard"


async def test_a_kind_gives_its_entities_tier_and_expiry(default: Place) -> None:
    await default.create("fly", type="skill")
    found = await default.entity("fly")
    assert found is not None
    assert found.tier == "procedural"


ODD = [
    "it's",
    'say "hi"',
    "a OR b",
    "NEAR(x)",
    "naïve 日本語",
    "مرحبا",
    "🙂🙃",
    "'; DROP TABLE entities; --",
    "a\nb\tc",
    "%_*",
    "x" * 2000,
    "NOT",
    "-",
]


async def test_any_text_is_a_name_and_is_found_by_it(default: Place) -> None:
    for name in ODD:
        await default.create(name, name)
    for name in ODD:
        assert await default.says(name) == [name]
        assert (await default.found(name))[0] == name
        assert [one.name for one in await default.history(name)] == [name]


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (EntityInput("", "thing"), Invalid, "name is empty"),
        (EntityInput("   ", "thing"), Invalid, "name is empty"),
        (EntityInput("a", ""), Invalid, "type is empty"),
        (EntityInput("a\0b", "thing"), Invalid, "NUL"),
        (EntityInput("a", "th\0ing"), Invalid, "NUL"),
        (EntityInput("a", "thing", ["x\0y"]), Invalid, "NUL"),
        (EntityInput("a", "thing", [], {"k": "x\0y"}), Invalid, "NUL"),
        (EntityInput("a", "thing", [], {"k\0": 1}), Invalid, "NUL"),
        (EntityInput("a", "thing", [], {}, ["t\0"]), Invalid, "NUL"),
        (EntityInput("a", "thing", [], {}, [" "]), Invalid, "tag is empty"),
        (EntityInput("a" * 2001, "thing"), TooLarge, "2,001"),
        (EntityInput("a", "thing", ["x" * 1_000_001]), TooLarge, "1,000,001"),
        (EntityInput("a", "thing", [], {"k": float("nan")}), Invalid, "finite"),
        (EntityInput("a", "thing", [], {"k": 2**63}), Invalid, "64 bits"),
        (EntityInput("a", "thing", [], {"k": b"x"}), Invalid, "bytes"),
    ],
    ids=lambda value: None,
)
async def test_what_cannot_be_kept_is_refused_and_nothing_is_kept(
    default: Place, world: World, given: EntityInput, error: Any, says: str
) -> None:
    with pytest.raises(error, match=says):
        await default.do(CreateEntities([EntityInput("good", "thing"), given]))
    assert await default.listed() == []
    assert await world.rows("SELECT number FROM changes") == []


async def test_an_observation_cannot_claim_more_trust_than_its_caller_has(world: World) -> None:
    code = world.place("default", channel="import")
    claimed = ObservationInput("it is so", origin=OriginInput(agent="somebody", trust="user"))
    await code.do(CreateEntities([EntityInput("Ada", "thing", [claimed])]))
    told = (await code.do(OpenNodes(["Ada"], details=True))).entities[0].details[0]
    assert (told.origin.trust, told.origin.agent) == ("import", "somebody")


async def test_an_id_that_was_never_given_out_is_not_there(default: Place) -> None:
    assert await default.entity(12345) is None
    with pytest.raises(NotFound, match="with id 12345"):
        await default.do(UpdateEntity(12345, priority=1))


async def test_a_question_may_not_change_anything(default: Place, world: World) -> None:
    def sly(tx: Tx) -> Any:
        return tx.entities.create(State("Ada", "thing"))

    with pytest.raises(Denied):
        await default.read(sly)
    assert await world.rows("SELECT id FROM entities") == []


async def test_what_is_purged_never_lends_its_id_to_another(reopen: Reopen) -> None:
    """An id in a journal or a client's notes must never come to mean something else, a restart later included."""
    async with reopen() as world:
        gone = await world.default.create("Ada")
        await world.default.do(PurgeEntities([gone], confirm=True))
    async with reopen() as world:
        assert await world.default.create("Bob") > gone
