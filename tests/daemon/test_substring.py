"""What contains the query as it stands is found, in every layer and under every filter, within a stated number of
bodies.
"""

import pytest

from enhanced_memory.client.operations.entities import CreateEntities, DeleteEntities, Quarantine
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.operations.spaces import CreateSpace
from enhanced_memory.client.request import HANDLERS, Request
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.handlers import search
from enhanced_memory.daemon.store import Engine
from tests.conftest import call


async def ask(engine: Engine, request: Request, space: str = "default", parent: str | None = None):
    handle = HANDLERS[request.op]
    asking = call(request, space=space, parent=parent)
    if isinstance(request, SearchNodes):
        return await engine.read(lambda tx: handle(tx, request), asking)
    return await engine.write(lambda tx: handle(tx, request), asking)


async def found(engine: Engine, query: str, space: str = "default", **more) -> list[str]:
    result = await ask(engine, SearchNodes(query, **({"limit": 1000} | more)), space)
    return [hit.entity.name for hit in result.hits]


@pytest.fixture(autouse=True)
async def known(engine: Engine) -> None:
    """Three entities."""
    assert handlers
    await ask(engine, CreateEntities([
        EntityInput("Lighthouse", "building", ["stands on Ölandsudde", "100% red"]),
        EntityInput("Keeper", "Person-Type", ["house on fire"]),
        EntityInput("Other", "x", ["nothing"]),
    ]))  # fmt: skip


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("ghthou", ["Lighthouse"]),
        ("LANDSUD", ["Lighthouse"]),
        ("öLands", ["Lighthouse"]),
        ("0% r", ["Lighthouse"]),
        ("rson-Ty", ["Keeper"]),
        ("use on f", ["Keeper"]),
        ("ouse", ["Keeper", "Lighthouse"]),
        (".*", []),
        ("red house", ["Keeper", "Lighthouse"]),
        ("\0", []),
        ("zzz", []),
    ],
)
@pytest.mark.parametrize("substring", [True, False])
async def test_any_piece_of_name_type_or_observation_is_found_whatever_the_case(
    engine: Engine, query: str, names: list[str], substring: bool
) -> None:
    assert sorted(await found(engine, query, substring=substring)) == names


async def test_a_piece_does_not_reach_over_two_observations(engine: Engine) -> None:
    assert await found(engine, "udde100") == []


async def test_only_where_asked_does_it_come_before_better_words(engine: Engine) -> None:
    await ask(
        engine, CreateEntities([EntityInput("a", "x", ["red, and the sea"]), EntityInput("b", "x", ["xsea redx"])])
    )
    assert await found(engine, "sea red") == ["a", "Lighthouse", "b"]
    assert await found(engine, "sea red", substring=True) == ["b", "a", "Lighthouse"]


async def test_what_is_deleted_or_quarantined_or_filtered_out_is_not_found(engine: Engine) -> None:
    await ask(engine, DeleteEntities(["Lighthouse"]))
    await ask(engine, Quarantine(["Keeper"]))
    assert await found(engine, "ouse", substring=True) == []
    assert await found(engine, "ouse", substring=True, quarantined=True) == ["Keeper"]
    assert await found(engine, "ouse", substring=True, quarantined=True, types=["x"]) == []


async def test_a_space_sees_its_parent_and_what_it_hides_is_hidden(engine: Engine) -> None:
    await ask(engine, CreateSpace("over", "default"))
    assert sorted(await found(engine, "ouse", "over", substring=True)) == ["Keeper", "Lighthouse"]
    await ask(engine, DeleteEntities(["Keeper"]), "over")
    assert await found(engine, "ouse", "over", substring=True) == ["Lighthouse"]
    assert sorted(await found(engine, "ouse", substring=True)) == ["Keeper", "Lighthouse"]


async def test_no_more_bodies_are_opened_than_is_said_and_the_answer_says_so(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(engine, CreateEntities([EntityInput(f"n{number}", "x", [f"xfactx {number}"]) for number in range(1200)]))
    monkeypatch.setattr(search, "_SUBSTRING_BODIES", {False: 600, True: 700})
    result = await ask(engine, SearchNodes("fact", limit=1000, substring=True))
    assert len(result.hits) == 700
    assert result.cut
    assert "substring" in result.arms
    assert len(await found(engine, "fact")) == 600


async def test_enough_words_need_no_look_at_bodies(engine: Engine) -> None:
    result = await ask(engine, SearchNodes("house", limit=1))
    assert "substring" not in result.arms


async def test_pages_of_hits_follow_one_another(engine: Engine) -> None:
    await ask(engine, CreateEntities([EntityInput(f"n{number}", "x", [f"xfactx {number}"]) for number in range(25)]))
    whole = await found(engine, "fact", substring=True)
    paged: list[str] = []
    for offset in (0, 10, 20, 30):
        result = await ask(engine, SearchNodes("fact", limit=10, offset=offset, substring=True))
        paged += [hit.entity.name for hit in result.hits]
        assert result.cut == (offset < 20)
    assert paged == whole
    assert len(whole) == 25
