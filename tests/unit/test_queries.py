"""Queries: SQL in files, by name."""

import re
from pathlib import Path

import pytest

from enhanced_memory.daemon import ROOT
from enhanced_memory.daemon.store.queries import load
from enhanced_memory.daemon.store.sqlite.rows import QUERIES


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
    with pytest.raises(ValueError, match="two queries named one"):
        load(path)


def test_a_file_without_blocks_has_no_queries(home: Path) -> None:
    (home / "q.sql").write_text("SELECT 1")
    assert load(home / "q.sql") == {}


def test_every_query_is_used() -> None:
    """A statement that nothing runs is one that nobody keeps right."""
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "daemon").rglob("*.py"))
    patterns = [
        re.compile(re.sub(r"\{[^}]*\}", r"\\w+", found)) for found in re.findall(r'f"(\w*\{[^"\s]*\}\w*)"', source)
    ]
    unused = [
        name
        for name in QUERIES
        if f'"{name}"' not in source and not any(pattern.fullmatch(name) for pattern in patterns)
    ]
    assert unused == []


def test_values_are_always_bound() -> None:
    for name, text in QUERIES.items():
        assert not re.search(r"%s|\{\w*\}|\?", text), name
