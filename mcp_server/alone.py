"""A session that serves itself: FastMCP in the client's own process, for where no host can be had or none is wanted.

Stdio is copied to and from a socket pair, and served as the host serves a relay: the same bounds, the same answers.
"""

import asyncio
import os
import socket
import sys
import threading

from enhanced_memory.mcp_server.channel import Channel
from enhanced_memory.mcp_server.edge import Served
from enhanced_memory.mcp_server.host import session_of
from enhanced_memory.mcp_server.profiles import profile
from enhanced_memory.mcp_server.server import build
from enhanced_memory.mcp_server.session import memory
from enhanced_memory.mcp_server.subscriptions import Feeds

__all__ = ["serve"]

CHUNK = 65536


async def serve(name: str) -> None:
    """Serve stdio with the profile `name` until the client has ended. `Invalid` for settings or a profile that cannot be used."""
    chosen = profile(name)
    ours, theirs = socket.socketpair()
    _, channel = await asyncio.get_running_loop().create_unix_connection(
        lambda: Channel(lambda _, __: None, hello=False), sock=ours
    )
    try:
        folder = os.getcwd()
    except OSError:
        folder = ""
    session = session_of(dict(os.environ), folder, chosen.name, "", channel)
    feeds = Feeds()
    served = Served(build(memory, chosen), feeds, chosen)
    # A daemon thread: it may block on stdin for as long as the client lives.
    threading.Thread(target=_from_client, args=(theirs,), daemon=True).start()
    copying = threading.Thread(target=_to_client, args=(theirs,), daemon=True)
    copying.start()
    try:
        await served.serve(channel, session)
    finally:
        channel.close()
        await session.memory.close()
        await feeds.close()
        await served.close()
    await asyncio.to_thread(copying.join)


def _from_client(peer: socket.socket) -> None:
    try:
        while data := os.read(0, CHUNK):
            peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def _to_client(peer: socket.socket) -> None:
    try:
        while data := peer.recv(CHUNK):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    except OSError:
        peer.shutdown(socket.SHUT_RDWR)  # the client has gone: nothing more is to be answered
