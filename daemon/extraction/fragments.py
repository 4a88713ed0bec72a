"""English that states without a verb, or with its verb in front: `at least 32 GB`, `less jargon, please`, `never again without a test`."""

import re

from enhanced_memory.daemon.extraction.english_words import verb_of
from enhanced_memory.daemon.extraction.signs import CLOCK, IDLE_NO, WHEN
from enhanced_memory.daemon.extraction.values import USER, Found, Kind, Scene
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["fragment", "standing_if"]

_BOUND = re.compile(
    r"^(?:(?:it|that|everything) )?(?:at least|at most|at the (?:very )?(?:most|least|latest)|no (?:more|less|fewer|later|"
    r"longer|earlier) than|not (?:more|less|later|longer) than|"
    r"nothing [a-z]+(?:,|$)|nothing (?:over|under|above|below|before|after|beyond|longer|shorter|bigger|smaller|heavier|with|without|that|too)|"
    r"(?:a )?(?:max(?:imum)?|min(?:imum)?)(?: of)?|up to|only|strictly|nobody|no one|not (?:before|after|on|in|without)|never (?:before|after|on|in|without)|"
    r"absolutely no|definitely no)[ ,]*[\w€$£]",
    re.IGNORECASE,
)
"""A limit, as the whole of a sentence."""
_PLEASE = re.compile(
    r"^(?P<first>[\w-]+)(?: [\w'-]+){0,4} (?:in|on|by|with|without|at|as|under|before|after|via|per|to) .{2,60},? (?:please|thanks)$",
    re.IGNORECASE,
)
"""`Measurements in millimetres, please`."""
_MOST = re.compile(
    r"^(?:an? |one |two |three |four |five |six |seven |eight |nine |ten |twelve |twenty |\d)[\w ]{0,30} (?:at (?:most|least|"
    r"the (?:most|least|latest))|max(?:imum)?|min(?:imum)?|tops|or (?:less|more|fewer|so))\b",
    re.IGNORECASE,
)
_FINAL = re.compile(
    r",? (?:(?:and )?(?:that|this)['’]?s? (?:is )?(?:non-negotiable|final|a must|not negotiable|the rule|essential|crucial|"
    r"law|a hard rule|not up for (?:debate|discussion))|no exceptions?|no ifs or buts|"
    r"no matter what|full stop|period)$",
    re.IGNORECASE,
)
"""What makes a rule of what stands before it."""
_OVER = re.compile(
    r"^[\w' -]{2,50} (?:over|rather than|instead of|before|not) [\w' -]{2,50}(?: any (?:day|time))?$", re.IGNORECASE
)
_SEAT = re.compile(
    r"^[\w' -]{3,40} (?:if (?:there is one|there are any|possible|available|you have (?:one|any|it))|"
    r"where possible)(?:, [\w' -]{3,40} otherwise)?$|^[\w' -]{3,40}, [\w' -]{2,40} otherwise$",
    re.IGNORECASE,
)
_TO_BE = re.compile(r"^[A-Z][\w-]*(?: [\w-]+){0,4} (?:not )?to be \w+(?:ed|en|t|n|d)\b")
_DUE = re.compile(
    r"^(?:the )?(?:next|first|last|final|second|third) [\w-]+(?: [\w-]+)? (?:on|at|in|by) ", re.IGNORECASE
)
_YEARS = re.compile(r"^(?:[\w-]+ ){1,3}(?:years|decades) (?:behind|as|in|at|with|on|of)\b", re.IGNORECASE)
_CALL = re.compile(
    r"^(?:you can |just |please |feel free to |everybody |everyone |people |friends |they )+calls? me (?!back|later|if|when|at|on|any|tomorrow)\w",
    re.IGNORECASE,
)
_IF_SO = re.compile(
    r"^if (?:in doubt|unsure|nothing|something|anything|nobody|somebody|an? |any |there (?:is|are) |you (?:are (?:unsure|"
    r"not sure)|don['’]t know|change|add|find|write|are in doubt)|i (?:ask|write|send|say|don['’]t)|it (?:takes|is more|"
    r"is longer|costs))[^,]{0,70}, "
    r"(?:please |then |always |just )?(?P<verb>[a-z]+)",
    re.IGNORECASE,
)
_NO_MORE = re.compile(r"^no [\w ]{2,30}, (?:it|they|we|i|he|she|this|please|because|as|not)\b", re.IGNORECASE)
_AND_NEVER = re.compile(
    r"^[a-z]+ .{2,60}(?:,|;| and| but) (?:please )?(?:don['’]t|do not|never|always|only) (?!worry|forget|hesitate|mind|give up)[a-z]+",
    re.IGNORECASE,
)
"""An order that goes on with one for good: `be honest, don't flatter me`."""
_INVERTED = re.compile(
    r"^(?:under no circumstances?|on no account|in no (?:case|event)|at no (?:time|point)|never|not once|no way|by no means) "
    r"(?:should|must|may|can|shall|will|do|does|is|are)\b",
    re.IGNORECASE,
)
_ONLY = re.compile(
    r"^[\w -]{2,40} (?:in|on|by|with|as|via|through) [\w -]{2,30} only\b|^[\w -]{2,40} only (?:in|on|by|with|as|via|after|before|through) \w",
    re.IGNORECASE,
)
"""`Comments in English only`."""
_MEASURE = re.compile(
    r"^(?P<how>less|fewer|more|shorter|longer|simpler|plainer|no|without|not so(?: much| many)?|not too(?: much| many)?) (?P<what>[\w-]+)(?P<rest>.*)$",
    re.IGNORECASE,
)
_WITHOUT = re.compile(r"\bfor (?:me|us)\b|\bplease\b|\bthank(?:s| you)\b|\bi like\b|\bi prefer\b", re.IGNORECASE)
_RATHER = re.compile(
    r"^(?:give me|i['’]ll take|make mine|make it|always|better|rather|sooner) .{2,60}? (?:over|instead of|rather than|than) .{2,60}$",
    re.IGNORECASE,
)
_IDEALLY = re.compile(r"^(?:ideally|preferably|for preference|if possible|by preference)\b", re.IGNORECASE)
_DATED = re.compile(
    r"^(?:(?:the )?(?:next|first|last|final|new) )?(?P<what>[\w-]+(?: [\w-]+){0,2}) ?[:–—-] ",
    re.IGNORECASE,
)
_COMING = re.compile(
    r"\b(?:next|deadline|due|meeting|call|appointment|flight|exam|launch|release|review|follow-up|interview|departure|arrival|"
    r"kick-?off|opening|start|wedding|party|visit)\b",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"^(?:new (?:here|to (?:this|the) \w+)[,;]? )?(?:originally )?(?:from|based in|living in|born in|raised in|out of) (?P<where>[A-Z][\w-]+)"
)
_NEW_HERE = re.compile(r"^new (?:here|to (?:this|the) \w+), (?:from|a|an|just|based|living)\b", re.IGNORECASE)
_RESOLVED = re.compile(
    r"^(?:proposal|motion|request|change|offer|application|budget|plan|option \w+|\w+ (?:request|proposal)) (?:accepted|"
    r"approved|rejected|carried|passed|declined|adopted|withdrawn|"
    r"agreed|granted|denied|dropped)\b|^(?:carried|agreed|approved|rejected|resolved|decided|settled)(?: (?:unanimously|without a vote))?[:,] \w",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"^(?:please )?(?P<verb>[a-z]+) .*\b(?:whenever|every time|each time|any time|when(?:ever)? (?:i|you|we|there)|"
    r"as soon as (?:i|you|we)|if (?:i|you) ever|before (?:you|every|each)|after (?:you|every|each))\b",
    re.IGNORECASE,
)
_AHEAD = re.compile(
    r"^when(?:ever)? (?:i|you|we|there|somebody|someone|the|a) [^,]{3,70}, (?:please )?(?P<verb>[a-z]+) (?P<next>\w+)",
    re.IGNORECASE,
)
_CHANGED = re.compile(
    r"^(?:actually,? |wait,? |no,? |ok,? |on second thoughts?,? |hm+,? |sorry,? )*(?:scrap|scratch|forget|ditch|drop|skip|"
    r"cancel|strike|bin) (?:the |my |our |all )?[\w -]{2,40}?"
    r"(?:,|;| –| -|\.| and\b) (?:we|i|let|use|make|it|go|take|do|instead)\b",
    re.IGNORECASE,
)


def fragment(text: str, imperative: bool, scene: Scene) -> list[Found]:
    """The fact of a sentence that is none, or that turns its order round. `imperative`: whether it begins with a verb's base."""
    plain = text.strip().rstrip(".! ")
    found = _of(plain, imperative)
    if found is None:
        return []
    kind, confidence = found
    if kind in ("decision", "requirement") and not imperative:
        return [Found(kind, scene.project, "project", " ".join(text.split()), confidence)]
    return [
        Found(kind, scene.speaker, "user" if scene.speaker == USER else "person", " ".join(text.split()), confidence)
    ]


def _of(plain: str, imperative: bool) -> tuple[Kind, float] | None:
    words = plain.split()
    if len(words) < 3 or len(words) > 40:
        return None
    if _CHANGED.match(plain):
        return "correction", 0.72
    if _FINAL.search(plain):
        return "requirement", 0.74
    if _CALL.match(plain):
        return "profile", 0.76
    if _INVERTED.match(plain):
        return "requirement", 0.82
    if _RESOLVED.match(plain):
        return "decision", 0.74
    if _NO_MORE.match(plain) and words[1].lower() not in _IDLE:
        return "requirement", 0.68
    if imperative and _AND_NEVER.match(plain):
        return "requirement", 0.7
    if imperative:
        asked = _ASKED.match(plain)
        if asked and asked["verb"].lower() not in _ONCE:
            return "requirement", 0.72
        return ("preference", 0.7) if _RATHER.match(plain) else None
    ahead = _AHEAD.match(plain)
    if ahead:
        return (
            ("requirement", 0.72)
            if ahead["verb"].lower() not in _SUBJECTS and _commands(ahead["verb"], ahead["next"])
            else None
        )
    if _PLEASE.match(plain) and not _VERB.search(plain):
        return "requirement", 0.68
    if _MOST.match(plain) and not _VERB.search(plain):
        return "requirement", 0.7
    if _TO_BE.match(plain):
        return "requirement", 0.7
    if (
        _OVER.match(plain)
        and not _VERB.search(plain)
        and (" over " in plain or " rather than " in plain or " instead of " in plain)
    ):
        return "preference", 0.68
    if _SEAT.match(plain):
        return "preference", 0.66
    if _DUE.match(plain) and not _VERB.search(plain) and WHEN.search(plain):
        return "plan", 0.7
    if _YEARS.match(plain) and not _VERB.search(plain):
        return "profile", 0.66
    if _FROM.match(plain) or _NEW_HERE.match(plain):
        return "profile", 0.7
    if _RATHER.match(plain):
        return "preference", 0.7
    if _IDEALLY.match(plain):
        return "preference", 0.66
    if _BOUND.match(plain) and not _VERB.search(" ".join(words[:6])):
        return "requirement", 0.7
    if _ONLY.match(plain) and not _VERB.search(plain):
        return "requirement", 0.68
    measure = _MEASURE.match(plain)
    if measure and measure["what"].lower() not in _IDLE and _WITHOUT.search(measure["rest"]):
        return "preference", 0.7
    dated = _DATED.match(plain)
    if dated and _COMING.search(dated[0]) and (WHEN.search(plain) or CLOCK.search(plain)):
        return "plan", 0.72
    return None


def standing_if(text: str) -> bool:
    """Whether an `if` at the beginning says when an order holds: `if in doubt, ask`."""
    found = _IF_SO.match(text)
    return found is not None and _commands(found["verb"], "") and found["verb"].lower() not in _ONCE


def _commands(verb: str, following: str) -> bool:
    """Whether what follows a leading `when …,` is an order: a verb's base, or `only`, `always`, `don't` before it."""
    low = verb.lower()
    if low in ("only", "always", "never", "just", "do", "don"):
        return True
    found = verb_of(low)
    return found is not None and found[1] == "b"


_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|will|would|can|could|do|does|did|likes?|wants?|knows?|i|we|you|he|she|they|it)\b",
    re.IGNORECASE,
)
_SUBJECTS = frozenset(["i", "we", "you", "he", "she", "it", "they", "the", "a", "an", "my", "our", "this", "that"])
_ONCE = frozenset(["let", "see", "wait", "come", "go", "look", "call", "tell"])
_IDLE = IDLE_NO | wordlist("problems than or and like about to of")
