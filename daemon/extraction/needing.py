"""What has to be, and what is needed. English."""

import re

from enhanced_memory.daemon.extraction.clauses import Clause
from enhanced_memory.daemon.extraction.english_words import (
    ASKING,
    INSISTING,
    KNOWN,
    NEAR,
    ROLES,
    TRIVIAL,
)
from enhanced_memory.daemon.extraction.signs import POINTING, WHEN
from enhanced_memory.daemon.extraction.subjects import Who, noun_of
from enhanced_memory.daemon.extraction.values import Kind
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["required"]


def required(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What must be: of a thing, of what we do, of what somebody insists on."""
    helpers = set(clause.helpers)
    thing = not who.person or clause.subject.kind in ("the", "our", "bare", "it")
    kind = clause.subject.kind
    if clause.verb == "need" and "need" not in helpers:
        return _needed(clause, who, said)
    if "must" in helpers and (
        "perfect" in helpers
        or (
            kind == "it"
            and clause.verb in ("be", "feel", "seem", "look", "sound", "hurt", "suck")
            and "passive" not in helpers
        )
    ):
        return "plan", 0.0  # `that must have been hard`: a guess
    if re.match(r"(?:something|it|that|this)\b", said) and kind in ("we", "it"):
        return "requirement", 0.4
    must = {"must", "shall"} & helpers or ("need" in helpers and clause.verb != "need")
    if "was" in helpers and "need" in helpers:
        return None
    if must and (thing or kind == "we"):
        if kind == "we" and not clause.denied:
            if clause.verb in (
                "go",
                "leave",
                "talk",
                "hurry",
                "discuss",
                "see",
                "find",
                "figure",
                "think",
                "get",
                "wait",
                "ask",
                "look",
                "be",
                "meet",
                "say",
                "speak",
                "decide",
                "understand",
                "check",
                "call",
                "buy",
                "catch",
            ):
                return "requirement", 0.4
            return "requirement", 0.78
        if kind == "name" and not who.type:
            return None  # a name of which nothing is known
        if (
            kind == "bare"
            and "passive" not in helpers
            and not ({"now", "always", "never", "only"} & set(clause.adverbs))
            and not clause.denied
        ):
            return "requirement", 0.8 if _BOUND.search(said) else 0.72 if clause.subject.head[
                -1:
            ] == "s" and said else 0.72 if len(clause.rest) > 2 else 0.55
        if kind == "my" and clause.subject.head in KNOWN:
            return None
        return "requirement", 0.9 if "need" not in helpers else 0.82
    if (
        must
        and who.own
        and kind == "I"
        and clause.verb not in TRIVIAL
        and not WHEN.search(said)
        and (
            clause.denied
            or clause.verb in ("eat", "drink", "avoid", "wear", "sleep", "use", "travel", "work", "inject")
        )
    ):
        return ("requirement", 0.7) if said and not POINTING.match(said) else None
    if (
        "can" in helpers
        and "only" in clause.adverbs
        and (who.own or thing)
        and kind in ("I", "we", "our", "the", "bare")
        and said
        and not POINTING.match(said)
    ):
        return "requirement", 0.72
    if clause.verb == "be" and thing and not helpers - {"is"} and _LIMIT.search(said):
        return "requirement", 0.75
    if (
        must
        and kind == "I"
        and clause.verb in ("keep", "stay", "have", "be", "avoid")
        and _FOR.search(said)
        and not POINTING.match(said)
    ):
        return "requirement", 0.66
    if must and who.own and kind == "I":
        return ("plan", 0.7) if WHEN.search(said) and clause.verb not in TRIVIAL else ("plan", 0.4)
    if "should" in helpers and thing and kind not in ("bare", "name"):
        return "requirement", 0.72
    if "should" in helpers and kind == "bare" and "never" in clause.adverbs:
        return "requirement", 0.75
    if "should" in helpers and kind == "bare" and clause.subject.head not in _ANYBODY and said:
        return "requirement", 0.72
    if (
        "can" in helpers
        and clause.denied
        and (who.own or who.person)
        and kind in ("I", "we", "he", "name")
        and clause.verb in ("work", "come", "attend", "join", "travel", "commit", "accept", "go", "meet")
        and (clause.cut in ("because", "since", "as") or _BOUNDED.search(said))
    ):
        return "requirement", 0.72
    if "can" in helpers or "may" in helpers:
        if clause.subject.words and clause.subject.words[0].low == "no" and thing:
            return "requirement", 0.75
    if "should" in helpers and kind == "we" and (clause.denied or {"always", "only"} & set(clause.adverbs)):
        return "requirement", 0.7
    if (
        {"may", "can"} & helpers
        and clause.denied
        and thing
        and kind in ("the", "our", "bare")
        and ({"may"} & helpers or "passive" in helpers)
    ):
        return "requirement", 0.75
    if (
        kind in ("we", "the", "our")
        and clause.verb in ("accept", "support", "allow", "permit")
        and clause.denied
        and "did" not in helpers
    ):
        return "requirement", 0.75
    if (
        "passive" in helpers
        and clause.denied
        and clause.verb in ("allow", "permit", "accept", "support", "tolerate")
        and thing
        and kind != "name"
    ):
        return "requirement", 0.8
    if "passive" in helpers and clause.verb in ("require", "forbid") and kind in ("the", "our", "bare"):
        return "requirement", 0.85
    if (
        clause.verb == "be"
        and thing
        and kind != "it"
        and re.match(
            r"(?:mandatory|required|compulsory|forbidden|not allowed|off limits|a (?:hard |strict )?requirement|a must|non-negotiable|essential)\b",
            said,
        )
    ):
        return "requirement", 0.85
    if (
        clause.verb in INSISTING
        and clause.verb not in ("want", "expect", "request")
        and kind in ("the", "our", "my", "name", "he")
        and clause.form == "s"
        and said
    ):
        return "requirement", 0.75
    if (
        clause.verb in ("want", "expect", "request")
        and kind in ("the", "our", "my")
        and clause.form == "s"
        and (
            clause.subject.head in NEAR
            or clause.subject.head in ROLES
            or clause.subject.head in ("team", "board", "company", "law", "bank", "customers", "clients", "users")
        )
        and said
        and not POINTING.match(said)
    ):
        return "requirement", 0.7
    if clause.verb in ("require", "demand") and (kind == "we" or (thing and kind in ("our", "the"))) and said:
        return "requirement", 0.75
    return None


_LIMIT = re.compile(
    r"\d.*\b(?:at most|at least|max(?:imum)?|min(?:imum)?|tops|or (?:less|more|fewer|above|below))\b|"
    r"^(?:at most|at least|no more than|not more than|limited to|capped at) .*\d"
)
"""A bound: `100 at most`."""
_FOR = re.compile(r"\b(?:for (?:the|my|our|work)|because|above|below|under|over|within|at all times)\b")
"""For what, or between what, something has to be kept."""

_ANYBODY = wordlist(
    "people kids children parents teachers women men students companies governments adults beginners users everybody"
)
_BOUNDED = re.compile(
    r"\b(?:because|due to|without|before|after|until|on (?:mon|tues|wednes|thurs|fri|satur|sun)days?|on weekends|at weekends|more than|later than)\b"
)
"""By what somebody is held: a day, a reason, a limit."""

_BOUND = re.compile(
    r"\b(?:below|under|above|over|within|at least|at most|no more than|less than|more than|before|after|by|until|every|up to)\b(?:.*\d| \w+day)"
)
"""A limit that something keeps to: what is said of everything has none."""

_PERSONAL_NEED = re.compile(
    r"^(?:to (?:go|leave|talk|sleep|eat|rest|run|hurry|discuss|see|find|figure|think|know|ask|check|look|get|understand|finish|wait|call|buy)\b)"
)


def _needed(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """`I need X`: for good, or now? What is asked of a helper, and what is only pointed at, is not a fact."""
    if (
        not said
        or POINTING.match(said)
        or re.match(r"(?:you|help|your|some|any|more|another|someone|somebody)\b", said)
    ):
        return "requirement", 0.0
    if clause.denied:
        return "requirement", 0.5
    if _PERSONAL_NEED.match(said) or said.startswith("to "):
        return "requirement", 0.4
    noun = noun_of(said)
    bounded = re.search(
        r"\b(?:to be|at least|at most|no more than|less than|more than|must|before|until|without|in order|because|per|for (?:my|our|"
        r"the|work)|by (?:the|next|\w+day))\b|\d",
        said,
    )
    if noun in ASKING or said.split(" ", 1)[0] in ASKING:
        return "requirement", 0.0
    if who.own or (not who.person and clause.subject.kind in ("our", "the")):
        kind_is_i = clause.subject.kind == "I"
        short = len(clause.rest) <= 7 and said.split(" ", 1)[0] not in (
            "way",
            "folks",
            "people",
            "better",
            "all",
            "each",
            "one",
            "this",
        )
        if said.startswith(("at least ", "at most ", "no more than ", "no less than ")):
            return "requirement", 0.74
        return "requirement", 0.8 if bounded and short else 0.58 if bounded else 0.55 if said.startswith(
            ("a ", "an ")
        ) and kind_is_i else 0.64 if short else 0.5
    return "requirement", 0.7 if who.person and bounded else 0.5
