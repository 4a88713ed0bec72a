"""Tiers by hand, and relevance: it fades with time and comes back by a change, a reading or a confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.curation import PromoteToTier
from enhanced_memory.client.operations.entities import Confirm, UpdateEntity
from enhanced_memory.client.operations.journal import Undo
from enhanced_memory.client.request import parse
from enhanced_memory.client.values import Tier

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World

HALF_LIFE_MS = 90 * 86_400_000
TIERS: list[Tier] = ["episodic", "semantic", "procedural", "working"]


async def relevance(place: Place, name: str) -> float:
    found = await place.entity(name)
    assert found is not None
    return found.relevance_score


async def read(world: World, entity: int) -> None:
    """What a reading leaves, in the batch that the daemon writes."""
    world.engine.note("add_use", [{"entity": entity, "count": 1, "last": world.clock.ms}])
    await world.engine.write(lambda tx: None, world.default.call())


async def test_an_entity_goes_from_tier_to_tier_by_hand(default: Place) -> None:
    number = await default.create("Ada", "a")
    before: Any = "working"
    for tier in TIERS:
        done = await default.do(PromoteToTier(number, tier))
        assert (done.before, done.tier, done.action, done.name) == (before, tier, "updated", "Ada")
        found = await default.entity("Ada")
        assert found is not None
        assert (found.tier, found.version) == (tier, done.version)
        assert await default.listed(tiers=[tier]) == ["Ada"]
        before = tier
    again = await default.do(PromoteToTier("Ada", "working"))
    assert (again.action, again.before) == ("unchanged", "working")
    await default.do(Undo(dry_run=False))
    assert await default.listed(tiers=["procedural"]) == ["Ada"]


async def test_a_promotion_of_nobody_or_from_another_version_is_refused(default: Place) -> None:
    await default.create("Ada", "a")
    with pytest.raises(NotFound):
        await default.do(PromoteToTier("Bob", "semantic"))
    with pytest.raises(Conflict, match="version 1, not 2"):
        await default.do(PromoteToTier("Ada", "semantic", expected_version=2))


@pytest.mark.parametrize("tier", ["", "eternal", "Semantic", 2, None])
def test_a_tier_that_there_is_not_is_refused(tier: Any) -> None:
    with pytest.raises(Invalid, match="tier"):
        parse(PromoteToTier, {"entity": "Ada", "tier": tier})


async def test_relevance_fades_by_half_lives_and_is_restored(default: Place, world: World) -> None:
    ada = await default.create("Ada", "a")
    assert await relevance(default, "Ada") == 1.0
    world.clock.ms += HALF_LIFE_MS
    assert await relevance(default, "Ada") == 0.5
    await read(world, ada)
    assert await relevance(default, "Ada") == 1.0
    world.clock.ms += 2 * HALF_LIFE_MS
    assert await relevance(default, "Ada") == 0.25
    await default.do(Confirm(["Ada"]))
    assert await relevance(default, "Ada") == 1.0
    await default.do(UpdateEntity("Ada", relevance_score=0.6))
    world.clock.ms += HALF_LIFE_MS
    assert await relevance(default, "Ada") == pytest.approx(0.3, abs=1e-3)


async def test_of_two_that_say_the_same_the_one_that_was_read_comes_first(default: Place, world: World) -> None:
    older = await default.create("older", "steam engines")
    await default.create("newer", "steam engines")
    assert await default.found("steam engines") == ["newer", "older"]
    world.clock.ms += 3 * HALF_LIFE_MS
    await read(world, older)
    assert await default.found("steam engines") == ["older", "newer"]


async def test_a_clock_set_back_makes_nothing_older_or_younger_than_now(default: Place, world: World) -> None:
    ada = await default.create("Ada", "a")
    await read(world, ada)
    world.clock.ms -= 10 * HALF_LIFE_MS
    assert await relevance(default, "Ada") == 1.0
    world.clock.ms += 20 * HALF_LIFE_MS  # a jump ahead, a reading, and back again
    await read(world, ada)
    world.clock.ms -= 9 * HALF_LIFE_MS
    await read(world, ada)
    world.clock.ms += HALF_LIFE_MS
    assert await relevance(default, "Ada") == 0.5
