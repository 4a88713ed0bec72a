"""German: the commonest ways to say what one prefers, needs, decided, plans, does and is. Fewer than in English."""

import re
from collections.abc import Iterable

from enhanced_memory.daemon.extraction.values import USER, Found, Kind, Scene
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["MARKERS", "begin", "read"]

MARKERS = wordlist("der die das und ist ich nicht ein eine zu mit wir auf für dem den von es sich auch aber habe bin")

_QUESTION = re.compile(
    r"\?[\"”“»)\s]*$|^(?:was|wie|wo|wer|wann|warum|wieso|weshalb|welche[rsnm]?|kannst|könntest|können|könnten|soll|sollen|sollte|ist|sind|hast|haben|magst|mag|willst|gibt|darf) (?:ich|du|er|sie|es|wir|ihr|man|das|der|die|dir|mir)\b",
    re.IGNORECASE,
)
_UNREAL = re.compile(
    r"\b(?:wäre|wären|hätte|hätten|würde|würden|könnte|könnten|falls)\b|^(?:wenn|angenommen|stell dir vor|vielleicht)\b",
    re.IGNORECASE,
)
_WOULD_RATHER = re.compile(
    r"\b(?:hätte|würde) (?:ich )?(?:lieber|bevorzugen)|ich (?:würde|hätte) .{0,40}\b(?:lieber|bevorzugen)\b",
    re.IGNORECASE,
)
_GENERIC = re.compile(r"^(?:man|jeder|alle|viele|die meisten|leute|es gibt|niemand)\b", re.IGNORECASE)
_HEDGE = re.compile(
    r"\b(?:vielleicht|wahrscheinlich|vermutlich|angeblich|ich glaube|ich denke|eventuell)\b", re.IGNORECASE
)
_POINTING = re.compile(
    r"\b(?:mag|liebe|hasse) (?:ich )?(?:es|das|die idee|den vorschlag|deine?n?|ihre?n?)\b(?! \w+ (?:zu|,))",
    re.IGNORECASE,
)
_OPENER = re.compile(
    r"^(?:(?:also|ja|nein|gut|ok|okay|übrigens|ach|hm|naja|und|aber|außerdem|bitte merk dir|merk dir|denk daran)[,:!]? (?:dass )?)+",
    re.IGNORECASE,
)

_WHEN = r"(?:heute|morgen|übermorgen|nächste[nrs]?|kommende[nrs]?|am (?:\w+tag|wochenende|\d{1,2}\.)|im (?:januar|februar|märz|april|mai|juni|juli|august|september|oktober|november|dezember|frühling|frühjahr|sommer|herbst|winter)|in (?:\w+ )?(?:tagen|wochen|monaten|jahren)|bis (?:\w+tag|ende|zum)|ab \w+|\d{1,2}\. ?(?:\d{1,2}\.|januar|februar|märz|april|mai|juni|juli|august|september|oktober|november|dezember))"
_OFTEN = r"(?:immer|meistens|meist|oft|normalerweise|gewöhnlich|nie|niemals|selten|jede[nrs]? \w+|täglich|wöchentlich|(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|morgen|abend)s|(?:ein|zwei|drei|vier|\d)mal (?:pro|in der|am|im))"
_KIN = r"(?:frau|mann|mutter|vater|schwester|bruder|tochter|sohn|freundin|freund|kollegin|kollege|chefin|chef|oma|opa|tante|onkel|cousine|cousin|nachbarin|nachbar|partnerin|partner)"

_RULES: tuple[tuple[Kind, "re.Pattern[str]", float, bool], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE), confidence, project)
    for kind, pattern, confidence, project in (
        ("correction", r"\b(?:ich|wir|mein\w*|unser\w*)\b.*\b(?:nicht mehr|kein\w* mehr)\b|^(?:eigentlich|korrektur|stimmt nicht)\b.*\b(?:nicht|sondern)\b|\bich meinte\b|\bmeinung geändert\b|\bfrüher\b.*\bjetzt\b|\bsondern\b.*\bnicht\b", 0.85, False),
        ("preference", r"\b(?:ich|wir) (?:\w+ )?(?:bevorzuge|mag|liebe|hasse|verabscheue|bevorzugen|mögen|lieben|hassen)n?\b|\b(?:bevorzuge|mag|liebe|hasse) ich\b|\b(?:lieber|am liebsten)\b.*\bals\b|\bich\b.*\b(?:lieber|am liebsten|ungern|sehr gern)\b|\bmeine? lieblings\w+|\bkann (?:ich )?.*\bnicht (?:leiden|ausstehen)\b", 0.85, False),
        ("decision", r"\b(?:ich|wir) (?:haben?|hatten?) (?:uns|mich)\b.*\b(?:entschieden|geeinigt)\b|\bwir (?:haben|hatten)\b.*\b(?:beschlossen|ausgewählt|gewählt|verworfen)\b|\b(?:haben|hatten) wir\b.*\b(?:beschlossen|entschieden|gewählt|verworfen|geeinigt)\b|\bes wurde\b.*\b(?:beschlossen|entschieden)\b|\bwir bleiben bei\b", 0.86, True),
        ("requirement", r"\b(?:muss|müssen|darf|dürfen)\b(?!.*\b(?:ich muss|wir müssen) (?:los|gehen|weg)\b)|^(?:bitte )?(?:immer|nie|niemals|nur)\b|^(?:bitte )?(?:antworte|schreib|schreibe|verwende|benutze|nutze|vermeide)\b.*\b(?:auf|in|immer|nie|keine?n?|nur)\b|^ab (?:jetzt|sofort)\b|\b(?:ich brauche|wir brauchen)\b.*\b(?:mindestens|höchstens|bis|vor|ohne)\b", 0.8, True),
        ("plan", rf"\b(?:ich|wir)\b.*\b(?:werde|werden|will|wollen|plane|planen|habe vor|haben vor|möchte|möchten|beabsichtige)\b.*{_WHEN}|{_WHEN}.*\b(?:werde|will|plane|fliege|fahre|ziehe|besuche|beginne|treffe|reise|werden|wollen|planen|fliegen|fahren|ziehen|besuchen|beginnen|treffen|reisen) (?:ich|wir)\b|\b(?:ich|wir) (?:fliege|fahre|ziehe|besuche|beginne|reise|fliegen|fahren|ziehen|besuchen|beginnen|reisen)\b.*{_WHEN}|\bhabe ich vor\b|\bich (?:plane|habe vor)\b", 0.8, False),
        ("habit", rf"\b(?:ich|wir) \w+(?: \w+){{0,4}} {_OFTEN}|^{_OFTEN} \w+ (?:ich|wir)\b|\b(?:ich|wir) \w+ {_OFTEN}", 0.8, False),
        ("relationship", rf"\b(?:mein|meine|unser|unsere) {_KIN}\b.*\b(?:heißt|ist|arbeitet|wohnt|lebt)\b|\bist (?:mein|meine) {_KIN}\b|\bich bin mit \w+ (?:verheiratet|verlobt)\b", 0.85, False),
        ("profile", r"\b(?:mein name ist|ich heiße|ich bin \d+|ich wohne|ich lebe|ich arbeite|ich komme aus|ich spreche|ich studiere|ich unterrichte|ich bin (?:\w+ )?(?:geboren|verheiratet|ledig|geschieden|vegetarier\w*|veganer\w*|allergisch|rentner\w*|student\w*|lehrer\w*|arzt|ärztin|\w+(?:er|erin|ist|istin|or|orin|eur|eurin))\b|ich (?:besitze|fahre ein)|ich habe (?:ein\w*|zwei|drei|vier|\d+) (?:kind|kinder|sohn|söhne|tochter|töchter|hund|hunde|katze|katzen|schwester|schwestern|bruder|brüder|allergie|garten|haus))|\bmein\w* (?:geburtstag|adresse|e-?mail\w*|telefonnummer|nummer|muttersprache|beruf|zeitzone|firma)\b.*\bist\b|\bunser\w* (?:projekt|dienst|server|anwendung|datenbank) (?:läuft|nutzt|verwendet|ist)\b", 0.85, False),
    )
)  # fmt: skip


def begin(scene: Scene, texts: Iterable[str]) -> None:
    """Nothing has to be known of the whole."""


def read(sentence: str, scene: Scene) -> list[Found]:
    """The fact of one sentence; none for a question, a condition or a platitude."""
    text = _OPENER.sub("", sentence.strip(" -*•\t")).strip()
    if len(text) < 6 or _QUESTION.search(text) or _GENERIC.match(text):
        return []
    if _UNREAL.search(text) and not _WOULD_RATHER.search(text):
        return []
    for kind, pattern, confidence, project in _RULES:
        if pattern.search(text):
            if kind == "preference" and _POINTING.search(text):
                return []
            if _HEDGE.search(text):
                confidence -= 0.3
            subject, of = (
                (scene.project, "project")
                if project and not re.search(r"\b(?:antworte|schreib|mir|ich)\b", text, re.IGNORECASE)
                else (scene.speaker, "user" if scene.speaker == USER else "person")
            )
            return [Found(kind, subject, of, " ".join(text.split()), round(confidence, 2))]
    return []
