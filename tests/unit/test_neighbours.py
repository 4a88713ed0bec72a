"""Near pairs are found without comparing every vector with every other."""

import numpy as np
import pytest

from enhanced_memory.daemon.conflicts import neighbours
from enhanced_memory.daemon.conflicts.neighbours import near_pairs


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_fewer_than_two_have_no_neighbours() -> None:
    assert list(near_pairs(np.zeros((0, 8), np.float32), 0.9)) == []
    assert list(near_pairs(unit(np.ones((1, 8))), 0.9)) == []


def test_a_pair_is_told_once_the_smaller_first_and_never_with_itself() -> None:
    vectors = unit(np.array([[1, 0, 0], [0, 1, 0], [1, 0.01, 0], [0, 0, 1]], np.float32))
    assert list(near_pairs(vectors, 0.9)) == [(0, 2)]


@pytest.mark.parametrize("count", [400, 6000])
def test_most_planted_pairs_are_found_among_many_in_cells(count: int) -> None:
    chance = np.random.default_rng(7)
    vectors = chance.standard_normal((count, 48)).astype(np.float32)
    planted = {(place, place + count // 2) for place in range(count // 2) if place % 10 == 0}
    for one, other in planted:
        vectors[other] = vectors[one] + 0.05 * chance.standard_normal(48)
    found = set(near_pairs(unit(vectors), 0.95))
    assert len(found & planted) >= 0.95 * len(planted)
    assert found <= planted


def test_vectors_without_a_model_are_near_nothing() -> None:
    assert list(near_pairs(np.zeros((50, 8), np.float32), 0.9)) == []


def test_equal_vectors_by_the_thousand_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "CELL", 100)
    vectors = unit(np.ones((3000, 8), np.float32))
    found = list(near_pairs(vectors, 0.9))
    assert 0 < len(found) <= 3000 * neighbours.NEIGHBOURS
