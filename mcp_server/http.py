"""MCP over streamable HTTP: on a loopback address or a Unix socket, and for whoever brings a token.

A token is one user with one space (`accounts`); the daemon enforces its rights. The Host and Origin of every request
are checked, so that no web page reaches it through a browser.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mcp.types as t
import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth import AccessToken, TokenVerifier
from fastmcp.server.dependencies import get_access_token
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.middleware import Middleware as Around
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Busy, Error, Invalid
from enhanced_memory.client.operations import branches
from enhanced_memory.client.settings import Settings
from enhanced_memory.mcp_server.accounts import IDLE_S, REQUESTS, SESSIONS, Account, Accounts, Visit
from enhanced_memory.mcp_server.edge import Served
from enhanced_memory.mcp_server.listening import at_address, at_path, place
from enhanced_memory.mcp_server.profiles import Profile, profile
from enhanced_memory.mcp_server.server import build
from enhanced_memory.mcp_server.session import SESSION, Session, memory
from enhanced_memory.mcp_server.subscriptions import Feeds
from enhanced_memory.mcp_server.tokens import METRICS, READ, WRITE, Tokens
from enhanced_memory.mcp_server.tools.requests import TOOLSETS

__all__ = ["PATH", "PORT", "Streams", "command", "serve", "shown"]

log = logging.getLogger(__name__)

PORT = 8370
PATH = "/mcp"
CONNECTIONS = 1024
GRACE_S = 2
"""How long requests under way may still take when the server is told to leave. An open stream would never end by itself."""
BEYOND = ("spaces", "admin")
"""Toolsets that reach beyond the one space that a token opens."""

VERSION_HEADER = b"mcp-protocol-version"
SESSION_HEADER = b"mcp-session-id"


async def serve(server: FastMCP, accounts: Accounts, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT. `server` answers whose session `session.current()` says; `ready` is called once it does."""
    streams = Streams(server, Feeds())
    server.auth = _Verifier(accounts)
    server.add_middleware(_Showing())

    @server.custom_route("/health", methods=["GET"])
    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "alive", "version": version("enhanced-memory")})

    figures = AsyncMemory(accounts.settings, client="monitor", channel="http")

    @server.custom_route("/metrics", methods=["GET"])
    async def metrics(request: Request) -> Response:
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        token = accounts.tokens.find(secret.strip()) if kind.lower() == "bearer" else None
        if token is None or METRICS not in token.scopes:
            return Response("a token with the scope metrics is needed\n", 401, {"WWW-Authenticate": "Bearer"})
        try:
            told = await figures.metrics()
        except Error as problem:
            return Response(f"{problem.code}\n", 503)
        return Response(told.text, media_type="text/plain; version=0.0.4")

    app = server.http_app(
        path=PATH,
        middleware=[Around(_Attending, accounts, streams)],
        host_origin_protection=True,
        stateless_http=False,
        session_idle_timeout=IDLE_S,
    )
    running = _Uvicorn(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            ws="none",
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=GRACE_S * 2,
        ),
        ready,
        accounts.end,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.leave)
    sweeping = loop.create_task(accounts.sweeping(streams.left))
    try:
        await running.serve(sockets=[listener])
    finally:
        sweeping.cancel()
        await streams.end()
        await accounts.close()
        await figures.close()


def shown(name: str) -> Profile:
    """The profile of a name, without the tools that reach beyond one space. `Invalid` where those were named."""
    asked = {part.strip() for part in name.split(",")}
    beyond = sorted(asked.intersection(BEYOND))
    if beyond:
        raise Invalid(
            f"The toolset {beyond[0]!r} is not served over HTTP: a token opens one space.",
            "use it on stdio, or `memoryctl`",
        )
    chosen = profile(name)
    hidden = {tool.name for toolset in BEYOND for tool in TOOLSETS.get(toolset, ())}
    hidden |= {tool.name for tool in chosen.tools if tool.takes.__module__ == branches.__name__}
    return replace(chosen, tools=tuple(tool for tool in chosen.tools if tool.name not in hidden))


# Around each request


class Streams(Served):
    """The subscriptions of sessions whose requests come one by one."""

    def __init__(self, server: FastMCP, feeds: Feeds) -> None:
        super().__init__(server, feeds)
        self._heard = feeds

    def left(self, session: Session) -> None:
        """The session has ended."""
        self._heard.left(session)
        self._legacy.pop(session, None)

    async def end(self) -> None:
        """End every subscription."""
        await self._heard.close()
        await self.close()


class _Verifier(TokenVerifier):
    """Lets in whoever has a token of ours."""

    def __init__(self, accounts: Accounts) -> None:
        super().__init__(required_scopes=[READ])
        self._accounts = accounts

    async def verify_token(self, token: str) -> AccessToken | None:
        account = self._accounts.enter(token)
        if account is None:
            return None
        known = account.token
        # The digest in place of the secret: what is passed around may be logged by somebody. It also tells a token from
        # a later one of the same name, which is not to find the sessions of the first.
        return AccessToken(token=known.digest, client_id=known.digest, scopes=list(known.scopes), subject=known.name)


class _Attending:
    """Says whose session a request belongs to, and holds each token to its bounds."""

    def __init__(self, app: ASGIApp, accounts: Accounts, streams: Streams) -> None:
        self._app = app
        self._accounts = accounts
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user = scope.get("user")
        account = self._accounts.of(user.access_token.client_id) if isinstance(user, AuthenticatedUser) else None
        if scope["type"] != "http" or account is None:
            await self._app(scope, receive, send)  # which refuses it, unless it asks whether we are alive
            return
        headers = {name: value for name, value in scope["headers"] if name in (VERSION_HEADER, SESSION_HEADER)}
        name = headers.get(SESSION_HEADER, b"").decode("latin-1")
        spoken = headers.get(VERSION_HEADER)
        opening = not name and (spoken is None or spoken.decode("latin-1") in HANDSHAKE_PROTOCOL_VERSIONS)
        if len(account.requests) >= REQUESTS or (opening and len(account.visits) >= SESSIONS):
            await _too_many(scope, receive, send)
            return
        await self._attend(account, name, opening, scope, receive, send)

    async def _attend(
        self, account: Account, name: str, opening: bool, scope: Scope, receive: Receive, send: Send
    ) -> None:
        visit = account.visits.get(name) or Visit(account.session())
        task, started, ended = asyncio.current_task(), False, False
        assert task is not None

        async def heard(message: Message) -> None:
            nonlocal started, ended
            if message["type"] == "http.response.start":
                started = True
                if opening and message["status"] < 400:
                    given = dict(message["headers"]).get(SESSION_HEADER)
                    if given:
                        account.visits[given.decode("latin-1")] = visit
                elif name and (message["status"] == 404 or (scope["method"] == "DELETE" and message["status"] < 300)):
                    ended = True
            await send(message)

        account.requests.add(task)
        visit.requests += 1
        mark = SESSION.set(visit.session)
        try:
            await self._app(scope, receive, heard)
        except asyncio.CancelledError:
            if not account.over:
                raise
            task.uncancel()
            await _over(send, started)
        finally:
            SESSION.reset(mark)
            account.requests.discard(task)
            visit.requests -= 1
            visit.last = account.last = self._accounts.clock()
            if ended:
                account.visits.pop(name, None)
            if visit not in account.visits.values():
                self._streams.left(visit.session)


async def _too_many(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Busy("This token has too many sessions or requests open.", "end some, or try again")
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": t.INTERNAL_ERROR, "message": str(problem)}}
    await JSONResponse(error, 429, headers={"Retry-After": "5"})(scope, receive, send)


async def _over(send: Send, started: bool) -> None:
    """End an answer: its token has been revoked meanwhile, or the server leaves."""
    with suppress(Exception):  # the client may have gone as well: then there is nobody to tell
        if not started:
            await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Showing(Middleware):
    """Lists for a token that may only read what only reads. What is called nevertheless, the daemon refuses."""

    # What is asked passes through unread, so its type is nobody's business here: Any.

    async def on_list_tools(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Sequence[Tool]]
    ) -> Sequence[Tool]:
        """The tools that the token has a use for."""
        tools = await call_next(context)
        token = get_access_token()
        if token is None or WRITE in token.scopes:
            return tools
        return [tool for tool in tools if tool.annotations is not None and tool.annotations.read_only_hint]


class _Uvicorn(uvicorn.Server):
    """Leaves the signals to whoever runs it: uvicorn would end the process by the same signal once more."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], cut: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._cut = cut

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def leave(self) -> None:
        """Begin to leave; told again, leave at once."""
        self.force_exit = self.should_exit
        asyncio.get_running_loop().call_later(GRACE_S, self._cut)
        self.should_exit = True


# The verb


def command(given: Sequence[str]) -> int:
    """`memory-mcp http …`: 0 once it was told to leave, 2 with one line where it cannot be served."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="memory-mcp http",
        description="Serve MCP over streamable HTTP to this machine. Needs a token: `memory-mcp token create`.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="0: any that is free (default: %(default)s)")
    parser.add_argument("--unix", metavar="PATH", type=Path, help="a Unix socket instead, in a folder of yours alone")
    parser.add_argument(
        "--profile",
        default=os.environ.get("ENHANCED_MEMORY_PROFILE") or "core",
        help="which tools are shown (default: %(default)s)",
    )
    parsed = parser.parse_args(given)
    os.umask(0o077)
    try:
        settings = Settings.load()
        chosen = shown(parsed.profile)
        tokens = Tokens(settings.store_path)
        if not tokens.all():
            _said("there is no token yet, so nobody is let in; see `memory-mcp token create --help`")
        listening = at_path(parsed.unix) if parsed.unix is not None else at_address(parsed.host, parsed.port)
        with listening as listener:
            asyncio.run(_served(settings, tokens, chosen, listener))
    except Error as problem:
        _said(str(problem))
        return 2
    return 0


async def _served(settings: Settings, tokens: Tokens, chosen: Profile, listener: socket.socket) -> None:
    # No file of the official server is looked for: that is an affair of a client's own environment.
    server = build(memory, chosen, lambda: None)
    await serve(server, Accounts(settings, tokens), listener, lambda: _said(f"serving {place(listener, PATH)}"))


def _said(text: str) -> None:
    print(f"memory-mcp: {text}", file=sys.stderr, flush=True)
