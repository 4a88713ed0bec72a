"""What the daemon's own processes have in common: they hear on stdin and say on stdout, in frames as on its socket, and end with it."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from enhanced_memory.client.wire import Frames, pack, unpack

__all__ = ["end_with_parent", "taken_over"]


def taken_over() -> tuple[Iterator[dict[str, Any]], Callable[[dict[str, Any]], None]]:
    """What is heard, until there is no more, and how to say something. Whatever else prints does so to stderr from now on.

    Saying raises what `wire.pack` raises, and nothing has been said then.
    """
    heard, said = os.dup(0), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer

    def say(message: dict[str, Any]) -> None:
        said.write(pack(message))
        said.flush()

    return _messages(heard), say


def _messages(heard: int) -> Iterator[dict[str, Any]]:
    frames = Frames()
    while data := os.read(heard, 1 << 16):
        for payload in frames.feed(data):
            yield unpack(payload)


def end_with_parent() -> None:
    """Ask Linux to end this process when the daemon ends, even if it is killed while a model loads."""
    if sys.platform == "linux":
        import ctypes
        import signal

        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent or parent == 1:
            sys.exit(1)
