"""Asking a person through the client, in both protocol eras behind one function.

Up to 2025-11-25 the server sends a question and waits; from 2026-07-28 on it answers with the question and the client
calls
again with what the person said. Whoever asks does nothing before the answer is there.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import mcp.types as t
import msgspec
from fastmcp import Context
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import InputRequiredToolResult, ToolResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Error
from enhanced_memory.mcp_server.exposing import MemoryOf
from enhanced_memory.mcp_server.tools.declaration import Choice, Tool

__all__ = ["Asking", "can_ask", "chosen", "decision"]

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


async def chosen(context: Context, choice: Choice, about: str) -> str | InputRequiredToolResult:
    """Which option of `choice` a person takes, or `no` and `later` as in `decision`; or the newer era's first round."""
    options = list(choice.options)
    request = context.request_context
    if request is None or request.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        said = await context.elicit(choice.question, response_type=options, response_title="Keep")
        if said.action == "accept":
            return str(said.data) if said.data in options else "later"
        return "no" if said.action == "decline" else "later"
    mark = hashlib.sha256(f"{choice.question}\0{about}".encode("utf-8", "surrogatepass")).hexdigest()
    answers = context.input_responses
    if answers is None or context.request_state != mark:
        schema = {
            "type": "object",
            "properties": {"value": {"type": "string", "title": "Keep", "enum": options}},
            "required": ["value"],
        }
        asked = t.ElicitRequest(params=t.ElicitRequestFormParams(message=choice.question, requested_schema=schema))
        return InputRequiredToolResult(t.InputRequiredResult(input_requests={_ANSWER: asked}, request_state=mark))
    answer = answers.get(_ANSWER)
    if not isinstance(answer, t.ElicitResult) or answer.action == "cancel":
        return "later"
    value = (answer.content or {}).get("value")
    return str(value) if answer.action == "accept" and value in options else "no"


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
        self._asking = {tool.name: tool for tool in tools if tool.question is not None or tool.chooses is not None}
        self._memory_of = memory_of

    async def on_call_tool(
        self,
        context: MiddlewareContext[t.CallToolRequestParams],
        call_next: CallNext[t.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Go on where nothing is to be asked, where nobody can be, or where the person agrees."""
        tool = self._asking.get(context.message.name)
        inside = context.fastmcp_context
        if tool is None or inside is None or not can_ask(inside):
            return await call_next(context)
        arguments: dict[str, Any] = context.message.arguments or {}
        try:
            given = tool.given(arguments)
        except Error as problem:
            raise ToolError(str(problem)) from None
        if tool.chooses is not None:
            return await self._choose(tool, tool.chooses, inside, given, context, call_next)
        question = tool.question(given, self._memory_of().settings) if tool.question is not None else ""
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

    async def _choose(
        self,
        tool: Tool,
        chooses: Callable[[AsyncMemory, Any], Awaitable[Choice | None]],
        inside: Context,
        given: Any,
        context: MiddlewareContext[t.CallToolRequestParams],
        call_next: CallNext[t.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Put a choice to a person; what they take becomes an argument."""
        try:
            choice = await chooses(self._memory_of(), given)
        except Error as problem:
            raise ToolError(str(problem)) from None
        if choice is None:
            return await call_next(context)
        arguments: dict[str, Any] = context.message.arguments or {}
        said = await chosen(inside, choice, tool.name + msgspec.json.encode(arguments).decode())
        if isinstance(said, InputRequiredToolResult):
            return said
        if said not in choice.options:
            raise ToolError(
                f"{tool.name} was not carried out: "
                f"the user was asked and {'said no' if said == 'no' else 'did not decide'}."
            )
        taken = context.message.model_copy(update={"arguments": arguments | {choice.argument: choice.options[said]}})
        return await call_next(context.copy(message=taken))
