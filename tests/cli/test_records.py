"""The file formats, read line by line."""

import io
import json

import pytest

from enhanced_memory.client.cli.records import END, HEADER, Bad, Foreign, Record, format_of, read_lines
from enhanced_memory.client.errors import Invalid

ADA = {"type": "entity", "name": "Ada", "entityType": "person", "observations": ["likes tea"]}
KNOWS = {"type": "relation", "from": "Ada", "to": "Bob", "relationType": "knows"}


def lines(*values: object) -> io.BytesIO:
    return io.BytesIO(b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in values))


def official(*values: object, max_bytes: int = 10_000) -> list[Record | Foreign | Bad]:
    return list(read_lines(lines(*values), "official", max_bytes))


def full(*values: object) -> list[Record | Foreign | Bad]:
    return list(read_lines(lines(*values), "full", 10_000))


@pytest.mark.parametrize(
    ("first", "format"),
    [
        (b'{"enhanced_memory_export": 1}', "full"),
        (b"\xef\xbb\xbf" + json.dumps(ADA).encode(), "official"),
        (b"{broken", "official"),
        (b"", "official"),
    ],
)
def test_the_first_line_says_the_format(first: bytes, format: str) -> None:
    assert format_of(first) == format


def test_official_lines_are_taken_in_whatever_surrounds_them() -> None:
    text = b"\xef\xbb\xbf" + json.dumps(ADA).encode() + b"\r\n\r\n  \n" + json.dumps(KNOWS).encode()
    found = list(read_lines(io.BytesIO(text), "official", 10_000))
    assert [(each.line, each.value) for each in found if isinstance(each, Record)] == [(1, ADA), (4, KNOWS)]
    assert sum(each.size for each in found) <= len(text)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{broken", "not JSON"),
        (b'"text"', "not a JSON object"),
        (b'{"type": "entity", "name": "\xff"}', "not"),
        (b'{"name": "x"}', "no type"),
        (b'{"type": 3}', "no type"),
        (b'{"type": "entity", "name": "x", "entityType": "y"}', "observations"),
        (b'{"type": "entity", "name": "x", "entityType": "y", "observations": [3]}', "observations"),
        (b'{"type": "entity", "name": 3, "entityType": "y", "observations": []}', "name"),
        (b'{"type": "relation", "from": "x", "to": "y"}', "relationType"),
        (b'{"type": "entity", "name": "\\ud800", "entityType": "y", "observations": []}', "not JSON"),
        (b"[" * 100_000, "longer than"),
        (b"[" * 9_000, "nested too deeply"),
    ],
)
def test_a_bad_line_is_named_and_costs_no_other(line: bytes, reason: str) -> None:
    found = official(ADA, line, KNOWS)
    assert [type(each) for each in found] == [Record, Bad, Record]
    bad = found[1]
    assert isinstance(bad, Bad)
    assert bad.line == 2
    assert reason in bad.reason


def test_lines_of_other_types_are_kept_byte_for_byte() -> None:
    raw = b'{"type": "note",   "text": "caf\xc3\xa9"}'
    found = official(raw + b"\r", ADA)
    assert isinstance(found[0], Foreign)
    assert found[0].raw == raw + b"\n"


def test_a_line_that_is_too_long_is_passed_over_whole() -> None:
    found = official(b"x" * 3_000_000, ADA, max_bytes=1000)
    assert [type(each) for each in found] == [Bad, Record]
    assert found[1].line == 2


def test_an_export_gives_its_records_alone() -> None:
    found = full({HEADER: 1}, ADA, KNOWS, {END: 2})
    assert [each.value for each in found if isinstance(each, Record)] == [ADA, KNOWS]
    assert len(found) == 2


def test_exports_that_follow_one_another_are_one() -> None:
    assert len(full({HEADER: 1}, ADA, {END: 1}, {HEADER: 1}, KNOWS, {END: 1})) == 2


def test_a_newer_export_is_refused_with_a_hint() -> None:
    with pytest.raises(Invalid, match="version 2") as refused:
        full({HEADER: 2}, ADA, {END: 1})
    assert "upgrade" in refused.value.hint


@pytest.mark.parametrize("header", [{HEADER: "1"}, {HEADER: True}, {HEADER: 0}, ADA, b"{broken"])
def test_a_file_without_a_proper_header_is_no_export(header: object) -> None:
    with pytest.raises(Invalid):
        full(header, ADA, {END: 1})


def test_an_export_that_was_cut_short_says_so() -> None:
    *records, last = full({HEADER: 1}, ADA)
    assert len(records) == 1
    assert isinstance(last, Bad)
    assert "cut short" in last.reason


def test_an_export_that_lost_lines_says_so() -> None:
    last = full({HEADER: 1}, ADA, {END: 2})[-1]
    assert isinstance(last, Bad)
    assert "holds 2 records; 1 were found" in last.reason
