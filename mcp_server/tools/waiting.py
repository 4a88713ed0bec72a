"""Requests as tools put them without a form of their own: answered as they are, or waited for while the daemon works at them."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from enhanced_memory.mcp_server.fencing import flagged
from enhanced_memory.mcp_server.tools.declaration import Call, Structured

__all__ = ["STEP_S", "answered", "awaited"]

STEP_S = 1.0
"""How long one request waits, so that a client that gives up does not hold the daemon's answer."""


async def answered(call: Call, request: Any) -> Structured:
    """The daemon's answer as plain data."""
    return flagged(msgspec.to_builtins(await call.ask(request)))


async def awaited(call: Call, request: Any, look: Any, far: Callable[[Any], tuple[int, int]], doing: str) -> Any:
    """The answer to a request that begins work, once that is over or `request.wait_s` have passed; `look` asks how far (`far`) it is."""
    loop = asyncio.get_running_loop()
    until = loop.time() + request.wait_s
    answer = await call.ask(msgspec.structs.replace(request, wait_s=min(request.wait_s, STEP_S)))
    while answer.state == "running" and loop.time() < until:
        answer = await call.ask(look)
        done, total = far(answer)
        await call.progress(done, total, doing)
    return answer
