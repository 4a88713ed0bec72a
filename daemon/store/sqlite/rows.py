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

from enhanced_memory.client.errors import Broken, Error, Invalid, StoreDamaged, StoreFull, StoreRefused
from enhanced_memory.daemon.store.queries import load

__all__ = ["SqliteRows", "each", "translated"]

QUERIES = load(Path(__file__).parent / "queries.sql")

_PUT_OFF = frozenset(("add_words", "drop_words", "add_words_past", "drop_words_past"))
_NEED_WORDS = frozenset(name for name, text in QUERIES.items() if re.search(r"\bwords(_past)?\b", text)) - _PUT_OFF

_SLOT = re.compile(r"/\*(also|key|down)\*/")


class SqliteRows:
    """The statements of `queries.sql` on one connection. Not shared between threads.

    Changes of the words index are put off until `settle_words`, which comes before the commit or before anything reads the
    index: FTS5 writes out what it holds at every savepoint, and a savepoint for each request would cost more than the words.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.memo: dict[Any, int] = {}
        self._execute: Any = connection.cursor().execute
        self._many: Any = connection.cursor().executemany
        self._built: dict[tuple[Any, ...], str] = {}
        self.put_off: list[tuple[str, list[Mapping[str, Any]]]] = []
        """Changes of the words index, in order; a request that is undone takes its own away again."""

    def begin(self) -> None:
        """Begin to see the store as it is now."""
        self._execute("BEGIN")

    def end(self) -> None:
        """See it no longer. Nothing was written, so there is nothing to keep or undo."""
        self._execute("COMMIT")

    def all(self, name: str, /, *also: str, key: str = "", down: bool = False, **values: Any) -> list[tuple[Any, ...]]:
        """Every row. `also`, `key` and `down` fill the statement's slots with named parts."""
        if self.put_off and name in _NEED_WORDS:
            self.settle_words()
        return self._execute(self._text(name, also, key, down), values).fetchall()

    def one(self, name: str, /, *also: str, **values: Any) -> tuple[Any, ...] | None:
        """The first row."""
        if self.put_off and name in _NEED_WORDS:
            self.settle_words()
        # Read to its end: a statement left open would stand in the way of folding the log into the file.
        rows = self._execute(self._text(name, also, "", False), values).fetchall()
        return rows[0] if rows else None

    def run(self, name: str, /, **values: Any) -> int:
        """Carry it out; how many rows it changed."""
        if name in _PUT_OFF:
            self.put_off.append((name, [values]))
            return 1
        if self.put_off and name in _NEED_WORDS:
            self.settle_words()
        self._execute(QUERIES[name], values)
        return self.connection.changes()

    def many(self, name: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Carry it out once for each of `rows`."""
        if name in _PUT_OFF:
            self.put_off.append((name, list(rows)))
        else:
            self._many(QUERIES[name], rows)

    def settle_words(self) -> None:
        """Carry out what was put off."""
        put_off, self.put_off = self.put_off, []
        for name, group in groupby(put_off, key=lambda one: one[0]):
            self._many(QUERIES[name], chain.from_iterable(rows for _, rows in group))

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


@contextmanager
def translated() -> Generator[None]:
    """Inside, what SQLite raises comes out as one of our errors."""
    try:
        yield
    except Error:
        raise
    except apsw.FullError:
        raise StoreFull() from None
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
    except apsw.TooBigError:
        raise Invalid("A value is larger than the store can hold.", "split it") from None
    except apsw.Error as problem:
        raise Broken(f"SQLite failed: {type(problem).__name__}: {problem}.") from problem
