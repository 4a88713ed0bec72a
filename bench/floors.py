"""What the figures stand beside: a server that does nothing, the store without a daemon, the bare disk."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from corpus import Known
from home import until
from msgspec import to_builtins

from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.client.wire import Frames, pack, unpack
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.handlers.entities import create_entities
from enhanced_memory.daemon.server import SWITCH_S
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import BUILT_IN
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

__all__ = ["InProcess", "disk", "echo"]


class InProcess:
    """An engine in this process: what a change costs when no socket, no frame and no layer is around it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)  # as the daemon does, so that threads hand over alike
        self.engine: SqliteEngine = self._runner.run(SqliteEngine.open(self._settings))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self.engine.close())
        self._runner.close()
        sys.setswitchinterval(self._interval)

    def one_by_one(self, entities: Sequence[Known]) -> list[float]:
        """The seconds that each takes, with a commit of its own."""

        async def create() -> list[float]:
            times: list[float] = []
            for one in entities:
                began = time.perf_counter()
                await self._create(one)
                times.append(time.perf_counter() - began)
            return times

        return self._runner.run(create())

    def grouped(self, entities: Sequence[Known], group: int = 64) -> float:
        """The seconds that all take, `group` handed to the writer at a time."""

        async def create() -> float:
            began = time.perf_counter()
            for start in range(0, len(entities), group):
                await asyncio.gather(*(self._create(one) for one in entities[start : start + group]))
            return time.perf_counter() - began

        return self._runner.run(create())

    def trained(self) -> bool:
        """Wait until the engine packs with a dictionary of its own, as the daemon beside it does."""

        async def turn() -> None:
            await asyncio.sleep(0.01)

        def own() -> bool:
            self._runner.run(turn())
            return self.engine.dictionary != BUILT_IN

        return until(own, 20)

    def _create(self, one: Known) -> Awaitable[Any]:
        ask = CreateEntities([EntityInput(one.name, one.type, list(one.observations))])

        def work(tx: Tx) -> Any:
            return to_builtins(create_entities(tx, ask))

        return self.engine.write(work, Call(Peer(client="bench", user="bench", greeted=True), ask))


def disk(folder: Path, count: int) -> Callable[[int], list[float]]:
    """4 KiB written over and put on disk, `count` times."""

    def overwrite(_: int) -> list[float]:
        file = os.open(folder / "disk.bin", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            block = os.urandom(4096)
            os.pwrite(file, block, 0)
            os.fdatasync(file)
            times: list[float] = []
            for _ in range(count):
                began = time.perf_counter()
                os.pwrite(file, block, 0)
                os.fdatasync(file)
                times.append(time.perf_counter() - began)
            return times
        finally:
            os.close(file)

    return overwrite


# The echo: what remains of the daemon when all that it does is taken away


class _Echo(asyncio.Protocol):
    """Unpacks each frame, and packs an answer of the same form and size as the daemon's."""

    def __init__(self, welcome: dict[str, Any]) -> None:
        self._frames = Frames()
        self._welcome = welcome
        self._pong: dict[str, Any] = {"at": "2026-01-01T00:00:00.000000Z"}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request at once."""
        for payload in self._frames.feed(data):
            message = unpack(payload)
            said = self._welcome if message["op"] == "hello" else self._pong
            self._transport.write(pack({"id": message["id"], "ok": said}))


async def echo(path: str, store: str) -> None:
    """Serve at `path` until standard input ends."""
    welcome: dict[str, Any] = {
        "server": "echo",
        "version": "0",
        "protocol": 1,
        "pid": os.getpid(),
        "store": store,
        "store_id": "",
        "space": "default",
        "limits": {"max_frame_bytes": 16 * 1024 * 1024},
        "capabilities": [],
    }
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(sys.stdin.fileno(), lambda: ended.done() or ended.set_result(None))
    await loop.create_unix_server(lambda: _Echo(welcome), sock=listener)
    print("{}", flush=True)
    await ended


if __name__ == "__main__":
    asyncio.run(echo(*sys.argv[1:3]))
