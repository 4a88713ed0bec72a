"""Declared tools as FastMCP serves them: it judges no argument and reshapes no answer."""

from collections.abc import Callable
from typing import Any

import mcp.types as t
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_context
from fastmcp.tools import Tool as FastMCPTool
from fastmcp.tools import ToolResult

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.mcp_server.direct import answered
from enhanced_memory.mcp_server.sandbox.broker import Sandbox
from enhanced_memory.mcp_server.session import request_key
from enhanced_memory.mcp_server.tools.declaration import Call, Tool

__all__ = ["MemoryOf", "exposed"]

MemoryOf = Callable[[], AsyncMemory]
"""Whose memory a call is for: asked at each call, so that a host may answer by connection."""


def exposed(tool: Tool, memory_of: MemoryOf, *, exact: bool = False, sandbox: Sandbox | None = None) -> FastMCPTool:
    """`tool` as FastMCP serves it."""
    return _Exposed(
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


class _Exposed(FastMCPTool):
    # FastMCP's tools are pydantic models; these four are no part of what it shows.
    declared: Any
    memory_of: Any
    sandbox: Any
    exact: bool = False

    def to_mcp_tool(self, **overrides: Any) -> t.Tool:
        shown = super().to_mcp_tool(**overrides)
        shown.meta = None  # else each tool carries FastMCP's own tags
        return shown

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """The declared tool's answer; every error is a result that says what to do, none reaches the protocol."""
        text, structured = await answered(
            self.declared,
            lambda: Call(
                self.memory_of(), self.declared.name, key=request_key.get(), progress=_progress, sandbox=self.sandbox
            ),
            arguments,
            exact=self.exact,
        )
        if structured is None:
            raise ToolError(text)
        return ToolResult(content=[t.TextContent(type="text", text=text)], structured_content=structured)


async def _progress(done: int, total: int, says: str) -> None:
    """Tell whoever asked how far the call is, if they want to know."""
    await get_context().report_progress(done, total, says)
