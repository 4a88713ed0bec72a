"""Backups as files: what each is called, the manifest beside it, packing and unpacking, which to choose and which to let go.

A backup is `memory_20261120_031500.db.zst` (its time in UTC), and beside it `….db.zst.json`, which says what is in it. What is
compared when it is used is the manifest; a backup that lost it can still be opened and checked, and says so.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import Broken, Invalid, NotFound, StoreDamaged, StoreFull
from enhanced_memory.client.folders import make_private

__all__ = [
    "NAME",
    "Kept",
    "Manifest",
    "choose",
    "copied",
    "describe",
    "kept",
    "let_go",
    "name_at",
    "packed",
    "proven",
    "read_manifest",
    "unpacked",
]

FORMAT = 1
LEVEL = 3
"""Bodies are compressed already; what is left to gain are indexes and free room. Level 9 saves 2 % more in three times the time."""
PACKED = ".zst"
_PIECE = 1 << 20
NAME = re.compile(r"memory_(\d{8}_\d{6})\.db(\.zst)?")
_LEFTOVER = re.compile(r"memory_\d{8}_\d{6}\.db.*\.partial(\.arriving)?(-wal|-shm|-journal)?")
_NO_SPACE = 28


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds, and by what it is known to be whole."""

    format: int
    made_at: datetime
    file: str
    bytes: int
    sha256: str
    """Of the file as it lies there."""
    store_bytes: int
    store_sha256: str
    """Of the store in it, unpacked."""
    store_id: str
    schema: int
    version: str
    """Of the program that made it."""
    change: int
    """The last change in it."""
    counts: dict[str, int]
    """What was counted when the copy was opened and checked."""
    machine: str = ""
    key: str = ""
    """The mark of the key that it is encrypted with; empty: it is not."""


class Kept(msgspec.Struct, frozen=True):
    """A backup in a folder."""

    path: Path
    made_at: datetime
    bytes: int
    manifest: Manifest | None = None
    problem: str = ""
    """Why it does not count as good, as far as can be seen without reading it."""

    @property
    def good(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.problem


def name_at(at: datetime) -> str:
    """What a backup of that moment is called."""
    return f"memory_{at.astimezone(UTC):%Y%m%d_%H%M%S}.db{PACKED}"


def manifest_of(path: Path) -> Path:
    """Where the manifest of a backup lies."""
    return path.with_name(path.name + ".json")


def read_manifest(path: Path) -> Manifest | None:
    """The manifest beside a backup; None where there is none. `StoreDamaged` for one that cannot be read."""
    beside = manifest_of(path)
    try:
        manifest = msgspec.json.decode(beside.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as problem:
        raise StoreDamaged(f"{beside} cannot be read: {problem}.", "take another backup") from None
    if manifest.format > FORMAT:
        raise Invalid(f"{beside} has format {manifest.format}; this program knows {FORMAT}.", "install the newer one")
    return manifest


def kept(folder: Path) -> list[Kept]:
    """The backups in a folder, newest first; of each what its name, size and manifest say."""
    found: list[Kept] = []
    try:
        paths = [path for path in folder.iterdir() if NAME.fullmatch(path.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    for path in paths:
        try:
            found.append(describe(path))
        except FileNotFoundError:
            continue  # let go by somebody else meanwhile
    return sorted(found, key=lambda one: (one.made_at, one.path.name), reverse=True)


def describe(path: Path) -> Kept:
    """What can be seen of a backup without reading it."""
    size = path.stat().st_size
    named = NAME.fullmatch(path.name)
    at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if named is not None:
        try:
            at = datetime.strptime(named[1], "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return Kept(path, at, size, None, "its name holds no time")
    try:
        manifest = read_manifest(path)
    except (StoreDamaged, Invalid) as problem:
        return Kept(path, at, size, None, problem.message)
    if manifest is None:
        return Kept(path, at, size, None, "it has no manifest")
    if manifest.bytes != size:
        return Kept(path, at, size, manifest, f"it has {size:,} bytes, and its manifest says {manifest.bytes:,}")
    return Kept(path, manifest.made_at, size, manifest)


def choose(folder: Path, which: str) -> Kept:
    """The backup that `which` means: `latest`, a name in the folder, a path, or a time (the newest that is not newer).

    `NotFound` where there is none. Backups that something speaks against are passed over unless they are named.
    """
    named = Path(which).expanduser()
    path = folder / which if os.sep not in which and (which == "latest" or (folder / which).is_file()) else named
    if path.is_file() and not path.name.endswith(".json"):
        return describe(path.absolute())
    if os.sep in which:
        if path.is_dir():
            return choose(path, "latest")
        raise NotFound(f"{path} is not there.", "`memoryctl backups list` shows those there are")
    found = kept(folder)
    good = [one for one in found if one.good]
    if which == "latest":
        until = None
    else:
        try:
            until = datetime.fromisoformat(which)
        except ValueError:
            raise NotFound(
                f"There is no backup {which!r} in {folder}.", "`memoryctl backups list` shows those there are"
            ) from None
        until = until.astimezone(UTC)  # one without a zone is the reader's own
        good = [one for one in good if one.made_at <= until]
    if not good:
        passed = f" {len(found)} there are not good." if found and until is None else ""
        before = f" of {until:%Y-%m-%d %H:%M:%S} or before" if until else ""
        raise NotFound(f"There is no good backup{before} in {folder}.{passed}", "name another folder with --from")
    return good[0]


def let_go(folder: Path, days: float, count: int, store_id: str, now: datetime) -> list[Path]:
    """Delete this store's backups that are older than `days`, and the oldest beyond `count`; 0: no limit. What was deleted.

    The newest good one is never deleted, nor one of another store, nor one whose manifest does not say whose it is.
    """
    ours = [one for one in kept(folder) if one.manifest is not None and one.manifest.store_id == store_id]
    newest = next((one for one in ours if one.good), None)
    going = [
        one
        for place, one in enumerate(ours)
        if one is not newest and ((days and one.made_at < now - timedelta(days=days)) or (count and place >= count))
    ]
    for one in going if newest is not None else []:
        one.path.unlink(missing_ok=True)
        manifest_of(one.path).unlink(missing_ok=True)
    for path in folder.iterdir():
        # What a run that was killed has left.
        if _LEFTOVER.fullmatch(path.name) and now.timestamp() - path.stat().st_mtime > 86_400:
            path.unlink(missing_ok=True)
    return [one.path for one in going] if newest is not None else []


# Packing


def packed(store: Path, target: Path, manifest: Callable[[str, int, str, int], Manifest]) -> Manifest:
    """Pack the finished copy `store` as `target`, prove that it unpacks to the same, write its manifest, and name both at once.

    `manifest` is given sha256 and size of the file and of the store. Both files are on disk when this returns.
    """
    partial = target.with_name(target.name + ".partial")
    noted = manifest_of(target)
    partial_note = noted.with_name(noted.name + ".partial")
    try:
        if target.suffix == PACKED:
            with open(store, "rb") as source, _private(partial) as out:
                zstandard.ZstdCompressor(LEVEL, write_checksum=True).copy_stream(
                    source, out, size=store.stat().st_size, read_size=_PIECE, write_size=_PIECE
                )
            plain, size = _digest(store), store.stat().st_size
            if proven(partial) != (plain, size):
                raise StoreDamaged("The packed copy does not unpack to what was packed.", "check the disk")
            store.unlink()
        else:
            plain, size = _digest(store), store.stat().st_size
            os.rename(store, partial)
        said = manifest(_digest(partial), partial.stat().st_size, plain, size)
        with _private(partial_note) as out:
            out.write(msgspec.json.format(msgspec.json.encode(said), indent=2) + b"\n")
        sync(partial)
        sync(partial_note)
        # The manifest second: one that is there speaks of a backup that is there.
        os.rename(partial, target)
        os.rename(partial_note, noted)
        sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)
        partial_note.unlink(missing_ok=True)
    return said


def proven(path: Path) -> tuple[str, int]:
    """SHA-256 and size of the store in a backup, read and unpacked from its first byte to its last."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(path):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def unpacked(one: Kept, target: Path) -> None:
    """Write the store in a backup to `target` (0600, on disk). `StoreDamaged` where file or store are not what the manifest says."""
    manifest = one.manifest
    if manifest is not None and (found := _digest(one.path)) != manifest.sha256:
        raise StoreDamaged(
            f"{one.path} is damaged: its SHA-256 is {found[:12]}…, not {manifest.sha256[:12]}….", "take another backup"
        )
    digest = hashlib.sha256()
    try:
        with _private(target) as out:
            for piece in _pieces(one.path):
                digest.update(piece)
                out.write(piece)
        sync(target)
    except OSError as problem:
        target.unlink(missing_ok=True)
        if problem.errno == _NO_SPACE:
            raise StoreFull(f"There is no space left at {target.parent} to unpack the backup.") from None
        raise Broken(f"{target} cannot be written: {problem.strerror}.", "check the folder and its disk") from None
    if manifest is not None and digest.hexdigest() != manifest.store_sha256:
        target.unlink(missing_ok=True)
        raise StoreDamaged(f"The store in {one.path} is not the one that was packed.", "take another backup")


def copied(path: Path, folder: Path) -> Path:
    """Copy a backup and its manifest into a second folder, and prove the copy."""
    make_private(folder)
    target = folder / path.name
    if target.exists():
        raise Broken(f"{target} exists.", "name another second folder")
    for source in (path, manifest_of(path)):
        partial = folder / (source.name + ".partial")
        try:
            with open(source, "rb") as old, _private(partial) as new:
                shutil.copyfileobj(old, new, _PIECE)
            sync(partial)
            if _digest(partial) != _digest(source):
                raise StoreDamaged(f"The copy of {source.name} in {folder} is not what was copied.", "check that disk")
            os.rename(partial, folder / source.name)
        finally:
            partial.unlink(missing_ok=True)
    sync(folder)
    return target


def _pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as source:
        if path.name.removesuffix(".partial").endswith(PACKED):
            reader = zstandard.ZstdDecompressor().stream_reader(source, read_size=_PIECE)
            try:
                while piece := reader.read(_PIECE):
                    yield piece
            except zstandard.ZstdError as problem:
                raise StoreDamaged(f"{path} cannot be unpacked: {problem}.", "take another backup") from None
        else:
            while piece := source.read(_PIECE):
                yield piece


def _digest(path: Path) -> str:
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _private(path: Path) -> BinaryIO:
    path.unlink(missing_ok=True)
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
