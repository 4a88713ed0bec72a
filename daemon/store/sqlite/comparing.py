# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""sqlite-vec's functions on a connection, where it can be loaded: they compare vectors where they are stored.

Tried on known vectors before anything is left to them. Where they cannot be loaded, or answer wrongly, NumPy compares.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import apsw

__all__ = ["PREVENT", "load"]

PREVENT = "ENHANCED_MEMORY_WITHOUT_SQLITE_VEC"
"""An environment variable that keeps the extension from being loaded, for machines on which it does harm."""

_KNOWN = (
    (bytes([3, 4]), bytes([3, 4]), 1.0),
    (bytes([127, 0]), bytes([0, 127]), 0.0),
    (bytes([1, 2]), bytes([0xFF, 0xFE]), -1.0),
)
"""int8 vectors and their cosines."""


def load(connection: apsw.Connection) -> str:
    """Make sqlite-vec's functions known to a connection. What keeps it from that, or nothing."""
    if os.environ.get(PREVENT):
        return f"{PREVENT} is set"
    try:
        # Not imported: the package would bring NumPy and the standard library's SQLite along, 16 MB that an empty store needs not.
        package = find_spec("sqlite_vec")
        if package is None or package.origin is None:
            return "sqlite-vec is not installed"
        connection.enable_load_extension(True)
        try:
            connection.load_extension(str(Path(package.origin).with_name("vec0")))
        finally:
            connection.enable_load_extension(False)
        execute: Any = connection.execute
        for one, other, cosine in _KNOWN:
            found = execute("SELECT 1.0 - vec_distance_cosine(vec_int8(?), vec_int8(?))", (one, other)).fetchone()[0]
            if abs(found - cosine) > 1e-5:
                return f"sqlite-vec says that the cosine of two known vectors is {found}, and it is {cosine}"
    except (ImportError, AttributeError, OSError, apsw.Error) as problem:
        return f"sqlite-vec cannot be loaded: {problem}"
    return ""
