"""Reads SQL from `.sql` files: blocks that begin with `-- name: …`, so that SQL is written, read and reviewed as SQL."""

import re
from functools import cache
from pathlib import Path

__all__ = ["load"]

_MARK = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)
_NEXT = re.compile(r"(\n[ \t]*(--[^\n]*)?)*\Z")
"""What stands before the next block's mark is about that one; left behind a part of a statement, it would swallow what follows it."""


@cache
def load(path: Path) -> dict[str, str]:
    """The queries of a file by their names. `ValueError` for a name that stands twice."""
    parts = _MARK.split(path.read_text("utf-8"))[1:]
    queries: dict[str, str] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        if name in queries:
            raise ValueError(f"{path.name} has two queries named {name}")
        queries[name] = _NEXT.sub("", text).strip().rstrip(";")
    return queries
