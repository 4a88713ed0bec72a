"""What a sentence states, told from its outline alone where no rule of its own knew it: tense, time, and what it is about. English.

The rules for clauses name verbs. Here it is the other way round: what somebody says of themselves, of theirs, of somebody they
know, in the present tense, holds for good, unless it is of the sort that passes – a feeling, an errand, a word of praise. So it finds
what nobody thought of, and is less sure of it.
"""

import re
from collections.abc import Callable, Sequence

from enhanced_memory.daemon.extraction.coming import again, ahead
from enhanced_memory.daemon.extraction.english_words import (
    HE,
    KNOWN,
    NOT_NAMES,
    OPENERS,
    PETS,
    ROLES,
    SHE,
)
from enhanced_memory.daemon.extraction.lasting import lasting
from enhanced_memory.daemon.extraction.lexicon import TITLES
from enhanced_memory.daemon.extraction.liking import felt, likes, weighed
from enhanced_memory.daemon.extraction.outline import Outline, Tells, outlines
from enhanced_memory.daemon.extraction.signs import LED
from enhanced_memory.daemon.extraction.subjects import Who, type_of
from enhanced_memory.daemon.extraction.turning import bounded, settled, turned
from enhanced_memory.daemon.extraction.values import Found, Kind, Scene
from enhanced_memory.daemon.extraction.words import Word, is_adverb

__all__ = ["stated"]


def stated(text: str, words: Sequence[Word], scene: Scene) -> list[Found]:
    """The facts that a sentence's outlines tell, in order."""
    found: list[Found] = []
    read = outlines(words)
    for number, one in enumerate(read):
        following = read[number + 1].link if number + 1 < len(read) else ""
        who = _whom(one, scene)
        told = _tells(one, who, following)
        if told is None:
            continue
        kind, confidence = told
        if confidence < 0.6:
            continue
        name, sort = _owner(one, kind, who, scene)
        if not sort:
            continue
        said = text if len(read) == 1 else text[one.start : one.end]
        found.append(Found(kind, name, sort, " ".join(said.split()).strip(" ,;:-–—"), confidence))
    return found


# Of whom


def _whom(one: Outline, scene: Scene) -> Who | None:
    """Whom a statement is about; None where it is about nobody known."""
    speaker = Who(scene.speaker, type_of(scene.speaker), own=True)
    if one.of == "self":
        return speaker
    if one.of == "own":
        return _their_own(one, scene, speaker)
    if one.of == "person":
        whom = scene.meant("he" if one.subject[0].low in ("he", "his") else "she")
        return Who(whom, "person", 0.95) if whom else Who(scene.speaker, type_of(scene.speaker), 0.95)
    if one.of in ("they", "it"):
        return Who(scene.project, "project", 0.95, person=False)
    if one.of == "the":
        if one.head() in KNOWN | ROLES | PETS or {"one", "ones"} & {word.low for word in one.subject}:
            return Who(scene.speaker, type_of(scene.speaker), 0.95)
        return Who(scene.project, "project", 0.95, person=False)
    if one.of == "bare":
        return _named(one, scene)
    return None


def _their_own(one: Outline, scene: Scene, speaker: Who) -> Who:
    kin = next((word.low for word in one.subject if word.low in KNOWN), "")
    if kin:
        name = next((word.raw for word in one.subject if word.capital and word.low not in NOT_NAMES), "")
        if name:
            scene.meet(name, "he" if kin in HE else "she" if kin in SHE else "")
            return Who(name, "person")
        scene.mention(kin, scene.speaker, "he" if kin in HE else "she" if kin in SHE else "")
    return speaker


def _named(one: Outline, scene: Scene) -> Who | None:
    """A person or a project by name; a title counts in small letters, too."""
    words = list(one.subject)
    if words[0].low in TITLES and len(words) > 1 and words[1].raw.isalpha():
        length = 2 + (len(words) > 2 and words[2].capital)
        name = " ".join(word.raw for word in words[:length])
        scene.meet(name)
        return Who(name, "person")
    for cut, word in enumerate(words[1:], 1):
        if not word.capital and word.low not in ("and", "&", "'s"):
            words = words[:cut]
            break
    capital = [word for word in words if word.capital and word.raw.isalpha() and word.low not in NOT_NAMES]
    if capital and all(word.capital or word.low in ("and", "&") for word in words):
        name = " ".join(word.raw for word in words)
        low = name.lower()
        if low in scene.projects:
            return Who(scene.projects[low], "project", person=False)
        if low in scene.people or words[0].low in scene.people:
            scene.meet(name)
            return Who(name, "person")
    return None


def _owner(one: Outline, kind: Kind, who: Who | None, scene: Scene) -> tuple[str, str]:
    """Whose fact it is: what is liked is of who speaks, what must be and was decided is the project's."""
    speaker = scene.speaker, type_of(scene.speaker)
    if kind == "preference" and (
        who is None or not who.person or (one.of in ("own", "bare", "the") and _ME.search(one.said()))
    ):
        return speaker
    if (
        kind in ("requirement", "decision")
        and one.of not in ("person",)
        and (who is None or not who.person or one.of in ("self",))
    ):
        named = next(
            (scene.projects[word.low] for word in (*one.subject, *one.predicate) if word.low in scene.projects),
            scene.project,
        )
        return (named, "project") if one.of != "self" or any(word.low == "we" for word in one.subject) else speaker
    if one.of == "the" and (
        {"i", "my"} & {word.low for word in one.subject}
        or (kind == "habit" and one.subject[0].low in ("every", "each"))
    ):
        return speaker
    if who is None:
        return speaker if kind in ("preference", "habit", "profile") else (scene.project, "project")
    return who.name, who.type


# What


def _tells(one: Outline, who: Who | None, following: str) -> Tells | None:
    """The first rule that knows. What is only supposed or asked is none."""
    if (
        one.of in ("you", "pointing")
        or one.tense == "guess"
        or (not one.predicate and one.of not in ("own", "person"))
        or _unled(one)
    ):
        return None
    said = one.said()
    if one.modal in ("would", "could", "might", "may", "should") and not one.denied:
        return weighed(one, said) or bounded(one, who, said) if one.modal in ("would", "should") else None
    for rule in _RULES:
        found = rule(one, who, said)
        if found is not None:
            return found if found[1] else None
    return lasting(one, who, said, following)


def _unled(one: Outline) -> bool:
    """Whether what stands before a pronoun leads nothing: `this book I read last year`."""
    led = one.led().strip(" ,")
    return bool(led) and one.of in ("self", "person", "it", "they") and not LED.match(led) and not re.match(rf"\d|(?:{_NUMBERS})\b|come \w+$", led) and any(
        not is_adverb(word.low) and word.raw[0].isalpha() and word.low not in OPENERS | NOT_NAMES for word in one.lead
    )  # fmt: skip


_NUMBERS = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|many|all"
_ME = re.compile(r"\b(?:me|us|my|our)\b")
_RULES: tuple[Callable[[Outline, Who | None, str], Tells | None], ...] = (
    felt, lambda one, _, said: weighed(one, said), likes, turned, settled, bounded, again, ahead,
)  # fmt: skip
