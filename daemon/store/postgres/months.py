"""Months: the partitions of messages and of the access log, made ahead, let go when nothing is kept in them, set aside on demand.

A row lies in the month in which it was said, by UTC; what falls into a month that has no partition lies in the table's `_other`,
and moves when its month gets one. So nothing depends on housekeeping but how soon tables stay small. A month that was set aside
(`memory-db months --detach 2024-03`) stays in the database as a table of its own, is told of, and comes back as it was.
"""

import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple, cast

from psycopg import Connection, sql

from enhanced_memory.client.errors import Conflict, Invalid, NotFound

__all__ = ["AHEAD", "TABLES", "Month", "ahead", "attach", "detach", "let_go", "made", "months", "of", "told"]

Row = tuple[Any, ...]

log = logging.getLogger(__name__)

TABLES = ("messages", "access")
AHEAD = 2
"""Months that have their partitions before they begin."""

_NAME = re.compile(r"(\d{4})[-_](\d{2})")
_EXISTING = """
SELECT c.relname, c.relispartition, greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname ~ %s ORDER BY c.relname"""


class Month(NamedTuple):
    """One month of one table."""

    table: str
    year: int
    month: int
    attached: bool = True
    rows: int = 0
    """About how many, by the server's statistics."""
    bytes: int = 0

    @property
    def name(self) -> str:
        """The partition's."""
        return f"{self.table}_{self.year:04}_{self.month:02}"

    @property
    def says(self) -> str:
        """As people write it."""
        return f"{self.year:04}-{self.month:02}"

    @property
    def begins(self) -> int:
        """Milliseconds since 1970."""
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp() * 1000)

    @property
    def ends(self) -> int:
        """Where the next one begins."""
        return self.after(1).begins

    def after(self, months: int) -> "Month":
        """The month so many later."""
        number = self.year * 12 + self.month - 1 + months
        return Month(self.table, number // 12, number % 12 + 1)


def of(table: str, at: int) -> Month:
    """The month of a time in milliseconds since 1970. `Invalid` before the year 1 or after 9998."""
    try:
        day = datetime.fromtimestamp(at / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise Invalid("There is no such month.") from None
    return Month(table, day.year, day.month)


def months(connection: "Connection[Row]", tables: Iterable[str] = TABLES) -> list[Month]:
    """Every month that there is, those that were set aside included."""
    found: list[Month] = []
    for table in tables:
        for name, attached, rows, size in connection.execute(
            cast("LiteralString", _EXISTING), (f"^{table}_[0-9]{{4}}_[0-9]{{2}}$",)
        ):
            year, month = map(int, name.rsplit("_", 2)[1:])
            found.append(Month(table, year, month, attached, rows, size))
    return found


def ahead(connection: "Connection[Row]", now: int) -> list[Month]:
    """Make the partitions of this month and of the next; those that were made. One transaction, begun by the caller."""
    return made(connection, {of(table, now).after(later) for table in TABLES for later in range(AHEAD + 1)})


def made(connection: "Connection[Row]", wanted: Iterable[Month]) -> list[Month]:
    """Make the partitions of some months that have none yet; those that were made. One transaction, begun by the caller."""
    known = {one.name for one in months(connection)}
    lacking = sorted(one for one in wanted if one.name not in known)
    for one in lacking:
        connection.execute(_sql("CREATE TABLE {name} (LIKE {table} INCLUDING ALL)", one))
        _attach(connection, one)
    return lacking


def let_go(connection: "Connection[Row]", now: int, access_before: int) -> list[Month]:
    """Remove whole months of the access log that ended before a time, as its retention says, and past months of messages that hold
    no row any more; those that were removed. One transaction, begun by the caller."""
    gone: list[Month] = []
    for one in months(connection):
        if not one.attached or one.ends > now:
            continue
        if one.table == "messages":
            held = connection.execute(_sql("SELECT EXISTS (SELECT 1 FROM {name})", one)).fetchone()
            if held is None or held[0]:
                continue
            # Whoever wrote a row since waits for us, or we for him: looked at again under the lock.
            connection.execute(_sql("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", one))
            held = connection.execute(_sql("SELECT EXISTS (SELECT 1 FROM {name})", one)).fetchone()
            if held is None or held[0]:
                continue
        elif one.ends > access_before:
            continue
        connection.execute(_sql("DROP TABLE {name}", one))
        gone.append(one)
    return gone


def detach(connection: "Connection[Row]", says: str) -> Month:
    """Set a past month of messages aside. Its rows stay in the database, and nothing that is asked sees them.

    `NotFound` where it has no partition, `Conflict` where it is set aside already, `Invalid` for what is no past month.
    """
    one = _named(connection, says)
    if not one.attached:
        raise Conflict(f"The messages of {one.says} are set aside already.", "memory-db months lists what there is")
    with connection.transaction():
        connection.execute(_sql("ALTER TABLE {table} DETACH PARTITION {name}", one))
    return one


def attach(connection: "Connection[Row]", says: str) -> Month:
    """Bring a month of messages back that was set aside."""
    one = _named(connection, says)
    if one.attached:
        raise Conflict(f"The messages of {one.says} are not set aside.", "memory-db months lists what there is")
    with connection.transaction():
        _attach(connection, one)
    return one


def told(connection: "Connection[Row]") -> list[dict[str, Any]]:
    """The months as programs are told of them."""
    return [
        {"month": one.says, "of": one.table, "set_aside": not one.attached, "rows": one.rows, "bytes": one.bytes}
        for one in months(connection)
    ]


def _named(connection: "Connection[Row]", says: str) -> Month:
    match = _NAME.fullmatch(says)
    if match is None or not 1 <= int(match.group(2)) <= 12:
        raise Invalid(f"{says[:40]!r} is no month.", "write it as 2024-03")
    wanted = Month("messages", int(match.group(1)), int(match.group(2)))
    found = next((one for one in months(connection, ["messages"]) if one.name == wanted.name), None)
    if found is None:
        raise NotFound(f"The messages of {wanted.says} have no partition.", "memory-db months lists what there is")
    return found


def _attach(connection: "Connection[Row]", one: Month) -> None:
    """Make a table one of the partitions; what lies in `_other` of its month moves into it."""
    values = {"begins": sql.Literal(one.begins), "ends": sql.Literal(one.ends)}
    connection.execute(_sql("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", one))
    connection.execute(
        _sql(
            "WITH moved AS (DELETE FROM {other} WHERE at >= {begins} AND at < {ends} RETURNING *) INSERT INTO {name} SELECT * FROM moved",
            one,
            **values,
        )
    )
    connection.execute(
        _sql("ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({begins}) TO ({ends})", one, **values)
    )


def _sql(text: LiteralString, one: Month, **values: sql.Composable) -> sql.Composed:
    names = {"name": one.name, "table": one.table, "other": one.table + "_other"}
    return sql.SQL(text).format(**{key: sql.Identifier(name) for key, name in names.items()}, **values)
