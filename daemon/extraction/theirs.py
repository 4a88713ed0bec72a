"""What an outline tells of things: what somebody has, how theirs are, what a thing that was spoken of is made of. English."""

import re

from enhanced_memory.daemon.extraction.english_words import (
    ADVERBS,
    ATTRIBUTES,
    BUILDING,
    MADE,
    NO_ROLE,
    NOT_NAMES,
    PASSING,
    PLACES,
    TRANSIENT,
)
from enhanced_memory.daemon.extraction.outline import Outline, Tells
from enhanced_memory.daemon.extraction.passing import ABSTRACT, IDIOMS, PRAISE, STATES, SYMPTOMS
from enhanced_memory.daemon.extraction.signs import POINTING
from enhanced_memory.daemon.extraction.subjects import NOUN_ENDS, last_before
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["built", "having_it", "noun_in", "of_it", "of_the", "of_things"]


def noun_in(low: str) -> str:
    """The noun of a phrase that begins with an article."""
    return last_before(low.split()[1:8], NOUN_ENDS | _OTHERWISE)


_OTHERWISE = wordlist("but or")


def having_it(one: Outline, said: str) -> Tells | None:
    """What somebody has: not a cold, not an idea."""
    if (
        SYMPTOMS.search(said)
        or POINTING.match(said)
        or not said
        or said.startswith(
            (
                "to ",
                "no idea",
                "no clue",
                "no doubt",
                "been ",
                "fun",
                "some ",
                "any ",
                "a lot ",
                "the feeling",
                "the chance",
                "time",
                "enough",
            )
        )
    ):
        return None
    first = said.split(" ", 1)[0]
    noun = (
        noun_in(said)
        if first in ("a", "an", "the", "my", "our", "his", "her", "two", "three", "four", "five", "six", "no")
        else (re.split(r" (?:of|in|at|for|from|with|on|and|who|that|to|since|,) ?", said)[0].split() or [""])[-1]
    )
    if noun in TRANSIENT or noun.removesuffix("s") in TRANSIENT:
        return None
    return "profile", 0.62


def of_the(one: Outline, said: str) -> Tells | None:
    """`The lower field floods every winter`: of a thing that is spoken of as known, what is measured, placed or always so."""
    head = one.head()
    if (
        head in TRANSIENT
        or head in ABSTRACT
        or head in NO_ROLE
        or one.verb in _FAILING
        or one.denied
        or one.link == "because"  # why something happened, this time
        or len(one.predicate) < 2
        or one.subject[0].low in ("no", "every", "all")
        or (one.subject[0].low == "each" and not re.search(r"\d", said))
    ):
        return None
    firm = (
        (one.verb != "be" and re.search(r"\bin (?:an?|the|our|my) \w+", said))
        or re.search(
            r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|[a-z]+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|per|"
            r"every|each|called|named|since|always|only|between|from)\b",
            said,
        )
        or any(word.capital and word.low not in NOT_NAMES for word in one.predicate)
    )
    if one.verb == "be":
        words = [word for word in one.predicate if word.low not in ADVERBS]
        low = " ".join(word.low for word in words)
        if (
            not low
            or PRAISE.match(low)
            or POINTING.match(low)
            or re.match(
                r"(?:\w+ing|not|gone|down|slow|empty|dead|wrong|missing|to|that|what|how|so|too|like|as|because|when|where)\b",
                low,
            )
            or (STATES.match(low) and not _PLACED.match(low))
        ):
            return None
        return ("profile", 0.62) if firm or _PLACED.match(low) else None
    if one.verb in PASSING - {
        "have",
        "take",
        "run",
        "start",
        "end",
        "do",
        "make",
        "open",
        "close",
        "come",
        "sit",
        "stand",
        "leave",
        "go",
    } or POINTING.match(said):
        return None
    return ("profile", 0.62) if firm or re.match(r"place\b", said) else None


_FAILING = wordlist(
    "fail crash break hang look seem sound feel appear work stop throw return say show load freeze happen mean need help matter depend get keep"
)


def of_things(one: Outline, said: str) -> Tells | None:
    """`My café is on a corner in Leith`, `the soil in my garden is heavy clay`: what is theirs."""
    head = one.head()
    if head in TRANSIENT - {"job", "view", "plan"} or head in ABSTRACT:
        return None
    if one.verb == "be":
        words = [word for word in one.predicate if word.low not in ADVERBS]
        low = " ".join(word.low for word in words)
        if (
            not low
            or (STATES.match(low) and not _PLACED.match(low))
            or PRAISE.match(low)
            or POINTING.match(low)
            or (
                not _PLACED.match(low)
                and re.match(
                    r"(?:\w+ing|not|gone|broken|down|slow|empty|full|dead|wrong|missing|to|that|what|how|so|too|like|as)\b",
                    low,
                )
            )
        ):
            return ("profile", 0.62) if re.match(r"(?:about|around|at|up to|only) (?:[a-z]?\d|level)", low) else None
        if re.match(r"(?:in|on|at|by|near|next|opposite|behind|above|below|between|from|for) ", low):
            return None if IDIOMS.match(low) else ("profile", 0.64)
        if (
            re.match(
                r"(?:an?|the|my|our|\d|made|called|about|around|only|two|three|four|five|six|seven|eight|nine|ten|\w+teen|(?:twen|thir|"
                r"for|fif|six|seven|eigh|nine)ty)\b",
                low,
            )
            or words[0].capital
        ):
            noun = noun_in(low)
            return None if noun in TRANSIENT or noun in NO_ROLE else ("profile", 0.66)
        return "profile", 0.61 if len(words) > 1 or head in ATTRIBUTES else 0.5
    if one.verb == "have":
        return having_it(one, said)
    if one.verb in _HOLDS or one.passive:
        return ("profile", 0.64) if said else None
    return None


_PLACED = re.compile(r"(?:closed|open|free) (?!now$|today$)\w|full of ")
"""States that are told with when or of what, and last."""
_HOLDS = wordlist(
    "belong cost weigh contain hold fit seat measure expire run face date stand lie consist last cover house sleep charge number open close speak live work come"
)


def of_it(one: Outline, said: str) -> Tells | None:
    """`It runs on a small server`, `it belonged to my grandfather`: of something that was just spoken of."""
    if (
        one.of == "they"
        and one.verb in ("call", "know")
        and re.match(r"me \w", said)
        and any(word.capital for word in one.predicate[1:3])
    ):
        return "profile", 0.7
    if one.verb == "belong" or (
        one.verb in BUILDING
        and re.match(r"(?:on|in|at|to|with|from|under|against) (?:an?|the|our|my|two|three|\d|[a-z]+ )", said)
        and not IDIOMS.match(said)
    ):
        return "profile", 0.62
    if (
        one.of == "it"
        and one.verb == "be"
        and not one.denied
        and re.match(r"(?:an?|the) ", said)
        and any(word.capital and word.low != "i" for word in one.predicate[2:])
        and not PRAISE.match(said)
        and noun_in(said) not in TRANSIENT | NO_ROLE
    ):
        return "profile", 0.62
    if one.verb == "have" and re.match(
        r"(?:about |around |only )?(?:\d|two|three|four|five|six|seven|eight|nine|ten|(?:twen|thir|for|fif|six|seven|eigh|nine)ty)\b",
        said,
    ):
        return "profile", 0.62
    if (
        one.passive
        and one.verb in ("call", "name", "base", "write", "build", "make", "host", "set")
        and re.match(r"(?:on|in|of|with|by|for|at) \w|[A-Z]", " ".join(word.raw for word in one.predicate))
        and not one.denied
    ):
        return "profile", 0.62
    return None


def built(one: Outline, said: str) -> Tells | None:
    """Of a thing that is spoken of as known: what it is called, where it is, how it is made."""
    if (
        one.passive
        and one.verb in ("call", "name", "base", "write", "build", "set", "host", "store", "number", "own", "run")
        and re.search(r"\b(?:in|on|by|per|with|to|from)\b|[A-Z]", " ".join(word.raw for word in one.predicate))
        and not one.denied
    ):
        return "profile", 0.64
    if (
        one.verb in ("have", "run", "use", "belong", "cost", "contain", "expire")
        and one.head() in MADE | PLACES
        and said
    ):
        return (
            ("profile", 0.62)
            if re.search(r"\d|\b(?:an?|two|three|four|five|six|seven|eight|nine|ten|on|to)\b", said)
            else None
        )
    return None
