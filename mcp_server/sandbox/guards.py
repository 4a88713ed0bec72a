"""What compiled code calls instead of touching things by itself: reading and setting attributes and items, printing.

Reading goes by lists of what is allowed on each type; what is on no list is not there. So frames, tracebacks, formatters
and the insides of functions need no list of their own. None of this is the wall: it is there so that honest code gets a
clear answer and hostile code has a longer way.
"""

import operator
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from re import Match, Pattern
from types import MappingProxyType
from typing import Any, cast

__all__ = ["CONTAINERS", "Collection", "Made", "Printed", "guards", "has", "read"]

_TEXT = (
    "capitalize casefold center count encode endswith expandtabs find index isalnum isalpha isascii isdecimal isdigit "
    "isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip maketrans partition "
    "removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip "
    "swapcase title translate upper zfill"
)
_LIST = "append clear copy count extend index insert pop remove reverse sort"
_DICT = "clear copy fromkeys get items keys pop popitem setdefault update values"
_FROZENSET = "copy difference intersection isdisjoint issubset issuperset symmetric_difference union"
_SET = (
    "add clear difference_update discard intersection_update pop remove symmetric_difference_update update "
    + _FROZENSET
)
_DATE = "ctime day fromisoformat isocalendar isoformat isoweekday max min month replace strftime today weekday year"
_TIME = "fold fromisoformat hour isoformat max microsecond min minute replace second strftime tzinfo utcoffset"
_DATETIME = (
    "astimezone combine date fromtimestamp hour microsecond minute now second strptime time timestamp timetz tzinfo "
    "utcoffset utcnow " + _DATE
)
_MATCH = "end expand group groupdict groups lastgroup lastindex span start"
_PATTERN = "findall finditer flags fullmatch groups match pattern search split sub subn"


def _types() -> Iterator[tuple[type, str]]:
    yield from ((str, _TEXT), (bytes, "decode hex"), (list, _LIST), (tuple, "count index"), (dict, _DICT))
    yield from ((set, _SET), (frozenset, _FROZENSET), (int, "bit_count bit_length is_integer"))
    yield from ((float, "is_integer"), (bool, ""), (range, "start stop step"), (slice, "start stop step"))
    yield (Counter, _DICT + " elements most_common subtract total")
    yield (OrderedDict, _DICT + " move_to_end")
    yield (defaultdict, _DICT)
    yield (deque, "appendleft extendleft popleft rotate maxlen " + _LIST.replace(" sort", ""))
    yield from ((date, _DATE), (datetime, _DATETIME), (time, _TIME), (timezone, "utc"))
    yield (timedelta, "days max microseconds min seconds total_seconds")
    yield from ((Match, _MATCH), (Pattern, _PATTERN))


METHODS = {kind: frozenset(names.split()) for kind, names in _types()}
"""What may be read from values of a type, and from the type itself."""

CONTAINERS = (list, dict, set, Counter, OrderedDict, defaultdict, deque)
WRITABLE = frozenset(CONTAINERS) - {set}

HINTS = {
    "format": "use an f-string",
    "format_map": "use an f-string",
    "attrgetter": "use a lambda",
}


class Made(type):
    """The type of every class that code defines."""

    def __new__(mcs, name: str, bases: tuple[type, ...], inside: dict[str, Any]) -> "Made":
        """A class that inherits from classes of the code's own, or from exceptions."""
        for base in bases:
            if not (type(base) is Made or base is object or issubclass(base, Exception)):
                raise TypeError(f"a class cannot inherit from {base.__name__} here")
        return super().__new__(mcs, name, bases, inside)


class Collection:
    """Named functions and values under one name: what code takes for a module."""

    __slots__ = ("_name", "_things")

    def __init__(self, name: str, things: dict[str, Any]) -> None:
        self._name = name
        self._things = MappingProxyType(things)

    def __repr__(self) -> str:
        return f"<{self._name}>"

    def thing(self, name: str) -> Any:
        """What is called `name`; `AttributeError` where nothing is."""
        if name not in self._things:
            raise AttributeError(f"{self._name} has no {name} here; it has {', '.join(self._things)}")
        return self._things[name]

    def names(self) -> list[str]:
        """The names there are."""
        return list(self._things)


_NOTHING: Any = object()


def read(thing: Any, name: Any, otherwise: Any = _NOTHING) -> Any:
    """The attribute `name` of `thing`, if it is one that code may read."""
    # A subclass of str could answer each question differently.
    if type(name) is not str:
        raise TypeError("the name of an attribute is text")
    try:
        return _read(thing, name)
    except AttributeError:
        if otherwise is _NOTHING:
            raise
        return otherwise


def _read(thing: Any, name: str) -> Any:
    kind = cast("Any", type(thing))
    if not name.startswith("_"):
        if kind is Collection:
            return thing.thing(name)
        if name in METHODS.get(kind, ()):
            return getattr(thing, name)
        if kind is type and name in METHODS.get(thing, ()):
            return getattr(thing, name)
        if kind is Made and _defined(thing, name):
            return getattr(thing, name)
        if type(kind) is Made and (_defined(kind, name) or name in _own(thing)):
            return getattr(thing, name)
        if isinstance(thing, BaseException) and name in ("args", "hint"):
            return getattr(thing, name)
    hint = HINTS.get(name)
    what = thing.__name__ if isinstance(thing, type) else kind.__name__
    raise AttributeError(f"{what} has no attribute {name} here" + (f": {hint}" if hint else ""))


def _defined(kind: type, name: str) -> bool:
    return any(type(one) is Made and name in one.__dict__ for one in type.mro(kind))


def _own(thing: Any) -> dict[str, Any]:
    return getattr(thing, "__dict__", {})


def has(thing: Any, name: Any) -> bool:
    """Whether `read` would find something."""
    try:
        read(thing, name)
    except AttributeError:
        return False
    return True


def written(thing: Any) -> Any:
    """`thing`, if code may set its items or attributes."""
    kind = cast("Any", type(thing))
    if kind in WRITABLE or type(kind) is Made or kind is Made:
        return thing
    raise TypeError(f"{kind.__name__} cannot be changed")


def item(thing: Any, key: Any) -> Any:
    """`thing[key]`."""
    if isinstance(thing, type) and type(thing) is not Made:
        raise TypeError(f"{thing.__name__} has no items")
    held: Any = thing
    return held[key]


_OPERATOR: Any = operator  # its functions take anything, and say no types

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+=": _OPERATOR.iadd,
    "-=": _OPERATOR.isub,
    "*=": _OPERATOR.imul,
    "/=": _OPERATOR.itruediv,
    "%=": _OPERATOR.imod,
    "**=": _OPERATOR.ipow,
    "<<=": _OPERATOR.ilshift,
    ">>=": _OPERATOR.irshift,
    "|=": _OPERATOR.ior,
    "^=": _OPERATOR.ixor,
    "&=": _OPERATOR.iand,
    "//=": _OPERATOR.ifloordiv,
    "@=": _OPERATOR.imatmul,
}


def in_place(sign: str, old: Any, more: Any) -> Any:
    """`old` after `old sign more`."""
    return OPERATORS[sign](old, more)


def item_in_place(sign: str, thing: Any, key: Any, more: Any) -> None:
    """`thing[key] sign more`."""
    written(thing)[key] = OPERATORS[sign](thing[key], more)


def attribute_in_place(sign: str, thing: Any, name: str, more: Any) -> None:
    """`thing.name sign more`."""
    setattr(written(thing), name, OPERATORS[sign](read(thing, name), more))


def apply(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """A call with stars."""
    return function(*arguments, **named)


class Printed:
    """What `print` writes to: hands text on, and takes no file but this."""

    __slots__ = ("_write",)

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __call__(self, *_: Any) -> "Printed":
        """RestrictedPython makes one for each function, with its own getter of attributes."""
        return self

    def _call_print(self, *things: Any, sep: str | None = " ", end: str | None = "\n", flush: bool = False) -> None:
        del flush
        self._write((" " if sep is None else sep).join(map(str, things)) + ("\n" if end is None else end))


def guards(printed: Printed, collections: dict[str, Collection]) -> dict[str, Any]:
    """What compiled code expects to find under names that code itself cannot say."""
    from RestrictedPython.Guards import (  # pyright: ignore[reportMissingTypeStubs]
        guarded_iter_unpack_sequence,  # pyright: ignore[reportUnknownVariableType]
        guarded_unpack_sequence,  # pyright: ignore[reportUnknownVariableType]
    )

    return {
        "__metaclass__": Made,
        "__name__": "code",
        "_apply_": apply,
        "_collections_": collections,
        "_getattr_": read,
        "_getitem_": item,
        # Nothing that can be iterated over here holds more than what it gives: so the loops of C need no guard either.
        "_getiter_": iter,
        "_inplaceattr_": attribute_in_place,
        "_inplaceitem_": item_in_place,
        "_inplacevar_": in_place,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
        "_print_": printed,
        "_unpack_sequence_": guarded_unpack_sequence,
        "_write_": written,
    }
