"""Vectors as bits, and which of them agree most with a question. Pure."""

from collections.abc import Callable
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


_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).T.astype(np.float32)
"""The bits of every byte, in columns."""


def packed(bits: "npt.NDArray[np.bool_]", words: int) -> Bits:
    """Bits as words of 64, so many for each row."""
    eights = np.packbits(bits, axis=1)
    padded = np.zeros((len(bits), words * 8), np.uint8)
    padded[:, : eights.shape[1]] = eights
    return padded.view(np.uint64)


def weighed(
    query: Floats, signs: Bits, large: "Callable[[npt.NDArray[np.intp]], Bits]", count: int
) -> npt.NDArray[np.intp]:
    """The places of the `count` rows of bits that agree most with `query`, in no order.

    `signs` are those of all rows, `large` gives the second bits of those rows that are worth more than a glance.
    """
    rows = len(signs)
    if count >= rows:
        return np.arange(rows)
    tables = _tables(query, signs.shape[1] * 8)
    positive = signs.view(np.uint8)
    kept = np.arange(rows)
    along = _along(positive, tables)
    if rows > BY_SIGNS >= count:
        # Signs alone tell well enough which of many are worth more than a glance.
        kept = np.argpartition(-along, BY_SIGNS - 1)[:BY_SIGNS]
        positive, along = positive[kept], along[kept]
    words = large(kept)
    big = words.view(np.uint8)
    scores = SMALL_WORTH * (2 * along - query.sum())
    scores += (LARGE_WORTH - SMALL_WORTH) * (2 * _along(positive & big, tables) - _along(big, tables))
    many = np.bitwise_count(words).sum(axis=1)
    scores /= np.sqrt(SMALL_WORTH**2 * (len(query) - many) + LARGE_WORTH**2 * many)
    return kept[np.argpartition(-scores, count - 1)[:count]]


def _tables(query: Floats, bytes_each: int) -> Floats:
    """What each byte of bits, at each place of a row, adds up to: of the question's components, those whose bits are set."""
    padded = np.zeros(bytes_each * 8, np.float32)
    padded[: len(query)] = query
    return padded.reshape(-1, 8) @ _BYTES


def _along(rows: "npt.NDArray[np.uint8]", tables: Floats) -> Floats:
    """The sums of the question's components whose bits are set, row by row: a look-up for each byte."""
    scores = np.zeros(len(rows), np.float32)
    for column, table in zip(np.ascontiguousarray(rows.T), tables, strict=True):
        scores += table.take(column)  # which looks up in a third of the time that brackets take
    return scores


def best(scores: "npt.NDArray[Any]", count: int) -> npt.NDArray[np.intp]:
    """The places of the `count` largest, largest first."""
    if count < len(scores):
        part = np.argpartition(-scores, count - 1)[:count]
    else:
        part = np.arange(len(scores))
    return part[np.argsort(-scores[part], kind="stable")][:count]
