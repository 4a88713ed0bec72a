"""Opening entities: what a head row says, and what an older version said, by the differences that lead back to it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from enhanced_memory.client.errors import NotFound, StoreDamaged
from enhanced_memory.daemon.store import derived
from enhanced_memory.daemon.store.bodies import State, decoded, undelta
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.views import NOW

__all__ = ["KEYFRAME", "Opening", "Stored"]

KEYFRAME = 32
"""Every so many versions one is kept whole, so that any opens with at most this many deltas."""


class Stored(msgspec.Struct):
    """An entity as one layer of a view holds it."""

    id: int
    space: int
    scope: str
    version: int
    first: int
    began: int
    deleted: bool
    text_bytes: int
    crc: int
    stored_bytes: int
    raw: bytes
    state: State
    updated_at: int
    created_at: int
    used: int
    used_at: int
    current: bool = True
    """Whether this is the newest version its space holds."""
    place: Any = None
    """What it was ordered by, where it was listed."""

    @property
    def touched_at(self) -> int:
        """When somebody last changed it; what curation does to it makes it no younger."""
        return self.state.attributes.get("touched", self.updated_at)

    @property
    def last_at(self) -> int:
        """When it was last changed, read or confirmed."""
        return max(self.touched_at, self.used_at, self.state.attributes.get("confirmed_at", 0))


class Opening:
    """Opens entities as they are, and as they were."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def _opened(self, rows: Sequence[tuple[Any, ...]], space: int, at: int) -> dict[int, Stored]:
        """What entities of one space said at a change, by their head rows; those that were not there then are left out."""
        older = [row[0] for row in rows if row[5] > at]
        paths = self._paths(older, space, at) if len(older) > 1 else {}  # a single one's are read one after another
        opened = {row[0]: self._back(row, paths[row[0]]) if row[0] in paths else self._stored(row, at) for row in rows}
        return {entity: one for entity, one in opened.items() if one is not None}

    def _holding(self, ids: list[int], space: int, at: int, marks: Sequence[Sequence[bytes]]) -> list[int]:
        """Those of some entities that may have said one of each of `marks` at a change: what else they said is not read."""
        paths = self._paths(ids, space, at)
        asked = msgspec.json.encode(sorted(ids)).decode()
        heads = {row[0]: row[1:] for row in self._ground.rows.all("heads", space=space, ids=asked)}
        held: list[int] = []
        for entity in ids:
            raw = self._plain(paths[entity], *heads[entity]) if entity in paths and entity in heads else None
            if raw is None or all(any(mark in raw for mark in each) for each in marks):
                held.append(entity)
        return held

    def _paths(self, ids: list[int], space: int, at: int) -> dict[int, list[tuple[Any, ...]]]:
        """The rows of the versions that stood at a change and of those after them, up to one that is whole, by entity."""
        paths: dict[int, list[tuple[Any, ...]]] = {}
        asked = msgspec.json.encode(sorted(ids)).decode()
        for row in self._ground.rows.all("versions_back", space=space, ids=asked, at=at, most=KEYFRAME):
            paths.setdefault(row[0], []).append(row)
        return {entity: _to_whole(sorted(path, key=lambda row: row[1])) for entity, path in paths.items()}

    def _plain(self, path: list[tuple[Any, ...]], checksum: int, body: bytes) -> bytes:
        """The plain bytes of the first version of a path; the head's checksum and body are what the last differs from, unless it is whole."""
        *between, last = path
        plain = self._ground.codec.plain
        raw = plain(last[6], last[5]) if last[4] else undelta(last[6], plain(body, checksum), last[5])
        for row in reversed(between):
            raw = undelta(row[6], raw, row[5])
        return raw

    def _back(self, head: tuple[Any, ...], path: list[tuple[Any, ...]]) -> Stored:
        """What a version said, by the rows of it and of those after it. `StoreDamaged` where they have a gap."""
        (entity, version, began, deleted, _, checksum, _, updated_at) = path[0]
        if not path[-1][4] and path[-1][1] != head[3] - 1:
            raise StoreDamaged(f"The versions of entity {entity} have a gap.")
        raw = self._plain(path, head[7], head[8])
        return self._past(head, version, began, deleted, checksum, updated_at, decoded(raw), raw)

    def version(self, entity: int, space: int, number: int) -> tuple[State, bytes]:
        """What version `number` of an entity said in a space, and its plain bytes. `NotFound` where there is none such."""
        head = self._ground.rows.one("entity", space=space, id=entity)
        if head is None or number > head[3]:
            raise NotFound(f"Entity {entity} has no version {number}.", "see `memory_history`")
        if number == head[3]:
            raw = self._ground.codec.plain(head[8], head[7])
            return decoded(raw), raw
        rows = self._ground.rows.all(
            "versions_from", space=space, entity=entity, version=number, last=number + KEYFRAME
        )
        if not rows or rows[0][0] != number:
            raise NotFound(f"Entity {entity} has no version {number} in this space.", "see `memory_history`")
        path = _to_whole(rows)
        if not path[-1][4] and path[-1][0] != head[3] - 1:
            raise StoreDamaged(f"The versions of entity {entity} have a gap.")
        raw = self._plain(path, head[7], head[8])
        return decoded(raw), raw

    def _stored(self, row: tuple[Any, ...], at: int) -> Stored | None:
        """What a head row says; for a layer in the past, the version that stood then. None where its kind no longer keeps that."""
        entity, space = row[:2]
        if row[5] <= at:
            return self.now_of(row)
        then = self._ground.rows.one("version_at", space=space, entity=entity, at=at)
        if then is None:
            if self._ground.rows.all("versions_page", space=space, entity=entity, before=NOW, at=at, limit=1):
                raise StoreDamaged(f"Entity {entity} has no version at change {at}.")
            return None
        version, began, deleted, checksum, updated_at = then
        state, raw = self.version(entity, space, version)
        return self._past(row, version, began, deleted, checksum, updated_at, state, raw)

    def now_of(self, row: tuple[Any, ...]) -> Stored:
        """What a head row says."""
        (
            entity,
            space,
            scope,
            version,
            first,
            began,
            deleted,
            checksum,
            body,
            text_bytes,
            updated_at,
            created_at,
            used,
            used_at,
        ) = row
        raw = self._ground.codec.plain(body, checksum)
        state = decoded(raw)
        return Stored(
            entity, space, scope, version, first, began, bool(deleted), text_bytes, checksum, len(body), raw, state,
            updated_at or 0, state.attributes.get("born", created_at or 0), used or 0, used_at or 0,
        )  # fmt: skip

    def _past(
        self, head: tuple[Any, ...], version: int, began: int, deleted: int, checksum: int, updated_at: int | None, state: State, raw: bytes
    ) -> Stored:  # fmt: skip
        entity, space, scope, _, first, *_, created_at, used, used_at = head
        return Stored(
            entity, space, scope, version, first, began, bool(deleted), derived.text_bytes(state), checksum, 0, raw, state,
            updated_at or 0, state.attributes.get("born", created_at or 0), used or 0, used_at or 0, False,
        )  # fmt: skip


def _to_whole(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows of versions up to the first that is kept whole; all of them where none is."""
    whole = next((place for place, row in enumerate(rows) if row[4]), len(rows))
    return rows[: whole + 1]
