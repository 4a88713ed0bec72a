"""What an outline tells of changes, decisions and bounds, where no verb of its own says so. English."""

import re

from enhanced_memory.daemon.extraction.english_words import (
    DECIDING,
    DECIDING_WITH,
    PASSING,
)
from enhanced_memory.daemon.extraction.outline import Outline, Tells
from enhanced_memory.daemon.extraction.passing import IDIOMS, PRAISE, STATES
from enhanced_memory.daemon.extraction.signs import FREQUENT, NOW, POINTING
from enhanced_memory.daemon.extraction.subjects import Who
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["bounded", "settled", "turned"]


def turned(one: Outline, who: Who | None, said: str) -> Tells | None:
    """What is otherwise now."""
    if (
        one.denied
        and re.search(r"\b(?:any ?more|any longer)\b", said)
        and (said.split()[0] not in ("any", "anymore") or one.of == "self")
    ):
        return "correction", 0.74
    if re.search(r"\bno longer\b(?! than)", f"{' '.join(one.adverbs)} {said}"):
        return "correction", 0.74
    if (
        one.of == "they"
        and one.tense in ("past", "perfect")
        and one.verb in _CHANGES | {"go", "rename"}
        and re.search(r"\bfrom\b.+\bto\b", said)
    ):
        return "correction", 0.68
    if (
        one.tense == "present"
        and re.search(r"\b(?:instead of|rather than|in place of)\b", said)
        and (re.search(r"\bnow\b|\bsince\b", f"{one.led()} {' '.join(one.adverbs)} {said}"))
    ):
        return "correction", 0.72
    if _now_so(one, said):
        return "correction", 0.64
    if (
        one.tense in ("perfect", "past")
        and one.of in ("self", "person", "own")
        and not one.denied
        and one.verb in _LEFT
        and re.match(_LEFT[one.verb], said)
        and not re.search(r"\b(?:it|that|this|them)$", said)
    ):
        return "correction", 0.68
    if (
        one.tense == "present"
        and re.search(r"\bnow\b.*\bnot\b", f"{' '.join(one.adverbs)} {said}")
        and one.of != "it"
        and not one.denied
    ):
        return "correction", 0.7
    if (
        one.tense == "perfect"
        and one.verb in _CHANGES
        and one.of != "it"
        and re.search(
            r"\b(?:lower|higher|new|different|another|other|bigger|smaller|shorter|longer|from|to|off|instead|half|less|more)\b",
            said,
        )
        and re.search(r"\b(?:on|to|from|off|for|into|with)\b", said)
        and (one.verb != "take" or re.match(r"(?:me|us|him|her|it) (?:off|on to)\b", said))
        and not one.progressive
    ):
        return "correction", 0.66
    if one.of in ("self", "person", "own") and one.verb == "use" and one.tense == "past" and said.startswith("to "):
        return "correction", 0.68
    return None


def _now_so(one: Outline, said: str) -> bool:
    """`Ellie is playing drums now`, `we are organic now`: how it is since lately, and not how things stand this minute."""
    if one.tense != "present" or one.modal or one.denied or one.of not in ("self", "own", "person", "the", "bare"):
        return False
    if "now" not in one.adverbs and not re.search(r"\bnow$|^now\b", said):
        return False
    if (STATES.match(said) and not FREQUENT.search(said)) or PRAISE.match(said) or NOW.search(said):
        return False
    if len(said.split()) < (2 if one.predicate[0].capital else 3):
        return False
    if one.verb == "be" and IDIOMS.match(said):
        return False
    return one.verb not in PASSING - {"be", "have", "do", "go", "run"} and not (one.progressive and one.of == "self")


_LEFT = {
    "cut": r"(?:out|down on|back on)\b",
    "get": r"rid of\b",
    "come": r"off\b",
    "go": r"(?:off|over to|back to|freelance|vegan|vegetarian|part-time|full-time)\b",
    "give": r"up\b",
    "take": r"up (?!the offer|on)\w",
}
"""Verbs that tell of something left or begun by their particle."""

_CHANGES = wordlist(
    "take put switch change move cut lower raise reduce increase drop swap replace upgrade downgrade extend shorten postpone"
)


_DONE_THEN = wordlist("leave take skip drop use go keep postpone cancel do start stay buy wait")


def settled(one: Outline, who: Who | None, said: str) -> Tells | None:
    """What was decided, by them as well; what is done `as agreed`."""
    if (
        re.match(r"(?:ok |okay |right |so |all right )*then\b", one.led())
        and one.about() == "we"
        and one.tense == "present"
        and not one.denied
        and one.verb in _DONE_THEN
    ):
        return "decision", 0.66
    if re.match(r"as (?:we |you know )?(?:agreed|decided|discussed|settled)\b", one.led()) and one.of in (
        "self",
        "the",
        "own",
    ):
        return "decision", 0.78
    if (
        one.tense in ("present", "future")
        and re.match(r"(?:for now|for the time being|in the end|after all|all things considered)\b", one.led())
        and any(word.low == "we" for word in one.subject)
        and not one.denied
        and one.verb not in PASSING - {"leave", "keep", "go", "stay", "take", "use"}
    ):
        return "decision", 0.68
    if (
        one.progressive
        and one.tense == "present"
        and one.of == "self"
        and any(word.low == "we" for word in one.subject)
        and not one.denied
        and (one.verb in DECIDING or one.first() in DECIDING_WITH.get(one.verb, "").split())
    ):
        return "decision", 0.68
    if one.denied:
        return None
    if (
        one.passive
        and one.tense in ("present", "perfect")
        and one.verb in ("decide", "settle", "agree", "choose", "approve", "finalise", "finalize")
        and one.of in ("the", "own", "bare", "it")
    ):
        return "decision", 0.68
    if (
        one.verb == "say"
        and one.tense == "past"
        and one.about() == "we"
        and re.match(r"(?:an?|\d|max|only|around|about|the (?:first|last|weekend|week)) ?", said)
        and not re.match(r"a (?:lot|few|word|prayer)\b", said)
    ):
        return "decision", 0.64
    if (
        one.progressive
        and one.tense == "present"
        and one.about() == "we"
        and one.verb in ("take", "get", "buy", "go", "have", "keep")
        and re.match(r"(?:for )?the (?:\w+ )?(?:ones?|first|second|cheaper|bigger|smaller|other)\b", said)
    ):
        return "decision", 0.66
    if (
        one.verb == "agree"
        and one.tense in ("past", "perfect")
        and re.match(r"(?:no|not|only|a|an|the|on|to|that|upon)\b(?! with)", said)
        and one.of in ("self", "they", "the")
    ):
        return "decision", 0.74
    past = one.tense in ("past", "perfect")
    first = one.first()
    deciding = (one.verb in DECIDING and one.verb not in ("pick", "drop", "adopt", "settle", "resolve", "commit")) or (
        one.verb in DECIDING_WITH
        and one.verb not in ("go", "stay", "land", "rule")
        and first in DECIDING_WITH[one.verb].split()
    )
    if past and deciding and one.of in ("they", "person", "the") and len(said.split()) > 1 and not POINTING.match(said):
        return "decision", 0.68
    if (
        past
        and one.verb == "say"
        and one.of == "self"
        and re.match(r"(?:no more|never again|we would|that we|only|not before|no \w+ (?:before|after|on))\b", said)
    ):
        return "decision", 0.66
    return None


_MEASURED = wordlist("cost be take fit have contain last weigh run work go")
_WANTS = wordlist("want expect insist demand require ask need")
_BOUND = re.compile(
    r"\b(?:at least|at most|no more than|no less than|only|not more|more than|less than|without|before|after|under|over|by|"
    r"every|all|each|until|within|again|longer than|later than)\b|\d"
)
_FIXED = re.compile(
    r"^(?:non-negotiable|a must|a no-go|a deal ?breaker|out of the question|off the table|off limits|not an option|an option|"
    r"mandatory|compulsory|required|forbidden|prohibited|essential|fixed|set in stone|"
    r"negotiable|flexible|no longer possible|the (?:absolute )?(?:limit|maximum|minimum|max|min)|a hard \w+|strictly)\b"
)


def bounded(one: Outline, who: Who | None, said: str) -> Tells | None:
    """What must be, however it is put."""
    thing = one.of in ("the", "own", "bare", "it", "they")
    if (
        one.verb == "be"
        and one.tense == "present"
        and re.match(r"to be \w+(?:ed|en|n|t|d)\b", said)
        and one.of in ("the", "own", "bare", "person")
    ):
        return "requirement", 0.74
    if (
        one.modal == "can"
        and one.denied
        and thing
        and (
            one.verb in ("slip", "exceed", "wait", "overrun")
            or (
                one.verb
                in (
                    "take",
                    "cost",
                    "be",
                    "last",
                    "go",
                    "fall",
                    "weigh",
                    "come",
                    "contain",
                    "run",
                    "move",
                    "happen",
                    "start",
                )
                and _BOUND.search(said)
            )
        )
    ):
        return "requirement", 0.68
    if one.verb == "be" and one.tense == "present" and one.of in ("the", "bare", "own") and _FIXED.match(said):
        if re.match(r"(?:negotiable|an option|flexible)", said) and not one.denied:
            return None
        if one.of == "bare" and re.match(r"(?:essential|required|compulsory|a must)\b", said):
            return None
        return "requirement", 0.72
    if (
        one.of == "they"
        and one.verb in ("need", "want", "require", "expect")
        and one.tense == "present"
        and not one.denied
        and re.match(r"(?:the|all|every|at least|no more|only|an?|two|three|\d)\b", said)
        and not re.match(r"an? (?:bit|lot|hand|break|minute|moment|hug)\b", said)
    ):
        return "requirement", 0.64
    if (
        one.verb in _WANTS
        and one.tense == "present"
        and one.of in ("person", "bare", "the", "own")
        and not one.denied
        and who is not None
        and who.person
        and _BOUND.search(said)
        and not POINTING.match(said)
    ):
        return "requirement", 0.68
    if (
        one.of == "self"
        and one.denied
        and one.verb in ("want", "wish")
        and said.startswith("to ")
        and re.search(
            r"\b(?:more than|longer than|without|before|after|over|above|under|again|on (?:sundays|weekends))\b", said
        )
    ):
        return "requirement", 0.68
    if (
        one.of == "self"
        and one.denied
        and one.modal in ("can", "will")
        and one.verb in ("afford", "go", "spend", "pay", "accept", "do", "compromise", "exceed")
        and re.search(r"\b(?:more than|over|above|below|under|before|after|without|on)\b", said)
    ):
        return "requirement", 0.68
    if (
        one.modal == "should"
        and one.of == "it"
        and one.verb in _MEASURED
        and (_BOUND.search(said) or re.match(r"(?:on|in|into|with) \w", said))
    ):
        return "requirement", 0.64
    if one.passive and one.denied and one.of == "person" and one.verb in ("allow", "permit") and said:
        return "requirement", 0.66
    if (
        one.about() == "we"
        and one.verb == "have"
        and re.match(r"to \w+ .*\b(?:for \w+ (?:years|months)|at least|every|within)\b", said)
    ):
        return "requirement", 0.66
    if (
        one.modal in ("must", "shall")
        and one.of == "it"
        and re.match(r"(?:be )?(?:more|less|[a-z]{3,}er) than\b", f"{said}")
    ):
        return "requirement", 0.68
    if (
        one.modal in ("must", "shall")
        and one.of == "person"
        and one.verb not in ("be", "feel", "know", "think", "love", "miss", "see")
    ):
        return "requirement", 0.66
    if (
        one.verb in ("take", "hold", "fit", "seat", "allow")
        and one.of in ("the", "own", "it")
        and one.tense == "present"
        and "only" in one.adverbs
        and re.search(
            r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|(?:twen|thir|for|fif|six|seven|eigh|nine)ty)\b",
            said,
        )
    ):
        return "requirement", 0.66
    if (
        one.of == "self"
        and one.denied
        and one.tense == "present"
        and not one.modal
        and re.search(
            r"\b(?:without|before|after|until|unless|on (?:sun|satur|mon|fri)days?|over|under|more than|less than)\b",
            said,
        )
        and one.verb not in PASSING - {"take", "do", "pay", "start", "go"}
        and any(word.low == "we" for word in one.subject)
    ):
        return "requirement", 0.68
    if one.modal in ("must", "shall") and (
        one.of in ("the", "own") or (one.of == "it" and one.verb not in ("be", "feel", "seem", "look", "sound"))
    ):
        return "requirement", 0.74
    if one.verb == "have" and said.startswith("to ") and thing and one.of != "they":
        return "requirement", 0.72
    if (
        (one.modal in ("should", "must") or (one.verb == "have" and said.startswith("to ")))
        and one.about() in ("everything", "all", "everybody", "everyone", "nothing", "nobody")
        and not re.match(r"(?:have|know|try)\b", f"{one.verb} {said}")
    ):
        return "requirement", 0.66
    if (
        one.modal == "must"
        and one.of == "it"
        and one.verb == "be"
        and re.match(
            r"(?:an?|in|on|within|under|less|at least|no (?:more|longer)|by|ready|done|finished|possible|quiet|easy|simple|cheap)\b",
            said,
        )
        and not PRAISE.match(said)
        and not re.match(
            r"an? (?:\w+ )?(?:joke|mistake|nightmare|bug|coincidence|shock|pain|problem|typo|record|first|sign|lot|while|error|thing|reason|way|misunderstanding)\b",
            said,
        )
    ):
        return "requirement", 0.64
    if one.modal == "should" and one.of in ("the", "own") and one.verb not in ("work", "help", "arrive"):
        return "requirement", 0.66
    return None
