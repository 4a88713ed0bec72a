"""Words find what was said; a name that is the query comes first; nothing that is typed is an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteEntities,
    DeleteObservations,
    ObservationsDeletion,
    Quarantine,
    UpdateEntity,
)
from enhanced_memory.client.operations.search import SearchNodes, SearchStreams
from enhanced_memory.client.values import EntityInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def test_the_name_that_is_the_query_comes_first(default: Place) -> None:
    await default.do(
        CreateEntities([EntityInput(f"n{number}", "thing", ["engine engine engine"]) for number in range(20)])
    )
    await default.create("Engine")
    await default.create("engine room", "engine")
    await default.create("engine")
    found = await default.found("engine", limit=30)
    assert found[:2] == ["engine", "Engine"]
    assert len(found) == 23


async def test_streams_are_found_by_what_was_said_in_them_and_not_once_they_are_deleted(
    default: Place, project: Place
) -> None:
    await default.say("harbour", *["nothing of it"] * 20, "the lantern is lit")
    await default.say("tower", "a lantern, a lantern", "another lantern")
    await default.say("cellar", "bread and salt")
    await default.create("lantern", "an entity is no stream")
    await project.say("elsewhere", "a lantern of another space")
    found = await default.do(SearchStreams("lantern"))
    assert [(one.name, one.type) for one in found.hits] == [("tower", "session"), ("harbour", "session")]
    assert (found.hits[0].score >= found.hits[1].score, found.hits[0].messages, found.cut) == (True, 2, False)
    first = await default.do(SearchStreams("lantern", limit=1))
    assert ([one.name for one in first.hits], first.cut) == (["tower"], True)
    assert (await default.do(SearchStreams("lantern", types=["character"]))).hits == []
    assert (await default.do(SearchStreams("  "))).hits == []
    await default.do(DeleteEntities(["tower"]))
    assert [one.name for one in (await default.do(SearchStreams("lantern"))).hits] == ["harbour"]


async def test_words_are_found_in_names_types_observations_and_properties(default: Place) -> None:
    await default.create("Zebra crossing", "nothing", type="landmark", properties={"note": "repaint soon", "n": 5})
    for query in ("zebra", "crossing", "landmark", "nothing", "repainted", "REPAINT"):
        assert await default.found(query) == ["Zebra crossing"], query
    assert await default.found("5") == []


async def test_any_word_of_the_query_finds_and_more_words_find_better(default: Place) -> None:
    await default.create("one", "steam engine")
    await default.create("two", "steam train engine whistle")
    await default.create("three", "garden")
    assert await default.found("the steam train and its whistle") == ["two", "one"]
    assert await default.found("the and its") == []


async def test_a_snippet_shows_what_matched_and_where(default: Place) -> None:
    await default.create("Ada", "first", "likes the analytical engine", "last")
    (hit,) = (await default.do(SearchNodes("analytical"))).hits
    assert (hit.snippet, hit.matched) == ("likes the analytical engine", ["observation"])
    (hit,) = (await default.do(SearchNodes("Ada"))).hits
    assert hit.matched == ["name"]
    assert hit.score > 500


async def test_what_was_taken_away_is_found_no_more(default: Place, world: World) -> None:
    await default.create("Ada", "zebra", "engine", properties={"p": "giraffe"})
    await default.do(DeleteObservations([ObservationsDeletion("Ada", ["zebra"])]))
    await default.do(UpdateEntity("Ada", properties={"p": None}))
    assert await default.found("zebra") == []
    assert await default.found("giraffe") == []
    assert await default.found("engine") == ["Ada"]
    await default.create("Ada", "tiger", on_existing="replace")
    assert await default.found("engine") == []
    assert await default.found("tiger") == ["Ada"]
    await world.sound()


async def test_an_empty_query_lists_the_newest_change_first(default: Place) -> None:
    for name in "abc":
        await default.create(name)
    await default.create("a", "again")
    result = await default.do(SearchNodes("  "))
    assert ([hit.entity.name for hit in result.hits], result.arms) == (["a", "c", "b"], ["all"])


async def test_what_is_in_quarantine_is_found_only_when_asked_for(default: Place) -> None:
    await default.create("Ada", "engine")
    await default.do(Quarantine(["Ada"]))
    assert await default.found("engine") == []
    assert await default.found("Ada") == []
    assert await default.found("engine", quarantined=True) == ["Ada"]


HOSTILE = [
    "", " ", '"', "'", "''", '"""', "*", "a*", "^a", "a:b", "name:a", "{name}:a", "(", ")", "()", "a AND", "OR", "NOT a", "a NEAR b", "NEAR(a b, 2)", "-a", "a -b", "+a",
    "a + b", "a\0b", "\0", "%", "_", ";", "--", "/*", "*/", "'; DROP TABLE words; --", "\\", "🙂", "日", "日本", "\u202eabc", "a" * 100_000, "a " * 20_000, "é", "ß", "İ",
    "\t\n\r", "a\nb", "[a]", "<a>", "|", "||", "&&", "!", "?", ".", "...", ",", "=", "~", "`", "$1", "?1", ":match", "@x", "#", "NULL", "bm25(2.0)", "rank", "words",
]  # fmt: skip


async def test_no_query_is_an_error_or_an_operator(default: Place) -> None:
    await default.create("Zebra", "stripes")
    for query in HOSTILE:
        result = await default.do(SearchNodes(query))
        assert [hit.entity.name for hit in result.hits] == (["Zebra"] if not query.strip() else []), query[:100]
        assert await default.overheard(query) == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("東京都の天気", "天気"),
        ("東京都の天気", "東京"),
        ("서울의 날씨", "날씨"),
        ("カタカナ語", "カナ"),
        ("my 東京 trip", "東京"),
        ("ein Straßenfest", "straßenfest"),
        ("naïve café", "naive cafe"),
        ("Füße", "fusse Füße"),
    ],
)
async def test_words_of_other_scripts_are_found(default: Place, text: str, query: str) -> None:
    await default.create("note", text)
    await default.create("other", "nichts 別物")
    assert await default.found(query) == ["note"]


async def test_other_spaces_do_not_crowd_out_what_is_here(default: Place, world: World) -> None:
    """However many better matches lie elsewhere, the one that can be seen is found."""
    other = world.place("other")
    await other.do(CreateEntities([EntityInput(f"engine {number}", "thing", ["engine"]) for number in range(300)]))
    await default.create("mine", "a long text in which only once, and late, the word engine stands")
    assert await default.found("engine", limit=1) == ["mine"]
    assert len(await other.found("engine", limit=1000)) == 300


async def test_filters_do_not_hide_a_match_behind_better_ones(default: Place) -> None:
    await default.do(CreateEntities([EntityInput(f"engine {number}", "thing", ["engine"]) for number in range(700)]))
    await default.create("rare", "a long text in which only once, and late, the word engine stands", type="rarity")
    assert await default.found("engine", types=["rarity"], limit=1) == ["rare"]
