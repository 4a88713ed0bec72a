"""Reads SQL from `.sql` files: blocks that begin with `-- name: …`, so that SQL is written, read and reviewed as SQL."""

import re
from functools import cache
from pathlib import Path

__all__ = ["load", "of_engine"]

SHARED = Path(__file__).parent / "queries.sql"
"""What every engine asks in the same words."""

_MARK = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)
_NEXT = re.compile(r"(\n[ \t]*(--[^\n]*)?)*\Z")
"""What stands before the next block's mark is about that one; left behind a part of a statement, it would swallow what follows it."""
_PART = re.compile(r"/\*part (\w+)\*/")


@cache
def of_engine(folder: Path) -> dict[str, str]:
    """An engine's queries: its own, and those that all engines share. `ValueError` for a name that both have."""
    return load(SHARED, folder / "queries.sql")


@cache
def load(*paths: Path) -> dict[str, str]:
    """The queries of some files by their names; `/*part other*/` in one stands for what the other says.

    `ValueError` for a name that stands twice, in one file or in two, and for a part that there is not.
    """
    queries: dict[str, str] = {}
    stands: dict[str, Path] = {}
    for path in paths:
        parts = _MARK.split(path.read_text("utf-8"))[1:]
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in queries:
                where = path.name if stands[name] == path else f"{stands[name]} and {path}"
                raise ValueError(f"{where}: two queries named {name}")
            stands[name] = path
            queries[name] = _NEXT.sub("", text).strip().rstrip(";")
    for name, text in queries.items():
        if lacking := set(_PART.findall(text)) - queries.keys():
            raise ValueError(f"{stands[name]}: {name} has a part {lacking.pop()}, which is nowhere")
    return {name: _PART.sub(lambda part: queries[part.group(1)], text) for name, text in queries.items()}
