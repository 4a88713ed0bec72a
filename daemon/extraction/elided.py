"""English sentences that leave their subject out, as people do in a chat: `can't stand Mondays`, `been vegan since May`. Pure."""

import re
from collections.abc import Sequence

from enhanced_memory.daemon.extraction.english_words import (
    ALWAYS,
    ATTRIBUTES,
    BE,
    LASTING,
    LASTING_WITH,
    LIFE,
    LIKING,
    LIVING,
    verb_of,
)
from enhanced_memory.daemon.extraction.signs import WHEN
from enhanced_memory.daemon.extraction.values import USER
from enhanced_memory.daemon.extraction.wordlists import wordlist
from enhanced_memory.daemon.extraction.words import Word, next_word

__all__ = ["unelided"]

_DENIED = LIKING | wordlist("stand bear abide tolerate eat drink smoke drive own speak have care work live")
"""What nobody is told not to do: `don't like`, `can't stand`."""
_POINTED = wordlist(
    ", to from the it that this these those and or all having your you how to when seeing hearing him her them"
)
"""What an approval of the moment or a letter's end goes on with: `love the necklace`, `love from all of us`."""
_DONE = LIFE | LIVING | wordlist("switch migrate stop quit give change")
_IDLE = wordlist("look hope wait think feel try")
_ANY_MORE = re.compile(r"\b(?:any ?more|any longer)\b")
_FINITE = wordlist(
    "do does did has have will would can could may might must should makes helps feels means takes gives"
)
"""What a gerund goes on with that is itself the subject: `working out helps`."""


def unelided(words: Sequence[Word], speaker: str) -> list[Word]:
    """The words with the subject that they leave out, which is the speaker; nothing where none is left out."""
    at = next_word(words, 0)
    if at + 1 >= len(words):
        return []
    low, following = words[at].low, words[at + 1].low
    verb, form = verb_of(low) or ("", "")
    if low in ("can", "do", "could", "did") and following == "not":
        after = next_word(words, at + 1)
        denied = verb_of(words[after].low) if after < len(words) else None
        if denied is None or denied[1] != "b":
            return []
        return (
            _with(words, "i") if denied[0] in _DENIED or _ANY_MORE.search(" ".join(word.low for word in words)) else []
        )
    if (
        low in ALWAYS
        and low not in ("always", "never")
        and following in ("up", "at", "in", "on", "out", "late", "early", "home", "awake")
    ):
        return _with(words, "i", "am")
    if low == "going" and following == "to":
        return _with(words, "i", "am")
    if low == "been" and (
        following in LASTING or verb_of(following) is not None or following in ("with", "in", "at", "on")
    ):
        return _with(words, "i", "have")
    if low in LASTING or (low in LASTING_WITH and following in LASTING_WITH[low].split()):
        return _with(words, "i", "am")
    if (
        verb in LIKING
        and form == "b"
        and low not in ("mind", "like", "enjoy")
        and following not in _POINTED
        and not words[at + 1].capital
    ):
        return _with(words, "i")
    if speaker != USER and form == "d" and verb in _DONE and low != verb and not words[0].capital:
        return _with(words, "i")
    if speaker != USER and form == "g" and verb not in _IDLE and low not in LASTING_WITH:
        alone = not any(word.low in BE or word.low in _FINITE for word in words[at + 1 :])
        return _with(words, "i", "am") if alone and WHEN.search(" ".join(word.low for word in words)) else []
    return _with(words, "my") if _attribute(words) else []


def _attribute(words: Sequence[Word]) -> bool:
    """Whether the words begin with what somebody has one of, and tell its value: `new number is 0171`."""
    for place in range(1, min(4, len(words) - 1)):
        if words[place].low in BE or words[place].low == "'s":
            value = words[place + 1]
            named = words[place - 1].low in ATTRIBUTES and all(word.raw[0].isalpha() for word in words[:place])
            return named and (value.raw[0].isdigit() or value.capital)
    return False


def _with(words: Sequence[Word], *said: str) -> list[Word]:
    start = words[0].start
    return [*(Word(one, "I" if one == "i" else one, start, start) for one in said), *words]
