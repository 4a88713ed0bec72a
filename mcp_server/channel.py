"""One client's connection as the host sees it: a hello, then lines in and lines out, both bounded.

Lines are read ahead only so far, and a write is over when the client has taken it, so that neither a client that asks
without reading nor one that sends without pause makes the host grow.
"""

import asyncio
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

from enhanced_memory.mcp_server.hello import LENGTH, LIMIT
from enhanced_memory.mcp_server.lines import Lines

__all__ = ["LINE_BYTES", "Channel"]

LINE_BYTES = 32 * 1024 * 1024
AHEAD_BYTES = 256 * 1024
"""How much is read ahead of what is being answered."""
HELLO_S = 10.0
LOOK_S = 0.1
"""How often it is looked, while the last answers are awaited, whether the client is there to take them."""


class Channel(asyncio.Protocol):
    """A connection. `met` is called with the hello, or at once where none is awaited; `lost` when the client has gone."""

    def __init__(
        self,
        met: "Callable[[Channel, bytes], None]",
        *,
        hello: bool = True,
        lost: "Callable[[Channel], None] | None" = None,
    ) -> None:
        self._met = met
        self._told_lost = lost
        self._hello: bytearray | None = bytearray() if hello else None
        self._assembled = Lines(LINE_BYTES)
        self._lines: deque[bytes | None] = deque()
        self._ahead = 0
        self._paused = False
        self._ended = False
        self._leaving = False
        self._lost = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.pid = 0
        self.uid = -1
        self.read = 0
        """Lines handed out so far."""

    # Reading

    async def line(self) -> bytes | None:
        """The next line; None for one over the limit. `EOFError` when the client sends no more, or is to be left."""
        while True:
            if self._leaving or self._lost:
                raise EOFError
            if self._lines:
                return self._taken()
            if self._ended:
                raise EOFError
            self._news.clear()
            await self._news.wait()

    def _taken(self) -> bytes | None:
        line = self._lines.popleft()
        self._ahead -= len(line or b"")
        self.read += 1
        if self._paused and self._ahead <= AHEAD_BYTES // 2 and self._transport is not None and not self._lost:
            self._paused = False
            self._transport.resume_reading()
        return line

    def leave(self) -> None:
        """Hand out no more lines: whoever sent them will send them to another host."""
        self._leaving = True
        self._news.set()

    @property
    def leaving(self) -> bool:
        """Whether `leave` was called."""
        return self._leaving

    @property
    def gone(self) -> bool:
        """Whether the client is not there any more, rather than only having said all it has to say."""
        if self._lost or self._transport is None or self._transport.is_closing():
            return True
        look = select.poll()
        look.register(cast("socket.socket", self._transport.get_extra_info("socket")).fileno(), 0)
        return any(found & (select.POLLHUP | select.POLLERR) for _, found in look.poll(0))

    async def until(self, event: asyncio.Event, wait_s: float) -> bool:
        """Wait for `event`, as long as the client is there and `wait_s` at the most."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_s
        while not event.is_set() and not self.gone and loop.time() < end:
            try:
                async with asyncio.timeout(LOOK_S):
                    await event.wait()
            except TimeoutError:
                pass
        return event.is_set()

    # Writing

    async def write(self, data: bytes) -> None:
        """Send `data`; over when there is room for more. What a client that has gone would be told is dropped."""
        if self._transport is None or self._lost or self._transport.is_closing():
            return
        while not self._room.is_set():  # others that waited may have filled it again
            await self._room.wait()
        self._transport.write(data)
        await self._room.wait()

    def close(self) -> None:
        """Hang up once all is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up now."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection in."""
        self._transport = cast("asyncio.Transport", transport)
        peer = cast("socket.socket", transport.get_extra_info("socket"))
        self.pid, self.uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if self._hello is None:
            self._met(self, b"")
        else:
            self._deadline = asyncio.get_running_loop().call_later(HELLO_S, self.abort)

    def data_received(self, data: bytes) -> None:
        """Take what came: the hello first, then lines."""
        if self._hello is not None:
            self._hello += data
            if not self._greeted():
                return
            data = b""
        self._took(data)

    def _greeted(self) -> bool:
        """Whether the hello is complete; if so it is passed on, and what follows it is taken as lines."""
        assert self._hello is not None
        size = int.from_bytes(self._hello[:LENGTH], "big")
        if size > LIMIT:
            self.abort()
        if len(self._hello) < LENGTH + size or size > LIMIT:
            return False
        said, rest = bytes(self._hello[LENGTH : LENGTH + size]), bytes(self._hello[LENGTH + size :])
        self._hello = None
        if self._deadline is not None:
            self._deadline.cancel()
        self._took(rest)
        self._met(self, said)
        return True

    def _took(self, data: bytes) -> None:
        for line in self._assembled.feed(data):
            self._lines.append(line)
            self._ahead += len(line or b"")
        if self._lines:
            self._news.set()
        # Many empty lines weigh nothing, but they are not nothing.
        crowded = self._ahead > AHEAD_BYTES or len(self._lines) > 4096
        if crowded and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client says no more; it may still listen, unless it never said hello."""
        rest = self._assembled.rest()
        if rest:
            self._lines.append(rest)
            self._ahead += len(rest)
        self._ended = True
        self._news.set()
        return self._hello is None

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._lost = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._news.set()
        self._room.set()
        if self._told_lost is not None:
            self._told_lost(self)

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._room.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._room.set()
