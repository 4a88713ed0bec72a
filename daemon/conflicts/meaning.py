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
        from enhanced_memory.daemon.embedding.static import shipped

        self._embedder = shipped()
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def words(self, some: Sequence[str], others: Sequence[str]) -> list[list[float]]:
        """The cosines of words' vectors; 0 for a word without a known piece."""
        import numpy as np

        vectors = self._all([*some, *others])
        return (np.stack(vectors[: len(some)]) @ np.stack(vectors[len(some) :]).T).tolist()

    def sentences(self, one: str, other: str) -> float:
        """The same for sentences."""
        both = self._all((one, other))
        return float(both[0] @ both[1])

    def vectors(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """A unit vector for each text; zeros for one that says nothing to the model."""
        return self._embedder.embed(texts)

    def _all(self, texts: Sequence[str]) -> "list[NDArray[np.float32]]":
        """The vector of each text. Those that are new are embedded together, which costs little more than one of them."""
        kept = self._kept
        if fresh := [text for text in dict.fromkeys(texts) if text not in kept]:
            kept.update(zip(fresh, self._embedder.embed(fresh), strict=True))
        found = [kept[text] for text in texts]
        while len(kept) > KEPT:
            kept.popitem(last=False)
        return found


@cache
def static_meaning() -> Meaning:
    """The one that everybody in this process shares."""
    return Static()
