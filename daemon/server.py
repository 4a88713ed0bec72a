"""The daemon as a whole: the socket, who is connected, telling of changes, and leaving in order."""

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enhanced_memory.client.errors import Busy, Denied, Error, StoreHeld
from enhanced_memory.client.launch import BACKLOG, alone_at, bound, dial
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.wire import pack
from enhanced_memory.daemon import collecting, handlers
from enhanced_memory.daemon.connection import Connection
from enhanced_memory.daemon.curation.steadiness import Steadiness
from enhanced_memory.daemon.dispatch import answer_from, compose
from enhanced_memory.daemon.housekeeping import AFTER_START_S, EVERY_S, keep_house
from enhanced_memory.daemon.layers import Context, flush, layers
from enhanced_memory.daemon.metrics import Metrics
from enhanced_memory.daemon.notify import tell, watchdog_s
from enhanced_memory.daemon.reloading import adopt, level
from enhanced_memory.daemon.roles import own, role_of, roles
from enhanced_memory.daemon.service import Service
from enhanced_memory.daemon.store import Engine, Touched

__all__ = ["DRAIN_S", "Server", "listen", "refuse"]

log = logging.getLogger(__name__)

SWITCH_S = 0.0005
"""How soon a thread that computes lets another one run; at Python's 5 ms a search would hold up every ping."""

DRAIN_S = 20.0
REFUSE_S = 0.5

# From 3.13 on asyncio would remove the socket as it closes the server, systemd's or the next daemon's included.
_KEEP_SOCKET: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}

ACCEPT_AT_ONCE = 4
"""Connections accepted before those that came are looked at. asyncio accepts a whole backlog first, and would run out of
descriptors before anybody could be sent away."""

SPARE_FILES = 64
"""Descriptors that connections leave to the store: its files, its readers, a backup."""


class Server:
    """Serves one store on one listening socket until it is told to stop, or has been idle long enough."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        listener: socket.socket,
        on_demand: bool = False,
        owns_socket: bool = True,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self.given = given or {}
        """What the command line said: it holds when the settings are read anew, too."""
        self.settings = settings
        self.metrics = Metrics()
        self._engine = engine
        self._listener = listener
        self._on_demand = on_demand
        self._owns_socket = owns_socket
        self._connections: set[Connection] = set()
        self._stopped = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None
        self._steadiness = Steadiness(engine.clock)
        self._max_connections = min(settings.max_connections, _files() - SPARE_FILES)
        self._roles = roles(settings)
        self._service = Service(engine, self.metrics, settings)
        self._context = Context(engine, self.metrics, settings)
        handlers.complete(self._service.attended)
        self.answer = compose(layers(self._context), answer_from(engine, self._service.attended, self._service.before))
        engine.listeners.append(self._changed)
        engine.give_up = self._give_up
        self._mirrors = self._service.mirrors

    async def run(self) -> None:
        """Serve until stopped; then finish what was taken, and let go of the store."""
        sys.setswitchinterval(SWITCH_S)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        path = self._listener.getsockname()
        inode = _inode(path)
        server = await loop.create_unix_server(
            lambda: Connection(self), sock=self._listener, backlog=ACCEPT_AT_ONCE, **_KEEP_SOCKET
        )
        self._listener.listen(BACKLOG)  # which asyncio has just set to what it accepts at once
        self._plan_idle()
        self._watch()
        self._service.embedding.start()
        self._service.tending.start()
        self._service.detection.start()
        loop.call_later(AFTER_START_S, self._keep_house)
        collecting.settle()
        await self._mirrors.start()
        self._finishing = loop.create_task(self._service.finish_purge())
        await self._service.cold.look_after()
        self._caring = [
            loop.create_task(self._service.backups.keep_making()),
            loop.create_task(self._service.wellbeing.check_after_crash()),
            loop.create_task(self._service.retention.keep_to_it()),
            loop.create_task(self._service.cold.keep_at_it()),
        ]
        tell("READY=1\nSTATUS=ready")
        log.info("serving store=%s socket=%s pid=%d", self._engine.path, path, os.getpid())
        try:
            await self._stopped.wait()
        finally:
            tell("STOPPING=1")
            self._engine.leave()
            # From here on nobody can reach us; whoever tries starts the next daemon, which waits for the store's lock.
            if self._owns_socket and inode is not None and _inode(path) == inode:
                os.unlink(path)
            server.close()
            await self._drain()
            await self._service.tending.stop()
            await self._service.detection.stop()
            self._service.extraction.stop()
            await self._service.embedding.stop()
            await self._service.apart.stop()
            await self._finishing
            for task in self._caring:
                task.cancel()
            flush(self._context)
            await self._mirrors.close()
            await self._engine.close()
            log.info("stopped store=%s requests=%d", self._engine.path, self.metrics.calls.total())

    def _give_up(self, why: str) -> None:
        if not self._stopped.is_set():
            log.error("leaving, so that the next daemon begins anew: %s", why)
            self.stop()

    def reload(self) -> None:
        """Read the settings anew. What is wrong with them is logged, and changes nothing."""
        tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            fresh = Settings.load(self.given)
            given = roles(fresh)
        except Error as problem:
            log.error("the settings are not taken: %s", problem)
        else:
            taken, waiting = adopt(self.settings, fresh)
            self._roles = given
            self._context.allowance.per_s = self.settings.user_requests_s
            self._max_connections = min(self.settings.max_connections, _files() - SPARE_FILES)
            logging.getLogger().setLevel(level(self.settings))
            log.info("settings read: taken=%s at_next_start=%s", ",".join(taken) or "-", ",".join(waiting) or "-")
        tell("READY=1\nSTATUS=ready")

    def stop(self) -> None:
        """Begin to leave."""
        self._stopped.set()

    async def _drain(self) -> None:
        """Answer what was taken, for a while; then close every connection."""
        for connection in list(self._connections):
            connection.leave()
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAIN_S
        while self._connections and loop.time() < until:
            await asyncio.sleep(0.005)
        for connection in list(self._connections):
            connection.end()

    # Connections

    def joined(self, connection: Connection) -> None:
        """Take a connection in, unless it is somebody else's, or one too many, or comes too late."""
        if self._stopped.is_set():
            connection.end()  # it was accepted as we left; its client starts the next daemon
            return
        uid = connection.peer.uid
        role = role_of(uid, connection.peer.user, self._roles)
        if role is None:
            connection.refuse(
                Denied(f"This daemon serves user {os.getuid()}, not user {uid}.", "run a daemon of your own")
            )
            return
        connection.peer.admin, connection.peer.read_only = role == "admin", role == "read"
        held = self.settings.user_connections
        if held and not own(uid) and sum(one.peer.uid == uid for one in self._connections) >= held:
            connection.refuse(Busy(f"User {uid} has {held:,} connections already."))
            return
        if len(self._connections) >= self._max_connections:
            idle = [one for one in self._connections if not one.pending]
            if not idle:
                connection.refuse(Busy(f"{len(self._connections):,} connections are busy."))
                return
            longest = min(idle, key=lambda one: one.heard_at)
            longest.end()
            self._connections.discard(longest)  # at once: of those that come in one round each ends another one
        self._connections.add(connection)
        self._service.connections = len(self._connections)
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def left(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self._service.connections = len(self._connections)
        self._plan_idle()

    def _plan_idle(self) -> None:
        if self._on_demand and self.settings.idle_exit_s and not self._connections and self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(self.settings.idle_exit_s, self._leave)

    def _leave(self) -> None:
        """Stop, unless something is under way that somebody asked for."""
        self._idle = None
        if self._service.embedding.working or self._service.tending.working or self._service.detection.working:
            self._plan_idle()
        else:
            self.stop()

    # Telling

    def _changed(self, touched: Touched) -> None:
        """Send the change to whoever subscribed and sees its space."""
        watching = [one for one in self._connections if one.peer.subscribed]
        for connection in watching:
            peer = connection.peer
            if peer.watched and not peer.watched.intersection(touched.entities):
                continue
            if touched.space not in peer.seen:
                continue
            event: dict[str, Any] = {
                "event": "changed", "change": touched.number, "op": touched.op, "space": touched.space, "entities": touched.entities[:1000],
            }  # fmt: skip
            connection.tell(event)

    def _keep_house(self) -> None:
        if not self._stopped.is_set():
            if (
                not self._steadiness.look()
            ):  # with a clock that jumped ahead all that is kept for a time would go at once
                keep_house(self._engine, self.settings)
            asyncio.get_running_loop().call_later(EVERY_S, self._keep_house)

    def _watch(self) -> None:
        """Give signs of life while the writer works, if the service manager asks for them."""
        every = watchdog_s()
        if every is None:
            return
        loop = asyncio.get_running_loop()

        async def beat() -> None:
            while not self._stopped.is_set():
                if await self._engine.alive():
                    tell("WATCHDOG=1")
                await asyncio.sleep(every)

        self._beating = loop.create_task(beat())


def listen(path: Path) -> socket.socket:
    """Listen at `path`. A socket that nobody answers on is replaced; anything else that lies there is left and refused."""
    with alone_at(path):
        try:
            there = dial(path, REFUSE_S)
        except BlockingIOError:
            pass  # a full backlog: somebody is there
        else:
            if there is None:
                return bound(path)
            there.close()
    raise StoreHeld(f"Another daemon listens at {path}.")


async def refuse(listener: socket.socket, problem: Error, owns_socket: bool) -> None:
    """Tell whoever waits in the backlog why there will be no service, instead of letting them meet a closed door."""
    path = listener.getsockname()
    inode = _inode(path)

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(pack({"id": None, "error": problem.to_wire()}))
        try:
            await writer.drain()
            await asyncio.wait_for(reader.read(), REFUSE_S)
        except (OSError, TimeoutError):
            pass
        writer.close()

    server = await asyncio.start_unix_server(say, sock=listener, backlog=BACKLOG, **_KEEP_SOCKET)
    tell(f"STATUS={problem.message}")
    await asyncio.sleep(REFUSE_S)
    if owns_socket and inode is not None and _inode(path) == inode:
        os.unlink(path)
    server.close()


def _files() -> int:
    """How many files this process may have open; as many as the system lets it have by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else sys.maxsize


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
