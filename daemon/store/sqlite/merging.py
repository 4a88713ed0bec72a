# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false
"""Merging the segments of the words indexes, and when: every commit that writes words leaves one, and every word is looked up in each."""

import time
from collections.abc import Callable

import apsw

__all__ = ["INDEXES", "MANY_SEGMENTS", "MERGE_GROUPS", "Merging"]

INDEXES = ("words", "words_past")

MERGE_PAGES, MERGE_STEP = 64, 4
"""How much merging writes in an idle moment at the most, some six milliseconds, and in one step, after each of which it is looked
whether somebody waits. Where most of what is merged was deleted, a page takes ten times as long."""
MERGE_AFTER = 500
"""Passages and changes written after which merging the words indexes is worth an idle moment."""
MERGE_GROUPS = 16
"""Commits after which merging does not wait for an idle moment. Each leaves a segment in an index, and the 64th has SQLite merge
them all at once, within a commit that somebody waits for: 60 ms, and every 4,096th many times that."""
MERGE_AGAIN = 1
"""Commits after which the next step follows where a step left something."""
MERGE_BESIDE, MERGE_S = 16, 0.004
"""The same beside changes, and how long of the processor."""
MERGE_PASSED = 16
"""Times that merging is put off, between two times that nothing is left to merge, because somebody waits."""
MERGED_IDLE, MERGED_BESIDE = (4, 25), (16, 0)
"""How many segments of a level are merged into one, and of how much of it in percent, deleted, it is written anew (0: never), in an
idle moment and where changes keep coming. Of the words that most passages have the list is merged at once: among 400,000 passages
up to 140 ms, which beside changes is to be rare. A search looks into more segments for as long."""
MANY_SEGMENTS = 12
"""Segments of the words index above which a store that was just opened has its merging to do: a load that ended with the
process leaves them, and every word is looked up in each (a probe of a word takes four times as long with 26 as with one)."""


class Merging:
    """What is known of segments that wait to be merged, and merges them, a little at a time. On the writer's thread."""

    def __init__(self) -> None:
        self.unmerged = 0
        """Passages and changes written since nothing was left to merge in an idle moment."""
        self.commits = 0
        """Since words were last merged."""
        self._passed = 0
        """Times that merging was put off."""
        self._told: tuple[int, int] | None = None
        """What the indexes were told last of when to merge."""
        self._inherited = False
        """Whether a load that ended with its process left words to merge: more than a step beside each commit would get done in time."""

    def found(self, segments: int) -> None:
        """So many segments were there when the file was opened."""
        if segments > MANY_SEGMENTS:
            self.unmerged, self.commits, self._inherited = MERGE_AFTER + 1, MERGE_GROUPS, True

    @property
    def due(self) -> bool:
        """Whether merging is worth an idle moment."""
        return self.unmerged > MERGE_AFTER

    def idle(self, connection: apsw.Connection, waited_for: Callable[[], bool]) -> None:
        """Merge in an idle moment."""
        if not self._merge(connection, MERGED_IDLE, MERGE_PAGES, waited_for):
            self.unmerged = 0

    def pressing(self, waited_for: Callable[[], bool]) -> bool:
        """Whether merging waits for an idle moment no longer. It may be put off some times because somebody waits."""
        if self.commits < MERGE_GROUPS:
            return False
        if not self._inherited and self._passed < MERGE_PASSED and waited_for():
            self._passed += 1
            return False
        return True

    def beside(self, connection: apsw.Connection, waited_for: Callable[[], bool]) -> None:
        """Merge between changes that keep coming."""
        if self._inherited:
            left = self._merge(connection, MERGED_IDLE, MERGE_PAGES, lambda: False)
        else:
            end = time.thread_time() + MERGE_S
            left = self._merge(
                connection, MERGED_BESIDE, MERGE_BESIDE, lambda: time.thread_time() >= end or waited_for()
            )
        if left:
            self.commits = MERGE_GROUPS - MERGE_AGAIN

    def _merge(
        self, connection: apsw.Connection, when: tuple[int, int], pages: int, enough: Callable[[], bool]
    ) -> bool:
        """Merge in steps, up to so many pages, until that is `enough`; whether something may be left to merge."""
        left, told = True, self._told == when
        self._told = None  # nothing is known of what fails
        with connection:
            for index in () if told else INDEXES:
                for option, value in zip(("usermerge", "deletemerge"), when, strict=True):
                    connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES (?, ?)", (option, value))
            for _ in range(0, pages, MERGE_STEP):
                left = any(_merge_in(connection, index) for index in INDEXES)
                if not left or enough():
                    break
        self._told = when
        if not left:
            self.commits = self._passed = 0
            self._inherited = False
        return left


def _merge_in(connection: apsw.Connection, index: str) -> bool:
    before = connection.total_changes()
    connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('merge', ?)", (MERGE_STEP,))
    # FTS5 says so: fewer than two rows changed means that nothing was left to merge.
    return connection.total_changes() - before >= 2
