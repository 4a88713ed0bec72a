"""Which text and data are accepted."""

from typing import Any

import pytest

from enhanced_memory.client.errors import Invalid, TooLarge
from enhanced_memory.daemon.text import DEEPEST, check_data, check_name, check_text


def test_text_up_to_the_limit_is_given_back() -> None:
    assert check_text("x" * 10, "It", 10) == "x" * 10
    assert check_text("", "It", 10) == ""
    with pytest.raises(TooLarge, match="It has 11 characters; the limit is 10"):
        check_text("x" * 11, "It", 10)


@pytest.mark.parametrize("text", ["\0", "a\0b"])
def test_a_nul_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="It holds a NUL"):
        check_text(text, "It", 10)


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u3000"])
def test_a_name_is_not_blank_unless_it_may_be(name: str) -> None:
    with pytest.raises(Invalid, match="It is empty"):
        check_name(name, "It", 10)
    assert check_name(name, "It", 10, empty=True) == name


@pytest.mark.parametrize("name", ["x", " x ", "🙂", "مرحبا", "'; --", "\u202e"])
def test_any_other_text_is_a_name(name: str) -> None:
    assert check_name(name, "It", 10) == name


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [None, True, 0, -(2**63), 2**63 - 1, 1.5, "x", [], {}, {"a": [1, {"b": None}]}, nested(DEEPEST)], ids=str
)
def test_plain_data_is_accepted(value: Any) -> None:
    check_data(value, "It", 100)


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        -(2**63) - 1,
        float("nan"),
        float("inf"),
        b"x",
        {1: 2},
        {"a": {1: 2}},
        (1,),
        {1},
        object(),
        "\0",
        {"\0": 1},
        [["\0"]],
        nested(DEEPEST + 1),
    ],
    ids=lambda value: repr(value)[:30].partition(" at ")[0],
)
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(Invalid, match=r"[Ii]t"):
        check_data(value, "It", 100)


def test_text_within_data_has_the_limit_too() -> None:
    for value in ("x" * 101, ["x" * 101], {"k": "x" * 101}, {"x" * 101: 1}):
        with pytest.raises(TooLarge):
            check_data(value, "It", 100)
