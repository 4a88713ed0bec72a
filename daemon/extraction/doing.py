"""What somebody or a project does, or had done to it, for good. English."""

import re

from enhanced_memory.daemon.extraction.clauses import Clause
from enhanced_memory.daemon.extraction.english_words import (
    ABLE,
    BUILDING,
    BUILT,
    DOING,
    KNOWN,
    LIFE,
    LIVING,
    MADE,
    PASSING,
    TRIVIAL,
    WORKING,
)
from enhanced_memory.daemon.extraction.signs import NOW, OLD, PAST_TIME, POINTING, SINCE, WHEN, YEAR
from enhanced_memory.daemon.extraction.subjects import Who
from enhanced_memory.daemon.extraction.values import Kind
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["SAID_OF_OTHERS", "doing"]


def doing(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What one does for a living, where, in which language; what a project runs on."""
    helpers, verb, kind = set(clause.helpers), clause.verb, clause.subject.kind
    own = who.person or who.own
    if "can" in helpers and own and clause.verb in ABLE and said and not POINTING.match(said) and not NOW.search(said):
        return "profile", 0.66
    if {"will", "would", "could", "can", "should", "did", "want", "plan", "need", "must"} & helpers:
        return None
    if "passive" in helpers:
        return _done_to(clause, who, said)
    if verb == "mean" or (POINTING.match(said) and verb not in ("live", "work")):
        return None
    if (
        verb == "come"
        and own
        and re.match(r"(?:originally )?from ", said)
        and not re.match(
            r"from (?:my|the|a(?! (?:\w+ )?(?:family|village|town|island|line|country|farm|background))|school|work|home)\b",
            said,
        )
    ):
        return "profile", 0.85
    if kind == "we" and clause.subject.with_us and re.search(r"\b(?:together|each other|one another)\b", said):
        return "relationship", 0.75
    if verb == "report" and said.startswith("to ") and own:
        return "relationship", 0.9
    if (
        verb in ("work", "live")
        and re.match(r"(?:with|for) (?:my (?:" + "|".join(sorted(KNOWN)) + r")|[a-z]+$)", said)
        and own
        and clause.form in "bs"
        and any(word.capital for word in clause.rest)
    ):
        return "relationship", 0.75
    if verb == "share" and kind == "we":
        return "relationship", 0.7
    if "progressive" in helpers and "perfect" not in helpers:
        if "was" in helpers or not own:
            return None
        if verb == "come" and said.startswith("from "):
            return "profile", 0.8
        if verb in ("live", "work", "study") and re.match(r"(?:in|at|on|for|as|with|from|towards|remotely)\b", said):
            return ("profile", 0.75) if not re.match(r"on (?:it|that|this)\b", said) else None
        if verb in DOING and said and not re.match(r"(?:with|from|a lot|so|hard|well|too|more|together)\b", said):
            return "profile", 0.62
        return None
    if "perfect" in helpers:
        if own and _lasting(clause, said) and verb not in ("wait", "try", "look", "think", "see", "fail", "hear"):
            return "profile", 0.85
        if own and verb in LIFE | {"live", "teach", "study"} and not PAST_TIME.search(said):
            return "profile", 0.8
        return None
    if clause.form in "dn":
        if verb in _PLACED_PAST and not re.match(_PLACED_PAST[verb], said):
            return None
        if (
            own
            and clause.form == "d"
            and verb in LIFE | {"study", "work", "live", "teach", "grow", "serve"}
            and not PAST_TIME.search(said)
        ):
            if verb in (
                "start",
                "become",
                "leave",
                "buy",
                "lose",
                "raise",
                "publish",
                "win",
                "receive",
                "earn",
                "get",
                "break",
                "transfer",
                "train",
                "settle",
                "tear",
            ) and not (YEAR.search(said) or WHEN.search(said)):
                return ("profile", 0.55) if verb not in ("become", "earn") else ("profile", 0.7)
            return "profile", 0.82
        if own and clause.form == "d" and verb == "spend" and _YEARS_THERE.search(said):
            return "profile", 0.82
        if own and clause.form == "d" and YEAR.search(said):
            return "profile", 0.65
        return None
    if not own:
        if (
            who.type == "project"
            and verb in BUILDING
            and said
            and clause.form in "bs"
            and (kind in ("our", "name") or clause.subject.name)
        ):
            return "profile", 0.8
        if (
            clause.subject.head in MADE
            and verb in BUILDING | WORKING
            and clause.form in "bs"
            and said
            and not clause.helpers
        ):
            return None if NOW.search(said) or POINTING.match(said) else ("profile", 0.66)
        return _by_default(clause, who, said) if kind == "our" or (kind == "name" and who.type) else None
    if kind in ("my", "their") and not clause.subject.name:
        # `My printer jams` says how things stand; `my brother works in Oslo` is about somebody.
        if clause.subject.head in KNOWN and verb in LIVING and said:
            return "relationship", 0.82
        return _by_default(clause, who, said) if clause.subject.head in KNOWN else None
    if kind == "we" and verb in BUILDING and said:
        return "profile", 0.74
    if verb == "use":
        return ("profile", 0.78) if said and not re.match(r"(?:the|your|this|an? (?:few|lot|bit))\b", said) else None
    if clause.subject.kind in ("name", "he") and re.match(r"(?:me|us)\b", said) and who.person and verb not in PASSING:
        return "relationship", 0.72
    if who.type == "project" and kind == "our" and verb in BUILDING and said:
        return "profile", 0.8
    if verb == "look" and re.match(r"after (?:the|our|my|an?|all|\w+s\b)", said):
        return "profile", 0.75
    if verb in _PLACED and not re.match(_PLACED[verb], said):
        return _by_default(clause, who, said) if kind in ("he", "name") else None
    if verb in LIVING and said:
        return "profile", 0.86 if verb in ("live", "work", "study", "teach", "speak", "own") else 0.74
    if verb in ("eat", "drink", "smoke", "take") and clause.denied:
        return "profile", 0.82
    if verb in ("take", "keep") and re.search(
        r"\bmg\b|\b(?:medication|insulin|pills?|tablets?|inhaler|hens|bees|chickens|sheep|cows)\b", said
    ):
        return "profile", 0.78
    if verb == "learn" and re.match(r"(?:best|better|most)\b", said):
        return "preference", 0.75
    if verb in ("code", "program", "grow", "go") and re.match(r"(?:in|up in|by)\b", said):
        return "profile", 0.75
    return _by_default(clause, who, said)


def _lasting(clause: Clause, said: str) -> bool:
    """Whether it is said since when or for how long, in front of the subject or behind the verb."""
    return clause.cut == "since" or bool(SINCE.search(said) or SINCE.search(" ".join(word.low for word in clause.lead)))


def _by_default(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """The present tense of a verb that tells of no passing thing: `I major in phonetics`, `she breeds horses`.

    Of others one tells less what passes just now: `she takes the early train`.
    """
    if (
        clause.subject.kind in ("he", "name") and who.person and clause.form == "s" and not clause.helpers and clause.verb not in SAID_OF_OTHERS
        and len(clause.rest) > 1 and not NOW.search(said) and not POINTING.match(said)
    ):  # fmt: skip
        return "profile", 0.68
    if clause.subject.kind in ("he", "name") and clause.verb in SAID_OF_OTHERS:
        return None
    if clause.verb in PASSING or clause.verb in TRIVIAL or not said or clause.form not in "bs" or NOW.search(said):
        return None
    if (
        set(clause.helpers) - {"do"}
        or POINTING.match(said)
        or re.match(
            r"(?:the|that|this|your|a (?:bit|lot|few)|(?:on|in|for|with|to|at|about) (?:it|that|this|them|him|her|you|what))\b",
            said,
        )
    ):
        return None
    return "profile", 0.62


SAID_OF_OTHERS = wordlist(
    """
    say think know want need see hear feel seem look mean tell ask wonder hope wish suggest believe claim agree doubt find sound
    appear get let show have be do come go send greet thank laugh smile nod sigh shake sit stand walk open close turn point wave cry
    shout whisper enter leave arrive reply answer explain add note mention report promise refuse offer remind apologise apologize
    """
)
"""What passes in others, too, and what a narrator tells of them."""

_PLACED = {
    "work": r"(?:(?:\w+ )?(?:shifts|weekends)\b|in|at|for|as|with|from|remotely|part-time|full-time|freelance|nights|on|out of|here|"
    r"two|three|four|\d)\b(?! (?:it|that|this|me|you)\b)",
    "live": r"(?:in|at|on|with|near|alone|by|off|next|here|abroad|together|outside|downtown|between)\b",
    "speak": r"(?!about|to|up|with|out|for|of)",
    "run": r"(?:an?|the|my|our|two|three|[a-z]+ on)\b",
    "play": r"(?!with|around|along|it|out|by)",
    "drive": r"(?:an?|the|my|to)\b",
    "hold": r"(?:an?|the|two|dual)\b",
    "lead": r"(?:an?|the|our)\b",
    "raise": r"(?!an? (?:issue|question|point|good))",
    "share": r"(?:an?|the|our) (?:flat|house|office|room|apartment|desk|phone|on-call)",
    "serve": r"(?:as|on|in)\b",
    "handle": r"(?:the|our|all)\b",
    "represent": r"(?:the|our|a)\b",
    "belong": r"to (?:an?|the) ",
    "program": r"(?:in|mostly)",
    "code": r"(?:in|mostly)",
    "develop": r"(?!into|a feeling)",
    "suffer": r"from",
    "wear": r"(?!out|off)",
    "head": r"(?:the|our)",
    "rent": r"(?:an?|the|our)\b",
}
"""What must follow such a verb for it to tell something lasting."""


_YEARS_THERE = re.compile(r"^(?:\w+ ){0,3}(?:years|months|decades|summers|winters)\b.*\b(?:in|at|as|with|on)\b")
"""How long, and where: `six years at a shipping company`."""

_PLACED_PAST = {
    "work": r"(?:as|at|for|in)\b",
    "live": r"(?:in|at|with|abroad|near)\b",
    "teach": r"(?!us|me|him|her|them|you)",
    "grow": r"up\b",
    "leave": r"(?:my|the|[a-z]+ in)\b",
    "lose": r"(?:my|his|her) (?:\w+ )?(?:job|husband|wife|father|mother|hearing|sight|leg|arm|dog|cat|brother|sister)",
}


def _done_to(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """`I was born in`, `Orion is written in`, `she is married to`."""
    verb = clause.verb
    first = said.split(" ", 1)[0] if said else ""
    if who.person:
        if verb == "bear" and not OLD.search(said):
            return "profile", 0.92
        if verb in ("call", "name", "nickname") and said:
            related = clause.subject.kind in ("my", "our", "their") and clause.subject.head in KNOWN
            return "relationship" if related else "profile", 0.9
        if verb in ("marry", "engage") and said.startswith("to "):
            return "relationship", 0.9
        if verb in (
            "diagnose",
            "promote",
            "hire",
            "appoint",
            "raise",
            "base",
            "employ",
            "certify",
            "train",
            "elect",
            "retire",
        ) and (said or verb == "retire"):
            return "profile", 0.84
        return None
    if (
        who.type == "project"
        and verb in BUILT
        and first in ("in", "with", "on", "to", "by", "at", "using", "for", "under", "from")
        and (clause.subject.kind in ("name", "our", "the") or clause.subject.name)
    ):
        return "profile", 0.8 if clause.subject.kind != "the" else 0.68
    return None
