"""What is near in meaning, beside what words found."""

from collections.abc import Collection, Mapping

from enhanced_memory.daemon import ranking
from enhanced_memory.daemon.handlers.saying import Wanted
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.narrowing import passages_of
from enhanced_memory.daemon.store.words import Candidate

__all__ = ["apart", "as_many_near", "meant", "meant_among"]

FEW_APART = 200
"""Entities up to which each passage of theirs is compared by the vector that the store has; of more the nearest are looked for."""


def meant(
    tx: Tx, found: list[Candidate], count: int, messages: bool, stream: int = 0, among: Collection[int] = ()
) -> tuple[list[Candidate], dict[int, float]]:
    """What words found together with what is near in meaning, of one stream or `among` some entities, and how near each of them is."""
    meaning = tx.call.meaning
    if meaning is None:
        return found, {}
    held = {one.passage for one in found}
    near = {
        passage: cosine
        for passage, cosine in meaning.nearest(tx, count, messages, stream, held, among)
        if cosine >= ranking.NEAR
    }
    others = [
        one
        for one in tx.vectors.passages(near)
        if bool(one.message) is messages and (not stream or one.entity == stream)
    ]
    return found + tx.words.seen(others, tx.view), near | meaning.cosines(tx, held, messages)


def as_many_near(cosines: Mapping[int, float], count: int) -> bool:
    """Whether so many are near that there may be more: no more than `count` were looked for."""
    return sum(each >= ranking.NEAR for each in cosines.values()) >= count


def apart(tx: Tx, few: set[int], wants: Wanted) -> bool:
    """Whether each passage of some entities is compared, rather than the nearest of them looked for: where they are few, and where
    each is judged by itself, as passages that share a vector are told of by one of them."""
    meaning = tx.call.meaning
    return len(few) <= FEW_APART or meaning is None or not meaning.looks_among or wants.of_each


def meant_among(
    tx: Tx, found: list[Candidate], count: int, few: set[int], wants: Wanted
) -> tuple[list[Candidate], dict[int, float], bool]:
    """As `meant`, of some entities; and whether more are near than `count`."""
    meaning = tx.call.meaning
    if meaning is None:
        return found, {}, False
    if not apart(tx, few, wants):
        together, told = meant(tx, found, count, messages=False, among=few)
        return together, told, as_many_near(told, count)
    every = passages_of(tx, few)
    cosines = meaning.cosines(tx, [one.passage for one in every])
    held = {one.passage for one in found}
    near = [one for one in every if one.passage not in held and cosines.get(one.passage, 0.0) >= ranking.NEAR]
    near.sort(key=lambda one: (-cosines[one.passage], one.passage))
    together = found + near[:count]
    told = {one.passage: cosines[one.passage] for one in together if one.passage in cosines}
    return together, told, len(near) > count
