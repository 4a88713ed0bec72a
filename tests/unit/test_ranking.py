"""Ranking: an entity's best passage decides, more of them help, and a name that is the query leads."""

import pytest

from enhanced_memory.daemon.ranking import (
    EXACT_NAME,
    NAME_HOLDS,
    NAME_STARTS,
    REST,
    SAME_NAME,
    SNIPPET_CHARS,
    by_entity,
    name_bonus,
    snippet,
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
