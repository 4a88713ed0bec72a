"""Postings in memory: in which passages a word is and how much it counts there, once for all questions.

The words index on disk finds a passage in 0.05 µs and scores it in 1 to 2 µs, and walks a word's passages twice for every
question. Here the passages of a word that was asked for are kept, each with what the word adds to its score, in three bytes: for
being in it, or in what was said just before or after it in its stream, which no index on disk repeats. A question adds up the
arrays of its words, block by block of 65,536 passages, and takes the best: the exact scores of BM25 (Robertson and Zaragoza 2009)
for any of the words, in 5 ns a passage (docs/decisions/0026-postings-in-memory.md). Scores computed ahead and one byte each:
impact-ordered indexes (Anh, de Kretser and Moffat 2001), here in the order of passages.

What is kept is derived and may lag behind: a word catches up when it is asked for. Whoever takes what is found looks at the
passages' own rows before telling it.
"""

from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

from enhanced_memory.daemon.store.adding import MOST_WORTH, STEPS, added_up
from enhanced_memory.daemon.store.bm25 import BESIDE, K1, OF_ENTITIES, OF_MESSAGES, B
from enhanced_memory.daemon.store.occurrences import (
    BLOCK,
    COLUMNS,
    Floats,
    Ids,
    Log,
    Mark,
    Source,
    Wanted,
    Word,
)
from enhanced_memory.daemon.store.passages import Page, Passages, once

__all__ = ["Postings"]

AT_ONCE = 4_000
"""Passages that the index looks at while a question waits; where there are more, the question is put to it as a whole."""
AT_ONCE_SMALL = 20_000
"""The same in a store of no more passages than this."""

DRIFT = 0.03
"""By how much the passages' average length may have changed since a word's worth was computed with it; and the share of
passages that may have ended before those of a word are counted again."""

PAGE = 8_192
"""Passages looked at in one go: a few milliseconds in which nobody else runs Python."""

WHICH = 40
PASSAGE = (1 << WHICH) - 1
"""Where several words are read at once, the bits of a passage's id, and of which word it is above these."""

MOST_TERMS, LONGEST = 20_000, 100
"""Expressions whose word is remembered, and their characters."""


class Postings:
    """The words of one index of the present. Several readers ask at once, each with a source of its own."""

    def __init__(self, last: int, most_bytes: int) -> None:
        """`last` is the newest passage."""
        self._weights = np.array([OF_ENTITIES, OF_MESSAGES], np.float32)
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._last = last
        self._generation = 0
        self._told: deque[tuple[int, Sequence[int]]] = deque()
        self._gone = Log()
        self._terms: dict[str, str] = {}
        self._empty()
        self._mark = Mark(last, 0, 0, 0)

    def _empty(self) -> None:
        self._words: OrderedDict[str, Word] = OrderedDict()
        self._passages = Passages()
        self._bytes = 0

    # What changes in the store

    def mark(self) -> Mark:
        """To be taken before a reader begins to look. Never waits: an older one says less, and is as true."""
        if self._lock.acquire(blocking=False):
            try:
                self._take_in()
                self._mark = Mark(self._last, self._passages.moved.count, self._gone.count, self._generation)
            finally:
                self._lock.release()
        return self._mark

    def changed(self, last: int, ended: Sequence[int]) -> None:
        """A change is on disk: the newest passage, and those that it ended. Never waits."""
        self._told.append((last, ended))
        if self._lock.acquire(blocking=False):
            try:
                self._take_in()
            finally:
                self._lock.release()

    def _take_in(self) -> None:
        while self._told:
            last, ended = self._told.popleft()
            self._last = max(self._last, last)
            self._gone.add(ended)
            for passage in ended:
                self._passages.end(passage)

    def begin_again(self, last: int) -> None:
        """Passages after `last` are given out once more: keep nothing."""
        with self._lock:
            self._told.clear()
            self._last = last
        self.forget()

    def forget(self) -> None:
        """Keep nothing of what was read: the index was made anew, or something was purged."""
        with self._lock:
            self._generation += 1
            self._empty()

    # Reading ahead

    @property
    def bytes(self) -> int:
        """What the words take in memory."""
        return self._bytes

    @property
    def words(self) -> int:
        """How many words are kept."""
        return len(self._words)

    def holds(self, term: str) -> bool:
        """Whether a word is kept."""
        return term in self._words

    def follow(self, source: Source, mark: Mark, page: int = PAGE) -> bool:
        """Look at the passages that came, and at what is said beside what; whether there are more than one `page` of them."""
        beyond, upto = self._passages.upto, min(mark.last, self._passages.upto + page)
        if mark.generation != self._generation or beyond >= mark.last:
            return False
        came = Page(source, beyond, upto, self._passages.newest)
        with self._lock:
            if mark.gone < self._gone.before:
                return False  # more has ended since than is remembered
            if mark.generation != self._generation or self._passages.upto != beyond:
                return True  # somebody else was faster
            self._passages.take(came)
            for passage in self._gone.since(mark.gone):
                self._passages.end(passage)
        return upto < mark.last

    def read(self, source: Source, mark: Mark, terms: Sequence[str], most: int = 0) -> dict[str, Word]:
        """Read all passages of words, and keep them, but for a word that stands in more than `most` places."""
        every = source.every(terms, mark.last, most)
        kept = [(term, *told) for term, told in zip(terms, every, strict=True) if told is not None]
        words = dict[str, Word]()
        with self._lock:
            if kept and mark.generation == self._generation:
                upto = min(mark.last, self._passages.upto)
                which = np.repeat(np.arange(len(kept)) << WHICH, [len(passages) for _, passages, _ in kept])
                passages = np.concatenate([passages for _, passages, _ in kept])
                columns = np.concatenate([columns for _, _, columns in kept])
                seen = passages <= upto
                passages, columns = (passages | which)[seen], columns[seen]
                ids, begins = once(passages)
                many = len(COLUMNS)
                places = np.repeat(np.arange(len(ids)) * many, np.diff(np.append(begins, len(passages)))) + columns
                often = np.bincount(places, minlength=len(ids) * many).astype(np.float32).reshape(-1, many)
                ids, worth = self._worth_of(ids, often, upto)
                edges = np.searchsorted(ids, np.arange(len(kept) + 1) << WHICH).tolist()
                averages = self._passages.averages
                for (term, *_), begin, end in zip(kept, edges, edges[1:], strict=False):
                    mine = ids[begin:end] & PASSAGE
                    words[term] = Word(mine, worth[begin:end], upto, mark.moved, averages, self._passages.ended)
                    self._keep(term, words[term])
        return words

    def _worth_of(self, ids: Ids, often: Floats, upto: int) -> "tuple[Ids, npt.NDArray[np.uint8]]":
        """What words are worth where they are, and in the messages before and after, in passages up to `upto`.

        `often` tells of each of `COLUMNS` of each passage. Which word it is of stands in the bits of an id above a `PASSAGE`'s.
        """
        if not len(ids):
            return ids, np.zeros(0, np.uint8)
        which, passages = ids & ~PASSAGE, ids & PASSAGE
        messages = self._passages.are_messages(passages).astype(np.intp)
        own = (self._weights[messages] * often).sum(axis=1)
        said = messages * (often[:, 0] + often[:, 1]) * np.float32(BESIDE)
        others: list[Ids] = [ids]
        gains: list[Floats] = [np.zeros(len(ids), np.float32)]
        for beside in self._passages.beside(passages):
            there = (beside > 0) & (said > 0)
            others.append((which | beside)[there])
            gains.append(said[there].astype(np.float32))
        every = np.concatenate(others)
        order = np.argsort(every, kind="stable")
        found, begins = once(every[order])
        gained = np.add.reduceat(np.concatenate(gains)[order], begins)
        passages = found & PASSAGE
        gained[self._passages.stands_alone(passages)] = 0
        gained[np.searchsorted(found, ids)] += own
        kept = (gained > 0) & (passages <= upto)
        return found[kept], self._worth(passages[kept], gained[kept])

    def _worth(self, passages: Ids, often: Floats) -> "npt.NDArray[np.uint8]":
        average = self._passages.averages[self._passages.are_messages(passages).astype(np.intp)]
        worth = often * (K1 + 1) / (often + K1 * (1 - B + B * self._passages.lengths(passages) / average))
        return np.maximum(np.rint(worth * (STEPS / MOST_WORTH)), 1).astype(np.uint8)

    def _keep(self, term: str, word: Word) -> None:
        before = self._words.pop(term, None)
        self._bytes += word.bytes - (before.bytes if before is not None else 0)
        self._words[term] = word
        while self._bytes > self._most_bytes and len(self._words) > 1:
            self._bytes -= self._words.popitem(last=False)[1].bytes

    # Questions

    def best(
        self, source: Source, mark: Mark, asked: Sequence[str], count: int, spaces: Collection[int], messages: bool,
        owners: Collection[int] = (), ceiling: int | None = None,
    ) -> tuple[list[int], list[float], bool]:  # fmt: skip
        """The passages with any of the words that score highest, their scores, and whether there are more.

        Of the given spaces, of entities or messages, of these entities or streams where `owners` are named, up to the passage `ceiling`.
        Raises `Wanted` where too much of that would have to be read first.
        """
        small = mark.last <= AT_ONCE_SMALL
        at_once = AT_ONCE_SMALL if small else AT_ONCE
        if mark.generation != self._generation or mark.last - self._passages.upto > (
            AT_ONCE_SMALL if small else BLOCK // 4
        ):
            raise Wanted
        while self._passages.upto < mark.last and self.follow(source, mark):
            pass
        if self._passages.upto < mark.last:
            raise Wanted
        words, others = self._asked(source, mark, asked, at_once)
        beside = dict[int, float]()
        if others:
            found = source.scored(" OR ".join(others), messages, 0, mark.last, at_once + 1)
            if len(found) > at_once:
                raise Wanted
            beside.update(found)
            if messages:
                with self._lock:
                    self._passages.gain(beside)
        tail = dict[int, float]()
        newest = source.newest()
        if newest > mark.last:
            # On disk already and not told of yet.
            found = source.scored(" OR ".join(asked), messages, mark.last, newest, at_once + 1)
            if len(found) > at_once:
                raise Wanted
            tail.update(found)
        last = newest if ceiling is None else min(ceiling, newest)
        with self._lock:
            if mark.generation != self._generation:
                raise Wanted
            seen = self._passages.seen
            late = np.array(sorted(set(self._gone.since(mark.gone))), np.int64)
        return added_up(words, beside, tail, seen, late, count, frozenset(spaces), messages, frozenset(owners), last)

    def _asked(self, source: Source, mark: Mark, asked: Sequence[str], at_once: int) -> tuple[list[Word], list[str]]:
        """The words that are asked for, up to date, and what is none of them."""
        used, others = list[str](), list[str]()
        words = dict[str, Word]()
        lacking = dict[str, None]()
        for expression in asked:
            term = self._term(source, expression)
            if not term:
                others.append(expression)
                continue
            used.append(term)
            word = self._up_to_date(source, mark, term, expression, at_once)
            if word is None:
                lacking[term] = None
            else:
                words[term] = word
        if lacking:
            words |= self.read(source, mark, list(lacking), max(at_once, source.at_once // len(lacking)))
            if not words.keys() >= lacking.keys():
                raise Wanted(*(term for term in lacking if term not in words))
        with self._lock:
            for term in used:
                if term in self._words:
                    self._words.move_to_end(term)
        return [words[term] for term in used], others

    def _up_to_date(self, source: Source, mark: Mark, term: str, expression: str, at_once: int) -> Word | None:
        """A word that is kept, as it is by now; none that has to be read as a whole."""
        word = self._words.get(term)
        if word is not None and np.abs(word.averages / self._passages.averages - 1).max() > DRIFT:
            return None
        if word is not None and (word.upto < mark.last or word.moved < mark.moved):
            word = self._catch_up(source, mark, term, expression, word, at_once)
        if word is not None and self._passages.ended - word.ended > DRIFT * self._passages.living:
            word = self._counted(mark, term, word)
        return word

    def _term(self, source: Source, expression: str) -> str:
        term = self._terms.get(expression)
        if term is None:
            term = source.term(expression)
            if len(expression) <= LONGEST:
                if len(self._terms) >= MOST_TERMS:
                    self._terms.clear()
                self._terms[expression] = term
        return term

    def _catch_up(
        self, source: Source, mark: Mark, term: str, expression: str, word: Word, at_once: int
    ) -> Word | None:
        """A word with what came since it was asked for last. None where it has to be read as a whole."""
        if word.moved < self._passages.moved.before:
            return None
        dense = len(word.places) / max(1, word.upto)
        if (mark.last - word.upto) * dense > at_once:
            return None
        with self._lock:
            if mark.generation != self._generation:
                raise Wanted
            moved = np.array(self._passages.moved.since(word.moved, mark.moved), np.int64)
            beside = self._passages.around(np.arange(word.upto + 1, mark.last + 1, dtype=np.int64))
            again = np.union1d(moved, beside)
            again = again[again <= word.upto]
            others = np.union1d(again, self._passages.around(again))
        if len(again) > at_once:
            return None
        found = source.since(expression, word.upto, mark.last, others[others <= word.upto].tolist())
        with self._lock:
            if mark.generation != self._generation:
                raise Wanted
            if self._words.get(term) is not word:
                # Somebody else was faster, or it had to make room.
                return self._words.get(term)
            passages, worth = word.passages(), word.worth
            if len(again):
                kept = ~np.isin(passages, again)
                passages, worth = passages[kept], worth[kept]
            if found:
                told = np.array(sorted(found), np.int64)
                ids, more = self._worth_of(told[:, 0], told[:, 1:].astype(np.float32), mark.last)
                mine = (ids > word.upto) | np.isin(ids, again)
                passages = np.concatenate((passages, ids[mine]))
                worth = np.concatenate((worth, more[mine]))
                order = np.argsort(passages, kind="stable")
                passages, worth = passages[order], worth[order]
            caught_up = Word(passages, worth, max(word.upto, mark.last), mark.moved, word.averages, word.ended)
            self._keep(term, caught_up)
            return caught_up

    def _counted(self, mark: Mark, term: str, word: Word) -> Word:
        """A word without the passages that have ended: the fewer hold it, the more it tells."""
        with self._lock:
            if self._words.get(term) is not word:
                return word
            ended, passages = self._passages.ended, word.passages()
            last = self._passages.lasting(passages)
            last |= np.isin(passages, np.array(self._gone.since(mark.gone), np.int64))
            fresh = Word(passages[last], word.worth[last], word.upto, word.moved, word.averages, ended)
            self._keep(term, fresh)
            return fresh
