"""`memoryctl promote` and `expire`: tiers by hand, and what has expired goes when asked."""

from collections.abc import Callable
from typing import Any

from enhanced_memory.client import Memory
from enhanced_memory.client.values import EntityInput

Ctl = Callable[..., Any]


def test_an_entity_is_promoted_and_told_so_once(ctl: Ctl) -> None:
    assert ctl("add", "Ada", "--type", "person", "a").code == 0
    done = ctl("promote", "Ada", "semantic", "--message", "known by now")
    assert (done.code, done.out) == (0, "#1 Ada: working → semantic (version 2)\n")
    assert ctl("promote", "#1", "semantic").out == "#1 Ada: semantic already\n"
    assert ctl("promote", "--json", "#1", "working").json["before"] == "semantic"
    assert ctl("promote", "Nobody", "semantic").code != 0
    assert ctl("promote", "Ada", "eternal").code == 2


def test_what_has_expired_goes_when_asked(ctl: Ctl) -> None:
    with Memory() as memory:
        memory.create_entities([EntityInput("short", "note", ttl_s=0.001), EntityInput("long", "note", ttl_s=60.0)])
    assert ctl("expire", "--dry-run").out == "would be deleted: 1 expired in default\n"
    assert ctl("list", "--deleted").out.count("short") == 0
    done = ctl("expire", "--json").json
    assert (done["count"], done["ids"], len(done["changes"])) == (1, [1], 1)
    assert ctl("expire").out == "deleted: 0 expired in default\n"
    assert "short" in ctl("list", "--deleted").out
