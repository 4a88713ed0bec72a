"""Running a server once before anybody waits for it: the first calls import and compile what the later ones find ready."""

import asyncio
import json
import socket
from dataclasses import replace
from typing import Any

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.settings import Settings
from enhanced_memory.mcp_server.channel import Channel
from enhanced_memory.mcp_server.edge import MODERN, Served
from enhanced_memory.mcp_server.session import Session

__all__ = ["warm"]

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "warming", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}

# Refused for its arguments, before any memory is asked for.
CALL: dict[str, Any] = {"name": "open_nodes", "arguments": {"names": 3}}

HANDSHAKE: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": ENVELOPE["io.modelcontextprotocol/clientInfo"],
}

OLDER: tuple[dict[str, Any], ...] = (
    {"id": 1, "method": "initialize", "params": HANDSHAKE},
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/list"},
    {"id": 3, "method": "tools/call", "params": CALL},
)
NEWER: tuple[dict[str, Any], ...] = (
    {"id": 1, "method": "tools/list", "params": {"_meta": ENVELOPE}},
    {"id": 2, "method": "tools/call", "params": CALL | {"_meta": ENVELOPE}},
)


async def warm(served: Served, settings: Settings) -> None:
    """Serve a session of each protocol era that lists the tools and calls one in vain. The daemon is not asked."""
    for messages in (OLDER, NEWER):
        # A session of no space that anything is kept in, so that no file is looked for on its behalf.
        nowhere = replace(settings, space="warming", mirror="")
        memory = AsyncMemory(nowhere, client="memory-mcp", channel="mcp")
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        with theirs:
            theirs.setblocking(False)
            said = "".join(json.dumps({"jsonrpc": "2.0"} | message) + "\n" for message in messages)
            await loop.sock_sendall(theirs, said.encode())
            theirs.shutdown(socket.SHUT_WR)
            _, channel = await loop.create_unix_connection(lambda: Channel(lambda _, __: None, hello=False), sock=ours)
            reading = loop.create_task(_read(theirs))
            await served.serve(channel, Session(memory))
            channel.close()
            await reading


async def _read(peer: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(peer, 65536):
        pass
