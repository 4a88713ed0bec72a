"""Text cut into sentences, by punctuation and line breaks. Pure, linear in the text's length, and never longer than asked for."""

import re
from collections.abc import Iterator

import msgspec

__all__ = ["Sentence", "sentences"]

LONGEST = 1000
"""Characters after which a sentence is cut between two words, whatever it says: a megabyte without a full stop is text, too."""


class Sentence(msgspec.Struct, frozen=True):
    """A sentence, and where it stands in its text."""

    text: str
    start: int
    end: int


_ENDS = re.compile(r"(?P<stop>[.!?…]+)[\"'”’»)\]*_]*(?=\s|$)|(?P<wide>[。！？]+[」』”]*)|(?P<line>[ \t\r]*\n\s*)")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SHORT = _set(
    """
    mr mrs ms dr prof st sr jr vs etc e.g i.e eg ie cf no nos vol fig sec inc ltd co corp dept est approx ca
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun a.m p.m u.s u.k e.u
    z.b d.h bzw ca usw nr abs str
    """
)
"""Words whose full stop ends no sentence, unless a capital letter and nothing else speaks for it."""
_TITLES = _set("mr mrs ms dr prof st vs e.g i.e eg ie cf no nos fig sec vol z.b d.h nr")
"""Those of them behind which a sentence never ends."""
_WORD_BEFORE = re.compile(r"[^\s(\[\"“]+$")
_ITEM = re.compile(r"\s*(?:[-*•–>#|]|\d{1,3}[.)]|[A-Za-z][.)])\s|\s*[\w .-]{1,40}:\s")
_WRAPPED = 55
"""Characters from which on a line that breaks within a sentence is taken for one that was wrapped."""


def sentences(text: str, longest: int = LONGEST) -> list[Sentence]:
    """The sentences of `text` in order, blank ones left out.

    A full stop ends one unless it belongs to a short form, an initial or a number; a line break does, unless the line was
    wrapped within a sentence.
    """
    found: list[Sentence] = []
    for start, end in _spans(text):
        found += _pieces(text, start, end, longest)
    return found


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = line = 0
    for match in _ENDS.finditer(text):
        if match["stop"] is not None:
            if match["stop"] == "." and not _ends(text, start, match):
                continue
        elif match["line"] is not None:
            begun = max(start, line)
            wrapped = match["line"].count("\n") == 1 and _goes_on(text, begun, match.start(), match.end())
            line = match.end()
            if wrapped:
                continue
        yield start, match.end()
        start = match.end()
    yield start, len(text)


def _ends(text: str, start: int, match: "re.Match[str]") -> bool:
    """Whether a single full stop is the end."""
    before = _WORD_BEFORE.search(text, max(start, match.start() - 40), match.start())
    word = before[0].lower() if before else ""
    after = text[match.end() : match.end() + 3].strip()[:1]
    if word in _TITLES or (len(word) == 1 and word.isalpha() and word != "i" and before and before[0].isupper()):
        return False
    if word.isdigit() and len(word) <= 2 and text[start : match.start()].strip() == word:
        return False  # `1. first`
    if word in _SHORT:
        return after.isupper() or not after
    return not after.islower()


def _goes_on(text: str, begun: int, end: int, after: int) -> bool:
    """Whether the line that ends there goes on in the next one."""
    return (
        end - begun >= _WRAPPED
        and text[end - 1 : end] not in ".!?…:;"
        and after < len(text)
        and (text[after].islower() or text[end - 1 : end] == ",")
        and _ITEM.match(text, after) is None
    )


def _pieces(text: str, start: int, end: int, longest: int) -> Iterator[Sentence]:
    while start < end:
        while start < end and text[start].isspace():
            start += 1
        stop = end
        if end - start > longest:
            stop = text.rfind(" ", start + longest // 2, start + longest)
            if stop < 0:
                stop = start + longest
        last = stop
        while last > start and text[last - 1].isspace():
            last -= 1
        if last > start:
            yield Sentence(text[start:last], start, last)
        start = stop
