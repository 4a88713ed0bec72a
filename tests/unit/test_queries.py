"""Queries: SQL in files, by name."""

import re
from pathlib import Path

import pytest

from enhanced_memory.daemon import ROOT
from enhanced_memory.daemon.store.queries import load, of_engine

ENGINES = ("sqlite", "postgres")
STORE = ROOT / "daemon" / "store"


def test_blocks_are_found_by_their_names_without_what_stands_before_the_first(home: Path) -> None:
    path = home / "q.sql"
    path.write_text("-- A comment.\n\n-- name: one\nSELECT 1;\n\n-- name:two\n-- why\nSELECT\n  2\n")
    assert load(path) == {"one": "SELECT 1", "two": "-- why\nSELECT\n  2"}


def test_a_comment_above_a_block_belongs_to_that_block(home: Path) -> None:
    path = home / "q.sql"
    path.write_text(
        "-- name: one\nAND a = 1  -- kept\n\n-- About two,\n-- at length.\n-- name: two\nSELECT 2;\n-- end\n"
    )
    assert load(path) == {"one": "AND a = 1  -- kept", "two": "SELECT 2"}


def test_a_name_that_stands_twice_is_refused(home: Path) -> None:
    path = home / "q.sql"
    path.write_text("-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n")
    with pytest.raises(ValueError, match=r"q\.sql: two queries named one"):
        load(path)


def test_a_name_that_stands_in_two_files_is_refused(home: Path) -> None:
    """Else nobody could say by reading which of them is run."""
    one, two = home / "one.sql", home / "two.sql"
    one.write_text("-- name: one\nSELECT 1\n-- name: two\nSELECT 2\n")
    two.write_text("-- name: three\nSELECT 3\n")
    assert load(one, two) == {"one": "SELECT 1", "two": "SELECT 2", "three": "SELECT 3"}
    again = home / "again.sql"
    again.write_text("-- name: two\nSELECT 4\n")
    with pytest.raises(ValueError, match=r"one\.sql and .*again\.sql: two queries named two"):
        load(one, again)


def test_a_part_stands_for_what_it_says(home: Path) -> None:
    path = home / "q.sql"
    path.write_text("-- name: all\nSELECT 1 /*part where*/ LIMIT 1\n\n-- name: where\nWHERE a = 1\n")
    assert load(path)["all"] == "SELECT 1 WHERE a = 1 LIMIT 1"
    path = home / "r.sql"
    path.write_text("-- name: all\nSELECT 1 /*part when*/\n")
    with pytest.raises(ValueError, match="all has a part when, which is nowhere"):
        load(path)


def test_a_file_without_blocks_has_no_queries(home: Path) -> None:
    (home / "q.sql").write_text("SELECT 1")
    assert load(home / "q.sql") == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_query_is_used(engine: str) -> None:
    """A statement that nothing runs is one that nobody keeps right."""
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "daemon").rglob("*.py"))
    parts = set(re.findall(r"/\*part (\w+)\*/", (STORE / engine / "queries.sql").read_text("utf-8")))
    patterns = [
        re.compile(re.sub(r"\{[^}]*\}", r"\\w+", found)) for found in re.findall(r'f"(\w*\{[^"\s]*\}\w*)"', source)
    ]
    ends = re.findall(r' \+ "(_\w+)"', source)
    unused = [
        name
        for name in of_engine(STORE / engine).keys() - parts
        if f'"{name}"' not in source
        and not any(pattern.fullmatch(name) for pattern in patterns)
        and not any(name.endswith(end) for end in ends)
    ]
    assert unused == []


@pytest.mark.parametrize("engine", ENGINES)
def test_values_are_always_bound(engine: str) -> None:
    for name, text in of_engine(STORE / engine).items():
        said = re.sub(r"'[^']*'", "", re.sub(r"--.*", "", text))
        assert not re.search(r"%s|\{\w*\}|\?", said), name
