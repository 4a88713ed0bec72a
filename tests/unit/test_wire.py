"""Frames: bytes in, whole payloads out, and nothing but plain data."""

import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhanced_memory.client.errors import Invalid, TooLarge
from enhanced_memory.client.wire import Frames, pack, pack_value, request_id, unpack, unpack_value

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), plain, max_size=4))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_a_message_packed_and_unpacked_is_the_same(message: dict[str, Any]) -> None:
    frame = pack(message)
    (payload,) = Frames().feed(frame)
    assert unpack(payload) == message


@given(st.lists(st.binary(max_size=30), max_size=8), st.lists(st.integers(1, 20), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_frames_come_out_whole_however_the_bytes_came_in(payloads: list[bytes], steps: list[int]) -> None:
    stream = b"".join(struct.pack(">I", len(payload)) + payload for payload in payloads)
    frames, told, at, turn = Frames(), [], 0, 0
    while at < len(stream):
        step = steps[turn % len(steps)]
        told += list(frames.feed(stream[at : at + step]))
        at, turn = at + step, turn + 1
    assert told == payloads
    assert frames.waiting == 0


def test_a_frame_that_is_not_whole_waits() -> None:
    frames = Frames()
    frame = pack({"id": 1})
    assert list(frames.feed(frame[:-1])) == []
    assert frames.waiting == len(frame) - 1
    assert list(frames.feed(frame[-1:])) == [frame[4:]]
    assert frames.waiting == 0


def test_a_length_over_the_limit_is_refused_before_its_bytes_come() -> None:
    frames = Frames(limit=100)
    with pytest.raises(TooLarge, match="101"):
        list(frames.feed(struct.pack(">I", 101)))


def test_frames_before_one_that_is_too_large_are_still_told() -> None:
    coming = Frames(limit=100).feed(pack({"a": 1}) + struct.pack(">I", 2**32 - 1))
    assert unpack(next(coming)) == {"a": 1}
    with pytest.raises(TooLarge):
        next(coming)


def test_a_message_over_the_limit_is_not_packed() -> None:
    with pytest.raises(TooLarge, match="limit"):
        pack({"text": "x" * 200}, limit=100)


@pytest.mark.parametrize(
    "value",
    ["\ud800", {"k": "\udfff"}, object(), {1, 2}, 2**64, 3 + 4j, len],
    ids=lambda value: repr(value).partition(" at ")[0],
)
def test_what_is_not_plain_data_is_not_sent(value: Any) -> None:
    with pytest.raises(Invalid):
        pack({"value": value})


DEEP: Any = []
for _ in range(3000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\xc1", b"\x93\x01", msgpack.packb([1]), msgpack.packb("text"), msgpack.packb(None), msgpack.packb({1: 2}), msgpack.packb({"k": {1: 2}}),
        msgpack.packb({"k": msgpack.ExtType(1, b"x")}), msgpack.packb({"k": msgpack.Timestamp(1)}), msgpack.packb({"k": 1}) + b"\x00",
        b"\x81\xa1k\xa2\xff\xfe", b"\xdf\xff\xff\xff\xff", b"\x81\xa1k\xdd\xff\xff\xff\xff", b"\x81\xa1k" + b"\x91" * 5000 + b"\x01",
    ],
    ids=range(15),
)  # fmt: skip
def test_a_payload_that_is_no_map_of_plain_data_is_refused(payload: bytes) -> None:
    with pytest.raises(Invalid):
        unpack(payload)


@pytest.mark.parametrize(
    ("payload", "number"),
    [
        (b"\x82\xa2id\x07\xa1k\xa2\xff\xfe", 7),
        (b"\x82\xa2id\xa3abc\xa1k\xc1", "abc"),
        (b"\x82\xa1k\x01\xa2id\x07", 7),
        (b"\x82\xa1k\xc1\xa2id\x07", None),
        (b"\x81\xa2id\xc3", None),
        (b"\x81\xa2id\x91\x01", None),
        (b"\xc1", None),
        (b"", None),
        (b"\x91\x01", None),
        (b"\xdf\xff\xff\xff\xff", None),
        (msgpack.packb({"id": "x" * 1000}), None),
    ],
    ids=range(11),
)
def test_the_id_of_a_message_that_cannot_be_read_is_found_where_it_can_be(
    payload: bytes, number: int | str | None
) -> None:
    assert request_id(payload) == number


def test_values_are_kept_as_they_were() -> None:
    value = {"a": [1, 2.5, None, True, "é"], "b": {"c": b"x"}}
    assert unpack_value(pack_value(value)) == value
