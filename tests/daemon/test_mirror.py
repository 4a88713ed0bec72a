"""A mirror follows its space, outlives the daemon, and never costs anybody else's words."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.operations.spaces import SpaceList
from enhanced_memory.client.values import EntityInput, RelationInput, Space
from enhanced_memory.daemon.mirror import Mirrors
from enhanced_memory.daemon.store import Touched

from ..conftest import end_daemon


def said(file: Path) -> list[str]:
    """The names in a mirror, relations as `from>to`."""
    if not file.exists():
        return []
    text = file.read_text()
    assert text == "" or text.endswith("\n")
    records = [json.loads(line) for line in text.splitlines()]
    return [record.get("name") or f"{record['from']}>{record['to']}" for record in records]


def until(condition: Callable[[], bool], wait_s: float = 10.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition never came to hold"
        time.sleep(0.005)


@pytest.fixture
def file(home: Path, memory: Memory) -> Path:
    """The mirror of the default space, written once."""
    file = home / "mirror" / "memory.jsonl"
    memory.create_entities([EntityInput("Ada", "person", ["ünï"])])
    memory.update_space("default", {"mirror": str(file)})
    until(lambda: said(file) == ["Ada"])
    return file


def kept(file: Path) -> list[Path]:
    return sorted(file.parent.glob("memory.kept-*.jsonl"))


def test_it_holds_entities_first_then_relations_in_the_official_form_for_its_owner_alone(
    file: Path, memory: Memory
) -> None:
    memory.create_relations([RelationInput("Ada", "Bob", "knows")])
    memory.create_entities([EntityInput("Bob", "person")])
    until(lambda: said(file) == ["Ada", "Bob", "Ada>Bob"])
    assert (
        file.read_text().splitlines()[0]
        == '{"type":"entity","name":"Ada","entityType":"person","observations":["ünï"]}'
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept(file) == []
    assert [path.name for path in file.parent.iterdir()] == ["memory.jsonl"]


def test_its_rights_stay_as_its_owner_set_them(file: Path, memory: Memory) -> None:
    file.chmod(0o640)
    memory.create_entities([EntityInput("Bob", "person")])
    until(lambda: said(file) == ["Ada", "Bob"])
    assert file.stat().st_mode & 0o777 == 0o640


def test_other_spaces_do_not_show_in_it(file: Path, memory: Memory) -> None:
    before = file.stat().st_mtime_ns
    with Memory(space="other") as other:
        other.create_entities([EntityInput("Hidden", "x")])
    memory.create_entities([EntityInput("Bob", "person")])
    until(lambda: file.stat().st_mtime_ns != before)
    assert said(file) == ["Ada", "Bob"]


def test_a_space_read_through_to_shows_in_it(home: Path, memory: Memory) -> None:
    file = home / "over.jsonl"
    memory.create_space("over", "default", {"mirror": str(file)})
    memory.create_entities([EntityInput("Below", "x")])
    until(lambda: said(file) == ["Below"])


def test_what_somebody_else_wrote_is_kept_aside_and_named(file: Path, memory: Memory) -> None:
    theirs = '{"type":"entity","name":"Theirs","entityType":"x","observations":[]}\n'
    file.write_text(theirs)
    memory.create_entities([EntityInput("Bob", "person")])
    until(lambda: said(file) == ["Ada", "Bob"])
    [version] = kept(file)
    assert version.read_text() == theirs
    assert any(str(version) in problem for problem in memory.get_memory_status().problems)


def test_a_file_that_was_only_touched_is_not_kept_aside(file: Path, memory: Memory) -> None:
    os.utime(file, ns=(1, 1))
    memory.create_entities([EntityInput("Bob", "person")])
    until(lambda: said(file) == ["Ada", "Bob"])
    assert kept(file) == []


@pytest.mark.parametrize("number", [15, 9])
def test_it_goes_on_after_a_restart_and_knows_its_own_hand(home: Path, file: Path, memory: Memory, number: int) -> None:
    memory.create_entities([EntityInput("Bob", "person")])
    end_daemon(home / "memory.db", number)
    memory.create_entities([EntityInput("Cy", "person")])
    until(lambda: said(file) == ["Ada", "Bob", "Cy"])
    assert kept(file) == []


def test_a_crash_between_the_file_and_the_note_of_it_is_not_somebody_else_s_hand(
    home: Path, file: Path, memory: Memory
) -> None:
    memory.create_entities([EntityInput("Bob", "person")])
    until(lambda: said(file) == ["Ada", "Bob"])
    end_daemon(home / "memory.db", 15)
    store = Settings.load().store_path  # of a database: what lies beside it on this machine
    ledger = store.with_name(store.name + ".mirrors.json")
    noted = json.loads(ledger.read_text())
    for one in noted.values():
        one |= {"coming": one["sha256"], "sha256": "0" * 64, "size": -1, "mtime_ns": -1}
    ledger.write_text(json.dumps(noted))
    memory.create_entities([EntityInput("Cy", "person")])
    until(lambda: said(file) == ["Ada", "Bob", "Cy"])
    assert kept(file) == []


def test_a_stop_leaves_nothing_unwritten(home: Path, file: Path, memory: Memory) -> None:
    memory.create_entities([EntityInput("Last", "person")])
    end_daemon(home / "memory.db")
    assert said(file) == ["Ada", "Last"]


def test_a_change_of_somebody_else_while_the_daemon_was_away_is_kept_aside(
    home: Path, file: Path, memory: Memory
) -> None:
    end_daemon(home / "memory.db")
    file.write_text("theirs\n")
    memory.create_entities([EntityInput("Bob", "person")])
    until(lambda: said(file) == ["Ada", "Bob"] if file.read_text() != "theirs\n" else False)
    assert [path.read_text() for path in kept(file)] == ["theirs\n"]


def test_a_mirror_that_is_named_no_more_is_left_as_it_is(file: Path, memory: Memory, home: Path) -> None:
    assert memory.update_space("default", {"mirror": None}).metadata == {}
    other = home / "second.jsonl"
    memory.create_space("second", metadata={"mirror": str(other)})
    memory.create_entities([EntityInput("Bob", "person")])
    with Memory(space="second") as second:
        second.create_entities([EntityInput("Seen", "x")])
    until(lambda: said(other) == ["Seen"])
    assert said(file) == ["Ada"]


@pytest.mark.parametrize("name", ["relative.jsonl", "/tmp", "{home}/run.sh", "{home}/folder.json"])
def test_what_a_mirror_must_not_replace_is_refused_in_the_status_and_changes_go_on(
    home: Path, memory: Memory, name: str
) -> None:
    (home / "run.sh").write_text("#!/bin/sh\n")
    (home / "folder.json").mkdir()
    memory.update_space("default", {"mirror": name.format(home=home)})
    memory.create_entities([EntityInput("Ada", "person")])
    until(lambda: any("mirror" in problem for problem in memory.get_memory_status().problems))
    assert (home / "run.sh").read_text() == "#!/bin/sh\n"


def test_many_changes_in_one_go_share_a_write(file: Path, memory: Memory) -> None:
    inodes: set[int] = set()
    for number in range(100):
        memory.create_entities([EntityInput(f"n{number}", "x")])
        inodes.add(file.stat().st_ino)
    until(lambda: len(said(file)) == 101)
    assert len(inodes) < 30


async def test_spaces_that_were_read_earlier_do_not_undo_what_was_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes of spaces in a row: the reader that sees the first alone may answer last."""
    engine: Any = SimpleNamespace(place=tmp_path / "memory.db", listeners=[])
    mirrors = Mirrors(engine)
    spaces = [Space(1, "default"), Space(2, "second", metadata={"mirror": str(tmp_path / "second.jsonl")})]
    asked: list[int] = []

    async def ask(*_: Any) -> SpaceList:
        asked.append(len(asked))
        which = len(asked)
        await asyncio.sleep(0.05 if which == 1 else 0)
        return SpaceList(spaces[:which], "default")

    monkeypatch.setattr(mirrors, "_ask", ask)
    monkeypatch.setattr(mirrors, "_plan", lambda *_: None)
    for _ in range(2):
        mirrors._changed(Touched(1, "update_space", "default", []))
    while mirrors._tasks:
        await asyncio.wait(mirrors._tasks)
    assert list(mirrors._mirrors) == ["second"]
