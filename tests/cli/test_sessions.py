"""`memoryctl sessions`: a session from its beginning to its end, at the shell."""

from collections.abc import Callable
from typing import Any

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.values import MessageInput

Ctl = Callable[..., Any]


def say(count: int, stream: str = "standup") -> None:
    with Memory() as memory:
        memory.append_messages(stream, [MessageInput(f"line {number}", speaker="Ada") for number in range(count)])


def test_a_session_is_started_ended_put_away_and_taken_up_again(ctl: Ctl) -> None:
    begun = ctl(
        "sessions", "start", "standup", "--type", "meeting", "--user", "ada", "--title", "Monday", "--json"
    ).json
    assert (begun["name"], begun["session_type"], begun["user"], begun["title"]) == (
        "standup",
        "meeting",
        "ada",
        "Monday",
    )
    say(3)
    ended = ctl("sessions", "end", "standup", "--summary", "Three lines were said.")
    assert (ended.code, "ended" in ended.out, "Three lines were said." in ended.out) == (0, True, True)
    refused = ctl("sessions", "start", "standup")
    assert refused.code == 0, "to start what has ended is to go on with it"
    assert ctl("sessions", "archive", "standup", "--json").json["archived_messages"] == 3
    away = ctl("sessions", "start", "standup")
    assert (away.code != 0, "archived" in away.err) == (True, True)
    again = ctl("sessions", "reopen", "standup", "--json").json
    assert (again.get("ended_at"), again.get("archived_at")) == (None, None)


def test_sessions_are_listed_by_what_is_asked(ctl: Ctl) -> None:
    for name, kind, user in (("a", "chat", "ada"), ("b", "meeting", "ada"), ("c", "meeting", "bob")):
        assert ctl("sessions", "start", name, "--type", kind, "--user", user).code == 0
    assert ctl("sessions", "end", "c").code == 0

    def names(*given: str) -> set[str]:
        return {one["name"] for one in ctl("sessions", "list", "--json", *given).json["sessions"]}

    assert names() == {"a", "b", "c"}
    assert names("--type", "meeting", "--user", "ada") == {"b"}
    assert names("--status", "ended") == {"c"}
    assert names("--status", "open") == {"a", "b"}
    told = ctl("sessions").out
    assert ("meeting" in told, "bob" in told, "ended" in told) == (True, True, True)
    assert "raise --limit" in ctl("sessions", "--limit", "1").out
    assert ctl("sessions", "list", "a").code == 2


def test_a_session_says_what_it_keeps_and_shows_what_it_does_not_keep_at_hand(ctl: Ctl) -> None:
    say(300)
    kept = ctl("sessions", "keep", "standup", "--messages", "10", "--json").json
    assert (kept["keep_messages"], kept["messages"], kept["archived_messages"]) == (10, 300, 290)
    assert len(ctl("sessions", "tail", "standup", "--json").json["messages"]) == 10
    assert len(ctl("sessions", "show", "standup", "--limit", "50", "--json").json["messages"]) == 50
    shown = ctl("sessions", "show", "standup", "-n", "1").out
    assert ("10 messages" in shown, "290 of them archived" in shown, "line 299" in shown) == (True, True, True)
    assert ctl("sessions", "keep", "standup", "--json").json.get("keep_messages") is None


def test_a_deleted_session_comes_back_whole(ctl: Ctl) -> None:
    say(2)
    gone = ctl("sessions", "delete", "standup")
    assert (gone.code, "`memoryctl restore` brings it back" in gone.out) == (0, True)
    assert ctl("sessions", "--json").json["sessions"] == []
    assert ctl("restore", "standup").code == 0
    assert ctl("sessions", "show", "standup", "--json").json["session"]["messages"] == 2


@pytest.mark.parametrize("act", ["show", "end", "archive", "reopen", "keep", "delete", "tail"])
def test_a_session_that_there_is_not_and_none_named_are_said(ctl: Ctl, act: str) -> None:
    nobody = ctl("sessions", act, "nobody")
    assert (nobody.code != 0, "nobody" in nobody.err) == (True, True)
    assert ctl("sessions", act).code == 2


def test_what_is_no_session_is_refused(ctl: Ctl) -> None:
    assert ctl("add", "Ada", "--type", "person", "born in 1815").code == 0
    told = ctl("sessions", "end", "Ada")
    assert (told.code != 0, "not a session" in told.err) == (True, True)
    assert ctl("sessions", "keep", "Ada", "--days", "-1").code != 0
    assert ctl("sessions", "start", "x" * 3000).code != 0
