"""What restoring stands on, whatever kind of record is being restored."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.imports import Report
from enhanced_memory.daemon.store.words import word_row

__all__ = ["Run", "Taken", "as_json", "missing"]

Run = Sequence[tuple[int, Any]]
"""Records of one kind with their places."""


class Taken:
    """A store into which records are taken as they are, and what is reported of them."""

    def __init__(self, ground: Ground, report: Report) -> None:
        self.ground = ground
        self.report = report

    def index(self, passages: list[tuple[dict[str, Any], str, str, str]]) -> None:
        """Write passages, each with its words, into the index of the present or of the past."""
        counters = self.ground.counters
        words: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
        for row, name, body, dates in passages:
            counters.passage += 1
            row["id"] = counters.passage
            words[bool(row["ended"])].append(word_row(counters.passage, row["entity"], name, body, dates))
        self.ground.rows.many("transfer_passage", [row for row, *_ in passages])
        self.ground.rows.many("add_words", words[False])
        self.ground.rows.many("add_words_past", words[True])

    def write(self, what: str, query: str, rows: list[dict[str, Any]]) -> None:
        """Write rows and count them."""
        self.ground.rows.many(query, rows)
        self.report.count(what, len(rows))

    def known_spaces(self) -> set[int]:
        """The spaces that are there."""
        return {row[0] for row in self.ground.rows.all("spaces")}

    def known_changes(self, numbers: Iterable[int]) -> set[int]:
        """Those of the changes that are there."""
        return {row[0] for row in self.ground.rows.all("transfer_known_changes", numbers=as_json(numbers))}

    def known_entities(self, ids: Iterable[int]) -> set[int]:
        """Those of the entities that are there."""
        return {row[0] for row in self.ground.rows.all("transfer_known_entities", ids=as_json(ids))}


def missing(kind: str, number: int, of: str, wanted: int) -> str:
    """What is wrong with a record that refers to what is not there."""
    return f"{kind} {number} refers to {of} {wanted}, which is not there"


def as_json(numbers: Iterable[int]) -> str:
    """Numbers as a query takes them."""
    return msgspec.json.encode(sorted(set(numbers))).decode()
