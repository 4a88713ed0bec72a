"""Encryption at rest: nothing of a store lies on the disk in the clear, and whoever has not the key is told so.

Most of it needs the build of SQLite that can encrypt: `scripts/test --encrypted tests/store/test_sealing.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import apsw
import pytest

from enhanced_memory.client.errors import StoreDamaged, StoreRefused
from enhanced_memory.client.operations.entities import CreateEntities, ListEntities
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.backups import describe
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.sqlite import backup, restore, sealing
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.salvage import salvage

from .sealed import SECRET, ciphers

assert handlers.__all__  # importing the chapters registers them


class Vault:
    """A store with a key, and what is done with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "memory.db"
        self.key = sealing.made(folder / "key")

    async def engine(self, key: sealing.Key | None = None, store: Path | None = None) -> SqliteEngine:
        given = {"store": str(store or self.store), "embedder": "none", "key_file": str((key or self.key).path)}
        return await SqliteEngine.open(Settings.load(given))

    async def write(self, *names: str, key: sealing.Key | None = None) -> None:
        engine = await self.engine(key)
        assert engine.sealing.wanted
        ask = CreateEntities([EntityInput(name, "t", [SECRET]) for name in names])
        await engine.write(lambda tx: HANDLERS[ask.op](tx, ask), Call(Peer(client="t", greeted=True), ask))
        engine.leave()
        await engine.close()

    async def names(self, key: sealing.Key | None = None, store: Path | None = None) -> list[str]:
        engine = await self.engine(key, store)
        ask = ListEntities()
        found: Any = await engine.read(lambda tx: HANDLERS[ask.op](tx, ask), Call(Peer(client="t", greeted=True), ask))
        problems = (await engine.check(quick=False)).problems
        engine.leave()
        await engine.close()
        assert problems == []
        return sorted(one.name for one in found.entities)

    def run(self, verb: str, *words: str, **settings: str) -> dict[str, Any]:
        """What `memory-db VERB --json` says."""
        given = {"STORE": str(self.store), "BACKUP_FOLDER": str(self.folder / "backups")}
        given |= {name.upper(): value for name, value in settings.items()}
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "enhanced_memory.daemon", verb, "--json", *words],
            env=os.environ | {"ENHANCED_MEMORY_" + name: value for name, value in given.items()},
            capture_output=True, check=False,
        )  # fmt: skip
        assert ran.stdout, ran.stderr.decode()
        return json.loads(ran.stdout)


@pytest.fixture
def vault(home: Path) -> Vault:
    return Vault(home)


def in_the_clear(folder: Path) -> list[str]:
    """Files that show the secret, or that they are SQLite's."""
    return [
        str(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (SECRET.encode() in (held := path.read_bytes()) or held.startswith(b"SQLite format 3"))
    ]


async def test_where_sqlite_cannot_encrypt_a_key_is_refused_with_the_command_that_helps(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(apsw, "mc_version", raising=False)
    with pytest.raises(StoreRefused, match="cannot encrypt") as refused:
        await vault.engine()
    assert "apsw-sqlite3mc" in refused.value.hint
    assert not vault.store.exists()


def test_a_key_is_shown_by_its_mark_alone(vault: Vault) -> None:
    assert vault.key.digits not in repr(vault.key)
    assert vault.key.digits[:8] not in vault.key.mark
    assert vault.key.path.stat().st_mode & 0o777 == 0o600


def test_of_two_keys_that_may_fit_the_one_that_does_not_is_no_damage(vault: Vault) -> None:
    new = sealing.made(vault.folder / "new")
    sealing.note(vault.store, vault.key, new)
    with pytest.raises(StoreRefused, match="was being changed") as refused, sealing.opened(vault.store, vault.key):
        raise apsw.NotADBError
    assert new.mark in refused.value.hint
    sealing.note(vault.store, vault.key)
    with pytest.raises(StoreDamaged), sealing.opened(vault.store, vault.key):
        raise apsw.NotADBError


@pytest.mark.parametrize("killed", [True, False])
def test_a_restore_notes_both_keys_until_the_new_file_lies_there(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    new, draft, replace = sealing.made(vault.folder / "new"), vault.folder / "draft", os.replace
    vault.store.write_bytes(bytes(512))
    draft.write_bytes(bytes(512))
    sealing.note(vault.store, vault.key)
    seen: list[list[str]] = []

    def replaced(here: Path, there: Path) -> None:
        if there == vault.store:
            seen.append(sealing.marks(vault.store))
            if killed:
                raise KeyboardInterrupt
        replace(here, there)

    monkeypatch.setattr(os, "replace", replaced)
    with pytest.raises(KeyboardInterrupt) if killed else nullcontext():
        restore._put(draft, vault.store, new)
    assert seen == [[vault.key.mark, new.mark]]
    assert sealing.marks(vault.store) == (seen[0] if killed else [new.mark])


@pytest.mark.parametrize("given", ["none", "other"])
def test_salvage_tells_a_wrong_key_from_damage(vault: Vault, given: str) -> None:
    vault.store.write_bytes(bytes(range(256)) * 32)
    sealing.note(vault.store, vault.key)
    key = sealing.made(vault.folder / "other") if given == "other" else None
    with pytest.raises(StoreRefused, match="is encrypted" if key is None else "not this store's"):
        salvage(vault.store, vault.folder / "saved.db", key)
    assert not (vault.folder / "saved.db").exists()


async def test_what_a_killed_change_of_key_left_is_removed_by_the_next_owner(vault: Vault) -> None:
    for end in ("", "-journal"):
        vault.store.with_name("memory.db.rekeying" + end).write_text(SECRET)
    engine = await SqliteEngine.open(Settings.load({"store": str(vault.store), "embedder": "none"}))
    engine.leave()
    await engine.close()
    assert in_the_clear(vault.folder) == [str(vault.store)]


@ciphers
@pytest.mark.parametrize("wrong", ["", "short", "zz" * 32, "ab" * 33])
def test_what_is_no_key_is_not_taken_for_one(vault: Vault, wrong: str) -> None:
    vault.key.path.write_text(wrong)
    with pytest.raises(StoreRefused, match="holds no key"):
        sealing.read(vault.key.path)


@ciphers
def test_a_key_that_others_can_read_is_refused(vault: Vault) -> None:
    vault.key.path.chmod(0o640)
    with pytest.raises(StoreRefused, match="by others"):
        sealing.read(vault.key.path)


@ciphers
def test_the_credential_that_systemd_hands_over_is_the_key(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = vault.folder / "credentials"
    folder.mkdir()
    (folder / sealing.CREDENTIAL).write_text(vault.key.digits)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    found = sealing.key_of(Settings.load({}))
    assert found is not None
    assert found.mark == vault.key.mark


@ciphers
async def test_nothing_of_an_encrypted_store_lies_there_in_the_clear(vault: Vault) -> None:
    engine = await vault.engine()
    ask = CreateEntities([EntityInput("Ada", "t", [SECRET])])
    await engine.write(lambda tx: HANDLERS[ask.op](tx, ask), Call(Peer(client="t", greeted=True), ask))
    assert vault.store.with_name("memory.db-wal").stat().st_size
    assert in_the_clear(vault.folder) == []  # while it is open, its log included
    await engine.backup(str(vault.folder / "backups"))
    await engine.backup(str(vault.folder / "copy.db"))
    engine.leave()
    await engine.close()
    assert in_the_clear(vault.folder) == []
    assert await vault.names() == ["Ada"]


@ciphers
async def test_who_has_no_key_or_another_one_is_told_so_and_the_file_is_left_alone(vault: Vault) -> None:
    await vault.write("Ada")
    before = vault.store.read_bytes()
    other = sealing.made(vault.folder / "other")
    with pytest.raises(StoreRefused, match="not this store's"):
        await vault.engine(other)
    vault.store.with_name("memory.db.sealed").unlink()  # what says whose it is may be lost
    with pytest.raises(StoreRefused, match="cannot be read with the key"):
        await vault.engine(other)
    with pytest.raises(StoreRefused, match="is encrypted"):
        await SqliteEngine.open(Settings.load({"store": str(vault.store)}))
    assert vault.store.read_bytes() == before
    assert await vault.names() == ["Ada"]


@ciphers
async def test_a_broken_file_is_told_from_a_wrong_key(vault: Vault) -> None:
    await vault.write("Ada")
    with open(vault.store, "r+b") as file:
        file.seek(200)
        file.write(b"not what was there")
    with pytest.raises(StoreDamaged, match="The key is the right one"):
        await vault.engine()


@ciphers
async def test_a_page_that_was_changed_is_found(vault: Vault) -> None:
    await vault.write("Ada")
    size = vault.store.stat().st_size
    for place in range(4096 + 100, size, 4096 * 7):  # one bit of each seventh page
        held = bytearray(vault.store.read_bytes())
        held[place] ^= 1
        vault.store.write_bytes(held)
    found: list[str] = vault.run("check", key_file=str(vault.key.path)).get("problems", ["it cannot be read"])
    assert found


@ciphers
@pytest.mark.parametrize("apart", [False, True])
async def test_a_backup_stays_encrypted_and_restores(
    vault: Vault, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if apart:
        monkeypatch.setattr(backup, "APART", 0)
    await vault.write("Ada")
    engine = await vault.engine()
    made = describe(Path((await engine.backup(str(vault.folder / "backups"))).path))
    engine.leave()
    await engine.close()
    assert made.manifest is not None
    assert made.manifest.key == vault.key.mark
    await vault.write("Bob")
    key = str(vault.key.path)
    assert vault.run("drill", key_file=key)["ok"]
    restored = vault.run("restore", key_file=key)
    assert restored["counts"]["entities"] == 1
    assert await vault.names() == ["Ada"]
    assert await vault.names(store=Path(restored["replaced"])) == ["Ada", "Bob"]
    assert in_the_clear(vault.folder) == []


@ciphers
async def test_a_backup_of_another_key_takes_the_key_of_the_store_it_is_restored_to(vault: Vault) -> None:
    await vault.write("Ada")
    engine = await vault.engine()
    await engine.backup(str(vault.folder / "backups"))
    engine.leave()
    await engine.close()
    old, new = str(vault.key.path), str(vault.folder / "new")
    assert vault.run("rekey", "--to", new, key_file=old)["encrypted"]
    assert "another key" in vault.run("restore", key_file=new)["error"]["message"]
    assert vault.run("restore", "--key-file", old, key_file=new)["counts"]["entities"] == 1
    assert await vault.names(sealing.read(Path(new))) == ["Ada"]
    with pytest.raises(StoreRefused):
        await vault.engine()


@ciphers
async def test_a_store_is_encrypted_rekeyed_and_set_free(vault: Vault) -> None:
    plain = await SqliteEngine.open(Settings.load({"store": str(vault.store), "embedder": "none"}))
    ask = CreateEntities([EntityInput("Ada", "t", [SECRET])])
    await plain.write(lambda tx: HANDLERS[ask.op](tx, ask), Call(Peer(client="t", greeted=True), ask))
    plain.leave()
    await plain.close()
    assert in_the_clear(vault.folder) == [str(vault.store)]
    with pytest.raises(StoreRefused, match="is not encrypted"):
        await vault.engine()
    assert vault.run("rekey", "--to", str(vault.key.path))["mark"] == vault.key.mark
    assert in_the_clear(vault.folder) == []
    assert await vault.names() == ["Ada"]
    other = vault.folder / "other"
    assert vault.run("rekey", "--to", str(other), key_file=str(vault.key.path))["encrypted"]
    assert await vault.names(sealing.read(other)) == ["Ada"]
    assert not vault.run("rekey", "--plain", key_file=str(other))["encrypted"]
    assert in_the_clear(vault.folder) == [str(vault.store)]
    assert sorted(path.name for path in vault.folder.iterdir()) == ["key", "memory.db", "memory.db.lock", "other"]


@ciphers
async def test_a_key_that_is_being_changed_may_be_either_until_it_is(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two last steps, the store opens with the new key."""
    from enhanced_memory.daemon.store.sqlite.rekeying import rekey

    await vault.write("Ada")
    new = sealing.made(vault.folder / "new")
    noted: Callable[..., None] = sealing.note

    def note(store: Path, *keys: sealing.Key | None) -> None:
        if len(keys) == 1:
            raise KeyboardInterrupt
        noted(store, *keys)

    monkeypatch.setattr(sealing, "note", note)
    with pytest.raises(KeyboardInterrupt):
        rekey(vault.store, vault.key, new)
    monkeypatch.setattr(sealing, "note", noted)
    with pytest.raises(StoreRefused, match="was being changed") as refused:
        await vault.engine()
    assert new.mark in refused.value.hint
    with pytest.raises(StoreRefused, match="was being changed"):
        salvage(vault.store, vault.folder / "saved.db", vault.key)
    assert await vault.names(new) == ["Ada"]


@ciphers
async def test_salvage_of_an_encrypted_store_is_encrypted(vault: Vault) -> None:
    await vault.write(*(f"e{number}" for number in range(40)))
    held = bytearray(vault.store.read_bytes())
    held[len(held) // 2] ^= 1
    vault.store.write_bytes(held)
    saved = vault.folder / "saved.db"
    found = vault.run("salvage", "--to", str(saved), key_file=str(vault.key.path))
    assert found["problems"] == []
    assert in_the_clear(vault.folder) == []
    assert len(await vault.names(store=saved)) > 0


@ciphers
async def test_a_key_is_neither_logged_nor_among_a_process_arguments(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    begun = subprocess.Popen

    def started(command: list[str], **also: Any) -> Any:
        seen.append(command)
        return begun(command, **also)

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(backup, "APART", 0)
    await vault.write("Ada")
    assert await vault.names() == ["Ada"]
    assert len(seen) == 1
    assert str(vault.key.path) in seen[0]
    assert vault.key.digits not in " ".join(seen[0])
