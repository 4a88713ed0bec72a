"""The model that ships, as the daemon's loop asks it: in this process, its batches on a thread of their own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from enhanced_memory.daemon.embedding import STATIC, STORED

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.index import Floats
    from enhanced_memory.daemon.embedding.static import StaticEmbedder

__all__ = ["HereEmbedder"]


class HereEmbedder:
    """`StaticEmbedder` behind the seam that child processes have too."""

    source = STATIC
    batch = 64
    """Some two milliseconds: whoever writes does not wait for more."""

    def __init__(self, busy: Callable[[], bool] = bool, dimension: int = STORED) -> None:
        """`dimension` is that of the vectors that a store has already."""
        self.name = STATIC
        self.dimension = dimension
        self.fingerprint = ""
        self.problem = ""
        self.hint = ""
        self._busy = busy
        self._embedder: StaticEmbedder | None = None
        self._pool = ThreadPoolExecutor(1, "embedder")

    @property
    def running(self) -> bool:
        """Whether the model is loaded."""
        return self._embedder is not None

    async def ready(self) -> None:
        """Load the model. `Broken` where its files are gone."""
        if self._embedder is None:
            loop = asyncio.get_running_loop()
            embedder, self.fingerprint = await loop.run_in_executor(self._pool, _loaded, self.dimension)
            self.name, self.dimension, self._embedder = embedder.name, embedder.dimension, embedder

    async def embed(self, texts: Sequence[str], query: bool = False) -> "Floats":
        """One row for each text. A query is answered here and now; it takes less than to hand it to a thread."""
        import numpy as np

        await self.ready()
        assert self._embedder is not None
        if query:
            return self._embedder.embed(texts)
        found: list[Floats] = []
        for begin in range(0, len(texts), self.batch):
            part = texts[begin : begin + self.batch]
            found.append(await asyncio.get_running_loop().run_in_executor(self._pool, self._embedder.embed, part))
            pauses = PAUSES
            while pauses and self._busy():
                await asyncio.sleep(PAUSE_S)
                pauses -= 1
        return np.concatenate(found) if found else np.zeros((0, self.dimension), np.float32)

    async def stop(self) -> None:
        """Wait for the batch that is being embedded."""
        self._pool.shutdown(wait=True)


PAUSE_S = 0.004
PAUSES = 25
"""Between two batches, while somebody writes: Python runs one thread at a time, and who writes is waited for, meaning is not. Under a
load that never ends some 600 passages a second are embedded all the same."""


def _loaded(dimension: int) -> "tuple[StaticEmbedder, str]":
    from enhanced_memory.daemon.embedding.static import shipped

    embedder = shipped().shortened(dimension)
    return embedder, embedder.fingerprint
