"""A daemon of one's own, and a peer that speaks the wire by hand, so that it can also speak it wrongly."""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.settings import PREFIX

from ..conftest import Stores, gone, on_every_engine

pytest_generate_tests = on_every_engine


class Peer:
    """One raw connection."""

    def __init__(self, path: Path, wait_s: float = 10.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(wait_s)
        self.socket.connect(os.fspath(path))
        self._rest = b""
        self._next = 0

    def __del__(self) -> None:
        self.socket.close()

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def frame(self, payload: bytes) -> None:
        self.write(struct.pack(">I", len(payload)) + payload)

    def say(self, message: Any) -> None:
        self.frame(msgpack.packb(message))

    def hear(self) -> dict[str, Any]:
        """The next frame. `EOFError` where the daemon has closed the connection."""
        while True:
            if len(self._rest) >= 4:
                (length,) = struct.unpack(">I", self._rest[:4])
                if len(self._rest) >= 4 + length:
                    payload, self._rest = self._rest[4 : 4 + length], self._rest[4 + length :]
                    return msgpack.unpackb(payload)
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError("the daemon closed the connection")
            self._rest += data

    def ask(self, op: str, /, beside: dict[str, Any] | None = None, **args: Any) -> dict[str, Any]:
        """A request's answer; events that come in between are passed over."""
        self._next += 1
        number = f"n{self._next}"
        self.say({"id": number, "op": op, "args": args} | (beside or {}))
        while (answer := self.hear()).get("id") != number:
            assert "event" in answer, answer
        return answer

    def hello(self, **args: Any) -> "Peer":
        assert "ok" in self.ask("hello", **args)
        return self

    def closed(self, wait_s: float = 10.0) -> bool:
        """Whether the daemon ends the connection within `wait_s`; what it says before is passed over."""
        self.socket.settimeout(wait_s)
        try:
            while True:
                self.hear()
        except EOFError:
            return True
        except TimeoutError:
            return False


class Daemon:
    """A daemon process in a folder of its own, with settings of its own."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        wait: bool = True,
        through: tuple[str, ...] = (),
        options: dict[str, Any] | None = None,
        stores: Stores = str,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "XDG_"))
        } | {"HOME": str(folder)}
        given = {
            "store": stores(folder / "memory.db"),
            "socket": folder / "run" / "db.sock",
            "backup_folder": folder / "backups",
        } | settings
        self.environment |= {PREFIX + name.upper(): str(value) for name, value in given.items()}
        self.settings = Settings.load({"autostart": False}, self.environment)
        self.log = folder / "daemon.log"
        self._read = 0
        with open(self.log, "ab") as log:
            command = [*through, sys.executable, "-P", "-m", "enhanced_memory.daemon", "serve", *arguments]
            self.process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **(options or {})
            )
        if wait:
            self.ready()

    def ready(self) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                Peer(self.settings.socket_path).hello().socket.close()
                return
            except (OSError, EOFError):
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < until, "the daemon never answered"
                time.sleep(0.01)

    def peer(self, greeted: bool = True, **args: Any) -> Peer:
        # What a database does with a megabyte takes as long as its machine lets it: no law is about that.
        made = Peer(self.settings.socket_path, 60.0 if self.settings.database else 10.0)
        return made.hello(**args) if greeted else made

    def memory(self, **given: Any) -> Memory:
        return Memory(Settings.load({"autostart": False} | given, self.environment))

    def fine(self) -> bool:
        """Whether somebody who comes anew is served, and nothing unforeseen was logged since this was asked last."""
        with self.memory() as memory:
            memory.ping()
        log = self.log.read_text()
        new, self._read = log[self._read :], len(log)
        assert "Traceback" not in new, new[-2000:]
        return True

    @property
    def memory_mb(self) -> float:
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    def end(self, number: int = signal.SIGTERM, wait_s: float = 30) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(wait_s)


def short_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))


@pytest.fixture
def serve(stores: Stores) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons with the settings given; each in a new folder, unless one is named."""
    made: list[Daemon] = []

    def serve(*arguments: str, folder: Path | None = None, **more: Any) -> Daemon:
        made.append(Daemon(folder or short_folder(), *arguments, stores=stores, **more))
        return made[-1]

    yield serve
    for one in made:
        one.end(signal.SIGKILL)
        gone(one.folder)


@pytest.fixture(scope="module")
def house(stores: Stores) -> Iterator[Daemon]:
    """One daemon for all tests of a file, which must leave it in health."""
    made = Daemon(short_folder(), stores=stores)
    yield made
    assert made.process.poll() is None, made.log.read_text()[-3000:]
    assert made.end() == 0
    gone(made.folder)


@pytest.fixture
def readable() -> Callable[[Peer, float], bool]:
    """Whether a peer has something to read within so many seconds."""
    return lambda peer, wait_s: bool(select.select([peer.socket], [], [], wait_s)[0])
