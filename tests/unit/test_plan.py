"""The plan of a query: rare words first, common ones only together, and never much more than the budget."""

from hypothesis import given, settings
from hypothesis import strategies as st

from enhanced_memory.daemon.store.plan import Step, budget_of, steps


def test_a_query_of_few_matches_is_put_as_it_is() -> None:
    assert steps({'"a"': 10, '"b"': 20}, 100_000, 100_000, 100) == [Step('"a" OR "b"')]


def test_words_that_nothing_holds_are_not_asked_for() -> None:
    assert steps({'"a"': 0, '"b"': 5}, 100, 100, 100) == [Step('"b"')]
    assert steps({'"a"': 0}, 100, 100, 100) == []
    assert steps({}, 100, 100, 100) == []


def test_rare_words_come_first_and_common_ones_together() -> None:
    found = steps({"r": 10, "c": 500, "d": 600, "e": 700}, 10_000, 10_000, 100)
    assert [step.match for step in found] == ["(r) AND (c OR d OR e)", "(c) AND (d) AND (e)", "r", "r OR c OR d OR e"]
    assert [step.floor > 0 for step in found] == [False, False, False, True]


def test_a_word_in_every_tenth_passage_is_left_out_where_there_are_rarer_ones() -> None:
    counts = {"a": 10, "b": 20, "c": 30, "everywhere": 9000}
    assert steps(counts, 10_000, 10_000, 100)[0] == Step("a OR b OR c")
    assert "everywhere" in steps({"a": 10, "everywhere": 9000}, 10_000, 10_000, 100)[0].match


def test_one_common_word_is_looked_for_in_the_newest_passages() -> None:
    (only,) = steps({"all": 1_000_000}, 1_000_000, 5_000_000, 1000)
    assert only == Step("all", 5_000_000 - 4_000, 5_000_000)


@given(
    st.dictionaries(st.sampled_from("abcdefghijkl"), st.integers(0, 1_000_000), max_size=12),
    st.integers(1, 10_000),
)
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_no_word_stands_twice_in_a_step_and_the_last_one_has_them_all(counts: dict[str, int], budget: int) -> None:
    found = steps(counts, 1_000_000, 1_000_000, budget)
    for step in found:
        words = [char for char in step.match if char.islower()]
        assert len(words) == len(set(words))
    known = {one for one, count in counts.items() if count}
    assert bool(found) == bool(known)
    if found:
        assert {char for char in found[-1].match if char.islower()} == known
        assert all(step.floor >= 0 for step in found)


def test_a_query_may_score_a_share_of_the_passages_within_bounds() -> None:
    assert [budget_of(total) for total in (0, 10_000, 150_000, 1_000_000)] == [2_000, 2_000, 3_000, 4_000]
