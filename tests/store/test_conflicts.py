"""A conflict is kept with its entities, seen as its view sees them, and resolved once, by ordinary versions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.conflict_values import MemoryConflict
from enhanced_memory.client.errors import Conflict, Invalid, NotFound, TooLarge
from enhanced_memory.client.operations.conflicts import ListConflicts, ResolveConflict
from enhanced_memory.client.operations.entities import (
    AddObservations,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    PurgeEntities,
    RestoreEntities,
    UpdateEntity,
)
from enhanced_memory.client.values import ObservationInput, OriginInput
from enhanced_memory.daemon.conflicts import scanning
from enhanced_memory.daemon.conflicts.comparing import LEXICAL, Meaning
from enhanced_memory.daemon.conflicts.entities import Found, Told, judge_alone
from enhanced_memory.daemon.conflicts.scanning import Scanning
from enhanced_memory.daemon.store.conflicts import Proposal

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def record(place: Place, entity: int, other: int, type: Any = "duplicate", **more: Any) -> int:
    """Record a conflict of two entities; its number."""
    given = {"part": 0, "other_part": 0, "confidence": 0.9, "reason": "a reason", "action": "merge"} | more
    return await place.write(lambda tx: tx.conflicts.record(Proposal(entity, other, type=type, **given)))


async def listed(place: Place, as_of: int | None = None, **filters: Any) -> list[MemoryConflict]:
    return (await place.do(ListConflicts(**filters), as_of)).conflicts


async def status(place: Place, number: int) -> str:
    return next(one.status for one in await listed(place, status="any", limit=1000) if one.id == number)


@pytest.fixture
async def two(default: Place) -> tuple[int, int]:
    """Two entities that say nearly the same."""
    return (
        await default.create("Ada", "a", "b", properties={"x": 1}, tags=["one"]),
        await default.create("ada", "b", "c", properties={"x": 2, "y": 3}, tags=["two"]),
    )


@pytest.fixture
async def number(default: Place, two: tuple[int, int]) -> int:
    """A conflict of the two."""
    return await record(default, *two)


# Keeping and listing


async def test_a_conflict_tells_whom_it_is_between_and_what_they_say(default: Place, two: tuple[int, int]) -> None:
    await record(default, *two, type="contradiction", part=1, other_part=2, action="update")
    [one] = await listed(default)
    assert (one.type, one.confidence, one.suggested_action, one.status) == ("contradiction", 0.9, "update", "pending")
    assert (one.entity, one.conflicting_entity) == ("Ada", "ada")
    assert (one.entity_says, one.conflicting_says) == ("a", "c")
    assert one.detected_at is not None
    assert one.resolved_at is None


async def test_conflicts_are_listed_newest_first_filtered_and_page_by_page(default: Place) -> None:
    ids = [await default.create(f"n{number}", "o") for number in range(6)]
    made = [
        await record(default, ids[at], ids[at + 1], type="update" if at % 2 else "duplicate", confidence=at / 10)
        for at in range(5)
    ]
    assert [one.id for one in await listed(default)] == made[::-1]
    assert [one.id for one in await listed(default, types=["update"])] == [made[3], made[1]]
    assert [one.id for one in await listed(default, entity="n1")] == [made[1], made[0]]
    assert [one.id for one in await listed(default, minimum_confidence=0.3)] == [made[4], made[3]]
    page = await default.do(ListConflicts(limit=2))
    following = await default.do(ListConflicts(limit=2, before=page.cursor))
    last = await default.do(ListConflicts(limit=2, before=following.cursor))
    assert [one.id for one in (*page.conflicts, *following.conflicts, *last.conflicts)] == made[::-1]
    assert last.cursor is None
    with pytest.raises(NotFound):
        await default.do(ListConflicts(entity="nobody"))
    with pytest.raises(NotFound):
        await default.do(ListConflicts(entity=9999))


async def test_numbers_go_on_after_the_store_was_closed(reopen: Any) -> None:
    async with reopen() as world:
        one, other = await world.default.create("a", "x"), await world.default.create("b", "x")
        first = await record(world.default, one, other)
    async with reopen() as world:
        assert await record(world.default, one, other) == first + 1


async def test_what_two_said_when_they_conflicted_is_not_told_once_it_is_gone(
    default: Place, two: tuple[int, int]
) -> None:
    await record(default, *two, part=1, other_part=2)
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["a"])]))
    [one] = await listed(default)
    assert (one.entity_says, one.conflicting_says) == (None, "c")


async def test_purging_one_of_two_takes_the_conflict_with_it(world: World, default: Place, number: int) -> None:
    await default.do(PurgeEntities(["ada"], confirm=True))
    assert await listed(default, status="any") == []
    assert await world.rows("SELECT count(*) FROM conflicts") == [(0,)]
    with pytest.raises(NotFound):
        await default.do(ResolveConflict(number, "ignore"))


# Views


async def test_an_overlay_resolves_for_itself_alone(world: World, default: Place, number: int) -> None:
    project = await world.overlay("project")
    assert [one.space for one in await listed(project)] == ["default"]
    await project.do(ResolveConflict(number, "ignore", notes="not here"))
    assert await listed(project) == []
    assert [one.notes for one in await listed(project, status="ignored")] == ["not here"]
    assert [one.id for one in await listed(default)] == [number]


async def test_a_branch_sees_neither_later_conflicts_nor_later_resolutions(
    world: World, default: Place, number: int, two: tuple[int, int]
) -> None:
    branch = await world.branch("b")
    await default.do(ResolveConflict(number, "ignore"))
    await record(default, *two, type="update")
    assert [(one.id, one.status) for one in await listed(branch, status="any")] == [(number, "pending")]


async def test_the_past_knows_what_was_pending_then(world: World, default: Place, number: int) -> None:
    before = await world.last_change()
    await default.do(ResolveConflict(number, "ignore"))
    assert [one.status for one in await listed(default, as_of=before, status="any")] == ["pending"]
    assert await listed(default, as_of=before - 1, status="any") == []


# A scan


async def test_a_scan_that_was_left_goes_on_where_it_stood_and_looks_again_at_what_has_changed(
    world: World, default: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await default.create(f"n{at}", f"Lives in town {at}", f"Lives in port {at}") for at in range(8)]
    alone: list[str] = []
    left_after = 4

    def judged(told: Told, meaning: Meaning) -> list[Found]:
        alone.append(told.name)
        if len(alone) == left_after:
            scan.leave()
        return judge_alone(told, meaning)

    monkeypatch.setattr(scanning, "judge_alone", judged)
    monkeypatch.setattr(scanning, "PAGE", 4)
    with ThreadPoolExecutor(1) as pool:
        scan = Scanning(world.engine, pool, LEXICAL, default.call(), 0.85)
        await scan.task
        assert (scan.told().state, alone) == ("stopped", ["n0", "n1", "n2", "n3"])
        assert await default.read(lambda tx: tx.conflicts.scans_left()) == ["default"]
        mark = await default.read(lambda tx: tx.conflicts.marked())
        assert mark is not None
        assert (mark.after, mark.recorded) == (ids[3], 4)

        alone.clear()
        left_after = 0
        await default.create("n1", "Never eats meat", "Eats meat")
        scan = Scanning(world.engine, pool, LEXICAL, default.call(), 0.85, mark)
        await scan.task
    assert alone == ["n1", "n4", "n5", "n6", "n7"]
    assert (scan.told().state, scan.told().recorded) == ("done", 9)
    assert await default.read(lambda tx: tx.conflicts.scans_left()) == []
    assert sorted(one.entity_id for one in await listed(default, limit=100)) == sorted([*ids, ids[1]])


# Resolving


async def test_merge_keeps_the_union_and_leaves_a_tombstone_that_leads_to_it(
    world: World, default: Place, number: int, two: tuple[int, int]
) -> None:
    await default.create("Bob", "x")
    await default.relate("ada", "knows", "Bob")
    await default.relate("Bob", "knows", "ada")
    await default.relate("Ada", "knows", "Bob")
    await default.relate("ada", "is", "Ada")
    done = await default.do(ResolveConflict(number, "merge", notes="one person"))
    kept = await default.entity("Ada")
    assert kept is not None
    assert kept.observations == ["a", "b", "c"]
    assert (kept.properties, kept.tags) == ({"x": 1, "y": 3}, ["one", "two"])
    assert kept.conflict_resolution_method == "merge"
    assert await default.entity("ada") is None
    assert await default.related() == {("Ada", "knows", "Bob"), ("Bob", "knows", "Ada")}
    assert (done.conflict.status, done.conflict.notes, done.conflict.gone) == ("merged", "one person", [two[1]])
    assert done.conflict.resolved_at is not None
    [tombstone] = await default.read(lambda tx: [tx.entities.known(two[1])])
    assert tombstone.state.attributes["parent"] == two[0]
    await world.sound()


async def test_what_is_merged_keeps_who_said_it_and_when(default: Place) -> None:
    one = await default.create("Ada", "a")
    other = await default.create("ada")
    said = ObservationInput("b", origin=OriginInput(agent="somebody"))
    await default.do(AddObservations([ObservationsInput("ada", [said])]))
    before = await default.read(lambda tx: tx.entities.get("ada").state.observations[0])
    await default.do(ResolveConflict(await record(default, one, other), "merge"))
    after = await default.read(lambda tx: tx.entities.get("Ada").state.observations[1])
    assert (after.text, after.change, after.extra) == (before.text, before.change, before.extra)


async def test_which_one_stays_can_be_said(default: Place, number: int, two: tuple[int, int]) -> None:
    await default.do(ResolveConflict(number, "merge", keep="ada"))
    assert await default.says("ada") == ["b", "c", "a"]
    assert await default.entity("Ada") is None


async def test_a_tombstone_that_is_restored_stands_for_itself_again(
    default: Place, number: int, two: tuple[int, int]
) -> None:
    await default.do(ResolveConflict(number, "merge"))
    await default.do(RestoreEntities([two[1]]))
    back = await default.entity("ada")
    assert back is not None
    assert (back.parent_entity_id, back.conflict_resolution_method) == (None, None)
    assert back.observations == ["b", "c"]


async def test_update_keeps_both_and_puts_the_newer_above(default: Place, number: int) -> None:
    await default.do(ResolveConflict(number, "update"))
    older, newer = await default.entity("Ada"), await default.entity("ada")
    assert older is not None
    assert newer is not None
    assert older.relevance_score < newer.relevance_score == 1.0
    assert (older.observations, newer.observations) == (["a", "b"], ["b", "c"])


async def test_what_was_put_behind_is_found_behind(default: Place) -> None:
    older = await default.create("Old plan", "The harbour opens on Monday")
    newer = await default.create("New plan", "The harbour opens on Friday")
    for keep, first in (("New plan", "New plan"), ("Old plan", "Old plan")):
        number = await record(default, older, newer)
        await default.do(ResolveConflict(number, "update", keep=keep))
        assert (await default.found("harbour opens"))[0] == first
        await default.do(UpdateEntity(older, relevance_score=1.0))
        await default.do(UpdateEntity(newer, relevance_score=1.0))


async def test_branch_keeps_both_there_and_one_here(world: World, default: Place, number: int) -> None:
    done = await default.do(ResolveConflict(number, "branch"))
    assert done.branch == f"conflict-{number}"
    assert await default.listed() == ["Ada"]
    apart = world.place(done.branch)
    assert await apart.listed() == ["Ada", "ada"]
    assert await status(apart, number) == "pending"
    await default.do(AddObservations([ObservationsInput("Ada", ["later"])]))
    assert await apart.says("Ada") == ["a", "b"]


async def test_a_branch_needs_a_name_of_its_own(world: World, default: Place, number: int) -> None:
    await world.overlay("taken")
    with pytest.raises(Conflict, match="taken"):
        await default.do(ResolveConflict(number, "branch", branch="taken"))
    with pytest.raises(Invalid):
        await default.do(ResolveConflict(number, "merge", branch="mine"))
    assert await status(default, number) == "pending"


async def test_ignore_changes_nothing_but_the_status(default: Place, number: int) -> None:
    before = [await default.entity("Ada"), await default.entity("ada")]
    await default.do(ResolveConflict(number, "ignore"))
    assert [await default.entity("Ada"), await default.entity("ada")] == before
    with pytest.raises(NotFound):
        await default.do(ResolveConflict(number + 1, "ignore"))


@pytest.mark.parametrize("first", ["merge", "update", "branch", "ignore"])
async def test_resolving_twice_is_refused_and_does_nothing(
    world: World, default: Place, number: int, first: Any
) -> None:
    await default.do(ResolveConflict(number, first))
    change = await world.last_change()
    for action in ("merge", "update", "branch", "ignore"):
        with pytest.raises(Conflict, match="resolved already"):
            await default.do(ResolveConflict(number, action))
    assert await world.last_change() == change


async def test_what_was_resolved_under_a_key_is_answered_again_under_it(default: Place, number: int) -> None:
    first = await default.keyed(ResolveConflict(number, "merge"), "k")
    assert await default.keyed(ResolveConflict(number, "merge"), "k") == first


@pytest.mark.parametrize("action", ["merge", "update", "branch"])
async def test_a_conflict_of_a_deleted_entity_can_only_be_ignored(
    default: Place, number: int, two: tuple[int, int], action: Any
) -> None:
    await default.delete("ada")
    [one] = await listed(default)
    assert one.gone == [two[1]]
    with pytest.raises(NotFound, match="is deleted"):
        await default.do(ResolveConflict(number, action))
    await default.do(ResolveConflict(number, "ignore"))
    assert await status(default, number) == "ignored"


async def test_what_is_kept_is_one_of_the_two(default: Place, number: int) -> None:
    await default.create("Bob")
    with pytest.raises(Invalid, match="no part"):
        await default.do(ResolveConflict(number, "merge", keep="Bob"))
    with pytest.raises(NotFound):
        await default.do(ResolveConflict(number, "merge", keep="nobody"))
    with pytest.raises(Invalid, match="keeps both"):
        await default.do(ResolveConflict(number, "ignore", keep="Ada"))
    with pytest.raises(TooLarge):
        await default.do(ResolveConflict(number, "ignore", notes="x" * 20_000))
    assert await status(default, number) == "pending"


async def test_a_stream_with_messages_is_not_merged_away(default: Place, number: int, two: tuple[int, int]) -> None:
    await default.say("ada", "hello")
    with pytest.raises(Conflict, match="messages"):
        await default.do(ResolveConflict(number, "merge"))
    await default.do(ResolveConflict(number, "merge", keep="ada"))
    assert await default.heard("ada") == ["hello"]


async def test_merging_settles_whatever_else_was_pending_between_the_two(
    default: Place, number: int, two: tuple[int, int]
) -> None:
    other = await record(default, two[1], two[0], type="update")
    third = await record(default, two[0], await default.create("Bob"))
    await default.do(ResolveConflict(number, "merge"))
    assert [await status(default, one) for one in (number, other, third)] == ["merged", "ignored", "pending"]


# Within one entity


@pytest.fixture
async def own(default: Place) -> int:
    """A conflict of an entity with itself."""
    ada = await default.create("Ada", "Lives in Prague", "Speaks Czech", "Lives in Vienna")
    return await record(default, ada, ada, type="contradiction", part=1, other_part=3)


async def test_of_two_observations_the_older_ends_and_both_stay(default: Place, own: int) -> None:
    await default.do(ResolveConflict(own, "update"))
    assert await default.says("Ada") == ["Lives in Prague", "Speaks Czech", "Lives in Vienna"]
    noted = await default.read(lambda tx: tx.entities.get("Ada").state.observations)
    assert ["valid_to" in (one.extra or {}) for one in noted] == [True, False, False]


@pytest.mark.parametrize(
    ("keep", "left"), [(None, "Lives in Prague"), ("older", "Lives in Prague"), ("newer", "Lives in Vienna")]
)
async def test_of_two_observations_one_can_be_taken_away(default: Place, own: int, keep: Any, left: str) -> None:
    await default.do(ResolveConflict(own, "merge", keep=keep))
    says = await default.says("Ada")
    assert says is not None
    assert sorted(says) == sorted(["Speaks Czech", left])


async def test_a_branch_keeps_both_observations(world: World, default: Place, own: int) -> None:
    done = await default.do(ResolveConflict(own, "branch", branch="apart"))
    assert done.branch == "apart"
    assert await default.says("Ada") == ["Lives in Prague", "Speaks Czech"]
    assert await world.place("apart").says("Ada") == ["Lives in Prague", "Speaks Czech", "Lives in Vienna"]


async def test_an_observation_that_is_gone_cannot_be_chosen_between(default: Place, own: int) -> None:
    with pytest.raises(Invalid, match="older"):
        await default.do(ResolveConflict(own, "merge", keep="Ada"))
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["Lives in Vienna"])]))
    for keep in ("older", "newer"):
        with pytest.raises(Conflict, match="gone"):
            await default.do(ResolveConflict(own, "merge", keep=keep))
    assert await default.says("Ada") == ["Lives in Prague", "Speaks Czech"]


async def test_the_journal_tells_of_conflicts_by_their_numbers(world: World, default: Place, number: int) -> None:
    await default.do(ResolveConflict(number, "merge"))
    rows = await world.rows("SELECT subject, id, act FROM journal WHERE subject = 'conflict' ORDER BY number, seq")
    assert rows == [("conflict", number, "create"), ("conflict", number, "resolve")]
