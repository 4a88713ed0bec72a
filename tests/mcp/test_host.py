"""The host as a whole: when it leaves, whom it serves, and what it says to whom it does not."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.errors import Unavailable
from enhanced_memory.mcp_server.door import meet, place
from enhanced_memory.mcp_server.hello import VERSION, encoded
from enhanced_memory.mcp_server.relay import greeting

Environment = dict[str, str]
Hosts = Callable[[Environment], list[int]]


def until(condition: Callable[[], bool], wait_s: float = 20.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition never came to hold"
        time.sleep(0.005)


def said(path: str, hello: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(path)
        peer.sendall(hello)
        return peer.recv(4096)


def test_an_idle_host_leaves_and_takes_its_socket_with_it(
    own_environment: Environment, launch: Any, hosts_of: Hosts
) -> None:
    short = own_environment | {"ENHANCED_MEMORY_IDLE_EXIT_S": "0.3"}
    session = launch(short)
    session.greet()
    session.create("a")
    time.sleep(0.6)  # longer than it waits: a session that says nothing is still one
    [host] = hosts_of(short)
    assert "result" in session.ask("ping")
    assert hosts_of(short) == [host]
    assert session.end() == (0, "")
    until(lambda: not hosts_of(short))
    assert not Path(place(short)).exists()
    again = launch(short)
    again.greet()
    assert again.call("read_graph")["structuredContent"]["entities"][0]["name"] == "a"


def test_a_socket_that_is_another_s_by_now_is_left_to_it(
    own_environment: Environment, launch: Any, hosts_of: Hosts
) -> None:
    session = launch(own_environment)
    session.greet()
    [host] = hosts_of(own_environment)
    path = Path(place(own_environment))
    path.unlink()
    assert session.end() == (0, "")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        os.kill(host, signal.SIGTERM)
        until(lambda: not hosts_of(own_environment))
        assert path.is_socket()
    path.unlink()


def test_sessions_that_come_while_hosts_leave_are_all_served(
    own_environment: Environment, launch: Any, hosts_of: Hosts
) -> None:
    hasty = own_environment | {"ENHANCED_MEMORY_IDLE_EXIT_S": "0.01"}
    for _ in range(3):
        sessions = [launch(hasty) for _ in range(6)]
        for session in sessions:
            session.greet()
        assert [session.end() for session in sessions] == [(0, "")] * 6
    until(lambda: not hosts_of(hasty))


def test_another_store_has_another_host(own_environment: Environment, launch: Any, hosts_of: Hosts) -> None:
    home = own_environment["HOME"]
    elsewhere = own_environment | {
        "ENHANCED_MEMORY_STORE": f"{home}/other.db",
        "ENHANCED_MEMORY_SOCKET": f"{home}/o.sock",
    }
    one, two = launch(own_environment), launch(elsewhere)
    try:
        one.greet()
        two.greet()
        one.create("a")
        assert two.call("read_graph")["structuredContent"]["entities"] == []
        assert len(hosts_of(own_environment)) == len(hosts_of(elsewhere)) == 1
        pid = two.call("get_memory_status")["structuredContent"]["pid"]
    finally:
        two.end()  # else it would look for the next host
        for host in hosts_of(elsewhere):
            os.kill(host, signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)
    until(lambda: not psutil.pid_exists(pid))


def test_a_session_that_means_another_store_is_sent_to_serve_itself(
    own_environment: Environment, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(own_environment).greet()
    path = place(own_environment)
    monkeypatch.setenv("ENHANCED_MEMORY_STORE", own_environment["HOME"] + "/other.db")
    answer = said(path, greeting(b"s", "core", [], 0))
    assert answer.startswith(b"alone ")
    assert b"other.db" in answer
    monkeypatch.setenv("ENHANCED_MEMORY_STORE", own_environment["ENHANCED_MEMORY_STORE"])
    monkeypatch.setenv("HOME", "/nowhere")
    assert said(path, greeting(b"s", "core", [], 0)).startswith(b"alone ")


def test_a_host_whose_configuration_file_has_changed_makes_room(
    own_environment: Environment, launch: Any, hosts_of: Hosts
) -> None:
    config = Path(own_environment["HOME"]) / "config.toml"
    config.write_text(f'store = "{own_environment["HOME"]}/memory.db"\n')
    environment = own_environment | {"ENHANCED_MEMORY_CONFIG": str(config), "ENHANCED_MEMORY_STORE": ""}

    def here() -> list[int]:
        found = []
        for process in psutil.process_iter():
            try:
                if "host" in process.cmdline() and process.environ().get("ENHANCED_MEMORY_CONFIG") == str(config):
                    found.append(process.pid)
            except psutil.Error:
                pass
        return found

    try:
        first = launch(environment)
        first.greet()
        [host] = here()
        config.write_text(f'store = "{own_environment["HOME"]}/second.db"\n')
        second = launch(environment)
        second.greet()
        until(lambda: host not in here())
        assert len(here()) == 1
        # No daemon was asked for: a session opens its way to the memory at the first call.
        assert not list(Path(own_environment["HOME"]).glob("*.db"))
        assert (first.end(), second.end()) == ((0, ""), (0, ""))
    finally:
        for pid in here():
            os.kill(pid, signal.SIGTERM)
    until(lambda: not here())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can pass for somebody else")
def test_another_user_is_refused(own_environment: Environment, launch: Any) -> None:
    launch(own_environment).greet()
    path = place(own_environment)
    Path(own_environment["HOME"]).chmod(0o755)
    os.chmod(path, 0o666)
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "s.sendall(bytes.fromhex(sys.argv[2])); print(s.recv(4096).decode())"
    )
    command = ["/usr/bin/env", "python3", "-c", program, path, greeting(b"s", "core", [], 0).hex()]
    ran = subprocess.run(command, user=65534, capture_output=True, text=True, timeout=20, check=False)
    if ran.returncode:
        pytest.skip(f"no python for that user: {ran.stderr}")
    assert ran.stdout.startswith("no this host serves another user")


@pytest.mark.parametrize(
    "hello",
    [
        b"",
        b"\0\0",
        b"\xff\xff\xff\xff" + b"x" * 100,
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
        encoded({b"relay": b"x", b"next": b"-1", b"again": b"a,b,,"})[:-1],
    ],
    ids=["nothing", "half", "endless", "json", "cut"],
)
def test_a_caller_that_says_no_hello_is_hung_up_on_and_hurts_nobody(
    own_environment: Environment, launch: Any, hello: bytes
) -> None:
    session = launch(own_environment)
    session.greet()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(place(own_environment))
        peer.sendall(hello)
        peer.shutdown(socket.SHUT_WR)
        try:
            assert peer.recv(100) == b""
        except ConnectionResetError:
            pass
    assert "result" in session.ask("ping")


def test_numbers_in_a_hello_that_are_none_are_passed_over(
    own_environment: Environment, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(own_environment).greet()
    pairs = {b"relay": b"", b"next": b"-1", b"again": b"a,b,,", b"HOME": own_environment["HOME"].encode()}
    pairs |= {name.encode(): value.encode() for name, value in own_environment.items() if name.startswith("ENHANCED")}
    assert said(place(own_environment), encoded(pairs)) == b"ok " + VERSION.encode() + b"\n"


def test_a_host_with_settings_that_cannot_be_used_says_so_to_whoever_waits(
    own_environment: Environment, launch: Any, hosts_of: Hosts
) -> None:
    bad = own_environment | {"ENHANCED_MEMORY_READERS": "many"}
    sessions = [launch(bad) for _ in range(3)]
    for session in sessions:
        assert session.process.wait(20) == 2
        assert "READERS" in session.errors()
    good = launch(own_environment)
    assert "result" in good.greet()


def test_a_host_that_is_handed_no_socket_says_how_it_is_meant(environment: Environment, command: list[str]) -> None:
    ran = subprocess.run([*command, "host"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)


def test_an_idle_host_and_its_relays_do_nothing(own_environment: Environment, launch: Any, hosts_of: Hosts) -> None:
    sessions = [launch(own_environment) for _ in range(5)]
    for session in sessions:
        session.greet()
        session.ask("resources/subscribe", {"uri": "memory://knowledge-graph"})
    [host] = hosts_of(own_environment)
    processes = [psutil.Process(host), *(psutil.Process(session.process.pid) for session in sessions)]

    def switches() -> list[int]:
        return [process.num_ctx_switches().voluntary for process in processes]

    time.sleep(0.5)  # until what starting left behind is done
    before = switches()
    time.sleep(1.0)  # how much is done in it is the question
    did = [after - then for after, then in zip(switches(), before, strict=True)]
    assert did[1:] == [0] * 5
    assert did[0] <= 2


def test_the_host_is_met_by_programs_other_than_the_relay(
    own_environment: Environment, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(own_environment).greet()
    link = meet(place(own_environment), greeting(b"probe", "compat", [], 0))
    link.sendall(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    assert b'"id":1' in link.recv(4096)
    link.close()


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="systemd-socket-activate is not here")
def test_a_socket_that_systemd_holds_is_the_one_that_relays_dial(
    own_environment: Environment, launch: Any, hosts_of: Hosts, command: list[str]
) -> None:
    """systemd's own tool listens where the unit says, and starts the host with the first connection."""
    home = Path(own_environment["HOME"])
    environment = {
        name: value
        for name, value in own_environment.items()
        if name not in ("ENHANCED_MEMORY_STORE", "ENHANCED_MEMORY_SOCKET")
    } | {"XDG_RUNTIME_DIR": str(home / "r")}
    path = home / "r" / "enhanced-memory" / "mcp.sock"
    path.parent.mkdir(parents=True, mode=0o700)
    assert place(environment) == str(path)
    given = [
        f"--setenv={name}"
        for name in ("HOME", "XDG_RUNTIME_DIR", "ENHANCED_MEMORY_LOG_FILE", "ENHANCED_MEMORY_IDLE_EXIT_S")
    ]
    with subprocess.Popen(
        ["systemd-socket-activate", f"--listen={path}", *given, *command, "host"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as activated:
        try:
            until(path.is_socket)
            sessions = [launch(environment) for _ in range(3)]
            for number, session in enumerate(sessions):
                session.greet()
                assert session.create(f"entity {number}").get("isError") is not True
            # It has become the host; no relay has started another.
            assert "host" in psutil.Process(activated.pid).cmdline()
            assert [one.pid for one in psutil.process_iter() if _hosts(one, environment)] == [activated.pid]
            for session in sessions:
                assert session.end() == (0, "")
            activated.terminate()
            assert activated.wait(20) == 0
            assert path.is_socket()  # systemd's to remove
        finally:
            activated.kill()
            with suppress(Unavailable), Memory(Settings.load({"autostart": False}, environment)) as memory:
                assert memory.welcome is not None
                os.kill(memory.welcome.pid, signal.SIGTERM)


def _hosts(process: psutil.Process, environment: Environment) -> bool:
    try:
        return "host" in process.cmdline() and process.environ().get("HOME") == environment["HOME"]
    except psutil.Error:
        return False
