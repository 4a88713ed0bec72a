"""Large stores and bad queries: rare words lead, filters come before the cut, counts are exact, and nothing that is typed breaks it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.operations.entities import CreateEntities, DeleteEntities
from enhanced_memory.client.operations.search import GetContext, SearchMessages, SearchNodes
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.values import EntityInput, Filter, MessageInput
from enhanced_memory.daemon.store import intake, keeping, plan, words
from enhanced_memory.daemon.store.sqlite import merging
from enhanced_memory.daemon.store.sqlite.merging import MANY_SEGMENTS, MERGE_GROUPS
from enhanced_memory.daemon.times import moment

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, Reopen, World


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store is put questions as a large one is whose words are not in memory."""
    monkeypatch.setattr(keeping.KeptWords, "worthwhile", False)
    monkeypatch.setattr(words, "PLAIN", 0)
    monkeypatch.setattr(words, "PROBED", 5)
    monkeypatch.setattr(plan, "budget_of", lambda total: 20)


@pytest.fixture
async def crowd(default: Place) -> Place:
    """Somebody with 400 messages in 4 streams and 100 entities, and one of each that is rare."""
    for stream in range(4):
        await default.do(
            AppendMessages(f"s{stream}", [
                MessageInput(f"common word {'even' if number % 2 else 'odd'} line{number} here", speaker=f"p{number % 3}",
                             role="user" if number % 5 else "tool", kind="dialogue" if number % 4 else "action")
                for number in range(100)
            ])
        )  # fmt: skip
    await default.do(
        CreateEntities([EntityInput(f"e{number}", f"t{number % 4}", ["common word thing"], {"n": number}) for number in range(100)])
    )  # fmt: skip
    await default.say("s2", "a zebra among common things, common word")
    await default.create("striped", "common zebra word", type="animal")
    return default


@pytest.mark.usefixtures("large")
async def test_a_rare_word_leads_however_common_the_others_are(crowd: Place) -> None:
    assert (await crowd.overheard("common word zebra here"))[0] == "a zebra among common things, common word"
    assert (await crowd.found("common word zebra thing"))[0] == "striped"
    assert (await crowd.overheard("line7 common"))[0].split()[3] == "line7"


@pytest.mark.usefixtures("large")
async def test_common_words_alone_find_as_many_as_are_wanted(crowd: Place) -> None:
    for query in ("common", "common word", "even common word here"):
        found = await crowd.do(SearchMessages(query, limit=50))
        assert len(found.hits) == 50, query
        assert found.cut
        assert len((await crowd.do(SearchNodes(query, limit=30))).hits) == 30
    hits = (await crowd.do(SearchMessages("even word", limit=50))).hits
    assert all("even" in hit.message.content for hit in hits)


@pytest.mark.usefixtures("large")
async def test_the_plan_scores_what_it_finds_as_the_whole_question_would(
    crowd: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as small:
        small.setattr(words, "PLAIN", 10_000)
        whole = await crowd.do(SearchMessages("zebra line7 even", limit=1, explain=True))
    planned = await crowd.do(SearchMessages("zebra line7 even", limit=1, explain=True))
    assert planned.hits[0].message == whole.hits[0].message
    # How long a line is with its neighbours is measured by what was found: the plan finds less.
    assert planned.hits[0].explained["words"] == pytest.approx(whole.hits[0].explained["words"], rel=0.03)


FILTERS: list[tuple[dict[str, Any], int]] = [
    ({}, 401),
    ({"stream": "s2"}, 101),
    ({"roles": ["tool"]}, 80),
    ({"kinds": ["action"]}, 100),
    ({"speakers": ["p1"]}, 132),
    ({"roles": ["tool"], "kinds": ["action"], "stream": "s1"}, 5),
    ({"speakers": ["nobody"]}, 0),
]


@pytest.mark.parametrize("few", [False, True], ids=["small", "large"])
async def test_messages_are_filtered_before_the_cut_and_counted_exactly(
    crowd: Place, few: bool, request: pytest.FixtureRequest
) -> None:
    if few:
        request.getfixturevalue("large")
    for given, count in FILTERS:
        found = await crowd.do(SearchMessages("common word", limit=500, count=True, **given))
        assert found.total == count, given
        top = await crowd.do(SearchMessages("common word", limit=3, count=True, **given))
        assert (len(top.hits), top.total) == (min(3, count), count), given
        assert top.cut is (count > 3), given


@pytest.mark.parametrize("few", [False, True], ids=["small", "large"])
async def test_entities_are_filtered_before_the_cut_and_counted_exactly(
    crowd: Place, few: bool, request: pytest.FixtureRequest
) -> None:
    if few:
        request.getfixturevalue("large")
    for given, count in [
        ({}, 101), ({"types": ["t1"]}, 25), ({"types": ["animal"]}, 1), ({"where": [Filter("n", at_least=90)]}, 10),
        ({"types": ["t1"], "where": [Filter("n", at_most=9)]}, 3), ({"tiers": ["semantic"]}, 0), ({"agent": "nobody"}, 0),
    ]:  # fmt: skip
        found = await crowd.do(SearchNodes("common word", limit=2, count=True, **given))
        assert (len(found.hits), found.total) == (min(2, count), count), given
    every = await crowd.do(SearchNodes("", limit=2, count=True, types=["t1"]))
    assert (len(every.hits), every.total, every.cut) == (2, 25, True)
    assert (await crowd.do(SearchNodes("common"))).total is None


async def test_counts_are_of_the_view(crowd: Place, world: World) -> None:
    before = await world.last_change()
    overlay = await world.overlay("over")
    await overlay.create("e1", "common again")
    await overlay.delete("e2")
    await crowd.create("later", "common")
    assert (await overlay.do(SearchNodes("common", count=True))).total == 101
    assert (await crowd.do(SearchNodes("common", count=True))).total == 102
    assert (await crowd.do(SearchNodes("common", count=True), before)).total == 101
    await crowd.say("s1", "common once more")
    assert (await crowd.do(SearchMessages("common", count=True), before)).total == 401
    assert (await overlay.do(SearchMessages("common", count=True))).total == 402


async def test_a_deleted_stream_is_neither_found_nor_counted(crowd: Place, world: World) -> None:
    before = await world.last_change()
    branch = await world.branch("try")
    await crowd.delete("s2")
    for place, as_of, count in ((crowd, None, 300), (crowd, before, 401), (branch, None, 401)):
        found = await place.do(SearchMessages("common word", limit=500, count=True), as_of)
        assert (len(found.hits), found.total) == (count, count)


async def test_messages_of_a_time_are_found_among_more_of_another(default: Place) -> None:
    start = moment(1_700_000_000_000)
    await default.do(
        AppendMessages("talk", [MessageInput("engine engine engine", at=start + timedelta(days=number)) for number in range(300)])
    )  # fmt: skip
    found = await default.do(
        SearchMessages("engine", limit=5, since=start + timedelta(days=3), until=start + timedelta(days=4), count=True)
    )
    assert (len(found.hits), found.total) == (2, 2)


async def test_an_explanation_names_every_arm_and_prior_and_adds_up(crowd: Place) -> None:
    (hit,) = (await crowd.do(SearchNodes("striped zebra", limit=1, explain=True))).hits
    assert {"words", "fused", "recency"} <= hit.explained.keys()
    assert sum(value for name, value in hit.explained.items() if name not in ("words", "meaning")) == pytest.approx(
        hit.score, abs=1e-3
    )
    (line,) = (await crowd.do(SearchMessages("zebra", limit=1, explain=True))).hits
    assert {"words", "fused", "length", "session"} <= line.explained.keys()
    assert sum(value for name, value in line.explained.items() if name not in ("words", "meaning")) == pytest.approx(
        line.score, abs=1e-3
    )
    assert not (await crowd.do(SearchNodes("zebra"))).hits[0].explained


async def test_what_is_pinned_or_important_comes_first_among_equals(default: Place) -> None:
    for name, more in (
        ("plain", {}),
        ("pinned", {"always_include": True}),
        ("important", {"importance": 0.9}),
        ("urgent", {"priority": 7}),
    ):
        await default.create(name, "steam engine", **more)
    found = await default.found("steam engine")
    assert found[-1] == "plain"
    assert set(found[:2]) == {"pinned", "important"}


OPERATORS = [
    "AND", "OR", "NOT", "NEAR", "a AND b", "a OR b", "a NOT b", "NEAR(a b)", "NEAR(a b, 3)", '"a b"', '"a', 'a"', '""', "a*", "*", "^a", "^", "a + b", "+",
    "name : a", "name:a", "{name body} : a", "- name : a", "-a", "(a", "a)", "()", "(a AND b) OR c", ":", "a:", "{", "}", "{}", "[a]", "a,b", "\\", "'", "''",
]  # fmt: skip


@pytest.mark.parametrize("query", OPERATORS)
@pytest.mark.parametrize("few", [False, True], ids=["small", "large"])
async def test_an_operator_is_a_word_or_nothing(
    default: Place, query: str, few: bool, request: pytest.FixtureRequest
) -> None:
    if few:
        request.getfixturevalue("large")
    await default.create("zebra", "stripes")
    await default.say("talk", "stripes")
    for asked in (query, f"{query} stripes", f"stripes {query}"):
        holds = "stripes" in asked
        assert await default.found(asked, limit=5) == (["zebra"] if holds else []), asked
        assert await default.overheard(asked) == (["stripes"] if holds else []), asked


BAD: list[tuple[str, str]] = [
    ("empty", ""),
    ("blank", " \t\n"),
    ("one-letter", "z"),
    ("one-digit", "7"),
    ("stop-words", "the of and is it was"),
    ("one-stop-word", "the"),
    ("punctuation", "?!... --- ;;; ()"),
    ("signs", "§$%&/=#~"),
    ("long-word", "a" * 100_000),
    ("long-text", "engine room " * 8_300),
    ("many-words", " ".join(f"w{number}" for number in range(15_000))),
    ("long-chinese", "北京" * 40_000),
    ("long-camel", "aB" * 50_000),
    ("nul", "a\0b"),
    ("emoji", "🙂🙃"),
    ("joiners", "\u200d\u200b\ufeff"),
    ("right-to-left", "\u202eabc"),
    ("combining", "\u0301" * 1000),
]


@pytest.mark.parametrize("query", [query for _, query in BAD], ids=[name for name, _ in BAD])
@pytest.mark.parametrize("few", [False, True], ids=["small", "large"])
async def test_whatever_is_asked_is_answered(
    default: Place, query: str, few: bool, request: pytest.FixtureRequest
) -> None:
    if few:
        request.getfixturevalue("large")
    await default.create("machine", "in the engine room")
    await default.say("talk", "it was in the engine room")
    for ask in (
        SearchNodes(query, count=True, explain=True),
        SearchMessages(query, count=True, explain=True),
        GetContext(query),
    ):
        await default.do(ask)
    named = [hit.entity.name for hit in (await default.do(SearchNodes(query))).hits]
    if "engine" in query or not query.strip():
        assert "machine" in named


async def test_a_query_of_stop_words_finds_what_holds_them(default: Place) -> None:
    await default.create("hamlet", "to be or not to be")
    await default.create("other", "nothing of it here")
    await default.say("talk", "to be or not to be")
    assert (await default.found("to be or not to be"))[0] == "hamlet"
    assert await default.overheard("to be or not") == ["to be or not to be"]


async def test_one_letter_finds_the_word_that_it_is(default: Place) -> None:
    await default.create("vitamin", "take vitamin c daily")
    await default.create("other", "cats")
    assert (await default.found("c"))[0] == "vitamin"


@pytest.mark.engines("sqlite")
async def test_segments_that_a_load_left_are_merged_once_the_store_is_open_again(
    reopen: Reopen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "MERGE_GROUPS", 1000)  # as many commits in one moment as would leave them
    async with reopen() as world:
        for number in range(40):
            await world.default.create(f"e{number}", "engine")
        before = await segments(world)
        assert before > MANY_SEGMENTS
    async with reopen() as world:
        async with asyncio.timeout(30):
            while await segments(world) > MANY_SEGMENTS:
                await asyncio.sleep(0.02)
        assert len(await world.default.found("engine", limit=50)) == 40
        await world.sound()


@pytest.mark.engines("sqlite")
async def test_changes_that_come_without_a_pause_leave_few_segments_in_the_index_of_the_present_and_of_the_past(
    default: Place, world: World
) -> None:
    most = 0
    for number in range(
        30
    ):  # without merging, each commit leaves one, and the 64th has all of them merged while somebody waits
        await default.create(f"e{number}", "engine")
        await default.do(DeleteEntities([f"e{number}"]))
        most = max(most, await segments(world), await segments(world, "words_past"))
    assert most <= MERGE_GROUPS + 4
    await world.sound()


@pytest.mark.engines("sqlite")
async def test_the_words_of_what_was_deleted_are_let_go_in_an_idle_moment_alone(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "IDLE_S", 1000.0)
    names = [f"e{number}" for number in range(1200)]
    for begin in range(0, 1200, 400):
        await default.do(
            CreateEntities([EntityInput(name, "note", [f"engine {name}"]) for name in names[begin : begin + 400]])
        )
    whole = await pages(world)
    for begin in range(0, 1000, 20):  # many more than there are commits before some merging is done beside changes
        await default.do(DeleteEntities(names[begin : begin + 20]))
    assert await pages(world) >= whole
    monkeypatch.setattr(intake, "IDLE_S", 0.01)
    await default.create("last")
    async with asyncio.timeout(30):
        while await pages(world) > whole // 2:
            await asyncio.sleep(0.02)
    assert len(await default.found("engine", limit=500)) == 200
    await world.sound()


async def pages(world: World) -> int:
    ((count,),) = await world.rows("SELECT count(*) FROM words_data")
    return count


async def segments(world: World, index: str = "words") -> int:
    ((count,),) = await world.rows(f"SELECT count(DISTINCT segid) FROM {index}_idx")
    return count
