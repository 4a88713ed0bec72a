"""Snapshots: names for what a space knew after a change. A view has those of all its layers, as far as it sees into them."""

import msgspec

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.views import NOW

__all__ = ["Snapshots", "Taken"]


class Taken(msgspec.Struct):
    """A snapshot as its space keeps it."""

    name: str
    number: int
    """The change after which it is."""
    began: int
    """The change that gave the name."""
    at: int
    message: str
    space: int


class Snapshots:
    """Reads and writes snapshots."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def find(self, name: str) -> Taken | None:
        """The nearest snapshot of that name; None where the view has none."""
        for _, layer in self._ground.view:
            row = self._ground.rows.one("snapshot", space=layer.space, name=name)
            if row is not None and row[2] <= layer.at:
                return Taken(row[0], row[1], row[2], row[3] or 0, row[4] or "", layer.space)
        return None

    def page(self, before: int | None, limit: int) -> list[Taken]:
        """Snapshots of every layer, the newest name first, those begun before change `before`."""
        found: list[Taken] = []
        for _, layer in self._ground.view:
            upto = min(before if before is not None else NOW, layer.at + 1)
            rows = self._ground.rows.all("snapshots", space=layer.space, before=upto, limit=limit)
            found += [Taken(row[0], row[1], row[2], row[3] or 0, row[4] or "", layer.space) for row in rows]
        return sorted(found, key=lambda one: -one.began)[:limit]

    def add(self, name: str, number: int | None) -> Taken:
        """Name what the caller's space knows after change `number`, or after this one. `Conflict` where the name is taken."""
        ground = self._ground
        if ground.rows.one("snapshot", space=ground.space, name=name) is not None:
            raise Conflict(
                f"There is a snapshot {name[:100]!r} in space {ground.space_name!r}.",
                "choose another name, or `delete_snapshot` it first",
            )
        after = ground.number if number is None else number
        ground.rows.run("add_snapshot", space=ground.space, name=name, began=ground.number, number=after)
        ground.note("snapshot", after, "create")
        return Taken(name, after, ground.number, ground.now, "", ground.space)

    def drop(self, name: str) -> Taken:
        """Take a name away from the caller's own space. `NotFound` where it has none such."""
        ground = self._ground
        row = ground.rows.one("snapshot", space=ground.space, name=name)
        if row is None:
            raise NotFound(
                f"There is no snapshot {name[:100]!r} in space {ground.space_name!r}.", "see `list_snapshots`"
            )
        ground.rows.run("drop_snapshot_begun", space=ground.space, name=name, number=ground.number)
        ground.rows.run("end_snapshot", space=ground.space, name=name, number=ground.number)
        ground.note("snapshot", row[1], "delete")
        return Taken(row[0], row[1], row[2], row[3] or 0, row[4] or "", ground.space)
