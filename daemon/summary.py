"""Summaries without a language model: the sentences of a text or a conversation that say most of it, in their order. Pure.

Sentences are ranked by LexRank (Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text
Summarization", JAIR 22, 2004; here the continuous form, whose edges are the cosines of tf-idf vectors) and chosen by
maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998), so that a thing is said once. What a sentence is, beyond
its words – a question, a greeting, a line of a log – weighs its rank.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from enhanced_memory.daemon.conflicts.statements import folded, stem
from enhanced_memory.daemon.conflicts.words import AUXILIARIES, STOP
from enhanced_memory.daemon.sentences import sentences

__all__ = ["Chosen", "Gist", "Line", "summarize"]

CHARS = 800
"""Characters of a summary unless told otherwise."""
EVENTS = 5
"""Key events, plot points, and developments of one character, at most."""
MOST_SENTENCES = 20_000
"""Sentences that are ranked; of more, those of the beginning and the end, and every so-manyth between."""

_DAMPING = 0.85
_ROUNDS = 30
_ENOUGH = 1e-6
_NOVELTY = 0.6
"""How much a sentence's likeness to what was chosen takes from it."""
_SAME = 0.8
"""The cosine above which two sentences say the same."""
_SERIES = 4
"""How often a sentence comes, alike but for its figures, to be one of a series: of two or three the figure may be what changed."""
_POOL = 400
_LONG = 300
"""Characters of a sentence that are quoted."""
_FEWEST = 3
"""Content words without which a sentence says nothing by itself."""


class Line(msgspec.Struct, frozen=True):
    """A message or an observation: what is said, by whom, and a number to refer to it by."""

    text: str
    speaker: str = ""
    id: int = 0


class Chosen(msgspec.Struct, frozen=True):
    """A sentence, who said it, and the line that it is of."""

    text: str
    speaker: str
    line: int
    score: float


class Gist(msgspec.Struct, frozen=True):
    """What was chosen, each list in the order of the text."""

    text: str
    """The chosen sentences as text, with the speakers where there are any; empty where nothing says anything."""
    sentences: list[Chosen]
    key_events: list[Chosen]
    """What happened."""
    developments: dict[str, list[Chosen]]
    """By character: what they felt, thought, learnt, became."""
    plot_points: list[Chosen]
    """What decides how it goes on: decisions, plans, promises, discoveries, reversals."""
    first: int
    last: int
    """The lines covered, by their numbers."""
    lines: int


class _Told(msgspec.Struct):
    """A sentence on its way."""

    text: str
    speaker: str
    line: int
    words: list[str]
    weight: float


def summarize(lines: Sequence[Line], chars: int = CHARS, events: int = EVENTS) -> Gist:
    """What `lines` say, in at most about `chars` characters: one sentence at least, unless none says anything.

    The same lines make the same summary. Time and memory are linear in the text.
    """
    told = _bounded([one for line in lines for one in _told(line)])
    first, last = (lines[0].id, lines[-1].id) if lines else (0, 0)
    if not told:
        return Gist("", [], [], {}, [], first, last, len(lines))
    rows = _Rows([one.words for one in told])
    rank = rows.centrality()
    scores = [float(share) * one.weight for share, one in zip(rank, told, strict=True)]
    best = max(scores) or 1.0
    scores = [score / best for score in scores]
    series = _series(told)
    chosen = _chosen(told, rows, scores, series, chars)

    def quoted(places: Iterable[int]) -> list[Chosen]:
        return [
            Chosen(_cut(told[place].text), told[place].speaker, told[place].line, round(scores[place], 4))
            for place in sorted(places)
        ]

    return Gist(
        _as_text([told[place] for place in sorted(chosen)]),
        quoted(chosen),
        quoted(_foremost(_happenings(told), scores, rows, series, events)),
        {name: quoted(_foremost(found, scores, rows, series, events)) for name, found in _developments(told).items()},
        quoted(_foremost(_turns(told), scores, rows, series, events)),
        first,
        last,
        len(lines),
    )


# Sentences


_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_WIDE = re.compile(r"[぀-ヿ㐀-鿿가-힯]+")
_QUESTION = re.compile(r"[?？][\"'”’)\s]*$")
_SYMBOLS = re.compile(r"[{}<>=;|\\`/_#@$%^~\[\]()+*]")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_IDLE = _set(
    """
    hi hello hey thanks thank bye goodbye welcome sorry okay ok yes yeah yep no nope sure right great good nice cool fine
    wow oh ah hmm well please cheers lol haha morning evening afternoon night congrats congratulations sounds awesome
    perfect exactly absolutely definitely agreed understood noted glad happy hope let's lets everyone everybody guys
    """
)
"""What is said to be polite. A sentence of nothing else says nothing."""
_SAYS_LITTLE = STOP | AUXILIARIES


@lru_cache(1 << 15)
def _term(word: str) -> str:
    """What a word counts as; empty for one that carries nothing."""
    low = folded(word).replace("’", "'").removesuffix("'s")
    return "" if low in _SAYS_LITTLE or (len(low) < 2 and not low.isdigit()) else stem(low)


def _told(line: Line) -> list[_Told]:
    found: list[_Told] = []
    for one in sentences(line.text):
        words = [term for word in _WORD.findall(one.text[: 4 * _LONG]) if (term := _term(word))]
        for run in _WIDE.findall(one.text):
            words += [run[at : at + 2] for at in range(len(run) - 1)]
        weight = _weight(one.text, words)
        if weight:
            found.append(_Told(one.text, line.speaker, line.id, words, weight))
    return found


def _weight(text: str, words: list[str]) -> float:
    """What a sentence is worth for its form: 1 for one that says something in some ten words of prose."""
    telling = [word for word in words if word not in _IDLE]
    if len(telling) < _FEWEST or len(_SYMBOLS.findall(text)) > len(text) // 12:
        return 0.0
    weight = min(1.0, 0.5 + len(telling) / 14)
    if len(text) > _LONG:
        weight *= _LONG / len(text)
    if _QUESTION.search(text):
        weight *= 0.35
    if text[:1].islower() and not text.startswith("i "):
        weight *= 0.9  # the rest of something
    return weight * (1.0 + 0.08 * min(3, len(_FIGURES.findall(text))))


_FIGURES = re.compile(r"\d[\d.,:]*|(?<=[a-z,] )[A-Z][\w-]+")
"""Numbers, and names within a sentence."""


def _bounded(told: list[_Told]) -> list[_Told]:
    if len(told) <= MOST_SENTENCES:
        return told
    step = len(told) / MOST_SENTENCES
    return [told[int(number * step)] for number in range(MOST_SENTENCES)]


def _cut(text: str) -> str:
    text = " ".join(text.split())
    if len(text) <= _LONG:
        return text
    return text[: max(text.rfind(" ", 0, _LONG - 1), _LONG // 2)] + "…"


# Rank


class _Rows:
    """The sentences' tf-idf vectors, of length 1, as the entries that are not zero."""

    def __init__(self, sentences: list[list[str]]) -> None:
        self.count = len(sentences)
        spread: Counter[str] = Counter()
        for words in sentences:
            spread.update(set(words))
        self._ids = {word: number for number, word in enumerate(spread)}
        idf = {word: float(np.log(1.0 + self.count / seen)) for word, seen in spread.items()}
        row: list[int] = []
        column: list[int] = []
        value: list[float] = []
        self._vectors: list[dict[int, float]] = []
        for number, words in enumerate(sentences):
            vector = {self._ids[word]: (1.0 + float(np.log(seen))) * idf[word] for word, seen in Counter(words).items()}
            length = sum(part * part for part in vector.values()) ** 0.5 or 1.0
            vector = {key: part / length for key, part in vector.items()}
            self._vectors.append(vector)
            row += [number] * len(vector)
            column += vector.keys()
            value += vector.values()
        self._row: Any = np.array(row, dtype=np.int64)
        self._column: Any = np.array(column, dtype=np.int64)
        self._value: Any = np.array(value)

    def _alike(self, weights: Any) -> Any:
        """For each sentence the sum of its cosines to all others, each times the other's weight.

        The matrix of cosines is X·Xᵀ less its diagonal of ones, and is never made: two sparse products do.
        """
        words = np.bincount(self._column, self._value * weights[self._row], len(self._ids))
        return np.bincount(self._row, self._value * words[self._column], self.count) - weights

    def centrality(self) -> Any:
        """The LexRank of each sentence: how much of the whole the sentences that are like it say."""
        share: Any = np.full(self.count, 1.0 / self.count)
        degree = np.maximum(self._alike(np.ones(self.count)), 1e-9)
        for _ in range(_ROUNDS):
            flowing = share / degree
            fresh = (1 - _DAMPING) / self.count + _DAMPING * np.maximum(self._alike(flowing), 0.0)
            moved = float(np.abs(fresh - share).sum())
            share = fresh
            if moved < _ENOUGH:
                break
        return share

    def cosine(self, one: int, other: int) -> float:
        """How alike two sentences are."""
        mine, theirs = self._vectors[one], self._vectors[other]
        if len(mine) > len(theirs):
            mine, theirs = theirs, mine
        return sum(part * theirs.get(key, 0.0) for key, part in mine.items())


def _series(told: list[_Told]) -> list[int]:
    """For each sentence the number of the series that it is of: sentences alike but for their figures; 0 for none.

    A figure is the rarest word of its sentence, so that by their words a hundred daily readings are a hundred novelties.
    """
    frames = [tuple(word for word in one.words if not word[0].isdigit()) for one in told]
    seen = Counter(frame for frame, one in zip(frames, told, strict=True) if len(frame) < len(one.words))
    numbers = {frame: number for number, (frame, times) in enumerate(seen.items(), 1) if times >= _SERIES}
    return [
        numbers.get(frame, 0) if len(frame) < len(one.words) else 0 for frame, one in zip(frames, told, strict=True)
    ]


def _chosen(told: list[_Told], rows: _Rows, scores: list[float], series: list[int], chars: int) -> list[int]:
    """The places of the sentences that are told: the highest first, less what was chosen already says of it."""
    of_series: set[int] = set()
    pool = sorted(range(len(told)), key=lambda place: (-scores[place], place))[:_POOL]
    said = dict.fromkeys(pool, 0.0)
    chosen: list[int] = []
    room = chars
    while said:
        place = max(said, key=lambda one: (scores[one] - _NOVELTY * said[one], -one))
        if chosen and scores[place] - _NOVELTY * said[place] <= 0:
            break
        if said.pop(place) > _SAME or series[place] in of_series:
            continue
        length = min(len(told[place].text), _LONG) + 1
        if length > room and chosen:
            continue
        chosen.append(place)
        if series[place]:
            of_series.add(series[place])
        room -= length
        if room < 40:
            break
        for one in said:
            said[one] = max(said[one], rows.cosine(one, place))
    return chosen


def _foremost(found: Iterable[int], scores: list[float], rows: _Rows, series: list[int], count: int) -> list[int]:
    """The highest of `found`, no two of them alike, and of a series one."""
    kept: list[int] = []
    for place in sorted(found, key=lambda one: (-scores[one], one)):
        if len(kept) == count:
            break
        if any(series[place] and series[place] == series[one] for one in kept):
            continue
        if all(rows.cosine(place, one) < _NOVELTY for one in kept):
            kept.append(place)
    return kept


def _as_text(told: list[_Told]) -> str:
    """Sentences as text: one speaker's in a line, with the name; those of a text without speakers as they follow."""
    lines: list[tuple[str, list[str]]] = []
    for one in told:
        if not lines or lines[-1][0] != one.speaker:
            lines.append((one.speaker, []))
        lines[-1][1].append(_cut(one.text))
    return "\n".join(f"{speaker}: {' '.join(said)}" if speaker else " ".join(said) for speaker, said in lines)


# What happened, to whom, and what follows from it


_PAST = _set(
    """
    went came left found took gave met lost won broke fell ran flew began woke drove brought bought sold built sent fought
    stole hid held led paid rose sank shot struck swore threw told wrote chose caught drew ate drank grew heard kept knew
    saw sang spoke stood swam wore became got made put set hit shut let cut read did said felt thought
    """
)
_ACTED = re.compile(
    rf"(?:^|[\s,;—–-])(?:I|we|he|she|they|it|you|who|[A-Z][\w'’-]+|(?:the|my|our|his|her|their|a|an) [\w'’-]+(?: [\w'’-]+)?)"
    rf"(?: (?:then|suddenly|just|finally|also|both|all|never|had|have|has|['’]ve|was|were|got|quickly|slowly|soon|once)){{0,2}}"
    rf" (?:{'|'.join(sorted(_PAST))}|[a-z]{{3,}}ed)\b"
)
"""Somebody or something, and what it did or had done to it. Case counts: names are known by it."""
_MIND = (
    "feel feels felt think thinks thought believe believes believed remember remembers remembered learn learns learned learnt "
    "realise realises realised realize realizes realized understand understands understood decide decides decided become "
    "becomes became fear fears feared hope hopes hoped love loves loved hate hates hated trust trusts trusted doubt doubts "
    "doubted regret regrets regretted want wants wanted wish wishes wished promise promises promised swear swears swore "
    "forgive forgives forgave admit admits admitted confess confesses confessed discover discovers discovered miss misses "
    "missed grow grows grew change changes changed vow vows vowed worry worries worried prefer prefers preferred "
    "struggle struggles struggled enjoy enjoys enjoyed recover recovers recovered"
).replace(" ", "|")
_BETWEEN = r"(?:(?: (?:no longer|never|now|still|also|has|have|had|is|was|finally|slowly|suddenly|really|always|['’]ve|['’]s|started to|began to|began|begins to)){0,2})"
_THEIRS = re.compile(rf"(?:^|[\s,;“\"(—–])(?P<name>[A-Z][\w'’-]+){_BETWEEN} (?:{_MIND})\b")
_OWN = re.compile(rf"(?:^|[\s,;“\"(—–])(?:I|I['’](?:ve|m|d|ll)){_BETWEEN} (?:{_MIND})\b")
_NO_NAME = _set(
    """
    I He She It They We You The A An This That These Those There Who What When Where Why How And But So Then Or If Because While
    Nobody Everyone Everybody Somebody Someone Nothing Everything My Your His Her Our Their Its One Some All Both Maybe Perhaps
    Yes No Well Oh Just Also Now Never Always Not Only Even Still God
    """
)
_TURNS = re.compile(
    r"\b(?:decid(?:e|es|ed|ing)|agreed?|chose|chosen|promis(?:e|es|ed)|sw(?:ear|ore)|vow(?:s|ed)?|plan(?:s|ned)? to|going to|"
    r"i['’]ll|we['’]ll|will (?!be (?:fine|ok|great))|must|discover(?:s|ed)?|reveal(?:s|ed)?|turn(?:s|ed)? out|found out|learn(?:s|ed|t) that|"
    r"betray(?:s|ed)?|attack(?:s|ed)?|died?|killed|escap(?:e|es|ed)|vanish(?:es|ed)?|disappear(?:s|ed)?|stolen|stole|missing|"
    r"suddenly|however|instead|no longer|changed (?:my|his|her|our|their) mind|cancel(?:s|led|ed)?|postponed|deadline|until)\b",
    re.IGNORECASE,
)


def _happenings(told: list[_Told]) -> list[int]:
    return [place for place, one in enumerate(told) if not _QUESTION.search(one.text) and _ACTED.search(one.text)]


def _developments(told: list[_Told]) -> dict[str, list[int]]:
    """Places by character, those with the most first: names that such a verb is said of, and speakers who say it of themselves."""
    found: dict[str, list[int]] = {}
    for place, one in enumerate(told):
        if _QUESTION.search(one.text):
            continue
        names = dict.fromkeys(match["name"].removesuffix("'s") for match in _THEIRS.finditer(one.text))
        if one.speaker and _OWN.search(one.text):
            names[one.speaker] = None
        for name in names:
            if name not in _NO_NAME:
                found.setdefault(name, []).append(place)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _turns(told: list[_Told]) -> list[int]:
    return [place for place, one in enumerate(told) if not _QUESTION.search(one.text) and _TURNS.search(one.text)]
