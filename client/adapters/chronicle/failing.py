"""How calls fail here: reads log the error and answer with nothing, saves log it and raise it."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from enhanced_memory.client.errors import Error

__all__ = ["Row", "loud", "quiet", "row", "rows", "text"]

P = ParamSpec("P")
A = TypeVar("A")
S = TypeVar("S")

Row = dict[str, Any]

log = logging.getLogger(__name__)


def rows() -> list[Row]:
    """No rows."""
    return []


def row() -> Row | None:
    """No row."""
    return None


def text() -> str | None:
    """No text."""
    return None


def quiet(empty: Callable[[], A]) -> Callable[[Callable[Concatenate[S, P], A]], Callable[Concatenate[S, P], A]]:
    """A read that logs an error and answers with nothing, as its users expect."""

    def wrap(read: Callable[Concatenate[S, P], A]) -> Callable[Concatenate[S, P], A]:
        @wraps(read)
        def asked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> A:
            try:
                return read(self, *args, **kwargs)
            except Error:
                log.exception("%s could not read", read.__name__)
                return empty()

        return asked

    return wrap


def loud(save: Callable[Concatenate[S, P], A]) -> Callable[Concatenate[S, P], A]:
    """A save that logs an error and raises it."""

    @wraps(save)
    def asked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> A:
        try:
            return save(self, *args, **kwargs)
        except Error:
            log.exception("%s could not save", save.__name__)
            raise

    return asked
