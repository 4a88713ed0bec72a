"""The one process that owns the store."""

from pathlib import Path

__all__ = ["ROOT", "VERSION"]

ROOT = Path(__file__).parents[1]
"""The package's folder: `schema.sql` and `systemd/` lie in it, in a checkout and in a wheel alike."""

VERSION = "0.1.0"
