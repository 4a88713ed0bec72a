"""Context, neighbours and ways, as a person asks for them."""

import pytest

from .conftest import Ctl


@pytest.fixture
def people(ctl: Ctl) -> None:
    """Three who know one another in a row."""
    for name, says in (("Ada", "likes the engine"), ("Bob", "repairs the engine"), ("Cleo", "sells coal")):
        assert ctl("add", name, "--type", "person", says, "-p", "mood=calm").code == 0
    for from_, to in (("Ada", "Bob"), ("Bob", "Cleo")):
        assert ctl("relate", from_, "knows", to).code == 0


@pytest.mark.usefixtures("people")
def test_a_context_is_text_for_a_model_and_says_how_long_it_is(ctl: Ctl) -> None:
    ran = ctl("context", "engine", "--entity", "Cleo", "--tokens", "300")
    assert ran.code == 0
    assert "## state" in ran.out
    assert "- Cleo: mood = calm" in ran.out
    assert "- Ada: likes the engine (" in ran.out
    assert " tokens (" in ran.out
    told = ctl("context", "engine", "--json").json
    assert told["tokens"] <= 2000
    assert {item["name"] for item in told["items"]} == {"Ada", "Bob"}


@pytest.mark.usefixtures("people")
def test_what_is_around_is_shown_with_the_steps_to_it(ctl: Ctl) -> None:
    ran = ctl("related", "Ada", "--depth", "2")
    assert ran.code == 0
    assert ran.out.index("Bob") < ran.out.index("Cleo")
    assert "Ada knows Bob" in ran.out
    assert "None." in ctl("related", "Ada", "--direction", "in").out
    assert [one["distance"] for one in ctl("related", "Ada", "--depth", "2", "--json").json["found"]] == [1, 2]


@pytest.mark.usefixtures("people")
def test_a_way_is_shown_in_the_direction_of_its_relations(ctl: Ctl) -> None:
    out = ctl("path", "Cleo", "Ada").out
    assert [line.strip() for line in out.splitlines()] == ["Cleo", "← knows — Bob", "← knows — Ada"]
    assert "— knows → Bob" in ctl("path", "Ada", "Cleo").out
    assert "No way" in ctl("path", "Cleo", "Ada", "--direction", "out").out
    assert ctl("path", "Ada", "nobody").code != 0


@pytest.mark.usefixtures("people")
def test_a_search_counts_and_explains_where_asked(ctl: Ctl) -> None:
    ran = ctl("search", "engine", "--count", "--explain", "-n", "1")
    assert "2 in all" in ran.out
    assert "words " in ran.out
    assert "fused " in ran.out
    assert ctl("search", "engine", "--count", "--json").json["total"] == 2
