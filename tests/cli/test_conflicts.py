"""`memoryctl conflicts`: looking, listing, resolving."""

from collections.abc import Callable
from typing import Any

import pytest

Ctl = Callable[..., Any]


@pytest.fixture
def people(ctl: Ctl) -> None:
    """Two who contradict each other."""
    for name, town in (("Ada", "Prague"), ("ADA", "Vienna")):
        assert ctl("add", name, "--type", "person", f"Lives in {town}").code == 0


@pytest.mark.usefixtures("people")
def test_what_is_detected_is_listed_and_can_be_resolved_once(ctl: Ctl) -> None:
    found = ctl("conflicts", "detect", "--json")
    assert (found.code, found.json["state"], found.json["recorded"]) == (1, "done", 1)
    [one] = ctl("conflicts", "list", "--json").json["conflicts"]
    assert (one["type"], one["entity_says"], one["conflicting_says"]) == (
        "contradiction",
        "Lives in Prague",
        "Lives in Vienna",
    )
    shown = ctl("conflicts", "list").out
    assert "Lives in Prague" in shown
    assert "another value for the same attribute" in shown
    done = ctl("conflicts", "resolve", f"#{one['id']}", "--action", "merge", "--keep", "ADA", "--notes", "moved")
    assert done.code == 0
    assert "merged" in done.out
    again = ctl("conflicts", "resolve", str(one["id"]))
    assert again.code != 0
    assert "resolved already" in again.err
    assert ctl("conflicts", "list").out.strip() == "None."
    [kept] = ctl("conflicts", "list", "--status", "merged", "--json").json["conflicts"]
    assert kept["notes"] == "moved"


@pytest.mark.usefixtures("people")
def test_one_entity_is_compared_without_a_record(ctl: Ctl) -> None:
    found = ctl("conflicts", "detect", "ADA")
    assert found.code == 1
    assert "contradiction" in found.out
    assert ctl("conflicts", "list", "--status", "any", "--json").json["conflicts"] == []
    ctl("add", "Bob", "--type", "person", "Sails")
    assert ctl("conflicts", "detect", "Bob").code == 0


@pytest.mark.usefixtures("people")
def test_unless_told_how_a_conflict_is_resolved_as_suggested(ctl: Ctl) -> None:
    ctl("conflicts", "detect")
    done = ctl("conflicts", "resolve", "1", "--json").json
    assert done["conflict"]["status"] == "updated"


@pytest.mark.parametrize(
    "words",
    [
        ["resolve"],
        ["resolve", "Ada"],
        ["resolve", "1", "2"],
        ["list", "Ada"],
        ["mend"],
        ["detect", "--threshold", "2"],
        ["detect", "--threshold", "nan"],
        ["resolve", "1"],
        ["resolve", "99999999999999999999999"],
        ["list", "--of", "nobody"],
    ],
    ids=lambda words: "-".join(words),
)
def test_what_makes_no_sense_is_refused_with_a_hint(ctl: Ctl, words: list[str]) -> None:
    refused = ctl("conflicts", *words)
    assert refused.code > 1
    assert refused.err.startswith("error: ")
