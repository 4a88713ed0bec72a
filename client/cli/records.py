"""The two file formats, line by line: our own lossless export, and the official memory server's JSONL.

Ours begins with a header line and ends with a line that counts the records between, so that a file cut short is
noticed. Reading goes on after a bad line, and says which it was and why.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast

import msgspec

from enhanced_memory.client.errors import Invalid

__all__ = ["END", "HEADER", "VERSION", "Bad", "Foreign", "Format", "Record", "format_of", "read_lines"]

HEADER = "enhanced_memory_export"
"""The key of the first line; its value is the version of the format."""
END = "enhanced_memory_export_end"
"""The key of the last line; its value is the number of records in the file."""
VERSION = 1

Format = Literal["full", "official"]


@dataclass(frozen=True, slots=True)
class Record:
    """A line to be taken in."""

    line: int
    size: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A line of the official format whose type is nobody's here."""

    line: int
    size: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that cannot be used."""

    line: int
    size: int
    reason: str


def format_of(first: bytes) -> Format:
    """The format that a file's first line says."""
    try:
        value = msgspec.json.decode(first.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError):
        return "official"
    return "full" if isinstance(value, dict) and HEADER in value else "official"


def read_lines(file: BinaryIO, format: Format, max_bytes: int) -> Iterator[Record | Foreign | Bad]:
    """Every line of `file` that is not blank. `Invalid` where a full export lacks its header, or is newer than this."""
    number, records, ended, headed = 0, 0, False, False
    while raw := file.readline(max_bytes + 1):
        number, size = number + 1, len(raw)
        if size > max_bytes and not raw.endswith(b"\n"):
            while (more := file.readline(1 << 20)) and not more.endswith(b"\n"):
                size += len(more)
            yield Bad(number, size + len(more), f"longer than {max_bytes:,} bytes")
            continue
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if not raw.strip():
            continue
        found = _record(number, size, raw)
        if isinstance(found, Bad):
            if format == "full" and not headed:
                raise _headless()
            yield found
        elif format == "official":
            yield _official(found, raw)
        elif HEADER in found.value:
            _check_version(found.value[HEADER])
            headed, ended, records = True, False, 0
        elif not headed:
            raise _headless()
        elif END in found.value:
            ended = True
            if found.value[END] != records:
                yield Bad(number, size, f"the export says it holds {found.value[END]} records; {records} were found")
        else:
            records += 1
            yield found
    if headed and not ended:
        yield Bad(number + 1, 0, "the last line is missing: the export was cut short")


def _headless() -> Invalid:
    return Invalid(
        f"This is not an export of enhanced-memory: its first line has no {HEADER}.",
        "see `memoryctl import --help` for --format",
    )


def _check_version(version: Any) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Invalid(f"The export's version, {str(version)[:40]!r}, is not a number.")
    if version > VERSION:
        raise Invalid(
            f"The export has version {version} of the format; this program reads versions up to {VERSION}.",
            "upgrade enhanced-memory, or export with --official there",
        )


def _record(number: int, size: int, raw: bytes) -> Record | Bad:
    try:
        value = msgspec.json.decode(raw)
    except UnicodeDecodeError:
        return Bad(number, size, "not UTF-8")
    except msgspec.DecodeError as problem:
        return Bad(number, size, f"not JSON: {problem}")
    except RecursionError:
        return Bad(number, size, "nested too deeply")
    if not isinstance(value, dict):
        return Bad(number, size, "not a JSON object")
    return Record(number, size, cast("dict[str, Any]", value))


class _Entity(msgspec.Struct):
    name: str
    entityType: str
    observations: list[str]


class _Relation(msgspec.Struct):
    from_: str = msgspec.field(name="from")
    to: str
    relationType: str


def _official(found: Record, raw: bytes) -> Record | Foreign | Bad:
    kind = found.value.get("type")
    if not isinstance(kind, str):
        return Bad(found.line, found.size, "the line has no type")
    if kind not in ("entity", "relation"):
        return Foreign(found.line, found.size, raw.rstrip(b"\r\n") + b"\n")
    try:
        msgspec.convert(found.value, _Entity if kind == "entity" else _Relation)
    except msgspec.ValidationError as problem:
        return Bad(found.line, found.size, f"not a usable {kind}: {str(problem).replace('`', '')}")
    return found
