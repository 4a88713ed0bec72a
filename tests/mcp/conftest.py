"""A daemon of its own for each test file, a space of its own for each test, and the server in both protocol eras."""

import asyncio
import itertools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.transports import FastMCPTransport

from enhanced_memory.client import AsyncMemory, Memory, Settings
from enhanced_memory.client.errors import Unavailable
from enhanced_memory.mcp_server.channel import Channel
from enhanced_memory.mcp_server.edge import Outcome, Served
from enhanced_memory.mcp_server.server import build
from enhanced_memory.mcp_server.session import Session

Environment = dict[str, str]
Tell = Callable[..., object]

_numbers = itertools.count(1)


@contextmanager
def house() -> Iterator[Environment]:
    """The environment of a machine with an empty HOME; whatever daemon was started in it is stopped at the end."""
    home = Path(tempfile.mkdtemp(prefix="em", dir="/tmp"))
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "ENHANCED_MEMORY_STORE": str(home / "memory.db"),
        "ENHANCED_MEMORY_SOCKET": str(home / "d.sock"),
        "ENHANCED_MEMORY_LOG_FILE": str(home / "daemon.log"),
        "ENHANCED_MEMORY_IDLE_EXIT_S": "60",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ENHANCED_MEMORY_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            yield environment
        finally:
            try:
                for pid in hosts(environment):
                    ended(pid, signal.SIGTERM)
                stop(environment)
            finally:
                shutil.rmtree(home)


def hosts(environment: Environment) -> list[int]:
    """The processes that host the sessions of `environment`."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if "enhanced_memory.mcp_server" in command and "host" in command:
                if process.environ().get("ENHANCED_MEMORY_STORE") == environment["ENHANCED_MEMORY_STORE"]:
                    found.append(process.pid)
        except psutil.Error:
            pass  # it ended while we looked, or is somebody else's
    return found


def stop(environment: Environment) -> None:
    """Ask the daemon of `environment` to leave, and wait until it has; nothing where none is there."""
    try:
        with Memory(Settings.load({"autostart": False}, environment)) as memory:
            assert memory.welcome is not None
            pid = memory.welcome.pid
    except Unavailable:
        return
    ended(pid, signal.SIGTERM)


def ended(pid: int, number: int) -> None:
    """Send the signal and wait for the process to end."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, number)
        assert select.select([handle], [], [], 20)[0], f"process {pid} still runs 20 s after signal {number}"
    finally:
        os.close(handle)


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    """Shared by a test file."""
    with house() as environment:
        yield environment


@pytest.fixture
def own_environment() -> Iterator[Environment]:
    """For a test that stops its daemon."""
    with house() as environment:
        yield environment


@pytest.fixture
def kill() -> Callable[[int, int], None]:
    """Send a process a signal and wait for its end."""
    return ended


@pytest.fixture
async def memory(environment: Environment) -> AsyncIterator[AsyncMemory]:
    """A client of the daemon in a fresh space, as the MCP server uses it."""
    memory = AsyncMemory(Settings.load({"space": f"test-{next(_numbers)}"}, environment), client="tests", channel="mcp")
    yield memory
    await memory.close()


@pytest.fixture(params=["auto", "legacy"])
async def client(memory: AsyncMemory, request: pytest.FixtureRequest) -> AsyncIterator[Client[FastMCPTransport]]:
    """An MCP client of the server over `memory`, in each protocol era."""
    async with Client(build(lambda: memory), mode=request.param) as client:
        yield client


@pytest.fixture
def call(client: Client[FastMCPTransport]) -> Tell:
    """Call a tool; the raw result, errors included."""

    async def call(tool: str, **arguments: object) -> CallToolResult:
        return await client.call_tool(tool, arguments, raise_on_error=False)

    return call


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How the server is launched."""
    return [sys.executable, "-m", "enhanced_memory.mcp_server"]


class Launched:
    """`memory-mcp` as a client launches it: messages in, and what it says kept until it is asked for."""

    def __init__(self, command: list[str], environment: Environment, folder: str = "/", *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*command, *arguments],
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.answers: dict[Any, list[dict[str, Any]]] = {}
        self.told: list[dict[str, Any]] = []
        self._next = 0
        self._heard = threading.Condition()
        self._sending = threading.Lock()
        self._over = False
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            with self._heard:
                if "method" in message:
                    self.told.append(message)
                else:
                    self.answers.setdefault(message["id"], []).append(message)
                self._heard.notify_all()
        with self._heard:
            self._over = True
            self._heard.notify_all()

    def raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        with self._sending:
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def send(self, message: dict[str, Any]) -> None:
        self.raw(json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n")

    def begin(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Send a request and do not wait; its id."""
        with self._sending:
            self._next += 1
            number = self._next
        self.send({"id": number, "method": method} | ({} if params is None else {"params": params}))
        return number

    def answer(self, number: Any, wait_s: float = 30.0) -> dict[str, Any]:
        """The one answer to a request."""
        self.wait(lambda: number in self.answers, wait_s)
        [found] = self.answers[number]
        return found

    def wait(self, condition: Callable[[], bool], wait_s: float = 30.0) -> None:
        """Wait until what was said makes `condition` hold."""
        with self._heard:
            assert self._heard.wait_for(lambda: condition() or self._over, wait_s), "it never came"
            assert condition(), f"the process ended with {self.process.wait(10)}: {self.errors()}"

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.answer(self.begin(method, params))

    def greet(self, version: str = "2025-11-25") -> dict[str, Any]:
        hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        answer = self.ask("initialize", hello)
        self.send({"method": "notifications/initialized"})
        return answer

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments})
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def create(self, *names: str) -> dict[str, Any]:
        return self.call(
            "create_entities", entities=[{"name": name, "entityType": "t", "observations": ["o"]} for name in names]
        )

    def end(self) -> tuple[int, str]:
        """Close stdin; the exit code and what was said on stderr."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(60)
        self._reading.join(10)
        return code, self.errors()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


Launch = Callable[..., Launched]


@pytest.fixture
def launch(command: list[str]) -> Iterator[Launch]:
    """Launch sessions; those that are left at the end are killed."""
    made: list[Launched] = []

    def start(environment: Environment, *arguments: str, folder: str = "/", by: list[str] | None = None) -> Launched:
        made.append(Launched(by or command, environment, folder, *arguments))
        return made[-1]

    yield start
    for one in made:
        one.kill()


@pytest.fixture
def hosts_of() -> Callable[[Environment], list[int]]:
    """The processes that host the sessions of an environment."""
    return hosts


class Wire:
    """The other end of a connection that `Served` serves."""

    def __init__(self, peer: socket.socket, channel: Channel, task: "asyncio.Task[Outcome]") -> None:
        self.peer = peer
        self.channel = channel
        self.task = task
        self._rest = b""

    async def raw(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.peer, data)

    async def send(self, **message: Any) -> None:
        await self.raw(json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n")

    async def line(self) -> bytes:
        async with asyncio.timeout(10):
            while b"\n" not in self._rest:
                data = await asyncio.get_running_loop().sock_recv(self.peer, 1 << 20)
                if not data:
                    raise EOFError
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    async def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.line())
        return found

    async def call(self, number: Any, tool: str, **arguments: Any) -> None:
        await self.send(id=number, method="tools/call", params={"name": tool, "arguments": arguments})

    async def greet(self, version: str = "2025-11-25") -> dict[str, Any]:
        hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        await self.send(id=0, method="initialize", params=hello)
        answer = await self.read()
        await self.send(method="notifications/initialized")
        return answer

    def ends(self) -> None:
        self.peer.shutdown(socket.SHUT_WR)


@asynccontextmanager
async def _wired(served: Served, session: Session) -> AsyncIterator[Wire]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_unix_connection(lambda: Channel(lambda _, __: None, hello=False), sock=ours)
    name = session.session_id
    task = loop.create_task(served.serve(channel, session, keys=lambda number: f"{name}:{number}" if name else ""))
    task.add_done_callback(lambda _: channel.close())
    try:
        yield Wire(theirs, channel, task)
    finally:
        theirs.close()
        await asyncio.wait([task], timeout=10)
        assert task.done()


@pytest.fixture
def wired() -> Callable[[Served, Session], AbstractAsyncContextManager[Wire]]:
    """Serve a session over a socket pair; its keys are its id and the number of the line."""
    return _wired
