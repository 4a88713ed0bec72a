"""One connection: frames in, answers out, and bounds on both, so that no client can harm the daemon or another client."""

import asyncio
import pwd
import socket
import struct
from collections import deque
from dataclasses import replace
from functools import lru_cache
from time import monotonic
from typing import Any, Protocol, cast

from enhanced_memory.client.errors import Broken, Error, Invalid, TooLarge, UnknownOperation
from enhanced_memory.client.operations.service import Hello
from enhanced_memory.client.operations.spaces import Switch
from enhanced_memory.client.request import REQUESTS, parse
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.wire import MAX_ID_CHARS, Frames, pack, request_id, unpack
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.dispatch import Answer, drive

__all__ = ["Connection", "House"]

REFUSE_S = 0.5
"""How long a client that was refused may take to hear it."""

MAX_GATHERED = 64 * 1024
"""Bytes of answers that wait for the end of a round of the loop."""

MAX_IGNORED = 100
"""Unknown parameters named in an answer; more would let a request choose the size of its answer."""


class House(Protocol):
    """What a connection needs of the server."""

    settings: Settings
    answer: Answer

    def joined(self, connection: "Connection") -> None:
        """Take a connection in."""
        ...

    def left(self, connection: "Connection") -> None:
        """A connection has ended."""
        ...


class Connection(asyncio.Protocol):
    """A client's connection. Answers go out in the order in which they are known, each with its request's id."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._settings = house.settings
        self._frames = Frames(house.settings.max_frame_bytes)
        self._transport: asyncio.Transport | None = None
        self.peer = Peer()
        self.pending = 0
        self.heard_at = monotonic()
        self._full = False
        self._paused = False
        self._out: list[bytes] = []
        """Answers of this round of the loop. They go out together: a call of the system for each costs more than most answers."""
        self._gathered = 0
        self._corked = False
        self._held: deque[bytes] = deque()
        """Requests that came in one piece with those that filled the bounds; taken once there is room again."""
        self._frame_since: float | None = None
        self._frame_timer: asyncio.TimerHandle | None = None
        self._unsent_timer: asyncio.TimerHandle | None = None
        self._leaving = False
        self._refused = False

    # Coming and going

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._settings.max_unsent_bytes)
        self.peer = peer_of(transport.get_extra_info("socket"))
        self._house.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything that waits for this client."""
        for timer in (self._frame_timer, self._unsent_timer):
            if timer is not None:
                timer.cancel()
        self._transport = None
        self._held.clear()
        self._house.left(self)

    def refuse(self, problem: Error) -> None:
        """Say why, then close, but not at once: closing on a client that still writes would take the reason from it."""
        if self._refused:
            return
        self._send({"id": None, "error": problem.to_wire()})
        self._refused = self._leaving = True
        asyncio.get_running_loop().call_later(REFUSE_S, self.end)

    def end(self) -> None:
        """Close once what was answered has been sent."""
        if self._transport is not None:
            self._uncork()
            self._transport.close()

    def leave(self) -> None:
        """Take nothing more; close when what was taken has been answered."""
        self._leaving = self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()
        if not self.pending:
            self.end()

    # In

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole by now."""
        if self._refused:
            return
        self.heard_at = monotonic()
        whole = False
        self._corked = True
        try:
            for payload in self._frames.feed(data):
                whole = True
                if self._paused or self._held:
                    self._held.append(payload)
                else:
                    self._take(payload)
        except TooLarge as problem:
            self.refuse(problem)
            return
        finally:
            self._uncork()
        self._watch_frame(whole)

    def _take(self, payload: bytes) -> None:
        if self._leaving:
            return
        try:
            message = unpack(payload)
        except Invalid as problem:
            self._send({"id": request_id(payload), "error": problem.to_wire()})
            return
        try:
            call = self._call(message)
        except Error as problem:
            self._send({"id": request_id(payload), "error": problem.to_wire()})
            return
        self.pending += 1
        drive(self._answer(call))
        self._balance()

    def _call(self, message: dict[str, Any]) -> Call:
        """The request that a message says. `Invalid` for one that says none, `UnknownOperation` for one we do not have."""
        number, op, args, key = message.get("id"), message.get("op"), message.get("args"), message.get("key")
        if (
            isinstance(number, bool)
            or not isinstance(number, int | str)
            or (isinstance(number, str) and len(number) > MAX_ID_CHARS)
        ):
            raise Invalid("A request's id is a whole number or a short text.")
        if not isinstance(op, str):
            raise Invalid("A request names its operation in `op`.")
        request = REQUESTS.get(op)
        if request is None:
            raise UnknownOperation(f"There is no operation {op[:60]!r}.", "see docs/operations.md, or `memoryctl help`")
        if args is not None and not isinstance(args, dict):
            raise Invalid("`args` is a map of parameters by name.")
        if key is not None and not isinstance(key, str):
            raise Invalid("`key` is text.")
        run, tool, deadline = message.get("run", ""), message.get("tool", ""), message.get("deadline_ms")
        for name in (run, tool):
            if not isinstance(name, str) or len(name) > 200 or "\0" in name:
                raise Invalid("`run` and `tool` are short texts without NUL.")
        if deadline is not None and (isinstance(deadline, bool) or not isinstance(deadline, int | float)):
            raise Invalid("`deadline_ms` is a number of milliseconds.")
        ask, ignored = parse(request, cast("dict[str, Any]", args or {}))
        if isinstance(ask, Hello | Switch):
            # What was taken before belongs to the space it was sent in, however long it waits for the writer.
            self.peer = replace(self.peer)
        if len(ignored) > MAX_IGNORED:
            ignored = [*ignored[:MAX_IGNORED], f"… and {len(ignored) - MAX_IGNORED:,} more"]
        until = monotonic() + deadline / 1000 if deadline is not None and deadline < 1e9 else None
        return Call(self.peer, ask, number, key, run, tool, until, ignored=ignored)

    async def _answer(self, call: Call) -> None:
        answer: dict[str, Any] = {"id": call.id}
        try:
            answer["ok"] = await self._house.answer(call)
            if call.ignored:
                answer["ignored"] = call.ignored
        except Error as problem:
            answer["error"] = problem.to_wire()
        finally:
            self.pending -= 1
        self._send(answer)
        if self._leaving and not self.pending:
            self.end()
        self._balance()

    # Out

    def _send(self, message: dict[str, Any]) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        try:
            frame = pack(message, self._settings.max_frame_bytes)
        except TooLarge:
            too_large = TooLarge(
                "The answer is larger than a message may be.", "ask for less at once: a smaller limit, fewer names"
            )
            frame = pack({"id": message["id"], "error": too_large.to_wire()})
        except Error as problem:
            frame = pack(
                {"id": message["id"], "error": Broken(f"The answer cannot be sent: {problem.message}").to_wire()}
            )
        self._out.append(frame)
        self._gathered += len(frame)
        if self._gathered > MAX_GATHERED:
            self._flush()  # only what the transport holds tells us that the client does not read
        elif not self._corked:
            self._corked = True
            asyncio.get_running_loop().call_soon(self._uncork)

    def _uncork(self) -> None:
        self._corked = False
        self._flush()

    def _flush(self) -> None:
        """Send what has gathered."""
        if self._out and self._transport is not None:
            out, self._out, self._gathered = self._out, [], 0
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def tell(self, event: dict[str, Any]) -> None:
        """Send an event; a client that does not read gets none until it does."""
        if not self._full:
            self._send(event)

    # Bounds

    def pause_writing(self) -> None:
        """The client does not read: read no more requests of it, and cut it off after a while."""
        self._full = True
        loop = asyncio.get_running_loop()
        self._unsent_timer = loop.call_later(self._settings.unsent_timeout_s, self._cut_off)
        self._balance()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._full = False
        if self._unsent_timer is not None:
            self._unsent_timer.cancel()
        self._balance()

    def _cut_off(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _balance(self) -> None:
        """Read on only while answers are read and not too many are owed."""
        stop = self._full or self.pending >= self._settings.max_pending or self._leaving
        if stop == self._paused or self._transport is None or self._transport.is_closing():
            return
        self._paused = stop
        if stop:
            self._transport.pause_reading()
        else:
            self._excuse()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _excuse(self) -> None:
        """Count a half-sent message from now on: it was we who kept the rest of it waiting."""
        if self._frame_since is not None:
            self._frame_since = monotonic()

    def _go_on(self) -> None:
        """Take what was held back; once nothing is, read on."""
        while self._held and not self._paused:
            self._take(self._held.popleft())
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._excuse()
            self._transport.resume_reading()

    def _watch_frame(self, whole: bool) -> None:
        """A message that stays half sent ends the connection, drip by drip or not. `whole`: another one has just been completed."""
        if not self._frames.waiting:
            self._frame_since = None
            return
        if whole or self._frame_since is None:
            self._frame_since = self.heard_at
        if self._frame_timer is None:
            self._frame_timer = asyncio.get_running_loop().call_later(self._settings.frame_timeout_s, self._frame_late)

    def _frame_late(self) -> None:
        self._frame_timer = None
        if self._frame_since is None:
            return
        waited = 0.0 if self._paused else monotonic() - self._frame_since
        if waited < self._settings.frame_timeout_s:
            self._frame_timer = asyncio.get_running_loop().call_later(
                self._settings.frame_timeout_s - waited, self._frame_late
            )
        else:
            self.refuse(Invalid(f"A message stayed half sent for {self._settings.frame_timeout_s:g} s."))


def peer_of(peer: socket.socket) -> Peer:
    """Who is at the other end, as the kernel proves it."""
    pid, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Peer(pid=pid, uid=uid, user=_account(uid))


@lru_cache(256)
def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
