"""What fits, what is cut, and that going on from each cut gives everything once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.client.errors import Invalid
from enhanced_memory.mcp_server.tools.budget import cut_to, first_that_fit, read_cursor, size_of, write_cursor

_ENTITIES = st.lists(
    st.lists(st.text(max_size=30), max_size=8).map(
        lambda said: {
            "name": "n",
            "entityType": "t",
            "observations": said,
            "provenance": [{"id": at} for at in range(len(said))],
        }
    ),
    max_size=8,
)


@given(_ENTITIES, st.integers(50, 2000))
def test_going_on_from_each_cut_tells_everything_once(entities: list[dict[str, Any]], budget: int) -> None:
    told: list[list[str]] = [[] for _ in entities]
    place, said = 0, 0
    for _ in range(200):
        cut = cut_to(entities[place:], budget, said)
        for offset, shown in enumerate(cut.shown):
            told[place + offset] += shown["observations"]
            assert len(shown["provenance"]) == len(shown["observations"])
        assert cut.whole or cut.said > said or not entities[place:]
        place, said = place + cut.whole, cut.said
        if place == len(entities):
            break
    assert told == [entity["observations"] for entity in entities]


@given(_ENTITIES, st.integers(50, 2000))
def test_a_cut_is_no_larger_than_its_budget_unless_one_observation_is(
    entities: list[dict[str, Any]], budget: int
) -> None:
    cut = cut_to(entities, budget)
    if sum(map(size_of, cut.shown)) > budget:
        assert len(cut.shown) == 1
        assert len(cut.shown[0]["observations"]) <= 1


def test_an_entity_that_is_cut_says_how_much_is_left_and_how_much_was_told_before() -> None:
    entity = {"name": "n", "observations": ["x" * 100] * 10}
    first = cut_to([entity], 500)
    assert first.whole == 0
    assert first.shown[0]["observationsLeft"] == 10 - first.said
    second = cut_to([entity], 500, first.said)
    assert second.shown[0]["observationsBefore"] == first.said


def test_the_first_that_fit_are_taken_and_none_after_one_that_does_not() -> None:
    assert first_that_fit(["a", "b" * 50, "c"], 20) == ["a"]
    assert first_that_fit([], 20) == []


def test_a_cursor_is_read_back_and_any_other_text_is_refused() -> None:
    assert read_cursor(write_cursor("x", 3, 0), str, int, int) == ["x", 3, 0]
    for bad in ("", "x", "ü", write_cursor(1), write_cursor("a", 1, 1), write_cursor(-1, 1), "W10", "W3RydWUsMV0"):
        with pytest.raises(Invalid, match="cursor"):
            read_cursor(bad, int, int)
