"""Plain tool calls, answered past the SDK and FastMCP, which cost several times what the call itself does.

A connection's first call goes the whole way. What the client says beside it (its `_meta`) and what the SDK says around
the answer hold for the connection, so a later call that says the same beside it is answered here, with the same around
it. Whatever is not such a call – one that wants progress, that a person may have to be asked about, that is not quite
as it should be, or that would overtake one on the whole way – goes the whole way.
"""

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Error
from enhanced_memory.mcp_server.tools.declaration import Call, Structured, Tool

__all__ = ["Direct", "Plain", "answered"]

log = logging.getLogger(__name__)

LONGEST = 1024 * 1024
"""Bytes of a call that is looked at here: what is larger does not cost what it costs because of the way it goes."""


async def answered(
    tool: Tool, call: Callable[[], Call], arguments: dict[str, Any], *, exact: bool
) -> tuple[str, Structured | None]:
    """A tool's answer as text and data; an error is its text, without data: it says what to do, and none goes further."""
    try:
        return await tool.answer(call(), arguments, exact=exact)
    except Error as problem:
        return str(problem), None
    except Exception as problem:
        # The outermost edge: a fault of ours. Its message may quote memories, so only kind and place are logged.
        kind, place = type(problem).__name__, "".join(traceback.format_tb(problem.__traceback__))
        log.error("%s failed with %s\n%s", tool.name, kind, place)
        return f"{tool.name} failed inside the MCP server ({kind}). (its stderr says where)", None


class _Params(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any]
    meta: dict[str, Any] | msgspec.UnsetType = msgspec.field(name="_meta", default=msgspec.UNSET)


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    jsonrpc: Literal["2.0"]
    id: int | str
    method: Literal["tools/call"]
    params: _Params


_decoder = msgspec.json.Decoder(_Request)


_TOLD = ("content", "structuredContent", "isError")
"""What of an answer is the call's own."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A call that could be answered here."""

    id: int | str
    tool: Tool
    arguments: dict[str, Any]
    beside: dict[str, Any] | None
    """What the client says beside it."""


def _plain(tool: Tool) -> bool:
    """Whether nobody may have to be asked, and nothing beside the daemon is needed to answer it."""
    return tool.question is None and tool.chooses is None and not (tool.needs_sandbox or tool.whole)


class Direct:
    """What is known of one connection's plain calls."""

    def __init__(self, tools: Sequence[Tool], *, exact: bool) -> None:
        self._tools = {tool.name: tool for tool in tools if _plain(tool)}
        self._exact = exact
        self._asked: dict[int | str, dict[str, Any] | None] = {}
        """Calls on the whole way from which the connection may be learnt, and what was said beside them."""
        self._known: tuple[dict[str, Any] | None, dict[str, Any]] | None = None
        """What the client says beside a call, and what the SDK says around an answer."""

    def plain(self, line: bytes) -> Plain | None:
        """The plain call that `line` says, if it says one."""
        if len(line) > LONGEST:
            return None
        try:
            said = _decoder.decode(line)
        except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
            return None
        tool = self._tools.get(said.params.name)
        beside = None if said.params.meta is msgspec.UNSET else said.params.meta
        if tool is None or (beside is not None and "progressToken" in beside):
            return None
        if isinstance(said.id, int) and not -(2**53) < said.id < 2**53:
            return None
        return Plain(said.id, tool, said.params.arguments, beside)

    def may_answer(self, call: Plain) -> bool:
        """Whether the connection is known, and `call` is like those it is known by."""
        return self._known is not None and self._known[0] == call.beside

    # Learning

    def asked(self, call: Plain) -> None:
        """A plain call goes the whole way."""
        self._asked[call.id] = call.beside

    def heard(self, number: int | str | None, result: dict[str, Any] | None) -> None:
        """What came of a request on the whole way: an answer, or (None) something else."""
        if number not in self._asked:
            return
        beside = self._asked.pop(number)
        # An error says less about what stands around an answer; an interim result (a question) has another form.
        if result is not None and "structuredContent" in result and result.get("isError") is not True:
            self._known = beside, {name: None if name in _TOLD else value for name, value in result.items()}

    def forget(self) -> None:
        """The connection has been opened anew: learn it again."""
        self._known = None
        self._asked.clear()

    # Answering

    async def answer(self, call: Plain, memory_of: Callable[[], AsyncMemory], key: str) -> bytes:
        """The line that answers `call`."""
        assert self._known is not None
        around = self._known[1]
        text, structured = await answered(
            call.tool, lambda: Call(memory_of(), call.tool.name, key=key), call.arguments, exact=self._exact
        )
        told = {"content": [{"type": "text", "text": text}], "structuredContent": structured, "isError": False}
        result = {name: told.get(name, value) for name, value in around.items()}
        if structured is None:
            del result["structuredContent"]
            result["isError"] = True
        return msgspec.json.encode({"jsonrpc": "2.0", "id": call.id, "result": result}) + b"\n"
