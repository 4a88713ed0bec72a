"""Where a host listens, and how a relay gets to one: dial, else start it under a lock, then greet.

The relay binds the socket and the host inherits it, as systemd would hand it over: whoever comes meanwhile waits in the
backlog, and there is no polling and no readiness file. Standard library only, and little of it: every session starts here.
"""

import _socket
import os
import sys

TYPE_CHECKING = False  # type checkers know the name; `typing` itself takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BACKLOG", "PREFIX", "NoHost", "Refused", "dial", "folder", "log_file", "meet", "place", "private"]

PREFIX = "ENHANCED_MEMORY_"
PLAIN = "mcp.sock"
SYSTEM = "/run/enhanced-memory"
MAX_SOCKET_BYTES = 107
BACKLOG = 512

TRIES = 4
STARTS = 2
"""How often one relay starts a host that then does not greet, before it gives up."""
FULL_S = 10.0
GREETING_S = 30.0

NAMING = (PREFIX + "STORE", PREFIX + "SOCKET", PREFIX + "CONFIG", "STATE_DIRECTORY")
"""Whoever sets one of these may mean another store than most: its host has a name of its own."""

INHERITED = (
    "HOME",
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "STATE_DIRECTORY",
    "VIRTUAL_ENV",
    "PYTHONPATH",
)
PERSONAL = ("SPACE", "AGENT", "SESSION", "PROFILE")
"""Settings of one session, which a host that serves many must not start with."""


class NoHost(Exception):
    """No host is to be had; the message says why."""


class Refused(Exception):
    """A host answered and will not have this session; the message says why."""


def place(environment: "Mapping[str, str]") -> str:
    """The socket of the host for the store that `environment` means. `NoHost` where its path is too long."""
    name = PLAIN
    if any(environment.get(key) for key in NAMING):
        said = "\0".join(environment.get(key, "") for key in (*NAMING, "HOME", "XDG_CONFIG_HOME"))
        name = f"mcp-{_digest(os.fsencode(said)):016x}.sock"
    path = os.path.join(folder(environment), name)
    if len(os.fsencode(path)) > MAX_SOCKET_BYTES:
        raise NoHost(f"the path of its socket is too long: {path}")
    return path


def folder(environment: "Mapping[str, str]") -> str:
    """Where the daemon's socket lies, by the same rule. A system service's folder only for whoever its host serves: others
    have a host of their own in `~/.memories/run`.
    """
    given = environment.get(PREFIX + "SOCKET")
    if given:
        found = os.path.dirname(os.path.abspath(os.path.expanduser(given)))
        if not os.path.exists(found) or _mine(found):
            return found
    else:
        for base in (environment.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}"):
            if base and _mine(base):
                return base + "/enhanced-memory"
        if _mine(f"{SYSTEM}/{PLAIN}", 0o140000):
            return SYSTEM
    return (environment.get("HOME") or os.path.expanduser("~")) + "/.memories/run"


def _mine(path: str, kind: int = 0o040000) -> bool:
    """Whether there is a folder of ours, or (0o140000) a socket."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    return found.st_mode & 0o170000 == kind and found.st_uid == os.getuid()


def _digest(data: bytes) -> int:
    """FNV-1a: a name, not a secret, and hashlib would take longer to import than all the rest."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def private(path: str) -> None:
    """Make the folder (mode 0700) if need be. `NoHost` where it is a link, or others own it or may write to it."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        found = os.lstat(path)
    except OSError as problem:
        raise NoHost(f"{path} cannot be made: {problem.strerror}") from None
    if found.st_mode & 0o170000 != 0o040000:
        raise NoHost(f"{path} is not a folder of its own")
    # What root made and nobody else may write to is as good: systemd's own folder.
    if found.st_uid not in (os.getuid(), 0) or found.st_mode & 0o022:
        raise NoHost(f"{path} can be written to by others")


def meet(path: str, hello: bytes) -> _socket.socket:
    """A connection whose host has said that it serves us. `Refused` by one that will not; `NoHost` where none can be had."""
    private(os.path.dirname(path))
    starts = 0
    for _ in range(TRIES):
        link = dial(path)
        if link is None:
            if starts == STARTS:
                break
            link, ours = _started(path)
            starts += ours
        try:
            link.sendall(hello)
            said = _greeting(link)
        except TimeoutError:
            link.close()
            raise NoHost(f"the one at {path} does not answer") from None
        except OSError:
            said = ""
        word, _, rest = said.partition(" ")
        if word == "ok":
            link.settimeout(None)
            return link
        link.close()
        if word == "no":
            raise Refused(rest)
        if word == "alone":
            raise NoHost(rest)
        # "old": it has made room for a newer one. Nothing: it left between accepting and greeting, or never got to its feet.
    raise NoHost(f"none would greet us at {path}; its log may say why: {log_file(os.environ)}")


def dial(path: str) -> _socket.socket | None:
    """A connection to whoever listens at `path`; None where nobody does. Waits while the backlog is full."""
    import time

    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    # With a timeout the kernel says that the backlog is full; without one it would let us wait for as long as that lasts.
    link.settimeout(GREETING_S)
    until = time.monotonic() + FULL_S
    while True:
        try:
            link.connect(path)
            return link
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            link.close()
            return None
        except BlockingIOError:
            if time.monotonic() > until:
                link.close()
                raise NoHost(f"too many are waiting at {path}") from None
            time.sleep(0.005)
        except OSError as problem:
            link.close()
            raise NoHost(f"{path} cannot be reached: {problem.strerror}") from None


def _greeting(link: _socket.socket) -> str:
    """The host's one line; empty where it hung up instead. It says nothing further until it is asked."""
    said = b""
    while not said.endswith(b"\n"):
        data = link.recv(4096)
        if not data:
            return ""
        said += data
    return said[:-1].decode("utf-8", "replace")


def _started(path: str) -> tuple[_socket.socket, bool]:
    """A connection to a host that is being started, and whether it was we who started it. Others queue at the lock meanwhile."""
    import fcntl

    lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        link = dial(path)
        if link is not None:
            return link, False
        try:
            if os.lstat(path).st_mode & 0o170000 != 0o140000:
                raise NoHost(f"{path} is in the way: it is not a socket")
            os.unlink(path)
        except FileNotFoundError:
            pass
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            before = os.umask(0o177)
            try:
                listener.bind(path)
            finally:
                os.umask(before)
            listener.listen(BACKLOG)
            _spawn(listener.fileno())
            link = dial(path)
        finally:
            listener.close()
        if link is None:
            raise NoHost(f"somebody removed {path}")
        return link, True
    except OSError as problem:
        raise NoHost(f"it cannot be started: {problem.strerror}") from None
    finally:
        os.close(lock)


def log_file(environment: "Mapping[str, str]") -> str:
    """Where a host that is started on demand says what goes wrong: beside the daemon's log."""
    given = environment.get(PREFIX + "LOG_FILE")
    return os.path.join(os.path.dirname(os.path.expanduser(given or "~/.memories/memory-db.log")), "memory-mcp.log")


def _spawn(listener: int) -> None:
    """Start a host twice removed, in a session of its own, with the listening socket as descriptor 3."""
    log = log_file(os.environ)
    os.makedirs(os.path.dirname(log), mode=0o700, exist_ok=True)
    personal = tuple(PREFIX + name for name in PERSONAL)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED or (name.startswith(PREFIX) and name not in personal)
    }
    environment[PREFIX + "LISTEN_FD"] = "3"
    # -P: the folder that the client stands in is no place to import from.
    command = [sys.executable, "-P", "-m", "enhanced_memory.mcp_server", "host", "--on-demand"]
    # A shell in between makes the host an orphan at once: nothing waits for it, and a client that kills its process tree
    # does not reach it. Unlike a fork this is safe beside our other thread.
    child = os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", '"$@" & exit 0', "sh", *command],
        environment,
        setsid=True,
        setsigmask=[],
        setsigdef=[1, 2, 15, 17],  # HUP, INT, TERM, CHLD: what our client ignores is its own affair
        file_actions=[
            # The listener first: in a program without standard streams it may be 0, 1 or 2 itself.
            (os.POSIX_SPAWN_DUP2, listener, 3),
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        pass  # a program that ignores SIGCHLD has no children to wait for
