"""The verbs of `memory-db` on a store in a database: check it, put a backup in its place, try whether that would work, look what is wrong."""

import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from enhanced_memory.client.errors import Error, StoreDamaged
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.backups import Kept
from enhanced_memory.daemon.drill import Drilled, Step, drill
from enhanced_memory.daemon.store import Health
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec, built_in
from enhanced_memory.daemon.store.carrying import carry, compare, unsound
from enhanced_memory.daemon.store.postgres import database, verifying
from enhanced_memory.daemon.store.postgres.carried import PostgresDraft, PostgresSide
from enhanced_memory.daemon.store.sqlite.carried import SqliteSide
from enhanced_memory.daemon.store.sqlite.restore import Restored, unpack
from enhanced_memory.daemon.store.sqlite.sealing import Key

__all__ = ["Probed", "check", "probe", "restore", "tried"]

SKEW_S = 60
"""Seconds that a server's clock and this host's may differ."""


def check(settings: Settings, quick: bool) -> Health:
    """Check the store in a database, whether daemons serve it or not."""
    side = PostgresSide(settings)
    try:
        return verifying.check(side.connection, Codec({BUILT_IN: built_in()}), quick)
    finally:
        side.close()


@contextmanager
def _draft(
    settings: Settings, one: Kept, key: Key | None, theirs: Key | None
) -> Generator[tuple[PostgresDraft, dict[str, int]]]:
    """A backup, carried into a draft beside the store and proven to be the same there. What is not made the store is deleted."""
    assert handlers.__all__  # an export is told by them
    with tempfile.TemporaryDirectory(prefix="memory-restore-") as folder:
        path = Path(folder) / "memory.db"
        counts = unpack(one, path, key, theirs)
        source = SqliteSide(path, replace(settings, store=str(path), cold_folder=str(settings.cold_path)), key)
        try:
            draft = PostgresDraft(settings, anew=True, empty=False)
            try:
                carry(source, draft, _unheard)
                problems = compare(source, draft, _unheard)[1] or unsound(source, draft, _unheard)
                if problems:
                    raise StoreDamaged(
                        f"What was restored differs from the backup: {problems[0]}", "take another backup"
                    )
                yield draft, counts
            except BaseException:
                draft.discard()
                raise
            finally:
                draft.close()
        finally:
            source.close()


def restore(
    settings: Settings, one: Kept, stop: bool = False, key: Key | None = None, theirs: Key | None = None
) -> Restored:
    """Put a backup in the place of the store in the database. What was there is kept in the schema `enhanced_memory_replaced_TIME`.

    `StoreDamaged` where the backup is not sound, `StoreHeld` where daemons have the store open (with `stop` those of this host
    are ended). In either case nothing was changed.
    """
    began = time.monotonic()
    with _draft(settings, one, key, theirs) as (draft, counts):
        ended = draft.alone(stop)
        aside = f"{database.NAME}_replaced_{datetime.now(UTC):%Y%m%d_%H%M%S}" if draft.held() else ""
        draft.take_place(aside)
    return Restored(
        settings.store_name, str(one.path), one.made_at, counts["last_change"], counts, one.manifest is not None,
        f"schema {aside}" if aside else "", ended[0] if ended else 0, time.monotonic() - began,
    )  # fmt: skip


def tried(settings: Settings, one: Kept, key: Key | None = None, theirs: Key | None = None) -> Drilled:
    """Use a backup as a file, then restore it into the database beside the store, prove it there, and delete it again."""
    drilled = drill(one, key, theirs)
    if not drilled.ok:
        return drilled
    began = time.monotonic()
    try:
        with _draft(settings, one, key, theirs) as (draft, counts):
            says, ok = f"the same there: {counts['entities']:,} entities, {counts['messages']:,} messages", True
            draft.discard()
    except Error as problem:  # what a drill is for
        says, ok = f"{type(problem).__name__}: {problem.message}", False
    drilled.steps.append(Step("restore into the database", ok, says, round(time.monotonic() - began, 3)))
    drilled.ok = ok
    return drilled


def _unheard(step: str, done: int, total: int) -> None:
    """Nobody asks how far it is."""


# Looking what is wrong


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
    name = settings.store_name
    try:
        connection = database.connected(settings)
    except Error as problem:
        yield Seen("database", "wrong", problem.message, problem.hint)
        return
    with connection:
        info = connection.info
        yield Seen("database", "ok", f"{name}: PostgreSQL {info.parameter_status('server_version')}, as {info.user}")
        try:
            database.look_at(connection)
        except Error as problem:
            yield Seen("server", "wrong", problem.message, problem.hint)

        def one(text: Any, *values: Any) -> Any:
            row = connection.execute(text, values).fetchone()
            return None if row is None else row[0]

        yield from _pgvector(one, name, str(info.user))
        there = one("SELECT to_regclass(%s)::text", f"{database.NAME}.meta") is not None
        if there and not one("SELECT has_schema_privilege(%s, 'USAGE')", database.NAME):
            yield Seen("schema", "wrong", f"the role {info.user} may not use the schema {database.NAME}",
                       f'psql {name!r} -c \'GRANT USAGE ON SCHEMA {database.NAME} TO "{info.user}"\'')  # fmt: skip
        elif there:
            has = int(bytes(one(f"SELECT value FROM {database.NAME}.meta WHERE key = 'schema'") or b"0"))
            wanted = database.schema_version()
            if has > wanted:
                yield Seen(
                    "schema",
                    "wrong",
                    f"version {has}; this program knows {wanted}",
                    "pip install -U 'enhanced-memory[postgres]'",
                )
            elif has < wanted:
                yield Seen(
                    "schema", "warning", f"version {has}; the next daemon brings it to {wanted}", "memoryctl backup"
                )
            else:
                yield Seen("schema", "ok", f"version {has}")
        elif one("SELECT has_database_privilege(current_database(), 'CREATE')"):
            yield Seen("schema", "ok", "not there yet; the daemon makes it")
        else:
            yield Seen("schema", "wrong", f"not there, and the role {info.user} may not make it",
                       f'psql {name!r} -c \'GRANT CREATE ON DATABASE "{info.dbname}" TO "{info.user}"\'')  # fmt: skip
        if one("SELECT pg_is_in_recovery()"):
            yield Seen(
                "server",
                "wrong",
                "it is a standby, which takes no writes",
                "name the primary, or psql -c 'SELECT pg_promote()'",
            )
        skew = abs(float(one("SELECT extract(epoch FROM clock_timestamp())::float8")) - time.time())
        if skew > SKEW_S:
            yield Seen(
                "server clock",
                "wrong",
                f"it differs from this host's by {skew:,.0f} s",
                "sudo timedatectl set-ntp true",
            )
        else:
            yield Seen("server clock", "ok", f"within {max(1, round(skew))} s of this host's")
        room = one(
            "SELECT current_setting('max_connections')::bigint - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
        )
        needed = settings.readers + settings.pool_overflow + 2
        if room < needed:
            yield Seen("connections", "warning", f"{room} are free, and a daemon takes up to {needed}",
                       "psql -c 'ALTER SYSTEM SET max_connections = 200', then restart the server; or lower readers and pool_overflow")  # fmt: skip


def _pgvector(one: Any, name: str, user: str) -> Generator[Seen]:
    version: str | None = one("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if version is not None:
        if tuple(map(int, version.split(".")[:2])) < database.OLDEST_VECTOR:
            yield Seen(
                "pgvector",
                "wrong",
                f"{version}; 0.7 is the oldest that serves",
                f"psql {name!r} -c 'ALTER EXTENSION vector UPDATE'",
            )
        else:
            yield Seen("pgvector", "ok", version)
    elif one("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'") is None:
        yield Seen(
            "pgvector",
            "wrong",
            "the server does not have it",
            "sudo apt-get install postgresql-16-pgvector, of the server's version",
        )
    elif one("SELECT bool_or(v.superuser AND NOT v.trusted) AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "
             "FROM pg_available_extension_versions v WHERE v.name = 'vector'"):  # fmt: skip
        yield Seen("pgvector", "wrong", f"the database lacks it, and the role {user} may not bring it in",
                   f"as the server's owner: psql {name!r} -c 'CREATE EXTENSION vector'")  # fmt: skip
    else:
        yield Seen("pgvector", "ok", "not in the database yet; the daemon brings it in")
