"""Where HTTP is listened for: a loopback address or a Unix socket of ours alone, and nowhere else."""

import ipaddress
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from enhanced_memory.client.errors import Denied, Unavailable
from enhanced_memory.client.launch import BACKLOG, alone_at, bound, dial

__all__ = ["at_address", "at_path", "place"]


def at_address(host: str, port: int) -> socket.socket:
    """A socket that listens on a loopback address. `Denied` for any other, `Unavailable` where it cannot be had."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise Denied(f"{host[:100]!r} is not a loopback address.", "use 127.0.0.1 or ::1, or --unix") from None
    if not address.is_loopback:
        raise Denied(
            f"{address} is not a loopback address: HTTP is served to this machine alone.",
            "use 127.0.0.1 or ::1, or --unix",
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # The protocol is named: asyncio sets TCP_NODELAY only on a socket that says it is TCP.
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as problem:
        listener.close()
        said = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise Unavailable(
            f"{address}, port {port} cannot be listened on: {said}.", "choose another with --port"
        ) from None
    return listener


@contextmanager
def at_path(path: Path) -> Generator[socket.socket]:
    """A Unix socket of mode 0600 that listens, and is removed at the end.

    `Denied` where its folder is not ours alone, or somebody serves there already.
    """
    path = path.expanduser().absolute()
    with alone_at(path):
        try:
            there = dial(path, 1.0)
        except BlockingIOError:
            raise Denied(f"Somebody serves at {path} already.", "choose another path") from None
        if there is not None:
            there.close()
            raise Denied(f"Somebody serves at {path} already.", "choose another path")
        try:
            listener = bound(path)
        except OSError as problem:
            raise Unavailable(
                f"{path} cannot be listened on: {problem.strerror or problem}.", "choose another path"
            ) from None
    ours = os.lstat(path)
    try:
        yield listener
    finally:
        listener.close()
        with suppress(FileNotFoundError):
            found = os.lstat(path)
            if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
                os.unlink(path)


def place(listener: socket.socket, path: str) -> str:
    """Where it can be reached, as a person would write it."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"{path} on the socket {name}"
    host, port = name[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
