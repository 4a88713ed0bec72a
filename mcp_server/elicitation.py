"""Asking a person through the client, in both protocol eras behind one function.

Up to 2025-11-25 the server sends a question and waits; from 2026-07-28 on it answers with the question and the client
calls
again with what the person said. Whoever asks does nothing before the answer is there.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import mcp.types as t
import msgspec
from fastmcp import Context
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import InputRequiredToolResult, ToolResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from enhanced_memory.client.errors import Error
from enhanced_memory.mcp_server.edge import MemoryOf
from enhanced_memory.mcp_server.tools.declaration import Tool

__all__ = ["Asking", "can_ask", "decision"]

Decision = Literal["yes", "no", "later"]

_ANSWER = "decision"


def can_ask(context: Context) -> bool:
    """Whether the client says that it can put a question to a person."""
    capabilities = context.session.client_capabilities
    return capabilities is not None and capabilities.elicitation is not None


async def decision(context: Context, message: str, about: str) -> Decision | InputRequiredToolResult:
    """What a person says to a yes-or-no question about `about`; or, in the newer era's first round, the answer to
    give the client.

    An answer holds for the very thing that was asked about: for another it is asked anew. `later` is a person who
    decides nothing.
    """
    request = context.request_context
    if request is None or request.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        said = await context.elicit(message, response_type=bool, response_title="Go ahead?")
        if said.action == "accept":
            return "yes" if said.data is True else "no"
        return "no" if said.action == "decline" else "later"
    mark = hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()
    answers = context.input_responses
    if answers is None or context.request_state != mark:
        return InputRequiredToolResult(
            t.InputRequiredResult(input_requests={_ANSWER: _question(message)}, request_state=mark)
        )
    answer = answers.get(_ANSWER)
    if not isinstance(answer, t.ElicitResult) or answer.action == "cancel":
        return "later"
    content = answer.content or {}
    return "yes" if answer.action == "accept" and content.get("value") is True else "no"


def _question(message: str) -> t.ElicitRequest:
    schema = {
        "type": "object",
        "properties": {"value": {"type": "boolean", "title": "Go ahead?"}},
        "required": ["value"],
    }
    return t.ElicitRequest(params=t.ElicitRequestFormParams(message=message, requested_schema=schema))


class Asking(Middleware):
    """Puts a tool's question to a person before the tool is carried out, where the client can."""

    def __init__(self, tools: Sequence[Tool], memory_of: MemoryOf) -> None:
        self._asking = {tool.name: tool for tool in tools if tool.question is not None}
        self._memory_of = memory_of

    async def on_call_tool(
        self,
        context: MiddlewareContext[t.CallToolRequestParams],
        call_next: CallNext[t.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Go on where nothing is to be asked, where nobody can be, or where the person agrees."""
        tool = self._asking.get(context.message.name)
        inside = context.fastmcp_context
        if tool is None or tool.question is None or inside is None or not can_ask(inside):
            return await call_next(context)
        arguments: dict[str, Any] = context.message.arguments or {}
        try:
            given = tool.given(arguments)
        except Error as problem:
            raise ToolError(str(problem)) from None
        question = tool.question(given, self._memory_of().settings)
        if not question:
            return await call_next(context)
        said = await decision(inside, question, tool.name + msgspec.json.encode(arguments).decode())
        if isinstance(said, InputRequiredToolResult):
            return said
        if said != "yes":
            raise ToolError(
                f"{tool.name} was not carried out: "
                f"the user was asked and {'said no' if said == 'no' else 'did not decide'}."
            )
        agreed = context.message.model_copy(update={"arguments": arguments | {"confirm": True}})
        return await call_next(context.copy(message=agreed))
