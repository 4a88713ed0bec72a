"""The words of every passage, made anew from what is kept: of those that last, and of those that have ended."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec

from enhanced_memory.daemon.store import derived
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.rederived import Rederived
from enhanced_memory.daemon.store.streams import day
from enhanced_memory.daemon.store.transfer import Transfer
from enhanced_memory.daemon.store.words import word_row

__all__ = ["Wording"]

Page = tuple[list[dict[str, Any]], list[Any]]
"""Rows of an index, and the place after which the next ones come."""


class Wording:
    """Tells the words of passages in pages."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._rederived = Rederived(ground)
        self._transfer = Transfer(ground)

    def count(self, past: bool) -> int:
        """How many passages last, or have ended."""
        row = self._ground.rows.one("count_passages_past" if past else "count_passages_living")
        return row[0] if row else 0

    def living(self, after: list[Any] | None, count: int) -> Iterator[Page]:
        """The words of passages that last, by their ids."""
        place: int = after[0] if after else 0
        while rows := self._ground.rows.all("passages_after", after=place, limit=count):
            place = rows[-1][0]
            yield [word_row(row[0], row[2], *texts) for row, texts in self._rederived.texts(rows)], [place]

    def past(self, after: list[Any] | None, count: int) -> Iterator[Page]:
        """The words of passages that have ended: first of messages, then of entities, by entity."""
        kind, *place = after or ["message", 0]
        rows: list[tuple[Any, ...]]
        while kind == "message":
            rows = self._ground.rows.all("messages_past_after", after=place[0], limit=count)
            if not rows:
                kind, place = "entity", [0, 0, 0]
                break
            place = [rows[-1][0]]
            yield self._said(rows), [kind, *place]
        while rows := self._ground.rows.all(
            "passages_past_after", entity=place[0], space=place[1], after=place[2], limit=count
        ):
            place = [rows[-1][2], rows[-1][1], rows[-1][0]]
            yield self._stated(rows), [kind, *place]

    def _said(self, rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
        lasted = {row[4]: row for row in rows if row[5] < row[6]}
        said = self._ground.rows.all("spoken", ids=msgspec.json.encode(sorted(lasted)).decode())
        return [
            word_row(lasted[number][0], lasted[number][2], speaker, self._ground.line(body, checksum).content, day(at))
            for number, speaker, at, checksum, body in said
        ]

    def _stated(self, rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for (entity, space), group in groupby(rows, key=lambda row: (row[2], row[1])):
            left = [row for row in group if row[5] < row[6]]
            for began, ended, state in self._transfer.states_of(space, entity) if left else ():
                # Any version that it lasted through says it: its text never changed.
                here = [row for row in left if row[5] < ended and row[6] > began]
                texts = derived.texts(state) if here else {}
                found += [word_row(row[0], entity, *texts[row[3]]) for row in here if row[3] in texts]
                left = [row for row in left if row not in here or row[3] not in texts]
                if not left:
                    break
        return found
