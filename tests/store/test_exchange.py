"""What is put to a server in one exchange is carried out in order or not at all from where it failed, and the connection goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Settings  # noqa: E402
from enhanced_memory.daemon.store.postgres import database  # noqa: E402
from enhanced_memory.daemon.store.postgres.exchange import PREPARED, TOGETHER, Exchange, exchange_of  # noqa: E402
from enhanced_memory.daemon.store.postgres.failures import lost  # noqa: E402

from .conftest import Databases  # noqa: E402

pytestmark = pytest.mark.postgres


@pytest.fixture
def connection(databases: Databases) -> Iterator[Any]:
    with database.ours(Settings.load({"store": databases.url("exchange")})) as made:
        made.execute("CREATE TEMPORARY TABLE noted (place bigint)")
        yield made


@pytest.fixture
def exchange(connection: Any) -> Exchange:
    return exchange_of(connection)


def note(number: int) -> tuple[bytes, list[Any]]:
    return b"INSERT INTO noted VALUES ($1)", [number]


def noted(exchange: Exchange) -> list[int]:
    return [row[0] for row in exchange.put([(b"SELECT place FROM noted ORDER BY ctid", [])])]


def prepared(exchange: Exchange) -> int:
    return exchange.put([(b"SELECT count(*) FROM pg_prepared_statements", [])])[0][0]


def test_statements_are_carried_out_in_their_order_and_the_last_one_s_rows_come_back(exchange: Exchange) -> None:
    count = 3 * TOGETHER + 1
    rows = exchange.put([*map(note, range(count)), (b"SELECT place, $1::text FROM noted ORDER BY ctid", ["ä"])])
    assert rows == [(number, "ä") for number in range(count)]
    assert exchange.put([(b"UPDATE noted SET place = 0 WHERE place < $1", [5])]) == []
    assert exchange.changed == 5


def test_none_is_carried_out_after_one_that_fails_and_the_next_exchange_is(exchange: Exchange) -> None:
    for wrong in (
        (b"SELECT 1 / $1::bigint", [0]),
        (b"SELECT no_such_thing", []),
        (b"SELECT $1::text", ["a\0b"]),  # libpq's own values are refused before anything is sent
    ):
        with pytest.raises((psycopg.errors.DivisionByZero, psycopg.errors.UndefinedColumn, psycopg.DataError)):
            exchange.put([(b"SELECT 1 / $1::bigint", [1]), wrong, note(7)])
        assert noted(exchange) == []
    exchange.put([note(8)])
    assert noted(exchange) == [8]


def test_what_was_prepared_in_an_exchange_that_failed_is_known_for_what_it_is(exchange: Exchange) -> None:
    """What came before the failure is prepared, what came after is not."""
    before, after = (b"SELECT 'before', $1::bigint", [1]), (b"SELECT 'after', $1::bigint", [2])
    with pytest.raises(psycopg.errors.DivisionByZero):
        exchange.put([before, (b"SELECT 1 / $1::bigint", [0]), after])
    assert exchange.put([before, after]) == [("after", 2)]
    assert exchange.put([after, before]) == [("before", 1)]


def test_a_statement_is_prepared_once_for_values_of_the_same_types(exchange: Exchange) -> None:
    had = prepared(exchange)
    for value in (1, 2**40, True, -7):
        assert exchange.put([(b"SELECT $1::bigint", [value])]) == [(int(value),)]
    assert prepared(exchange) == had + 1
    assert exchange.put([(b"SELECT $1::bigint", [None])]) == [(None,)]
    assert exchange.put([(b"SELECT $1::bytea", [b"\0\xff"])]) == [(b"\0\xff",)]


def test_a_connection_keeps_so_many_prepared_and_no_more(exchange: Exchange) -> None:
    for number in range(PREPARED + 50):
        exchange.put([(b"SELECT %d" % number, [])])
    assert prepared(exchange) <= PREPARED + 1
    assert exchange.put([(b"SELECT 0", []), (b"SELECT %d" % PREPARED, [])]) == [(PREPARED,)]


def test_what_is_prepared_outlives_a_rollback_by_psycopg(connection: Any, exchange: Exchange) -> None:
    exchange.put([(b"BEGIN", []), note(1)])
    with pytest.raises(psycopg.errors.DivisionByZero):
        exchange.put([(b"SELECT 1 / $1::bigint", [0])])
    connection.execute("ROLLBACK")
    exchange.put([note(2), (b"SELECT 1 / $1::bigint", [1])])
    assert noted(exchange) == [2]


def test_megabytes_in_both_directions_hold_nobody_up(exchange: Exchange) -> None:
    large = "z" * 500_000
    rows = exchange.put([(b"SELECT $1::text, repeat('y', 500000)", [large])] * (TOGETHER + 3))
    assert [len(text) for text in rows[0]] == [500_000, 500_000]


def test_an_exchange_that_loses_its_connection_says_so_and_so_does_every_one_after(
    connection: Any, exchange: Exchange, databases: Databases
) -> None:
    with databases.connect(databases.url("exchange")) as other:
        other.execute("SELECT pg_terminate_backend(%s::int)", (connection.info.backend_pid,))
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError) as problem:
            exchange.put([(b"SELECT 1", []), (b"SELECT 2", [])])
        assert lost(problem.value)
    assert connection.closed


def test_a_connection_has_one_exchange(connection: Any, exchange: Exchange) -> None:
    assert exchange_of(connection) is exchange


# What is sent ahead


def test_what_is_sent_ahead_is_carried_out_before_what_follows_and_told_of_with_it(
    exchange: Exchange, databases: Databases
) -> None:
    exchange.ahead([note(1), note(2)])
    exchange.ahead([note(3)])
    assert exchange.under_way
    assert exchange.each([note(4), (b"SELECT place FROM noted ORDER BY ctid", []), (b"SELECT $1::bigint", [9])]) == [
        [],
        [(1,), (2,), (3,), (4,)],
        [(9,)],
    ]
    assert not exchange.under_way
    had = prepared(exchange)
    exchange.ahead([note(5)])
    exchange.put([note(6)])
    assert prepared(exchange) == had
    assert noted(exchange) == [1, 2, 3, 4, 5, 6]


LOCKED = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 7
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def test_the_server_begins_with_what_is_sent_ahead_while_nobody_waits(
    connection: Any, exchange: Exchange, databases: Databases
) -> None:
    exchange.ahead([(b"SELECT pg_advisory_lock($1)", [7])])
    with databases.connect(databases.url("exchange")) as other:
        deadline = time.monotonic() + 20
        while not (held := other.execute(LOCKED).fetchall()):
            assert time.monotonic() < deadline
    assert held[0][0] == connection.info.backend_pid
    exchange.put([(b"SELECT pg_advisory_unlock($1)", [7])])


def test_what_fails_of_what_was_sent_ahead_fails_the_next_exchange_and_that_alone(exchange: Exchange) -> None:
    exchange.ahead([note(1), (b"SELECT 1 / $1::bigint", [0]), (b"SELECT 'fresh', $1::bigint", [1])])
    exchange.ahead([note(2)])
    with pytest.raises(psycopg.errors.DivisionByZero):
        exchange.put([note(3)])
    assert noted(exchange) == []
    assert exchange.put([(b"SELECT 'fresh', $1::bigint", [2])]) == [("fresh", 2)]


def test_a_value_that_cannot_be_sent_leaves_what_went_before_as_it_was(exchange: Exchange) -> None:
    for given in (exchange.ahead, exchange.put):
        exchange.ahead([note(1)])
        with pytest.raises(psycopg.DataError):
            given([note(2), (b"SELECT 'never', $1::text", ["a\0b"])])
        assert exchange.put([(b"SELECT 'never', $1::text", ["b"])]) == [("never", "b")]
    assert noted(exchange) == [1, 1]


def test_what_was_sent_ahead_can_be_dropped_and_psycopg_goes_on(connection: Any, exchange: Exchange) -> None:
    for said in (note(1), (b"SELECT 1 / $1::bigint", [0])):
        exchange.put([(b"BEGIN", [])])
        exchange.ahead([said])
        exchange.drop()
        connection.execute("ROLLBACK")
    assert noted(exchange) == []


def test_thousands_sent_ahead_hold_nobody_up(exchange: Exchange) -> None:
    for number in range(0, 20_000, 10):
        exchange.ahead([note(number)] * 10)
    assert len(noted(exchange)) == 20_000


def test_a_connection_that_is_lost_after_something_was_sent_ahead_is_lost(
    connection: Any, exchange: Exchange, databases: Databases
) -> None:
    exchange.ahead([note(1)])
    with databases.connect(databases.url("exchange")) as other:
        other.execute("SELECT pg_terminate_backend(%s::int)", (connection.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError) as problem:
        exchange.put([note(2)])
    assert lost(problem.value)
    exchange.drop()
    with pytest.raises(psycopg.OperationalError):
        exchange.ahead([note(3)])
