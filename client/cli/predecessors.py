"""`memoryctl import --from`: the export of a predecessor of the Memory Orchestrator, as JSON or a record a line."""

import os
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, cast

import msgspec

from enhanced_memory.client.adapters.orchestrator import MemoryOrchestrator
from enhanced_memory.client.adapters.predecessors import Intake, Report
from enhanced_memory.client.cli.declare import Answer, Call
from enhanced_memory.client.cli.exits import OK, PROBLEM
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.cli.progress import progress
from enhanced_memory.client.errors import Invalid

__all__ = ["take_in"]

SHOWN = 20


def take_in(call: Call, file: BufferedReader, source: str) -> Answer:
    """Take in a file. `Invalid` where it is neither JSON nor a record a line."""
    with MemoryOrchestrator(call.memory, log_accesses=False) as orchestrator:
        intake = Intake(orchestrator, source, call.given.embedding_model or "")
        total = None if call.given.file == "-" else os.fstat(file.fileno()).st_size
        with progress("importing", total, unit="bytes") as advance:
            for place, size, record in _records(file, intake):
                intake.take(place, record)
                advance(size)
        report = intake.finish()
    told = msgspec.to_builtins(report) | {"file": call.given.file}
    return Answer(told, lambda paper: _tell(paper, report), PROBLEM if report.problems else OK)


def _records(file: BufferedReader, intake: Intake) -> Iterator[tuple[int, int, Any]]:
    """Records with their places, counted from 1, and sizes: of a JSON document, or one from each line."""
    begin = file.peek(64)[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if begin.startswith(b"["):
        yield from _of_document(file.read())
        return
    for place, raw in enumerate(file, 1):
        text = raw.removeprefix(b"\xef\xbb\xbf")
        if not text.strip():
            continue
        try:
            yield place, len(raw), msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            if place == 1:
                # One object over several lines: an export that holds a list, or a single record.
                yield from _of_document(raw + file.read())
                return
            intake.report.records += 1
            intake.problem(place, "it is not JSON")


def _of_document(data: bytes) -> Iterator[tuple[int, int, Any]]:
    try:
        document: Any = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise Invalid(f"The file is no JSON: {problem}.", "give a list of records, or a record a line") from None
    records: list[Any] = cast("list[Any]", document) if isinstance(document, list) else [document]
    if isinstance(document, dict):
        (*held,) = cast("dict[str, Any]", document).values()
        if len(held) == 1 and isinstance(held[0], list):
            records = cast("list[Any]", held[0])
    for place, record in enumerate(records, 1):
        yield place, len(data) // len(records), record


def _tell(paper: Paper, report: Report) -> None:
    written = ", ".join(f"{table} {count:,}" for table, count in report.counts.items() if count)
    paper.line(f"{report.records:,} records of {report.source}: {written or 'nothing new'}")
    if report.completed:
        paper.line(f"{report.completed:,} sessions were there already, and more is known of them now")
    if report.unchanged:
        paper.line(f"{report.unchanged:,} rows were there already")
    if report.expired:
        paper.line(f"{report.expired:,} memories had expired and were left out", "yellow")
    for name, count in report.without_target.items():
        paper.line(f"left out: the field {name} of {count:,} records, for which there is no place", "yellow")
    for problem in report.problems[:SHOWN]:
        paper.line(f"not taken in: record {problem.record}: {problem.reason}", "yellow")
    if len(report.problems) > SHOWN:
        paper.line(f"… and {len(report.problems) - SHOWN:,} more: --json names all", "yellow")
