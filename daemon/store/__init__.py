"""The seam between what memory means and where it is kept.

An `Engine` runs functions in transactions; what they are given is a `Tx`, whose chapters (`entities`, `relations`, `streams`,
`spaces`, `words`, `log`) speak of primitives. The chapters are written once, over `Rows`: named queries, of which every engine
has its own set. So engines share meaning, not SQL.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from enhanced_memory.client.errors import Error
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store.ground import Rows, Sealing
from enhanced_memory.daemon.store.tx import Tx

__all__ = [
    "HOUSE",
    "MEANING",
    "Copy",
    "Engine",
    "Followed",
    "Follower",
    "Health",
    "Held",
    "Rows",
    "Scrubbed",
    "Sealing",
    "Touched",
    "Tx",
    "Usage",
]

A = TypeVar("A")

HOUSE = "housekeeping"
MEANING = "embedding"
"""Work that one daemon does for all that share a store."""


class Health(msgspec.Struct):
    """What a check found."""

    problems: list[str]
    checked: dict[str, int]


class Usage(msgspec.Struct):
    """How much room the store takes, in bytes, and by what it is kept."""

    engine: str
    file: int
    wal: int
    memory: int = 0
    """Of this process: what SQLite holds, pages above all, of which each connection keeps so many at the most."""


class Touched(msgspec.Struct):
    """A change that is on disk: what whoever listens is told."""

    number: int
    op: str
    space: str
    entities: list[int]
    passage: int = 0
    """The newest passage's id by then."""
    ended: list[int] = []
    """The passages that it ended."""
    given: list[int] = []
    """The passages that it gave vectors of a caller's own."""
    vectors: tuple[int, int] | None = None
    """Of another daemon: it stored vectors of passages from the one to the other."""
    everything: bool = False
    """Of another daemon: what is derived from the store and held in memory is to be read anew."""


class Follower(Protocol):
    """A store in a process that does not own it."""

    def read(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run `work` on one consistent view."""
        ...

    def changed(self, touched: Touched, epoch: int) -> None:
        """A change is on disk; `epoch` is how often spaces were changed by then."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


@dataclass
class Followed:
    """What processes that read a store beside its daemon, and keep some of it in memory, have to know of it."""

    module: str
    """The one whose `Follower` reads it there, made of the settings."""
    epoch: Callable[[], int]
    """How often spaces were changed since the start."""
    aged: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    """Called on the loop when what was read of the store is out of date as a whole."""

    def age(self) -> None:
        """Say so."""
        for tell in self.aged:
            tell()


class Held(msgspec.Struct):
    """Vectors of one model, in a store that finds the nearest of them itself."""

    of_entities: int
    entities: int
    """Entities that have one, once for each space."""
    of_messages: int
    arm: str
    """How they are found, in words."""


class Scrubbed(msgspec.Struct):
    """What was done so that nothing of a purge is left in the store's files."""

    rewritten: bool
    """Whether the file was written anew; if not, what is free in it was written over."""
    log_emptied: bool
    dictionaries: int
    """How many were replaced because they held pieces of it."""


class Copy(Protocol):
    """A copy that was written, opened and checked."""

    path: str
    bytes: int
    sha256: str
    entities: int
    messages: int
    change: int
    seconds: float
    store_bytes: int


class Engine(Protocol):
    """Where memories are kept: runs functions in transactions."""

    path: str
    """What the settings call the store, without a password."""
    place: Path
    """Where it lies, or where what goes with it does, on this machine."""
    store_id: str
    """What the store calls itself."""
    listeners: list[Callable[[Touched], None]]
    """Called on the loop after each commit, in order; of other daemons' commits, too, where several share the store."""
    chosen: list[Callable[[], None]]
    """Called on the loop when work for one has become this daemon's."""
    clock: Callable[[], int]
    """Milliseconds since 1970."""
    name: str
    """What this daemon is called among those that share the store; another one at each start."""
    near: bool
    """Whether a point read takes so little that the loop carries it out itself: not where it crosses to another process."""

    @property
    def followed(self) -> "Followed | None":
        """How processes beside the daemon read the store, too; None where they do not."""
        ...

    @property
    def waiting(self) -> int:
        """Changes that wait for the writer."""
        ...

    give_up: Callable[[str], None]
    """Called on the loop when the daemon had better leave, and the next one begin anew."""

    def harm(self) -> Error | None:
        """What became of the store under us (its file was deleted, say), or nothing."""
        ...

    def leads(self, work: str) -> bool:
        """Whether this daemon is the one that does `work` (`HOUSE`, `MEANING`) for all that share the store."""
        ...

    @property
    def left_alone(self) -> Sequence[tuple[str, str]]:
        """Replicas that could not be asked the last time, and why."""
        ...

    async def present(self) -> set[str]:
        """The names of the daemons that have the store open, this one among them."""
        ...

    @property
    def unclean(self) -> bool:
        """Whether whoever had the store before left it without closing it."""
        ...

    @property
    def commits(self) -> int:
        """Transactions written since the start."""
        ...

    @property
    def sealing(self) -> Sealing | None:
        """What encrypts files beside the store; none where nothing is encrypted by us."""
        ...

    @property
    def comparing(self) -> str:
        """What keeps the store from comparing vectors itself, or nothing."""
        ...

    @property
    def state(self) -> tuple[str, str]:
        """`ready` or `failing`, and why."""
        ...

    async def read(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run `work` on a consistent view, beside others."""
        ...

    def point(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run a `work` of a few row reads here and now. Only of an engine that is `near`."""
        ...

    async def write(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run `work` in turn; its answer comes once what it wrote is on disk. What it raises undoes it alone."""
        ...

    def note(
        self,
        name: str,
        rows: list[dict[str, Any]],
        prepare: Callable[[Tx, dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        """Write rows that nobody waits for, with the next commit or at an idle moment."""
        ...

    async def check(self, quick: bool) -> Health:
        """Check the store itself and everything derived in it."""
        ...

    async def scrub(self, texts: set[str] | None) -> Scrubbed:
        """Leave nothing of `texts`, which were purged, in the store's files; none: of whatever an earlier purge has left."""
        ...

    @property
    def scrub_due(self) -> bool:
        """Whether a purge was carried out before the store was opened and its traces were not cleared."""
        ...

    def reindexed(self) -> None:
        """The words index was made anew: keep nothing that was read of the one before."""
        ...

    async def held(self, model: int, dimension: int) -> Held | None:
        """What the store has of a model's vectors, if it finds the nearest of them itself; None where that is left to whoever asks."""
        ...

    def tend(self, now: int, access_before: int) -> None:
        """Begin to see to the store's own parts: what is to come is made ready, and parts of the access log that ended before a
        time are let go as a whole. Done now and then, by the daemon that keeps house."""
        ...

    async def fold(self) -> None:
        """Bring what was written lately to where it stays, beside whoever writes, so that no change has to wait for it."""
        ...

    async def vacuum(self) -> str:
        """Write what is kept anew without free room; why not, where that is the server's own affair."""
        ...

    async def backup(self, to: str) -> Copy:
        """Write a consistent, verified copy."""
        ...

    async def alive(self) -> bool:
        """Whether the writer still takes work."""
        ...

    async def usage(self) -> Usage:
        """The room taken."""
        ...

    def leave(self) -> None:
        """Tell whoever wants the store that it will be free soon."""
        ...

    async def close(self) -> None:
        """Finish what was begun, then let go of the store."""
        ...
