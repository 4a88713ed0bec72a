"""Mirrors: files in the official memory server's format that follow a space, so that going back to it is one line of
configuration.

A space's metadata names its file (`mirror`). The file is written anew shortly after a commit that the space sees:
beside it
first, synced, then put in its place. What somebody else wrote into it since is kept under another name, and said in
the status.
"""

import asyncio
import hashlib
import logging
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import Error
from enhanced_memory.client.folders import make_private
from enhanced_memory.client.operations.branches import DiscardBranch, MemoryBranch
from enhanced_memory.client.operations.service import ExportData, Exported
from enhanced_memory.client.operations.spaces import CreateSpace, DeleteSpace, ListSpaces, SpaceList, UpdateSpace
from enhanced_memory.client.request import HANDLERS, Request
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store import Engine, Touched

__all__ = ["KEY", "Mirrors"]

log = logging.getLogger(__name__)

KEY = "mirror"
"""The key of a space's metadata that names its file."""

AFTER_S = 0.1
"""How long after a commit the file is written: changes made in one go share a write."""
AT_MOST_S = 2.0
"""How old the file may become while changes keep coming."""
RETRY_S = 30.0
PAGE = 1000

_RESHAPING = (UpdateSpace.op, CreateSpace.op, DeleteSpace.op, MemoryBranch.op, DiscardBranch.op)


class Written(msgspec.Struct):
    """What was last written to a file, so that somebody else's hand is noticed, also after a restart."""

    size: int = -1
    mtime_ns: int = -1
    sha256: str = ""
    coming: str = ""
    """What was about to be put there: a crash may come between the file and this ledger."""
    kept: list[str] = []
    """Versions of other writers that were kept aside."""


class _Mirror:
    """One space's file."""

    def __init__(self, space: str, path: Path) -> None:
        self.space = space
        self.path = path
        self.seen: frozenset[str] = frozenset((space,))
        """The spaces whose changes show in it."""
        self.due: asyncio.TimerHandle | None = None
        self.since: float | None = None
        """Since when it is behind."""
        self.busy = False
        self.again = False
        self.problem = ""


class Mirrors:
    """Every space's mirror. Made on the running loop, listens to the engine until it is closed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ledger = engine.place.with_name(engine.place.name + ".mirrors.json")
        self._written: dict[str, Written] = {}
        self._mirrors: dict[str, _Mirror] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._noting = asyncio.Lock()
        self._looking = asyncio.Lock()

    async def start(self) -> None:
        """Find the spaces that have a mirror and bring every file up to date."""
        self._written = await asyncio.to_thread(_read_ledger, self._ledger)
        self._engine.listeners.append(self._changed)
        await self._survey()

    async def close(self) -> None:
        """Write what is due, then stop listening."""
        self._closing = True
        for mirror in self._mirrors.values():
            if mirror.due is not None:
                mirror.due.cancel()
                mirror.due = None
                self._begin(mirror)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def renew(self, spaces: frozenset[str]) -> tuple[list[str], list[str]]:
        """Write now whatever shows one of `spaces`; the files written, and those of others that were kept aside beside any mirror."""
        behind = [mirror for mirror in self._mirrors.values() if mirror.seen & spaces]
        for mirror in behind:
            if mirror.due is not None:
                mirror.due.cancel()
            if mirror.busy:
                mirror.again = True
            else:
                self._begin(mirror)
        while any(mirror.busy or mirror.again for mirror in behind) and self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            for mirror in behind:
                if mirror.due is not None and not mirror.problem:  # it was changed while it was written
                    mirror.due.cancel()
                    self._begin(mirror)
        written = [str(mirror.path) for mirror in behind if not mirror.problem]
        return written, [path for known in self._written.values() for path in known.kept if os.path.exists(path)]

    def problems(self) -> list[str]:
        """What an operator should know: files that cannot be written, and versions of others that were kept aside."""
        said: list[str] = []
        for mirror in self._mirrors.values():
            if mirror.problem:
                said.append(f"The mirror of space {mirror.space!r} is behind: {mirror.problem}")
            for kept in self._written.get(str(mirror.path), Written()).kept:
                said.append(
                    f"The mirror of space {mirror.space!r} held what was not written here; that is kept in {kept}"
                )
        return said

    # When

    def _changed(self, touched: Touched) -> None:
        """A commit is on disk: plan what it makes due."""
        if touched.op in _RESHAPING:
            self._run(self._survey())
        for mirror in self._mirrors.values():
            if touched.space in mirror.seen:
                self._plan(mirror)

    def _plan(self, mirror: _Mirror, after_s: float = AFTER_S) -> None:
        if mirror.busy:
            mirror.again = True
            return
        now = asyncio.get_running_loop().time()
        if mirror.since is None:
            mirror.since = now
        if mirror.due is not None:
            mirror.due.cancel()
        when = max(now, min(now + after_s, mirror.since + AT_MOST_S))
        mirror.due = asyncio.get_running_loop().call_at(when, self._begin, mirror)

    def _begin(self, mirror: _Mirror) -> None:
        mirror.due, mirror.since, mirror.busy = None, None, True
        self._run(self._write(mirror))

    def _run(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _survey(self) -> None:
        """Read which spaces have a mirror; plan to write those that are new."""
        async with self._looking:  # what was read before must not be taken in after what was read later
            await self._look()

    async def _look(self) -> None:
        try:
            listed: SpaceList = await self._ask(ListSpaces(), "default")
        except Error as problem:
            log.warning("mirrors: the spaces cannot be listed: %s", problem)
            return
        # What is seen as it was never changes.
        parents = {space.name: space.parent if space.pinned_at is None else None for space in listed.spaces}
        wanted: dict[str, Path] = {}
        for space in listed.spaces:
            named = space.metadata.get(KEY)
            if isinstance(named, str) and named:
                wanted[space.name] = Path(named)
        for name in self._mirrors.keys() - wanted.keys():
            gone = self._mirrors.pop(name)
            if gone.due is not None:
                gone.due.cancel()
        for name, path in wanted.items():
            known = self._mirrors.get(name)
            if known is not None and known.path == path:
                continue
            if known is not None and known.due is not None:
                known.due.cancel()
            mirror = self._mirrors[name] = _Mirror(name, path)
            seen: list[str] = []
            over: str | None = name
            while over is not None and over not in seen:
                seen.append(over)
                over = parents.get(over)
            mirror.seen = frozenset(seen)
            self._plan(mirror, 0.0)

    # What

    async def _write(self, mirror: _Mirror) -> None:
        try:
            await self._rewrite(mirror)
            mirror.problem = ""
        except (OSError, Error) as problem:
            # Told in the status, tried again with the next change and after a while: no change waits for a mirror.
            mirror.problem = str(problem)
            log.warning("mirror space=%s path=%s problem=%s", mirror.space, mirror.path, problem)
        finally:
            mirror.busy = False
        if self._mirrors.get(mirror.space) is not mirror:
            return  # it was named no more while this was written
        if mirror.again:
            mirror.again = False
            if self._closing:
                self._begin(mirror)
            else:
                self._plan(mirror)
        elif mirror.problem and not self._closing:
            mirror.due = asyncio.get_running_loop().call_later(RETRY_S, self._begin, mirror)

    async def _rewrite(self, mirror: _Mirror) -> None:
        path = await asyncio.to_thread(_checked, mirror.path)
        temporary = path.parent / f".{path.name}.{os.urandom(8).hex()}.tmp"
        file = await asyncio.to_thread(_create, temporary, path)
        try:
            digest = hashlib.sha256()
            ask = ExportData(limit=PAGE, format="official")
            while True:
                page: Exported = await self._ask(ask, mirror.space)
                data = b"".join(msgspec.json.encode(record) + b"\n" for record in page.records)
                digest.update(data)
                await asyncio.to_thread(_write_all, file, data)
                if page.cursor is None:
                    break
                ask = ExportData(limit=PAGE, format="official", cursor=page.cursor, change=page.change)
            known = self._written.setdefault(str(mirror.path), Written())
            if digest.hexdigest() != known.sha256:
                if known.coming not in ("", known.sha256):
                    await asyncio.to_thread(_settle, path, known)
                known.coming = digest.hexdigest()
                await self._note()
            same = await asyncio.to_thread(_replace, file, temporary, path, known, digest.hexdigest())
        finally:
            os.close(file)
            temporary.unlink(missing_ok=True)
        if not same:
            await self._note()

    async def _note(self) -> None:
        """Write the ledger; one at a time, for it is one file for all mirrors."""
        async with self._noting:
            await asyncio.to_thread(_write_ledger, self._ledger, self._written)

    async def _ask(self, ask: Request[Any], space: str) -> Any:
        """What the handler of a question answers, asked in `space`."""
        call = Call(
            Peer(pid=os.getpid(), uid=os.getuid(), client="mirror", channel="mirror", space=space, greeted=True), ask
        )
        answer: Callable[[Any, Any], Any] = HANDLERS[ask.op]
        return await self._engine.read(lambda tx: answer(tx, ask), call)


def _checked(path: Path) -> Path:
    """Where the file lies, links followed: a link stays a link. Refuses what a mirror must not take the place of."""
    if not path.is_absolute() or path.suffix not in (".json", ".jsonl"):
        raise OSError(f"a mirror is an absolute path that ends in .json or .jsonl, not {path}")
    try:
        found = os.stat(path)
    except FileNotFoundError:
        make_private(path.parent)
        return path.resolve()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is not a file")
    return path.resolve()


def _create(temporary: Path, path: Path) -> int:
    """The file beside, with the rights of the one it will replace; for the owner alone where there is none."""
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(FileNotFoundError):
        os.fchmod(file, stat.S_IMODE(os.stat(path).st_mode))
    return file


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _settle(path: Path, known: Written) -> None:
    """Find out whether what was announced last stands there: who announced it may have ended before noting that."""
    with suppress(FileNotFoundError):
        if _digest(path) == known.coming:
            known.sha256 = known.coming


def _replace(file: int, temporary: Path, path: Path, known: Written, sha256: str) -> bool:
    """Put the file in its place, keeping aside what somebody else wrote there. Whether it said the same already."""
    os.fsync(file)
    try:
        there = os.stat(path)
    except FileNotFoundError:
        there = None
    if there is not None and (there.st_size, there.st_mtime_ns) != (known.size, known.mtime_ns):
        found = _digest(path)
        if found == sha256:
            known.size, known.mtime_ns, known.sha256 = there.st_size, there.st_mtime_ns, sha256
            return False
        if found not in (known.sha256, known.coming) and there.st_size:
            known.kept.append(str(_keep(path)))
    elif there is not None and known.sha256 == sha256:
        return True
    written = os.fstat(file)
    os.rename(temporary, path)
    sync(path.parent)
    known.size, known.mtime_ns, known.sha256 = written.st_size, written.st_mtime_ns, sha256
    return False


def _keep(path: Path) -> Path:
    """Give the version that is there a second name, which outlives the replacement."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 0
    while True:
        kept = path.with_name(f"{path.stem}.kept-{stamp}{f'-{number}' if number else ''}{path.suffix}")
        try:
            os.link(path, kept)
            return kept
        except FileExistsError:
            number += 1


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_ledger(path: Path) -> dict[str, Written]:
    """What was written where; nothing where that is not known, so that whatever lies there is kept aside."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Written])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as problem:
        log.warning("mirrors: %s cannot be read: %s", path, problem)
        return {}


def _write_ledger(path: Path, written: dict[str, Written]) -> None:
    # Of a store that is a database, nothing may lie on this machine yet.
    make_private(path.parent)
    temporary = path.with_name(path.name + ".tmp")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write_all(file, msgspec.json.encode(written))
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(temporary, path)
