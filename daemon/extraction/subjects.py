"""Whom an English clause is about: the speaker, somebody named, somebody’s relative, the project."""

import re
from collections.abc import Collection, Iterable

import msgspec

from enhanced_memory.daemon.extraction.clauses import Clause, Subject
from enhanced_memory.daemon.extraction.english_words import (
    DOING,
    FOND,
    HE,
    KIN,
    KNOWN,
    LASTING,
    LASTING_WITH,
    MADE,
    PERSONAL,
    PETS,
    ROLES,
    SHE,
)
from enhanced_memory.daemon.extraction.lexicon import STIRRING, TITLES
from enhanced_memory.daemon.extraction.signs import OLD, WHEN
from enhanced_memory.daemon.extraction.values import USER, Scene
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["NOUN_ENDS", "Who", "last_before", "noun_of", "subject_of", "type_of"]


class Who(msgspec.Struct, frozen=True):
    """Whom a clause is about."""

    name: str
    type: str
    sure: float = 1.0
    """How sure that is who is meant."""
    person: bool = True
    own: bool = False
    """Whether it is the speaker, alone or with others."""


def subject_of(subject: Subject, clause: Clause, scene: Scene) -> Who | None:
    """Whom a subject means. Notes a person who is named, so that the next `she` is known."""
    kind = subject.kind
    if kind == "I":
        return Who(scene.speaker, type_of(scene.speaker), own=True)
    if kind == "we":
        if subject.name:
            scene.meet(subject.name)
        return Who(scene.speaker, type_of(scene.speaker), own=True)
    if kind == "he":
        whom = scene.meant(subject.words[0].low)
        return Who(whom, "person", 0.9) if whom else None
    if kind == "name":
        return _named(subject.name, clause, scene)
    if kind in ("my", "their"):
        return _theirs(subject, clause, scene)
    if kind == "our":
        if subject.name and subject.name.lower() in scene.projects:
            return Who(scene.projects[subject.name.lower()], "project", person=False, own=True)
        if subject.head in KNOWN or subject.head in ROLES:
            return _theirs(subject, clause, scene)
        return Who(scene.project, "project", person=False, own=True)
    if kind in ("the", "bare"):
        for word in subject.words:
            if word.low in scene.projects:
                return Who(scene.projects[word.low], "project", person=False)
        if kind == "the" and subject.head in _HOUSEHOLD:
            return Who(scene.speaker, type_of(scene.speaker), 0.9)
        return Who(scene.project, "project", 0.95 if kind == "the" else 0.85, person=False)
    if kind == "it":
        return Who(scene.project, "project", 0.8, person=False)
    return None


def type_of(name: str) -> str:
    """The type of the entity that a person is kept as."""
    return "user" if name == USER else "person"


def _pronoun(noun: str) -> str:
    return "he" if noun in HE else "she" if noun in SHE else ""


def _named(name: str, clause: Clause, scene: Scene) -> Who | None:
    low = name.lower()
    if low in scene.projects:
        return Who(scene.projects[low], "project", person=False)
    parts = low.split()
    if low in scene.people or parts[0] in scene.people:
        if low in scene.people or len(parts) == 1:
            scene.meet(name, _pronoun(noun_of(clause.said())) if clause.verb == "be" else "")
        return Who(name, "person")
    if parts[0] in TITLES and len(parts) > 1:
        scene.meet(name)
        return Who(name, "person")
    if len(parts) == 1 and low in MADE:
        return Who(scene.project, "project", 0.9, person=False)
    if len(parts) == 1 and low in scene.common:
        return None
    if _only_people(clause):
        scene.meet(name, _pronoun(noun_of(clause.said())) if clause.verb == "be" else "")
        return Who(name, "person", 0.95)
    return Who(name, "", 0.9, person=False)


def _only_people(clause: Clause) -> bool:
    """Whether a clause says of its subject what is only said of people. A plural does not agree with one name."""
    said = clause.said()
    if clause.form == "b" and not clause.helpers:
        return False
    if clause.verb == "be":
        if OLD.search(said):
            return False
        head = noun_of(said)
        first = said.split(" ", 1)[0]
        if re.match(r"in (?:the )?(?:\w+ )?grade\b", said):
            return True
        return (
            head in ROLES
            or head in KNOWN
            or first in LASTING - {"male", "female", "tall", "native", "single", "trans", "blind"}
            or (first in _FEELING and said.split(" ")[1:2] != [] and said.split(" ")[1] in LASTING_WITH[first].split())
            or bool(_AWAY.match(said))
            or (first in FOND and "progressive" not in clause.helpers)
        )
    if clause.verb == "have":
        return bool(
            re.search(
                rf"\b(?:{'|'.join(sorted(KIN | PETS))}|allerg(?:y|ies)|asthma|diabetes|birthday|degree|phd|appointment|interview|exam|meetings?|experience in)s?\b",
                said,
            )
        )
    if clause.verb in (
        "know",
        "cover",
        "mind",
        "teach",
        "help",
        "manage",
        "drive",
        "visit",
        "call",
        "ask",
        "meet",
    ) and re.match(r"(?:all |both |most of )?(?:my|our) ", said):
        return True
    if clause.verb == "do" and re.match(r"(?:the|our|my) \w+(?:ing|s)\b", said):
        return True
    if (
        clause.rest
        and clause.rest[0].low in ("me", "us")
        and clause.verb not in STIRRING
        and clause.verb not in ("let", "make", "give", "cost", "help", "force", "show", "remind", "save")
    ):
        return True
    if "passive" in clause.helpers:
        return clause.verb in (
            "bear",
            "promote",
            "hire",
            "marry",
            "appoint",
            "diagnose",
            "raise",
            "elect",
            "nominate",
        ) and not OLD.search(said)
    if clause.verb == "stand" and (clause.denied or said.startswith("in for ")):
        return True
    if clause.verb in ("leave", "join") and ("perfect" in clause.helpers or clause.form == "d"):
        return bool(re.match(r"(?:us|the|our|my)\b", said))
    if "will" in clause.helpers or "plan" in clause.helpers:
        return (
            bool(WHEN.search(said))
            or clause.verb in PERSONAL
            or ("passive" not in clause.helpers and clause.verb not in _OF_THINGS and len(clause.rest) > 1)
        )
    if "progressive" in clause.helpers:
        return bool(WHEN.search(said)) or clause.verb in DOING or clause.verb in PERSONAL
    if clause.verb in ("run", "use", "work", "move", "play", "start", "grow", "drive", "speak") and clause.form == "s":
        return clause.verb in ("speak", "move") or bool(
            re.match(
                r"(?:as an?|at|for|in|from|remotely|freelance|part-time|full-time|football|tennis|the (?:piano|guitar|violin|cello|drums|flute))\b",
                said,
            )
        )
    return (
        clause.verb in PERSONAL or clause.verb in ("maintain", "manage", "teach", "lead", "own")
    ) and not OLD.search(said)


_HOUSEHOLD = wordlist(
    "kids children baby twins boys girls wife husband missus dog dogs cat cats puppy in-laws grandkids grandchildren"
)
"""Whom one calls so who lives with them: `the kids`."""
_FEELING = wordlist(
    "afraid scared terrified responsible allergic married engaged fluent related certified trained raised enrolled employed diagnosed qualified addicted"
)
"""What only people are, with the preposition that goes with it."""
_AWAY = re.compile(
    r"(?:in charge of|on (?:\w+ )?(?:leave|holiday|vacation|call|duty)|out (?:sick|of (?:the )?office|on)|off (?:sick|until|till|on)|away (?:until|till|on|from))\b"
)
_OF_THINGS = wordlist(
    "be have run support deprecate require return fail break crash use release drop ship land default expire stop start work cost need save cache become"
)
"""What versions of things will do, too."""


def _theirs(subject: Subject, clause: Clause, scene: Scene) -> Who | None:
    """Whose husband, whose sister's name, whose office."""
    owner = subject.owner or (
        scene.meant("he" if subject.words[0].low == "his" else "she") if subject.kind == "their" else scene.speaker
    )
    if subject.kind == "their" and not owner:
        return None
    if subject.name and (subject.head in KNOWN or subject.head in ROLES or subject.head in PETS):
        scene.meet(subject.name, _pronoun(subject.head))
        return Who(subject.name, "person")
    if (
        subject.head
        in ("project", "app", "service", "product", "library", "repo", "tool", "game", "website", "startup")
        and subject.name
    ):
        return Who(scene.projects.get(subject.name.lower(), subject.name), "project", person=False)
    kin = next((word.low for word in subject.words if word.low in KNOWN), "")
    if (
        kin
        and (clause.verb == "be" or clause.verb in ("call", "name"))
        and (subject.head == kin or subject.head == "name")
    ):
        name = _name_in(clause)
        if name:
            scene.meet(name, _pronoun(kin))
            return Who(owner, type_of(owner))
    if kin:
        scene.mention(kin, owner, _pronoun(kin))
    return Who(owner, type_of(owner))


def _name_in(clause: Clause) -> str:
    for word in clause.rest[:4]:
        if word.capital and word.raw.isalpha() and word.low not in ("i",):
            return word.raw
    return ""


NOUN_ENDS = wordlist("of at in for from with on and who that to , by since as")
"""Before these the noun of a phrase stands."""
_SINCE_WHEN = wordlist(". now again too here")


def noun_of(said: str) -> str:
    """The noun of a phrase that begins with an article or an owner: `a data engineer at Northwind` → `engineer`."""
    words = said.replace(",", " ,").split()
    if not words or words[0] not in ("a", "an", "the", "my", "our", "his", "her", "their", "one"):
        # `head of data`, `CTO at Acme` carry none.
        return words[0] if words and words[0] in ROLES else ""
    return last_before(words[1:9], NOUN_ENDS | _SINCE_WHEN)


def last_before(words: Iterable[str], ends: Collection[str]) -> str:
    """The last word before the first of `ends`; empty where there is none."""
    last = ""
    for word in words:
        if word in ends:
            break
        last = word
    return last
