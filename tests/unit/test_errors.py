"""Errors: one tree, one code each, and the same class on the far side of the wire."""

import pytest

from enhanced_memory.client import errors
from enhanced_memory.client.errors import Broken, Error, from_wire

CLASSES = [one for name in errors.__all__ if isinstance(one := getattr(errors, name), type)]


def test_every_error_is_one_of_the_tree_and_listed() -> None:
    def below(one: type[Error]) -> set[type[Error]]:
        return {one}.union(*(below(child) for child in one.__subclasses__() if child.__module__ == errors.__name__))

    assert below(Error) == set(CLASSES)


def test_codes_are_unique_and_plain() -> None:
    codes = [one.code for one in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("_", "").isalpha() and code == code.lower() for code in codes)


def test_the_tree_at_the_top_of_the_file_names_every_class() -> None:
    assert errors.__doc__ is not None
    for one in CLASSES:
        assert one.__name__ in errors.__doc__


@pytest.mark.parametrize("kind", CLASSES, ids=lambda one: one.__name__)
def test_an_error_comes_back_from_the_wire_as_itself(kind: type[Error]) -> None:
    there = kind("what went wrong", "what to do")
    back = from_wire(there.to_wire())
    assert type(back) is kind
    assert (back.message, back.hint, str(back)) == ("what went wrong", "what to do", "what went wrong (what to do)")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda one: one.__name__)
def test_an_error_without_words_says_what_its_class_says(kind: type[Error]) -> None:
    assert kind().message == (kind.__doc__ or "").strip() != ""


def test_a_hint_that_every_error_of_a_class_has_travels() -> None:
    assert from_wire(errors.StoreFull().to_wire()).hint == errors.StoreFull.hint != ""


def test_an_unknown_code_is_a_plain_error() -> None:
    back = from_wire({"code": "from_the_future", "message": "hm"})
    assert type(back) is Error
    assert back.message == "hm"


@pytest.mark.parametrize("given", [None, 5, "text", [1]])
def test_an_error_that_cannot_be_read_is_an_error_too(given: object) -> None:
    assert isinstance(from_wire(given), Broken)


def test_an_error_map_with_wrong_types_is_still_an_error() -> None:
    assert isinstance(from_wire({"code": 5, "message": None, "hint": ["x"]}), Error)
