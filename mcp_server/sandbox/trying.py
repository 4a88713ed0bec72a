"""Which layers hold on this machine: each is put up alone around a throw-away worker that tries to get out.

A layer that is there in name only – a filter that a container manager has hollowed out, a namespace that shows the
machine – is found here and not by somebody's code.
"""

import asyncio
import sys
from collections.abc import Collection

from enhanced_memory.client.errors import Error
from enhanced_memory.mcp_server.sandbox.crew import Crew, Gone, Lost, Worker
from enhanced_memory.mcp_server.sandbox.probes import HELD
from enhanced_memory.mcp_server.sandbox.values import Isolation
from enhanced_memory.mcp_server.sandbox.walls import LAYERS

__all__ = ["tried"]

ATTEMPTS = {
    "rlimits": ("take_memory", "fork"),
    "namespaces": ("be_alone",),
    "landlock": ("open_files",),
    "seccomp": ("open_files", "make_socket", "fork", "execute_memory"),
}
"""What each layer must hold by itself."""
EVERYTHING = ("open_files", "make_socket", "fork", "execute_memory")
"""What must hold where seccomp is among the layers, all of them put up."""

MEMORY_BYTES = 64 * 1024 * 1024
CPU_S = 5
ATTEMPT_S = 5.0
REASON_CHARS = 200


async def tried(crew: Crew, without: Collection[str] = ()) -> Isolation:
    """The layers that hold, and why others do not. `Lost` where not even one worker can be made."""
    await crew.start()
    alone = {name: ATTEMPTS[name] for name in LAYERS if name not in without}
    found = await asyncio.gather(
        *(_all_held(crew, [name], attempts) for name, attempts in alone.items()), return_exceptions=False
    )
    missing = dict.fromkeys(without, "left out") | {
        name: why for name, why in zip(alone, found, strict=True) if why is not None
    }
    layers = [name for name in LAYERS if name not in missing]
    if "seccomp" in layers and (why := await _all_held(crew, layers, EVERYTHING)) is not None:
        raise Lost(f"The sandbox's layers do not hold together: {why}.")
    if "seccomp" not in layers:
        level = "C"
    elif "rlimits" not in layers:
        raise Lost(f"The sandbox cannot limit a process: {missing['rlimits']}.")
    else:
        level = "B" if missing else "A"
    return Isolation(level, layers, missing)


async def _all_held(crew: Crew, layers: list[str], attempts: tuple[str, ...]) -> str | None:
    """None if no attempt got out from behind `layers`; else what the first one could do."""
    for attempt in attempts:
        why = await _held(crew, layers, attempt)
        if why is not None:
            return why
    return None


async def _held(crew: Crew, layers: list[str], attempt: str) -> str | None:
    worker = await crew.make(layers, MEMORY_BYTES, CPU_S)
    try:
        async with asyncio.timeout(ATTEMPT_S):
            return await _said(worker, attempt)
    except TimeoutError:
        return "the attempt did not end"
    finally:
        worker.close()


async def _said(worker: Worker, attempt: str) -> str | None:
    worker.limit(4096)
    try:
        standing = await worker.receive()
        if "standing" not in standing:
            return str(standing.get("failed", "it did not stand"))[:REASON_CHARS]
        paths = ["/etc/passwd", "/proc/self/status", "/", sys.executable]
        await worker.send({"probe": attempt, "paths": paths, "bytes": 4 * MEMORY_BYTES})
        told = (await worker.receive()).get("probed")
    except Gone:
        # A worker that was killed for trying did not get out. One that never stood has proved nothing.
        code = await worker.ended
        return None if code == -31 else f"the worker ended with {code}"
    except Error as problem:
        return problem.message[:REASON_CHARS]
    return None if told == HELD else str(told)[:REASON_CHARS]
