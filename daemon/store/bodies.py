# zstandard's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false
"""Bodies: what an entity or a message says, as checksummed and compressed bytes, and older versions as deltas.

msgpack in zstd level 12 with a trained dictionary; the first byte is the dictionary's id, 0 for none. Texts stand together and
numbers apart from them, which saves two to three points in a hundred; frames go without zstd's magic number. An older version
is compressed with the newer one's plain bytes as its dictionary, which leaves little more than the difference.
"""

import threading
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from enhanced_memory.client.errors import StoreDamaged

__all__ = [
    "BUILT_IN",
    "DICTIONARY_BYTES",
    "Codec",
    "Line",
    "Noted",
    "State",
    "built_in",
    "crc",
    "decoded",
    "delta",
    "encoded",
    "name_in",
    "name_mark",
    "train",
    "type_marks",
    "undelta",
]

BUILT_IN = 1
"""The id of the dictionary that is shipped."""

DICTIONARY_BYTES = 112 * 1024

_MAGIC = zstandard.FRAME_HEADER
_MAGICLESS = zstandard.FORMAT_ZSTD1_MAGICLESS
_LEVEL = 12
_LARGE = 64 * 1024
"""Above this a body is compressed at a quick level: the dictionary gains nothing there and level 12 costs milliseconds."""
_MAX_BODY = 512 * 1024 * 1024


class Noted(msgspec.Struct):
    """An observation as it is kept: `change` leads to its time and origin."""

    id: int
    change: int
    text: str
    extra: dict[str, Any] | None = None
    """What differs from the change's own: origin, at, confidence, valid_from, valid_to, confirmed_at, said, speaker."""


class State(msgspec.Struct):
    """All that one version of an entity says."""

    name: str
    type: str
    observations: list[Noted] = []
    properties: dict[str, Any] = {}
    tags: list[str] = []
    attributes: dict[str, Any] = {}
    """Only what differs from the default: tier, priority, importance, confidence, pinned, quarantined, expires_at, relevance, confirmed_at."""
    next_id: int = 1


class Body(msgspec.Struct, array_like=True):
    """How a state is laid out in bytes."""

    texts: str
    """Name, type and the observations, with a NUL between them: no text holds one."""
    ids: int | list[int]
    """The observations' ids; a number n for 1 to n."""
    changes: int | list[int]
    """The observations' changes, each less the first; a number where all are the same."""
    next_id: int = 0
    """0 where it follows the last id."""
    attributes: dict[str, Any] = {}
    tags: list[str] = []
    properties: dict[str, Any] = {}
    extras: dict[int, dict[str, Any]] = {}
    """By the observation's place."""


class _Texts(msgspec.Struct, array_like=True):
    texts: str


class Line(msgspec.Struct, array_like=True):
    """What a message says."""

    content: str
    provider: str = ""
    metadata: dict[str, Any] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode_body = msgspec.msgpack.Decoder(Body).decode
_decode_texts = msgspec.msgpack.Decoder(_Texts).decode
_decode_bundle = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_line = msgspec.msgpack.Decoder(Line).decode


def encoded(state: State) -> bytes:
    """A state as plain bytes."""
    observations = state.observations
    ids: int | list[int] = [one.id for one in observations]
    count = len(observations)
    if ids == list(range(1, count + 1)):
        ids = count
    changes: int | list[int] = 0
    if count:
        first = observations[0].change
        changes = first
        if any(one.change != first for one in observations):
            changes = [first, *(one.change - first for one in observations[1:])]
    last = observations[-1].id if count else 0
    return _encode(
        Body(
            "\0".join([state.name, state.type, *(one.text for one in observations)]),
            ids,
            changes,
            0 if state.next_id == last + 1 else state.next_id,
            state.attributes,
            state.tags,
            state.properties,
            {place: one.extra for place, one in enumerate(observations) if one.extra},
        )
    )


def decoded(raw: bytes) -> State:
    """The state that plain bytes say. `StoreDamaged` where they say none."""
    try:
        body = _decode_body(raw)
        name, type_name, *texts = body.texts.split("\0")
        count = len(texts)
        ids = list(range(1, count + 1)) if isinstance(body.ids, int) else body.ids
        if isinstance(body.changes, int):
            changes = [body.changes] * count
        else:
            first = body.changes[0]
            changes = [first, *(first + more for more in body.changes[1:])]
        extras = body.extras
        observations = [
            Noted(number, change, text, extras.get(place))
            for place, (number, change, text) in enumerate(zip(ids, changes, texts, strict=True))
        ]
    except (msgspec.DecodeError, ValueError, IndexError):
        raise StoreDamaged("A stored entity cannot be read.") from None
    next_id = body.next_id or (ids[-1] + 1 if ids else 1)
    return State(name, type_name, observations, body.properties, body.tags, body.attributes, next_id)


def name_mark(attribute: str) -> bytes:
    """What stands in the plain bytes of every state that has an attribute."""
    return _encode(attribute)


def type_marks(types: Iterable[str]) -> list[bytes]:
    """What stands in the plain bytes of the states of each of some types."""
    return [f"\0{name}".encode() for name in types]


def crc(raw: bytes) -> int:
    """CRC-32 of an uncompressed body."""
    return zlib.crc32(raw)


def name_in(raw: bytes) -> str:
    """The name in an entity's plain bytes, without reading the rest."""
    try:
        return _decode_texts(raw).texts.split("\0", 1)[0]
    except msgspec.DecodeError:
        raise StoreDamaged("A stored entity cannot be read.") from None


class Codec:
    """Packs with one dictionary, unpacks with any that the store knows. One per thread: zstd's contexts are not shared."""

    def __init__(self, dictionaries: Mapping[int, bytes], current: int = BUILT_IN) -> None:
        self._dictionaries = dictionaries
        self._unpackers: dict[int, zstandard.ZstdDecompressor] = {0: zstandard.ZstdDecompressor(format=_MAGICLESS)}
        self._quick = zstandard.ZstdCompressor(compression_params=_parameters(3))
        self.use(current)

    def use(self, current: int) -> None:
        """Pack with the dictionary `current` from now on."""
        words = zstandard.ZstdCompressionDict(self._dictionaries[current])
        parameters = _parameters(_LEVEL, len(words))
        words.precompute_compress(compression_params=parameters)
        self._packer = zstandard.ZstdCompressor(dict_data=words, compression_params=parameters)
        self.current = current

    def pack(self, body: State | Line) -> tuple[bytes, bytes]:
        """The plain bytes of `body`, and those that are stored."""
        raw = encoded(body) if isinstance(body, State) else _encode(body)
        return raw, self.squeeze(raw)

    def squeeze(self, raw: bytes) -> bytes:
        """`raw` as it is stored."""
        if len(raw) > _LARGE:
            return b"\0" + self._quick.compress(raw)
        return bytes((self.current,)) + self._packer.compress(raw)

    def bundle(self, raws: list[bytes]) -> tuple[int, bytes]:
        """Plain bodies packed together: the CRC-32 of all, and the bytes that are stored. What one says again, another need not."""
        raw = _encode(raws)
        return crc(raw), bytes((self.current,)) + self._packer.compress(raw)

    def unbundle(self, stored: bytes, checksum: int) -> list[bytes]:
        """The plain bodies that `bundle` was given. `StoreDamaged` where they are not those."""
        try:
            return _decode_bundle(self.plain(stored, checksum))
        except msgspec.DecodeError:
            raise StoreDamaged("A stored block cannot be read.") from None

    def plain(self, stored: bytes, checksum: int) -> bytes:
        """The plain bytes of what was stored. `StoreDamaged` where they are not those that were written."""
        raw = self.unsqueeze(stored)
        if zlib.crc32(raw) != checksum:
            raise StoreDamaged("A stored body does not match its checksum.")
        return raw

    def unsqueeze(self, stored: bytes) -> bytes:
        """The bytes that `squeeze` was given. `StoreDamaged` where they cannot be had."""
        try:
            return self._unpacker(stored[0]).decompress(memoryview(stored)[1:], max_output_size=_MAX_BODY)
        except (zstandard.ZstdError, IndexError, KeyError):
            raise StoreDamaged("A stored body cannot be decompressed.") from None

    def state(self, stored: bytes, checksum: int) -> State:
        """The entity's state in `stored`."""
        return decoded(self.plain(stored, checksum))

    def line(self, stored: bytes, checksum: int) -> Line:
        """The message's content in `stored`."""
        return self.said(self.plain(stored, checksum))

    @staticmethod
    def said(raw: bytes) -> Line:
        """The message's content in plain bytes. `StoreDamaged` where they hold none."""
        try:
            return _decode_line(raw)
        except msgspec.DecodeError:
            raise StoreDamaged("A stored message cannot be read.") from None

    def _unpacker(self, dictionary: int) -> zstandard.ZstdDecompressor:
        found = self._unpackers.get(dictionary)
        if found is None:
            words = zstandard.ZstdCompressionDict(self._dictionaries[dictionary])
            found = self._unpackers[dictionary] = zstandard.ZstdDecompressor(dict_data=words, format=_MAGICLESS)
        return found


def delta(old: bytes, newer: bytes) -> bytes:
    """`old` as a difference from `newer` (both plain)."""
    words = zstandard.ZstdCompressionDict(newer, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    sizes = len(newer).bit_length(), len(old).bit_length()
    return zstandard.ZstdCompressor(dict_data=words, compression_params=_difference(*sizes)).compress(old)


@cache
def _difference(newer_bits: int, old_bits: int) -> zstandard.ZstdCompressionParameters:
    """For texts of so many bits of length. A compressor's tables are as large as these ask for, and it is made anew for each difference."""
    return _parameters(3 if newer_bits >= _LARGE.bit_length() else 5, 1 << newer_bits, 1 << old_bits)


def undelta(difference: bytes, newer: bytes, checksum: int) -> bytes:
    """The older plain bytes again. `StoreDamaged` where they are not those that were written."""
    raw = _chained(difference, newer) if len(newer) <= _LARGE else None
    if raw is None or zlib.crc32(raw) != checksum:
        raw = _undone(difference, newer)
    if zlib.crc32(raw) != checksum:
        raise StoreDamaged("A stored version does not match its checksum.")
    return raw


class _Chains(threading.local):
    """A decompressor for each thread: making one costs twenty times what taking back a difference does."""

    def __init__(self) -> None:
        self.undone = zstandard.ZstdDecompressor().decompress_content_dict_chain


_chains = _Chains()


def _chained(difference: bytes, newer: bytes) -> bytes | None:
    """The older bytes, by a decompressor that is there already; None where it cannot tell."""
    # The newer bytes as a frame of one block that is not compressed: the next frame follows from what the one before says.
    size = len(newer)
    head = b"".join((_MAGIC, b"\xa0", size.to_bytes(4, "little"), (size << 3 | 1).to_bytes(3, "little")))
    try:
        return _chains.undone([head + newer, _MAGIC + difference])
    except (zstandard.ZstdError, ValueError, MemoryError):  # a damaged one may claim any size
        return None


def _undone(difference: bytes, newer: bytes) -> bytes:
    words = zstandard.ZstdCompressionDict(newer, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    one = zstandard.ZstdDecompressor(dict_data=words, format=_MAGICLESS)
    try:
        return one.decompress(difference, max_output_size=_MAX_BODY)
    except zstandard.ZstdError:
        raise StoreDamaged("A stored version cannot be decompressed.") from None


def train(bodies: list[bytes]) -> bytes:
    """A dictionary for bodies like these (plain); about a thousand are enough."""
    return zstandard.train_dictionary(DICTIONARY_BYTES, list[Any](bodies), level=_LEVEL).as_bytes()


def _parameters(level: int, dictionary_bytes: int = 0, source_bytes: int = 0) -> zstandard.ZstdCompressionParameters:
    return zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=source_bytes,
        dict_size=dictionary_bytes,
        format=_MAGICLESS,
        write_checksum=False,
        write_content_size=True,
        write_dict_id=False,
    )


def built_in() -> bytes:
    """The dictionary that is shipped."""
    return (Path(__file__).parent / "dictionary.zdict").read_bytes()
