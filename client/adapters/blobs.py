"""The guide's stored blobs, as JSON with a checksum: nothing in them runs when they are opened."""

import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

from enhanced_memory.client.errors import StoreDamaged

__all__ = ["compress_data", "decompress_data"]


def compress_data(data: Mapping[str, Any]) -> bytes:
    """A dictionary as compressed JSON with a checksum: nothing in it runs when it is opened."""
    raw = msgspec.json.encode(data)
    return zlib.crc32(raw).to_bytes(4, "big") + zlib.compress(raw, 6)


def decompress_data(compressed: bytes) -> dict[str, Any]:
    """What `compress_data` was given. `StoreDamaged` for bytes that are not its."""
    try:
        raw = zlib.decompress(compressed[4:])
        if zlib.crc32(raw).to_bytes(4, "big") != compressed[:4]:
            raise StoreDamaged("The data does not match its checksum.")
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (zlib.error, msgspec.MsgspecError):
        raise StoreDamaged("The data cannot be opened.") from None
