"""Streams: messages in one order for everybody, read by any of their marks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Invalid, NotFound, TooLarge
from enhanced_memory.client.operations.entities import RestoreEntities
from enhanced_memory.client.operations.search import SearchMessages
from enhanced_memory.client.operations.streams import AppendMessages, GetWindow, MessagesBy, RecentMessages
from enhanced_memory.client.values import MessageInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


def at(second: int) -> datetime:
    return datetime.fromtimestamp(1_700_000_000 + second, UTC)


LINES = [
    MessageInput("hello parrot", role="user", speaker="ada", at=at(1), tick=5),
    MessageInput(
        "hello to you parrot", role="assistant", kind="reflection", at=at(3), tick=3, importance=7.5, tokens=4
    ),
    MessageInput("a parrot walks in", role="system", kind="action", at=at(2), provider="acme", metadata={"model": "m"}),
    MessageInput("bye parrot", role="user", speaker="bob", at=at(3), tick=5),
]


@pytest.fixture
async def talk(default: Place) -> Place:
    """Somebody in a space with one stream of four lines."""
    await default.do(AppendMessages("talk", LINES))
    return default


async def pages(place: Place, limit: int, **asked: Any) -> list[int]:
    told: list[int] = []
    cursor: str | None = None
    while True:
        page = await place.do(MessagesBy("talk", limit=limit, cursor=cursor, **asked))
        told += [line.id for line in page.messages]
        cursor = page.cursor
        if cursor is None:
            return told


async def test_a_line_is_told_as_it_was_given(talk: Place, world: World) -> None:
    told = (await talk.do(RecentMessages("talk"))).messages
    for line, given in zip(told, LINES, strict=True):
        for name in (
            "content",
            "role",
            "kind",
            "speaker",
            "at",
            "tick",
            "importance",
            "tokens",
            "provider",
            "metadata",
        ):
            assert getattr(line, name) == getattr(given, name), name
    (number,) = await talk.say("talk", "now")
    assert (await talk.do(RecentMessages("talk", limit=1))).messages[0].at == datetime.fromtimestamp(
        world.clock.ms / 1000, UTC
    )
    assert number == 5
    await world.sound()


async def test_a_stream_named_for_the_first_time_is_an_entity_of_its_type(talk: Place) -> None:
    stream = await talk.entity("talk")
    assert stream is not None
    assert (stream.type, stream.scope) == ("session", "session")
    assert (await talk.do(AppendMessages(stream.id, [MessageInput("x")]))).stream == stream.id
    other = await talk.do(AppendMessages("diary", [MessageInput("x")], stream_type="notebook"))
    found = await talk.entity(other.stream)
    assert found is not None
    assert found.type == "notebook"
    await talk.create("Mira", type="person")
    mira = await talk.do(AppendMessages("Mira", [MessageInput("x")]))
    found = await talk.entity(mira.stream)
    assert found is not None
    assert found.type == "person"


async def test_a_name_means_the_session_for_whoever_reads_as_for_whoever_appends(talk: Place) -> None:
    before = await talk.do(RecentMessages("talk"))
    await talk.create("talk", type="note")
    (number,) = await talk.say("talk", "parrot again")
    assert [line.id for line in (await talk.do(RecentMessages("talk"))).messages] == [
        *(line.id for line in before.messages), number,
    ]  # fmt: skip
    assert len(await pages(talk, 100)) == 5
    assert (await talk.do(GetWindow("talk"))).total == 5
    assert number in {hit.message.id for hit in (await talk.do(SearchMessages("again", stream="talk"))).hits}


async def test_recent_lines_come_in_order_and_go_back_from_an_id(talk: Place) -> None:
    assert [line.id for line in (await talk.do(RecentMessages("talk", limit=2))).messages] == [3, 4]
    assert [line.id for line in (await talk.do(RecentMessages("talk", limit=2, before=3))).messages] == [1, 2]
    assert [line.id for line in (await talk.do(RecentMessages("talk", before=1))).messages] == []
    assert [line.id for line in (await talk.do(RecentMessages("talk", roles=["user"]))).messages] == [1, 4]
    assert [line.id for line in (await talk.do(RecentMessages("talk", kinds=["action", "reflection"]))).messages] == [
        2,
        3,
    ]


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4]),
    ({"tick_from": 4}, [1, 4]),
    ({"tick_to": 3}, [2]),
    ({"tick_from": 3, "tick_to": 5}, [1, 2, 4]),
    ({"tick_from": 6}, []),
    ({"since": at(2)}, [2, 3, 4]),
    ({"until": at(2)}, [1, 3]),
    ({"since": at(3), "until": at(3)}, [2, 4]),
    ({"roles": ["user", "system"]}, [1, 3, 4]),
    ({"kinds": ["dialogue"]}, [1, 4]),
    ({"speakers": ["ada", ""]}, [1, 2, 3]),
    ({"roles": ["user"], "speakers": ["bob"], "kinds": ["dialogue"], "tick_from": 5, "since": at(3)}, [4]),
    ({"roles": ["nobody"]}, []),
]


async def test_lines_are_found_by_their_marks_alone_and_together(talk: Place, world: World) -> None:
    overlay = await world.overlay("over")
    for asked, ids in FILTERS:
        for place, limit in ((talk, 1), (talk, 100), (overlay, 3)):
            assert await pages(place, limit, **asked) == ids, asked
            assert await pages(place, limit, newest_first=True, **asked) == ids[::-1], asked


@pytest.mark.parametrize(("order", "ids"), [("id", [1, 2, 3, 4]), ("at", [1, 3, 2, 4]), ("tick", [2, 1, 4])])
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_lines_come_in_the_order_asked_for_and_equal_ones_by_id(
    talk: Place, order: Any, ids: list[int], limit: int
) -> None:
    assert await pages(talk, limit, order_by=order) == ids
    assert await pages(talk, limit, order_by=order, newest_first=True) == ids[::-1]


async def test_pages_of_a_stream_tell_each_line_once_while_it_grows(talk: Place) -> None:
    await talk.say("talk", *[f"line {number}" for number in range(20)])
    told: list[int] = []
    cursor: str | None = None
    for _ in range(100):
        page = await talk.do(MessagesBy("talk", limit=3, newest_first=True, cursor=cursor))
        told += [line.id for line in page.messages]
        await talk.say("talk", "another")
        cursor = page.cursor
        if cursor is None:
            break
    assert told == list(range(24, 0, -1))


async def test_an_overlays_lines_stand_among_its_parents_in_every_order(talk: Place, world: World) -> None:
    overlay = await world.overlay("over")
    await overlay.say("talk", "mine", at=at(2), tick=4)
    await talk.say("talk", "theirs", at=at(0), tick=4)
    for limit in (1, 2, 100):
        assert await pages(overlay, limit) == [1, 2, 3, 4, 5, 6]
        assert await pages(overlay, limit, order_by="at") == [6, 1, 3, 5, 2, 4]
        assert await pages(overlay, limit, order_by="tick", newest_first=True) == [4, 1, 6, 5, 2]
    assert await pages(talk, 100) == [1, 2, 3, 4, 6]


async def test_a_window_fits_its_budget_and_always_holds_the_newest(talk: Place) -> None:
    window = await talk.do(GetWindow("talk", messages=2))
    assert [line.content for line in window.messages] == ["a parrot walks in", "bye parrot"]
    assert window.total == 4
    assert [line.content for line in (await talk.do(GetWindow("talk", tokens=1))).messages] == ["bye parrot"]
    spent = await talk.do(GetWindow("talk", tokens=12))
    assert (len(spent.messages), spent.tokens) == (3, 12)


async def test_lines_are_found_by_words_and_marks(talk: Place) -> None:
    async def ids(query: str, **asked: Any) -> list[int]:
        return sorted(hit.message.id for hit in (await talk.do(SearchMessages(query, **asked))).hits)

    await talk.say("other", "a parrot elsewhere")
    assert await ids("parrot") == [1, 2, 3, 4, 5]
    assert await ids("parrot", stream="talk") == [1, 2, 3, 4]
    assert {1, 2} <= set(await ids("hello"))  # and what was said next to it
    assert await ids("parrots", roles=["user"], stream="talk", speakers=["bob"]) == [4]
    assert await ids("parrot", kinds=["action"]) == [3]
    assert await ids("parrot", since=at(3), until=at(3)) == [2, 4]
    assert await ids("") == []
    some = await talk.do(SearchMessages("parrot", limit=2))
    assert (len(some.hits), some.cut, {hit.stream for hit in some.hits}) == (
        2,
        True,
        {"talk", "other"} & {hit.stream for hit in some.hits},
    )


async def test_a_deleted_stream_is_silent_and_speaks_again_when_restored(talk: Place) -> None:
    await talk.delete("talk")
    with pytest.raises(NotFound):
        await talk.heard("talk")
    assert await talk.overheard("parrot") == []
    await talk.do(RestoreEntities(["talk"]))
    assert len(await talk.heard("talk")) == 4
    assert len(await talk.overheard("parrot")) == 4


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (MessageInput("a\0b"), Invalid),
        (MessageInput("a", role=""), Invalid),
        (MessageInput("a", speaker="x" * 2001), TooLarge),
        (MessageInput("a", metadata={"k": float("inf")}), Invalid),
        (MessageInput("a", at=datetime(2027, 1, 1)), Invalid),
    ],
    ids=range(5),
)
async def test_one_line_that_cannot_be_kept_refuses_them_all(default: Place, line: MessageInput, error: Any) -> None:
    with pytest.raises(error):
        await default.do(AppendMessages("talk", [MessageInput("good"), line]))
    assert await default.listed() == []


async def test_empty_and_large_lines_are_kept(default: Place, world: World) -> None:
    large = "".join(f"{number:x} " for number in range(100_000))
    await default.say("talk", "", large, "日本語 🙂")
    assert await default.heard("talk") == ["", large, "日本語 🙂"]
    await world.sound()
