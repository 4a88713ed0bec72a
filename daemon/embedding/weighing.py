"""Vectors as bits, and which of them agree most with a question. Pure.

Before their signs are taken, vectors are turned by a random rotation, the same for all of one dimension: what a model says with few
components is spread over all, so that each sign tells about as much as any other (random rotation before binary quantisation: Gong
et al. 2013, Gao and Long 2024). Angles stay as they are. Where there is room for more signs than components, those of further
rotations fill it: each tells a little more about the angle.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from enhanced_memory.daemon.embedding.arms import Bits, Sought

__all__ = ["LARGE", "best", "packed", "sought", "turned", "weighed"]

Floats = npt.NDArray[np.float32]

BY_SIGNS = 2500
"""Vectors found by their signs that are weighed as a whole: of more, a quarter is, those worth the most along signs alone
(docs/decisions/0022-vectors.md)."""

LARGE = 0.8
"""Of a component's average size, from where on it counts as large; what small and large ones then stand for."""
SMALL_WORTH, LARGE_WORTH = 0.6, 2.5

COUNTED_FROM = 0.4
"""The share of a question's components, the smallest, whose signs do not count: they tell next to nothing of what is near."""

TURNED_AT_ONCE = 256
"""Components that are turned together: of more, a rotation of all would cost more than making the vector."""

_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).T.astype(np.float32)
"""The bits of every byte, in columns."""


def packed(bits: "npt.NDArray[np.bool_]", words: int) -> Bits:
    """Bits as words of 64, so many for each row."""
    eights = np.packbits(bits, axis=1)
    padded = np.zeros((len(bits), words * 8), np.uint8)
    padded[:, : eights.shape[1]] = eights
    return padded.view(np.uint64)


def turned(vectors: Floats, least: int = 0) -> Floats:
    """Vectors, one or a row each, after the rotation of their dimension; where that are not at `least` so many components, more by others."""
    dimension = vectors.shape[-1]
    wanted, parts, number, made = max(least, dimension), list[Floats](), 0, 0
    while made < wanted:
        order, rotations = _rotation(dimension, number)
        mixed = vectors[..., order]
        for begin, one in rotations:
            if made < wanted:
                parts.append(mixed[..., begin : begin + len(one)] @ one)
                made += len(one)
        number += 1
    return np.concatenate(parts, axis=-1, dtype=np.float32)[..., :wanted]


@cache
def _rotation(dimension: int, number: int) -> "tuple[npt.NDArray[np.intp], list[tuple[int, Floats]]]":
    """The order in which components are taken, and rotations of some that stand side by side, with the first of them."""
    chance = np.random.default_rng((dimension, number))
    return chance.permutation(dimension), [
        (begin, np.linalg.qr(chance.standard_normal((size, size)))[0].astype(np.float32))
        for begin in range(0, dimension, TURNED_AT_ONCE)
        for size in (min(TURNED_AT_ONCE, dimension - begin),)
    ]


def sought(query: Floats, words: int) -> Sought:
    """A turned question as bits, for rows of so many words: it has as many components as they have signs."""
    sizes = np.abs(query)
    least = np.sort(sizes)[int(len(sizes) * COUNTED_FROM)]
    return Sought(*packed(np.stack((query > 0, sizes >= least)), words))


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
    more = max(BY_SIGNS, rows // 4)
    if rows > more >= count:
        # Signs alone tell well enough which of many are worth more than a glance.
        kept = np.argpartition(-along, more - 1)[:more]
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
