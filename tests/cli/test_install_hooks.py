"""Hooks: recall tells what is remembered and never fails; capture keeps every message once."""

import json
import shlex
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import MessageInput

from .conftest import Ctl, eventually


def session(folder: Path, **more: Any) -> str:
    return json.dumps({"session_id": "s-1", "cwd": str(folder), "transcript_path": str(folder / "t.jsonl"), **more})


def line(mark: str, role: str, content: Any, **more: Any) -> str:
    said = {
        "type": role,
        "uuid": mark,
        "timestamp": "2026-11-21T10:00:00Z",
        "message": {"role": role, "content": content},
    }
    return json.dumps({**said, **more}) + "\n"


def stream(space: str = "default") -> list[tuple[str, str]]:
    with Memory(space=space) as memory:
        return [(each.role, each.content) for each in memory.recent_messages(stream="session:s-1", limit=100).messages]


@pytest.fixture
def transcript(home: Path) -> Path:
    """A transcript with two messages, and with much that is none."""
    file = home / "t.jsonl"
    file.write_text(
        line("u1", "user", "Where does Ada work?")
        + line(
            "a1", "assistant", [{"type": "text", "text": "At Acme."}, {"type": "tool_use", "name": "x", "input": {}}]
        )
        + line("u2", "user", [{"type": "tool_result", "content": "secret output"}])
        + line("u3", "user", "side", isSidechain=True)
        + line("u4", "user", "meta", isMeta=True)
        + '{"type": "summary", "summary": "x"}\n[]\nnot json\n{"type": "user"}\n'
        + json.dumps({"type": "user", "message": {"content": "without a mark"}})
        + "\n"
    )
    return file


def test_install_with_hooks_names_both_and_uninstall_takes_both(ctl: Ctl, home: Path) -> None:
    file = home / ".claude" / "settings.json"
    file.parent.mkdir()
    theirs = {"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "theirs"}]}]}, "model": "x"}
    file.write_text(json.dumps(theirs, indent=2))
    raw = file.read_bytes()
    assert ctl("install", "claude-code", "--hooks", "--space", "auto").code == 0
    hooks = json.loads(file.read_text())["hooks"]
    assert [each["hooks"][0]["command"].rpartition(" ")[2] for each in hooks["SessionStart"]] == ["theirs", "recall"]
    assert hooks["SessionStart"][1]["matcher"] == "startup|clear|compact"
    words = shlex.split(hooks["SessionEnd"][0]["hooks"][0]["command"])
    assert Path(words[0]).name == "memoryctl"
    assert words[-2:] == ["hook", "capture"]
    assert words[words.index("--space") + 1] == "auto"
    assert ctl("install", "claude-code", "--hooks", "--space", "auto", "--json").json["changes"] == []
    assert ctl("clients", "--json").json[0]["hooks"] is True
    assert ctl("uninstall", "claude-code").code == 0
    assert file.read_bytes() == raw
    assert not (home / ".claude.json").exists()


def test_hooks_are_taken_out_of_a_file_that_was_changed_since(ctl: Ctl, home: Path) -> None:
    file = home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text('{"model": "x"}\n')
    ctl("install", "claude-code", "--hooks")
    ctl("install", "claude-code", "--hooks", "--space", "auto")
    said = json.loads(file.read_text())
    assert [len(each) for each in said["hooks"].values()] == [1, 1]
    file.write_text(json.dumps({**said, "model": "y"}))
    assert ctl("uninstall", "claude-code").code == 0
    assert json.loads(file.read_text()) == {"model": "y"}


def test_a_client_without_hooks_says_which_have_them(ctl: Ctl, home: Path) -> None:
    ran = ctl("install", "cursor", "--hooks")
    assert ran.code == 4
    assert "claude-code" in ran.err
    assert not (home / ".cursor").exists()


def test_hooks_would_not_look_elsewhere_than_the_server(ctl: Ctl, home: Path) -> None:
    official = {"command": "npx", "args": ["@modelcontextprotocol/server-memory"], "env": {"MEMORY_FILE_PATH": "/m"}}
    (home / ".claude.json").write_text(json.dumps({"mcpServers": {"memory": official}}))
    ran = ctl("install", "claude-code", "--replace-official", "--hooks")
    assert ran.code == 4
    assert "--space" in ran.err


def test_recall_tells_what_is_pinned_and_what_is_recent_between_marks(ctl: Ctl, home: Path) -> None:
    ctl("add", "Ada", "--type", "person", "works at Acme", "\x1b[31mred\u202e")
    ctl("add", "House rule", "--type", "rule", "Speak plainly")
    with Memory() as memory:
        memory.pin(entities=["House rule"])
        memory.append_messages(
            stream="session:old", messages=[MessageInput(content="hi")]
        )  # no knowledge, though recent
    ran = ctl("hook", "recall", stdin=session(home))
    assert (ran.code, ran.err) == (0, "")
    head, opening, *body, closing = ran.out.splitlines()
    assert "not as instructions" in head
    assert opening.startswith("<memory-")
    assert closing == opening.replace("<", "</")
    assert body[0] == "* House rule (rule): Speak plainly"
    assert body[1].startswith("- Ada (person): works at Acme")
    assert len(body) == 2
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out


def test_recall_keeps_to_its_budget(ctl: Ctl, home: Path) -> None:
    for number in range(20):
        ctl("add", f"thing {number}", "--type", "thing", "ü" * 300)
    ran = ctl("hook", "recall", "--bytes", "1500", stdin=session(home))
    assert 800 < len(ran.out.encode()) <= 1501
    assert ctl("hook", "recall", "--bytes", "50", stdin=session(home)).out == ""


def test_recall_looks_into_the_project_s_space(ctl: Ctl, home: Path) -> None:
    (home / "work" / ".git").mkdir(parents=True)
    with Memory(space=f"project:{home}/work") as memory:
        memory.create_space(f"project:{home}/work")
    ctl("--space", f"project:{home}/work", "add", "Secret of work", "--type", "plan", "x")
    assert "Secret of work" in ctl("--space", "auto", "hook", "recall", stdin=session(home / "work")).out
    assert "Secret of work" not in ctl("--space", "auto", "hook", "recall", stdin=session(home)).out


def test_recall_of_nothing_prints_nothing(ctl: Ctl, home: Path) -> None:
    assert ctl("hook", "recall", stdin=session(home)).out == ""


@pytest.mark.parametrize("stdin", ["", "{", "[]", '{"cwd": 7}', '{"cwd": "/nowhere"}', "\xff\x00"])
@pytest.mark.parametrize("event", ["recall", "capture"])
def test_a_hook_never_fails_whatever_it_is_given(ctl: Ctl, event: str, stdin: str) -> None:
    wait = ["--wait"] if event == "capture" else []
    ran = ctl("hook", event, *wait, "--no-start", stdin=stdin)
    assert (ran.code, ran.err) == (0, "")


def test_a_hook_never_fails_where_no_daemon_can_be(ctl: Ctl, home: Path, transcript: Path) -> None:
    assert transcript.is_file()
    (home / "memory.db").write_bytes(b"not a store at all, but long enough to be looked at")
    for words in (["recall"], ["capture", "--wait"]):
        ran = ctl("hook", *words, stdin=session(home))
        assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_recall_gives_a_silent_daemon_two_seconds(ctl: Ctl, home: Path) -> None:
    (home / "run").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(home / "run" / "db.sock"))
        silent.listen(8)
        began = time.monotonic()
        ran = ctl("hook", "recall", stdin=session(home))
        assert (ran.code, ran.out) == (0, "")
        assert time.monotonic() - began < 3.5


def test_capture_keeps_what_was_said_once(ctl: Ctl, home: Path, transcript: Path) -> None:
    ran = ctl("hook", "capture", "--wait", stdin=session(home))
    assert ran.out == "2 messages kept.\n"
    assert stream() == [("user", "Where does Ada work?"), ("assistant", "At Acme.")]
    assert ctl("hook", "capture", "--wait", stdin=session(home)).out == "0 messages kept.\n"
    with transcript.open("a") as more:
        more.write(line("u9", "user", "Thanks!"))
    assert ctl("hook", "capture", "--wait", stdin=session(home)).out == "1 messages kept.\n"
    assert [text for _, text in stream()] == ["Where does Ada work?", "At Acme.", "Thanks!"]


def test_capture_is_bounded(ctl: Ctl, home: Path) -> None:
    (home / "t.jsonl").write_text(
        "".join(line(f"m{number}", "user", f"message {number}") for number in range(2500))
        + line("long", "assistant", "x" * 50_000)
    )
    assert ctl("hook", "capture", "--wait", stdin=session(home)).out == "2000 messages kept.\n"
    with Memory() as memory:
        (last,) = memory.recent_messages(stream="session:s-1", limit=1).messages
        assert len(last.content) == 20_000
        assert last.metadata["cut"] is True
    assert ctl("hook", "capture", "--wait", stdin=session(home)).out == "0 messages kept.\n"


def test_capture_works_on_after_its_client_has_left(ctl: Ctl, ctl_process: Ctl, home: Path, transcript: Path) -> None:
    ctl("status")  # a daemon runs
    ran = ctl_process("hook", "capture", input=session(home).encode())
    assert (ran.code, ran.out, ran.err) == (0, "", "")

    def kept() -> bool:
        found = ctl("messages", "session:s-1", "--json")
        return found.code == 0 and "At Acme." in found.out

    assert eventually(kept)


def test_a_session_with_a_strange_name_is_not_kept(ctl: Ctl, home: Path, transcript: Path) -> None:
    assert transcript.is_file()
    for name in ("", "a b", "../x", 7, "x" * 200):
        assert ctl("hook", "capture", "--wait", stdin=session(home, session_id=name)).out == "0 messages kept.\n"
