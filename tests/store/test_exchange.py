"""What is put to a server in one exchange is carried out in order or not at all from where it failed, and the connection goes on."""

from __future__ import annotations

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
