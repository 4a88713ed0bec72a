"""Postings kept in memory for all readers of a store, and the thread that reads ahead for them."""

import logging
import queue
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from enhanced_memory.client.errors import Error
from enhanced_memory.daemon.store.terms import STOP_WORDS

if TYPE_CHECKING:
    from enhanced_memory.daemon.store import Touched
    from enhanced_memory.daemon.store.occurrences import Mark, Source
    from enhanced_memory.daemon.store.postings import Postings

__all__ = ["Beside", "KeptWords", "Looking"]

log = logging.getLogger(__name__)

AHEAD = 20_000
"""Passages from which on words are read before anybody asks for them."""
COMMON, SHARE = 20, 3_000
"""Words of so many passages are, and of one passage of so many."""
MOST_WANTED = 100
"""Questions whose words wait to be read; what more are lacking is lacked again by the next."""
ROOM_AHEAD = 0.75
"""Of the room for words, how much those may take."""


class Looking(Protocol):
    """A connection of its own that looks into the words index."""

    @property
    def source(self) -> "Source":
        """The index."""
        ...

    def within(self) -> AbstractContextManager[None]:
        """One consistent view of it. What goes wrong there is an `Error`."""
        ...

    def common(self, least: int) -> list[str]:
        """The words that stand in at least so many passages, the most common first, as far as that is known."""
        ...

    def close(self) -> None:
        """Look no more."""
        ...


class KeptWords:
    """One store's. Tells nothing and takes no room until a reader asks it about a store that is large enough."""

    def __init__(
        self, look: Callable[[], Looking], last: int, most_bytes: int, shared: bool = False, ahead: bool = True
    ) -> None:
        """`look` opens a connection for reading; `last` is the newest passage. In a store that is `shared` others write, too, and
        changes are told in no order. Words that nobody has asked for yet are read `ahead`, or not."""
        self._look = look
        self._last = last
        self._most_bytes = most_bytes
        self._shared = shared
        self._made = threading.Lock()
        self.postings: Postings | None = None
        self._asked: queue.SimpleQueue[tuple[str, ...] | None] = queue.SimpleQueue()
        self._pending: set[str] = set()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._ahead = not ahead
        """Whether the common words were read, or are not to be."""

    @property
    def worthwhile(self) -> bool:
        """Whether there is anything to keep, and room for it."""
        return self._last > 0 and self._most_bytes > 0

    def have(self) -> "Postings":
        """The postings, made when they are asked for first."""
        with self._made:
            if self.postings is None:
                from enhanced_memory.daemon.store.postings import Postings

                self.postings = Postings(self._last, self._most_bytes)
            return self.postings

    def changed(self, touched: "Touched") -> None:
        """A change is on disk."""
        postings = self.postings
        if self._shared and not touched.number:
            if touched.everything:
                self.forget()
            return
        if touched.everything or (touched.passage < self._last and not self._shared):
            # The writer began anew and gives numbers out again that were told of before, or nobody knows what was missed.
            self._last = touched.passage
            if postings is not None:
                postings.begin_again(touched.passage)
            return
        self._last = max(self._last, touched.passage)
        if postings is not None:
            postings.changed(touched.passage, touched.ended)

    def forget(self) -> None:
        """Keep nothing of what was read."""
        if self.postings is not None:
            self.postings.forget()

    def close(self) -> None:
        """Stop reading ahead."""
        self._closing = True
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()

    # Reading ahead

    def want(self, terms: tuple[str, ...]) -> None:
        """Words that a question lacked are to be read."""
        fresh = tuple(term for term in terms if term not in self._pending)
        if (fresh or not terms) and self._asked.qsize() < MOST_WANTED:
            self._pending.update(fresh)
            self._wake(fresh)

    def _wake(self, terms: tuple[str, ...]) -> None:
        with self._made:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._read_ahead, name="words", daemon=True)
                self._thread.start()
        self._asked.put(terms)

    def _read_ahead(self) -> None:
        looking = None
        while (terms := self._asked.get()) is not None and not self._closing:
            try:
                looking = looking or self._look()
                self._some(looking, terms)
                if not self._ahead and self._last >= AHEAD:
                    self._ahead = True
                    self._common(looking)
            except Exception as problem:
                if isinstance(problem, Error):
                    log.warning("words could not be read ahead: %s", problem)
                else:
                    log.exception("words could not be read ahead")
                self._leave(looking)
                looking = None
            self._pending.difference_update(terms)
        self._leave(looking)

    def _leave(self, looking: Looking | None) -> None:
        """Leave a connection; it may be broken."""
        if looking is not None:
            with suppress(Error):
                looking.close()

    def _common(self, looking: Looking) -> None:
        """Read the words that many passages hold, but for those that nobody asks for."""
        postings = self.have()
        idle = {looking.source.term(f'"{word}"') for word in STOP_WORDS}
        for term in looking.common(max(COMMON, self._last // SHARE)):
            if self._closing or postings.bytes > ROOM_AHEAD * self._most_bytes:
                return
            if term not in idle and not postings.holds(term):
                self._some(looking, (term,))
            while not self._asked.empty() and not self._closing:
                # Who asks meanwhile comes first.
                asked = self._asked.get()
                if asked is None:
                    self._closing = True
                    return
                try:
                    self._some(looking, asked)
                finally:
                    self._pending.difference_update(asked)

    def _some(self, looking: Looking, terms: tuple[str, ...]) -> None:
        postings, source = self.have(), looking.source
        more = True
        while more and not self._closing:
            more = self._within(looking, postings, lambda mark: postings.follow(source, mark))
        for term in terms:
            if not self._closing:
                self._within(looking, postings, lambda mark, term=term: postings.read(source, mark, [term]))

    def _within(self, looking: Looking, postings: "Postings", work: Callable[["Mark"], Any]) -> Any:
        mark = postings.mark()
        with looking.within():
            return work(mark)


class Beside:
    """What one reader asks: the postings that all share, and its own view of the index on disk."""

    def __init__(self, kept: KeptWords, look: "Callable[[], Source]") -> None:
        """`look` gives the index as the reader's connection sees it."""
        self._kept = kept
        self._look = look
        self._source: Source | None = None
        self._mark: Mark | None = None

    def begin(self) -> None:
        """Called before a transaction begins: what is told by now, it sees."""
        postings = self._kept.postings
        self._mark = postings.mark() if postings is not None else None

    def best(
        self, asked: Sequence[str], count: int, spaces: Collection[int], messages: bool, owners: Collection[int] = (), ceiling: int | None = None
    ) -> tuple[list[int], list[float], bool] | None:  # fmt: skip
        """As `Postings.best`; None where the index on disk is to be asked."""
        kept = self._kept
        if not kept.worthwhile:
            return None
        if self._mark is None:
            kept.have()  # and the next transaction knows of them
            kept.want(())
            return None
        from enhanced_memory.daemon.store.occurrences import Wanted

        if self._source is None:
            self._source = self._look()
        try:
            return kept.have().best(self._source, self._mark, asked, count, spaces, messages, owners, ceiling)
        except Wanted as wanted:
            kept.want(wanted.terms)
            return None
