"""Cold storage: what was archived leaves the store, keeps its address, and comes back as it was; nothing that is forgotten stays in a file."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.errors import Error, Invalid, StoreDamaged
from enhanced_memory.client.values import EntityInput, MessageInput, RelationInput
from enhanced_memory.daemon.store import cold_files

from ..conftest import end_daemon


def folder() -> Path:
    """Where this home's files of cold storage lie."""
    return Settings.load().cold_path


def files() -> list[Path]:
    """The files that lie there."""
    return sorted(folder().glob("cold_*")) if folder().exists() else []


@pytest.fixture
def filled(memory: Memory) -> dict[str, int]:
    """A person with two versions and a vector of her own, a friend, and a session with a talk; ids by name."""
    made = memory.create_entities(
        [
            EntityInput(
                "Ada", "person", ["likes tea"], {"city": "Bath", "born": 1815}, ["engine"], vectors={"mine": [1.0, 0.5]}
            ),
            EntityInput("Bob", "person", ["likes rum"]),
        ]
    )
    memory.create_relations([RelationInput("Ada", "Bob", "knows")])
    memory.create_entities([EntityInput("Ada", "person", ["hates fog"])])
    memory.start_session("talk", title="On fog")
    said = memory.append_messages("talk", [MessageInput(f"line {n} about zeppelins", role="user") for n in range(300)])
    memory.set_retention("talk", 100)
    return {one.name: one.id for one in made.results} | {"talk": said.stream}


def eventually(true: Callable[[], Any]) -> None:
    """Wait until something holds."""
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_is_archived_leaves_the_store_and_comes_back_as_it_was(memory: Memory, filled: dict[str, int]) -> None:
    before = memory.open_nodes(["Ada", "talk"]).entities
    history = memory.memory_history("Ada").versions
    said = memory.messages_by("talk", archived=True, limit=1000).messages
    done = memory.archive_entities(["Ada", "talk", "nobody"])
    assert sorted(done.ids) == sorted([filled["Ada"], filled["talk"]])
    assert done.missing == ["nobody"]
    assert done.messages == 300
    assert [one.name for one in files()] == done.files
    assert files()[0].stat().st_mode & 0o777 == 0o600
    assert memory.open_nodes(["Ada", "talk"]).missing == ["Ada", "talk"]
    assert memory.search_nodes("fog tea").hits == []
    assert memory.search_messages("zeppelins").hits == []
    assert memory.get_memory_status().messages == 0

    listed = memory.list_archived(contents=True).entities
    assert [(one.name, one.type, one.tags) for one in listed] == [
        ("Ada", "person", ["engine"]),
        ("talk", "session", []),
    ]
    assert listed[0].entity is not None
    assert listed[0].entity.observations == ["likes tea", "hates fog"]
    assert (listed[0].versions, listed[1].messages) == (2, 300)
    assert [one.name for one in memory.list_archived(containing="ZEPPELINS").entities] == ["talk"]
    assert [one.name for one in memory.list_archived(["Ada"], name="ad").entities] == ["Ada"]
    assert memory.list_archived(containing="nothing of it").entities == []

    end_daemon(Settings.load().store_path)
    fresh = memory.append_messages("elsewhere", [MessageInput("a new line")]).ids[0]
    assert fresh > said[-1].id, "an id that was given out is not given out again"

    memory.restore_entities(["Ada", "talk"])
    after = memory.open_nodes(["Ada", "talk"])
    for old, new in zip(before, after.entities, strict=True):
        assert (old.id, old.observations, old.properties, old.tags, old.priority) == (
            new.id, new.observations, new.properties, new.tags, new.priority,
        )  # fmt: skip
    assert [one.to for one in after.relations] == ["Bob"]
    assert memory.messages_by("talk", archived=True, limit=1000).messages == said
    versions = memory.memory_history("Ada").versions
    assert [one.version for one in versions] == [4, 3, 2, 1]
    assert [one.at for one in versions[2:]] == [one.at for one in history]
    assert memory.search_messages("zeppelins").hits
    assert memory.search_nodes("fog").hits[0].entity.name == "Ada"
    assert memory.search_nodes("", vector=[1.0, 0.5], model="mine").hits[0].entity.name == "Ada"
    assert memory.list_archived().entities == []
    assert memory.verify().problems == []


def test_those_that_meet_the_conditions_go_and_the_rest_stays(memory: Memory, filled: dict[str, int]) -> None:
    memory.pin(["Bob"])
    told = memory.archive_entities(types=["person"], dry_run=True)
    assert (told.ids, told.files, files()) == ([filled["Ada"]], [], [])
    assert memory.archive_entities(types=["person"], unused_days=1).ids == []
    assert memory.archive_entities(types=["person"], unused_days=0, tags=["engine"]).ids == [filled["Ada"]]
    assert memory.archive_entities(["Bob"]).kept == {str(filled["Bob"]): "it is always included"}
    with pytest.raises(Invalid, match="what to archive"):
        memory.archive_entities()


def test_what_a_branch_still_sees_stays(memory: Memory, filled: dict[str, int]) -> None:
    memory.memory_branch("draft")
    kept = memory.archive_entities(["Ada"]).kept
    assert "draft" in kept[str(filled["Ada"])]
    memory.discard_branch("draft")
    assert memory.archive_entities(["Ada"]).ids == [filled["Ada"]]


def test_a_purge_reaches_every_file_and_says_so(memory: Memory, filled: dict[str, int]) -> None:
    """What was brought back is still in its file, and goes from there too."""
    memory.archive_entities(["Ada", "Bob", "talk"])
    first = files()
    memory.restore_entities(["Ada"])
    stranger = folder() / "cold_20200101_000000_00000000.zst"
    stranger.write_bytes(b"of another time")
    receipt = memory.purge_entities(["Ada", "talk"], confirm=True)
    assert receipt.removed["cold"] == 2 + 2 + 300, "two versions of each, and what was said"
    assert receipt.files == [str(stranger)]
    stranger.unlink()
    assert not set(files()) & set(first)
    assert len(files()) == 1
    here = cold_files.read(folder(), files()[0].name, cold_sha(files()[0]))
    assert [one.entity for one in here] == [filled["Bob"]]
    for path in [*files(), *folder().parent.glob("memory.db*")]:
        if path.is_file():
            assert b"zeppelins" not in path.read_bytes()
    assert memory.list_archived().entities[0].name == "Bob"
    memory.restore_entities(["Bob"])
    assert memory.verify().problems == []


def cold_sha(path: Path) -> str:
    """A file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_missing_or_altered_file_is_named_with_its_remedy(memory: Memory, filled: dict[str, int]) -> None:
    memory.archive_entities(["Ada"])
    (path,) = files()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    problems = memory.verify().problems
    assert len(problems) == 1
    assert str(path) in problems[0]
    assert "was altered" in problems[0]
    assert cold_sha(path) not in problems[0]
    with pytest.raises(StoreDamaged, match="altered"):
        memory.restore_entities(["Ada"])
    assert memory.list_archived(contents=True).entities[0].problem
    path.unlink()
    assert "is not there" in memory.verify(quick=True).problems[0]
    path.write_bytes(whole)
    assert memory.verify().problems == []
    assert memory.verify().checked["cold_files"] == 1
    memory.restore_entities(["Ada"])


def test_a_lost_file_does_not_keep_a_purge_from_its_end(memory: Memory, filled: dict[str, int]) -> None:
    memory.archive_entities(["Ada"])
    files()[0].unlink()
    assert memory.purge_entities(["Ada"], confirm=True).ids == [filled["Ada"]]
    assert memory.verify().problems == []


def test_an_export_holds_what_is_archived(memory: Memory, filled: dict[str, int], home: Path) -> None:
    """Where it is taken in, what was archived is deleted, and comes back whole."""
    memory.archive_entities(["Ada", "talk"])
    records: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = memory.export_data(limit=7, cursor=cursor)
        records += page.records
        cursor = page.cursor
        if cursor is None:
            break
    assert sum(record["type"] == "message" for record in records) == 300
    other = Settings.load({"store": str(home / "other.db"), "socket": str(home / "other.sock")})
    with Memory(other) as there:
        report = there.import_data(records=records, job="all")
        assert report.problems == []
        there.restore_entities(["Ada", "talk"])
        assert there.open_nodes(["Ada"]).entities[0].observations == ["likes tea", "hates fog"]
        assert len(there.messages_by("talk", archived=True, limit=1000).messages) == 300
        assert there.verify().problems == []
    end_daemon(home / "other.db")


def test_a_backup_says_what_it_does_not_hold(memory: Memory, filled: dict[str, int], home: Path) -> None:
    assert memory.backup(str(home / "backups")).cold_files == 0
    memory.archive_entities(["Ada"])
    made = memory.backup(str(home / "backups"))
    assert (made.cold_files, made.cold_bytes, made.cold_folder) == (1, files()[0].stat().st_size, str(folder()))


def test_undoing_an_archiving_says_how_it_is_brought_back(memory: Memory, filled: dict[str, int]) -> None:
    done = memory.archive_entities(["Ada"])
    told = memory.undo(done.changes[0])
    assert "restore_entities" in told.conflicts[0].reason


def test_an_address_that_changed_meanwhile_is_archived_as_it_is_then(memory: Memory, filled: dict[str, int]) -> None:
    """Archiving again after a restore makes a file of its own; each knows what it has."""
    memory.archive_entities(["Ada"])
    memory.restore_entities(["Ada"])
    memory.create_entities([EntityInput("Ada", "person", ["sails"])])
    memory.archive_entities(["Ada"])
    assert len(files()) == 2
    found = memory.list_archived(contents=True).entities
    assert len(found) == 1
    assert found[0].entity is not None
    assert found[0].entity.observations[-1] == "sails"
    memory.restore_entities(["Ada"])
    assert memory.open_nodes(["Ada"]).entities[0].observations[-1] == "sails"


def test_leftovers_of_a_killed_daemon_are_swept_and_what_was_committed_has_its_name(
    memory: Memory, filled: dict[str, int]
) -> None:
    memory.archive_entities(["Ada"])
    (path,) = files()
    end_daemon(Settings.load().store_path)
    os.rename(path, path.with_name(path.name + cold_files.PARTIAL))
    left = folder() / ("cold_20261121_000000_0123abcd.zst" + cold_files.PARTIAL)
    left.write_bytes(b"never committed")
    os.utime(left, (time.time() - 7200, time.time() - 7200))
    assert memory.verify().problems == []
    eventually(lambda: files() == [path])
    memory.restore_entities(["Ada"])


def test_archiving_under_kill_loses_nothing(memory: Memory) -> None:
    """`kill -9` while entities go and come: each is in the store or in cold storage, once, and whole."""
    names = [f"thing {n}" for n in range(60)]
    memory.create_entities([EntityInput(name, "thing", [f"{name} is kept"]) for name in names])
    store = Settings.load().store_path
    for turn in range(6):
        with Memory(Settings.load(), timeout_s=30, retry_changes=False) as hand:

            def work(hand: Memory = hand, turn: int = turn) -> None:
                try:
                    for at in range(turn, 60, 6):
                        hand.archive_entities(names[at : at + 3])
                        if at % 4 == 0:
                            hand.restore_entities([one.id for one in hand.list_archived(limit=2).entities])
                except Error:
                    pass

            thread = threading.Thread(target=work)
            thread.start()
            eventually(lambda turn=turn, thread=thread: len(files()) > turn or not thread.is_alive())
            end_daemon(store, 9)
            thread.join()
    here = {one.name for one in memory.list_entities(types=["thing"], limit=1000).entities}
    away = {one.name for one in memory.list_archived(contents=True, limit=1000).entities if one.entity is not None}
    assert not here & away
    assert here | away == set(names)
    assert memory.verify().problems == []
    end_daemon(store)
    for left in folder().glob("*" + cold_files.PARTIAL):
        os.utime(left, (time.time() - 7200, time.time() - 7200))
    assert memory.verify().problems == []
    eventually(lambda: not list(folder().glob("*" + cold_files.PARTIAL)))
    memory.restore_entities(sorted(away))
    found = memory.list_entities(types=["thing"], limit=1000).entities
    assert sorted((one.name, *one.observations) for one in found) == sorted((name, f"{name} is kept") for name in names)
