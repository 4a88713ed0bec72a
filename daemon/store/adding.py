"""Adding up what words are worth: the scores of BM25 for any of them, block by block, and the best of these. Pure."""

from typing import TYPE_CHECKING, Any

import numpy as np

from enhanced_memory.daemon.store.bm25 import K1
from enhanced_memory.daemon.store.occurrences import BITS, BLOCK, Ids, Word
from enhanced_memory.daemon.store.passages import Seen

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["MOST_WORTH", "STEPS", "added_up"]

LEAST_IDF = 1e-6

STEPS = 255
"""Into how many steps a word's worth in a passage is divided; the largest is that of a word said without end."""
MOST_WORTH = K1 + 1


def added_up(
    words: list[Word], beside: dict[int, float], tail: dict[int, float], known: Seen, late: Ids, count: int,
    spaces: frozenset[int], messages: bool, owners: frozenset[int], last: int,
) -> tuple[list[int], list[float], bool]:  # fmt: skip
    """The `count` best passages up to `last`, their scores, and whether there are more.

    `beside` adds to the words' scores, `tail` is whole scores of the newest passages. Of the spaces, kind and owners (any, where none is
    named) that is `known` of passages: of those that last, and of `late`, which last for whoever asks.
    """
    steps = np.arange(STEPS + 1, dtype=np.float32) * np.float32(MOST_WORTH / STEPS)
    worth = [steps * np.float32(_idf(known.living, len(word.places))) for word in words]
    others = np.array(sorted(beside), np.int64)
    their = np.array([beside[one] for one in others.tolist()], np.float32)
    newer = np.array(sorted(tail), np.int64)
    theirs = np.array([tail[one] for one in newer.tolist()], np.float32)
    where = np.array(sorted(spaces), np.int32)
    theirs_alone = np.zeros(max(owners, default=0) + 2, np.bool_)
    theirs_alone[list(owners)] = True
    scores = np.empty(BLOCK, np.float32)
    best_ids, best = np.zeros(0, np.int64), np.zeros(0, np.float32)
    floor, more = np.float32(0), False
    blocks = max((last >> BITS) + 1, 0)
    for number in range(blocks):
        begin = number << BITS
        scores.fill(0)
        for word, each in zip(words, worth, strict=True):
            part = word.within(number)
            if part.stop > part.start:
                scores[word.places[part]] += each[word.worth[part]]
        part = slice(*np.searchsorted(others, (begin, begin + BLOCK)))
        if part.stop > part.start:
            scores[others[part] - begin] += their[part]
        part = slice(*np.searchsorted(newer, (begin, begin + BLOCK)))
        if part.stop > part.start:
            # Instead of what was added up: a word that another reader brought up to date may have them too.
            scores[newer[part] - begin] = theirs[part]
        if last - begin < BLOCK - 1:
            scores[last - begin + 1 :] = 0
        places = np.flatnonzero(scores > floor)
        more = more or (bool(floor > 0) and bool(scores.any()))
        if not len(places):
            continue
        if begin < len(known.lasts):
            at = places + begin
            seen = known.lasts[at]
            if len(late):
                seen |= np.isin(at, late)
            seen &= known.messages[at] == messages
            seen &= _among(known.spaces[at], where)
            if owners:
                seen &= theirs_alone[np.minimum(known.owners[at], len(theirs_alone) - 1)]
            if last > known.upto:
                seen |= at > known.upto  # whose these are is looked up with their rows
            places = places[seen]
        found = scores[places]
        best_ids, best = np.concatenate((best_ids, places + begin)), np.concatenate((best, found))
        if len(best) > count:
            more = True
            kept = np.argpartition(-best, count - 1)[:count]
            best_ids, best = best_ids[kept], best[kept]
        if len(best) == count:
            floor = best.min()
    order = np.lexsort((best_ids, -best))
    return best_ids[order].tolist(), best[order].tolist(), more


def _among(these: "npt.NDArray[Any]", wanted: "npt.NDArray[Any]") -> "npt.NDArray[np.bool_]":
    return these == wanted[0] if len(wanted) == 1 else np.isin(these, wanted)


def _idf(living: int, holding: int) -> float:
    """How much a word tells: less, the more passages hold it."""
    return max(LEAST_IDF, float(np.log((living - holding + 0.5) / (holding + 0.5)))) if living > holding else LEAST_IDF
