"""Plain data: what may leave a worker. None, booleans, numbers, text, lists, and maps whose keys are text."""

from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta
from math import isfinite
from typing import Any, cast

__all__ = ["DEPTH", "SMALLER", "checked"]

DEPTH = 100
SMALLER = "answer less: top_n(…), summarize_results(…), or counts"
_LISTS = (list, tuple, set, frozenset, deque)
_MAPS = (dict, Counter, OrderedDict, defaultdict)


def checked(value: Any, most: int) -> Any:
    """`value` as plain data: tuples and sets become lists, times ISO text, numbers as keys text.

    `TypeError` and `ValueError` say where what cannot be told stands, or that it is nested too deeply. `most` bounds how
    many values are looked at: more than that cannot fit into as many bytes.
    """
    return _Walk(most).plain(value, "result", 0)


class _Walk:
    def __init__(self, most: int) -> None:
        self._left = most

    def plain(self, value: Any, where: str, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"there is too much in it; {SMALLER}")
        kind = cast("Any", type(value))
        if value is None or kind is bool:
            return value
        if kind is str:
            return _text(value, where)
        if kind is int:
            if not -(1 << 63) <= value < 1 << 64:
                raise ValueError(f"{where} is a whole number of more than 64 bits; give it as text: str(n)")
            return value
        if kind is float:
            if not isfinite(value):
                raise ValueError(f"{where} is {value}, which JSON cannot say")
            return value
        if depth >= DEPTH:
            raise ValueError(f"{where[:100]} … is nested more than {DEPTH} deep")
        if kind in _LISTS:
            return [self.plain(one, f"{where}[{place}]", depth + 1) for place, one in enumerate(value)]
        if kind in _MAPS:
            return self._map(cast("dict[Any, Any]", value), where, depth)
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, timedelta):
            return value.total_seconds()
        raise TypeError(
            f"{where} is of type {kind.__name__}, which is not plain data; make it text, a number, a list or a map"
        )

    def _map(self, value: dict[Any, Any], where: str, depth: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for key, one in value.items():
            if type(key) is str:
                name = _text(key, f"a key of {where}")
            elif key is None or type(key) in (int, float, bool):
                name = str(key)
            elif isinstance(key, date):
                name = key.isoformat()
            else:
                raise TypeError(f"a key of {where} is of type {type(key).__name__}; keys are text")
            told[name] = self.plain(one, f"{where}[{name[:40]!r}]", depth + 1)
        return told


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where} holds a lone surrogate, which is not valid Unicode") from None
    return value
