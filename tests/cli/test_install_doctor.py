"""doctor tries what clients launch: a real greeting by the real memory-mcp, and a clear word where none comes."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from enhanced_memory.client.cli.clients import Launch
from enhanced_memory.client.cli.handshake import Failed, greet

from .conftest import Ctl

REAL = Path(sys.executable).with_name("memory-mcp")


def program(folder: Path, text: str) -> Path:
    """A `memory-mcp` that is a Python script."""
    file = folder / "memory-mcp"
    file.write_text(f"#!{sys.executable} -u\nimport json, sys, time, os\n{text}")
    file.chmod(0o755)
    return file


def findings(ctl: Ctl) -> list[dict[str, str]]:
    return [each for each in ctl("doctor", "--json").json["findings"] if each["check"].startswith("client ")]


def test_doctor_greets_the_real_server_for_every_configured_client(ctl: Ctl, home: Path) -> None:
    for name in ("cursor", "codex", "goose"):
        assert ctl("install", name).code == 0
    found = findings(ctl)
    assert [each["check"] for each in found] == ["client cursor", "client goose", "client codex"]
    for each in found:
        assert each["state"] == "ok", each
        assert "serves" in each["says"]
        assert "enhanced-memory" in each["says"]
    assert not (home / "memory.db").exists(), "a greeting starts no daemon"


def test_the_greeting_counts_the_tools(home: Path) -> None:
    said = greet(Launch(str(REAL)))
    assert said.tools >= 9
    assert said.seconds < 10


def test_doctor_says_nothing_of_clients_where_none_is_configured(ctl: Ctl) -> None:
    assert findings(ctl) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sys.exit('no store here')", "it left with 1: no store here"),
        ("print('hello'); sys.stdin.read()", "to stdout what is no message"),
        ("sys.stdout.close(); os.close(1); time.sleep(60)", "it closed its output"),
        ("print(json.dumps({'jsonrpc': '2.0', 'id': 1, 'error': {'code': 1}})); sys.stdin.read()", "with an error"),
        (
            "print(json.dumps({'id': 1, 'result': {}})); print(json.dumps({'id': 2, 'result': {'tools': []}}))",
            "no tools",
        ),
    ],
)
def test_a_server_that_does_not_serve_is_named_with_the_reason(ctl: Ctl, home: Path, text: str, says: str) -> None:
    file = program(home, text)
    ctl("install", "cursor", "--command", str(file))
    (found,) = findings(ctl)
    assert found["state"] == "wrong"
    assert says in found["says"]


def test_a_command_that_is_gone_is_named(ctl: Ctl, home: Path) -> None:
    file = program(home, "")
    ctl("install", "cursor", "--command", str(file))
    file.unlink()
    assert ctl("doctor").code == 1
    (found,) = findings(ctl)
    assert "cannot be run: No such file" in found["says"]


def test_a_server_that_stays_silent_is_given_up_and_ended(home: Path) -> None:
    file = program(home, f"open({str(home / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    began = time.monotonic()
    with pytest.raises(Failed, match="did not answer initialize in time"):
        greet(Launch(str(file)), limit_s=1.0)
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int((home / "pid").read_text()), 0)


def test_the_server_has_the_environment_of_its_entry_and_little_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "x")
    file = program(home, f"json.dump(dict(os.environ), open({str(home / 'env')!r}, 'w'))")
    with pytest.raises(Failed):
        greet(Launch(str(file), [], {"MINE": "1"}))
    seen = json.loads((home / "env").read_text())
    assert seen["MINE"] == "1"
    assert seen["HOME"] == str(home)
    assert "SECRET_OF_THE_SHELL" not in seen
    assert "ENHANCED_MEMORY_STORE" not in seen


def test_what_a_strange_project_launches_is_not_launched(ctl: Ctl, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository may hold any command under our name; doctor only reads it."""
    folder = home / "cloned"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    file = program(folder, f"open({str(home / 'ran')!r}, 'w')")
    (folder / ".mcp.json").write_text(json.dumps({"mcpServers": {"memory": {"command": str(file)}}}))
    (found,) = findings(ctl)
    assert found["state"] == "warning"
    assert "not tried" in found["says"]
    assert not (home / "ran").exists()


def test_what_was_installed_into_a_project_from_here_is_tried_until_somebody_changes_it(
    ctl: Ctl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "work"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    ctl("install", "claude-code", "--scope", "project", "--command", str(REAL))
    (found,) = findings(ctl)
    assert found["state"] == "ok", found
    file = folder / ".mcp.json"
    file.write_text(file.read_text().replace('"args": []', '"args": ["--help"]'))
    (found,) = findings(ctl)
    assert "not tried" in found["says"]


def test_the_official_server_and_a_malformed_file_are_warned_of(ctl: Ctl, home: Path) -> None:
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").write_text(
        json.dumps({"mcpServers": {"kg": {"command": "npx", "args": ["@modelcontextprotocol/server-memory"]}}})
    )
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text("{")
    first, second = findings(ctl)
    assert (first["state"], first["mend"]) == ("warning", "memoryctl install cursor --replace-official")
    assert second["state"] == "warning"
    assert "is malformed" in second["says"]


def test_the_servers_of_others_are_left_alone(ctl: Ctl, home: Path) -> None:
    (home / "other").write_text(f"#!{sys.executable}\nopen({str(home / 'ran')!r}, 'w')\n")
    (home / "other").chmod(0o755)
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").write_text(json.dumps({"mcpServers": {"x": {"command": str(home / "other")}}}))
    assert findings(ctl) == []
    assert not (home / "ran").exists()
