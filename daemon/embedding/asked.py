"""What a query means, and how near passages are to it. Made for one call, used on a reader's thread."""

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Semaphore
from typing import Any

import numpy as np

from enhanced_memory.daemon.embedding.index import Floats, Ids, Index, Matrix, cosines, quantised
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.views import View

__all__ = ["Asked"]

LONG = 50_000
"""Vectors from which on it takes a millisecond and more to look through them: worth handing it to another thread."""

_helper = ThreadPoolExecutor(1, "nearest")
_free = Semaphore(1)

_Near = tuple[list[int], list[float] | None]


class Asked:
    """A query's vector beside the vectors of one model."""

    def __init__(self, vector: Floats, index: Index, missed: Callable[[], None]) -> None:
        self._vector = vector
        self._index = index
        self._stored = quantised(vector[None, :])[0].tobytes()
        self._missed = missed
        self._spoken: dict[int, tuple[int, bytes] | None] = {}
        self._begun: tuple[tuple[int, frozenset[int], int], Future[_Near]] | None = None

    @property
    def vector(self) -> Floats:
        """The query's own, of unit length."""
        return self._vector

    @property
    def model(self) -> int:
        """The model that both are of."""
        return self._index.model

    @property
    def looks_among(self) -> bool:
        """Whether `nearest` can be asked of some entities alone: where the vectors are searched in memory."""
        return not self._index.stored

    def begin(self, view: View, count: int, stream: int = 0) -> None:
        """Let the nearest messages be looked for while who asks does something else.

        On a thread beside, where that takes long and lets others run Python. `nearest` with the same bounds takes what it found. Where that
        thread is busy for somebody else, nothing is won by waiting for it.
        """
        matrix = self._index.of_messages
        if matrix.arm is None or not matrix.arm.aside or len(matrix) < LONG or not _free.acquire(blocking=False):
            return
        bounds = count, _spaces(view), stream
        try:
            found = _helper.submit(matrix.nearest, self._vector, *bounds)
        except RuntimeError:  # there is room for no thread: who asks looks by itself
            _free.release()
            return
        found.add_done_callback(lambda _: _free.release())
        self._begun = bounds, found

    def nearest(
        self, tx: Tx, count: int, messages: bool | None = None, stream: int = 0, beside: Collection[int] = (),
        among: Collection[int] = (),
    ) -> list[tuple[int, float]]:  # fmt: skip
        """The nearest passages that the caller's view may see, and their cosines, nearest first.

        Of entities or of `messages` alone where that is said, of one `stream`, and of the entities `among` where some are named
        (`looks_among`). In a view of the past, what has ended since is compared too, exactly. Of passages that share a vector the first
        is told, unless one of them is `beside`: found already.
        """
        view = tx.view
        spaces = _spaces(view)
        found: list[tuple[int, float]] = []
        if self._index.stored:
            for said in (False, True) if messages is None else (messages,):
                found += tx.vectors.near(
                    self._index.model, self._index.dimension, self._stored, count, view, said, stream
                )
        else:
            those = np.fromiter(among, np.int64, len(among)) if among else None
            for matrix, of_messages in ((self._index.of_entities, False), (self._index.of_messages, True)):
                if messages in (None, of_messages):
                    passages, known = self._in(matrix, those, count, spaces, stream)
                    if known is None:
                        found += self._again(tx, passages, count)
                    else:
                        found += zip(passages, known, strict=True)
        if not view.now:
            near = tx.vectors.past_nearest(self._index.model, self._stored, view, messages, stream, count)
            if near is None:
                past = tx.vectors.past(self._index.model, view, messages, stream)
                near = list(zip(past, cosines(self._vector, list(past.values())), strict=True))
            found += near
        # A message shares its vector with none.
        known_already = (
            set(beside)
            if messages
            else {lead for lead, _ in self._spoken_for(tx, beside).values()}
            if beside
            else set[int]()
        )
        best = sorted(found, key=lambda one: -one[1])[:count]
        return [one for one in best if one[0] not in known_already]

    def _in(self, matrix: Matrix, among: Ids | None, *bounds: Any) -> _Near:
        if among is not None:
            return matrix.nearest(self._vector, *bounds, among=among)
        begun = self._begun
        if begun is None or matrix is not self._index.of_messages or begun[0] != bounds:
            return matrix.nearest(self._vector, *bounds)
        self._begun = None
        return begun[1].result()

    def cosines(self, tx: Tx, passages: Collection[int], messages: bool | None = None) -> dict[int, float]:
        """How near given passages are, exactly, each by the vector that speaks for it; one without is left out.

        `messages` says of what they are, where they are all of one kind.
        """
        if messages:
            return self._of_messages(tx, passages)
        spoken = self._spoken_for(tx, passages)
        found = cosines(self._vector, [vector for _, vector in spoken.values()])
        return dict(zip(spoken, found, strict=True))

    def _of_messages(self, tx: Tx, passages: Collection[int]) -> dict[int, float]:
        here = self._index.of_messages.cosines(self._vector, np.array(sorted(passages), np.int64)) or {}
        others = [passage for passage in passages if passage not in here]
        if self._index.stored and others:
            # Numbers travel instead of vectors.
            near = tx.vectors.nearest(self._index.model, self._stored, others, len(others))
            if near is not None:
                return here | dict(near)
        stored = tx.vectors.of(self._index.model, others) if others else {}
        return here | dict(zip(stored, cosines(self._vector, list(stored.values())), strict=True))

    def _spoken_for(self, tx: Tx, passages: Collection[int]) -> dict[int, tuple[int, bytes]]:
        """The vector that speaks for each passage, and the passage that has it; looked up once."""
        unknown = [passage for passage in passages if passage not in self._spoken]
        if unknown:
            self._spoken |= dict.fromkeys(unknown) | tx.vectors.for_each(self._index.model, unknown)
        return {passage: known for passage in passages if (known := self._spoken[passage]) is not None}

    def _again(self, tx: Tx, passages: list[int], count: int) -> list[tuple[int, float]]:
        """The nearest of candidates, by the vectors that the store holds."""
        near = tx.vectors.nearest(self._index.model, self._stored, passages, count)
        if near is None:
            stored = tx.vectors.of(self._index.model, passages)
            near = list(zip(stored, cosines(self._vector, list(stored.values())), strict=True))
        if len(near) < min(count, len(passages)) // 2:
            self._missed()
        return near


def _spaces(view: View) -> frozenset[int]:
    return frozenset(layer.space for layer in view.layers)
