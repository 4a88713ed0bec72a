"""What doctor finds out about files, folders, the disk and the clock."""

import os
import re
import shlex
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from enhanced_memory.client.cli.output import moment, size
from enhanced_memory.client.settings import Settings

__all__ = ["Finding", "clock", "disk", "good", "log_folder", "store_file", "store_folder", "wary", "wrong"]

LEAST_FREE = 64 * 1024 * 1024
MAGIC = b"SQLite format 3\0"
_SEALED = bytes([32, 64, 32, 32])
"""What stands in the header of an encrypted store (see daemon/store/sqlite/sealing.py)."""
NETWORKED = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "afs"}
"""File systems on which SQLite's write-ahead log is not safe: its index is shared memory."""


@dataclass
class Finding:
    """One thing that was looked at."""

    check: str
    state: Literal["ok", "warning", "wrong"]
    says: str
    mend: str = ""
    """The command that mends it."""


def good(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", says)


def wary(check: str, says: str, mend: str) -> Finding:
    """It works, but not as it could."""
    return Finding(check, "warning", says, mend)


def wrong(check: str, says: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(check, "wrong", says, mend)


def nearest(path: Path) -> Path:
    """The nearest folder above `path` that exists."""
    for folder in path.parents:
        if folder.is_dir():
            return folder
    return Path("/")


def folder_findings(check: str, folder: Path, *, private: bool) -> Iterator[Finding]:
    """Whether files can be made in `folder`, and nobody else can."""
    name = shlex.quote(str(folder))
    try:
        found = os.stat(folder)
    except FileNotFoundError:
        above = nearest(folder)
        if os.access(above, os.W_OK | os.X_OK):
            yield good(check, f"{folder} is not there yet and is made when it is needed")
        else:
            yield wrong(
                check,
                f"{folder} is not there and cannot be made in {above}",
                f"sudo install -d -m 700 -o {os.getuid()} {name}",
            )
        return
    except OSError as problem:
        yield wrong(check, f"{folder}: {problem.strerror}", f"ls -ld {name}")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield wrong(check, f"{folder} is not a folder", f"mv {name} {name}.aside")
    elif os.statvfs(folder).f_flag & os.ST_RDONLY:
        yield wrong(
            check,
            f"{folder} lies on a file system that is mounted read-only: dmesg says whether a fault of the disk made it so",
            f'sudo mount -o remount,rw "$(findmnt -no TARGET -T {name})"',
        )
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield wrong(
            check,
            f"{folder} cannot be written to by uid {os.getuid()}; it belongs to uid {found.st_uid}",
            f"sudo chown {os.getuid()} {name}",
        )
    elif found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        yield wrong(
            check, f"{folder} can be written to by others ({stat.filemode(found.st_mode)})", f"chmod go-w {name}"
        )
    elif private and found.st_mode & 0o077:
        yield wary(
            check, f"{folder} can be looked into by others ({stat.filemode(found.st_mode)})", f"chmod 700 {name}"
        )
    else:
        yield good(check, f"{folder} ({stat.filemode(found.st_mode)})")


def store_folder(settings: Settings) -> Iterator[Finding]:
    """The folder in which the store lies."""
    if settings.database:
        return
    folder = settings.store_path.parent
    yield from folder_findings("store folder", folder, private=True)
    kind = _file_system(nearest(settings.store_path))
    if kind in NETWORKED:
        yield wary(
            "file system",
            f"{folder} lies on {kind}, on which SQLite's log is not safe",
            "export ENHANCED_MEMORY_STORE=/a/local/disk/memory.db",
        )


def _file_system(path: Path) -> str:
    """The type of the file system that `path` lies on, empty where the system does not say."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()]
    except OSError:
        return ""
    best, kind = "", ""
    for _, place, found, *_ in mounts:
        place = place.replace("\\040", " ")
        if len(place) >= len(best) and path.is_relative_to(place):
            best, kind = place, found
    return kind


def store_file(settings: Settings) -> Iterator[Finding]:
    """The store itself, without opening it as a database: the daemon may be writing it."""
    if settings.database:
        return  # said by `database`
    path = settings.store_path
    name = shlex.quote(str(path))
    try:
        found = os.stat(path)
        with open(path, "rb") as file:
            head = file.read(72)
            start = head[: len(MAGIC)]
    except FileNotFoundError:
        yield good("store", f"{path} is not there yet; the daemon makes it")
        return
    except OSError as problem:
        yield wrong("store", f"{path}: {problem.strerror}", f"sudo chown {os.getuid()} {name}; chmod 600 {name}")
        return
    if not stat.S_ISREG(found.st_mode):
        yield wrong("store", f"{path} is not a regular file", f"mv {name} {name}.aside")
    elif start not in (MAGIC, b"") and (head[20:24] == _SEALED or path.with_name(path.name + ".sealed").exists()):
        yield from _encrypted(path, settings)
    elif start not in (MAGIC, b""):
        yield wrong("store", f"{path} is not a SQLite file", f"mv {name} {name}.aside, or set ENHANCED_MEMORY_STORE")
    elif found.st_uid != os.getuid():
        yield wrong(
            "store", f"{path} belongs to uid {found.st_uid}, not {os.getuid()}", f"sudo chown {os.getuid()} {name}"
        )
    elif head and int.from_bytes(head[68:72]) != _in_schema("application_id"):
        yield wrong("store", f"{path} is another program's", f"mv {name} {name}.aside, or set ENHANCED_MEMORY_STORE")
    elif head and (schema := int.from_bytes(head[60:64])) > (known := _in_schema("user_version")):
        yield wrong(
            "store",
            f"{path} has schema {schema}, and this program knows {known}: a newer one has written it",
            "install the newer enhanced-memory, or memoryctl backups restore latest",
        )
    elif not os.access(path, os.W_OK):
        yield wrong("store", f"{path} is read-only", f"chmod 600 {name}")
    elif found.st_mode & 0o077:
        yield wary("store", f"{path} is open to others ({stat.filemode(found.st_mode)})", f"chmod 600 {name}")
    else:
        yield good("store", f"{path}, {size(found.st_size)}, changed {_when(found.st_mtime)}")


def _in_schema(pragma: str) -> int:
    found = re.search(rf"PRAGMA {pragma} = (\d+)", (Path(__file__).parents[2] / "schema.sql").read_text("utf-8"))
    return int(found[1]) if found else 0


def _encrypted(path: Path, settings: Settings) -> Iterator[Finding]:
    """A store that the database has encrypted, and the key that is named for it."""
    key = Path(settings.key_file).expanduser() if settings.key_file else None
    if key is None:
        yield wary(
            "store",
            f"{path} is encrypted, and no key is named here; a service may have it as a credential",
            "export ENHANCED_MEMORY_KEY_FILE=/where/the/key/is",
        )
    elif not os.access(key, os.R_OK):
        yield wrong("store", f"{path} is encrypted, and its key {key} cannot be read", f"ls -l {shlex.quote(str(key))}")
    else:
        yield good("store", f"{path}, encrypted with {key}, {size(path.stat().st_size)}")


def disk(settings: Settings) -> Iterator[Finding]:
    """The space that is left where the store lies."""
    place = nearest(settings.store_path)
    usage = shutil.disk_usage(place)
    held = settings.store_path.stat().st_size if settings.store_path.is_file() else 0
    says = f"{size(usage.free)} free of {size(usage.total)} at {place}"
    counts = os.statvfs(place)
    if usage.free < LEAST_FREE or (counts.f_files and not counts.f_favail):
        yield wrong(
            "disk",
            says if usage.free < LEAST_FREE else f"no free inodes at {place}",
            f"df -h {shlex.quote(str(place))}; free some space",
        )
    elif usage.free < 2 * held:
        yield wary(
            "disk", f"{says}: less than two copies of the store", f"df -h {shlex.quote(str(place))}; free some space"
        )
    else:
        yield good("disk", says)


def clock(settings: Settings) -> Iterator[Finding]:
    """Whether the time can be believed: every memory carries it."""
    now = time.time()
    path = settings.store_path
    changed = path.stat().st_mtime if path.is_file() else 0.0
    if now < 1_735_689_600:  # 2025-01-01: older than this program
        yield wrong("clock", f"it says {_when(now)}", "sudo timedatectl set-ntp true")
    elif changed > now + 60:
        yield wrong(
            "clock",
            f"it says {_when(now)}, and the store was changed at {_when(changed)}",
            "sudo timedatectl set-ntp true",
        )
    else:
        yield good("clock", _when(now))


def _when(seconds: float) -> str:
    from datetime import UTC, datetime

    return moment(datetime.fromtimestamp(seconds, UTC))


def log_folder(settings: Settings) -> Iterator[Finding]:
    """Where a daemon started on demand says what happens to it."""
    path = Path(settings.log_file).expanduser().absolute()
    if path.exists() and not os.access(path, os.W_OK):
        yield wrong("log", f"{path} cannot be written to", f"chmod u+w {shlex.quote(str(path))}")
    elif path.parent != settings.store_path.parent:
        yield from folder_findings("log folder", path.parent, private=False)
    else:
        yield good("log", str(path))
