"""What only a database can do: refuse us, lose us in the middle of a change, and be shared by several daemons.

These need a server (scripts/postgres_server.py); without one they are left out.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Memory, Settings  # noqa: E402
from enhanced_memory.client.cli.configuration import settings_with_sources  # noqa: E402
from enhanced_memory.client.errors import Broken, Conflict, NotFound, StoreFull, StoreRefused, TimedOut  # noqa: E402
from enhanced_memory.client.operations.entities import (  # noqa: E402
    AddObservations,
    CreateEntities,
    ObservationsInput,
    PurgeEntities,
)
from enhanced_memory.client.operations.spaces import DeleteSpace  # noqa: E402
from enhanced_memory.client.settings import PREFIX  # noqa: E402
from enhanced_memory.client.values import EntityInput  # noqa: E402
from enhanced_memory.daemon.store import Tx  # noqa: E402
from enhanced_memory.daemon.store.bodies import State  # noqa: E402
from enhanced_memory.daemon.store.postgres import database  # noqa: E402
from enhanced_memory.daemon.store.postgres.engine import PostgresEngine  # noqa: E402

from .conftest import Daemon, Databases, World  # noqa: E402

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place


@pytest.fixture
def stored(settings: Settings, databases: Databases) -> Settings:
    """Settings that name an empty database."""
    return replace(settings, store=databases.url("one"))


def backends(url: str, sql: str) -> list[Any]:
    """Say something to the server beside the engine."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


# Refused at the start


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda url: url.replace("postgres@", "nobody_there@"), "nobody_there"),
        (lambda url: url.replace("?", "_gone?"), "does not exist"),
        (lambda url: url.replace("host=", "host=/nowhere"), "cannot be reached"),
        (lambda url: url + "&nonsense=1", "no PostgreSQL URL"),
    ],
    ids=["role", "database", "server", "url"],
)
async def test_what_cannot_be_reached_is_refused_with_a_hint(stored: Settings, change: Any, says: str) -> None:
    with pytest.raises(StoreRefused) as refused:
        await PostgresEngine.open(replace(stored, store=change(stored.store)))
    assert says in refused.value.message
    assert refused.value.hint


async def test_a_store_of_a_newer_program_is_refused_and_left_alone(daemon: Daemon, stored: Settings) -> None:
    world = await daemon()
    world.spoil("UPDATE meta SET value = '99' WHERE key = 'schema'")
    try:
        with pytest.raises(StoreRefused, match="schema 99"):
            await PostgresEngine.open(stored)
    finally:
        world.spoil("UPDATE meta SET value = ? WHERE key = 'schema'", str(database.schema_version()).encode())


async def test_a_role_that_may_make_nothing_is_refused(databases: Databases, settings: Settings) -> None:
    url = databases.url("one")
    backends(url, "DROP SCHEMA IF EXISTS enhanced_memory CASCADE")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP EXTENSION IF EXISTS vector CASCADE")
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'poor'").fetchone():
            connection.execute("CREATE ROLE poor LOGIN")
    with pytest.raises(StoreRefused) as refused:
        await PostgresEngine.open(replace(settings, store=url.replace("postgres@", "poor@")))
    assert "pgvector" in refused.value.message
    assert "CREATE EXTENSION vector" in refused.value.hint
    made = await PostgresEngine.open(replace(settings, store=url))  # whoever may, makes all of it
    await made.close()


def test_a_password_is_in_no_name_of_the_store(home: Path) -> None:
    for url in (
        "postgresql://ada:s3cret@h:5432/m",
        "postgresql://ada@h/m?password=s3cret&sslmode=require",
        "postgres://:s3cret@/m?host=/run",
    ):
        settings = Settings.load({"store": url})
        assert "s3cret" not in settings.store_name + str(settings.store_path)
        assert settings.environment({})[PREFIX + "STORE"] == url
        both = Settings.load({"store": url, "replicas": f"{url} {url}"})
        shown = settings_with_sources(cast("Any", SimpleNamespace(settings=both, overrides={})))
        assert "s3cret" not in repr(shown)
        assert {one.name: one.value for one in shown}["store"] == settings.store_name
    assert (
        Settings.load({"store": "postgresql://ada@h/m?sslmode=require"}).store_name
        == "postgresql://ada@h/m?sslmode=require"
    )


async def test_systemd_may_hand_over_the_password(
    stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postgres-password").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert database.parameters(stored)["password"] == "s3cret"


@pytest.fixture
def keyed(stored: Settings) -> str:
    """The URL of the database for a role that has to give a password, `s3cret`."""
    role = "keyed_" + stored.store.split("@/")[1].split("?")[0]
    with psycopg.connect(stored.store, autocommit=True) as connection:
        # Tests that run beside this one may be making it as well.
        connection.execute("SELECT pg_advisory_lock(1)")
        for name, more in (("keyed", ""), (role, " LOGIN PASSWORD 's3cret' IN ROLE keyed SUPERUSER")):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
                connection.execute(f"CREATE ROLE {name}{more}")
    return stored.store.replace("postgres@", role + "@")


async def test_a_wrong_password_is_refused_and_told_to_nobody(
    keyed: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for given, says in (("wr0ng", "password authentication failed"), ("", "no password supplied")):
        monkeypatch.setenv("PGPASSWORD", given)
        with pytest.raises(StoreRefused, match=says) as refused:
            await PostgresEngine.open(replace(settings, store=keyed))
        assert "PGPASSWORD" in refused.value.hint
        assert not given or given not in str(refused.value) + caplog.text


async def test_the_names_that_other_systems_read_lead_to_the_database(
    keyed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, _, rest = keyed.removeprefix("postgresql://").partition("@/")
    name, _, host = rest.partition("?host=")
    for variable, value in {"HOST": host, "DB": name, "USER": user, "PASSWORD": "s3cret"}.items():
        monkeypatch.setenv("POSTGRES_" + variable, value)
    settings = Settings.load({"store": "postgresql://"})
    made = await PostgresEngine.open(settings)
    assert (made.path, "s3cret" in repr(settings)) == (f"postgresql://{user}@/{name}?host={host}", False)
    await made.close()


@pytest.mark.parametrize(
    ("bound", "least", "says"),
    [("OLDEST_SERVER", 990_000, "99 is the oldest"), ("OLDEST_VECTOR", (99, 0), "has pgvector")],
    ids=["server", "pgvector"],
)
async def test_what_is_too_old_is_refused(
    stored: Settings, monkeypatch: pytest.MonkeyPatch, bound: str, least: Any, says: str
) -> None:
    monkeypatch.setattr(database, bound, least)
    with pytest.raises(StoreRefused, match=says):
        await PostgresEngine.open(stored)


# Lost on the way


async def test_a_question_whose_connection_is_gone_is_put_again(daemon: Daemon, stored: Settings) -> None:
    world = await daemon()
    await world.default.create("Ada", "a")
    backends(stored.store, END_ALL)
    assert await world.default.says("Ada") == ["a"]


async def test_a_change_whose_connection_is_gone_is_carried_out_once(daemon: Daemon, stored: Settings) -> None:
    world = await daemon()
    await world.default.create("Ada", "a")
    backends(stored.store, END_ALL)
    await world.default.add("Ada", "b")
    assert await world.default.says("Ada") == ["a", "b"]
    assert world.engine.state == ("ready", "")


async def test_a_change_that_loses_its_connection_half_way_is_carried_out_once(
    daemon: Daemon, stored: Settings
) -> None:
    world = await daemon()
    tried: list[int] = []

    def work(tx: Tx) -> None:
        from enhanced_memory.daemon.store.bodies import State

        tx.entities.create(State(f"Ada {len(tried)}", "thing"))
        tx.entities.find(1)  # so that what was written is on its way
        tried.append(1)
        if len(tried) == 1:
            backends(stored.store, END_ALL)
            tx.entities.find(1)

    await world.default.write(work)
    assert await world.default.listed() == ["Ada 1"]
    assert await world.last_change() == 1
    await world.sound()


async def test_a_commit_whose_answer_is_lost_is_not_repeated(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await daemon()
    engine: Any = world.engine
    await world.default.create("Ada", "a")
    rows = engine._writer._rows
    settle, broken = rows.settle, []

    def lost() -> None:
        settle()
        if not broken:
            broken.append(1)
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(rows, "settle", lost)
    await world.default.add("Ada", "b")
    assert broken
    assert await world.default.says("Ada") == ["a", "b"]
    assert [one.version for one in await world.default.history("Ada")] == [2, 1]
    await world.sound()


async def test_what_nobody_can_know_is_said_and_a_repeat_with_its_key_is_applied_once(
    stored: Settings, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes the commit, and cannot be reached any more."""
    world = World(await PostgresEngine.open(replace(stored, connect_timeout_s=0.3), clock), clock)
    try:
        engine: Any = world.engine
        await world.default.create("Ada", "a")
        ask = AddObservations([ObservationsInput("Ada", ["b"])])
        rows = engine._writer._rows
        settle = rows.settle

        def lost() -> None:
            settle()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        def unreached() -> Any:
            raise StoreRefused("PostgreSQL cannot be reached.")

        with monkeypatch.context() as patched:
            patched.setattr(rows, "settle", lost)
            patched.setattr(engine._writer, "reach", unreached)
            with pytest.raises(Broken, match="nobody can say"):
                await world.default.keyed(ask, "k")
        assert world.engine.state[0] == "failing"
        await world.default.keyed(ask, "k")
        assert await world.default.says("Ada") == ["a", "b"]
        assert [one.version for one in await world.default.history("Ada")] == [2, 1]
        assert world.engine.state == ("ready", "")
        await world.sound()
    finally:
        await world.engine.close()


async def test_a_server_that_became_a_standby_is_left_for_the_one_that_takes_changes(daemon: Daemon) -> None:
    world = await daemon()
    await world.default.create("Ada", "a")
    rows: Any = world.engine._writer._rows  # type: ignore[attr-defined]
    rows.connection.execute("SET default_transaction_read_only = on", prepare=False)
    await world.default.add("Ada", "b")
    assert await world.default.says("Ada") == ["a", "b"]
    assert world.engine.state == ("ready", "")


async def test_of_writers_that_were_killed_no_mark_is_left_for_ever(daemon: Daemon, clock: Any) -> None:
    await (await daemon()).default.create("Ada")
    clock.ms += 2 * 86_400_000
    world = await daemon()
    assert await world.rows("SELECT 1 FROM meta WHERE starts_with(key, 'writer/')") == []
    await world.default.create("Bob")
    assert len(await world.rows("SELECT 1 FROM meta WHERE starts_with(key, 'writer/')")) == 1


@pytest.fixture
def failing(stored: Settings) -> Iterator[Callable[[str, int], None]]:
    """Lets the server refuse rows of `changes` with a code, so many times, as it would for reasons of its own."""

    def fails(code: str, times: int) -> None:
        backends(
            stored.store,
            f"""SET search_path = enhanced_memory;
            CREATE SEQUENCE tried;
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('enhanced_memory.tried') <= {times} THEN RAISE EXCEPTION 'refused' USING ERRCODE = '{code}'; END IF;
                RETURN NEW; END $$;
            CREATE TRIGGER refused BEFORE INSERT ON changes FOR EACH ROW EXECUTE FUNCTION refuse()""",
        )

    yield fails
    backends(
        stored.store,
        "SET search_path = enhanced_memory; DROP FUNCTION IF EXISTS refuse CASCADE; DROP SEQUENCE IF EXISTS tried",
    )


@pytest.mark.parametrize("code", ["40001", "40P01"], ids=["serialization", "deadlock"])
async def test_a_change_that_met_anothers_is_carried_out_once(
    daemon: Daemon, failing: Callable[[str, int], None], code: str
) -> None:
    world = await daemon()
    failing(code, 3)
    await world.default.create("Ada", "a")
    assert await world.default.says("Ada") == ["a"]
    assert await world.last_change() == 1
    await world.sound()


async def test_a_change_that_never_gets_through_fails_and_the_next_does_not(
    daemon: Daemon, failing: Callable[[str, int], None]
) -> None:
    world = await daemon()
    failing("40001", 6)
    with pytest.raises(Broken, match="SerializationFailure"):
        await world.default.create("Ada", "a")
    assert world.engine.state[0] == "failing"
    await world.default.create("Ada", "b")
    assert await world.default.says("Ada") == ["b"]
    assert world.engine.state == ("ready", "")


async def test_a_full_disk_of_the_server_is_said_and_nothing_is_kept(
    daemon: Daemon, failing: Callable[[str, int], None]
) -> None:
    world = await daemon()
    failing("53100", 1)
    with pytest.raises(StoreFull, match="PostgreSQL"):
        await world.default.create("Ada", "a")
    assert world.engine.state[0] == "failing"
    assert await world.default.listed() == []
    await world.default.create("Bob")
    assert await world.default.listed() == ["Bob"]
    assert await world.last_change() == 1
    await world.sound()


async def test_a_statement_that_takes_too_long_is_said_to(stored: Settings, clock: Any) -> None:
    backends(
        stored.store,
        "ALTER ROLE postgres IN DATABASE "
        + stored.store.split("@/")[1].split("?")[0]
        + " SET statement_timeout = '300ms'",
    )
    try:
        world = World(await PostgresEngine.open(stored, clock), clock)
        try:
            with pytest.raises(TimedOut):
                await world.default.read(lambda tx: tx.rows.plain("SELECT pg_sleep(5)::text"))  # type: ignore[attr-defined]
            await world.default.create("Ada")
            assert await world.default.listed() == ["Ada"]
        finally:
            await world.engine.close()
    finally:
        backends(
            stored.store,
            "ALTER ROLE postgres IN DATABASE " + stored.store.split("@/")[1].split("?")[0] + " RESET ALL",
        )


# Several daemons


async def test_daemons_take_turns_and_no_update_is_lost(daemon: Daemon) -> None:
    one, other = await daemon(), await daemon()
    await one.default.create("Ada")
    await asyncio.gather(
        *(
            place.default.add("Ada", f"{name}{number}")
            for number in range(40)
            for name, place in (("a", one), ("b", other))
        )
    )
    said = await other.default.says("Ada")
    assert said is not None
    assert sorted(said) == sorted(f"{name}{number}" for number in range(40) for name in "ab")
    assert sorted(row[0] for row in await one.rows("SELECT number FROM changes")) == list(range(1, 82))
    await one.sound()


async def test_of_two_daemons_that_expect_one_version_one_is_right(daemon: Daemon) -> None:
    one, other = await daemon(), await daemon()
    await one.default.create("Ada")
    asks = [AddObservations([ObservationsInput("Ada", [f"o{number}"], expected_version=1)]) for number in range(10)]
    answers = await asyncio.gather(
        *((one if place % 2 else other).default.do(ask) for place, ask in enumerate(asks)), return_exceptions=True
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 9


async def test_a_name_is_given_once_whoever_asks_first(daemon: Daemon) -> None:
    one, other = await daemon(), await daemon()
    ask = CreateEntities([EntityInput("Ada", "thing")], on_existing="error")
    answers = await asyncio.gather(
        *((one if place % 2 else other).default.do(ask) for place in range(20)), return_exceptions=True
    )
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1


async def test_a_space_made_by_one_daemon_is_there_for_the_other(daemon: Daemon) -> None:
    one, other = await daemon(), await daemon()
    await one.default.create("Ada", "a")
    branch = await one.branch("b")
    await branch.add("Ada", "b")
    assert await other.place("b").says("Ada") == ["a", "b"]
    await other.place("b").add("Ada", "c")
    assert await branch.says("Ada") == ["a", "b", "c"]
    assert await other.default.says("Ada") == ["a"]


async def test_what_a_writer_knows_of_spaces_is_forgotten_where_another_daemon_wrote(daemon: Daemon) -> None:
    one, other = await daemon(), await daemon()
    branch = await one.branch("b")
    await branch.create("Ada", "a")
    await other.default.do(DeleteSpace("b"))
    with pytest.raises(NotFound, match="'b'"):
        await branch.create("Eve", "e")
    # Nor where its own group made a space and was undone.
    with pytest.raises(ValueError, match="no"):
        await one.place("c").write(_made_and_fails)
    await one.place("c").create("Ida", "i")
    assert await other.place("c").says("Ida") == ["i"]


def _made_and_fails(tx: Tx) -> None:
    tx.entities.create(State("Eve", "thing"))
    raise ValueError("no")


async def test_a_key_that_one_daemon_has_answered_the_other_answers_alike(daemon: Daemon) -> None:
    one, other = await daemon(), await daemon()
    await one.default.create("Ada")
    ask = AddObservations([ObservationsInput("Ada", ["a"])])
    assert await one.default.keyed(ask, "k") == await other.default.keyed(ask, "k")
    assert await one.default.says("Ada") == ["a"]


async def test_a_purge_leaves_no_word_of_it(daemon: Daemon) -> None:
    world = await daemon()
    place: Place = world.default
    await place.create("Ada", "zanzibar")
    await place.add("Ada", "more of zanzibar")
    await place.do(PurgeEntities(["Ada"], confirm=True))
    await world.engine.scrub({"zanzibar"})
    for table in ("words", "words_past"):
        assert await world.rows(f"SELECT id FROM {table} WHERE lexemes @@ 'zanzibar'") == []
    assert await world.rows("SELECT key FROM meta WHERE key = 'scrub_due'") == []


# The daemon


def test_a_client_starts_a_daemon_on_a_database(stored: Settings, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "STORE", stored.store)
    monkeypatch.setenv(PREFIX + "EMBEDDER", "none")
    monkeypatch.setenv(PREFIX + "CONNECT_TIMEOUT_S", "60")  # a busy machine starts a daemon slowly
    with Memory() as memory:
        pid = memory.welcome.pid
        try:
            memory.create_entities([EntityInput("Ada", "person", ["drinks green tea"])])
            assert [hit.entity.name for hit in memory.search_nodes("tea").hits] == ["Ada"]
            assert memory.get_memory_status().engine.startswith("PostgreSQL")
            assert memory.verify().ok
            made = memory.backup(str(home / "copies"))
            assert (made.entities, Path(made.path).parent) == (1, home / "copies")
            assert memory.get_memory_status().last_backup is not None
            assert memory.vacuum().problem == ""
            health = memory.health()
            assert {one.name for one in health.ailments} <= {"memory", "disk_full", "many_files"}
        finally:
            os.kill(pid, signal.SIGTERM)
