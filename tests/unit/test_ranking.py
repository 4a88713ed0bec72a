"""Ranking: an entity's best passage decides, more of them help, and a name that is the query leads."""

from typing import Any

import pytest

from enhanced_memory.daemon.ranking import (
    EXACT_NAME,
    IMPORTANCE,
    NAME_HOLDS,
    NAME_STARTS,
    RECENCY,
    REST,
    SAME_NAME,
    SNIPPET_CHARS,
    Line,
    Standing,
    by_entity,
    fused,
    name_bonus,
    order,
    snippet,
    standing,
    without_echoes,
)
from enhanced_memory.daemon.store.words import Candidate


def passage(entity: int, score: float, part: int = 1) -> Candidate:
    return Candidate(0, score, 1, entity, part, 0, 1, 0)


def test_an_entity_scores_by_its_best_passage_and_a_share_of_the_rest() -> None:
    scored = by_entity([passage(1, 2.0), passage(2, 3.0), passage(1, 4.0), passage(1, 1.0)])
    assert {entity: score for entity, (score, _) in scored.items()} == {1: 4.0 + REST * 3.0, 2: 3.0}
    assert [one.score for one in scored[1][1]] == [4.0, 2.0, 1.0]
    assert by_entity([]) == {}


def test_many_middling_passages_do_not_beat_one_that_is_far_better() -> None:
    scored = by_entity([passage(1, 10.0), *(passage(2, 2.0) for _ in range(5))])
    assert scored[1][0] > scored[2][0]


@pytest.mark.parametrize(
    ("name", "query", "bonus"),
    [
        ("Ada", "Ada", EXACT_NAME),
        ("ada", "ADA", SAME_NAME),
        ("STRASSE", "straße", SAME_NAME),
        ("Ada Lovelace", "ada", NAME_STARTS),
        ("Countess Ada", "ada", NAME_HOLDS),
        ("Bob", "ada", 0.0),
        ("Bob", "", 0.0),
        ("", "", EXACT_NAME),
    ],
)
def test_a_name_gains_by_how_much_of_it_is_the_query(name: str, query: str, bonus: float) -> None:
    assert name_bonus(name, query) == bonus


def test_an_exact_name_comes_before_any_other() -> None:
    assert EXACT_NAME > SAME_NAME > NAME_STARTS > NAME_HOLDS > 0


def test_short_text_is_its_own_snippet() -> None:
    assert snippet("short", ["x"]) == "short"
    assert snippet("", ["x"]) == ""


def test_long_text_is_shortened_around_what_was_found() -> None:
    text = "a " * 300 + "needle" + " b" * 300
    cut = snippet(text, ["needle"])
    assert "needle" in cut
    assert cut.startswith("…")
    assert cut.endswith("…")
    assert len(cut) <= SNIPPET_CHARS + 2
    assert "needle" in snippet(text, ["needles"])


def test_a_snippet_of_text_that_holds_no_term_is_its_beginning_and_near_the_end_is_its_end() -> None:
    text = "".join(f"{number:04} " for number in range(200))
    assert snippet(text, ["nothing"]).startswith("0000")
    assert snippet(text, []).endswith("…")
    assert snippet(text + "needle", ["needle"]).endswith("needle")


def said(passage: int, words: float = 1.0, **more: Any) -> Line:
    given = {"meaning": 0.0, "speaker": "Ada", "role": "user", "length": 10, "stream": passage, "age_ms": 1 << 50}
    return Line(passage, words, **(given | more))


def first(query: str, *lines: Line) -> int:
    return order(query, list(lines))[0].line.passage


def test_both_arms_count_as_shares_of_their_best() -> None:
    assert fused({1: 10.0, 2: 5.0}, {2: 0.8, 3: 0.4}) == {1: 0.5, 2: 0.25 + 0.5, 3: 0.25}
    assert fused({1: 10.0, 2: 5.0}, {}) == {1: 1.0, 2: 0.5}
    assert fused({}, {3: 0.5}) == {3: 0.5}
    assert fused({}, {}) == {}


@pytest.mark.parametrize(
    ("query", "better"),
    [
        ("what did Bob say", {"speaker": "Bob Smith"}),
        ("words", {"length": 40}),
        ("words", {"age_ms": 0}),
        ("words", {"importance": 1.0}),
    ],
)
def test_a_prior_decides_between_equals(query: str, better: dict[str, Any]) -> None:
    assert first(query, said(1), said(2, **better)) == 2
    assert first(query, said(1, **better), said(2)) == 1


def test_the_first_person_asks_for_the_user_s_own_turns_where_others_speak_too() -> None:
    assert first("where is my bag", said(1, role="assistant"), said(2)) == 2
    assert first("where is the bag", said(1, role="assistant"), said(2)) == 1


def test_a_name_that_everybody_answers_to_tells_nobody_apart() -> None:
    assert first("Ada", said(1), said(2, speaker="ada lovelace")) == 1


def test_a_stream_with_a_good_answer_lifts_what_else_it_says() -> None:
    ranked = order("words", [said(1, 10.0, stream=7), said(2, 4.0, stream=8), said(3, 4.0, stream=7)])
    assert [one.line.passage for one in ranked] == [1, 3, 2]


def test_priors_that_nothing_measured_never_outweigh_a_name() -> None:
    most = standing(Standing(tier=3, priority=10, importance=1e9, pinned=True, age_ms=-5))
    assert sum(most.values()) < NAME_STARTS + REST
    assert most["importance"] == IMPORTANCE
    assert sum(standing(Standing()).values()) == RECENCY


def test_the_parts_of_a_score_add_up_to_it() -> None:
    for one in without_echoes(
        order("what did Ada say", [said(1, 3.0), said(2, 2.0), said(3)]), {1: "x", 2: "X ", 3: "y"}
    ):
        assert sum(one.explained.values()) == pytest.approx(one.score)


def test_what_says_the_same_once_more_goes_back() -> None:
    ranked = order("words", [said(1, 3.0), said(2, 2.9), said(3, 2.0)])
    again = without_echoes(ranked, {1: "See you  soon", 2: "see you soon", 3: "something else"})
    assert [one.line.passage for one in again] == [1, 3, 2]
    assert again[-1].repeated < 0
