"""Messages of an export, back in their streams, as they were said."""

from typing import Any

from enhanced_memory.daemon.store.bodies import Line, crc
from enhanced_memory.daemon.store.records import MessageRecord
from enhanced_memory.daemon.store.streams import day, length_of
from enhanced_memory.daemon.store.taken import Run, Taken, as_json, missing

__all__ = ["RestoredLines"]


class RestoredLines:
    """Writes messages as they are."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken

    def take(self, run: Run) -> None:
        """Write messages, and index them."""
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
        self._taken.index([(row, one.speaker, one.content, day(one.at)) for row, one in passages])
