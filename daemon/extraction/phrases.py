"""The subject of an English clause: a pronoun, a name, a phrase with its noun and its owner."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from enhanced_memory.daemon.extraction.english_words import (
    ADVERBS,
    BE,
    DO,
    GENERIC,
    HAVE,
    MODALS,
    NOT_NAMES,
    verb_of,
)
from enhanced_memory.daemon.extraction.wordlists import wordlist
from enhanced_memory.daemon.extraction.words import Word, named, next_word

__all__ = ["FINITE", "Kind", "Subject", "head_done", "read_subject"]


Kind = Literal["I", "we", "you", "he", "it", "name", "my", "our", "their", "the", "bare", "generic", "none"]


class Subject(msgspec.Struct, frozen=True):
    """Of whom or what a clause speaks."""

    kind: Kind
    words: tuple[Word, ...] = ()
    head: str = ""
    """The noun of a phrase, in lower case."""
    name: str = ""
    """The proper name in it."""
    owner: str = ""
    """Whose it is, where a name owns it: `Maria's husband`."""
    with_us: bool = False
    """Whether the speaker is part of it: `Lea and I`."""


_PERSONS: dict[str, Kind] = {
    "i": "I",
    "we": "we",
    "you": "you",
    "he": "he",
    "she": "he",
    "it": "it",
    "this": "it",
    "that": "it",
    "these": "it",
}


_OWNERS: dict[str, Kind] = {
    "my": "my",
    "our": "our",
    "his": "their",
    "her": "their",
    "their": "their",
    "your": "generic",
    "its": "it",
}


_ARTICLES = wordlist("the all every each any no both these those")


_COUNTS = wordlist("one two three four five six some most many none half several few each")


FINITE = frozenset([*BE, *HAVE, *DO, *MODALS, "needs"]) - {"be", "been", "being", "having"}


_PHRASE = 7
"""Words that a noun phrase may have."""


def read_subject(words: Sequence[Word], at: int) -> tuple[Subject, int] | None:
    """The subject that begins at `at`, and where it ends."""
    if at >= len(words):
        return None
    low = words[at].low
    if low in _PERSONS:
        if low in ("this", "that", "these") and at + 1 < len(words) and not _verbal(words, at + 1):
            return _phrase(words, at, "the")
        if low == "i" and words[at].raw not in ("I", "i", "im", "Im", "ive", "Ive", "i'm"):
            if not words[at].raw.lower().startswith("i"):
                return None
        return Subject(_PERSONS[low], (words[at],)), at + 1
    if low in _OWNERS:
        return _phrase(words, at, _OWNERS[low])
    if low in GENERIC and low not in ("all", "both", "each", "no", "any", "most", "some"):
        return Subject("generic", (words[at],)), at + 1
    if low in ("all", "both") and at + 1 < len(words) and words[at + 1].low in ("our", "my", "of"):
        step = 2 if words[at + 1].low == "of" else 1
        if at + step < len(words) and words[at + step].low in _OWNERS:
            return _phrase(words, at + step, _OWNERS[words[at + step].low])
    if low in _COUNTS and at + 2 < len(words) and words[at + 1].low == "of" and words[at + 2].low in _OWNERS:
        return _phrase(words, at + 2, _OWNERS[words[at + 2].low])
    if low in _ARTICLES:
        return _phrase(words, at, "the")
    length = named(words, at, first=True)
    if length == 1 and low in _PARENTS and _verbal(words, at + 1):
        return Subject("my", (words[at],), low), at + 1  # `Father never sleeps`
    if length:
        if length == 1 and at == 0 and _plural_noun(words, at):
            return Subject("bare", (words[at],), low), at + 1
        return _name(words, at, length)
    return None


def _plural_noun(words: Sequence[Word], at: int) -> bool:
    """`Backups have to`, `Cats like`: a sentence that begins with a noun in the plural, and a verb that agrees."""
    low = words[at].low
    if not low.endswith("s") or low.endswith(("ss", "us", "is")) or at + 1 >= len(words):
        return False
    after = next_word(words, at + 1)
    follows = words[after].low if after < len(words) else ""
    found = verb_of(follows)
    if follows == "bore" and after + 1 < len(words) and words[after + 1].low == "me":
        return True
    return follows in ("are", "have", "were", "do", "must", "need", "should", "may", "can", "cannot") or (
        found is not None and found[1] == "b"
    )


def _name(words: Sequence[Word], at: int, length: int) -> tuple[Subject, int]:
    name = " ".join(word.raw for word in words[at : at + length])
    after = at + length
    if after < len(words) and words[after].low == "'s":
        # `Maria's husband Jo works`, but `Ella's allergic` and `Tom's a nurse`.
        nxt = words[after + 1].low if after + 1 < len(words) else ""
        found = verb_of(nxt)
        if (
            nxt in ("a", "an", "the", "not", "in", "from", "on", "at", "always", "never", "very", "our", "my")
            or (found and found[1] in "ng")
            or nxt in _STATES
        ):
            return Subject("name", tuple(words[at:after]), name=name), after
        owned = _phrase(words, after, "their", owner=name)
        if owned is not None:
            return owned
    if after + 1 < len(words) and words[after].low in ("and", "&"):
        nxt = words[after + 1]
        if nxt.low == "i":
            return Subject("we", tuple(words[at : after + 2]), name=name, with_us=True), after + 2
        more = named(words, after + 1, first=True)
        if more and _verbal(words, after + 1 + more):
            return Subject("name", tuple(words[at : after + 1 + more]), name=name), after + 1 + more
    return Subject("name", tuple(words[at:after]), name=name), after


_PARENTS = wordlist("father mother mum mom mummy dad daddy grandma grandpa granny grandfather grandmother")


_STATES = wordlist(
    "allergic married based born called named responsible fluent vegetarian vegan engaged retired divorced pregnant"
)


def _phrase(words: Sequence[Word], at: int, kind: Kind, owner: str = "") -> tuple[Subject, int] | None:
    """A noun phrase: everything up to what must be its verb."""
    end = at + 1
    while end < len(words) and end - at <= _PHRASE:
        word = words[end]
        if word.low == "and" and end + 1 < len(words) and words[end + 1].low == "i":
            return Subject("we", tuple(words[at : end + 2]), with_us=True), end + 2
        if word.low in FINITE or (end > at + 1 and (word.low in ADVERBS or word.low == "not") and _verbal(words, end)):
            break
        if end > at + 1 and _main(words, end) and words[end - 1].low not in _JOINING:
            break
        if end > at + 1 and words[end - 1].low.endswith("s") and _agreeing(words, end):
            break
        if (
            word.low == "'s"
            and end + 1 < len(words)
            and words[end + 1].low in ("a", "an", "the", "not", "in", "from", "called", "always", "name")
        ):
            if words[end + 1].low != "name":
                break
        elif (
            not (word.raw[0].isalnum() or word.raw in ("'", "'s", "-", "&", "“…”"))
            or word.low in _PHRASE_ENDS
            or word.low in _PERSONS
        ):
            break
        end += 1
    inside = [word for word in words[at + 1 : end] if word.raw[0].isalnum()]
    if not inside:
        return None
    name, head = "", ""
    for number, word in enumerate(words[at + 1 : end], at + 1):
        if number > at + 1 and word.capital and word.low not in NOT_NAMES and not head_done(words, number, end):
            name = " ".join(one.raw for one in words[number:end] if one.capital)
            inside = [one for one in words[at + 1 : number] if one.raw[0].isalnum()] or inside
            break
    plain = [word for word in inside if word.low not in ("'s", "of", "in", "for", "on", "at")]
    for number, word in enumerate(inside):
        if word.low in ("of", "in", "for", "on", "at", "about", "with", "to", "from") and number:
            plain = list(inside[:number])
            break
    head = plain[-1].low if plain else inside[-1].low
    return Subject(kind, tuple(words[at:end]), head, name, owner), end


def head_done(words: Sequence[Word], at: int, end: int) -> bool:
    """Whether a capital word in a phrase is followed by its noun: `our Kafka cluster` is no name."""
    rest = words[at:end]
    return any(word.raw[0].isalpha() and not word.capital and word.low != "'s" for word in rest)


_JOINING = wordlist("of in for on at to and or the a with")


_PHRASE_ENDS = wordlist("because if when while but so since although who which that , ; : . ! ?")


def _main(words: Sequence[Word], at: int) -> bool:
    """Whether a word is a finite verb by its form alone."""
    if at >= len(words):
        return False
    found = verb_of(words[at].low)
    return found is not None and found[1] in "sd" and not words[at].capital


def _agreeing(words: Sequence[Word], at: int) -> bool:
    """Whether a verb stands there that agrees with a plural: `our servers run`."""
    found = verb_of(words[at].low)
    after = words[at + 1].low if at + 1 < len(words) else "."
    return (
        found is not None
        and found[1] == "b"
        and words[at - 1].low not in ("'s", "this", "its")
        and after not in (".", ",", "of", "is", "are")
    )


def _verbal(words: Sequence[Word], at: int) -> bool:
    """Whether a verb, or what helps one, stands at `at`, adverbs aside."""
    while at < len(words) and (words[at].low in ADVERBS or words[at].low == "not"):
        at += 1
    return at < len(words) and (words[at].low in FINITE or verb_of(words[at].low) is not None)
