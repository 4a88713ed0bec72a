"""Sessions: begun, ended, put away, listed by what happened last; and what their streams do not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, Invalid, NotFound, Refused, TooLarge
from enhanced_memory.client.operations.entities import RestoreEntities, UpdateEntity
from enhanced_memory.client.operations.sessions import (
    ArchiveSession,
    DeleteSession,
    EndSession,
    ListSessions,
    Session,
    StartSession,
)
from enhanced_memory.client.operations.streams import AppendMessages, GetWindow
from enhanced_memory.client.values import MessageInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def names(place: Place, as_of: int | None = None, **filters: Any) -> list[str]:
    """The names of a listing, all its pages."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await place.do(ListSessions(**filters, cursor=cursor), as_of)
        found += [one.name for one in page.sessions]
        cursor = page.cursor
        if cursor is None:
            return found


async def one(place: Place, ref: int | str) -> Session:
    """A session as it stands."""
    return (await place.do(ListSessions([ref]))).sessions[0]


async def test_a_session_says_what_it_was_started_with_and_what_is_in_it(default: Place) -> None:
    made = await default.do(
        StartSession("s1", session_type="task", user="ada", title="Roof", metadata={"device": "phone"}, keep_messages=9)
    )
    assert (made.name, made.session_type, made.user, made.title, made.metadata, made.messages) == (
        "s1", "task", "ada", "Roof", {"device": "phone"}, 0,
    )  # fmt: skip
    await default.say(made.id, *(f"line {n}" for n in range(12)))
    now = await one(default, "s1")
    assert (now.messages, now.archived_messages, now.keep_messages) == (12, 3, 9)
    assert now.started_at == made.started_at
    assert now.updated_at is not None
    assert made.updated_at is not None
    assert now.updated_at > made.updated_at


async def test_a_session_without_a_name_gets_one_of_its_own(default: Place) -> None:
    first, second = [await default.do(StartSession()) for _ in range(2)]
    assert first.name != second.name
    assert first.session_type == "conversation"


async def test_starting_again_goes_on_with_what_there_is(default: Place) -> None:
    first = await default.do(StartSession("s", user="ada", title="Roof"))
    await default.say("s", "hello")
    again = await default.do(StartSession("s", title="Roof and wall"))
    assert (again.id, again.user, again.title, again.messages) == (first.id, "ada", "Roof and wall", 1)
    with pytest.raises(Conflict, match="already"):
        await default.do(StartSession("s", on_existing="error"))


async def test_nothing_is_said_in_a_session_that_has_ended_until_it_is_opened_again(default: Place) -> None:
    await default.do(StartSession("s"))
    await default.say("s", "We decided to paint the tower red before winter.", "Fine.")
    ended = await default.do(EndSession("s"))
    assert ended.ended_at is not None
    assert ended.summary
    with pytest.raises(Conflict, match="has ended at") as refused:
        await default.say("s", "one more thing")
    assert "start_session" in refused.value.hint
    assert await default.heard("s") == ["We decided to paint the tower red before winter.", "Fine."]
    again = await default.do(StartSession("s"))
    assert again.ended_at is None
    await default.say("s", "The tower is painted red, and the ladder was stolen by somebody yesterday.")
    summary = (await default.do(EndSession("s"))).summary
    assert "ladder" in summary, "a summary that is older than what was said is made anew"


async def test_a_summary_that_somebody_wrote_stays(default: Place) -> None:
    await default.do(StartSession("s"))
    await default.say("s", "The tower is painted red, and the ladder was stolen.")
    assert (await default.do(EndSession("s", summary="All about the tower."))).summary == "All about the tower."
    await default.do(StartSession("s"))
    await default.say("s", "And the roof leaks badly since the storm of Tuesday.")
    assert (await default.do(EndSession("s"))).summary == "All about the tower."


async def test_an_archived_session_takes_nothing_and_still_tells_everything(default: Place, world: World) -> None:
    await default.do(StartSession("s"))
    said = [f"Lamp {n} of the tower was lit by keeper {n}." for n in range(300)]
    await default.say("s", *said)
    put_away = await default.do(ArchiveSession("s"))
    assert (put_away.messages, put_away.archived_messages) == (300, 300)
    assert await world.rows("SELECT count(*) FROM messages WHERE block = 0") == [(0,)]
    assert await default.heard("s") == said
    assert await default.overheard("lamp 211") != []
    for refused in (
        AppendMessages("s", [MessageInput("more")]),
        AppendMessages(put_away.id, [MessageInput("more")]),
        StartSession("s"),
    ):
        with pytest.raises(Conflict, match="archived at"):
            await default.do(refused)
    back = await default.do(ArchiveSession("s", archived=False))
    assert (back.archived_at, back.ended_at) == (None, None)
    await default.say("s", "more")
    assert (await default.heard("s"))[-1] == "more"
    await world.sound()


async def test_a_session_deleted_while_others_speak_is_not_begun_anew_behind_their_backs(
    default: Place, world: World
) -> None:
    made = await default.do(StartSession("s"))
    await default.say("s", "precious")
    await default.do(DeleteSession("s"))
    for ref in ("s", made.id):
        with pytest.raises(NotFound) as refused:
            await default.say(ref, "where did you go?")
        assert refused.value.hint
    assert await default.overheard("precious") == []
    await default.do(RestoreEntities([made.id]))
    await default.say("s", "back")
    assert await default.heard("s") == ["precious", "back"]
    assert (await default.overheard("precious"))[0] == "precious"
    await default.do(DeleteSession("s"))
    anew = await default.do(StartSession("s"))
    await default.say("s", "another beginning")
    assert anew.id != made.id
    assert await default.heard("s") == ["another beginning"]
    await world.sound()


async def test_only_a_session_is_deleted_ended_or_put_away_as_one(default: Place) -> None:
    await default.create("tower")
    for ask in (DeleteSession("tower"), EndSession("tower"), ArchiveSession("tower"), ListSessions(["tower"])):
        with pytest.raises(Invalid, match="is a thing, not a session"):
            await default.do(ask)
    assert await default.entity("tower") is not None


async def test_sessions_are_listed_by_what_happened_in_them_last(default: Place) -> None:
    for name in "abc":
        await default.do(StartSession(name))
    await default.say("a", "hello")
    assert await names(default) == ["a", "c", "b"]
    await default.do(UpdateEntity("b", properties={"title": "B"}))
    assert await names(default) == ["b", "a", "c"]
    await default.say("c", "hello")
    assert await names(default, limit=1) == ["c", "b", "a"]
    assert await names(default, order_by="created", descending=False) == ["a", "b", "c"]
    assert await names(default, order_by="name") == ["c", "b", "a"]


async def test_sessions_are_listed_by_what_they_are(default: Place) -> None:
    await default.do(StartSession("open", user="ada"))
    await default.do(StartSession("task", user="bob", session_type="task"))
    for name in ("ended", "away"):
        await default.do(StartSession(name, user="ada"))
        await default.do(EndSession(name))
    await default.do(ArchiveSession("away"))
    await default.create("no session")
    listed = {
        status: set(await names(default, status=status)) for status in ("all", "open", "current", "ended", "archived")
    }
    assert listed == {
        "all": {"open", "task", "ended", "away"},
        "open": {"open", "task"},
        "current": {"open", "task", "ended"},
        "ended": {"ended", "away"},
        "archived": {"away"},
    }
    assert await names(default, user="bob") == ["task"]
    assert await names(default, session_types=["task", "nothing"]) == ["task"]


async def test_an_overlay_lists_its_parents_sessions_by_what_it_sees_of_them(default: Place, world: World) -> None:
    for name in "ab":
        await default.do(StartSession(name))
    overlay = await world.overlay("over")
    await overlay.say("a", "only here")
    assert await names(overlay) == ["a", "b"]
    assert await names(default) == ["b", "a"]
    assert ((await one(overlay, "a")).messages, (await one(default, "a")).messages) == (1, 0)
    branch = await world.branch("pinned")
    await default.say("b", "unseen")
    await default.do(UpdateEntity("a", properties={"title": "unseen"}))
    assert (await one(branch, "b")).messages == 0
    assert await names(branch) == ["b", "a"]


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        (MessageInput("x", role="narrator"), Invalid, "no role 'narrator'"),
        (MessageInput("x", role="r" * 100_000), TooLarge, "role"),
        (MessageInput("x", speaker="n" * 1_000_000), TooLarge, "speaker has 1,000,000 characters"),
        (MessageInput("x", metadata={"when": object()}), Invalid, "metadata"),
        (MessageInput("x", metadata={"n": float("nan")}), Invalid, "not a finite number"),
    ],
    ids=["role", "long role", "long speaker", "no json", "nan"],
)
async def test_a_line_that_a_session_cannot_take_takes_all_of_its_call_along(
    default: Place, line: MessageInput, error: type[Refused], says: str
) -> None:
    await default.do(StartSession("s"))
    with pytest.raises(error, match=says) as refused:
        await default.do(AppendMessages("s", [MessageInput("fine"), line]))
    assert refused.value.hint or error is Invalid
    assert await default.heard("s") == []


async def test_a_stream_that_names_its_kinds_takes_no_other(default: Place) -> None:
    await default.create("notes", properties={"message_kinds": ["note", "task"]})
    await default.say("notes", "hello", kind="note")
    with pytest.raises(Invalid, match="no messages of kind 'dialogue'") as refused:
        await default.say("notes", "hello")
    assert "note, task" in refused.value.hint


async def test_a_characters_ticks_do_not_go_back_and_others_may(default: Place) -> None:
    ada = await default.create("Ada", type="character")
    await default.say(ada, "first", tick=7)
    await default.say(ada, "same tick", tick=7)
    with pytest.raises(Invalid, match="Tick 6 goes back: the character 'Ada' is at 8"):
        await default.do(AppendMessages(ada, [MessageInput("later", tick=8), MessageInput("back", tick=6)]))
    await default.say(ada, "no tick")
    assert await default.heard(ada) == ["first", "same tick", "no tick"]
    await default.say("log", "b", tick=7)
    await default.say("log", "a", tick=6)


async def test_ten_thousand_lines_in_one_call_are_counted_and_windowed(default: Place) -> None:
    await default.do(AppendMessages("long", [MessageInput(f"line {n}", tokens=1) for n in range(10_000)]))
    assert (await one(default, "long")).messages == 10_000
    window = await default.do(GetWindow("long", messages=1000, tokens=10))
    assert [line.content for line in window.messages] == [f"line {n}" for n in range(9_990, 10_000)]
