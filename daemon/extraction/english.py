"""English: what kind of sentence it is, and which facts its clauses tell. The rules are about grammar, not about things."""

import re
from collections.abc import Iterable

import msgspec

from enhanced_memory.daemon.extraction.clauses import Clause, clauses
from enhanced_memory.daemon.extraction.commands import commanded
from enhanced_memory.daemon.extraction.elided import unelided
from enhanced_memory.daemon.extraction.english_words import (
    ATTRIBUTES,
    HE,
    KNOWN,
    NOT_NAMES,
    OPENERS,
    PETS,
    SHE,
)
from enhanced_memory.daemon.extraction.fragments import fragment, standing_if
from enhanced_memory.daemon.extraction.lexicon import TITLES, any_verb
from enhanced_memory.daemon.extraction.rules import Told, told
from enhanced_memory.daemon.extraction.stating import stated
from enhanced_memory.daemon.extraction.subjects import subject_of
from enhanced_memory.daemon.extraction.values import Found, Kind, Scene
from enhanced_memory.daemon.extraction.wordlists import wordlist
from enhanced_memory.daemon.extraction.words import Word, read_words

__all__ = ["MARKERS", "begin", "read"]

MARKERS = wordlist("the and is to of in that it i you my we for not with are have do this was")
"""The commonest words, by which the language is known."""

_BULLET = re.compile(r"^\s*(?:[-*•–—+]|\d{1,3}[.)]|\[[ xX]?\]|#+)\s+|\*\*|__")
_TRAILING = re.compile(
    r"(?:,? (?:lol|lmao|rofl|haha\w*|hehe\w*|tbh|btw|though|tho|to be (?:honest|fair|frank|precise)|honestly|by the way|mind you|of course|obviously|"
    r"in fact|as you know|you know|if i['’]m honest|i must say|i must admit|believe it or not|just so you know|just in case|by the by))+(?=[.!…]*$)",
    re.IGNORECASE,
)
"""What a sentence may end with and say nothing by it."""
_OPINION = re.compile(
    r",? (?:if you ask me|in my (?:humble )?opinion|i think|i find|to my mind|for my money)(?=[.!…]*$)", re.IGNORECASE
)
_NOTED = re.compile(
    r"^(?:(?:please )?(?:also )?(?:remember|note|keep in mind|bear in mind|be aware|don['’]t forget|do not forget|know|understand)(?: (?:that|this))?[:,]?|fyi[:,]?|"
    r"for the record,?|just so you know,?|by the way,?|btw,?|to be (?:clear|honest|fair|precise),?|in case you (?:wonder|were wondering|need it),?|"
    r"(?:i|we) (?:should|must|have to|want to|can|would like to) (?:mention|add|say|admit|tell you|point out|stress|note|confess)(?: that)?,?|"
    r"you should know(?: that)?,?|as you (?:may |might )?know,?|the (?:thing|fact|truth|point) is(?: that)?,?|i(?:['’]m|"
    r" am) (?:happy|glad|proud|sorry|afraid) (?:to say )?that|"
    r"on (?:second|further) thought,?|one (?:more )?thing:|it(?:['’]s| is) (?:true|worth noting) that|as (?:i|"
    r"we) said(?: before)?,|reminder:|quick (?:note|update|fyi):|edit:|update:|p\.?s\.?:?,?) +"
    r"(?=[\w“\"'])",
    re.IGNORECASE,
)
"""What announces a statement. To be asked to remember makes it surer."""
_ASKED = re.compile(r"remember|note|mind|forget|record|reminder|know", re.IGNORECASE)
_HEDGE = re.compile(
    r"^(?:i (?:think|believe|guess|suppose|assume|imagine|reckon|feel like|feel|suspect|bet|hope|wonder|heard|read(?= that))(?: that)?|"
    r"(?:it )?(?:seems|looks like)(?: (?:that|like))?|"
    r"maybe|perhaps|probably|possibly|presumably|apparently|supposedly|allegedly|afaik,?|as far as i know,?|i(?:['’]m|"
    r" am) (?:not sure|pretty sure|fairly sure|told)(?: (?:that|if|whether))?|"
    r"they say(?: that)?|people say(?: that)?|rumou?r has it(?: that)?|in my opinion,?|imo,?|imho,?|in theory,?|(?:he|she|"
    r"[A-Z]\w+) (?:says|said|claims?|claimed|thinks?|thought|told me)(?: that)?)(?=,? )",
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"\b(?:maybe|perhaps|probably|possibly|might|apparently|supposedly|in theory|not sure|i guess|"
    r"(?<!this )(?<!that )(?<!some )(?<!any )(?<!what )kind of|if possible|hopefully|someday|one day)\b",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"^(?:(?:do|does|did|is|are|was|were|am|can|could|would|will|should|shall|may|have|has|had|isn['’]t|aren['’]t|don['’]t|"
    r"doesn['’]t|didn['’]t|can['’]t|won['’]t|haven['’]t)"
    r" (?:i|we|you|he|she|it|they|there|this|that|these|those|the|a|an|my|our|your|his|her|their|any|anyone|anybody|someone|everyone)\b|"
    r"(?:what|why|how|who|whom|whose|which|where)\b(?! (?:i|we) (?:need|want|like|prefer|love|hate)\b)|any (?:idea|chance|thoughts|news|suggestions)\b|"
    r"(?:can|could|would|will) someone\b|when (?:do|does|did|is|are|was|were|can|could|will|would|should)\b|tell me\b|"
    r"let me know\b|wonder(?:ing)? (?:if|whether|how|what)\b|i (?:wonder|was wondering)\b|i(?:['’]m| am) wondering\b)",
    re.IGNORECASE,
)
_TAGGED = re.compile(r",? (?:right|no|isn['’]t it|don['’]t you|do you|doesn['’]t it|eh|ok|okay|huh)\?$", re.IGNORECASE)
_UNREAL = re.compile(
    r"^(?:if|unless|suppos(?:e|ing)|imagine|assum(?:e|ing)|provided|what if|let['’]s (?:say|assume|suppose|imagine)|say you|"
    r"pretend|had i|were i|in case|should (?:you|we|i)|as if|as though|even if|hypothetically)\b|"
    r"\b(?:i|we|he|she|they|[A-Z]\w+) wish(?:es|ed)?\b|\bif only\b|\bin an ideal world\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|unless|as long as|provided)\b", re.IGNORECASE)
_WOULD = re.compile(r"\b(?:would|could|might)\b|['’]d\b", re.IGNORECASE)
_RULE_WORDS = re.compile(r"\b(?:always|never|must|has to|have to|whenever)\b", re.IGNORECASE)
_PROVERB = re.compile(
    r"^as (?:\w+ ){1,4}(?:says?|said|put it|used to say|wrote)\b|\b(?:there is|there['’]s) a saying\b|\bas the saying goes\b|"
    r"^(?:it is|it['’]s|there is|there are|there['’]s|it was)\b(?! (?:my|our|me|i)\b)"
    r"(?!.*\b(?:decided|agreed|required|mandatory|forbidden)\b)",
    re.IGNORECASE,
)
_SAYING = re.compile(
    r"^as (?:\w+ ){1,4}(?:says?|said|put it|used to say|wrote)\b|\b(?:there is|there['’]s) a saying\b|\bas the saying goes\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"^(?P<label>(?:my |our )?[A-Za-z][\w'’ -]{1,40}?) ?[:=] ?(?P<value>\S.*)$", re.DOTALL)
_LABELS: dict[str, Kind] = {
    "decision": "decision", "decided": "decision", "agreed": "decision", "resolution": "decision",
    "requirement": "requirement", "constraint": "requirement", "rule": "requirement", "must": "requirement", "must have": "requirement", "policy": "requirement",
    "preference": "preference", "prefers": "preference", "likes": "preference", "dislikes": "preference", "plan": "plan", "goal": "plan", "next step": "plan",
    "deadline": "plan", "due": "plan", "due date": "plan", "correction": "correction",
}  # fmt: skip
_PROJECT = re.compile(
    r"\b(?:our|my|the|this|a)(?: new| own| next| current| small| main)?(?: \w+)? (?:project|app|application|service|product|"
    r"library|repo|repository|tool|game|website|site|platform|startup|package|codebase|engine|bot)"
    r"(?:,| is| was| called| named|:)*,? ?(?:called |named )?[“\"]?(?P<a>[A-Z][\w-]+)|"
    r"\b(?:the|our|my|project) (?P<b>[A-Z][\w-]+) (?:project|app|application|service|repo|repository|codebase|build|team|website|"
    r"platform|backend|frontend|release)\b|\b[Pp]roject (?P<c>[A-Z][\w-]+)"
)
_NEVER_NAMES = wordlist("api ui ux i the a an our my python java javascript rust go web ios android linux windows mac")


def begin(scene: Scene, texts: Iterable[str]) -> None:
    """Note what the whole of a conversation tells: which names are a project's or a person's, which words are no names."""
    texts = list(texts)
    for text in texts:
        for match in _PROJECT.finditer(text):
            name = match["a"] or match["b"] or match["c"]
            if name.lower() not in _NEVER_NAMES:
                scene.projects[name.lower()] = name
        scene.common.update(_LOWER.findall(text))
    for match in _GOES_ON.finditer("\n".join(texts)):
        if match["name"].lower() not in NOT_NAMES | OPENERS | TITLES | scene.common | scene.projects.keys():
            scene.people.add(match["name"].lower())


_GOES_ON = re.compile(
    r"(?:^|(?<=[.!?] )|(?<=\n))(?P<name>[A-Z][a-zà-ÿ]+)(?: [A-Z][a-zà-ÿ]+)?(?= [a-z])[^.!?\n]{4,160}[.!?]*\s(?=(?:He|She|His|Her)\b)"
)
"""A sentence that begins with a name, and one behind it that goes on with `she`: a person's name."""

_LOWER = re.compile(r"(?<![\w.])[a-z]{3,}(?!\w)")


def read(sentence: str, scene: Scene) -> list[Found]:
    """The facts of one sentence, in order; none for a question, a condition, a quotation or a platitude."""
    text = _BULLET.sub("", sentence).replace("**", "").strip()
    if len(text) < 4 or sum(map(str.isalpha, text)) * 2 < len(text) - text.count(" ") or _CONTROL.search(text):
        return []
    bonus = 0.0
    text = _OPINION.sub(" imo", _TRAILING.sub("", text))
    text, announced = _announced(text)
    if announced:
        bonus = 0.1 if _ASKED.search(announced) else 0.0
    _relatives(text, scene)
    favoured = _FAVOURED.match(text)
    if favoured and "?" not in text[-3:]:
        return [Found("preference", scene.speaker, "user" if scene.speaker == "user" else "person", _tidy(text), 0.85)]
    if "?" in text[-3:] or _ASKING.match(text):
        return []
    if _REACHED.match(text):
        return [Found("profile", scene.speaker, "user" if scene.speaker == "user" else "person", _tidy(text), 0.85)]
    if _PROVERB.search(text) and not text.lower().startswith(("it was decided", "it was agreed", "it is decided")):
        return (
            []
            if _SAYING.search(text) or _HEDGED.search(text) or _CONDITION.search(text)
            else stated(text, _opened(read_words(text)), scene)
        )
    hedge = _HEDGE.match(text)
    if hedge:
        bonus -= 0.35
        text = text[hedge.end() :].lstrip(" ,")
    elif _HEDGED.search(text):
        bonus -= 0.3
    if standing_if(text):
        about = "user" if scene.speaker == "user" else "person"
        return [Found("requirement", scene.speaker, about, _tidy(text), round(min(0.98, 0.7 + bonus), 2))]
    if _UNREAL.search(text) and not (
        _RULE_WORDS.search(text) and text.lower().startswith(("if", "in case")) and not _WOULD.search(text)
    ):
        return []
    if _CONDITION.search(text):
        if _WOULD.search(text):
            return []
        if not _RULE_WORDS.search(text):
            bonus -= 0.3
    found = _labelled(text, scene)
    if not found:
        words = _opened(read_words(text))
        found = _clauses(text, words, scene) or commanded(text, words, scene)
        if not found and (whole := unelided(words, scene.speaker)):
            found = _clauses(text, whole, scene)
        if not any(one.confidence >= _SURE for one in found):
            less = 0.1 if text.endswith("!") else 0.0
            form = any_verb(words[0].low) if words else None
            outlined = fragment(
                text, (form is not None and form[1] == "b") or (bool(words) and words[0].low == "be"), scene
            ) or stated(text, words, scene)
            found = [msgspec.structs.replace(one, confidence=one.confidence - less) for one in outlined] or found
        found += _named_kin(text, scene, found)
    if _UNLESS.search(text) and bonus < 0:
        bonus += 0.3 if any(one.kind == "requirement" for one in found) else 0.0
    return [
        msgspec.structs.replace(one, confidence=round(max(0.05, min(0.98, one.confidence + bonus)), 2)) for one in found
    ]


_UNLESS = re.compile(r"\b(?:unless|except when|except if)\b", re.IGNORECASE)
"""What bounds an order, and makes no condition of it."""


_SURE = 0.6
"""From which confidence on what a clause tells is not looked at a second time."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
_FAVOURED = re.compile(
    r"^(?:what|the (?:thing|one thing|best thing)(?: that)?) (?:i|we) (?:really |actually |always |do(?:n['’]t| not) )?(?:like|"
    r"love|hate|prefer|enjoy|dislike|miss|value|fear|want|dread|appreciate)\b.{3,80}?\b(?:is|are)\b",
    re.IGNORECASE,
)
_REACHED = re.compile(
    r"^(?:(?:you can |please )?(?:always |best )?(?:reach|contact|call|text|e-?mail|phone|ring|write to) (?:me|us)|"
    r"i can be (?:reached|contacted|found)) (?:(?:any time|best|directly) )?(?:at|on|under|via|by)\b(?=.*(?:\d{3}|@|\b[A-Z]))",
    re.IGNORECASE,
)
"""By which number or address somebody is reached."""
_RELATIVE = re.compile(
    rf"\b(?P<whose>my|our) (?:\w+ )?(?P<kin>{'|'.join(sorted(KNOWN))})\b(?:,? (?P<name>[A-Z][a-zà-ÿ]+)\b)?"
)
_LISTED = re.compile(
    r"\b(?:kids|children|daughters|sons|sisters|brothers|friends|colleagues|teammates|cats|dogs)(?: are(?: called| named)?|,|"
    r" called| named|:)+ (?P<names>[A-Z]\w+(?:(?:, | and |, and | & )[A-Z]\w+)+)"
)
_APPOSED = re.compile(
    rf"\b(?P<name>[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)?), (?:who is )?(?P<whose>my|our) (?:\w+ ){{0,2}}(?P<kin>{'|'.join(sorted(KNOWN))})\b"
)


def _relatives(text: str, scene: Scene) -> None:
    """Note who is spoken of as somebody's relative or friend, in whatever kind of sentence."""
    for match in _RELATIVE.finditer(text):
        pronoun = "he" if match["kin"] in HE else "she" if match["kin"] in SHE else ""
        if match["name"] and match["name"].lower() not in NOT_NAMES:
            scene.meet(match["name"], pronoun)
        else:
            scene.mention(match["kin"], scene.speaker, pronoun)
    for match in _LISTED.finditer(text):
        for name in re.findall(r"[A-Z]\w+", match["names"]):
            scene.meet(name)
    for match in _APPOSED.finditer(text):
        if not _a_name(match, text):
            continue
        scene.meet(match["name"], "he" if match["kin"] in HE else "she" if match["kin"] in SHE else "")


def _a_name(match: "re.Match[str]", text: str) -> bool:
    """Whether what stands before `, my manager` is a name, and not `Thankfully`."""
    low = match["name"].lower()
    behind = text[match.end() : match.end() + 1]
    return (
        low not in OPENERS
        and low not in NOT_NAMES
        and not low.endswith("ly")
        and (match.start() > 0 or (behind in (",", ".", " ") and behind == ","))
    )


def _announced(text: str) -> tuple[str, str]:
    """The statement without what announces it, and that."""
    said = ""
    for _ in range(3):
        match = _NOTED.match(text)
        if match is None:
            break
        said += match[0]
        text = text[match.end() :].lstrip()
    return text, said


def _opened(words: list[Word]) -> list[Word]:
    """The words without what a sentence may begin with and say nothing by it."""
    at = 0
    while at < len(words) - 1 and at < 8:
        low = words[at].low
        comma = words[at + 1].low in (",", "!", ".", "–", "—", "-", ":")
        if (low in OPENERS and (comma or low in _OPENING)) or low in (",", "!", "–", "—", "-", ":", "…", "."):
            at += 1
        elif comma and low in ("folks", "all", "team", "everyone", "guys", "guess"):
            at += 2
        else:
            break
    return words[at:]


_OPENING = wordlist(
    "well so ok okay oh ah hm hmm yes yeah yep and but also then plus anyway actually btw honestly personally hopefully exactly"
)
"""Openers that need no comma behind them."""


def _labelled(text: str, scene: Scene) -> list[Found]:
    """`Blood type: 0 negative`, `Decision: we stay on Postgres`."""
    match = _LABEL.match(text)
    if match is None:
        return []
    label = match["label"].lower().replace("’", "'")
    value = match["value"]
    kind = _LABELS.get(label)
    if kind is not None:
        about = scene.project if kind in ("decision", "requirement", "plan") else scene.speaker
        return [
            Found(
                kind, about, "project" if about == scene.project else "user" if about == "user" else "person", text, 0.8
            )
        ]
    parts = label.removeprefix("my ").removeprefix("our ").replace("'s", "").split()
    if len(parts) > 4 or len(value) > 200 or value.startswith("//"):
        return []
    if parts[-1] in ATTRIBUTES or parts[-1] in KNOWN or parts[0] in ("favourite", "favorite", "preferred"):
        kind = (
            "preference"
            if parts[0] in ("favourite", "favorite", "preferred")
            else "relationship"
            if parts[-1] in KNOWN
            else "profile"
        )
        return [Found(kind, scene.speaker, "user" if scene.speaker == "user" else "person", text, 0.7)]
    return []


def _clauses(text: str, words: list[Word], scene: Scene) -> list[Found]:
    found: list[Found] = []
    read_clauses = clauses(words)
    for number, clause in enumerate(read_clauses):
        if _subordinate(words, clause):
            continue
        result = told(clause, scene, text)
        if result is None:
            subject_of(clause.subject, clause, scene)  # whoever is spoken of may be meant by the next `she`
            continue
        if found and found[-1].kind == result.kind == "correction":
            continue
        if text.endswith("!") and result.confidence < 0.8:
            less = 0.25 if result.kind == "requirement" and clause.subject.kind == "we" else 0.1
            result = msgspec.structs.replace(result, confidence=result.confidence - less)
        alone = len(read_clauses) == 1
        found.append(
            _as_found(result, text if alone or (number == 0 and len(read_clauses) == 1) else _said(text, clause, words))
        )
    return found


def _named_kin(text: str, scene: Scene, found: list[Found]) -> list[Found]:
    """`My husband Karel is a pilot` tells of Karel, and that he is the speaker's husband."""
    match = _APPOSED.search(text)
    if match is None or not _a_name(match, text):
        match = _OWN_KIN.search(text)
    if match is None or match["name"].lower() in NOT_NAMES or any(one.kind == "relationship" for one in found):
        return []
    return [
        Found(
            "relationship", scene.speaker, "user" if scene.speaker == "user" else "person", _tidy(text), 0.8,
            f"has_{match['kin'].replace('-', '_')}", match["name"],
        )
    ]  # fmt: skip


_OWN_KIN = re.compile(
    rf"\b(?P<whose>[Mm]y|[Oo]ur) (?:\w+ ){{0,2}}?(?P<kin>{'|'.join(sorted(KNOWN | PETS))}),? (?P<name>[A-Z][a-zà-ÿ]+)\b"
)


def _as_found(result: Told, text: str) -> Found:
    return Found(result.kind, result.subject, result.subject_type, _tidy(text), result.confidence)


def _said(text: str, clause: Clause, words: list[Word]) -> str:
    return text[clause.start : clause.end]


def _tidy(text: str) -> str:
    return " ".join(text.split()).strip(" ,;:-–—")


def _subordinate(words: list[Word], clause: Clause) -> bool:
    """Whether a clause tells under which condition another holds."""
    before = [word.low for word in words if word.start < clause.start]
    last = before[-1] if before else ""
    lead = clause.lead[0].low if clause.lead else ""
    return last in _CONDITIONS or lead in ("if", "unless", "whether") or (lead in _CONDITIONS and len(clause.lead) == 1)


_CONDITIONS = wordlist("if unless whether than since when before after while until once as how why what where")
