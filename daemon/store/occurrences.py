"""What postings are made of, and where they are read: the words index on disk, as one reader sees it."""

from array import array
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = [
    "BITS",
    "BLOCK",
    "COLUMNS",
    "Floats",
    "Head",
    "Ids",
    "Log",
    "Mark",
    "Occurrence",
    "Source",
    "Wanted",
    "Word",
]

BITS = 16
BLOCK = 1 << BITS
"""Passages whose scores are added up together: they stay in the processor's cache."""

COLUMNS = ("name", "body", "dates")
"""What of the words index counts."""

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Occurrence(NamedTuple):
    """A word in one passage: how often in what names it, in what it says, and in its day."""

    passage: int
    name: int
    body: int
    dates: int


class Head(NamedTuple):
    """A passage that lasts: whose it is."""

    passage: int
    space: int
    owner: int
    """The entity, or the message's stream."""
    message: int
    """Its id; 0 for what is none."""
    length: int
    """In words: its name, what it says and its day."""


class Source(Protocol):
    """Where postings are read: the words index on disk, as one reader sees it."""

    at_once: int
    """Places of its words that are read while a question waits, in a store of any size; more are read beside it."""

    def term(self, expression: str) -> str:
        """The one word that an expression asks for, as the index has it; empty for a phrase, a beginning, or several words."""
        ...

    def every(self, terms: Sequence[str], upto: int, most: int) -> "list[tuple[Ids, npt.NDArray[np.int8]] | None]":
        """Each place where a word stands in passages up to `upto`, in their order: the passage, and which of `COLUMNS`.

        None for a word that stands in more than `most` places; 0 is any number.
        """
        ...

    def since(self, expression: str, beyond: int, upto: int, others: Collection[int]) -> list[Occurrence]:
        """Where a word stands in passages after `beyond` and up to `upto`, and in `others`."""
        ...

    def heads(self, beyond: int, upto: int) -> list[Head]:
        """The passages that last, after `beyond` and up to `upto`."""
        ...

    def beside(self, passages: Collection[int]) -> list[tuple[int, int, int]]:
        """Messages' passages, and those of the messages before and after in the stream, 0 where there is none."""
        ...

    def scored(self, match: str, messages: bool, beyond: int, upto: int, most: int) -> list[tuple[int, float]]:
        """Passages that match, with their scores, in no order: `most` at the most."""
        ...

    def newest(self) -> int:
        """The newest passage's id."""
        ...


class Mark(NamedTuple):
    """What had been told when a reader began to look: it sees at least that."""

    last: int
    """The newest passage."""
    moved: int
    """How many passages had got other neighbours since a message was withdrawn."""
    gone: int
    """How many had ended."""
    generation: int
    """How often the whole index had been."""


class Wanted(Exception):
    """The question is to be put to the index on disk: reading what it needs takes too long for somebody who waits."""

    def __init__(self, *terms: str) -> None:
        super().__init__(*terms)
        self.terms = terms


class Word:
    """The passages of one word: their places within their blocks, in order, and what the word is worth in each."""

    __slots__ = ("averages", "edges", "ended", "moved", "places", "upto", "worth")

    def __init__(
        self, passages: Ids, worth: "npt.NDArray[np.uint8]", upto: int, moved: int, averages: Floats, ended: int
    ) -> None:
        self.averages = averages
        """How long passages were on the average when their worth was computed: entities', and messages'."""
        self.ended = ended
        """How many passages had ended when these were counted."""
        self.upto = upto
        self.moved = moved
        self.places = (passages & (BLOCK - 1)).astype(np.uint16)
        self.worth = worth
        blocks = (upto >> BITS) + 1
        self.edges = np.searchsorted(passages, np.arange(blocks + 1, dtype=np.int64) << BITS).astype(np.int32)

    @property
    def bytes(self) -> int:
        """About what it takes in memory."""
        return self.places.nbytes + self.worth.nbytes + self.edges.nbytes + 500

    def passages(self) -> Ids:
        """The passages, in order."""
        blocks = np.repeat(np.arange(len(self.edges) - 1, dtype=np.int64), np.diff(self.edges))
        return (blocks << BITS) | self.places

    def within(self, block: int) -> slice:
        """Where those of one block stand among all."""
        if block + 1 >= len(self.edges):
            return slice(0, 0)
        return slice(int(self.edges[block]), int(self.edges[block + 1]))


MOST_REMEMBERED = 50_000
"""Passages that a log remembers, at least. A word that has not been asked for since is read again as a whole."""


class Log:
    """Passages in the order in which something befell them; the oldest are forgotten."""

    def __init__(self) -> None:
        self._passages = array("q")
        self.before = 0
        """How many are forgotten."""

    @property
    def count(self) -> int:
        """How many there were."""
        return self.before + len(self._passages)

    def add(self, passages: Sequence[int]) -> None:
        """It befell these, too."""
        self._passages.extend(passages)
        if len(self._passages) > 2 * MOST_REMEMBERED:
            more = len(self._passages) - MOST_REMEMBERED
            del self._passages[:more]
            self.before += more

    def since(self, count: int, upto: int | None = None) -> list[int]:
        """Those after the first `count`, up to the `upto`-th, as far as they are remembered."""
        end = len(self._passages) if upto is None else max(0, upto - self.before)
        return self._passages[max(0, count - self.before) : end].tolist()
