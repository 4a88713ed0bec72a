"""The queue of writes: what no daemon refused is kept, in its order, for the space that it was meant for; what is not on disk was not taken."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.adapters import outbox_file
from enhanced_memory.client.adapters.chronicle import ConversationMemory, DatabaseManager, MemoryManager
from enhanced_memory.client.adapters.outbox_file import OutboxFile, Waiting
from enhanced_memory.client.errors import Broken, Busy, Error, StoreDamaged, StoreFull, TooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def failing(problem: Error) -> Generator[None]:
    """A daemon of which every call gets this error, until the block ends."""

    def fail(*_: Any, **__: Any) -> Any:
        raise problem

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "send", fail)
        yield


def talk_in(space: str, begun: int | None = None) -> ConversationMemory:
    """A window of a client of its own in a space, on a conversation that was begun there."""
    window = ConversationMemory(DatabaseManager(memory=Memory(Settings.load({"space": space}), client="chronicle")))
    window.conversation_id = begun
    return window


def said_in(window: ConversationMemory) -> list[str]:
    """What the daemon keeps of the window's conversation."""
    number = window.conversation_id
    assert number is not None
    return [one.content for one in window.db_manager.engine.recent_messages(number).messages]


def test_what_reads_first_does_nothing_while_the_daemon_is_away_and_counts_in_what_waited_afterwards(
    there: str, caplog: pytest.LogCaptureFixture
) -> None:
    manager = MemoryManager(memory=Memory(Settings.load({"space": there}), client="chronicle"))
    with failing(Unavailable()):
        number, window = manager.start_new_conversation("Castle")
        for n in range(5):
            window.add_user_message(f"They went to room {n}.")
        assert (manager.summarize_conversation(number), manager.cleanup_old_data(0)) == (None, None)
        assert len(manager.db_manager.outbox) == 6
    assert "nothing was cleaned up" in caplog.text
    told = manager.summarize_conversation(number)
    assert told is not None
    assert "room 0" in told
    assert window.get_conversation_summary() == told
    manager.close()


@pytest.mark.parametrize("problem", [Busy(), StoreFull(), StoreDamaged(), Broken()], ids=lambda one: one.code)
def test_what_fails_through_no_fault_of_its_own_waits_on_and_what_comes_after_waits_behind_it(
    there: str, problem: Error
) -> None:
    talk = talk_in(there)
    outbox = talk.db_manager.outbox
    with failing(Unavailable()):
        talk.create_new_conversation("Castle")
        talk.add_user_message("one")
    with failing(problem):
        with pytest.raises(type(problem)):
            outbox.flush()
        assert talk.add_user_message("two").id == 0
        assert len(outbox) == 3
    assert outbox.refused == []
    assert outbox.flush() == 3
    assert said_in(talk) == ["one", "two"]
    talk.db_manager.close()


def test_what_waits_goes_to_the_space_that_it_was_said_in_and_holds_up_no_other(there: str) -> None:
    alices, bobs = talk_in(f"{there} alice"), talk_in(f"{there} bob")
    outbox = bobs.db_manager.outbox
    outbox.limit = 3
    with failing(Unavailable()):
        for n in range(2):
            for window in (alices, bobs):
                window.add_user_message(f"{'alice' if window is alices else 'bob'} {n}")
        with pytest.raises(TooLarge, match="3 changes wait"):
            bobs.add_user_message("one too many of bob's")
        assert alices.add_user_message("alice 2").id == 0, "bob's limit is not hers"
    assert (len(outbox), len(alices.db_manager.outbox)) == (3, 4)
    assert outbox.flush() == 3
    assert bobs.add_user_message("bob 2").id > 0
    assert said_in(bobs) == ["bob 0", "bob 1", "bob 2"]
    assert len(bobs.db_manager.memory.list_sessions(session_types=["conversation"]).sessions) == 1
    assert (len(outbox), len(alices.db_manager.outbox)) == (0, 4)
    # By another program of hers; what the ids mean is known to the first one, too.
    later = talk_in(f"{there} alice")
    assert later.db_manager.outbox.flush() == 4
    assert said_in(alices) == ["alice 0", "alice 1", "alice 2"]
    for window in (alices, bobs, later):
        window.db_manager.close()


def test_a_call_that_an_older_version_let_wait_is_still_delivered(there: str) -> None:
    """It did not say its space."""
    talk = talk_in(there)
    outbox = talk.db_manager.outbox
    with failing(Unavailable()):
        talk.add_user_message("hello")
    store = talk.db_manager.engine.settings.store_path
    path = store.with_name(store.name + ".outbox")
    path.write_bytes(path.read_bytes().replace(f',"space":"{there}"'.encode(), b""))
    assert b'"space"' not in path.read_bytes()
    assert outbox.flush() == 2
    assert said_in(talk) == ["hello"]
    talk.db_manager.close()


def call(number: int) -> Waiting:
    """A call that waits."""
    return Waiting(f"key{number}", "append_message", {"content": f"line {number}" * 50})


def test_a_line_that_is_written_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = OutboxFile(tmp_path / "box")
    write = os.write

    def little(handle: int, data: Any) -> int:
        return write(handle, data[:7])

    with box.alone(), monkeypatch.context() as patch:
        patch.setattr(outbox_file.os, "write", little)
        for n in range(3):
            box.add(call(n))
    again = OutboxFile(box.path)
    again.read()
    assert again.waiting == [call(n) for n in range(3)]


@pytest.mark.parametrize("short", [600, 1], ids=["torn", "but for its end"])
def test_what_the_disk_has_no_room_for_is_not_taken_and_leaves_nothing_behind(tmp_path: Path, short: int) -> None:
    box = OutboxFile(tmp_path / "box")
    with box.alone():
        box.add(call(0))
        before = box.path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * len(before) - min(short, len(before) - 9), hard))
        try:
            with pytest.raises(StoreFull, match="box"):
                box.add(call(1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert box.path.read_bytes() == before
        assert box.waiting == [call(0)]
        box.add(call(2))
    again = OutboxFile(box.path)
    again.read()
    assert again.waiting == [call(0), call(2)]


def test_a_call_whose_way_to_the_disk_failed_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = OutboxFile(tmp_path / "box")

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with box.alone():
        with monkeypatch.context() as patch:
            patch.setattr(outbox_file.os, "fsync", fail)
            with pytest.raises(Broken, match="Input/output error"):
                box.add(call(0))
        assert (box.waiting, box.path.read_bytes()) == ([], b"")


def test_a_new_files_name_is_on_disk_before_its_first_call_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(outbox_file.os, "fsync", note)
    box = OutboxFile(tmp_path / "box")
    with box.alone():
        box.add(call(0))
        box.add(call(1))
    assert sorted(synced) == sorted([str(tmp_path), str(box.path), str(box.path)])
