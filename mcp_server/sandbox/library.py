"""What code finds without importing it: builtins, and collections of named functions that stand where modules would.

Never a module: every module of the standard library leads to others by its own imports. Nothing here opens a file, makes
a thread or reads an attribute by a name that code gives; what a function needs is loaded with the zygote.
"""

import _strptime  # noqa: F401  # pyright: ignore[reportUnusedImport, reportMissingTypeStubs] - `datetime.strptime` would load it when first used
import builtins
import collections
import datetime as dates
import functools
import heapq  # noqa: F401  # pyright: ignore[reportUnusedImport] - so would `Counter.most_common`
import itertools
import json
import math
import re
import statistics
import textwrap
from collections.abc import Callable
from typing import Any

from enhanced_memory.mcp_server.sandbox.guards import Collection, has, read
from enhanced_memory.mcp_server.sandbox.helpers import HELPERS

__all__ = ["BUILTINS", "NAMES", "names_in", "surroundings"]

BUILTINS = (
    "abs all any bool callable chr dict divmod enumerate filter float format frozenset hash int isinstance issubclass iter "
    "len list map max min next ord pow range repr reversed round set slice sorted str sum tuple zip "
    "classmethod property staticmethod object "
    "ArithmeticError AssertionError AttributeError Exception IndexError KeyError LookupError MemoryError NameError "
    "NotImplementedError OverflowError RecursionError RuntimeError StopIteration TypeError UnicodeError ValueError "
    "ZeroDivisionError"
)


def dumps(value: Any, indent: int | None = None, sort_keys: bool = False, ensure_ascii: bool = False) -> str:
    """Plain data as JSON text."""
    return json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=ensure_ascii)


def loads(text: str) -> Any:
    """What JSON text says."""
    return json.loads(text)


def reduce(function: Callable[[Any, Any], Any], items: Any, *initial: Any) -> Any:
    """`functools.reduce`."""
    return functools.reduce(function, items, *initial)


def type_name(thing: Any) -> str:
    """The name of a value's type."""
    return type(thing).__name__


def _of(module: Any, names: str) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names.split() if hasattr(module, name)}


NAMES: dict[str, dict[str, Any]] = {
    "json": {"dumps": dumps, "loads": loads, "JSONDecodeError": json.JSONDecodeError},
    "math": _of(
        math,
        "acos asin atan atan2 cbrt ceil comb copysign cos degrees dist e exp fabs factorial floor fmod fsum gcd hypot inf "
        "isclose isfinite isinf isnan isqrt lcm log log10 log1p log2 modf nan perm pi pow prod radians sin sqrt tan tanh "
        "tau trunc",
    ),
    "re": _of(
        re,
        "ASCII DOTALL I IGNORECASE M MULTILINE S VERBOSE X compile error escape findall finditer fullmatch match search "
        "split sub subn",
    ),
    "statistics": _of(
        statistics,
        "StatisticsError correlation fmean geometric_mean harmonic_mean linear_regression mean median median_high "
        "median_low mode multimode pstdev pvariance quantiles stdev variance",
    ),
    "datetime": _of(dates, "UTC date datetime time timedelta timezone"),
    "collections": _of(collections, "Counter OrderedDict defaultdict deque"),
    "itertools": _of(
        itertools,
        "accumulate batched chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse "
        "groupby islice pairwise permutations product repeat starmap takewhile zip_longest",
    ),
    "functools": {"reduce": reduce},
    "textwrap": _of(textwrap, "dedent fill indent shorten wrap"),
}
"""The collections, each with what it holds."""

ALONE = ("json", "math", "re", "statistics", "itertools", "textwrap")
"""Collections that are there under their own name without an import; of the others, what they hold is."""


def names_in(collection: str) -> list[str]:
    """The names that a collection holds."""
    return list(NAMES[collection])


def surroundings() -> tuple[dict[str, Any], dict[str, Collection]]:
    """The builtins, with everything that needs no import; and the collections."""
    gathered = {name: Collection(name, things) for name, things in NAMES.items()}
    said: dict[str, Any] = {name: getattr(builtins, name) for name in BUILTINS.split()}
    said |= {"True": True, "False": False, "None": None, "__build_class__": builtins.__build_class__}
    said |= {"getattr": read, "hasattr": has, "type_name": type_name}
    said |= {name: gathered[name] for name in ALONE}
    said |= {"json_dumps": dumps, "json_loads": loads, "chain": gathered["itertools"].thing("chain")}
    for collection in ("datetime", "collections", "functools"):
        said |= NAMES[collection]
    said |= HELPERS
    return said, gathered
