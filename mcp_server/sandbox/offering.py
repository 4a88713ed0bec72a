"""Whether running code is offered at all, and how what holds it is told."""

from typing import Any

import msgspec

from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import Settings
from enhanced_memory.mcp_server.sandbox.broker import Sandbox
from enhanced_memory.mcp_server.sandbox.kernel import seccomp_supported

__all__ = ["runs_code", "told_isolation"]


def runs_code(settings: Settings | None = None) -> bool:
    """Whether a tool that runs code is shown: a look at the kernel, no process. The sandbox itself then tries for real."""
    try:
        chosen = (settings or Settings.load()).sandbox
    except Error:
        return False  # whoever needs the settings says what is wrong with them
    return chosen == "insecure" or (chosen != "off" and seccomp_supported())


async def told_isolation(sandbox: Sandbox, settings: Settings) -> dict[str, Any]:
    """The level and the layers, or why no code is run."""
    if settings.sandbox == "off":
        return {"off": "the setting sandbox"}
    try:
        isolation = await sandbox.isolation()
    except Error as problem:
        return {"off": str(problem)}
    told: dict[str, Any] = msgspec.to_builtins(isolation)
    if isolation.level == "C" and settings.sandbox != "insecure":
        told["off"] = "nothing would hold the code here; the setting sandbox=insecure runs it all the same"
    return told
