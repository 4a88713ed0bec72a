"""The rows of an entity, made from its versions alone.

What follows from an entity's states (names, tags, properties, passages) is not in an export: it is derived from the versions
once more, with the numbers at which each of it began and ended.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import msgspec

from enhanced_memory.daemon.store import derived
from enhanced_memory.daemon.store.bodies import State, crc, decoded, delta, encoded
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.known import KEYFRAME
from enhanced_memory.daemon.store.records import EntityRecord, Extra, NotedRecord, states

__all__ = ["Rebuilt"]


class Rebuilt:
    """What is written for a record's versions, after those that the store has of the entity already."""

    def __init__(self, ground: Ground, record: EntityRecord, head: tuple[Any, ...] | None) -> None:
        """`Invalid` where the record contradicts itself."""
        self.record = record
        self.rows: dict[str, list[dict[str, Any]]] = {}
        """By the query that writes them."""
        self.passages: list[tuple[dict[str, Any], str, str]] = []
        """Each with its name and its body."""
        self.ended_parts: dict[int, tuple[int, str, str]] = {}
        """The passages in the store that end, by part: with which change, and what they say."""
        self._ground = ground
        said = [self._state(state, noted) for state, noted in states(record)]
        raws = [encoded(state) for state in said]
        steps = [
            (version.began, None if version.deleted else state)
            for version, state in zip(record.versions, said, strict=True)
        ]
        before: State | None = None
        if head is not None:
            (_, _, number, _, began, deleted, checksum, body) = head
            raw = ground.codec.plain(body, checksum)
            before = None if deleted else decoded(raw)
            self._version(number, began, record.versions[0].began, deleted, raw, raws[0])
        for place, version in enumerate(record.versions[:-1]):
            self._version(
                version.version,
                version.began,
                record.versions[place + 1].began,
                version.deleted,
                raws[place],
                raws[place + 1],
            )
        last, state, raw = record.versions[-1], said[-1], raws[-1]
        row = {
            "space": record.space, "id": record.id, "version": last.version, "began": last.began, "deleted": last.deleted,
            **derived.columns(state), "text_bytes": derived.text_bytes(state), "crc": crc(raw), "body": ground.codec.squeeze(raw),
        }  # fmt: skip
        self._add(
            "add_entity" if head is None else "set_entity",
            row if head is not None else row | {"scope": record.scope, "first": record.first},
        )
        self._derive(steps, before)

    @property
    def name_keys(self) -> list[tuple[int, str, str, int]]:
        """What may not stand twice among names."""
        begun = [(row["space"], row["name"], row["scope"], row["ended"]) for row in self.rows.get("transfer_name", ())]
        return begun + [
            (row["space"], row["name"], row["scope"], row["number"]) for row in self.rows.get("end_name", ())
        ]

    def _add(self, query: str, row: dict[str, Any]) -> None:
        self.rows.setdefault(query, []).append(row)

    def _state(self, state: State, told: list[NotedRecord]) -> State:
        for noted, said in zip(state.observations, told, strict=True):
            if said.extra is not None:
                noted.extra = self._extra(said.extra)
        return state

    def _extra(self, said: Extra) -> dict[str, Any]:
        extra: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(said).items() if value is not msgspec.UNSET
        }
        return {
            name: self._ground.origin(value) if name in ("origin", "trusted") else value
            for name, value in extra.items()
        }

    def _version(self, number: int, began: int, ended: int, deleted: bool, raw: bytes, newer: bytes) -> None:
        whole = number % KEYFRAME == 0
        body = self._ground.codec.squeeze(raw) if whole else delta(raw, newer)
        row = {
            "space": self.record.space,
            "entity": self.record.id,
            "version": number,
            "began": began,
            "ended": ended,
            "deleted": deleted,
        }
        self._add("add_version", row | {"whole": whole, "crc": crc(raw), "body": body})

    def _derive(self, steps: list[tuple[int, State | None]], before: State | None) -> None:
        space, entity, scope = self.record.space, self.record.id, self.record.scope
        here = {"space": space, "entity": entity}
        for name, began, ended in _lasting(steps, before, _names):
            if began:
                self._add("transfer_name", here | {"name": name, "scope": scope, "began": began, "ended": ended})
            else:
                self._add("end_name", {"space": space, "name": name, "scope": scope, "number": ended})
        for tag, began, ended in _lasting(steps, before, derived.tags):
            if began:
                self._add("transfer_tag", here | {"tag": tag, "began": began, "ended": ended})
            else:
                self._add("end_tag", here | {"tag": tag, "number": ended})
        for (key, value), began, ended in _lasting(steps, before, derived.properties):
            if began:
                self._add("transfer_property", here | {"key": key, "value": value, "began": began, "ended": ended})
            else:
                self._add("end_property", here | {"key": key, "value": value, "number": ended})
        for (part, (name, body)), began, ended in _lasting(steps, before, _passages):
            if began:
                self.passages.append((here | {"part": part, "message": 0, "began": began, "ended": ended}, name, body))
            else:
                self.ended_parts[part] = (ended, name, body)


def _lasting(
    steps: list[tuple[int, State | None]], before: State | None, rows_of: Callable[[State | None], Iterable[Hashable]]
) -> list[tuple[Any, int, int]]:
    """From when to when each row holds that follows from the states: `(row, began, ended)`, ended 0 where it lasts.

    `began` is 0 for a row that the store has already; it is only told if it ended.
    """
    if before is None and len(steps) == 1:
        return [(row, steps[0][0], 0) for row in rows_of(steps[0][1])]
    found: list[tuple[Any, int, int]] = []
    living: dict[Any, int] = dict.fromkeys(rows_of(before), 0)
    for number, state in steps:
        rows = dict.fromkeys(rows_of(state))
        found += [(row, living.pop(row), number) for row in list(living) if row not in rows]
        for row in rows:
            living.setdefault(row, number)
    return found + [(row, began, 0) for row, began in living.items() if began]


def _names(state: State | None) -> list[str]:
    return [] if state is None else [state.name]


def _passages(state: State | None) -> Iterable[tuple[int, tuple[str, str]]]:
    return derived.texts(state).items()
