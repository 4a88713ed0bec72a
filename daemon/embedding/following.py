"""What another daemon on the same store embedded: read into the indexes that this one has in memory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from enhanced_memory.daemon.embedding.loading import Loader
from enhanced_memory.daemon.store.vectors import Model

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.index import Index

__all__ = ["Following"]


class Following:
    """Knows what was stored elsewhere and is lacking here."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._came: list[tuple[int, int]] = []

    def told(self, passages: tuple[int, int]) -> None:
        """Vectors of passages from the one to the other were stored."""
        self._came.append(passages)

    async def take_in(self, model: Model | None, indexes: "Sequence[Index]") -> None:
        """Read them, and up to where `model` has seen passages; without a model, when there is one."""
        if model is None or not self._came:
            return
        came, self._came = self._came, []
        for first, last in came:
            for index in indexes:
                await self._loader.load(index, first - 1, last)
        models = await self._loader.engine.read(lambda tx: tx.vectors.models(), self._loader.call)
        model.embedded = next((one.embedded for one in models if one.id == model.id), 0)
