"""Starting the daemon when nobody answers: once, whoever asks first, and apart from the program that asked.

The starter binds the socket under a lock and hands it over, as systemd would, so that a caller's connection waits in the
backlog while the daemon gets ready: no polling, no readiness file.
"""

import fcntl
import os
import signal
import socket
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from enhanced_memory.client.errors import Denied, Unavailable
from enhanced_memory.client.folders import make_private
from enhanced_memory.client.settings import PREFIX, Settings

__all__ = ["BACKLOG", "LISTEN_FD", "alone_at", "bound", "dial", "inherited", "private_folder", "start"]

BACKLOG = 512
LISTEN_FD = PREFIX + "LISTEN_FD"


def dial(path: Path, timeout_s: float) -> socket.socket | None:
    """A connection to whoever listens at `path`, or None where nobody does.

    A full backlog (EAGAIN) is `BlockingIOError`: somebody is there and the caller should try again.
    """
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # With a timeout the kernel says so when the backlog is full; without one it lets the caller wait for as long as that lasts.
    peer.settimeout(timeout_s)
    try:
        peer.connect(os.fspath(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        peer.close()
        return None
    except BaseException:
        peer.close()
        raise
    return peer


def private_folder(folder: Path) -> None:
    """Make `folder` (mode 0700) if need be. `Denied` where it is not ours alone."""
    try:
        make_private(folder)
        found = os.stat(folder, follow_symlinks=False)
    except OSError as problem:
        raise Unavailable(f"{folder} cannot be made: {problem.strerror}.", f"make it, or set {PREFIX}SOCKET") from None
    if not stat.S_ISDIR(found.st_mode):
        raise Denied(f"{folder} is not a folder of its own.", f"remove it, or set {PREFIX}SOCKET")
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise Denied(
            f"{folder} can be written to by others.", f"run `chmod 700 {folder}` as its owner, or set {PREFIX}SOCKET"
        )


@contextmanager
def alone_at(path: Path) -> Generator[None]:
    """Inside, nobody else looks for a daemon at `path`, removes a stale socket there, or binds one."""
    private_folder(path.parent)
    with open(path.parent / (path.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def bound(path: Path) -> socket.socket:
    """A socket that listens at `path`, in place of a stale one. `Denied` where something else lies there. Call it inside `alone_at`."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise Denied(f"{path} is in the way: it is not a socket.", "move it away")
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    finally:
        os.umask(before)
    # From here on callers wait in the backlog. Bound without listening it would refuse them, and pass for stale.
    listener.listen(BACKLOG)
    return listener


def inherited() -> socket.socket | None:
    """The listening socket that systemd, or whoever started this program, handed over."""
    given = os.environ.pop(LISTEN_FD, "")
    if not given and os.environ.get("LISTEN_PID") == str(os.getpid()) and int(os.environ.get("LISTEN_FDS", "0")) >= 1:
        given = "3"
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    if not given:
        return None
    listener = socket.socket(fileno=int(given))
    listener.set_inheritable(False)
    return listener


def start(settings: Settings) -> None:
    """See to it that a daemon listens: wait for the lock, look again, and start one if there is still none."""
    path = settings.socket_path
    with alone_at(path):
        try:
            already = dial(path, settings.connect_timeout_s)
        except BlockingIOError:
            return
        if already is not None:
            already.close()
            return
        with bound(path) as listener:
            _spawn(listener.fileno(), settings)


def _spawn(listener: int, settings: Settings) -> None:
    """Start the daemon twice removed, in a session of its own, with the listening socket as descriptor 3."""
    log = Path(settings.log_file).expanduser()
    try:
        make_private(log.parent)
    except OSError as problem:
        raise Unavailable(
            f"{log.parent} cannot be made: {problem.strerror}.", "make it, or set ENHANCED_MEMORY_LOG_FILE"
        ) from None
    keep = (
        "HOME",
        "PATH",
        "LANG",
        "LC_ALL",
        "TZ",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "STATE_DIRECTORY",
        "VIRTUAL_ENV",
        "PYTHONPATH",
    )
    inherited = {name: value for name, value in os.environ.items() if name in keep or name.startswith(PREFIX)}
    # What was given to the client by name holds for the daemon as if the environment had said it.
    environment = settings.environment(inherited) | {LISTEN_FD: "3"}
    # A shell in between is what makes the daemon an orphan at once: nothing of ours waits for it, no zombie is left,
    # and a client that kills its process tree does not reach it.
    # -P: the folder that the caller happens to stand in is no place to import from.
    command = [sys.executable, "-P", "-m", "enhanced_memory.daemon", "serve", "--on-demand"]
    child = os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", '"$@" & exit 0', "sh", *command],
        environment,
        setsid=True,
        # What the caller blocks or ignores is its own affair; the daemon must hear SIGTERM.
        setsigmask=[],
        setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD],
        file_actions=[
            # The listener first: in a program without standard streams it may be 0, 1 or 2 itself.
            (os.POSIX_SPAWN_DUP2, listener, 3),
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.fspath(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    with suppress(ChildProcessError):  # a program that ignores SIGCHLD has no children to wait for
        os.waitpid(child, 0)
