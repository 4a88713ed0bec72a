"""What happened once, or goes on for weeks, and says for good who somebody is. English."""

import re

from enhanced_memory.daemon.extraction.outline import Outline, Tells
from enhanced_memory.daemon.extraction.signs import NOW, POINTING
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["for_weeks", "once"]


def once(one: Outline, said: str) -> Tells | None:
    """What happened once and says for good who somebody is: where they came from, their first, how old they became."""
    if one.denied:
        return None
    if re.search(r"\ball (?:my|his|her) life\b|\bfor (?:\w+ )?(?:\d+|ten|twenty|thirty|forty|many) years\b", said):
        return "profile", 0.68
    if one.verb in ("finish", "leave") and re.match(
        r"(?:school|university|college|uni|high school|my (?:degree|studies|apprenticeship|training|phd))\b", said
    ):
        return "profile", 0.68
    if (
        one.verb == "raise"
        and one.of in ("own", "person", "self")
        and re.search(r"\b(?:of us|children|kids|sons|daughters|me)\b", said)
    ):
        return "profile", 0.66
    if one.verb == "turn" and re.match(
        r"(?:\d+|[a-z]+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-\w+)?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b",
        said,
    ):
        return "profile", 0.7
    if (
        one.verb in ("come", "move", "emigrate")
        and re.search(r"\bto (?:the )?\w+", said)
        and any(word.capital for word in one.predicate[1:4])
        and (re.search(r"\bfrom\b|\bas a\b|\bwhen\b|years ago", said) or one.verb != "come")
    ):
        return "profile", 0.68
    if one.verb in ("run", "win", "publish", "write", "climb", "release", "finish", "buy", "build") and re.match(
        r"(?:my|his|her|our) (?:very )?(?:first|second|third|last|only)\b", said
    ):
        return "profile", 0.64
    if one.verb == "have" and re.match(
        r"(?:an?|our|my|his|her|two|three) (?:\w+ )?(?:baby|babies|son|daughter|child|twins|stroke|heart attack|operation|surgery|"
        r"transplant|miscarriage|bypass|accident)\b",
        said,
    ):
        return "profile", 0.66
    if one.verb == "learn" and re.search(
        r"\b(?:at|in|from|as a) (?:\w+ )?(?:school|university|college|child|kid|army|my \w+)\b", said
    ):
        return "profile", 0.64
    if one.verb in ("train", "qualify", "study", "graduate", "serve") and re.match(r"(?:as|in|at|with|from)\b", said):
        return "profile", 0.68
    return None


_WEEKS = wordlist(
    "paint renovate redo refurbish move host raise train study write build grow learn teach marry divorce expect organise organize translate"
)


def for_weeks(one: Outline, said: str) -> Tells | None:
    """`I'm painting the kitchen`, `I'm staying in London for three months`: what goes on for longer than a talk."""
    if one.tense != "present" or one.denied or not said or POINTING.match(said):
        return None
    if one.verb in ("stay", "live", "lodge", "camp") and re.search(r"\b(?:in|with|at) .*\b(?:for|until|till)\b", said):
        return "plan", 0.66
    if one.verb in _WEEKS and re.match(r"(?:an?|the|my|our|his|her|for|[a-z]+s)\b", said) and not NOW.search(said):
        return "profile", 0.62
    return None
