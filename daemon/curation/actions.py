"""Actions that are done again and again in the same order: what was done so is how it is done. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from enhanced_memory.daemon.conflicts.statements import plain

__all__ = ["LEAST", "LEAST_ALONE", "Done", "Habit", "habits"]

LEAST = 3
"""Episodes in which actions follow one another alike."""

LEAST_ALONE = 5
"""The same for one action by itself, which says less."""

LONGEST = 12
"""Actions in a row."""

WHAT = 200
"""Characters of an action that tell it from others."""

NAMED = 50
"""Streams that are named as sources."""


class Done(msgspec.Struct):
    """What was done in one episode (a stream on one day), in order: the messages' ids and what they say."""

    stream: int
    actions: Sequence[tuple[int, str]]


class Habit(msgspec.Struct):
    """Actions in a row that came back."""

    steps: list[str]
    """In the words of the last time."""
    times: int
    """In how many episodes."""
    streams: list[int]
    messages: list[int]
    """Those of the episodes that it was found in, as many as are named."""


def habits(episodes: Iterable[Done]) -> list[Habit]:
    """Rows of actions that came back in enough episodes, none of them part of another; the most frequent first."""
    runs: list[tuple[Done, list[tuple[str, int, str]]]] = []
    for one in episodes:
        row: list[tuple[str, int, str]] = []
        for number, text in one.actions:
            what = plain(text[:WHAT])
            if what and (not row or row[-1][0] != what):  # one action going on is one action
                row.append((what, number, text))
        if row:
            runs.append((one, row))
    found: list[Habit] = []
    covered: set[tuple[str, ...]] = set()
    for length in range(LONGEST, 0, -1):
        at: dict[tuple[str, ...], list[tuple[Done, list[tuple[str, int, str]]]]] = {}
        for one, row in runs:
            seen: set[tuple[str, ...]] = set()
            for begin in range(len(row) - length + 1):
                part = row[begin : begin + length]
                key = tuple(what for what, _, _ in part)
                if key not in seen and key not in covered:
                    seen.add(key)
                    at.setdefault(key, []).append((one, part))
        for key, times in at.items():
            if len(times) >= (LEAST if length > 1 else LEAST_ALONE):
                found.append(_habit(times))
                covered |= {key[begin:end] for begin in range(length) for end in range(begin + 1, length + 1)}
    return sorted(found, key=lambda one: (-one.times, one.messages[0]))


def _habit(times: list[tuple[Done, list[tuple[str, int, str]]]]) -> Habit:
    named = times[-NAMED:]
    return Habit(
        [text for _, _, text in named[-1][1]],
        len(times),
        list(Counter(one.stream for one, _ in named)),
        [number for _, part in named for _, number, _ in part],
    )
