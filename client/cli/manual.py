"""`memoryctl help`: the manual of a verb, or of an operation of the protocol as its request class declares it."""

from typing import Any, cast

import msgspec
from msgspec import inspect

from enhanced_memory.client.cli.commandline import every_name, find_verb, manual, verb_parser
from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations import Operations
from enhanced_memory.client.request import REQUESTS, Change, Request, answer_type

__all__ = ["Operations", "operation_help"]  # importing Operations declares every request


@verb(
    "help",
    "Explain a verb, or an operation of the protocol.",
    argument(
        "topic",
        nargs="?",
        metavar="VERB|OPERATION",
        help="what to explain; nothing: all verbs, and the names of all operations",
    ),
)
def help_(call: Call) -> Answer:
    """What is both a verb and an operation is explained as both."""
    topic: str | None = call.given.topic
    if topic is None:
        text = manual() + "\noperations:\n" + "".join(f"  {name}\n" for name in REQUESTS)
        return _answer(None, text)
    found = find_verb(topic)
    request = REQUESTS.get(topic)
    if found is None and request is None:
        from difflib import get_close_matches

        near = get_close_matches(topic, [*every_name(), *REQUESTS], 1)
        raise NotFound(
            f"There is no verb and no operation {topic!r}.",
            f"did you mean {near[0]}?" if near else "see `memoryctl help`",
        )
    parts = [verb_parser(found).format_help()] if found else []
    if request:
        parts.append(operation_help(request))
    return _answer(topic, "\n".join(parts))


def _answer(topic: str | None, text: str) -> Answer:
    return Answer({"topic": topic, "text": text}, lambda paper: paper.line(text.rstrip("\n")))


def operation_help(request: type[Request[Any]]) -> str:
    """The manual entry of an operation: what it does, what it takes, what it answers."""
    sort = "change: written before it is answered" if issubclass(request, Change) else "question: changes nothing"
    lines = [f"operation {request.op} ({sort})", "", *_doc(request), ""]
    seen: list[Any] = []
    lines += ["takes:", *(_fields(request, seen) or ["  nothing"]), "", "answers:"]
    answer = answer_type(request)
    lines += [f"  {answer.__name__}: {' '.join(_doc(answer))}", *_fields(answer, seen)]
    done: list[Any] = [request, answer]
    while seen:
        kind = seen.pop(0)
        if kind not in done:
            done.append(kind)
            lines += ["", f"{kind.__name__}: {' '.join(_doc(kind))}", *_fields(kind, seen)]
    return "\n".join(lines) + "\n"


def _doc(kind: Any) -> list[str]:
    return [line.strip() for line in (kind.__doc__ or "").strip().splitlines()]


def _fields(kind: Any, seen: list[Any]) -> list[str]:
    """A line for each field; structs met on the way go into `seen`."""
    lines: list[str] = []
    for field in cast(inspect.StructType, inspect.type_info(kind)).fields:
        said = f"  {field.encode_name}: {_said(field.type, seen)}"
        if not field.required:
            empty = {list: "[]", dict: "{}"}.get(field.default_factory)  # pyright: ignore - any callable may be asked for
            if empty is not None:
                said += f" = {empty}"
            elif field.default not in (msgspec.UNSET, msgspec.NODEFAULT):
                said += f" = {msgspec.json.encode(field.default).decode()}"
        lines.append(said)
    return lines


_NAMES: dict[type[inspect.Type], str] = {
    inspect.AnyType: "anything",
    inspect.NoneType: "null",
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "time (ISO 8601)",
}


def _said(kind: inspect.Type, seen: list[Any]) -> str:
    """A type in words."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.StructType):
        seen.append(kind.cls)
        return kind.cls.__name__
    if isinstance(kind, inspect.UnionType):
        parts = [part for part in kind.types if "UnsetType" not in repr(part)]
        return " or ".join(_said(part, seen) for part in parts)
    if isinstance(kind, inspect.LiteralType):
        return " | ".join(map(str, kind.values))
    if isinstance(kind, inspect.ListType):
        return f"list of {_said(kind.item_type, seen)}{_bounds(kind.min_length, kind.max_length, 'items')}"
    if isinstance(kind, inspect.DictType):
        return f"map to {_said(kind.value_type, seen)}"
    if isinstance(kind, inspect.IntType):
        return f"whole number{_bounds(kind.ge, kind.le)}"
    if isinstance(kind, inspect.FloatType):
        return f"number{_bounds(kind.ge, kind.le)}"
    if isinstance(kind, inspect.StrType):
        return f"text{_bounds(kind.min_length, kind.max_length, 'characters')}"
    return _NAMES.get(type(kind), type(kind).__name__.removesuffix("Type").lower())


def _bounds(low: float | None, high: float | None, unit: str = "") -> str:
    if low is None and high is None:
        return ""
    unit = f" {unit}" if unit else ""
    if low is None or high is None:
        return f" (at most {high}{unit})" if low is None else f" (at least {low}{unit})"
    return f" ({low} to {high}{unit})"
