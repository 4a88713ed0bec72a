"""What an outline tells of times: what is to come, and what comes again and again. English."""

import re

from enhanced_memory.daemon.extraction.english_words import (
    LIKING,
    NOT_NAMES,
    PASSING,
)
from enhanced_memory.daemon.extraction.outline import Outline, Tells
from enhanced_memory.daemon.extraction.passing import ABSTRACT, AWAY, PRAISE, STATES
from enhanced_memory.daemon.extraction.signs import CLOCK, FREQUENT, PAST_TIME, POINTING, SINCE, WHEN
from enhanced_memory.daemon.extraction.subjects import Who
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["again", "ahead"]


_ARRANGED = wordlist(
    "book sign arrange schedule reserve order plan fix organise organize register enrol set agree rent hire"
)


def ahead(one: Outline, who: Who | None, said: str) -> Tells | None:
    """What is to come: a time ahead, and a tense that does not look back."""
    when = WHEN.search(said) or WHEN.search(one.led())
    if (
        one.of == "there"
        and one.tense == "future"
        and not one.denied
        and re.match(
            r"(?:about |around )?(?:\d|[a-z]+teen\b|(?:twen|thir|for|fif|six|seven|eigh|nine)ty\b|"
            r"two|three|four|five|six|seven|eight|nine|ten|twelve)",
            said,
        )
    ):
        return "plan", 0.62
    if one.of == "there" or PAST_TIME.search(said) or FREQUENT.search(said) or FREQUENT.search(one.led()):
        return None
    if one.tense == "perfect":
        return (
            ("plan", 0.68)
            if when and one.verb in _ARRANGED and one.of == "self" and not one.denied and not SINCE.search(said)
            else None
        )
    if (
        one.modal == "will"
        and one.of == "self"
        and not one.denied
        and one.verb
        in (
            "ask",
            "call",
            "tell",
            "send",
            "bring",
            "get",
            "take",
            "make",
            "talk",
            "buy",
            "pick",
            "email",
            "ring",
            "text",
            "book",
        )
        and len(one.predicate) > 1
        and not POINTING.match(said)
        and not re.match(
            r"(?:me|us|sure|some|a (?:look|note|shot|try|break|picture|photo|pic)|pics?|photos?|back|up|on|over|care|the (?:time|chance))\b",
            said,
        )
        and (
            any(word.capital and word.low not in NOT_NAMES for word in one.predicate)
            or re.search(r"\b(?:my|our|the|for|about) \w+", said)
        )
    ):
        return "plan", 0.62
    if (
        one.modal == "will"
        and one.of in ("own", "the")
        and one.verb == "be"
        and re.match(r"(?:an?|the|in|on|at|called|made)\b", said)
        and not one.denied
        and not PRAISE.match(said)
        and one.head() not in ABSTRACT
    ):
        return "plan", 0.62
    if (
        one.modal == "will"
        and one.of in ("self", "person")
        and not one.denied
        and one.verb == "do"
        and re.match(r"(?:the|our|my) \w+$", said)
    ):
        return "plan", 0.64
    if (
        not when
        or one.tense not in ("present", "future")
        or SINCE.search(said)
        or re.search(r"\b(?:since|from)\b", when[0])
    ):
        return None
    if (
        (
            one.verb
            in (
                "think",
                "hope",
                "feel",
                "know",
                "look",
                "mean",
                "see",
                "say",
                "wonder",
                "need",
                "love",
                "like",
                "prefer",
            )
            and not (one.progressive and one.verb in ("see", "look"))
        )
        or one.of == "pointing"
        or (one.of == "they" and one.verb == "be")
    ):
        return None
    if (
        re.search(r"\b(?:19|20)\d\d$", when[0])
        and not one.progressive
        and one.tense == "present"
        and one.verb not in ("end", "expire", "run", "start", "begin")
    ):
        return None
    if one.verb == "be" and ((STATES.match(said) and not AWAY.match(said)) or PRAISE.match(said)):
        return None
    if (
        one.verb in ("hurt", "ache", "go", "seem", "look", "be")
        and when[0].lower() in ("today", "tonight")
        and one.of != "self"
        and not re.match(r"to \w", said)
    ):
        return None
    return "plan", 0.7 if one.of in ("self", "person", "own") else 0.66 if one.of in ("the", "it") else 0.64


def again(one: Outline, who: Who | None, said: str) -> Tells | None:
    """What comes again and again: a frequency, or a time of day in the present tense."""
    if (
        one.progressive
        and one.tense == "present"
        and one.of in ("self", "person")
        and re.search(r"\b(?:a|per|each|every|other) (?:day|week|month|morning|evening|night)\b|\bdaily\b", said)
    ):
        return "habit", 0.66
    if one.tense != "present" or one.modal or one.progressive:
        return None
    about = one.about()
    if (
        re.match(r"(?:on )?\w+days?\b", about)
        and re.fullmatch(r"(?:on )?(?:mon|tues|wednes|thurs|fri|satur|sun)days|weekends|weekdays", about)
        and one.verb == "be"
        and not PRAISE.match(said)
    ):
        return "habit", 0.68
    if one.of == "they" and FREQUENT.search(said) and one.verb not in PASSING:
        return "habit", 0.64
    if one.of in ("it", "they", "there") or (who is None and not _EVERY.match(about)):
        return None
    if (
        _OFTEN & set(one.adverbs)
        and one.of in ("self", "own", "person")
        and said
        and one.verb not in (PASSING | LIKING) - _REPEATED
    ):
        return "habit", 0.66
    often = FREQUENT.search(said) or FREQUENT.search(one.led()) or _EVERY.match(about)
    if one.verb in PASSING - _REPEATED or one.verb in LIKING:
        return None
    if one.verb == "be" and one.of in ("bare", "own") and CLOCK.match(said) and not WHEN.search(said):
        return "habit", 0.66
    if often and one.verb != "be" and (who is None or who.person or who.own or _EVERY.match(about)):
        return "habit", 0.7
    if (
        one.verb not in ("be",)
        and CLOCK.search(f"{one.led()} {said}")
        and one.of in ("self", "person", "own", "bare")
        and who is not None
        and who.person
        and not WHEN.search(said)
    ):
        return "habit", 0.66
    return None


_REPEATED = wordlist("take get go come leave have do call run start make meet close open end finish begin")
"""What passes, and is a habit where it is said how often."""
_OFTEN = wordlist("always usually often regularly normally mostly")
_EVERY = re.compile(
    r"^(?:every|each) (?:\w+ )?(?:day|week|month|year|morning|evening|night|afternoon|weekend|payday|time|summer|winter|"
    r"spring|autumn|birthday|christmas|holiday|season|term|quarter|sprint|lunch|dinner|breakfast|\w+day)\b"
)
