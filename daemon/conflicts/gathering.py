"""What of a space's entities is held in memory while it is compared with itself, and which pairs that brings together.

Of each entity stays its name, digests of what it says and the vector of that: some 500 bytes. Pairs come from equal names, from
shared observations and from near vectors.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from enhanced_memory.daemon.conflicts.comparing import Meaning
from enhanced_memory.daemon.conflicts.entities import UPDATE
from enhanced_memory.daemon.conflicts.names import name_key
from enhanced_memory.daemon.conflicts.statements import plain
from enhanced_memory.daemon.store.known import Stored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Gathered"]

COMMON = 20
"""An observation or a name that more entities share than this says nothing about any two of them."""

NEAR = 0.9
"""The cosine of what two entities say from which on they are compared."""

SAID = 1500
"""Characters of what an entity says that its vector is taken of."""

MOST_VECTORS = 500_000
"""Entities whose vectors are held at one time, 400 bytes each; beyond it names and words alone bring pairs together."""

Pair = tuple[int, int]


class Gathered:
    """Entities as far as pairs are found by them. They are given in the order of their ids, and called by their places in it."""

    def __init__(self, meaning: Meaning) -> None:
        self._meaning = meaning
        self.ids = array("q")
        self._types: list[str] = []
        self._names: dict[int, list[int]] = defaultdict(list)
        self._digests, self._owners = array("q"), array("q")
        """What is said, and by whom: numbers, because a million lists would keep the collector busy."""
        self._sizes = array("q")
        self._vectors: list[NDArray[np.float16]] = []

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, page: Sequence[Stored]) -> None:
        """Take in the next entities."""
        for one in page:
            place = len(self.ids)
            kind = one.state.type.casefold()
            self.ids.append(one.id)
            self._types.append(kind)
            key = name_key(one.state.name)
            if key:
                self._names[hash((kind, key))].append(place)
            said = {hash((kind, plain(noted.text))) for noted in one.state.observations}
            self._sizes.append(len(said))
            self._digests.extend(said)
            self._owners.extend([place] * len(said))
        if len(self.ids) <= MOST_VECTORS:
            vectors = self._meaning.vectors(
                ["\n".join(noted.text for noted in one.state.observations)[:SAID] for one in page]
            )
            if vectors is not None:
                self._vectors.append(vectors.astype("float16"))
        else:
            self._vectors.clear()

    def pairs(self) -> list[Pair]:
        """The pairs of ids, the smaller first, that are worth a comparison, in order."""
        groups, telling = self._said_by_several()
        pairs = set(_couples(self._names.values()))
        shared: Counter[Pair] = Counter(_couples(groups))
        sizes = self._sizes
        pairs |= {pair for pair, count in shared.items() if count > UPDATE * max(sizes[pair[0]], sizes[pair[1]])}
        if self._vectors:
            # Who says only what many others say too, or nothing at all, is near to all of those.
            pairs |= {pair for pair in _near(self._vectors, self._types) if pair[0] in telling and pair[1] in telling}
        ids = self.ids
        return sorted((ids[one], ids[other]) for one, other in pairs)

    def _said_by_several(self) -> tuple[list[list[int]], set[int]]:
        """Who shares an observation with a few others, and who says anything that not many others say."""
        import numpy as np

        digests, owners = (np.array(each, np.int64) for each in (self._digests, self._owners))
        order = np.argsort(digests, kind="stable")
        _, begins, counts = np.unique(digests[order], return_index=True, return_counts=True)
        owners = owners[order]
        groups = [
            owners[begin : begin + count].tolist()
            for begin, count in zip(begins.tolist(), counts.tolist(), strict=True)
            if 1 < count <= COMMON
        ]
        return groups, set(np.unique(owners[np.repeat(counts, counts) <= COMMON]).tolist())


def _couples(groups: Iterable[list[int]]) -> Iterator[Pair]:
    for places in groups:
        if 1 < len(places) <= COMMON:
            yield from combinations(places, 2)


def _near(parts: "list[NDArray[np.float16]]", types: list[str]) -> Iterator[Pair]:
    """Pairs of one type whose vectors are near."""
    import numpy as np

    from enhanced_memory.daemon.conflicts.neighbours import near_pairs

    vectors = np.concatenate(parts)
    by_type: dict[str, list[int]] = defaultdict(list)
    for place, kind in enumerate(types):
        by_type[kind].append(place)
    for places in by_type.values():
        where = np.array(places)
        for one, other in near_pairs(vectors[where].astype(np.float32), NEAR):
            yield places[one], places[other]
