# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Saving what can be read from a broken store into a new one, with a report of what could not.

Every table is read from both ends up to where SQLite stops, then key by key over the gap; what does not match its checksum is
left out. Then what refers to something lost is mended or let go, so that the new store verifies: an entity without a name gets
the one that its body says, a stream that was lost is put back as an empty one, and the words index is made anew.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec

from enhanced_memory.client.errors import Conflict, Error, StoreDamaged
from enhanced_memory.client.folders import make_private
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec, built_in
from enhanced_memory.daemon.store.rederived import Mark
from enhanced_memory.daemon.store.sqlite import file, sealing, verifying
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.mending import mended
from enhanced_memory.daemon.store.sqlite.rows import dictionaries, each, translated

__all__ = ["Salvaged", "salvage"]

PAGE = 500
PROBES = 2_000_000
"""Keys asked for one by one between what was read from both ends, at the most."""

_DERIVED = ("words", "words_past", "words_next")
_BODIES = {"entities": "state", "messages": "line"}


class Found(msgspec.Struct):
    """What became of one table."""

    kept: int = 0
    damaged: int = 0
    """Rows that were read and do not match their checksum, or are not what such a row may be."""
    complete: bool = True
    """Whether the table could be read from end to end."""


class Salvaged(msgspec.Struct):
    """What was saved, and what was not."""

    store: str
    source: str
    tables: dict[str, Found]
    mended: dict[str, int]
    """What was done so that the new store verifies."""
    lost: list[str]
    """Entities that are mentioned and not there any more: by id, and by name where it is known."""
    problems: list[str]
    """What the check of the new store found; nothing, unless the program is at fault."""
    grafted: bool
    """Whether the first page was unreadable and that of a new store was put in its place."""
    seconds: float


def salvage(broken: Path, to: Path, key: sealing.Key | None = None) -> Salvaged:
    """Read all that can be read of `broken` into a new store at `to`, which is encrypted if there is a key. The broken file is not
    touched.

    `Conflict` where `to` exists, `StoreRefused` where `broken` needs another key, `StoreDamaged` where nothing could be read.
    """
    began = time.monotonic()
    if sealing.sealed(broken):
        sealing.fits(broken, key)
    if to.exists():
        raise Conflict(f"{to} exists.", "name a file that does not exist yet")
    make_private(to.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=".salvage-", dir=to.parent) as folder, translated():
            copy = Path(folder) / "broken.db"
            shutil.copyfile(broken, copy)
            if (log := broken.with_name(broken.name + "-wal")).exists():
                shutil.copyfile(log, copy.with_name(copy.name + "-wal"))
            with sealing.opened(broken, key):
                source, grafted = _opened(copy, key if sealing.sealed(broken) else None)
            target = file.open_store(to, "FULL", key)
            try:
                target.execute("DELETE FROM spaces")
                tables = _tables(source, target)
                done, lost = mended(target)
            finally:
                source.close()
                target.close()
        asyncio.run(_words_anew(to, key))
        health = verifying.check(to, False, key)
    except BaseException:
        for end in ("", "-wal", "-shm", ".lock", ".sealed"):
            to.with_name(to.name + end).unlink(missing_ok=True)
        raise
    return Salvaged(str(to), str(broken), tables, done, lost, health.problems, grafted, time.monotonic() - began)


def _opened(copy: Path, key: sealing.Key | None) -> tuple[apsw.Connection, bool]:
    """A connection to the copy; with the first page of a new store where its own cannot be read."""
    # A new store's first page says where tables are in the clear; of an encrypted file it is no page.
    for grafted in (False, True) if key is None else (False,):
        if grafted:
            with tempfile.TemporaryDirectory() as folder:
                fresh = Path(folder) / "fresh.db"
                file.open_store(fresh, "FULL").close()
                head = bytearray(fresh.read_bytes()[:4096])
            copy.with_name(copy.name + "-wal").unlink(missing_ok=True)
            with open(copy, "r+b") as out:
                size = out.seek(0, os.SEEK_END)
                head[28:32] = (size // 4096).to_bytes(4, "big")
                out.seek(0)
                out.write(head)
        try:
            source = apsw.Connection(os.fspath(copy))
            if key is not None:
                sealing.unlock(source, key)
            source.execute("PRAGMA cell_size_check = ON")
            source.execute("PRAGMA trusted_schema = OFF")
            names = {name for (name,) in each(source, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if {"entities", "changes"} <= names:
                return source, grafted
            source.close()
        except apsw.Error as problem:
            if key is not None and isinstance(problem, apsw.NotADBError):
                raise  # maybe the key is the wrong one
    raise StoreDamaged("Nothing of it can be read: it does not say where its tables are.", "restore a backup")


# Reading


def _tables(source: apsw.Connection, target: apsw.Connection) -> dict[str, Found]:
    """Copy every table that both know, and say how that went. Dictionaries come first: bodies are unpacked with them."""
    names = [
        name
        for (name,) in each(
            target,
            """SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'
               ORDER BY name <> 'dictionaries', name""",
        )
    ]
    said: dict[str, Found] = {}
    known = {BUILT_IN: built_in()}
    for name in names:
        if name in _DERIVED:
            continue
        found = said[name] = Found()
        try:
            theirs = {row[1] for row in each(source, f'PRAGMA table_info("{name}")')}
        except apsw.Error:
            theirs = set[str]()
        mine = list(each(target, f'PRAGMA table_info("{name}")'))
        columns = [row[1] for row in mine if row[1] in theirs]
        keys = [row[1] for row in sorted(mine, key=lambda row: row[5]) if row[5]] or ["rowid"]
        if not columns:
            found.complete = False
            continue
        codec = Codec(known)
        text = f'INSERT OR REPLACE INTO "{name}" ({", ".join(columns)}) VALUES ({", ".join("?" * len(columns))})'
        target.execute("BEGIN")
        for row in _rows(source, name, columns, keys, found):
            values = dict(zip(columns, row, strict=True))
            try:
                _sound(name, values, codec)
                target.execute(text, row)
                found.kept += 1
            except (Error, apsw.Error, ValueError):
                found.damaged += 1
        target.execute("COMMIT")
        if name == "dictionaries":
            known = dictionaries(target)
    return said


def _sound(table: str, values: dict[str, Any], codec: Codec) -> None:
    """Raise where a body is not the one that was written."""
    if table == "entities":
        codec.state(values["body"], values["crc"])
    elif table == "messages" and not values.get("block"):
        codec.line(values["body"], values["crc"])
    elif table == "blocks":
        codec.plain(values["body"], values["crc"])


def _rows(
    source: apsw.Connection, table: str, columns: list[str], keys: list[str], found: Found
) -> Iterator[tuple[Any, ...]]:
    """The rows of a table as far as they can be read: from the first on, from the last back, and one by one in between."""
    listed, order = ", ".join(columns), ", ".join(keys)
    first: tuple[Any, ...] | None = None
    last: tuple[Any, ...] | None = None
    for back in (False, True):
        way, sign = (" DESC", "<") if back else ("", ">")
        ordered = ", ".join(key + way for key in keys)
        place: tuple[Any, ...] | None = None
        while True:
            where = f"WHERE ({order}) {sign} ({', '.join('?' * len(keys))})" if place is not None else ""
            page: list[tuple[Any, ...]] = []
            broken = False
            try:
                for row in each(
                    source,
                    f'SELECT {order}, {listed} FROM "{table}" {where} ORDER BY {ordered} LIMIT {PAGE}',
                    place or (),
                ):
                    page.append(row)
            except apsw.Error:
                broken = True
            for row in page:
                key = row[: len(keys)]
                if back and first is not None and not _after(key, first):
                    return
                yield row[len(keys) :]
                place = key
            if broken:
                found.complete = False
                if back:
                    last = place
                else:
                    first = place
                break
            if len(page) < PAGE:
                if not back:
                    return  # all of it
                break
    if len(keys) == 1:
        yield from _between(source, table, listed, keys[0], first, last)


def _after(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    try:
        return one > other
    except TypeError:  # keys of several kinds
        return True


def _between(
    source: apsw.Connection,
    table: str,
    listed: str,
    key: str,
    first: tuple[Any, ...] | None,
    last: tuple[Any, ...] | None,
) -> Iterator[tuple[Any, ...]]:
    """The rows between two numbers, asked for one by one."""
    low = first[0] if first and isinstance(first[0], int) else 0
    high = last[0] if last and isinstance(last[0], int) else low + PROBES
    missed = 0
    for number in range(low + 1, min(high, low + PROBES)):
        try:
            rows = list(each(source, f'SELECT {listed} FROM "{table}" WHERE {key} = ?', (number,)))
        except apsw.Error:
            missed = 0
            continue
        yield from rows
        missed = 0 if rows else missed + 1
        if last is None and missed > 10_000:
            return  # beyond what there ever was


async def _words_anew(store: Path, key: sealing.Key | None) -> None:
    """Fill the words index, and ask the daemon that serves the store first to make what vectors are missing."""
    given = {"store": str(store), "readers": 1, "embedder": "none", "key_file": str(key.path) if key else None}
    engine = await SqliteEngine.open(Settings.load(given))
    call = Call(Peer(client="salvage"), Request())
    mark = Mark(what="words")
    try:
        await engine.write(lambda tx: tx.rederived.begin_words(mark), call)
        while await engine.write(lambda tx: tx.rederived.some_words(mark, PAGE), call):
            pass
        await engine.write(lambda tx: tx.rederived.end_words(mark), call)
        await engine.write(lambda tx: tx.rederived.note(None), call)
        engine.leave()
    finally:
        await engine.close()
