"""The broker: takes code, has it run by a worker, and stands between the worker and the memory.

The worker is hostile until it is dead. What comes from it is a bounded stream of frames of plain data; each call is
validated as if nobody had done so before, counted, held against the run's grants, and forwarded through the client with
the run's id. The deadline is a SIGKILL on our clock.
"""

import asyncio
from collections.abc import Hashable, Iterable
from types import TracebackType
from typing import Any, Self

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Denied, Invalid, SandboxBroken, TooLarge
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.wire import pack
from enhanced_memory.mcp_server.sandbox import api, plain
from enhanced_memory.mcp_server.sandbox.crew import Crew, Worker
from enhanced_memory.mcp_server.sandbox.run import Run
from enhanced_memory.mcp_server.sandbox.trying import tried
from enhanced_memory.mcp_server.sandbox.turns import Turns
from enhanced_memory.mcp_server.sandbox.values import Bounds, Isolation, Limits, Ran

__all__ = ["CODE_BYTES", "CONTEXT_BYTES", "Sandbox"]

CODE_BYTES = 256 * 1024
CONTEXT_BYTES = 4 * 1024 * 1024
AT_ONCE = 4
WAITING = 64
WAIT_S = 60.0
SPARE = 2
IDLE_S = 600.0
"""How long a zygote is kept that nobody needs."""


class Sandbox:
    """Runs code, a few runs at a time. Used on one event loop; `close` ends its processes."""

    def __init__(self, *, at_once: int = AT_ONCE, without: Iterable[str] = (), bare: bool = False) -> None:
        """`without` leaves layers out as if the machine lacked them, `bare` allows code without the filter: for tests."""
        self._without = frozenset(without)
        self._bare = bare
        self._crew = Crew(bare)
        self._turns = Turns(at_once, WAITING)
        self._starting = asyncio.Lock()
        self._isolation: Isolation | None = None
        self._spare: list[tuple[tuple[int, int], Worker]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._running = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every run and process. It can be used again."""
        for task in self._tasks:
            task.cancel()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._let_go()

    def _let_go(self) -> None:
        for _, worker in self._spare:
            worker.close()
        self._spare.clear()
        self._crew.close()

    @property
    def zygote(self) -> int:
        """The zygote's process; 0: none."""
        return self._crew.pid

    async def isolation(self) -> Isolation:
        """What holds code on this machine, found out by trying. `SandboxBroken` where the sandbox does not start."""
        async with self._starting:
            if self._isolation is None:
                self._isolation = await tried(self._crew, self._without)
                self._rest()
            return self._isolation

    async def run(
        self,
        code: str,
        memory: AsyncMemory,
        *,
        context: Any = None,
        grants: Iterable[str] = (),
        limits: Limits | None = None,
        confirm: bool = False,
        tool: str = "execute_code",
        key: str = "",
        who: Hashable = None,
        engine: str = "",
    ) -> Ran:
        """Run `code` for `memory`; what it assigns to `result` is answered.

        `context` is plain data that the code finds under that name. `confirm` allows it to delete many. `key` makes a
        repeat of this run known: changes that were made are not made again. `who` waits in turn with the others.

        What goes wrong inside is the answer's `error`. Raised are `Invalid` and `TooLarge` for what cannot be begun,
        `Denied` where nothing would hold the code, `Busy`, and `SandboxBroken` where the sandbox does not work.
        """
        settings = memory.settings
        job = self._job(code, context, Bounds.settled(limits, settings), engine or settings.sandbox_engine)
        allowed = api.checked_grants(grants)
        async with self._turns.turn(who, WAIT_S):
            isolation = await self._allowed(settings)
            run = Run(memory, job, allowed, settings.confirm_deletes if not confirm else None, tool, key)
            self._running += 1
            try:
                return await self._answered(run, isolation)
            finally:
                self._running -= 1
                self._rest()
                self._prepare(isolation, Bounds.settled(None, settings))

    async def _answered(self, run: Run, isolation: Isolation) -> Ran:
        """The run's answer. Where the zygote died, and its workers with it, before the code did anything, it is begun again."""
        deaths = self._crew.deaths
        try:
            ran = await self._tried(run, isolation)
        except SandboxBroken:
            if self._crew.deaths == deaths:
                raise
        else:
            if ran.ok or run.seen or self._crew.deaths == deaths:
                return ran
        return await self._tried(run, isolation)

    async def _tried(self, run: Run, isolation: Isolation) -> Ran:
        worker = await self._worker(isolation, run.bounds)
        try:
            return await run.answer(worker, isolation)
        finally:
            worker.close()

    async def _allowed(self, settings: Settings) -> Isolation:
        isolation = await self.isolation()
        if settings.sandbox == "off":
            raise Denied("Running code is switched off.", "the setting `sandbox` decides")
        if isolation.level == "C" and settings.sandbox != "insecure":
            raise Denied(
                "Code is not run: this machine filters no system calls, so that nothing would hold it.",
                f"seccomp: {isolation.missing.get('seccomp', 'not there')}; the setting sandbox=insecure allows it all the same",
            )
        return isolation

    def _job(self, code: str, context: Any, bounds: Bounds, engine: str) -> dict[str, Any]:
        known = ("restricted", "bare") if self._bare else ("restricted",)
        if engine not in known:
            raise Invalid(f"There is no engine {engine[:100]!r}.", "the setting sandbox_engine is `restricted`")
        try:
            size = len(code.encode())
        except UnicodeEncodeError:
            raise Invalid("The code holds a lone surrogate, which is not valid Unicode.") from None
        if size > CODE_BYTES:
            raise TooLarge(
                f"The code has {size:,} bytes; {CODE_BYTES:,} are allowed.",
                "give data as `context`, not within the code",
            )
        try:
            context = plain.checked(context, CONTEXT_BYTES)
        except (TypeError, ValueError) as problem:
            raise Invalid(f"The context cannot be used: {problem}.".replace("result", "context", 1)) from None
        job = {
            "code": code,
            "context": context,
            "engine": engine,
            "operations": api.offered(),
            "result_bytes": bounds.result_bytes,
            "output_bytes": bounds.output_bytes,
            "calls": bounds.calls,
        }
        if len(pack({"context": context})) > CONTEXT_BYTES:
            raise TooLarge(f"The context is larger than {CONTEXT_BYTES:,} bytes.", "let the code ask for what it needs")
        return {"job": job, "bounds": bounds}

    # Workers: one or two that are behind their walls already, and used once.

    async def _worker(self, isolation: Isolation, bounds: Bounds) -> Worker:
        form = _form(bounds)
        while self._spare:
            at = next((place for place, (made, _) in enumerate(self._spare) if made == form), None)
            if at is None:
                break
            _, worker = self._spare.pop(at)
            if not worker.ended.done():
                return worker
            worker.close()
        return await self._crew.make(isolation.layers, *form)

    def _prepare(self, isolation: Isolation, usual: Bounds) -> None:
        """Have spare workers made for runs with the usual limits."""
        form = _form(usual)
        for stale in [pair for pair in self._spare if pair[0] != form or pair[1].ended.done()]:
            self._spare.remove(stale)
            stale[1].close()
        if not self._crew.alive or len(self._spare) + len(self._tasks) >= SPARE:
            return

        async def make() -> None:
            try:
                worker = await self._crew.make(isolation.layers, *form)
            except SandboxBroken:
                return  # whoever needs one will be told
            if len(self._spare) < SPARE and self._crew.alive:
                self._spare.append((form, worker))
            else:
                worker.close()

        task = asyncio.get_running_loop().create_task(make())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _rest(self) -> None:
        """Let the zygote go when it has not been needed for a while."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._unless_running)

    def _unless_running(self) -> None:
        self._idle = None
        if not self._running:
            self._let_go()


def _form(bounds: Bounds) -> tuple[int, int]:
    """What a worker is made with: bytes of memory, and seconds of the processor after which the kernel ends it."""
    return bounds.memory_mb * 1024 * 1024, int(bounds.seconds) + 2
