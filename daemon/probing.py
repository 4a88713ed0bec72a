"""What keeps a daemon from the store in a database, or from its replicas, and the command that mends it. Nothing is changed."""

import re
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, Literal

import msgspec

from enhanced_memory.client.database_url import without_password
from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.store.postgres import database
from enhanced_memory.daemon.store.postgres.failures import translated
from enhanced_memory.daemon.store.postgres.replicas import PLACE, REPLAYED

__all__ = ["Probed", "Seen", "probe"]

SKEW_S = 60
"""Seconds that a server's clock and this host's may differ."""
LOOK_S = 0.05
"""Between two looks at how far a replica has come."""

One = Callable[..., Any]
"""The first value of a statement's first row."""


class Seen(msgspec.Struct):
    """One thing that was looked at, as `memoryctl doctor` tells it."""

    check: str
    state: Literal["ok", "warning", "wrong"]
    says: str
    mend: str = ""


class Probed(msgspec.Struct):
    """What was seen of the database, without a change to it."""

    ok: bool
    findings: list[Seen]


def probe(settings: Settings) -> Probed:
    """Look whether a daemon could serve the store that the settings name, and name the command that mends what keeps it from that."""
    findings = list(_seen(settings))
    return Probed(all(one.state != "wrong" for one in findings), findings)


def _seen(settings: Settings) -> Generator[Seen]:
    try:
        connection = database.connected(settings)
    except Error as problem:
        yield Seen("database", "wrong", problem.message, problem.hint)
        return
    with connection:
        info = connection.info
        yield Seen(
            "database",
            "ok",
            f"{settings.store_name}: PostgreSQL {info.parameter_status('server_version')}, as {info.user}",
        )
        one = _asking(connection)
        owner = _Owner(settings.store_name, str(info.dbname), str(info.user))
        try:
            with translated():
                yield from _looked_at(connection)
                yield from _pgvector(one, owner, info.server_version // 10_000)
                yield from _schema(one, owner)
                yield from _server(one, settings)
                yield from _replicas(settings, one)
        except Error as problem:
            yield Seen("database", "wrong", problem.message, problem.hint or "see the server's log")


def _looked_at(connection: Any) -> Generator[Seen]:
    try:
        database.look_at(connection)
    except Error as problem:
        yield Seen("server", "wrong", problem.message, problem.hint)


def _asking(connection: Any) -> One:
    def one(text: Any, *values: Any) -> Any:
        row = connection.execute(text, values or None).fetchone()
        return None if row is None else row[0]

    return one


class _Owner:
    """Who may grant what our role lacks: the same database, by the name of somebody else."""

    def __init__(self, name: str, database_name: str, role: str) -> None:
        self._psql = f"psql {re.sub(r'//[^@/]*@', '//', name)!r} -c"
        self.database, self.role = database_name, role

    def does(self, sql: str) -> str:
        """The command by which that is done."""
        return f"as the database's owner: {self._psql} '{sql}'"


def _pgvector(one: One, owner: _Owner, major: int) -> Generator[Seen]:
    version: str | None = one("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if version is not None:
        if tuple(map(int, version.split(".")[:2])) < database.OLDEST_VECTOR:
            says = f"{version}; 0.7 is the oldest that serves"
            yield Seen("pgvector", "wrong", says, owner.does("ALTER EXTENSION vector UPDATE"))
        else:
            yield Seen("pgvector", "ok", version)
    elif one("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'") is None:
        mend = f"on the server's machine: sudo apt-get install postgresql-{major}-pgvector"
        yield Seen("pgvector", "wrong", "the server does not have it", mend)
    elif one("SELECT bool_or(v.superuser AND NOT v.trusted) AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "
             "FROM pg_available_extension_versions v WHERE v.name = 'vector'"):  # fmt: skip
        says = f"the database lacks it, and the role {owner.role} may not bring it in"
        yield Seen("pgvector", "wrong", says, owner.does("CREATE EXTENSION vector"))
    else:
        yield Seen("pgvector", "ok", "not in the database yet; the daemon brings it in")


def _schema(one: One, owner: _Owner) -> Generator[Seen]:
    name = database.NAME
    # By the catalogue: whoever may not use a schema is not even told whether something is in it.
    meta = one("SELECT c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
               "WHERE n.nspname = %s AND c.relname = 'meta' AND c.relkind = 'r'", name)  # fmt: skip
    if meta is None:
        if one("SELECT has_database_privilege(current_database(), 'CREATE')"):
            yield Seen("schema", "ok", "not there yet; the daemon makes it")
        else:
            grant = f'GRANT CREATE ON DATABASE "{owner.database}" TO "{owner.role}"'
            yield Seen("schema", "wrong", f"not there, and the role {owner.role} may not make it", owner.does(grant))
        return
    lacks = one("SELECT NOT has_schema_privilege(%s, 'USAGE')", name)
    tables: int = one("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                      "WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT pg_has_role(c.relowner, 'USAGE')", name)  # fmt: skip
    if lacks or tables:
        # Months' partitions are made and let go, indexes built: that is its owner's to do, and no grant gives it.
        theirs = one("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s", name)
        says = f"it is the role {theirs}'s, and {owner.role} may not do what a daemon does there"
        yield Seen("schema", "wrong", says, owner.does(f'GRANT "{theirs}" TO "{owner.role}"'))
        return
    has = int(bytes(one(f"SELECT value FROM {name}.meta WHERE key = 'schema'") or b"0"))
    wanted = database.schema_version()
    if has > wanted:
        mend = "pip install -U 'enhanced-memory[postgres]'"
        yield Seen("schema", "wrong", f"version {has}; this program knows {wanted}", mend)
    elif has < wanted:
        yield Seen("schema", "warning", f"version {has}; the next daemon brings it to {wanted}", "memoryctl backup")
    else:
        yield Seen("schema", "ok", f"version {has}")


def _server(one: One, settings: Settings) -> Generator[Seen]:
    if one("SELECT pg_is_in_recovery()"):
        mend = "name the primary, or psql -c 'SELECT pg_promote()'"
        yield Seen("server", "wrong", "it is a standby, which takes no writes", mend)
    skew = abs(float(one("SELECT extract(epoch FROM clock_timestamp())::float8")) - time.time())
    if skew > SKEW_S:
        says = f"it differs from this host's by {skew:,.0f} s"
        yield Seen("server clock", "wrong", says, "sudo timedatectl set-ntp true")
    else:
        yield Seen("server clock", "ok", f"within {max(1, round(skew))} s of this host's")
    room = one(
        "SELECT current_setting('max_connections')::bigint - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
    )
    needed = settings.readers + settings.pool_overflow + 2
    if room < needed:
        yield Seen("connections", "warning", f"{room} are free, and a daemon takes up to {needed}",
                   "psql -c 'ALTER SYSTEM SET max_connections = 200', then restart the server; or lower readers and pool_overflow")  # fmt: skip


def _replicas(settings: Settings, primary: One) -> Generator[Seen]:
    """Of each replica whether it answers, whether it follows this primary, and whether it keeps up. Without them the primary answers: no
    more than warnings."""
    for url in settings.replicas.split():
        name = without_password(url)
        try:
            connection = database.connected(replace(settings, store=url))
        except Error as problem:
            yield Seen("replica", "warning", f"{name}: {problem.message}", problem.hint)
            continue
        with connection:
            try:
                with translated():
                    found = _followed(name, settings, primary, _asking(connection))
            except Error as problem:
                found = Seen(
                    "replica", "warning", f"{name}: {problem.message}", problem.hint or "see that server's log"
                )
            yield found


def _followed(name: str, settings: Settings, primary: One, replica: One) -> Seen:
    if not replica("SELECT pg_is_in_recovery()"):
        says = "it is no standby, so that it answers nothing"
        return Seen("replica", "warning", f"{name}: {says}", "name a standby of the store's server in `replicas`")
    system = "SELECT system_identifier::text FROM pg_control_system()"
    if replica(system) != primary(system):
        return Seen("replica", "warning", f"{name}: it follows another server", "name a standby of the store's server")
    if primary("SELECT pg_is_in_recovery()"):
        return Seen("replica", "ok", name)  # the primary is none: that is said already
    place, until = primary(PLACE), time.monotonic() + settings.replica_lag_s
    while (has := replica(REPLAYED) or 0) < place:
        if time.monotonic() > until:
            says = f"{(place - has) / 1024:,.0f} kB behind for more than replica_lag_s ({settings.replica_lag_s:g} s), so that the primary answers"
            mend = "on the primary: psql -c 'SELECT application_name, state, replay_lag FROM pg_stat_replication'"
            return Seen("replica", "warning", f"{name}: {says}", mend)
        time.sleep(LOOK_S)
    return Seen("replica", "ok", f"{name}: it keeps up")
