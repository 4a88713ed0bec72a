"""Postings read from the words' table: what `store/postings.py` keeps in memory, as one connection sees it.

Where a word stands in a passage is cut out of its tsvector as the server writes one (`'word':1A,7B`): taking the whole apart, as
`unnest` does, costs ten times as much.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import msgspec
from psycopg import Connection

from enhanced_memory.daemon.store.bm25 import OF_ENTITIES, OF_MESSAGES
from enhanced_memory.daemon.store.postgres.failures import translated
from enhanced_memory.daemon.store.postgres.lexemes import COLUMNS, tokens
from enhanced_memory.daemon.store.postgres.rows import BEGIN_READING, PostgresRows
from enhanced_memory.daemon.store.postgres.statements import Statement, filled
from enhanced_memory.daemon.store.terms import sole_word

if TYPE_CHECKING:
    from enhanced_memory.daemon.store.occurrences import Head, Ids, Occurrence

__all__ = ["NEWEST", "Looking", "Posted"]

_PLACES = "translate(split_part(split_part(w.lexemes::text, :before, 2), ' ', 1), '0123456789', '')"
"""Of `3A,7B,9` the marks of the columns that a word stands in, none for the last: `A,B,`."""

_EVERY = filled(f"""
    SELECT coalesce(told.ids, ''), coalesce(told.places, '')
    FROM unnest(:queries::text[], :befores::text[]) WITH ORDINALITY t (query, before, place)
    CROSS JOIN LATERAL (
        SELECT string_agg(int8send(id), '' ORDER BY id) AS ids, string_agg(convert_to(places || ' ', 'UTF8'), '' ORDER BY id) AS places
        FROM (SELECT w.id, {_PLACES.replace(":before", "t.before")} AS places
              FROM words w WHERE w.lexemes @@ t.query::tsquery AND w.id <= :upto LIMIT :limit) found) told
    ORDER BY t.place""")

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
    FROM (SELECT * FROM {of} new WHERE lexemes @@ :query::tsquery AND id > :beyond AND id <= :upto LIMIT :limit) w
    CROSS JOIN LATERAL unnest(w.lexemes) u JOIN q ON q.lexeme = u.lexeme OR (q.beginning AND starts_with(u.lexeme, q.lexeme))
    CROSS JOIN LATERAL (SELECT sum(CASE at WHEN 'A' THEN :name_weight::float8 WHEN 'B' THEN 1.0 WHEN 'C' THEN :near_weight::float8
                                           ELSE :dates_weight::float8 END) AS often FROM unnest(u.weights) at) f
    GROUP BY w.id"""
_SCORED = filled(_WORTH.format(of="words"))
_SCORED_NEW = filled(_WORTH.format(of="(SELECT * FROM words WHERE id > :beyond AND id <= :upto OFFSET 0)"))

NEWEST = filled("SELECT coalesce(max(id), 0) FROM passages")

_MARKS = tuple(COLUMNS[name] for name in ("name", "body", "dates"))
"""How a tsvector marks the columns that count. The last one's mark is not written."""

BY_NUMBER = 5_000
"""Passages one after another that are looked through for a word; of more, those that have it are looked up."""


class Posted:
    """The words' table as one connection sees it."""

    def __init__(self, rows: PostgresRows) -> None:
        self._rows = rows

    def term(self, expression: str) -> str:
        """The one word that an expression asks for; "" where it asks for more, or for none."""
        return sole_word(expression, tokens)

    def every(self, terms: Sequence[str], upto: int, most: int) -> "list[tuple[Ids, Any] | None]":
        """Each place where a word stands, the passage and the column; none for a word that stands in more than `most`."""
        import numpy as np

        told = self._rows.told(
            _EVERY, queries=_json([f"'{term}'" for term in terms]), befores=_json([f"'{term}':" for term in terms]),
            upto=upto, limit=most + 1 if most else -1,
        )  # fmt: skip
        columns = np.full(256, -1, np.int8)
        for column, mark in enumerate(_MARKS):
            columns[ord(mark)] = column
        found: list[tuple[Ids, Any] | None] = []
        for passages, places in told:
            text = np.frombuffer(places, np.uint8)
            # A mark for each place, none for the last column's; a comma between places, a space after a passage.
            ends = np.flatnonzero((text == ord(",")) | (text == ord(" ")))
            if most and len(ends) > most:
                found.append(None)
                continue
            begins = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))[: len(ends)]
            marks = columns[np.where(begins < ends, text[begins], ord(_MARKS[-1]))]
            often = np.diff(np.flatnonzero(text[ends] == ord(" ")), prepend=-1)
            ids = np.repeat(np.frombuffer(passages, ">i8").astype(np.int64), often)
            found.append((ids[marks >= 0], marks[marks >= 0]))
        return found

    def since(self, expression: str, beyond: int, upto: int, others: Collection[int]) -> "list[Occurrence]":
        """Where a word stands in newer passages, and in some others."""
        from enhanced_memory.daemon.store.occurrences import Occurrence

        term = self.term(expression)
        given = {"query": f"'{term}'", "before": f"'{term}':", "beyond": beyond, "upto": upto}
        asked = _AMONG_NEW if upto - beyond <= BY_NUMBER else _NEW
        found = self._rows.told(asked, others=_json(others), **given)
        told: list[Occurrence] = []
        for passage, places in found:
            marks = [mark or _MARKS[-1] for mark in places.split(",")]
            told.append(Occurrence(passage, *(marks.count(mark) for mark in _MARKS)))
        return told

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
        asked = _SCORED_NEW if upto - beyond <= BY_NUMBER else _SCORED
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


def _json(values: "Collection[int | str]") -> str:
    return msgspec.json.encode(list(values)).decode()
