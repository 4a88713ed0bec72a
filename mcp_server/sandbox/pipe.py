"""The worker's end of its channel: frames of a 4-byte length and a msgpack map, one at a time, blocking.

With `os.read` and `os.write` alone, since a worker may make no other system calls on a descriptor.
"""

import os
import struct
from collections.abc import Callable
from typing import Any

import msgpack  # pyright: ignore[reportMissingTypeStubs] - it ships none

__all__ = ["Pipe", "pack", "unpack"]

_LENGTH = struct.Struct(">I")
_MSGPACK: Any = msgpack
_UNPACK: Callable[..., Any] = _MSGPACK.unpackb

pack: Callable[[Any], bytes] = _MSGPACK.packb
"""Plain data as bytes."""


def unpack(data: bytes) -> Any:
    """What `pack` packed."""
    return _UNPACK(data, raw=False, strict_map_key=True, max_ext_len=0)


class Pipe:
    """A channel by its descriptor."""

    __slots__ = ("_handle",)

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def send(self, message: dict[str, Any]) -> None:
        """Write one message."""
        body = pack(message)
        left = memoryview(_LENGTH.pack(len(body)) + body)
        while left:
            left = left[os.write(self._handle, left) :]

    def receive(self) -> dict[str, Any]:
        """The next message. `EOFError` when the other end has gone."""
        (length,) = _LENGTH.unpack(self._exactly(4))
        return unpack(self._exactly(length))

    def _exactly(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count:
            part = os.read(self._handle, min(count, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
