"""Conflicts as they are kept: recorded, listed, settled. What the two say stands with the entities alone."""

from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.conflict_values import ConflictStatus, ConflictType, Resolution
from enhanced_memory.client.errors import NotFound
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.views import NOW

__all__ = ["Conflicts", "Kept", "Proposal", "ScanMark"]


class Proposal(msgspec.Struct, frozen=True):
    """A conflict to be recorded."""

    entity: int
    other: int
    part: int
    other_part: int
    type: ConflictType
    confidence: float
    reason: str
    action: Resolution


class Kept(msgspec.Struct):
    """A conflict as one layer of a view holds it."""

    row: int
    space: int
    id: int
    entity: int
    other: int
    part: int
    other_part: int
    type: ConflictType
    confidence: float
    reason: str
    action: Resolution
    status: ConflictStatus
    notes: str
    found: int
    began: int
    found_at: int | None
    began_at: int | None


class ScanMark(msgspec.Struct):
    """How far a scan of a space is, as the store keeps it. Numbers alone: what was compared may be purged."""

    change: int
    """The newest change when it began: what has changed since is looked at again by whoever goes on with it."""
    threshold: float
    agent: str = ""
    client: str = ""
    """Who began it."""
    after: int = 0
    """Every entity up to this one has been compared with itself."""
    pair: tuple[int, int] = (0, 0)
    """Every pair up to this one has been compared."""
    found: int = 0
    recorded: int = 0
    daemon: str = ""
    """The daemon that is at it, by the name that it has among those that share the store."""


_SCAN = "conflict_scan/"


class Conflicts:
    """Reads and writes conflicts."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def record(self, one: Proposal) -> int:
        """Write a conflict; its id."""
        ground = self._ground
        counters = ground.counters
        counters.conflict += 1
        self._write(counters.conflict, one, "pending", "", ground.number)
        ground.note("conflict", counters.conflict, "create", after=1)
        return counters.conflict

    def get(self, number: int) -> Kept:
        """A conflict of the caller's view. `NotFound` where there is none."""
        for _, layer in self._ground.view:
            found = self._held(number, layer.space, layer.at)
            if found is not None:
                return found
        raise NotFound(f"There is no conflict {number} in space {self._ground.space_name!r}.", "see `list_conflicts`")

    def settle(self, one: Kept, status: ConflictStatus, notes: str) -> None:
        """Give a conflict another status, in the caller's space."""
        ground = self._ground
        if one.space == ground.space:
            ground.rows.run("drop_conflict_begun", row=one.row, number=ground.number)
            ground.rows.run("end_conflict", row=one.row, number=ground.number)
        self._write(one.id, _proposed(one), status, notes, one.found)
        ground.note("conflict", one.id, "resolve", before=1, after=2)

    def take_back(self, number: int, change: int) -> None:
        """Make a conflict again what it was before `change`, unless it has become something else since."""
        ground = self._ground
        now, before = (self._held(number, ground.space, at) for at in (NOW, change - 1))
        if now is not None and now.began != change:
            return
        if now is not None:
            ground.rows.run("end_conflict", row=now.row, number=ground.number)
        elif before is None:
            return
        if before is not None:
            self._write(number, _proposed(before), before.status, before.notes, before.found)
        ground.note("conflict", number, "undo", before=1, after=int(before is not None))

    def page(self, *also: str, limit: int, before: int | None = None, **values: Any) -> list[Kept]:
        """Conflicts below the id `before`, newest first. `also` names conditions that they must meet."""
        view = self._ground.view
        rows: list[tuple[Any, ...]] = []
        for depth, layer in view:
            rows += self._ground.rows.all(
                "conflicts", *also, space=layer.space, at=layer.at, nearer=view.nearer(depth), before=before or NOW, limit=limit, **values
            )  # fmt: skip
        return sorted((Kept(*row) for row in rows), key=lambda one: -one.id)[:limit]

    def among(self, entities: Iterable[int]) -> list[Kept]:
        """All conflicts whose older entity is one of these, settled or not; without their times."""
        view = self._ground.view
        ids = msgspec.json.encode(sorted(set(entities))).decode()
        return [
            Kept(*row)
            for depth, layer in view
            for row in self._ground.rows.all(
                "conflicts_between", ids=ids, space=layer.space, at=layer.at, nearer=view.nearer(depth)
            )
        ]

    # A scan that is under way

    def mark(self, mark: ScanMark | None) -> None:
        """Keep how far the scan of the caller's space is; None once it is over."""
        key = _SCAN + self._ground.space_name
        if mark is None:
            self._ground.rows.run("drop_meta", key=key)
        else:
            self._ground.rows.run("set_meta", key=key, value=msgspec.json.encode(mark))

    def marked(self) -> ScanMark | None:
        """How far the scan of the caller's space is, if one was left."""
        row = self._ground.rows.one("get_meta", key=_SCAN + self._ground.space_name)
        return None if row is None else msgspec.json.decode(row[0], type=ScanMark)

    def scans_left(self) -> list[str]:
        """The spaces whose scans are not over."""
        return [space for (space,) in self._ground.rows.all("scans_left", prefix=_SCAN)]

    def _held(self, number: int, space: int, at: int) -> Kept | None:
        """A conflict as a space held it after change `at`."""
        row = self._ground.rows.one("conflict", space=space, id=number, at=at)
        return Kept(*row) if row is not None else None

    def _write(self, number: int, one: Proposal, status: ConflictStatus, notes: str, found: int) -> None:
        ground = self._ground
        ground.rows.run(
            "add_conflict", space=ground.space, id=number, status=status, notes=notes, found=found, began=ground.number,
            **msgspec.structs.asdict(one),
        )  # fmt: skip


def _proposed(one: Kept) -> Proposal:
    return Proposal(one.entity, one.other, one.part, one.other_part, one.type, one.confidence, one.reason, one.action)
