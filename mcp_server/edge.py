"""All that touches the inside of FastMCP and of the MCP SDK. Whatever a new release of theirs may break is here.

One FastMCP server serves many connections that it did not open.
"""

import asyncio
import json
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import mcp.types as t
from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.context import set_transport
from fastmcp.server.dependencies import get_context
from fastmcp.tools import Tool as FastMCPTool
from fastmcp.tools import ToolResult
from mcp.server.runner import serve_dual_era_loop
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types.version import LATEST_MODERN_VERSION as MODERN
from pydantic import ValidationError

from enhanced_memory.mcp_server.arrival import Arrivals, launched
from enhanced_memory.mcp_server.channel import Channel
from enhanced_memory.mcp_server.direct import Direct, Plain, answered
from enhanced_memory.mcp_server.hello import SPACE
from enhanced_memory.mcp_server.owed import Owed, id_of
from enhanced_memory.mcp_server.profiles import Profile
from enhanced_memory.mcp_server.session import SESSION, Session, current, request_key
from enhanced_memory.mcp_server.subscriptions import Feeds
from enhanced_memory.mcp_server.tools.declaration import Call

__all__ = ["MODERN", "Exposed", "Outcome", "Served"]


class Exposed(FastMCPTool):
    """A declared tool as FastMCP serves it: it judges no argument and reshapes no answer."""

    # FastMCP's tools are pydantic models; these four are no part of what it shows.
    declared: Any
    memory_of: Any
    sandbox: Any
    exact: bool = False

    def to_mcp_tool(self, **overrides: Any) -> t.Tool:
        """What is listed of it."""
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


class Outcome(Enum):
    """How a connection ended."""

    ANSWERED = "the client has the answer to all that it asked"
    LEFT = "the client goes on elsewhere"
    GONE = "the client is not there any more"


LAST_ANSWERS_S = 30.0
SUBSCRIPTIONS = 256
"""What one session may subscribe to."""

TOO_LONG = (t.INVALID_REQUEST, "The message is longer than 32 MiB.")


class Served:
    """A FastMCP server that is open for any number of connections, in either protocol era."""

    def __init__(
        self, server: FastMCP, feeds: Feeds, plain: Profile | None = None, arrivals: Arrivals | None = None
    ) -> None:
        """`plain` is the profile whose plain calls may go past FastMCP; for none, none do.

        A subscription watches the space that its session works in once it has arrived, as `arrivals` know.
        """
        # The one private name that cannot be avoided: FastMCP has no way to serve a stream that it did not open itself.
        self._low = server._mcp_server  # pyright: ignore[reportPrivateUsage]
        self._feeds = feeds
        self._plain = plain
        self._arrivals = arrivals
        self._state: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._legacy: dict[Session, dict[str, Callable[[], None]]] = {}
        self._resumed: set[Session] = set()
        self._low.add_request_handler("resources/subscribe", t.SubscribeRequestParams, self._subscribe)
        self._low.add_request_handler("resources/unsubscribe", t.UnsubscribeRequestParams, self._unsubscribe)
        self._low.add_request_handler("subscriptions/listen", t.SubscriptionsListenRequestParams, self._listen)
        # Entered once, however many connect, and left by the task that entered it.
        self._life = asyncio.get_running_loop().create_task(self._live())

    async def _live(self) -> None:
        try:
            async with self._low.lifespan(self._low) as state:
                self._state.set_result(state)
                await self._closing.wait()
        except BaseException as problem:
            if not self._state.done():
                self._state.set_exception(problem)
            raise

    async def close(self) -> None:
        """End the server's life, once its connections have ended."""
        self._closing.set()
        await self._life

    async def serve(
        self,
        channel: Channel,
        session: Session,
        *,
        keys: Callable[[int], str] = lambda _: "",
        resumed: bool = False,
        followed: bool = False,
    ) -> Outcome:
        """Answer what comes over `channel` until its client has gone or is to be left.

        `keys` gives for the number of a line, from 0 on, what makes a repeat of it known as one. A session that is
        `resumed` was served by another host before: what it subscribes to may have changed meanwhile. One that is
        `followed` has a relay that is told which space it goes on to.
        """
        SESSION.set(session)
        if resumed:
            self._resumed.add(session)
        set_transport("stdio")
        direct = None if self._plain is None else Direct(self._plain.tools, exact=self._plain.exact)
        stream = _Stream(channel, session, keys, lambda: self._feeds.moved(session), direct)
        stream.followed = followed
        # Any: the SDK's stream types name more than its loop uses.
        reading: Any = stream
        writing: Any = _Out(stream)
        try:
            await serve_dual_era_loop(
                self._low,
                reading,
                writing,
                lifespan_state=await self._state,
                # Without an id of its own a session shares its log level with every other.
                session_id=session.session_id or uuid4().hex,
                init_options=self._low.create_initialization_options(),
            )
        finally:
            await stream.owed.end()
            self._feeds.left(session)
            self._legacy.pop(session, None)
            self._resumed.discard(session)
        return stream.outcome

    # Subscriptions. The older era subscribes and is sent notifications; in the newer one a request's answer is the stream.

    async def _placed(self) -> None:
        launch = launched()
        if self._arrivals is not None and launch is not None:
            await self._arrivals.placed(current().memory, launch)

    async def _subscribe(self, ctx: Any, params: t.SubscribeRequestParams) -> t.EmptyResult:
        session, uri = current(), str(params.uri)
        mine = self._legacy.setdefault(session, {})
        _may(uri, len(mine))

        async def tell() -> None:
            await ctx.session.send_notification(
                t.ResourceUpdatedNotification(params=t.ResourceUpdatedNotificationParams(uri=uri))
            )

        await self._placed()
        if uri not in mine:
            mine[uri] = await self._feeds.watch(session, tell, missed=session in self._resumed)
        return t.EmptyResult()

    async def _unsubscribe(self, _: Any, params: t.UnsubscribeRequestParams) -> t.EmptyResult:
        end = self._legacy.get(current(), {}).pop(str(params.uri), None)
        if end is not None:
            end()
        return t.EmptyResult()

    async def _listen(self, ctx: Any, params: t.SubscriptionsListenRequestParams) -> t.SubscriptionsListenResult:
        session = current()
        uris = [str(uri) for uri in params.notifications.resource_subscriptions or ()]
        bus = InMemorySubscriptionBus()

        async def tell() -> None:
            for uri in uris:
                await bus.publish(ResourceUpdated(uri=uri))

        for uri in uris:
            _may(uri, self._feeds.many(session))
        await self._placed()
        end = await self._feeds.watch(session, tell, missed=session in self._resumed) if uris else None
        try:
            return await ListenHandler(bus)(ctx, params)
        finally:
            if end is not None:
                end()


def _may(uri: str, many: int) -> None:
    if not uri.startswith("memory://"):
        raise MCPError(code=t.INVALID_PARAMS, message=f"There is no resource {uri}.")
    if many >= SUBSCRIPTIONS:
        raise MCPError(code=t.INVALID_PARAMS, message=f"A session may have {SUBSCRIPTIONS} subscriptions.")


class _Stream:
    """The SDK's read stream: messages from a channel, as long as the client takes the answers."""

    def __init__(
        self,
        channel: Channel,
        session: Session,
        keys: Callable[[int], str],
        answered: Callable[[], None],
        direct: Direct | None,
    ) -> None:
        self.channel = channel
        self.direct = direct
        self._session = session
        self._space = session.memory.space
        self.followed = False
        self.outcome = Outcome.GONE
        self.mute = False
        """Set when the SDK winds the connection up: what it then answers to calls that it cancels is not to be heard."""
        self._keys = keys
        self.owed = Owed(answered)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Nothing is read any more, and nothing is told."""
        self.mute = True

    def __aiter__(self) -> Self:
        return self

    async def receive(self) -> SessionMessage:
        """The next message, as the SDK's other way of asking."""
        return await self.__anext__()

    async def __anext__(self) -> SessionMessage:
        while True:
            if not self.owed.room.is_set() and not await self.channel.until(self.owed.room, float("inf")):
                raise self._over(Outcome.GONE)
            number = self.channel.read
            try:
                line = await self.channel.line()
            except EOFError:
                # The dispatcher cancels what is in flight when its input ends; the client may still wait for it.
                answered = await self.channel.until(self.owed.nothing, LAST_ANSWERS_S)
                left = Outcome.LEFT if self.channel.leaving else Outcome.ANSWERED
                raise self._over(Outcome.GONE if not answered and self.channel.gone else left) from None
            # Whoever answers runs in a copy of the context as it is now.
            request_key.set(self._keys(number))
            plain = self.direct.plain(line) if self.direct is not None and line else None
            if plain is not None and self._may_answer(plain):
                self.owed.begin(plain.id, self._answer(plain))
                continue
            message = await self._message(line)
            if message is not None:
                if plain is not None and self.direct is not None:
                    self.direct.asked(plain)
                return SessionMessage(message)

    def _may_answer(self, call: Plain) -> bool:
        """Whether the SDK need not see `call`, nor would have another one to answer before."""
        return (
            self._session.arrived
            and self.owed.ours
            and call.id not in self.owed
            and self.direct is not None
            and self.direct.may_answer(call)
        )

    async def _answer(self, call: Plain) -> None:
        assert self.direct is not None
        line = await self.direct.answer(call, lambda: self._session.memory, request_key.get())
        if not self.mute:
            await self.write(line)
            self.owed.settle(call.id)

    async def write(self, line: bytes) -> None:
        """Write to the client; over when it has taken it. The relay is told of another space before the client is."""
        space = self._session.memory.space
        if self.followed and space != self._space:
            self._space = space
            line = SPACE + space.encode().hex().encode() + b"\n" + line
        await self.channel.write(line)

    def _over(self, outcome: Outcome) -> StopAsyncIteration:
        self.outcome = outcome
        self.mute = True
        return StopAsyncIteration()

    async def _message(self, line: bytes | None) -> t.JSONRPCMessage | None:
        """What the line says. None for what is answered here: the dispatcher would pass over it without a word."""
        if line is None:
            await self._refuse(*TOO_LONG)
            return None
        if not line.strip():
            return None
        try:
            message = t.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValidationError as problem:
            if problem.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
                await self._refuse(t.PARSE_ERROR, "The message is not JSON.")
            else:
                await self._refuse(t.INVALID_REQUEST, "The message is not a JSON-RPC request.", id_of(line))
            return None
        if isinstance(message, t.JSONRPCRequest):
            if message.method != "subscriptions/listen":
                self.owed.take(message.id)
            if message.method == "initialize" and self.direct is not None:
                self.direct.forget()
        elif isinstance(message, t.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._cancelled((message.params or {}).get("requestId"))
        return message

    def _cancelled(self, number: Any) -> None:
        """The SDK never answers what its client has cancelled, and neither do we."""
        if isinstance(number, str | int):
            if self.direct is not None:
                self.direct.heard(number, None)
            self.owed.cancel(number)

    async def _refuse(self, code: int, text: str, about: t.RequestId | None = None) -> None:
        error = {"jsonrpc": "2.0", "id": about, "error": {"code": code, "message": text}}
        await self.channel.write(json.dumps(error, separators=(",", ":")).encode() + b"\n")


class _Out:
    """The SDK's write stream."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """The channel is the host's to close."""

    async def send(self, item: SessionMessage) -> None:
        """Write a message; over when the client has taken it."""
        message = item.message
        if self._stream.mute:
            return
        await self._stream.write(message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
        if isinstance(message, t.JSONRPCResponse | t.JSONRPCError):
            if self._stream.direct is not None:
                self._stream.direct.heard(message.id, getattr(message, "result", None))
            # Only now: a client that does not read is not read from.
            if message.id is not None:
                self._stream.owed.settle(message.id)
