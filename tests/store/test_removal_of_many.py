"""What no index finds by the entity is read through once, however many entities go; answers are opened where they may tell of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.operations.cold import ArchiveEntities
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    PurgeEntities,
    RenameEntity,
    RestoreEntities,
    Tag,
)
from enhanced_memory.client.values import EntityInput, Filter
from enhanced_memory.client.wire import unpack_value
from enhanced_memory.daemon.archiving import ColdStorage
from enhanced_memory.daemon.store import purging
from enhanced_memory.daemon.store.purging import TABLES

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def counted(place: Place, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each statement that counts or reads is asked from now on."""
    rows: Any = await place.write(lambda tx: type(tx.rows))
    asked = Counter[str]()

    def noting(carry_out: Any) -> Any:
        def noted(self: Any, name: str, /, *also: Any, **values: Any) -> Any:
            asked[name] += 1
            return carry_out(self, name, *also, **values)

        return noted

    for way in ("count", "all"):
        monkeypatch.setattr(rows, way, noting(getattr(rows, way)))
    return asked


async def test_several_are_purged_with_one_reading_of_what_no_index_finds(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await default.create(f"e{number}", "says", tags=[f"t{number}"], properties={"n": number, "m": 1})
    await default.do(RenameEntity("e1", "other"))
    overlay = await world.overlay("overlay")
    await overlay.do(Tag(["e2"], ["more"]))
    asked = await counted(default, monkeypatch)
    receipt = await default.do(PurgeEntities(["e0", "other", "e2"], confirm=True))
    assert {
        name: asked[name] for name in ("names_had", "purge_names", "purge_tags", "purge_properties", "purge_merges")
    } == {
        "names_had": 1,
        "purge_names": 1,
        "purge_tags": 1,
        "purge_properties": 1,
        "purge_merges": 1,
    }
    assert list(receipt.removed) == ["cold", "notes", *TABLES, "answers"]
    assert {table: count for table, count in receipt.removed.items() if count} == {
        "passages": 9,
        "properties": 8,
        "tags": 5,
        "names": 5,
        "versions": 1,
        "entities": 4,
    }
    assert await default.listed() == ["e3"]
    assert await default.listed(tags=["t3"], where=[Filter("n", equal=3)]) == ["e3"]
    await world.sound()


async def test_several_are_archived_with_one_reading_of_what_no_index_finds(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await default.create(f"e{number}", "says", tags=[f"t{number}"], properties={"n": number})
    asked = await counted(default, monkeypatch)
    settings = await default.read(lambda tx: tx.settings)
    done = await ColdStorage(world.engine, settings).archive(default.call(ArchiveEntities(["e0", "e1"])))
    assert len(done.ids) == 2
    assert (asked["purge_tags"], asked["purge_properties"]) == (1, 1)
    assert await world.rows("SELECT DISTINCT entity FROM tags UNION SELECT DISTINCT entity FROM properties") == [(3,)]
    asked.clear()
    await default.do(RestoreEntities(["e0", "e1"]))
    assert (asked["purge_named"], asked["purge_names"]) == (2, 0), "each by the names that it had, not by its space"
    assert await default.listed(tags=["t1"], where=[Filter("n", equal=1)]) == ["e1"]
    await world.sound()


async def test_an_answer_is_unpacked_only_where_it_may_tell_what_goes(
    default: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await default.keyed(CreateEntities([EntityInput(f"keeps {number}", "thing", ["ten grey geese"])]), f"k{number}")
    await default.keyed(CreateEntities([EntityInput("go", "thing", ["a whole sentence"])]), "a")
    await default.keyed(Tag(["go"], ["keep"]), "b")
    unpacked: list[bytes] = []
    monkeypatch.setattr(purging, "unpack_value", lambda raw: unpacked.append(raw) or unpack_value(raw))  # pyright: ignore[reportUnknownLambdaType]
    receipt = await default.do(PurgeEntities(["go"], confirm=True))
    assert receipt.answers == 2
    assert len(unpacked) == 2, "the others have none of its texts in their bytes"
