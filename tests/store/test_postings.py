"""Words kept in memory find what there is to find, whatever was written meanwhile, and hold no more than they may."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.operations.entities import DeleteEntities, PurgeEntities, UpdateEntity
from enhanced_memory.client.operations.journal import Redo, Undo
from enhanced_memory.client.operations.search import SearchMessages, SearchNodes
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.values import Filter, MessageInput
from enhanced_memory.daemon.store import Touched, bm25, keeping, occurrences, postings
from enhanced_memory.daemon.store.sqlite import file
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.terms import expressions

from .conftest import World

if TYPE_CHECKING:
    from enhanced_memory.client import Settings
    from enhanced_memory.daemon.store import Tx
    from enhanced_memory.daemon.store.words import Candidate
    from enhanced_memory.tests.store.conftest import Place, Reopen

COMMON = ["amber", "basil", "cedar", "delta"]
VOCABULARY = (
    COMMON
    + [
        f"{first}{second}"
        for first in ("mal", "nor", "pel", "quin", "ros", "tam")
        for second in ("bek", "dor", "fin", "gul", "hap", "jit")
    ]
    + ["running", "runs", "happiness", "parseHttp", "v2", "東京", "co-op", "Café"]
)
NEAR_ENOUGH = 0.08
"""A word's worth is kept in steps of a 255th of the largest, for an average length that may have changed a little."""


def letters(number: int) -> str:
    """A word of its own for each number, which no stemming changes: a name with digits in it is several words."""
    return "z" + "".join(chr(ord("k") + int(digit)) for digit in f"{number:03}") + "z"


def said(chance: random.Random) -> str:
    return " ".join(
        chance.choices(VOCABULARY, weights=[1 / (rank + 1) for rank in range(len(VOCABULARY))], k=chance.randint(1, 12))
    )


async def both(
    place: Place, query: str, messages: bool, as_of: int | None = None, limit: int = 400, stream: int = 0
) -> tuple[list[Candidate], dict[int, float]]:
    """What memory finds, and what there is to find by the rows of the store, in one transaction."""

    def work(tx: Tx) -> tuple[list[Candidate], dict[int, float]]:
        posted: Any = tx.rows.posted  # type: ignore[attr-defined]
        assert posted is not None
        kept, _ = tx.words.matching(query, limit, tx.view, messages, stream)
        return kept, modelled(tx, query, messages, stream)

    return await place.read(work, as_of)


def modelled(tx: Tx, query: str, messages: bool, stream: int) -> dict[int, float]:
    """The scores of what the view sees, by passage: BM25 reckoned from every word that stands in the index, slowly."""
    posted: Any = tx.rows.posted  # type: ignore[attr-defined]
    source = posted._look()
    heads = {head[0]: head for head in source.heads(0, 1 << 60)}
    lines = asked(
        tx, "SELECT p.id, m.space, m.stream FROM passages p JOIN messages m ON m.id = p.message WHERE p.message > 0 AND p.ended = 0 ORDER BY m.id"
    )  # fmt: skip
    before, last = dict[int, int](), dict[tuple[int, int], int]()
    for passage, *where in lines:
        before[passage] = last.get(tuple(where), 0)
        last[tuple(where)] = passage
    after = {one: passage for passage, one in before.items() if one}
    own = {passage: head[4] for passage, head in heads.items()}
    around = {
        one: [other for other in (before.get(one, 0), after.get(one, 0)) if other and own[one] <= bm25.LONGEST_BESIDE]
        for one in heads
    }
    lengths = {one: own[one] + sum(own[other] for other in around[one]) for one in heads}
    kinds = {kind: [lengths[one] for one, head in heads.items() if (head[3] > 0) is kind] for kind in (True, False)}
    average = {kind: max(1.0, sum(held) / max(1, len(held))) for kind, held in kinds.items()}
    weights = {True: bm25.OF_MESSAGES, False: bm25.OF_ENTITIES}
    scores = Counter[int]()
    for expression in expressions(query):
        term = source.term(expression)
        if not term:
            scores.update(beyond_words(tx, source, expression, messages, around))
            continue
        often = Counter[int]()
        for passage, place in places(tx, term):
            if passage in heads:
                often[passage] += weights[heads[passage][3] > 0][place]
                if heads[passage][3] and place < 2:
                    for other in (before.get(passage, 0), after.get(passage, 0)):
                        if other and own[other] <= bm25.LONGEST_BESIDE:
                            often[other] += bm25.BESIDE
        often = Counter({one: count for one, count in often.items() if count > 0})
        idf = max(1e-6, math.log((len(heads) - len(often) + 0.5) / (len(often) + 0.5)))
        for one, count in often.items():
            scores[one] += idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * lengths[one] / average[heads[one][3] > 0]))
    rows: Any = tx.rows
    posted, rows.posted = rows.posted, None
    try:
        found = tx.words._candidates(dict(scores), messages)
        if not tx.view.now:
            found += tx.words._ended(expressions(query), 400, tx.view, messages, stream)[0]
        return {one.passage: one.score for one in tx.words.seen(found, tx.view) if not stream or one.entity == stream}
    finally:
        rows.posted = posted


def asked(tx: Tx, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of the store, in the transaction of whoever asks."""
    rows: Any = tx.rows
    if hasattr(rows, "_execute"):
        return rows._execute(sql, values).fetchall()
    return rows.connection.execute(sql.replace("?", "%s"), values).fetchall()


def places(tx: Tx, term: str) -> list[tuple[int, int]]:
    """Each place where a word stands: the passage, and which of the columns name, body and dates."""
    if hasattr(tx.rows, "_execute"):
        told = asked(tx, "SELECT doc, col FROM temp.words_places WHERE term = ?", term)
        return [(passage, bm25.Weights._fields.index(column)) for passage, column in told]
    told = asked(
        tx, "SELECT w.id, u.weights FROM words w CROSS JOIN LATERAL unnest(w.lexemes) u WHERE u.lexeme = ? AND ? <> ''", term, term
    )  # fmt: skip
    return [(passage, "ABD".index(one)) for passage, weights in told for one in weights]


def beyond_words(tx: Tx, source: Any, expression: str, messages: bool, around: dict[int, list[int]]) -> Counter[int]:
    """What is no single word scores as the index on disk has it, and so much less in what is said beside it."""
    if hasattr(tx.rows, "_execute"):
        columns = len(asked(tx, "SELECT 1 FROM pragma_table_info('words')"))
        weights = (bm25.OF_MESSAGES if messages else bm25.OF_ENTITIES).ranks()[
            "weights" if columns == 3 else "weights_before"
        ]
        told = asked(tx, "SELECT rowid, -rank FROM words WHERE words MATCH ? AND rank MATCH ?", expression, weights)
    else:
        told = source.scored(expression, messages, 0, 1 << 60, 1 << 60)
    own = Counter[int](dict(told))
    gained = Counter(own)
    for one, beside in around.items() if messages else ():
        for other in beside:
            if own[other]:
                gained[one] += bm25.BESIDE * own[other]
    return gained


async def agree(place: Place, query: str, messages: bool, **more: Any) -> int:
    """Memory finds all that there is, with its scores, the best first; how many."""
    kept, found = await both(place, query, messages, **more)
    assert {one.passage: one.score for one in kept} == pytest.approx(
        found, abs=NEAR_ENOUGH * len(query.split()), rel=NEAR_ENOUGH
    )
    assert [one.score for one in kept] == sorted((one.score for one in kept), reverse=True)
    return len(kept)


def is_kept(place: Place) -> bool:
    engine: Any = place.world.engine
    return engine.kept.postings is not None and engine.kept.postings.words > 0


async def warm(place: Place) -> None:
    """The first question goes to the disk."""
    await both(place, "amber", True)
    await both(place, "amber", True)
    assert is_kept(place)


@pytest.mark.parametrize("seed", range(4))
async def test_memory_and_disk_agree_through_any_changes(default: Place, seed: int) -> None:
    await agree_through_any_changes(default, random.Random(seed))


async def test_an_index_of_an_older_layout_agrees_as_well(settings: Settings, clock: Any) -> None:
    with file.open_store(settings.store_path, "NORMAL") as connection:
        for table in ("words", "words_past"):
            ((made,),) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,))
            connection.execute(f"DROP TABLE {table}")
            connection.execute(made.replace("body, name, dates,", "name, body, near, dates,"))
    engine = await SqliteEngine.open(settings, clock)
    await agree_through_any_changes(World(engine, clock).default, random.Random(5))
    await engine.close()


async def agree_through_any_changes(default: Place, chance: random.Random) -> None:
    await default.say("talk", "amber begins")
    await warm(default)
    changes: list[int] = []
    for number in range(70):
        match chance.randrange(8):
            case 0 | 1:
                with suppress(NotFound):  # undone in part: the stream is gone
                    await default.say(
                        f"talk {chance.randrange(3)}", *(said(chance) for _ in range(chance.randint(1, 4)))
                    )
            case 2 | 3:
                await default.create(f"{chance.choice(VOCABULARY)} {number % 9}", said(chance), said(chance))
            case 4:
                names = [name for name in await default.listed() if not name.startswith("talk")]
                if names:
                    await default.add(chance.choice(names), said(chance))
            case 5:
                names = [name for name in await default.listed() if not name.startswith("talk")]
                if names and chance.random() < 0.5:
                    await default.do(DeleteEntities([chance.choice(names)]))
            case 6:
                with suppress(NotFound, Conflict):
                    await default.do(Undo(dry_run=False))
            case _:
                await agree(default, said(chance), chance.random() < 0.5)
        changes.append(await default.world.last_change())
        if number % 10 == 9:
            for messages in (False, True):
                await agree(default, said(chance), messages)
                await agree(default, said(chance), messages, as_of=chance.choice(changes))
    total = sum([await agree(default, word, messages) for word in VOCABULARY for messages in (False, True)])
    assert total > 100
    stream = (await default.do(SearchNodes("talk 1", types=["stream"], limit=1))).hits
    if stream:
        await agree(default, "amber basil cedar", True, stream=stream[0].entity.id)


async def test_spaces_are_kept_apart_and_read_through(world: World) -> None:
    default = world.default
    await default.say("talk", "amber basil", "basil cedar")
    await default.create("one", "basil delta")
    over = await world.overlay("over")
    await over.say("talk", "basil over")
    await over.create("two", "basil two")
    branch = await world.branch("branch")
    await branch.create("three", "basil three")
    await default.create("four", "basil four")
    await warm(default)
    for place in (default, over, branch):
        for messages in (False, True):
            assert await agree(place, "basil cedar", messages)
    assert sorted(await branch.found("basil")) == ["one", "three"]
    assert sorted(await over.found("basil")) == ["four", "one", "two"]


async def test_the_line_before_is_found_by_what_follows_it(default: Place) -> None:
    """What is said counts a little for the messages on both sides of it, as soon as it is said and until it is withdrawn."""
    await default.say("talk", "alpha")
    await default.say("talk", "beta")
    await warm(default)
    assert await agree(default, "gamma", True) == 0
    await default.say("talk", "gamma")
    assert await agree(default, "gamma", True) == 2
    await default.do(Undo(dry_run=False))
    assert await agree(default, "gamma", True) == 0


async def test_a_line_that_is_withdrawn_and_stands_again_has_its_old_neighbours(default: Place) -> None:
    await default.say("talk", "alpha")
    await default.say("talk", "beta")
    between = await default.world.last_change()
    await default.say("talk", "gamma")
    await default.say("other", *(f"amber {letters(number)} basil" for number in range(400)))
    await warm(default)
    assert [await agree(default, word, True) for word in ("beta", "gamma")] == [3, 2]
    await default.do(Undo(between, dry_run=False))
    assert [await agree(default, word, True) for word in ("beta", "gamma")] == [0, 2]
    await default.do(Redo(dry_run=False))
    assert [await agree(default, word, True) for word in ("beta", "gamma")] == [3, 2]
    engine: Any = default.world.engine
    engine.reindexed()
    assert [await agree(default, word, True) for word in ("alpha", "beta", "gamma")] == [2, 3, 2]


async def test_conditions_come_before_the_cut(default: Place) -> None:
    await default.do(
        AppendMessages("talk", [MessageInput("amber here", role="user" if number == 77 else "assistant") for number in range(300)])
    )  # fmt: skip
    for number in range(150):
        await default.create(
            f"e{number}", "amber basil", type="wanted" if number == 3 else "other", properties={"n": number}
        )
    await warm(default)
    assert len((await default.do(SearchMessages("amber", roles=["user"]))).hits) == 1
    assert await default.found("amber", types=["wanted"]) == ["e3"]
    assert await default.found("amber", where=[Filter("n", equal=140)]) == ["e140"]


async def test_in_the_past_a_filter_judges_what_was_then(default: Place) -> None:
    await default.create("job", "amber basil", type="task")
    then = await default.world.last_change()
    await default.do(UpdateEntity("job", type="done"))
    await warm(default)
    assert await default.found("amber", as_of=then, types=["task"]) == ["job"]
    assert await default.found("amber", as_of=then, types=["done"]) == []
    assert await default.found("amber", types=["done"]) == ["job"]


async def test_what_another_stream_was_just_told_is_not_found_in_this_one(default: Place) -> None:
    await default.say("one", "amber here")
    await default.say("other", "basil there")
    await warm(default)
    engine: Any = default.world.engine
    later: list[Any] = []
    engine.listeners[engine.listeners.index(engine.kept.changed)] = later.append
    await default.say("other", "amber there")
    hits = (await default.do(SearchMessages("amber", stream="one"))).hits
    assert [hit.message.content for hit in hits] == ["amber here"]


async def test_what_ends_while_a_question_is_under_way_is_still_found_by_it(default: Place) -> None:
    """Whoever began to look before sees the store as it was: its rows are living there, and what replaced them is not."""
    await default.create("changing", "amber before")
    await warm(default)
    await agree(default, "amber before", False)
    engine: Any = default.world.engine
    kept = engine.kept.postings
    mark = kept.mark()
    passages = [row[0] for row in await default.world.rows("SELECT id FROM passages WHERE ended = 0 AND part > 0")]
    kept.changed(kept.mark().last, passages)

    def work(tx: Tx) -> list[int]:
        posted: Any = tx.rows.posted
        posted._mark = mark
        return posted.best(['"amber"'], 10, [1], False)[0]

    assert set(passages) & set(await default.read(work))
    kept_now, found = await both(default, "amber", False)
    assert found
    assert kept_now == []


async def test_numbers_that_are_given_out_again_are_read_again(default: Place) -> None:
    await default.say("talk", "amber basil")
    await warm(default)
    engine: Any = default.world.engine
    alone = isinstance(engine, SqliteEngine)
    # Where others write too, changes are told in no order; that numbers are given out again is told with all else.
    touched = Touched(1, "", "default", [], passage=0, everything=not alone)
    engine.kept.changed(touched)
    assert engine.kept.postings.words == 0
    assert engine.kept.postings.mark().last == 0


async def test_what_is_common_is_read_beside_and_the_disk_answers_meanwhile(
    default: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings, "AT_ONCE", 10)
    monkeypatch.setattr(postings, "AT_ONCE_SMALL", 10)
    await default.say("talk", *(f"common line {letters(number)}" for number in range(60)))
    engine: Any = default.world.engine
    query = f"common line {letters(7)}"
    assert (await default.overheard(query))[0] == query
    while engine.kept.postings is None or not engine.kept.postings.holds("common"):
        assert (await default.overheard(query))[0] == query
    kept, _ = await both(default, query, True)
    assert len(kept) == 60


async def test_common_words_are_read_ahead(default: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "AHEAD", 1)
    monkeypatch.setattr(keeping, "COMMON", 5)
    await default.say("talk", *(f"the common {letters(number)}" for number in range(30)))
    engine: Any = default.world.engine
    if not isinstance(engine, SqliteEngine):
        await default.world.rows("ANALYZE words")  # what is common there is known as far as it was counted
    await default.overheard("anything")
    while engine.kept.postings is None or not engine.kept.postings.holds("common"):
        await default.overheard("anything")
    assert not engine.kept.postings.holds("the"), "nobody asks for a stop word"
    assert not engine.kept.postings.holds(letters(3)), "nor is what is rare read before it is asked for"


async def test_how_common_a_word_is_the_planner_tells_where_counting_takes_long(
    default: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = default.world.engine
    if isinstance(engine, SqliteEngine):
        pytest.skip("SQLite counts from both ends of the index")
    from enhanced_memory.daemon.store.postgres import searching

    await default.say("talk", *(f"common {'rarer ' * (number % 5 == 0)}{letters(number)}" for number in range(200)))
    await default.world.rows("ANALYZE words")
    asked = ["'common'", "'rarer'", f"'{letters(7)}'", "'nowhere'"]
    exact = await default.read(lambda tx: searching.Searching()._counted(cast("Any", tx.rows), "words", asked))
    monkeypatch.setattr(searching, "EXACT", 1)
    monkeypatch.setattr(searching, "COMMON", 20)
    found = searching.Searching()
    told = await default.read(lambda tx: found._counted(cast("Any", tx.rows), "words", asked))
    assert exact == {"'common'": 200, "'rarer'": 40, f"'{letters(7)}'": 1, "'nowhere'": 0}
    assert told == {query: pytest.approx(count, rel=0.3) for query, count in exact.items()}
    assert f"'{letters(7)}'" not in found._estimated[1], "what is rare is counted"
    assert {"'common'", "'rarer'"} <= set(found._estimated[1])


async def test_words_take_no_more_room_than_they_may(default: Place) -> None:
    await default.say("talk", *(f"{letters(number)} beside" for number in range(500)))
    await warm(default)
    kept: Any = default.world.engine.kept.postings  # type: ignore[attr-defined]
    kept._most_bytes = 100_000
    for number in range(500):
        await both(default, letters(number), True)
        assert kept.bytes <= 100_000
    assert 20 < kept.words < 200
    assert kept.holds(letters(499))
    assert not kept.holds(letters(0))
    assert await agree(default, " ".join(map(letters, (0, 1, 499))), True)


async def test_a_store_without_room_for_words_asks_the_disk(reopen: Reopen, monkeypatch: pytest.MonkeyPatch) -> None:
    async with reopen() as world:
        engine: Any = world.engine
        engine.kept._most_bytes = 0
        await world.default.say("talk", "alpha beta")
        for _ in range(3):
            assert await world.default.overheard("alpha") == ["alpha beta"]
        assert engine.kept.postings is None


async def test_nothing_of_what_was_purged_stays_in_memory(default: Place) -> None:
    await default.create("secret", "the password is swordfish")
    await default.create("other", "a fish")
    await warm(default)
    assert await agree(default, "swordfish fish", False) == 2
    engine: Any = default.world.engine
    assert engine.kept.postings.holds("swordfish")
    await default.do(PurgeEntities(["secret"], confirm=True))
    await engine.scrub({"the password is swordfish"})
    assert engine.kept.postings.words == 0
    assert engine.kept.postings.bytes == 0
    await warm(default)
    assert await agree(default, "swordfish fish", False) == 1


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
async def test_what_is_forgotten_while_a_question_is_under_way_is_asked_of_the_disk(
    default: Place, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    lines = [f"alpha {letters(number)}" for number in range(40)]
    await default.say("talk", *lines[1:])
    await warm(default)
    await agree(default, "alpha", True)
    await default.say("talk", lines[0])
    catch_up = postings.Postings._catch_up
    forgotten: list[bool] = []

    def forgetting(self: postings.Postings, *given: Any) -> Any:
        forgotten.append(first)
        if first:
            self.forget()
            return catch_up(self, *given)
        word = catch_up(self, *given)
        self.forget()
        return word

    monkeypatch.setattr(postings.Postings, "_catch_up", forgetting)
    hits = (await default.do(SearchMessages("alpha", limit=100))).hits
    assert sorted(hit.message.content for hit in hits) == sorted(lines)
    assert forgotten == [first]


async def test_an_index_made_anew_is_read_anew(default: Place) -> None:
    await default.say("talk", "alpha beta", "beta gamma")
    await warm(default)
    assert await agree(default, "beta", True) == 2
    engine: Any = default.world.engine
    engine.reindexed()
    assert engine.kept.postings.words == 0
    await both(default, "beta", True)
    assert await agree(default, "beta", True) == 2


async def test_what_is_on_disk_and_not_told_yet_is_found(default: Place) -> None:
    await default.say("talk", "alpha beta")
    await warm(default)
    engine: Any = default.world.engine
    later: list[Any] = []
    engine.listeners[engine.listeners.index(engine.kept.changed)] = later.append
    await default.say("talk", "beta gamma")
    await default.create("omega", "beta epsilon")
    for query, messages, many in (("beta", True, 2), ("gamma", True, 2), ("epsilon", False, 1), ("omega", False, 1)):
        kept, _ = await both(default, query, messages)
        assert len(kept) >= many - (query == "gamma"), query
    for touched in later:
        engine.kept.changed(touched)
    engine.listeners[engine.listeners.index(later.append)] = engine.kept.changed
    assert await agree(default, "gamma beta", True) == 2


async def test_a_word_that_was_not_asked_for_long_is_read_again(
    default: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occurrences, "MOST_REMEMBERED", 5)
    await default.say("talk", "alpha beta")
    await warm(default)
    await agree(default, "alpha", True)
    for number in range(20):
        await default.say("talk", f"alpha {number}")
    assert await agree(default, "alpha", True) == 21


async def test_phrases_beginnings_and_names_of_programs_are_found_as_on_disk(default: Place) -> None:
    await default.say(
        "talk",
        "parse http request",
        "parseHttpRequest()",
        "東京に行く",
        "東 alone",
        "well-known state of the art",
        "v2 release",
    )
    await warm(default)
    for query in ("parseHttpRequest", "東京", "東", "well-known", "v2", "state-of-the-art known", "alone v2 東京"):
        assert await agree(default, query, True), query


def test_the_weights_are_those_that_the_index_is_asked_with() -> None:
    assert bm25.OF_ENTITIES.ranks() == {"weights": "bm25(1.0, 2.0, 0.0)", "weights_before": "bm25(2.0, 1.0, 0.0, 0.0)"}
    assert bm25.Weights.told(bm25.OF_MESSAGES.ranks()["weights"]) == bm25.OF_MESSAGES
    assert occurrences.Mark(1, 2, 3, 4).generation == 4


async def test_many_readers_and_a_writer_at_once(reopen: Reopen, monkeypatch: pytest.MonkeyPatch) -> None:
    async with reopen() as world:
        place = world.default
        await place.say("talk", "amber begins")
        await warm(place)
        chance = random.Random(7)

        async def ask() -> None:
            for _ in range(40):
                kept, found = await both(place, said(chance), chance.random() < 0.5)
                assert {one.passage for one in kept} >= found.keys() or len(kept) >= len(found) - 2

        async def write() -> None:
            for number in range(40):
                await place.say("talk", said(chance))
                await place.create(f"e{number}", said(chance))

        await asyncio.gather(*(ask() for _ in range(4)), write())
        for word in VOCABULARY:
            await agree(place, word, True)
            await agree(place, word, False)
