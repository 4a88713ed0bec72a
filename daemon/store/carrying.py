"""A whole store carried from one engine into another, table by table, and proven to be the same there.

What is written goes to a draft that nobody serves, and with each piece of it how far it is: whoever is killed goes on where the
draft stands. It becomes the store once every row was read back and compared, every body opened, and both told the same export.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from itertools import islice, zip_longest
from typing import Any, Protocol

import msgspec

from enhanced_memory.client.errors import StoreDamaged
from enhanced_memory.daemon.store import Health
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec
from enhanced_memory.daemon.store.ground import Counters
from enhanced_memory.daemon.store.tables import CARRIED, META_APART, Row, Table, differing
from enhanced_memory.daemon.store.transfer import Place
from enhanced_memory.daemon.store.tx import Tx
from enhanced_memory.daemon.store.wording import Wording

__all__ = ["ARRIVING", "Carried", "Draft", "Mark", "Side", "Source", "Told", "carry", "carrying", "compare", "unsound"]

ARRIVING = "arriving"
"""Under this key, and those that begin with it, a draft's `meta` keeps how far it is."""
PIECE_ROWS = 10_000
PIECE_BYTES = 8 << 20
"""What is written in one transaction: what a run that is killed has to do again."""
PASSAGES = 2_000
NAMED = 20
"""Differences that are named; more are counted."""

Told = Callable[[str, int, int], None]
"""Is told how far a step is: its name, how much is done, and of how much."""


class Source(msgspec.Struct, frozen=True):
    """What a store is, as far as whoever goes on with a draft can tell whether it is still the same."""

    store_id: str
    change: int
    access: int
    """The newest row of the access log."""
    engine: str


class Mark(msgspec.Struct):
    """How far a draft is."""

    source: Source
    done: dict[str, int] = {}
    """Tables that are there whole, with their rows; `words` and `words_past` among them."""
    count: int = 0
    """Rows of the table that is under way."""
    after: list[Any] | None = None
    """The key of its last row."""


class Carried(msgspec.Struct):
    """What was carried, and how it was proven."""

    rows: int
    """Rows written by this run."""
    seconds: float
    rows_s: float
    went_on: bool
    """Whether an earlier run had begun it."""


class Side(Protocol):
    """A store on one engine, read as it is at one moment."""

    codec: Codec
    tx: Tx

    def rows(self, table: Table, after: list[Any] | None = None) -> Iterator[Row]:
        """A table's rows in the order of its key, from behind a place."""
        ...

    def count(self, table: Table) -> int:
        """How many there are."""
        ...

    def counters(self) -> Counters:
        """The highest numbers given out."""
        ...

    def source(self) -> Source:
        """What this store is."""
        ...

    def check(self) -> Health:
        """Open every body, and look at every index."""
        ...


class Draft(Side, Protocol):
    """A store that is being written and that nobody serves yet."""

    def mark(self) -> Mark | None:
        """How far an earlier run has come; None for one that was just made."""
        ...

    def keep(self, mark: Mark) -> None:
        """Let what was written stand, and with it how far this is."""
        ...

    def anew(self) -> None:
        """Begin with nothing."""
        ...

    def put(self, table: Table, rows: list[Row]) -> None:
        """Write rows that are not there yet."""
        ...

    def put_words(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write words of passages into `words` or `words_past`."""
        ...

    def finish(self, counters: Counters) -> None:
        """Make ready for a daemon: numbers to go on from, and indexes that were left for the end."""
        ...


def carry(source: Side, draft: Draft, told: Told) -> Carried:
    """Write all that `source` holds into `draft`, from where an earlier run of the same source was cut short."""
    began = time.monotonic()
    what = source.source()
    mark = draft.mark()
    went_on = mark is not None and mark.source == what
    if mark is None or not went_on:
        if mark is not None:
            draft.anew()
        mark = Mark(what)
        draft.keep(mark)
    rows = 0
    for table in CARRIED:
        if table.name not in mark.done:
            rows += _table(source, draft, table, mark, told)
    for name, pages in (("words", Wording(source.tx).living), ("words_past", Wording(source.tx).past)):
        if name not in mark.done:
            rows += _words(draft, name, pages, mark, told, source)
    draft.finish(source.counters())
    seconds = time.monotonic() - began
    return Carried(rows, round(seconds, 3), round(rows / seconds, 1) if seconds else 0.0, went_on)


def _table(source: Side, draft: Draft, table: Table, mark: Mark, told: Told) -> int:
    total, begun = source.count(table), mark.count
    places = [table.place(column) for column in table.key]
    told(table.name, mark.count, total)
    found = source.rows(table, mark.after)
    while piece := _piece(found, table):
        draft.put(table, [_repacked(table, row, source.codec, draft.codec) for row in piece])
        mark.count += len(piece)
        mark.after = [piece[-1][place] for place in places]
        draft.keep(mark)
        told(table.name, mark.count, total)
    return _done(draft, mark, table.name, begun)


def _words(
    draft: Draft,
    name: str,
    pages: Callable[[list[Any] | None, int], Iterator[tuple[list[dict[str, Any]], list[Any]]]],
    mark: Mark,
    told: Told,
    source: Side,
) -> int:
    total, begun = Wording(source.tx).count(name == "words_past"), mark.count
    told(name, mark.count, total)
    for rows, after in pages(mark.after, PASSAGES):
        draft.put_words(name, rows)
        mark.count += len(rows)
        mark.after = after
        draft.keep(mark)
        told(name, mark.count, total)
    return _done(draft, mark, name, begun)


def _done(draft: Draft, mark: Mark, name: str, begun: int) -> int:
    written = mark.count - begun
    mark.done[name] = mark.count
    mark.count, mark.after = 0, None
    draft.keep(mark)
    return written


def _piece(rows: Iterator[Row], table: Table) -> list[Row]:
    """The next rows that go into one transaction."""
    place = table.place(table.body) if table.body else table.place("vector") if table.name == "vectors" else None
    if place is None:
        return list(islice(rows, PIECE_ROWS))
    piece: list[Row] = []
    room = PIECE_BYTES
    for row in rows:
        piece.append(row)
        room -= len(row[place])
        if room < 0 or len(piece) >= PIECE_ROWS:
            break
    return piece


def _packed(table: Table, row: Row) -> bool:
    """Whether a row's body was packed with a dictionary: not where a block has it, nor a version that is a difference."""
    if not table.body or not row[table.place(table.body)]:
        return False
    return table.name != "versions" or bool(row[table.place("whole")])


def _repacked(table: Table, row: Row, source: Codec, draft: Codec) -> Row:
    """A row as the draft can unpack it: it knows the dictionary that is shipped, and none of the source's own."""
    if not _packed(table, row):
        return row
    place = table.place(table.body)
    body: bytes = row[place]
    if body[0] in (0, BUILT_IN):
        return row
    try:
        raw = source.unsqueeze(body)
    except StoreDamaged:
        key = ", ".join(f"{name} {row[table.place(name)]}" for name in table.key)
        raise StoreDamaged(f"A body in {table.name} cannot be unpacked ({key}).", "memoryctl verify") from None
    return (*row[:place], draft.squeeze(raw), *row[place + 1 :])


# Proving


def compare(source: Side, draft: Side, told: Told) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """Read every row of both: how many rows each table has and a SHA-256 of them, and what differs."""
    tables: dict[str, tuple[int, str]] = {}
    problems: list[str] = []
    for table in CARRIED:
        total = source.count(table)
        digest, count, wrong = hashlib.sha256(), 0, 0
        encode = msgspec.msgpack.Encoder().encode
        for mine, theirs in zip_longest(source.rows(table), draft.rows(table)):
            one = None if mine is None else _plain(table, mine)
            other = None if theirs is None else _plain(table, theirs)
            count += 1
            if one != other or (one is not None and not _same_body(table, mine, theirs, source.codec, draft.codec)):
                wrong += 1
                if len(problems) < NAMED:
                    shown = mine or theirs or ()
                    key = ", ".join(f"{name} {shown[table.place(name)]!r}"[:80] for name in table.key)
                    problems.append(
                        f"{table.name} ({key}): {differing(one, other, [name for name in table.columns if name != table.body]) if one != other else 'another body'}"
                    )
            else:
                digest.update(encode(one))
            if count % PIECE_ROWS == 0:
                told(f"comparing {table.name}", count, total)
        told(f"comparing {table.name}", count, total)
        if wrong:
            problems.append(f"{table.name}: {wrong} of {count} rows differ")
        tables[table.name] = count, digest.hexdigest()
    return tables, problems


def _plain(table: Table, row: Row) -> Row:
    """A row without its packed body, of which `crc` tells; a number as the same whichever engine has it."""
    if table.body:
        place = table.place(table.body)
        row = (*row[:place], *row[place + 1 :])
    if table.name == "properties" and isinstance(value := row[2], float) and value.is_integer():
        row = (*row[:2], int(value), *row[3:])
    return row


def _same_body(table: Table, mine: Any, theirs: Any, source: Codec, draft: Codec) -> bool:
    if not table.body:
        return True
    place = table.place(table.body)
    if mine[place] == theirs[place]:
        return True
    return (
        _packed(table, mine)
        and _packed(table, theirs)
        and source.unsqueeze(mine[place]) == draft.unsqueeze(theirs[place])
    )


def unsound(source: Side, draft: Side, told: Told) -> list[str]:
    """What the draft's own check finds, and where the exports of both differ."""
    told("checking", 0, 0)
    health = draft.check()
    problems = list(health.problems)
    at = source.source().change
    total, count = source.tx.transfer.total(at), 0
    for one, other in zip_longest(_export(source.tx, at), _export(draft.tx, at)):
        count += 1
        if one != other:
            kind, number = (one or other or {}).get("type"), (one or other or {}).get("id")
            problems.append(f"the exports differ in record {count}: {kind} {number}")
            break
        if count % PIECE_ROWS == 0:
            told("comparing exports", count, total)
    told("comparing exports", count, total)
    return problems


def _export(tx: Tx, at: int) -> Iterator[dict[str, Any]]:
    place: Place | None = Place()
    while place is not None:
        records, place = tx.transfer.page(at, place, PASSAGES)
        yield from records


def carrying(key: str) -> bool:
    """Whether a row of `meta` is carried."""
    return key not in META_APART and not key.startswith(ARRIVING)
