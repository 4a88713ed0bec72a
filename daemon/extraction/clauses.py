"""An English sentence as clauses: who, the verb with its helpers and adverbs, and what follows. Pure.

This is no parser of English. It reads the beginnings of clauses – a subject, then auxiliaries and adverbs, then a verb – which
is where a sentence says of whom it speaks, whether it denies, plans, doubts or asks. What it cannot read it leaves alone.
"""

from collections.abc import Sequence

import msgspec

from enhanced_memory.daemon.extraction.english_words import (
    CUTTING,
    LEADING,
    verb_of,
)
from enhanced_memory.daemon.extraction.phrases import FINITE, Subject, read_subject
from enhanced_memory.daemon.extraction.verbs import Group, read_group
from enhanced_memory.daemon.extraction.words import Word, named

__all__ = ["Clause", "clauses"]


class Clause(msgspec.Struct, frozen=True):
    """One statement of a sentence."""

    subject: Subject
    verb: str
    """The verb; `be` and `have` for themselves; empty where none was recognised."""
    form: str
    """The verb's form: b, s, d, n, g; see `english_words`."""
    helpers: tuple[str, ...]
    """`will`, `must`, `perfect`, `passive`, `progressive`, `do`, `used`, `want`, `plan`, `tend`, `need`, `would` …"""
    adverbs: tuple[str, ...]
    denied: bool
    rest: tuple[Word, ...]
    """What follows the verb."""
    lead: tuple[Word, ...]
    """What stands in front of the subject."""
    start: int
    end: int
    cut: str = ""
    """The word behind which the next clause begins: `since`, `because`."""

    def name_first(self) -> bool:
        """Whether a proper name follows the verb `be`, and nothing but names or an apposition: `I am Borin, the smith`."""
        if self.subject.kind not in ("I", "he", "we") or not self.rest or not self.rest[0].capital:
            return False
        length = named(self.rest, 0, first=True)
        after = self.rest[length].low if length < len(self.rest) else ","
        return length > 0 and after in (",", "from", "of", ".", "and", "–", "—", "-", "(")

    def said(self) -> str:
        """What follows the verb, in lower case."""
        return " ".join(word.low for word in self.rest)


def clauses(words: Sequence[Word], bare: bool = True) -> list[Clause]:
    """The clauses of a sentence in order. `bare`: also one whose subject is a noun without an article."""
    starts: list[tuple[int, int, Subject, Group]] = []
    at = 0
    while at < len(words):
        opened = at == 0 or words[at - 1].low in CUTTING or (not starts and _leads(words, at))
        found = read_subject(words, at) if opened else None
        if found is not None:
            subject, end = found
            group = read_group(words, end, subject.kind)
            if group is not None and group.verb:
                starts.append((_back(words, at, starts), at, subject, group))
                at = group.end
                continue
        at += 1
    if (
        bare
        and words
        and (
            not starts
            or (
                starts[0][2].kind == "name"
                and starts[0][1] == 0
                and (
                    (
                        not {"will", "plan"} & set(starts[0][3].helpers)
                        and verb_of(words[starts[0][3].end - 1].low) is None
                        and starts[0][3].verb not in ("be", "have", "do")
                    )
                    or _finite_next(words, starts[0][3].end)
                )
            )
        )
    ):
        starts = _bare(words) or starts
    made: list[Clause] = []
    for number, (begin, first, subject, group) in enumerate(starts):
        stop = starts[number + 1][0] if number + 1 < len(starts) else len(words)
        rest = list(words[group.end : stop])
        cut = ""
        while rest and rest[-1].low in CUTTING | {".", "!", "?"}:
            cut = rest.pop().low
        last = rest[-1] if rest else words[group.end - 1]
        made.append(
            Clause(
                subject, group.verb, group.form, tuple(group.helpers), tuple(group.adverbs), group.denied, tuple(rest),
                tuple(words[begin:first]), words[begin].start if begin < first else words[first].start, last.end, cut,
            )
        )  # fmt: skip
    return made


def _finite_next(words: Sequence[Word], at: int) -> bool:
    """Whether a finite verb follows at once: `Commit messages have` has no verb in its second word."""
    return at < len(words) and words[at].low in FINITE and words[at].low not in ("do", "does", "did")


def _leads(words: Sequence[Word], at: int) -> bool:
    """Whether what stands in front of `at` may lead a sentence: a time, a place, a circumstance."""
    return at <= 9 and words[0].low in LEADING


def _back(words: Sequence[Word], at: int, starts: list[tuple[int, int, Subject, Group]]) -> int:
    """Where a clause begins whose subject stands at `at`: with what leads the sentence, or behind the last clause."""
    return at if starts or at > 9 or words[0].low not in LEADING else 0


def _bare(words: Sequence[Word]) -> list[tuple[int, int, Subject, Group]]:
    """`Contributions must be signed off`: a noun without an article, and a helper within a few words."""
    for at in range(1, min(7, len(words))):
        if words[at].low in FINITE or (words[at].low == "need" and at + 1 < len(words) and words[at + 1].low == "to"):
            if not all(word.raw[0].isalpha() for word in words[:at]):
                return []
            group = read_group(words, at, "bare")
            if group is None or not group.verb:
                return []
            return [(0, 0, Subject("bare", tuple(words[:at]), words[at - 1].low), group)]
    return []
