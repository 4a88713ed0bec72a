"""Meaning as a service of the daemon: passages get their vectors after they are on disk, queries theirs before they are asked.

The queue is the store itself: passages are numbered in the order in which they are written, and the model remembers up to
which one it has seen them. So it survives restarts, and a write never waits for a model.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from enhanced_memory.client.errors import Error, Unavailable
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.embedding import Embedder
from enhanced_memory.daemon.store import Engine, Touched, Tx
from enhanced_memory.daemon.store.vectors import Model

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.index import Floats, Matrix

__all__ = ["Asked", "Embedding"]

A = TypeVar("A")

log = logging.getLogger(__name__)

BATCH = 256
GATHER_S = 0.05
"""How long passages gather before they are embedded: each commit on its own would make every write two."""
PAGE = 20_000
PAST = 4
"""How many times as many passages are looked at for a view of the past."""


class Asked:
    """What a query means, and how near passages are to it. Made for one call, used on a reader's thread."""

    def __init__(self, vector: "Floats", matrix: "Matrix", model: int, ended: "Matrix | None" = None) -> None:
        self._vector = vector
        self._matrix = matrix
        self._model = model
        self._ended = ended

    def nearest(self, tx: Tx, count: int) -> list[tuple[int, float]]:
        """The nearest passages and their cosines; in a view of the past also those that have ended since."""

        def load(passages: list[int]) -> dict[int, bytes]:
            return tx.vectors.of(self._model, passages)

        if self._ended is None:
            return self._matrix.nearest(self._vector, count, load)
        # Much of what is near may have begun since, and is not seen then.
        found = [one for each in (self._matrix, self._ended) for one in each.nearest(self._vector, count * PAST, load)]
        return sorted(found, key=lambda one: -one[1])[: count * PAST]

    def cosines(self, tx: Tx, passages: Sequence[int]) -> dict[int, float]:
        """How near given passages are; one without a vector is left out."""
        return self._matrix.compare(self._vector, tx.vectors.of(self._model, passages))


def _page(model: int, after: int, tx: Tx) -> list[tuple[int, bytes, int]]:
    return tx.vectors.page(model, after, PAGE)


class Embedding:
    """Keeps one model's vectors up with the store, and asks it about queries."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self.settings = settings
        self._kind = settings.embedder
        self._embedder: Embedder | None = None
        self._matrix: Matrix | None = None
        self._model: Model | None = None
        self._ended: Matrix | None = None
        """Vectors of what has ended, once somebody has asked about the past."""
        self._ended_since: list[int] = []
        self._last = 0
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pool = ThreadPoolExecutor(1, "embedder")
        self._call = Call(Peer(), Request())
        self.problem = ""

    @property
    def told(self) -> str:
        """What answers searches, in words."""
        if self._kind == "none":
            return "names and words (keywords only: the setting `embedder` is none)"
        if self._matrix is None or self._model is None or self._embedder is None:
            return f"names and words (keywords only: {self.problem or 'the model is loaded with the first memory'})"
        backlog = max(0, self._last - self._model.embedded)
        return f"names, words and meaning ({self._embedder.name}, {len(self._matrix):,} vectors, {self._matrix.arm}, {backlog:,} passages waiting)"

    def start(self) -> None:
        """Begin to keep up; on the running loop."""
        if self._kind != "none":
            self._engine.listeners.append(self._changed)
            self._task = asyncio.get_running_loop().create_task(self._keep_up())
            self._woken.set()

    async def stop(self) -> None:
        """Stop; what is left waits for the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._pool.shutdown(wait=True)

    async def ask(self, query: str, past: bool = False) -> Asked | None:
        """What `query` means, also in the `past`; None while there is no model to say so, or where it says nothing to the model."""
        if self._embedder is None or self._matrix is None or self._model is None or not len(self._matrix):
            return None
        vector = (await self._run(self._embedder.embed, [query]))[0]
        if not vector.any():
            return None
        return Asked(vector, self._matrix, self._model.id, await self._of_the_past(self._model) if past else None)

    async def _of_the_past(self, model: Model) -> "Matrix":
        """The vectors of what has ended; read from the store the first time, from then on as more ends."""
        from enhanced_memory.daemon.embedding.index import Matrix

        if self._ended is None:
            ended, self._ended_since = Matrix(model.dimension), []
            async for page in self._pages(model):
                await self._run(ended.add_stored, [(passage, vector) for passage, vector, end in page if end])
            self._ended = ended
        if self._ended_since:
            fresh, self._ended_since = self._ended_since, []
            found = await self._engine.read(lambda tx: tx.vectors.of(model.id, fresh), self._call)
            await self._run(self._ended.add_stored, list(found.items()))
        return self._ended

    async def _pages(self, model: Model) -> AsyncIterator[list[tuple[int, bytes, int]]]:
        """All vectors of a model that the store has, page by page, each with what ended its passage."""
        after = 0
        while True:
            page = await self._engine.read(partial(_page, model.id, after), self._call)
            yield page
            if len(page) < PAGE:
                return
            after = page[-1][0]

    async def ask_all(self, texts: Sequence[str]) -> list[Asked | None]:
        """The same for several texts at once."""
        embedder, matrix, model = self._embedder, self._matrix, self._model
        if embedder is None or matrix is None or model is None or not len(matrix) or not texts:
            return [None] * len(texts)
        vectors = await self._run(embedder.embed, list(texts))
        return [Asked(vector, matrix, model.id) if vector.any() else None for vector in vectors]

    @property
    def wanted(self) -> bool:
        """Whether meaning is to be looked at at all."""
        return self._kind != "none"

    @property
    def serving(self) -> Model | None:
        """The model whose vectors answer; None while there is none."""
        return self._model if self._matrix is not None else None

    def _changed(self, touched: Touched) -> None:
        if touched.passage > self._last:
            self._last = touched.passage
            self._woken.set()
        if touched.ended and self._matrix is not None:
            self._matrix.drop(touched.ended)
            self._ended_since += touched.ended
            if self._ended is not None and touched.op == "purge_entities":
                self._ended.drop(touched.ended)

    async def _keep_up(self) -> None:
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                if self._model is None:
                    self._last = max(
                        self._last, await self._engine.read(lambda tx: tx.vectors.last_passage(), self._call)
                    )
                    if not self._last:
                        continue
                    await self._load()
                await asyncio.sleep(GATHER_S)
                while await self._embed_next():
                    pass
        except Unavailable:
            return  # the store is closing
        except Error as problem:
            self.problem = problem.message
            log.error("embedding stopped: %s", problem)

    async def _load(self) -> None:
        """Load the model, and the vectors that the store has of it."""
        from enhanced_memory.daemon.embedding.index import Matrix
        from enhanced_memory.daemon.embedding.static import StaticEmbedder

        embedder: Embedder = await self._run(StaticEmbedder)
        name, fingerprint, dimension = embedder.name, await self._run(lambda: embedder.fingerprint), embedder.dimension
        model = await self._engine.write(lambda tx: tx.vectors.model(name, fingerprint, dimension), self._call)
        matrix = Matrix(dimension)
        async for page in self._pages(model):
            await self._run(matrix.add_stored, [(passage, vector) for passage, vector, ended in page if not ended])
        self._embedder, self._model, self._matrix = embedder, model, matrix
        log.info("meaning: model=%s dimension=%d vectors=%d", name, dimension, len(matrix))

    async def _embed_next(self) -> bool:
        """Embed the next passages; whether there may be more."""
        from enhanced_memory.daemon.embedding.index import quantised

        model, matrix, embedder = self._model, self._matrix, self._embedder
        if model is None or matrix is None or embedder is None:
            return False
        waiting = await self._engine.read(lambda tx: tx.vectors.waiting(model.embedded, BATCH), self._call)
        if waiting is None:
            return False
        if waiting.texts:
            vectors = await self._run(lambda: quantised(embedder.embed(waiting.texts)))
            rows = [
                {"model": model.id, "passage": passage, "vector": vector.tobytes()}
                for passage, vector in zip(waiting.passages, vectors, strict=True)
            ]
            # Nobody waits for these, so they share the next commit; lost with a crash, they are made again.
            self._engine.note("add_vector", rows)
            matrix.add(waiting.passages, vectors)
        self._engine.note("set_embedded", [{"model": model.id, "passage": waiting.upto}])
        model.embedded = waiting.upto
        return True

    async def _run(self, work: Callable[..., A], *given: object) -> A:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *given)
