"""`memory-db months`: the partitions of a store in PostgreSQL, and setting one aside. Needs no daemon, and stops none."""

import argparse
from typing import Any

from enhanced_memory.client.errors import StoreRefused
from enhanced_memory.client.settings import Settings

__all__ = ["carry_out", "declare"]


def declare(verbs: Any) -> None:
    """Make the command line know it."""
    says = "list the months of messages and of the access log in PostgreSQL, or set one of messages aside"
    verb = verbs.add_parser("months", help=says, description=says)
    verb.add_argument("--json", action="store_true", help="print one JSON document")
    verb.add_argument("--store", help="postgresql://…; default: the setting")
    which = verb.add_mutually_exclusive_group()
    which.add_argument("--detach", metavar="YYYY-MM", help="messages of this month are kept, and asked by nothing")
    which.add_argument("--attach", metavar="YYYY-MM", help="a month that was set aside is as it was")


def carry_out(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    """The months as they are afterwards, and the exit code."""
    if not settings.database:
        raise StoreRefused(
            "A file has no months: they are partitions in PostgreSQL.", "name a store: --store postgresql://…"
        )
    from enhanced_memory.daemon.store.postgres import database, months
    from enhanced_memory.daemon.store.postgres.failures import translated

    found = database.opened(settings)
    with translated(), database.connected(settings) as connection:
        database.prepare(connection, found, durable=True)
        if given.detach:
            months.detach(connection, given.detach)
        if given.attach:
            months.attach(connection, given.attach)
        told = [
            {"month": one.says, "of": one.table, "set_aside": not one.attached, "rows": one.rows, "bytes": one.bytes}
            for one in months.months(connection)
        ]
    return {"months": told}, 0
