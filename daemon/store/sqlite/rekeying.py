# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Another key for a store that lies there: encrypting one, changing its key, or taking encryption away."""

import os
import time
from pathlib import Path

import apsw
import msgspec

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import Broken, StoreDamaged
from enhanced_memory.daemon.store.sqlite import file, sealing, verifying
from enhanced_memory.daemon.store.sqlite.restore import owned
from enhanced_memory.daemon.store.sqlite.rows import each, translated

__all__ = ["Rekeyed", "rekey"]


class Rekeyed(msgspec.Struct):
    """A store under its new key."""

    store: str
    encrypted: bool
    mark: str
    """Of its key; empty where it is not encrypted any more."""
    counts: dict[str, int]
    ended: int
    """The daemon that was ended for it; 0: none."""
    seconds: float


def rekey(
    store: Path, old: sealing.Key | None, new: sealing.Key | None, stop: bool = False, wait_s: float = 30.0
) -> Rekeyed:
    """Write the store anew under the key `new` (None: in the clear), check what was written, and put it in the place of the old one.

    Until the last step the old file is the store; after it, it is gone. `StoreHeld` where a daemon owns the store: with `stop`
    it is ended first. `StoreRefused` where `old` is not its key.
    """
    began = time.monotonic()
    sealing.fits(store, old)
    held, ended = owned(store, stop, wait_s)
    draft = file.drafts(store)[0]
    try:
        with translated(), sealing.opened(store, old):
            source = file.connect(store, readonly=False, key=old)
            try:
                draft.unlink(missing_ok=True)
                draft.touch(mode=0o600)
                source.execute("VACUUM INTO ?", (os.fspath(draft),))
                newest = next(each(source, "SELECT coalesce(max(number), 0) FROM changes"))[0]
                source.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            finally:
                source.close()
            sealing.reseal(draft, old, new)
        if store.with_name(store.name + "-wal").exists():
            raise Broken(f"Somebody else has {store} open.", "end it, and try again")
        health = verifying.check(draft, False, new)
        if health.problems or health.checked["last_change"] != newest:
            raise StoreDamaged(
                f"What was written under the new key is not the store: {(health.problems or ['changes are missing'])[0]}.",
                "the store is as it was; run `memory-db check`",
            )
        sealing.note(store, old, new)  # both, for as long as either may be the one that lies there
        os.replace(draft, store)
        sync(store.parent)
        sealing.note(store, new)
    finally:
        for path in file.drafts(store):
            path.unlink(missing_ok=True)
        held.release()
    mark = new.mark if new is not None else ""
    return Rekeyed(str(store), new is not None, mark, health.checked, ended, time.monotonic() - began)
