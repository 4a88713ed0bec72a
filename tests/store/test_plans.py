"""How SQLite reads what is listed: off an index, in order, so that a page costs what a page is and not what the space is.

And PostgreSQL, where it takes another way to write a statement for that.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.store.queries import of_engine
from enhanced_memory.daemon.store.sqlite import engine, file

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Databases, World

QUERIES = of_engine(Path(engine.__file__).parent)


@pytest.fixture
def connection(settings: Settings) -> apsw.Connection:
    """As those who read have it: SQLite plans otherwise where it may look at the values."""
    file.open_store(settings.store_path, "OFF", None).close()
    return file.connect(settings.store_path, readonly=True)


def plan(connection: apsw.Connection, name: str, key: str = "", down: bool = False, also: str = "") -> list[str]:
    text = QUERIES[name].replace("/*key*/", QUERIES.get(key, "")).replace("/*down*/", "DESC" if down else "")
    text = text.replace("/*also*/", QUERIES.get(also, ""))
    values = {name: 1 for name in re.findall(r":([a-z]\w*)", text)}
    return [step for *_, step in connection.execute("EXPLAIN QUERY PLAN " + text, values)]


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize(
    ("query", "key", "also", "index"),
    [
        ("list_ids", "key_id", "", "INDEX entities_id (space=?)"),
        ("list_ids", "key_id", "not_expired", "INDEX entities_id (space=?)"),
        ("list_ids", "key_id", "of_types", "INDEX entities_id (space=?)"),
        ("list_ids", "key_updated", "not_expired", "INDEX entities_began (space=?)"),
        ("list_ids_by_name", "", "not_expired", "PRIMARY KEY (space=?)"),
    ],
)
def test_a_page_is_read_in_the_order_of_an_index(
    connection: apsw.Connection, query: str, key: str, also: str, index: str, down: bool
) -> None:
    steps = plan(connection, query, key, down, also)
    assert steps[0].endswith(index), steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


@pytest.mark.parametrize("also", ["", "not_expired", "of_types", "with_tags", "is_pinned"])
@pytest.mark.parametrize("query", ["list_ids_by_name", "list_ids_by_property"])
def test_the_entity_of_a_name_or_a_property_is_looked_up(connection: apsw.Connection, query: str, also: str) -> None:
    first, second, *_ = (step for step in plan(connection, query, also=also) if step.startswith("SEARCH"))
    assert "entities" not in first
    assert second.startswith("SEARCH e ")
    assert "id=?" in second


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize(
    ("query", "key", "index"),
    [
        ("changed_since", "key_id", "INDEX entities_id (space=?)"),
        ("changed_then", "then_updated", "INDEX entities_began (space=? AND began>?)"),
        ("changed_then", "then_spoken", "INDEX entities_began (space=? AND began>?)"),
        ("changed_by_name", "key_name", "PRIMARY KEY (space=?)"),
        ("changed_by_property", "key_property", "PRIMARY KEY (space=? AND key=?)"),
    ],
)
def test_what_has_changed_since_is_told_by_indexes(
    connection: apsw.Connection, query: str, key: str, index: str, down: bool
) -> None:
    steps = plan(connection, query, key, down)
    assert steps[0].endswith(index), steps
    assert not [step for step in steps if step.startswith("SCAN") and "VIRTUAL TABLE" not in step], steps
    if query in ("changed_since", "changed_by_name"):
        assert "USE TEMP B-TREE FOR ORDER BY" not in steps


@pytest.mark.parametrize(("query", "index"), [("pinned", "entities_pinned"), ("typed", "entities_type")])
def test_what_few_are_is_told_by_an_index_alone(connection: apsw.Connection, query: str, index: str) -> None:
    assert f"COVERING INDEX {index}" in plan(connection, query)[0]


def test_whether_a_relation_is_there_is_looked_up_by_both_of_its_ends(connection: apsw.Connection) -> None:
    """Not by reading what begins at one of them: that may be thousands, and is asked for each relation that is made."""
    steps = [step for step in plan(connection, "relations_same") if " relations " in step]
    assert len(steps) == 2
    assert all("space=? AND to_id=? AND to_name=?" in step for step in steps), steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


def test_what_was_noted_of_an_entitys_accesses_is_found_without_reading_the_log(connection: apsw.Connection) -> None:
    assert plan(connection, "blank_access") == ["SEARCH access USING INDEX access_entity (entity=?)"]


@pytest.mark.parametrize("query", ["purge_properties", "purge_tags", "purge_names", "names_had"])
def test_what_no_index_finds_by_the_entity_is_read_once_for_several(connection: apsw.Connection, query: str) -> None:
    steps = plan(connection, query)
    assert "PRIMARY KEY (space=?)" in steps[0]
    assert not [step for step in steps if step.startswith("SCAN") and "json_each" not in step], steps
    assert ":ids" in QUERIES[query]


def test_whether_little_has_changed_since_is_told_by_the_index_of_changes(connection: apsw.Connection) -> None:
    assert plan(connection, "changed_few") == ["SEARCH entities USING INDEX entities_began (space=? AND began>?)"]


def test_the_names_of_what_is_brought_back_are_looked_up(connection: apsw.Connection) -> None:
    assert plan(connection, "purge_named")[0].endswith("PRIMARY KEY (space=? AND name=?)")


RELATIONS = [
    "relations_said",
    "purge_relations",
    "relations_of",
    "relations_touching",
    "relations_between",
    "relations_same",
    "own_relations_same",
    "own_ends",
    "tended_links",
    "relations_ended",
    "relations_hidden",
    "unhide_relations",
]


@pytest.mark.parametrize("query", RELATIONS)
def test_what_an_entity_is_related_to_is_found_without_reading_its_space(
    connection: apsw.Connection, query: str
) -> None:
    steps = [step for step in plan(connection, query) if "relations" in step]
    assert steps
    assert not [step for step in steps if step.startswith("SCAN") or "relations_id (space=?)" in step], steps


def test_what_begins_at_a_name_is_found_without_reading_what_begins_at_an_entity(connection: apsw.Connection) -> None:
    assert plan(connection, "relations_loose")[0] == "SCAN r USING INDEX relations_from_name"


def test_the_relations_of_a_page_are_read_behind_its_cursor(connection: apsw.Connection) -> None:
    assert plan(connection, "own_relation_ids") == ["SEARCH r USING INDEX relations_id (space=? AND id>?)"]
    (step,) = plan(connection, "own_relations", also="relation_among")
    assert step == "SEARCH r USING INDEX relations_id (space=? AND id>? AND id<?)"


@pytest.mark.engines("postgres")
@pytest.mark.parametrize("query", ["relations_ended", "relations_hidden", "unhide_relations"])
async def test_postgresql_finds_what_an_entity_was_related_to_by_both_of_its_indexes(
    world: World, databases: Databases, query: str
) -> None:
    from enhanced_memory.daemon.store.postgres.statements import statement

    asked = statement(query)
    with databases.connect(world.engine.settings.store) as server:
        # As the statements of long connections are planned, which know no value; and as if the table were long.
        server.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        server.execute(b"PREPARE asked AS " + asked.text)
        given = ", ".join("1" for _ in asked.ways)
        said = " ".join(row[0] for row in server.execute(f"EXPLAIN EXECUTE asked ({given})"))
    assert "relations_from " in said, said
    assert "relations_to " in said, said
