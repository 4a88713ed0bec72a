"""What is near is looked for beside who asks, where that is worth it, and is what would have been found anyway."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from enhanced_memory.daemon.embedding import asked
from enhanced_memory.daemon.embedding.arms import NumpyArm
from enhanced_memory.daemon.embedding.asked import Asked
from enhanced_memory.daemon.embedding.index import Index, Matrix, quantised, unit
from enhanced_memory.daemon.store.views import Layer, View

MANY, DIMENSION = 600, 64
VIEW = View((Layer(1),), ("default",))
TX: Any = SimpleNamespace(view=VIEW)


class Aside(NumpyArm):
    """As faiss is."""

    aside = True


def index(arm: type[NumpyArm], monkeypatch: pytest.MonkeyPatch) -> tuple[Index, Any]:
    monkeypatch.setattr(asked, "LONG", 100)
    given = quantised(np.random.default_rng(3).normal(size=(MANY, DIMENSION)).astype(np.float32))
    made = Index(1, DIMENSION, lambda dimension: Matrix(dimension, arm, exact=50, most_bytes=1 << 20))
    ids = np.arange(1, MANY + 1)
    made.of_messages.add(ids, np.ones_like(ids), ids % 7 + 1, given)
    return made, unit(given)


def free() -> None:
    """Wait until the thread is: it says so a moment after it is done."""
    assert asked._free.acquire(timeout=5)
    asked._free.release()


def begun(one: Asked, count: int, stream: int = 0) -> None:
    free()
    one.begin(VIEW, count, stream)
    assert one._begun is not None


def test_what_is_looked_for_beside_is_what_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    made, vectors = index(Aside, monkeypatch)
    looked: list[tuple[Any, ...]] = []
    nearest = made.of_messages.nearest

    def noted(*bounds: Any) -> Any:
        looked.append(bounds[1:])
        return nearest(*bounds)

    monkeypatch.setattr(made.of_messages, "nearest", noted)
    for query in vectors[:20]:
        one = Asked(query, made, lambda: None)
        begun(one, 10)
        found = one.nearest(TX, 10, messages=True)
        assert looked == [(10, frozenset({1}), 0)]
        assert found == Asked(query, made, lambda: None).nearest(TX, 10, messages=True)
        looked.clear()
        begun(one, 10, 3)
        assert {passage % 7 + 1 for passage, _ in one.nearest(TX, 30, True, 3)} == {3}  # other bounds: looked for anew
        free()
        assert sorted(looked) == [(10, frozenset({1}), 3), (30, frozenset({1}), 3)]
        looked.clear()


def test_nothing_is_handed_over_by_an_arm_that_holds_the_lock_nor_while_somebody_else_s_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, vectors = index(NumpyArm, monkeypatch)
    one = Asked(vectors[0], made, lambda: None)
    one.begin(VIEW, 10)
    assert one._begun is None
    made, vectors = index(Aside, monkeypatch)
    assert asked._free.acquire(timeout=5)
    try:
        one = Asked(vectors[0], made, lambda: None)
        one.begin(VIEW, 10)
        assert one._begun is None
        assert one.nearest(TX, 1, messages=True)[0][0] == 1
    finally:
        asked._free.release()


def test_where_no_thread_can_be_started_who_asks_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise RuntimeError("can't start new thread")

    made, vectors = index(Aside, monkeypatch)
    monkeypatch.setattr(asked._helper, "submit", refused)
    one = Asked(vectors[0], made, lambda: None)
    free()
    one.begin(VIEW, 10)
    free()
    assert one.nearest(TX, 1, messages=True)[0][0] == 1
