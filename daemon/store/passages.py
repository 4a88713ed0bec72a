"""What is known of every passage of the present: whose it is, how long, and what is said just before and after it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from enhanced_memory.daemon.store.bm25 import BESIDE, LONGEST_BESIDE
from enhanced_memory.daemon.store.occurrences import BLOCK, Floats, Ids, Log, Source

__all__ = ["Page", "Passages", "Seen", "once"]


class Page:
    """Passages that came, and the order of the messages among them."""

    def __init__(self, source: Source, beyond: int, upto: int, newest: int) -> None:
        """Those after `beyond` and up to `upto`, as `source` sees them; `newest` is the newest message known before."""
        self.beyond, self.upto = beyond, upto
        self.heads = np.array(source.heads(beyond, upto), np.int64).reshape(-1, 5)
        """Each a `Head`."""
        lines = self.heads[self.heads[:, 3] > 0]
        timely = lines[:, 3] > np.maximum.accumulate(np.concatenate(([newest], lines[:, 3])))[:-1]
        self.late: frozenset[int] = frozenset(lines[~timely, 0].tolist())
        """Those whose messages are older than one known before: their place among others is looked up."""
        lines = lines[timely]
        lines = lines[np.lexsort((lines[:, 3], lines[:, 2], lines[:, 1]))]
        self.lines: Ids = lines[:, 0]
        """The others, stream by stream in the order in which they were said."""
        goes_on = np.zeros(len(lines), np.bool_)
        goes_on[1:] = (lines[1:, 1:3] == lines[:-1, 1:3]).all(axis=1)
        self.joined = np.flatnonzero(goes_on)
        """Which of these follow the one before."""
        sought = [*self.lines[~goes_on].tolist(), *self.late]
        self.beside = source.beside(sought) if sought else []


class Seen(NamedTuple):
    """What is known of passages, one after another from 0 on, as long as a question takes."""

    lasts: "npt.NDArray[np.bool_]"
    """Whether there is such a passage, and it has not ended."""
    spaces: "npt.NDArray[np.int32]"
    owners: Ids
    messages: "npt.NDArray[np.bool_]"
    upto: int
    """The newest that is known."""
    living: int


class Passages:
    """By their ids. Whoever asks or changes holds the lock of the postings; what was `seen` may be read without."""

    def __init__(self) -> None:
        self.upto = 0
        """The newest that is known."""
        self.newest = 0
        """The newest message among them."""
        self.living = self.ended = 0
        self.moved = Log()
        """Those that got other neighbours since a message was withdrawn."""
        self._words, self._held = np.zeros(2), np.zeros(2)
        self._lasts, self._messages = np.zeros(0, np.bool_), np.zeros(0, np.bool_)
        self._spaces, self._owners = np.zeros(0, np.int32), np.zeros(0, np.int64)
        self._lengths = np.zeros(0, np.uint16)
        self._before, self._after = np.zeros(0, np.int32), np.zeros(0, np.int32)

    @property
    def averages(self) -> Floats:
        """How many words an entity's passage has, and a message's with those beside it."""
        return np.maximum(1, self._words / np.maximum(1, self._held)).astype(np.float32)

    @property
    def seen(self) -> Seen:
        """As they are now."""
        return Seen(self._lasts, self._spaces, self._owners, self._messages, self.upto, self.living)

    def take(self, page: Page) -> None:
        """Know of the next ones."""
        self._room(page.upto + 1)
        ids, spaces, owners, messages, lengths = page.heads.T
        self._spaces[ids], self._owners[ids], self._messages[ids], self._lasts[ids] = spaces, owners, messages > 0, True
        self._lengths[ids] = np.minimum(lengths, 0xFFFF)
        self.living += len(ids)
        for kind in (0, 1):
            mine = (messages > 0) == kind
            self._held[kind] += np.count_nonzero(mine)
            self._words[kind] += self._lengths[ids[mine]].sum(dtype=np.int64)
        self.newest = max(self.newest, int(messages.max(initial=0)))
        self.upto = page.upto
        earlier, later = page.lines[page.joined - 1], page.lines[page.joined]
        self._before[later], self._after[earlier] = earlier, later
        self._words[1] += self._shared(earlier, later)
        for passage, before, after in page.beside:
            if 0 < before <= self.upto:
                self._link(before, passage)
            if passage in page.late and 0 < after <= self.upto:
                self._link(passage, after)

    def end(self, passage: int) -> None:
        """It has ended, and what was said before it is followed by what was said after."""
        if passage > self.upto or not self._lasts[passage]:
            return  # whoever looks at it will see that it has ended, or was told so since
        self._lasts[passage] = False
        self.living -= 1
        self.ended += 1
        kind = int(self._messages[passage])
        self._held[kind] -= 1
        self._words[kind] -= int(self._lengths[passage])
        before, after = int(self._before[passage]), int(self._after[passage])
        self._part(before, passage)
        self._part(passage, after)
        if before and after:
            self._link(before, after)
        self.moved.add([one for one in (before, after) if one])

    def _link(self, before: int, after: int) -> None:
        """Let one follow another."""
        self._part(before, int(self._after[before]))
        self._part(int(self._before[after]), after)
        self._after[before], self._before[after] = after, before
        self._words[1] += self._shared(np.array([before]), np.array([after]))

    def _part(self, before: int, after: int) -> None:
        if before and after:
            self._after[before] = self._before[after] = 0
            self._words[1] -= self._shared(np.array([before]), np.array([after]))

    def _shared(self, earlier: Ids, later: Ids) -> int:
        """How many words lie beside others where these follow those."""
        one, other = self._lengths[earlier].astype(np.int64), self._lengths[later].astype(np.int64)
        return int(one[other <= LONGEST_BESIDE].sum() + other[one <= LONGEST_BESIDE].sum())

    def _room(self, size: int) -> None:
        if size > len(self._lasts):
            size = -(-max(size, 2 * len(self._lasts)) // BLOCK) * BLOCK
            for name in ("_lasts", "_messages", "_spaces", "_owners", "_lengths", "_before", "_after"):
                held = getattr(self, name)
                wider = np.zeros(size, held.dtype)
                wider[: len(held)] = held
                setattr(self, name, wider)

    def are_messages(self, passages: Ids) -> "npt.NDArray[np.bool_]":
        """Which of them are."""
        return self._messages[passages]

    def lasting(self, passages: Ids) -> "npt.NDArray[np.bool_]":
        """Which of them are there and have not ended."""
        return self._lasts[passages]

    def beside(self, passages: Ids) -> tuple[Ids, Ids]:
        """The passages of what is said just before each of them, and of what is said just after; 0 where there is none."""
        return self._before[passages].astype(np.int64), self._after[passages].astype(np.int64)

    def around(self, passages: Ids) -> Ids:
        """The passages of what is said just before or after some of them, each once."""
        found = np.unique(np.concatenate(self.beside(passages)))
        return found[found > 0]

    def stands_alone(self, passages: Ids) -> "npt.NDArray[np.bool_]":
        """Which of them are so long that what is said beside them tells nothing."""
        return self._lengths[passages] > LONGEST_BESIDE

    def lengths(self, passages: Ids) -> Floats:
        """How many words each has, with those beside it."""
        own = self._lengths[passages].astype(np.float32)
        near = sum(np.where(there > 0, self._lengths[there], 0).astype(np.float32) for there in self.beside(passages))
        return np.where(own > LONGEST_BESIDE, own, own + near)

    def gain(self, scores: dict[int, float]) -> None:
        """Let messages gain a share of the scores of what is said beside them."""
        ids = np.array(sorted(one for one in scores if one <= self.upto), np.int64)
        worth = [scores[one] * BESIDE for one in ids.tolist()]
        for there in self.beside(ids):
            for one, gain, alone in zip(there.tolist(), worth, self.stands_alone(there).tolist(), strict=True):
                if one and not alone:
                    scores[one] = scores.get(one, 0.0) + gain


def once(passages: Ids) -> "tuple[Ids, npt.NDArray[np.intp]]":
    """Each of ordered passages once, and where it begins."""
    begins = np.flatnonzero(np.concatenate(([True], passages[1:] != passages[:-1]))[: len(passages)])
    return passages[begins], begins
