# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Postings read from FTS5: what `store/postings.py` keeps in memory, on one connection.

All places of a word come from FTS5's own `fts5vocab` table, lengths from its `docsize` table (both as its documentation describes
them), and what a word has in a few passages from an auxiliary function.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from enhanced_memory.client.errors import Broken
from enhanced_memory.daemon.store.bm25 import OF_ENTITIES, OF_MESSAGES
from enhanced_memory.daemon.store.sqlite import file, sealing
from enhanced_memory.daemon.store.sqlite.rows import translated
from enhanced_memory.daemon.store.terms import sole_word

if TYPE_CHECKING:
    from enhanced_memory.daemon.store.occurrences import Head, Ids, Occurrence

__all__ = ["Looking", "Posted"]

TOKENIZER = ("porter", ["unicode61", "remove_diacritics", "2"])
"""The one that `schema.sql` names."""

_VOCABULARY = """
    CREATE VIRTUAL TABLE IF NOT EXISTS temp.words_places USING fts5vocab(main, words, instance);
    CREATE VIRTUAL TABLE IF NOT EXISTS temp.words_counts USING fts5vocab(main, words, row)"""

OTHER = 3
"""What a place is told as that does not count."""

_EVERY = """
    SELECT (SELECT group_concat(format('%08x0%d', doc, CASE col WHEN 'name' THEN 0 WHEN 'body' THEN 1 WHEN 'dates' THEN 2 ELSE 3 END), '')
            FROM (SELECT doc, col FROM temp.words_places WHERE term = j.value LIMIT :most))
    FROM json_each(:terms) j ORDER BY j.key"""
"""Digits of one width, which Python need not look at one by one: nobody else runs Python meanwhile."""

_PLACE = [("passage", ">u4"), ("column", "u1")]
"""What they say of one place."""

_SINCE = """
    SELECT json_group_array(json(told)) FROM (
        SELECT tally(words) AS told FROM words
        WHERE words MATCH :match AND rowid > :floor AND rowid <= :upto
          AND (rowid > :beyond OR +rowid IN (SELECT value FROM json_each(:others))) LIMIT -1)"""

_HEADS = """
    SELECT json_group_array(json_array(p.id, p.space, p.entity, p.message, hex(d.sz)))
    FROM passages p CROSS JOIN words_docsize d ON d.id = p.id WHERE p.id > :beyond AND p.id <= :upto AND p.ended = 0"""

_BESIDE = """
    SELECT json_group_array(json_array(p.id,
        coalesce((SELECT b.id FROM passages b WHERE b.message > 0 AND b.ended = 0 AND b.message = (
            SELECT max(id) FROM messages WHERE stream = m.stream AND space = m.space AND id < m.id AND ended = 0)), 0),
        coalesce((SELECT a.id FROM passages a WHERE a.message > 0 AND a.ended = 0 AND a.message = (
            SELECT min(id) FROM messages WHERE stream = m.stream AND space = m.space AND id > m.id AND ended = 0)), 0)))
    FROM json_each(:passages) j CROSS JOIN passages p ON p.id = j.value CROSS JOIN messages m ON m.id = p.message"""

_SCORED = """
    SELECT json_group_array(json_array(id, score)) FROM (
        SELECT rowid AS id, -rank AS score FROM words
        WHERE words MATCH :match AND rowid > :beyond AND rowid <= :upto
          AND rank MATCH iif((SELECT count(*) FROM pragma_table_info('words')) = 3, :weights, :weights_before) LIMIT :most)"""

_NEWEST = "SELECT coalesce(max(id), 0) FROM passages"

_COMMON = "SELECT term FROM temp.words_counts WHERE doc >= :least ORDER BY doc DESC"

_PLACES = {3: (1, 0, 2), 4: (0, 1, 3)}
"""Where name, body and dates stand in an index of so many columns: it once had another order, and held what is said beside a
message, too."""


class Posted:
    """The words index as one connection sees it."""

    at_once = 4_000  # FTS5's own search of a word takes less than reading its places

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute: Any = connection.cursor().execute
        self._tokenized: Callable[..., Any] = connection.fts5_tokenizer(*TOKENIZER)
        connection.register_fts5_function("tally", _tally)
        # These tables hold nothing of their own, and are this connection's alone.
        self._execute("PRAGMA query_only = OFF")
        try:
            self._execute(_VOCABULARY)
        finally:
            self._execute("PRAGMA query_only = ON")

    def term(self, expression: str) -> str:
        """The one word that an expression asks for; "" where it asks for more, or for none."""

        def cut(text: str) -> list[str]:
            found = self._tokenized(text.encode(), apsw.FTS5_TOKENIZE_QUERY, None, include_offsets=False)
            return [form for forms in found for form in forms]

        return sole_word(expression, cut)

    def every(self, terms: Sequence[str], upto: int, most: int) -> "list[tuple[Ids, Any] | None]":
        """Each place where a word stands, the passage and the column; none for a word that stands in more than `most`."""
        import numpy as np

        if upto >> 31:
            raise Broken("There are more passages than can be kept in memory.", "set words_memory_mb to 0")
        found: list[tuple[Ids, Any] | None] = []
        values = {"terms": msgspec.json.encode(terms).decode(), "most": most + 1 if most else -1}
        for (digits,) in self._execute(_EVERY, values):
            places = np.frombuffer(bytes.fromhex(digits or ""), _PLACE)
            if most and len(places) > most:
                found.append(None)
                continue
            told = places["column"]
            seen = (places["passage"] <= upto) & (told < OTHER)
            found.append((places["passage"][seen].astype(np.int64), told[seen]))
        return found

    def since(self, expression: str, beyond: int, upto: int, others: Collection[int]) -> "list[Occurrence]":
        """Where a word stands in newer passages, and in some others."""
        from enhanced_memory.daemon.store.occurrences import Occurrence

        text = self._one(
            _SINCE, match=expression, beyond=beyond, floor=min(beyond, min(others, default=beyond + 1) - 1), upto=upto,
            others=msgspec.json.encode(list(others)).decode(),
        )  # fmt: skip
        return msgspec.json.decode(text, type=list[Occurrence])

    def heads(self, beyond: int, upto: int) -> "list[Head]":
        """The passages that last, whose they are, and how many words each has."""
        text = self._one(_HEADS, beyond=beyond, upto=upto)
        return [
            (passage, space, owner, message, _length(bytes.fromhex(sizes)))  # pyright: ignore[reportReturnType]
            for passage, space, owner, message, sizes in msgspec.json.decode(
                text, type=list[tuple[int, int, int, int, str]]
            )
        ]

    def beside(self, passages: Collection[int]) -> list[tuple[int, int, int]]:
        """What messages stand before and after those of some passages."""
        text = self._one(_BESIDE, passages=msgspec.json.encode(list(passages)).decode())
        return msgspec.json.decode(text, type=list[tuple[int, int, int]])

    def scored(self, match: str, messages: bool, beyond: int, upto: int, most: int) -> list[tuple[int, float]]:
        """Passages that match, with FTS5's own scores."""
        text = self._one(
            _SCORED,
            match=match,
            beyond=beyond,
            upto=upto,
            most=most,
            **(OF_MESSAGES if messages else OF_ENTITIES).ranks(),
        )
        return msgspec.json.decode(text, type=list[tuple[int, float]])

    def newest(self) -> int:
        """The newest passage's id."""
        return self._one(_NEWEST)

    def _one(self, text: str, **values: Any) -> Any:
        return self._execute(text, values).fetchall()[0][0]


class Looking:
    """A connection of its own that looks into the words index."""

    def __init__(self, path: Path, key: sealing.Key | None) -> None:
        with translated():
            self._connection = file.connect(path, readonly=True, key=key)
            self.source = Posted(self._connection)

    @contextmanager
    def within(self) -> Generator[None]:
        """One consistent view of it."""
        with translated():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    def common(self, least: int) -> list[str]:
        """The words that stand in at least so many passages, the most common first."""
        execute: Any = self._connection.execute
        with translated():
            return [row[0] for row in execute(_COMMON, {"least": least}).fetchall()]

    def close(self) -> None:
        """Look no more."""
        self._connection.close()


def _tally(api: apsw.FTS5ExtensionApi, *_: "apsw.SQLiteValue") -> str:
    often = ",".join(str(len(api.phrase_column_offsets(0, column))) for column in _PLACES[api.column_count])
    return f"[{api.rowid},{often}]"


def _length(sizes: bytes) -> int:
    """The sum of those of SQLite's variable-length integers, one for each column, that count: all, but the column that is gone."""
    if not sizes or max(sizes) < 0x80:
        return sum(sizes) - (sizes[2] if len(sizes) == 4 else 0)
    values, value = list[int](), 0
    for byte in sizes:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            values.append(value)
            value = 0
    return sum(values) - (values[2] if len(values) == 4 else 0)
