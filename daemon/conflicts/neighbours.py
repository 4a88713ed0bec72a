"""Pairs of vectors that are near each other, without comparing every one with every other. Pure, NumPy.

Vectors are put into cells, each around one of them (an inverted file: Sivic and Zisserman 2003, Jégou et al. 2011), and compared
within their cell. Equal vectors are one; a cell that is too large is divided again.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["near_pairs"]

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]

CELL = 1500
"""Vectors that are compared with one another: 1,500 take some 10 ms."""

CELLS = 256
"""Cells that are made at one time."""

NEIGHBOURS = 4
"""Neighbours that are told of each vector."""

DEEPEST = 4
"""How often a cell is divided: what is left then lies so close together that it is cut into runs."""

CENTRES = 2
"""Cells that a vector is put into: one alone would part what lies on two sides of a border."""


def near_pairs(vectors: Floats, cosine: float) -> Iterator[tuple[int, int]]:
    """Places (smaller first) of unit vectors whose cosine is `cosine` at least; each pair once, of each vector a few."""
    if len(vectors) < 2:
        return
    chance = np.random.default_rng(1)
    seen: set[tuple[int, int]] = set()
    for cell in _cells(vectors, np.arange(len(vectors)), chance, 0):
        for one, other in _within(vectors, cell, cosine):
            pair = (one, other) if one < other else (other, one)
            if pair not in seen:
                seen.add(pair)
                yield pair


def _cells(vectors: Floats, places: Places, chance: np.random.Generator, depth: int) -> Iterator[Places]:
    if len(places) <= CELL:
        yield places
        return
    if depth >= DEEPEST:
        yield from (places[begin : begin + CELL] for begin in range(0, len(places), CELL))
        return
    many = min(CELLS, 2 * len(places) // CELL + 1)
    centres = vectors[chance.choice(places, many, replace=False)]
    nearest = np.empty((len(places), CENTRES), np.intp)
    for begin in range(0, len(places), 8192):
        part = -(vectors[places[begin : begin + 8192]] @ centres.T)
        nearest[begin : begin + 8192] = np.argpartition(part, CENTRES - 1, axis=1)[:, :CENTRES]
    for cell in range(many):
        inside = places[(nearest == cell).any(axis=1)]
        if len(inside) > 1:
            # A cell that holds nearly all that was to be divided is no cell.
            yield from _cells(vectors, inside, chance, DEEPEST if len(inside) > 0.9 * len(places) else depth + 1)


def _within(vectors: Floats, cell: Places, cosine: float) -> Iterator[tuple[int, int]]:
    block = vectors[cell]
    cosines = block @ block.T
    np.fill_diagonal(cosines, -1.0)
    rows = np.flatnonzero(cosines.max(axis=1) >= cosine)
    for row in rows:
        line = cosines[row]
        best = np.argpartition(-line, min(NEIGHBOURS, len(line) - 1))[:NEIGHBOURS]
        yield from ((int(cell[row]), int(cell[other])) for other in best if line[other] >= cosine)
