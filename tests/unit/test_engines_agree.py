"""Every engine has every query that the chapters ask for, and keeps every column that they write."""

from __future__ import annotations

import re
from pathlib import Path

from enhanced_memory.daemon.store.queries import SHARED, load

ROOT = Path(__file__).parents[2]
STORE = ROOT / "daemon" / "store"

OWN = {
    "sqlite": {"high_water", "words_segments", "term_spans", "words_ranked"},
    "postgres": {
        "keep_numbers",
        "take_turn",
        "add_free_name",
        "words_held",
        "words_past_held",
        "words_often",
        "words_past_often",
        "words_estimated",
        "words_row",
        "words_scored",
        "words_within",
        "tell",
        "changes_missed",
    },
}
"""What an engine asks for itself, or answers in another way."""

ELSEWHERE = {
    "sqlite": {"entities.row", "vectors.key", "properties.value"},
    "postgres": {
        "vectors.passage",
        "vectors.model",
        "vectors.entity",
        "vectors.said",
        "properties.kind",
        "properties.number",
        "properties.word",
    },
}
"""Columns that stand for one another."""

TABLES = {"postgres": {"numbers", "words", "words_past"}, "sqlite": set[str]()}


def queries(engine: str) -> set[str]:
    return set(load(STORE / engine / "queries.sql"))


def columns(path: Path) -> set[str]:
    found: set[str] = set()
    for table, body in re.findall(r"^CREATE TABLE (\w+) \(\n(.*?)^\)", path.read_text(), re.MULTILINE | re.DOTALL):
        names = re.findall(r'^    "?([a-z_]+)"? +(?!KEY)', body, re.MULTILINE)
        found |= {f"{table}.{name}" for name in names}
    return found


def test_both_engines_have_the_same_queries() -> None:
    """Whoever adds a query adds it to the file that engines share, or to both of theirs (docs/architecture.md tells how)."""
    sqlite, postgres = queries("sqlite") - OWN["sqlite"], queries("postgres") - OWN["postgres"]
    assert sorted(sqlite - postgres) == [], "PostgreSQL lacks queries"
    assert sorted(postgres - sqlite) == [], "SQLite lacks queries"


def test_what_both_engines_ask_in_the_same_words_is_written_once() -> None:
    """Such a statement belongs into the file that they share."""
    sqlite, postgres = (load(STORE / engine / "queries.sql") for engine in ("sqlite", "postgres"))
    assert [name for name in sqlite if " ".join(sqlite[name].split()) == " ".join(postgres.get(name, "").split())] == []
    assert len(load(SHARED)) > 150


def test_both_engines_keep_the_same_columns() -> None:
    """Whoever adds a column adds it to both schemas, each with its migration."""
    sqlite = columns(ROOT / "schema.sql") - ELSEWHERE["sqlite"]
    postgres = {
        name for name in columns(STORE / "postgres" / "schema.sql") if name.split(".")[0] not in TABLES["postgres"]
    } - ELSEWHERE["postgres"]
    assert len(sqlite) > 100
    assert sorted(sqlite - postgres) == [], "PostgreSQL lacks columns"
    assert sorted(postgres - sqlite) == [], "SQLite lacks columns"
