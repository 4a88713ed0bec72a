"""Words and sentences as the shipped embedder sees them, for comparing statements. Vectors of words are remembered."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from enhanced_memory.daemon.conflicts.comparing import Meaning

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Static", "static_meaning"]

KEPT = 1 << 14
"""Vectors that are remembered: 16,384 of 192 numbers are 12 MB."""


class Static:
    """The shipped embedder's view. The thresholds of `comparing` were set with it, so it judges whichever embedder serves searches."""

    def __init__(self) -> None:
        from enhanced_memory.daemon.embedding.static import StaticEmbedder

        self._embedder = StaticEmbedder()
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def words(self, some: Sequence[str], others: Sequence[str]) -> list[list[float]]:
        """The cosines of words' vectors; 0 for a word without a known piece."""
        import numpy as np

        cosines = np.stack([self._vector(word) for word in some]) @ np.stack([self._vector(word) for word in others]).T
        return cosines.tolist()

    def sentences(self, one: str, other: str) -> float:
        """The same for sentences."""
        return float(self._vector(one) @ self._vector(other))

    def _vector(self, text: str) -> "NDArray[np.float32]":
        found = self._kept.get(text)
        if found is None:
            found = self._embedder.embed([text])[0]
            self._kept[text] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


@cache
def static_meaning() -> Meaning:
    """The one that everybody in this process shares."""
    return Static()
