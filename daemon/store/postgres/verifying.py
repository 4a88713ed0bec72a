"""A look at every row of the store in a database: whether what it says is what was written, and every index what it was derived from."""

from collections.abc import Iterator
from itertools import count
from typing import Any, LiteralString, cast

from psycopg import Connection

from enhanced_memory.daemon.store import Health, checking
from enhanced_memory.daemon.store.bodies import Codec

__all__ = ["check", "each"]

AT_ONCE = 2_000
"""Rows fetched in one exchange: a whole table of bodies has no room in memory."""

_named = count(1)


def each(
    connection: "Connection[tuple[Any, ...]]", text: str, values: tuple[Any, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement, some thousand at a time; within a transaction."""
    with connection.cursor(name=f"each_{next(_named)}") as cursor:
        cursor.itersize = AT_ONCE
        cursor.execute(cast("LiteralString", text), values or None)
        yield from cursor


def check(connection: "Connection[tuple[Any, ...]]", codec: Codec, quick: bool) -> Health:
    """Look for damage on one consistent view; `quick` leaves out the bodies of older versions and what is compared row by row.

    The connection is one of ours (`database.prepare`), and within a transaction.
    """
    health = Health([], {})

    def rows(text: str) -> Iterator[tuple[Any, ...]]:
        return each(connection, text)

    checking.bodies(rows, codec, health)
    if not quick:
        checking.versions(rows, codec, health)
    for problem in checking.indexes(rows, quick, "", "v.passage", "v.model"):
        checking.found(health, problem)
    health.checked["last_change"] = next(rows("SELECT coalesce(max(number), 0) FROM changes"))[0]
    return health
