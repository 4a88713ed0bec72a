"""The broker's side of the zygote: it is started, asked for workers, and replaced when it has died.

A worker is a channel and a handle on its process, by which it alone can be killed, whatever number the system gives out
next.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from enhanced_memory.client.errors import SandboxBroken
from enhanced_memory.client.wire import Frames, pack, unpack
from enhanced_memory.mcp_server.sandbox.pipe import pack as packed
from enhanced_memory.mcp_server.sandbox.pipe import unpack as unpacked

__all__ = ["Crew", "Gone", "Worker"]

START_S = 20.0
TRIES = 3
"""Zygotes that may die on the way to one worker."""
MAKE_S = 5.0
HEARD_BYTES = 4096
CHUNK = 1 << 16


class Died(Exception):
    """The zygote has ended."""


class Gone(Exception):
    """The worker has closed its channel."""


class Worker:
    """A process that waits for its one job, behind its walls."""

    def __init__(self, channel: socket.socket, handle: int) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._handle = handle
        self._frames: Frames | None = None
        self._read: list[bytes] = []
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """How it ended: its exit code, or less than 0 for a signal."""

    def limit(self, frame_bytes: int) -> None:
        """Read no frame that is larger. To be called before anything is read."""
        self._frames = Frames(frame_bytes)

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message. `Gone` where nobody is there to take it."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._channel, pack(message))
        except OSError:
            raise Gone from None

    async def receive(self) -> dict[str, Any]:
        """The next message. `Gone` at the end; `Error` for what cannot be read."""
        assert self._frames is not None
        while not self._read:
            try:
                data = await asyncio.get_running_loop().sock_recv(self._channel, CHUNK)
            except OSError:
                raise Gone from None
            if not data:
                raise Gone
            self._read += self._frames.feed(data)
        return unpack(self._read.pop(0))

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._handle < 0:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def close(self) -> None:
        """End it and let go of it."""
        if self._handle >= 0:
            self.kill()
            os.close(self._handle)
            self._handle = -1
            self._channel.close()


class Crew:
    """A zygote and the workers that it makes."""

    def __init__(self, bare: bool = False) -> None:
        self._bare = bare
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready: asyncio.Future[None] | None = None
        self._number = 0
        self.deaths = 0
        """How many zygotes have ended."""
        self._asked: dict[int, asyncio.Future[Worker]] = {}
        self._living: dict[int, Worker] = {}

    @property
    def alive(self) -> bool:
        """Whether there is a zygote."""
        return self._control is not None

    @property
    def pid(self) -> int:
        """The zygote's process; 0: none."""
        return self._process.pid if self._process is not None else 0

    async def start(self) -> None:
        """Start the zygote, if there is none. `SandboxBroken` where it does not come up."""
        try:
            await self._start()
        except Died:
            raise SandboxBroken("The sandbox could not be started.", "`memory-mcp check` says more") from None

    async def _start(self) -> None:
        if self._control is not None:
            assert self._ready is not None
            await asyncio.shield(self._ready)
            return
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.setblocking(False)
            command = [sys.executable, "-I", "-m", "enhanced_memory.mcp_server.sandbox.zygote", str(theirs.fileno())]
            self._process = subprocess.Popen(
                [*command, *(["--bare"] if self._bare else [])],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                # Local time would be read from a file by the first worker that asks; and there is none where it runs.
                env={"LC_ALL": "C.UTF-8", "TZ": "UTC0"},
                start_new_session=True,
            )
        self._control = ours
        self._ready = loop.create_future()
        loop.add_reader(ours, self._heard)
        try:
            async with asyncio.timeout(START_S):
                await asyncio.shield(self._ready)
        except TimeoutError:
            self.close()
            raise SandboxBroken("The sandbox did not start in time.") from None

    async def make(self, layers: Sequence[str], memory_bytes: int, cpu_s: int) -> Worker:
        """A worker behind `layers`. `SandboxBroken` where none can be made."""
        for _ in range(TRIES):
            try:
                return await self._made(layers, memory_bytes, cpu_s)
            except Died:
                continue  # killed meanwhile: the next one is no worse for it
            except OSError:
                self._heard()  # the loop has not come round to saying so: every try would meet the same socket
        raise SandboxBroken("The process that makes workers has ended.")

    async def _made(self, layers: Sequence[str], memory_bytes: int, cpu_s: int) -> Worker:
        await self._start()
        control = self._control
        if control is None:
            raise Died
        self._number += 1
        number = self._number
        made: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._asked[number] = made
        request = {"make": number, "layers": list(layers), "memory": memory_bytes, "cpu": cpu_s}
        try:
            async with asyncio.timeout(MAKE_S):
                await asyncio.get_running_loop().sock_sendall(control, packed(request))
                return await made
        except TimeoutError:
            raise SandboxBroken("The sandbox made no worker in time.") from None
        finally:
            self._asked.pop(number, None)

    def close(self) -> None:
        """End the zygote and every worker."""
        self._over()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _heard(self) -> None:
        control = self._control
        if control is None:
            return
        while True:
            try:
                data, handles, _, _ = socket.recv_fds(control, HEARD_BYTES, 2)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data, handles = b"", []
            if not data:
                self._over()
                if self._process is not None:
                    self._process.kill()
                    self._process.wait()
                    self._process = None
                return
            self._told(cast("dict[str, Any]", unpacked(data)), handles)

    def _told(self, said: dict[str, Any], handles: list[int]) -> None:
        if "ready" in said and self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        elif "made" in said:
            worker = Worker(socket.socket(fileno=handles[0]), handles[1])
            asked = self._asked.get(said["made"])
            if asked is None or asked.done():
                worker.close()
                return
            self._living[said["made"]] = worker
            asked.set_result(worker)
        elif "ended" in said:
            worker = self._living.pop(said["ended"], None)
            if worker is not None and not worker.ended.done():
                worker.ended.set_result(said["code"])
            asked = self._asked.get(said["ended"])
            if asked is not None and not asked.done():
                asked.set_exception(SandboxBroken("A worker ended before it began."))

    def _over(self) -> None:
        """The zygote has gone: its workers must not outlive it."""
        control, self._control = self._control, None
        if control is None:
            return
        self.deaths += 1
        asyncio.get_running_loop().remove_reader(control)
        control.close()
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(Died())
        for worker in self._living.values():
            worker.kill()
            if not worker.ended.done():
                worker.ended.set_result(-int(signal.SIGKILL))
        self._living.clear()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(Died())
