"""Which entities are worth comparing with given data: by their names, by the words and by the meaning of what is said.

Every question here goes to an index, so that a store of any size is asked a fixed number of them.
"""

from collections import Counter
from collections.abc import Sequence

from enhanced_memory.daemon.call import Meant
from enhanced_memory.daemon.conflicts.entities import Told
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.words import Candidate

__all__ = ["CLOSELY", "PROBES", "candidates", "probes"]

CLOSELY = 40
"""Entities that are compared with one that is given."""

PROBES = 8
"""Observations whose words are looked for: the longest, which say most."""

MEANT = 2
"""Texts whose meaning is looked for."""

WORDS_OF = 500
"""Characters of a text whose words are looked for together."""

HITS = 20
NEAR = 0.6
"""The cosine from which on a passage is worth a look."""


def probes(told: Told) -> list[str]:
    """What of an entity is looked for by its meaning: what it is called, and its longest observations."""
    longest = sorted(told.observations, key=lambda text: -len(text))[: MEANT - 1]
    return [f"{told.name} {told.type}", *(f"{told.name}: {text}"[:2000] for text in longest)]


def candidates(tx: Tx, told: Told, meant: Sequence[Meant | None]) -> list[Stored]:
    """The entities of the caller's view that `told` may conflict with, at most `CLOSELY`; those of its name first."""
    named = tx.entities.named_in_any_scope(told.name)
    votes: Counter[int] = Counter()
    votes.update({one.entity for one in tx.words.holding_all(_beginning(told.name), "name", HITS, tx.view)})
    for text in _longest(told):
        votes.update({one.entity for one in tx.words.holding_all(_beginning(text), "body", HITS, tx.view)})
    near: dict[int, float] = {}
    for one in meant:
        if one is not None:
            for passage, cosine in one.nearest(tx, HITS):
                if cosine >= NEAR:
                    near[passage] = max(cosine, near.get(passage, 0.0))
    seen: list[Candidate] = tx.words.seen([one for one in tx.vectors.passages(near) if not one.message], tx.view)
    votes.update({one.entity for one in seen})
    order = [*dict.fromkeys(named), *(entity for entity, _ in votes.most_common() if entity not in named)]
    known = tx.entities.many(order[: 3 * CLOSELY], "not_expired")
    wanted = told.type.casefold()
    return [known[one] for one in order if one in known and known[one].state.type.casefold() == wanted][:CLOSELY]


def _beginning(text: str) -> str:
    """The first whole words of a text: half a word is in no passage."""
    return text if len(text) <= WORDS_OF else (text[:WORDS_OF].rpartition(" ")[0] or text[:WORDS_OF])


def _longest(told: Told) -> list[str]:
    return sorted(told.observations, key=lambda text: -len(text))[:PROBES]
