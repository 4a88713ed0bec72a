"""A sentence as far as it can be compared: its content words in order, what it denies, whether it tells of a change. Pure."""

import re
import unicodedata
from functools import lru_cache
from typing import Literal

import msgspec

from enhanced_memory.daemon.conflicts.words import (
    AUXILIARIES,
    CHANGES,
    DENIALS,
    IRREGULAR,
    LIGHT,
    MANY_VERBS,
    MONTHS,
    NUMBERS,
    ONE_VERBS,
    SAME,
    SIMILAR_VERBS,
    STOP,
    UNITS,
    WEEKDAYS,
)

__all__ = ["GROUPS", "LIGHT_STEMS", "Statement", "Word", "folded", "plain", "read", "rough", "stem"]

Sort = Literal["word", "name", "number", "month", "weekday", "code"]

LONGEST = 2000
"""Characters of a text that are compared: a conflict of one sentence with one of fifty is not told by its words."""

REMEMBERED = 300
"""Characters up to which what was read of a text is remembered."""

STEMS_KEPT = 1 << 16
"""Words whose stems are remembered."""

MOST = 60
"""Content words that are compared, for the same reason."""

_UNIT_OF = {spelling: unit for unit, spellings in UNITS.items() for spelling in spellings.split()}

_TOKEN = re.compile(
    r"o\([^)]*\)\)?|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|https?://\S+|\d+(?:[.:/-]\d+)+|\d+(?:st|nd|rd|th)\b|\d+|[^\W\d_]+(?:'[^\W\d_]+)?\d*|%|[:/{}#]",
    re.IGNORECASE,
)
_PLAIN_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?\d*|\d+(?:[.:/-]\d+)+|\d+(?:st|nd|rd|th)\b|\d+|[%:/{}#]")
"""The same for text in which no address and no formula can stand: three times as fast."""
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_CONTRACTED = ((re.compile(r"\bcan['’]?t\b|\bcannot\b", re.I), "can not"), (re.compile(r"\bwon['’]t\b", re.I), "will not"),
               (re.compile(r"n['’]t\b", re.I), " not"), (re.compile(r"['’](s|re|ve|ll|d|m)\b", re.I), ""))  # fmt: skip
_PERIOD = re.compile(r"\bfrom (?:\w+ )?\d{4} (?:to|until|till) |\b\d{4} ?[-–] ?\d{4}\b", re.I)
_LONGER = re.compile(
    r"\bno longer\b|\bnot any ?more\b|\bany ?more\b|\bused to\b|\bfrom now on\b|\bas of\b|\bstarting (?:in|from|on)\b"
    r"|\binstead of\b|\bsince (?=\w+ the )|\bfrom (?:next|this) \w+ on\b|\b(?:has|have|had) been (?=\w+(?:ed|en)\b)"
    r"|\bgot (?:married|divorced|engaged)\b|\bgave birth\b|\b(?:became|becomes?)\b",
    re.IGNORECASE,
)
_NO_LONGER = re.compile(r"\bno longer\b|\bnot any ?more\b|\bany ?more\b", re.I)
_DISLIKES = {"dislike": "like", "hate": "like", "detest": "like", "refuse": "accept", "unlike": "like"}
_TRANSPARENT = {"ß": "ss", "ø": "o", "æ": "ae", "ł": "l", "đ": "d", "’": "'", "‘": "'"}


class Word(msgspec.Struct, frozen=True):
    """A content word."""

    stem: str
    sort: Sort
    tail: bool
    """Whether it stands behind the sentence's verb, where values stand."""
    said: str
    """As it is written, in lower case: what its vector is taken of."""
    own: bool = False
    """Whether it is part of the thing's own name in front of the verb: one may say it or leave it out."""


class Statement(msgspec.Struct, frozen=True):
    """A sentence, read."""

    text: str
    plain: str
    """Two statements with one `plain` say the same with the same words."""
    words: tuple[Word, ...]
    keys: frozenset[str]
    """What the statement is about, so that those that have nothing in common need not be compared: stems, and what may stand for them."""
    verb: str
    """The stem of the verb, `be` for a sentence that says what something is; empty where none was recognised."""
    denied: bool
    changed: bool
    """Whether it tells that something has become other than it was."""
    past: bool
    """Whether it tells of a period that is over."""
    only: bool
    passive: bool
    """Whether something was done to the thing: `is made in`, `written by`. Such a thing was done in one place, by one person."""


def folded(text: str) -> str:
    """Lower case without accents."""
    if text.isascii():
        return text.lower()
    for char, said in _TRANSPARENT.items():
        text = text.replace(char, said)
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char)).casefold()


_NONE: frozenset[str] = frozenset()
_PLAIN = re.compile(r"[^\W\d_][^\W_]*|[+\-−]?\d+(?:[.:/-]\d+)*|[^\W_]+|[%#@+^=<>*/{}]")


def plain(text: str) -> str:
    """A text without what does not change its meaning: case, accents, punctuation, spaces. Numbers keep their points and signs."""
    if len(text) > 20 * LONGEST:
        return " ".join(text.lower().split())  # a document: its letters are enough
    return _kept_plain(text) if len(text) <= REMEMBERED else _plain(text)


def _plain(text: str) -> str:
    if "," in text:
        text = _THOUSANDS.sub("", text)
    return " ".join(_PLAIN.findall(folded(text)))


@lru_cache(1 << 16)
def stem(word: str) -> str:
    """A word without its ending, so that `works`, `worked` and `working` are one. A light rule, not a dictionary."""
    known = IRREGULAR.get(word)
    if known is None:
        if word in _UNIT_OF:
            return _UNIT_OF[word]
        known = _without_ending(word)
        known = IRREGULAR.get(known, known)
    # `move` and `moved` are one.
    return known[:-1] if len(known) > 3 and known[-1] == "e" else known


def _without_ending(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "ches", "shes", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    for ending in ("ing", "ied", "ed"):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= 3 and not _VOWELS.isdisjoint(rest):
            if ending == "ied":
                return rest + "y"
            return rest[:-1] if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
    return word


_VOWELS = frozenset("aeiouy")

_VERBS = frozenset(map(stem, MANY_VERBS | ONE_VERBS | SIMILAR_VERBS | CHANGES))
_BE = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "am",
        "remains",
        "remain",
        "stays",
        "stay",
        "became",
        "become",
        "becomes",
        "gets",
        "got",
        "get",
    ]
)
_STATES = frozenset(["is", "are", "am", "being", "remain", "remains", "stay", "stays"])
_AGENTS = frozenset(["by", "in", "under", "at"])
_SIDES = frozenset(["on", "off", "up", "out"])
"""Prepositions, unless they end the sentence: `debug mode is on`."""
_PARTICIPLES = ("ed", "en", "made", "built", "led", "held", "sold", "born", "bought", "kept")
_HAVE = frozenset(["has", "have", "had", "having"])
_STEMMED_CHANGES = frozenset(map(stem, CHANGES)) | CHANGES
_STEMMED_DISLIKES = {stem(word): stem(other) for word, other in _DISLIKES.items()}


def read(text: str, name: str = "") -> Statement:
    """`text` as a statement about what is called `name`, whose words in it say nothing further."""
    return _kept(text, name) if len(text) <= REMEMBERED else _read(text, name)


def rough(text: str) -> frozenset[str]:
    """Stems of a text that may tell what it is about: a quick look, by which most pairs are seen to have nothing in common."""
    return frozenset(map(_STEMS.__getitem__, _LETTERS.findall(text[:LONGEST].lower()))) - _EMPTY


class _Stems(dict[str, str]):
    """The stem of a word, empty where it says little; a table, because every text of a space is looked at."""

    def __missing__(self, word: str) -> str:
        if len(self) >= STEMS_KEPT:
            self.clear()
        found = self[word] = "" if word in _SAYS_LITTLE else stem(word)
        return found


_LETTERS = re.compile(r"\w+")
_EMPTY = frozenset(("",))
_SAYS_LITTLE = STOP | AUXILIARIES
_STEMS = _Stems()


def _read(text: str, name: str) -> Statement:
    cut = text[:LONGEST]
    if "," in cut:
        cut = _THOUSANDS.sub("", cut)
    if "'" in cut or "’" in cut or "annot" in cut:
        for found, instead in _CONTRACTED:
            cut = found.sub(instead, cut)
    changed = _LONGER.search(cut) is not None
    if changed:
        cut = _NO_LONGER.sub(" ", cut)
    own = _stems_of(name) if name else _NONE
    words: list[Word] = []
    denied = passive = state = only = tail = False
    verb = ""
    tokens: list[str] = (_TOKEN if "@" in cut or "(" in cut or "://" in cut else _PLAIN_TOKEN).findall(cut)
    last = len(tokens) - 1
    for number, raw in enumerate(tokens):
        token = _token(raw)
        part = token.part
        if part == "word":
            if len(words) >= MOST:
                break
            value, sort = token.stem, token.sort
            denied = denied != token.denies
            noun = number > 0 and tokens[number - 1].lower() in _DETERMINERS
            if sort == "word":
                if number and token.capital:
                    sort = "name"
                elif token.changes and not noun and not (state and token.participle):
                    changed = True  # `is closed` tells how it is, `was closed` what happened
            if value in own and not tail:
                words.append(Word(value, sort, tail, token.low, own=True))
                continue
            if token.verb and not noun and sort == "word" and verb in _WEAK and not (words and words[-1].tail):
                verb, tail = value, True
            words.append(Word(value, sort, tail, token.low))
        elif part == "auxiliary":
            if not tail:
                verb, tail = token.stem or verb or "do", True
            state = token.low in _STATES
        elif part == "stop":
            only = only or token.low == "only"
            if token.low in _AGENTS and words and words[-1].said.endswith(_PARTICIPLES):
                passive = True
        elif part == "side":
            if number == last and state:
                words.append(Word(token.low, "word", tail, token.low))
        elif part == "denial":
            denied = not denied
            if token.verb:
                verb, tail = verb or "have", True
        elif words and not tail:
            # `Deadline: 15 May` says what `The deadline is 15 May` says.
            verb, tail = verb or "be", True
    if words and not any(word.tail for word in words):
        words = [Word(word.stem, word.sort, True, word.said, word.own) for word in words]
    return Statement(
        text[:LONGEST], plain(text), tuple(words), keys_of(words), verb, denied, changed,
        ("19" in cut or "20" in cut) and _PERIOD.search(cut) is not None, only, passive,
    )  # fmt: skip


_kept = lru_cache(1 << 13)(_read)
_kept_plain = lru_cache(1 << 12)(_plain)


class _Token(msgspec.Struct, frozen=True):
    """What a token is, wherever it stands."""

    part: Literal["word", "auxiliary", "stop", "side", "denial", "colon"]
    low: str
    stem: str = ""
    sort: Sort = "word"
    capital: bool = False
    changes: bool = False
    participle: bool = False
    verb: bool = False
    denies: bool = False


@lru_cache(1 << 15)
def _token(raw: str) -> _Token:
    low = folded(raw)
    if raw == "May":
        return _Token("word", low, f"month {MONTHS['may']}", "month", capital=True)
    if low in DENIALS:
        return _Token("denial", low, verb=low.startswith("lack"))
    if not (low[0].isalnum() or low[0] in "%#"):
        return _Token("colon" if low == ":" else "stop", low)
    if low in AUXILIARIES:
        return _Token("auxiliary", low, "be" if low in _BE else "have" if low in _HAVE else "")
    if low in STOP:
        return _Token("stop", low)
    if low in _SIDES:
        return _Token("side", low)
    sort, value = _sorted(raw, low)
    denies = value in _STEMMED_DISLIKES
    value = _STEMMED_DISLIKES.get(value, value)
    return _Token(
        "word",
        low,
        value,
        sort,
        raw[0].isupper(),
        value in _STEMMED_CHANGES or low in CHANGES,
        low.endswith(_PARTICIPLES),
        value in _VERBS,
        denies,
    )


_DETERMINERS = frozenset(["a", "an", "the", "this", "that", "its", "his", "her", "their", "our", "my", "your", "no"])
"""What stands behind one is no verb: `the release`."""
_WEAK = frozenset(("", "be", "have", "do"))


@lru_cache(1 << 12)
def _stems_of(name: str) -> frozenset[str]:
    return frozenset(stem(one) for one in re.findall(r"[^\W_]+", folded(name)))


def keys_of(words: list[Word]) -> frozenset[str]:
    """The stems of content words, and the groups of words that may stand for one another."""
    found: set[str] = set()
    for word in words:
        if word.stem not in LIGHT_STEMS and not word.own:
            found.add(word.stem)
            found |= GROUPS.get(word.stem, _NONE)
    return frozenset(found)


LIGHT_STEMS = frozenset(map(stem, LIGHT))
GROUPS: dict[str, set[str]] = {}
"""The groups of words that may stand for one another, by stem."""
for _number, _line in enumerate(SAME):
    for _word in _line.split():
        GROUPS.setdefault(stem(_word), set()).add(f"={_number}")


def _sorted(raw: str, low: str) -> tuple[Sort, str]:
    """What a content word is, and what it is compared by."""
    if low[0].isdigit():
        return "number", re.sub(r"(?:st|nd|rd|th)$", "", low)
    if low in NUMBERS:
        return "number", NUMBERS[low]
    if low in WEEKDAYS:
        return "weekday", f"weekday {WEEKDAYS[low]}"
    if low in MONTHS and raw not in ("may", "march"):
        return "month", f"month {MONTHS[low]}"
    if "@" in low or "/" in low or "(" in low or any(char.isdigit() for char in low):
        return "code", low
    return ("name" if len(raw) > 1 and raw.isupper() else "word"), stem(low)
