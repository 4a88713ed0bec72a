"""Cold storage of an encrypted store: its files are encrypted, too, each with a key that the store keeps.

It needs the build of SQLite that can encrypt: `scripts/test --encrypted tests/store/test_sealed_cold.py`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard

from enhanced_memory.client.errors import StoreDamaged, StoreRefused
from enhanced_memory.client.operations.cold import ArchiveEntities, ListArchived
from enhanced_memory.client.operations.entities import CreateEntities, OpenNodes, PurgeEntities, RestoreEntities
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import archiving, handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.metrics import Metrics
from enhanced_memory.daemon.service import Service
from enhanced_memory.daemon.store import cold_files
from enhanced_memory.daemon.store.sqlite import sealing
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.rekeying import rekey
from enhanced_memory.daemon.store.sqlite.sealed_files import SealedFiles

from ..asking import asked
from .sealed import SECRET, ciphers

assert handlers.__all__  # importing the chapters registers them

pytestmark = ciphers


class House:
    """A store that is opened with one key or another, or none, and its cold storage."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "memory.db"
        self.cold = folder / "memory.db.cold"
        self.key = sealing.made(folder / "key")
        self.engine: SqliteEngine
        self.service: Service

    @asynccontextmanager
    async def open(self, key: sealing.Key | None) -> AsyncIterator[None]:
        """Serve the store with this key."""
        given = {"store": str(self.store), "embedder": "none", "key_file": str(key.path) if key else ""}
        settings = Settings.load(given)
        self.engine = await SqliteEngine.open(settings)
        self.service = Service(self.engine, Metrics(), settings)
        try:
            yield
        finally:
            self.engine.leave()
            await self.engine.close()

    async def ask(self, request: Request[Any]) -> Any:
        return await asked(self.engine, self.service, request)

    async def remember(self, *names: str) -> None:
        await self.ask(CreateEntities([EntityInput(name, "person", [f"{name}: {SECRET}"]) for name in names]))

    async def archived(self) -> dict[str, str]:
        """Whose contents lie there, and what keeps one from being read."""
        page = await self.ask(ListArchived(contents=True))
        return {one.name: one.problem for one in page.entities}

    async def said(self, name: str) -> list[str]:
        found = await self.ask(OpenNodes([name]))
        return [text for entity in found.entities for text in entity.observations]

    def files(self) -> list[Path]:
        return sorted(self.cold.iterdir()) if self.cold.is_dir() else []


@pytest.fixture
def house(home: Path) -> House:
    return House(home)


def shows(path: Path) -> bool:
    """Whether anything of a file can be read by who has no key."""
    held = path.read_bytes()
    if SECRET.encode() in held or held.startswith((b"SQLite format 3", b"\x28\xb5\x2f\xfd")):
        return True
    try:
        zstandard.ZstdDecompressor().decompress(held, max_output_size=1 << 26)
    except zstandard.ZstdError:
        return False
    return True


async def test_what_leaves_an_encrypted_store_is_encrypted_and_comes_back_as_it_was(house: House) -> None:
    async with house.open(house.key):
        await house.remember("Ada", "Bob")
        await house.ask(ArchiveEntities(["Ada", "Bob"]))
        [file] = house.files()
        assert file.suffix == ".db"
        assert not shows(file)
        assert file.stat().st_mode & 0o777 == 0o600
        assert await house.archived() == {"Ada": "", "Bob": ""}
        assert await house.service.cold.verify(quick=False) == ([], {"cold_files": 1, "cold_entities": 2})
        await house.ask(RestoreEntities(["Ada"]))
        assert await house.said("Ada") == [f"Ada: {SECRET}"]


async def test_a_file_in_the_clear_shows(house: House) -> None:
    """The test above could fail."""
    async with house.open(None):
        await house.remember("Ada")
        await house.ask(ArchiveEntities(["Ada"]))
        [file] = house.files()
        assert file.suffix == ".zst"
        assert shows(file)


async def test_another_key_for_the_store_or_none_leaves_its_files_as_they_are(house: House) -> None:
    async with house.open(house.key):
        await house.remember("Ada")
        await house.ask(ArchiveEntities(["Ada"]))
    [file] = house.files()
    before = file.read_bytes()
    new = sealing.made(house.store.parent / "new")
    rekey(house.store, house.key, new)
    async with house.open(new):
        assert await house.archived() == {"Ada": ""}
    rekey(house.store, new, None)
    async with house.open(None):
        assert await house.archived() == {"Ada": ""}
        assert file.read_bytes() == before
        await house.ask(RestoreEntities(["Ada"]))
        assert await house.said("Ada") == [f"Ada: {SECRET}"]


async def test_what_lay_there_in_the_clear_is_still_read_and_is_encrypted_when_it_is_written_anew(house: House) -> None:
    async with house.open(None):
        await house.remember("Ada", "Bob")
        await house.ask(ArchiveEntities(["Ada", "Bob"]))
    assert shows(house.files()[0])
    rekey(house.store, None, house.key)
    async with house.open(house.key):
        assert await house.archived() == {"Ada": "", "Bob": ""}
        await house.ask(PurgeEntities(["Ada"], confirm=True))
        assert await house.archived() == {"Bob": ""}
        [file] = house.files()
        assert not shows(file)


async def test_a_purge_takes_the_key_of_the_file_that_it_replaces(house: House) -> None:
    async with house.open(house.key):
        await house.remember("Ada", "Bob")
        [name] = (await house.ask(ArchiveEntities(["Ada", "Bob"]))).files
        copy = (house.cold / name).read_bytes()
        digits = await kept(house, name)
        await house.ask(PurgeEntities(["Ada"], confirm=True))
        assert await kept(house, name) == ""
        [left] = house.files()
        assert await kept(house, left.name) not in ("", digits)
    carried_off = house.store.parent / "carried off.db"
    carried_off.write_bytes(copy)
    with pytest.raises(StoreDamaged):
        SealedFiles().read(carried_off, house.key.digits)
    assert SealedFiles().read(carried_off, digits)


async def kept(house: House, name: str) -> str:
    """The digits of a file's key, as the store keeps them; nothing where it keeps none."""

    def look(tx: Any) -> str:
        row = tx.rows.one("get_meta", key=f"cold_key/{name}")
        return bytes(row[0]).decode() if row else ""

    return await house.engine.read(look, Call(Peer(greeted=True), ListArchived()))


@pytest.mark.parametrize("at", [100, 5000])
async def test_a_file_with_a_changed_byte_is_named_and_no_other_is_touched(house: House, at: int) -> None:
    async with house.open(house.key):
        await house.remember("Ada", "Bob")
        [name] = (await house.ask(ArchiveEntities(["Ada"]))).files
        await house.ask(ArchiveEntities(["Bob"]))
        path = house.cold / name
        held = bytearray(path.read_bytes())
        held[at] ^= 1
        path.write_bytes(held)
        found = await house.archived()
        assert (bool(found["Ada"]), found["Bob"]) == (True, "")
        [problem] = (await house.service.cold.verify(quick=False))[0]
        assert name in problem


async def test_a_key_that_the_store_has_lost_is_named(house: House) -> None:
    async with house.open(house.key):
        await house.remember("Ada")
        [name] = (await house.ask(ArchiveEntities(["Ada"]))).files
        await house.engine.write(
            lambda tx: tx.rows.run("drop_meta", key=f"cold_key/{name}"), Call(Peer(greeted=True), ListArchived())
        )
        assert "lost its key" in (await house.archived())["Ada"]
        [problem] = (await house.service.cold.verify(quick=True))[0]
        assert "key" in problem
        assert name in problem


async def test_a_file_that_was_never_named_is_known_as_this_store_s_own_without_its_key(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.open(house.key):
        for whose in (house.engine.store_id, "0123456789abcdef"):
            cold_files.write(house.cold, whose, [cold_files.Group(1, 1, [])], house.engine.sealing)
        assert len(house.files()) == 2
        monkeypatch.setattr(archiving, "OLD_PARTIAL_S", -1.0)
        await house.service.cold.look_after()
        [left] = house.files()
        assert "_0123456789abcdef.db" in left.name


async def test_where_nothing_encrypted_can_be_read_the_command_that_helps_is_said(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.open(house.key):
        await house.remember("Ada")
        await house.ask(ArchiveEntities(["Ada"]))
    rekey(house.store, house.key, None)
    async with house.open(None):
        monkeypatch.delattr(apsw, "mc_version")
        with pytest.raises(StoreRefused, match="reads nothing encrypted") as refused:
            await house.ask(RestoreEntities(["Ada"]))
        assert "apsw-sqlite3mc" in refused.value.hint
        monkeypatch.undo()
        await house.ask(RestoreEntities(["Ada"]))


async def test_a_full_disk_leaves_no_half_file(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.open(house.key):
        await house.remember("Ada")

        def full(path: Path, packed: bytes) -> str:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(SealedFiles, "write", lambda self, path, packed: full(path, packed))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        with pytest.raises(Exception, match="no space"):
            await house.ask(ArchiveEntities(["Ada"]))
        assert house.files() == []
        assert await house.said("Ada") == [f"Ada: {SECRET}"]
