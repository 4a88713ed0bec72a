"""JSON, with or without comments, changed as text: what is not ours keeps its place, its comments and its spelling.

The scanner knows where everything stands and what it means; a change is an insertion or a deletion between such places.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from enhanced_memory.client.cli.formats import Malformed, Unsafe

__all__ = ["drop", "parse", "put"]

MAX_DEPTH = 200
_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_COMMENT = re.compile(r"//[^\n]*")
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"-?[0-9][0-9eE+.\-]*|true|false|null")
_REST_OF_LINE = re.compile(r"(?:[ \t]|/\*[^\n]*?\*/)*(?://[^\r\n]*)?(?=\r?\n)")


@dataclass
class Item:
    """A member of an object or an element of an array: where it begins, what it holds, where the comma behind it is."""

    start: int
    key: str | None
    node: "Node"
    comma: int | None = None


@dataclass
class Node:
    """A value and where it stands; `items` for what holds others."""

    start: int
    end: int
    value: Any
    items: list[Item] = field(default_factory=list[Item])


def parse(text: str, *, comments: bool = True) -> Any:
    """What `text` says. `Malformed` where it is not JSON, with the line. An empty file says `{}`."""
    if not text.lstrip("\ufeff").strip():
        return {}
    try:
        said: Any = json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        said = None  # the scanner says where, or takes what stricter readers do not
    return cast(Any, said) if isinstance(said, dict) else _Scanner(text, comments).document().value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and the like are Python's, not JSON's


def put(text: str, path: tuple[str, ...], name: str | None, value: Any, *, comments: bool = True) -> str:
    """`text` with `value` as the member `name` of the object at `path`, or behind the array there if `name` is None.

    Objects on the way that are not there are made. `Unsafe` where something else stands in their place.
    """
    if not text.lstrip("\ufeff").strip():
        text = "{}\n"
    node = _Scanner(text, comments).document()
    left = list(path)
    while left:
        _only(node, left[0])
        below = next((item.node for item in node.items if item.key == left[0]), None)
        if below is None:
            inner = [value] if name is None else {name: value}
            for key in reversed(left[1:]):
                inner = {key: inner}
            return _insert(text, node, left[0], inner)
        node = below
        left.pop(0)
    if name is None:
        if not isinstance(node.value, list):
            raise Unsafe(f"{'.'.join(path)} is not a list")
        return _insert(text, node, None, value)
    _only(node, name)
    here = next((item for item in node.items if item.key == name), None)
    if here is None:
        return _insert(text, node, name, value)
    said = _rendered(value, _indent_at(text, here.start), _style(text, node))
    return text[: here.node.start] + said + text[here.node.end :]


def drop(text: str, path: tuple[str, ...], which: str | int, *, comments: bool = True) -> str:
    """`text` without the member or element `which` of what stands at `path`."""
    node = _Scanner(text, comments).document()
    for key in path:
        _only(node, key)
        node = next(item.node for item in node.items if item.key == key)
    if isinstance(which, int):
        place = which
    else:
        _only(node, which)
        place = next(at for at, item in enumerate(node.items) if item.key == which)
    item = node.items[place]
    start = len(text[: item.start].rstrip(" \t\r\n"))
    end = item.node.end if item.comma is None else item.comma + 1
    cut = text[:start] + text[end:]
    if item.comma is None and place > 0:
        comma = cast(int, node.items[place - 1].comma)
        return cut[:comma] + cut[comma + 1 :]
    if len(node.items) == 1:
        closing = node.end - 1 - (end - start)
        if not cut[node.start + 1 : closing].strip():
            return cut[: node.start + 1] + cut[closing:]
    return cut


def _only(node: Node, key: str) -> None:
    if not isinstance(node.value, dict):
        raise Unsafe(f"where {key} belongs stands something that is not an object")
    if sum(item.key == key for item in node.items) > 1:
        raise Unsafe(f"{key} stands there twice")


@dataclass(frozen=True)
class Style:
    """How a file is laid out: its newline, one step of indentation, and whether everything stands in one line."""

    newline: str
    step: str
    compact: bool


def _style(text: str, node: Node) -> Style:
    newline = "\r\n" if "\r\n" in text else "\n"
    inside = text[node.start : node.end]
    first = re.search(r"\n([ \t]+)[\"{\[]", text)
    step = "\t" if first and first[1].startswith("\t") else first[1] if first else "  "
    return Style(newline, step, bool(node.items) and "\n" not in inside)


def _indent_at(text: str, place: int) -> str:
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _insert(text: str, node: Node, key: str | None, value: Any) -> str:
    """`text` with one more item as the last of `node`."""
    style = _style(text, node)
    name = "" if key is None else json.dumps(key, ensure_ascii=False) + ": "
    if style.compact:
        last = node.items[-1]
        said = name + _rendered(value, "", style)
        if last.comma is not None:
            return text[: last.comma + 1] + " " + said + "," + text[last.comma + 1 :]
        spaced = ", " if re.search(r",[ \t]", text[node.start : node.end]) or len(node.items) == 1 else ","
        return text[: last.node.end] + spaced + said + text[last.node.end :]
    outer = _indent_at(text, node.start)
    if node.items:
        last = node.items[-1]
        indent = _indent_at(text, last.start)
        said = style.newline + indent + name + _rendered(value, indent, style)
        if last.comma is not None:
            place = _line_end(text, last.comma + 1)
            return text[:place] + said + "," + text[place:]
        place = _line_end(text, last.node.end)
        return text[: last.node.end] + "," + text[last.node.end : place] + said + text[place:]
    indent = outer + style.step
    place = len(text[: node.end - 1].rstrip(" \t\r\n"))
    said = style.newline + indent + name + _rendered(value, indent, style)
    if "\n" not in text[place : node.end - 1]:
        said += style.newline + outer
    return text[:place] + said + text[place:]


def _line_end(text: str, place: int) -> int:
    """The end of the comments that stand behind `place` in its line: they belong to what is there already."""
    found = _REST_OF_LINE.match(text, place)
    return found.end() if found else place


def _rendered(value: Any, indent: str, style: Style) -> str:
    if style.compact:
        return json.dumps(value, ensure_ascii=False)
    said = json.dumps(value, ensure_ascii=False, indent=style.step)
    # Short lists of texts stand in one line, as people write them.
    said = re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s*\]", lambda found: "[" + re.sub(r"\n\s*", " ", found[1]) + "]", said)
    return said.replace("\n", style.newline + indent)


class _Scanner:
    """Reads a document from its first character to its last."""

    def __init__(self, text: str, comments: bool) -> None:
        self.text = text
        self.comments = comments
        self.at = 1 if text.startswith("\ufeff") else 0
        self.depth = 0

    def document(self) -> Node:
        self._skip()
        node = self._value()
        self._skip()
        if self.at != len(self.text):
            self._fail("something stands behind the end")
        if not isinstance(node.value, dict):
            raise Malformed("it does not hold an object")
        return node

    def _fail(self, what: str) -> NoReturn:
        raise Malformed(f"line {self.text.count(chr(10), 0, self.at) + 1}: {what}")

    def _skip(self) -> None:
        while True:
            self.at = cast("re.Match[str]", _SPACE.match(self.text, self.at)).end()
            if not self.text.startswith(("//", "/*"), self.at):
                return
            if not self.comments:
                self._fail("a comment, which this client's file may not hold")
            comment = _LINE_COMMENT.match(self.text, self.at) or _BLOCK_COMMENT.match(self.text, self.at)
            if comment is None:
                self._fail("a comment without an end")
            self.at = comment.end()

    def _value(self) -> Node:
        start = self.at
        sign = self.text[start : start + 1]
        if sign in ("{", "["):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                self._fail("nested too deeply")
            node = self._held(start, "}" if sign == "{" else "]")
            self.depth -= 1
            return node
        if sign == '"':
            said = self._string()
            return Node(start, self.at, said)
        word = _WORD.match(self.text, start)
        if word is None:
            self._fail("a value is missing" if not sign else f"{sign!r} where a value belongs")
        try:
            value = json.loads(word[0])
        except ValueError:
            self._fail(f"{word[0]!r} is not a value")
        self.at = word.end()
        return Node(start, self.at, value)

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if found is None:
            self._fail(
                "a text without an end" if self.text[self.at : self.at + 1] == '"' else "a name in quotes is missing"
            )
        try:
            said = json.loads(found[0])
        except ValueError:
            self._fail("a text with an escape that does not exist")
        self.at = found.end()
        return cast(str, said)

    def _held(self, start: int, closing: str) -> Node:
        self.at += 1
        items: list[Item] = []
        while True:
            self._skip()
            if self.text.startswith(closing, self.at):
                if items and items[-1].comma is not None and not self.comments:
                    self._fail("a comma before the end, which this client's file may not hold")
                break
            if items and items[-1].comma is None:
                self._fail(f"a comma or {closing} is missing")
            begins = self.at
            key = None
            if closing == "}":
                key = self._string()
                self._skip()
                if not self.text.startswith(":", self.at):
                    self._fail("a colon is missing")
                self.at += 1
                self._skip()
            items.append(Item(begins, key, self._value()))
            self._skip()
            if self.text.startswith(",", self.at):
                items[-1].comma = self.at
                self.at += 1
        self.at += 1
        value: Any = (
            {item.key: item.node.value for item in items} if closing == "}" else [item.node.value for item in items]
        )
        return Node(start, self.at, value, items)
