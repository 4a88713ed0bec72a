"""Import and export: nothing is lost, and what cannot be used is named."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client.cli.records import END, HEADER
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import MessageInput

from .conftest import Ctl

ADA = {"type": "entity", "name": "Ada", "entityType": "person", "observations": ["likes tea", "ünï ☃"]}
BOB = {"type": "entity", "name": "Bob", "entityType": "person", "observations": []}
KNOWS = {"type": "relation", "from": "Ada", "to": "Bob", "relationType": "knows"}


def written(path: Path, *lines: object) -> Path:
    path.write_bytes(
        b"".join(
            (each if isinstance(each, bytes) else json.dumps(each, ensure_ascii=False).encode()) + b"\n"
            for each in lines
        )
    )
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def filled(ctl: Ctl) -> None:
    """A memory with something of everything in it."""
    ctl(
        "add",
        "Ada",
        "--type",
        "person",
        "likes tea",
        "plays chess",
        "-p",
        "age=36",
        "--tag",
        "friend",
        "--priority",
        "8",
        "--pin",
    )
    ctl("add", "Ada", "sings", "-m", "heard her", "--agent", "planner")
    ctl("add", "Gone", "--type", "person", "was here")
    ctl("add", "Big", "--type", "text", "x" * 100_000)
    ctl("relate", "Ada", "knows", "Nobody yet")
    ctl("relate", "Ada", "wrote", "Big", "--strength", "0.5")
    ctl("forget", "Gone")
    with Memory() as memory:
        memory.send(
            AppendMessages(
                "talk", [MessageInput(f"line {n}", tick=n, role="user", metadata={"n": n}) for n in range(30)]
            )
        )


# The official format


def test_the_official_file_is_taken_in(ctl: Ctl, home: Path) -> None:
    file = written(home / "memory.jsonl", ADA, BOB, KNOWS)
    ran = ctl("import", str(file), "--json")
    assert ran.code == 0
    assert ran.json["format"] == "official"
    assert ran.json["records"] == 3
    assert ran.json["bad_lines"] == []
    graph = ctl("show", "Ada", "--json").json
    assert graph["entities"][0]["observations"] == ["likes tea", "ünï ☃"]
    assert [(each["from"], each["type"], each["to"]) for each in graph["relations"]] == [("Ada", "knows", "Bob")]


def test_an_import_twice_changes_nothing_the_second_time(ctl: Ctl, home: Path) -> None:
    file = written(home / "memory.jsonl", ADA, BOB, KNOWS)
    ctl("import", str(file))
    before = ctl("show", "Ada", "Bob", "--json").json
    ran = ctl("import", str(file), "--json")
    assert ran.code == 0
    assert not {"created", "updated"} & set(ran.json["counts"])
    after = ctl("show", "Ada", "Bob", "--json").json
    assert [(e["id"], e["version"], e["observations"]) for e in after["entities"]] == [
        (e["id"], e["version"], e["observations"]) for e in before["entities"]
    ]


def test_what_exists_is_added_to_or_left_as_asked(ctl: Ctl, home: Path) -> None:
    ctl("add", "Ada", "--type", "person", "plays chess")
    file = written(home / "memory.jsonl", ADA)
    ctl("import", str(file), "--skip-existing")
    assert ctl("show", "Ada", "--json").json["entities"][0]["observations"] == ["plays chess"]
    ctl("import", str(file))
    assert ctl("show", "Ada", "--json").json["entities"][0]["observations"] == ["plays chess", "likes tea", "ünï ☃"]


def test_bad_lines_are_named_and_foreign_ones_kept_aside(ctl: Ctl, home: Path) -> None:
    foreign = b'{"type": "note",   "text": "caf\xc3\xa9"}'
    file = written(
        home / "memory.jsonl",
        ADA,
        b"garbage",
        foreign,
        {"type": "entity", "name": "No observations", "entityType": "x"},
        BOB,
        b"\xff\xfe",
        foreign,
        KNOWS,
    )
    ran = ctl("import", str(file), "--json")
    assert ran.code == 1
    assert ran.json["records"] == 3
    assert [bad["line"] for bad in ran.json["bad_lines"]] == [2, 4, 6]
    aside = home / "memory.jsonl.kept-aside.jsonl"
    assert ran.json["kept_aside"] == {"lines": 2, "file": str(aside)}
    assert aside.read_bytes() == (foreign + b"\n") * 2
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert ctl("show", "Ada", "Bob").code == 0
    said = ctl("import", str(file)).out
    assert "line 2: not JSON" in said
    assert f"2 lines of other types kept aside in {aside}" in said
    assert aside.read_bytes() == (foreign + b"\n") * 2


def test_a_record_that_the_daemon_refuses_costs_no_other(ctl: Ctl, home: Path) -> None:
    entities = [{"type": "entity", "name": f"e{n}", "entityType": "x", "observations": []} for n in range(20)]
    entities[7]["name"] = "n" * 5000
    ran = ctl("import", str(written(home / "memory.jsonl", *entities)), "--json")
    assert ran.code == 1
    assert ran.json["records"] == 19
    told = (
        [bad["line"] for bad in ran.json["bad_lines"]] == [8]
        or "n" * 40 in "".join(ran.json["problems"])
        or "8" in "".join(ran.json["problems"])
    )
    assert told
    assert len(ctl("list", "--json").json["entities"]) == 19


def test_a_file_of_many_records_goes_in_batches(ctl: Ctl, home: Path) -> None:
    entities = [{"type": "entity", "name": f"e{n}", "entityType": "x", "observations": [f"o{n}"]} for n in range(1201)]
    relations = [{"type": "relation", "from": "e0", "to": f"e{n}", "relationType": "r"} for n in range(1, 100)]
    ran = ctl("import", str(written(home / "memory.jsonl", *relations, *entities)), "--json")
    assert ran.code == 0
    assert ran.json["records"] == 1300
    status = ctl("status", "--json").json
    assert (status["entities"], status["relations"]) == (1201, 99)


def test_stdin_is_a_file_too(ctl: Ctl) -> None:
    ran = ctl("import", "-", "--json", stdin=json.dumps(ADA))
    assert ran.code == 0
    assert ran.json["records"] == 1


def test_an_empty_file_is_no_error(ctl: Ctl, home: Path) -> None:
    ran = ctl("import", str(written(home / "memory.jsonl")), "--json")
    assert (ran.code, ran.json["records"]) == (0, 0)


@pytest.mark.parametrize("name", ["absent.jsonl", "."])
def test_a_file_that_cannot_be_read_is_refused(ctl: Ctl, home: Path, name: str) -> None:
    ran = ctl("import", str(home / name), "--json")
    assert ran.code == 4
    assert str(home) in ran.json["error"]["message"]


def test_a_newer_export_is_refused_and_nothing_of_it_taken(ctl: Ctl, home: Path) -> None:
    ran = ctl("import", str(written(home / "new.jsonl", {HEADER: 99}, ADA)), "--json")
    assert ran.code == 4
    assert "upgrade" in ran.json["error"]["hint"]
    assert ctl("status", "--json").json["entities"] == 0


def test_a_format_that_is_forced_is_held_to(ctl: Ctl, home: Path) -> None:
    ran = ctl("import", str(written(home / "memory.jsonl", ADA)), "--format", "full")
    assert ran.code == 4
    assert HEADER in ran.err


# Export


def test_an_export_begins_with_a_header_and_ends_with_a_count(ctl: Ctl, home: Path, filled: None) -> None:
    file = home / "out.jsonl"
    ran = ctl("export", str(file), "--json")
    assert ran.code == 0
    lines = read(file)
    assert lines[0][HEADER] == 1
    assert lines[0]["space"] == "default"
    assert lines[-1] == {END: len(lines) - 2}
    assert ran.json["records"] == len(lines) - 2 == sum(ran.json["counts"].values())
    assert ran.json["bytes"] == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in home.glob("*.tmp")] + [each.name for each in home.glob(".*.tmp")] == []


def test_an_export_taken_in_elsewhere_exports_the_same(
    ctl: Ctl, home: Path, filled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = home / "first.jsonl", home / "second.jsonl"
    assert ctl("export", str(first)).code == 0
    assert ctl("stop").code == 0
    monkeypatch.setenv("ENHANCED_MEMORY_STORE", str(home / "other.db"))
    monkeypatch.setenv("ENHANCED_MEMORY_SOCKET", str(home / "run" / "other.sock"))
    ran = ctl("import", str(first), "--json")
    assert ran.json["bad_lines"] == []
    assert ran.json["problems"] == []
    assert ran.code == 0
    assert ctl("export", str(second)).code == 0
    assert read(second)[1:] == read(first)[1:]


def test_an_export_to_stdout_is_the_export_alone(ctl: Ctl, home: Path, filled: None) -> None:
    file = home / "out.jsonl"
    ctl("export", str(file))
    ran = ctl("export", "-")
    assert ran.code == 0
    assert [json.loads(line) for line in ran.out.splitlines()][1:] == read(file)[1:]
    assert "records" in ran.err


def test_the_official_export_is_what_the_official_server_reads(ctl: Ctl, home: Path) -> None:
    source = written(home / "memory.jsonl", ADA, BOB, KNOWS)
    ctl("import", str(source))
    out = home / "official.jsonl"
    assert ctl("export", str(out), "--official").code == 0
    assert out.read_text("utf-8") == "".join(
        json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in (ADA, BOB, KNOWS)
    )


def test_an_export_replaces_an_export_and_nothing_else(ctl: Ctl, home: Path) -> None:
    ctl("add", "Ada", "--type", "person")
    file = home / "out.jsonl"
    assert ctl("export", str(file)).code == 0
    assert ctl("export", str(file)).code == 0
    mine = home / "mine.txt"
    mine.write_text("mine")
    for target in (mine, home, home / "memory.db", Path("/dev/null")):
        ran = ctl("export", str(target))
        assert ran.code == 4, target
    assert mine.read_text() == "mine"
    assert ctl("export", str(mine), "--force").code == 0
    assert read(mine)[0][HEADER] == 1
    assert ctl("export", str(home / "memory.db"), "--force").code == 4
    assert ctl("show", "Ada").code == 0


def test_an_export_into_a_folder_that_is_not_there_is_refused(ctl: Ctl, home: Path) -> None:
    ran = ctl("export", str(home / "absent" / "out.jsonl"))
    assert ran.code == 4
    assert "absent" in ran.err


def test_a_file_cut_short_says_so_and_gives_what_it_has(
    ctl: Ctl, home: Path, filled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "out.jsonl"
    ctl("export", str(file))
    ctl("stop")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-2]))
    monkeypatch.setenv("ENHANCED_MEMORY_STORE", str(home / "other.db"))
    monkeypatch.setenv("ENHANCED_MEMORY_SOCKET", str(home / "run" / "other.sock"))
    ran = ctl("import", str(file), "--json")
    assert ran.code == 1
    assert "cut short" in ran.json["bad_lines"][-1]["reason"]
    assert ctl("show", "Ada").code == 0
