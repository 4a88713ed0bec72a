# zstandard's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false
"""Files of cold storage: what was archived out of the store, packed, hashed and never altered.

A file is zstd around one msgpack map; any tool reads it. An encrypted store's files are encrypted, too, each with a key of its own
that the store keeps. Their names end with `.db` and hold the store's id: without the key nothing else tells whose one is.

A file is written under its name with `.partial` behind it and is on disk before a row names it; it gets its name once that row
stands. So a `.partial` that no row names was never part of the store.
"""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import Broken, Error, StoreDamaged, StoreFull
from enhanced_memory.client.folders import make_private
from enhanced_memory.daemon.store.ground import Sealing

__all__ = [
    "NAME",
    "PARTIAL",
    "Given",
    "Group",
    "Written",
    "copied",
    "delete",
    "discard",
    "lie_there",
    "named",
    "read",
    "remedy",
    "whose",
    "write",
    "wrong",
]

FORMAT = 1
LEVEL = 9
PARTIAL = ".partial"
NAME = re.compile(r"cold_\d{8}_\d{6}_[0-9a-f]{8}(?:\.zst|_(?P<store>[0-9a-f]+)\.db)")
SEALED = ".db"
_MAX_BYTES = 2 * 1024**3
_NO_SPACE = 28


class Given(msgspec.Struct, array_like=True):
    """A vector that a caller gave, as it is kept."""

    part: int
    message: int
    model: str
    dimension: int
    vector: bytes


class Group(msgspec.Struct):
    """All that the store held of one entity in one space: records as an export tells them, and callers' own vectors."""

    space: int
    entity: int
    records: list[dict[str, Any]]
    vectors: list[Given] = []

    @property
    def versions(self) -> list[dict[str, Any]]:
        """Its versions, oldest first."""
        return [version for record in self.records if record["type"] == "entity" for version in record["versions"]]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of its stream."""
        return [record for record in self.records if record["type"] == "message"]


class Contents(msgspec.Struct):
    """What a file holds."""

    format: int
    store_id: str
    made_at: str
    groups: list[Group]


class Written(msgspec.Struct):
    """A file that was written."""

    name: str
    bytes: int
    sha256: str
    key: str = ""
    """What it is encrypted with; empty: it is not."""


_decode = msgspec.msgpack.Decoder(Contents).decode


def write(folder: Path, store_id: str, groups: list[Group], sealing: Sealing | None = None) -> Written:
    """Write a file, not yet under its name. It is on disk and was read again when this returns. `StoreFull`, `Broken`."""
    sealed = sealing if sealing is not None and sealing.wanted else None
    now = datetime.now(UTC)
    name = f"cold_{now:%Y%m%d_%H%M%S}_{secrets.token_hex(4)}" + (f"_{store_id}{SEALED}" if sealed else ".zst")
    plain = msgspec.msgpack.encode(Contents(FORMAT, store_id, now.isoformat(timespec="seconds"), groups))
    packed = zstandard.ZstdCompressor(LEVEL, write_checksum=True).compress(plain)
    path, key = folder / (name + PARTIAL), ""
    try:
        make_private(folder)
        if sealed is None:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as out:
                out.write(packed)
        else:
            key = sealed.write(path, packed)
        sync(path)
        sync(folder)
        written = path.read_bytes()
        again = written if sealed is None else sealed.read(path, key)
    except Error:
        path.unlink(missing_ok=True)
        raise
    except OSError as problem:
        path.unlink(missing_ok=True)
        if problem.errno == _NO_SPACE:
            raise StoreFull(f"There is no space left at {folder}.") from None
        raise Broken(f"{path} cannot be written: {problem.strerror}.", "see the setting `cold_folder`") from None
    if again != packed:
        path.unlink(missing_ok=True)
        raise StoreDamaged(f"{path} does not hold what was written to it.", "check the disk")
    return Written(name, len(written), hashlib.sha256(written).hexdigest(), key)


def named(folder: Path, name: str) -> None:
    """Give a file its name, now that a row names it. One that has it already is left as it is. `StoreDamaged` where there is neither."""
    partial = folder / (name + PARTIAL)
    if partial.exists():
        os.rename(partial, folder / name)
        sync(folder)
    elif not (folder / name).exists():
        raise StoreDamaged(f"The file {folder / name} of cold storage was removed while it was written.")


def discard(folder: Path, name: str) -> None:
    """Remove a file that no row names."""
    (folder / (name + PARTIAL)).unlink(missing_ok=True)


def delete(folder: Path, name: str) -> None:
    """Remove a file, for good before this returns."""
    for path in (folder / name, folder / (name + PARTIAL)):
        path.unlink(missing_ok=True)
    if folder.is_dir():
        sync(folder)


def read(folder: Path, name: str, sha256: str, sealing: Sealing | None = None, key: str = "") -> list[Group]:
    """What a file holds. `StoreDamaged` names it where it is missing or is not what was written, or its key is lost; `StoreRefused`
    where it is encrypted and nothing encrypted can be read here."""
    problem = "it is not there"
    try:
        packed = _path(folder, name).read_bytes()
    except OSError as failed:
        problem = problem if isinstance(failed, FileNotFoundError) else f"it cannot be read: {failed.strerror}"
    else:
        problem = "it was altered: its SHA-256 is another"
        if name.endswith(SEALED) and (sealing is None or not key):
            problem = "it is encrypted, and the store has lost its key"
        elif hashlib.sha256(packed).hexdigest() == sha256:
            try:
                if sealing is not None and key:
                    packed = sealing.read(_path(folder, name), key)
                contents = _decode(zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_BYTES))
            except (zstandard.ZstdError, msgspec.DecodeError, StoreDamaged) as failed:
                problem = f"it cannot be unpacked: {failed}"
            else:
                if contents.format == FORMAT:
                    return contents.groups
                problem = f"it has format {contents.format}, and this program reads {FORMAT}"
    raise StoreDamaged(f"The file {folder / name} of cold storage cannot be used: {problem}.", remedy(sha256))


def whose(path: Path) -> str | None:
    """The id of the store that wrote a file: empty where it was not written to its end, none where that cannot be told. `OSError`."""
    named = NAME.fullmatch(path.name.removesuffix(PARTIAL))
    if named and named["store"]:
        return named["store"]
    try:
        return _decode(zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=_MAX_BYTES)).store_id
    except zstandard.ZstdError:
        return ""
    except msgspec.DecodeError:
        return None


def wrong(folder: Path, name: str, size: int, sha256: str, quick: bool) -> str:
    """What is wrong with a file, or nothing. `quick` looks at its size alone."""
    path = _path(folder, name)
    try:
        if path.stat().st_size != size:
            return f"has {path.stat().st_size:,} bytes, not {size:,}"
        if not quick:
            with open(path, "rb") as source:
                if hashlib.file_digest(source, "sha256").hexdigest() != sha256:
                    return "was altered"
    except FileNotFoundError:
        return "is not there"
    except OSError as problem:
        return f"cannot be read ({problem.strerror})"
    return ""


def copied(folder: Path, to: Path, name: str) -> int:
    """Copy a file into another folder, on disk before this returns; 1, or 0 where it lies there already."""
    target, source = to / name, _path(folder, name)
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return 0
    make_private(to)
    partial = to / (name + PARTIAL)
    partial.unlink(missing_ok=True)
    with open(source, "rb") as old, open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
        shutil.copyfileobj(old, new)
    sync(partial)
    os.rename(partial, target)
    sync(to)
    return 1


def remedy(sha256: str) -> str:
    """What to do about a file that is missing or altered."""
    return f"put a copy of it back whose SHA-256 is {sha256}; `purge_entities` lets go of what is lost"


def lie_there(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the files in a folder: those that have their name, and those that have not got it."""
    try:
        found: Iterable[str] = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    whole = sorted(name for name in found if NAME.fullmatch(name))
    partial = sorted(name.removesuffix(PARTIAL) for name in found if name.endswith(PARTIAL))
    return whole, [name for name in partial if NAME.fullmatch(name)]


def _path(folder: Path, name: str) -> Path:
    path = folder / name
    # Between the commit and the renaming a file has not got its name yet.
    return path if path.exists() or not (folder / (name + PARTIAL)).exists() else folder / (name + PARTIAL)
