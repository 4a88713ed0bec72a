"""`memoryctl extract` and `memoryctl summarize`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ctl = Callable[..., Any]

TALK = """Mara: Good morning!
Mara: The nightly import failed again, because the file has two headers.
Teo: We decided to refuse such a file.
Mara: I prefer a warning.
"""


def test_facts_of_a_file_are_shown_and_stored_only_when_asked(ctl: Ctl, home: Path) -> None:
    (home / "talk.txt").write_text(TALK)
    shown = ctl("extract", str(home / "talk.txt"))
    assert shown.code == 0
    assert "Mara: I prefer a warning." in shown.out
    assert "2 facts in 4 sentences, 0 stored" in shown.out
    assert ctl("show", "Mara").code != 0
    kept = ctl("extract", str(home / "talk.txt"), "--keep", "--session", "s1", "--project", "Heron", "--json").json
    assert (kept["stored"], kept["facts"][0]["subject"]) == (2, "Heron")
    assert "I prefer a warning." in ctl("show", "Mara").out
    noise = ctl("extract", "-", stdin=b"\xff\x00\xfe I prefer tea. \x01")
    assert noise.code == 0


def test_a_stream_is_summarised_and_the_summary_kept(ctl: Ctl) -> None:
    ctl("add", "standup", "--type", "session", "The nightly import failed because the file has two headers.")
    told = ctl("summarize", "standup", "--keep")
    assert told.code == 0
    assert "The nightly import failed" in told.out
    found = ctl("list", "--type", "summary", "--json").json["entities"]
    assert [one["name"] for one in found] == ["Summary of standup"]


@pytest.mark.parametrize(
    "words", [["extract"], ["extract", "a", "--stream", "b"], ["extract", "nowhere.txt"], ["summarize", "nobody"]]
)
def test_what_makes_no_sense_is_refused(ctl: Ctl, words: list[str]) -> None:
    assert ctl(*words).code != 0
