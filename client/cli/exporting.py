"""`memoryctl export`: everything a space holds, as lines of JSON that any program reads and `import` takes back."""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import Usage
from enhanced_memory.client.cli.output import Paper, size
from enhanced_memory.client.cli.progress import progress
from enhanced_memory.client.cli.records import END, HEADER, VERSION, Format
from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import Invalid, TooLarge
from enhanced_memory.client.operations.service import ExportData, Exported
from enhanced_memory.client.sync import Memory

PAGE = 500


@dataclass
class ExportReport:
    """What was written."""

    file: str
    format: Format
    space: str
    change: int
    records: int = 0
    bytes: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])


@verb(
    "export",
    "Write everything the space holds to a file that `import` takes back.",
    argument("file", metavar="FILE", help="the file, replaced once the new one is whole; - is stdout"),
    argument(
        "--official", action="store_true", help="for the official memory server; what it has no place for is left out"
    ),
    argument("--force", action="store_true", help="replace a file that is not an export"),
)
def export(call: Call) -> Answer:
    """All of it shows the memory at one moment, whatever is written meanwhile."""
    name: str = call.given.file
    format: Format = "official" if call.given.official else "full"
    if name == "-":
        if getattr(call.given, "json", False):
            raise Usage("--json and - both want stdout", "export into a file")
        report = _write(call, sys.stdout.buffer, "-", format)
        sys.stdout.buffer.flush()
    else:
        path = Path(name).expanduser().resolve()
        _check_target(call, path)
        with _replacing(path) as file:
            report = _write(call, file, str(path), format)
    return Answer(msgspec.to_builtins(report), lambda paper: _tell(paper, report), to_stderr=name == "-")


def _check_target(call: Call, path: Path) -> None:
    """`Invalid` where writing to `path` would destroy something that is not an export."""
    store = call.settings.store_path
    if path in (store, *(store.with_name(store.name + end) for end in ("-wal", "-shm", ".lock"))):
        raise Invalid(f"{path} belongs to the store itself.", "name another file")
    if path.is_dir():
        raise Invalid(f"{path} is a folder.", "name a file in it")
    if not path.exists() or call.given.force:
        return
    if not path.is_file():
        raise Invalid(f"{path} is not a regular file.", "use - for stdout")
    with open(path, "rb") as file:
        start = file.read(4096).lstrip()
    if start and f'"{HEADER}"'.encode() not in start and not start.startswith((b'{"type":', b'{"type" :')):
        raise Invalid(f"{path} exists and is not an export.", "name another file, or give --force")


@contextmanager
def _replacing(path: Path) -> Generator[BinaryIO]:
    """A file that takes the place of `path` once it is whole and on the disk; on any failure the old one stays."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync(path.parent)


def _write(call: Call, file: BinaryIO, name: str, format: Format) -> ExportReport:
    memory = call.memory
    encode = msgspec.json.Encoder().encode
    pages = _pages(memory, format, max(call.settings.timeout_s, 300.0))
    first = next(pages)
    report = ExportReport(name, format, memory.space, first.change)

    def put(line: dict[str, Any]) -> None:
        report.bytes += file.write(encode(line) + b"\n")

    if format == "full":
        made = {"server": memory.welcome.version, "store": memory.welcome.store_id, "at": datetime.now(UTC)}
        put({HEADER: VERSION, "space": report.space, "change": report.change, "made": made})
    with progress("exporting", first.total or None) as advance:
        for page in chain([first], pages):
            for record in page.records:
                put(record)
                report.counts[str(record.get("type", "other"))] += 1
            report.records += len(page.records)
            advance(len(page.records))
    if format == "full":
        put({END: report.records})
    return report


def _pages(memory: Memory, format: Format, timeout_s: float) -> Iterator[Exported]:
    """All pages, as of the first one's change; smaller ones where a page does not fit a frame."""
    limit, cursor, change = PAGE, None, None
    while True:
        try:
            page = memory.send(
                ExportData(limit=limit, cursor=cursor, change=change, format=format), timeout_s=timeout_s
            )
        except TooLarge:
            if limit == 1:
                raise
            limit = max(1, limit // 8)
            continue
        yield page
        cursor, change = page.cursor, page.change
        if cursor is None:
            return


def _tell(paper: Paper, report: ExportReport) -> None:
    counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(report.counts.items())) or "nothing"
    where = "stdout" if report.file == "-" else report.file
    paper.line(f"{report.records:,} records ({counts}), {size(report.bytes)}: {where}")
    paper.line(f"space {report.space} as it was at change {report.change}")
