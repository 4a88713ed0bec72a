"""Two statements about one thing: whether they say the same, exclude each other, or whether one brings the other up to date. Pure.

Content words are aligned: first those with one stem, then those that may stand for one another, then those whose vectors are
near. What stays over on both sides is what differs, and that is judged: a number, a date, a name, two opposites; in an
attribute that has one value at a time, or one that has many.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from enhanced_memory.daemon.conflicts import words as known
from enhanced_memory.daemon.conflicts.statements import GROUPS, LIGHT_STEMS, Statement, Word, stem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ALONE", "LEXICAL", "Kind", "Meaning", "Verdict", "compare", "related"]

Kind = Literal["duplicate", "contradiction", "update"]


class Meaning(Protocol):
    """What a model says of words and of sentences."""

    def words(self, some: Sequence[str], others: Sequence[str]) -> list[list[float]]:
        """The cosines of words' vectors: a row for each of `some`."""
        ...

    def sentences(self, one: str, other: str) -> float:
        """The cosine of two sentences' vectors."""
        ...

    def vectors(self, texts: Sequence[str]) -> "NDArray[np.float32] | None":
        """A unit vector for each text; None where there is no model."""
        ...


class _Lexical:
    """No model: only letters count."""

    def words(self, some: Sequence[str], others: Sequence[str]) -> list[list[float]]:
        """Nothing is near."""
        return [[0.0] * len(others) for _ in some]

    def sentences(self, one: str, other: str) -> float:
        """Nothing is near."""
        return 0.0

    def vectors(self, texts: Sequence[str]) -> None:
        """There are none."""


LEXICAL: Meaning = _Lexical()


class Verdict(msgspec.Struct, frozen=True):
    """What two statements are to each other."""

    kind: Kind
    confidence: float
    reason: str
    """In words, without what the statements say: that may be purged."""


ALONE = "an attribute that one thing alone can have"
"""The reason where two things of different names claim it."""

NEAR_WORD = 0.62
"""Two words count as one from this cosine on. `child` and `kid` have 0.83, `engineer` and `developer` 0.48."""

SAME_WORD = 0.80
"""The same for the words that say what a sentence is about: `frontend` is near `backend`, and another thing."""

SAME_SORT = 0.30
"""Two values are of one sort from this cosine on. `cat` and `dog` have 0.46, `doctor` and `painter` 0.05."""

DUPLICATE = 0.78
"""The share of weight that is aligned, from which on two statements say the same."""

MEANT = 0.66
"""The same where the sentences' vectors are nearer than `MEANT_COSINE`."""

MEANT_COSINE = 0.80

SHORT = 6
SHARED = 0.34
"""Statements of more than `SHORT` content words must share this part of the shorter one's to be compared."""

TOPIC = 0.30
"""Two sentences are about one thing from this cosine on, if one of them tells of a change."""

_OPPOSITE: dict[str, set[str]] = {}
for _line in known.OPPOSITES:
    _sides = [[stem(word) for word in side.split()] for side in _line.split("/")]
    for _one, _other in product(*_sides):
        _OPPOSITE.setdefault(_one, set()).add(_other)
        _OPPOSITE.setdefault(_other, set()).add(_one)

_SAME, _LIGHT = GROUPS, LIGHT_STEMS
_BECAUSE = {stem(state): frozenset(map(stem, verbs.split())) for state, verbs in known.BECAUSE.items()}
_ONE_VERBS, _ONE_NOUNS = frozenset(map(stem, known.ONE_VERBS)), frozenset(map(stem, known.ONE_NOUNS))
_MANY_VERBS, _MANY_NOUNS = frozenset(map(stem, known.MANY_VERBS)), frozenset(map(stem, known.MANY_NOUNS))
_FOR_ONE, _SIMILAR = frozenset(map(stem, known.FOR_ONE)), frozenset(map(stem, known.SIMILAR_VERBS))

_NONE: frozenset[str] = frozenset()
_SOFT = frozenset(("word", "name"))
_HARD = frozenset(("number", "month", "weekday", "name", "code"))
_PREFIXES = frozenset(("un", "in", "im", "ir", "il", "dis", "non", "de"))


class _Aligned(msgspec.Struct):
    pairs: list[tuple[Word, Word, float]]
    opposed: list[tuple[Word, Word]]
    left: list[Word]
    right: list[Word]

    @property
    def score(self) -> float:
        """The share of weight that is aligned, 0 to 1."""
        both = sum((weight(one) + weight(other)) * near for one, other, near in self.pairs)
        rest = sum(map(weight, [*self.left, *self.right])) + sum(
            weight(one) + weight(other) for one, other in self.opposed
        )
        return both / (both + rest) if both else 0.0


def weight(word: Word) -> float:
    """How much a word says."""
    if word.sort in _HARD:
        return 1.3
    return 0.35 if word.stem in _LIGHT else 1.0


def opposite(one: str, other: str) -> bool:
    """Whether one of two stems at most is true of a thing."""
    if other in _OPPOSITE.get(one, _NONE):
        return True
    short, long = (one, other) if len(one) < len(other) else (other, one)
    return len(short) >= 3 and long.endswith(short) and long[: -len(short)] in _PREFIXES


def related(a: Statement, b: Statement) -> bool:
    """Whether it is worth to compare two statements: they share a word or, if they are short, a verb; long ones share several."""
    shared = len(a.keys & b.keys)
    least = min(len(a.words), len(b.words))
    if least > SHORT:
        return shared >= SHARED * least
    return shared > 0 or (a.verb == b.verb and bool(a.verb)) or a.changed != b.changed


def _align(a: Statement, b: Statement, meaning: Meaning) -> _Aligned:
    pairs: list[tuple[Word, Word, float]] = []
    waiting: dict[str, list[Word]] = {}
    for word in b.words:
        waiting.setdefault(word.stem, []).append(word)
    left: list[Word] = []
    for word in a.words:
        there = waiting.get(word.stem)
        if there:
            pairs.append((word, there.pop(0), 1.0))
        else:
            left.append(word)
    gone = {id(other) for _, other, _ in pairs}
    right = [word for word in b.words if id(word) not in gone]
    opposed: list[tuple[Word, Word]] = []
    if left and right:
        left, right = _by_letters(left, right, pairs, opposed)
    if left and right:
        left, right = _by_meaning(left, right, pairs, meaning)
    return _Aligned(pairs, opposed, [word for word in left if not word.own], [word for word in right if not word.own])


def _by_letters(
    left: list[Word], right: list[Word], pairs: list[tuple[Word, Word, float]], opposed: list[tuple[Word, Word]]
) -> tuple[list[Word], list[Word]]:
    """Opposites, words that may stand for one another, and words derived from one another; what is left then."""
    rest: list[Word] = []
    for word in left:
        known_opposites, groups = _OPPOSITE.get(word.stem, _NONE), _SAME.get(word.stem, _NONE)
        for place, other in enumerate(right):
            said = other.stem
            if said in known_opposites or (said[-2:] == word.stem[-2:] and opposite(word.stem, said)):
                opposed.append((word, other))
            elif (groups and not groups.isdisjoint(_SAME.get(said, _NONE))) or (
                said[:5] == word.stem[:5] and _joined(word, other)
            ):
                pairs.append((word, other, 1.0))
            else:
                continue
            del right[place]
            break
        else:
            rest.append(word)
    return rest, right


def _by_meaning(
    left: list[Word], right: list[Word], pairs: list[tuple[Word, Word, float]], meaning: Meaning
) -> tuple[list[Word], list[Word]]:
    """Words whose vectors are near, the nearest first; what is left then."""
    cosines = meaning.words([word.said for word in left], [word.said for word in right])
    soft = sorted(
        (-near, place, where)
        for place, row in enumerate(cosines)
        if max(row) >= NEAR_WORD
        for where, near in enumerate(row)
        if near >= NEAR_WORD and _may_align(left[place], right[where], near)
    )
    gone_left: set[int] = set()
    gone_right: set[int] = set()
    for near, place, where in soft:
        if place in gone_left or where in gone_right:
            continue
        gone_left.add(place)
        gone_right.add(where)
        pairs.append((left[place], right[where], -near))
    return (
        [word for place, word in enumerate(left) if place not in gone_left],
        [word for place, word in enumerate(right) if place not in gone_right],
    )


def _may_align(one: Word, other: Word, near: float) -> bool:
    """Numbers, dates and names are what they are; words in front of the verb say what it is about, and have to be nearer."""
    if one.sort not in _SOFT or other.sort not in _SOFT or one.sort == other.sort == "name":
        return False
    return near >= SAME_WORD or (one.tail and other.tail)


def _joined(one: Word, other: Word) -> bool:
    """One word derived from the other: `allergy` and `allergic`."""
    if one.sort not in _SOFT or other.sort not in _SOFT:
        return False
    short, long = sorted((one.stem, other.stem), key=len)
    common = 0
    for x, y in zip(short, long, strict=False):
        if x != y:
            break
        common += 1
    return common >= 5 and common >= len(long) - 4


def compare(a: Statement, b: Statement, meaning: Meaning = LEXICAL) -> Verdict | None:
    """What `b`, the newer one, is to `a`, both about the same thing. None: two facts that go together."""
    if a.plain == b.plain:
        return Verdict("duplicate", 1.0, "the same words")
    if not a.words or not b.words:
        return None
    found = _align(a, b, meaning)
    # Of two sentences that say all the same, one may only seem to tell of a change: `release` is a verb without its article.
    differs = bool(found.left or found.right or found.opposed) or a.denied != b.denied
    if differs and b.changed and not a.changed:
        return _updated(a, b, found, meaning)
    verdict = _excluded(a, b, found, meaning)
    if verdict is not None:
        return verdict
    return _same(a, b, found, meaning)


def _subjects_differ(found: _Aligned) -> bool:
    """Whether the sentences are about different parts of the thing: `the first disk`, `the second disk`."""
    heads_left = [word for word in found.left if not word.tail]
    heads_right = [word for word in found.right if not word.tail]
    opposed = any(not one.tail and not other.tail for one, other in found.opposed)
    return opposed or bool(heads_left and heads_right)


def _excluded(a: Statement, b: Statement, found: _Aligned, meaning: Meaning) -> Verdict | None:
    if not found.pairs and not found.opposed and not (a.verb == b.verb and a.verb):
        return None
    if a.past and b.past:
        return None
    left, right = found.left, found.right
    flips = (a.denied != b.denied) + len(found.opposed)
    if _subjects_differ(found):
        return _definite(a, b, found)
    if (flips % 2 == 1 and found.pairs) or (flips == 1 and found.opposed):
        loose = [word for word in (*left, *right) if word.stem not in _LIGHT]
        both = bool(left) and bool(right)
        counts = a.denied != b.denied and not found.opposed and all(word.sort == "number" for word in loose)
        if not both and (len(loose) <= 1 or counts) and not (loose and loose[0].sort in _HARD and not counts):
            strength = 0.95 if not loose else 0.85
            reason = "opposite words of the same thing" if found.opposed else "one denies what the other says"
            return Verdict("contradiction", strength * (0.6 + 0.4 * found.score if found.pairs else 0.8), reason)
        return None
    if flips:
        return None
    if not left or not right:
        return None
    return _other_value(a, b, found, meaning)


def _definite(a: Statement, b: Statement, found: _Aligned) -> Verdict | None:
    """`Ankara is the capital of Turkey`, `Istanbul is the capital of Turkey`: an attribute that one thing can have."""
    left, right = found.left, found.right
    if len(left) == 1 and len(right) == 1 and not found.opposed and a.verb == b.verb == "be" and a.denied == b.denied:
        shared = {one.stem for one, _, _ in found.pairs if one.tail}
        names = left[0].sort in ("name", "word") and right[0].sort in ("name", "word")
        if shared & _ONE_NOUNS and names and len(shared) >= 2 and all(not word.tail for word in (*left, *right)):
            return Verdict("contradiction", 0.85, ALONE)
    return None


def _other_value(a: Statement, b: Statement, found: _Aligned, meaning: Meaning) -> Verdict | None:
    left, right = _value(found.left, a), _value(found.right, b)
    if left is None or right is None or a.denied != b.denied:
        return None
    sorts_left, sorts_right = {word.sort for word in left}, {word.sort for word in right}
    numeric = _numeric(sorts_left) and _numeric(sorts_right) and bool(sorts_left & sorts_right)
    shared = {one.stem for one, _, _ in found.pairs} | {other.stem for _, other, _ in found.pairs}
    verb = a.verb if a.verb == b.verb else a.verb if a.verb in shared else ""
    heads = [one.stem for one, _, _ in found.pairs if not one.tail]
    attribute = next((stem_ for stem_ in reversed(heads)), "")
    strength = 0.6 + 0.35 * found.score
    kind_of_value = "another number" if "number" in sorts_left & sorts_right else "another date"
    if numeric:
        if "weekday" in sorts_left and verb in _MANY_VERBS:
            return None
        if shared & _MANY_VERBS and not shared - _MANY_VERBS and verb not in ("have", "be"):
            return None
        if found.pairs or verb in _ONE_VERBS:
            return Verdict("contradiction", strength, f"{kind_of_value} for the same attribute")
        return None
    if (sorts_left | sorts_right) & {"number", "month", "weekday"}:
        return None  # two things differ: what is said, and of when or how many
    reason = "another value for the same attribute"
    if a.only and b.only:
        return Verdict("contradiction", strength, reason)
    if shared & _MANY_NOUNS or attribute in _MANY_NOUNS:
        return None
    near = max(map(max, meaning.words([word.said for word in left], [word.said for word in right])))
    named = all("name" in sorts or "code" in sorts for sorts in (sorts_left, sorts_right))
    single_noun = bool(shared & _ONE_NOUNS)
    if verb in _ONE_VERBS or (shared & _ONE_VERBS and verb in ("be", "have", "do", "")):
        if verb in _SIMILAR and not (named or near >= SAME_SORT):
            return None
        return Verdict("contradiction", strength, reason)
    if single_noun and (verb in ("be", "have", "", "do", "want") or verb not in _MANY_VERBS):
        if named or near >= SAME_SORT / 2 or attribute in _ONE_NOUNS:
            return Verdict("contradiction", strength, reason)
        return None
    if a.passive and b.passive and (named or near >= SAME_SORT):
        return Verdict("contradiction", strength, reason)
    purpose = len([one for one, _, _ in found.pairs if one.tail and one.stem != verb and one.stem not in _LIGHT]) > 0
    if (verb in _FOR_ONE or shared & _FOR_ONE) and purpose:
        return Verdict("contradiction", strength - 0.05, reason)
    if verb in _SIMILAR and verb not in _MANY_VERBS and near >= SAME_SORT:
        return Verdict("contradiction", strength - 0.05, reason)
    return None


def _numeric(sorts: Iterable[str]) -> bool:
    return all(sort in ("number", "month", "weekday") for sort in sorts) and bool(sorts)


def _value(rest: list[Word], of: Statement) -> list[Word] | None:
    """What is left of a sentence if it is one value: up to three words side by side, light ones aside. None for more."""
    telling = [word for word in rest if word.stem not in _LIGHT]
    places = [place for place, word in enumerate(of.words) if any(word is one for one in telling)]
    if not 0 < len(telling) <= 3 or places[-1] - places[0] >= len(telling):
        return None
    return telling


def _updated(a: Statement, b: Statement, found: _Aligned, meaning: Meaning) -> Verdict | None:
    telling = [one for one, _, _ in found.pairs if one.stem not in _LIGHT]
    near = meaning.sentences(a.text, b.text)
    if _subjects_differ(found) and not telling:
        return None
    stated = [*(word.stem for word in a.words), a.verb]
    caused = any(not _BECAUSE.get(one, _NONE).isdisjoint(word.stem for word in b.words) for one in stated)
    if telling or found.opposed or caused or near >= TOPIC:
        strength = min(0.95, 0.55 + 0.25 * found.score + 0.25 * max(near, 0.0))
        return Verdict("update", strength, "the newer one tells of a change")
    return None


def _same(a: Statement, b: Statement, found: _Aligned, meaning: Meaning) -> Verdict | None:
    if (a.denied != b.denied) or found.opposed or not found.pairs:
        return None
    left, right = found.left, found.right
    if any(word.sort in _HARD for word in left) and any(word.sort in _HARD for word in right):
        return None
    score = found.score
    near = meaning.sentences(a.text, b.text)
    loose_hard = any(word.sort in ("number", "month", "weekday", "code") for word in (*left, *right))
    exact = all(near_ == 1.0 for _, _, near_ in found.pairs)
    if not loose_hard and score >= DUPLICATE:
        return Verdict("duplicate", min(0.99, score), "nearly the same words" if exact else "the same in other words")
    if not loose_hard and score >= MEANT and near >= MEANT_COSINE:
        return Verdict("duplicate", min(0.95, (score + near) / 2), "the same in other words")
    if not left and right and len(found.pairs) >= 2 and len(right) <= 2 * len(found.pairs):
        return Verdict("update", 0.4 + 0.4 * score, "the newer one says more of the same")
    return None
