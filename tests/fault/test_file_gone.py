"""Files that are taken from under a running daemon: nothing that was acknowledged is lost, and nothing more is acknowledged into a void."""

import os
import shutil
from typing import Any

import pytest

from enhanced_memory.client.errors import Error, StoreDamaged, Unavailable
from enhanced_memory.client.settings import PREFIX
from enhanced_memory.client.values import EntityInput


def names(memory: Any) -> set[str]:
    return {entity.name for entity in memory.list_entities().entities}


def add(memory: Any, name: str) -> None:
    memory.create_entities([EntityInput(name, "t", [f"about {name}"])])


def test_a_log_that_is_deleted_costs_nothing_that_was_acknowledged(house: Any) -> None:
    house.start()
    with house.memory(retry_changes=False) as memory:
        for number in range(20):
            add(memory, f"n{number}")
        log = house.store.with_name(house.store.name + "-wal")
        assert log.stat().st_size > 0
        log.unlink()
        with pytest.raises(Unavailable):
            add(memory, "into the void")
    assert house.process is not None
    assert house.process.wait(30) == 0, "it leaves in order, so that the next one begins anew"
    house.start()
    with house.memory() as memory:
        assert {f"n{number}" for number in range(20)} <= names(memory)
        assert "into the void" not in names(memory)
        assert memory.verify().ok
        add(memory, "goes on")


def test_into_a_file_that_was_replaced_nothing_is_written(house: Any) -> None:
    house.start()
    with house.memory() as memory:
        add(memory, "kept")
    house.end()
    shutil.copy(house.store, house.folder / "other.db")
    house.start()
    with house.memory(retry_changes=False) as memory:
        add(memory, "newer")
        os.replace(house.folder / "other.db", house.store)
        before = house.store.read_bytes()
        with pytest.raises(Error, match="replaced"):
            add(memory, "into the void")
        assert house.store.read_bytes() == before
        assert names(memory) == {"kept", "newer"}, "questions are answered from what is still open"
        found = memory.health()
        assert found.state == "failing"
        assert "file_replaced" in [one.name for one in found.ailments]
        assert memory.backup(str(house.folder / "saved.db")).entities == 2
    house.end()
    assert house.store.read_bytes() == before


@pytest.mark.parametrize("how", ["cut short", "written over"])
def test_a_file_that_is_spoilt_is_told_and_takes_nothing_more(house: Any, how: str) -> None:
    house.environment[PREFIX + "EMBEDDER"] = "none"
    house.start()
    with house.memory() as memory:
        for part in range(4):
            memory.create_entities([EntityInput(f"{part}/{at}", "t", [f"word {at} " * 30]) for at in range(100)])
    house.end()
    house.start()
    with house.memory(retry_changes=False) as memory:
        size = house.store.stat().st_size
        if how == "cut short":
            os.truncate(house.store, size // 2)
        else:
            with open(house.store, "r+b") as file:
                for at in range(8192, size, 4096):
                    file.seek(at + 100)
                    file.write(b"\xff" * 64)
        with pytest.raises(StoreDamaged):
            memory.search_nodes("word")
        with pytest.raises(Error):
            add(memory, "into the void")
        found = memory.health()
        assert found.state == "failing"
        assert {"damaged", "not_writing"} & {one.name for one in found.ailments}
        assert all(one.says and one.remedy for one in found.ailments)
        assert memory.verify().problems
        assert memory.ping() is not None
    assert house.process.poll() is None, "whoever asks is told; nobody is left without an answer"
