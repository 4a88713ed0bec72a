"""Sentences: cut where a reader would, and never longer than asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhanced_memory.daemon.sentences import sentences


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("I came. I saw! Did I win?", ["I came.", "I saw!", "Did I win?"]),
        ("Dr. Grey met Mrs. Poole at 5 p.m. on Friday.", ["Dr. Grey met Mrs. Poole at 5 p.m. on Friday."]),
        ("It costs 3.50 euros, e.g. at the U.S. shop.", ["It costs 3.50 euros, e.g. at the U.S. shop."]),
        ("We use v2.4.1 of app.py. It works.", ["We use v2.4.1 of app.py.", "It works."]),
        ("J. R. Hartley wrote it.", ["J. R. Hartley wrote it."]),
        ("“Go home.” He went.", ["“Go home.”", "He went."]),
        ("我喜欢茶。你呢？", ["我喜欢茶。", "你呢？"]),
        ("one line\nanother line", ["one line", "another line"]),
        ("1. Write tests\n2. Ship", ["1. Write tests", "2. Ship"]),
        ("wait ... what? ok", ["wait ...", "what?", "ok"]),
        ("", []),
        (" \n\t\n ", []),
    ],
)
def test_a_text_is_cut_where_a_reader_would_cut_it(text: str, cut: list[str]) -> None:
    assert [one.text for one in sentences(text)] == cut


def test_a_wrapped_line_is_one_sentence_and_a_list_is_several() -> None:
    wrapped = "We decided to keep the old parser until the new one has been\ntried by somebody else.\n- first\n- second"
    assert [one.text.split()[0] for one in sentences(wrapped)] == ["We", "-", "-"]


def test_a_text_without_any_end_is_cut_between_words() -> None:
    cut = sentences("word " * 50_000, longest=1000)
    assert max(len(one.text) for one in cut) <= 1000
    assert {word for one in cut for word in one.text.split()} == {"word"}


@given(st.text(alphabet=st.sampled_from("ab .!?\n。\"'A1,"), max_size=300))
@settings(max_examples=150, deadline=None)
def test_nothing_but_space_is_lost_between_sentences(text: str) -> None:
    cut = sentences(text)
    assert "".join("".join(one.text.split()) for one in cut) == "".join(text.split())
    assert all(text[one.start : one.end] == one.text for one in cut)
