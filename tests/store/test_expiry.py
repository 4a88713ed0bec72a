"""What expires: said in a time, a lifetime or by the type; out of sight at once, a tombstone soon, and never lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.curation import Expire, Expired
from enhanced_memory.client.operations.entities import CreateEntities, RestoreEntities, UpdateEntity
from enhanced_memory.client.operations.journal import Journal, Undo
from enhanced_memory.client.request import parse
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon.curation import slices
from enhanced_memory.daemon.curation.steadiness import Steadiness
from enhanced_memory.daemon.curation.tending import Tending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from enhanced_memory.tests.store.conftest import Place, World


def after(world: World, seconds: float) -> datetime:
    return datetime.fromtimestamp(world.clock.ms / 1000, UTC) + timedelta(seconds=seconds)


async def expire(place: Place, **more: Any) -> Expired:
    ask = Expire(**more)
    return await Tending(place.world.engine, Settings()).expire(place.call(ask))


async def entity(place: Place, name: str) -> Any:
    found = await place.entity(name)
    assert found is not None
    return found


async def test_a_lifetime_is_counted_from_now(default: Place, world: World) -> None:
    await default.create("new", ttl_s=60.0)
    assert (await entity(default, "new")).expires_at == after(world, 60)
    await default.do(UpdateEntity("new", ttl_s=3600.0))
    assert (await entity(default, "new")).expires_at == after(world, 3600)
    await default.do(UpdateEntity("new", expires_at=None))
    assert (await entity(default, "new")).expires_at is None


async def test_a_type_has_a_lifetime_by_the_setting_unless_the_entity_says_otherwise(
    new_world: Callable[[Settings], Awaitable[World]], settings: Settings
) -> None:
    world = await new_world(Settings.load({"readers": 1, "expire_after_days": "note=1"}))
    try:
        here = world.default
        await here.create("a", type="note")
        assert (await entity(here, "a")).expires_at == after(world, 86400)
        await here.create("b", type="note", ttl_s=5.0)
        assert (await entity(here, "b")).expires_at == after(world, 5)
        await here.create("c", type="thing")
        assert (await entity(here, "c")).expires_at is None
    finally:
        await world.engine.close()


async def test_a_time_that_is_past_is_refused_and_nothing_is_lost(default: Place, world: World) -> None:
    await default.create("kept", "k", expires_at=after(world, 600))
    before = await entity(default, "kept")
    for wrong in (after(world, -1), after(world, 1), datetime(1, 1, 1, tzinfo=UTC)):
        with pytest.raises(Invalid, match="past"):
            await default.do(CreateEntities([EntityInput("gone", "thing", expires_at=wrong)]))
        with pytest.raises(Invalid, match="past"):
            await default.do(UpdateEntity("kept", expires_at=wrong))
    assert await entity(default, "kept") == before
    assert await default.entity("gone") is None


async def test_a_time_and_a_lifetime_at_once_are_refused(default: Place, world: World) -> None:
    with pytest.raises(Invalid, match="both"):
        await default.create("x", expires_at=after(world, 600), ttl_s=5.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", 0), ("priority", 11), ("tier", "eternal"), ("tier", "Working"), ("importance", -1), ("importance", float("nan")),
        ("ttl_s", 0), ("ttl_s", -5), ("ttl_s", float("nan")), ("ttl_s", float("inf")), ("ttl_s", 1e12),
    ],
)  # fmt: skip
def test_what_no_memory_can_have_is_refused(field: str, value: Any) -> None:
    with pytest.raises(Invalid, match=field):
        parse(CreateEntities, {"entities": [{"name": "a", "type": "b", field: value}]})
    with pytest.raises(Invalid, match=field):
        parse(UpdateEntity, {"entity": "a", field: value})


async def test_what_has_expired_becomes_a_tombstone_with_its_relations_and_comes_back_whole(
    default: Place, world: World
) -> None:
    await default.create("short", "said", ttl_s=60.0)
    await default.create("long", "said")
    await default.relate("short", "knows", "long")
    world.clock.ms += 61_000
    assert (await expire(default, dry_run=True)).count == 1
    assert await default.entity("short") is not None
    done = await expire(default, message="its time was over")
    assert (done.count, done.more, len(done.changes)) == (1, False, 1)
    assert await default.entity("short") is None
    assert await default.related() == set()
    told = (await default.do(Journal(change=done.changes[0]))).entries[0]
    assert (told.op, told.message) == ("expire", "its time was over")
    assert (await expire(default)).count == 0
    await default.do(RestoreEntities(["short"]))
    assert (await entity(default, "short")).expires_at is None
    assert await default.related() == {("short", "knows", "long")}
    assert (await expire(default)).count == 0
    await world.sound()


async def test_what_an_undoing_brought_back_is_not_deleted_again(default: Place, world: World) -> None:
    await default.create("short", "said", ttl_s=60.0)
    before = await entity(default, "short")
    world.clock.ms += 61_000
    done = await expire(default)
    await default.do(Undo(change=done.changes[0], dry_run=False))
    now = await entity(default, "short")
    assert (now.expires_at, now.observations) == (before.expires_at, before.observations)
    assert await default.found("said") == []
    assert (await expire(default)).count == 0
    await default.do(UpdateEntity("short", priority=6))
    assert (await expire(default)).count == 1


async def test_what_was_undone_before_its_time_expires_when_it_has_come(default: Place, world: World) -> None:
    await default.create("short", "said", ttl_s=60.0)
    await default.do(UpdateEntity("short", priority=6))
    await default.do(Undo(dry_run=False))
    assert (await entity(default, "short")).priority == 5
    assert (await expire(default)).count == 0
    world.clock.ms += 61_000
    assert (await expire(default)).count == 1


async def test_a_space_expires_for_itself_alone(default: Place, project: Place, world: World) -> None:
    await default.create("shared", ttl_s=60.0)
    await project.create("own", ttl_s=60.0)
    world.clock.ms += 61_000
    assert (await expire(project)).count == 1
    assert await default.entity("shared") is not None
    assert await project.entity("shared") is not None
    assert (await expire(world.place("never written to", parent="default"))).count == 0
    assert (await expire(default)).count == 1
    assert await project.entity("shared") is None


async def test_slices_are_short_and_together_whole(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE_S", 0.0)  # each act takes longer than that
    monkeypatch.setattr(slices, "PAUSE_S", 0.0)
    await default.do(CreateEntities([EntityInput(f"e{number}", "thing", ttl_s=1.0) for number in range(20)]))
    world.clock.ms += 2000
    done = await expire(default)
    assert (done.count, len(done.changes)) == (20, 20)
    assert await default.listed(deleted=True) == [f"e{number}" for number in range(20)]


class Passed:
    """Time that passes as the clock says, unless the clock is moved."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.behind_ms = 0

    def __call__(self) -> float:
        return (self.world.clock.ms - self.behind_ms) / 1000


async def test_a_clock_that_jumps_ahead_makes_nothing_expire_by_itself(default: Place, world: World) -> None:
    passed = Passed(world)
    tending = Tending(world.engine, Settings(), Steadiness(world.clock, passed))
    await default.create("short", ttl_s=86400.0 * 300)
    year = 365 * 86_400_000
    world.clock.ms += year
    passed.behind_ms += year
    await tending.look_after()
    assert "ahead" in tending.problem
    assert await default.entity("short") is not None
    world.clock.ms -= year
    passed.behind_ms -= year
    await tending.look_after()
    assert tending.problem == ""
    world.clock.ms += year  # this time it really passed
    await tending.look_after()
    assert tending.problem == ""
    assert await default.entity("short") is None


async def test_a_clock_that_jumps_back_expires_nothing_too_early_and_all_in_its_time(
    default: Place, world: World
) -> None:
    await default.create("short", ttl_s=60.0)
    world.clock.ms -= 86_400_000
    assert (await expire(default)).count == 0
    assert await default.listed() == ["short"]
    world.clock.ms += 86_400_000 + 61_000
    assert await default.listed() == []
    assert (await expire(default)).count == 1
