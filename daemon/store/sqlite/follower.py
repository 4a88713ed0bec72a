# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The store's file as a process beside the daemon reads it: on one thread, and told by the daemon of what changes."""

from collections.abc import Callable
from typing import TypeVar

from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store import Touched
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.keeping import KeptWords
from enhanced_memory.daemon.store.sqlite import file, sealing
from enhanced_memory.daemon.store.sqlite.engine import now_ms
from enhanced_memory.daemon.store.sqlite.posted import Looking
from enhanced_memory.daemon.store.sqlite.reader import Reader
from enhanced_memory.daemon.store.sqlite.rows import Epoch, dictionaries
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["Follower"]

A = TypeVar("A")


class Follower:
    """Reads a file that somebody else owns and writes. What it keeps in memory is as new as what it was told."""

    def __init__(self, settings: Settings) -> None:
        """Raises what opening a file for reading raises."""
        self.settings = settings
        path, key = settings.store_path, sealing.key_of(settings)
        connection = file.connect(path, readonly=True, key=key)
        try:
            known = dictionaries(connection)
        finally:
            connection.close()
        self._epoch = Epoch()
        # Nobody has time here for words that are not asked for.
        self._kept = KeptWords(lambda: Looking(path, key), 0, settings.words_memory_mb << 20, ahead=False)
        self._reader = Reader(path, key, self._epoch, self._kept, Codec(known, max(known)))
        row = self._reader.rows.one("high_water") or (0, 0, 0, 0, 0)
        self._seen: int = row[0]
        """What was changed up to here was there when we came, told of or not."""
        self._kept.changed(Touched(row[0], "", "", [], row[4]))

    def read(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run `work` on one consistent view."""
        return self._reader.run(work, call, self.settings, now_ms())

    def changed(self, touched: Touched, epoch: int) -> None:
        """A change is on disk; `epoch` is how often spaces were changed by then."""
        self._epoch.number = epoch
        if touched.number > self._seen:
            self._kept.changed(touched)

    def close(self) -> None:
        """Let go of the file."""
        self._kept.close()
        self._reader.connection.close()
