"""Arms: how the nearest of many bit vectors are found. NumPy always; faiss where it is installed (the extra `scale`).

Both give the places of the smallest Hamming distances; faiss is tried on vectors whose answer is known before it is used. NumPy
leaves out what the question says little about, for which faiss has no way.
"""

import threading
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Arm", "Bits", "FaissArm", "NumpyArm", "Sought", "choose", "self_test"]

Bits = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]

BLOCK = 1 << 16
"""Vectors compared at a time: what is between two steps then stays in the processor's cache."""


class Sought(NamedTuple):
    """A question as bits, each as many words as a row takes."""

    signs: Bits
    counted: Bits
    """Which of them count."""


class Arm(Protocol):
    """A way to find what is near."""

    name: str
    share: float
    least: int
    most: int
    """How many are to be found, so that what is nearest is among them: this share of all, and so many at the least and at the most."""
    aside: bool
    """Whether it looks through all vectors without Python's lock, so that others run meanwhile."""
    by_row: bool
    """Whether it wants a vector's words side by side, or all first words, all second words and so on."""

    def width(self, words: int) -> int:
        """The words that a vector of so many takes with it: it may be as fast with some more, which hold more signs."""
        ...

    def nearest(self, bits: Bits, asked: Sought, count: int, allowed: "npt.NDArray[np.bool_] | None") -> Places:
        """The places of the `count` vectors nearest to what is `asked`, in no order; of the `allowed` alone, where that is given."""
        ...


class NumpyArm:
    """XOR and population count."""

    name = "NumPy"
    share, least, most = 1 / 40, 5000, 25_000
    aside = False  # it takes the lock for each of many short steps
    by_row = False

    def width(self, words: int) -> int:
        """As they are."""
        return words

    def nearest(self, bits: Bits, asked: Sought, count: int, allowed: "npt.NDArray[np.bool_] | None") -> Places:
        """Block by block, then what is not further than the `count`-th."""
        words, length = bits.shape
        kind = np.uint8 if np.bitwise_count(asked.counted).sum() < 255 else np.uint16
        distance = np.zeros(length, kind)
        differs, many = np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.uint8)
        for begin in range(0, length, BLOCK):
            end = min(begin + BLOCK, length)
            there, counts = differs[: end - begin], many[: end - begin]
            for word in range(words):
                np.bitwise_xor(bits[word, begin:end], asked.signs[word], out=there)
                there &= asked.counted[word]
                distance[begin:end] += np.bitwise_count(there, out=counts)
        if allowed is not None:
            distance[~allowed] = np.iinfo(kind).max
        return _smallest(distance, count)


class FaissArm:
    """The same by faiss, on the caller's thread alone: its own threads get in each other's way when several ask."""

    name = "faiss"
    share, least, most = 1 / 125, 3500, 8000
    aside = True
    by_row = True

    def __init__(self) -> None:
        self._faiss: Any = import_module("faiss")
        self._ready = threading.local()

    def width(self, words: int) -> int:
        """faiss has a loop of its own for vectors of 1, 2, 4 and 8 words, twice as fast as the one for any number."""
        return next((wide for wide in (1, 2, 4, 8) if wide >= words), words)

    def nearest(self, bits: Bits, asked: Sought, count: int, allowed: "npt.NDArray[np.bool_] | None") -> Places:
        """Filtered sets are gathered first, so that faiss need not know of filters."""
        if not getattr(self._ready, "one", False):
            self._faiss.omp_set_num_threads(1)  # counts for the thread that says it
            self._ready.one = True
        places = None
        if allowed is not None:
            places = np.flatnonzero(allowed)
            bits = bits[places]
        if count >= len(bits):
            return np.arange(len(bits)) if places is None else places
        _, found = self._faiss.knn_hamming(
            asked.signs.reshape(1, -1).view(np.uint8), bits.view(np.uint8), count, variant="mc"
        )
        return found[0] if places is None else places[found[0]]


def choose() -> tuple[Arm, str]:
    """The fastest arm that there is and that answers rightly, and what keeps a faster one from being used."""
    try:
        arm = FaissArm()
        problem = self_test(arm)
    except ImportError:
        return NumpyArm(), ""
    except Exception as failed:  # whatever another's binary raises: there is an arm that always works
        return NumpyArm(), f"faiss does not work here: {type(failed).__name__}: {failed}"
    return (NumpyArm(), f"faiss is left aside: {problem}") if problem else (arm, "")


def self_test(arm: Arm) -> str:
    """What an arm gets wrong about vectors whose neighbours are known, or nothing."""
    chance = np.random.default_rng(1)
    rows = chance.integers(0, 1 << 63, (500, 3), np.uint64)
    asked = chance.integers(0, 1 << 63, 3, np.uint64)
    distance = np.bitwise_count(rows ^ asked).sum(axis=1)
    allowed = chance.random(500) < 0.5
    bits = rows if arm.by_row else np.ascontiguousarray(rows.T)
    for only in (None, allowed):
        far = distance if only is None else np.where(only, distance, 999)
        found = arm.nearest(bits, Sought(asked, ~np.zeros_like(asked)), 20, only)
        if sorted(far[found]) != sorted(far)[:20] or len(set(found.tolist())) != 20:
            return "it does not find the nearest of known vectors"
    return ""


def _smallest(values: "npt.NDArray[Any]", count: int) -> Places:
    """The places of the `count` smallest. Values are few and small, so a threshold is found by counting."""
    length = len(values)
    if count >= length:
        return np.arange(length)
    step = max(1, length // 4096)
    sample = np.sort(values[::step])
    limit = int(sample[min(len(sample) - 1, count // step)])
    while np.count_nonzero(values <= limit) < count:
        limit += 1
    while limit > 0 and np.count_nonzero(values <= limit - 1) >= count:
        limit -= 1
    near = np.flatnonzero(values < limit)
    return np.concatenate((near, np.flatnonzero(values == limit)[: count - len(near)]))
