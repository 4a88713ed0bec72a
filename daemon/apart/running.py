"""A process that answers searches, as the daemon sees it."""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.wire import Frames, pack, unpack
from enhanced_memory.daemon.call import Call, Peer

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.asked import Asked

__all__ = ["Running"]

log = logging.getLogger(__name__)

ANSWER_S = 60.0
"""How long it may take for an answer to a question without a deadline; one with a deadline gives up by itself."""

_MODULE = "enhanced_memory.daemon.apart.process"
_PEER = ("uid", "user", "client", "agent", "session", "channel", "space", "parent", "read_only", "admin")
_NOBODY = Peer()


class Running:
    """One process, which answers one question after the other."""

    def __init__(self, lost: "Callable[[Running], None]") -> None:
        self.ready = False
        self.asked = 0
        """Questions that it has not answered."""
        self.used_at = monotonic()
        self._lost = lost
        self._process: Process | None = None
        self._frames = Frames()
        self._payloads: deque[bytes] = deque()
        self._leaving = False
        self._before: list[bytes] = []
        """What it is to be told once it runs."""
        self._answers: deque[asyncio.Future[dict[str, Any]]] = deque()
        """Who waits for its answers, in their order."""
        self._hearing: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid if self._process is not None else 0

    async def start(self, follower: str, settings: Settings, model: int, dimension: int) -> None:
        """Have it run and hold a model's vectors; `follower` is the module that reads the store. `OSError`, `EOFError` or an `Error` where it does not."""
        environment = settings.environment(os.environ) | {"OPENBLAS_NUM_THREADS": "1"}
        self._before.insert(0, pack({"model": model, "dimension": dimension}))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", _MODULE, follower, stdin=PIPE, stdout=PIPE, env=environment
        )
        before, self._before = self._before, []
        for frame in before:
            self.send(frame)
        said = await self._heard()
        if "ready" not in said:
            raise OSError(str(said.get("error")))
        self.ready = not self._leaving
        self._hearing = asyncio.get_running_loop().create_task(self._hear())

    def send(self, frame: bytes) -> None:
        """Tell it something."""
        process = self._process
        if process is None:
            self._before.append(frame)
        elif process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(frame)

    async def ask(self, call: Call) -> dict[str, Any] | None:
        """What it answers to a call; None where the daemon had better answer itself."""
        if self._leaving:
            return None
        meant: Asked | None = call.meaning  # pyright: ignore[reportAssignmentType] - a search's own
        frame = pack(
            {
                "ask": call.ask.op,
                "args": msgspec.msgpack.encode(call.ask),
                "peer": _said_of(call.peer),
                "vector": meant.vector.tobytes() if meant is not None else None,
                "model": meant.model if meant is not None else 0,
                "until": call.deadline,
            }
        )
        self.send(frame)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        until = ANSWER_S if call.deadline is None else max(0.0, call.deadline - monotonic()) + 1.0
        try:
            said = await asyncio.wait_for(answer, until)
        except TimeoutError:
            self.fail("it does not answer")
            return None
        if "answer" not in said:
            return None
        call.used.extend(said["used"])
        return said["answer"]

    async def _hear(self) -> None:
        """Hand its answers to those who wait for them."""
        try:
            while True:
                said = await self._heard()
                answer = self._answers.popleft()
                if not answer.done():
                    answer.set_result(said)
        except (OSError, EOFError, IndexError, Error) as problem:
            self.fail(str(problem) or "it has ended")

    def fail(self, why: str) -> None:
        """End it; the daemon answers what it was asked."""
        if not self._leaving or self._answers or not self.pid:
            log.warning("a process that answers searches beside the daemon is ended: %s", why)
        with suppress(ProcessLookupError):
            if self._process is not None:
                self._process.kill()
        for answer in self._answers:
            if not answer.done():
                answer.set_result({"error": why})
        self._answers.clear()
        self._lost(self)

    async def _heard(self) -> dict[str, Any]:
        """Its next message. `EOFError` where it has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        while not self._payloads:
            data = await self._process.stdout.read(1 << 18)
            if not data:
                raise EOFError
            self._payloads.extend(self._frames.feed(data))
        return unpack(self._payloads.popleft())

    def leave(self) -> None:
        """Be asked no more; it ends with what it has begun."""
        self.ready, self._leaving = False, True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def ended(self) -> None:
        """Wait until it is gone; it is not waited for long."""
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._hearing is not None:
            await self._hearing


def _said_of(peer: Peer) -> dict[str, Any]:
    """What an answer may depend on of who asks. What is as by default is left out, as it is of answers."""
    said = {name: value for name in _PEER if (value := getattr(peer, name)) != getattr(_NOBODY, name)}
    return said | {"confined": sorted(peer.confined)}
