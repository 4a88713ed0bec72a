# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Named queries on one SQLite connection, and SQLite's errors as ours."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import apsw

from enhanced_memory.client.errors import Broken, Error, Invalid, StoreDamaged, StoreFull, StoreRefused, TimedOut
from enhanced_memory.daemon.store.bodies import BUILT_IN, built_in
from enhanced_memory.daemon.store.ground import Posted, Sealing
from enhanced_memory.daemon.store.queries import of_engine
from enhanced_memory.daemon.store.views import View

__all__ = ["Epoch", "SqliteRows", "dictionaries", "each", "translated"]

QUERIES = of_engine(Path(__file__).parent)

_PUT_OFF = {
    "add_change": "changes",
    "add_journal": "journal",
    "add_passage": "passages",
    "add_words": "words",
    "drop_words": "words",
    "add_words_past": "words_past",
    "drop_words_past": "words_past",
}
"""Statements that are put off until the end of the group, and the table that each of them changes."""

_WAITED_FOR = re.compile(rf"\b(?:{'|'.join(sorted(set(_PUT_OFF.values())))})\b")
"""What a statement's text names if it may see what was put off."""

_OF_SPACES = frozenset(
    name
    for name, text in QUERIES.items()
    if re.search(r"^(INSERT( OR \w+)? INTO|UPDATE|DELETE FROM) spaces\b", text, re.MULTILINE)
)
"""Statements after which a view may be another one."""

_BOTH = frozenset(("add_words", "drop_words"))
"""What is done to the second words index too, while there is one."""

_SLOT = re.compile(r"/\*(also|key|down)\*/")


class Epoch:
    """How often spaces were changed and committed. Written by the writer, read by all."""

    number = 0


class SqliteRows:
    """The statements of `queries.sql` on one connection. Not shared between threads.

    Rows that follow from a change and are seldom read within its group are put off until `settle`, which comes before the
    commit, and before any statement that names their table. One table at a time, many rows at once, costs half as much; and
    FTS5 writes out what it holds at every savepoint, so that words in the middle of a group would cost more than all the rest.
    """

    def __init__(self, connection: apsw.Connection, sealing: Sealing, epoch: Epoch | None = None) -> None:
        self.connection = connection
        self.sealing = sealing
        self.epoch = epoch or Epoch()
        self.views: dict[str, View] = {}
        self.spaces_changed = False
        self._seen = 0
        self.memo: dict[Any, int] = {}
        self.compares = False
        self.posted: Posted | None = None
        self._execute: Any = connection.cursor().execute
        self._many: Any = connection.cursor().executemany
        self._built: dict[tuple[Any, ...], str] = {}
        self.put_off: list[tuple[str, list[Mapping[str, Any]]]] = []
        """In order; a request that is undone takes its own away again."""
        self._waits: dict[str, bool] = {}

    def look(self) -> None:
        """Forget views that may be others by now. Before a transaction begins: what is found out within it is as new, or newer."""
        if self._seen != self.epoch.number:
            self._seen = self.epoch.number
            self.views.clear()

    def begin(self) -> None:
        """Begin to see the store as it is now."""
        self.look()
        if self.posted is not None:
            self.posted.begin()
        self._execute("BEGIN")

    def end(self) -> None:
        """See it no longer. Nothing was written, so there is nothing to keep or undo."""
        self._execute("COMMIT")

    def all(self, name: str, /, *also: str, key: str = "", down: bool = False, **values: Any) -> list[tuple[Any, ...]]:
        """Every row. `also`, `key` and `down` fill the statement's slots with named parts."""
        text = self._text(name, also, key, down)
        if self.put_off:
            self._settle_for(text)
        return self._execute(text, values).fetchall()

    def one(self, name: str, /, *also: str, **values: Any) -> tuple[Any, ...] | None:
        """The first row."""
        # Read to its end: a statement left open would stand in the way of folding the log into the file.
        text = self._text(name, also, "", False)
        if self.put_off:
            self._settle_for(text)
        rows = self._execute(text, values).fetchall()
        return rows[0] if rows else None

    def expect(self, asked: Iterable[tuple[str, dict[str, Any]]], /) -> None:
        """Nothing: a file is asked fast enough."""

    def run(self, name: str, /, **values: Any) -> None:
        """Carry it out, or put it off."""
        if name in _PUT_OFF:
            self.put_off.append((name, [values]))
        else:
            self.count(name, **values)

    def count(self, name: str, /, **values: Any) -> int:
        """Carry it out now; how many rows it changed."""
        text = QUERIES[name]
        if self.put_off:
            self._settle_for(text)
        self._execute(text, values)
        if name in _OF_SPACES:
            self.views.clear()
            self.spaces_changed = True
        return self.connection.changes()

    def near(
        self, model: int, dimension: int, query: bytes, count: int, spaces: str, messages: bool, stream: int
    ) -> list[tuple[int, float]]:
        """Never asked: `SqliteEngine.held` tells of no index."""
        raise NotImplementedError

    def many(self, name: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Carry it out once for each of `rows`."""
        if name in _PUT_OFF:
            self.put_off.append((name, list(rows)))
            return
        text = QUERIES[name]
        if self.put_off:
            self._settle_for(text)
        self._many(text, rows)

    def forget(self) -> None:
        """Forget what a transaction found out that is undone."""
        self.memo.clear()
        self.views.clear()
        self.put_off.clear()

    def settle(self) -> None:
        """Carry out what was put off: table by table, in each table in order."""
        if not self.put_off:
            return
        put_off, self.put_off = self.put_off, []
        # While the index is filled a second time (`store/rederived.py`), what changes in the first changes in both.
        twice = bool(self._execute(QUERIES["has_words_next"]).fetchall())
        put_off.sort(key=lambda one: _PUT_OFF[one[0]])
        for name, group in groupby(put_off, key=lambda one: one[0]):
            rows = list(chain.from_iterable(rows for _, rows in group))
            self._many(QUERIES[name], rows)
            if twice and name in _BOTH:
                self._many(QUERIES[name + "_next"], rows)

    def _settle_for(self, text: str) -> None:
        waits = self._waits.get(text)
        if waits is None:
            waits = self._waits[text] = _WAITED_FOR.search(text) is not None
        if waits:
            self.settle()

    def _text(self, name: str, also: tuple[str, ...], key: str, down: bool) -> str:
        if not also and not key:
            return QUERIES[name]
        which = (name, also, key, down)
        text = self._built.get(which)
        if text is None:
            # The conditions may have slots of their own, so they go in first.
            text = QUERIES[name].replace("/*also*/", "\n  ".join(QUERIES[part] for part in also))
            fill = {"also": "", "key": QUERIES[key] if key else "", "down": "DESC" if down else ""}
            text = self._built[which] = _SLOT.sub(lambda slot: fill[slot.group(1)], text)
        return text


def each(connection: apsw.Connection, text: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement of ours that is not a named query: for opening, checking and copying files."""
    execute: Any = connection.execute  # its own type names values that no statement here returns
    return execute(text, values)


def dictionaries(connection: apsw.Connection) -> dict[int, bytes]:
    """What a file's bodies are packed with, by the number that they name: the dictionary that is shipped, and the file's own, the
    newest last."""
    own = each(connection, "SELECT id, bytes FROM dictionaries ORDER BY id")
    return {BUILT_IN: built_in()} | {number: words for number, words in own}


@contextmanager
def translated() -> Generator[None]:
    """Inside, what SQLite raises comes out as one of our errors."""
    try:
        yield
    except Error:
        raise
    except apsw.FullError:
        raise StoreFull() from None
    except apsw.InterruptError:
        raise TimedOut("The deadline passed while the question was worked on.") from None
    except apsw.ReadOnlyError:
        raise StoreRefused(
            "The store cannot be written to.",
            "check the permissions of the file and its folder, and whether the disk is mounted read-only",
        ) from None
    except (apsw.CorruptError, apsw.NotADBError) as problem:
        raise StoreDamaged(f"SQLite finds the store damaged: {problem}.") from None
    except apsw.IOError as problem:
        raise Broken(
            f"Reading or writing the store failed: {problem}.", "check the disk; nothing of this request was kept"
        ) from None
    except apsw.NoMemError:
        raise Broken(
            "SQLite has no memory left for it.", "ask for less at once, or raise the daemon's limit of memory"
        ) from None
    except apsw.TooBigError:
        raise Invalid("A value is larger than the store can hold.", "split it") from None
    except apsw.Error as problem:
        raise Broken(f"SQLite failed: {type(problem).__name__}: {problem}.") from problem
