"""What streams keep at hand, and the archive behind it: nothing dropped, everything found, exported and undone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.entities import PurgeEntities, UpdateEntity
from enhanced_memory.client.operations.journal import Undo
from enhanced_memory.client.operations.streams import (
    AppendMessages,
    ArchiveMessages,
    GetWindow,
    KeepSummary,
    MessagesBy,
    RecentMessages,
    SetRetention,
)
from enhanced_memory.client.values import MessageInput
from enhanced_memory.daemon.handlers.keeping import STEP
from enhanced_memory.daemon.store.archive import BLOCK_LINES
from enhanced_memory.daemon.store.transfer import Place as Start

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World

START = 1_800_000_000_000


def lines(count: int, first: int = 0) -> list[str]:
    """Lines that say something each, and can be told apart."""
    return [f"The keeper lit lamp number {n} because ship {n * 7} was late again." for n in range(first, first + count)]


async def filled(place: Place, count: int, keep: int | None = None, name: str = "talk") -> int:
    """A stream with so many lines."""
    ids = await place.say(name, "begun")
    stream = (await place.do(AppendMessages(name, [MessageInput(one) for one in lines(count - 1)]))).stream
    assert ids
    if keep is not None:
        await place.do(SetRetention(stream, keep))
    return stream


async def told(place: Place, stream: int, *, archived: bool = False, as_of: int | None = None) -> list[str]:
    """Everything that a stream tells, oldest first."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await place.do(MessagesBy(stream, limit=1000, cursor=cursor, archived=archived), as_of)
        found += [one.content for one in page.messages]
        cursor = page.cursor
        if cursor is None:
            return found


async def test_after_each_append_exactly_the_newest_are_kept(default: Place) -> None:
    stream = await filled(default, 3, keep=5)
    for more in range(1, 40):
        await default.say(stream, f"line {more}")
        kept = [one.content for one in (await default.do(RecentMessages(stream, limit=100))).messages]
        assert len(kept) == min(5, 3 + more)
        assert kept[-1] == f"line {more}"
        assert await told(default, stream) == kept
        assert len(await told(default, stream, archived=True)) == 3 + more


async def test_keeping_many_crosses_every_step_and_loses_no_line(default: Place, world: World) -> None:
    stream = await filled(default, 10, keep=50)
    said = ["begun", *lines(9)]
    for first in range(9, 9 + 5 * STEP, 97):
        await default.say(stream, *lines(97, first))
        said += lines(97, first)
        assert await told(default, stream) == said[-50:]
    assert await told(default, stream, archived=True) == said
    packed = (await world.rows("SELECT count(*) FROM messages WHERE block > 0"))[0][0]
    assert packed > len(said) - 50 - STEP - 97
    await world.sound()


async def test_an_archived_message_is_opened_from_its_block_by_every_way_of_asking(
    default: Place, world: World
) -> None:
    stream = await filled(default, 400, keep=20)
    assert await default.overheard("lamp number 17") != []
    assert (await default.overheard('"lamp number 17"'))[0] == lines(1, 17)[0]
    assert (await default.do(MessagesBy(stream, limit=3, archived=True))).messages[1].content == lines(1)[0]
    before = (await default.do(RecentMessages(stream, before=10, archived=True))).messages
    assert [one.content for one in before] == ["begun", *lines(8)]
    assert (await default.do(GetWindow(stream, messages=1000))).total == 400
    exported = [
        one["content"]
        for one in await default.read(lambda tx: tx.transfer.page(tx.log.last_change(), Start(), 5000)[0])
        if one["type"] == "message"
    ]
    assert exported == ["begun", *lines(399)]
    await world.sound()


async def test_blocks_take_less_room_than_what_they_hold(default: Place, world: World) -> None:
    await filled(default, 2 * BLOCK_LINES + 20, keep=20)
    before, after = (await world.rows("SELECT sum(bytes), sum(length(body)) FROM blocks"))[0]
    assert after < before / 3
    assert (await world.rows("SELECT max(length(body)) FROM messages WHERE block > 0")) == [(0,)]


async def test_equal_messages_share_a_body_and_stay_as_many_as_they_were(default: Place, world: World) -> None:
    await default.say("talk", *(["the same"] * 300), "last")
    await default.do(SetRetention("talk", 1))
    assert await told(default, 1, archived=True) == ["the same"] * 300 + ["last"]
    await world.sound()


async def test_days_keep_what_was_said_lately_whatever_the_order_of_arrival(default: Place, world: World) -> None:
    now = datetime.fromtimestamp(START / 1000, UTC)
    ages = [30, 20, 10, 2, 1]
    await default.do(
        AppendMessages("talk", [MessageInput(f"{age} days ago", at=now - timedelta(days=age)) for age in ages])
    )
    kept = await default.do(SetRetention("talk", days=7))
    assert (kept.keep_days, kept.archived) == (7, 3)
    assert await default.heard("talk") == ["2 days ago", "1 days ago"]
    world.clock.ms += 5 * 86_400_000
    assert await default.heard("talk") == ["1 days ago"], "time alone makes messages older"
    assert (await default.do(ArchiveMessages())).messages == 1
    assert (await default.do(ArchiveMessages())).messages == 0
    assert len(await told(default, kept.stream, archived=True)) == 5


async def test_the_running_summary_tells_in_the_window_what_is_not_kept(default: Place) -> None:
    await default.say(
        "talk",
        "Mara decided to sell the lighthouse because the roof was leaking.",
        *(f"The weather report of day {n} mentions light wind." for n in range(200)),
        "Good night.",
    )
    assert (await default.do(GetWindow("talk"))).summary == ""
    await default.do(SetRetention("talk", 5))
    window = await default.do(GetWindow("talk", messages=100))
    assert len(window.messages) == 5
    assert window.total == 202
    assert window.summary
    lines_with = (await default.do(GetWindow("talk", messages=100, summary_as="system"))).messages
    assert lines_with[0].role == "system"
    assert window.summary in lines_with[0].content
    assert [one.content for one in lines_with[1:]] == [one.content for one in window.messages]
    without = await default.do(GetWindow("talk", messages=100, summary_as="none"))
    assert (without.summary, len(without.messages)) == ("", 5)


async def test_a_window_with_its_summary_stays_within_its_budget(default: Place) -> None:
    stream = await filled(default, 300, keep=100)
    for budget in (60, 200, 1000):
        window = await default.do(GetWindow(stream, messages=100, tokens=budget))
        assert window.tokens <= budget
        assert len(window.summary) <= budget * 4 // 2 + 2


async def test_a_callers_own_summary_is_kept_word_for_word_and_the_running_one_follows_it(default: Place) -> None:
    stream = await filled(default, 150)
    mine = "They ran a lighthouse. NOTHING else mattered!"
    told_ = await default.do(KeepSummary(stream, text=mine))
    assert (told_.text, told_.messages) == (mine, 150)
    await default.do(SetRetention(stream, 10))
    assert (await default.do(GetWindow(stream))).summary == mine, "what it covers is not summed up again"
    await default.say(stream, *lines(2 * STEP, 500))
    window = await default.do(GetWindow(stream))
    assert window.summary.startswith(mine + "\n")
    assert len(window.summary) > len(mine) + 20


async def test_a_stream_sums_itself_up(default: Place) -> None:
    stream = await filled(default, 30)
    told_ = await default.do(KeepSummary(stream, chars=200))
    assert (told_.messages, told_.first, told_.last, bool(told_.text)) == (30, 1, 30, True)
    assert (await default.do(GetWindow(stream))).summary == told_.text


async def test_an_empty_stream_comes_to_nothing(default: Place) -> None:
    await default.create("quiet", type="session")
    before = await default.entity("quiet")
    told_ = await default.do(KeepSummary("quiet"))
    assert (told_.text, told_.messages) == ("", 0)
    assert await default.entity("quiet") == before


async def test_keeping_more_again_brings_messages_back_from_the_archive(default: Place, world: World) -> None:
    stream = await filled(default, 300, keep=10)
    assert len(await told(default, stream)) == 10
    await default.do(SetRetention(stream, 250))
    assert await told(default, stream) == lines(250, 49)
    await default.do(SetRetention(stream))
    assert len(await told(default, stream)) == 300
    assert (await default.do(GetWindow(stream))).summary == ""
    await world.sound()


async def test_the_past_tells_what_was_kept_then(default: Place, world: World) -> None:
    stream = await filled(default, 300)
    before = await world.last_change()
    await default.do(SetRetention(stream, 10))
    assert len(await told(default, stream)) == 10
    assert await told(default, stream, as_of=before) == ["begun", *lines(299)]


async def test_a_branch_archives_for_itself_alone(default: Place, world: World) -> None:
    stream = await filled(default, 200)
    branch = await world.branch("try")
    await branch.say(stream, *lines(200, 1000))
    await branch.do(SetRetention(stream, 20))
    assert await told(branch, stream) == lines(20, 1180)
    assert len(await told(branch, stream, archived=True)) == 400
    assert len(await told(default, stream)) == 200
    await default.do(SetRetention(stream, 7))
    assert len(await told(branch, stream, archived=True)) == 400
    assert await told(default, stream) == lines(7, 192)
    await world.sound()


async def test_archived_messages_can_be_unsaid_and_said_again(default: Place, world: World) -> None:
    await default.say("talk", "Mara decided to burn the lighthouse.")
    await default.do(SetRetention("talk", 5))
    first = await world.last_change()
    await default.say("talk", *lines(2 * STEP))
    secret = await world.last_change()
    await default.say("talk", *lines(2 * STEP, 5000))
    assert first
    undone = await default.do(Undo(change=secret, dry_run=False))
    assert undone.conflicts == []
    left = await told(default, 1, archived=True)
    assert left == ["Mara decided to burn the lighthouse.", *lines(2 * STEP, 5000)]
    summary = (await default.do(GetWindow("talk"))).summary
    assert not any(line in summary for line in lines(2 * STEP)), "a summary tells nothing that was unsaid"
    await world.sound()


async def test_a_purge_takes_the_blocks_along(default: Place, world: World) -> None:
    stream = await filled(default, 300, keep=10)
    other = await filled(default, 300, keep=10, name="other")
    receipt = await default.do(PurgeEntities([stream], confirm=True))
    assert receipt.removed["messages"] == 300
    assert receipt.removed["blocks"] >= 1
    assert await world.rows("SELECT DISTINCT stream FROM blocks") == [(other,)]
    assert len(await told(default, other, archived=True)) == 300
    await world.sound()


async def test_a_damaged_block_is_found_by_the_check(default: Place, world: World) -> None:
    await filled(default, 200, keep=10)
    assert (await world.engine.check(quick=True)).problems == []
    world.spoil("UPDATE blocks SET body = ?", bytes(100))
    problems = (await world.engine.check(quick=True)).problems
    assert any("message 1:" in one for one in problems)


@pytest.mark.parametrize("given", [{"keep_messages": 0}, {"keep_messages": "many"}, {"keep_days": -1}])
async def test_what_is_no_retention_is_refused_by_name(default: Place, given: dict[str, object]) -> None:
    await default.say("talk", "hello")
    with pytest.raises(Invalid, match=next(iter(given))):
        await default.do(UpdateEntity("talk", properties=given))
