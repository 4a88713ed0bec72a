"""How an operation is declared: one class, from which the wire name, both clients' methods, the checks and the MCP tool follow.

`Question[A]` reads and is answered by any reader, `Change[A]` writes and is answered by the one writer once it is on disk;
`A` is the answer's type. The class name in snake case is the name of the operation everywhere.
"""

import re
from collections.abc import Awaitable, Callable
from functools import cache, update_wrapper
from typing import Any, ClassVar, Generic, ParamSpec, Self, TypeVar, cast, get_args, overload

import msgspec

from enhanced_memory.client.errors import Invalid

__all__ = [
    "HANDLERS",
    "REQUESTS",
    "AsyncCaller",
    "Caller",
    "Change",
    "Question",
    "Request",
    "answer_type",
    "method",
    "parse",
]

A = TypeVar("A")
C = TypeVar("C")
P = ParamSpec("P")

REQUESTS: dict[str, type["Request[Any]"]] = {}
"""Every operation by its wire name."""

HANDLERS: dict[str, Callable[[Any, Any], Any]] = {}
"""What answers each operation. Empty in a client; complete in the daemon, which checks at start."""


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Request(msgspec.Struct, Generic[A], omit_defaults=True):
    """Something asked of the daemon; the type argument is its answer."""

    op: ClassVar[str] = ""
    point: ClassVar[bool] = False
    """Whether answering costs no more than a few row reads, so that it may be done on the daemon's loop."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if cls.__module__ == __name__:
            return
        cls.op = _snake(cls.__name__)
        REQUESTS[cls.op] = cls

    @classmethod
    def handler(cls, answer: Callable[[C, Self], A]) -> Callable[[C, Self], A]:
        """Register `answer` as what serves this request; it is given back unchanged."""
        if cls.op in HANDLERS:
            raise TypeError(f"{cls.op} has a handler already: {HANDLERS[cls.op].__module__}")
        HANDLERS[cls.op] = answer
        return answer


class Question(Request[A]):
    """Reads: answered by any reader, in parallel."""


class Change(Request[A]):
    """Writes: answered by the one writer, in order, once it is on disk."""


class Caller:
    """A client whose calls wait for their answer."""

    def send(self, ask: Request[A]) -> A:
        """Send `ask` and wait for its answer."""
        raise NotImplementedError


class AsyncCaller:
    """A client whose calls are awaited."""

    def send(self, ask: Request[A]) -> Awaitable[A]:
        """Send `ask`; await the answer."""
        raise NotImplementedError


class method(Generic[P, A]):
    """A request lent to the clients: a plain method of `Memory`, an awaitable one of `AsyncMemory`."""

    def __init__(self, request: Callable[P, Request[A]]) -> None:
        self.request = request
        self.__doc__ = request.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Caller, owner: type) -> Callable[P, A]: ...
    @overload
    def __get__(self, client: AsyncCaller, owner: type) -> Callable[P, Awaitable[A]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(self.request(*args, **kwargs))

        return update_wrapper(call, self.request, updated=())


@cache
def answer_type(request: type[Request[Any]]) -> Any:
    """The type of `request`'s answer."""
    for base in cast(Any, request).__orig_bases__:
        found = get_args(base)
        if found:
            return found[0]
    raise TypeError(f"{request.__name__} does not say what its answer is")


def parse(request: type[Request[A]], args: dict[str, Any]) -> tuple[Request[A], list[str]]:
    """The request that `args` say, and the parameters in them that it does not know (as paths).

    `Invalid` with the path of the first value that has the wrong type or breaks a bound.
    """
    try:
        ask = msgspec.convert(args, request, strict=True)
    except msgspec.ValidationError as problem:
        raise Invalid(
            str(problem).replace("`", ""), f"see `memoryctl help {request.op}` or docs/operations.md"
        ) from None
    except RecursionError:
        raise Invalid("A value is nested too deeply.") from None
    return ask, unknown(args, request)


def unknown(args: Any, kind: Any, path: str = "") -> list[str]:
    """The paths in `args` that `kind`, a struct type, has no field for."""
    fields = _fields(kind)
    found: list[str] = []
    for key, value in args.items():
        where = f"{path}.{key}" if path else key
        if key not in fields:
            found.append(where)
            continue
        inner = fields[key]
        if inner is None:
            continue
        if isinstance(value, dict):
            found += unknown(value, inner, where)
        elif isinstance(value, list):
            for index, item in enumerate(cast("list[Any]", value)):
                if isinstance(item, dict):
                    found += unknown(item, inner, f"{where}[{index}]")
    return found


@cache
def _fields(kind: Any) -> dict[str, Any]:
    """Each field's wire name, with the struct type inside it, if there is one."""
    return {field.encode_name: _struct_in(field.type) for field in msgspec.structs.fields(kind)}


def _struct_in(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    for part in get_args(kind):
        found = _struct_in(part)
        if found is not None:
            return found
    return None
