"""Kinds: what the daemon knows of types, and the default for those it does not."""

import pytest

from enhanced_memory.client.errors import Invalid, Refused, TooLarge
from enhanced_memory.daemon.kinds import DEFAULT, KINDS, accept, kind_of
from enhanced_memory.daemon.store.known import TIERS


def test_an_unknown_type_has_the_default_row() -> None:
    for name in ("", "person", "Session", "session "):
        assert kind_of(name) is DEFAULT
    assert (DEFAULT.scope, DEFAULT.tier, DEFAULT.versions, DEFAULT.text, DEFAULT.indexed) == (
        "shared",
        "working",
        None,
        None,
        None,
    )


@pytest.mark.parametrize("name", KINDS)
def test_every_row_is_one_that_can_be_kept(name: str) -> None:
    kind = kind_of(name)
    assert kind.tier in TIERS
    assert kind.scope in ("shared", "type", "own")
    assert kind.versions is None or kind.versions >= 1
    assert kind.expires_after_s is None or kind.expires_after_s > 0


def test_characters_may_share_a_name_and_sessions_are_apart_from_other_things() -> None:
    assert (kind_of("character").scope, kind_of("session").scope) == ("own", "type")


@pytest.mark.parametrize("name", KINDS)
def test_what_a_kind_gives_a_new_entity_is_what_it_accepts(name: str) -> None:
    accept(name, kind_of(name).defaults)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (
            "prop",
            {"usage_count": "often"},
            "The usage_count of a prop must be a whole number, and is the text 'often'.",
        ),
        ("prop", {"usage_count": True}, "must be a whole number, and is true"),
        ("prop", {"usage_count": -1}, "The usage_count of a prop is -1."),
        ("prop", {"is_favorite": 1}, "must be true or false, and is a whole number"),
        ("agent_config", {"temperature": "hot"}, "must be a number"),
        ("agent_config", {"capabilities": {}}, "must be a list, and is a map"),
        ("character", {"stats": []}, "must be a map, and is a list"),
        ("character", {"last_seen": "yesterday"}, "must be a time such as"),
        ("character", {"last_seen": "2026-11-20T08:00:00"}, "must be a time such as"),
        ("session", {"title": 7}, "The title of a session must be text"),
    ],
)
def test_what_a_property_cannot_hold_is_refused_by_name(kind: str, given: dict[str, object], says: str) -> None:
    with pytest.raises(Invalid) as refused:
        accept(kind, given)
    assert says in refused.value.message
    assert refused.value.hint


def test_a_text_that_is_too_long_is_told_with_its_limit() -> None:
    with pytest.raises(TooLarge, match="51 characters; the limit is 50"):
        accept("character", {"current_mood": "m" * 51})


def test_absence_whole_numbers_as_numbers_and_unnamed_properties_are_welcome() -> None:
    accept("agent_config", {"temperature": 1, "max_tokens": None, "favourite colour": object()})
    accept("character", {"last_seen": "2026-11-20T08:00:00Z"})
    accept("nobody knows this kind", {"title": 7})


def test_a_refusal_is_one_that_a_caller_can_catch_as_such() -> None:
    with pytest.raises(Refused):
        accept("prop", {"category": "c" * 1000})
