"""Vectors in memory: what is near is found, by every arm alike, while vectors come and go."""

import threading

import numpy as np
import pytest

from enhanced_memory.daemon.embedding import arms
from enhanced_memory.daemon.embedding.arms import NumpyArm, self_test
from enhanced_memory.daemon.embedding.index import Index, Matrix, cosines, quantised, unit
from enhanced_memory.daemon.embedding.weighing import turned

DIMENSION = 192
MANY = 3000


def vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> np.ndarray:
    return quantised(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def filled(
    arm: type = NumpyArm, count: int = MANY, exact: int = 100, dimension: int = DIMENSION, most_bytes: int = 0
) -> tuple[Matrix, np.ndarray]:
    """A matrix of passages 1 to `count`; odd ones in space 1, even ones in space 2; entity = passage % 10 + 1."""
    matrix, given = Matrix(dimension, arm, exact, most_bytes), vectors(count, dimension=dimension)
    ids = np.arange(1, count + 1)
    for begin in range(0, count, 700):
        part = ids[begin : begin + 700]
        matrix.add(part, 2 - part % 2, part % 10 + 1, given[begin : begin + 700])
    return matrix, given


ARMS = [pytest.param(NumpyArm, id="numpy")]
try:
    arms.FaissArm()
    ARMS.append(pytest.param(arms.FaissArm, id="faiss"))
except ImportError:
    ARMS.append(pytest.param(None, id="faiss", marks=pytest.mark.skip("the extra `scale` is not installed")))


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_finds_the_nearest_of_known_vectors(arm: type) -> None:
    assert self_test(arm()) == ""


def test_an_arm_that_answers_wrongly_is_found_out() -> None:
    class Wrong(NumpyArm):
        def nearest(self, bits, asked, count, allowed):
            return np.arange(count)

    assert "nearest" in self_test(Wrong())


def test_where_faiss_answers_wrongly_numpy_is_chosen_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(NumpyArm):
        def nearest(self, bits, asked, count, allowed):
            return np.arange(count)

    monkeypatch.setattr(arms, "FaissArm", Wrong)
    arm, problem = arms.choose()
    assert arm.name == "NumPy"
    assert "faiss" in problem


def test_where_faiss_cannot_be_imported_numpy_is_chosen_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise ImportError

    monkeypatch.setattr(arms, "FaissArm", absent)
    arm, problem = arms.choose()
    assert (arm.name, problem) == ("NumPy", "")


@pytest.mark.parametrize("dimension", [3, 64, 192, 300, 384])
@pytest.mark.parametrize("arm", ARMS)
def test_a_stored_vector_is_found_by_itself(arm: type, dimension: int) -> None:
    matrix, given = filled(arm, dimension=dimension)
    for passage in (1, 77, MANY):
        found, known = matrix.nearest(unit(given[passage - 1 : passage])[0], 10)
        assert known is None
        assert passage in found or dimension == 3  # eight patterns of signs say little


@pytest.mark.parametrize("arm", ARMS)
def test_signs_and_a_second_look_find_what_comparing_all_finds(arm: type) -> None:
    # As vectors of texts are: most of what tells them apart lies in few directions.
    chance = np.random.default_rng(5)
    few = chance.normal(size=(24, DIMENSION)).astype(np.float32)
    alike = chance.normal(size=(20_040, 24)).astype(np.float32) @ few
    alike += chance.normal(scale=1.0, size=alike.shape).astype(np.float32)
    given, queries = quantised(alike[:20_000]), unit(quantised(alike[20_000:]))
    matrix, ids = Matrix(DIMENSION, arm, 100), np.arange(1, 20_001)
    matrix.add(ids, ids * 0 + 1, ids, given)
    everything = unit(given)
    hits = 0
    for query in queries:
        best = set((np.argsort(-(everything @ query))[:10] + 1).tolist())
        candidates, _ = matrix.nearest(query, 10)
        again = sorted(candidates, key=lambda passage: -float(everything[passage - 1] @ query))[:10]
        hits += len(best & set(again))
    assert hits / 400 >= 0.95


@pytest.mark.parametrize("dimension", [3, 192, 300, 1000])
def test_a_rotation_leaves_angles_as_they_are_and_is_the_same_each_time(dimension: int) -> None:
    given = unit(vectors(20, dimension=dimension))
    after = turned(given)
    assert after @ after.T == pytest.approx(given @ given.T, abs=1e-5)
    assert np.array_equal(turned(given[3]), turned(given[3].copy()))
    assert turned(given[3]) == pytest.approx(after[3], abs=1e-5)


def test_more_signs_than_components_are_those_of_further_rotations() -> None:
    given = unit(vectors(400, dimension=192))
    wide = turned(given, 512)
    assert wide.shape == (400, 512)
    assert np.array_equal(wide[:, :192], turned(given))
    angles = np.arccos(np.clip(given @ given[0], -1, 1))
    missed = [
        np.abs(np.mean((turned(given, many) > 0) != (turned(given[0], many) > 0), axis=1) * np.pi - angles).mean()
        for many in (192, 256, 512)
    ]
    assert missed == sorted(missed, reverse=True)  # the more signs, the nearer to the angle is the share that differs


def test_what_is_near_is_found_where_few_components_say_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyArm, "least", 100)  # the nearest are to be among one in fifty
    chance = np.random.default_rng(6)
    sizes = np.linspace(4.0, 0.5, DIMENSION) ** 1.5
    far = chance.normal(size=(20_050, DIMENSION)).astype(np.float32) * sizes + sizes
    given, queries = quantised(far[:20_000]), unit(quantised(far[20_000:]))
    matrix, ids = Matrix(DIMENSION, exact=100, most_bytes=1 << 30), np.arange(1, 20_001)
    matrix.add(ids, ids * 0 + 1, ids, given)
    everything = unit(given)
    hits = 0
    for query in queries:
        best = set((np.argsort(-(everything @ query))[:10] + 1).tolist())
        hits += len(best & set(matrix.nearest(query, 10)[0]))
    assert hits / 500 >= 0.6  # 0.23 by the signs as they are


@pytest.mark.parametrize("arm", ARMS)
def test_vectors_that_are_here_as_they_are_stored_need_no_second_look(arm: type) -> None:
    matrix, given = filled(arm, most_bytes=1 << 20)
    everything = unit(given)
    matrix.drop([5, 6])
    matrix.add(np.array([7, MANY + 1]), np.array([1, 1]), np.array([1, 1]), given[[9, 10]])
    everything[6] = everything[9]
    matrix.drop(range(1000, 2000))
    matrix.compact()
    for passage in (7, 77, MANY):
        query = everything[passage - 1]
        found, known = matrix.nearest(query, 10)
        assert known is not None
        assert known[0] == pytest.approx(1.0, abs=1e-5)
        assert passage in found[:2]
        assert known == pytest.approx([everything[one - 1] @ query if one <= MANY else everything[10] @ query for one in found], abs=1e-5)  # fmt: skip
        assert known == sorted(known, reverse=True)
    told = matrix.cosines(everything[0], np.array([1, 5, 7, 1500, 2500, 99_999]))
    assert told == pytest.approx({one: float(everything[one - 1] @ everything[0]) for one in (1, 7, 2500)}, abs=1e-5)


def test_vectors_that_outgrow_their_room_are_looked_up_again() -> None:
    matrix, given = filled(most_bytes=2000 * (DIMENSION + 4))
    assert matrix.nearest(unit(given[:1])[0], 10)[1] is None
    assert matrix.cosines(unit(given[:1])[0], np.array([1])) is None
    assert filled(exact=10_000)[0].cosines(unit(given[:1])[0], np.array([1])) == pytest.approx({1: 1.0}, abs=1e-5)


def test_few_vectors_are_compared_exactly_and_come_nearest_first() -> None:
    matrix, given = filled(exact=10_000)
    query = unit(vectors(1, seed=9))[0]
    found, known = matrix.nearest(query, 10)
    scores = unit(given) @ query
    assert found == (np.argsort(-scores, kind="stable")[:10] + 1).tolist()
    assert known == pytest.approx(np.sort(scores)[::-1][:10].tolist(), abs=1e-6)


@pytest.mark.parametrize("exact", [100, 10_000])
@pytest.mark.parametrize("arm", ARMS)
def test_what_was_dropped_is_not_found_and_can_come_back(arm: type, exact: int) -> None:
    matrix, given = filled(arm, exact=exact)
    query = unit(given[41:42])[0]
    matrix.drop([42, 999_999])
    assert 42 not in matrix.nearest(query, 10)[0]
    assert len(matrix) == MANY - 1
    matrix.add(np.array([42]), np.array([2]), np.array([3]), given[41:42])
    assert 42 in matrix.nearest(query, 10)[0]
    assert len(matrix) == MANY


@pytest.mark.parametrize("exact", [100, 10_000])
@pytest.mark.parametrize("arm", ARMS)
def test_spaces_and_entities_are_filtered_before_the_cut(arm: type, exact: int) -> None:
    matrix, given = filled(arm, exact=exact)
    query = unit(given[41:42])[0]
    assert all(passage % 2 for passage in matrix.nearest(query, 50, frozenset([1]))[0])
    assert len(matrix.nearest(query, 50, frozenset([1]))[0]) >= 50
    assert {passage % 10 for passage in matrix.nearest(query, 50, None, 3)[0]} == {2}
    assert matrix.nearest(query, 50, frozenset([7]))[0] == []


@pytest.mark.parametrize("exact", [100, 10_000])
@pytest.mark.parametrize("arm", ARMS)
def test_moving_together_loses_nothing_and_gives_the_room_back(arm: type, exact: int) -> None:
    matrix, given = filled(arm, exact=exact)
    matrix.drop(range(1, 2001))
    assert matrix.wasted
    matrix.compact()
    assert not matrix.wasted
    assert matrix.rows_held == len(matrix) == 1000
    for passage in (2001, MANY):
        assert passage in matrix.nearest(unit(given[passage - 1 : passage])[0], 10)[0]
    assert 5 not in matrix.nearest(unit(given[4:5])[0], 400)[0]


@pytest.mark.parametrize("exact", [100, 10_000])
def test_passages_may_come_out_of_order(exact: int) -> None:
    matrix, given = filled(exact=exact, count=600)
    late = vectors(3, seed=3)
    matrix.drop([10])
    matrix.add(np.array([700, 0, 10]), np.array([1, 1, 1]), np.array([1, 1, 1]), late)
    for place, passage in enumerate((700, 0, 10)):
        assert matrix.nearest(unit(late[place : place + 1])[0], 1)[0][0] == passage or exact == 100
        assert passage in matrix.nearest(unit(late[place : place + 1])[0], 10)[0]
    assert 300 in matrix.nearest(unit(given[299:300])[0], 10)[0]
    assert len(matrix) == 602


def test_readers_go_on_while_others_write() -> None:
    matrix, given = filled(count=2000)
    problems: list[BaseException] = []
    over = threading.Event()

    def read() -> None:
        try:
            while not over.is_set():
                found, _ = matrix.nearest(unit(given[6:7])[0], 5)
                assert 7 in found
        except BaseException as problem:
            problems.append(problem)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    more = vectors(3000, seed=8)
    for round_ in range(10):
        ids = np.arange(10_000 + round_ * 300, 10_300 + round_ * 300)
        matrix.add(ids, ids * 0 + 1, ids * 0 + 1, more[round_ * 300 : round_ * 300 + 300])
        matrix.drop(range(1000 + round_ * 100, 1100 + round_ * 100))
        matrix.compact()
    over.set()
    for reader in readers:
        reader.join()
    assert problems == []


def test_an_index_keeps_entities_and_messages_apart_and_refuses_another_dimension() -> None:
    index = Index(1, 4)
    index.add(
        [(1, bytes([127, 0, 0, 0]), 1, 5, False), (2, bytes([127, 0, 0, 0]), 1, 6, True), (3, b"\1\2", 1, 6, True)]
    )
    assert (len(index.of_entities), len(index.of_messages)) == (1, 1)
    index.drop([1, 2])
    assert len(index) == 0
    assert index.of_entities.nearest(np.array([1, 0, 0, 0], np.float32), 5) == ([], [])


def test_a_vector_of_zeros_is_near_nothing() -> None:
    assert cosines(np.array([1, 0], np.float32), [bytes([0, 0]), bytes([127, 0])]) == [0.0, pytest.approx(1.0)]
    assert quantised(np.zeros((1, 4), np.float32)).tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize(
    ("exact", "most_bytes"), [(10_000, 0), (100, 0), (100, 1 << 30)], ids=["exact", "signs", "stored"]
)
def test_the_nearest_are_looked_for_among_some_entities(
    arm: type, exact: int, most_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm, "least", 60)  # so that some are more than it finds at the least
    matrix, given = filled(arm, exact=exact, most_bytes=most_bytes)
    everything = unit(given)
    for among, passage in (([3], 2), ([1, 5, 9], 1004), (list(range(2, 11)), 77), ([3, 999], 12)):
        query = unit(given[passage - 1 : passage])[0]
        found, known = matrix.nearest(query, 10, among=np.array(among))
        assert {one % 10 + 1 for one in found} <= set(among)
        assert passage in found
        assert (known is None) == (not most_bytes and exact == 100)
        if exact > MANY:
            theirs = [one for one in range(1, MANY + 1) if one % 10 + 1 in among]
            assert found == sorted(theirs, key=lambda one: -float(everything[one - 1] @ query))[:10]
    assert matrix.nearest(query, 10, among=np.array([11, 12]))[0] == []
    assert {one % 2 for one in matrix.nearest(query, 10, frozenset([1]), among=np.array([2, 3]))[0]} == {1}
