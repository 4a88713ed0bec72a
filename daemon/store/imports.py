"""What an import remembers from one of its batches to the next: how it goes on, and what the numbers in its records mean here.

It stands in `meta`, in blocks of neighbouring numbers, so that a batch reads and writes little of it.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.errors import Conflict, StoreDamaged
from enhanced_memory.daemon.store.ground import Ground

__all__ = ["ImportJob", "Report"]

BLOCK = 256
FORGOTTEN_MS = 24 * 3600 * 1000
"""How long after its last batch an import may go on."""


class Report(msgspec.Struct):
    """What became of a batch."""

    counts: dict[str, int] = {}
    problems: list[str] = []

    def count(self, what: str, number: int = 1) -> None:
        """Count what was done, or left out."""
        if number:
            self.counts[what] = self.counts.get(what, 0) + number

    def problem(self, place: int, says: str) -> None:
        """Name a record that was not taken in."""
        self.problems.append(f"record {place + 1}: {says}")


class _Mark(msgspec.Struct, array_like=True):
    """How an import stands."""

    exact: bool
    change: int
    """The newest change after its last batch."""
    start: int
    """The first change that may be its own."""
    at: int


class ImportJob:
    """One import. A store without any change takes it exactly; any other has it merged in."""

    def __init__(self, ground: Ground, job: str) -> None:
        """`Conflict` where an exact import is to go on and something else was written since."""
        self._ground = ground
        self._key = "import/" + hashlib.sha256(job.encode()).hexdigest()[:24] if job else ""
        self._blocks: dict[str, dict[int, Any]] = {}
        self._altered: set[str] = set()
        last = ground.counters.change
        mark = self._mark()
        if mark is None:
            self._forget()
            mark = _Mark(exact=last == 0, change=last, start=last + 1, at=ground.now)
        elif mark.exact and mark.change != last:
            raise Conflict(
                "Something else was written to the store while an export was restored into it, so the rest cannot be restored exactly.",
                "import the file into a new store that nobody else writes to, or import all of it again to merge it into this one",
            )
        self.exact = mark.exact
        """Whether everything keeps the numbers that it has."""
        self.start = mark.start

    def get(self, kind: str, number: int) -> Any:
        """What number `number` of a kind of thing means here; None where it is not known."""
        return self._block(kind, number).get(number)

    def put(self, kind: str, number: int, meaning: Any) -> None:
        """Note what a number means here."""
        self._block(kind, number)[number] = meaning
        self._altered.add(self._name(kind, number))

    def finish(self) -> None:
        """Keep what the next batch needs. An import without a name has no next batch."""
        if not self._key:
            return
        self._ground.rows.many(
            "set_meta",
            [{"key": name, "value": msgspec.msgpack.encode(self._blocks[name])} for name in sorted(self._altered)],
        )
        mark = _Mark(self.exact, self._ground.counters.change, self.start, self._ground.now)
        self._ground.rows.run("set_meta", key=self._key, value=msgspec.msgpack.encode(mark))

    def _mark(self) -> _Mark | None:
        row = self._ground.rows.one("get_meta", key=self._key) if self._key else None
        return None if row is None else _decoded(row[0], _Mark)

    def _name(self, kind: str, number: int) -> str:
        return f"{self._key}/{kind}/{number // BLOCK}"

    def _block(self, kind: str, number: int) -> dict[int, Any]:
        name = self._name(kind, number)
        block = self._blocks.get(name)
        if block is None:
            row = self._ground.rows.one("get_meta", key=name) if self._key else None
            block = self._blocks[name] = {} if row is None else _decoded(row[0], dict[int, Any])
        return block

    def _forget(self) -> None:
        """Let go of imports that have ended long ago."""
        found: Iterable[tuple[str, bytes]] = self._ground.rows.all("transfer_jobs")  # pyright: ignore[reportAssignmentType]
        for key, value in found:
            if _decoded(value, _Mark).at < self._ground.now - FORGOTTEN_MS:
                self._ground.rows.run("transfer_forget", key=key)


def _decoded(value: bytes, kind: Any) -> Any:
    try:
        return msgspec.msgpack.decode(value, type=kind)
    except msgspec.DecodeError:
        raise StoreDamaged("What an import noted for its next batch cannot be read.") from None
