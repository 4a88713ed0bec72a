"""German: the commonest ways to say what one prefers, needs, decided, plans, does and is. Fewer than in English."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from enhanced_memory.daemon.extraction.values import USER, Found, Kind, Scene
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["MARKERS", "begin", "read"]

MARKERS = wordlist("der die das und ist ich nicht ein eine zu mit wir auf für dem den von es sich auch aber habe bin")
"""The commonest words, by which the language is known."""


def _any(*patterns: str) -> "re.Pattern[str]":
    return re.compile("|".join(patterns), re.IGNORECASE)


_QUESTION = _any(
    r"\?[\"”“»)\s]*$",
    r"^(?:was|wie|wo|wer|wann|warum|wieso|weshalb|welche[rsnm]?)\b",
    r"^(?:kannst|könntest|können|könnten|soll|sollen|sollte|ist|sind|hast|haben|magst|mag|willst|gibt|darf)"
    r" (?:ich|du|er|sie|es|wir|ihr|man|das|der|die|dir|mir)\b",
)
_UNREAL = _any(
    r"\b(?:wäre|wären|hätte|hätten|würde|würden|könnte|könnten|falls)\b",
    r"^(?:wenn|angenommen|stell dir vor|vielleicht)\b",
)
_WOULD_RATHER = _any(
    r"\b(?:hätte|würde) (?:ich )?(?:lieber|bevorzugen)", r"ich (?:würde|hätte) .{0,40}\b(?:lieber|bevorzugen)\b"
)
_GENERIC = _any(r"^(?:man|jeder|alle|viele|die meisten|leute|es gibt|niemand)\b")
_HEDGE = _any(r"\b(?:vielleicht|wahrscheinlich|vermutlich|angeblich|ich glaube|ich denke|eventuell)\b")
_POINTING = _any(
    r"\b(?:mag|liebe|hasse) (?:ich )?(?:es|das|die idee|den vorschlag|deine?n?|ihre?n?)\b(?! \w+ (?:zu|,))"
)
_OPENER = _any(
    r"^(?:(?:also|ja|nein|gut|ok|okay|übrigens|ach|hm|naja|und|aber|außerdem|bitte merk dir|merk dir|denk daran)"
    r"[,:!]? (?:dass )?)+"
)
_OF_THE_SPEAKER = _any(r"\b(?:antworte|schreib|schreibe|mir|ich)\b")

_MONTH = "januar|februar|märz|april|mai|juni|juli|august|september|oktober|november|dezember"
_DAY = "montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
_WHEN = (
    r"(?:heute|morgen|übermorgen|nächste[nrs]?|kommende[nrs]?|am (?:\w+tag|wochenende|\d{1,2}\.)"
    rf"|im (?:{_MONTH}|frühling|frühjahr|sommer|herbst|winter)|in (?:\w+ )?(?:tagen|wochen|monaten|jahren)"
    rf"|bis (?:\w+tag|ende|zum)|ab \w+|\d{{1,2}}\. ?(?:\d{{1,2}}\.|{_MONTH}))"
)
_OFTEN = (
    r"(?:immer|meistens|meist|oft|normalerweise|gewöhnlich|nie|niemals|selten|jede[nrs]? \w+|täglich|wöchentlich"
    rf"|(?:{_DAY}|morgen|abend)s|(?:ein|zwei|drei|vier|\d)mal (?:pro|in der|am|im))"
)
_KIN = (
    r"(?:frau|mann|mutter|vater|schwester|bruder|tochter|sohn|freundin|freund|kollegin|kollege|chefin|chef|oma|opa|tante"
    r"|onkel|cousine|cousin|nachbarin|nachbar|partnerin|partner)"
)
_TO_COME = "werde|will|plane|fliege|fahre|ziehe|besuche|beginne|treffe|reise|werden|wollen|planen|fliegen|fahren|ziehen|besuchen|beginnen|treffen|reisen"


class _Rule(NamedTuple):
    kind: Kind
    pattern: "re.Pattern[str]"
    confidence: float
    project: bool = False
    """Whether it is about what we make rather than about the speaker."""


_RULES = (
    _Rule(
        "correction",
        _any(
            r"\b(?:ich|wir|mein\w*|unser\w*)\b.*\b(?:nicht mehr|kein\w* mehr)\b",
            r"^(?:eigentlich|korrektur|stimmt nicht)\b.*\b(?:nicht|sondern)\b",
            r"\bich meinte\b|\bmeinung geändert\b|\bfrüher\b.*\bjetzt\b|\bsondern\b.*\bnicht\b",
        ),
        0.85,
    ),
    _Rule(
        "preference",
        _any(
            r"\b(?:ich|wir) (?:\w+ )?(?:bevorzuge|mag|liebe|hasse|verabscheue|bevorzugen|mögen|lieben|hassen)n?\b",
            r"\b(?:bevorzuge|mag|liebe|hasse) ich\b|\b(?:lieber|am liebsten)\b.*\bals\b",
            r"\bich\b.*\b(?:lieber|am liebsten|ungern|sehr gern)\b|\bmeine? lieblings\w+",
            r"\bkann (?:ich )?.*\bnicht (?:leiden|ausstehen)\b",
        ),
        0.85,
    ),
    _Rule(
        "decision",
        _any(
            r"\b(?:ich|wir) (?:haben?|hatten?) (?:uns|mich)\b.*\b(?:entschieden|geeinigt)\b",
            r"\bwir (?:haben|hatten)\b.*\b(?:beschlossen|ausgewählt|gewählt|verworfen)\b",
            r"\b(?:haben|hatten) wir\b.*\b(?:beschlossen|entschieden|gewählt|verworfen|geeinigt)\b",
            r"\bes wurde\b.*\b(?:beschlossen|entschieden)\b|\bwir bleiben bei\b",
        ),
        0.86,
        True,
    ),
    _Rule(
        "requirement",
        _any(
            r"\b(?:muss|müssen|darf|dürfen)\b(?!.*\b(?:los|gehen|weg)\b)(?<!\bich muss)(?<!\bmuss ich)",
            r"^(?:bitte )?(?:immer|nie|niemals|nur)\b|^ab (?:jetzt|sofort)\b",
            r"^(?:bitte )?(?:antworte|schreib|schreibe|verwende|benutze|nutze|vermeide)\b.*\b(?:auf|in|immer|nie|keine?n?|nur)\b",
            r"\b(?:ich brauche|wir brauchen)\b.*\b(?:mindestens|höchstens|bis|vor|ohne)\b",
        ),
        0.8,
        True,
    ),
    _Rule(
        "plan",
        _any(
            rf"\b(?:ich|wir)\b.*\b(?:werde|werden|will|wollen|plane|planen|möchte|möchten|beabsichtige)\b.*{_WHEN}",
            rf"{_WHEN}.*\b(?:{_TO_COME}) (?:ich|wir)\b",
            rf"\b(?:ich|wir) (?:fliege|fahre|ziehe|besuche|beginne|reise|fliegen|fahren|ziehen|besuchen|beginnen|reisen)\b.*{_WHEN}",
            r"\bhabe ich vor\b|\bich (?:plane|habe vor)\b",
        ),
        0.8,
    ),
    _Rule(
        "habit",
        _any(rf"\b(?:ich|wir) \w+(?: \w+){{0,4}} {_OFTEN}\b", rf"^{_OFTEN} \w+ (?:ich|wir)\b"),
        0.8,
    ),
    _Rule(
        "relationship",
        _any(
            rf"\b(?:mein|meine|unser|unsere) {_KIN}\b.*\b(?:heißt|ist|arbeitet|wohnt|lebt)\b",
            rf"\bist (?:mein|meine) {_KIN}\b|\bich bin mit \w+ (?:verheiratet|verlobt)\b",
        ),
        0.85,
    ),
    _Rule(
        "profile",
        _any(
            r"\b(?:mein name ist|ich heiße|ich wohne|ich lebe|ich arbeite|ich komme aus|ich spreche|ich studiere|ich unterrichte)\b",
            r"\bich bin (?:\d+|(?:\w+ )?(?:geboren|verheiratet|ledig|geschieden|vegetarier\w*|veganer\w*|allergisch|rentner\w*))\b",
            r"\bich bin (?:\w+ )?(?:student\w*|lehrer\w*|arzt|ärztin|\w{3,}(?:erin|istin|orin|eurin|er|ist|eur))\b",
            r"\bich habe (?:ein\w*|zwei|drei|vier|\d+) (?:kind|kinder|sohn|söhne|tochter|töchter|hund|hunde|katze|katzen|schwester|"
            r"schwestern|bruder|brüder|allergie|garten|haus)\b",
            r"\bmein\w* (?:geburtstag|adresse|e-?mail\w*|telefonnummer|nummer|muttersprache|beruf|zeitzone|firma)\b.*\bist\b",
            r"\bunser\w* (?:projekt|dienst|server|anwendung|datenbank) (?:läuft|nutzt|verwendet|ist)\b",
        ),
        0.85,
    ),
)


def begin(scene: Scene, texts: Iterable[str]) -> None:
    """Nothing has to be known of the whole."""


def read(sentence: str, scene: Scene) -> list[Found]:
    """The fact of one sentence; none for a question, a condition or a platitude."""
    text = _OPENER.sub("", sentence.strip(" -*•\t")).strip()
    if len(text) < 6 or _QUESTION.search(text) or _GENERIC.match(text):
        return []
    if _UNREAL.search(text) and not _WOULD_RATHER.search(text):
        return []
    for rule in _RULES:
        if rule.pattern.search(text):
            if rule.kind == "preference" and _POINTING.search(text):
                return []
            confidence = rule.confidence - (0.3 if _HEDGE.search(text) else 0.0)
            subject, kind = scene.speaker, "user" if scene.speaker == USER else "person"
            if rule.project and not _OF_THE_SPEAKER.search(text):
                subject, kind = scene.project, "project"
            return [Found(rule.kind, subject, kind, " ".join(text.split()), round(confidence, 2))]
    return []
