"""What happens around every call, outermost first. Each layer is one function; their order is this tuple and nothing else."""

import asyncio
import logging
from collections import Counter
from time import monotonic
from typing import Any

from enhanced_memory.client.errors import Broken, Busy, Denied, Error, Invalid, TimedOut
from enhanced_memory.client.operations.service import Backup, Hello, NoteAccess, Ping
from enhanced_memory.client.request import Change
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import roles
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.confinement import keep_within
from enhanced_memory.daemon.dispatch import Answer, Layer
from enhanced_memory.daemon.metrics import Metrics
from enhanced_memory.daemon.roles import Allowance
from enhanced_memory.daemon.store import Engine, Tx

__all__ = ["Context", "layers"]

log = logging.getLogger(__name__)

MAX_WAITING = 20_000
"""Changes that may wait for the writer; beyond it the daemon says that it is busy rather than let everybody's deadline pass."""

NO_MEMORY = "ask for less at once, or raise the daemon's limit of memory (MemoryMax=, ulimit -v)"

ACCESS_BATCH = 500
ACCESS_AFTER_S = 1.0


class Context:
    """What the layers note things in."""

    def __init__(self, engine: Engine, metrics: Metrics, settings: Settings) -> None:
        self.engine = engine
        self.metrics = metrics
        self.settings = settings
        self.allowance = Allowance(settings.user_requests_s)
        self.accesses: list[dict[str, Any]] = []
        self.uses: Counter[int] = Counter()
        self._planned = False

    def plan(self) -> None:
        """See to it that what was noted is written soon, or now if it is much."""
        if len(self.accesses) + len(self.uses) >= ACCESS_BATCH:
            flush(self)
        elif not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(ACCESS_AFTER_S, self._flush_planned)

    def _flush_planned(self) -> None:
        self._planned = False
        flush(self)


def layers(context: Context) -> tuple[Layer, ...]:
    """The layers around `context`'s engine."""

    async def answer_errors(call_next: Answer, call: Call) -> Any:
        """Every error becomes one that can be told; what was not foreseen is logged here, and nowhere else."""
        try:
            return await call_next(call)
        except Error:
            raise
        except OverflowError as problem:
            raise Invalid(
                f"A number or a time is beyond what the store can hold: {problem}.",
                "numbers have 64 bits, times end with the year 9999",
            ) from None
        except MemoryError:
            log.error("%s failed: there is no memory left", call.ask.op)
            raise Broken(f"{call.ask.op} failed: the daemon has no memory left for it.", NO_MEMORY) from None
        except Exception as problem:
            log.exception("%s failed", call.ask.op)
            raise Broken(f"{call.ask.op} failed: {type(problem).__name__}.") from problem

    async def admit(call_next: Answer, call: Call) -> Any:
        """Who has not said hello may only do that; who is confined stays within; who may only read may not change."""
        if not call.peer.greeted and not isinstance(call.ask, Hello | Ping):
            raise Denied("The connection has not said hello.", "send `hello` first")
        roles.admit(call)
        if call.peer.confined:
            keep_within(call)
        # A backup asks nothing of the memory but a file to be written.
        if call.peer.read_only and isinstance(call.ask, Change | Backup):
            raise Denied(f"This connection may only read, and {call.ask.op} changes.", "connect with the scope `write`")
        return await call_next(call)

    async def limit(call_next: Answer, call: Call) -> Any:
        """What comes too late, or on top of too much, is not begun."""
        if call.deadline is not None and monotonic() > call.deadline:
            raise TimedOut("The deadline had passed when the request was taken up.")
        context.allowance.take(call.peer.uid)
        if call.key is not None and not 0 < len(call.key) <= 200:
            raise Invalid("A key has 1 to 200 characters.")
        if isinstance(call.ask, Change) and context.engine.waiting > MAX_WAITING:
            raise Busy(f"{context.engine.waiting:,} changes wait already.")
        return await call_next(call)

    async def measure(call_next: Answer, call: Call) -> Any:
        """Count the call and time it, whatever comes of it."""
        error = ""
        try:
            return await call_next(call)
        except BaseException as problem:
            error = getattr(problem, "code", "broken")
            raise
        finally:
            seconds = monotonic() - call.began
            context.metrics.note(call.ask.op, seconds, error)
            if log.isEnabledFor(logging.DEBUG):
                # What it took, and never what was said.
                log.debug(
                    "op=%s ms=%.3f error=%s change=%d pid=%d uid=%d channel=%s waiting=%d",
                    call.ask.op, seconds * 1000, error or "-", call.change, call.peer.pid, call.peer.uid,
                    call.peer.channel, context.engine.waiting,
                )  # fmt: skip

    async def log_access(call_next: Answer, call: Call) -> Any:
        """Note who asked for what, never what was said, and what was read. Both are written in batches: a read is not a write."""
        if isinstance(call.ask, Hello | Ping | NoteAccess):
            return await call_next(call)
        error = ""
        try:
            return await call_next(call)
        except BaseException as problem:
            error = getattr(problem, "code", "broken")
            raise
        finally:
            context.uses.update(call.used)
            if context.settings.access_log:
                row = {
                    "at": context.engine.clock(), "op": call.ask.op, "origin": call.origin(), "space": call.peer.space, "pid": call.peer.pid,
                    "us": int((monotonic() - call.began) * 1_000_000), "error": error, "number": call.change,
                }  # fmt: skip
                context.accesses.append(row)
            context.plan()

    return (answer_errors, admit, limit, measure, log_access)


def flush(context: Context) -> None:
    """Hand what was noted to the writer."""
    rows, context.accesses = context.accesses, []
    uses, context.uses = context.uses, Counter()
    if rows:
        context.engine.note("add_access", rows, _with_origin)
    if uses:
        now = context.engine.clock()
        context.engine.note(
            "add_use", [{"entity": entity, "count": count, "last": now} for entity, count in uses.items()]
        )


def _with_origin(tx: Tx, row: dict[str, Any]) -> dict[str, Any]:
    return row | {"origin": tx.origin(row["origin"])}
