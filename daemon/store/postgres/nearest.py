"""The nearest vectors, found by the server: pgvector's HNSW (Malkov and Yashunin 2018) for many, exactly where a filter leaves few.

Each model has two indexes of its own on every partition of `vectors`, one over what entities say and one over messages, on vectors as
`halfvec` of that model's dimension. They are made when a model has many vectors, without holding up whoever writes. Under a filter the
index is asked for more until enough is found (pgvector's iterative scans); where that gives up, the few are compared one by one.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from psycopg import Connection

__all__ = ["WIDEST", "Counted", "build", "counted", "drop_unused", "nearest", "ready"]

Row = tuple[Any, ...]

log = logging.getLogger(__name__)

LINKS, BUILT_WITH = 16, 200
"""Neighbours of a vector in the graph, and candidates looked at when it is put in (`m`, `ef_construction`)."""

LOOKED_AT = 200
"""Candidates of one question in each of the partitions (`hnsw.ef_search`), where no more are wanted. Fewer find too little of what is
near once there are some ten thousand vectors in each. Measured: docs/scaling.md."""

SCANNED = 20_000
"""Vectors that are looked at in one partition for a filter that few meet, before the others are compared one by one."""

WIDEST = 4_000
"""Dimensions that an index of halfvec may have."""

MEMORY_MB = 512
"""`maintenance_work_mem` while an index is made: the graph of one partition of a million vectors of 192 numbers fits in."""

_OTHERS = ("enable_seqscan", "enable_sort", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan")
"""Ways that the planner may not go for the nearest: it takes what HNSW costs for more than it is, and would rather sort all."""

_NAME = "near_{model}_{said}"


class Plain(Protocol):
    """Statements on one connection."""

    def plain(self, text: str, **values: Any) -> list[Row]:
        """The rows of a statement."""
        ...

    def say(self, text: str) -> None:
        """Let a statement go out with the next."""
        ...


class Counted(NamedTuple):
    """How many vectors of a model there are."""

    entities: int
    """Entities that have one, once for each space."""
    of_entities: int
    of_messages: int


def counted(rows: Plain, model: int) -> Counted:
    """Counts a model's vectors of what lasts."""
    found = rows.plain(
        """SELECT count(DISTINCT (v.entity, p.space)) FILTER (WHERE v.said = 0), count(*) FILTER (WHERE v.said = 0), count(*) FILTER (WHERE v.said = 1)
           FROM vectors v JOIN passages p ON p.id = v.passage AND p.entity = v.entity WHERE v.model = :model AND p.ended = 0""",
        model=model,
    )
    return Counted(*found[0])


def _partitions(connection: "Connection[Row]") -> list[str]:
    """The tables that hold vectors: partitions, or where shards took their place the table itself."""
    found = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'vectors'::regclass ORDER BY 1"
    ).fetchall()
    return [row[0] for row in found] or ["vectors"]


def _made(connection: "Connection[Row]") -> dict[str, bool]:
    """The indexes that there are, and whether each is whole."""
    return dict(
        connection.execute(
            "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
            "WHERE t.relnamespace = current_schema()::regnamespace AND c.relname ~ '_near_[0-9]+_[01]$'"
        ).fetchall()
    )


def _wanted(connection: "Connection[Row]", model: int) -> list[tuple[str, str, int]]:
    return [
        (f"{table}_{_NAME.format(model=int(model), said=said)}", table, said)
        for said in (0, 1)
        for table in _partitions(connection)
    ]


def ready(connection: "Connection[Row]", model: int) -> bool:
    """Whether every partition has a model's indexes."""
    made = _made(connection)
    return all(made.get(name, False) for name, _, _ in _wanted(connection, model))


def build(connection: "Connection[Row]", model: int, dimension: int, stop: Callable[[], bool]) -> bool:
    """Make what a model's indexes lack, one after the other, beside whoever writes; whether all of it is there. Takes minutes for a
    million vectors, so that `stop` is asked in between."""
    connection.execute(f"SET maintenance_work_mem = '{MEMORY_MB}MB'".encode())
    connection.execute("SET lock_timeout = 0")  # it waits for whoever is at it, and nobody for it
    for name, table, said in _wanted(connection, model):
        made = _made(connection).get(name)
        if made:
            continue
        if stop():
            return False
        if made is False:  # one that broke off
            connection.execute(f"DROP INDEX CONCURRENTLY {name}".encode())
        connection.execute(
            f"CREATE INDEX CONCURRENTLY {name} ON {table} USING hnsw ((vector::halfvec({int(dimension)})) halfvec_cosine_ops) "
            f"WITH (m = {LINKS}, ef_construction = {BUILT_WITH}) WHERE model = {int(model)} AND said = {said}".encode(),
        )
    return True


def drop_unused(connection: "Connection[Row]") -> list[str]:
    """Remove the indexes of models that there are no more."""
    known = {row[0] for row in connection.execute("SELECT id FROM models").fetchall()}
    gone = [name for name in _made(connection) if int(name.split("_")[-2]) not in known]
    for name in gone:
        connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}".encode())
    return gone


def nearest(
    rows: Plain, model: int, dimension: int, query: bytes, count: int, spaces: str, messages: bool, stream: int
) -> list[tuple[int, float]]:
    """The passages of what lasts whose vectors are nearest, with their cosines, nearest first; in these spaces, a JSON list, and of
    one stream or entity where it is given."""
    asked = {"query": query, "spaces": spaces, "limit": count, "stream": stream}
    # Whole numbers from the table of models, and nothing else, are put into the text: an index's expression holds them.
    of_model = f"v.model = {int(model)} AND v.said = {int(messages)}"
    if not stream:
        rows.say(
            "SELECT " + _set({"hnsw.ef_search": str(max(LOOKED_AT, min(count // 2, 400))), "hnsw.max_scan_tuples": str(SCANNED)}
            | {"hnsw.iterative_scan": "strict_order"} | dict.fromkeys(_OTHERS, "off"))
        )  # fmt: skip
        found = rows.plain(
            f"""SELECT v.passage, 1.0 - (v.vector::halfvec({int(dimension)}) <=> :query::halfvec)
                FROM vectors v JOIN passages p ON p.id = v.passage AND p.entity = v.entity
                WHERE {of_model} AND p.ended = 0 AND p.space = ANY (:spaces::bigint[])
                ORDER BY v.vector::halfvec({int(dimension)}) <=> :query::halfvec LIMIT :limit""",
            **asked,
        )
        rows.say("SELECT " + _set(dict.fromkeys(_OTHERS, "on")))
        if len(found) >= count:
            return _told(found)
    # Few meet the filter. `default` has no index of its own: where it is one of the spaces, few passages have vectors at all.
    small = "AND p.space > 1" if "1" not in spaces.strip("[]").split(",") else ""
    return _told(
        rows.plain(
            f"""SELECT v.passage, 1.0 - (v.vector <=> :query::halfvec) AS near
                FROM passages p JOIN vectors v ON v.passage = p.id AND v.entity = p.entity
                WHERE {of_model} AND p.ended = 0 AND p.space = ANY (:spaces::bigint[]) {small}
                AND {"v.entity = :stream AND p.entity = :stream" if stream else "true"}
                ORDER BY near DESC LIMIT :limit""",
            **asked,
        )
    )


def _set(values: dict[str, str]) -> str:
    """Settings for the rest of a transaction, in one statement."""
    return ", ".join(f"set_config('{name}', '{value}', true)" for name, value in values.items())


def _told(found: list[Row]) -> list[tuple[int, float]]:
    return [(passage, near or 0.0) for passage, near in found]
