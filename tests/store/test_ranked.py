"""How often a word stands where, told by `ts_rank`: every combination apart, and as a real server tells it."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from enhanced_memory.daemon.store.postgres import ranked
from enhanced_memory.daemon.store.postgres.lexemes import vector
from enhanced_memory.daemon.store.postgres.posted import Posted

if TYPE_CHECKING:
    from enhanced_memory.daemon.store import Tx
    from enhanced_memory.tests.store.conftest import Place


def test_every_number_tells_of_one_combination() -> None:
    numbers, often = ranked._combinations()
    assert len(numbers) == 4 * 61 * 3
    assert np.diff(numbers).min() > 3 * ranked._NEAR
    told, unclear = ranked.counts(numbers.astype(np.float32))
    assert not unclear.any()
    assert (told == often).all()


def test_what_no_combination_gives_is_not_told() -> None:
    numbers, _ = ranked._combinations()
    between = (numbers[1:] + numbers[:-1]) / 2
    assert ranked.counts(np.array([*between, 2.0]))[1].all()


@pytest.mark.postgres
def test_a_server_tells_what_a_passage_holds(postgres: str) -> None:
    psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    drawn = random.Random(3)

    def text(word: int, others: int) -> str:
        words = ["wren"] * word + ["owl"] * others
        drawn.shuffle(words)
        return " ".join(words)

    cases = [(drawn.randint(0, 3), drawn.randint(0, 60), drawn.randint(0, 2)) for _ in range(400)]
    cases = [(name, body, dates) for name, body, dates in cases if name + body + dates]
    rows = [
        vector((text(name, drawn.randint(0, 2)), text(body, drawn.randint(0, 80)), "", text(dates, drawn.randint(0, 3))))[1]
        for name, body, dates in cases
    ]  # fmt: skip
    for many in (1, 2, 30):  # rows from before the column `near` was empty
        cases += [(0, 0, 0), (1, 1, 0), (0, 7, 0)]
        rows += [vector((text(name, 1), text(body, 3), text(many, 5), ""))[1] for name, body, _ in cases[-3:]]
    with psycopg.connect(postgres) as connection:
        told = connection.execute(
            f"SELECT ts_rank('{ranked.WEIGHTS}', said::tsvector, 'wren') FROM unnest(%s::text[]) said", (rows,)
        ).fetchall()
    often, unclear = ranked.counts(np.array([rank for (rank,) in told], np.float32))
    assert not unclear.any()
    assert often.tolist() == [list(case) for case in cases]


def test_a_word_that_is_cut_off_is_none_though_most_of_what_came_says_it_in_the_old_column_alone() -> None:
    ids = np.arange(301, dtype=">i8")
    ranks = np.where(np.arange(301) % 3, 0.0, ranked.BODY / ranked._LIMIT).astype(">f4")
    rows: Any = SimpleNamespace(told=lambda *_, **__: [(ids.tobytes(), ranks.tobytes())])
    assert Posted(rows).every(["wren"], 1000, 300) == [None]
    ((passages, columns),) = (told for told in Posted(rows).every(["wren"], 1000, 0) if told is not None)
    assert passages.tolist() == list(range(0, 301, 3))
    assert set(columns.tolist()) == {1}


async def test_all_places_of_a_word_are_those_of_one_passage_after_another(default: Place) -> None:
    await default.say("talk", "wren", "wren " * 70, "owl and wren", "wren wren owl " * 3, speaker="wren owl")
    await default.say("talk", "owl " * 90)
    for name in ("wren", "wren wren wren wren wren", "wren and owl"):
        await default.create(name, "wren " * 3 + "owl", "owl " * 20)

    def work(tx: Tx) -> list[tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]]]:
        rows: Any = tx.rows
        source = rows.posted._look()
        upto, terms = source.newest(), [source.term(f'"{word}"') for word in ("wren", "owl", "lark")]
        assert source.every(terms, upto, 30)[0] is None  # more than 30
        told: list[tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]]] = []
        for term, every in zip(terms, source.every(terms, upto, 0), strict=True):
            found = source.since(f'"{term}"', 0, upto, [])
            each = Counter(
                {(one.passage, column): one[column + 1] for one in found for column in range(3) if one[column + 1]}
            )
            assert list(every[0]) == sorted(every[0])
            told.append((Counter(zip(*(part.tolist() for part in every), strict=True)), each))
        return told

    told = await default.read(work)
    assert [sum(every.values()) for every, _ in told] == [sum(each.values()) for _, each in told]
    assert all(every == each for every, each in told)
    assert sum(told[0][0].values()) > 80
    assert not told[2][0]
