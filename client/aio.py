"""`AsyncMemory`: the daemon's operations as awaitables, pipelined over one connection that mends itself."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from enhanced_memory.client.conversation import Conversation
from enhanced_memory.client.errors import Closed, Error, TimedOut, Unavailable, WrongStore, from_wire
from enhanced_memory.client.launch import start
from enhanced_memory.client.operations import Operations
from enhanced_memory.client.operations.service import Welcome
from enhanced_memory.client.request import AsyncCaller, Change, Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.wire import Frames

__all__ = ["AsyncMemory"]

A = TypeVar("A")

EVENTS_KEPT = 1024
MEND_S = (0.05, 2.0)
"""The first and the longest pause between looks for a daemon that has gone."""


class AsyncMemory(Operations, AsyncCaller):
    """A connection to the memory daemon for asyncio programs, started if need be.

    Calls from many tasks share the connection and are answered in any order. A call lost with its connection is sent
    again once: questions always, changes because each carries a key. On another event loop, and so in a forked child,
    the client connects anew.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        client: str = "python",
        channel: str = "socket",
        on_ignored: Callable[[str, list[str]], None] | None = None,
        folder: str | None = None,
        **given: Any,
    ) -> None:
        """`folder` is where the space `auto` looks for a project, if not in the working directory: a host asks for many."""
        self.settings = settings or Settings.load(given)
        self._talk = Conversation(self.settings, client, channel, on_ignored, folder)
        self._link: _Link | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._heard = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def welcome(self) -> Welcome | None:
        """The daemon's greeting, once connected."""
        return self._talk.welcome

    @property
    def space(self) -> str:
        """The space this client works in."""
        return self._talk.space

    @property
    def parent(self) -> str | None:
        """The parent that this space is given if it is made only when first written to."""
        return self._talk.parent

    async def connect(self) -> None:
        """Connect now rather than at the first call. `Unavailable` where no daemon can be reached or started."""
        await self._ready(self.settings.connect_timeout_s)

    async def close(self) -> None:
        """End the connection, and the subscription with it. A later call opens a new one."""
        self._settle_here()
        self._talk.subscription = None
        link, self._link = self._link, None
        if link is not None:
            link.end()

    async def send(
        self, ask: Request[A], *, timeout_s: float | None = None, key: str | None = None, **beside: str
    ) -> A:
        """Send `ask`; await the answer, `timeout_s` at the most. `beside` may name the `tool` and `run` it is for."""
        allowed = self.settings.timeout_s if timeout_s is None else timeout_s
        key = key or self._talk.key(ask)
        try:
            async with asyncio.timeout(allowed):
                try:
                    return await self._once(ask, allowed, key, beside)
                except Closed:
                    if isinstance(ask, Change) and key is None:
                        raise
                    return await self._once(ask, allowed, key, beside)
        except TimeoutError:
            raise TimedOut("The daemon did not answer in time.") from None

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Changes as they happen, after `subscribe`; ends with `close`.

        A lost connection is mended while waiting, and `{"event": "resumed"}` says that some may be missing. A daemon that
        was stopped is waited for, not started: somebody may have wanted it to stop.
        """
        link = await self._ready(self.settings.connect_timeout_s)
        while True:
            while not (link.ended and not self._events):
                if not self._events:
                    await self._event_or_end(link)
                else:
                    yield self._events.popleft()
            pause = MEND_S[0]
            while link.ended:
                if self._link is None:
                    return
                try:
                    link = await self._ready(self.settings.connect_timeout_s, starting=False)
                except WrongStore:
                    raise
                except Unavailable:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, MEND_S[1])

    async def _event_or_end(self, link: "_Link") -> None:
        """Wait until there is an event or the connection has ended."""
        heard = asyncio.ensure_future(self._heard.wait())
        gone = asyncio.ensure_future(link.gone.wait())
        try:
            await asyncio.wait((heard, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            heard.cancel()
            gone.cancel()
        self._heard.clear()

    async def _once(self, ask: Request[A], allowed: float, key: str | None, beside: dict[str, str]) -> A:
        link = await self._ready(allowed)
        number, frame = self._talk.encode(ask, allowed, key, **beside)
        return self._talk.answered(ask, await link.ask(number, frame))

    async def _ready(self, allowed: float, starting: bool = True) -> "_Link":
        self._settle_here()
        if self._link is not None and not self._link.ended:
            return self._link
        async with self._opening:
            if self._link is None or self._link.ended:
                link = await self._open(
                    min(allowed, self.settings.connect_timeout_s), starting and self.settings.autostart
                )
                if self._talk.subscription is not None:
                    try:
                        number, frame = self._talk.encode(self._talk.subscription, None)
                        self._talk.answered(self._talk.subscription, await link.ask(number, frame))
                    except BaseException:
                        link.end()  # a connection that hears nothing would pass for a quiet one
                        raise
                    self._hear({"event": "resumed"})
                self._link = link
            return self._link

    def _settle_here(self) -> None:
        """Let go of what belongs to another event loop: its connection cannot be used, nor closed, from this one."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                self._link, self._opening, self._heard = None, asyncio.Lock(), asyncio.Event()
            self._loop = loop

    def _hear(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        self._heard.set()

    async def _open(self, allowed: float, starting: bool) -> "_Link":
        loop = asyncio.get_running_loop()
        deadline = loop.time() + allowed
        pause = 0.002
        path = os.fspath(self.settings.socket_path)
        while True:
            try:
                _, link = await loop.create_unix_connection(lambda: _Link(self.settings, self._hear), path)
                return await self._greet(link, deadline)
            except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
                if not starting:
                    raise Unavailable(
                        f"No daemon listens at {path}.", "start `memory-db serve`, or allow `autostart`"
                    ) from None
                await loop.run_in_executor(None, start, self.settings)
            except PermissionError:
                raise Unavailable(
                    f"{path} may not be opened by this user.", "run as the daemon's user, or join its group"
                ) from None
            except (BlockingIOError, Closed):
                pass  # a full backlog, or a daemon that left between accept and greeting
            if loop.time() + pause > deadline:
                raise Unavailable(
                    f"No daemon answers at {path}.",
                    f"its log may say why: {self.settings.log_file}; or run `memoryctl doctor`",
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.2)

    async def _greet(self, link: "_Link", deadline: float) -> "_Link":
        hello = self._talk.hello()
        number, frame = self._talk.encode(hello, None)
        try:
            async with asyncio.timeout_at(deadline):
                self._talk.greeted(self._talk.answered(hello, await link.ask(number, frame)))
            return link
        except TimeoutError:
            link.end()
            raise self._talk.unanswered() from None
        except BaseException:
            link.end()
            raise


class _Link(asyncio.Protocol):
    """One connection: frames in and out, and who waits for which answer."""

    def __init__(self, settings: Settings, hear: Callable[[dict[str, Any]], None]) -> None:
        self._frames = Frames(settings.max_frame_bytes)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._hear = hear
        self._transport: asyncio.Transport | None = None
        self._room = asyncio.Event()
        self._room.set()
        self.ended = False
        self.gone = asyncio.Event()

    async def ask(self, number: int, frame: bytes) -> dict[str, Any]:
        """Send `frame`; await the answer with its `number`. `Closed` where the connection ends first."""
        await self._room.wait()
        if self.ended or self._transport is None:
            raise Closed("The connection to the daemon is closed.")
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._transport.write(frame)
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

    def end(self) -> None:
        """Close the connection; whoever still waits gets `Closed`."""
        if self._transport is not None:
            self._transport.close()
        self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._room.set()
        self.gone.set()
        for answer in list(self._waiting.values()):
            if not answer.done():
                answer.set_exception(Closed("The daemon closed the connection."))

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._frames.feed(data):
                said = Conversation.heard(payload)
                if "event" in said:
                    self._hear(said)
                    continue
                if said.get("id") is None:
                    raise from_wire(said.get("error"))  # not about one request: the daemon will not go on
                answer = self._waiting.get(said["id"])
                if answer is not None and not answer.done():
                    answer.set_result(said)
        except Error as problem:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(problem)
            self.end()
