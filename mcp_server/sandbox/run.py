"""One run under way: what a worker sends is read as a liar's, what it asks is asked in its place, and its end is told."""

import asyncio
import secrets
import signal
import time
from collections.abc import Sequence
from typing import Any, cast

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Denied, Error, SandboxBroken
from enhanced_memory.client.request import Change
from enhanced_memory.client.wire import MAX_FRAME_BYTES, pack
from enhanced_memory.mcp_server.sandbox import api, plain
from enhanced_memory.mcp_server.sandbox.calls import CALL_BYTES
from enhanced_memory.mcp_server.sandbox.crew import Gone, Worker
from enhanced_memory.mcp_server.sandbox.values import Bounds, Fault, Isolation, Ran

__all__ = ["Run"]

FRAMES = 20_000
"""Pieces of output that one run may send."""
LAST_WORD_S = 2.0
"""How long a worker that has closed its channel may take to be dead."""
SLACK_BYTES = 64 * 1024


class Violation(Exception):
    """The worker said what no honest worker says."""


class Run:
    """One run under way."""

    def __init__(
        self,
        memory: AsyncMemory,
        job: dict[str, Any],
        grants: frozenset[str],
        deletions: int | None,
        tool: str,
        key: str,
    ) -> None:
        self.bounds: Bounds = job["bounds"]
        self._memory = memory
        self._job: dict[str, Any] = job["job"]
        self._grants = grants
        self._deletions = deletions
        self._tool = tool
        self._key = key
        self._id = f"run-{secrets.token_hex(8)}"
        self._output: list[str] = []
        self._room = self.bounds.output_bytes
        self._cut = False
        self._frames = 0
        self._calls = 0

    @property
    def seen(self) -> bool:
        """Whether the code has asked or said anything yet."""
        return bool(self._calls or self._output)

    async def answer(self, worker: Worker, isolation: Isolation) -> Ran:
        """What comes of it. Whatever the worker does, this is over soon after the deadline."""
        began = time.monotonic()
        result: Any = None
        error: Fault | None = None
        try:
            async with asyncio.timeout(self.bounds.seconds):
                result, error = await self._talk(worker)
        except TimeoutError:
            worker.kill()
            error = Fault(
                "TimeLimit",
                f"The code ran longer than {self.bounds.seconds:g} s and was ended.",
                hint="ask for less, or in pages; changes that were answered are kept, one under way may be",
            )
        except Gone:
            error = await self._end_of(worker)
        except (Violation, Error) as problem:
            worker.kill()
            message = problem.message if isinstance(problem, Error) else str(problem)
            error = Fault("Violation", f"The worker was ended: {message}.".replace("..", "."))
        ms = (time.monotonic() - began) * 1000
        return Ran(
            ok=error is None,
            result=result,
            stdout="".join(self._output),
            truncated=self._cut,
            error=error,
            isolation=isolation,
            ms=round(ms, 2),
            calls=self._calls,
            run=self._id,
        )

    async def _talk(self, worker: Worker) -> tuple[Any, Fault | None]:
        self._frames = 0
        worker.limit(max(self.bounds.result_bytes, CALL_BYTES) + SLACK_BYTES)
        await worker.send(self._job)
        while True:
            said = await worker.receive()
            if "out" in said:
                self._print(said)
            elif "call" in said:
                await worker.send(await self._called(said))
            elif "done" in said:
                return self._done(said)
            elif "failed" in said:
                raise SandboxBroken(f"The walls could not be put up: {str(said['failed'])[:200]}.")
            elif "standing" not in said or self._frames:
                raise Violation("it said something that is not understood")
            self._frames += 1
            if self._frames > FRAMES + self.bounds.calls:
                raise Violation("it sent too many messages")

    def _print(self, said: dict[str, Any]) -> None:
        text = said["out"]
        if not isinstance(text, str):
            raise Violation("its output is no text")
        data = text.encode()
        if len(data) > self._room:
            data = data[: self._room]
            self._cut = True
        self._room -= len(data)
        self._output.append(data.decode("utf-8", "ignore"))
        self._cut = self._cut or said.get("cut") is True

    async def _called(self, said: dict[str, Any]) -> dict[str, Any]:
        if said["call"] != self._calls + 1 or self._calls >= self.bounds.calls:
            raise Violation("it miscounted its calls")
        self._calls += 1
        try:
            answer = await self._ask(said.get("op"), said.get("args"))
            told = {"ok": api.plain(answer)}
            pack(told, MAX_FRAME_BYTES)
        except Error as problem:
            told = {"error": {"type": type(problem).__name__, "message": problem.message, "hint": problem.hint}}
        return told

    async def _ask(self, op: Any, args: Any) -> Any:
        ask = api.read(op, args)
        api.granted(ask, self._grants)
        away = api.taken_away(ask)
        if away and self._deletions is not None:
            if away > self._deletions:
                raise Denied(
                    f"The run would delete more than the {self._memory.settings.confirm_deletes} that need no agreement.",
                    "ask the user, then run it with confirm: true",
                )
            self._deletions -= away
        key = f"{self._key}:{self._calls}" if self._key and isinstance(ask, Change) else None
        return await self._memory.send(ask, run=self._id, tool=self._tool, key=key)

    def _done(self, said: dict[str, Any]) -> tuple[Any, Fault | None]:
        error = said.get("error")
        if error is not None:
            return None, _fault(error)
        try:
            result = plain.checked(said.get("result"), self.bounds.result_bytes)
        except (TypeError, ValueError) as problem:
            raise Violation(str(problem)) from None
        if len(pack({"": result})) > self.bounds.result_bytes + 16:
            raise Violation("its result is too large")
        return result, None

    async def _end_of(self, worker: Worker) -> Fault:
        """Why the worker has gone without a word."""
        try:
            async with asyncio.timeout(LAST_WORD_S):
                code = await asyncio.shield(worker.ended)
        except TimeoutError:
            worker.kill()
            return Fault("Violation", "The worker closed its channel and went on.")
        known = {
            -signal.SIGSYS: Fault("Forbidden", "The code asked the system for what it may not have, and was ended."),
            -signal.SIGXCPU: Fault("TimeLimit", "The code used more processor time than it may, and was ended."),
            -signal.SIGKILL: Fault("Killed", "The worker was killed: by the system, for memory or processor time."),
            -signal.SIGSEGV: Fault(
                "Crashed", "The code made the interpreter crash.", hint="is something nested deeply?"
            ),
            71: Fault("MemoryError", "The code left no memory even to say so.", hint="work in smaller pieces"),
        }
        return known.get(code, Fault("Crashed", f"The worker ended without an answer (code {code})."))


def _fault(error: Any) -> Fault:
    """The worker's own error, as far as it is one."""
    if not isinstance(error, dict):
        raise Violation("its error cannot be read")
    said = cast("dict[str, Any]", error)
    kind, message, line, hint = (said.get(name) for name in ("type", "message", "line", "hint"))
    texts: Sequence[Any] = (kind, message, hint)
    if not all(isinstance(text, str) for text in texts) or not (line is None or isinstance(line, int)):
        raise Violation("its error cannot be read")
    return Fault(str(kind)[:100], str(message)[:4000], line, str(hint)[:500])
