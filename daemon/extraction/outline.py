"""A sentence's outline, where its grammar is not one that the clauses know: of whom, the finite verb, what is said. English. Pure.

`clauses` reads the beginnings that it has seen. This looks for the finite verb from the left, whatever its subject is built of – a
gerund, a noun with its relative clause, `none of us`, a name with an apposition – and takes what stands before it for the subject.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from enhanced_memory.daemon.extraction.english_words import NOT_NAMES, OPENERS
from enhanced_memory.daemon.extraction.finite import (
    BREAKS,
    DETERMINERS,
    LINKS,
    SUBJECTS,
    Group,
    Tense,
    finite,
    read_group,
)
from enhanced_memory.daemon.extraction.lexicon import any_verb
from enhanced_memory.daemon.extraction.signs import LED
from enhanced_memory.daemon.extraction.values import Kind
from enhanced_memory.daemon.extraction.wordlists import wordlist
from enhanced_memory.daemon.extraction.words import Word, is_adverb

__all__ = ["Outline", "Tells", "outlines"]

Tells = tuple[Kind, float]
"""What a rule says of an outline: which kind of fact, and how sure."""

Of = Literal["self", "own", "person", "they", "it", "the", "bare", "you", "pointing", "there"]


class Outline(msgspec.Struct, frozen=True):
    """One statement: its subject, its verb group and its predicate, and by which word it hangs on the one before."""

    of: Of
    subject: tuple[Word, ...]
    verb: str
    """The base of the main verb; `be` and `have` for themselves."""
    tense: Tense
    """`guess` is `must have been`."""
    modal: str
    progressive: bool
    passive: bool
    denied: bool
    adverbs: tuple[str, ...]
    predicate: tuple[Word, ...]
    lead: tuple[Word, ...]
    link: str
    start: int
    end: int

    def said(self) -> str:
        """The predicate in lower case."""
        return " ".join(word.low for word in self.predicate)

    def led(self) -> str:
        """What stands before the subject, in lower case."""
        return " ".join(word.low for word in self.lead)

    def first(self) -> str:
        """The first word of the predicate; empty where there is none."""
        return self.predicate[0].low if self.predicate else ""

    def head(self) -> str:
        """The noun of the subject, before its first preposition."""
        head = ""
        for word in self.subject:
            if head and word.low in ("of", "in", "on", "at", "for", "with", "from", "that", "who", "which", ",", "'s"):
                break
            head = word.low
        return head

    def about(self) -> str:
        """The subject in lower case."""
        return " ".join(word.low for word in self.subject)


_BEGINS = wordlist(
    """
    i we he she it they there my our his her their the a an this these those no none nobody nothing everyone everybody each every both
    all one two three four some any mine ours hers
    """
)
"""What a clause begins with behind a comma or an `and`."""

UNSURE = wordlist("if unless when whenever whether until before after than as that how why what where")
"""Behind these a clause is not stated."""


def outlines(words: Sequence[Word]) -> list[Outline]:
    """The statements of a sentence in order; those that hang on `if`, `when` and the like are left out."""
    found: list[Outline] = []
    if not words or _headless(words) or any(word.low == "let" for word in words[:4]):
        return []
    begin, link = 0, ""
    while begin < len(words):
        if words[begin].low in BREAKS or (words[begin].low in LINKS and not _leads(words, begin)):
            link = words[begin].low if words[begin].raw[0].isalpha() else ""
            begin += 1
            continue
        at = finite(words, begin)
        if at is None:
            break
        group = read_group(words, at)
        stop = _stop(words, max(group.end, at + 1))
        one = _outline(words, begin, at, group, stop, link)
        if (
            one is not None
            and link not in UNSURE
            and not {"since", "if", "when", "unless"} & {word.low for word in one.lead[-1:]}
        ):
            found.append(one)
        begin, link = stop, ""
    return found


def _headless(words: Sequence[Word]) -> bool:
    """Whether a sentence begins with its verb: an order, or a subject that is left out."""
    found = any_verb(words[0].low)
    after = words[1].low if len(words) > 1 else ""
    if words[0].low == "let":
        return True
    return (
        found is not None
        and found[1] in "bsd"
        and (after in DETERMINERS or after in ("me", "us", "it", "him", "them", "not", "up", "out", "in", "to"))
    )


def _leads(words: Sequence[Word], at: int) -> bool:
    """Whether `as`, `since` or `before` is a preposition here: `since March we`, `as a nurse I`."""
    return (
        words[at].low in ("as", "since", "before", "after", "until")
        and at + 1 < len(words)
        and words[at + 1].low not in SUBJECTS
    )


def _stop(words: Sequence[Word], at: int) -> int:
    """Where the next clause begins: behind a break or a link, if a subject and its verb follow."""
    while at < len(words):
        if words[at].low in BREAKS or words[at].low in LINKS:
            behind = at + 1
            while behind < len(words) and (
                words[behind].low in LINKS or words[behind].low in BREAKS or is_adverb(words[behind].low)
            ):
                behind += 1
            if behind < len(words) and _clause_at(words, behind):
                return at
        at += 1
    return at


def _clause_at(words: Sequence[Word], at: int) -> bool:
    first = words[at]
    if not (first.low in _BEGINS or (first.capital and first.low not in NOT_NAMES)):
        return False
    verb = finite(words, at)
    return verb is not None and verb - at <= 6 and not any(word.low in BREAKS for word in words[at:verb])


def _outline(words: Sequence[Word], begin: int, at: int, group: Group, stop: int, link: str) -> Outline | None:
    first = _subject_start(words, begin, at)
    subject = tuple(words[first:at])
    while subject and is_adverb(subject[-1].low):
        group.adverbs = (subject[-1].low, *group.adverbs)
        subject = subject[:-1]
    if not subject or not group.verb:
        return None
    predicate = list(words[group.end : stop])
    while predicate and (predicate[-1].low in BREAKS or predicate[-1].low in LINKS):
        predicate.pop()
    lead = tuple(words[begin:first])
    last = predicate[-1] if predicate else words[min(group.end, len(words)) - 1]
    return Outline(
        _kind(subject), subject, group.verb, group.tense, group.modal, group.progressive, group.passive, group.denied, group.adverbs,
        tuple(predicate), lead, link, (lead or subject)[0].start, last.end,
    )  # fmt: skip


def _subject_start(words: Sequence[Word], begin: int, at: int) -> int:
    """Where the subject begins: a pronoun right before the verb is all of it; else what follows a leading time or place."""
    last = at - 1
    while last > begin and is_adverb(words[last].low):
        last -= 1
    if words[last].low in SUBJECTS and not (last > begin and words[last - 1].low in ("and", "of")):
        if not any(word.low in ("that", "which", "who") for word in words[begin:last]) or last == begin:
            return last
    for place in range(begin + 1, min(begin + 4, at)):
        called = words[begin:place]
        if words[place].low == "," and all(word.capital or word.low in OPENERS for word in called):
            return place + 1 if place + 1 < at else begin  # somebody is addressed
    for place in range(at - 1, begin, -1):
        if words[place].low == "," and LED.match(" ".join(word.low for word in words[begin:place])):
            return place + 1
    return begin


def _kind(subject: Sequence[Word]) -> Of:
    lows = [word.low for word in subject]
    first, last = lows[0], lows[-1]
    if last in ("i", "we") or " ".join(lows[-2:]) in ("of us", "and me") or first in ("mine", "ours"):
        return "self"
    if len(lows) == 1 and last in ("you", "it", "they", "there"):
        return "you" if last == "you" else "it" if last == "it" else "they" if last == "they" else "there"
    if {"my", "our"} & set(lows):
        return "own"
    if first in ("he", "she", "his", "her", "hers"):
        return "person"
    if first in ("they", "their"):
        return "they"
    if first in ("this", "that", "these", "those"):
        return "pointing"
    if first in ("here", "there"):
        return "there"
    if first in ("the", "every", "each", "all", "no"):
        return "the"
    if "your" in lows or "you" in lows:
        return "you"
    return "bare"
