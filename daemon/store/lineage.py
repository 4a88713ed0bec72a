"""The versions of an entity, through the layers of a view: a page of them, one of them, and since when there are any."""

from collections.abc import Iterable
from typing import Any

from enhanced_memory.client.errors import NotFound
from enhanced_memory.daemon.store import derived
from enhanced_memory.daemon.store.bodies import decoded, undelta
from enhanced_memory.daemon.store.known import Known, Stored
from enhanced_memory.daemon.store.views import NOW, View

__all__ = ["Lineage"]


class Lineage(Known):
    """Reads what entities said before."""

    def oldest_version(self, entity: int, space: int) -> int | None:
        """The oldest version that a space keeps of an entity beside the newest one."""
        row = self._ground.rows.one("oldest_version", space=space, entity=entity)
        return None if row is None else row[0]

    def history(self, entity: int, before: int | None, limit: int) -> list[Stored]:
        """The versions of an entity below `before`, newest first: those of the nearest layer that knows it, then those of its parents before that."""
        found: list[Stored] = []
        below = before if before is not None else NOW
        for _, layer in self._ground.view:
            head = self._ground.rows.one("entity", space=layer.space, id=entity)
            if head is None or head[4] > layer.at:
                continue
            if head[3] < below and head[5] <= layer.at:
                newest = self.now_of(head)
                newest.current = before is None and not found
                found.append(newest)
                below = head[3]
            if len(found) < limit:
                found += self._older(head, below, layer.at, limit - len(found))
            if len(found) >= limit:
                break
            below = found[-1].version if found else below
        return found[:limit]

    def _older(self, head: tuple[Any, ...], below: int, at: int, limit: int) -> list[Stored]:
        """Up to `limit` versions of one space below `below`, newest first. Each is one difference away from the one before."""
        entity, space, scope, first = head[0], head[1], head[2], head[4]
        rows = self._ground.rows.all("versions_page", space=space, entity=entity, before=below, at=at, limit=limit)
        if not rows:
            return []
        kept = {
            row[0]: row
            for row in self._ground.rows.all(
                "versions_from", space=space, entity=entity, version=rows[-1][0], last=rows[0][0]
            )
        }
        found: list[Stored] = []
        raw = b""
        for version, began, deleted in rows:
            row = kept[version]
            if not found:
                raw = self.version(entity, space, version)[1]
            elif row[4]:
                raw = self._ground.codec.plain(row[6], row[5])
            else:
                raw = undelta(row[6], raw, row[5])
            state = decoded(raw)
            found.append(
                Stored(entity, space, scope, version, first, began, bool(deleted), 0, row[5], 0, raw, state, 0, 0, 0, 0, current=False)
            )  # fmt: skip
        return found

    def stood(self, entity: int, number: int, view: View | None = None) -> tuple[Stored, int]:
        """Version `number` of an entity as the view has it, and the last change after which it stood. `NotFound` where the view has none such."""
        until = NOW
        for _, layer in self._ground.view if view is None else view:
            head = self._ground.rows.one("entity", space=layer.space, id=entity)
            if head is None or head[4] > layer.at:
                continue
            last = min(layer.at, until)
            if number == head[3] and head[5] <= last:
                return self.now_of(head), last
            rows = self._ground.rows.all("versions_from", space=layer.space, entity=entity, version=number, last=number)
            if rows and rows[0][1] <= last:
                state, raw = self.version(entity, layer.space, number)
                _, began, ended, deleted, _, checksum, _ = rows[0]
                one = Stored(
                    entity, layer.space, head[2], number, head[4], began, bool(deleted), derived.text_bytes(state), checksum, 0, raw, state,
                    0, 0, 0, 0, False,
                )  # fmt: skip
                return one, min(ended - 1, last)
            until = min(until, head[4] - 1)  # a parent is seen as it was until this layer had a row of its own
        newest = self.known(entity, view)
        raise NotFound(
            f"Entity {entity} has no version {number} in space {self._ground.call.peer.space!r}"
            + (f"; it is at version {newest.version}." if newest is not None else "."),
            "see `memory_history`; some kinds keep their newest versions alone",
        )

    def first_change(self, entity: int) -> int | None:
        """The change at which the view first had an entity."""
        firsts = [
            row[4]
            for _, layer in self._ground.view
            if (row := self._ground.rows.one("entity", space=layer.space, id=entity)) is not None and row[4] <= layer.at
        ]
        return min(firsts, default=None)

    def last_names(self, ids: Iterable[int]) -> dict[int, str]:
        """What entities are called, or were when they were deleted."""
        return {entity: one.state.name for entity, one in self.load(set(ids), self._ground.view).items()}
