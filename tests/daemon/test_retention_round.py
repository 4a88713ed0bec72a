"""Retention by the clock: what only time makes older is archived without anybody writing, in every space, and a missed round is made up for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Broken, Error, StoreDamaged, StoreFull
from enhanced_memory.client.operations.sessions import ListSessions, Session
from enhanced_memory.client.operations.spaces import CreateSpace
from enhanced_memory.client.operations.streams import AppendMessages, ArchiveMessages, MessagesBy, SetRetention
from enhanced_memory.client.request import HANDLERS, Request
from enhanced_memory.client.values import MessageInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.curation.steadiness import Steadiness
from enhanced_memory.daemon.retention import Retention

if TYPE_CHECKING:
    from enhanced_memory.daemon.store import Engine
    from enhanced_memory.tests.conftest import Clock

DAY_MS = 86_400_000

assert handlers.__all__


async def ask(engine: Engine, request: Request[Any], space: str = "default") -> Any:
    """The answer to a request in a space."""
    return await engine.write(
        lambda tx: HANDLERS[request.op](tx, request), Call(Peer(space=space, greeted=True), request)
    )


async def session(engine: Engine, space: str = "default") -> Session:
    """The session `talk` as it stands."""
    return (await ask(engine, ListSessions(["talk"]), space)).sessions[0]


def steady(clock: Clock) -> Steadiness:
    """A clock that is believed, however far a test moves it."""
    return Steadiness(clock, lambda: clock() / 1000)


async def talk(engine: Engine, space: str, days: float | None, count: int = 200) -> None:
    """A session in which so much was said, and what it keeps."""
    await ask(engine, AppendMessages("talk", [MessageInput(f"line {n}") for n in range(count)]), space)
    if days is not None:
        await ask(engine, SetRetention("talk", days=days), space)


async def test_what_time_made_older_is_archived_in_every_space_and_nothing_is_dropped(
    engine: Engine, clock: Clock
) -> None:
    await ask(engine, CreateSpace("other"))
    await talk(engine, "default", 3)
    await talk(engine, "other", 3)
    round_ = Retention(engine, engine.settings, steady(clock))
    assert await round_.go_round_if_due() == 0
    clock.ms += 4 * DAY_MS
    assert await round_.go_round_if_due() == 400
    for space in ("default", "other"):
        kept = await session(engine, space)
        assert (kept.messages, kept.archived_messages) == (200, 200)
        found = await ask(engine, MessagesBy("talk", archived=True, limit=1000), space)
        assert len(found.messages) == 200


async def test_a_round_is_made_once_a_day_and_a_missed_one_is_made_up_for(engine: Engine, clock: Clock) -> None:
    await talk(engine, "default", 1)
    settings = engine.settings
    assert await Retention(engine, settings, steady(clock)).go_round_if_due() == 0
    clock.ms += DAY_MS - 1
    assert await Retention(engine, settings, steady(clock)).go_round_if_due() == 0
    clock.ms += 30 * DAY_MS
    # The daemon was not there for a month: its next one goes round at once, and once.
    later = Retention(engine, settings, steady(clock))
    assert await later.go_round_if_due() == 200
    await talk(engine, "default", None)
    assert await later.go_round_if_due() == 0


async def test_it_can_be_switched_off_and_waits_for_a_clock_that_jumped(engine: Engine, clock: Clock) -> None:
    await talk(engine, "default", 1)
    settings = engine.settings
    off = replace(settings, retention_every_h=0.0)
    clock.ms += 10 * DAY_MS
    assert await Retention(engine, off, steady(clock)).go_round_if_due() == 0
    jumping = Retention(engine, settings, Steadiness(clock, lambda: 0.0))
    clock.ms += 10 * DAY_MS
    assert await jumping.go_round_if_due() == 0
    assert await Retention(engine, settings, steady(clock)).go_round_if_due() == 200


async def test_streams_that_keep_everything_are_left_alone(engine: Engine, clock: Clock) -> None:
    await talk(engine, "default", None)
    clock.ms += 400 * DAY_MS
    assert await Retention(engine, engine.settings, steady(clock)).go_round_if_due() == 0
    assert (await session(engine)).archived_messages == 0


@pytest.mark.parametrize("problem", [StoreDamaged(), Broken(), ValueError("odd")], ids=["damaged", "broken", "a bug"])
async def test_a_stream_that_cannot_be_archived_holds_up_no_other_and_is_told(
    engine: Engine,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    problem: Exception,
) -> None:
    await ask(engine, CreateSpace("other"))
    await talk(engine, "default", 3)
    await talk(engine, "other", 3)
    harmed = (await session(engine)).id
    archive = HANDLERS[ArchiveMessages.op]

    def fail(tx: Any, given: Any) -> Any:
        if given.stream == harmed:
            raise problem
        return archive(tx, given)

    clock.ms += 4 * DAY_MS
    round_ = Retention(engine, engine.settings, steady(clock))
    with monkeypatch.context() as patch:
        patch.setitem(HANDLERS, ArchiveMessages.op, fail)
        assert await round_.go_round_if_due() == 200
        assert (await session(engine, "other")).archived_messages == 200
        assert f"stream {harmed} of space default" in caplog.text
        assert await round_.go_round_if_due() == 0, "it is tried again with the next round, not before"
    clock.ms += DAY_MS
    assert await round_.go_round_if_due() == 200
    assert (await session(engine)).archived_messages == 200


async def test_a_round_that_a_full_disk_ended_comes_again(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talk(engine, "default", 3)
    clock.ms += 4 * DAY_MS
    round_ = Retention(engine, engine.settings, steady(clock))

    def fail(*_: Any) -> Any:
        raise StoreFull

    with monkeypatch.context() as patch:
        patch.setitem(HANDLERS, ArchiveMessages.op, fail)
        with pytest.raises(Error):
            await round_.go_round_if_due()
    assert await round_.go_round_if_due() == 200
