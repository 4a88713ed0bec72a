"""Every table that a store keeps, as it is carried from one engine into another: its columns, and the key that orders its rows.

A row is told here as it means, not as an engine lays it out: a property has one value, a vector a passage and a model, and whose it is. How the
rows lie on disk (partitions, row numbers of SQLite's own, the index of words) is each engine's affair and is not carried.
tests/unit/test_engines_agree.py compares this with both schemas.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["CARRIED", "DERIVED", "META_APART", "META_NUMBERS", "TABLES", "Row", "Table", "differing"]

Row = tuple[Any, ...]


class Table(NamedTuple):
    """A table as it is carried."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """Columns that order its rows, and tell one from every other."""
    body: str = ""
    """The column that is packed with one of the store's dictionaries."""
    numbered: bool = False
    """Whether the engine gives out the first column's numbers by itself."""

    def place(self, column: str) -> int:
        """Where a column stands in a row."""
        return self.columns.index(column)


def _table(name: str, columns: str, key: str, body: str = "", numbered: bool = False) -> Table:
    return Table(name, tuple(columns.split()), tuple(key.split()), body, numbered)


CARRIED = (
    _table("spaces", "id name parent pinned kind entity metadata began ended", "id"),
    _table("origins", "id channel client agent session tool run user method trust", "id"),
    _table("changes", "number at space origin op message", "number"),
    _table("journal", "number seq subject id act before after", "number seq"),
    _table("snapshots", "space name ended began number", "space name ended"),
    _table("merges", "branch target subject id part ended began base", "branch target subject id part ended"),
    _table(
        "entities",
        "space id scope type version first began deleted tier priority pinned quarantined expires_at text_bytes crc body",
        "space id",
        "body",
    ),
    _table("versions", "space entity version began ended deleted whole crc body", "space entity version", "body"),
    _table("names", "space name scope ended began entity", "space name scope ended"),
    _table("tags", "space tag entity ended began", "space tag entity ended"),
    _table("properties", "space key value entity ended began", "space key value entity ended"),
    _table(
        "relations",
        "row space id from_id to_id from_name to_name type strength metadata deleted began ended",
        "row",
        numbered=True,
    ),
    _table(
        "messages",
        "id space stream role kind speaker at tick importance tokens length began ended crc body block",
        "id",
        "body",
    ),
    _table("blocks", "id space stream first last bytes crc body", "id", "body"),
    _table("cold_files", "id name at bytes sha256 due", "id"),
    _table("cold_entities", "space entity file at versions messages living", "space entity file"),
    _table("passages", "id space entity part message began ended", "id"),
    _table("models", "id name fingerprint dimension source serves embedded", "id"),
    _table("vectors", "passage model entity said vector", "passage model"),
    _table(
        "conflicts",
        "row space id entity other part other_part type confidence reason action status notes found began ended",
        "row",
        numbered=True,
    ),
    _table("uses", "entity count last", "entity"),
    _table("answers", "uid key number at op answer", "uid key", "answer"),
    _table("access", "id at op origin space pid us error number entity address request says", "id", numbered=True),
    _table("backups", "id at path bytes sha256 number", "id", numbered=True),
    _table("meta", "key value", "key"),
)
"""In the order in which they are carried: what is referred to before what refers to it."""

TABLES = {one.name: one for one in CARRIED}

DERIVED = {
    "words": "made anew from what passages say, as the engine that takes them cuts words",
    "words_past": "the same, of passages that have ended",
    "dictionaries": "bodies are packed with the one that is shipped where they go",
    "numbers": "the highest numbers given out, which a file finds in its tables",
}
"""Tables of one engine or the other that are not carried, and why."""

META_APART = frozenset(
    (
        "schema", "entity_high_water", "message_high_water", "passage_high_water", "scrub_due", "repack_due", "tidied",
        "learnt",
    )
)  # fmt: skip
"""What an engine keeps in `meta` for itself, and a file of its pages and dictionaries."""

META_NUMBERS = frozenset(("made_at", "retention_round"))
"""What stands in a file's `meta` as a number."""


def differing(one: Row | None, other: Row | None, columns: Sequence[str]) -> str:
    """How two rows of one place differ, without what they say."""
    if one is None or other is None:
        return "it is lacking" if other is None else "it was not there before"
    return "it differs in " + ", ".join(
        name for name, mine, theirs in zip(columns, one, other, strict=True) if mine != theirs
    )
