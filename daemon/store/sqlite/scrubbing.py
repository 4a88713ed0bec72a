# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""What is done about room in the file: what a purge leaves behind (free pages, the log, dictionaries that were trained on what is
gone), what was packed with an older dictionary, and a small file that has grown."""

from collections.abc import Iterable

import apsw

from enhanced_memory.daemon.store import Scrubbed
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec
from enhanced_memory.daemon.store.sqlite.merging import INDEXES
from enhanced_memory.daemon.store.sqlite.rows import each

__all__ = [
    "REPACK_DUE",
    "REWRITE_BYTES",
    "TIDIED",
    "TIDY_BYTES",
    "Repacking",
    "clear",
    "compact",
    "held_by",
    "tidy",
    "untidied",
    "untidy",
]

REWRITE_BYTES = 512 * 1024 * 1024
"""Up to this size the whole file is written anew, which leaves no doubt; beyond it free pages are written over, which leaves the
room between rows of a page as SQLite left it."""

REPACK_DUE = "repack_due"
"""The note in `meta` that some bodies may be packed with older dictionaries than the present one."""

TIDIED = "tidied"
"""The note in `meta` of how many pages the file had when it was last tidied."""

TIDY_BYTES = 32 * 1024 * 1024
"""Up to this size a file is tidied by itself. Nobody can write meanwhile: 0.01 s for each megabyte (docs/decisions/0023-small-files.md)."""

TIDY_PAGES = 256
"""Fewer pages than that are nothing to gain."""

PIECE = 16
"""So many bytes of a text in a dictionary are taken for a piece of it; a shorter text counts as a whole."""
SHORTEST = 6

BATCH = 500

_PLACES = (
    ("entities", "row", "body", "1"),
    ("messages", "id", "body", "block = 0"),
    ("blocks", "id", "body", "1"),
    ("versions", "space, entity, version", "body", "whole = 1"),
    ("answers", "uid, key", "answer", "1"),
)
"""Where packed bytes stand: table, key, column, condition."""


def held_by(texts: set[str], dictionaries: dict[int, bytes], shipped: bytes) -> list[int]:
    """The dictionaries that hold a piece of any text. What the `shipped` one holds too is nobody's secret."""
    raws = [text.encode() for text in texts]
    public = _pieces(shipped)
    return [
        number
        for number, words in dictionaries.items()
        if any(_holds(words, pieces, raw, shipped) for pieces in [_pieces(words) - public] for raw in raws)
    ]


def _pieces(words: bytes) -> set[bytes]:
    return {words[at : at + PIECE] for at in range(len(words) - PIECE + 1)}


def _holds(words: bytes, pieces: set[bytes], raw: bytes, shipped: bytes) -> bool:
    if len(raw) >= PIECE:
        return any(raw[at : at + PIECE] in pieces for at in range(len(raw) - PIECE + 1))
    return len(raw) >= SHORTEST and raw in words and raw not in shipped


class Repacking:
    """Packs anew, some rows at a time, whatever was packed with certain dictionaries: those that are to go, or that a better one followed."""

    def __init__(self, numbers: Iterable[int], codec: Codec, dropped: set[int], batch: int = BATCH) -> None:
        """`dropped` is told which dictionaries were removed."""
        self._going = frozenset(numbers)
        self._codec = codec
        self._dropped = dropped
        self._batch = batch
        self._place = 0
        self._last: tuple[object, ...] = ()
        self._met = False

    def step(self, connection: apsw.Connection) -> bool:
        """The next rows, in a transaction of their own; whether there may be more. It is over once it went through all and met none."""
        if self._place == len(_PLACES):
            if not self._met:
                return False
            self._place, self._met = 0, False
        table, key, column, condition = _PLACES[self._place]
        names = key.split(", ")
        beyond = f"AND ({key}) > ({', '.join('?' * len(names))})" if self._last else ""
        rows = list(
            each(
                connection,
                f"SELECT {key}, {column} FROM {table} WHERE {condition} {beyond} ORDER BY {key} LIMIT {self._batch:d}",
                self._last,
            )
        )
        where = " AND ".join(f"{name} = ?" for name in names)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for *place, body in rows:
                if body and body[0] in self._going:
                    packed = self._codec.squeeze(self._codec.unsqueeze(body))
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (packed, *place))
                    self._met = True
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        self._last = tuple(rows[-1][:-1]) if rows else ()
        if len(rows) < self._batch:
            self._place, self._last = self._place + 1, ()
        return True

    def drop(self, connection: apsw.Connection) -> None:
        """Remove the dictionaries, now that nothing needs them. Readers that are under way still unpack with them; the next daemon
        does not know them."""
        own = self._going - {BUILT_IN}
        with connection:
            for number in own:
                connection.execute("DELETE FROM dictionaries WHERE id = ?", (number,))
        self._dropped.update(own)


def clear(connection: apsw.Connection, due: str) -> Scrubbed:
    """Leave nothing in the file but what the store holds, and nothing in the log. `due` is the note that says it has to be done."""
    size = next(each(connection, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))[0]
    rewritten = size <= REWRITE_BYTES
    connection.execute("PRAGMA secure_delete = ON")
    try:
        if rewritten:
            connection.execute("VACUUM")
        else:
            _overwrite(connection)
        emptied = _fold(connection)
        if emptied:
            connection.execute("DELETE FROM meta WHERE key = ?", (due,))
            emptied = _fold(connection)
    finally:
        connection.execute("PRAGMA secure_delete = FAST")
    return Scrubbed(rewritten, emptied, 0)


def compact(connection: apsw.Connection) -> None:
    """Merge the words indexes and write the file without free pages, then empty the log."""
    tidy(connection)
    _fold(connection)


def untidy(connection: apsw.Connection, room: int) -> bool:
    """Whether a small file has grown so much since it was last tidied, or has so many free pages, that it is worth `tidy`: writing
    it whole after every quarter that it grows costs five times as much as writing it once, however often it is looked at. Not where
    less than twice its size is free on the disk: `room`."""
    pages, page, free, before = next(
        each(
            connection,
            """SELECT page_count, page_size, freelist_count, coalesce((SELECT value FROM meta WHERE key = ?), 0)
               FROM pragma_page_count, pragma_page_size, pragma_freelist_count""",
            (TIDIED,),
        )
    )
    # It has shrunk where a purge wrote it anew: it is to grow from there.
    other = abs(pages - before) >= max(TIDY_PAGES, before // 4)
    return pages * page <= min(TIDY_BYTES, room // 2) and (other or free >= max(TIDY_PAGES, pages // 4))


def tidy(connection: apsw.Connection) -> None:
    """Merge the words indexes into one segment each, and write the file anew without free pages."""
    for table in INDEXES:
        connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
    connection.execute("VACUUM")
    connection.execute("INSERT OR REPLACE INTO meta SELECT ?, page_count FROM pragma_page_count", (TIDIED,))


def untidied(connection: apsw.Connection) -> None:
    """Have the next look find that there is something to gain."""
    connection.execute("DELETE FROM meta WHERE key = ?", (TIDIED,))


def _overwrite(connection: apsw.Connection) -> None:
    """Fill the free pages with zeros, and give them back zeroed."""
    free, page = next(each(connection, "SELECT freelist_count, page_size FROM pragma_freelist_count, pragma_page_size"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE scrub (zeros BLOB)")
        while free > 0:
            many = min(free, 4096)
            connection.execute("INSERT INTO scrub VALUES (zeroblob(?))", (many * page,))
            free -= many
        connection.execute("DROP TABLE scrub")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _fold(connection: apsw.Connection) -> bool:
    """Fold the log into the file and empty it; whether that could be done before readers took too long."""
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except (apsw.BusyError, apsw.LockedError):
        return False
    return True
