"""Which kind of fact an English clause tells: of whom, by which verb, in which tense. The first rule that fits decides."""

import re
from collections.abc import Callable

import msgspec

from enhanced_memory.daemon.extraction.clauses import Clause, Subject
from enhanced_memory.daemon.extraction.english_words import (
    ALWAYS,
    ASKING,
    ATTRIBUTES,
    BUILDING,
    BUILT,
    DAYS,
    DECIDING,
    DECIDING_WITH,
    DOING,
    FOND,
    HE,
    IDLE_NOUNS,
    INSISTING,
    KIN,
    KNOWN,
    LASTING,
    LASTING_WITH,
    LIFE,
    LIKING,
    LIVING,
    MONTHS,
    NEAR,
    NO_ROLE,
    PASSING,
    PERSONAL,
    PETS,
    ROLES,
    SHE,
    TRANSIENT,
    TRIVIAL,
)
from enhanced_memory.daemon.extraction.values import USER, Kind, Scene
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["FREQUENT", "WHEN", "Told", "subject_of", "told"]


class Told(msgspec.Struct, frozen=True):
    """What a clause tells, and of whom."""

    kind: Kind
    subject: str
    subject_type: str
    confidence: float


class Who(msgspec.Struct, frozen=True):
    """Whom a clause is about."""

    name: str
    type: str
    sure: float = 1.0
    """How sure that is who is meant."""
    person: bool = True
    own: bool = False
    """Whether it is the speaker, alone or with others."""


WHEN = re.compile(
    rf"\b(?:today|tonight|tomorrow|(?:this|next|coming) (?:morning|afternoon|evening|week|weekend|month|quarter|year|spring|summer|autumn|fall|winter|term|semester|sprint|{DAYS}|{MONTHS})|"
    rf"(?:on|by|until|till|before|from|over|after|this|at) (?:the )?(?:{DAYS}|weekend|\d{{1,2}}(?:st|nd|rd|th)?\b|(?:first|second|third|fourth|last) (?:of|{DAYS}|week)|christmas|easter|{MONTHS})|"
    rf"(?:in|by|until|since|from|for|before|around|during) (?:early |late |mid-?)?(?:{MONTHS}|spring|summer|autumn|fall|winter|\d{{4}}|christmas|easter|the (?:spring|summer|autumn|fall|winter|new year|holidays|coming \w+|next \w+))|"
    r"in (?:a|an|one|two|three|four|five|six|seven|eight|nine|ten|a few|a couple of|\d+) (?:minutes?|hours?|days?|weeks?|months?|years?)|"
    rf"\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{MONTHS})|(?:{MONTHS}) \d{{1,2}}|\d{{4}}-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|(?:{DAYS})|q[1-4]|end of (?:the )?\w+|from now on)\b",
    re.IGNORECASE,
)
"""A time, of a plan or a date."""
FREQUENT = re.compile(
    rf"\b(?:every|each) (?:single |other |second |few )?(?:day|night|morning|afternoon|evening|week|weekend|month|quarter|year|spring|summer|autumn|fall|winter|time|{DAYS}|hour|\d|two|three|four)|"
    rf"\b(?:{DAYS})s\b|\bweekends\b|\bweekdays\b|\b(?:once|twice|(?:two|three|four|five|six|seven|several|many|\d+) times) (?:a|an|per|each|every) \w+|\b(?:daily|weekly|monthly|yearly|nightly|annually)\b|"
    r"\bin the (?:mornings?|evenings?|afternoons?)\b|\bat (?:night|noon|lunch|dawn|weekends)\b|\bmost (?:days|nights|weeks|weekends|mornings|evenings|of the time)\b|"
    r"\b(?:before|after|during) (?:breakfast|lunch|dinner|work|school|bed|sleep)\b|\baround (?:\d|noon|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|midnight)|\bas a rule\b|\ball the time\b|"
    r"\bwhen(?:ever)? (?:i|we|he|she|it|the|my)\b|\bon the day\b|\bevery\b",
    re.IGNORECASE,
)
"""How often: of a habit."""
_YEAR = re.compile(r"\b(?:19[3-9]\d|20\d\d)\b")
_OLD = re.compile(r"\b1[0-8]\d\d\b|\b19[0-2]\d\b")
_SINCE = re.compile(
    r"\b(?:since|for (?:the (?:last|past) )?(?:a|an|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty\S*|thirty\S*|many|several|some|over|about|almost|nearly|\d+|years|ages|decades)|(?:my|his|her) (?:whole|entire) life|from childhood)\b",
    re.IGNORECASE,
)
_NOW = re.compile(
    r"\b(?:right now|at the moment|just now|today|this (?:morning|evening|afternoon|minute)|tonight|currently|yesterday|earlier|last night|so far|yet|a (?:bit|little))\b",
    re.IGNORECASE,
)
_PAST_TIME = re.compile(
    rf"\b(?:yesterday|last (?:night|week|month|weekend|{DAYS})|ago|earlier|this morning|just)\b", re.IGNORECASE
)
_POINTING = re.compile(
    r"^(?:to$|it|this|that|these|those|them|him|her|you|your|yours|the way|how|what|to (?:see|hear|meet|know|think|say)|so|too|as well|where)\b",
    re.IGNORECASE,
)
_AGREEING = re.compile(
    r"^(?:that|this|the|your) (?:\w+ )?(?:idea|plan|version|approach|suggestion|patch|song|design|answer|thought|point|sound|look|proposal|picture|photo|article|story|post|joke|solution|comment|direction|change)s?\b",
    re.IGNORECASE,
)


def subject_of(subject: Subject, clause: Clause, scene: Scene) -> Who | None:
    """Whom a subject means. Notes a person who is named, so that the next `she` is known."""
    kind = subject.kind
    if kind == "I":
        return Who(scene.speaker, _type(scene.speaker), own=True)
    if kind == "we":
        if subject.name:
            scene.meet(subject.name)
        return Who(scene.speaker, _type(scene.speaker), own=True)
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
        return Who(scene.project, "project", 0.95 if kind == "the" else 0.85, person=False)
    if kind == "it":
        return Who(scene.project, "project", 0.8, person=False)
    return None


def _type(name: str) -> str:
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
            scene.meet(name, _pronoun(_noun(clause.said())) if clause.verb == "be" else "")
        return Who(name, "person")
    if parts[0] in (
        "professor",
        "prof",
        "dr",
        "mr",
        "mrs",
        "ms",
        "miss",
        "aunt",
        "uncle",
        "auntie",
        "grandma",
        "grandpa",
        "coach",
        "sister",
        "brother",
        "captain",
        "sir",
        "lady",
    ):
        scene.meet(name)
        return Who(name, "person")
    if len(parts) == 1 and low in scene.common:
        return None
    if _only_people(clause):
        scene.meet(name, _pronoun(_noun(clause.said())) if clause.verb == "be" else "")
        return Who(name, "person", 0.95)
    return Who(name, "", 0.9, person=False)


def _only_people(clause: Clause) -> bool:
    """Whether a clause says of its subject what is only said of people. A plural does not agree with one name."""
    said = clause.said()
    if clause.form == "b" and not clause.helpers:
        return False
    if clause.verb == "be":
        if _OLD.search(said):
            return False
        head = _noun(said)
        first = said.split(" ", 1)[0]
        if re.match(r"in (?:the )?(?:\w+ )?grade\b", said):
            return True
        return (
            head in ROLES
            or head in KNOWN
            or first in ("allergic", "married", "vegetarian", "vegan")
            or (first in FOND and "progressive" not in clause.helpers)
        )
    if clause.verb == "have":
        return bool(
            re.search(
                rf"\b(?:{'|'.join(sorted(KIN | PETS))}|allerg(?:y|ies)|asthma|diabetes|birthday|degree|phd|appointment|interview|exam|meetings?|experience in)s?\b",
                said,
            )
        )
    if (
        clause.rest
        and clause.rest[0].low in ("me", "us")
        and clause.verb not in ("let", "make", "give", "cost", "help", "force", "show", "remind", "save")
    ):
        return True
    if "passive" in clause.helpers:
        return clause.verb in ("bear", "promote", "hire", "marry", "appoint", "diagnose", "raise") and not _OLD.search(
            said
        )
    if clause.verb == "stand" and clause.denied:
        return True
    if "will" in clause.helpers or "plan" in clause.helpers:
        return bool(WHEN.search(said)) or clause.verb in PERSONAL
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
    ) and not _OLD.search(said)


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
            return Who(owner, _type(owner))
    if kin:
        scene.mention(kin, owner, _pronoun(kin))
    return Who(owner, _type(owner))


def _name_in(clause: Clause) -> str:
    for word in clause.rest[:4]:
        if word.capital and word.raw.isalpha() and word.low not in ("i",):
            return word.raw
    return ""


def _noun(said: str) -> str:
    """The noun of a phrase that begins with an article or an owner: `a data engineer at Northwind` → `engineer`."""
    words = said.replace(",", " ,").split()
    if not words or words[0] not in ("a", "an", "the", "my", "our", "his", "her", "their", "one"):
        # `head of data`, `CTO at Acme` carry none.
        return words[0] if words and words[0] in ROLES else ""
    last = ""
    for word in words[1:9]:
        if word in (
            "of",
            "at",
            "in",
            "for",
            "from",
            "with",
            "on",
            "and",
            "who",
            "that",
            "to",
            ",",
            ".",
            "by",
            "since",
            "as",
            "now",
            "again",
            "too",
            "here",
        ):
            break
        last = word
    return last


# The rules


Rule = Callable[[Clause, Who, str], "tuple[Kind, float] | None"]


def told(clause: Clause, scene: Scene, text: str) -> Told | None:
    """The fact that a clause tells, if it tells one."""
    if clause.subject.kind in ("generic", "you", "none"):
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
            elif clause.subject.kind == "we" and kind == "profile" and clause.verb in BUILDING:
                name, kind_of_thing = scene.project, "project"
            if kind == "preference" and not who.person and re.search(r"\bm?[yo]u?r? favou?rite|\b(?:my|our) ", said):
                name, kind_of_thing = scene.speaker, _type(scene.speaker)
            if not kind_of_thing:
                return None
            return Told(kind, name, kind_of_thing, round(confidence * who.sure, 3))
    return None


def _doubted(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """`I might`, `we could`, `he would`: nothing that is so. `Would rather` and `would prefer` are meant."""
    helpers = clause.helpers
    if "would" in helpers and clause.verb in ("rather", "prefer"):
        return "preference", 0.85
    if (
        "would" in helpers
        and clause.verb == "appreciate"
        and re.match(r"(?:\w+er|more|less|fewer|if you|no|short|brief|concise|plain|simple)\b", said)
    ):
        return "preference", 0.75
    if "would" in helpers and clause.verb in ("like", "love") and said.startswith("to "):
        verb = said.split()[1] if len(said.split()) > 1 else ""
        good = WHEN.search(said) and verb in (
            "learn",
            "visit",
            "travel",
            "move",
            "start",
            "become",
            "study",
            "go",
            "climb",
            "finish",
            "retire",
            "run",
        )
        return ("plan", 0.65) if good else ("plan", 0.0)
    if "can" in helpers and clause.denied and clause.verb in ("stand", "bear", "abide", "tolerate"):
        return ("preference", 0.0) if _POINTING.match(said) else ("preference", 0.88)
    if {"would", "could", "might"} & set(helpers) or ("may" in helpers and not clause.denied):
        return "plan", 0.0
    if "did" in helpers and not clause.denied:
        return "plan", 0.0
    return None


_CHANGED = re.compile(r"\b(?:any ?more|any longer|no longer)\b", re.IGNORECASE)


def _corrected(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
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
        and clause.form in "dn"
        and re.match(r"[a-z]+ing\b", said)
        and (who.own or who.person)
    ):
        return "correction", 0.85
    if clause.verb == "give" and clause.form in "dn" and said.startswith("up "):
        return "correction", 0.8
    if clause.verb == "move" and clause.form in "dn" and who.person and not _PAST_TIME.search(said):
        return "correction" if " from " in f" {said}" else "profile", 0.82
    if re.search(r"\bnot [\w' ]+ (?:but|,)|, not\b", said) and "actually" in clause.adverbs:
        return "correction", 0.8
    return None


def _preferred(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    if clause.verb == "be":
        head = _noun(said)
        if re.match(r"(?:an? |the )?(?:\w+ )?(?:fan|lover|enthusiast|admirer)s? of\b", said) or said.startswith(
            "no fan of"
        ):
            return ("preference", 0.0 if _POINTING.match(said.partition(" of ")[2]) else 0.88) if who.person else None
        first, _, after = said.partition(" ")
        if first in ("really", "very", "quite", "not", "so", "pretty", "particularly", "especially"):
            first, _, after = after.partition(" ")
        if who.person and first in FOND and (not FOND[first] or after.split(" ", 1)[0] in FOND[first].split()):
            about = after.partition(" ")[2] if FOND[first] else after
            if first == "into" and not after:
                return None
            return ("preference", 0.0) if _POINTING.match(about) or not about else ("preference", 0.82)
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
    liking = clause.verb in LIKING or (clause.verb in ("care", "go") and clause.denied and said.startswith("for "))
    if not liking or not who.person:
        return None
    if {"progressive", "passive", "will", "should", "must"} & set(clause.helpers):
        return "preference", 0.0
    if (clause.verb == "mind" and not clause.denied) or (
        clause.verb in ("suit", "admire", "resent", "relish") and _POINTING.match(said)
    ):
        return "preference", 0.0
    if re.match(r"(?:it|how|that) (?:when|if|people|others|everyone|so many|some)\b", said):
        return "preference", 0.78
    if not said or _POINTING.match(said) or _AGREEING.match(said):
        return "preference", 0.0
    if clause.form == "d" and "perfect" not in clause.helpers:
        # `I liked the soup` was one meal; `I enjoyed the Le Guin` one book.
        return "preference", 0.45
    return "preference", 0.9 if clause.verb in ("prefer", "hate", "dislike", "detest", "adore", "love") else 0.85


def _decided(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    verb, done = clause.verb, clause.form in "dn" or "perfect" in clause.helpers
    first = said.split(" ", 1)[0] if said else ""
    by_particle = verb in DECIDING_WITH and first in DECIDING_WITH[verb].split()
    intended = bool({"will", "plan"} & set(clause.helpers)) or "progressive" in clause.helpers
    if clause.denied and not (verb in ("accept", "support", "allow") and who.own):
        return None
    if verb in DECIDING and verb not in ("agree", "drop") and not (verb == "adopt" and clause.subject.kind == "I"):
        if verb in ("decide", "settle", "opt", "commit") and intended:
            return "decision", 0.0
        if done and (who.own or clause.subject.kind in ("the", "it", "our") or who.person):
            if clause.subject.kind == "I" and verb in ("pick", "discard", "select") and _PAST_TIME.search(said):
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
    if verb == "make" and done and re.match(r"(?:the|a|our) (?:final )?decision\b", said):
        return "decision", 0.8
    return None


_PERSONAL_NEED = re.compile(
    r"^(?:to (?:go|leave|talk|sleep|eat|rest|run|hurry|discuss|see|find|figure|think|know|ask|check|look|get|understand|finish|wait|call|buy)\b)"
)


def _required(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
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
            return "requirement", 0.55
        if kind == "my" and clause.subject.head in KNOWN:
            return None
        return "requirement", 0.9 if "need" not in helpers else 0.82
    if must and who.own and kind == "I":
        return ("plan", 0.7) if WHEN.search(said) and clause.verb not in TRIVIAL else ("plan", 0.4)
    if "should" in helpers and thing and kind not in ("bare", "name"):
        return "requirement", 0.72
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
        and not _POINTING.match(said)
    ):
        return "requirement", 0.7
    if clause.verb in ("require", "demand") and (kind == "we" or (thing and kind in ("our", "the"))) and said:
        return "requirement", 0.75
    return None


def _needed(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """`I need X`: for good, or now? What is asked of a helper, and what is only pointed at, is not a fact."""
    if (
        not said
        or _POINTING.match(said)
        or re.match(r"(?:you|help|your|some|any|more|another|someone|somebody)\b", said)
    ):
        return "requirement", 0.0
    if clause.denied:
        return "requirement", 0.5
    if _PERSONAL_NEED.match(said) or said.startswith("to "):
        return "requirement", 0.4
    noun = _noun(said)
    bounded = re.search(
        r"\b(?:to be|at least|at most|no more than|less than|more than|must|before|until|without|in order|because|per|for (?:my|our|the|work)|by (?:the|next|\w+day))\b|\d",
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
        return "requirement", 0.8 if bounded and short else 0.58 if bounded else 0.55 if said.startswith(
            ("a ", "an ")
        ) and kind_is_i else 0.64 if short else 0.5
    return "requirement", 0.7 if who.person and bounded else 0.5


def _planned(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    helpers, verb = set(clause.helpers), clause.verb
    lead = " ".join(word.low for word in clause.lead)
    when = WHEN.search(said) or WHEN.search(lead)
    kind = clause.subject.kind
    if "was" in helpers and ({"want", "plan"} & helpers):
        return "plan", 0.0  # `I wanted to`
    if (_POINTING.match(said) and not when) or (
        verb in TRIVIAL and not when and verb not in ("start", "leave", "come")
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
        return "plan", 0.85 if when or verb not in TRIVIAL else 0.55
    if "will" in helpers and "perfect" in helpers:
        return ("plan", 0.7) if when and (who.own or who.person) else None
    if "will" in helpers:
        if verb in ("be", "have") and not when:
            return "plan", 0.0
        if kind in ("the", "our", "my") and when and not who.person:
            return "plan", 0.75
        if who.person or who.own:
            trivial = verb in TRIVIAL and verb not in ("start", "leave", "come", "be")
            if clause.denied and not when:
                return "plan", 0.5
            said_what = len(clause.rest) > 1 and not re.match(r"(?:definitely|keep|make|up|on|all|always|some)\b", said)
            return "plan", 0.85 if when and not trivial else 0.7 if when else 0.5 if trivial or not said_what else 0.64
        return ("plan", 0.75) if when and kind in ("the", "our", "my") else None
    if (
        "progressive" in helpers
        and when
        and not _PAST_TIME.search(said)
        and not FREQUENT.search(said)
        and (who.person or who.own)
    ):
        if verb == "think" and re.match(r"(?:of|about) \w+ing\b", said):
            return "plan", 0.64
        future = (
            (
                verb not in ("feel", "wonder", "think", "hope", "look", "enjoy", "try", "wait", "say", "talk", "tell")
                and not _NOW.search(said)
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
        and re.match(r"(?:off|away|out of (?:the )?office|on (?:holiday|vacation|leave|call)|busy|free)\b", said)
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
        verb == "have"
        and clause.form == "b"
        and when
        and not FREQUENT.search(said)
        and who.own
        and re.match(
            r"(?:an?|my|our|the|two|three) (?:\w+ ){0,2}(?:exam|test|flight|appointment|interview|meeting|deadline|trip|wedding|concert|conference|surgery|operation|talk|presentation|call|party|demo|release|match|race|date)\b",
            said,
        )
    ):
        return "plan", 0.8
    return None


_AMBITIONS = wordlist(
    "learn become build create start visit travel move buy write study run open lose save improve retire launch grow found publish climb train finish adopt marry"
)


def _habitual(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    helpers = set(clause.helpers)
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
            ("habit", 0.6)
            if frequency and re.match(r"(?:up|at|in|on|late|early|awake|home|offline|online|out)\b", said)
            else None
        )
    if "progressive" in helpers and (not often or often[0].lower().startswith("when")):
        return None
    if often or (frequency and said):
        return "habit", 0.86 if often and frequency else 0.82
    return None


def _is_so(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """What a person or a project is, has, does for good."""
    if clause.verb == "be" and not {"will", "must", "should"} & set(clause.helpers):
        return _being(clause, who, said)
    if clause.verb == "have":
        return _having(clause, who, said)
    return _doing(clause, who, said)


def _being(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    subject = clause.subject
    kind = subject.kind
    owned = kind in ("my", "our", "their")
    head = _noun(said)
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
        r"(?:friends|siblings|colleagues|neighbou?rs|cousins|brothers|sisters|married|engaged|twins|roommates|flatmates)\b",
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
    if _NOW.search(said):
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
        if first in ("new", "good", "bad", "afraid", "scared", "terrible") and (_POINTING.match(rest) or not rest):
            return "profile", 0.0
        return "relationship" if first in ("married", "engaged", "related") else "profile", 0.88
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
    if first in ROLES and (after.startswith(("of", "at", "for", "in")) or not after):
        return "profile", 0.85
    if re.match(
        r"in (?:charge of|(?:the |my |his |her )?(?:\d+(?:st|nd|rd|th)?|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|final|last) (?:grade|year|form|semester)|(?:my|his|her) (?:\w+ ){0,2}(?:year|twenties|thirties|forties|fifties|sixties))\b|in \d+(?:st|nd|rd|th) ",
        said,
    ):
        return "profile", 0.85
    if first in ("in", "from", "at") and len(clause.rest) > 1 and clause.rest[1].capital and not WHEN.match(said):
        return "profile", 0.72 if first != "from" else 0.88
    if clause.name_first():
        return "profile", 0.88
    if (
        len(clause.rest) == 1
        and clause.rest[0].capital
        and clause.rest[0].low.endswith(("ish", "an", "ian", "ese", "ch", "tch", "i", "ic"))
    ):
        return "profile", 0.85
    return None


_NUMBERS = "(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-\\w+)?|eighteen|nineteen|sixteen|seventeen|fifteen|fourteen|thirteen|twelve|eleven"


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
    if re.match(r"an? ", said) and subject.kind == "my" and subject.head not in TRANSIENT:
        return "profile", 0.5
    return None


def _having(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    helpers = set(clause.helpers)
    if {"will", "would", "plan", "want"} & helpers or not (who.person or who.own) or not said:
        return None
    if clause.form == "d" and "perfect" not in helpers:
        return None
    noun = _noun(said) or next(
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
    if _POINTING.match(said) or _NOW.search(said):
        return None
    if "perfect" in helpers and not _SINCE.search(said):
        return None
    if re.search(
        rf"\b(?:{'|'.join(sorted(KIN | PETS | {'friend', 'colleague', 'flatmate', 'roommate', 'allergy', 'diabetes', 'asthma', 'degree', 'phd', 'house', 'garden', 'car', 'bike', 'flat', 'boat'}))})(?:s|es)?\b",
        said,
    ):
        return "profile", 0.88
    if clause.subject.kind in ("we", "our"):
        return "profile", 0.66 if re.search(r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten)\b", said) else 0.5
    if noun.endswith(("tion", "sion", "ment", "ness", "ity", "ence", "ance", "ship", "ing", "ism")):
        return "profile", 0.45
    named = any(word.capital or word.raw[0].isdigit() for word in clause.rest[:4])
    return "profile", 0.75 if named else 0.64 if re.match(
        r"(?:an?|two|three|four|five|one|my own)\b", said
    ) and not said.startswith("a few") else 0.55


def _doing(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    helpers, verb, kind = set(clause.helpers), clause.verb, clause.subject.kind
    if {"will", "would", "could", "can", "should", "did", "want", "plan", "need", "must"} & helpers:
        return None
    own = who.person or who.own
    if "passive" in helpers:
        return _done_to(clause, who, said)
    if verb == "mean" or (_POINTING.match(said) and verb not in ("live", "work")):
        return None
    if (
        verb == "come"
        and own
        and re.match(r"(?:originally )?from ", said)
        and not re.match(r"from (?:my|the|a|school|work|home)\b", said)
    ):
        return "profile", 0.85
    if verb == "report" and said.startswith("to ") and own:
        return "relationship", 0.9
    if (
        verb in ("work", "live")
        and re.match(r"(?:with|for) (?:my (?:" + "|".join(sorted(KNOWN)) + r")|[a-z]+$)", said)
        and own
        and clause.form in "bs"
        and any(word.capital for word in clause.rest)
    ):
        return "relationship", 0.75
    if verb == "share" and kind == "we":
        return "relationship", 0.7
    if "progressive" in helpers and "perfect" not in helpers:
        if "was" in helpers or not own:
            return None
        if verb == "come" and said.startswith("from "):
            return "profile", 0.8
        if verb in ("live", "work", "study") and re.match(r"(?:in|at|on|for|as|with|from|towards|remotely)\b", said):
            return ("profile", 0.75) if not re.match(r"on (?:it|that|this)\b", said) else None
        if verb in DOING and said and not re.match(r"(?:with|from|a lot|so|hard|well|too|more|together)\b", said):
            return "profile", 0.62
        return None
    if "perfect" in helpers:
        if own and _SINCE.search(said) and verb not in ("wait", "try", "look", "think", "see", "fail", "hear"):
            return "profile", 0.85
        if own and verb in LIFE | {"live", "teach", "study"} and not _PAST_TIME.search(said):
            return "profile", 0.8
        return None
    if clause.form in "dn":
        if verb in _PLACED_PAST and not re.match(_PLACED_PAST[verb], said):
            return None
        if (
            own
            and clause.form == "d"
            and verb in LIFE | {"study", "work", "live", "teach", "grow", "serve"}
            and not _PAST_TIME.search(said)
        ):
            if verb in (
                "start",
                "become",
                "leave",
                "buy",
                "lose",
                "raise",
                "publish",
                "win",
                "receive",
                "earn",
                "get",
                "break",
                "transfer",
                "train",
                "settle",
                "tear",
            ) and not (_YEAR.search(said) or WHEN.search(said)):
                return ("profile", 0.55) if verb not in ("become", "earn") else ("profile", 0.7)
            return "profile", 0.82
        if own and clause.form == "d" and _YEAR.search(said):
            return "profile", 0.65
        return None
    if not own:
        if (
            who.type == "project"
            and verb in BUILDING
            and said
            and clause.form in "bs"
            and (kind in ("our", "name") or clause.subject.name)
        ):
            return "profile", 0.8
        return _by_default(clause, who, said) if kind == "our" or (kind == "name" and who.type) else None
    if kind in ("my", "their") and not clause.subject.name:
        # `My printer jams` says how things stand; `my brother works in Oslo` is about somebody.
        return ("relationship", 0.82) if clause.subject.head in KNOWN and verb in LIVING and said else None
    if kind == "we" and verb in BUILDING and said:
        return "profile", 0.74
    if verb == "use":
        return ("profile", 0.78) if said and not re.match(r"(?:the|your|this|an? (?:few|lot|bit))\b", said) else None
    if clause.subject.kind in ("name", "he") and re.match(r"(?:me|us)\b", said) and who.person and verb not in PASSING:
        return "relationship", 0.72
    if who.type == "project" and kind == "our" and verb in BUILDING and said:
        return "profile", 0.8
    if verb in _PLACED and not re.match(_PLACED[verb], said):
        return None
    if verb in LIVING and said:
        return "profile", 0.86 if verb in ("live", "work", "study", "teach", "speak", "own") else 0.74
    if verb in ("eat", "drink", "smoke", "take") and clause.denied:
        return "profile", 0.82
    if verb in ("take", "keep") and re.search(
        r"\bmg\b|\b(?:medication|insulin|pills?|tablets?|inhaler|hens|bees|chickens|sheep|cows)\b", said
    ):
        return "profile", 0.78
    if verb == "learn" and re.match(r"(?:best|better|most)\b", said):
        return "preference", 0.75
    if verb in ("code", "program", "grow", "go") and re.match(r"(?:in|up in|by)\b", said):
        return "profile", 0.75
    return _by_default(clause, who, said)


def _by_default(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """The present tense of a verb that tells of no passing thing: `I major in phonetics`, `she breeds horses`."""
    if clause.verb in PASSING or clause.verb in TRIVIAL or not said or clause.form not in "bs" or _NOW.search(said):
        return None
    if (
        set(clause.helpers) - {"do"}
        or _POINTING.match(said)
        or re.match(
            r"(?:the|that|this|your|a (?:bit|lot|few)|(?:on|in|for|with|to|at|about) (?:it|that|this|them|him|her|you|what))\b",
            said,
        )
    ):
        return None
    return "profile", 0.62


_PLACED = {
    "work": r"(?:in|at|for|as|with|from|remotely|part-time|full-time|freelance|nights|on|out of|here|two|three|four|\d)\b(?! (?:it|that|this|me|you)\b)",
    "live": r"(?:in|at|on|with|near|alone|by|off|next|here|abroad|together|outside|downtown|between)\b",
    "speak": r"(?!about|to|up|with|out|for|of)",
    "run": r"(?:an?|the|my|our|two|three|[a-z]+ on)\b",
    "play": r"(?!with|around|along|it|out|by)",
    "drive": r"(?:an?|the|my|to)\b",
    "hold": r"(?:an?|the|two|dual)\b",
    "lead": r"(?:an?|the|our)\b",
    "raise": r"(?!an? (?:issue|question|point|good))",
    "share": r"(?:an?|the|our) (?:flat|house|office|room|apartment|desk|phone|on-call)",
    "serve": r"(?:as|on|in)\b",
    "handle": r"(?:the|our|all)\b",
    "represent": r"(?:the|our|a)\b",
    "belong": r"to (?:an?|the) ",
    "program": r"(?:in|mostly)",
    "code": r"(?:in|mostly)",
    "develop": r"(?!into|a feeling)",
    "suffer": r"from",
    "wear": r"(?!out|off)",
    "head": r"(?:the|our)",
    "rent": r"(?:an?|the|our)\b",
}
"""What must follow such a verb for it to tell something lasting."""


_PLACED_PAST = {
    "work": r"(?:as|at|for|in)\b",
    "live": r"(?:in|at|with|abroad|near)\b",
    "teach": r"(?!us|me|him|her|them|you)",
    "grow": r"up\b",
    "leave": r"(?:my|the|[a-z]+ in)\b",
    "lose": r"(?:my|his|her) (?:\w+ )?(?:job|husband|wife|father|mother|hearing|sight|leg|arm|dog|cat|brother|sister)",
}


def _done_to(clause: Clause, who: Who, said: str) -> tuple[Kind, float] | None:
    """`I was born in`, `Orion is written in`, `she is married to`."""
    verb = clause.verb
    first = said.split(" ", 1)[0] if said else ""
    if who.person:
        if verb == "bear" and not _OLD.search(said):
            return "profile", 0.92
        if verb in ("call", "name", "nickname") and said:
            related = clause.subject.kind in ("my", "our", "their") and clause.subject.head in KNOWN
            return "relationship" if related else "profile", 0.9
        if verb in ("marry", "engage") and said.startswith("to "):
            return "relationship", 0.9
        if verb in (
            "diagnose",
            "promote",
            "hire",
            "appoint",
            "raise",
            "base",
            "employ",
            "certify",
            "train",
            "elect",
            "retire",
        ) and (said or verb == "retire"):
            return "profile", 0.84
        return None
    if (
        who.type == "project"
        and verb in BUILT
        and first in ("in", "with", "on", "to", "by", "at", "using", "for", "under", "from")
        and (clause.subject.kind in ("name", "our", "the") or clause.subject.name)
    ):
        return "profile", 0.8 if clause.subject.kind != "the" else 0.68
    return None


_RULES: tuple[Rule, ...] = (_doubted, _corrected, _preferred, _decided, _required, _planned, _habitual, _is_so)
