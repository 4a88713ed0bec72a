# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""What one thread reads the file with: a connection that cannot write, its statements and its codec."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TypeVar

from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store.bodies import Codec
from enhanced_memory.daemon.store.keeping import Beside, KeptWords
from enhanced_memory.daemon.store.sqlite import comparing, file, sealing
from enhanced_memory.daemon.store.sqlite.posted import Posted
from enhanced_memory.daemon.store.sqlite.rows import Epoch, SqliteRows, translated
from enhanced_memory.daemon.store.sqlite.sealed_files import SealedFiles
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["Reader"]

A = TypeVar("A")

STEPS = 100_000
"""Of SQLite's machine, a millisecond or some: so often a question's deadline is looked at."""


class Reader:
    """A read-only connection with its own codec; for one thread."""

    def __init__(self, path: Path, key: sealing.Key | None, epoch: Epoch, kept: KeptWords, codec: Codec) -> None:
        self.connection = file.connect(path, readonly=True, key=key)
        self.rows = SqliteRows(self.connection, SealedFiles(), epoch)
        self.refused = comparing.load(self.connection)
        self.rows.compares = not self.refused
        self.rows.posted = Beside(kept, lambda: Posted(self.connection))
        self.codec = codec
        self._until: float | None = None
        self.connection.set_progress_handler(self._late, STEPS)

    def _late(self) -> bool:
        return self._until is not None and monotonic() > self._until

    def run(self, work: Callable[[Tx], A], call: Call, settings: Settings, now: int) -> A:
        """Run `work` on one consistent view. `TimedOut` where the call's deadline passes meanwhile: nobody waits for the answer."""
        with translated():
            self.rows.begin()
            self._until = call.deadline
            try:
                return work(Tx(self.rows, self.codec, call, now, settings))
            finally:
                self._until = None
                self.rows.end()

    def glance(self, work: Callable[[Tx], A], call: Call, settings: Settings, now: int) -> A:
        """Run `work` without a transaction: each of its statements sees the store as it is then."""
        with translated():
            self.rows.look()
            return work(Tx(self.rows, self.codec, call, now, settings))
