"""Every call of the file system is made to fail in turn, once and for good: what was acknowledged is kept, and nothing is half kept.

The seam is SQLite's own: a file system (VFS) below the engine that counts its calls and lets the N-th fail. The suite takes
every few calls; `ENHANCED_MEMORY_EVERY_CALL=1 pytest tests/fault/test_failing_calls.py` takes each of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest

from enhanced_memory.client.errors import Error
from enhanced_memory.client.operations.entities import (
    AddObservations,
    CreateEntities,
    DeleteEntities,
    ListEntities,
    ObservationsInput,
    RenameEntity,
)
from enhanced_memory.client.operations.streams import AppendMessages, RecentMessages
from enhanced_memory.client.request import HANDLERS, Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput, MessageInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.sqlite import file
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.verifying import check

assert handlers.__all__

EVERY = bool(os.environ.get("ENHANCED_MEMORY_EVERY_CALL"))
ROUNDS = 5


@dataclass
class Disk:
    """What fails, and when."""

    at: int = 0
    """The call that fails; 0: none."""
    lasting: bool = False
    full: bool = False
    """Writing fails for want of space, instead of by an error of the device."""
    calls: list[str] = field(default_factory=list[str])
    failed: str = ""

    def call(self, what: str) -> None:
        """Count a call; raise if it is to fail."""
        self.calls.append(what)
        if self.at and (len(self.calls) == self.at or (self.lasting and len(self.calls) > self.at)):
            if self.full:
                if what in ("write", "truncate"):
                    self.failed = self.failed or what
                    raise apsw.FullError("no space left")
                return
            self.failed = self.failed or what
            raise apsw.CantOpenError("made to fail") if what == "open" else apsw.IOError("made to fail")


DISK = Disk()


class FailingFile(apsw.VFSFile):
    """A file whose calls are counted."""

    def __init__(self, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        DISK.call("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        DISK.call("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        DISK.call("sync")
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:
        DISK.call("truncate")
        super().xTruncate(newsize)


class FailingDisk(apsw.VFS):
    """A file system whose calls are counted."""

    def __init__(self) -> None:
        super().__init__("failing", "unix")

    def xOpen(self, name: Any, flags: list[int]) -> FailingFile:
        DISK.call("open")
        return FailingFile(name, flags)


@pytest.fixture
def disk() -> Iterator[Disk]:
    """The file system that every connection uses from now on."""
    global DISK
    system = FailingDisk()
    apsw.set_default_vfs("failing")
    try:
        DISK = Disk()
        yield DISK
    finally:
        apsw.set_default_vfs("unix")
        system.unregister()


async def ask(engine: SqliteEngine, request: Request[Any]) -> Any:
    call = Call(Peer(client="test", greeted=True), request)
    return await engine.write(lambda tx: HANDLERS[request.op](tx, request), call)


def work() -> list[Request[Any]]:
    """Changes of many kinds; each entity is made whole by one."""
    asks: list[Request[Any]] = []
    for number in range(ROUNDS):
        asks.append(CreateEntities([EntityInput(f"n{number}", "t", [f"first of {number}", f"second of {number}"])]))
        asks.append(AppendMessages("talk", [MessageInput(f"one {number}"), MessageInput(f"two {number}")]))
        if number % 4 == 1:
            asks.append(AddObservations([ObservationsInput(f"n{number}", ["third", "fourth"])]))
        if number % 4 == 2:
            asks.append(RenameEntity(f"n{number}", f"renamed {number}"))
        if number % 4 == 3:
            asks.append(DeleteEntities([f"n{number - 3}"]))
    return asks


FRESH: list[bytes] = []


async def lived(disk: Disk) -> tuple[list[Request[Any]], list[Request[Any]], bool]:
    """A store's life on that disk: which changes were acknowledged, which refused, and whether the last one was kept."""
    kept: list[Request[Any]] = []
    refused: list[Request[Any]] = []
    settings = Settings.load({"readers": 1})
    if not FRESH:
        apsw.set_default_vfs("unix")
        file.open_store(settings.store_path, "FULL").close()
        FRESH.append(settings.store_path.read_bytes())
        apsw.set_default_vfs("failing")
    for end in ("-wal", "-shm"):
        settings.store_path.with_name(settings.store_path.name + end).unlink(missing_ok=True)
    settings.store_path.write_bytes(FRESH[0])
    disk.calls.clear()
    disk.failed = ""
    try:
        engine = await SqliteEngine.open(settings)
    except Error:
        return kept, refused, False
    last = False
    try:
        for request in work():
            try:
                await ask(engine, request)
                kept.append(request)
            except Error:
                refused.append(request)
        if not disk.lasting:
            disk.at = 0
            await ask(engine, CreateEntities([EntityInput("last", "t", ["one", "two"])]))
            last = True
    finally:
        await engine.close()
    return kept, refused, last


async def assert_kept(store: Path, kept: list[Request[Any]]) -> None:
    """What was acknowledged is there, and whatever is there is whole."""
    apsw.set_default_vfs("unix")
    try:
        engine = await SqliteEngine.open(Settings.load({"readers": 1}))
        try:
            found = check(store, quick=False)
            assert found.problems == []
            call = Call(Peer(client="test", greeted=True), ListEntities(limit=500, deleted=True))
            listed = [
                entity
                for deleted in (False, True)
                for entity in (
                    await engine.read(
                        lambda tx, deleted=deleted: HANDLERS["list_entities"](tx, ListEntities(limit=500, deleted=deleted)), call
                    )
                ).entities
            ]  # fmt: skip
            said = {entity.name: entity for entity in listed}
            for entity in listed:
                if entity.type == "t":
                    assert len(entity.observations) in (2, 4), "an entity is half there"
            lines: list[str] = []
            if "talk" in said:
                heard = await engine.read(
                    lambda tx: HANDLERS["recent_messages"](tx, RecentMessages("talk", limit=500)), call
                )
                lines = [line.content for line in heard.messages]
            for number in range(ROUNDS):
                assert (f"one {number}" in lines) == (f"two {number}" in lines), "a change is half there"
            for request in kept:
                match request:
                    case CreateEntities(entities=[one]):
                        number = one.name.removeprefix("n")
                        assert one.name in said or f"renamed {number}" in said
                    case AppendMessages(messages=[one, _]):
                        assert one.content in lines
                    case RenameEntity(name=name):
                        assert name in said
                    case DeleteEntities(entities=[name]):
                        assert name not in said or said[str(name)].deleted  # its creation may have been refused
                    case AddObservations(observations=[one]):
                        assert said[str(one.entity)].observations[2:] == ["third", "fourth"]
                    case _:
                        raise AssertionError(request)
        finally:
            await engine.close()
    finally:
        apsw.set_default_vfs("failing")


@pytest.mark.parametrize("kind", ["once", "full once", "lasting", "full for good"])
async def test_whichever_call_fails_what_was_acknowledged_is_kept(disk: Disk, kind: str, home: Path) -> None:
    kept, refused, _ = await lived(disk)
    assert (len(kept), refused) == (len(work()), [])
    calls = len(disk.calls)
    assert {"read", "write", "sync", "open"} <= set(disk.calls)
    met: set[str] = set()
    disk.full, disk.lasting = kind.startswith("full"), kind in ("lasting", "full for good")
    offset = ["once", "full once", "lasting", "full for good"].index(kind)
    for at in range(1 + (0 if EVERY else offset), calls + 1, 1 if EVERY else max(1, calls // 8)):
        disk.at = at
        kept, refused, last = await lived(disk)
        if disk.failed:
            met.add(disk.failed)
        assert last or disk.lasting or not kept
        await assert_kept(home / "memory.db", kept)
    assert met
