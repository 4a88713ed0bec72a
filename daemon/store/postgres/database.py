"""The database: reaching it, knowing what lies there for ours, making it or bringing it up to date."""

import os
import re
import secrets
import time
from pathlib import Path
from typing import Any, LiteralString, NamedTuple, cast

from psycopg import Connection, OperationalError, conninfo, errors
from psycopg import Error as PostgresError
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper, Loader
from psycopg.types.numeric import Int8Dumper

from enhanced_memory.client.database_url import from_environment, meant_for
from enhanced_memory.client.errors import StoreRefused
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.store.postgres import months
from enhanced_memory.daemon.store.postgres.failures import said, translated

__all__ = [
    "MAKING",
    "MIGRATIONS",
    "NAME",
    "OLDEST_SERVER",
    "OLDEST_VECTOR",
    "SCHEMA",
    "WHOLE_TABLES",
    "Found",
    "connected",
    "extended",
    "fits",
    "found",
    "look_at",
    "make",
    "migrations",
    "opened",
    "ours",
    "parameters",
    "prepare",
    "schema_version",
]

SCHEMA = Path(__file__).parent / "schema.sql"
MIGRATIONS = Path(__file__).parent / "migrations"
NAME = "enhanced_memory"
"""The schema in which everything lies."""
OLDEST_SERVER = 140_000
OLDEST_VECTOR = (0, 7)
"""pgvector has had halfvec since."""
CREDENTIAL = "postgres-password"
"""What systemd calls the password that it hands over (LoadCredential=)."""
TURN_S = 30
"""How long a daemon that has stopped in the middle of its turn may hold up the others; then the server ends its connection."""
PROBES = 3
"""Unanswered ones after which the other end of a connection counts as gone."""
WHOLE_TABLES = """SELECT relname::text FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1"""
"""The tables of the store, each partitioned one once."""
MAKING = 0x454D656D
"""The advisory lock of whoever makes or migrates the store."""

Row = tuple[Any, ...]


class Found(NamedTuple):
    """What the store says of itself."""

    store_id: str
    server: str
    path: str
    """The schemas in which names are looked up, as `search_path` takes them."""


class _Truth(Int8Dumper):
    """A boolean as 0 or 1, as it is kept. Whole numbers travel as this one type, too, so that a statement is prepared once."""

    def dump(self, obj: int) -> Buffer:
        return b"1" if obj else b"0"


class _Text(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


def parameters(settings: Settings) -> dict[str, Any]:
    """How the database that the settings name is reached. `StoreRefused` where that cannot be read.

    A password is best left out of the store's name: systemd hands one over as the credential `postgres-password`, POSTGRES_PASSWORD
    and DB_PASSWORD count for the place that they are named with, and libpq knows PGPASSWORD, ~/.pgpass and service files.
    """
    try:
        found: dict[str, Any] = conninfo.conninfo_to_dict(settings.store)
    except PostgresError as problem:
        raise StoreRefused(f"The setting `store` is no PostgreSQL URL: {said(problem)}.", _SHAPE) from None
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and "password" not in found and (credential := Path(folder, CREDENTIAL)).is_file():
        found["password"] = credential.read_text("utf-8").rstrip("\n")
    named = from_environment(os.environ)
    if named is not None and named.password and "password" not in found and not os.environ.get("PGPASSWORD"):
        if meant_for(settings.store, named):
            found["password"] = named.password
    found.setdefault("connect_timeout", max(2, int(settings.connect_timeout_s / 2)))
    found.setdefault("application_name", "enhanced-memory")
    # Who listens sends nothing: without these it would be two hours before a server that vanished is noticed, and a quarter of one
    # where something was sent.
    idle, interval = _probes(settings.connect_timeout_s)
    for name, value in (
        ("keepalives_idle", idle),
        ("keepalives_interval", interval),
        ("keepalives_count", PROBES),
        ("tcp_user_timeout", 1000 * (idle + PROBES * interval)),
    ):
        found.setdefault(name, value)
    return found


def _probes(wait_s: float) -> tuple[int, int]:
    """After how many seconds of silence the other end is asked whether it is there, and how often; it is given up after twice `wait_s`."""
    return max(1, int(wait_s)), max(1, int(wait_s / PROBES))


_SHAPE = "postgresql://user@host:5432/database"


def connected(settings: Settings) -> "Connection[Row]":
    """A connection of its own. `StoreRefused` says why there is none."""
    try:
        return Connection[Row].connect(**parameters(settings), autocommit=True)
    except OperationalError as problem:
        raise _unreached(problem) from None


def ours(settings: Settings) -> "Connection[Row]":
    """A connection to the store in the database, which is made or brought up to date if need be. Raises what `opened` raises."""
    found = opened(settings)
    connection = connected(settings)
    prepare(connection, found, durable=True)
    return connection


def _unreached(problem: OperationalError) -> StoreRefused:
    told = said(problem)
    if lacking := re.search(r'(database|role) "[^"]+" does not exist', str(problem)):
        thing = lacking[0].removesuffix(" does not exist").replace("database", "DATABASE").replace("role", "ROLE")
        login = " LOGIN" if lacking[1] == "role" else ""
        hint = f"psql -d postgres -c 'CREATE {thing}{login}', or name another {lacking[1]} in `store`"
        return StoreRefused(f"PostgreSQL refuses us: {told}.", hint)
    for sign, hint in (
        ("password authentication failed", "give the right password: PGPASSWORD, ~/.pgpass, or systemd's credential"),
        ("no password supplied", "give a password: PGPASSWORD, ~/.pgpass, or systemd's credential"),
        ("pg_hba.conf", "let the server's pg_hba.conf admit us"),
        ("too many clients", "raise the server's max_connections, or use a pooler"),
        ("not translate host name", "name a host that there is"),
    ):
        if sign in str(problem):
            return StoreRefused(f"PostgreSQL refuses us: {told}.", hint)
    return StoreRefused(f"PostgreSQL cannot be reached: {told}.", "see that the server runs and where it listens")


def prepare(connection: "Connection[Row]", found: Found, durable: bool, wait_s: float = 10.0) -> None:
    """Make a connection one of ours: what types travel as, where names are looked up, and that the server lets go of us, our turn and
    our locks when we are gone for twice `wait_s`.
    """
    idle, interval = _probes(wait_s)
    # What is asked often is prepared by `exchange.py`; psycopg forgets all that is at a rollback, once it has prepared anything itself.
    connection.prepare_threshold = None
    own: AdaptersMap = connection.adapters
    own.register_dumper(int, cast("type[Dumper]", Int8Dumper))
    own.register_dumper(bool, cast("type[Dumper]", _Truth))
    own.register_loader("json", _Text)
    wanted = {
        "search_path": found.path,
        "jit": "off",
        "enable_partitionwise_join": "on",
        "client_min_messages": "warning",
        "lock_timeout": f"{TURN_S + 5}s",
        "idle_in_transaction_session_timeout": f"{TURN_S}s",
        "tcp_keepalives_idle": str(idle),
        "tcp_keepalives_interval": str(interval),
        "tcp_keepalives_count": str(PROBES),
        "tcp_user_timeout": f"{idle + PROBES * interval}s",
    } | ({} if durable else {"synchronous_commit": "off"})
    connection.execute(
        "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) s (name, value)",
        (list(wanted), list(wanted.values())),
    )


def migrations() -> dict[int, Path]:
    """The steps that bring an older store here, by the version that each makes."""
    found = {
        int(match.group(1)): path for path in MIGRATIONS.glob("*.sql") if (match := re.match(r"(\d{4})_", path.name))
    }
    return dict(sorted(found.items()))


def schema_version() -> int:
    """The version of the schema that this program reads and writes."""
    match = re.search(r"\('schema', '(\d+)'\)", SCHEMA.read_text("utf-8"))
    assert match, "schema.sql does not say its version"
    return int(match.group(1))


def opened(settings: Settings) -> Found:
    """What the store in the database says of itself; it is made, or brought up to date, if need be.

    `StoreRefused` for a server that is too old or without pgvector, for a role that may not make what is lacking, and for a store
    that is newer than this program.
    """
    connection = connected(settings)
    try:
        with translated():
            look_at(connection)
            connection.execute("SELECT pg_advisory_lock(%s)", (MAKING,))
            try:
                path = extended(connection)
                _made(connection, path)
            finally:
                connection.execute("SELECT pg_advisory_unlock(%s)", (MAKING,))
            there = found(connection, path)
            assert there is not None
            return there
    finally:
        connection.close()


def _one(connection: "Connection[Row]", text: str, *values: Any) -> Any:
    row = connection.execute(cast("LiteralString", text), values).fetchone()
    return None if row is None else row[0]


def look_at(connection: "Connection[Row]") -> None:
    """`StoreRefused` for a server that is too old, and a database that does not hold every text."""
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise StoreRefused(
            f"The server is PostgreSQL {version // 10_000}; {OLDEST_SERVER // 10_000} is the oldest that serves.",
            "move the database to a newer server",
        )
    if _one(connection, "SHOW server_encoding") != "UTF8":
        raise StoreRefused(
            "The database's encoding is not UTF-8.", "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def extended(connection: "Connection[Row]", name: str = NAME) -> str:
    """See that pgvector is there, or bring it in. The schemas to look names up in, for a store in the schema `name`."""
    known = (
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    )
    if (schema := _one(connection, known)) is None:
        lacking = "install pgvector on the server (0.7 or later), and as its owner: CREATE EXTENSION vector"
        try:
            connection.execute("CREATE EXTENSION vector")
        except (errors.InsufficientPrivilege, errors.UndefinedFile, errors.FeatureNotSupported) as problem:
            raise StoreRefused(f"The database lacks pgvector: {said(problem)}.", lacking) from None
        schema = _one(connection, known)
    version: str = _one(connection, "SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if tuple(map(int, version.split(".")[:2])) < OLDEST_VECTOR:
        raise StoreRefused(
            f"The database has pgvector {version}; 0.7 is the oldest that serves.",
            "install a newer one on the server, then ALTER EXTENSION vector UPDATE",
        )
    quoted = '"' + str(schema).replace('"', '""') + '"'
    return f"{name}, {quoted}"


def _made(connection: "Connection[Row]", path: str) -> None:
    """Make the store where there is none, or carry out the steps that an older one lacks, all in one transaction."""
    with connection.transaction():
        if make(connection, path):
            return
        has, wanted = _version(connection), schema_version()
        for version, step in migrations().items():
            if version > has:
                connection.execute(step.read_bytes())
        if has < wanted:
            months.ahead(connection, int(time.time() * 1000))
            connection.execute("UPDATE meta SET value = %s WHERE key = 'schema'", (str(wanted).encode(),))


def make(connection: "Connection[Row]", path: str, name: str = NAME) -> bool:
    """Make a store in the schema `name`, unless one is there; whether it did. Within a transaction, in which names are looked up in
    `path` from now on.
    """
    connection.execute(cast("LiteralString", f"SET LOCAL search_path = {path}"))
    if _one(connection, "SELECT to_regclass(%s)::text", f"{name}.meta") is not None:
        return False
    connection.execute(cast("LiteralString", f"CREATE SCHEMA IF NOT EXISTS {name}"))
    connection.execute(SCHEMA.read_bytes())
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('store_id', %s), ('made_at', %s)",
        (secrets.token_hex(8).encode(), str(int(time.time() * 1000)).encode()),
    )
    months.ahead(connection, int(time.time() * 1000))
    return True


def _version(connection: "Connection[Row]") -> int:
    """The schema's version, within `search_path`. `StoreRefused` for one that is newer than this program."""
    has, wanted = int(bytes(_one(connection, "SELECT value FROM meta WHERE key = 'schema'") or b"0")), schema_version()
    if has > wanted:
        raise StoreRefused(
            f"The database has schema {has}; this program knows {wanted}.", "install the newer enhanced-memory"
        )
    return has


def fits(connection: "Connection[Row]", path: str) -> None:
    """`StoreRefused` for a store that this program would have to bring up to date before it can read it, or that is newer."""
    with connection.transaction():
        connection.execute(cast("LiteralString", f"SET LOCAL search_path = {path}"))
        if (has := _version(connection)) < schema_version():
            raise StoreRefused(
                f"The database has schema {has}, and this program's is {schema_version()}.",
                "let a daemon of this version open it once: memory-db serve",
            )


def found(connection: "Connection[Row]", path: str, name: str = NAME) -> Found | None:
    """What the store in the schema `name` says of itself; None where there is none."""
    if _one(connection, "SELECT to_regclass(%s)::text", f"{name}.meta") is None:
        return None
    known = _one(connection, f"SELECT value FROM {name}.meta WHERE key = 'store_id'")
    store_id = bytes(known or b"").decode()
    return Found(store_id, str(_one(connection, "SHOW server_version")).split()[0], path)
