"""Attempts to get out, made by a throw-away worker behind one layer, to see whether that layer holds on this machine.

Each says what came of it: `held`, or what it could do. One that kills its worker is held, too, and says nothing.
"""

import ctypes
import os
import socket
from collections.abc import Callable
from typing import Any

__all__ = ["ATTEMPTS", "HELD"]

HELD = "held"


def open_files(job: dict[str, Any]) -> str:
    """Read what everybody may read."""
    for path in job["paths"]:
        try:
            os.close(os.open(path, os.O_RDONLY))
        except OSError:
            continue
        return f"opened {path}"
    return HELD


def be_alone(job: dict[str, Any]) -> str:
    """See other processes, files or the network."""
    if os.getpid() != 1:
        return "sees other processes"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reach:
            reach.connect(("192.0.2.1", 9))
        return "has a network"
    except OSError:
        pass
    # The root itself is there, and empty.
    if os.path.isdir("/") and os.listdir("/"):
        return "sees files"
    return open_files(job | {"paths": [path for path in job["paths"] if path != "/"]})


def take_memory(job: dict[str, Any]) -> str:
    """Take more memory than is allowed."""
    try:
        return f"took {len(bytearray(job['bytes'])):,} bytes"
    except MemoryError:
        return HELD


def make_socket(_: dict[str, Any]) -> str:
    """Make a socket."""
    try:
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
    except OSError:
        return HELD
    return "made a socket"


def fork(_: dict[str, Any]) -> str:
    """Make a process."""
    try:
        pid = os.fork()
    except OSError:
        return HELD
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return "made a process"


def execute_memory(_: dict[str, Any]) -> str:
    """Have memory that can be executed."""
    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    found = library.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))
    return HELD if found in (None, ctypes.c_void_p(-1).value) else "has executable memory"


ATTEMPTS: dict[str, Callable[[dict[str, Any]], str]] = {
    one.__name__: one for one in (open_files, be_alone, take_memory, make_socket, fork, execute_memory)
}
