"""The verbs of `memory-db` on a store in a database: check it, put a backup in its place, try whether that would work.

What keeps a daemon from one, `probing.py` finds out.
"""

import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from enhanced_memory.client.errors import Error, StoreDamaged
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.backups import Kept
from enhanced_memory.daemon.drill import Drilled, Step, drill
from enhanced_memory.daemon.store import Health
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec, built_in
from enhanced_memory.daemon.store.carrying import carry, compare, unsound
from enhanced_memory.daemon.store.postgres import database, verifying
from enhanced_memory.daemon.store.postgres.carried import PostgresDraft, PostgresSide
from enhanced_memory.daemon.store.sqlite.carried import SqliteSide
from enhanced_memory.daemon.store.sqlite.restore import Restored, unpack
from enhanced_memory.daemon.store.sqlite.sealing import Key

__all__ = ["check", "restore", "tried"]


def check(settings: Settings, quick: bool) -> Health:
    """Check the store in a database, whether daemons serve it or not."""
    side = PostgresSide(settings)
    try:
        return verifying.check(side.connection, Codec({BUILT_IN: built_in()}), quick)
    finally:
        side.close()


@contextmanager
def _draft(
    settings: Settings, one: Kept, key: Key | None, theirs: Key | None
) -> Generator[tuple[PostgresDraft, dict[str, int]]]:
    """A backup, carried into a draft beside the store and proven to be the same there. What is not made the store is deleted."""
    assert handlers.__all__  # an export is told by them
    with tempfile.TemporaryDirectory(prefix="memory-restore-") as folder:
        path = Path(folder) / "memory.db"
        counts = unpack(one, path, key, theirs)
        source = SqliteSide(path, replace(settings, store=str(path), cold_folder=str(settings.cold_path)), key)
        try:
            draft = PostgresDraft(settings, anew=True, empty=False)
            try:
                carry(source, draft, _unheard)
                problems = compare(source, draft, _unheard)[1] or unsound(source, draft, _unheard)
                if problems:
                    raise StoreDamaged(
                        f"What was restored differs from the backup: {problems[0]}", "take another backup"
                    )
                yield draft, counts
            except BaseException:
                draft.discard()
                raise
            finally:
                draft.close()
        finally:
            source.close()


def restore(
    settings: Settings, one: Kept, stop: bool = False, key: Key | None = None, theirs: Key | None = None
) -> Restored:
    """Put a backup in the place of the store in the database. What was there is kept in the schema `enhanced_memory_replaced_TIME`.

    `StoreDamaged` where the backup is not sound, `StoreHeld` where daemons have the store open (with `stop` those of this host
    are ended). In either case nothing was changed.
    """
    began = time.monotonic()
    with _draft(settings, one, key, theirs) as (draft, counts):
        ended = draft.alone(stop)
        aside = f"{database.NAME}_replaced_{datetime.now(UTC):%Y%m%d_%H%M%S}" if draft.held() else ""
        draft.take_place(aside)
    return Restored(
        settings.store_name, str(one.path), one.made_at, counts["last_change"], counts, one.manifest is not None,
        f"schema {aside}" if aside else "", ended[0] if ended else 0, time.monotonic() - began,
    )  # fmt: skip


def tried(settings: Settings, one: Kept, key: Key | None = None, theirs: Key | None = None) -> Drilled:
    """Use a backup as a file, then restore it into the database beside the store, prove it there, and delete it again."""
    drilled = drill(one, key, theirs)
    if not drilled.ok:
        return drilled
    began = time.monotonic()
    try:
        with _draft(settings, one, key, theirs) as (draft, counts):
            says, ok = f"the same there: {counts['entities']:,} entities, {counts['messages']:,} messages", True
            draft.discard()
    except Error as problem:  # what a drill is for
        says, ok = f"{type(problem).__name__}: {problem.message}", False
    drilled.steps.append(Step("restore into the database", ok, says, round(time.monotonic() - began, 3)))
    drilled.ok = ok
    return drilled


def _unheard(step: str, done: int, total: int) -> None:
    """Nobody asks how far it is."""
