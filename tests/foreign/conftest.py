"""A machine with a server over HTTP and one on stdio, and the tools that others wrote, where they are installed."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from enhanced_memory.mcp_server.tokens import Tokens

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "build" / "node"
NODE = TOOLS / "node_modules" / "node" / "bin" / "node"
MISSING = "the tools that others wrote are not installed: run scripts/foreign_tools"
LIMIT_S = 120

_left_out: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left_out:
        terminalreporter.write_line(
            f"=== LEFT OUT: {len(_left_out)} tests in tests/foreign: {MISSING} ===", yellow=True
        )


Node = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def node(request: pytest.FixtureRequest, environment: dict[str, str]) -> Node:
    """Run a script with Node 22: a file of ours, or the path of one below node_modules."""
    if not (TOOLS / "installed").is_file():
        _left_out.append(request.node.nodeid)
        pytest.skip(MISSING)

    def run(script: str | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        file = script if isinstance(script, Path) else TOOLS / "node_modules" / script
        command = [str(NODE), str(file), *arguments]
        # In a session of its own, so that what it starts can be ended with it.
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            try:
                out, errors = process.communicate(timeout=LIMIT_S)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, errors)

    return run


@pytest.fixture
def tools() -> Path:
    """Where the foreign tools are."""
    return TOOLS


@pytest.fixture
def environment(home: Path) -> Iterator[dict[str, str]]:
    """What a client launches the server with; hosts that are started by relays are ended afterwards."""
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "ENHANCED_MEMORY_STORE": str(home / "memory.db"),
        "ENHANCED_MEMORY_SOCKET": str(home / "run" / "db.sock"),
        "ENHANCED_MEMORY_LOG_FILE": str(home / "memory-db.log"),
        "ENHANCED_MEMORY_IDLE_EXIT_S": "60",
    }
    yield environment
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if "enhanced_memory.mcp_server" in command and process.environ().get("ENHANCED_MEMORY_STORE") == str(
                home / "memory.db"
            ):
                ended(process.pid)
        except psutil.Error:
            pass  # it ended while we looked, or is somebody else's


def ended(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        assert select.select([handle], [], [], 20)[0], f"process {pid} still runs 20 s after SIGTERM"
    finally:
        os.close(handle)


@pytest.fixture
def command() -> list[str]:
    """How a client launches the server on stdio."""
    return [sys.executable, "-m", "enhanced_memory.mcp_server"]


@dataclass
class Serving:
    """A process that says on stderr where it serves."""

    url: str
    process: subprocess.Popen[str]
    tokens: Tokens

    def token(self, name: str) -> str:
        return self.tokens.create(name, ["read", "write"], name)


@contextmanager
def serving(command: list[str], environment: dict[str, str]) -> Iterator[Serving]:
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "serving http" in line:
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        assert ready.wait(60), lines
        [url] = [line.split("serving ")[1].strip() for line in lines if "serving http" in line] or pytest.fail(
            "".join(lines)
        )
        yield Serving(url, process, Tokens(Path(environment["ENHANCED_MEMORY_STORE"])))
        process.terminate()
        assert process.wait(20) == 0, lines
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture
def server(environment: dict[str, str], command: list[str]) -> Iterator[Serving]:
    """Our server over HTTP."""
    with serving([*command, "http", "--port", "0"], environment) as server:
        yield server


@pytest.fixture
def fixture_server(environment: dict[str, str]) -> Iterator[Serving]:
    """The server that the conformance suite wants to meet, behind our HTTP."""
    with serving([sys.executable, str(Path(__file__).with_name("fixture_server.py"))], environment) as server:
        yield server
