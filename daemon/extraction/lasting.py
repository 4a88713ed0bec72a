"""What holds for good, told from an outline: what somebody is, has and does, and what is theirs. English.

Not by the verb, but by what it is not: no feeling, no errand, no ache, no word of praise.
"""

import re

from enhanced_memory.daemon.extraction.doing import SAID_OF_OTHERS
from enhanced_memory.daemon.extraction.english_words import (
    ADVERBS,
    BUILDING,
    KNOWN,
    LIFE,
    LIKING,
    NO_ROLE,
    PASSING,
    PETS,
    PLACES,
    ROLES,
    TRANSIENT,
    TRIVIAL,
)
from enhanced_memory.daemon.extraction.once import for_weeks, once
from enhanced_memory.daemon.extraction.outline import Outline, Tells
from enhanced_memory.daemon.extraction.passing import IDIOMS, PRAISE, STATES, SYMPTOMS
from enhanced_memory.daemon.extraction.signs import NOW, POINTING, SINCE
from enhanced_memory.daemon.extraction.subjects import Who
from enhanced_memory.daemon.extraction.theirs import built, having_it, noun_in, of_it, of_the, of_things
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["lasting"]


def lasting(one: Outline, who: Who | None, said: str, following: str) -> Tells | None:
    """What is so of somebody, or of what is theirs."""
    if one.of == "there":
        if (
            one.subject[0].low == "there"
            and one.tense == "present"
            and not one.denied
            and re.match(r"(?:(?:only|just) )?(?:me|us|the (?:two|three|four|five|six) of us)\b", said)
        ):
            return "profile", 0.64
        if (
            one.subject[0].low == "there"
            and one.tense == "present"
            and not one.denied
            and re.match(
                r"(?:about |only |just |around )?(?:\d+|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|"
                r"for|fif|six|seven|eigh|nine)ty) (?!ways?\b|types?\b|kinds?\b|sorts?\b|reasons?\b|things?\b|options?\b|problems?\b|"
                r"questions?\b|sides?\b)\w",
                said,
            )
        ):
            return "profile", 0.62
        if (
            one.subject[0].low == "there"
            and one.tense == "present"
            and not one.denied
            and re.match(r"(?:an?|one|some) ", said)
            and _AT_PLACE.search(said)
            and noun_in(said) not in TRANSIENT
        ):
            return "profile", 0.61
        return (
            ("profile", 0.64)
            if one.subject[0].low == "there"
            and one.tense == "present"
            and not one.denied
            and re.search(r"\b(?:of us|in (?:my|our)|on (?:my|our)|at (?:my|our))\b", said)
            and re.match(
                r"(?:an?|\d|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|just|about|only)\b", said
            )
            else None
        )
    since = following == "since" or SINCE.search(said) or SINCE.search(one.led())
    if one.tense == "perfect":
        if (
            one.of in ("self", "person")
            and one.verb == "spend"
            and re.search(r"\b(?:years|months|decades|life)\b", said)
        ):
            return "profile", 0.7
        if (
            one.of == "self"
            and re.search(r"\b(?:years|decades|ages|months)$|\ball my life$", one.led())
            and not one.denied
            and one.verb not in PASSING
        ):
            return "profile", 0.68
        if (
            one.of in ("self", "person", "own")
            and since
            and not one.denied
            and not SYMPTOMS.search(said)
            and one.verb not in ("wait", "try", "look", "see", "hear", "fail", "think", "miss", "be")
        ):
            return "profile", 0.68
        if (
            one.of in ("self", "person", "own")
            and one.verb in LIFE | {"rent", "learn", "study", "found", "inherit", "outgrow"}
            and not one.denied
            and said
            and not POINTING.match(said)
            and re.match(r"(?:an?|the|my|our|from|to|in|on|with|as|up|\w+ed\b|[a-z]+ (?:to|from|in|at))\b", said)
            and one.verb not in ("break", "win", "leave", "receive", "start", "lose", "get")
        ):
            return "profile", 0.62
        if (
            one.of in ("self", "person")
            and one.verb == "be"
            and (since or re.search(r"\b(?:years|decades|ages|all my life)\b", one.led()))
            and not STATES.match(said)
        ):
            return "profile", 0.68
        return None
    if (one.tense == "past" or one.progressive) and one.of in ("self", "own", "person"):
        told = once(one, said) if one.tense == "past" or one.verb == "turn" else for_weeks(one, said)
        if told is not None or one.tense == "past":
            return told
    if (
        one.modal == "can"
        and not one.denied
        and one.of in ("self", "person")
        and re.search(r"\b(?:any|every|all) \w+", said)
        and not re.search(r"\b(?:help|time|way)\b", said)
    ):
        return "profile", 0.62
    if one.tense != "present" or one.modal or one.progressive:
        return None
    if NOW.search(said) and not re.match(r"(?:right now|currently|at the moment|these days)", one.led()):
        return None
    if one.of == "it" or one.of == "they":
        return of_it(one, said)
    if one.of == "the" and not (who is not None and who.person):
        owned = re.search(r"\b(?:my|our|mine|ours)\b", one.about())
        return (of_things(one, said) if owned else None) or built(one, said) or of_the(one, said)
    if one.of == "bare":
        return _of_names(one, who, said)
    if one.passive:
        return ("profile", 0.64) if one.verb in _STAYED and said and not one.denied else None
    if one.verb == "be":
        return _being(one, who, said, bool(since))
    if one.verb == "have":
        return having_it(one, said)
    if one.of == "own" and not _of_people(one):
        return of_things(one, said)
    return _doing(one, said)


_AT_PLACE = re.compile(
    rf"\b(?:in|on|at|behind|next to|opposite|near) (?:the|my|our) (?:\w+ )?(?:{'|'.join(sorted(PLACES))}|corner|middle|back|"
    rf"front|house|building|town|basement|attic|cellar|ground floor)\b"
)


def _being(one: Outline, who: Who | None, said: str, since: bool) -> Tells | None:
    """What somebody is: not how they feel."""
    words = [word for word in one.predicate if word.low not in ADVERBS or word.low == "only"]
    if not words or POINTING.match(said):
        return None
    first, low = words[0], " ".join(word.low for word in words)
    if since and one.of == "own":
        return "profile", 0.64
    if one.of == "own" and not _of_people(one):
        return of_things(one, said)
    if STATES.match(low) or PRAISE.match(low) or first.low.endswith("ing"):
        return None
    if re.match(
        r"(?:the (?:only )?one|one of those|somebody|someone) (?:who|that) (?!(?:is|was|will|did|has)\b)\w", low
    ):
        return "profile", 0.64
    noun = noun_in(low)
    if first.low in ("a", "an", "the", "my", "our", "one", "his", "her"):
        if noun in TRANSIENT or noun in NO_ROLE or (first.low in ("my", "our") and noun not in KNOWN | ROLES | PETS):
            return None
        return "profile", 0.66 if first.low != "one" else 0.62
    if first.low in ("in", "on", "at", "with", "from", "off", "out", "under", "into", "by", "near", "between", "for"):
        if IDIOMS.match(low) or len(words) < 2:
            return None
        second = words[1]
        if second.low == "the":
            return (
                ("profile", 0.62)
                if re.search(
                    r"\b(?:team|board|committee|council|company|club|squad|crew|staff|union|army|navy|band|choir|force|side|lot)\b",
                    low,
                )
                or any(word.capital for word in words[2:5])
                else None
            )
        return "profile", 0.62
    if first.low.endswith("ed") and first.low not in _STAYING:
        return None
    if first.low in (
        "all",
        "both",
        "more",
        "most",
        "less",
        "so",
        "too",
        "as",
        "like",
        "what",
        "why",
        "how",
        "where",
        "not",
        "of",
        "to",
        "about",
        "around",
        "over",
        "up",
        "down",
        "away",
        "back",
        "here",
        "there",
    ):
        return None
    return "profile", 0.64 if len(words) > 1 or first.low.endswith(
        ("ish", "an", "ese", "ist")
    ) or first.capital else 0.62


def _of_people(one: Outline) -> bool:
    """Whether somebody's relatives, colleagues, clients, pets are spoken of."""
    words = {word.low for word in one.subject}
    return bool((words | {word.removesuffix("s") for word in words}) & (KNOWN | PETS))


_STAYED = wordlist(
    "register insure train qualify adopt license certify employ enrol enroll subscribe pay ban diagnose base call name bear raise"
)

_STAYING = wordlist(
    "registered insured trained qualified separated adopted vaccinated licensed retired certified employed enrolled "
    "subscribed paid allied affiliated banned diagnosed coloured"
)
"""Participles of what one is for long."""


def _doing(one: Outline, said: str) -> Tells | None:
    """The present tense of what somebody does."""
    if one.of in ("person", "bare") and one.verb in SAID_OF_OTHERS:
        return None
    if not said:
        return ("profile", 0.62) if one.verb in _ALONE else None
    if (
        one.verb in ("keep", "do")
        and re.match(r"(?:an?|my|his|her|our|the) (?!(?:same|right|best|job|trick|good|great)\b)\w", said)
        and ((one.verb == "keep" and said.startswith(("a ", "an ", "my "))) or one.of in ("own", "person", "bare"))
        and not re.match(r"an? (?:lot|bit|secret|promise|eye|lookout|straight)\b", said)
    ):
        return "profile", 0.62
    if (
        one.verb in ("sit", "stay", "stand")
        and re.match(r"(?:on|in|at) (?:the|my|our|an?|front|room)\b", said)
        and one.of == "self"
        and not IDIOMS.match(said)
    ):
        return "profile", 0.62
    if one.verb in ("start", "finish", "leave", "get") and re.match(
        r"(?:up )?(?:early|late)\b(?! (?:today|tomorrow|tonight))", said
    ):
        return "habit", 0.64
    if (
        one.verb == "know"
        and re.match(r"(?:next to |almost )?(?:nothing|little|a lot|everything|a bit|my way|how to)\b", said)
        and not NOW.search(said)
    ):
        return "profile", 0.64
    if one.verb == "do" and re.match(
        r"(?!(?:not|it|that|this|these|so|the|a|an|my|our|what|whatever|some|any|well|good|fine|great|better|nothing|something|"
        r"everything|anything)\b)[a-z]+(?: and [a-z]+)?(?:$| (?:at|in|for|on|with|as)\b)",
        said,
    ):
        return "profile", 0.62
    if (
        one.verb in ("take", "make", "do", "get", "see", "spend", "go", "call", "talk", "ask", "meet")
        and re.search(r"\ba lot\b|\blots\b|\bplenty\b|\bhours\b", said)
        and not POINTING.match(said)
    ):
        return "habit", 0.62
    if one.verb == "get" and re.match(
        r"(?:\w*sick|tired|bored|nervous|anxious|migraines|headaches|hay fever|cold|lost) ?(?:\w+ )?(?:easily|quickly|when|and|$)",
        said,
    ):
        return "profile", 0.64
    if (
        one.verb in PASSING
        or one.verb in TRIVIAL
        or one.verb in LIKING
        or POINTING.match(said)
        or re.match(r"(?:you|your|some|another|more|no)\b", said)
        or PRAISE.match(said)
    ):
        return None
    if re.match(r"(?:on|in|for|with|to|at|about|of) (?:it|that|this|them|him|her|you|what)\b", said):
        return None
    return "profile", 0.62


_ALONE = wordlist(
    "smoke drink drive snore freelance commute cycle stammer teach volunteer swim knit paint sing dance climb sail ride garden run"
)


def _of_names(one: Outline, who: Who | None, said: str) -> Tells | None:
    """Of somebody or something by name; of a noun only what it is to who speaks."""
    if one.verb == "be" and re.match(
        r"(?:my|our) (?!(?:\w+ )?(?:rock|rocks|future|motivation|inspiration|world|everything|life|happiness|joy|escape|fault|"
        r"problem|mistake|bad|point|question|guess|idea|concern|turn|pleasure|advice|opinion|hope|fear|priority|goal|plan|"
        r"thing)\b)\w+",
        said,
    ):
        return ("preference" if re.search(r"\bfavou?rite\b", said) else "profile"), 0.66
    if who is not None and who.person:
        if one.verb == "be":
            return _being(one, who, said, False)
        if one.verb == "have":
            return having_it(one, said)
        return _doing(one, said) if one.verb not in ("say", "ask", "tell") else None
    if one.verb in ("report", "work", "live", "play", "answer") and re.match(r"(?:to|for|with|under) me\b", said):
        return "profile", 0.64
    if who is not None and (one.verb == "have" or one.verb in BUILDING) and said and not POINTING.match(said):
        return "profile", 0.64
    if (
        one.of == "bare"
        and (
            re.search(r"\b(?:for us|with us|in our|at our|here|in this (?:project|repo|team|house|company))\b", said)
            or (
                re.search(r"\d", said)
                and one.verb
                in (
                    "start",
                    "stay",
                    "cost",
                    "last",
                    "begin",
                    "end",
                    "run",
                    "take",
                    "come",
                    "need",
                    "go",
                    "expire",
                    "be",
                    "have",
                )
            )
        )
        and not PRAISE.match(said)
        and not (one.verb == "be" and STATES.match(said))
    ):
        bound = re.search(r"\b(?:at least|at most|no more than|up to|for us)\b", said)
        return "requirement" if bound else "profile", 0.62
    if (
        one.verb == "be"
        and one.tense == "present"
        and not one.denied
        and re.match(
            r"in (?:cents|euros|dollars|pounds|utc|[a-z]+(?:metres|meters|bytes|seconds|grams)|english|german|french|spanish|\w+ format)\b",
            said,
        )
    ):
        return "profile", 0.62
    if (
        one.passive
        and not one.denied
        and re.search(r"\b(?:per|by|in|with)\b", said)
        and one.verb in ("number", "store", "name", "keep", "call", "bill", "charge", "sort", "group")
    ):
        return "profile", 0.61
    return None
