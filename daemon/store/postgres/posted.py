"""Postings read from the words' table: what `store/postings.py` keeps in memory, as one connection sees it.

How often a word stands in which column of a passage, the server tells by a rank (`ranked.py`). Where that does not tell, and where few
are asked for, it is cut out of the tsvector as the server writes one (`'word':1A,7B`): that costs six times as much, and taking the
whole apart, as `unnest` does, ten times that.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import msgspec
from psycopg import Connection

from enhanced_memory.daemon.store.bm25 import OF_ENTITIES, OF_MESSAGES
from enhanced_memory.daemon.store.postgres.failures import translated
from enhanced_memory.daemon.store.postgres.lexemes import COLUMNS, tokens
from enhanced_memory.daemon.store.postgres.ranked import WEIGHTS, counts
from enhanced_memory.daemon.store.postgres.rows import BEGIN_READING, PostgresRows
from enhanced_memory.daemon.store.postgres.statements import Statement, filled
from enhanced_memory.daemon.store.terms import sole_word

if TYPE_CHECKING:
    from enhanced_memory.daemon.store.occurrences import Head, Ids, Occurrence

__all__ = ["NEWEST", "Looking", "Posted"]

_PLACES = "translate(split_part(split_part(w.lexemes::text, :before, 2), ' ', 1), '0123456789', '')"
"""Of `3A,7B,9` the marks of the columns that a word stands in, none for the last: `A,B,`."""

# Not in order: sorting costs the server more than it does here. `+ 0`: or the planner has the index of ids tell it all those, to have
# them met with the word's, which takes 3 ms for each 130,000.
_EVERY = filled(f"""
    SELECT coalesce(told.ids, ''), coalesce(told.ranks, '')
    FROM unnest(:queries::text[]) WITH ORDINALITY t (query, place)
    CROSS JOIN LATERAL (
        SELECT string_agg(int8send(id), '') AS ids, string_agg(float4send(rank), '') AS ranks
        FROM (SELECT w.id, ts_rank('{WEIGHTS}', w.lexemes, t.query::tsquery) AS rank
              FROM words w WHERE w.lexemes @@ t.query::tsquery AND w.id + 0 <= :upto LIMIT :limit) found) told
    ORDER BY t.place""")

_PLACED = filled(f"SELECT w.id, {_PLACES} FROM words w WHERE w.id = ANY (:others::bigint[])")

_NEW = filled(f"""
    SELECT w.id, {_PLACES} FROM words w
    WHERE w.lexemes @@ :query::tsquery AND (w.id > :beyond AND w.id <= :upto OR w.id = ANY (:others::bigint[]))""")

# Few are looked through: those that have a common word are many more. `OFFSET 0` keeps the planner from asking the index for the word.
_AMONG_NEW = filled(f"""
    SELECT w.id, {_PLACES} FROM (
        SELECT id, lexemes FROM words WHERE id > :beyond AND id <= :upto
        UNION ALL SELECT id, lexemes FROM words WHERE id = ANY (:others::bigint[]) AND NOT (id > :beyond AND id <= :upto) OFFSET 0) w
    WHERE w.lexemes @@ :query::tsquery""")

_HEADS = filled("""
    SELECT coalesce(json_agg(json_build_array(p.id, p.space, p.entity, p.message, w.length) ORDER BY p.id), '[]')
    FROM passages p JOIN words w ON w.id = p.id AND w.entity = p.entity
    WHERE p.id > :beyond AND p.id <= :upto AND w.id > :beyond AND w.id <= :upto AND p.ended = 0""")

_BESIDE = filled("""
    SELECT coalesce(json_agg(json_build_array(p.id,
        coalesce((SELECT b.id FROM passages b WHERE b.message > 0 AND b.entity = m.stream AND b.ended = 0 AND b.message = (
            SELECT max(id) FROM messages WHERE stream = m.stream AND space = m.space AND id < m.id AND ended = 0)), 0),
        coalesce((SELECT a.id FROM passages a WHERE a.message > 0 AND a.entity = m.stream AND a.ended = 0 AND a.message = (
            SELECT min(id) FROM messages WHERE stream = m.stream AND space = m.space AND id > m.id AND ended = 0)), 0))), '[]')
    FROM passages p JOIN messages m ON m.id = p.message AND m.stream = p.entity WHERE p.id = ANY (:passages::bigint[])""")

_WORTH = """
    WITH q AS MATERIALIZED (SELECT * FROM json_to_recordset(:asked::json) q (lexeme text, beginning bool, idf float8))
    SELECT w.id, sum(q.idf * f.often * (:k1::float8 + 1) / (f.often + :k1 * (1 - :b::float8 + :b * w.length / :average_length::float8)))
    FROM (SELECT * FROM {of} new WHERE lexemes @@ :query::tsquery AND {within} LIMIT :limit) w
    CROSS JOIN LATERAL unnest(w.lexemes) u JOIN q ON q.lexeme = u.lexeme OR (q.beginning AND starts_with(u.lexeme, q.lexeme))
    CROSS JOIN LATERAL (SELECT sum(CASE at WHEN 'A' THEN :name_weight::float8 WHEN 'B' THEN 1.0 WHEN 'C' THEN :near_weight::float8
                                           ELSE :dates_weight::float8 END) AS often FROM unnest(u.weights) at) f
    GROUP BY w.id"""
_SCORED = filled(_WORTH.format(of="words", within="id + 0 > :beyond AND id + 0 <= :upto"))
_SCORED_BEYOND = filled(_WORTH.format(of="words", within="id > :beyond AND id <= :upto"))
_SCORED_NEW = filled(
    _WORTH.format(of="(SELECT * FROM words WHERE id > :beyond AND id <= :upto OFFSET 0)", within="true")
)

NEWEST = filled("SELECT coalesce(max(id), 0) FROM passages")

_MARKS = tuple(COLUMNS[name] for name in ("name", "body", "dates"))
"""How a tsvector marks the columns that count. The last one's mark is not written."""

AT_ONCE = 100_000
"""Places of words that are read while a question waits: 1.3 µs each. To score a passage takes the server 10 µs and more."""

BY_NUMBER = 5_000
"""Passages one after another that are looked through for a word; of more, those that have it are looked up."""


class Posted:
    """The words' table as one connection sees it."""

    at_once = AT_ONCE

    def __init__(self, rows: PostgresRows) -> None:
        self._rows = rows

    def term(self, expression: str) -> str:
        """The one word that an expression asks for; "" where it asks for more, or for none."""
        return sole_word(expression, tokens)

    def every(self, terms: Sequence[str], upto: int, most: int) -> "list[tuple[Ids, Any] | None]":
        """Each place where a word stands, the passage and the column; none for a word that stands in more than `most`."""
        import numpy as np

        told = self._rows.told(
            _EVERY, queries=_json([f"'{term}'" for term in terms]), upto=upto, limit=most + 1 if most else -1
        )
        found: list[tuple[Ids, Any] | None] = []
        for term, (passages, ranks) in zip(terms, told, strict=True):
            ids = np.frombuffer(passages, ">i8").astype(np.int64)
            order = np.argsort(ids, kind="stable")
            ids = ids[order]
            often, unclear = counts(np.frombuffer(ranks, ">f4")[order])
            if unclear.any():
                placed = {passage: _often(places) for passage, places in self._placed(term, ids[unclear].tolist())}
                often[unclear] = [placed[passage] for passage in ids[unclear].tolist()]
            if most and (len(ids) > most or often.sum() > most):
                found.append(None)
                continue
            columns = np.tile(np.arange(len(_MARKS), dtype=np.int8), len(ids))
            found.append((np.repeat(ids, often.sum(axis=1)), np.repeat(columns, often.ravel())))
        return found

    def _placed(self, term: str, passages: list[int]) -> list[tuple[int, str]]:
        found = self._rows.told(_PLACED, others=_json(passages), before=f"'{term}':")
        return cast("list[tuple[int, str]]", found)

    def since(self, expression: str, beyond: int, upto: int, others: Collection[int]) -> "list[Occurrence]":
        """Where a word stands in newer passages, and in some others."""
        from enhanced_memory.daemon.store.occurrences import Occurrence

        term = self.term(expression)
        given = {"query": f"'{term}'", "before": f"'{term}':", "beyond": beyond, "upto": upto}
        asked = _AMONG_NEW if upto - beyond <= BY_NUMBER else _NEW
        found = self._rows.told(asked, others=_json(others), **given)
        return [Occurrence(passage, *_often(places)) for passage, places in found]

    def heads(self, beyond: int, upto: int) -> "list[Head]":
        """The passages that last, whose they are, and how many words each has."""
        told = self._one(_HEADS, beyond=beyond, upto=upto)
        return cast("list[Head]", msgspec.json.decode(told, type=list[tuple[int, int, int, int, int]]))

    def beside(self, passages: Collection[int]) -> list[tuple[int, int, int]]:
        """What messages stand before and after those of some passages."""
        return msgspec.json.decode(self._one(_BESIDE, passages=_json(passages)), type=list[tuple[int, int, int]])

    def scored(self, match: str, messages: bool, beyond: int, upto: int, most: int) -> list[tuple[int, float]]:
        """Passages that match, with the scores that the server reckons."""
        given = {"match": match, **(OF_MESSAGES if messages else OF_ENTITIES).ranks()}
        values = self._rows.searching.values(self._rows, "words_match", given)
        if values is None:
            return []
        asked = _SCORED_NEW if upto - beyond <= BY_NUMBER else _SCORED_BEYOND if beyond else _SCORED
        found = self._rows.told(asked, **values, beyond=beyond, upto=upto, limit=most)
        return cast("list[tuple[int, float]]", found)

    def newest(self) -> int:
        """The newest passage's id."""
        return self._one(NEWEST)

    def _one(self, asked: Statement, /, **values: Any) -> Any:
        return self._rows.told(asked, **values)[0][0]


class Looking:
    """A connection of its own that looks into the words' table."""

    def __init__(
        self, reach: "Callable[[], Connection[tuple[Any, ...]]]", rows: "Callable[[Connection[Any]], PostgresRows]"
    ) -> None:
        with translated():
            self._rows = rows(reach())
        self.source = Posted(self._rows)

    @contextmanager
    def within(self) -> Generator[None]:
        """One consistent view of it."""
        with translated():
            self._rows.begin(BEGIN_READING)
            try:
                yield
                self._rows.say("COMMIT")
                self._rows.settle()
            except BaseException:
                self._rows.forget()
                self._rows.connection.execute("ROLLBACK")
                raise

    def common(self, least: int) -> list[str]:
        """The words that stand in at least so many passages, the most common first, as far as the planner's statistics tell."""
        with translated():
            return [row[0] for row in self._rows.all("words_estimated", least=least)]

    def close(self) -> None:
        """Look no more."""
        self._rows.connection.close()


def _often(places: str) -> tuple[int, int, int]:
    """How often a word stands in each of the columns that count, by the marks of its places."""
    marks = [mark or _MARKS[-1] for mark in places.split(",")]
    name, body, dates = (marks.count(mark) for mark in _MARKS)
    return name, body, dates


def _json(values: "Collection[int | str]") -> str:
    return msgspec.json.encode(list(values)).decode()
