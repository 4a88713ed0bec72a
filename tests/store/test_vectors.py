"""Vectors in the store: shared by what was said together, made in the order of writing, gone with their owners."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from enhanced_memory.client.errors import Invalid, NotFound
from enhanced_memory.client.operations.entities import (
    AddObservations,
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    PurgeEntities,
    RenameEntity,
    RestoreEntities,
    UpdateEntity,
)
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.values import EntityInput, MessageInput, ObservationInput
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.vectors import SHARED_CHARS, Lead

from .conftest import Place, World

MODEL = 1


@pytest.fixture
async def world(world: World) -> World:
    """A world whose store knows one model."""
    await world.default.write(lambda tx: tx.vectors.add_model("m", "f", 2, "static", serves=True))
    return world


async def waiting(place: Place, limit: int = 1000) -> list[Lead]:
    """What the queue holds."""
    found = await place.read(lambda tx: tx.vectors.waiting(tx.vectors.models()[0].embedded, limit))
    return [] if found is None else found.leads


async def embed(place: Place) -> list[str]:
    """Give everything that waits a vector; the texts that were embedded."""
    found = await place.read(lambda tx: tx.vectors.waiting(tx.vectors.models()[0].embedded, 1000))
    if found is None:
        return []
    await place.write(lambda tx: tx.vectors.keep(MODEL, found.upto, found.leads, [b"\1\2"] * len(found.leads)))
    return [lead.text for lead in found.leads]


async def kept(world: World) -> int:
    """How many vectors of the model are stored."""
    return sum(model == MODEL for _, model in await world.vectors())


async def test_an_entity_of_few_words_has_one_vector_with_its_name_in_front(world: World) -> None:
    await world.default.create("Alice", "likes tea", "lives in Prague", type="person")
    assert await embed(world.default) == ["Alice person: likes tea\nlives in Prague"]


async def test_longer_observations_have_as_many_vectors_as_their_length_asks_for(world: World) -> None:
    long = "x" * (SHARED_CHARS // 2)
    await world.default.create("Alice", *(f"{long}{number}" for number in range(5)), type="person")
    texts = await embed(world.default)
    assert len(texts) == 5
    assert all(text.startswith("Alice") for text in texts)


async def test_what_is_said_later_has_a_vector_of_its_own(world: World) -> None:
    await world.default.create("Alice", "likes tea", type="person")
    await embed(world.default)
    await world.default.do(AddObservations([ObservationsInput("Alice", ["lives in Prague"])]))
    assert await embed(world.default) == ["Alice: lives in Prague"]
    assert await kept(world) == 2


async def test_text_in_properties_has_a_vector_apart_from_the_observations(world: World) -> None:
    await world.default.create("Alice", "likes tea", type="person", properties={"mood": "in high spirits"})
    assert await embed(world.default) == ["Alice person\nin high spirits", "Alice: likes tea"]
    await world.default.do(UpdateEntity("Alice", properties={"mood": "tired"}))
    assert await embed(world.default) == ["Alice person\ntired"]


async def test_a_message_has_a_vector_of_its_own_with_its_speaker_in_front(world: World) -> None:
    await world.default.say("chat", "hello", "goodbye", speaker="Ann")
    assert await embed(world.default) == ["chat session", "Ann: hello", "Ann: goodbye"]


async def test_what_shares_a_vector_with_something_deleted_gets_a_new_one(world: World) -> None:
    place = world.default
    await place.create("Alice", "likes tea", "hates rain", "lives in Prague", type="person")
    await embed(place)
    await place.do(DeleteObservations([ObservationsDeletion("Alice", ["hates rain"])]))
    assert await embed(place) == ["Alice person: likes tea\nlives in Prague"]
    assert await place.found("prague") == ["Alice"]
    await world.sound()


async def test_what_was_deleted_before_it_was_embedded_is_left_out_without_more_ado(world: World) -> None:
    place = world.default
    await place.create("Alice", "likes tea", "hates rain", type="person")
    before = await world.rows("SELECT max(id) FROM passages")
    await place.do(DeleteObservations([ObservationsDeletion("Alice", ["hates rain"])]))
    assert await world.rows("SELECT max(id) FROM passages") == before
    assert await embed(place) == ["Alice person: likes tea"]


async def test_a_deletion_between_reading_and_writing_leaves_no_vector_of_what_is_gone(world: World) -> None:
    place = world.default
    await place.create("Alice", "likes tea", "hates rain", type="person")
    await place.create("Bob", "fixes bikes", type="person")
    found = await place.read(lambda tx: tx.vectors.waiting(0, 1000))
    assert found is not None
    await place.do(DeleteObservations([ObservationsDeletion("Alice", ["hates rain"])]))
    upto, written = await place.write(lambda tx: tx.vectors.keep(MODEL, found.upto, found.leads, [b"\1\2"] * 2))
    assert written == [1]
    assert upto < found.upto
    assert (await embed(place))[0] == "Alice person: likes tea"


async def test_a_purge_between_reading_and_writing_leaves_nothing(world: World) -> None:
    place = world.default
    await place.create("Alice", "likes tea", type="person")
    found = await place.read(lambda tx: tx.vectors.waiting(0, 1000))
    assert found is not None
    await place.do(PurgeEntities(["Alice"], confirm=True))
    await place.write(lambda tx: tx.vectors.keep(MODEL, found.upto, found.leads, [b"\1\2"]))
    assert await world.rows("SELECT * FROM vectors") == []
    await world.sound()


async def test_a_purge_takes_vectors_of_every_model_along(world: World) -> None:
    place = world.default
    await place.create("Alice", "likes tea", type="person", vectors={"mine": [1.0, 2.0]})
    await place.say("Alice", "hello")
    await embed(place)
    assert len(await world.rows("SELECT * FROM vectors")) == 3
    await place.do(PurgeEntities(["Alice"], confirm=True))
    assert await world.rows("SELECT * FROM vectors") == []


async def test_verify_names_vectors_without_a_passage(world: World) -> None:
    await world.default.write(lambda tx: tx.rows.many("add_vector", [{"model": 1, "passage": 999, "vector": b"\1\2"}]))
    health = await world.engine.check(quick=False)
    assert health.problems == ["1 vectors without their passage or model"]


async def test_the_queue_goes_on_where_it_stood(world: World) -> None:
    for number in range(5):
        await world.default.create(f"thing {number}", "says something")
    found = await world.default.read(lambda tx: tx.vectors.waiting(0, 5))
    assert found is not None
    assert len(found.leads) == 2  # a page's end cuts nothing that belongs together
    await world.default.write(lambda tx: tx.vectors.keep(MODEL, found.upto, found.leads, [b"\1\2"] * 2))
    assert len(await waiting(world.default)) == 3


async def test_a_passage_is_spoken_for_by_the_vector_it_shares(world: World) -> None:
    place = world.default
    await place.create("Alice", "likes tea", "lives in Prague", type="person")
    await place.create("Bob", "fixes bikes", type="person")
    await embed(place)
    passages = [row[0] for row in await world.rows("SELECT id FROM passages ORDER BY id")]
    spoken = await place.read(lambda tx: tx.vectors.for_each(MODEL, [*passages, 999]))
    assert {passage: lead for passage, (lead, _) in spoken.items()} == {1: 1, 2: 1, 3: 1, 4: 4, 5: 4}


async def test_the_past_keeps_the_vectors_that_it_had(world: World) -> None:
    place = world.default
    await place.create("Alice", "likes tea", type="person")
    await embed(place)
    then = await world.last_change()
    await place.delete("Alice")
    now = await place.read(lambda tx: tx.vectors.past(MODEL, tx.view, None, 0))
    past = await place.read(lambda tx: tx.vectors.past(MODEL, tx.view, None, 0), as_of=then)
    assert (now, past) == ({}, {1: b"\1\2"})
    near = await place.read(lambda tx: tx.vectors.past_nearest(MODEL, b"\1\2", tx.view, False, 0, 5), as_of=then)
    assert near == [(1, pytest.approx(1.0))]


# Callers' own


async def mine(world: World) -> dict[tuple[str, int], list[int]]:
    """The callers' own vectors, by entity's or message's text and part."""
    passage, model = ("v.key >> 6", "v.key & 63") if world.engine.near else ("v.passage", "v.model")
    rows = await world.rows(
        f"SELECT p.entity, p.part, p.message, v.vector FROM vectors v JOIN passages p ON p.id = {passage} WHERE {model} <> ? AND p.ended = 0",
        MODEL,
    )
    return {(row[0], row[1], row[2]): numbers(row[3]) for row in rows}


def numbers(stored: bytes | str) -> list[int]:
    """The numbers of a vector as it is stored: int8, or a halfvec's text."""
    if isinstance(stored, str):
        return msgspec.json.decode(stored, type=list[int])
    return [byte - 256 if byte > 127 else byte for byte in stored]


async def test_callers_store_vectors_of_entities_observations_and_messages(world: World) -> None:
    place = world.default
    given = EntityInput(
        "Alice",
        "person",
        [ObservationInput("likes tea", vectors={"mine": [0.0, 1.0]}), "sings"],
        vectors={"mine": [2.0, -4.0]},
    )
    alice = (await place.do(CreateEntities([given]))).results[0].id
    said = await place.do(
        AppendMessages(alice, [MessageInput("hello", vectors={"mine": [1.0, 1.0]}), MessageInput("bye")])
    )
    await place.do(
        AddObservations([ObservationsInput("Alice", [ObservationInput("swims", vectors={"mine": [3.0, 0.0]})])])
    )
    assert await mine(world) == {
        (alice, 0, 0): [64, -127], (alice, 1, 0): [0, 127], (alice, 0, said.ids[0]): [127, 127], (alice, 3, 0): [127, 0],
    }  # fmt: skip


async def test_several_models_stand_side_by_side(world: World) -> None:
    await world.default.create("Alice", vectors={"one": [1.0, 0.0], "two": [1.0, 0.0, 0.5]})
    models = await world.default.read(lambda tx: tx.vectors.models())
    assert [(model.name, model.dimension, model.source) for model in models[1:]] == [("one", 2, ""), ("two", 3, "")]


@pytest.mark.parametrize(
    ("vector", "says"),
    [
        ([float("nan"), 1.0], "finite"),
        ([float("inf"), 1.0], "finite"),
        ([0.0, 0.0], "zeros"),
        ([1.0], "have 2 numbers"),
        ([1.0] * 3, "have 2 numbers"),
        ([], "1 to"),
        ([1.0] * 9000, "1 to"),
    ],
    ids=["nan", "infinity", "zeros", "shorter", "longer", "none", "too-long"],
)
async def test_what_is_no_vector_of_the_model_is_refused_and_nothing_is_kept(
    world: World, vector: list[float], says: str
) -> None:
    place = world.default
    await place.create("Known", vectors={"mine": [1.0, 2.0]})
    asks: list[Any] = [
        CreateEntities([EntityInput("New", "thing", ["text"], vectors={"mine": vector})]),
        CreateEntities([EntityInput("New", "thing", [ObservationInput("text", vectors={"mine": vector})])]),
        AddObservations([ObservationsInput("Known", [ObservationInput("text", vectors={"mine": vector})])]),
        AppendMessages("chat", [MessageInput("text", vectors={"mine": vector})]),
    ]
    for ask in asks:
        with pytest.raises(Invalid, match=says):
            await place.do(ask)
    assert await place.listed() == ["Known"]
    assert await place.says("Known") == []
    with pytest.raises(Invalid, match=says):
        await place.read(lambda tx: tx.vectors.checked("mine", vector))


async def test_a_model_that_nothing_is_stored_of_is_named_with_those_there_are(world: World) -> None:
    await world.default.create("Known", vectors={"mine": [1.0, 2.0]})
    with pytest.raises(NotFound, match="No vectors of a model 'other'") as refused:
        await world.default.read(lambda tx: tx.vectors.checked("other", [1.0]))
    assert "'mine'" in refused.value.hint


async def test_there_is_an_end_to_models(world: World) -> None:
    await world.default.create("All", vectors={f"model {number}": [1.0] for number in range(62)})
    with pytest.raises(Invalid, match="63 models"):
        await world.default.create("More", vectors={"one more": [1.0]})


async def test_an_entity_s_own_vector_follows_it_through_changes(world: World) -> None:
    place = world.default
    alice = await place.create("Alice", "likes tea", "hates rain", vectors={"mine": [1.0, 0.0]})
    await embed(place)
    await place.do(RenameEntity("Alice", "Alicia"))
    assert (await mine(world))[alice, 0, 0] == [127, 0]
    await place.create("Alicia", vectors={"mine": [0.0, 1.0]})
    assert (await mine(world))[alice, 0, 0] == [0, 127]
    await world.sound()


async def test_a_renewed_observation_keeps_its_own_vector(world: World) -> None:
    place = world.default
    given = EntityInput("Alice", "person", [ObservationInput("likes tea", vectors={"mine": [0.0, 1.0]}), "hates rain"])
    alice = (await place.do(CreateEntities([given]))).results[0].id
    await embed(place)
    await place.do(DeleteObservations([ObservationsDeletion("Alice", ["hates rain"])]))
    assert (await mine(world))[alice, 1, 0] == [0, 127]


async def test_a_deletion_ends_own_vectors_and_nothing_else(world: World) -> None:
    place = world.default
    await place.create("Alice", vectors={"mine": [1.0, 0.0]})
    bob = await place.create("Bob", vectors={"mine": [1.0, 0.0]})
    await place.delete("Alice")
    assert await mine(world) == {(bob, 0, 0): [127, 0]}
    await place.do(RestoreEntities(["Alice"]))
    await world.sound()


async def test_a_vector_for_what_only_the_parent_holds_is_refused(world: World) -> None:
    await world.default.create("Alice", "likes tea")
    over = await world.overlay("over")
    with pytest.raises(Invalid, match="parent"):
        await over.create("Alice", "likes tea", vectors={"mine": [1.0]})


async def test_a_model_has_no_number_of_one_that_served_and_is_gone(world: World) -> None:
    """An index over the vectors of that one may still be there, and has their dimension."""

    def work(tx: Tx) -> list[int]:
        second = tx.vectors.add_model("n", "g", 3, "another", serves=True)
        assert tx.vectors.drop_some(1, 0, 1 << 40) is None
        third = tx.vectors.add_model("m", "h", 4, "static")
        return [second.id, third.id, *(model.id for model in tx.vectors.models())]

    await world.default.write(lambda tx: tx.vectors.add_model("m", "f", 2, "static", serves=True))
    assert await world.default.write(work) == [2, 3, 2, 3]
