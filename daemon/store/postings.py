"""Postings in memory: in which passages a word is and how much it counts there, once for all questions.

The words index on disk finds a passage in 0.05 µs and scores it in 1 to 2 µs, and walks a word's passages twice for every
question. Here the passages of a word that was asked for are kept, each with what the word adds to its score, in three bytes; a
question adds up the arrays of its words, block by block of 65,536 passages, and takes the best: the exact scores of BM25 (Robertson
and Zaragoza 2009) for any of the words, in 5 ns a passage (docs/decisions/0026-postings-in-memory.md). Scores computed ahead and one byte
each: impact-ordered indexes (Anh, de Kretser and Moffat 2001), here in the order of passages.

What is kept is derived and may lag behind: a word catches up when it is asked for. Whoever takes what is found looks at the
passages' own rows before telling it.
"""

from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

from enhanced_memory.daemon.store.adding import K1, MOST_WORTH, STEPS, B, added_up
from enhanced_memory.daemon.store.occurrences import BITS, BLOCK, Block, Floats, Ids, Log, Mark, Source, Wanted, Word

__all__ = ["Postings"]

AT_ONCE = 4_000
"""Passages of a word that are read while a question waits; more are read beside it."""
AT_ONCE_SMALL = 20_000
"""The same in a store of no more passages than this."""

DRIFT = 0.03
"""By how much the passages' average length may have changed since a word's worth was computed with it; and the share of
passages that may have ended before those of a word are counted again."""

PAGE = 8_192
"""Passages looked at in one go: a few milliseconds in which nobody else runs Python."""

MOST_TERMS, LONGEST = 20_000, 100
"""Expressions whose word is remembered, and their characters."""


class Postings:
    """The words of one index of the present. Several readers ask at once, each with a source of its own."""

    def __init__(self, last: int, most_bytes: int, weights: tuple[Sequence[float], Sequence[float]]) -> None:
        """`last` is the newest passage; `weights` are those of the four columns, in entities' passages and in messages'."""
        self._weights = np.array(weights, np.float32)
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._last = last
        self._generation = 0
        self._told: deque[tuple[int, Sequence[int], Sequence[int]]] = deque()
        self._renewed = Log()
        self._gone = Log()
        self._terms: dict[str, str] = {}
        self._empty()
        self._mark = Mark(last, 0, 0, 0)

    def _empty(self) -> None:
        self._words: OrderedDict[str, Word] = OrderedDict()
        self._blocks: list[Block] = []
        self._upto = 0
        self._living = self._ended = 0
        self._measured = self._renewed.count
        self._length = 0
        self._bytes = 0

    # What changes in the store

    def mark(self) -> Mark:
        """To be taken before a reader begins to look. Never waits: an older one says less, and is as true."""
        if self._lock.acquire(blocking=False):
            try:
                self._take_in()
                self._mark = Mark(self._last, self._renewed.count, self._gone.count, self._generation)
            finally:
                self._lock.release()
        return self._mark

    def changed(self, last: int, ended: Sequence[int], renewed: Sequence[int]) -> None:
        """A change is on disk: the newest passage, those that it ended, and those that it indexed anew. Never waits."""
        self._told.append((last, ended, renewed))
        if self._lock.acquire(blocking=False):
            try:
                self._take_in()
            finally:
                self._lock.release()

    def _take_in(self) -> None:
        while self._told:
            last, ended, renewed = self._told.popleft()
            self._last = max(self._last, last)
            self._renewed.add(renewed)
            self._gone.add(ended)
            for passage in ended:
                self._end(passage)

    def _end(self, passage: int) -> None:
        if passage > self._upto:
            return  # whoever looks at it will see that it has ended, or was told so since
        block, place = self._blocks[passage >> BITS], passage & (BLOCK - 1)
        if block.lasts[place]:
            block.lasts[place] = False
            self._living -= 1
            self._ended += 1
            self._length -= int(block.lengths[place])

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
        """Look at the passages that came; whether there are more than one `page` of them."""
        beyond, upto = self._upto, min(mark.last, self._upto + page)
        if mark.generation != self._generation or beyond >= mark.last:
            return False
        heads = source.heads(beyond, upto)
        with self._lock:
            if mark.gone < self._gone.before:
                return False  # more has ended since than is remembered
            if mark.generation != self._generation or self._upto != beyond:
                return True  # somebody else was faster
            while len(self._blocks) <= upto >> BITS:
                self._blocks.append(Block())
            if heads:
                told = np.array(heads, np.int64)
                for number in range(beyond >> BITS, (upto >> BITS) + 1):
                    mine = told[told[:, 0] >> BITS == number]
                    block, places = self._blocks[number], mine[:, 0] & (BLOCK - 1)
                    block.owners[places], block.messages[places] = mine[:, 2], mine[:, 3] > 0
                    block.lengths[places] = np.minimum(mine[:, 4], 0xFFFF)
                    block.spaces[places], block.lasts[places] = mine[:, 1], True
                self._living += len(told)
                self._length += int(np.minimum(told[:, 4], 0xFFFF).sum())
            self._upto = upto
            for passage in self._gone.since(mark.gone):
                self._end(passage)
        return upto < mark.last

    def measure(self, source: Source, mark: Mark) -> None:
        """Look again at how long passages are that were indexed anew. Those forgotten since keep the length that they had."""
        with self._lock:
            again = {one for one in self._renewed.since(self._measured, mark.renewed) if one <= self._upto}
        lengths = source.lengths(again) if again else []
        with self._lock:
            if mark.generation != self._generation or mark.renewed <= self._measured:
                return
            for passage, length in lengths:
                block, place = self._blocks[passage >> BITS], passage & (BLOCK - 1)
                if block.lasts[place]:
                    self._length += min(length, 0xFFFF) - int(block.lengths[place])
                block.lengths[place] = min(length, 0xFFFF)
            self._measured = mark.renewed

    def read(self, source: Source, mark: Mark, term: str) -> None:
        """Read all passages of a word."""
        passages, columns = source.every(term, mark.last)
        with self._lock:
            if mark.generation != self._generation:
                return
            upto = min(mark.last, self._upto)
            seen = passages <= upto
            passages, columns = passages[seen], columns[seen]
            if len(passages):
                begins = np.flatnonzero(np.concatenate(([True], passages[1:] != passages[:-1])))
                ids = passages[begins]
                often = np.add.reduceat(self._weights[self._known(ids, "messages").astype(np.intp).repeat(
                    np.diff(np.append(begins, len(passages)))), columns], begins)  # fmt: skip
                lengths = self._known(ids, "lengths")
            else:
                ids, often, lengths = passages, np.zeros(0, np.float32), np.zeros(0, np.uint16)
            kept = often > 0
            word = Word(
                ids[kept], self._worth(often[kept], lengths[kept]), upto, mark.renewed, self._average, self._ended
            )
            self._keep(term, word)

    def _known(self, passages: Ids, what: str) -> "npt.NDArray[np.generic]":
        """One thing that is known of each passage, in order."""
        edges = np.searchsorted(passages, np.arange(len(self._blocks) + 1, dtype=np.int64) << BITS)
        return np.concatenate(
            [
                getattr(block, what)[passages[edges[number] : edges[number + 1]] & (BLOCK - 1)]
                for number, block in enumerate(self._blocks)
            ]
        )

    @property
    def _average(self) -> float:
        """How many words a passage has."""
        return max(1.0, self._length / max(1, self._living))

    def _worth(self, often: Floats, lengths: "npt.NDArray[np.generic]") -> "npt.NDArray[np.uint8]":
        worth = often * (K1 + 1) / (often + K1 * (1 - B + B * lengths.astype(np.float32) / self._average))
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
        owner: int = 0, ceiling: int | None = None,
    ) -> tuple[list[int], list[float], bool]:  # fmt: skip
        """The passages with any of the words that score highest, their scores, and whether there are more.

        Of the given spaces, of entities or messages, of one entity or stream where `owner` is given, up to the passage `ceiling`.
        Raises `Wanted` where too much of that would have to be read first.
        """
        small = mark.last <= AT_ONCE_SMALL
        at_once = AT_ONCE_SMALL if small else AT_ONCE
        if mark.generation != self._generation or mark.last - self._upto > (AT_ONCE_SMALL if small else BLOCK // 4):
            raise Wanted
        while self._upto < mark.last and self.follow(source, mark):
            pass
        if self._upto < mark.last:
            raise Wanted
        if self._measured < mark.renewed:
            self.measure(source, mark)
        words, others = self._asked(source, mark, asked, at_once)
        beside = dict[int, float]()
        if others:
            found = source.scored(" OR ".join(others), messages, 0, mark.last, at_once + 1)
            if len(found) > at_once:
                raise Wanted
            beside.update(found)
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
            known, living, upto = self._blocks, self._living, self._upto
            late = np.array(sorted(set(self._gone.since(mark.gone))), np.int64)
        return added_up(words, beside, tail, known, upto, living, late, count, frozenset(spaces), messages, owner, last)

    def _asked(self, source: Source, mark: Mark, asked: Sequence[str], at_once: int) -> tuple[list[Word], list[str]]:
        """The words that are asked for, up to date, and what is none of them."""
        words, used, others, lacking = list[Word](), list[str](), list[str](), list[str]()
        average = self._average
        for expression in asked:
            term = self._term(source, expression)
            if not term:
                others.append(expression)
                continue
            word = self._words.get(term)
            if word is not None and abs(word.average / average - 1) > DRIFT:
                word = None
            if word is not None and (word.upto < mark.last or word.renewed < mark.renewed):
                word = self._catch_up(source, mark, term, expression, word, at_once)
            if word is None:
                if source.count(expression, at_once) > at_once:
                    lacking.append(term)
                    continue
                self.read(source, mark, term)
                word = self._words.get(term)
                if word is None:
                    raise Wanted(term)
            if self._ended - word.ended > DRIFT * self._living:
                word = self._counted(mark, term, word)
            words.append(word)
            used.append(term)
        if lacking:
            raise Wanted(*lacking)
        with self._lock:
            for term in used:
                if term in self._words:
                    self._words.move_to_end(term)
        return words, others

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
        if word.renewed < self._renewed.before:
            return None
        dense = len(word.places) / max(1, word.upto)
        if (mark.last - word.upto) * dense > at_once:
            return None
        with self._lock:
            again = {one for one in self._renewed.since(word.renewed, mark.renewed) if one <= word.upto}
        if len(again) > at_once:
            return None
        found = source.since(expression, word.upto, mark.last, again)
        with self._lock:
            if mark.generation != self._generation:
                raise Wanted
            if self._words.get(term) is not word:
                # Somebody else was faster, or it had to make room.
                return self._words.get(term)
            passages, worth = word.passages(), word.worth
            if again:
                kept = ~np.isin(passages, np.fromiter(again, np.int64, len(again)))
                passages, worth = passages[kept], worth[kept]
            if found:
                told = np.array(found, np.int64)
                order = np.argsort(told[:, 0], kind="stable")
                told = told[order]
                often = (self._weights[self._known(told[:, 0], "messages").astype(np.intp)] * told[:, 1:5]).sum(axis=1)
                told, often = told[often > 0], often[often > 0]
                passages = np.concatenate((passages, told[:, 0]))
                worth = np.concatenate((worth, self._worth(often, told[:, 5])))
                order = np.argsort(passages, kind="stable")
                passages, worth = passages[order], worth[order]
            fresh = Word(passages, worth, max(word.upto, mark.last), mark.renewed, word.average, word.ended)
            self._keep(term, fresh)
            return fresh

    def _counted(self, mark: Mark, term: str, word: Word) -> Word:
        """A word without the passages that have ended: the fewer hold it, the more it tells."""
        with self._lock:
            if self._words.get(term) is not word:
                return word
            ended, passages = self._ended, word.passages()
            last = self._known(passages, "lasts").astype(bool)
            last |= np.isin(passages, np.array(self._gone.since(mark.gone), np.int64))
            fresh = Word(passages[last], word.worth[last], word.upto, word.renewed, word.average, ended)
            self._keep(term, fresh)
            return fresh
