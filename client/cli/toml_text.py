"""TOML changed as text: an entry is a table of its own at the end of the file; removed, it takes nothing along."""

import json
import re
import tomllib
from typing import Any, cast

from enhanced_memory.client.cli.formats import Malformed, Unsafe, at

__all__ = ["drop", "parse", "put"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_COMMENT = re.compile(r"[ \t]*#")
_HEADER = re.compile(r"[ \t]*\[")


def parse(text: str) -> Any:
    """What `text` says. `Malformed` where it is not TOML."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise Malformed(str(problem)) from None


def put(text: str, path: tuple[str, ...], name: str | None, value: Any) -> str:
    """`text` with `value` as the table `path.name`, behind everything else. One that is there is removed first."""
    if name is None:
        raise Unsafe("lists of tables are not written")
    if at(parse(text), (*path, name)) is not None:
        text = drop(text, path, name)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [f"[{'.'.join(_key(part) for part in (*path, name))}]"]
    lines += [f"{_key(key)} = {_value(inner)}" for key, inner in cast("dict[str, Any]", value).items()]
    start = "" if not text else newline if text.endswith("\n") else newline * 2
    return text + start + newline.join(lines) + newline


def drop(text: str, path: tuple[str, ...], which: str | int) -> str:
    """`text` without the table `path.which` and those below it. `Unsafe` where it is not written as a table."""
    lines = text.splitlines(keepends=True)
    heads = [n for n, line in enumerate(lines) if _HEADER.match(line) and _between(lines[:n])]
    ours: set[int] = set()
    for head, behind in zip(heads, [*heads[1:], len(lines)], strict=True):
        if _names(lines[head])[: len(path) + 1] != (*path, which):
            continue
        # What stands before the next table, set off by an empty line, belongs to that one.
        last = max(
            number for number in range(head, behind) if lines[number].strip() and not _COMMENT.match(lines[number])
        )
        ours.update(range(head, last + 1))
        if head and not lines[head - 1].strip():
            ours.add(head - 1)
    if not ours and at(parse(text), path):
        raise Unsafe(f"{'.'.join(map(str, (*path, which)))} is not written as a table of its own")
    return "".join(line for number, line in enumerate(lines) if number not in ours)


def _between(lines: list[str]) -> bool:
    """Whether what follows `lines` begins anew: not within a text or a list that spans lines."""
    try:
        tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _names(line: str) -> tuple[str, ...]:
    """The names in a table's header; none where the line is no header, such as one of a list that spans lines."""
    try:
        here: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    names: list[str] = []
    while isinstance(here, dict) and here:
        name, here = next(iter(cast("dict[str, Any]", here).items()))
        names.append(name)
    return tuple(names)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in cast("dict[str, Any]", value).items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(_value(each) for each in cast('list[Any]', value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
