"""How often extraction is right on the excerpts in `bench/extraction`, and how often the keyword rule is.

A line of an excerpt is `speaker | label | text`; an empty speaker goes on. A label is a kind (or several, with `/`) and its
subject (or several), or `-` and the sort of trap. `first.txt` was tuned on; `second.txt` was written before the rules, and judged
without looking at what was wrong. `third.txt` to `fifth.txt` were written when the rules were done, without looking at them: what was
missed in the third, then in the fourth, was mended where grammar could; what is missed in the fifth was never looked at.
`sixth.txt` and `seventh.txt` were written by somebody who had not read the rules, `eighth.txt` and `ninth.txt` by the same once they
were; what was missed in all but the last was mended for, one after the other, each judged before it was looked at. `tenth.txt` to
`fourteenth.txt` came with the second reading (outlines), in the same way: written without looking at the rules, judged, then mended for.
`fifteenth.txt` and `sixteenth.txt` were written from what docs/extraction.md calls a fact, without knowing the rules; their misses were never looked at.
"""

import re
from pathlib import Path
from typing import NamedTuple

from enhanced_memory.daemon.extraction.extracting import THRESHOLD, extract
from enhanced_memory.daemon.extraction.turns import Turn, role_of

__all__ = ["HALVES", "Excerpt", "Quality", "Row", "by_keywords", "excerpts", "judged"]

FOLDER = Path(__file__).parent / "extraction"
HALVES = (
    "first.txt",
    "second.txt",
    "third.txt",
    "fourth.txt",
    "fifth.txt",
    "sixth.txt",
    "seventh.txt",
    "eighth.txt",
    "ninth.txt",
    "tenth.txt",
    "eleventh.txt",
    "twelfth.txt",
    "thirteenth.txt",
    "fourteenth.txt",
    "fifteenth.txt",
    "sixteenth.txt",
)
KINDS = {
    "pref": "preference", "req": "requirement", "dec": "decision", "plan": "plan", "habit": "habit", "prof": "profile",
    "rel": "relationship", "change": "correction",
}  # fmt: skip
KEYWORDS = ("prefer", "like", "use", "need", "want", "always", "never")
"""What the rule that everybody writes first looks for, in any case and within words."""


class Row(NamedTuple):
    """A sentence, who says it, and what it is."""

    speaker: str
    kinds: frozenset[str]
    """Empty for a trap."""
    subjects: frozenset[str]
    text: str


class Excerpt(NamedTuple):
    """A few sentences of a conversation."""

    title: str
    rows: list[Row]


class Quality(NamedTuple):
    """Of sentences: which of those told are facts, which facts are told; and of those, how many with the right kind and subject."""

    precision: float
    recall: float
    kind: float
    subject: float
    facts: int
    traps: int


def excerpts(half: str) -> list[Excerpt]:
    """The excerpts of a file."""
    found: list[Excerpt] = []
    speaker = ""
    for line in (FOLDER / half).read_text("utf-8").splitlines():
        if line.startswith("# "):
            found.append(Excerpt(line[2:], []))
        elif "|" in line:
            who, label, text = (part.strip() for part in line.split("|", 2))
            speaker = who or speaker
            kinds, _, subjects = label.partition(" ")
            fact = kinds != "-"
            found[-1].rows.append(
                Row(
                    speaker,
                    frozenset(KINDS[kind] for kind in kinds.split("/")) if fact else frozenset(),
                    frozenset(subjects.lower().split("/")) if fact else frozenset(),
                    text.replace("\\n", "\n"),
                )
            )
    return found


def judged(half: str) -> Quality:
    """What extraction makes of a file. Each sentence is a message, so that what is found has its place."""
    right = wrong = missed = kinds = subjects = traps = 0
    for excerpt in excerpts(half):
        turns = [
            Turn(row.text, row.speaker, role_of(row.speaker), number) for number, row in enumerate(excerpt.rows, 1)
        ]
        facts = [one for one in extract(turns).facts if one.found.confidence >= THRESHOLD]
        for number, row in enumerate(excerpt.rows, 1):
            mine = [one.found for one in facts if one.line == number]
            traps += not row.kinds
            if row.kinds and mine:
                right += 1
                kinds += any(one.kind in row.kinds for one in mine)
                subjects += any(one.subject.lower() in row.subjects for one in mine)
            elif row.kinds:
                missed += 1
            elif mine:
                wrong += 1
    return Quality(
        right / (right + wrong or 1), right / (right + missed or 1), kinds / (right or 1), subjects / (right or 1),
        right + missed, traps,
    )  # fmt: skip


def by_keywords(half: str) -> Quality:
    """What the keyword rule makes of it: every sentence with one of the words is a fact."""
    pattern = re.compile("|".join(KEYWORDS), re.IGNORECASE)
    rows = [row for excerpt in excerpts(half) for row in excerpt.rows]
    told = [row for row in rows if pattern.search(row.text)]
    right = sum(bool(row.kinds) for row in told)
    facts = sum(bool(row.kinds) for row in rows)
    return Quality(right / (len(told) or 1), right / (facts or 1), 0.0, 0.0, facts, len(rows) - facts)
