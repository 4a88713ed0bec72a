"""A backup of the store in a database: a file of SQLite's, as a backup of a file is one.

It is carried out of the database as it is at one moment, compared with it row by row, opened, checked and packed. Whoever has it
needs no server to look into it, and any version of PostgreSQL takes it back (docs/decisions/0091-database-backups.md).
"""

from pathlib import Path

from enhanced_memory.client.errors import Broken
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.store.carrying import carry, compare
from enhanced_memory.daemon.store.postgres.carried import PostgresSide
from enhanced_memory.daemon.store.sqlite import backup as files
from enhanced_memory.daemon.store.sqlite.carried import SqliteDraft

__all__ = ["backup"]


def backup(settings: Settings, to: str) -> files.Copy:
    """Write a checked copy of the store to `to`, a folder or a file that does not exist yet. Raises what a backup of a file does."""

    def write(copy: Path) -> None:
        copy.unlink(missing_ok=True)
        source = PostgresSide(settings)
        try:
            draft = SqliteDraft(copy, settings, anew=True)
            try:
                carry(source, draft, _unheard)
                _, problems = compare(source, draft, _unheard)
                if problems:
                    raise Broken(f"The copy is not what is in the database: {problems[0]}.", "try again")
                draft.take_place()
            except BaseException:
                draft.discard()
                raise
        finally:
            source.close()

    place = settings.store_path
    return files.backup(place, Path(to), place, write)


def _unheard(step: str, done: int, total: int) -> None:
    """Nobody asks how far a backup is."""
