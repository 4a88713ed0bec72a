"""Sentences without a subject: standing instructions, `let's …`, and notes in a few words. English."""

import re

from enhanced_memory.daemon.extraction.english_words import (
    BUILDING,
    IMPERATIVES,
    LIKING,
    LIVING,
    MANNER,
    STANDING,
    verb_of,
)
from enhanced_memory.daemon.extraction.signs import CLOCK, FREQUENT, IDLE_NO, WHEN
from enhanced_memory.daemon.extraction.values import USER, Found, Kind, Scene
from enhanced_memory.daemon.extraction.wordlists import wordlist
from enhanced_memory.daemon.extraction.words import Word

__all__ = ["commanded"]

_FROM_NOW = re.compile(
    r"^(?:from now on|in (?:the )?future|going forward|by default|as a rule|in general|for (?:all|every|each|any) [\w ]{3,30}|"
    r"whenever [\w ]{3,40}|every time [\w ]{3,40}|when(?:ever)? you [\w ]{3,40}|for the rest of [\w ]{3,30}|at all times),? ",
    re.IGNORECASE,
)
_SURE = re.compile(r"^(?:make|be) (?:sure|certain)\b|^see to it\b|^be careful (?:to|not to)\b", re.IGNORECASE)
_IDLE = re.compile(
    r"^(?:worry|hesitate|mind|forget|bother|be (?:shy|afraid|scared|sorry|late|rude|silly|sad|a|too|so)\b|let |give up|stop|quit|"
    r"get me wrong|panic|feel|think|know|take (?:it|this)|let (?:me|it|that)|you (?:think|know)|tell me|give up|say that|wait|"
    r"sweat)\b",
    re.IGNORECASE,
)
_NO_ORDER = IDLE_NO | wordlist("i it that you we he she they but")
_TONGUE = re.compile(
    r"^(?:[Ww]rite|[Rr]eply|[Aa]nswer|[Rr]espond|[Ss]peak|[Tt]alk)(?: back)?(?: to)?(?: me| us)? (?:only )?in [A-Z][a-z]+\b"
)
"""In which language somebody wants to be answered."""
_ENCOURAGING = re.compile(
    r"\band (?:you(?:['’]ll| will)|it(?:['’]ll| will))\b|\bnever give up\b|^keep (?:it up|going|up|pushing|at it)\b",
    re.IGNORECASE,
)
_DECIDED = re.compile(
    r"^(?:go (?:with|for)|stick (?:with|to)|use|keep(?! \w+ing\b)|drop|stay (?:with|on)|adopt|settle on|stop using|switch to|"
    r"move to|call it|aim for|avoid|make it)\b(?! (?:it|that|this|in touch)\b)",
    re.IGNORECASE,
)


def commanded(text: str, words: list[Word], scene: Scene) -> list[Found]:
    """The fact of a sentence that has no subject of its own."""
    while words and words[-1].low in (".", "!", ","):
        words = words[:-1]
    if words and words[0].low == "please":
        words = words[1:]
    if not words:
        return []
    said = text[words[0].start :].strip()
    found = _lets(said, words) or _correction(said) or _instruction(said, words) or _note(said, words)
    if found is None or _ENCOURAGING.search(said):
        return []
    kind, confidence, of_project = found
    subject = scene.project if of_project else scene.speaker
    subject_type = "project" if of_project else "user" if subject == USER else "person"
    if kind == "requirement" and scene.speaker != USER and confidence < 0.8 and not text.lower().startswith("please"):
        confidence -= 0.2  # what people tell one another to do is seldom meant for good
    return [Found(kind, subject, subject_type, " ".join(text.split()).strip(" ,;:-–—"), confidence)]


Command = tuple[Kind, float, bool]


def _lets(said: str, words: list[Word]) -> Command | None:
    if [word.low for word in words[:2]] != ["let", "us"]:
        return None
    rest = said[words[1].end - words[0].start :].strip()
    if rest.startswith("not "):
        return ("decision", 0.62, True) if _DECIDED.match(rest[4:]) else None
    if re.match(r"(?:meet|say|start|begin|leave|move|schedule|fix|do)\b", rest) and (
        CLOCK.search(rest) or WHEN.search(rest)
    ):
        return "decision", 0.68, True
    return ("decision", 0.75, True) if _DECIDED.match(rest) else None


_SCRATCH = re.compile(
    r"^(?:scratch that|strike that|correction|(?:scratch|forget|ignore|strike) what i (?:said|wrote|told)|"
    r"forget (?:what i said|that)|never mind|make (?:that|it) (?!work|happen|so|clear|sure|"
    r"look|better|easier)[\w ]+(?:,|;| instead| rather| not\b)|not (?!only)[\w ]+, (?:but )?[\w ]+|no, (?:it|that|i))",
    re.IGNORECASE,
)


def _correction(said: str) -> Command | None:
    if _SCRATCH.match(said) and len(said.split()) > 3:
        return "correction", 0.72, False
    return None


def _instruction(said: str, words: list[Word]) -> Command | None:
    standing = False
    ahead = _FROM_NOW.match(said)
    if ahead:
        standing = True
        said = said[ahead.end() :].strip()
        words = [word for word in words if word.start >= words[0].start + ahead.end()] or words
        if words[0].low == "please":
            words = words[1:]
            said = said.removeprefix("please ").strip()
    if not words:
        return None
    first = words[0].low
    if first in ("always", "never", "only"):
        if len(words) > 2 and (first == "never" or first == "always") and _base(words[1]):
            if words[1].low in ("mind", "say", "heard", "seen", "forget", "remember") and first == "never":
                return None
            return "requirement", 0.88, False
        return ("requirement", 0.78, False) if first == "only" and len(words) > 2 and _base(words[1]) else None
    if first in ("do", "don't") and len(words) > 2 and words[1].low == "not":
        rest = words[2:]
        ever = rest[0].low == "ever"
        if ever:
            rest = rest[1:]
        after = " ".join(word.low for word in rest)
        if not rest or _IDLE.match(after) or rest[-1].low in ("yet", "now"):
            return None
        return "requirement", 0.85 if ever or standing else 0.74, False
    if _SURE.match(said):
        return "requirement", 0.76, False
    if first == "remember" and len(words) > 2 and words[1].low in ("to", "not"):
        return "requirement", 0.7, False
    if (
        first in ("call", "address")
        and len(words) > 1
        and words[1].low == "me"
        and len(words) > 2
        and words[2].low not in ("back", "later", "when", "if", "tomorrow", "at", "on")
    ):
        return "requirement", 0.88, False
    if _TONGUE.match(said):
        return "requirement", 0.8, False
    if first == "stop" and len(words) > 2 and words[1].low.endswith("ing"):
        return "requirement", 0.75, False
    if (
        first == "no"
        and 2 <= len(words) <= 10
        and words[1].low not in _NO_ORDER
        and not any(word.low in ("is", "are", "was", "have", "has") for word in words)
    ):
        return (
            "requirement",
            0.7
            if words[1].low == "more" or said.lower().rstrip(".!").endswith("please") or _plural(words[1])
            else 0.62,
            False,
        )
    if not _base(words[0]):
        return None
    if (
        first in ("contact", "call", "email", "text", "write", "phone", "reach", "message")
        and len(words) > 3
        and words[1].low in ("me", "us")
        and any(word.low in ("only", "by", "via", "after", "before", "between") for word in words[2:])
    ):
        return "requirement", 0.75, False
    if standing or (FREQUENT.search(said) and first in IMPERATIVES):
        return "requirement", 0.85, False
    if first in STANDING and len(words) > 1:
        return "requirement", 0.76, False
    if first == "use" and len(words) > 1 and words[1].low not in ("it", "this", "that", "your", "these", "the"):
        return "requirement", 0.7, False
    if (
        first == "keep"
        and len(words) > 2
        and words[1].low
        in (
            "your",
            "all",
            "the",
            "it",
            "answers",
            "replies",
            "responses",
            "lines",
            "code",
            "commits",
            "things",
            "everything",
            "functions",
        )
        and words[-1].low not in ("going", "up", "coming")
    ):
        return "requirement", 0.72, False
    if (
        first in ("answer", "reply", "respond", "write", "speak", "talk", "format", "sign", "spell", "think")
        and len(words) > 2
        and words[1].low in MANNER
    ):
        return "requirement", 0.7, False
    if any(word.low in ("always", "never", "only", "every", "each") for word in words[1:]) and first in IMPERATIVES:
        return "requirement", 0.72, False
    return None


def _base(word: Word) -> bool:
    found = verb_of(word.low)
    return (found is not None and found[1] == "b") or word.low in ("be", "have", "do")


def _note(said: str, words: list[Word]) -> Command | None:
    """`Prefers aisle seats`, `Reports always in PDF`, `Allergic to nuts`."""
    first = words[0].low
    form = verb_of(first)
    if (
        form is not None
        and form[1] == "s"
        and words[0].capital
        and len(words) > 1
        and words[1].low not in ("of", "are", "is", "for", "'s")
    ):
        verb = form[0]
        if verb in LIKING:
            return "preference", 0.82, False
        if (
            verb in LIVING | {"have", "own"}
            and verb not in ("share", "sing", "range", "store")
            and verb not in BUILDING - {"run", "use", "maintain"}
        ):
            return "profile", 0.74, False
    if (
        first
        in ("allergic", "vegetarian", "vegan", "married", "born", "based", "fluent", "left-handed", "works", "lives")
        and len(words) <= 12
        and not re.match(
            r"works (?:for (?:me|us)|fine|great|well|now|like|perfectly|again)\b|works$", said, re.IGNORECASE
        )
    ):
        return "profile", 0.75, False
    if first in ("big", "huge", "not") and re.match(r"(?:big|huge|not an?|not a big) fan of\b", said, re.IGNORECASE):
        return "preference", 0.75, False
    if 3 <= len(words) <= 14 and not any(verb_of(word.low) and verb_of(word.low)[1] in "sd" for word in words[:4]):  # type: ignore[index]
        lows = [word.low for word in words[:5]]
        if (
            any(low in ("always", "never") for low in lows[1:])
            and any(word.low in MANNER for word in words)
            and _plural(words[0])
        ):
            return "requirement", 0.68, False
    return None


def _plural(word: Word) -> bool:
    return word.low.endswith("s") and word.raw.isalpha()
