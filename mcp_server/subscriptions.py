"""Who is told that a resource may have changed: sessions of either protocol era, whoever made the change.

One connection to the daemon hears of the changes in a space for all the sessions that work in it; it lasts as long as
one of them listens. An update carries no data, so several changes in quick succession are told of once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Error
from enhanced_memory.mcp_server.session import Session

__all__ = ["GRAPH", "Feeds", "Tell"]

log = logging.getLogger(__name__)

GRAPH = "memory://knowledge-graph"

Tell = Callable[[], Awaitable[None]]
"""Tells one subscriber once that what it watches may have changed."""

EVERY_S = 0.1
"""A subscriber is told at once, and then no more often than this."""
READY_S = 5.0
AGAIN_S = 2.0

Space = tuple[str, str | None]


class Feeds:
    """The subscribers of one host, by the space that each works in."""

    def __init__(self) -> None:
        self._feeds: dict[Space, _Feed] = {}
        self._watching: dict[Session, set[_Watcher]] = {}

    async def watch(self, session: Session, tell: Tell, *, missed: bool = False) -> Callable[[], None]:
        """From now on `tell` is called after every change that `session` sees. Returns what ends it.

        Waits a little for the daemon; where that is not there, the subscriber is told once it is. One that may have
        `missed` something is told at once.
        """
        watcher = _Watcher(tell)
        self._watching.setdefault(session, set()).add(watcher)
        feed = self._join(session, watcher)

        def end() -> None:
            mine = self._watching.get(session)
            if mine is not None and watcher in mine:
                mine.discard(watcher)
                if not mine:
                    del self._watching[session]
                self._part(watcher)

        try:
            await feed.ready()
        except BaseException:
            end()
            raise
        if missed:
            watcher.mark()
        return end

    def many(self, session: Session) -> int:
        """How many subscriptions a session has."""
        return len(self._watching.get(session, ()))

    def moved(self, session: Session) -> None:
        """Follow a session that may have gone on to another space."""
        for watcher in self._watching.get(session, ()):
            if watcher.feed is not None and watcher.feed.space != space_of(session):
                self._part(watcher)
                self._join(session, watcher).arrived(watcher)

    def left(self, session: Session) -> None:
        """The session has ended."""
        for watcher in self._watching.pop(session, ()):
            self._part(watcher)

    async def close(self) -> None:
        """End every feed."""
        for session in list(self._watching):
            self.left(session)

    def _join(self, session: Session, watcher: "_Watcher") -> "_Feed":
        space = space_of(session)
        feed = self._feeds.get(space)
        if feed is None:
            feed = self._feeds[space] = _Feed(space, session)
        feed.watchers.add(watcher)
        watcher.feed = feed
        return feed

    def _part(self, watcher: "_Watcher") -> None:
        watcher.end()
        feed, watcher.feed = watcher.feed, None
        if feed is not None:
            feed.watchers.discard(watcher)
            if not feed.watchers:
                self._feeds.pop(feed.space, None)
                feed.end()


def space_of(session: Session) -> Space:
    """The space that a session works in, and the parent it has if it is made only now."""
    return session.memory.space, session.memory.parent


class _Watcher:
    """One subscriber: told at once, and again when more has changed meanwhile."""

    def __init__(self, tell: Tell) -> None:
        self.feed: _Feed | None = None
        self._tell = tell
        self._changed = False
        self._task: asyncio.Task[None] | None = None

    def mark(self) -> None:
        """Something has changed."""
        self._changed = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._telling())

    async def _telling(self) -> None:
        while self._changed:
            self._changed = False
            await self._tell()
            await asyncio.sleep(EVERY_S)

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()


class _Feed:
    """What the daemon tells of one space, for all who watch it."""

    def __init__(self, space: Space, session: Session) -> None:
        self.space = space
        self.watchers: set[_Watcher] = set()
        name, parent = space
        settings = session.memory.settings
        # A space that the settings name is made with its parent where it does not exist yet; one switched to exists.
        folder = session.launch.folder if parent is not None and session.launch is not None else None
        self._memory = AsyncMemory(
            settings if folder is not None else replace(settings, space=name),
            client="memory-mcp",
            channel="mcp",
            folder=folder,
        )
        self._heard = asyncio.Event()
        self._awaited = False
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def ready(self) -> None:
        """Wait until changes are heard of, or for as long as a subscriber can be kept waiting."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                await self._heard.wait()

    def arrived(self, watcher: _Watcher) -> None:
        """Tell one who came from another space that all may be different, but not before changes here are heard of: what
        changed between the two would never be told."""
        if self._heard.is_set():
            watcher.mark()
        else:
            self._awaited = True

    async def _listen(self) -> None:
        late = False
        while True:
            try:
                await self._memory.subscribe()
                self._heard.set()
                if late or self._awaited:
                    self._mark()
                async for _ in self._memory.events():
                    self._mark()
                return
            except Error as problem:
                # The subscribers' next calls meet the same problem and say it where somebody reads it.
                log.info("changes in %s are not heard of: %s", self.space[0], problem)
                late = True
                self._heard.set()
                await self._memory.close()
            await asyncio.sleep(AGAIN_S)

    def _mark(self) -> None:
        for watcher in self.watchers:
            watcher.mark()

    def end(self) -> None:
        """Stop listening."""
        self._task.cancel()
        self._closing = asyncio.get_running_loop().create_task(self._memory.close())
