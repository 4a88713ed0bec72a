"""Vectors as bits, and which of them agree most with a question. Pure."""

from typing import Any

import numpy as np
import numpy.typing as npt

from enhanced_memory.daemon.embedding.arms import Bits

__all__ = ["BY_SIGNS", "LARGE", "best", "packed", "weighed"]

Floats = npt.NDArray[np.float32]

BY_SIGNS = 2000
"""Vectors found by their signs that are weighed as a whole: what is more is weighed by signs first (docs/decisions/0022-vectors.md)."""

LARGE = 0.8
"""Of a component's average size, from where on it counts as large; what small and large ones then stand for."""
SMALL_WORTH, LARGE_WORTH = 0.6, 2.5


def packed(bits: "npt.NDArray[np.bool_]", words: int) -> Bits:
    """Bits as words of 64, so many for each row."""
    eights = np.packbits(bits, axis=1)
    padded = np.zeros((len(bits), words * 8), np.uint8)
    padded[:, : eights.shape[1]] = eights
    return padded.view(np.uint64)


def weighed(query: Floats, signs: Bits, large: Bits, count: int) -> npt.NDArray[np.intp]:
    """The places of the `count` rows of bits that agree most with `query`, in no order."""
    if count >= len(signs):
        return np.arange(len(signs))
    positive, big = signs.view(np.uint8), large.view(np.uint8)
    padded = np.zeros(positive.shape[1] * 8, np.float32)
    padded[: len(query)] = query

    def along(bits: "npt.NDArray[np.uint8]") -> Floats:
        return np.unpackbits(bits, axis=1).astype(np.float32) @ padded

    if len(signs) > BY_SIGNS >= count:
        # Signs alone tell well enough which of many are worth more than a glance.
        kept = np.argpartition(-along(positive), BY_SIGNS - 1)[:BY_SIGNS]
        return kept[weighed(query, signs[kept], large[kept], count)]
    scores = SMALL_WORTH * (2 * along(positive) - padded.sum())
    scores += (LARGE_WORTH - SMALL_WORTH) * (2 * along(positive & big) - along(big))
    many = np.bitwise_count(large).sum(axis=1)
    scores /= np.sqrt(SMALL_WORTH**2 * (len(query) - many) + LARGE_WORTH**2 * many)
    return np.argpartition(-scores, count - 1)[:count]


def best(scores: "npt.NDArray[Any]", count: int) -> npt.NDArray[np.intp]:
    """The places of the `count` largest, largest first."""
    if count < len(scores):
        part = np.argpartition(-scores, count - 1)[:count]
    else:
        part = np.arange(len(scores))
    return part[np.argsort(-scores[part], kind="stable")][:count]
