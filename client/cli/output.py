"""What is printed: one JSON document for programs, tables for people.

Remembered text may come from anywhere, so nothing that steers a terminal or hides or reorders text reaches one: it is
shown as an escape. `rich` is loaded for a terminal alone; into a pipe goes plain text, never shortened.
"""

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TextIO

import msgspec

__all__ = ["Paper", "complain", "json_text", "moment", "size", "visible", "warn"]

# Control and format characters, separators of lines and paragraphs, lone surrogates. The joiners U+200C and U+200D
# stay: Persian and emoji need them.
_HIDDEN = (
    "\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
)
_UNSAFE = re.compile(f"[\x00-\x1f{_HIDDEN}]")
_UNSAFE_IN_LINES = re.compile(f"[\x00-\x09\x0b-\x1f{_HIDDEN}]")
_UNSAFE_IN_JSON = re.compile(f"[{_HIDDEN}]")
_BEYOND_ASCII = re.compile("[^\x00-\x7e]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, *, lines: bool = False) -> str:
    """`text` with what steers a terminal or cannot be seen written as escapes; newlines too, unless `lines`."""
    if lines:
        return _UNSAFE_IN_LINES.sub(_escaped, text.replace("\r\n", "\n").replace("\t", "    "))
    return _UNSAFE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _SHORT.get(character) or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def json_text(value: Any, *, ascii_only: bool = False) -> str:
    """`value` as one JSON document, every field written out, with nothing in it that steers a terminal."""
    try:
        encoded = msgspec.json.encode(_complete(value))
    except UnicodeEncodeError:  # a lone surrogate, from a file name that is not UTF-8
        encoded = msgspec.json.encode(_complete(value, clean=True))
    document = msgspec.json.format(encoded, indent=2).decode()
    escaped = _BEYOND_ASCII if ascii_only else _UNSAFE_IN_JSON
    return escaped.sub(lambda found: "".join(f"\\u{unit:04x}" for unit in _units(found[0])), document)


def _complete(value: Any, clean: bool = False) -> Any:
    """Structs as maps with their defaults, which the wire leaves out: a script should not have to know them."""
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        told = {encoded: _complete(getattr(value, name), clean) for name, encoded in names}
        return {name: inner for name, inner in told.items() if inner is not msgspec.UNSET}
    # Asked of its type: narrowing the value itself would leave what it holds of unknown type.
    if issubclass(_type(value), dict):
        return {key: _complete(inner, clean) for key, inner in value.items()}
    if issubclass(_type(value), list | tuple):
        return [_complete(inner, clean) for inner in value]
    return visible(value, lines=True) if clean and isinstance(value, str) else value


def _type(value: object) -> type:
    return type(value)


def _units(character: str) -> list[int]:
    raw = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


def moment(at: datetime | None) -> str:
    """A time as the reader's clock shows it."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else "–"


def size(count: int) -> str:
    """Bytes in a readable unit."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum((unicodedata.east_asian_width(c) in "WF") + (unicodedata.combining(c) == 0) for c in text)


class Paper:
    """Where a person is told things: tables and colours on a terminal, plain columns anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.console: Any = None  # rich's, once it is needed; its type would mean importing it
        if stream.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console

            self.console = Console(file=stream, highlight=False, emoji=False, markup=False)

    def line(self, text: str = "", style: str = "", *, indent: int = 0) -> None:
        """A paragraph; its own line breaks are kept, and indented like its start."""
        shown = " " * indent + visible(text, lines=True).replace("\n", "\n" + " " * indent)
        if self.console is None:
            self.stream.write(shown + "\n")
        else:
            self.console.print(shown, style=style or None, soft_wrap=True)

    def head(self, text: str) -> None:
        """A heading."""
        self.line(visible(text), "bold")

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and values, one a line."""
        kept = [(name, visible(value)) for name, value in pairs]
        widest = max((len(name) for name, _ in kept), default=0)
        for name, value in kept:
            if self.console is None:
                self.stream.write(f"{name:{widest}}  {value}\n")
            else:
                from rich.text import Text

                self.console.print(Text.assemble((f"{name:{widest}}", "cyan"), "  ", value), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table. Without a terminal its cells are padded and never cut."""
        cells = [[visible(cell) for cell in row] for row in rows]
        if self.console is not None:
            from rich.box import SIMPLE_HEAD
            from rich.table import Table
            from rich.text import Text

            table = Table(*columns, box=SIMPLE_HEAD, header_style="bold cyan", pad_edge=False)
            for row in cells:
                table.add_row(*(Text(cell) for cell in row))
            self.console.print(table)
            return
        every = [list(columns), *cells]
        widths = [max(_width(row[place]) for row in every) for place in range(len(columns))]
        for row in every:
            padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
            self.stream.write("  ".join(padded).rstrip() + "\n")


def complain(message: str, hint: str = "") -> None:
    """Say on stderr what went wrong and what to do."""
    sys.stderr.write(f"error: {visible(message)}\n")
    if hint:
        sys.stderr.write(f"hint: {visible(hint)}\n")


def warn(message: str) -> None:
    """Say on stderr what may surprise."""
    sys.stderr.write(f"warning: {visible(message)}\n")
