"""A full disk: writing is refused with a clear word, reading goes on, and once there is room again so does writing."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client.errors import Broken, Error, StoreFull
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.values import EntityInput

NOISE = 100_000


def noise() -> str:
    """Text that does not compress."""
    return os.urandom(NOISE // 2).hex()


@pytest.fixture
def full(house: Any, small_disk: Callable[[int], Path]) -> Iterator[Any]:
    """A daemon whose store lies on a disk that has just been filled, and the names that it acknowledged before."""
    disk = small_disk(12)
    (disk / "ballast").write_bytes(b"x" * 4_000_000)
    house.store = disk / "memory.db"
    house.environment["ENHANCED_MEMORY_STORE"] = str(house.store)
    # Vectors follow writes by themselves, and theirs may be so small that they still fit: then writing works again.
    house.environment["ENHANCED_MEMORY_EMBEDDER"] = "none"
    house.start()
    house.kept = []
    with house.memory() as memory:
        for number in range(1000):
            try:
                memory.create_entities([EntityInput(f"n{number}", "t", [noise()])])
            except StoreFull as problem:
                assert problem.hint
                break
            house.kept.append(f"n{number}")
        else:
            raise AssertionError("the disk never filled")
    yield house
    house.end()  # before its disk is taken away


def free(house: Any) -> None:
    (house.store.parent / "ballast").unlink()


def test_a_full_disk_refuses_what_it_cannot_keep_and_serves_the_rest(full: Any) -> None:
    with full.memory() as memory:
        for _ in range(3):
            with pytest.raises(StoreFull):
                memory.create_entities([EntityInput("more", "t", [noise()])])
        assert len(full.kept) > 5
        assert memory.open_nodes(list(full.kept)).missing == []
        assert memory.open_nodes(["more"]).missing == ["more"]
        status = memory.get_memory_status()
        assert (status.state, status.total_entities) == ("failing", len(full.kept))
        assert "space" in status.problems[0]
        assert memory.ping().at
    assert full.process.poll() is None


def test_once_there_is_room_again_writing_goes_on(full: Any) -> None:
    with full.memory() as memory:
        free(full)
        memory.create_entities([EntityInput("after", "t", [noise()])])
        assert memory.open_nodes([*full.kept, "after"]).missing == []
        assert memory.get_memory_status().state == "ready"
        assert memory.verify().problems == []
    assert full.process.poll() is None
    assert "Traceback" not in full.log.read_text()


def test_a_group_that_did_not_fit_is_not_half_there(full: Any) -> None:
    """Small changes that would have fitted, in one commit with a large one."""
    with full.memory() as memory:
        asks = [CreateEntities([EntityInput(f"g{n}", "t", [noise() if n == 25 else "small"])]) for n in range(50)]
        answers = memory.send_all(asks)
        kept = [f"g{n}" for n, answer in enumerate(answers) if not isinstance(answer, Error)]
        lost = [f"g{n}" for n, answer in enumerate(answers) if isinstance(answer, Error)]
        assert all(isinstance(answer, StoreFull) for answer in answers if isinstance(answer, Error))
        assert "g25" in lost
        assert memory.open_nodes([*kept, *lost]).missing == lost
        free(full)
        assert memory.verify().problems == []


def test_a_full_disk_is_no_reason_to_forget_what_was_kept(full: Any) -> None:
    """Neither a stop nor a kill on a full disk costs anything, and the daemon comes back on it."""
    full.end()
    full.start()
    with full.memory() as memory:
        assert memory.open_nodes(list(full.kept)).missing == []
    full.kill()
    full.start()
    with full.memory() as memory:
        assert memory.open_nodes(list(full.kept)).missing == []
        free(full)
        assert memory.create_entities([EntityInput("after", "t", [noise()])])
        assert memory.verify().problems == []


def test_a_backup_to_a_full_disk_leaves_nothing_behind(full: Any) -> None:
    with full.memory() as memory:
        with pytest.raises((StoreFull, Broken)) as caught:
            memory.backup(str(full.store.parent / "copies"))
        assert isinstance(caught.value, StoreFull)
        assert list((full.store.parent / "copies").iterdir()) == []
        assert memory.backup(str(full.folder / "backups")).entities == len(full.kept)


def test_a_repeat_under_the_same_key_is_applied_once_there_is_room(full: Any) -> None:
    with full.memory() as memory:
        ask = CreateEntities([EntityInput("keyed", "t", [noise()])])
        with pytest.raises(StoreFull):
            memory.send(ask, key="the key")
        free(full)
        first = memory.send(ask, key="the key")
        assert first.results[0].action == "created"
        assert memory.send(ask, key="the key") == first
