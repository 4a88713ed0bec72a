"""Filters alone and together, orders, ranges, and pages that tell everything once while writes go on."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    ListEntities,
    Pin,
    Quarantine,
    RenameEntity,
    Tag,
    UpdateEntity,
)
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.values import EntityInput, Filter, ObservationInput, OriginInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


PEOPLE = [
    EntityInput(
        "Ada",
        "person",
        ["likes engines"],
        {"age": 36, "city": "London", "alive": False, "langs": ["en", "fr"], "score": 1.5},
        ["x", "y"],
        priority=9,
    ),
    EntityInput(
        "Bob",
        "person",
        ["likes engines"],
        {"age": 20, "city": "Paris", "alive": True, "langs": ["fr"], "score": 2},
        ["x"],
        tier="semantic",
    ),
    EntityInput(
        "Cleo",
        "robot",
        ["likes engines"],
        {"age": "old", "city": "london", "langs": [], "long": "z" * 300},
        ["y"],
        always_include=True,
    ),
    EntityInput("Dan", "robot", ["likes engines"], {"age": None, "nested": {"a": 1}, "score": -1}, [], priority=1),
]


@pytest.fixture
async def people(default: Place) -> Place:
    """Somebody in a space where four are known."""
    await default.do(CreateEntities(PEOPLE))
    await default.do(Quarantine(["Dan"]))
    return default


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["Ada", "Bob", "Cleo", "Dan"]),
    ({"types": ["person"]}, ["Ada", "Bob"]),
    ({"types": ["person", "robot"]}, ["Ada", "Bob", "Cleo", "Dan"]),
    ({"types": ["nothing"]}, []),
    ({"tiers": ["semantic"]}, ["Bob"]),
    ({"tiers": ["working", "procedural"]}, ["Ada", "Cleo", "Dan"]),
    ({"tags": ["x"]}, ["Ada", "Bob"]),
    ({"tags": ["x", "y"]}, ["Ada"]),
    ({"tags": ["x", "x"]}, ["Ada", "Bob"]),
    ({"tags": ["z"]}, []),
    ({"always_include": True}, ["Cleo"]),
    ({"always_include": False}, ["Ada", "Bob", "Dan"]),
    ({"quarantined": True}, ["Dan"]),
    ({"quarantined": False}, ["Ada", "Bob", "Cleo"]),
    ({"scope": ""}, ["Ada", "Bob", "Cleo", "Dan"]),
    ({"scope": "session"}, []),
    ({"where": [Filter("age", equal=36)]}, ["Ada"]),
    ({"where": [Filter("age", equal=36.0)]}, ["Ada"]),
    ({"where": [Filter("age", equal="36")]}, []),
    ({"where": [Filter("age", equal="old")]}, ["Cleo"]),
    ({"where": [Filter("city", equal="London")]}, ["Ada"]),
    ({"where": [Filter("city", any_of=["Paris", "london"])]}, ["Bob", "Cleo"]),
    ({"where": [Filter("city", any_of=[])]}, []),
    ({"where": [Filter("alive", equal=True)]}, ["Bob"]),
    ({"where": [Filter("alive", equal=False)]}, ["Ada"]),
    ({"where": [Filter("alive", any_of=[True, False])]}, ["Ada", "Bob"]),
    ({"where": [Filter("age", any_of=[20, "old"])]}, ["Bob", "Cleo"]),
    ({"where": [Filter("age", any_of=[20, 36], equal=20)]}, ["Bob"]),
    ({"where": [Filter("age", any_of=[36], equal=20)]}, []),
    ({"where": [Filter("langs", equal="fr")]}, ["Ada", "Bob"]),
    ({"where": [Filter("langs", any_of=["en", "de"])]}, ["Ada"]),
    ({"where": [Filter("age", at_least=20)]}, ["Ada", "Bob"]),
    ({"where": [Filter("age", at_most=20)]}, ["Bob"]),
    ({"where": [Filter("age", at_least=20.5, at_most=36)]}, ["Ada"]),
    ({"where": [Filter("age", at_least="a")]}, ["Cleo"]),
    ({"where": [Filter("age", at_most="zzz")]}, ["Cleo"]),
    ({"where": [Filter("score", at_most=1.5)]}, ["Ada", "Dan"]),
    ({"where": [Filter("score", at_least=-1, at_most=2)]}, ["Ada", "Bob", "Dan"]),
    ({"where": [Filter("age", exists=True)]}, ["Ada", "Bob", "Cleo", "Dan"]),
    ({"where": [Filter("score", exists=True)]}, ["Ada", "Bob", "Dan"]),
    ({"where": [Filter("score", exists=False)]}, ["Cleo"]),
    ({"where": [Filter("nested", exists=True)]}, ["Dan"]),
    ({"where": [Filter("langs", exists=True)]}, ["Ada", "Bob", "Cleo"]),
    ({"where": [Filter("long", exists=True)]}, ["Cleo"]),
    ({"where": [Filter("long", equal="z" * 300)]}, []),
    ({"where": [Filter("score", exists=True, at_least=2)]}, ["Bob"]),
    ({"where": [Filter("age", at_least=20), Filter("city", equal="Paris")]}, ["Bob"]),
    ({"where": [Filter("age", at_least=20)], "tags": ["y"]}, ["Ada"]),
    (
        {
            "types": ["person"],
            "tiers": ["working"],
            "tags": ["x"],
            "where": [Filter("alive", equal=False)],
            "quarantined": False,
            "always_include": False,
        },
        ["Ada"],
    ),
    ({"where": [Filter("it's \" % _", equal="x")]}, []),
]


async def test_a_filter_leaves_what_meets_it_in_a_space_in_an_overlay_and_in_the_past(
    people: Place, world: World
) -> None:
    then = await world.last_change()
    overlay, branch = await world.overlay("over"), await world.branch("branch")
    for filters, names in FILTERS:
        assert await people.listed(**filters) == names, filters
        assert await overlay.listed(**filters, limit=1) == names, filters
        assert await branch.listed(**filters, limit=1) == names, filters
        if not {"always_include", "quarantined", "scope"} & filters.keys():
            every = await people.found("engines", quarantined=True, **filters)
            assert sorted(every) == names, filters
            assert await people.found("engines", **filters) == [name for name in every if name != "Dan"], filters
            assert sorted(await people.found("", quarantined=True, **filters)) == names, filters
    for one in PEOPLE:
        gone = dict.fromkeys(one.properties)
        await people.do(UpdateEntity(one.name, "thing", gone, "procedural", priority=5, always_include=False))
        await people.do(Tag([one.name], ["z"]))
        await people.do(Quarantine([one.name], quarantined=one.name != "Dan"))
    for filters, names in FILTERS:
        assert await branch.listed(**filters, limit=1) == names, filters
        assert await people.listed(as_of=then, **filters) == names, filters


@pytest.mark.parametrize(
    "wrong", [Filter("age"), Filter("age", exists=False, equal=1), Filter("age", exists=False, at_least=1)]
)
async def test_a_filter_that_says_nothing_or_contradicts_itself_is_refused(people: Place, wrong: Filter) -> None:
    with pytest.raises(Invalid, match="'age'"):
        await people.listed(where=[wrong])
    with pytest.raises(Invalid, match="'age'"):
        await people.found("engines", where=[wrong])


async def test_what_has_expired_is_left_out_of_lists_and_searches_and_still_opens(default: Place, world: World) -> None:
    await default.create("soon", "engine", expires_at=at(world.clock.ms + 60_000))
    await default.create("late", "engine", expires_at=at(world.clock.ms + 600_000))
    assert await default.listed() == ["soon", "late"]
    then = await world.last_change()
    world.clock.ms += 120_000
    assert await default.listed() == ["late"]
    assert await default.found("engine") == ["late"]
    assert await default.listed(as_of=then) == ["late"]
    assert await default.says("soon") == ["engine"]
    await default.do(UpdateEntity("soon", expires_at=None))
    assert await default.listed() == ["soon", "late"]


async def test_times_of_change_are_filtered_both_ends_included(default: Place, world: World) -> None:
    times: list[int] = []
    for name in "abc":
        await default.create(name, "engine")
        times.append(world.clock.ms)
    assert await default.listed(updated_since=at(times[1])) == ["b", "c"]
    assert await default.listed(updated_until=at(times[1])) == ["a", "b"]
    assert await default.listed(updated_since=at(times[1]), updated_until=at(times[1])) == ["b"]
    assert await default.listed(updated_since=at(times[2] + 1)) == []
    assert await default.listed(updated_until=at(times[0] - 1)) == []
    assert sorted(await default.found("engine", since=at(times[1]))) == ["b", "c"]
    assert sorted(await default.found("engine", until=at(times[1]))) == ["a", "b"]
    with pytest.raises(Invalid, match="time zone"):
        await default.listed(updated_since=datetime(2027, 1, 1))


async def test_a_search_can_ask_who_said_it_and_how_far_it_is_trusted(world: World) -> None:
    ada, bob = (
        world.place("default", agent="ada", session="s1"),
        world.place("default", agent="bob", session="s2", channel="import"),
    )
    await ada.create("a", "engine")
    await bob.create("b", "engine")
    web = ObservationInput("engine", origin=OriginInput(agent="web", trust="tool"))
    await ada.do(CreateEntities([EntityInput("c", "thing", [web])]))
    assert await ada.found("engine", agent="ada") == ["a"]
    assert sorted(await ada.found("engine", session="s1")) == ["a", "c"]
    assert await ada.found("engine", agent="web", session="s1") == ["c"]
    assert await ada.found("engine", minimum_trust="agent") == ["a"]
    assert sorted(await ada.found("engine", minimum_trust="tool")) == ["a", "c"]
    assert sorted(await ada.found("engine", minimum_trust="import")) == ["a", "b", "c"]
    assert await ada.found("engine", minimum_trust="user") == []
    assert await ada.found("", agent="bob") == ["b"]


# Orders


async def ordered(default: Place) -> None:
    await default.do(
        CreateEntities(
            [EntityInput("b", "thing", [], {"k": 10}, priority=2), EntityInput("a", "thing", [], {"k": 9}, priority=3)]
        )
    )
    await default.do(
        CreateEntities(
            [
                EntityInput("ä", "thing", [], {"k": "10"}, priority=1),
                EntityInput("B", "thing", [], {"k": -1.5}, priority=2),
            ]
        )
    )
    await default.do(
        CreateEntities(
            [EntityInput("none", "thing", priority=10), EntityInput("list", "thing", [], {"k": [7, "x"]}, priority=9)]
        )
    )
    await default.do(Pin(["a"]))


EVERY: dict[str, Any] = {}
FEW: dict[str, Any] = {"types": ["thing"]}
"""Asked for a type that few are of, a store looks those up instead of walking through all."""

ORDERS = [
    ("id", ["b", "a", "ä", "B", "none", "list"]),
    ("created", ["b", "a", "ä", "B", "none", "list"]),
    ("updated", ["b", "ä", "B", "none", "list", "a"]),
    ("priority", ["ä", "b", "B", "a", "list", "none"]),
    ("name", ["B", "a", "b", "list", "none", "ä"]),
    ("property:k", ["B", "list", "a", "b", "ä"]),
    ("property:absent", []),
]


@pytest.mark.parametrize(("order", "names"), ORDERS)
async def test_lists_come_in_the_order_asked_for_on_pages_of_any_size(
    default: Place, world: World, order: str, names: list[str]
) -> None:
    """Numbers come before text; what lacks the property is left out."""
    await ordered(default)
    overlay = await world.overlay("over")
    for place, given in product((default, overlay), (EVERY, FEW)):
        for limit in (1, 2, 3, 100):
            assert await place.listed(order_by=order, limit=limit, **given) == names
            assert await place.listed(order_by=order, limit=limit, descending=True, **given) == names[::-1]


@pytest.mark.parametrize(("order", "names"), ORDERS)
async def test_an_overlays_own_stand_among_its_parents(
    default: Place, world: World, order: str, names: list[str]
) -> None:
    overlay = await world.overlay("over")
    await default.do(
        CreateEntities(
            [EntityInput("b", "thing", [], {"k": 10}, priority=2), EntityInput("a", "thing", [], {"k": 0}, priority=3)]
        )
    )
    await overlay.do(
        CreateEntities(
            [
                EntityInput("ä", "thing", [], {"k": "10"}, priority=1),
                EntityInput("B", "thing", [], {"k": -1.5}, priority=2),
            ]
        )
    )
    await default.do(
        CreateEntities(
            [EntityInput("none", "thing", priority=10), EntityInput("list", "thing", [], {"k": [7, "x"]}, priority=9)]
        )
    )
    await overlay.do(UpdateEntity("a", properties={"k": 9}))
    for limit, given in product((1, 2, 4, 100), (EVERY, FEW)):
        assert await overlay.listed(order_by=order, limit=limit, **given) == names
        assert await overlay.listed(order_by=order, limit=limit, descending=True, **given) == names[::-1]


@pytest.mark.parametrize("order", ["", "nonsense", "property:", "id; DROP TABLE entities", "key_id"])
async def test_an_unknown_order_is_refused_with_those_there_are(default: Place, order: str) -> None:
    with pytest.raises(Invalid, match="order_by") as refused:
        await default.listed(order_by=order)
    assert "priority" in refused.value.hint


async def test_what_is_deleted_is_listed_by_what_it_still_has(default: Place) -> None:
    await default.create("a", priority=2)
    await default.create("b", priority=1)
    await default.create("c")
    await default.delete("b")
    await default.delete("a")
    assert await default.listed(deleted=True) == ["a", "b"]
    assert await default.listed(deleted=True, order_by="updated", limit=1) == ["b", "a"]
    assert await default.listed(deleted=True, order_by="priority") == ["b", "a"]
    for order in ("name", "property:k"):
        with pytest.raises(Invalid, match="deleted"):
            await default.listed(deleted=True, order_by=order)


# Pages


@pytest.mark.parametrize("order", ["id", "name", "priority", "property:n", "created", "updated"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("space", ["default", "over"])
async def test_pages_tell_everything_once_while_writes_go_on(
    default: Place, world: World, order: str, descending: bool, space: str
) -> None:
    """Whatever comes, goes or changes meanwhile: what was there throughout and stayed as it was is told exactly once."""
    place = await world.overlay("over") if space == "over" else default
    names = [f"n{number:03}" for number in range(40)]
    half = CreateEntities(
        [
            EntityInput(name, "thing", [], {"n": (number * 7) % 10}, priority=number % 10 + 1)
            for number, name in enumerate(names)
        ][::2]
    )
    rest = CreateEntities(
        [
            EntityInput(name, "thing", [], {"n": (number * 7) % 10}, priority=number % 10 + 1)
            for number, name in enumerate(names)
        ][1::2]
    )
    await default.do(half)
    await place.do(rest)
    steady = set(names) - {"n001", "n002", "n020", "n031"}
    told: list[str] = []
    cursor: str | None = None
    for step in range(100):
        page = await place.do(ListEntities(order_by=order, descending=descending, limit=3, cursor=cursor))
        told += [one.name for one in page.entities if one.name in steady]
        cursor = page.cursor
        if cursor is None:
            break
        if step == 1:
            await place.delete("n001", "n020")
        elif step == 2:
            await default.do(RenameEntity("n002", "zzz"))
        elif step == 3:
            await place.do(UpdateEntity("n031", priority=10, properties={"n": 0}))
        elif step < 8:
            await place.create(f"a{step}", properties={"n": -step}, priority=1)
            await default.create(f"o{step}", properties={"n": step}, priority=10)
    assert len(told) == len(set(told))
    assert set(told) == steady


FORGED = [
    "x",
    "!!!",
    "é",
    "W10",
    "WzFd",
    "bnVsbA",
    "W251bGwsMV0",
    "WzEsMTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwXQ",
    "W3RydWUsMV0",
    "a" * 10_000,
]


async def test_a_cursor_that_was_never_given_out_is_refused(people: Place) -> None:
    for cursor in FORGED:
        for order in ("id", "name", "property:age"):
            with pytest.raises(Invalid, match="cursor"):
                await people.do(ListEntities(cursor=cursor, order_by=order))


async def test_a_search_says_whether_there_was_more(default: Place) -> None:
    await default.do(CreateEntities([EntityInput(f"n{number}", "thing", ["engine"]) for number in range(30)]))
    for query in ("engine", ""):
        some = await default.do(SearchNodes(query, limit=10))
        assert (len(some.hits), some.cut) == (10, True)
        every = await default.do(SearchNodes(query, limit=30))
        assert (len(every.hits), every.cut) == (30, False)
