"""Frames: a 4-byte big-endian length, then one msgpack map. Bytes in, messages out; no I/O here.

Only plain data passes: no extension types, map keys are text, nothing is ever revived into an object.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs] - it ships none

from enhanced_memory.client.errors import Invalid, TooLarge

__all__ = ["MAX_FRAME_BYTES", "PROTOCOL", "Frames", "pack", "pack_value", "request_id", "unpack", "unpack_value"]

PROTOCOL = 1
MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_ID_CHARS = 100

_LENGTH = struct.Struct(">I")
_MSGPACK: Any = msgpack
_PACK: Callable[[Any], bytes] = _MSGPACK.Packer(use_bin_type=True, autoreset=True).pack
_UNPACK: Callable[..., Any] = _MSGPACK.unpackb
_UNREADABLE: tuple[type[Exception], ...] = (ValueError, _MSGPACK.UnpackException, RecursionError, TypeError)


def pack(message: dict[str, Any], limit: int = MAX_FRAME_BYTES) -> bytes:
    """One frame. `Invalid` for what msgpack cannot carry, `TooLarge` above `limit` bytes."""
    try:
        body = _PACK(message)
    except UnicodeEncodeError:
        raise Invalid(
            "Text holds a lone surrogate, which is not valid Unicode.", "send text that encodes as UTF-8"
        ) from None
    except (TypeError, ValueError, OverflowError) as problem:
        raise Invalid(f"A value cannot be sent: {problem}.", "send plain data: text, numbers, lists, maps") from None
    if len(body) > limit:
        raise TooLarge(f"The message has {len(body):,} bytes; the limit is {limit:,}.", "send it in several requests")
    return _LENGTH.pack(len(body)) + body


def unpack(payload: bytes) -> dict[str, Any]:
    """The message of one frame's payload; `Invalid` if it is not one msgpack map of plain data."""
    try:
        message = _UNPACK(payload, raw=False, strict_map_key=True, max_ext_len=0)
    except UnicodeDecodeError:
        raise Invalid(
            "Text is not valid UTF-8 (a lone surrogate, perhaps).", "send text that encodes as UTF-8"
        ) from None
    except _UNREADABLE as problem:
        if "strict_map_key" in str(problem):
            raise Invalid("A map has a key that is not text.", "write the keys of maps as text: 1 as '1'") from None
        raise Invalid(f"The frame is not a msgpack map of plain data: {str(problem)[:100]}.") from None
    if not isinstance(message, dict):
        raise Invalid(f"The frame holds {type(message).__name__}, expected a map.")
    return cast("dict[str, Any]", message)


def request_id(payload: bytes) -> int | str | None:
    """The id in a message that cannot be read as a whole, if it comes before what is wrong, so that the message can be answered."""
    reader: Any = _MSGPACK.Unpacker(raw=False, unicode_errors="replace", max_buffer_size=max(1, len(payload)))
    reader.feed(payload)
    try:
        for _ in range(reader.read_map_header()):
            if reader.unpack() == "id":
                found: Any = reader.unpack()
                return (
                    found
                    if isinstance(found, int | str) and not isinstance(found, bool) and len(str(found)) <= MAX_ID_CHARS
                    else None
                )
            reader.skip()
    except _UNREADABLE:
        pass
    return None


def pack_value(value: Any) -> bytes:
    """Plain data as bytes, for keeping."""
    return _PACK(value)


def unpack_value(data: bytes) -> Any:
    """What `pack_value` packed."""
    return _UNPACK(data, raw=False, strict_map_key=True, max_ext_len=0)


class Frames:
    """Collects bytes and gives back whole payloads.

    A length above `limit` raises `TooLarge` before anything is allocated; the stream cannot be read any further then.
    """

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self.limit = limit
        self._held = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes held of a frame that is not whole yet."""
        return len(self._held)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add `data`; yield every payload that is whole now."""
        held = self._held
        if held:
            held += data
            source: bytes | bytearray = held
        else:
            source = data
        at, end = 0, len(source)
        try:
            while end - at >= 4:
                (length,) = _LENGTH.unpack_from(source, at)
                if length > self.limit:
                    raise TooLarge(f"A frame announces {length:,} bytes; the limit is {self.limit:,}.")
                if end - at - 4 < length:
                    break
                payload = bytes(source[at + 4 : at + 4 + length])
                at += 4 + length
                yield payload
        finally:
            if source is held:
                del held[:at]
            else:
                held += source[at:]
