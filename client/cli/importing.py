"""`memoryctl import`: take in a file, in batches. A line that cannot be used is named, and costs no other."""

import os
import re
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal, cast

import msgspec

from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.cli.progress import progress
from enhanced_memory.client.cli.records import Bad, Foreign, Format, Record, format_of, read_lines
from enhanced_memory.client.errors import Conflict, Error, Invalid, NotFound, Refused
from enhanced_memory.client.operations.service import ImportData, Imported

BATCH = 500
BATCH_BYTES = 4 * 1024 * 1024
"""A batch is sent when it holds so many records or bytes, whichever comes first."""
SHOWN = 20
_PLACE = re.compile(r"record (\d{1,6}): ", re.ASCII)


@dataclass
class BadLine:
    """A line that was not taken in, and why."""

    line: int
    reason: str


@dataclass
class KeptAside:
    """Lines of types that are not ours, and the file they were written to."""

    lines: int
    file: str


@dataclass
class ImportReport:
    """What became of a file."""

    file: str
    format: Format
    records: int = 0
    """Records that were sent and taken in, or were there already."""
    counts: Counter[str] = field(default_factory=Counter[str])
    bad_lines: list[BadLine] = field(default_factory=list[BadLine])
    kept_aside: KeptAside | None = None
    problems: list[str] = field(default_factory=list[str])


@verb(
    "import",
    "Take in a file: an export of ours, the official memory server's JSONL, or a predecessor's export.",
    argument("file", metavar="FILE", help="the file; - is stdin"),
    argument(
        "--format",
        choices=("full", "official"),
        help="full: an export of ours; official: the other (default: found out)",
    ),
    argument(
        "--skip-existing", action="store_true", help="leave entities that exist as they are; else what is new is added"
    ),
    argument(
        "--from",
        dest="source",
        choices=("session_memory_agent", "contextual_memory_pc2", "jarvis_memory_pc2"),
        help="the file is the export of a predecessor of the Memory Orchestrator (docs/adapters.md)",
    ),
    argument("--embedding-model", metavar="NAME", help="with --from: the model that its embeddings are of"),
    argument("--kept-aside", metavar="FILE", help="where lines of unknown types go (FILE.kept-aside.jsonl)"),
)
def import_(call: Call) -> Answer:
    """Bad lines are skipped and named; lines of other types are kept in a file beside FILE.

    Importing a file twice changes nothing the second time. The exit code is 1 where a line could not be used.
    """
    name: str = call.given.file
    with _opened(name) as file:
        if call.given.source:
            from enhanced_memory.client.cli.predecessors import take_in

            return take_in(call, file, call.given.source)
        first = file.peek(1 << 16)[: 1 << 16].split(b"\n", 1)[0]
        format: Format = call.given.format or format_of(first)
        report = ImportReport(name, format)
        intake = _Intake(call, report)
        total = None if name == "-" else os.fstat(file.fileno()).st_size
        with progress("importing", total, unit="bytes") as advance:
            for line in read_lines(file, format, intake.max_bytes):
                intake.take(line)
                advance(line.size)
            intake.finish()
    bad = bool(report.bad_lines or report.problems)
    return Answer(msgspec.to_builtins(report), lambda paper: _tell(paper, report), PROBLEM if bad else OK)


@contextmanager
def _opened(name: str) -> Generator[BufferedReader]:
    if name == "-":
        yield cast(BufferedReader, sys.stdin.buffer)
        return
    if Path(name).is_dir():
        raise Invalid(f"{name} is a folder.", "name a file")
    with open(name, "rb") as file:
        yield file


class _Intake:
    """Collects records into batches, sends them under one job, and writes the report."""

    def __init__(self, call: Call, report: ImportReport) -> None:
        self.report = report
        self.memory = call.memory
        limits = self.memory.welcome.limits
        # A frame holds little beside its records, and msgpack is hardly ever longer than JSON.
        self.max_bytes = limits.get("max_frame_bytes", call.settings.max_frame_bytes) - 4096
        self.batch_bytes = min(BATCH_BYTES, self.max_bytes // 2)
        self.on_existing: Literal["merge", "skip"] = "skip" if call.given.skip_existing else "merge"
        self.job = os.urandom(9).hex()
        self.timeout_s = max(call.settings.timeout_s, 300.0)
        self.aside_name = call.given.kept_aside or f"{'stdin' if report.file == '-' else report.file}.kept-aside.jsonl"
        self.aside: BinaryIO | None = None
        self.batch: list[Record] = []
        self.bytes = 0

    def take(self, line: Record | Foreign | Bad) -> None:
        """Deal with one line."""
        if isinstance(line, Bad):
            self.report.bad_lines.append(BadLine(line.line, line.reason))
        elif isinstance(line, Foreign):
            self._keep_aside(line)
        else:
            if self.batch and self.bytes + line.size > self.batch_bytes:
                self._send_batch()
            self.batch.append(line)
            self.bytes += line.size
            if len(self.batch) >= BATCH:
                self._send_batch()

    def finish(self) -> None:
        """Send what is left, and see the lines kept aside onto the disk."""
        self._send_batch()
        self.report.bad_lines.sort(key=lambda bad: bad.line)
        if self.aside is not None:
            self.aside.flush()
            os.fsync(self.aside.fileno())
            self.aside.close()

    def _send_batch(self) -> None:
        if self.batch:
            try:
                self._send(self.batch)
            except Error as problem:
                line = self.batch[0].line
                done = f"what stood before line {line} is stored; importing the file again changes none of it"
                raise type(problem)(problem.message, f"{problem.hint}; {done}" if problem.hint else done) from None
            self.batch, self.bytes = [], 0

    def _send(self, batch: list[Record]) -> None:
        ask = ImportData(
            [record.value for record in batch], format=self.report.format, on_existing=self.on_existing, job=self.job
        )
        try:
            took = self.memory.send(ask, timeout_s=self.timeout_s)
        except (Refused, NotFound, Conflict) as problem:
            # Nothing of a refused batch is stored. Halving it finds the record that cannot be taken.
            if len(batch) == 1:
                self.report.bad_lines.append(BadLine(batch[0].line, problem.message))
                return
            half = len(batch) // 2
            self._send(batch[:half])
            self._send(batch[half:])
            return
        self._note(took, batch)

    def _note(self, took: Imported, batch: list[Record]) -> None:
        self.report.records += len(batch) - len(took.problems)
        self.report.counts.update(took.counts)
        for problem in took.problems:
            # The daemon names a record by its place in the batch; a person looks for the line.
            named = _PLACE.match(problem)
            if named and 1 <= int(named[1]) <= len(batch):
                self.report.bad_lines.append(BadLine(batch[int(named[1]) - 1].line, problem[named.end() :]))
            else:
                self.report.problems.append(f"lines {batch[0].line}–{batch[-1].line}: {problem}")

    def _keep_aside(self, line: Foreign) -> None:
        if self.aside is None:
            path, number = Path(self.aside_name), 1
            while True:
                try:
                    self.aside = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
                    break
                except FileExistsError:  # an earlier import's; it may hold what this file does no more
                    number += 1
                    path = Path(f"{self.aside_name}.{number}")
            self.report.kept_aside = KeptAside(0, os.fspath(path))
        self.aside.write(line.raw)
        cast(KeptAside, self.report.kept_aside).lines += 1


def _tell(paper: Paper, report: ImportReport) -> None:
    counts = ", ".join(f"{action} {count:,}" for action, count in sorted(report.counts.items()))
    paper.line(f"{report.records:,} records taken in ({report.format}){': ' + counts if counts else ''}")
    if report.kept_aside:
        paper.line(f"{report.kept_aside.lines:,} lines of other types kept aside in {report.kept_aside.file}")
    problems = [f"line {bad.line}: {bad.reason}" for bad in report.bad_lines] + report.problems
    for problem in problems[:SHOWN]:
        paper.line(f"not taken in: {problem}", "yellow")
    if len(problems) > SHOWN:
        paper.line(f"… and {len(problems) - SHOWN:,} more: --json names all", "yellow")
