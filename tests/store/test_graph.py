"""The graph is followed in the caller's view, step by step, each entity once, and never further than the bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations, FindPath, FindRelated
from enhanced_memory.client.values import RelationInput
from enhanced_memory.daemon.handlers import graph

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World

EDGES = [
    ("a", "knows", "b"),
    ("b", "knows", "c"),
    ("c", "owns", "d"),
    ("d", "knows", "e"),
    ("f", "knows", "a"),
    ("a", "owns", "x"),
]


@pytest.fixture
async def chain(default: Place) -> Place:
    """Somebody who knows who knows whom; x is a name that no entity has."""
    for name in "abcdef":
        await default.create(name)
    await default.do(CreateRelations([RelationInput(*[one[0], one[2], one[1]]) for one in EDGES]))
    return default


async def around(place: Place, entity: Any = "a", as_of: int | None = None, **more: Any) -> dict[str, int]:
    found = await place.do(FindRelated(entity, **more), as_of)
    return {one.entity.name: one.distance for one in found.found}


async def way(place: Place, from_: Any, to: Any, as_of: int | None = None, **more: Any) -> list[str]:
    found = await place.do(FindPath(from_, to, **more), as_of)
    assert len(found.relations) == max(0, len(found.entities) - 1)
    for number, edge in enumerate(found.relations):
        assert {edge.from_, edge.to} == {found.entities[number].name, found.entities[number + 1].name}
    return [one.name for one in found.entities]


async def test_what_is_around_is_told_nearest_first(chain: Place) -> None:
    assert await around(chain) == {"b": 1, "f": 1}
    assert await around(chain, depth=3) == {"b": 1, "f": 1, "c": 2, "d": 3}
    assert list(await around(chain, depth=6)) == ["b", "f", "c", "d", "e"]


async def test_types_and_directions_narrow_what_is_followed(chain: Place) -> None:
    assert await around(chain, depth=6, types=["knows"]) == {"b": 1, "f": 1, "c": 2}
    assert await around(chain, depth=6, direction="out") == {"b": 1, "c": 2, "d": 3, "e": 4}
    assert await around(chain, depth=6, direction="in") == {"f": 1}
    assert await around(chain, "d", direction="in", types=["owns"]) == {"c": 1}
    assert await around(chain, types=["hates"]) == {}


async def test_the_relations_that_were_followed_are_told_with_names_that_no_entity_has(chain: Place) -> None:
    found = await chain.do(FindRelated("a"))
    assert {(one.from_, one.type, one.to) for one in found.relations} == {
        ("a", "knows", "b"), ("f", "knows", "a"), ("a", "owns", "x"),
    }  # fmt: skip


async def test_a_cycle_and_a_relation_with_itself_end(default: Place) -> None:
    for name in "abc":
        await default.create(name)
    for from_, to in ("ab", "bc", "ca", "aa"):
        await default.relate(from_, "knows", to)
    assert await around(default, depth=6) == {"b": 1, "c": 1}
    assert await around(default, depth=6, direction="out") == {"b": 1, "c": 2}
    assert await way(default, "a", "c", direction="out") == ["a", "b", "c"]


async def test_what_was_deleted_is_no_way(chain: Place) -> None:
    await chain.delete("c")
    assert await around(chain, depth=6) == {"b": 1, "f": 1}
    assert await way(chain, "a", "e") == []
    await chain.do(DeleteRelations([RelationInput("a", "b", "knows")]))
    assert await around(chain, depth=6) == {"f": 1}


async def test_the_past_and_a_branch_have_their_own_graph(chain: Place, world: World) -> None:
    before = await world.last_change()
    branch = await world.branch("try")
    await chain.delete("c")
    await chain.relate("a", "knows", "e")
    assert await way(chain, "a", "e") == ["a", "e"]
    assert await way(chain, "a", "e", as_of=before) == ["a", "b", "c", "d", "e"]
    assert await way(chain, "a", "e", at=before) == ["a", "b", "c", "d", "e"]
    assert await around(chain, depth=2, at=before) == {"b": 1, "f": 1, "c": 2}
    assert await around(chain, depth=2, as_of=before) == {"b": 1, "f": 1, "c": 2}
    assert await way(branch, "a", "e") == ["a", "b", "c", "d", "e"]
    await branch.do(DeleteRelations([RelationInput("c", "d", "owns")]))
    await branch.relate("b", "sees", "e")
    assert await way(branch, "a", "e") == ["a", "b", "e"]
    assert await way(chain, "a", "e") == ["a", "e"]


async def test_a_path_is_a_shortest_one(chain: Place) -> None:
    assert await way(chain, "a", "a") == ["a"]
    assert await way(chain, "f", "e") == ["f", "a", "b", "c", "d", "e"]
    assert await way(chain, "e", "f") == ["e", "d", "c", "b", "a", "f"]
    assert await way(chain, "e", "f", direction="out") == []
    assert await way(chain, "f", "e", direction="out") == ["f", "a", "b", "c", "d", "e"]
    assert await way(chain, "e", "f", direction="in") == ["e", "d", "c", "b", "a", "f"]
    assert await way(chain, "f", "e", max_depth=4) == []
    assert await way(chain, "f", "e", types=["knows"]) == []
    await chain.relate("b", "sees", "e")
    assert await way(chain, "f", "e") == ["f", "a", "b", "e"]


async def test_who_is_not_there_has_neither_neighbours_nor_a_way(chain: Place) -> None:
    for ask in (FindRelated("nobody"), FindPath("a", "nobody"), FindPath(99, "a"), FindRelated("x")):
        with pytest.raises(NotFound):
            await chain.do(ask)


async def test_a_hub_is_followed_as_far_as_the_bound(default: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "EDGES", 10)
    monkeypatch.setattr(graph, "ENTITIES", 12)
    await default.create("hub")
    for number in range(30):
        await default.create(f"n{number}")
        await default.relate("hub", "has", f"n{number}")
    found = await default.do(FindRelated("hub"))
    assert ([one.entity.name for one in found.found], found.cut) == ([f"n{number}" for number in range(10)], True)
    found = await default.do(FindRelated("hub", limit=4))
    assert (len(found.found), found.cut) == (4, True)
    path = await default.do(FindPath("hub", "n29"))
    assert [one.name for one in path.entities] == ["hub", "n29"]
    await default.create("far")
    assert (await default.do(FindPath("hub", "far"))).entities == []
