"""The forms that clients' configuration files have, and the one promise kept for all of them.

A change is made to the text, never by writing the file anew from what was read. It is then read back: it must say what
the file said before and the change, nothing else. Where it does not, `Unsafe` is raised and nothing is written.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

__all__ = ["Form", "Malformed", "Unsafe", "at", "form", "with_entry", "with_item", "without_entry", "without_item"]


class Malformed(Exception):
    """The file is not what its client expects; says where."""


class Unsafe(Exception):
    """The change cannot be made to the text without touching what is not ours."""


@dataclass(frozen=True)
class Form:
    """How one kind of file is read and changed."""

    parse: Callable[[str], Any]
    put: Callable[[str, tuple[str, ...], str | None, Any], str]
    """The text with a value as the member of that name; without a name, as the last of a list."""
    drop: Callable[[str, tuple[str, ...], str | int], str]


def form(name: str) -> Form:
    """The form `json`, `jsonc`, `toml` or `yaml`."""
    if name in ("json", "jsonc"):
        from enhanced_memory.client.cli import jsonc

        allowed = name == "jsonc"
        return Form(
            partial(jsonc.parse, comments=allowed),
            partial(jsonc.put, comments=allowed),
            partial(jsonc.drop, comments=allowed),
        )
    if name == "toml":
        from enhanced_memory.client.cli import toml_text

        return Form(toml_text.parse, toml_text.put, toml_text.drop)
    from enhanced_memory.client.cli import yaml_text

    return Form(yaml_text.parse, yaml_text.put, yaml_text.drop)


def at(data: Any, path: tuple[str, ...]) -> Any:
    """What stands at `path`; None where nothing does."""
    for key in path:
        if not isinstance(data, dict):
            return None
        data = cast("dict[str, Any]", data).get(key)
    return data


def with_entry(form: Form, text: str, path: tuple[str, ...], name: str, entry: Any) -> str:
    """`text` with `entry` as the member `name` of what stands at `path`, in the place of one that is there."""
    wanted = deepcopy(form.parse(text))
    _made(wanted, path, {})[name] = entry
    return _checked(form, form.put(text, path, name, entry), wanted)


def with_item(form: Form, text: str, path: tuple[str, ...], item: Any) -> str:
    """`text` with `item` as the last of the list at `path`."""
    wanted = deepcopy(form.parse(text))
    _made(wanted, path, []).append(item)
    return _checked(form, form.put(text, path, None, item), wanted)


def without_entry(form: Form, text: str, path: tuple[str, ...], name: str, made: int) -> str:
    """`text` without the member `name` at `path`, and the last `made` levels of `path` that are empty then."""
    return _without(form, text, path, name, made)


def without_item(form: Form, text: str, path: tuple[str, ...], place: int, made: int) -> str:
    """The same for the element `place` of the list at `path`."""
    return _without(form, text, path, place, made)


def _without(form: Form, text: str, path: tuple[str, ...], which: str | int, made: int) -> str:
    wanted = deepcopy(form.parse(text))
    del at(wanted, path)[which]
    text = form.drop(text, path, which)
    path = _still_there(form, text, path, wanted)
    text = _checked(form, text, wanted)
    while made and path and not at(wanted, path):
        path, key, made = path[:-1], path[-1], made - 1
        del at(wanted, path)[key]
        text = _checked(form, form.drop(text, path, key), wanted)
    return text


def _still_there(form: Form, text: str, path: tuple[str, ...], wanted: Any) -> tuple[str, ...]:
    """How much of `path` there is: in TOML a table that only holds others goes with the last of them."""
    try:
        said = form.parse(text)
    except Malformed:
        return path  # `_checked` says so
    while path and not at(wanted, path) and at(said, path) is None:
        path, key = path[:-1], path[-1]
        del at(wanted, path)[key]
    return path


def _made(data: Any, path: tuple[str, ...], last: Any) -> Any:
    """What stands at `path`, made where nothing does; `Unsafe` where something of another kind is in the way."""
    for number, key in enumerate(path):
        if not isinstance(data, dict):
            raise Unsafe(f"where {key} belongs stands something that holds no members")
        here = cast("dict[str, Any]", data)
        if here.get(key) is None:
            here[key] = last if number == len(path) - 1 else {}
        data = here[key]
    if not isinstance(data, type(last)):
        raise Unsafe(f"{'.'.join(path)} is not of the expected kind")
    return data


def _checked(form: Form, text: str, wanted: Any) -> str:
    try:
        said = form.parse(text)
    except Malformed as problem:
        raise Unsafe(f"the changed file could not be read: {problem}") from None
    if _plain(said) != _plain(wanted):
        raise Unsafe("the changed file would say something else than it should")
    return text


def _plain(value: Any) -> Any:
    """What is empty and what is nothing are the same to a YAML reader."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in cast("dict[Any, Any]", value).items()} or []
    if isinstance(value, list):
        return [_plain(inner) for inner in cast("list[Any]", value)]
    return [] if value is None else value
