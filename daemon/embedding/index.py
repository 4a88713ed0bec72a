"""Nearest vectors in memory: exact while they are few, by their signs and a second look above that.

Up to `EXACT` vectors every one is compared as float32. Beyond, each is kept as one bit a dimension (its sign); a question's
nearest by Hamming distance are found with one XOR and a population count, and the best `oversample` of them are compared
again with the int8 vectors that the store holds. (Binary quantisation with rescoring: Yamada et al. 2021, Shakir et al. 2024.)
"""

from collections.abc import Callable, Iterable, Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

__all__ = ["EXACT", "Matrix", "quantised"]

EXACT = 20_000
OVERSAMPLE = 400

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]


def quantised(vectors: Floats) -> Bytes:
    """Vectors as int8, each scaled so that its largest component is 127: a cosine needs no scale."""
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
    return np.rint(vectors / largest * 127).astype(np.int8)


def unit(vectors: Bytes) -> Floats:
    """int8 vectors at length one; a zero vector stays zero."""
    floats = vectors.astype(np.float32)
    return floats / np.maximum(np.linalg.norm(floats, axis=1, keepdims=True), 1e-12)


class Matrix:
    """The vectors of one model by passage id. Grows by doubling; what is dropped is passed over until the next start."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.words = -(-dimension // 64)
        self._ids = np.zeros(1024, np.int64)
        self._bits = np.zeros((1024, self.words), np.uint64)
        self._alive = np.zeros(1024, bool)
        self._exact: Floats | None = np.zeros((1024, dimension), np.float32)
        self._place: dict[int, int] = {}
        self._count = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._place)

    def add(self, ids: Sequence[int], vectors: Bytes) -> None:
        """Take in int8 vectors. One that is there already is replaced."""
        if not len(ids):
            return
        with self._lock:
            self._room(len(ids))
            begin, end = self._count, self._count + len(ids)
            for place, passage in enumerate(ids, begin):
                before = self._place.get(passage)
                if before is not None:
                    self._alive[before] = False
                self._place[passage] = place
            self._ids[begin:end] = ids
            self._bits[begin:end] = _signs(vectors, self.words)
            self._alive[begin:end] = True
            if self._exact is not None:
                if end > EXACT:
                    self._exact = None
                else:
                    self._exact[begin:end] = unit(vectors)
            self._count = end

    def add_stored(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Take in vectors as the store keeps them."""
        if rows:
            self.add([passage for passage, _ in rows], self._read(vector for _, vector in rows))

    def compare(self, query: Floats, stored: dict[int, bytes]) -> dict[int, float]:
        """The cosines of stored vectors to `query` (unit length)."""
        if not stored:
            return {}
        cosines = unit(self._read(stored.values())) @ query
        return {passage: float(cosine) for passage, cosine in zip(stored, cosines, strict=True)}

    def _read(self, vectors: Iterable[bytes]) -> Bytes:
        return np.frombuffer(b"".join(vectors), np.int8).reshape(-1, self.dimension)

    def drop(self, ids: Sequence[int]) -> None:
        """Forget vectors."""
        with self._lock:
            for passage in ids:
                place = self._place.pop(passage, None)
                if place is not None:
                    self._alive[place] = False

    def nearest(
        self, query: Floats, count: int, load: Callable[[list[int]], dict[int, bytes]]
    ) -> list[tuple[int, float]]:
        """The `count` passages nearest to `query` (unit length) and their cosines, nearest first.

        `load` gives the int8 vectors of the passages that are looked at a second time.
        """
        with self._lock:
            end, ids, bits, alive, exact = self._count, self._ids, self._bits, self._alive, self._exact
            living = len(self._place)
        if not living:
            return []
        if exact is not None:
            scores = exact[:end] @ query
            scores[~alive[:end]] = -2.0
            best = _top(-scores, min(count, living))
            return [(int(ids[place]), float(scores[place])) for place in best]
        asked = _signs(quantised(query[None, :]), self.words)[0]
        distance = np.bitwise_count(bits[:end, 0] ^ asked[0]).astype(np.uint16)
        for column in range(1, self.words):
            distance += np.bitwise_count(bits[:end, column] ^ asked[column])
        distance[~alive[:end]] = np.iinfo(np.uint16).max
        looked_at = _top(distance, min(max(OVERSAMPLE, 4 * count), living))
        found = load([int(ids[place]) for place in looked_at])
        if not found:
            return []
        passages = list(found)
        vectors = np.frombuffer(b"".join(found.values()), np.int8).reshape(len(found), self.dimension)
        cosines = unit(vectors) @ query
        order = np.argsort(-cosines, kind="stable")[:count]
        return [(passages[place], float(cosines[place])) for place in order]

    @property
    def arm(self) -> str:
        """How `nearest` looks just now."""
        return (
            "exact (NumPy)" if self._exact is not None else f"bits and rescoring (NumPy), {OVERSAMPLE} looked at twice"
        )

    def _room(self, more: int) -> None:
        need = self._count + more
        if need <= len(self._ids):
            return
        size = max(need, 2 * len(self._ids))
        self._ids = np.resize(self._ids, size)
        bits, self._bits = self._bits, np.zeros((size, self.words), np.uint64)
        self._bits[: self._count] = bits[: self._count]
        alive, self._alive = self._alive, np.zeros(size, bool)
        self._alive[: self._count] = alive[: self._count]
        if self._exact is not None:
            exact, self._exact = self._exact, np.zeros((min(size, EXACT), self.dimension), np.float32)
            self._exact[: self._count] = exact[: self._count]


def _signs(vectors: Bytes, words: int) -> npt.NDArray[np.uint64]:
    packed = np.packbits(vectors > 0, axis=1)
    padded = np.zeros((len(vectors), words * 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)


def _top(values: npt.NDArray[np.generic], count: int) -> npt.NDArray[np.intp]:
    """The places of the `count` smallest values, smallest first."""
    if count < len(values):
        part = np.argpartition(values, count - 1)[:count]
    else:
        part = np.arange(len(values))
    return part[np.argsort(values[part], kind="stable")]
