"""The host: one FastMCP process that serves the sessions of many relays over a Unix socket.

It keeps nothing that it could not lose: each session has its own way to the daemon, and a relay whose host dies tells
the next one all that it must know. Started on demand it leaves when nobody has needed it for a while; a newer relay
retires it.
"""

import asyncio
import fcntl
import gc
import logging
import os
import resource
import signal
import socket
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import PREFIX, Settings
from enhanced_memory.mcp_server.arrival import Arrivals
from enhanced_memory.mcp_server.channel import Channel
from enhanced_memory.mcp_server.door import BACKLOG
from enhanced_memory.mcp_server.edge import Outcome, Served
from enhanced_memory.mcp_server.hello import BYE, MOVE, VERSION, decoded, ordered
from enhanced_memory.mcp_server.profiles import profile
from enhanced_memory.mcp_server.server import build
from enhanced_memory.mcp_server.session import Launch, Session, memory
from enhanced_memory.mcp_server.subscriptions import Feeds
from enhanced_memory.mcp_server.warming import warm

__all__ = ["Host", "refuse", "session_of"]

log = logging.getLogger(__name__)

READY_PROFILES = ("core", "compat")
"""Built and tried at start; any other is built when it is first asked for."""
DRAIN_S = 30.0
REFUSE_S = 0.5
LOCK_AGAIN_S = 1.0

# From 3.13 on asyncio would remove the socket as it closes the server, systemd's or the next host's included.
_KEEP_SOCKET: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


@dataclass(frozen=True, slots=True)
class Caller:
    """What a hello said, read."""

    version: str
    session: Session
    again: tuple[int, ...]
    following: int

    def key(self, number: int) -> str:
        """What makes a repeat of this connection's line known: the session, and the line's number in it."""
        place = self.again[number] if number < len(self.again) else self.following + number - len(self.again)
        return f"{self.session.session_id}:{place}" if self.session.session_id else ""


class Host:
    """Serves whoever connects to one listening socket until it is told to stop, retired, or not needed any more."""

    def __init__(
        self, settings: Settings, listener: socket.socket, *, on_demand: bool = False, owns_socket: bool = True
    ) -> None:
        self.settings = settings
        self._listener = listener
        self._path: str = listener.getsockname()
        self._inode = _inode(self._path)
        self._on_demand = on_demand
        self._owns_socket = owns_socket
        self._feeds = Feeds()
        self._arrivals = Arrivals()
        self._served: dict[str, Served] = {}
        self._channels: dict[Channel, asyncio.Task[None] | None] = {}
        self._stopped = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None

    async def run(self) -> None:
        """Serve until it is over; every session that is then left goes on with another host."""
        _all_files()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self.prepare()
        self._server = await loop.create_unix_server(self.channel, sock=self._listener, backlog=BACKLOG, **_KEEP_SOCKET)
        self._plan_idle()
        # What stands now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        try:
            await self._stopped.wait()
        finally:
            self._vanish()
            await self._drain()
            await self.close()

    def stop(self) -> None:
        """Begin to leave."""
        self._vanish()
        self._stopped.set()

    async def prepare(self) -> None:
        """Build what most sessions ask for, and run it once: the first call is the slow one."""
        for name in READY_PROFILES:
            await warm(self.served(name), self.settings)

    async def close(self) -> None:
        """Let go of what was built."""
        await self._feeds.close()
        for served in self._served.values():
            await served.close()

    def served(self, name: str) -> Served:
        """The server of a profile. `Invalid` where there is no such profile."""
        chosen = profile(name)
        if chosen.name not in self._served:
            server = build(memory, chosen, arrivals=self._arrivals)
            self._served[chosen.name] = Served(server, self._feeds, chosen, self._arrivals)
        return self._served[chosen.name]

    # Sessions

    def channel(self) -> Channel:
        """What asyncio makes for each connection."""
        channel = Channel(self._met, lost=self._lost)
        self._channels[channel] = None
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        return channel

    def _met(self, channel: Channel, hello: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._attend(channel, hello))
        self._channels[channel] = task
        task.add_done_callback(partial(self._left, channel))

    def _lost(self, channel: Channel) -> None:
        if self._channels.get(channel, True) is None:
            del self._channels[channel]
            self._plan_idle()

    def _left(self, channel: Channel, task: asyncio.Task[None]) -> None:
        self._channels.pop(channel, None)
        channel.close()
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("a session ended with %s", type(problem).__name__, exc_info=problem)
        self._plan_idle()

    async def _attend(self, channel: Channel, hello: bytes) -> None:
        if channel.uid != os.getuid():
            await channel.write(b"no this host serves another user\n")
            return
        try:
            caller = caller_of(hello, channel)
            served = self.served(caller.session.profile)
        except Error as problem:
            await channel.write(_no(problem))
            return
        verdict = self._verdict(caller, decoded(hello))
        if verdict == "old":
            self.stop()  # before it is said: whoever hears it looks again at once, and must not find us
        await channel.write(verdict.encode() + b"\n")
        if not verdict.startswith("ok"):
            return
        session = caller.session
        try:
            resumed = caller.following > 0
            outcome = await served.serve(channel, session, keys=caller.key, resumed=resumed, followed=True)
        finally:
            await session.memory.close()
        if outcome is not Outcome.GONE:
            await channel.write((BYE if outcome is Outcome.ANSWERED else MOVE) + b"\n")

    def _verdict(self, caller: Caller, said: dict[bytes, bytes]) -> str:
        """`ok`, `old` where a newer host should take over, or `alone` for a session that means another store."""
        if self._stopped.is_set() or ordered(caller.version) > ordered(VERSION):
            return "old"
        theirs, mine = caller.session.memory.settings, self.settings
        home = os.fsdecode(said.get(b"HOME", b"")) or os.path.expanduser("~")
        if _means(theirs) == _means(mine) and home == os.path.expanduser("~"):
            return f"ok {VERSION}"
        if _means(Settings.load()) != _means(mine):
            return "old"  # the configuration file has changed since we read it
        return f"alone the host there serves {mine.store_name}, this session means {theirs.store_name} in {home}"

    # Leaving

    def _plan_idle(self) -> None:
        if (
            self._on_demand
            and self.settings.idle_exit_s
            and not self._channels
            and self._idle is None
            and not self._stopped.is_set()
        ):
            self._idle = asyncio.get_running_loop().call_later(self.settings.idle_exit_s, self._leave_idle)

    def _leave_idle(self) -> None:
        """Leave, unless somebody is at the door. Whoever is caught between sees the door shut before a greeting and tries again."""
        self._idle = None
        try:
            lock = os.open(self._path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            self.stop()  # the folder is gone: nobody finds us there any more
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._idle = asyncio.get_running_loop().call_later(LOCK_AGAIN_S, self._leave_idle)
        else:
            if not self._channels:
                self.stop()
        finally:
            os.close(lock)

    def _vanish(self) -> None:
        """Be found no more. Only our own socket is removed: another host's may have taken the place."""
        if self._server is None:
            return
        if self._owns_socket and self._inode is not None and _inode(self._path) == self._inode:
            os.unlink(self._path)
        self._server.close()
        self._server = None

    async def _drain(self) -> None:
        """Answer what was taken, for a while; then close every connection."""
        for channel in self._channels:
            channel.leave()
        tasks = [task for task in self._channels.values() if task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
            for channel in list(self._channels):
                channel.abort()
            if late:
                await asyncio.wait(late, timeout=1)


def caller_of(hello: bytes, channel: Channel) -> Caller:
    """What the hello says, with the settings of the client's own environment. `Invalid` where those cannot be used."""
    said = {os.fsdecode(key): os.fsdecode(value) for key, value in decoded(hello).items()}
    numbers = tuple(int(number) for number in said.get("again", "").split(",") if number.isdigit())
    following = said.get("next", "")
    try:
        space = bytes.fromhex(said.get("space", "")).decode()
    except ValueError:
        space = ""
    folder, name = said.get("cwd", ""), said.get("session", "")
    session = session_of(said, folder, said.get("profile", ""), name, channel, space)
    return Caller(said.get("relay", ""), session, numbers, int(following) if following.isdigit() else 0)


def session_of(
    environment: dict[str, str], folder: str, profile: str, name: str, channel: Channel, went_on_in: str = ""
) -> Session:
    """A session of a client that stands in `folder` with this environment."""
    settings = Settings.load(environment=environment)
    return Session(
        memory=AsyncMemory(settings, client="memory-mcp", channel="mcp", folder=folder or "/"),
        profile=profile or environment.get(PREFIX + "PROFILE", "") or "core",
        launch=Launch(
            folder,
            environment.get("MEMORY_FILE_PATH", ""),
            bool(environment.get(PREFIX + "SPACE")) or settings.space != "default",
            environment.get("HOME", ""),
            went_on_in,
        ),
        session_id=name,
        pid=channel.pid,
        uid=channel.uid,
    )


async def refuse(listener: socket.socket, *, owns_socket: bool) -> None:
    """Answer whoever waits in the backlog, where the settings of who started us are of no use: one with the same fault is
    told of it, any other starts a host of its own."""
    if owns_socket:
        os.unlink(listener.getsockname())
    answering: set[asyncio.Task[None]] = set()

    async def answer(channel: Channel, hello: bytes) -> None:
        said = b"old\n"
        try:
            caller_of(hello, channel)
        except Error as problem:
            said = _no(problem)
        await channel.write(said)
        channel.close()

    def met(channel: Channel, hello: bytes) -> None:
        answering.add(asyncio.get_running_loop().create_task(answer(channel, hello)))

    server = await asyncio.get_running_loop().create_unix_server(
        lambda: Channel(met), sock=listener, backlog=BACKLOG, **_KEEP_SOCKET
    )
    await asyncio.sleep(REFUSE_S)
    server.close()


def _no(problem: Error) -> bytes:
    return b"no " + str(problem).replace("\n", " ").encode() + b"\n"


def _means(settings: Settings) -> tuple[str, str]:
    return settings.store_name, str(settings.socket_path)


def _all_files() -> None:
    """Let this process have as many files open as the system allows: two for each session."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
