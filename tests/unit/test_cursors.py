"""Cursors: given back as they were given out, and refused otherwise."""

from typing import Any

import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.daemon.handlers.cursors import read, write


@pytest.mark.parametrize("place", [(1,), (2**62, 3), ("entities", 0), ("näme ✓", 5), (1.5, 2), ("", 0)])
def test_a_place_written_is_the_place_read(place: tuple[Any, ...]) -> None:
    assert read(write(*place), *(type(part) for part in place)) == list(place)


def test_a_cursor_is_text_that_needs_no_quoting() -> None:
    assert all(char.isalnum() or char in "-_" for char in write("näme ✓?&=/", 1))


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "é",
        "\ud800",
        write("a", 1),
        write(1, 1),
        write(),
        write(None),
        write([1]),
        write(True),
        write(2**63),
        write(1.0),
        "A" * 9999,
    ],
)
def test_a_cursor_of_another_kind_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        read(cursor, int)


def test_a_part_may_be_of_several_types() -> None:
    for part in ("a", 1, 1.5):
        assert read(write(part, 1), str | int | float, int) == [part, 1]
    with pytest.raises(Invalid):
        read(write(None, 1), str | int | float, int)
