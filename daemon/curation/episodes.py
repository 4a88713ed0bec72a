"""Episodes that say the same: which statements come back in several, and what is to be known of them. Pure.

Statements are one where their words are, or where their vectors are near and a comparison finds that they say the same; so a
denial, another number or another date keeps them apart. Statements that come back in the same episodes go together.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from enhanced_memory.daemon.conflicts.comparing import Meaning, compare
from enhanced_memory.daemon.conflicts.statements import plain, read, rough

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LEAST", "Episode", "Said", "Shared", "Statement", "shared"]

LEAST = 3
"""So many similar episodes make knowledge."""

SIMILAR = 0.2
"""The share of what an episode says that it must have in common with the others: one of five statements, two of ten."""

COMMON = 50
COMMON_SHARE = 0.2
"""What more than so many episodes say, and more than this share of them all, tells nothing about any of them."""

TOGETHER = 0.5
"""Statements go together where the episodes that say both are this share of those that say one of them."""

NEAR = 0.85
"""The cosine from which on two statements are compared."""

SURE = 0.85
"""The confidence from which on they are one."""

TELLING = 2
"""Content words that a statement must have: `yes`, `ok` and `done` come back everywhere."""

LONGEST = 500
"""Characters of a statement that is compared; longer text is a document."""

MOST_KNOWN = 20_000
"""Different statements that are known, the oldest, whose vectors are compared: 20 MB. Beyond it equal words alone tell."""

MOST_ALIKE = 8
"""Known statements that one is compared with, the nearest."""

MOST_STATEMENTS = 50_000
"""Different statements whose vectors are compared, the newest: 40 MB. Beyond it equal words alone make statements one."""

MOST_PAIRS = 20_000
"""Pairs of statements that are compared in one run: some ten seconds of work."""

BATCH = 64
"""Statements whose vectors are made at one time: two milliseconds."""

REST_AFTER_S, REST_S = 0.002, 0.002
"""Of the thinking thread's processor time, and how long it then leaves Python's lock to others."""

NAMED = 50
"""Episodes that are named as sources, the newest."""

_NUMBERS = re.compile(r"\d+")


class Statement(msgspec.Struct, frozen=True):
    """An observation of an episode: its id, and what it says."""

    id: int
    text: str


class Episode(msgspec.Struct):
    """An entity that tells what happened once; or, with `known`, one that tells what is known already."""

    id: int
    type: str
    statements: Sequence[Statement]
    known: bool = False


class Said(msgspec.Struct):
    """A statement that several episodes make: in words that most of them use, and where each says it."""

    text: str
    at: list[tuple[int, int]]
    """Ids of an episode and of its observation."""


class Shared(msgspec.Struct):
    """What similar episodes have in common."""

    type: str
    episodes: list[int]
    statements: list[Said]


class _Group(msgspec.Struct, frozen=True):
    """Statements of several episodes that say the same."""

    at: list[tuple[int, int, str]]
    """Places of episodes, the observations' ids, and the words themselves."""
    known: bool


def shared(episodes: Iterable[Episode], meaning: Meaning, over: Callable[[], bool] = lambda: False) -> list[Shared]:
    """What comes back in at least `LEAST` similar episodes of one type and is not known yet; what most of them say first.

    What is known only keeps a statement from being told; it changes nothing of what goes together. So where all that was found
    becomes known, there is nothing left to find. Once it is `over`, nobody waits for the answer any more.
    """
    by_type: dict[str, list[Episode]] = defaultdict(list)
    known: list[Episode] = []
    for one in episodes:
        (known if one.known else by_type[one.type.casefold()]).append(one)
    found: list[Shared] = []
    pairs = MOST_PAIRS
    knowledge = _Knowledge(known, meaning, over)
    for some in by_type.values():
        if len(some) >= LEAST:
            more, pairs = _of_one_type(some, knowledge, meaning, pairs, over)
            found += more
    return sorted(found, key=lambda one: (-len(one.episodes), one.episodes[0]))


def _of_one_type(
    episodes: list[Episode], knowledge: "_Knowledge", meaning: Meaning, pairs: int, over: Callable[[], bool]
) -> tuple[list[Shared], int]:
    said: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    """By what makes statements equal: the places of episodes, the observations' ids, and the words themselves."""
    sizes: list[int] = []
    rest = _Rest()
    for place, episode in enumerate(episodes):
        rest()
        if over():
            break
        for key, one in _keys(episode):
            said[key].append((place, one.id, one.text))
        sizes.append(max(1, len(episode.statements)))
    groups, pairs = _united(said, meaning, pairs, over)
    common = max(COMMON, COMMON_SHARE * len(episodes))
    kept: list[_Group] = []
    for group in groups:
        at = [entry for key in group for entry in said[key]]
        if LEAST <= len({place for place, _, _ in at}) <= common:
            kept.append(_Group(at, knowledge.has({key: said[key][0][2] for key in group})))
    return [one for cluster in _together(kept) if (one := _common_to(cluster, episodes, sizes)) is not None], pairs


def _keys(episode: Episode) -> Iterable[tuple[str, Statement]]:
    """The statements of an episode that can be shared, each once, by what makes statements equal."""
    mine: set[str] = set()
    for one in episode.statements:
        key = plain(one.text) if len(one.text) <= LONGEST else ""
        if key and key not in mine and len(rough(key)) >= TELLING:
            mine.add(key)
            yield key, one


class _Knowledge:
    """What is known already: in the same words, or in others that say the same."""

    def __init__(self, known: Iterable[Episode], meaning: Meaning, over: Callable[[], bool]) -> None:
        self._meaning = meaning
        self._texts: dict[str, str] = {}
        rest = _Rest()
        for episode in known:
            rest()
            if over():
                break
            for key, one in _keys(episode):
                self._texts.setdefault(key, one.text)
        self._keys = list(self._texts)[:MOST_KNOWN]
        self._vectors = _vectors(self._keys, meaning, over)

    def has(self, said: dict[str, str]) -> bool:
        """Whether one of the statements is known; each with its words as they were written."""
        if not self._texts.keys().isdisjoint(said):
            return True
        mine = None if self._vectors is None else self._meaning.vectors(list(said))
        if mine is None or self._vectors is None:
            return False
        for (key, text), cosines in zip(said.items(), mine @ self._vectors.T, strict=True):
            close: list[int] = (cosines >= NEAR).nonzero()[0].tolist()
            near = [place for place in close if _worth(key, self._keys[place])]
            near.sort(key=lambda place: -cosines[place])
            if any(
                _same(key, text, self._keys[place], self._texts[self._keys[place]], self._meaning)
                for place in near[:MOST_ALIKE]
            ):
                return True
        return False


def _united(
    said: dict[str, list[tuple[int, int, str]]], meaning: Meaning, pairs: int, over: Callable[[], bool]
) -> tuple[list[list[str]], int]:
    """Statements that say the same, together."""
    keys = list(said)[-MOST_STATEMENTS:]
    leader = {key: key for key in said}

    def of(key: str) -> str:
        while leader[key] != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    rest = _Rest()
    for one, other in _near(keys, meaning, over):
        if pairs <= 0 or over():
            break
        a, b = keys[one], keys[other]
        if of(a) == of(b) or not _worth(a, b):
            continue
        pairs -= 1
        rest()
        if _same(a, said[a][0][2], b, said[b][0][2], meaning):
            leader[of(b)] = of(a)
    groups: dict[str, list[str]] = defaultdict(list)
    for key in said:
        groups[of(key)].append(key)
    return list(groups.values()), pairs


def _near(keys: list[str], meaning: Meaning, over: Callable[[], bool]) -> Iterable[tuple[int, int]]:
    """Pairs of places whose statements are near in meaning; none without a model."""
    vectors = _vectors(keys, meaning, over) if len(keys) > 1 else None
    if vectors is None or over():
        return ()
    # Only here: a daemon without a model does without it.
    from enhanced_memory.daemon.conflicts.neighbours import near_pairs

    return near_pairs(vectors, NEAR)


def _vectors(keys: list[str], meaning: Meaning, over: Callable[[], bool]) -> "NDArray[np.float32] | None":
    """A unit vector for each statement; None where there are none, or no model."""
    if not keys or meaning.vectors(keys[:1]) is None:
        return None
    # Only here, too.
    import numpy as np

    rest = _Rest()
    vectors = np.zeros((len(keys), 0), np.float32)
    for begin in range(0, len(keys), BATCH):
        part = meaning.vectors(keys[begin : begin + BATCH])
        assert part is not None
        if not begin:
            vectors = np.zeros((len(keys), part.shape[1]), np.float32)
        vectors[begin : begin + BATCH] = part
        rest()
        if over():
            break
    return vectors


class _Rest:
    """Lets others have Python's lock, and the processor, after every `REST_AFTER_S` of work."""

    def __init__(self) -> None:
        self._since = time.thread_time()

    def __call__(self) -> None:
        """Rest, where it is time."""
        if time.thread_time() - self._since >= REST_AFTER_S:
            time.sleep(REST_S)
            self._since = time.thread_time()


def _worth(one: str, other: str) -> bool:
    """Whether two statements have the same numbers, and at least half of the longer one's words in common."""
    words, others = rough(one), rough(other)
    return 2 * len(words & others) >= max(len(words), len(others)) and _NUMBERS.findall(one) == _NUMBERS.findall(other)


def _same(one: str, written: str, other: str, as_written: str, meaning: Meaning) -> bool:
    """Whether two statements say the same; compared as they were written, since case tells names from words."""
    if one == other:
        return True
    verdict = compare(read(written), read(as_written), meaning)
    return verdict is not None and verdict.kind == "duplicate" and verdict.confidence >= SURE


def _together(groups: list[_Group]) -> list[list[_Group]]:
    """Groups of statements by the episodes that make them: those that mostly stand together are one cluster."""
    groups = sorted(groups, key=lambda group: -len({place for place, _, _ in group.at}))
    clusters: list[list[_Group]] = []
    places_of: list[set[int]] = []
    at: dict[int, set[int]] = defaultdict(set)
    """The clusters that an episode is in."""
    for group in groups:
        places = {place for place, _, _ in group.at}
        votes = Counter(cluster for place in places for cluster in at[place])
        best = max(votes, key=lambda cluster: (votes[cluster] / len(places | places_of[cluster]), -cluster), default=-1)
        if best >= 0 and votes[best] >= TOGETHER * len(places | places_of[best]):
            clusters[best].append(group)
            places_of[best] |= places
        else:
            best = len(clusters)
            clusters.append([group])
            places_of.append(set(places))
        for place in places:
            at[place].add(best)
    return clusters


def _common_to(cluster: list[_Group], episodes: list[Episode], sizes: list[int]) -> Shared | None:
    """What a cluster comes to once the episodes that say mostly other things are left out; None where too few are left, or all
    of it is known."""
    shares = Counter(place for group in cluster for place in {place for place, _, _ in group.at})
    similar = {place for place, count in shares.items() if count >= SIMILAR * sizes[place]}
    statements: list[Said] = []
    used: set[int] = set()
    for group in cluster:
        at = [entry for entry in group.at if entry[0] in similar]
        places = {place for place, _, _ in at}
        if group.known or len(places) < LEAST:
            continue
        words = Counter(text for _, _, text in at)
        newest = {text: place for place, _, text in at}
        text = max(words, key=lambda said: (words[said], newest[said], said))
        named = sorted(at, key=lambda entry: -episodes[entry[0]].id)[:NAMED]
        statements.append(Said(text, [(episodes[place].id, number) for place, number, _ in named]))
        used |= {place for place, _, _ in named}
    if not statements:
        return None
    ids = sorted(episodes[place].id for place in used)
    return Shared(episodes[min(used)].type, ids[-NAMED:], statements)
