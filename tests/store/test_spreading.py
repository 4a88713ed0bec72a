"""The schema can be spread over machines, as far as that can be seen on one: keys hold their owner, joins go by it, and months
come and go without a row being lost.

What Citus refuses is read off its sources (create_distributed_table.c, query_pushdown_planning.c); it was never at hand to be asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Settings  # noqa: E402
from enhanced_memory.client.errors import Conflict, Invalid, NotFound  # noqa: E402
from enhanced_memory.client.operations.search import SearchMessages  # noqa: E402
from enhanced_memory.client.operations.streams import AppendMessages, RecentMessages  # noqa: E402
from enhanced_memory.client.settings import PREFIX  # noqa: E402
from enhanced_memory.client.values import MessageInput  # noqa: E402
from enhanced_memory.daemon.__main__ import main  # noqa: E402
from enhanced_memory.daemon.store.postgres import months  # noqa: E402
from enhanced_memory.daemon.store.postgres.engine import PostgresEngine  # noqa: E402
from enhanced_memory.daemon.store.postgres.statements import QUERIES, joined  # noqa: E402

from .conftest import Databases, World  # noqa: E402

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / "daemon" / "store" / "postgres" / "citus.sql").read_text("utf-8")
SPREAD: dict[str, str] = dict(re.findall(r"^SELECT create_distributed_table\('(\w+)', '(\w+)'", SCRIPT, re.MULTILINE))
"""Each table that is spread, and the column by which."""
EVERYWHERE: set[str] = set(re.findall(r"^SELECT create_reference_table\('(\w+)'\)", SCRIPT, re.MULTILINE))
AT_HOME = {"numbers", "answers", "dictionaries", "backups"}

BY_NAME = "names lie by name, entities by number"
OVER = "a row of an overlay hides one of the parent, whose owner may be another"
ASIDE = "from a table that is everywhere into one that is spread"
NOT_BY_OWNER = {
    "changed_by_name": BY_NAME,
    "entities_named": BY_NAME,
    "list_ids_by_name": BY_NAME,
    "relations_loose": OVER,
    "relations_of": OVER,
    "relations_same": OVER,
    "relations_touching": OVER,
    "conflicts": OVER,
    "conflicts_between": OVER,
    "vectors_for": "each passage looks for the vector of the one before it",
    "branches_page": ASIDE,
    "spaces_expiring": ASIDE,
}
"""The statements that docs/scaling.md names as not yet fit for a cluster, and why."""


KNOWN = "|".join(sorted(SPREAD.keys() | EVERYWHERE | AT_HOME))
WORDS = "ON|WHERE|SET|JOIN|LEFT|CROSS|ORDER|GROUP|LIMIT|UNION|VALUES|SELECT|FOR"


def flat(text: str) -> str:
    """A statement without what stands in brackets; a table that is selected from another takes its name."""
    while (shorter := re.sub(r"(\bFROM|\bJOIN|\bLATERAL)?\s*\(([^()]*)\)", _shorter, text)) != text:
        text = shorter
    return text


def _shorter(found: re.Match[str]) -> str:
    inner = re.search(rf"\bFROM\s+({KNOWN})\b", found[2]) if found[1] else None
    return f" {found[1] or ''} {inner[1] if inner else ''} "


def tables_of(text: str) -> dict[str, str]:
    """The tables of one SELECT, UPDATE or DELETE by their aliases, those of what stands in brackets left out."""
    found = re.findall(
        rf"(?:\bFROM|\bJOIN|\bLATERAL|,|\bUPDATE|\bINTO)\s+({KNOWN})\b(?:\s+(?:AS\s+)?(?!(?:{WORDS})\b)(\w+))?",
        flat(text),
    )
    return {alias or table: table for table, alias in found}


def scopes(text: str) -> list[tuple[str, str]]:
    """Every SELECT of a statement with the one around it, '' for the outermost; the parts of a UNION each by itself."""
    found: list[tuple[str, str]] = []

    def look(part: str, around: str) -> None:
        for one in re.split(r"\bUNION(?: ALL)?\b", part) if "UNION" in flat(part) and "(" not in part else [part]:
            found.append((one, around))
            for inner in _brackets(one):
                look(inner, one)

    look(text, "")
    return found


def _brackets(text: str) -> list[str]:
    """What stands in the outermost brackets."""
    found: list[str] = []
    depth = begin = 0
    for at, sign in enumerate(text):
        if sign == "(":
            depth += 1
            begin = at + 1 if depth == 1 else begin
        elif sign == ")":
            depth -= 1
            if not depth:
                found.append(text[begin:at])
    return found


def _unmet(text: str) -> list[str]:
    """What a statement compares across owners."""
    aliases: dict[str, str] = {}
    for one, _ in scopes(text):
        aliases |= tables_of(one)
    spread = {alias: SPREAD[table] for alias, table in aliases.items() if table in SPREAD}
    groups = {alias: {alias} for alias in spread}
    pairs = re.findall(r"\b(\w+)\.(\w+) (?:=|>=|<=|<|>) (\w+)\.(\w+)", text)
    for left, column, right, other in pairs:
        if left in spread and right in spread and spread[left] == column and spread[right] == other:
            whole = groups[left] | groups[right]
            for one in whole:
                groups[one] = whole
    return sorted(
        {
            f"{left}.{column} and {right}.{other}"
            for left, column, right, other in pairs
            if left in spread and right in spread and right not in groups[left]
        }
    )


def _from_everywhere(text: str) -> list[str]:
    """Questions about spread tables that depend on a row of one that is on every machine."""
    found: list[str] = []
    for inner, around in scopes(text):
        mine, theirs = tables_of(inner), tables_of(around)
        if not around or not any(table in SPREAD for table in mine.values()):
            continue
        leaning = {alias for alias in theirs if alias not in mine and re.search(rf"\b{alias}\.\w", inner)}
        if leaning and not any(table in SPREAD for table in theirs.values()):
            found += sorted(leaning)
    return found


def test_every_table_is_spread_or_everywhere_or_at_home() -> None:
    tables = set(
        re.findall(r"^CREATE TABLE (\w+) \(", (ROOT / "daemon/store/postgres/schema.sql").read_text(), re.MULTILINE)
    )
    assert tables == SPREAD.keys() | EVERYWHERE | AT_HOME
    assert not SPREAD.keys() & (EVERYWHERE | AT_HOME)


def test_what_is_spread_is_joined_by_its_owner() -> None:
    found: dict[str, list[str]] = {}
    for name in QUERIES:
        text = re.sub(r"--.*", "", joined(name))
        if unmet := _unmet(text) + _from_everywhere(text):
            found[name] = unmet
    assert {name: unmet for name, unmet in found.items() if name not in NOT_BY_OWNER} == {}
    assert sorted(NOT_BY_OWNER.keys() - found) == [], "fit for a cluster now: strike them off, and off docs/scaling.md"


@pytest.mark.parametrize(
    ("text", "unmet"),
    [
        ("SELECT 1 FROM words w JOIN passages p ON p.id = w.id", ["p.id and w.id"]),
        ("SELECT 1 FROM words w JOIN passages p ON p.id = w.id AND p.entity = w.entity", []),
        ("SELECT 1 FROM entities e WHERE EXISTS (SELECT 1 FROM tags t WHERE t.space = e.space)", ["t.space and e.space"]),
        ("SELECT 1 FROM spaces s WHERE EXISTS (SELECT 1 FROM entities e WHERE e.space = s.id)", ["s"]),
        ("SELECT 1 FROM (SELECT * FROM relations UNION SELECT * FROM relations) r JOIN entities e ON e.id = r.to_id", ["e.id and r.to_id"]),
    ],
    ids=["joined", "by owner", "within", "from everywhere", "derived"],
)  # fmt: skip
def test_what_is_not_joined_by_its_owner_is_seen(text: str, unmet: list[str]) -> None:
    assert _unmet(text) + _from_everywhere(text) == unmet


def test_the_manual_names_what_is_not_fit_for_a_cluster() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    assert [name for name in NOT_BY_OWNER if f"`{name}`" not in page] == []


# On a server


@pytest.fixture
async def world(settings: Settings, databases: Databases, clock: Any) -> AsyncIterator[World]:
    """A store on an empty database."""
    made = World(await PostgresEngine.open(replace(settings, store=databases.url("spread")), clock), clock)
    yield made
    await made.engine.close()


@pytest.fixture
def server(world: World, databases: Databases) -> Any:
    """A connection of one's own to the store's database, whose doings are undone."""
    with databases.connect(databases.url("spread")) as connection:
        before = {one.name for one in months.months(connection)}
        yield connection
        for one in months.months(connection):
            if one.name not in before:
                connection.execute(f"DROP TABLE {one.name}".encode())
            elif not one.attached:
                months.attach(connection, one.says)


STAND_INS = """
CREATE FUNCTION pg_temp.refuse_as_citus(t regclass, by text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    what text;
BEGIN
    IF EXISTS (SELECT 1 FROM pg_constraint WHERE contype = 'f' AND (conrelid = t OR confrelid = t)) THEN
        RAISE EXCEPTION '% has a foreign key', t;
    END IF;
    IF EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = t AND NOT tgisinternal) THEN
        RAISE EXCEPTION '% has a trigger', t;
    END IF;
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = t AND attidentity <> '' AND atttypid <> 'bigint'::regtype) THEN
        RAISE EXCEPTION '% has an identity that is no bigint', t;
    END IF;
    IF by IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = t AND attname = by AND attgenerated = '') THEN
        RAISE EXCEPTION '% has no column % of its own', t, by;
    END IF;
    SELECT i.indexrelid::regclass::text INTO what FROM pg_index i WHERE i.indrelid = t AND (i.indisunique OR i.indisexclusion)
        AND by IS NOT NULL AND (SELECT attnum FROM pg_attribute WHERE attrelid = t AND attname = by) <> ALL (i.indkey);
    IF what IS NOT NULL THEN
        RAISE EXCEPTION 'the key % does not hold %', what, by;
    END IF;
    IF EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t AND c.relispartition) THEN
        RAISE EXCEPTION '% is a partition', t;
    END IF;
END $$;
CREATE TEMPORARY TABLE spread (t text PRIMARY KEY, kind text);
CREATE FUNCTION pg_temp.create_reference_table(t regclass) RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.refuse_as_citus(t, NULL); INSERT INTO spread VALUES (t::text, 'everywhere') $$;
CREATE FUNCTION pg_temp.create_distributed_table(t regclass, by text, colocate_with text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    type text := (SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = t AND attname = by);
BEGIN
    PERFORM pg_temp.refuse_as_citus(t, by);
    IF colocate_with <> '' AND type IS DISTINCT FROM (SELECT kind FROM spread WHERE spread.t = colocate_with) THEN
        RAISE EXCEPTION '% is split by another type than %', t, colocate_with;
    END IF;
    INSERT INTO spread VALUES (t::text, type);
END $$;
SET search_path = enhanced_memory, public"""


def as_for_citus(script: str) -> str:
    """The script with stand-ins for what a server without Citus does not have."""
    return re.sub(r"\b(create_(?:reference|distributed)_table)\(", r"pg_temp.\1(", script)


@pytest.mark.postgres
async def test_the_script_for_a_cluster_runs_and_the_store_serves_what_it_did(
    settings: Settings, databases: Databases, clock: Any
) -> None:
    stored = replace(settings, store=databases.url("cluster"))
    world = World(await PostgresEngine.open(stored, clock), clock)
    await world.default.create("Ada", "keeps the lighthouse")
    await world.default.do(AppendMessages("talk", [MessageInput("the lamp burns low")]))
    before = [await world.default.says("Ada"), await world.default.listed()]
    await world.engine.close()
    with databases.connect(stored.store) as server:
        with server.transaction():
            server.execute(STAND_INS)
            server.execute(as_for_citus(SCRIPT))
            assert len(server.execute("SELECT 1 FROM spread").fetchall()) == len(SPREAD) + len(EVERYWHERE)
        assert server.execute("SELECT count(*) FROM entities").fetchone() == (2,)
        assert server.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'entities'::regclass").fetchone() == (
            0,
        )
        world = World(await PostgresEngine.open(stored, clock), clock)
        try:
            assert [await world.default.says("Ada"), await world.default.listed()] == before
            await world.default.add("Ada", "reads by night")
            found = await world.default.do(SearchMessages("lamp"))
            assert [hit.message.content for hit in found.hits] == ["the lamp burns low"]
            await world.sound()
        finally:
            await world.engine.close()
            server.execute("DROP SCHEMA enhanced_memory CASCADE")  # the next test makes it anew


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("CREATE UNIQUE INDEX once ON versions (space, began)", "does not hold entity"),
        ("ALTER TABLE versions ADD FOREIGN KEY (entity, began) REFERENCES tags (entity, began)", "foreign key"),
        ("ALTER TABLE names RENAME COLUMN name TO called", "has no column name"),
        ("ALTER TABLE uses ALTER COLUMN entity TYPE int", "another type"),
    ],
    ids=["key", "foreign key", "column", "type"],
)  # fmt: skip
async def test_what_citus_refuses_is_refused_here(server: Any, spoil: str, says: str) -> None:
    server.execute("BEGIN")
    server.execute("SET LOCAL search_path = enhanced_memory, public; CREATE UNIQUE INDEX often ON tags (entity, began)")
    server.execute(spoil)
    server.execute(STAND_INS)
    with pytest.raises(psycopg.errors.RaiseException, match=says):
        server.execute(as_for_citus(SCRIPT))
    server.execute("ROLLBACK")


# Months


def at(year: int, month: int, day: int = 2) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


async def said(world: World, *texts: str, year: int, month: int) -> None:
    when = datetime(year, month, 2, tzinfo=UTC)
    await world.default.do(AppendMessages("talk", [MessageInput(text, at=when) for text in texts]))


async def heard(world: World) -> list[str]:
    return [one.content for one in (await world.default.do(RecentMessages("talk", limit=100))).messages]


def partitions(server: Any, table: str) -> dict[str, int]:
    """Rows by month, `other` included."""
    rows = server.execute(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1".encode()).fetchall()
    return {name.removeprefix(table + "_"): count for name, count in rows}


@pytest.mark.postgres
async def test_months_are_made_ahead_and_what_waited_for_one_moves_into_it(world: World, server: Any) -> None:
    await said(world, "a", "b", year=2031, month=5)
    await said(world, "c", year=2031, month=6)
    await said(world, "long ago", year=1970, month=3)
    assert partitions(server, "messages") == {"other": 4}
    with server.transaction():
        made = months.ahead(server, at(2031, 5))
    assert {one.name for one in made} >= {"messages_2031_05", "messages_2031_06", "messages_2031_07", "access_2031_05"}
    assert partitions(server, "messages") == {"2031_05": 2, "2031_06": 1, "other": 1}
    with server.transaction():
        assert months.ahead(server, at(2031, 5)) == []
    await said(world, "d", year=2031, month=7)
    assert partitions(server, "messages")["2031_07"] == 1
    assert await heard(world) == ["a", "b", "c", "long ago", "d"]
    await world.sound()


@pytest.mark.postgres
async def test_a_month_of_the_access_log_goes_when_its_retention_is_over_and_no_sooner(
    world: World, server: Any
) -> None:
    with server.transaction():
        months.ahead(server, at(2031, 5))
        for month in (5, 6, 7):
            server.execute(
                "INSERT INTO access (at, op, origin, space, pid, us) VALUES (%s, 'ping', 1, 'default', 1, 1)",
                (at(2031, month),),
            )
    with server.transaction():
        gone = months.let_go(server, now=at(2031, 8), access_before=at(2031, 6, 15))
    assert {one.name for one in gone if one.table == "access"} >= {"access_2031_05"}
    left = partitions(server, "access")
    assert "2031_05" not in left
    assert (left["2031_06"], left["2031_07"]) == (1, 1)


@pytest.mark.postgres
async def test_a_month_of_messages_goes_only_when_it_is_past_and_empty(world: World, server: Any) -> None:
    with server.transaction():
        months.ahead(server, at(2031, 5))
    await said(world, "kept", year=2031, month=6)
    with server.transaction():
        gone = {one.name for one in months.let_go(server, now=at(2031, 7, 15), access_before=0)}
    assert "messages_2031_05" in gone
    assert not gone & {"messages_2031_06", "messages_2031_07"}
    assert await heard(world) == ["kept"]


@pytest.mark.postgres
async def test_a_month_that_was_set_aside_is_told_of_and_comes_back_as_it_was(world: World, server: Any) -> None:
    with server.transaction():
        months.ahead(server, at(2031, 5))
    await said(world, "the lamp in may", year=2031, month=5)
    await said(world, "the lamp in june", year=2031, month=6)
    months.detach(server, "2031-05")
    assert [one.says for one in months.months(server, ["messages"]) if not one.attached] == ["2031-05"]
    assert await heard(world) == ["the lamp in june"]
    assert [hit.message.content for hit in (await world.default.do(SearchMessages("lamp"))).hits] == [
        "the lamp in june"
    ]
    with pytest.raises(Conflict):
        months.detach(server, "2031-05")
    with server.transaction():
        assert months.ahead(server, at(2031, 5)) == []  # not made a second time
    await said(world, "the lamp again", year=2031, month=5)  # it waits in `other`
    months.attach(server, "2031-05")
    assert sorted(await heard(world)) == ["the lamp again", "the lamp in june", "the lamp in may"]
    assert len((await world.default.do(SearchMessages("lamp"))).hits) == 3
    await world.sound()


@pytest.mark.postgres
async def test_what_is_no_month_is_refused(server: Any) -> None:
    for says, error in (("2031-13", Invalid), ("messages", Invalid), ("1999-01", NotFound)):
        with pytest.raises(error):
            months.detach(server, says)
    with server.transaction():
        months.ahead(server, at(2031, 5))
    with pytest.raises(Conflict):
        months.attach(server, "2031-05")


@pytest.mark.postgres
def test_the_command_line_lists_months_and_sets_one_aside(
    databases: Databases, server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PREFIX + "STORE", databases.url("spread"))
    with server.transaction():
        months.ahead(server, at(2031, 5))

    def told(*given: str) -> dict[str, bool]:
        with pytest.raises(SystemExit) as ended:
            main(["months", "--json", *given])
        assert not ended.value.code
        return {
            one["month"]: one["set_aside"] for one in json.loads(capsys.readouterr().out)["months"] if one["of"] == "messages"
        }  # fmt: skip

    assert told()["2031-05"] is False
    assert told("--detach", "2031-05")["2031-05"] is True
    assert told("--attach", "2031-05")["2031-05"] is False
    with pytest.raises(SystemExit) as ended:
        main(["spread"])
    assert not ended.value.code
    assert capsys.readouterr().out == SCRIPT
