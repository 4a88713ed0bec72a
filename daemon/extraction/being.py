"""What somebody or a project is and has. English."""

import re

from enhanced_memory.daemon.extraction.clauses import Clause
from enhanced_memory.daemon.extraction.english_words import (
    ATTRIBUTES,
    IDLE_NOUNS,
    KIN,
    KNOWN,
    LASTING,
    LASTING_WITH,
    MADE,
    NO_ROLE,
    PETS,
    PLACES,
    ROLES,
    TRANSIENT,
)
from enhanced_memory.daemon.extraction.signs import NOW, POINTING, SINCE, WHEN, YEAR
from enhanced_memory.daemon.extraction.subjects import Who, noun_of
from enhanced_memory.daemon.extraction.values import Kind
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["being", "having"]


def being(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What is said with `be`: a role, a state that lasts, who somebody is to somebody, the value of an attribute."""
    subject = clause.subject
    kind = subject.kind
    owned = kind in ("my", "our", "their")
    head = noun_of(said)
    first, _, after = said.partition(" ")
    person = who.person
    if kind in ("name", "he", "I", "we") or (owned and subject.name and person):
        owner = re.match(r"(?:my|our|his|her|their|[\w' ]+ 's) (?:\w+ ){0,3}?(?P<who>[\w-]+)", said)
        if re.match(r"(?:my|our|his|her|their) ", said) and (
            head in KNOWN or head in ROLES or head in ("product", "new")
        ):
            return "relationship" if head in KNOWN else "profile", 0.88
        if owner and "'s" in said and head in KNOWN:
            return "relationship", 0.85
    if kind == "name" and re.search(
        r"(?:^| )'s (?:\w+ )?(?:" + "|".join(sorted(KIN | {"boss", "manager", "friend"})) + r")\b", said
    ):
        return "relationship", 0.85
    if re.match(
        r"(?:(?!only |just |not )\w+ )?(?:friends|siblings|colleagues|neighbou?rs|cousins|brothers|sisters|married|engaged|twins|roommates|flatmates)\b",
        said,
    ):
        return "relationship", 0.8
    if owned and subject.head in KNOWN and not subject.name:
        if _called(clause, said):
            return "relationship", 0.9
        return ("relationship", 0.8) if head in ROLES or first in LASTING or first in LASTING_WITH else None
    if owned and subject.head == "name":
        return "relationship" if any(word.low in KNOWN for word in subject.words) else "profile", 0.95
    if owned and subject.head in PETS:
        return (
            ("profile", 0.82)
            if _called(clause, said) or re.search(r"\d|\b(?:years?|months?) old\b", said) or head
            else None
        )
    if NOW.search(said):
        return None
    if owned and not subject.name:
        return _attribute(clause, who, said)
    if not person:
        if (
            who.type == "project"
            and (kind == "name" or subject.name)
            and re.match(r"(?:our|a|an|the|based|built|written|hosted|open|maintained|licensed|owned)\b", said)
            and not clause.denied
        ):
            return "profile", 0.75
        if (
            kind in ("the", "it", "our")
            and subject.head in MADE
            and clause.form != "d"
            and not clause.denied
            and re.match(r"(?:an?|the|in|on|at|based|built|written|hosted|licensed|owned)\b", said)
            and head not in TRANSIENT | NO_ROLE
        ):
            return "profile", 0.68
        if kind == "the" and head in KNOWN and re.match(r"(?:my|our) [\w' ]+ 's ", said):
            return "relationship", 0.72
        if kind in ("the", "our") and _somewhere(clause, said):
            return "profile", 0.68
        return None
    if re.match(r"(?:called|named|known as|nicknamed) ", said):
        return "profile", 0.9
    if re.match(
        r"(?:\d{1,3}|"
        + _NUMBERS
        + r")(?: (?:years|yrs)(?: old)?|-years?-old)?(?:$| (?:and|but|now|,|years|next)\b| ,)",
        said,
    ):
        return "profile", 0.85
    if re.match(
        r"on (?:the|an?|our) (?:\w+ ){0,3}(?:team|board|committee|council|squad|crew|jury|staff|payroll)\b", said
    ):
        return "profile", 0.82
    if (
        first in LASTING
        or after.split(" ", 1)[0] in ("intolerant", "handed", "blind", "sighted", "employed")
        or said.startswith(("not vegetarian", "not vegan"))
    ):
        return "profile", 0.88
    if first in LASTING_WITH and (
        (not LASTING_WITH[first] and after) or after.split(" ", 1)[0] in LASTING_WITH[first].split()
    ):
        rest = after.partition(" ")[2]
        if first in ("new", "good", "bad", "afraid", "scared", "terrible") and (POINTING.match(rest) or not rest):
            return "profile", 0.0
        return "relationship" if first in ("married", "engaged", "related") else "profile", 0.88
    if (
        "perfect" in clause.helpers
        and (clause.cut == "since" or SINCE.search(said))
        and not clause.denied
        and clause.rest[:1]
        and clause.rest[0].low not in _PASSING_STATES
    ):
        return "profile", 0.8
    if head:
        if head in ROLES or head in KNOWN or _role_like(head):
            return "profile", 0.9
        if re.match(r"(?:in charge|part|member)\b", said):
            return "profile", 0.8
        if head == "person" and re.search(r"\b(?:morning|night|cat|dog|people|early|visual|tea|coffee)\b", said):
            return "profile", 0.75
        if head in TRANSIENT or head in NO_ROLE:
            return "profile", 0.0
        return "profile", 0.64 if re.match(r"an? ", said) and clause.form != "d" else 0.45
    if _MEMBER.match(said):
        return "profile", 0.75
    if first in ROLES and (after.startswith(("of", "at", "for", "in")) or not after):
        return "profile", 0.85
    if re.match(
        r"in (?:charge of|(?:the |my |his |her )?(?:\d+(?:st|nd|rd|th)?|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|"
        r"tenth|final|last) (?:grade|year|form|semester)|(?:my|his|her) (?:\w+ ){0,2}(?:year|twenties|thirties|forties|fifties|"
        r"sixties))\b|in \d+(?:st|nd|rd|th) ",
        said,
    ):
        return "profile", 0.85
    if first in ("in", "from", "at") and len(clause.rest) > 1 and clause.rest[1].capital and not WHEN.match(said):
        return "profile", 0.72 if first != "from" else 0.88
    if kind == "we" and first == "on" and len(clause.rest) > 1 and clause.rest[1].capital and not WHEN.search(said):
        return "profile", 0.72
    if re.match(r"on (?:an?|my) ", said) and any(word.capital for word in clause.rest[2:4]) and not WHEN.search(said):
        return "profile", 0.72
    if clause.name_first():
        return "profile", 0.88
    if (
        len(clause.rest) == 1
        and clause.rest[0].capital
        and clause.rest[0].low.endswith(("ish", "an", "ian", "ese", "ch", "tch", "i", "ic"))
    ):
        return "profile", 0.85
    return None


_PASSING_STATES = wordlist(
    "a so very too really ill sick busy down up away out waiting trying thinking looking ages long"
)

_MEMBER = re.compile(
    r"(?:in|on|with) (?:(?:the|an?|our|my|his|her) )?(?:[\w-]+ ){0,3}?(?:team|board|committee|council|squad|crew|jury|staff|guild|choir|band|orchestra|"
    r"club|union|army|navy|party|cohort|league|department|faculty|network|association)\b"
)
"""What somebody is part of."""

_NUMBERS = "(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-\\w+)?|eighteen|nineteen|sixteen|seventeen|fifteen|fourteen|thirteen|twelve|eleven"


def _somewhere(clause: Clause, said: str) -> bool:
    """Whether it is said of something that it stands in a place that has a name."""
    return (
        clause.form != "d"
        and not clause.denied
        and not WHEN.search(said)
        and bool(re.match(r"(?:in|on|at|near|by|next to|behind|opposite|across from) ", said))
        and any(word.capital for word in clause.rest[1:4])
    )


def _called(clause: Clause, said: str) -> bool:
    return (
        bool(re.match(r"(?:called|named) ", said))
        or bool(clause.rest and clause.rest[0].capital and clause.rest[0].raw.isalpha())
        or ("passive" in clause.helpers and clause.verb in ("call", "name"))
    )


def _role_like(head: str) -> bool:
    """Whether a noun is built like one for a person."""
    return len(head) > 4 and head.endswith(("er", "or", "ist", "ian", "ant", "ess", "eer", "man", "woman", "ologist", "phobe", "phile")) and head not in (
        "number", "computer", "server", "printer", "matter", "error", "letter", "paper", "order", "winner", "loser", "bother", "wonder", "container", "browser",
        "factor", "editor", "laser", "filter", "water", "weather", "summer", "winter", "october", "november", "december", "disaster", "monster", "user", "compiler",
    )  # fmt: skip


def _attribute(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """`My timezone is UTC+1`, `our office is in Leeds`: something one has one of, and its value."""
    subject = clause.subject
    if {"perfect", "was"} & set(clause.helpers) or re.match(
        r"(?:so|too|very|super|really|quite|pretty|always|never|[a-z]+ing)\b", said
    ):
        return None
    if (clause.denied and subject.head in IDLE_NOUNS) or subject.head in IDLE_NOUNS - ATTRIBUTES or not said:
        return None
    value = clause.rest[0]
    if subject.head in ("budget", "limit") and re.search(r"\d|\b(?:hundred|thousand|million)\b", said):
        return "requirement", 0.8
    if subject.head in ATTRIBUTES or any(word.low in ATTRIBUTES for word in subject.words):
        if re.match(
            r"(?:broken|slow|gone|full|empty|ok|okay|fine|great|good|bad|down|not|so|too|very|wrong|missing|dead|stuck)\b",
            said,
        ):
            return None
        return "profile", 0.88
    if (
        value.capital
        or value.raw[0].isdigit()
        or (
            re.match(r"(?:in|at|on) (?:the )?", said)
            and len(clause.rest) > 1
            and any(word.capital for word in clause.rest[1:4])
        )
    ):
        return "profile", 0.72
    if subject.kind == "our" and re.match(r"(?:near|next to|behind|above|below|opposite|across from|between)\b", said):
        return "profile", 0.66
    if subject.head in PLACES and re.match(
        r"(?:in|on|at|near|by|next to|behind|above|below|opposite|close to|outside|across|between|right)\b", said
    ):
        return "profile", 0.68
    if re.match(r"an? ", said) and subject.kind == "our" and any(word.capital for word in clause.rest[:3]):
        return "profile", 0.72
    if re.match(r"an? ", said) and subject.kind == "my" and subject.head not in TRANSIENT:
        return "profile", 0.62 if noun_of(said) not in NO_ROLE | TRANSIENT else 0.5
    return None


def having(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What one has: family, an illness, a house; not a question, a meeting, a headache."""
    helpers = set(clause.helpers)
    if {"will", "would", "plan", "want"} & helpers or not said:
        return None
    if (
        (clause.subject.kind in ("we", "our") or (clause.subject.kind == "the" and clause.subject.head in PLACES))
        and clause.form != "d"
        and _COUNT.match(said)
    ):
        return "profile", 0.75
    if not (who.person or who.own):
        # Of things alone: what an organisation counts.
        counted = clause.subject.head in _ORGANISATIONS | MADE | PLACES and clause.form == "s" and _COUNT.match(said)
        return ("profile", 0.75) if counted else None
    if clause.form == "d" and "perfect" not in helpers and who.person and YEAR.search(said):
        return "profile", 0.66
    if clause.form in "dg" and "perfect" not in helpers:
        return None
    noun = noun_of(said) or next(
        (
            word
            for word in reversed(
                re.split(r" (?:of|in|at|for|from|with|on|and|who|that|to|since|behind)\b", said)[0].split()
            )
            if word.isalpha()
        ),
        "",
    )
    singular = noun.removesuffix("s")
    if (
        noun in TRANSIENT
        or singular in TRANSIENT
        or said.split(" ", 1)[0]
        in ("no", "nothing", "to", "it", "this", "that", "some", "any", "been", "never", "ever", "just")
    ):
        return None
    if POINTING.match(said) or NOW.search(said):
        return None
    if "perfect" in helpers:
        return ("profile", 0.78) if SINCE.search(said) or clause.cut == "since" else None
    if _LASTING_THINGS.search(said):
        return "profile", 0.88
    if clause.subject.kind in ("we", "our"):
        return "profile", 0.66 if re.search(
            r"\d|\b(?:an?|two|three|four|five|six|seven|eight|nine|ten)\b", said
        ) else 0.5
    if noun.endswith(("tion", "sion", "ment", "ness", "ity", "ence", "ance", "ship", "ing", "ism")):
        return "profile", 0.45
    named = any(word.capital or word.raw[0].isdigit() for word in clause.rest[:4])
    return "profile", 0.75 if named else 0.64 if re.match(
        r"(?:an?|two|three|four|five|one|my own)\b", said
    ) and not said.startswith("a few") else 0.55


_ORGANISATIONS = wordlist(
    "company firm team startup business school clinic shop office agency department club charity studio bakery hotel farm"
)
_COUNT = re.compile(
    r"(?:about |around |over |some |nearly |almost )?(?:\d|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty)\b"
)

_LASTING_THINGS = re.compile(
    rf"\b(?:{'|'.join(sorted(KIN | PETS))}|friend|colleague|flatmate|roommate|allergy|allergie|diabetes|asthma|degree|phd|house|"
    r"garden|car|bike|flat|boat)(?:s|es)?\b"
)
"""What one has for long."""
