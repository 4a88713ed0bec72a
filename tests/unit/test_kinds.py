"""Kinds: what the daemon knows of types, and the default for those it does not."""

import pytest

from enhanced_memory.daemon.kinds import DEFAULT, KINDS, kind_of
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
