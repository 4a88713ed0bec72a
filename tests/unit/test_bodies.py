"""Bodies: what is packed is unpacked the same, smaller, and damage is never taken for text."""

import random
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from enhanced_memory.client.errors import StoreDamaged
from enhanced_memory.daemon.store.bodies import (
    Codec,
    Line,
    Noted,
    State,
    built_in,
    crc,
    decoded,
    delta,
    encoded,
    train,
    undelta,
)

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
data: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
notes = st.builds(
    Noted,
    st.integers(1, 10**6),
    st.integers(1, 10**9),
    text,
    st.none() | st.dictionaries(text, data, min_size=1, max_size=2),
)
states = st.builds(
    State,
    text,
    text,
    st.lists(notes, max_size=6),
    st.dictionaries(text, data, max_size=4),
    st.lists(text, max_size=3),
    st.dictionaries(text, data, max_size=3),
    st.integers(1, 10**6),
)
CODEC = Codec({1: built_in()})
quick = settings(max_examples=50, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def codec() -> Codec:
    """A codec with the dictionary that is shipped."""
    return Codec({1: built_in()})


@given(states)
@quick
def test_a_state_encoded_and_decoded_is_the_same(state: State) -> None:
    assert decoded(encoded(state)) == state


@given(states, states)
@quick
def test_an_older_body_comes_back_from_its_difference(old: State, new: State) -> None:
    before, after = encoded(old), encoded(new)
    assert undelta(delta(before, after), after, crc(before)) == before


@given(st.builds(Line, text, text, st.dictionaries(text, data, max_size=3)))
@quick
def test_a_line_packed_and_unpacked_is_the_same(line: Line) -> None:
    raw, stored = CODEC.pack(line)
    assert CODEC.line(stored, crc(raw)) == line


def test_ids_and_changes_that_follow_a_rule_cost_nothing(codec: Codec) -> None:
    plain = State("a", "b", [Noted(number, 77, "") for number in range(1, 101)], next_id=101)
    odd = State("a", "b", [Noted(number * 2, 77 + number % 3, "") for number in range(1, 101)], next_id=300)
    assert len(encoded(plain)) < 120
    assert decoded(encoded(plain)) == plain
    assert decoded(encoded(odd)) == odd


def test_large_bodies_are_packed_and_come_back(codec: Codec) -> None:
    words = random.Random(1)
    state = State("a", "b", [Noted(1, 1, " ".join(str(words.random()) for _ in range(20_000)))], next_id=2)
    raw, stored = codec.pack(state)
    assert stored[0] == 0
    assert len(stored) < len(raw)
    assert codec.state(stored, crc(raw)) == state


@pytest.mark.parametrize("bit", range(0, 8 * 40, 7))
def test_a_flipped_bit_is_never_read_as_what_was_written(codec: Codec, bit: int) -> None:
    raw, stored = codec.pack(
        State("Ada", "person", [Noted(1, 1, "wrote the first program for a machine that was never built")], next_id=2)
    )
    harmed = bytearray(stored)
    harmed[(bit // 8) % len(harmed)] ^= 1 << (bit % 8)
    with pytest.raises(StoreDamaged):
        codec.plain(bytes(harmed), crc(raw))


@pytest.mark.parametrize("stored", [b"", b"\0", b"\1", b"\xee", b"\0garbage", b"\1garbage"])
def test_what_is_no_body_is_damage(codec: Codec, stored: bytes) -> None:
    with pytest.raises(StoreDamaged):
        codec.plain(stored, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc0",
        b"\x90",
        b"\x93\xa1a\x00\x00",
        b"\x93\xa5a\x00b\x00c\x92\x01\x02\x01",
        b"\x93\xa3a\x00b\xa1x\x00",
        b"\xff" * 20,
    ],
)
def test_plain_bytes_that_say_no_state_are_damage(raw: bytes) -> None:
    with pytest.raises(StoreDamaged):
        decoded(raw)


@pytest.mark.parametrize("size", [0, 1, 40, 1000, 65_536, 65_537, 200_000])
def test_a_difference_is_taken_back_whatever_the_size_of_either_side(size: int) -> None:
    chance = random.Random(size)
    newer = chance.randbytes(size)
    for older in (b"\0", newer + b"more", newer[: size // 2] + chance.randbytes(50), chance.randbytes(100_000)):
        assert undelta(delta(older, newer), newer, crc(older)) == older


def test_no_decompressor_is_made_for_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (encoded(State("Ada", "thing", [Noted(1, 1, said)], next_id=2)) for said in ("tea", "coffee"))
    difference = delta(old, new)
    assert undelta(difference, new, crc(old)) == old
    made: list[object] = []
    monkeypatch.setattr(zstandard, "ZstdDecompressor", lambda **given: made.append(given))
    for _ in range(10):
        assert undelta(difference, new, crc(old)) == old
    assert made == []


def test_a_difference_from_another_body_is_damage() -> None:
    old, new, other = (
        encoded(State(name, "thing", [Noted(1, 1, name * 50)], next_id=2)) for name in ("old", "new", "other")
    )
    with pytest.raises(StoreDamaged):
        undelta(delta(old, new), other, crc(old))


def test_bodies_of_any_known_dictionary_are_read_and_of_an_unknown_one_are_damage(codec: Codec) -> None:
    bodies = [
        encoded(
            State(
                f"name {number}",
                "thing",
                [Noted(1, 1, f"observation {number * 7919 % 1000} about something")],
                next_id=2,
            )
        )
        for number in range(1500)
    ]
    own = train(bodies)
    both = Codec({1: built_in(), 2: own}, 2)
    raw, stored = both.pack(State("name 5", "thing", [Noted(1, 1, "observation 6 about something")], next_id=2))
    assert stored[0] == 2
    assert both.plain(stored, crc(raw)) == raw
    shipped = codec.squeeze(raw)
    assert both.plain(shipped, crc(raw)) == raw
    assert len(stored) < len(shipped)
    with pytest.raises(StoreDamaged):
        codec.plain(stored, crc(raw))


def test_the_shipped_dictionary_helps_text_it_has_not_seen(codec: Codec) -> None:
    state = State(
        "Quentin",
        "person",
        [Noted(1, 1, "Quentin prefers to be reached by telephone in the early afternoon, never by mail.")],
        next_id=2,
    )
    raw, stored = codec.pack(state)
    assert len(stored) < len(raw) * 0.75
