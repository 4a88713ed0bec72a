"""Which kind of fact an English clause tells: of whom, by which verb, in which tense. The first rule that fits decides."""

import re
from collections.abc import Callable

import msgspec

from enhanced_memory.daemon.extraction.being import being, having
from enhanced_memory.daemon.extraction.clauses import Clause
from enhanced_memory.daemon.extraction.doing import doing
from enhanced_memory.daemon.extraction.english_words import (
    BUILDING,
    KIN,
    PETS,
)
from enhanced_memory.daemon.extraction.needing import required
from enhanced_memory.daemon.extraction.planning import habitual, planned
from enhanced_memory.daemon.extraction.subjects import Who, subject_of, type_of
from enhanced_memory.daemon.extraction.values import Kind, Scene
from enhanced_memory.daemon.extraction.wanting import corrected, decided, doubted, preferred

__all__ = ["Rule", "Told", "told"]


class Told(msgspec.Struct, frozen=True):
    """What a clause tells, and of whom."""

    kind: Kind
    subject: str
    subject_type: str
    confidence: float


Rule = Callable[[Clause, Who, str], "tuple[Kind, float] | None"]


def told(clause: Clause, scene: Scene, text: str) -> Told | None:
    """The fact that a clause tells, if it tells one."""
    if clause.subject.kind == "generic":
        return _forbidden(clause, scene)
    if clause.subject.kind in ("you", "none"):
        return None
    who = subject_of(clause.subject, clause, scene)
    if who is None:
        return None
    said = clause.said()
    for rule in _RULES:
        found = rule(clause, who, said)
        if found is not None:
            kind, confidence = found
            if not confidence:
                return None
            name, kind_of_thing = who.name, who.type
            if clause.subject.kind in ("we", "our", "the", "bare", "it") and kind in ("requirement", "decision"):
                name, kind_of_thing = (
                    (name, "project") if name in scene.projects.values() else (scene.project, "project")
                )
                for word in (*clause.lead, *clause.rest):
                    if word.low in scene.projects:
                        name = scene.projects[word.low]
            elif (
                clause.subject.kind == "we"
                and kind in ("profile", "correction")
                and clause.verb in BUILDING
                and not _AT_HOME.search(said)
            ):
                name, kind_of_thing = scene.project, "project"
            if (
                kind == "preference"
                and not who.person
                and re.search(r"\bm?[yo]u?r? favou?rite|\b(?:my|our) |^(?:me|us)\b", said)
            ):
                name, kind_of_thing = scene.speaker, type_of(scene.speaker)
            if not kind_of_thing:
                return None
            return Told(kind, name, kind_of_thing, round(confidence * who.sure, 3))
    return None


def _forbidden(clause: Clause, scene: Scene) -> Told | None:
    """`Nothing beats plum cake`; `nothing may be merged without a review`, `nobody leaves before the bell`: what holds for all is a rule, if it denies and bounds."""
    if clause.subject.words[0].low not in ("nobody", "nothing", "none") or clause.denied:
        return None
    if clause.verb in ("beat", "top") and clause.form == "s" and not clause.helpers and clause.rest:
        return Told("preference", scene.speaker, type_of(scene.speaker), 0.82)
    ruled = {"may", "must", "shall", "should"} & set(clause.helpers) or (
        "can" in clause.helpers and "passive" in clause.helpers
    )
    bounded = clause.form == "s" and not clause.helpers and _BOUND.search(clause.said())
    if not ruled and not bounded:
        return None
    return Told("requirement", scene.project, "project", 0.8 if ruled else 0.66)


_AT_HOME = re.compile(
    rf"\b(?:{'|'.join(sorted(KIN | PETS))}|hen|chicken|bee|goat|sheep|cow|garden|house|flat|car|allotment)(?:s|es)?\b"
)
"""What a household has, and no project."""
_BOUND = re.compile(
    r"\b(?:without|unless|except|before|after|until|on (?:mon|tues|wednes|thurs|fri|satur|sun)days?|during|outside)\b",
    re.IGNORECASE,
)


def _is_so(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What a person or a project is, has, does for good."""
    if clause.verb == "be" and not {"will", "must", "should"} & set(clause.helpers):
        return being(clause, who, said)
    if clause.verb == "have":
        return having(clause, who, said)
    return doing(clause, who, said)


_RULES: tuple[Rule, ...] = (doubted, corrected, preferred, decided, required, planned, habitual, _is_so)
