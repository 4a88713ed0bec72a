"""What an outline tells of likes: what something does to who speaks, what is weighed against what. English."""

import re
from collections.abc import Sequence

from enhanced_memory.daemon.extraction.english_words import (
    KNOWN,
    LIKING,
    PETS,
)
from enhanced_memory.daemon.extraction.lexicon import STIRRING
from enhanced_memory.daemon.extraction.outline import Outline, Tells
from enhanced_memory.daemon.extraction.passing import PRAISE
from enhanced_memory.daemon.extraction.signs import NOW, POINTING, WHEN
from enhanced_memory.daemon.extraction.subjects import Who
from enhanced_memory.daemon.extraction.wordlists import wordlist
from enhanced_memory.daemon.extraction.words import Word

__all__ = ["felt", "likes", "wanted", "weighed"]


_MAKES = re.compile(
    r"^me (?!to\b|with\b|on\b|back\b|in\b|at\b|out\b|up\b|a (?:call|ring|hand|lift|mail|message|minute|moment)\b)\w+|^(?:on|"
    r"under|up) my \w+|^my (?:day|skin|blood|teeth|stomach|heart|hair|nose)\b"
)
_FOR_ME = re.compile(
    r"^(?:(?:really|just|exactly|quite|definitely|totally|simply|always|more|still) )*(?:my (?:\w+ )?(?:thing|cup of tea|"
    r"style|taste|scene|jam|forte|strong suit|idea of|weakness|happy place|comfort)|"
    r"(?:not )?for (?:me|us)$|fine (?:by|with|for) (?:me|us)|(?:a )?(?:bit )?(?:too |way too |so |much |far |"
    r"more )?[\w-]+(?: \w+)? (?:for|to|with) (?:me|us)\b|the (?:best|worst)\b.*\b(?:for|to) (?:me|us)\b)"
)
_EFFECTS = wordlist("make leave drive keep get give put turn send cheer calm wind stress freak wear bring do set")


def felt(one: Outline, who: Who | None, said: str) -> Tells | None:
    """`Shares make me nervous`, `confrontation isn't my thing`: what something does to who speaks, or is to them."""
    if (
        one.of in ("it", "they", "there", "self", "person")
        or one.tense not in ("present",)
        or one.progressive
        or one.modal
    ):
        return None
    if _only(one.subject) in KNOWN | PETS and one.of == "own":
        return None
    if one.verb == "make" and re.match(r"[\w ]{2,30} \w*er\b.*\b(?:to|for) me\b", said):
        return "preference", 0.7
    if one.verb in ("do", "mean") and re.search(
        r"\b(?:much|a lot|nothing|little|wonders|it|more) (?:for|to) me\b", said
    ):
        return "preference", 0.7
    if (
        one.verb
        in (
            "exhaust",
            "drain",
            "ground",
            "heal",
            "lift",
            "fascinate",
            "puzzle",
            "worry",
            "tempt",
            "itch",
            "wear",
            "tire",
            "put",
            "give",
            "freak",
            "creep",
            "stress",
            "wind",
            "cheer",
            "calm",
            "turn",
        )
        and re.match(r"me\b|on my\b", said)
        and not NOW.search(said)
    ):
        return "preference", 0.7
    if one.verb in _EFFECTS and _MAKES.match(said) and not NOW.search(said):
        return "preference", 0.74
    if one.verb in STIRRING and re.match(r"me\b", said):
        return "preference", 0.74
    if one.verb == "beat" and not one.denied and said and not POINTING.match(said):
        return "preference", 0.7
    if (
        one.verb == "be"
        and one.of in ("bare", "the", "own")
        and PRAISE.match(said)
        and re.search(r"\b(?:imo|imho|in my opinion|if you ask me|for me)$", said)
    ):
        return "preference", 0.66
    if one.verb in ("work", "appeal", "matter", "speak") and re.match(r"(?:\w+ )?(?:for|to) (?:me|us)\b", said):
        return "preference", 0.72
    if one.verb in ("do", "agree") and re.match(r"(?:nothing for|it for|with) (?:me|us)\b", said):
        return "preference", 0.72
    if one.verb == "be" and _FOR_ME.match(said) and one.of in ("bare", "the"):
        return "preference", 0.7
    return None


def _only(words: Sequence[Word]) -> str:
    return words[-1].low


_OVER = re.compile(r"\b(?:over|instead of|rather than|any day|before)\b")
_THAN = re.compile(
    r"\b(?:more|less|better|worse|easier|harder|happier|best|[a-z]{3,}er)\b.*\bthan\b|\bmore at (?:ease|home)\b"
)
_COMPARING = wordlist(
    "be feel work learn sleep concentrate study think do get care read write trust value function perform enjoy like"
)
_LEANING = re.compile(
    r"^(?:an?|my|no|this|real|huge|bit of a) (?:\w+ )*?(?:weakness|spot|tooth|passion|penchant|preference|dislike|aversion|"
    r"love|fondness|taste|obsession|horror|fear|hatred|"
    r"distaste|liking|soft spot|phobia|addiction|patience|time|interest|appetite|tolerance|stomach|ear|eye|thing) (?:for|to|of|about|in|against)\b"
)
_PEOPLE = re.compile(
    r"^(?:really |not |much of |exactly |quite |such |more of )*an? (?:[\w-]+ ){1,2}(?:person|people|guy|girl|man|woman|"
    r"kind of person)\b|^(?:really |exactly |quite |big |very )*[\w-]+ (?:people|persons|folk)\b|^(?:big |huge |"
    r"great )?(?:fans|lovers)\b"
)


_SHUNNED = wordlist("live work sit spend pay wait drive share commute sleep depend travel queue")
_WANTED_SO = re.compile(
    r"^(?!to\b)(?:the |my |all |it all )?[\w ]{2,40} (?:first|last|only|instead|kept|short|simple|plain|in (?:[A-Z]\w+|english|order))$"
)


def wanted(one: Outline, said: str) -> Tells | None:
    """`I don't want to live on a main road`, `I want the newest first`, `I never liked the city`: a will that tells a taste."""
    if one.of != "self" or one.modal or (POINTING.match(said) and not re.match(r"(?:that|this|those) [a-z]+$", said)):
        return None
    if (
        one.verb == "miss"
        and one.tense == "present"
        and not one.denied
        and not re.match(r"(?:you|her|him|them|it|my (?:\w+ )?(?:bus|train|flight))\b", said)
    ):
        return "preference", 0.62
    if one.verb == "want" and "only" in one.adverbs and not said.startswith("to "):
        return "preference", 0.66
    if one.verb == "want" and one.tense == "present":
        if one.denied:
            verb = said.removeprefix("to ").split(" ", 1)[0] if said.startswith("to ") else ""
            return ("preference", 0.66) if verb in _SHUNNED and not WHEN.search(said) else None
        return ("preference", 0.64) if _WANTED_SO.match(said) else None
    if one.verb == "see" and one.denied and re.match(r"myself (?:in|as|at|with|living|working|doing)\b", said):
        return "preference", 0.68
    if (
        one.verb == "get"
        and one.tense == "present"
        and re.match(
            r"(?:bored|restless|impatient|nervous|homesick|tired|cranky|grumpy) (?:on|in|by|with|of|at|without|if|when)\b",
            said,
        )
    ):
        return "preference", 0.66
    if one.verb in ("trust", "believe") and one.denied and one.tense == "present" and len(said.split()) > 1:
        return "preference", 0.64
    if one.verb in LIKING and one.tense == "past" and ("never" in one.adverbs or "always" in one.adverbs) and said:
        return "preference", 0.68
    return None


def weighed(one: Outline, said: str) -> Tells | None:
    """`I'd take the train over the plane any day`, `I work better alone than in a team`."""
    if one.of not in ("self", "person", "own"):
        return None
    if one.modal in ("would", "will") and one.verb in (
        "take",
        "choose",
        "pick",
        "have",
        "go",
        "keep",
        "eat",
        "drink",
        "live",
        "use",
        "sit",
        "stay",
        "do",
        "see",
        "spend",
        "wear",
        "walk",
        "read",
        "watch",
    ):
        return ("preference", 0.76) if _OVER.search(said) and not POINTING.match(said) else None
    if one.modal:
        return None
    if (
        one.tense == "present"
        and one.verb in _COMPARING
        and _THAN.search(said)
        and not re.search(r"\bthan (?:i|we|expected|before|usual|ever|yesterday|last|that|it)\b", said)
    ):
        return "preference", 0.7
    if one.tense == "present" and one.verb == "have" and _LEANING.match(said):
        return "preference", 0.74
    if one.tense == "present" and one.verb == "be" and _PEOPLE.match(said):
        return "preference", 0.68
    if (
        one.tense == "present"
        and one.verb == "be"
        and re.match(
            r"(?:at (?:my|his|her|our) (?:best|happiest|most \w+)|happiest|happier|most comfortable|at ease|at home|comfortable|picky|"
            r"fussy|big on|hopeless without|lost without|all for|against|in favour of) ?",
            said,
        )
        and not POINTING.match(said.split(" ", 2)[-1])
    ):
        return "preference", 0.68
    if one.verb in LIKING and one.of == "self" and one.tense == "present" and one.denied and "of us" in one.about():
        return "preference", 0.72
    if one.verb == "go" and re.match(
        r"(?:absolutely |completely )?(?:crazy|mad|nuts|wild|bananas) (?:for|over|about)\b", said
    ):
        return "preference", 0.72
    if (
        one.verb in ("stick", "keep", "swear")
        and one.of == "self"
        and re.match(r"(?:to|by) (?!it|that|this|the plan|them)\w", said)
    ):
        return "preference", 0.66
    if one.verb in LIKING | {"care", "want"} and one.about().startswith(
        ("none of us", "all of us", "both of us", "neither of us", "each of us")
    ):
        return "preference", 0.72
    return None


def likes(one: Outline, who: Who | None, said: str) -> Tells | None:
    """What somebody else likes: who was spoken of, or stands in a family."""
    if (
        one.modal == "will"
        and one.denied
        and who is not None
        and who.person
        and one.verb in ("eat", "drink", "touch", "wear", "sleep", "fly", "watch", "use")
        and not WHEN.search(said)
        and said
        and not POINTING.match(said)
    ):
        return "preference", 0.66
    if one.tense != "present" or one.modal or one.progressive or who is None or not who.person or one.of == "self":
        return None
    if one.verb in LIKING and one.verb not in ("mind", "suit") and said and not POINTING.match(said):
        return "preference", 0.7
    return None
