"""Vectors in memory by passage: exact while they are few, by their signs and a second look above that.

Up to `EXACT` vectors every one is compared as float32. Beyond, each is kept as two bits a dimension, after a rotation: its sign, and
whether it is large, with more signs where there is room for them; and as it is stored, in int8, while there is room. An arm (`arms.py`)
finds some thousands that are nearest to a question's own signs. They are weighed by both bits against the question itself, and the best
are compared with the int8 vectors: `COMPARED` where these are here, and all where they are no more than an arm finds at the least;
`LOOKED_AT` where the store has to be asked for them. (Binary quantisation with rescoring: Yamada et al. 2021, Shakir et al. 2024;
weighing signs against an unquantised question: asymmetric distances, Gordo et al. 2014.)
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from enhanced_memory.daemon.embedding.arms import Arm, Bits, NumpyArm
from enhanced_memory.daemon.embedding.weighing import LARGE, best, packed, sought, turned, weighed

__all__ = ["EXACT", "LOOKED_AT", "Index", "Matrix", "cosines", "quantised", "unit"]

EXACT = 20_000
LOOKED_AT, COMPARED = 100, 500
"""How many of the best by bits are compared as they are stored: where the store has to be asked for them, and where they are here."""
FIRST = 1024
"""Rows that there is room for at first; it grows by doubling."""

WASTE = 0.25
"""The share of dropped rows from which on the others are moved together."""

FEW_ALLOWED = 0.25
"""The share of rows up to which those that are allowed are gathered, rather than all looked through."""

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]
Ids = npt.NDArray[np.integer[Any]]


def quantised(vectors: Floats) -> Bytes:
    """Vectors as int8, each scaled so that its largest component is 127: a cosine needs no scale."""
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
    return np.rint(vectors / largest * 127).astype(np.int8)


def unit(vectors: Bytes) -> Floats:
    """int8 vectors at length one; a zero vector stays zero."""
    floats = vectors.astype(np.float32)
    return floats / np.maximum(np.linalg.norm(floats, axis=1, keepdims=True), 1e-12)


def cosines(query: Floats, stored: Sequence[bytes]) -> list[float]:
    """The cosines of int8 vectors to `query` (unit length)."""
    if not stored:
        return []
    vectors = np.frombuffer(b"".join(stored), np.int8).reshape(len(stored), -1)
    return (unit(vectors) @ query).tolist()


def _cosines(query: Floats, vectors: Bytes, norms: Floats) -> Floats:
    return (vectors.astype(np.float32) @ query) / norms


def _first(arm: Arm, rows: int, wanted: int) -> int:
    """How many an arm is to find among so many rows, so that those `wanted` are among them."""
    return max(arm.least, 2 * wanted, min(arm.most, int(rows * arm.share)))


class Matrix:
    """Vectors that are searched together, in the order of their passages. Reading goes on while others are added or dropped."""

    def __init__(
        self, dimension: int, arm: Callable[[], Arm] = NumpyArm, exact: int = EXACT, most_bytes: int = 0
    ) -> None:
        """`arm` is called once more than `exact` vectors are held: before that there is nothing for it to do.

        `most_bytes` is the room for vectors as they are stored, once they are no longer held exactly.
        """
        self._most_bytes = most_bytes
        self.dimension = dimension
        self.words = -(-dimension // 64)
        self.arm: Arm | None = None
        self._choose = arm
        self._exact_up_to = exact
        self._lock = Lock()
        self._spaces_held: Counter[int] = Counter()
        self._count = 0
        self._living = 0
        self._make(FIRST, exact=True)

    def _make(self, size: int, exact: bool) -> None:
        self._ids = np.zeros(size, np.int64)
        self._spaces = np.zeros(size, np.int32)
        self._entities = np.zeros(size, np.int64)
        self._alive = np.zeros(size, bool)
        self._bits = self._no_bits(0 if exact else size)
        self._large = np.zeros((0 if exact else size, self.words), np.uint64)
        self._exact = np.zeros((min(size, self._exact_up_to), self.dimension), np.float32) if exact else None
        self._stored = np.zeros((size, self.dimension), np.int8) if not exact and self._fits else None
        self._norms = np.zeros(0 if self._stored is None else size, np.float32)

    @property
    def _fits(self) -> bool:
        """Whether there is room for the vectors as they are stored. Rows that are not in use yet take none."""
        return self._count * (self.dimension + 4) <= self._most_bytes

    def _no_bits(self, size: int) -> Bits:
        width = self.words if self.arm is None else self.arm.width(self.words)
        return np.zeros((size, width) if self.arm is not None and self.arm.by_row else (width, size), np.uint64)

    def __len__(self) -> int:
        return self._living

    @property
    def exact(self) -> bool:
        """Whether every vector is compared."""
        return self._exact is not None

    @property
    def found_by(self) -> str:
        """How the nearest are found just now."""
        if self.arm is None:
            return "exact (NumPy)"
        if self._stored is None:
            return f"bits ({self.arm.name}), {LOOKED_AT} looked at again"
        first = _first(self.arm, self._count, LOOKED_AT)
        return f"bits ({self.arm.name}), {first if first <= self.arm.least else COMPARED:,} compared"

    @property
    def rows_held(self) -> int:
        """Rows in use, those of dropped vectors included."""
        return self._count

    @property
    def entities(self) -> int:
        """How many entities have a vector, each counted once for every space that has it."""
        alive = self._alive[: self._count]
        return len(
            np.unique(np.stack((self._entities[: self._count][alive], self._spaces[: self._count][alive])), axis=1).T
        )

    def add(self, passages: Ids, spaces: Ids, entities: Ids, vectors: Bytes) -> None:
        """Take in int8 vectors by their passages, each told once. One that is there already is replaced."""
        if not len(passages):
            return
        with self._lock:
            if self._exact is not None and self._count + len(passages) > self._exact_up_to:
                self._leave_exactness()
            places = self._places(passages)
            known = places >= 0
            self._forget(places[known])
            self._put(places[known], passages[known], spaces[known], entities[known], vectors[known])
            fresh = ~known
            if fresh.any():
                order = np.argsort(passages[fresh], kind="stable")
                begin, more = self._count, len(order)
                self._room(more)
                last = self._ids[begin - 1] if begin else -1
                ids = passages[fresh][order]
                self._count += more
                if not self._fits:
                    self._stored = None
                self._put(
                    np.arange(begin, begin + more),
                    ids,
                    spaces[fresh][order],
                    entities[fresh][order],
                    vectors[fresh][order],
                )
                if ids[0] < last:
                    self._take(np.argsort(self._ids[: self._count], kind="stable"), len(self._ids))

    def _put(self, places: "npt.NDArray[np.intp]", ids: Ids, spaces: Ids, entities: Ids, vectors: Bytes) -> None:
        if not len(places):
            return
        self._ids[places], self._spaces[places], self._entities[places] = ids, spaces, entities
        if self._exact is not None:
            self._exact[places] = unit(vectors)
        else:
            self._keep_bits(places, unit(vectors))
            self._keep_stored(places, vectors)
        self._alive[places] = True
        self._living += len(places)
        self._spaces_held.update(
            dict(zip(*(part.tolist() for part in np.unique(spaces, return_counts=True)), strict=True))
        )

    def _keep_bits(self, places: "npt.NDArray[np.intp]", vectors: Floats) -> None:
        by_row = self.arm is not None and self.arm.by_row
        words = self._bits.shape[1 if by_row else 0]
        vectors = turned(vectors, words * 64)
        self._large[places] = packed(np.abs(vectors[:, : self.dimension]) > LARGE / self.dimension**0.5, self.words)
        if by_row:
            self._bits[places] = packed(vectors > 0, words)
        else:
            self._bits[:, places] = packed(vectors > 0, words).T

    def _keep_stored(self, places: "npt.NDArray[np.intp]", vectors: Bytes) -> None:
        if self._stored is not None:
            self._stored[places] = vectors
            self._norms[places] = np.maximum(np.linalg.norm(vectors.astype(np.float32), axis=1), 1e-12)

    def _leave_exactness(self) -> None:
        """From here on signs are kept, and what they find is compared again with what the store holds."""
        exact, self._exact = self._exact, None
        assert exact is not None
        self.arm = self._choose()
        size = len(self._ids)
        self._bits = self._no_bits(size)
        self._large = np.zeros((size, self.words), np.uint64)
        self._keep_bits(np.arange(self._count), exact[: self._count])
        if self._fits:
            self._stored, self._norms = np.zeros((size, self.dimension), np.int8), np.zeros(size, np.float32)
            self._keep_stored(np.arange(self._count), quantised(exact[: self._count]))

    def drop(self, passages: Iterable[int]) -> None:
        """Forget vectors."""
        with self._lock:
            places = self._places(np.unique(np.fromiter(passages, np.int64)))
            self._forget(places[places >= 0])

    def _forget(self, places: "npt.NDArray[np.intp]") -> None:
        places = places[self._alive[places]]
        self._alive[places] = False
        self._living -= len(places)
        for space, count in zip(*np.unique(self._spaces[places], return_counts=True), strict=True):
            self._spaces_held[int(space)] -= int(count)

    def _places(self, passages: Ids) -> "npt.NDArray[np.intp]":
        """Where passages stand, -1 for what is not here."""
        ids = self._ids[: self._count]
        if not len(ids):
            return np.full(len(passages), -1)
        places = np.minimum(np.searchsorted(ids, passages), len(ids) - 1)
        return np.where(ids[places] == passages, places, -1)

    def nearest(
        self, query: Floats, count: int, spaces: frozenset[int] | None = None, entity: int = 0, among: Ids | None = None
    ) -> tuple[list[int], list[float] | None]:
        """The passages nearest to `query` (unit length), of these spaces and this entity or stream, and `among` these, where they are given.

        With their cosines, nearest first, where the vectors are here. Else more than `count` of them, in no order, and no
        cosines: they are to be looked at again.
        """
        with self._lock:
            end, ids, bits, alive, exact = self._count, self._ids, self._bits, self._alive, self._exact
            arm, large, stored, norms = self.arm, self._large, self._stored, self._norms
            living = self._living
            held = {space for space, number in self._spaces_held.items() if number > 0}
            where, whose = self._spaces, self._entities
        if not living:
            return [], [] if exact is not None else None
        allowed: npt.NDArray[np.bool_] | None = None
        if entity:
            allowed = alive[:end] & (whose[:end] == entity)
        if among is not None:
            allowed = (alive[:end] if allowed is None else allowed) & np.isin(whose[:end], among)
        if spaces is not None and not held <= spaces:
            inside = alive[:end] if allowed is None else allowed
            allowed = inside & np.isin(where[:end], list(spaces))
        if allowed is not None:
            living = int(np.count_nonzero(allowed))
            if not living:
                return [], [] if exact is not None else None
        elif living < end:
            allowed = alive[:end].copy()
        if exact is not None:
            scores = exact[:end] @ query
            if allowed is not None:
                scores[~allowed] = -2.0
            nearest = best(scores, min(count, living))
            return ids[nearest].tolist(), scores[nearest].tolist()
        assert arm is not None
        wanted = max(LOOKED_AT, 2 * count)

        def compared(places: "npt.NDArray[np.intp]") -> tuple[list[int], list[float] | None]:
            if stored is None:
                return ids[places].tolist(), None
            scores = _cosines(query, stored.take(places, axis=0), norms[places])
            nearest = best(scores, min(count, len(scores)))
            return ids[places[nearest]].tolist(), scores[nearest].tolist()

        if allowed is not None and living <= (wanted if stored is None else arm.least):
            return compared(np.flatnonzero(allowed))
        first = min(_first(arm, end, wanted), living)
        wide = arm.width(self.words)
        turn = turned(query, wide * 64)
        signs = sought(turn, wide)
        if allowed is not None and arm.by_row and living > end * (1 - WASTE):
            # Few are left out: to ask for a few more is cheaper than to gather the others.
            places = arm.nearest(bits[:end], signs, min(end, first + end - living), None)
            places = places[allowed[places]]
        elif allowed is not None and living < end * FEW_ALLOWED:
            those = np.flatnonzero(allowed)
            apart = bits.take(those, axis=0) if arm.by_row else bits.take(those, axis=1)
            places = those[arm.nearest(apart, signs, first, None)]
        else:
            places = arm.nearest(bits[:end] if arm.by_row else bits[:, :end], signs, first, allowed)
        if stored is not None and len(places) <= arm.least:
            return compared(places)
        found = bits.take(places, axis=0) if arm.by_row else np.ascontiguousarray(bits.take(places, axis=1).T)
        found = np.ascontiguousarray(found[:, : self.words])
        again = wanted if stored is None else max(wanted, COMPARED)
        return compared(
            places[weighed(turn[: self.dimension], found, lambda kept: large.take(places[kept], axis=0), again)]
        )

    def cosines(self, query: Floats, passages: Ids) -> dict[int, float] | None:
        """How near given passages are to `query` (unit length), those that have a vector; None where the vectors are not here."""
        with self._lock:
            exact, stored, norms = self._exact, self._stored, self._norms
            ids, alive = self._ids, self._alive
            places = self._places(passages)
        if exact is None and stored is None:
            return None
        places = places[places >= 0]
        places = places[alive[places]]
        if exact is not None:
            scores = exact[places] @ query
        else:
            assert stored is not None
            scores = _cosines(query, stored.take(places, axis=0), norms[places])
        return dict(zip(ids[places].tolist(), scores.tolist(), strict=True))

    @property
    def wasted(self) -> bool:
        """Whether so many rows were dropped that it is time for `compact`."""
        return self._count - self._living > max(FIRST, WASTE * self._count)

    def compact(self) -> None:
        """Move what is left together. Whoever reads meanwhile goes on with what was there."""
        with self._lock:
            kept = np.flatnonzero(self._alive[: self._count])
            self._take(kept, max(FIRST, len(kept) + len(kept) // 8))

    def _take(self, places: "npt.NDArray[np.intp]", size: int) -> None:
        """Make new arrays of what stands at `places`, in that order; whoever reads has the old ones."""
        ids, spaces, entities, alive, bits, exact = (
            self._ids, self._spaces, self._entities, self._alive, self._bits, self._exact,
        )  # fmt: skip
        large, stored, norms = self._large, self._stored, self._norms
        count = self._count = len(places)
        # Fewer than can be compared exactly are so again once the store is read anew: their vectors are not here.
        self._make(size, exact=exact is not None)
        self._ids[:count], self._spaces[:count], self._entities[:count] = ids[places], spaces[places], entities[places]
        self._alive[:count] = alive[places]
        if exact is not None and self._exact is not None:
            self._exact[:count] = exact[places]
        else:
            self._large[:count] = large[places]
            if self._stored is not None and stored is not None:
                self._stored[:count], self._norms[:count] = stored[places], norms[places]
            else:
                self._stored = None
            if self.arm is not None and self.arm.by_row:
                self._bits[:count] = bits[places]
            else:
                self._bits[:, :count] = bits[:, places]

    def _room(self, more: int) -> None:
        if self._count + more > len(self._ids):
            self._take(np.arange(self._count), max(self._count + more, 2 * len(self._ids)))


class Index:
    """One model's vectors of the present: those of entities and those of messages, apart."""

    stored = False
    """Whether the store finds the nearest itself."""

    def __init__(self, model: int, dimension: int, make: Callable[[int], Matrix] = Matrix) -> None:
        self.model = model
        self.dimension = dimension
        self.of_entities = make(dimension)
        self.of_messages = make(dimension)

    def __len__(self) -> int:
        return len(self.of_entities) + len(self.of_messages)

    def add(self, rows: Sequence[tuple[int, bytes, int, int, bool]]) -> None:
        """Take in vectors, each `(passage, int8, space, entity or stream, whether it is a message's)`."""
        for matrix, messages in ((self.of_entities, False), (self.of_messages, True)):
            mine = [row for row in rows if row[4] is messages and len(row[1]) == self.dimension]
            if mine:
                vectors = np.frombuffer(b"".join(row[1] for row in mine), np.int8).reshape(len(mine), -1)
                told = np.array([(row[0], row[2], row[3]) for row in mine], np.int64).T
                matrix.add(told[0], told[1], told[2], vectors)

    def drop(self, passages: Sequence[int]) -> None:
        """Forget the vectors of passages."""
        self.of_entities.drop(passages)
        self.of_messages.drop(passages)

    def compact(self) -> None:
        """Move together what is left, where much was dropped."""
        for matrix in (self.of_entities, self.of_messages):
            if matrix.wasted:
                matrix.compact()

    @property
    def wasted(self) -> bool:
        """Whether `compact` has something to do."""
        return self.of_entities.wasted or self.of_messages.wasted

    @property
    def arm(self) -> str:
        """How the nearest are found just now."""
        kinds = (("entities", self.of_entities), ("messages", self.of_messages))
        said = {kind: matrix.found_by for kind, matrix in kinds if len(matrix)}
        if len(set(said.values())) == 1:
            return next(iter(said.values()))
        return ", ".join(f"{kind} {how}" for kind, how in said.items()) or "exact (NumPy)"
