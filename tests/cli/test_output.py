"""What reaches a terminal, a pipe and a program."""

import io
import json
import re
from datetime import UTC, datetime

import pytest

from enhanced_memory.client.cli.output import Paper, json_text, size, visible
from enhanced_memory.client.values import Entity, Filter


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(stream: io.StringIO, text: str) -> str:
    paper = Paper(stream)
    paper.table(("name",), [(text,)])
    paper.facts([("name", text)])
    paper.head(text)
    paper.line(text)
    return stream.getvalue()


EVIL = "a\x1b]0;owned\x07b\x9b31mc\u202ed\u2066e\u200bf\U000e0041g\rh\x00\x7f"


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_that_steers_a_terminal_is_printed(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    said = printed(Terminal() if terminal else io.StringIO(), EVIL)
    said = re.sub(r"\x1b\[[0-9;]*m", "", said)  # rich's own bold, which NO_COLOR leaves
    assert "\\x1b]0;owned\\x07b\\x9b31mc\\u202ed" in said
    assert not [c for c in said if c != "\n" and not c.isprintable()]


def test_brackets_are_text_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert (
        printed(Terminal(), "[red]x[/red] :smile: [link=http://a]y[/link]").count(
            "[red]x[/red] :smile: [link=http://a]y[/link]"
        )
        == 4
    )


def test_a_terminal_without_colour_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3\d", printed(Terminal(), "x"))


def test_a_pipe_gets_plain_text_that_is_never_cut() -> None:
    text = "x" * 5000
    said = printed(io.StringIO(), text)
    assert said.count(text) == 4
    assert "\x1b" not in said


def test_people_s_writing_stays_as_it_is() -> None:
    for text in ("Übergröße", "日本語", "שלום", "می‌خواهم", "👩‍👩‍👧", "naïve café"):
        assert visible(text) == text


def test_lines_are_kept_where_they_are_wanted_and_nowhere_else() -> None:
    assert visible("a\nb\tc") == "a\\nb\\tc"
    assert visible("a\r\nb\tc", lines=True) == "a\nb    c"


def test_wide_characters_count_twice_in_a_column() -> None:
    stream = io.StringIO()
    Paper(stream).table(("a", "b"), [("日本", "x"), ("abcd", "y")])
    assert stream.getvalue() == "a     b\n日本  x\nabcd  y\n"


def test_json_writes_every_field_out_and_only_what_is_set() -> None:
    found = json.loads(json_text(Entity(1, "Ada", "person", created_at=datetime(2026, 1, 2, tzinfo=UTC))))
    assert found["observations"] == []
    assert found["space"] == "default"
    assert found["created_at"] == "2026-01-02T00:00:00Z"
    assert json.loads(json_text(Filter("a", exists=True))) == {"property": "a", "exists": True}


@pytest.mark.parametrize("ascii_only", [False, True])
def test_json_carries_all_text_and_steers_nothing(ascii_only: bool) -> None:
    text = json_text({"text": EVIL + "日本語👩‍👩‍👧"}, ascii_only=ascii_only)
    assert json.loads(text) == {"text": EVIL + "日本語👩‍👩‍👧"}
    assert not [c for c in text if c != "\n" and c != "\u200d" and not c.isprintable()]
    assert text.isascii() is ascii_only


def test_json_survives_a_file_name_that_is_no_unicode() -> None:
    assert json.loads(json_text({"file": "caf\udce9"})) == {"file": "caf\\udce9"}


def test_sizes_are_readable() -> None:
    assert [size(count) for count in (0, 1023, 1536, 5 * 2**30)] == ["0 bytes", "1023 bytes", "1.5 KiB", "5.0 GiB"]
