"""What is done once for a session before its first answer: finding its file's space, taking old files in, naming the
mirror.

The greeting does not wait for it. A problem that will not go away is told once, as the answer to the first call, and
stays
in the status; the next call works.
"""

import asyncio
import logging
import weakref
from pathlib import Path
from typing import Any, cast

from enhanced_memory.client.aio import AsyncMemory
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


class Arrivals:
    """The sessions that have arrived, by their memory."""

    def __init__(self) -> None:
        self._under_way: weakref.WeakKeyDictionary[AsyncMemory, asyncio.Future[None]] = weakref.WeakKeyDictionary()
        self._placed: weakref.WeakKeyDictionary[AsyncMemory, asyncio.Event] = weakref.WeakKeyDictionary()
        self._told: weakref.WeakSet[AsyncMemory] = weakref.WeakSet()
        """Those of which somebody has heard what kept them from arriving."""
        self._files: dict[tuple[str, str], asyncio.Lock] = {}

    async def arrived(self, memory: AsyncMemory, launch: Launch, progress: Progress | None = None) -> None:
        """Wait until the session of `memory` has arrived. Raises what kept it from that, once.

        A caller who gives up waiting does not end it.
        """
        known = self._begun(memory, launch, progress)
        if known.done() and memory in self._told:
            return
        try:
            await asyncio.shield(known)
        except asyncio.CancelledError:
            raise
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
        known = self._begun(memory, launch, None)
        event = asyncio.ensure_future(self._placed[memory].wait())
        try:
            await asyncio.wait((event, known), return_when=asyncio.FIRST_COMPLETED)
        finally:
            event.cancel()

    def _begun(self, memory: AsyncMemory, launch: Launch, progress: Progress | None) -> "asyncio.Future[None]":
        known = self._under_way.get(memory)
        if known is None or (known.done() and _passing(known)):
            self._placed[memory] = asyncio.Event()
            known = self._under_way[memory] = asyncio.ensure_future(self._arrive(memory, launch, progress))
        return known

    async def _arrive(self, memory: AsyncMemory, launch: Launch, progress: Progress | None) -> None:
        await self._arrive_as_launched(memory, launch, progress)
        # Last comes what the session itself chose, with another host.
        if launch.went_on_in and launch.went_on_in != memory.space:
            await memory.switch(launch.went_on_in)
        self._placed[memory].set()

    def _place(self, memory: AsyncMemory, launch: Launch) -> None:
        """The session is in its space, unless it is to go on from there."""
        if not launch.went_on_in:
            self._placed[memory].set()

    async def _arrive_as_launched(self, memory: AsyncMemory, launch: Launch, progress: Progress | None) -> None:
        if launch.file:
            home = Path(launch.home or Path.home())
            path = await asyncio.to_thread(file_meant, launch.file, launch.folder, home)
            space = memory.space
            if not launch.space_given:
                space = space_of(path)
                await _made(memory, space)
                await memory.switch(space)
            self._place(memory, launch)
            await self._once(memory, space, path, progress)
            await _mirror(memory, space, str(path))
            return
        self._place(memory, launch)
        if memory.space == "default" or memory.settings.space == "auto":
            home = Path(launch.home or Path.home())
            taken, told = await asyncio.to_thread(old_places, launch.folder, home)
            for path in taken:
                await self._once(memory, "default", Path(path).resolve(), progress)
            for path in told:
                log.warning(
                    "%s looks like a memory file; it is not taken in by itself: memoryctl import %s", path, path
                )
        await _mirror(memory, memory.space, "")

    async def _once(self, memory: AsyncMemory, space: str, path: Path, progress: Progress | None) -> None:
        """Take a file in unless it was before. Sessions that come together take turns."""
        async with self._files.setdefault((space, str(path)), asyncio.Lock()):
            noted = _imported(await memory.list_spaces(), space)
            if str(path) in noted:
                return
            report = await take_in(path, memory.settings, space, progress)
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
