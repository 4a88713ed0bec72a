"""What is preferred, decided, needed and demanded, and what is otherwise now. English."""

import re

from enhanced_memory.daemon.extraction.clauses import Clause
from enhanced_memory.daemon.extraction.english_words import (
    ATTRIBUTES,
    CHANGING,
    DECIDING,
    DECIDING_WITH,
    FOND,
    LIKING,
    TRIVIAL,
)
from enhanced_memory.daemon.extraction.signs import AGREEING, PAST_TIME, POINTING, WHEN
from enhanced_memory.daemon.extraction.subjects import Who, noun_of
from enhanced_memory.daemon.extraction.values import Kind
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["corrected", "decided", "doubted", "preferred"]


def doubted(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """`I might`, `we could`, `he would`: nothing that is so. `Would rather` and `would prefer` are meant."""
    helpers = clause.helpers
    if {"would", "had"} & set(helpers) and clause.verb in ("rather", "prefer"):
        return "preference", 0.85
    if (
        "would" in helpers
        and clause.verb == "appreciate"
        and re.match(r"(?:\w+er|more|less|fewer|if you|no|short|brief|concise|plain|simple)\b", said)
    ):
        return "preference", 0.75
    if (
        "would" in helpers
        and clause.verb == "like"
        and re.search(r"\b(?:instead of|rather than)\b", said)
        and not POINTING.match(said)
    ):
        return "preference", 0.75
    if "would" in helpers and clause.verb in ("like", "love") and said.startswith("to "):
        verb = said.split()[1] if len(said.split()) > 1 else ""
        good = WHEN.search(said) and verb not in TRIVIAL - {"start", "go", "leave"}
        return ("plan", 0.65) if good else ("plan", 0.0)
    if {"can", "could"} & set(helpers) and clause.denied and clause.verb in ("stand", "bear", "abide", "tolerate"):
        if POINTING.match(said):
            return "preference", 0.66 if re.match(r"(?:that|this|those|these) [a-z]+$", said) else 0.0
        return "preference", 0.88
    if (
        "can" in helpers
        and clause.denied
        and clause.verb == "bring"
        and re.match(r"(?:my|him|her)self to \w+ (?!it|this|that)\w", said)
    ):
        return "preference", 0.78
    if "can" in helpers and clause.denied and clause.verb == "get" and said.startswith("enough of "):
        return ("preference", 0.0) if POINTING.match(said.removeprefix("enough of ")) else ("preference", 0.85)
    if {"would", "could", "might"} & set(helpers) or ("may" in helpers and not clause.denied):
        return "plan", 0.0
    if "did" in helpers and not clause.denied:
        return "plan", 0.0
    return None


_CHANGED = re.compile(r"\b(?:any ?more|any longer|no longer)\b(?! than)", re.IGNORECASE)


def corrected(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What is otherwise now than it was, or than was said."""
    if not (who.person or who.own or who.type == "project"):
        return None
    if "no longer" in clause.adverbs or (clause.denied and _CHANGED.search(said)):
        return "correction", 0.88
    if "used" in clause.helpers:
        return "correction", 0.85 if re.search(r"\b(?:but|now|until|before)\b", said) else 0.7
    if (
        who.own
        and clause.verb == "mean"
        and clause.form == "d"
        and said
        and not said.startswith(("to ", "it", "that ", "well", "what"))
    ):
        return "correction", 0.85
    if (
        clause.verb == "change"
        and clause.subject.kind in ("my", "our")
        and clause.form in "dn"
        and clause.subject.head in ATTRIBUTES
    ):
        return "correction", 0.82
    if clause.verb == "change" and re.match(r"(?:my|our|his|her|their) minds?\b", said):
        return "correction", 0.85
    if (
        clause.verb in ("switch", "migrate", "convert", "change")
        and clause.form in "dn"
        and re.search(r"\b(?:from|to|over)\b", said)
        and (who.own or who.person)
    ):
        return "correction", 0.85
    if (
        clause.verb in ("stop", "quit")
        and (clause.form in "dn" or (clause.verb == "quit" and clause.form == "b" and not clause.helpers))
        and re.match(r"[a-z]+ing\b", said)
        and (who.own or who.person)
    ):
        return "correction", 0.85
    lead = " ".join(word.low for word in clause.lead)
    done = clause.form in "dn" or "perfect" in clause.helpers or "passive" in clause.helpers
    if clause.verb in CHANGING and done and _FROM_TO.search(said) and (not who.person or clause.verb != "go"):
        return "correction", 0.82
    if clause.verb == "replace" and done and re.search(r"\b(?:with|by)\b", said):
        return "correction", 0.8
    if (
        clause.verb in ("go", "come", "turn", "switch")
        and done
        and re.match(r"back to (?!the|my|our|bed|sleep|work|school|it|that)[a-z]", said)
    ):
        return "correction", 0.75
    if clause.verb == "be" and clause.form != "d" and re.match(r"(?:down|up) (?:from|to) (?:\W?\d|\w+ty\b)", said):
        return "correction", 0.78
    if ("now" in clause.adverbs or _NOW.search(said) or "now" in lead) and _INSTEAD.search(f"{lead} {said}"):
        return "correction", 0.82
    if (
        clause.verb == "leave"
        and "perfect" in clause.helpers
        and re.match(
            r"(?:us|the|our|their) ?(?:\w+ )?(?:$|company|team|firm|project|house|city|town|band|club|country)", said
        )
    ):
        return "correction", 0.75
    if clause.verb == "give" and clause.form in "dn" and said.startswith("up "):
        return "correction", 0.8
    if clause.verb == "move" and clause.form in "dn" and who.person and not PAST_TIME.search(said):
        return "correction" if " from " in f" {said}" else "profile", 0.82
    if (
        clause.verb == "be"
        and clause.subject.kind in ("the", "our", "my", "it")
        and re.search(r"\b(?:now )?instead of\b", said)
    ):
        return "correction", 0.82
    if re.search(r"\bnot [\w' ]+ (?:but|,)|, not\b", said) and "actually" in clause.adverbs:
        return "correction", 0.8
    return None


_FROM_TO = re.compile(r"\bfrom\b.+\bto\b|\binstead of\b|\brather than\b")
_NOW = re.compile(r"\b(?:now|these days|nowadays|from now on|since then)\b")
_INSTEAD = re.compile(r"\b(?:instead of|rather than|in place of)\b")

_WITH = {
    "swear": "by",
    "live": "for",
    "yearn": "for",
    "long": "for",
    "object": "to",
    "marvel": "at",
    "delight": "in",
    "thrive": "on",
}
"""Verbs that tell what is liked by what goes with them."""

_MOVING = wordlist("suit annoy bore bother delight fascinate irritate relax calm disgust thrill upset")
"""What something does to whoever feels it."""

_FOUND = re.compile(
    r"^.{2,60}? (?:very |really |so |too |rather |quite |a bit )?(?:boring|tedious|dull|annoying|irritating|exhausting|stressful|tiring|relaxing|soothing|fun|"
    r"helpful|useful|useless|confusing|distracting|ugly|beautiful|lovely|delicious|disgusting|fascinating|interesting|hard to \w+|easy to \w+|"
    r"(?:easier|harder|better|worse|nicer)(?: to \w+)?|pointless|overrated|comfortable|uncomfortable)$"
)
"""What somebody finds, and how: `I find flash cards boring`."""

_COMPARED = re.compile(r"\b(?:more|better|higher|less)\b.*\bthan\b|\b(?:over|above) \w+")


def preferred(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What is liked, loved, hated, preferred; not what is only approved of just now."""
    if clause.verb == "be":
        head = noun_of(said)
        if re.match(r"(?:an? |the )?(?:\w+ )?(?:fan|lover|enthusiast|admirer)s? of\b", said) or said.startswith(
            "no fan of"
        ):
            return ("preference", 0.0 if POINTING.match(said.partition(" of ")[2]) else 0.88) if who.person else None
        first, _, after = said.partition(" ")
        if first in ("really", "very", "quite", "not", "so", "pretty", "particularly", "especially"):
            first, _, after = after.partition(" ")
        if who.person and first in FOND and (not FOND[first] or after.split(" ", 1)[0] in FOND[first].split()):
            about = after.partition(" ")[2] if FOND[first] else after
            if first == "into" and not after:
                return None
            return ("preference", 0.0) if POINTING.match(about) or not about else ("preference", 0.82)
        if re.match(
            r"(?:my|our) (?:best|worst|ideal|happy|comfort|guilty) (?:time|place|food|pleasure|drink|season|hours?|thing)s?\b",
            said,
        ):
            return "preference", 0.8
        if re.search(
            r"\b(?:my|our|his|her) (?:(?:absolute|all-time|new|second|least) )*(?:favou?rite|preferred|go-to)\b", said
        ):
            return "preference", 0.88
        if any(
            word.low in ("favourite", "favorite", "preferred", "go-to", "preference") for word in clause.subject.words
        ):
            return "preference", 0.9
        if clause.subject.kind in ("my", "our") and head == "preference":
            return "preference", 0.8
        return None
    if clause.verb in _MOVING and clause.subject.kind in ("bare", "the", "my") and clause.form in "bs":
        # `Mornings suit me`, `loud music annoys me`: who feels it stands behind the verb.
        return ("preference", 0.88) if re.match(r"(?:me|us)\b", said) and not clause.helpers else None
    if (
        clause.verb in ("trust", "value", "rate", "rank")
        and clause.form in "bs"
        and who.person
        and _COMPARED.search(said)
    ):
        return "preference", 0.85
    if clause.verb == "find" and clause.form in "bs" and who.person and _FOUND.search(said):
        return ("preference", 0.0) if POINTING.match(said) else ("preference", 0.82)
    if (
        clause.verb == "want"
        and clause.denied
        and clause.form in "bs"
        and who.person
        and re.match(r"(?!to\b)\w+ \w", said)
    ):
        return ("preference", 0.0) if POINTING.match(said) else ("preference", 0.75)
    liking = (
        clause.verb in LIKING
        or (clause.verb in _WITH and said.startswith(f"{_WITH[clause.verb]} "))
        or (clause.verb == "trust" and said.startswith(("no ", "nobody", "only ")))
        or (clause.verb in ("care", "go") and clause.denied and said.startswith("for "))
    )
    if not liking or not who.person:
        return None
    if {"progressive", "passive", "will", "should", "must"} & set(clause.helpers):
        return "preference", 0.0
    if (clause.verb == "mind" and not clause.denied) or (
        clause.verb in ("suit", "admire", "resent", "relish") and POINTING.match(said)
    ):
        return "preference", 0.0
    if re.match(r"(?:it|how|that) (?:when|if|people|others|everyone|so many|some)\b", said):
        return "preference", 0.78
    if (
        re.search(r"\b(?:better|more|best|most|less|least)$", said)
        and clause.form in "bs"
        and not re.match(r"(?:it|that|this|you|your)\b", said)
    ):
        return "preference", 0.8
    if not said or POINTING.match(said) or AGREEING.match(said):
        return "preference", 0.0
    if clause.form == "d" and clause.rest and _titled(clause) and not PAST_TIME.search(said):
        return "preference", 0.66
    if clause.form == "d" and "perfect" not in clause.helpers:
        # `I liked the soup` was one meal; `I enjoyed the Le Guin` one book.
        return "preference", 0.45
    return "preference", 0.9 if clause.verb in ("prefer", "hate", "dislike", "detest", "adore", "love") else 0.85


def _titled(clause: Clause) -> bool:
    """Whether what was liked has a name of its own: `I loved The Hobbit`."""
    words = [word for word in clause.rest[:3] if word.low not in ("the", "a", "all", "of", "both")]
    return bool(words) and words[0].capital and words[0].low not in ("i",)


_CHOOSING = wordlist("use go take switch move keep replace retire remove buy rent hire run build write deploy support")
"""With `instead of` and the like: one thing is done and another one left."""


def decided(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What was decided, chosen, dropped, agreed on."""
    verb, done = clause.verb, clause.form in "dn" or "perfect" in clause.helpers
    first = said.split(" ", 1)[0] if said else ""
    by_particle = verb in DECIDING_WITH and first in DECIDING_WITH[verb].split()
    intended = bool({"will", "plan"} & set(clause.helpers)) or "progressive" in clause.helpers
    if clause.denied and not (verb in ("accept", "support", "allow") and who.own):
        return None
    if (
        clause.subject.kind in ("we", "our")
        and verb in _CHOOSING | DECIDING
        and re.search(r"\b(?:in favou?r of|instead of|rather than)\b", said)
        and (done or intended)
    ):
        return "decision", 0.82
    if verb == "resolve" and not said.startswith("to "):
        return None
    if verb in DECIDING and verb not in ("agree", "drop") and not (verb == "adopt" and clause.subject.kind == "I"):
        if verb in ("decide", "settle", "opt", "commit") and intended:
            return "decision", 0.0
        if done and (who.own or clause.subject.kind in ("the", "it", "our") or who.person):
            if clause.subject.kind == "I" and verb in ("pick", "discard", "select") and PAST_TIME.search(said):
                return "decision", 0.0
            return "decision", 0.88 if not who.person or who.own else 0.75
        if intended and verb in ("adopt", "deprecate", "discontinue", "ban", "standardise", "standardize"):
            return "decision", 0.75
        return None
    if verb == "agree" and done:
        return (
            ("decision", 0.85)
            if re.match(r"(?:on|to|that|upon|not)\b", said)
            or "passive" in clause.helpers
            or clause.subject.kind == "it"
            else None
        )
    if verb == "drop" and done and (who.own or clause.subject.kind in ("the", "our")) and clause.subject.kind != "I":
        return "decision", 0.82
    if (
        by_particle
        and verb != "sign"
        and (done or intended)
        and (who.own or clause.subject.kind in ("the", "our", "my"))
    ):
        if (
            verb == "go"
            and not re.match(r"with (?!me\b|you\b|him\b|her\b|them\b|my\b|friends?\b)", said)
            and not re.match(
                r"for (?:the )?[\w-]+(?: \w+)? (?:over|instead|rather|option|version|approach|solution)", said
            )
        ):
            return None
        if verb == "stay" and clause.subject.kind == "I":
            return None
        return "decision", 0.84
    if (
        "passive" in clause.helpers
        and verb in ("abandon", "postpone", "cancel")
        and clause.subject.kind in ("the", "our")
    ):
        return "decision", 0.75
    if verb == "be" and clause.subject.head in ("decision", "verdict", "conclusion", "consensus", "outcome", "choice"):
        return "decision", 0.85
    if (
        verb == "end"
        and done
        and (who.own or who.person)
        and re.match(r"up (?:going|choosing|picking|using|buying|taking|with|settling|deciding|sticking)\b", said)
    ):
        return "decision", 0.8
    if verb == "make" and done and re.match(r"up (?:my|our|his|her|their) minds?\b", said):
        return "decision", 0.8
    if verb == "make" and done and re.match(r"(?:the|a|our) (?:final )?decision\b", said):
        return "decision", 0.8
    return None
