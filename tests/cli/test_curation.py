"""`memoryctl curate` tells what the rules would do and does it with --apply; `spaces limit` limits a space."""

from collections.abc import Callable
from typing import Any

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.values import EntityInput

Ctl = Callable[..., Any]


@pytest.fixture
def days(ctl: Ctl) -> None:
    """Three episodes that say the same, among others."""
    with Memory() as memory:
        memory.create_entities(
            [
                EntityInput(f"day {number}", "note", ["The user drinks green tea"], tier="episodic")
                for number in range(3)
            ]
        )


@pytest.mark.usefixtures("days")
def test_curation_is_told_then_applied_then_taken_back(ctl: Ctl) -> None:
    told = ctl("curate")
    assert told.code == 0
    assert told.out.splitlines() == [
        "The user drinks green tea: new, semantic, from 3 sources",
        "  3 similar episodes say it",
        "would be done: 1 of 3 entities looked at (repeated_episodes 1)",
        "nothing was done; --apply does it",
    ]
    assert ctl("list", "--json").json["entities"][-1]["name"] == "day 2"
    done = ctl("curate", "--apply", "--json").json
    assert (done["dry_run"], done["counts"], len(done["changes"])) == (False, {"repeated_episodes": 1}, 1)
    assert "0 of 4 entities" in ctl("curate", "--apply").out
    assert ctl("undo", "--session", done["session"], "--yes").code == 0
    assert ctl("show", "The user drinks green tea").code == 1
    assert ctl("curate", "--json").json["counts"] == {}


@pytest.mark.usefixtures("days")
def test_a_space_is_limited_and_lets_go_of_what_is_above(ctl: Ctl) -> None:
    assert ctl("spaces", "limit", "default").code == 2
    assert ctl("spaces", "limit", "default", "--max-entities", "-3").code != 0
    said = ctl("spaces", "limit", "default", "--max-entities", "2").out
    assert said == "default: max_entities 2; `memoryctl curate` tells what goes\n"
    told = ctl("curate", "--rule", "size_limit").out
    assert "#1 day 0: deleted, softly" in told
    assert ctl("curate", "--apply", "--rule", "size_limit").code == 0
    assert len(ctl("list", "--json").json["entities"]) == 2
    assert ctl("spaces", "limit", "default", "--max-entities", "0").out.startswith("default: no limit")


@pytest.mark.usefixtures("days")
def test_status_draws_tiers_and_ages_and_tells_of_curation(ctl: Ctl) -> None:
    with Memory() as memory:
        memory.create_entities([EntityInput("working", "note", ttl_s=3600.0)])
    out = ctl("status").out.splitlines()
    tiers = out[out.index("tiers") + 1 :][:4]
    assert [line.split() for line in tiers] == [
        ["working", "#" * 13, "1"], ["episodic", "#" * 40, "3"], ["semantic", "0"], ["procedural", "0"],
    ]  # fmt: skip
    assert [line.split() for line in out[out.index("made within") + 1 :][:2]] == [["day", "#" * 40, "4"], ["week", "0"]]
    facts = "\n".join(out)
    assert "1 within a day" in facts
    assert "never yet" in facts
    assert ctl("curate", "--apply").code == 0
    out = ctl("status").out
    assert "did repeated_episodes 1" in out
    assert "as things are there is nothing to do" in out
