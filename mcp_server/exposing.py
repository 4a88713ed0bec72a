"""How a declared tool is offered: its words, its schema, what is said of it, and whose memory it is for."""

from collections.abc import Callable

import mcp.types as t
from fastmcp.tools import Tool as FastMCPTool

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.mcp_server.edge import Exposed
from enhanced_memory.mcp_server.sandbox.broker import Sandbox
from enhanced_memory.mcp_server.tools.declaration import Tool

__all__ = ["MemoryOf", "exposed"]

MemoryOf = Callable[[], AsyncMemory]
"""Whose memory a call is for: asked at each call, so that a host may answer by connection."""


def exposed(tool: Tool, memory_of: MemoryOf, *, exact: bool = False, sandbox: Sandbox | None = None) -> FastMCPTool:
    """`tool` as FastMCP serves it."""
    return Exposed(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        parameters=tool.parameters(exact=exact),
        output_schema=tool.output() if exact else None,
        annotations=t.ToolAnnotations(
            read_only_hint=tool.reads,
            destructive_hint=tool.destroys,
            idempotent_hint=tool.repeatable,
            open_world_hint=False,
        ),
        declared=tool,
        memory_of=memory_of,
        sandbox=sandbox,
        exact=exact,
    )
