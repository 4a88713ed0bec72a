"""The past on the command line: what differs is shown, what is done can be taken back, and nothing is done unasked."""

import io
import re

import pytest

from enhanced_memory.client.cli import output
from enhanced_memory.client.cli.commandline import read
from enhanced_memory.client.cli.output import Paper

from .conftest import Ctl


@pytest.fixture
def ada(ctl: Ctl) -> int:
    """Somebody with a past: version 1 likes tea, 2 likes coffee too, 3 has a property."""
    number = ctl("add", "Ada", "--type", "person", "likes tea", "--json").json["results"][0]["id"]
    assert ctl("commit", "young", "-m", "before coffee").code == 0
    assert ctl("add", "Ada", "likes coffee", "-m", "why not").code == 0
    assert ctl("add", "Ada", "-t", "person", "-p", "age=36").code == 0
    return number


@pytest.mark.usefixtures("ada")
def test_a_difference_is_shown_by_what_went_and_what_came(ctl: Ctl) -> None:
    said = ctl("diff", "Ada", "1", "3")
    assert said.code == 0
    assert "Ada version 1" in said.out.splitlines()[0]
    assert [line.strip() for line in said.out.splitlines()[1:]] == ["+ property age = 36", "+ likes coffee"]
    assert ctl("diff", "Ada", "3", "1").out.splitlines()[1:] == ["  - property age = 36", "  - likes coffee"]
    assert ctl("diff", "Ada").out.splitlines()[1:] == ["  + property age = 36"]
    assert ctl("diff", "Ada", "young").out == ctl("diff", "Ada", "1", "3").out
    assert "no difference" in ctl("diff", "Ada", "3").out
    assert "+- likes coffee" in ctl("diff", "Ada", "1", "2", "-u").out.splitlines()
    assert ctl("diff", "Ada", "1", "3", "--json").json["added"] == ["likes coffee"]


@pytest.mark.usefixtures("ada")
def test_on_a_terminal_a_difference_is_in_colour(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert output.Paper is Paper
    monkeypatch.setenv("TERM", "xterm-256color")
    for words, pieces in (
        (["diff", "Ada", "1", "3"], ["+ likes coffee"]),
        (["diff", "Ada", "3", "1", "-u"], ["-- likes coffee", "+++ Ada"]),
    ):
        stream = Terminal()
        call, verb = read(words)
        verb.run(call).tell(Paper(stream))
        call.close()
        for piece in pieces:
            assert re.search(r"\x1b\[[0-9;]+m *" + re.escape(piece), stream.getvalue()), stream.getvalue()


@pytest.mark.usefixtures("ada")
def test_the_log_has_a_line_for_each_version_or_change(ctl: Ctl) -> None:
    lines = ctl("log", "Ada").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["3", "2", "1"]
    assert "why not" in lines[2]
    lines = ctl("log").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["4", "3", "2", "1"]
    assert "memory_commit" in lines[3]
    assert "--before 3" in ctl("log", "-n", "2").out
    assert ctl("log", "--before", "3").out.splitlines()[1].split()[0] == "2"


@pytest.mark.usefixtures("ada")
def test_what_was_known_then_is_shown_searched_and_listed(ctl: Ctl) -> None:
    assert ctl("show", "Ada", "--at", "young", "--json").json["entities"][0]["observations"] == ["likes tea"]
    assert ctl("show", "Ada", "--version", "2", "--json").json["entities"][0]["observations"] == [
        "likes tea",
        "likes coffee",
    ]
    hits = ctl("search", "Ada", "--at", "young", "--json").json["hits"]
    assert [hit["entity"]["observations"] for hit in hits] == [["likes tea"]]
    assert [one["version"] for one in ctl("list", "--at", "1", "--json").json["entities"]] == [1]
    gone = ctl("show", "Ada", "--at", "nowhere")
    assert (gone.code != 0, "no snapshot" in gone.err) == (True, True)


@pytest.mark.usefixtures("ada")
def test_undoing_tells_first_and_does_when_asked(ctl: Ctl) -> None:
    told = ctl("undo", "3")
    assert told.code == 0
    assert told.out.startswith("would be undone: change 3")
    assert "- likes coffee" in told.out
    assert ctl("show", "Ada", "--json").json["entities"][0]["observations"] == ["likes tea", "likes coffee"]
    assert ctl("undo", "3", "--yes").out.startswith("undone: change 3")
    assert ctl("show", "Ada", "--json").json["entities"][0]["observations"] == ["likes tea"]
    assert "undone by change 5" in ctl("journal", "--change", "3").out
    again = ctl("undo", "3", "--yes")
    assert (again.code != 0, "undone already" in again.err) == (True, True)
    assert ctl("redo", "--yes").out.startswith("done again: change 3")
    assert ctl("undo", "1").code == 1
    assert "conflict" in ctl("undo", "1").out


@pytest.mark.usefixtures("ada")
def test_reverting_keeps_the_history(ctl: Ctl) -> None:
    assert ctl("revert", "Ada", "young", "--expect", "2").code != 0
    assert ctl("revert", "Ada", "young", "-m", "back").out.startswith("updated: #1 Ada, version 4")
    assert ctl("show", "Ada", "--json").json["entities"][0]["observations"] == ["likes tea"]
    assert len(ctl("history", "Ada", "--json").json["versions"]) == 4


@pytest.mark.usefixtures("ada")
def test_snapshots_are_listed_and_let_go(ctl: Ctl) -> None:
    assert "before coffee" in ctl("snapshots").out
    assert ctl("snapshots", "delete", "young").code == 0
    assert ctl("snapshots", "--json").json["snapshots"] == []
    assert ctl("snapshots", "delete").code != 0


@pytest.mark.usefixtures("ada")
def test_the_journal_is_narrowed(ctl: Ctl) -> None:
    assert "None." in ctl("journal", "--by-agent", "nobody").out
    assert [one["change"] for one in ctl("journal", "--of", "Ada", "--json").json["entries"]] == [4, 3, 1]
    assert "update Ada 1→2" in ctl("journal").out
