"""Kinds in the store: what they give a new entity, and what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.entities import CreateEntities, ListEntities, UpdateEntity
from enhanced_memory.client.values import EntityInput, Filter

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place


async def test_a_new_entity_has_what_its_kind_gives_unless_it_says_otherwise(default: Place) -> None:
    lamp = await default.create("lamp", type="prop", properties={"rarity": "rare"})
    one = await default.entity(lamp)
    assert one is not None
    assert one.properties == {"rarity": "rare", "usage_count": 0, "is_favorite": False}


async def test_adding_to_an_entity_gives_it_nothing_that_it_does_not_say(default: Place) -> None:
    await default.create("dark", type="preference", properties={"category": "looks"})
    await default.create("dark", type="preference", properties={"value": True})
    one = await default.entity("dark")
    assert one is not None
    assert one.properties == {"category": "looks", "value": True}


@pytest.mark.parametrize("on_existing", ["merge", "replace"])
async def test_what_a_kind_cannot_hold_is_refused_and_nothing_is_changed(default: Place, on_existing: Any) -> None:
    await default.create("gus", "brave", type="agent_config")
    with pytest.raises(Invalid, match="temperature"):
        await default.do(
            CreateEntities(
                [EntityInput("ok", "thing"), EntityInput("gus", "agent_config", properties={"temperature": "hot"})],
                on_existing=on_existing,
            )
        )
    with pytest.raises(Invalid, match="max_tokens"):
        await default.do(UpdateEntity("gus", properties={"max_tokens": 0}))
    assert await default.entity("ok") is None
    one = await default.entity("gus")
    assert one is not None
    assert (one.version, one.properties["temperature"]) == (1, 0.7)


async def test_a_property_that_is_taken_away_stays_away(default: Place) -> None:
    await default.create("gus", type="agent_config")
    await default.do(UpdateEntity("gus", properties={"temperature": None}))
    await default.create("gus", "later", type="agent_config")
    one = await default.entity("gus")
    assert one is not None
    assert "temperature" not in one.properties


async def test_what_a_kind_gives_can_be_filtered_by(default: Place) -> None:
    await default.create("lamp", type="prop")
    await default.create("crown", type="prop", properties={"rarity": "rare"})
    found = await default.do(ListEntities(types=["prop"], where=[Filter("rarity", equal="common")]))
    assert [one.name for one in found.entities] == ["lamp"]
