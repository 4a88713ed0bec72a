"""Between types and JSON schemas: what a tool takes, told to a client and held against what the client sent."""

import re
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from enhanced_memory.client.errors import Invalid

__all__ = ["form", "pruned", "read", "schema_of"]

S = TypeVar("S", bound=msgspec.Struct)

_REFERENCE = "#/$defs/"

_NOTHING: tuple[Any, ...] = (None, "", [], {})
"""Defaults that say no more than that the key is optional."""

_FOR_PROGRAMS = ("vectors",)
"""What no language model can say: it is taken, and not offered."""

_JSON_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
"""msgspec speaks of Python's types where a client knows JSON's; `array`, `object` and `null` it calls the same."""


@cache
def schema_of(kind: type[msgspec.Struct], *, closed: bool = False) -> dict[str, Any]:
    """The JSON schema of `kind`, without references; `closed` forbids further keys at every level."""
    _, parts = msgspec.json.schema_components([kind], ref_template=_REFERENCE + "{name}")
    return cast("dict[str, Any]", _inlined(parts[kind.__name__], parts, closed))


def _inlined(part: Any, parts: dict[str, Any], closed: bool) -> Any:
    """`part` with each reference replaced by what it refers to, and without what only describes our classes."""
    if isinstance(part, list):
        return [_inlined(item, parts, closed) for item in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    found = cast("dict[str, Any]", part)
    if "$ref" in found:
        beside = {key: value for key, value in found.items() if key != "$ref"}
        return _inlined(parts[found["$ref"].removeprefix(_REFERENCE)], parts, closed) | _inlined(beside, parts, closed)
    if "anyOf" in found and found.get("default", ...) is None:
        # Null says what leaving the key out says: it is accepted, and not worth a client's tokens.
        choices = [choice for choice in found["anyOf"] if choice != {"type": "null"}]
        if len(choices) == 1:
            return _inlined(choices[0] | {key: value for key, value in found.items() if key != "anyOf"}, parts, closed)
    if "properties" not in found:
        idle = found.get("default") in _NOTHING
        return {key: _inlined(value, parts, closed) for key, value in found.items() if not (idle and key == "default")}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            name: _inlined(value, parts, closed)
            for name, value in found["properties"].items()
            if name not in _FOR_PROGRAMS
        },
    }
    if found.get("required"):
        schema["required"] = found["required"]
    if closed:
        schema["additionalProperties"] = False
    return schema


def read(kind: type[S], arguments: dict[str, Any]) -> S:
    """The arguments as `kind`. `Invalid` names the first that is missing or wrong."""
    try:
        return msgspec.convert(arguments, kind, strict=True)
    except msgspec.ValidationError as problem:
        raise Invalid(_sentence(problem)) from None


def _sentence(problem: msgspec.ValidationError) -> str:
    """`entities[0].name: expected string, got integer` for what msgspec says about `$.entities[0].name`."""
    said, _, where = str(problem).partition(" - at ")
    said = re.sub(r"`([^`]*)`", _json_names, said).replace("Object missing required field", "missing")
    said = said[:1].lower() + said[1:]
    path = where.strip("`").removeprefix("$").removeprefix(".")
    return f"{path}: {said}" if path else said


def _json_names(quoted: re.Match[str]) -> str:
    kinds = quoted[1].split(" | ")
    return " or ".join(_JSON_NAMES.get(kind, kind) for kind in kinds if kind != "null" or len(kinds) == 1)


def form(schema: dict[str, Any]) -> str:
    """The shape of what `schema` describes, on one line: `{"names": [string]}`. Optional keys carry a question mark."""
    match schema:
        case {"properties": properties}:
            required = schema.get("required", [])
            keys = (f'"{name}"{"" if name in required else "?"}: {form(part)}' for name, part in properties.items())
            return "{" + ", ".join(keys) + "}"
        case {"type": "array", "items": items}:
            return f"[{form(items)}]"
        case {"anyOf": choices}:
            return " or ".join(form(choice) for choice in choices)
        case {"enum": values}:
            return " or ".join(f'"{value}"' for value in values)
        case _:
            return str(schema.get("type", "any value"))


def pruned(value: Any, schema: dict[str, Any]) -> Any:
    """`value`, which has the form that `schema` says, without the keys that it does not name, at any depth."""
    match schema:
        case {"properties": named}:
            return {key: pruned(item, named[key]) for key, item in value.items() if key in named}
        case {"items": items}:
            return [pruned(item, items) for item in value]
        case _:
            return value
