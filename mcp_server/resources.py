"""Resources: what is remembered, for clients that read by address; and completion of the names in those addresses."""

from collections.abc import Awaitable, Callable
from typing import Any

import mcp.types as t
import msgspec
from fastmcp import FastMCP
from fastmcp.exceptions import McpError
from fastmcp.resources import ResourceSecurity

from enhanced_memory.client.errors import Error, NotFound, Refused
from enhanced_memory.client.operations.entities import ListEntities
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.operations.service import GetMemoryStatus
from enhanced_memory.client.operations.sessions import ListSessions
from enhanced_memory.client.operations.streams import GetWindow, RecentMessages
from enhanced_memory.mcp_server.exposing import MemoryOf
from enhanced_memory.mcp_server.fencing import flagged, json_text
from enhanced_memory.mcp_server.sandbox.broker import Sandbox
from enhanced_memory.mcp_server.tools import contract, exact, reading, shapes
from enhanced_memory.mcp_server.tools.declaration import Call, Structured, as_json
from enhanced_memory.mcp_server.tools.requests import STATUS, within
from enhanced_memory.mcp_server.tools.schema import pruned, schema_of

__all__ = ["ENTITY", "GRAPH", "SESSION", "add_graph", "add_resources"]

GRAPH = "memory://knowledge-graph"
ENTITY = "memory://entity/{name}"
SESSION = "memory://session/{id}"
SESSIONS = "memory://sessions"
RECENT = "memory://recent"
STATUS_URI = "memory://status"

JSON = "application/json"

NEWEST = 20
LINES = 50
COMPLETIONS = 50

_NAMES_MAY_BE_PATHS = ResourceSecurity(exempt_params={"name", "id"})
"""Names lead to no file: `../x` is one like any other."""

INVALID_PARAMS = -32602
INTERNAL = -32603


def add_graph(server: FastMCP, memory_of: MemoryOf) -> None:
    """Offer the graph exactly as the official server does."""

    @server.resource(
        GRAPH,
        name="knowledge-graph",
        title="Knowledge Graph",
        description="The full knowledge graph with all entities and relations",
        mime_type=JSON,
    )
    async def graph() -> str:
        call = Call(memory_of(), "memory://knowledge-graph", exact=True)
        return as_json(pruned(await _told(exact.whole(call)), schema_of(contract.Shown)))


def add_resources(server: FastMCP, memory_of: MemoryOf, sandbox: Sandbox) -> None:
    """Offer single entities and sessions, what changed last, the status, and completion."""

    def calling(uri: str) -> Call:
        return Call(memory_of(), uri, sandbox=sandbox)

    @server.resource(
        ENTITY, name="entity", title="Entity", description="One entity by its name, with its relations",
        mime_type=JSON, security=_NAMES_MAY_BE_PATHS,
    )  # fmt: skip
    async def entity(name: str) -> str:
        found = await _told(reading.open_nodes(calling(ENTITY), contract.Names([name], detail="provenance")))
        if not found["entities"]:
            raise McpError(code=INVALID_PARAMS, message=f"Nothing is remembered under the name {name[:200]!r}.")
        return json_text(found)

    @server.resource(
        SESSION, name="session", title="Session", description="A session or other stream: what it is about, its last messages",
        mime_type=JSON, security=_NAMES_MAY_BE_PATHS,
    )  # fmt: skip
    async def session(id: str) -> str:
        return json_text(await _told(_messages(calling(SESSION), id)))

    @server.resource(
        SESSIONS, name="sessions", title="Sessions", description="The sessions, the last active first", mime_type=JSON
    )
    async def sessions() -> str:
        call = calling(SESSIONS)
        listed = await _told(call.ask(ListSessions(status="current")))
        return json_text(within(msgspec.to_builtins(listed), call.budget))

    @server.resource(
        RECENT, name="recent", title="Recent", description="What changed last, newest first", mime_type=JSON
    )
    async def recent() -> str:
        return json_text(await _told(_recent(calling(RECENT))))

    @server.resource(STATUS_URI, name="status", title="Status", description="How the memory fares", mime_type=JSON)
    async def status() -> str:
        return json_text(await _told(STATUS.ask(calling(STATUS_URI), GetMemoryStatus())))

    completing: dict[str, Callable[[Call, str], Awaitable[list[str]]]] = {ENTITY: _names, SESSION: _streams}

    @server.completion
    async def complete(ref: Any, argument: t.CompletionArgument, context: Any) -> list[str]:
        """Names that begin as what was typed, then others that hold it."""
        uri = ref.uri if isinstance(ref, t.ResourceTemplateReference) else ""
        if uri not in completing:
            return []
        return await _told(completing[uri](calling(uri), argument.value))


async def _told(work: Awaitable[Any]) -> Any:
    """What `work` gives; an error of the daemon's becomes one of the protocol's, with its words."""
    try:
        return await work
    except Error as problem:
        code = INVALID_PARAMS if isinstance(problem, Refused | NotFound) else INTERNAL
        raise McpError(code=code, message=str(problem)) from None


async def _messages(call: Call, stream: str) -> Structured:
    ref: int | str = stream
    try:
        answer = await call.ask(RecentMessages(ref, limit=LINES))
    except NotFound:
        if not (stream.isascii() and stream.isdigit()):
            raise
        ref = int(stream)
        answer = await call.ask(RecentMessages(ref, limit=LINES))
    told: Structured = msgspec.to_builtins(answer)
    try:
        told["session"] = msgspec.to_builtins((await call.ask(ListSessions([ref]))).sessions[0])
    except Refused:  # another kind of stream: a character, a skill's runs
        summary = (await call.ask(GetWindow(ref, messages=1))).summary
        told |= {"summary": summary} if summary else {}
    return within(flagged(told), call.budget)


async def _recent(call: Call) -> Structured:
    page = await call.ask(ListEntities(order_by="updated", descending=True, limit=NEWEST, details=True))
    told = {"entities": [shapes.entity(one, page.space) for one in page.entities], "space": page.space}
    return within(told, call.budget)


async def _names(call: Call, typed: str) -> list[str]:
    found = await call.ask(SearchNodes(typed, limit=COMPLETIONS * 2, substring=bool(typed.strip())))
    return _fitting([hit.entity.name for hit in found.hits], typed)


async def _streams(call: Call, typed: str) -> list[str]:
    page = await call.ask(ListEntities(types=["session"], order_by="updated", descending=True, limit=1000))
    return _fitting([one.name for one in page.entities], typed)


def _fitting(names: list[str], typed: str) -> list[str]:
    sought = typed.strip().casefold()
    holding = [name for name in dict.fromkeys(names) if sought in name.casefold()]
    return sorted(holding, key=lambda name: not name.casefold().startswith(sought))[:COMPLETIONS]
