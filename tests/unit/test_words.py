"""Words: what a query asks for, and how it is put to the index so that nothing in it is an operator."""

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhanced_memory.daemon.store.terms import (
    _SEAM,
    MAX_TERMS,
    STOP_WORDS,
    _seamed,
    all_plain,
    indexable,
    match_all,
    match_any,
    terms,
)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", []),
        ("   \t\n", []),
        ("steam engine", ["steam", "engine"]),
        ("the steam of an engine", ["steam", "engine"]),
        ("what is it", ["what", "is", "it"]),
        ("The THE the", ["The", "THE", "the"]),
        ("steam steam steam", ["steam"]),
        ("don't stop", ["don", "stop"]),
        ('say "hello, world"!', ["say", "hello", "world"]),
        ("(a OR b) AND NOT c*", ["b", "c"]),
        ("node.js v1.2-rc", ["node.js", "v1.2-rc"]),
        ("user@example.org #tag $5", ["user@example.org", "tag", "5"]),
        ("... --- ???", []),
        ("a\0b", ["b"]),
        ("1,000,000 things, 2", ["1,000,000", "things", "2"]),
        ("日本", ["日本"]),
        ("東京、大阪。", ["東京", "大阪"]),
        ("🙂", []),
    ],
)
def test_a_query_asks_for_its_telling_words_once_each(query: str, asked: list[str]) -> None:
    assert terms(query) == asked


def test_a_query_asks_for_no_more_words_than_the_limit() -> None:
    assert len(terms(" ".join(f"w{number}" for number in range(1000)))) == MAX_TERMS


def test_stop_words_are_lower_case_and_hold_what_says_nothing() -> None:
    assert all(word == word.lower() for word in STOP_WORDS)
    assert {"the", "and", "is", "of"} <= STOP_WORDS
    assert not {"engine", "no-one", "work"} & STOP_WORDS


@pytest.mark.parametrize(
    ("text", "indexed"),
    [
        ("plain text", "plain text"),
        ("naïve Αθήνα हिन्दी", "naive Αθηνα हिन्दी"),
        ("東京都", " 東京 京都 都 "),
        ("日", " 日 "),
        ("in 東京 now", "in  東京 京  now"),
        ("한국어", " 한국 국어 어 "),
        ("カナ漢字", " カナ ナ漢 漢字 字 "),
        ("ＡＢＣ１２３ ﾃｽﾄ", "ABC123 ABC 123  テス スト ト "),
        ("Straße", "Strasse"),
        ("parseHttpRequest(url)", "parseHttpRequest(url) parse Http Request(url)"),
        ("HTTPServer at /usr/lib/v2.1.0-rc1", "HTTPServer HTTP Server at /usr/lib/v2.1.0-rc1 /usr/lib/v 2.1.0-rc 1"),
        ("snake_case stays", "snake_case stays"),
    ],
)
def test_scripts_without_spaces_are_indexed_in_pairs(text: str, indexed: str) -> None:
    assert indexable(text) == indexed


def test_terms_are_quoted_and_joined() -> None:
    assert match_any("steam engine") == '"steam" OR "engine"'
    assert match_all("steam engine") == '"steam" AND "engine"'
    assert match_any("") == match_all("") == ""
    assert match_any("東京都") == '"東京" OR "京都"'
    assert match_any("東京の天気") == '"東京" OR "天気"'
    assert match_any("これは") == '"これ"'
    assert match_any("のは") == '"のは"'
    assert match_any("iPhone手机") == '"手机" OR ("iPhone" OR "i Phone")'
    assert match_any("parse_http v2.1") == '"parse_http" OR ("v2.1" OR "v 2.1" OR "2.1")'
    assert match_any("日") == '"日"*'
    assert match_any("near:x") == '"near" OR "x"'


@given(st.text(max_size=40) | st.text(st.sampled_from("\"'*^:()+-{}[]\0 aORNDTE日本,."), max_size=30))
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_whatever_is_typed_is_a_query_that_the_index_takes(query: str) -> None:
    for match in (match_any(query), match_all(query)):
        if match:
            match.encode("utf-8", "surrogatepass")
            try:
                INDEX.execute("SELECT rowid FROM words WHERE words MATCH ?", (match,)).fetchall()
            except UnicodeEncodeError:
                assert any("\ud800" <= char <= "\udfff" for char in query)  # the wire refuses those


INDEX = apsw.Connection(":memory:")
INDEX.execute("CREATE VIRTUAL TABLE words USING fts5 (name, body, tokenize = 'porter unicode61 remove_diacritics 2')")


@given(st.text(st.sampled_from("abZQ09 _-é文ß"), max_size=8))
def test_the_quick_look_for_seams_sees_what_the_pattern_sees(text: str) -> None:
    assert _seamed(text) == bool(_SEAM.search(text))


@given(st.lists(st.text(st.sampled_from("abZQ09 _-é文\n"), max_size=6), max_size=4))
def test_texts_are_plain_together_where_the_index_takes_each_as_it_is(texts: list[str]) -> None:
    assert all_plain(texts) == all(text.isascii() and not _seamed(text) for text in texts)
    assert not all_plain(texts) or [indexable(text) for text in texts] == texts
