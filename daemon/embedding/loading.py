"""Reading vectors into memory: of the model that serves, and of callers' own models once somebody asks by them."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from enhanced_memory.client.errors import Error
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.embedding import STATIC, STORED, Runner
from enhanced_memory.daemon.embedding.child import DOOR, ChildEmbedder
from enhanced_memory.daemon.embedding.here import HereEmbedder
from enhanced_memory.daemon.store import Engine, Tx
from enhanced_memory.daemon.store.vectors import Model

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.arms import Arm
    from enhanced_memory.daemon.embedding.asked import Asked
    from enhanced_memory.daemon.embedding.index import Index

__all__ = ["Loader", "OwnModels", "beside", "emptied", "page", "runner_of", "runs", "taken_in"]

log = logging.getLogger(__name__)

PAGE = 20_000
"""Vectors read at a time."""

Vector = tuple[int, bytes, int, int, bool]
"""A passage's: its id, the int8 vector, the space, the entity or stream, and whether it is a message's."""

COMING_S = 5.0
"""How long a question waits for vectors that were stored just before it; a moment as a rule."""


class Loader:
    """Makes indexes of what the store has."""

    def __init__(self, engine: Engine, most_bytes: int, many: int = 0) -> None:
        """`most_bytes` is the room for the vectors of one kind as they are stored; of `many` the store may find the nearest itself (0:
        never)."""
        self.engine = engine
        self._most_bytes = most_bytes
        self._asked_from = many
        self.call = Call(Peer(), Request())
        self._arm: Arm | None = None

    async def loaded(self, model: Model) -> "Index":
        """An index of all that the store has of a model."""
        if (held := await self.engine.held(model.id, model.dimension)) is not None:
            from enhanced_memory.daemon.embedding.stored import StoredIndex

            return StoredIndex(model.id, model.dimension, held)
        index = self.empty(model)
        await self.load(index)
        return index

    async def outgrown(self, index: "Index") -> bool:
        """Whether the store finds the nearest itself by now of a model whose vectors are in memory. To be asked while they become more:
        where they have become many, the store begins what it lacks for that, and tells when it is there."""
        if index.stored or not self._asked_from or len(index) < self._asked_from:
            return False
        self._asked_from = len(index) + len(index) // 10  # to count them all takes a moment
        return await self.engine.held(index.model, index.dimension) is not None

    async def compact(self, indexes: "Sequence[Index]") -> None:
        """Give back the room of vectors that have ended, where there are many."""
        for index in indexes:
            if index.wasted:
                await asyncio.get_running_loop().run_in_executor(None, index.compact)

    def empty(self, model: Model) -> "Index":
        """An index of a model's vectors that holds none yet."""
        return emptied(model.id, model.dimension, self._most_bytes, self._chosen)

    async def load(self, index: "Index", after: int = 0, last: int | None = None) -> None:
        """Read into an index what the store has of its model, of all passages or of those beyond `after` and up to `last`."""
        if index.stored:
            return
        beyond: int | None = after
        while beyond is not None:
            read = await self.engine.read(partial(page, index.model, beyond), self.call)
            beyond = await asyncio.get_running_loop().run_in_executor(None, taken_in, index, read, last)

    def _chosen(self) -> "Arm":
        """What finds the nearest of many; tried once, when there are many."""
        if self._arm is None:
            self._arm = _chosen()
        return self._arm


class OwnModels:
    """The vectors that callers brought, by their models; in memory once they are asked for."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._held: dict[int, tuple[Index, asyncio.Task[None]]] = {}
        self._coming: set[asyncio.Future[None]] = set()

    @property
    def held(self) -> "list[Index]":
        """What is in memory."""
        return [index for index, _ in self._held.values()]

    @property
    def loading(self) -> "list[asyncio.Task[None]]":
        """What may still be on its way there."""
        return [task for _, task in self._held.values()]

    async def ask(self, name: str, vector: Sequence[float]) -> "Asked":
        """What a caller's vector is near, among those of the same model. `Invalid` where it is none of that model's.

        What was stored before is found: whoever was answered that it is kept may ask for it.
        """
        if self._coming:
            await asyncio.wait(tuple(self._coming), timeout=COMING_S)
        model, stored = await self._loader.engine.read(lambda tx: tx.vectors.checked(name, vector), self._loader.call)
        return beside(stored, await self._index(model))

    def follow(self, passages: list[int]) -> Coroutine[Any, Any, None]:
        """Take in what was stored for passages. Who asks from now on waits for it."""
        taken = asyncio.get_running_loop().create_future()
        self._coming.add(taken)
        return self._follow(passages, taken)

    async def _follow(self, passages: list[int], taken: "asyncio.Future[None]") -> None:
        try:
            rows = await self._loader.engine.read(lambda tx: tx.vectors.given(passages), self._loader.call)
            for model, (index, _) in self._held.items():
                index.add([row[1:] for row in rows if row[0] == model])
        finally:
            self._coming.discard(taken)
            taken.set_result(None)

    def forget(self) -> None:
        """Read them anew when they are asked for next."""
        self._held.clear()

    async def _index(self, model: Model) -> "Index":
        held = self._held.get(model.id)
        if held is None:
            index = self._loader.empty(model)
            held = self._held[model.id] = index, asyncio.get_running_loop().create_task(self._loader.load(index))
        try:
            await asyncio.shield(held[1])
        except Error:
            self._held.pop(model.id, None)
            raise
        return held[0]


def runner_of(source: str, settings: Settings, busy: Callable[[], bool], dimension: int = STORED) -> Runner:
    """What runs the model that a setting `embedder` names; the one that ships with as many components as stored vectors have."""
    if source == STATIC:
        return HereEmbedder(busy, dimension)
    return ChildEmbedder(
        source,
        threads=settings.embedder_threads,
        load_s=settings.embedder_load_s,
        answer_s=settings.embedder_answer_s,
        idle_s=settings.embedder_idle_s,
        door=settings.socket_path.with_name(DOOR),
    )


def runs(runner: Runner, source: str, dimension: int) -> bool:
    """Whether it runs the model that a setting `embedder` names, for vectors of this dimension where it may be one of several."""
    return runner.source == source and not (isinstance(runner, HereEmbedder) and runner.dimension != dimension)


def emptied(model: int, dimension: int, most_bytes: int, arm: "Callable[[], Arm] | None" = None) -> "Index":
    """An index of a model's vectors that holds none yet."""
    from enhanced_memory.daemon.embedding.index import Index, Matrix

    return Index(model, dimension, partial(Matrix, arm=arm or _chosen, most_bytes=most_bytes))


def _chosen() -> "Arm":
    from enhanced_memory.daemon.embedding.arms import choose

    arm, problem = choose()
    if problem:
        log.warning("vectors: %s; NumPy finds them", problem)
    return arm


def beside(stored: bytes, index: "Index") -> "Asked":
    """A vector as it is kept, as a query of an index."""
    import numpy as np

    from enhanced_memory.daemon.embedding.asked import Asked

    given = np.frombuffer(stored, np.int8).astype(np.float32)
    return Asked((given / np.linalg.norm(given)).astype(np.float32), index, lambda: None)


def page(model: int, after: int, tx: Tx) -> "list[Vector]":
    """The next vectors of a model, those of passages beyond `after`."""
    return tx.vectors.page(model, after, PAGE)


def taken_in(index: "Index", read: "list[Vector]", last: int | None = None) -> int | None:
    """Add a page to an index, up to the passage `last`; the passage beyond which the next page begins, None where there is none to read."""
    rows = read if last is None else [row for row in read if row[0] <= last]
    index.add(rows)
    return read[-1][0] if len(read) == PAGE and len(rows) == len(read) else None
