"""Words as PostgreSQL's index takes them: cut, stemmed, placed; and expressions as it is asked for them."""

from __future__ import annotations

import pytest

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.daemon.store.postgres.lexemes import tokens, vector
from enhanced_memory.daemon.store.postgres.matching import parsed
from enhanced_memory.daemon.store.postgres.statements import filled
from enhanced_memory.daemon.store.terms import expressions, indexable, match_all


def test_words_are_cut_lowered_and_stemmed() -> None:
    assert tokens("Running_dogs, RELATIONAL databases!") == ["run", "dog", "relat", "databas"]


def test_a_word_of_which_stemming_leaves_nothing_stays() -> None:
    assert all(tokens(word) for word in ("s", "ed", "ing", "ies", "y"))


def test_lexemes_say_where_they_stand_and_how_long_all_of_it_is() -> None:
    length, said = vector(("Ada", "tea, green tea", "", "3 May 2026"))
    assert length == 7
    assert said == "'ada':1A 'tea':3B,5B 'green':4B '3':8D 'mai':9D '2026':10D"


def test_a_text_too_long_for_one_vector_is_found_by_its_beginning() -> None:
    said = vector(("", " ".join(f"word{number}" for number in range(200_000)), "", ""))[1]
    assert "'word7':" in said
    assert "'word199999':" not in said
    assert len(said) < 2**20


@pytest.mark.parametrize(
    ("expression", "query"),
    [
        ('"tea"', "'tea'"),
        ('"green tea"', "('green' <-> 'tea')"),
        ('"a" OR "b" AND "c"', "('a' | ('b' & 'c'))"),
        ('("a" OR "b") AND ("c")', "(('a' | 'b') & 'c')"),
        ('name : ("ada" OR "bob")', "('ada':A | 'bob':A)"),
        ('"東"*', "'東':*"),
        ('"---"', ""),
        ('"---" OR "tea"', "'tea'"),
        ('"---" AND "tea"', ""),
    ],
)
def test_an_expression_is_read(expression: str, query: str) -> None:
    assert parsed(expression).query == query


@pytest.mark.parametrize(
    "wrong", ["", "(", '"a" "b"', '"a" OR', 'nowhere : ("a")', '"a") OR ("b"', "'; DROP TABLE words"]
)
def test_what_is_no_expression_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):
        parsed(wrong)


@pytest.mark.parametrize(
    "typed", ["green teas", "parseHttpRequest v2", "東京タワー", 'it\'s "quoted" & | ! <-> :*', "a\\'b"]
)
def test_whatever_is_typed_is_an_expression_and_finds_itself(typed: str) -> None:
    matching = parsed(match_all(typed))
    known = {entry.split("'")[1] for entry in vector(("", indexable(typed), "", ""))[1].split()}
    assert expressions(typed)
    assert (
        all(lexeme in known for phrase in matching.phrases if not phrase.prefix for lexeme in phrase.lexemes)
        or "v2" in typed
    )


def test_a_phrase_without_end_is_sought_by_its_beginning() -> None:
    (phrase,) = parsed('"' + "word " * 5000 + '"').phrases
    assert len(phrase.lexemes) == 100


def test_values_are_numbered_and_travel_as_their_place_says() -> None:
    asked = filled("-- a comment with :one\nSELECT :one, :ids::bigint[], :one, 'x'::text WHERE a <= :two::halfvec")
    assert asked.text == b"SELECT $1, $2::bigint[], $1, 'x'::text WHERE a <= $3::halfvec"
    assert asked.values({"one": 1, "ids": "[1,2]", "two": bytes([1, 255])}) == [1, "{1,2}", "[1,-1]"]
