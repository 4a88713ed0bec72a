"""Files of the official memory server: which one a session means, and taking it in once, before its first answer.

`MEMORY_FILE_PATH` names a world of its own, as it does there: a space called after the file, unless a space is set.
Files at the
places where the official server keeps them by itself come into `default`. The file is only read; what was taken in, and
what could not be, is noted with the space (`imported`) and logged.
"""

import asyncio
import hashlib
import logging
import os
import re
import stat
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.cli.records import Bad, Foreign, Record, read_lines
from enhanced_memory.client.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from enhanced_memory.client.operations.service import ImportData
from enhanced_memory.client.project import project_of
from enhanced_memory.client.settings import Settings

__all__ = ["Progress", "Report", "as_metadata", "file_meant", "lasting", "old_places", "space_of", "take_in"]

log = logging.getLogger(__name__)

Progress = Callable[[int, int], Awaitable[None]]
"""Told how many bytes of how many are in."""

BATCH = 100
BATCH_BYTES = 256 * 1024
"""What is taken in at a time: other clients' changes wait for one batch at the most."""
TIMEOUT_S = 300.0
ATTEMPTS = 3
"""How often a file is read that changes meanwhile. Taking it in again adds only what is new."""
NAMED = 20
"""How many lines that could not be used a report names."""
LONGEST_NAME = 180
"""Characters of a path that a space can be called by."""

NPX = ".npm/_npx/*/node_modules/@modelcontextprotocol/server-memory/dist"
FILES = ("memory.jsonl", "memory.json")

_PLACE = re.compile(r"record (\d{1,6}): ", re.ASCII)


@dataclass
class Report:
    """What became of a file."""

    file: str
    at: str = ""
    bytes: int = 0
    mtime_ns: int = 0
    entities: int = 0
    relations: int = 0
    bad: int = 0
    """Lines that could not be used; they are still in the file."""
    bad_lines: list[str] = field(default_factory=list[str])
    """The first of them, and why."""
    kept_aside: dict[str, Any] = field(default_factory=dict[str, Any])
    """How many lines of types that are not ours were kept, and in which file."""

    def name(self, line: int, reason: str) -> None:
        """Note a line that could not be used."""
        self.bad += 1
        if len(self.bad_lines) < NAMED:
            self.bad_lines.append(f"line {line}: {reason}"[:300])

    def __str__(self) -> str:
        said = f"{self.file}: took in {self.entities:,} entities and {self.relations:,} relations"
        if self.bad:
            said += f"; {self.bad:,} lines could not be used ({'; '.join(self.bad_lines[:3])})"
        if self.kept_aside:
            said += f"; {self.kept_aside['lines']:,} lines of other types are kept in {self.kept_aside['file']}"
        return said


def file_meant(named: str, folder: str, home: Path) -> Path:
    """The file that `MEMORY_FILE_PATH` means for a session in `folder`, links followed.

    The official server looks for a relative path in its own package, so a file that is there already is the one.
    """
    path = Path(named)
    if named == "~" or named.startswith("~/"):
        path = home / named[2:]
    if not path.is_absolute():
        there = [place / path for place in home.glob(NPX) if (place / path).is_file()]
        path = max(there, key=lambda one: one.stat().st_mtime_ns) if there else Path(folder or home) / path
    return Path(os.path.realpath(path))


def space_of(path: Path) -> str:
    """The name of the space that is a file's world."""
    name = str(path)
    if len(name) > LONGEST_NAME:
        name = f"…{name[-(LONGEST_NAME - 20) :]}#{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"
    return f"file:{name}"


def old_places(folder: str, home: Path) -> tuple[list[Path], list[Path]]:
    """Files that the official server may have left: those to be taken in, and those that are only told of.

    What lies in a project came with it, perhaps from a stranger: nobody's memory is fed from there unasked.
    """
    taken = [place / name for place in sorted(home.glob(NPX)) for name in FILES if (place / name).is_file()]
    here = [Path(folder) / name for name in FILES] if folder else []
    found = [path for path in here if path.is_file() and path.stat().st_uid == os.getuid() and _looks_official(path)]
    if folder and project_of(Path(folder)) is None:
        return taken + found, []
    return taken, found


def _looks_official(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            first = next((line for line in islice(read_lines(file, "official", 1 << 20), 1)), None)
    except OSError:
        return False
    return isinstance(first, Record)


async def take_in(path: Path, settings: Settings, space: str, progress: Progress | None = None) -> Report | None:
    """Take a file into a space; None where there is none. Doing it again changes nothing that is there.

    `Invalid` where it cannot be read. The file may be written meanwhile: then it is read again, and what the other
    writer
    has not finished is named as a bad line.
    """
    memory = AsyncMemory(replace(settings, space=space), client="memory-mcp", channel="import")
    try:
        await memory.connect()
        attempt = 1
        while True:
            before = await asyncio.to_thread(_checked, path)
            if before is None:
                return None
            report = await _Intake(memory, path, before, progress).run()
            after = await asyncio.to_thread(_checked, path)
            if attempt == ATTEMPTS or (after is not None and _same(before, after)):
                break
            log.warning("%s changed while it was read (attempt %d)", path, attempt)
            attempt += 1
    finally:
        await memory.close()
    log.warning("%s", report)
    return report


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)


def _checked(path: Path) -> os.stat_result | None:
    """What the system says of the file; None where there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise _unreadable(path, problem) from None
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no ordinary file"
        raise Invalid(
            f"The memory file {path} is {what}.",
            "let MEMORY_FILE_PATH name a file; nothing was taken in, memory works without it",
        )
    return found


def _unreadable(path: Path, problem: OSError) -> Invalid:
    hint = "mend that and start the session anew; nothing of the file is lost, memory works without it"
    return Invalid(f"The memory file {path} cannot be read: {problem.strerror or problem}.", hint)


class _Intake:
    """One reading of a file, batch by batch, so that its size does not matter."""

    def __init__(self, memory: AsyncMemory, path: Path, found: os.stat_result, progress: Progress | None) -> None:
        self._memory = memory
        self._path = path
        self._progress = progress
        self._report = Report(
            str(path), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), found.st_size, found.st_mtime_ns
        )
        self._aside = _Aside(memory.settings, path)
        self._job = os.urandom(9).hex()

    async def run(self) -> Report:
        """Read it to its end."""
        limits = self._memory.welcome.limits if self._memory.welcome else {}
        longest = limits.get("max_frame_bytes", self._memory.settings.max_frame_bytes) - 4096
        try:
            file = await asyncio.to_thread(open, self._path, "rb")
        except OSError as problem:
            raise _unreadable(self._path, problem) from None
        try:
            with file:
                await self._read(file, longest)
            self._report.kept_aside = await asyncio.to_thread(self._aside.kept)
        finally:
            self._aside.drop()
        return self._report

    async def _read(self, file: BinaryIO, longest: int) -> None:
        lines = read_lines(file, "official", longest)
        done = 0
        while True:
            try:
                batch, foreign, bad, size = await asyncio.to_thread(_batch, lines)
            except OSError as problem:
                raise _unreadable(self._path, problem) from None
            if not size:
                return
            for line in bad:
                self._report.name(line.line, line.reason)
            if foreign:
                await asyncio.to_thread(self._aside.add, foreign)
            if batch:
                await self._send(batch)
            done += size
            if self._progress is not None:
                await self._progress(done, max(done, self._report.bytes))

    async def _send(self, batch: list[Record]) -> None:
        ask = ImportData([record.value for record in batch], format="official", on_existing="merge", job=self._job)
        try:
            took = await self._memory.send(ask, timeout_s=TIMEOUT_S)
        except (Refused, NotFound, Conflict) as problem:
            # Nothing of a refused batch is stored. Halving it finds the record that cannot be taken.
            if len(batch) == 1:
                self._report.name(batch[0].line, problem.message)
                return
            half = len(batch) // 2
            await self._send(batch[:half])
            await self._send(batch[half:])
            return
        for problem in took.problems:
            named = _PLACE.match(problem)
            place = int(named[1]) - 1 if named else 0
            self._report.name(batch[min(place, len(batch) - 1)].line, problem[named.end() :] if named else problem)
        bad = len(took.problems)
        entities = sum(1 for record in batch if record.value.get("type") == "entity")
        self._report.entities += max(0, entities - bad)
        self._report.relations += len(batch) - entities


def _batch(lines: Iterator[Record | Foreign | Bad]) -> tuple[list[Record], list[Foreign], list[Bad], int]:
    """The next lines, by what can be done with them, and their bytes; none at the end."""
    records: list[Record] = []
    foreign: list[Foreign] = []
    bad: list[Bad] = []
    size = 0
    for line in lines:
        size += max(1, line.size)
        if isinstance(line, Record):
            records.append(line)
        elif isinstance(line, Foreign):
            foreign.append(line)
        else:
            bad.append(line)
        if size >= BATCH_BYTES or len(records) + len(foreign) + len(bad) >= BATCH:
            break
    return records, foreign, bad, size


class _Aside:
    """Lines that are nobody's here, in a file beside the store. The same lines of a file are kept once."""

    def __init__(self, settings: Settings, path: Path) -> None:
        self._folder = settings.store_path.parent
        self._origin = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        self._temporary = self._folder / f"kept-aside-{self._origin}.{os.urandom(6).hex()}.tmp"
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._lines = 0

    def add(self, lines: list[Foreign]) -> None:
        """Write lines as they stood."""
        if self._file is None:
            self._file = os.fdopen(
                os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
            )
        for line in lines:
            self._file.write(line.raw)
            self._digest.update(line.raw)
            self._lines += 1

    def kept(self) -> dict[str, Any]:
        """See them onto the disk; how many they are, and where. Nothing where there are none."""
        if self._file is None:
            return {}
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        kept = self._folder / f"kept-aside-{self._origin}-{self._digest.hexdigest()[:12]}.jsonl"
        os.rename(self._temporary, kept)
        return {"lines": self._lines, "file": str(kept)}

    def drop(self) -> None:
        """Leave nothing half-written."""
        if self._file is not None:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def as_metadata(report: Report) -> dict[str, Any]:
    """A report as it is noted with its space."""
    told: dict[str, Any] = msgspec.to_builtins(report)
    return {key: value for key, value in told.items() if value or key in ("entities", "relations")}


def lasting(problem: Exception) -> bool:
    """Whether a problem will be there at the next call too: a daemon that is away comes back."""
    return not isinstance(problem, Unavailable)
