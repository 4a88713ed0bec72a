"""Moving a whole store: from a file into a database, or back. The old store is only read, and stays what it was."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from enhanced_memory.client.errors import Conflict, Invalid, StoreHeld, StoreRefused
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.store import cold_files
from enhanced_memory.daemon.store.carrying import Draft, Side, Told, carry, compare, unsound
from enhanced_memory.daemon.store.sqlite import sealing
from enhanced_memory.daemon.store.sqlite.carried import SqliteDraft, SqliteSide
from enhanced_memory.daemon.store.sqlite.restore import owned

if TYPE_CHECKING:
    from enhanced_memory.daemon.store.postgres.carried import PostgresDraft, PostgresSide

__all__ = ["Migrated", "migrate"]

WAIT_S = 30.0


class Migrated(msgspec.Struct):
    """What was moved, and how it was proven."""

    ok: bool
    source: str
    target: str
    problems: list[str]
    """What differs; where there is anything, the target was not made."""
    change: int
    tables: dict[str, int]
    """Rows of each table, as they were read back and found the same."""
    sha256: dict[str, str]
    """Of each table's rows, of both sides the same."""
    rows: int
    """Written by this run."""
    rows_s: float
    went_on: bool
    """Whether an earlier run, which was cut short, had begun."""
    copied_s: float
    proven_s: float
    cold_files: int
    """Files of cold storage that were copied beside the target."""
    ended: list[int]
    """Daemons that were ended for it."""


def migrate(settings: Settings, to: str, told: Told, stop: bool = False, anew: bool = False) -> Migrated:
    """Carry the store of the settings to `to`, a path or `postgresql://…`, and prove that it is the same there.

    A run that was cut short is gone on with, unless its source has changed since or `anew` is given. `StoreHeld` where a daemon
    has either store open (with `stop` those of this host are ended), `Conflict` where `to` holds a store already.
    """
    assert handlers.__all__  # an export is told by them
    target = replace(settings, store=to if "://" in to else str(Path(to).expanduser().absolute()))
    if settings.database == target.database:
        raise Invalid(
            "A store is moved from a file into a database, or from a database into a file.",
            "copy a file with `memoryctl backup`; to move between databases go by way of a file",
        )
    return (
        _out_of_a_file(settings, target, told, stop, anew)
        if target.database
        else _out_of_a_database(settings, target, told, stop, anew)
    )


def _out_of_a_file(settings: Settings, target: Settings, told: Told, stop: bool, anew: bool) -> Migrated:
    draft_of, _ = _postgres()
    path = settings.store_path
    if not path.is_file():
        raise StoreRefused(f"{path} is not a file.", "name the store with --from")
    held, ended = owned(path, stop, WAIT_S)
    try:
        source = SqliteSide(path, settings, sealing.key_of(settings) if sealing.sealed(path) else None)
        try:
            draft = draft_of(target, anew)
            try:
                draft.alone(stop)
                return _moved(source, draft, settings, target, told, [ended] if ended else [], lambda: None)
            finally:
                draft.close()
        finally:
            source.close()
    finally:
        held.release()


def _out_of_a_database(settings: Settings, target: Settings, told: Told, stop: bool, anew: bool) -> Migrated:
    _, side_of = _postgres()
    source = side_of(settings)
    try:
        ended = source.alone(stop, WAIT_S)
        if ended:  # what they wrote as they left is to be in it
            source.close()
            source = side_of(settings)
        held, _ = owned(target.store_path, False, 0)
        try:
            draft = SqliteDraft(target.store_path, target, sealing.key_of(target), anew)

            def quiet() -> None:
                now = side_of(settings)
                try:
                    if now.others() or now.source() != source.source():
                        raise StoreHeld(
                            f"{settings.store_name} was written to meanwhile.", "end its daemons, and run this again"
                        )
                finally:
                    now.close()

            try:
                return _moved(source, draft, settings, target, told, ended, quiet)
            finally:
                draft.close()
        finally:
            held.release()
    finally:
        source.close()


def _postgres() -> "tuple[type[PostgresDraft], type[PostgresSide]]":
    try:
        from enhanced_memory.daemon.store.postgres.carried import PostgresDraft, PostgresSide
    except ImportError as problem:
        raise StoreRefused(
            f"A store in PostgreSQL needs the extra `postgres`: {problem}.", "pip install 'enhanced-memory[postgres]'"
        ) from None
    return PostgresDraft, PostgresSide


def _moved(
    source: Side,
    draft: "SqliteDraft | PostgresDraft",
    settings: Settings,
    target: Settings,
    told: Told,
    ended: list[int],
    last_look: Callable[[], None],
) -> Migrated:
    done = carry(source, draft, told)
    began = time.monotonic()
    tables, problems = compare(source, draft, told)
    cold = _cold(source, settings, target)
    problems += unsound(source, draft, told) if not problems else []
    proven_s = round(time.monotonic() - began, 3)
    if not problems:
        last_look()
        draft.take_place()
    return Migrated(
        not problems, settings.store_name, target.store_name, problems, source.source().change,
        {name: count for name, (count, _) in tables.items()}, {name: digest for name, (_, digest) in tables.items()},
        done.rows, done.rows_s, done.went_on, done.seconds, proven_s, cold, ended,
    )  # fmt: skip


def _cold(source: Side, settings: Settings, target: Settings) -> int:
    """Copy the files of cold storage to where the new store looks for them; how many."""
    if settings.cold_path == target.cold_path:
        return 0
    files = [one for one in source.tx.cold.files() if not one.due]
    copied = 0
    for one in files:
        if problem := cold_files.wrong(settings.cold_path, one.name, one.bytes, one.sha256, False):
            raise Conflict(
                f"{settings.cold_path / one.name} {problem}.", cold_files.remedy(one.sha256) or "memoryctl verify"
            )
        copied += cold_files.copied(settings.cold_path, target.cold_path, one.name)
    return copied


_: type[Draft] = SqliteDraft
