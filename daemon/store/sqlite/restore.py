"""Putting a backup in the store's place.

Nothing of the present store is touched before the backup was unpacked, brought to this program's schema, and checked. What it
replaces is kept beside it.
"""

import os
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import apsw
import msgspec

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import StoreDamaged, StoreHeld, StoreRefused
from enhanced_memory.client.folders import make_private
from enhanced_memory.daemon.backups import Kept, unpacked
from enhanced_memory.daemon.store.sqlite import file, sealing, verifying

__all__ = ["Restored", "owned", "restore", "unpack"]


class Restored(msgspec.Struct):
    """What was put in the store's place."""

    store: str
    backup: str
    made_at: datetime
    change: int
    counts: dict[str, int]
    manifest: bool
    """Whether the backup was compared with its manifest; without one it was only checked."""
    replaced: str
    """Where the store that was there lies now; empty where there was none."""
    ended: int
    """The daemon that was ended for it; 0: none."""
    seconds: float


def restore(
    store: Path,
    one: Kept,
    stop: bool = False,
    wait_s: float = 30.0,
    key: sealing.Key | None = None,
    theirs: sealing.Key | None = None,
) -> Restored:
    """Put the backup in the place of `store`; what was there is kept as `<store>.replaced-TIME`.

    `theirs` is the key that the backup was made with, where that is another one than the store's, `key`.

    `StoreDamaged` where the backup is not sound, `StoreHeld` where a daemon owns the store: with `stop` it is ended first.
    In either case nothing was changed.
    """
    began = time.monotonic()
    make_private(store.parent)
    draft = store.with_name(store.name + ".restoring")
    try:
        counts = unpack(one, draft, key, theirs)
        held, ended = owned(store, stop, wait_s)
        try:
            replaced = _put(draft, store, key)
        finally:
            held.release()
    finally:
        for path in store.parent.glob(draft.name + "*"):
            path.unlink(missing_ok=True)
    return Restored(
        str(store), str(one.path), one.made_at, counts["last_change"], counts, one.manifest is not None,
        str(replaced or ""), ended, time.monotonic() - began,
    )  # fmt: skip


def unpack(one: Kept, draft: Path, key: sealing.Key | None = None, theirs: sealing.Key | None = None) -> dict[str, int]:
    """Unpack the backup as `draft`, bring it to our schema, check it, and compare it with its manifest; what was counted.

    It was encrypted with `theirs` (or `key`, or not at all); the draft is with `key`, or not at all.
    """
    for path in draft.parent.glob(draft.name + "*"):
        path.unlink()
    unpacked(one, draft)
    theirs = (theirs or key) if sealing.sealed(draft) else None
    if one.manifest is not None and one.manifest.key and theirs is not None and theirs.mark != one.manifest.key:
        raise StoreRefused(
            f"{one.path} was encrypted with another key: its mark is {one.manifest.key}, and that of {theirs.path} is {theirs.mark}.",
            "name the key that it was made with: --key-file",
        )
    file.open_store(draft, "FULL", theirs).close()
    health = verifying.check(draft, True, theirs)
    if health.problems:
        raise StoreDamaged(
            f"{one.path} has {len(health.problems)} problems: {health.problems[0]}", "take another backup"
        )
    wanted = one.manifest.counts if one.manifest else {}
    lacking = {name: number for name, number in wanted.items() if health.checked.get(name, number) != number}
    if lacking:
        raise StoreDamaged(f"{one.path} should hold {lacking} and holds {health.checked}.", "take another backup")
    if theirs != key:
        sealing.reseal(draft, theirs, key)
        sealing.note(draft, key)
        file.open_store(draft, "FULL", key).close()
    return health.checked


def owned(store: Path, stop: bool, wait_s: float) -> tuple[file.Owned, int]:
    """The right to write `store`; a daemon that has it is ended first, with `stop`. Which one was."""
    until = time.monotonic() + wait_s
    ended = 0
    while True:
        try:
            return file.Owned(store), ended
        except StoreHeld as held:
            if not stop or not held.pid or time.monotonic() > until:
                raise
            if held.pid != ended:
                ended = held.pid  # a client may have started the next one by now
                try:
                    os.kill(ended, signal.SIGTERM)
                except ProcessLookupError:
                    pass
                except PermissionError:
                    raise held from None
            time.sleep(0.02)


def _put(draft: Path, store: Path, key: sealing.Key | None) -> Path | None:
    """Let `draft` be the store from one moment to the next; where the one before lies now."""
    if not store.exists():
        sealing.note(store, key)
        os.rename(draft, store)
        sync(store.parent)
        return None
    named = f"{store.name}.replaced-{datetime.now(UTC):%Y%m%d_%H%M%S}"
    aside, number = store.with_name(named), 1
    while aside.exists():  # another one in the same second
        number += 1
        aside = store.with_name(f"{named}_{number}")
    with suppress(apsw.Error, OSError):
        # What stands in its log belongs to the file: folded in, one file is all of it.
        old = file.connect(store, readonly=False, key=key if sealing.sealed(store) else None)
        old.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        old.close()
    for end in ("-wal", "-shm"):
        # Still there: the store cannot be opened. Its log would be taken for the new file's.
        with suppress(FileNotFoundError):
            os.rename(store.with_name(store.name + end), aside.with_name(aside.name + end))
    # A second name and not another one: there is a store at its place at every moment.
    os.link(store, aside)
    sealing.note(store, key, besides=sealing.marks(store))  # for as long as either may be the one that lies there
    os.replace(draft, store)
    sync(store.parent)
    sealing.note(store, key)
    return aside
