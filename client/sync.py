"""`Memory`: the daemon's operations as plain calls, over one connection that mends itself."""

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from enhanced_memory.client.conversation import Conversation
from enhanced_memory.client.errors import Closed, Error, TimedOut, Unavailable
from enhanced_memory.client.launch import dial, start
from enhanced_memory.client.operations import Operations
from enhanced_memory.client.operations.service import Welcome
from enhanced_memory.client.request import Caller, Change, Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.wire import Frames

__all__ = ["Memory"]

A = TypeVar("A")

STEP_BYTES = 65536
"""What fits a socket's buffer while nothing else is under way."""


class Memory(Operations, Caller):
    """A connection to the memory daemon, started if need be.

    Safe to share between threads (calls take turns) and across `fork` (the child connects anew). A call lost with its
    connection is sent again once: questions always, changes because each carries a key. Settings may be given by name:
    `Memory(space="auto", agent="planner")`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        client: str = "python",
        channel: str = "socket",
        on_ignored: Callable[[str, list[str]], None] | None = None,
        **given: Any,
    ) -> None:
        self.settings = settings or Settings.load(given)
        self._talk = Conversation(self.settings, client, channel, on_ignored)
        self._turn = threading.RLock()
        self._peer: socket.socket | None = None
        self._frames = Frames(self.settings.max_frame_bytes)
        self._tool: dict[str, str] = {}
        _clients.add(self)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def welcome(self) -> Welcome:
        """The daemon's greeting: its version, limits and store."""
        if self._talk.welcome is None:
            self.connect()
        return cast(Welcome, self._talk.welcome)

    @property
    def space(self) -> str:
        """The space this client works in."""
        return self._talk.space

    def connect(self) -> None:
        """Connect now rather than at the first call. `Unavailable` where no daemon can be reached or started."""
        with self._turn:
            if self._peer is None:
                self._open(time.monotonic() + self.settings.connect_timeout_s)

    def close(self) -> None:
        """End the connection. A later call opens a new one."""
        with self._turn:
            if self._peer is not None:
                self._peer.close()
                self._peer = None

    def send(self, ask: Request[A], *, timeout_s: float | None = None, key: str | None = None) -> A:
        """Send `ask` and wait for its answer, `timeout_s` at the most.

        `key` makes a change safe to repeat across programs; without one, each call has a key of its own.
        """
        return self._ask([ask], timeout_s, key)[0]

    def send_all(self, asks: Iterable[Request[Any]], *, timeout_s: float | None = None) -> list[Any]:
        """Send many requests at once and wait for all answers, in the order of `asks`.

        Changes sent together share commits. An error is given in its request's place, not raised.
        """
        return self._ask(list(asks), timeout_s, None, raising=False)

    def _ask(
        self, asks: list[Request[Any]], timeout_s: float | None, key: str | None, raising: bool = True
    ) -> list[Any]:
        allowed = self.settings.timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + allowed
        talk = self._talk
        with self._turn:
            keys = [key or talk.key(ask) for ask in asks]
            answers: dict[int, dict[str, Any]] = {}
            unsent: dict[int, Error] = {}
            for attempt in range(2):
                peer = self._ready(deadline)
                waiting: dict[int, int] = {}
                frames: list[bytes] = []
                for place, ask in enumerate(asks):
                    if place in answers or place in unsent:
                        continue
                    try:
                        number, frame = talk.encode(ask, deadline - time.monotonic(), keys[place], **self._tool)
                    except Error as problem:
                        if raising:
                            raise
                        unsent[place] = problem
                        continue
                    waiting[number] = place
                    frames.append(frame)
                try:
                    self._exchange(peer, frames, waiting, answers, deadline)
                    break
                except Closed:
                    self.close()
                    unsafe = any(isinstance(asks[place], Change) and keys[place] is None for place in waiting.values())
                    if attempt or unsafe:
                        raise
                except BaseException:
                    self.close()  # what is still on its way would be taken for the answer to something else
                    raise
            results: list[Any] = []
            for place, ask in enumerate(asks):
                if place in unsent:
                    results.append(unsent[place])
                    continue
                try:
                    results.append(talk.answered(ask, answers[place]))
                except Error as problem:
                    if raising:
                        raise
                    results.append(problem)
            return results

    def _exchange(
        self,
        peer: socket.socket,
        frames: list[bytes],
        waiting: dict[int, int],
        answers: dict[int, dict[str, Any]],
        deadline: float,
    ) -> None:
        """Write and read in turns, so that neither side waits for the other with full buffers."""
        try:
            # A little always fits the socket's buffer; more is written piecemeal between reads, down to the last piece:
            # a daemon whose answers are not read reads no requests either.
            unsent = memoryview(b"".join(frames))
            at_once = len(unsent) <= STEP_BYTES
            while waiting:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimedOut("The daemon did not answer in time.")
                if unsent:
                    peer.settimeout(left if at_once else 0.0)
                    try:
                        unsent = unsent[peer.send(unsent[:STEP_BYTES]) :]
                    except BlockingIOError:
                        peer.settimeout(min(left, 0.05))
                        try:
                            self._hear(peer, waiting, answers)
                        except TimeoutError:
                            continue
                    continue
                peer.settimeout(left)
                self._hear(peer, waiting, answers)
        except TimeoutError:
            raise TimedOut("The daemon did not answer in time.") from None
        except OSError as problem:
            raise Closed(f"The connection to the daemon broke: {problem.strerror or problem}.") from None

    def _hear(self, peer: socket.socket, waiting: dict[int, int], answers: dict[int, dict[str, Any]]) -> None:
        data = peer.recv(262144)
        if not data:
            raise Closed("The daemon closed the connection.")
        for payload in self._frames.feed(data):
            said = self._talk.heard(payload)
            number = said.get("id")
            if number in waiting:
                answers[waiting.pop(number)] = said
            elif number is None and "error" in said:
                self.close()
                self._talk.answered(self._talk.hello(), said)

    def _ready(self, deadline: float) -> socket.socket:
        if self._peer is None:
            self._open(min(deadline, time.monotonic() + self.settings.connect_timeout_s))
        return cast(socket.socket, self._peer)

    def _open(self, deadline: float) -> None:
        """Connect, starting a daemon if need be, and exchange greetings; try again while there is time."""
        pause = 0.002
        while True:
            try:
                left = max(0.05, deadline - time.monotonic())
                peer = dial(self.settings.socket_path, left)
                if peer is None:
                    if not self.settings.autostart:
                        raise Unavailable(
                            f"No daemon listens at {self.settings.socket_path}.",
                            "start `memory-db serve`, or allow `autostart`",
                        )
                    start(self.settings)
                    peer = dial(self.settings.socket_path, left)
                if peer is not None:
                    self._greet(peer, deadline)
                    return
            except BlockingIOError:
                pass  # a full backlog: somebody is there
            except Closed:
                pass  # a daemon that left between accept and greeting, or could not start
            except PermissionError:
                raise Unavailable(
                    f"{self.settings.socket_path} may not be opened by this user.",
                    "run as the daemon's user, or join its group",
                ) from None
            if time.monotonic() + pause > deadline:
                raise Unavailable(
                    f"No daemon answers at {self.settings.socket_path}.",
                    f"its log may say why: {self.settings.log_file}; or run `memoryctl doctor`",
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.2)

    def _greet(self, peer: socket.socket, deadline: float) -> None:
        self._peer = peer
        self._frames = Frames(self.settings.max_frame_bytes)
        greeting: list[Request[Any]] = [self._talk.hello()]
        try:
            answers: dict[int, dict[str, Any]] = {}
            number, frame = self._talk.encode(greeting[0], None)
            self._exchange(peer, [frame], {number: 0}, answers, deadline)
            self._talk.greeted(self._talk.answered(greeting[0], answers[0]))
        except TimedOut:
            self.close()
            raise self._talk.unanswered() from None
        except BaseException:
            self.close()
            raise

    def _forked(self) -> None:
        """Begin anew in a child process: the connection is the parent's, and a lock may be held by a thread that is not here."""
        self._turn = threading.RLock()
        self.close()


_clients: "weakref.WeakSet[Memory]" = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_clients):
        client._forked()  # pyright: ignore[reportPrivateUsage]


os.register_at_fork(after_in_child=_after_fork)
