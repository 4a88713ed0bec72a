"""From a conversation to its facts: who speaks, what is prose, which language, each sentence read, repeats merged. Pure.

What is said by the assistant or by a system prompt is no fact about anybody: it restates, offers, instructs. What a tool says
is kept apart: it speaks for nobody, so what it says of the user or tells to do stays under the threshold, and all of it has a
tool's trust.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from enhanced_memory.client.values import Trust
from enhanced_memory.daemon.conflicts.statements import plain
from enhanced_memory.daemon.extraction import english, german
from enhanced_memory.daemon.extraction.secrets import masked
from enhanced_memory.daemon.extraction.turns import Turn, prose
from enhanced_memory.daemon.extraction.values import USER, Found, Scene
from enhanced_memory.daemon.sentences import sentences

__all__ = ["LANGUAGES", "THRESHOLD", "Candidate", "Extraction", "Language", "extract"]

THRESHOLD = 0.6
"""The confidence from which on a fact is stored."""
UNDER = 0.5
"""What a tool's word about the user, or its orders, reach at the most."""
MOST_FACTS = 5000
"""Facts of one conversation."""
MOST_SENTENCES = 50_000
"""Sentences that are read of one conversation."""


class Language(Protocol):
    """A language that sentences can be read in: a module with these three names."""

    @property
    def MARKERS(self) -> frozenset[str]:
        """Its commonest words, in lower case."""
        ...

    def begin(self, scene: Scene, texts: Iterable[str]) -> None:
        """Note on the scene what the whole conversation tells."""
        ...

    def read(self, sentence: str, scene: Scene) -> list[Found]:
        """The facts of one sentence."""
        ...


LANGUAGES: dict[str, Language] = {"en": english, "de": german}
"""What is read, by the language's code. Another language is another module here."""


class Candidate(msgspec.Struct, frozen=True):
    """A fact, who said it, and in which sentence."""

    found: Found
    speaker: str
    source: str
    """The sentence as it was said, secrets masked."""
    trust: Trust
    line: int
    times: int = 1
    """How often it was said."""


class Extraction(msgspec.Struct, frozen=True):
    """What was found in a conversation."""

    facts: list[Candidate]
    """The surest first among those of one subject; in the order of the text otherwise."""
    masked: dict[str, int]
    """How many secrets of each sort were masked."""
    sentences: int
    """Sentences that were read."""
    language: str
    cut: bool = False
    """Whether there was more than is read, or more facts than are told."""


def extract(said: list[Turn], project: str = "project", language: str = "") -> Extraction:
    """The facts of a conversation. Time and memory are linear in its length."""
    hidden: Counter[str] = Counter()
    turns: list[tuple[Turn, str]] = []
    for turn in said:
        clean, found = masked(turn.text)
        hidden.update(found)
        if turn.role in ("user", "tool"):
            turns.append((turn, prose(clean)))
    code = language or _language([text for _, text in turns])
    reading = LANGUAGES[code]
    scene = Scene(project=project)
    scene.people.update(turn.speaker.lower() for turn, _ in turns if turn.role == "user" and _named(turn))
    reading.begin(scene, [text for turn, text in turns if turn.role == "user"])
    merged: dict[tuple[str, str], Candidate] = {}
    read = 0
    cut = False
    for turn, text in turns:
        for sentence in sentences(text):
            if read >= MOST_SENTENCES:
                cut = True
                break
            read += 1
            for one in _read(reading, sentence.text, turn, scene):
                key = (one.found.subject.casefold(), plain(one.found.text))
                known = merged.get(key)
                if known is not None:
                    merged[key] = _again(known, one)
                elif len(merged) < MOST_FACTS:
                    merged[key] = one
                else:
                    cut = True
    return Extraction(list(merged.values()), dict(hidden), read, code, cut)


def _read(reading: Language, sentence: str, turn: Turn, scene: Scene) -> Iterator[Candidate]:
    if turn.role == "tool":
        apart = Scene("tool", scene.project, set(scene.people), projects=scene.projects, common=scene.common)
        for found in reading.read(sentence, apart):
            if (
                found.subject in ("tool", USER, scene.project)
                or found.kind in ("requirement", "decision")
                or "the user" in sentence.lower()
            ):
                found = msgspec.structs.replace(found, confidence=min(found.confidence, UNDER))
            yield Candidate(found, turn.speaker or "tool", _one_line(sentence), "tool", turn.line)
        return
    scene.speaker = turn.speaker if _named(turn) else USER
    for found in reading.read(sentence, scene):
        yield Candidate(found, scene.speaker, _one_line(sentence), "agent", turn.line)


def _named(turn: Turn) -> bool:
    """Whether a turn's speaker has a name of their own."""
    return bool(turn.speaker) and turn.speaker.lower() not in ("user", "human", "me", "you", "customer")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _again(known: Candidate, one: Candidate) -> Candidate:
    """A fact that was said again: a little surer, and trusted as the more trusted of those who said it."""
    best = known if known.found.confidence >= one.found.confidence else one
    sure = min(0.98, best.found.confidence + (0.02 if one.trust != "tool" else 0.0))
    if known.trust == one.trust == "tool":
        sure = min(sure, max(known.found.confidence, one.found.confidence))
    trust: Trust = "agent" if "agent" in (known.trust, one.trust) else "tool"
    return msgspec.structs.replace(
        known, found=msgspec.structs.replace(best.found, confidence=round(sure, 2)), trust=trust, times=known.times + 1
    )


_WORD = re.compile(r"[^\W\d_]+")
_LOOKED_AT = 20_000


def _language(texts: list[str]) -> str:
    """The language whose commonest words are the most frequent; English where none is."""
    counts: Counter[str] = Counter()
    looked = 0
    for text in texts:
        counts.update(word.lower() for word in _WORD.findall(text[:2000]))
        looked += len(text[:2000])
        if looked > _LOOKED_AT:
            break
    shares = {code: sum(counts[word] for word in language.MARKERS) for code, language in LANGUAGES.items()}
    return max(shares, key=lambda code: (shares[code], code == "en"))
