"""YAML changed as text: an entry is a block of lines among its siblings, with their indentation.

Only what is written in blocks is changed; what is written in braces or brackets is left alone, as `Unsafe` says.
PyYAML, which FastMCP brings along, reads the file before and after; nothing is ever written by it.
"""

import json
import re
from importlib import import_module
from typing import Any, cast

from enhanced_memory.client.cli.formats import Malformed, Unsafe, at

__all__ = ["drop", "parse", "put"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_EMPTY = re.compile(r"(?:\{\s*\}|\[\s*\]|~|null)?\s*(#.*)?")


def parse(text: str) -> Any:
    """What `text` says, an empty file `{}`. `Malformed` where it is not YAML or no mapping."""
    yaml: Any = import_module("yaml")  # it carries no types
    try:
        said = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise Malformed(f"{where}{getattr(problem, 'problem', None) or problem}") from None
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise Malformed("it does not hold a mapping")
    return cast(Any, said)


def put(text: str, path: tuple[str, ...], name: str | None, value: Any) -> str:
    """`text` with `value` as the member `name` of the block at `path`, or as the last item of the list there."""
    if name is not None and at(parse(text), (*path, name)) is not None:
        text = drop(text, path, name)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    block = _Block.find(lines, path)
    if block is None:
        lines.append(f"{path[0]}:{newline}")
        block = _Block(len(lines) - 1, len(lines), None)
    else:
        before, _, behind = lines[block.head].partition(":")
        kept = _EMPTY.fullmatch(behind.strip())
        if kept is None:
            raise Unsafe(f"{path[0]} is not written as a plain block")
        if block.indent is None:
            comment = f"  {kept[1]}" if kept[1] else ""
            lines[block.head] = f"{before}:{comment}{newline}"
    indent = "  " if block.indent is None else block.indent
    said = _member(name, value) if name is not None else _item(value)
    lines[block.end : block.end] = [indent + line + newline for line in said]
    return "".join(lines)


def drop(text: str, path: tuple[str, ...], which: str | int) -> str:
    """`text` without the member or item `which` of the block at `path`, or without a block if `path` is empty."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if not path:
        block = _Block.find(lines, (str(which),))
        if block is None:
            raise Unsafe(f"{which} is not written as a block")
        del lines[block.head : block.end]
        return "".join(lines)
    block = _Block.find(lines, path)
    if block is None or block.indent is None:
        raise Unsafe(f"{path[0]} is not written as a block")
    starts = block.members(lines)
    if isinstance(which, int):
        place = which
    else:
        keys = [lines[start].strip().partition(":")[0].strip("\"'") for start in starts]
        if keys.count(which) != 1:
            raise Unsafe(f"{which} is not found as a block")
        place = keys.index(which)
    end = _last([*starts, block.end][place + 1], starts[place], lines)
    del lines[starts[place] : end]
    if len(starts) == 1:
        empty = "{}" if isinstance(which, str) else "[]"
        head = lines[block.head].rstrip("\r\n")
        before, _, behind = head.partition(":")
        lines[block.head] = f"{before}: {empty}{behind}{newline}"
    return "".join(lines)


class _Block:
    """The lines of a key at the left margin: its own, the end of its last member, and how far members are indented."""

    def __init__(self, head: int, end: int, indent: str | None) -> None:
        self.head = head
        self.end = end
        self.indent = indent

    @classmethod
    def find(cls, lines: list[str], path: tuple[str, ...]) -> "_Block | None":
        """The block of the one key in `path`; None where it is not there."""
        if len(path) != 1:
            raise Unsafe("only keys at the left margin are written to")
        name = re.escape(path[0])
        heads = [n for n, line in enumerate(lines) if re.match(rf"(?:{name}|'{name}'|\"{name}\")[ \t]*:(?:\s|$)", line)]
        if len(heads) > 1:
            raise Unsafe(f"{path[0]} stands there twice")
        if not heads:
            return None
        head = heads[0]
        indent: str | None = None
        end = head + 1
        for number in range(head + 1, len(lines)):
            line = lines[number]
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            depth = line[: len(line) - len(line.lstrip(" "))]
            if not depth and not (line.startswith("- ") and indent in (None, "")):
                break
            if indent is None:
                indent = depth
            end = number + 1
        return cls(head, end, indent)

    def members(self, lines: list[str]) -> list[int]:
        """The lines in which members or items begin."""
        indent = cast(str, self.indent)
        inside = range(self.head + 1, self.end)
        return [n for n in inside if re.match(rf"{indent}[^\s#]", lines[n]) and (indent or lines[n].startswith("- "))]


def _last(behind: int, start: int, lines: list[str]) -> int:
    """The end of the member at `start`: comments and empty lines before the next one are that one's."""
    while behind > start + 1 and (not lines[behind - 1].strip() or lines[behind - 1].lstrip().startswith("#")):
        behind -= 1
    return behind


def _member(name: str, value: Any) -> list[str]:
    key = name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    if isinstance(value, dict) and value:
        return [f"{key}:", *("  " + line for line in _lines(cast("dict[str, Any]", value)))]
    if isinstance(value, list) and value:
        return [f"{key}:", *(f"  - {_scalar(each)}" for each in cast("list[Any]", value))]
    return [f"{key}: {_scalar(value)}"]


def _item(value: Any) -> list[str]:
    first, *rest = _lines(cast("dict[str, Any]", value))
    return [f"- {first}", *("  " + line for line in rest)]


def _lines(value: dict[str, Any]) -> list[str]:
    return [line for key, inner in value.items() for line in _member(key, inner)]


def _scalar(value: Any) -> str:
    # A JSON text is a YAML text in double quotes; numbers, true and false are the same; {} and [] too.
    return json.dumps(value, ensure_ascii=False)
