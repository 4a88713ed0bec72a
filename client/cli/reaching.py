"""What doctor finds out about the socket, the daemon behind it, and who owns the store."""

import os
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from enhanced_memory.client.cli.keeping import probed
from enhanced_memory.client.cli.output import moment
from enhanced_memory.client.cli.service import peer_pid
from enhanced_memory.client.cli.surroundings import Finding, folder_findings, good, wary, wrong
from enhanced_memory.client.errors import Denied, Error, Unavailable, UnknownOperation, WrongStore
from enhanced_memory.client.launch import dial
from enhanced_memory.client.operations.service import Status
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.sync import Memory

__all__ = ["daemon", "database", "ownership", "socket_file", "socket_folder"]

BACKUP_DAYS = 7
NAMED = re.compile(r"memory_(\d{8}_\d{6})\.db(\.zst)?")
"""What a backup is called, by its time in UTC."""


def socket_folder(settings: Settings) -> Iterator[Finding]:
    """The folder of the socket: who may write in it can take the daemon's place."""
    yield from folder_findings("socket folder", settings.socket_path.parent, private=False)


def socket_file(settings: Settings) -> Iterator[Finding]:
    """The socket: there, a socket, and alive."""
    path = settings.socket_path
    name = shlex.quote(str(path))
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        yield good("socket", f"{path} is not there: no daemon runs")
        return
    except OSError as problem:
        yield wrong("socket", f"{path}: {problem.strerror}", f"ls -l {name}")
        return
    if not stat.S_ISSOCK(found.st_mode):
        yield wrong("socket", f"{path} is in the way: it is not a socket", f"mv {name} {name}.aside")
        return
    try:
        peer = dial(path, settings.connect_timeout_s)
    except PermissionError:
        yield wrong(
            "socket", f"{path} may not be opened by uid {os.getuid()}", "run as the daemon's user, or join its group"
        )
        return
    except OSError as problem:
        yield wrong("socket", f"{path}: {problem.strerror or problem}", "try again: too many callers wait at once")
        return
    if peer is None:
        yield wary("socket", f"{path} is stale: nobody listens; the next start replaces it", f"rm {name}")
        return
    with peer:
        yield good("socket", f"{path}, listened at by pid {peer_pid(peer)}")


def database(settings: Settings) -> Iterator[Finding]:
    """The database of a store that is in one: `memory-db probe` goes there."""
    if not settings.database:
        return
    for one in probed(settings):
        yield Finding(one["check"], one["state"], one["says"], one["mend"])


def daemon(settings: Settings) -> Iterator[Finding]:
    """The daemon: there, of this version, serving this store, and well."""
    try:
        peer = dial(settings.socket_path, settings.connect_timeout_s)
    except OSError:
        return  # said by `socket_file`
    if peer is None:
        yield (
            good("daemon", "does not run; a client starts it")
            if Settings.load().autostart
            else wary("daemon", "does not run, and clients may not start it", "memory-db serve")
        )
        yield from _backups_that_lie_there(settings)
        return
    peer.close()
    try:
        with Memory(settings, client="memoryctl") as memory:
            welcome, status = memory.welcome, memory.get_memory_status()
            try:
                unwell = memory.health().ailments
            except (UnknownOperation, Denied):
                unwell = []  # an older daemon, or one that tells others alone
    except WrongStore as problem:
        yield wrong("daemon", problem.message, problem.hint)
        return
    except Unavailable as problem:
        yield wrong("daemon", problem.message, f"tail {shlex.quote(settings.log_file)}")
        return
    except Error as problem:
        yield wrong(
            "daemon",
            f"it answers with an error: {problem.message}",
            problem.hint or f"tail {shlex.quote(settings.log_file)}",
        )
        return
    mine = _own_version()
    says = f"version {welcome.version}, pid {welcome.pid}, {status.state}"
    if mine and welcome.version != mine:
        yield wary("daemon", f"{says}; this program is {mine}", "memoryctl stop")
    else:
        yield good("daemon", says)
    if status.problems or status.state in ("read-only", "failing"):
        yield wrong("health", "; ".join(status.problems) or f"the store is {status.state}", "memoryctl verify")
    for one in unwell:
        if not one.name.startswith(("backup", "no_backup")):
            yield (wrong if one.state == "failing" else wary)(one.name.replace("_", " "), one.says, one.remedy)
    yield from _backups(status)


def _own_version() -> str:
    try:
        return metadata.version("enhanced-memory")
    except metadata.PackageNotFoundError:
        return ""


def _backups(status: Status) -> Iterator[Finding]:
    if not status.total_entities:
        return
    if status.last_backup is None:
        yield wary("backup", "none has been made", "memoryctl backup")
    else:
        yield _backup_of(status.last_backup)


def _backups_that_lie_there(settings: Settings) -> Iterator[Finding]:
    """The newest by its name, where there is a store and nobody who can be asked."""
    if settings.database or not settings.store_path.exists():
        return
    folder = Path(settings.backup_folder).expanduser()
    found: list[datetime] = []
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(ValueError):
                if named := NAMED.fullmatch(name):
                    found.append(datetime.strptime(named[1], "%Y%m%d_%H%M%S").replace(tzinfo=UTC))
    if found:
        yield _backup_of(max(found))
    else:
        yield wary("backup", f"none lies in {folder}", "memoryctl backup")


def _backup_of(at: datetime) -> Finding:
    old = (datetime.now(UTC) - at).days >= BACKUP_DAYS
    says = f"the last one is of {moment(at)}"
    return wary("backup", says, "memoryctl backup") if old else good("backup", says)


def ownership(settings: Settings) -> Iterator[Finding]:
    """Who holds the store open: the daemon behind the socket, and nobody else."""
    if settings.database:
        yield good("ownership", "several daemons may serve a database")
        return
    store = settings.store_path
    files = [store, *(store.with_name(store.name + end) for end in ("-wal", "-shm", ".lock"))]
    holders = {pid: name for pid in _lockers(files) if (name := _holds(pid, files))}
    try:
        peer = dial(settings.socket_path, settings.connect_timeout_s)
    except OSError:
        return  # said by `socket_file`
    serving = None
    if peer is not None:
        with peer:
            serving = peer_pid(peer)
    others = {pid: name for pid, name in holders.items() if pid != serving}
    told = ", ".join(f"pid {pid} ({name})" for pid, name in others.items())
    if others and serving in holders:
        yield wary("ownership", f"beside the daemon {told} has the store open", "end it: only the daemon should")
    elif others:
        yield wrong(
            "ownership",
            f"{told} holds the store, and is not the daemon at this socket",
            f"kill {' '.join(map(str, others))}, or set ENHANCED_MEMORY_SOCKET to its socket",
        )
    elif holders:
        yield good("ownership", f"pid {serving} holds the store")
    else:
        yield good("ownership", "nobody holds the store")


def _lockers(files: list[Path]) -> set[int]:
    """Processes that hold a lock on a file with the inode of one of `files`."""
    inodes: set[str] = set()
    for path in files:
        with suppress(OSError):
            inodes.add(str(path.stat().st_ino))
    try:
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return set()
    found: set[int] = set()
    for line in lines:
        words = line.split()  # 1: POSIX ADVISORY READ 1234 08:01:5678 128 128; waiting ones have an arrow in between
        if "->" not in words and len(words) >= 6 and words[5].rpartition(":")[2] in inodes:
            found.add(int(words[4]))
    return found


def _holds(pid: int, files: list[Path]) -> str:
    """The name of process `pid` if it has one of `files` open, else nothing: inodes repeat from disk to disk."""
    wanted = {str(path) for path in files}
    try:
        held = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip() if held & wanted else ""
    except OSError:
        return ""  # another user's process, or gone
