"""Lines by the million, quickly: what the daemon's own code writes for them, but rows of the large tables by COPY and without their indexes.

Every row is made by the handlers, as for a client's request; only its way to the server is another. What loading costs a daemon is
measured before, with fewer lines; this is for what is asked of many.
"""

import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from enhanced_memory.daemon.store.postgres import statements
from enhanced_memory.daemon.store.postgres.rows import PostgresRows

__all__ = ["by_copy", "without_indexes"]

ROWS = ("add_message", "add_passage", "add_words", "add_journal")
_INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\)")

DROPPABLE = """SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid WHERE t.relnamespace = 'enhanced_memory'::regnamespace AND NOT i.indisunique AND NOT t.relispartition
AND t.relname IN ('messages', 'passages', 'words', 'vectors')"""


@contextmanager
def by_copy() -> Generator[None]:
    """Inside, rows of the large tables go to the server by COPY, at the end of each group of changes, of which nobody may read them before."""
    plain = PostgresRows.many
    waiting: dict[str, list[Any]] = {}

    def many(rows: PostgresRows, name: str, given: Iterable[Mapping[str, Any]], /) -> None:
        told = [dict(row) for row in given]
        if name == "add_vector" and told:
            _vectors(rows, told)
        elif name in ROWS:
            asked = statements.statement(name)
            waiting.setdefault(name, []).extend(asked.values(row) for row in told)
        else:
            if name == "keep_numbers":  # the end of a group
                for each, values in waiting.items():
                    found = _INSERT.match(statements.joined(each).lstrip())
                    assert found is not None
                    _copied(rows, found[1], found[2], values)
                waiting.clear()
            plain(rows, name, told)

    PostgresRows.many = many  # type: ignore[method-assign]
    try:
        yield
    finally:
        PostgresRows.many = plain  # type: ignore[method-assign]


def _vectors(rows: PostgresRows, told: list[dict[str, Any]]) -> None:
    ids = "{" + ",".join(str(row["passage"]) for row in told) + "}"
    owners = {
        row[0]: row[1:]
        for row in rows.plain(
            "SELECT id, entity, (message > 0)::int FROM passages WHERE id = ANY (:ids::text::bigint[])", ids=ids
        )
    }
    made = ((row["passage"], row["model"], *owners[row["passage"]], statements.halfvec(row["vector"])) for row in told)
    _copied(rows, "vectors", "passage, model, entity, said, vector", made)
    passages = [row["passage"] for row in told]
    rows.vectors = min(passages), max(passages)


def _copied(rows: PostgresRows, table: str, columns: str, values: Iterable[Any]) -> None:
    rows.settle()
    rows.wrote = True
    with rows.connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
        for row in values:
            copy.write_row(row)


@contextmanager
def without_indexes(url: str) -> Generator[None]:
    """Inside, the large tables have the indexes alone that keep their rows apart; then all of them again."""
    with psycopg.connect(url, autocommit=True, options="-c search_path=enhanced_memory,public") as connection:
        indexes = connection.execute(DROPPABLE).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
    yield
    with psycopg.connect(url, autocommit=True, options="-c search_path=enhanced_memory,public") as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        for _, text in indexes:
            connection.execute(text.replace(" ON ONLY ", " ON ", 1).encode())
