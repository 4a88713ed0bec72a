"""What is to come, and what comes again and again. English."""

import re

from enhanced_memory.daemon.extraction.clauses import Clause
from enhanced_memory.daemon.extraction.english_words import (
    ALWAYS,
    DAYS,
    TRIVIAL,
)
from enhanced_memory.daemon.extraction.signs import FREQUENT, NOW, PAST_TIME, POINTING, WHEN
from enhanced_memory.daemon.extraction.subjects import Who
from enhanced_memory.daemon.extraction.values import Kind
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["habitual", "planned"]


def planned(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What will be: with a time, or as what somebody wants, means or is about to do."""
    helpers, verb = set(clause.helpers), clause.verb
    lead = " ".join(word.low for word in clause.lead)
    when = WHEN.search(said) or WHEN.search(lead)
    kind = clause.subject.kind
    if "was" in helpers and ({"want", "plan"} & helpers):
        return "plan", 0.0  # `I wanted to`
    if (POINTING.match(said) and not when) or (
        verb in TRIVIAL and not when and verb not in ("start", "leave", "come") and not _PHRASAL.match(said)
    ):
        if {"will", "plan", "want"} & helpers:
            return "plan", 0.0
    if "want" in helpers and not clause.denied:
        if verb in (
            "know",
            "see",
            "ask",
            "say",
            "understand",
            "make",
            "thank",
            "check",
            "add",
            "be",
            "hear",
            "share",
            "tell",
            "talk",
            "discuss",
        ):
            return ("plan", 0.0) if not when else ("plan", 0.5)
        return "plan", 0.78 if when else 0.66 if verb in _AMBITIONS else 0.5
    if "plan" in helpers and (who.person or who.own or kind in ("the", "our")):
        if clause.denied:
            return "plan", 0.6
        return "plan", 0.85 if when or verb not in TRIVIAL or _PHRASAL.match(said) else 0.55
    if "will" in helpers and "perfect" in helpers:
        return ("plan", 0.7) if when and (who.own or who.person) else None
    if "will" in helpers:
        if verb in ("be", "have") and not when:
            return "plan", 0.0
        if when and not who.person and (kind in ("the", "our", "my") or (kind == "it" and "passive" in helpers)):
            return "plan", 0.75
        if who.person or who.own:
            trivial = verb in TRIVIAL and verb not in ("start", "leave", "come", "be") and not _PHRASAL.match(said)
            if clause.denied and not when:
                return "plan", 0.5
            said_what = len(clause.rest) > 1 and not re.match(r"(?:definitely|keep|make|up|on|all|always|some)\b", said)
            return "plan", 0.85 if when and not trivial else 0.7 if when else 0.5 if trivial or not said_what else 0.64
        return ("plan", 0.75) if when and kind in ("the", "our", "my") else None
    if (
        "progressive" in helpers
        and when
        and not PAST_TIME.search(said)
        and not FREQUENT.search(said)
        and (who.person or who.own)
    ):
        if verb == "think" and re.match(r"(?:of|about) \w+ing\b", said):
            return "plan", 0.64
        future = (
            (
                verb not in ("feel", "wonder", "think", "hope", "look", "enjoy", "try", "wait", "say", "talk", "tell")
                and not NOW.search(said)
            )
            or "tonight" in said
            or "today" in said
        )
        if "is" in helpers and future and "was" not in helpers:
            return "plan", 0.8
    if (
        "progressive" in helpers
        and "is" in helpers
        and verb in ("train", "save", "prepare", "plan", "look", "aim", "apply")
        and (who.person or who.own)
        and re.match(r"(?:for|to|a|an|our|my)\b", said)
    ):
        return ("plan", 0.8) if verb in ("train", "save", "aim") or when else ("plan", 0.62)
    if (
        verb in ("plan", "intend", "hope", "aim", "propose")
        and re.match(r"(?:to|on) ", said)
        and "passive" not in helpers
        and clause.form != "d"
    ):
        return "plan", 0.82
    if (
        verb in ("sign", "book", "register", "enrol", "enroll")
        and clause.form in "dn"
        and when
        and (who.own or who.person)
    ):
        return (
            ("plan", 0.75)
            if not PAST_TIME.search(said) and re.match(r"(?:up|for|in|an?|the|our|my|two|three)\b", said)
            else None
        )
    if "passive" in helpers and verb in ("schedule", "plan", "book", "set", "postpone", "expect", "move") and when:
        return "plan", 0.85
    if (
        verb == "be"
        and (kind in ("my", "our", "the") or who.type == "project")
        and (
            (re.match(r"(?:on|at|in|due|scheduled|set for|planned)\b", said) and when)
            or (clause.subject.head in ("deadline", "due") and when)
        )
    ):
        return (
            ("plan", 0.82) if clause.subject.head not in ("birthday", "anniversary") and "was" not in helpers else None
        )
    if (
        verb == "be"
        and clause.subject.head in ("goal", "plan", "aim", "objective", "target", "ambition", "dream", "intention")
        and said.startswith("to ")
    ):
        return "plan", 0.85
    if (
        verb == "be"
        and re.match(
            r"(?:off|away|out of (?:the )?office|on (?:\w+ )?(?:holiday|vacation|leave|call)|busy|free)\b", said
        )
        and when
        and who.person
    ):
        return "plan", 0.75
    if (
        verb
        in (
            "start",
            "begin",
            "end",
            "close",
            "open",
            "launch",
            "leave",
            "depart",
            "arrive",
            "ship",
            "expire",
            "happen",
            "finish",
        )
        and clause.form == "s"
        and when
        and kind in ("my", "our", "the")
        and not FREQUENT.search(said)
    ):
        return "plan", 0.75
    if (
        when
        and clause.form in "bs"
        and not helpers
        and (who.person or who.own)
        and verb not in _IDLE
        and verb not in ("be", "have", "like", "love", "prefer", "hate")
        and _POINT.search(said)
        and not FREQUENT.search(said)
        and not FREQUENT.search(lead)
    ):
        return "plan", 0.75
    if (
        verb == "have"
        and clause.form == "b"
        and when
        and not FREQUENT.search(said)
        and who.own
        and re.match(
            r"(?:an?|my|our|the|two|three) (?:\w+ ){0,2}(?:exam|test|flight|appointment|interview|meeting|deadline|trip|wedding|concert|"
            r"conference|surgery|operation|talk|presentation|call|party|demo|release|match|race|date)\b",
            said,
        )
    ):
        return "plan", 0.8
    return None


_POINT = re.compile(
    rf"\bon the \d{{1,2}}(?:st|nd|rd|th)\b|\bon (?:{DAYS})\b(?!s)|\btomorrow\b|\btonight\b|\bon \d{{1,2}} [A-Za-z]+|\bnext (?:week|month|year|{DAYS})\b",
    re.IGNORECASE,
)
"""A day, and no more than one."""
_PHRASAL = re.compile(r"(?:after|over|off|up|down|back|into|through) (?!it\b|this\b|that\b)\w")
"""With a particle a small verb says something: `look after`, `take over`."""

_IDLE = wordlist("want need see have get ask say know hope mean wish think find try feel care")

_AMBITIONS = wordlist(
    "learn become build create start visit travel move buy write study run open lose save improve retire launch grow found publish climb train finish adopt marry"
)


_REGULAR = re.compile(
    rf"(?:(?:always|usually|held|on|every|each) )*(?:{DAYS}s\b|every \w+|each \w+|weekly|monthly|daily|once a \w+)",
    re.IGNORECASE,
)
"""When something takes place again and again."""


def habitual(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What is done as a rule: in the present tense, with a word for how often."""
    helpers = set(clause.helpers)
    if (
        clause.verb == "be"
        and clause.subject.kind in ("the", "our", "my", "bare")
        and clause.form != "d"
        and _REGULAR.match(said)
    ):
        return "habit", 0.75
    if not (who.person or who.own) or (clause.verb == "be" and not who.own):
        return None
    if {"will", "would", "must", "passive", "was", "did", "plan", "want", "need", "should", "can", "may"} & helpers or (
        clause.form in "dn" and "perfect" not in helpers
    ):
        return None
    if "perfect" in helpers:
        return None
    lead = " ".join(word.low for word in clause.lead)
    often = FREQUENT.search(said) or FREQUENT.search(lead)
    frequency = ALWAYS & set(clause.adverbs) or ALWAYS & set(lead.split())
    if "tend" in helpers or (clause.verb == "tend" and said.startswith("to ")):
        return "habit", 0.85
    if clause.verb in (
        "recommend",
        "say",
        "wonder",
        "think",
        "mean",
        "understand",
        "agree",
        "know",
        "believe",
        "forget",
        "hope",
    ):
        return None
    if clause.verb == "be":
        return (
            ("habit", 0.64)
            if (frequency or often) and re.match(r"(?:up|at|in|on|late|early|awake|home|offline|online|out)\b", said)
            else None
        )
    if "progressive" in helpers and (not often or often[0].lower().startswith("when")):
        return None
    if (
        "only" in clause.adverbs
        and clause.form in "bs"
        and not helpers - {"do"}
        and said
        and clause.verb not in _IDLE
        and not NOW.search(said)
    ):
        return "habit", 0.7
    if often or (frequency and said):
        return "habit", 0.86 if often and frequency else 0.82
    return None
