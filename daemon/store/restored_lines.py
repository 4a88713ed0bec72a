"""Messages of an export, back in their streams: as they were said, beside what stood before them there and then."""

from itertools import groupby
from typing import Any

from enhanced_memory.daemon.store.bodies import Line, crc
from enhanced_memory.daemon.store.records import MessageRecord
from enhanced_memory.daemon.store.streams import Spoken, Streams, day, length_of
from enhanced_memory.daemon.store.taken import Run, Taken, as_json, missing
from enhanced_memory.daemon.store.views import Layer, View
from enhanced_memory.daemon.store.words import Words

__all__ = ["RestoredLines"]


class RestoredLines:
    """Writes messages as they are."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._words = Words(taken.ground)
        self._streams = Streams(taken.ground, self._words)

    def take(self, run: Run) -> None:
        """Write messages, and index each stream's beside what stood before."""
        ground = self._taken.ground
        spaces = self._taken.known_spaces()
        changes = self._taken.known_changes(number for _, one in run for number in (one.began, one.ended))
        entities = self._taken.known_entities(one.stream for _, one in run)
        known = {
            row[0]: row[1:] for row in ground.rows.all("transfer_known_messages", ids=as_json(one.id for _, one in run))
        }
        rows: list[dict[str, Any]] = []
        passages: list[tuple[dict[str, Any], MessageRecord]] = []
        for place, one in run:
            gone = next(((kind, number) for kind, number, among in (
                ("space", one.space, spaces), ("entity", one.stream, entities), ("change", one.began, changes),
                ("change", one.ended or one.began, changes)) if number not in among), None)  # fmt: skip
            if gone is not None:
                self._taken.report.problem(place, missing("message", one.id, *gone))
                continue
            raw, body = ground.codec.pack(Line(one.content, one.provider, one.metadata))
            itself = (one.space, one.stream, one.at, crc(raw))
            if one.id in known:
                if known[one.id] == itself:
                    self._taken.report.count("unchanged")
                else:
                    self._taken.report.problem(place, f"there is another message {one.id}")
                continue
            known[one.id] = itself
            names = (
                "id",
                "space",
                "stream",
                "role",
                "kind",
                "speaker",
                "at",
                "tick",
                "importance",
                "tokens",
                "began",
                "ended",
            )
            rows.append(
                {name: getattr(one, name) for name in names}
                | {"length": length_of(one.content), "crc": crc(raw), "body": body}
            )
            passage = {
                "space": one.space,
                "entity": one.stream,
                "part": 0,
                "message": one.id,
                "began": one.began,
                "ended": one.ended,
            }
            passages.append((passage, one))
        counters = ground.counters
        counters.message = max([counters.message, *(row["id"] for row in rows)])
        self._taken.write("messages", "transfer_message", rows)
        names_of: dict[int, str] = {row[0]: row[1] for row in ground.rows.all("spaces")}
        for _, here in groupby(passages, key=lambda each: (each[1].space, each[1].stream, each[1].began)):
            self._index_lines(names_of, list(here))

    def _index_lines(self, names_of: dict[int, str], passages: list[tuple[dict[str, Any], MessageRecord]]) -> None:
        """Index what one change appended to a stream, beside what stood before it there and then."""
        first = passages[0][1]
        # Whoever appended saw the space over its parents; one that was deleted since is its own alone.
        view = self._taken.ground.view_of(names_of[first.space]) or View(
            (Layer(first.space),), (names_of[first.space],)
        )
        spoken = [Spoken(one.speaker, one.content, one.at, one.id) for _, one in passages]
        near, last = self._streams.neighbours(first.stream, spoken, view, first.space, first.id)
        self._taken.index(
            [
                (row, one.speaker, one.content, beside, day(one.at))
                for (row, one), beside in zip(passages, near, strict=True)
            ]
        )
        if last is not None:
            one, beside = last
            self._words.again(one.passage, first.stream, one.speaker, one.content, beside, day(one.at))
