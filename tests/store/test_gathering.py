"""Many items of one call about the same entity: each is answered as if it stood alone, and the entity is written once or twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.entities import (
    AddObservations,
    Created,
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    OpenNodes,
)
from enhanced_memory.client.operations.journal import Journal, Undo
from enhanced_memory.client.values import EntityInput, ObservationInput, Ref, Source
from enhanced_memory.daemon.handlers import sources
from enhanced_memory.daemon.store.bodies import Codec, State

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World

MANY = 40
TEXTS = [f"says {number}" for number in range(MANY)]


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the entities whose bodies are packed from now on."""
    names: list[str] = []
    pack = Codec.pack

    def noted(self: Codec, body: Any) -> tuple[bytes, bytes]:
        if isinstance(body, State):
            names.append(body.name)
        return pack(self, body)

    monkeypatch.setattr(Codec, "pack", noted)
    return names


def adding(*items: tuple[Ref, list[str | ObservationInput]]) -> AddObservations:
    return AddObservations([ObservationsInput(ref, texts) for ref, texts in items])


def told(answer: Created) -> list[tuple[str, int, list[str]]]:
    return [(one.action, one.version, one.added) for one in answer.results]


async def test_an_entity_is_packed_no_more_often_than_it_is_written(default: Place, packed: list[str]) -> None:
    await default.create("Ada", "first")
    await default.create("Bob")
    packed.clear()
    items: list[tuple[Ref, list[str | ObservationInput]]] = [(ref, [text]) for text in TEXTS for ref in ("Ada", "Bob")]
    await default.do(adding(*items))
    assert packed.count("Ada") == packed.count("Bob") == 2
    assert await default.says("Ada") == ["first", *TEXTS]
    packed.clear()
    await default.do(DeleteObservations([ObservationsDeletion("Ada", [text]) for text in TEXTS]))
    assert packed == ["Ada", "Ada"]
    assert await default.says("Ada") == ["first"]
    packed.clear()
    await default.do(CreateEntities([EntityInput("Eve", "thing", [text]) for text in TEXTS]))
    assert packed == ["Eve", "Eve"]
    assert await default.says("Eve") == TEXTS


async def test_each_item_is_answered_as_if_it_stood_alone(default: Place, world: World) -> None:
    number = await default.create("Ada", "a")
    added = await default.do(
        adding(("Ada", ["a"]), (number, ["b"]), ("Ada", ["b", "c"]), (number, ["c"]), ("Ada", ["d"]))
    )
    assert told(added) == [
        ("unchanged", 1, []), ("updated", 2, ["b"]), ("updated", 2, ["c"]), ("unchanged", 2, []), ("updated", 2, ["d"]),
    ]  # fmt: skip
    (last,) = (await default.do(Journal(limit=1))).entries
    assert [(deed.subject, deed.before, deed.after) for deed in last.deeds] == [("entity", 1, 2)] + [
        ("entity", 2, 2)
    ] * 2
    (ada,) = (await default.do(OpenNodes(["Ada"], details=True))).entities
    assert [(one.id, one.text, one.change) for one in ada.details] == [
        (1, "a", 1),
        (2, "b", 2),
        (3, "c", 2),
        (4, "d", 2),
    ]
    gone = await default.do(
        DeleteObservations(
            [
                ObservationsDeletion("Ada", ["b", 2]),
                ObservationsDeletion(number, ["b"]),
                ObservationsDeletion("nobody", ["b"]),
                ObservationsDeletion("Ada", [4, "no"]),
                ObservationsDeletion(number, ["a"], expected_version=3),
            ]
        )
    )
    assert told(gone) == [("updated", 3, []), ("unchanged", 3, []), ("updated", 3, []), ("updated", 3, [])]
    assert [await default.says("Ada", as_of=change) for change in (1, 2, 3)] == [["a"], ["a", "b", "c", "d"], ["c"]]
    assert [one.version for one in await default.history("Ada")] == [3, 2, 1]
    await default.do(Undo(dry_run=False))
    assert await default.says("Ada") == ["a", "b", "c", "d"]
    await world.sound()


async def test_items_that_merge_into_one_name_add_up(default: Place, world: World) -> None:
    given = [
        EntityInput("Ada", "thing", ["a", "a"], {"x": 1}, ["t"]),
        EntityInput("Ada", "thing", ["a"], {"x": 1.0}),
        EntityInput("Ada", "thing", ["b"], {"x": "two"}, ["u"], expected_version=1),
        EntityInput("Ada", "thing", [], {"x": 1}, priority=8),
        EntityInput("Ada", "thing", [], scope="z"),
        EntityInput("Ada", "thing", ["c"], {"y": "three"}, vectors={"mine": [1.0, 0.5]}),
    ]
    made = await default.do(CreateEntities(given))
    assert told(made) == [
        ("created", 1, []), ("unchanged", 1, []), ("updated", 1, ["b"]), ("updated", 1, []), ("created", 1, []),
        ("updated", 1, ["c"]),
    ]  # fmt: skip
    ada = await default.entity(made.results[0].id)
    assert ada is not None
    assert (ada.observations, ada.properties, ada.tags, ada.priority, ada.version) == (
        ["a", "a", "b", "c"], {"x": 1, "y": "three"}, ["t", "u"], 8, 1,
    )  # fmt: skip
    assert await default.found("three") == ["Ada"]
    assert await default.found("two") == []
    assert len(await world.vectors()) == 1
    await world.sound()


async def test_vectors_are_given_whichever_item_brings_them(default: Place, world: World) -> None:
    await default.create("Ada", "a")
    await default.do(
        adding(
            ("Ada", ["b"]),
            ("Ada", [ObservationInput("a", vectors={"mine": [1.0, 0.0]})]),
            ("Ada", [ObservationInput("c", vectors={"mine": [0.0, 1.0]})]),
            ("Ada", [ObservationInput("c", vectors={"other": [0.0, 1.0, 1.0]})]),
            ("Ada", ["d"]),
        )
    )
    assert len(await world.vectors()) == 3
    with pytest.raises(Invalid, match="have 2 numbers here, this one 1"):
        await default.do(
            adding(
                ("Ada", ["e"]), ("Ada", [ObservationInput("c", vectors={"mine": [1.0]})]), ("Ada", ["f"]), ("nobody", ["g"])
            )
        )  # fmt: skip
    assert await default.says("Ada") == ["a", "b", "c", "d"]
    overlay = await world.overlay("overlay")
    with pytest.raises(Invalid, match="change the entity here first"):
        await overlay.do(adding(("Ada", [ObservationInput("a", vectors={"mine": [1.0, 1.0]})]), ("Ada", ["h"])))


async def test_an_overlay_and_a_branch_gather_too(default: Place, world: World, packed: list[str]) -> None:
    await default.create("Ada", "a")
    for place in (await world.overlay("overlay"), await world.branch("branch")):
        packed.clear()
        added = await place.do(adding(*[("Ada", [text]) for text in TEXTS]))
        assert told(added) == [("updated", 2, [text]) for text in TEXTS]
        assert packed == ["Ada", "Ada"]
        assert await place.says("Ada") == ["a", *TEXTS]
    assert await default.says("Ada") == ["a"]
    await world.sound()


async def test_an_item_that_cannot_be_ends_the_call(default: Place) -> None:
    await default.create("Ada", "a")
    with pytest.raises(NotFound):
        await default.do(adding(("Ada", ["b"]), ("Ada", ["c"]), ("nobody", ["d"]), ("Ada", ["e"])))
    late = [ObservationsInput("Ada", ["b"]), ObservationsInput("Ada", ["c"], expected_version=1)]
    with pytest.raises(Conflict, match="is at version 2, not 1"):
        await default.do(AddObservations(late))
    assert await default.says("Ada") == ["a"]


async def test_what_many_are_derived_from_is_read_once(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await default.create("Source", *TEXTS)
    await default.create("Ada")
    read: list[int] = []
    details_of = sources.details_of

    def noted(tx: Any, found: Any) -> Any:
        read.extend(len(one.state.observations) for one in found)
        return details_of(tx, found)

    monkeypatch.setattr(sources, "details_of", noted)
    whole = [ObservationInput(f"of all {text}", sources=[Source("Source")]) for text in TEXTS]
    parts = [ObservationInput(f"of {text}", sources=[Source(number, text), Source("Source", 3)]) for text in TEXTS]
    await default.do(
        adding(("Ada", [*whole, *parts]), ("Ada", [ObservationInput("one more", sources=[Source("Source")])]))
    )
    assert read == [MANY]
    (ada,) = (await default.do(OpenNodes(["Ada"], details=True))).entities
    assert [one.sources for one in ada.details] == (
        [[[number, 0]]] * MANY + [[[number, place], [number, 3]] for place in range(1, MANY + 1)] + [[[number, 0]]]
    )
    # What an item derives from may be what one before it has said; each is read when it is new.
    read.clear()
    chain = [ObservationInput(f"link {place}", sources=[Source("Chain", f"link {place - 1}")]) for place in range(1, 9)]
    await default.create("Chain", "link 0")
    await default.do(adding(*[("Chain", [one]) for one in chain]))
    assert read == [1] * 9
    with pytest.raises(NotFound, match="no observation 'now' to derive from"):
        await default.do(adding(("Ada", ["now", ObservationInput("then", sources=[Source("Ada", "now")])])))
    await world.sound()


async def test_what_is_replaced_item_by_item_is_packed_no_more_often_than_it_is_written(
    default: Place, world: World, packed: list[str]
) -> None:
    await default.create("Ada", "first", "kept")
    items = [EntityInput("Ada", "thing", ["kept", text, f"and {text}"]) for text in TEXTS]
    one_by_one = await world.overlay("apart")
    each = [(await one_by_one.do(CreateEntities([item], on_existing="replace"))).results[0] for item in items]
    packed.clear()
    together = (await default.do(CreateEntities(items, on_existing="replace"))).results
    assert packed.count("Ada") == 2
    assert [(one.action, one.added) for one in together] == [(one.action, one.added) for one in each]
    assert {one.version for one in together} == {2}
    assert await default.says("Ada") == await one_by_one.says("Ada") == ["kept", TEXTS[-1], f"and {TEXTS[-1]}"]
    ids = [
        [(one.id, one.text) for one in (await place.do(OpenNodes(["Ada"], details=True))).entities[0].details or []]
        for place in (default, one_by_one)
    ]
    assert ids[0] == ids[1]
    (entry,) = (await default.do(Journal(limit=1))).entries
    assert len(entry.deeds) + entry.more == len(items)
    await default.do(Undo(dry_run=False))
    assert await default.says("Ada") == ["first", "kept"]
    await world.sound()


async def test_a_replaced_entity_keeps_the_vectors_of_what_the_last_item_says(default: Place, world: World) -> None:
    items = [
        EntityInput("Ada", "thing", [ObservationInput(text, vectors={"mine": [1.0, 0.0]})]) for text in ("one", "two")
    ]
    for asked in (items, items[::-1]):
        await default.do(CreateEntities(asked, on_existing="replace"))
        assert await default.says("Ada") == [asked[-1].observations[0].text]  # type: ignore[union-attr]
        await world.sound()


async def test_what_is_skipped_is_looked_up_once(default: Place, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await default.create("Ada", "first")
    opened: list[bytes] = []
    plain = Codec.plain
    monkeypatch.setattr(Codec, "plain", lambda *given: opened.append(plain(*given)) or opened[-1])  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    asked = [EntityInput(name, "thing", [text]) for text in TEXTS for name in ("Ada", "new")]
    done = (await default.do(CreateEntities(asked, on_existing="skip"))).results
    assert [one.action for one in done] == ["skipped", "created", *["skipped"] * (len(asked) - 2)]
    assert {one.version for one in done} == {1}
    assert len({one.id for one in done}) == 2
    assert len([body for body in opened if b"first" in body]) == 1
    assert await default.says("Ada") == ["first"]
    assert await default.says("new") == [TEXTS[0]]
    await world.sound()


async def test_what_is_skipped_by_its_name_may_be_made_in_a_scope_by_the_same_call(default: Place) -> None:
    await default.create("Ada", scope="m")
    asked = [EntityInput("Ada", "thing", scope=scope) for scope in ("", "a", "")]
    done = (await default.do(CreateEntities(asked, on_existing="skip"))).results
    assert [one.action for one in done] == ["skipped", "created", "skipped"]
    assert done[2].id == done[1].id, "of those in scopes the first scope's is meant"
