"""The relay as a process: starting, racing, ending, and whatever a client may send through it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.mcp_server.door import place

Environment = dict[str, str]
Hosts = Callable[[Environment], list[int]]

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def lines(*messages: dict[str, Any]) -> bytes:
    return b"".join(json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n" for message in messages)


OPENING = lines(
    {"id": 0, "method": "initialize", "params": HELLO},
    {"method": "notifications/initialized"},
)


def piped(
    command: list[str], environment: Environment, said: bytes, *arguments: str
) -> tuple[list[dict[str, Any]], str, int]:
    ran = subprocess.run(
        [*command, *arguments], input=said, env=environment, capture_output=True, timeout=60, check=False
    )
    return [json.loads(line) for line in ran.stdout.splitlines()], ran.stderr.decode(), ran.returncode


@pytest.fixture(params=["relay", "alone"])
def arguments(request: pytest.FixtureRequest) -> list[str]:
    return ["--no-relay"] if request.param == "alone" else []


def test_the_relay_starts_with_next_to_nothing() -> None:
    program = (
        "import sys; before = set(sys.modules); import os, _socket, _thread;"
        "import enhanced_memory.mcp_server.__main__, enhanced_memory.mcp_server.relay;"
        "print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    foreign = [name for name in ran.stdout.split() if not name.startswith("enhanced_memory")]
    assert set(foreign) <= {"_socket", "_thread"}


def test_fifty_that_start_at_once_share_one_host(own_environment: Environment, launch: Any, hosts_of: Hosts) -> None:
    sessions = [launch(own_environment) for _ in range(50)]
    for session in sessions:
        session.greet()
    assert len(hosts_of(own_environment)) == 1
    assert [session.end() for session in sessions] == [(0, "")] * 50


def test_a_stale_socket_is_replaced_and_twenty_race_for_it(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Callable[[int, int], None]
) -> None:
    launch(own_environment).greet()
    [pid] = hosts_of(own_environment)
    kill(pid, signal.SIGKILL)
    assert Path(place(own_environment)).is_socket()
    sessions = [launch(own_environment) for _ in range(20)]
    for session in sessions:
        session.greet()
    assert len(hosts_of(own_environment)) == 1


def test_the_host_belongs_to_nobody_s_session(own_environment: Environment, launch: Any, hosts_of: Hosts) -> None:
    session = launch(own_environment | {"ENHANCED_MEMORY_SPACE": "mine", "MEMORY_FILE_PATH": "/x", "SECRET": "s"})
    session.ask("initialize", HELLO)
    [pid] = hosts_of(own_environment)
    host = psutil.Process(pid)
    assert not [one for one in psutil.Process(session.process.pid).children(recursive=True) if one.status() != "zombie"]
    assert (os.getsid(pid), host.cwd()) != (os.getsid(0), os.getcwd())
    assert host.cwd() == "/"
    assert not {"ENHANCED_MEMORY_SPACE", "MEMORY_FILE_PATH", "SECRET"} & set(host.environ())
    assert os.stat(place(own_environment)).st_mode & 0o777 == 0o600


def test_answers_to_all_that_was_read_are_given_before_the_end(
    environment: Environment, command: list[str], arguments: list[str]
) -> None:
    calls = [
        {"id": number, "method": "tools/call", "params": {"name": "search_nodes", "arguments": {"query": "x"}}}
        for number in range(1, 101)
    ]
    said, errors, code = piped(command, environment, OPENING + lines(*calls), *arguments)
    assert {answer["id"] for answer in said} == set(range(101))
    assert (errors, code) == ("", 0)


def test_half_a_line_at_the_end_is_answered_as_far_as_it_goes(
    environment: Environment, command: list[str], arguments: list[str]
) -> None:
    whole = lines({"id": 1, "method": "ping"})
    said, errors, code = piped(command, environment, OPENING + whole[:-1], *arguments)
    assert ([answer["id"] for answer in said], errors, code) == ([0, 1], "", 0)
    said, errors, code = piped(command, environment, OPENING + whole[:-5], *arguments)
    assert (said[1]["error"]["code"], said[1]["id"], errors, code) == (-32700, None, "", 0)


def test_nothing_said_is_nothing_answered(environment: Environment, command: list[str], arguments: list[str]) -> None:
    assert piped(command, environment, b"", *arguments) == ([], "", 0)


def test_junk_is_answered_and_the_session_lives(
    environment: Environment, command: list[str], arguments: list[str]
) -> None:
    junk = b"junk\n\xff\xfe\n\n\r\n[]\n"
    said, errors, code = piped(command, environment, OPENING + junk + lines({"id": 1, "method": "ping"}), *arguments)
    assert [answer["error"]["code"] for answer in said if "error" in answer] == [-32700, -32700, -32600]
    assert 1 in [answer["id"] for answer in said]
    assert (errors, code) == ("", 0)


def test_twenty_megabytes_pass_both_ways(environment: Environment, launch: Any, arguments: list[str]) -> None:
    session = launch(environment | {"ENHANCED_MEMORY_SPACE": "big"}, *arguments)
    session.greet()
    refused = session.call(
        "create_entities", entities=[{"name": "n", "entityType": "t", "observations": ["x" * 20_000_000]}]
    )
    assert refused["isError"] is True
    assert session.create("a")["isError"] is False
    number = "echo" + "z" * 20_000_000
    session.send({"id": number, "method": "ping"})
    assert session.answer(number)["result"] == {}
    assert session.end() == (0, "")


def test_a_line_over_the_limit_is_told_of_once_and_the_session_lives(
    environment: Environment, launch: Any, arguments: list[str]
) -> None:
    session = launch(environment, *arguments)
    session.greet()
    session.raw(b"x" * (40 * 1024 * 1024) + b"\n")
    session.wait(lambda: None in session.answers)
    assert session.answer(None)["error"]["code"] == -32600
    assert "result" in session.ask("ping")


def test_a_client_that_does_not_read_slows_nobody_else_and_costs_the_host_little(
    own_environment: Environment, command: list[str], launch: Any, hosts_of: Hosts
) -> None:
    other = launch(own_environment)
    other.greet()
    for n in range(4):
        entity = {"name": f"long {n}", "entityType": "t", "observations": ["x" * 10_000]}
        other.call("create_entities", entities=[entity])
    [pid] = hosts_of(own_environment)
    before = psutil.Process(pid).memory_info().rss
    calls = [
        {"id": n, "method": "tools/call", "params": {"name": "read_graph", "arguments": {}}} for n in range(1, 301)
    ]
    slow = subprocess.Popen(command, env=own_environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert slow.stdin is not None
    assert slow.stdout is not None
    try:
        slow.stdin.write(OPENING)
        slow.stdin.flush()
        assert slow.stdout.readline()
        sending = threading.Thread(target=slow.stdin.write, args=(lines(*calls),), daemon=True)
        sending.start()
        for _ in range(100):
            assert "result" in other.ask("ping")
        assert psutil.Process(pid).memory_info().rss - before < 40_000_000
        assert {json.loads(slow.stdout.readline())["id"] for _ in calls} == set(range(1, 301))
    finally:
        slow.kill()
        slow.wait()


def test_a_client_that_closes_its_ear_ends_the_relay(
    environment: Environment, command: list[str], arguments: list[str]
) -> None:
    process = subprocess.Popen(
        [*command, *arguments], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(OPENING)
    process.stdin.flush()
    assert process.stdout.readline()
    process.stdout.close()
    process.stdin.write(lines({"id": 1, "method": "ping"}))
    process.stdin.flush()
    assert process.wait(20) == 0
    assert process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_relay_that_is_ended_in_a_call_leaves_no_session_behind(
    own_environment: Environment, launch: Any, hosts_of: Hosts, number: int
) -> None:
    session = launch(own_environment)
    session.greet()
    session.create("a")
    daemon = daemon_of(own_environment)
    os.kill(daemon, signal.SIGSTOP)
    try:
        session.begin("tools/call", {"name": "create_entities", "arguments": {"entities": []}})
        [host] = hosts_of(own_environment)
        os.kill(session.process.pid, number)
        assert session.process.wait(5) == -number
        until(lambda: len(connected(host)) == 0)
    finally:
        os.kill(daemon, signal.SIGCONT)
    again = launch(own_environment)
    again.greet()
    assert again.create("b")["isError"] is False
    assert hosts_of(own_environment) == [host]


def test_with_no_host_to_be_had_the_session_serves_itself_and_says_so(
    own_environment: Environment, launch: Any
) -> None:
    folder = Path(place(own_environment))
    folder.mkdir(parents=True)  # a folder where the socket should be
    session = launch(own_environment, "--profile", "compat")
    session.greet()
    assert len(session.ask("tools/list")["result"]["tools"]) == 9
    assert session.create("a")["structuredContent"]["entities"][0]["name"] == "a"
    code, said = session.end()
    assert code == 0
    assert len(said.splitlines()) == 1
    assert "is not a socket" in said


def test_a_host_that_crashes_at_start_is_given_up_and_the_session_serves_itself(
    own_environment: Environment, launch: Any, hosts_of: Hosts, tmp_path: Path
) -> None:
    # A host that cannot even be imported: its module path holds a fastmcp that raises. The session's own is sound.
    (tmp_path / "fastmcp.py").write_text(
        "import sys\nif 'host' in sys.argv: raise SystemExit(3)\ndel sys.modules['fastmcp']\n"
        "sys.path.remove(__file__.rpartition('/')[0])\nimport fastmcp\nsys.modules['fastmcp'] = fastmcp\n"
    )
    session = launch(own_environment | {"PYTHONPATH": str(tmp_path)})
    session.greet()
    assert "result" in session.ask("tools/list")
    assert hosts_of(own_environment) == []
    code, said = session.end()
    assert code == 0
    assert "none would greet us" in said


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o722])
def test_a_folder_that_others_may_write_to_is_not_trusted(
    own_environment: Environment, launch: Any, hosts_of: Hosts, mode: int
) -> None:
    folder = Path(place(own_environment)).parent
    folder.mkdir(exist_ok=True)
    before = folder.stat().st_mode
    folder.chmod(mode)
    try:
        session = launch(own_environment)
        session.greet()
        assert hosts_of(own_environment) == []
        assert "can be written to by others" in session.end()[1]
    finally:
        folder.chmod(before)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TIMEOUT_S", "soon", "TIMEOUT_S"),
        ("PROFILE", "nonsense", "nonsense"),
        ("CONFIG", "/nowhere.toml", "/nowhere.toml"),
    ],
)
def test_settings_that_cannot_be_used_end_it_with_one_line(
    environment: Environment, command: list[str], arguments: list[str], variable: str, value: str, says: str
) -> None:
    said, errors, code = piped(command, environment | {f"ENHANCED_MEMORY_{variable}": value}, OPENING, *arguments)
    assert (said, code, len(errors.splitlines())) == ([], 2, 1)
    assert says in errors


def test_a_session_s_own_settings_hold_on_a_shared_host(environment: Environment, launch: Any, tmp_path: Path) -> None:
    (tmp_path / "project" / ".git").mkdir(parents=True)
    one = launch(environment | {"ENHANCED_MEMORY_SPACE": "mine"})
    two = launch(environment | {"ENHANCED_MEMORY_SPACE": "auto"}, folder=str(tmp_path / "project"))
    one.greet()
    two.greet()
    assert one.create("a")["structuredContent"]["entities"][0]["space"] == "mine"
    assert two.create("a")["structuredContent"]["entities"][0]["space"] == f"project:{tmp_path / 'project'}"
    small = launch(environment | {"ENHANCED_MEMORY_PROFILE": "compat"})
    small.greet()
    assert len(small.ask("tools/list")["result"]["tools"]) == 9


def test_a_folder_s_name_need_not_be_text(environment: Environment, launch: Any, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/line\nbreak \xff"
    os.mkdir(odd)
    session = launch(environment, folder=os.fsdecode(odd))
    session.greet()
    assert "result" in session.ask("tools/list")


def test_a_full_backlog_is_waited_for(own_environment: Environment, launch: Any) -> None:
    path = place(own_environment)
    Path(path).parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        blocking = socket.socket(socket.AF_UNIX)
        blocking.connect(path)
        session = launch(own_environment)
        time.sleep(0.2)
        assert session.process.poll() is None
        taken = []
        for _ in range(2):
            taken.append(listener.accept()[0])
        taken[1].recv(4096)
        taken[1].sendall(b"no full up\n")
        assert session.process.wait(10) == 2
        assert "full up" in session.errors()
        for one in (*taken, blocking):
            one.close()


def daemon_of(environment: Environment) -> int:
    with Memory(Settings.load({"autostart": False}, environment)) as memory:
        assert memory.welcome is not None
        return memory.welcome.pid


def connected(host: int) -> list[Any]:
    """The sessions that a host holds. Its end of each is named by the host's path, as is the socket on which it listens."""
    return [one for one in psutil.Process(host).net_connections("unix") if Path(one.laddr).name.startswith("mcp")][1:]


def until(condition: Callable[[], bool], wait_s: float = 10.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition never came to hold"
        time.sleep(0.005)
