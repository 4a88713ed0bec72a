"""The file in which calls wait for a daemon that is away: it outlives the program that made them, and several programs share it.

A line of JSON for each call, and one for each that was delivered. A call is on disk before its caller goes on; the last line of a
program that was killed may be torn and is then passed over: nobody was told that it was taken.
"""

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import Broken, StoreFull
from enhanced_memory.client.folders import make_private

__all__ = ["OutboxFile", "Waiting"]

KNOWN_IDS = 10_000
"""Ids that were given out while the daemon was away and are still understood once everything was delivered."""


class Waiting(msgspec.Struct, omit_defaults=True):
    """A call that waits, or (`done`) the note that it was delivered."""

    key: str
    verb: str = ""
    args: dict[str, Any] = {}
    id: int = 0
    """What its caller was told as its id; for a note: the id that it has."""
    done: bool = False
    refused: str = ""
    """Why the daemon did not take it."""
    space: str = ""
    """Where its caller was."""


class OutboxFile:
    """Calls that wait, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = (-1, -1)
        self._calls: dict[str, Waiting] = {}
        self._ids: dict[int, int] = {}
        self._asked: dict[str, int] = {}
        self.refused: list[Waiting] = []

    def read(self) -> None:
        """Take up what is in the file, if anything of it is new."""
        try:
            about = os.stat(self.path)
        except FileNotFoundError:
            self._calls, self._seen = {}, (-1, -1)
            return
        if (about.st_mtime_ns, about.st_size) == self._seen:
            return
        self._seen = (about.st_mtime_ns, about.st_size)
        self._calls, self._asked, self.refused = {}, {}, []
        for line in self.path.read_bytes().splitlines():
            with suppress(msgspec.DecodeError):
                self._take(msgspec.json.decode(line, type=Waiting))

    def _take(self, one: Waiting) -> None:
        if not one.done:
            self._calls[one.key] = one
            if one.id:
                self._asked[one.key] = one.id
            return
        call = self._calls.pop(one.key, None)
        told = self._asked.get(one.key, 0) or (one.args.get("told", 0) if one.args else 0)
        if told and one.id:
            self._ids[told] = one.id
        if one.refused and call is not None:
            self.refused.append(msgspec.structs.replace(call, refused=one.refused))

    @property
    def waiting(self) -> list[Waiting]:
        """The calls that wait, in their order."""
        return list(self._calls.values())

    def meant(self, number: int) -> int | None:
        """The id that stands for one that was given out while the daemon was away; None while that is not known."""
        return self._ids.get(number)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Be the only program that delivers or adds, until the block ends."""
        make_private(self.path.parent)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self.read()
            yield
        finally:
            os.close(handle)

    def add(self, one: Waiting) -> None:
        """Write a line; a call is on disk when this returns. `StoreFull` or `Broken` where it cannot be: nothing of it is kept then."""
        line = msgspec.json.encode(one) + b"\n"
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line  # behind a torn one
            try:
                self._append(handle, line, durably=not one.done, first=not size)
            except OSError as problem:
                # Nobody is told that it was taken, so nobody may find it here either.
                os.ftruncate(handle, size)
                full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
                raise (StoreFull if full else Broken)(
                    f"{self.path} cannot be written: {problem.strerror}.", "see to its disk, then repeat this change"
                ) from problem
        finally:
            os.close(handle)
        self._take(one)
        about = os.stat(self.path)
        self._seen = (about.st_mtime_ns, about.st_size)

    def _append(self, handle: int, line: bytes, *, durably: bool, first: bool) -> None:
        left = memoryview(line)
        while left:
            left = left[os.write(handle, left) :]
        if durably:
            os.fsync(handle)
            if first:
                sync(self.path.parent)

    def clean(self) -> None:
        """Write the file anew once nothing waits, if that makes it smaller: with what ids mean, and what was refused."""
        lines = [Waiting(f"id{told}", id=number, args={"told": told}, done=True) for told, number in self._ids.items()]
        kept = b"".join(msgspec.json.encode(one) + b"\n" for one in lines[-KNOWN_IDS:])
        for one in self.refused:
            kept += msgspec.json.encode(msgspec.structs.replace(one, refused="")) + b"\n"
            kept += msgspec.json.encode(Waiting(one.key, done=True, refused=one.refused)) + b"\n"
        # In place: another program may be waiting for its turn at this very file.
        handle = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            if len(kept) >= os.fstat(handle).st_size:
                return  # what needs more room could be cut off by a full disk
            os.pwrite(handle, kept, 0)
            os.ftruncate(handle, len(kept))
        finally:
            os.close(handle)
        about = os.stat(self.path)
        self._seen = (about.st_mtime_ns, about.st_size)
