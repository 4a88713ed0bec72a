"""Text as the words index takes it, and what a query asks for. Pure.

The index cuts text at whatever is neither letter nor digit, lowers it, drops accents and stems English. Two things it cannot
do are done here, to text and query alike: scripts written without spaces become overlapping pairs of characters, and names
as programs write them (`parseHttpRequest`, `v2`) are followed by their parts.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "MAX_TERMS",
    "STOP_WORDS",
    "all_plain",
    "expressions",
    "indexable",
    "match_all",
    "match_any",
    "sole_word",
    "terms",
]

_CJK = re.compile(
    "[\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Chinese, Japanese and Korean."""

_PARTICLES = frozenset("のはがをにでともへ" + "的了吗嗎呢吧啊么麼们們")
"""Characters that join words: a pair that holds one is no word, unless the query has nothing else."""

_TERM = re.compile(r"\d+(?:,\d+)+|[^\s\0\"'’“”„«»,;:!?()\[\]{}<>|=+*^~`、。，；：！？「」『』（）・]+")

_SEAM = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])", re.ASCII
)
"""Where the parts of a name meet: `parse|Http|Request`, `HTTP|Server`, `v|2`."""

_SHAPE = bytes(
    ord("0") if 48 <= byte < 58 else ord("A") if 65 <= byte < 91 else ord("a") if 97 <= byte < 123 else ord(" ")
    for byte in range(256)
)

_ACCENTS = re.compile("[\u0300-\u036f]+")

_VERSION = re.compile(r"[vV](?=[0-9])")

_RUN = re.compile(r"\S+")

STOP_WORDS = frozenset(
    """
    a about above after again against all am an and any are aren't as at be because been before being below
    between both but by can can't could couldn't did didn't do does doesn't doing don't down during each few
    for from further had hadn't has hasn't have haven't having he her here hers herself him himself his how i
    i'm if in into is isn't it it's its itself just let's me more most my myself no nor not now of off on once
    only or other our ours out over own same she should so some such than that that's the their theirs them
    then there there's these they this those through to too under until up very was wasn't we were weren't what
    what's when where which while who whom why will with won't would wouldn't you your yours yourself t s m d
    ll re ve
    """.split()  # noqa: SIM905 - a list of words reads better as words
)
"""English words, and what an apostrophe leaves of some, that say nothing of what is sought. Words of other languages that
are as common are told by how common they are (`plan.py`)."""

MAX_TERMS = 64


def indexable(text: str) -> str:
    """`text` as the index takes it."""
    if not text.isascii():
        text = _CJK.sub(_paired, _folded(text))
    return _RUN.sub(_with_parts, text) if _seamed(text) else text


def all_plain(texts: Iterable[str]) -> bool:
    """Whether `indexable` leaves all of several texts as they are: asked of all at once, it costs little more than of one."""
    together = "\n".join(texts)
    return together.isascii() and not _seamed(together)


def _seamed(text: str) -> bool:
    """Whether `_SEAM` is in `text`, several times as fast as by looking for it: most text has none."""
    # Kinds of characters in place of the characters: lower, upper, digit.
    shape = text.encode("utf-8", "replace").translate(_SHAPE)
    return b"aA" in shape or b"0A" in shape or b"AAa" in shape or b"a0" in shape or b"A0" in shape or b"0a" in shape


def terms(query: str) -> list[str]:
    """What a query asks for: its words without stop words (all of them, if it has no others), once each."""
    found = [term.strip(".-_/\\&%$#@") for term in _TERM.findall(query)]
    found = [term for term in dict.fromkeys(found) if any(char.isalnum() for char in term)]
    return ([term for term in found if term.lower() not in STOP_WORDS] or found)[:MAX_TERMS]


def expressions(query: str) -> list[str]:
    """The same as expressions of the index, each of which finds by itself. Nothing that is typed becomes an operator."""
    found: dict[str, None] = {}
    for term in terms(query):
        for one in _expressions(term):
            found[one] = None
    return list(found)[:MAX_TERMS]


def match_any(query: str) -> str:
    """A query of the words index for passages with any of the words of `query`; empty where it has none."""
    return " OR ".join(expressions(query))


def match_all(query: str) -> str:
    """The same for passages with all of them."""
    return " AND ".join(expressions(query))


def sole_word(expression: str, cut: Callable[[str], Sequence[str]]) -> str:
    """The word that a quoted expression comes to when the index cuts it, if it is one; "" otherwise.

    A quotation mark within is doubled, and no letter: it cuts a word as one does.
    """
    if not (expression.startswith('"') and expression.endswith('"')):
        return ""
    found = cut(expression)
    return found[0] if len(found) == 1 else ""


def _folded(text: str) -> str:
    """`text` with characters that differ in form alone made one: full width and half, ligatures, ß and ss, and without accents.

    FTS5 drops accents of Latin letters alone. Marks of other scripts are vowels and stay.
    """
    apart = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", apart).replace("ß", "ss").replace("ẞ", "SS")


def _paired(run: "re.Match[str]") -> str:
    """A run's overlapping pairs, and its last character, so that every character begins one."""
    word = run.group()
    return " " + " ".join([*_pairs(word), word[-1]] if len(word) > 1 else [word]) + " "


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def _with_parts(run: "re.Match[str]") -> str:
    word = run.group()
    parts = _SEAM.sub(" ", word)
    return word if parts == word else f"{word} {parts}"


def _expressions(term: str) -> list[str]:
    if term.isascii():
        return [_either(term)]
    term = _folded(term)
    found: list[str] = []
    for run in _CJK.findall(term):
        if len(run) == 1:
            found.append(f"{_quoted(run)}*")
            continue
        pairs = _pairs(run)
        found += [_quoted(pair) for pair in pairs if not _PARTICLES.intersection(pair)] or map(_quoted, pairs)
    return found + [_either(rest) for rest in _CJK.sub(" ", term).split() if any(char.isalnum() for char in rest)]


def _either(term: str) -> str:
    """A term as it stands, or its parts one after another; a version with its `v` or without."""
    ways = dict.fromkeys(
        [term, _SEAM.sub(" ", term), _VERSION.sub("", term, count=1) if _VERSION.match(term) else term]
    )
    return _quoted(term) if len(ways) == 1 else f"({' OR '.join(map(_quoted, ways))})"


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'
