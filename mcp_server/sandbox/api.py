"""What code may ask of the memory, and with which grants: derived from the operations as they are declared.

A question is allowed, a change needs the grant `change`, one that takes something away the grant `delete`; or the
operation is granted by its own name. The chapter `service` and `switch` are about the connection and the machine, not
about memories, and are not offered.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, cast

import msgspec

from enhanced_memory.client.errors import Denied, Invalid, UnknownOperation
from enhanced_memory.client.operations import Operations, service, spaces
from enhanced_memory.client.request import REQUESTS, Change, Request, method, parse

__all__ = ["CHANGE", "DELETE", "checked_grants", "deletes", "granted", "offered", "plain", "read", "taken_away"]

CHANGE, DELETE = "change", "delete"
TAKING_AWAY = ("delete", "purge", "discard")
"""How the names of operations begin that take something away."""
NOT_OFFERED = (spaces.Switch,)


@cache
def offered() -> dict[str, list[str]]:
    """The operations that code finds, each with the names of its parameters in their order."""
    lent: list[Any] = [one.request for one in vars(Operations).values() if isinstance(one, method)]
    return {
        request.op: [field.encode_name for field in msgspec.structs.fields(request)]
        for request in lent
        if request.__module__ != service.__name__ and request not in NOT_OFFERED
    }


def deletes(request: type[Request[Any]]) -> bool:
    """Whether an operation takes something away."""
    return request.op.split("_")[0] in TAKING_AWAY


def checked_grants(grants: Iterable[str]) -> frozenset[str]:
    """The grants, if they are such. `Invalid` for one that there is not."""
    changes = [op for op in offered() if issubclass(REQUESTS[op], Change)]
    for grant in grants:
        if grant not in (CHANGE, DELETE, *changes):
            raise Invalid(
                f"There is no grant {grant[:100]!r}.", f"grants are {CHANGE}, {DELETE}, or one of {', '.join(changes)}"
            )
    return frozenset(grants)


def granted(ask: Request[Any], grants: frozenset[str]) -> None:
    """Let a call pass. `Denied` where it needs a grant that the run does not have."""
    needs = CHANGE if not deletes(type(ask)) else DELETE
    if isinstance(ask, Change) and not grants & {needs, ask.op}:
        raise Denied(f"{ask.op} changes the memory, and this run may not.", f'run it with grants: ["{needs}"]')


def read(op: Any, args: Any) -> Request[Any]:
    """A call as a request, checked as if nobody had checked it before. `Invalid`, `UnknownOperation`."""
    if not isinstance(op, str) or op not in offered():
        raise UnknownOperation(f"There is no operation {str(op)[:100]!r} for code.", "api() lists those that there are")
    if not isinstance(args, dict):
        raise Invalid("The arguments are no map.")
    ask, unknown = parse(REQUESTS[op], cast("dict[str, Any]", args))
    if unknown:
        raise Invalid(f"{op} does not know {unknown[0][:100]}.", f"it takes {', '.join(offered()[op])}")
    return ask


def taken_away(ask: Request[Any]) -> int:
    """How many things a call takes away: what its lists name."""
    if not deletes(type(ask)):
        return 0
    given: list[Any] = list(msgspec.structs.asdict(ask).values())
    return max((len(cast("list[Any]", one)) for one in given if isinstance(one, list)), default=1)


def plain(value: Any) -> Any:
    """An answer as plain data in which every field stands, defaults too, so that code need not ask whether it does."""
    if isinstance(value, msgspec.Struct):
        told: dict[str, Any] = {}
        for field in msgspec.structs.fields(value):
            one = getattr(value, field.name)
            if one is not msgspec.UNSET:
                told[field.encode_name] = plain(one)
        return told
    if isinstance(value, list | tuple):
        return [plain(one) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in cast("dict[Any, Any]", value).items()}
    if value is None or isinstance(value, str | int | float):
        return value
    return msgspec.to_builtins(value)
