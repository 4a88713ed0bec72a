"""What is done once for a session before its first answer: finding its file's space, taking old files in, naming the mirror.

The greeting does not wait for it, and a call not for ever. A problem that will not go away is told once, as the answer to the
first call, and stays in the status; the next call works.
"""

import asyncio
import logging
import weakref
from pathlib import Path
from time import monotonic
from typing import Any, cast

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Busy
from enhanced_memory.client.operations.spaces import SpaceList
from enhanced_memory.mcp_server.official_file import (
    Progress,
    as_metadata,
    file_meant,
    lasting,
    old_places,
    space_of,
    take_in,
)
from enhanced_memory.mcp_server.session import SESSION, Launch

__all__ = ["Arrivals", "launched"]

log = logging.getLogger(__name__)

ON = ("on", "true", "yes", "1")
OFF = ("off", "false", "no", "0")


def launched() -> Launch | None:
    """How the current session was launched; None outside of one."""
    session = SESSION.get(None)
    return None if session is None else session.launch


WAIT_S = 20.0
"""How long a call waits for its session to arrive before it is told how far that is; clients give up after a minute."""


class _Taking:
    """How far the reading of a file is, and who wants to be told."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.path = ""
        self.share = 0.0
        self.watchers: set[Progress] = set()

    async def tell(self, done: int, total: int) -> None:
        """So many bytes of so many are in."""
        self.share = done / total if total else 1.0
        for watcher in list(self.watchers):
            try:
                await watcher(done, total)
            except Exception:
                log.debug("nobody could be told how far %s is", self.path, exc_info=True)
                self.watchers.discard(watcher)

    def refusal(self) -> Busy:
        """What a call is told that has waited long enough."""
        if not self.path:
            return Busy("The session is still being made ready.", "ask again; what it waits for goes on")
        gone = monotonic() - self.began
        left = gone / self.share * (1 - self.share) if self.share else 0.0
        rest = (
            f", some {left / 60:.0f} minutes more" if left > 90 else f", some {left:.0f} seconds more" if left else ""
        )
        return Busy(
            f"{self.path} is being taken into memory: {self.share:.0%} is done{rest}.",
            "ask again then; it goes on meanwhile, and nothing is lost",
        )


class Arrivals:
    """The sessions that have arrived, by their memory. A call waits `wait_s` seconds for that at the most."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._taking: weakref.WeakKeyDictionary[AsyncMemory, _Taking] = weakref.WeakKeyDictionary()
        self._under_way: weakref.WeakKeyDictionary[AsyncMemory, asyncio.Future[None]] = weakref.WeakKeyDictionary()
        self._placed: weakref.WeakKeyDictionary[AsyncMemory, asyncio.Event] = weakref.WeakKeyDictionary()
        self._told: weakref.WeakSet[AsyncMemory] = weakref.WeakSet()
        """Those of which somebody has heard what kept them from arriving."""
        self._files: dict[tuple[str, str], asyncio.Lock] = {}
        self._reading: weakref.WeakValueDictionary[tuple[str, str], _Taking] = weakref.WeakValueDictionary()

    async def arrived(self, memory: AsyncMemory, launch: Launch, progress: Progress | None = None) -> None:
        """Wait until the session of `memory` has arrived. Raises what kept it from that, once; `Busy` where a file takes longer to
        be taken in than a call waits, as often as that is so.

        A caller who gives up waiting does not end it.
        """
        known = self._begun(memory, launch)
        if known.done() and memory in self._told:
            return
        taking = self._taking[memory]
        if progress is not None:
            taking.watchers.add(progress)
        try:
            await asyncio.wait((known,), timeout=self._wait_s)
        finally:
            taking.watchers.discard(cast("Progress", progress))
        if not known.done():
            raise self._taking[memory].refusal()
        try:
            known.result()
        except BaseException as problem:
            if isinstance(problem, Exception) and lasting(problem):
                self._told.add(memory)
            elif self._under_way.get(memory) is known:
                del self._under_way[memory]
            raise

    async def placed(self, memory: AsyncMemory, launch: Launch) -> None:
        """Wait until it is known which space the session works in, or that it cannot be known yet. Raises nothing: what
        keeps the session from arriving is told to its first call.
        """
        known = self._begun(memory, launch)
        event = asyncio.ensure_future(self._placed[memory].wait())
        try:
            await asyncio.wait((event, known), return_when=asyncio.FIRST_COMPLETED)
        finally:
            event.cancel()

    def _begun(self, memory: AsyncMemory, launch: Launch) -> "asyncio.Future[None]":
        known = self._under_way.get(memory)
        if known is None or (known.done() and _passing(known)):
            self._placed[memory] = asyncio.Event()
            self._taking[memory] = _Taking()
            known = self._under_way[memory] = asyncio.ensure_future(self._arrive(memory, launch))
        return known

    async def _arrive(self, memory: AsyncMemory, launch: Launch) -> None:
        await self._arrive_as_launched(memory, launch)
        # Last comes what the session itself chose, with another host.
        if launch.went_on_in and launch.went_on_in != memory.space:
            await memory.switch(launch.went_on_in)
        self._placed[memory].set()

    def _place(self, memory: AsyncMemory, launch: Launch) -> None:
        """The session is in its space, unless it is to go on from there."""
        if not launch.went_on_in:
            self._placed[memory].set()

    async def _arrive_as_launched(self, memory: AsyncMemory, launch: Launch) -> None:
        if launch.file:
            home = Path(launch.home or Path.home())
            path = await asyncio.to_thread(file_meant, launch.file, launch.folder, home)
            space = memory.space
            if not launch.space_given:
                space = space_of(path)
                await _made(memory, space)
                await memory.switch(space)
            self._place(memory, launch)
            await self._once(memory, space, path)
            await _mirror(memory, space, str(path))
            return
        self._place(memory, launch)
        if memory.space == "default" or memory.settings.space == "auto":
            home = Path(launch.home or Path.home())
            taken, told = await asyncio.to_thread(old_places, launch.folder, home)
            for path in taken:
                await self._once(memory, "default", Path(path).resolve())
            for path in told:
                log.warning(
                    "%s looks like a memory file; it is not taken in by itself: memoryctl import %s", path, path
                )
        await _mirror(memory, memory.space, "")

    async def _once(self, memory: AsyncMemory, space: str, path: Path) -> None:
        """Take a file in unless it was before. Sessions that come together take turns."""
        taking = self._taking[memory]
        turn = self._files.setdefault((space, str(path)), asyncio.Lock())
        if turn.locked() and (space, str(path)) in self._reading:
            self._taking[memory] = self._reading[space, str(path)]
        async with turn:
            self._reading[space, str(path)] = self._taking[memory] = taking
            noted = _imported(await memory.list_spaces(), space)
            if str(path) in noted:
                return
            taking.path, taking.began = str(path), monotonic()
            report = await take_in(path, memory.settings, space, taking.tell)
            if report is not None:
                await _made(memory, space)
                await memory.update_space(space, {"imported": noted | {str(path): as_metadata(report)}})


def _passing(arrival: "asyncio.Future[None]") -> bool:
    """Whether an arrival failed for something that may be over by now."""
    problem = None if arrival.cancelled() else arrival.exception()
    return isinstance(problem, Exception) and not lasting(problem)


def _imported(listed: SpaceList, space: str) -> dict[str, Any]:
    found = next((one.metadata.get("imported") for one in listed.spaces if one.name == space), None)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


async def _mirror(memory: AsyncMemory, space: str, path: str) -> None:
    """Name the space's mirror as the setting says; where it says nothing, what was named before holds."""
    setting = memory.settings.mirror.strip()
    if not setting:
        return
    wanted: str | None = setting
    if setting.lower() in OFF:
        wanted = None
    elif setting.lower() in ON:
        if not path:
            log.warning("mirror=on needs MEMORY_FILE_PATH: name the file in the setting instead")
            return
        wanted = path
    else:
        wanted = str(Path(setting).expanduser().absolute())
    listed = await memory.list_spaces()
    named = next((one.metadata.get("mirror") for one in listed.spaces if one.name == space), None)
    if named != wanted:
        await _made(memory, space)
        await memory.update_space(space, {"mirror": wanted})


async def _made(memory: AsyncMemory, space: str) -> None:
    """See to it that a space is there; one that nothing was written to may not be."""
    listed = await memory.list_spaces()
    if all(one.name != space for one in listed.spaces):
        await memory.create_space(space, "default" if memory.settings.space == "auto" and space != "default" else None)
