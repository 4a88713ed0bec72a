"""The daemon's side of a model that runs in a child process: started when it is needed, ended when it is not.

A child that crashes, hangs or says nonsense is ended and started again after a pause that doubles with every failure. Meanwhile
whoever asks is told so at once: words answer alone.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from enhanced_memory.client.errors import Error, Unavailable
from enhanced_memory.client.wire import Frames, pack, unpack
from enhanced_memory.daemon.embedding.elsewhere import Elsewhere, reached

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.index import Floats

__all__ = ["DOOR", "ChildEmbedder"]

log = logging.getLogger(__name__)

DOOR = "memory-embed.sock"
"""Beside the daemon's socket: where systemd starts a process for each connection (memory-embed.socket)."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
ANSWER_BYTES = 256 * 1024 * 1024


class ChildEmbedder:
    """An embedder whose model is in a child process. On one event loop."""

    batch = 32
    """Texts handed over at a time: a query waits for no more than these."""

    def __init__(
        self, source: str, *, threads: int = 1, load_s: float, answer_s: float, idle_s: float, door: Path | None = None
    ) -> None:
        """Where somebody listens at `door`, the process is not a child but what is behind it."""
        self.source = source
        self.name = source
        self.dimension = 0
        """0 until the child has said it once."""
        self.fingerprint = ""
        self.backend = ""
        self.problem = ""
        """What went wrong last, until something goes right."""
        self.hint = ""
        self.starts = 0
        self._load_s, self._answer_s, self._idle_s = load_s, answer_s, idle_s
        self._threads = threads
        self._door = door
        self._process: asyncio.subprocess.Process | Elsewhere | None = None
        self._frames = Frames(ANSWER_BYTES)
        self._turn = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def running(self) -> bool:
        """Whether the model is loaded."""
        return self._process is not None and self._starting is None

    @property
    def pause_s(self) -> float:
        """Seconds until a child that failed is started again."""
        return max(0.0, self._not_before - monotonic())

    @property
    def pid(self) -> int | None:
        """The child's process, while there is one."""
        return self._process.pid if self._process is not None else None

    async def ready(self) -> None:
        """Have the model loaded. `Unavailable` with the reason where that fails, or has just failed."""
        if self.running:
            return
        if self._starting is None:
            if self._stopped:
                raise Unavailable("The daemon is stopping.")
            if self.pause_s:
                raise Unavailable(self.problem, self.hint)
            self._starting = asyncio.get_running_loop().create_task(self._start())
            # Whoever waits is told; where nobody waits any more, `problem` says it.
            self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._starting)

    async def embed(self, texts: Sequence[str], query: bool = False) -> "Floats":
        """One row of unit length for each text. `Unavailable` where the child cannot say it, and why."""
        import numpy as np

        await self.ready()
        async with self._turn:
            process = self._process
            if process is None:  # it failed while this one waited its turn
                raise Unavailable(self.problem, self.hint)
            try:
                answer = await asyncio.wait_for(
                    self._exchange(process, {"texts": list(texts), "query": query}), self._answer_s
                )
            except TimeoutError:
                raise self._failed(f"The model {self.name} has not answered within {self._answer_s:g} s.") from None
            except (OSError, EOFError, Error):
                raise self._failed(f"The model's process ended unexpectedly ({await self._ended(process)}).") from None
            except asyncio.CancelledError:
                self._end()  # half an exchange: whoever asks next would get this one's answer
                raise
            vectors = answer.get("vectors")
            if isinstance(vectors, bytes) and len(vectors) == len(texts) * self.dimension * 4:
                self._failures, self.problem, self.hint = 0, "", ""
                self._rest()
                return np.frombuffer(vectors, np.float32).reshape(len(texts), self.dimension)
            raise self._failed(
                f"The model {self.name} failed: {answer.get('error', 'it gave vectors of another size')}"
            )

    async def stop(self) -> None:
        """End the child, and start no other."""
        self._stopped = True
        if self._starting is not None:
            self._starting.cancel()
            with suppress(asyncio.CancelledError, Error):
                await self._starting
        process = self._process
        self._end()
        if process is not None:
            await process.wait()

    async def _start(self) -> None:
        try:
            await self._load()
        finally:
            self._starting = None

    async def _load(self) -> None:
        self.starts += 1
        one = str(max(1, self._threads))
        environment = os.environ | {
            "OMP_NUM_THREADS": one,
            "MKL_NUM_THREADS": one,
            "OPENBLAS_NUM_THREADS": one,
            "TOKENIZERS_PARALLELISM": "false",
        }
        self._frames = Frames(ANSWER_BYTES)
        elsewhere = await reached(self._door) if self._door is not None else None
        process = self._process = elsewhere or await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "enhanced_memory.daemon.embedding.worker", self.source,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment,
        )  # fmt: skip
        try:
            if elsewhere is not None:
                elsewhere.stdin.write(pack({"model": self.source, "threads": self._threads}))
            said = await asyncio.wait_for(self._heard(process), self._load_s)
        except TimeoutError:
            raise self._failed(f"The model {self.source} was not loaded within {self._load_s:g} s.") from None
        except (OSError, EOFError, Error):
            raise self._failed(
                f"The model's process ended while it loaded {self.source} ({await self._ended(process)})."
            ) from None
        except asyncio.CancelledError:
            self._end()
            raise
        ready = said.get("ready")
        if ready is None:
            raise self._failed(str(said.get("error")), str(said.get("hint", "")))
        if elsewhere is not None:
            elsewhere.pid = int(ready["pid"])
        self.name, self.dimension = str(ready["name"]), int(ready["dimension"])
        self.fingerprint, self.backend = str(ready["fingerprint"]), str(ready["backend"])
        self._rest()
        log.info(
            "embedder: model=%s dimension=%d backend=%s pid=%d", self.name, self.dimension, self.backend, process.pid
        )

    async def _exchange(
        self, process: asyncio.subprocess.Process | Elsewhere, message: dict[str, Any]
    ) -> dict[str, Any]:
        assert process.stdin is not None
        process.stdin.write(pack(message, ANSWER_BYTES))
        await process.stdin.drain()
        return await self._heard(process)

    async def _heard(self, process: asyncio.subprocess.Process | Elsewhere) -> dict[str, Any]:
        """The child's next message. `EOFError` where it has ended."""
        assert process.stdout is not None
        while data := await process.stdout.read(1 << 18):
            for payload in self._frames.feed(data):
                return unpack(payload)
        raise EOFError

    async def _ended(self, process: asyncio.subprocess.Process | Elsewhere) -> str:
        try:
            status = await asyncio.wait_for(process.wait(), 2)
        except TimeoutError:
            return "it said what no model says"
        return f"signal {-status}" if status < 0 else f"status {status}"

    def _failed(self, problem: str, hint: str = "") -> Unavailable:
        """Note a failure; the child is ended and not started again before a while."""
        self._end()
        self.problem, self.hint = problem, hint or "see the daemon's log, or set `embedder` to static"
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self._failures)
        self._failures += 1
        self._not_before = monotonic() + pause
        log.warning("embedder: %s Trying again in %g s.", problem, pause)
        return Unavailable(self.problem, self.hint)

    def _rest(self) -> None:
        """End the child once nobody has asked it for a while."""
        if self._idle is not None:
            self._idle.cancel()
        if self._idle_s:
            self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if self._turn.locked():
            self._rest()
        else:
            self._end()

    def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
