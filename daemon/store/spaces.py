"""Spaces: making, listing and retiring worlds of memory."""

from typing import Any

import msgspec

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.values import Space
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.times import moment, moment_or_none

__all__ = ["Spaces"]


class Spaces:
    """Reads and writes spaces."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def find(self, name: str) -> Space | None:
        """A space by its name, retired or not."""
        row = self._ground.rows.one("space_row", name=name)
        return None if row is None else self._space(row)

    def get(self, name: str) -> Space:
        """A space in use. `NotFound` where there is none."""
        found = self.find(name)
        if found is None or found.deleted:
            raise NotFound(f"There is no space {name!r}.", "see `list_spaces`, or make it with `create_space`")
        return found

    def all(self, deleted: bool) -> list[Space]:
        """Every space, in the order of their making; retired ones if `deleted`."""
        found = [self._space(row) for row in self._ground.rows.all("spaces")]
        return [space for space in found if deleted or not space.deleted]

    def sizes(self) -> dict[str, int]:
        """How many living entities each space in use holds itself."""
        return dict(self._ground.rows.all("count_by_space"))

    def create(self, name: str, parent: str | None, metadata: dict[str, Any]) -> Space:
        """Make a space, or bring a retired one back. `Conflict` where it exists with another parent."""
        ground = self._ground
        over = self.get(parent) if parent else None
        known = self.find(name)
        if known is None:
            ground.add_space(name, over.id if over else 0, 0, "space", msgspec.msgpack.encode(metadata))
            return msgspec.structs.replace(
                self.get(name), created_at=moment(ground.now)
            )  # its change is not written yet
        elif known.parent != parent:
            raise Conflict(
                f"The space {name!r} exists {'over ' + repr(known.parent) if known.parent else 'without a parent'}.",
                "choose another name",
            )
        elif known.deleted:
            ground.rows.run("revive_space", id=known.id)
            ground.note("space", known.id, "restore")
        return self.get(name)

    def annotate(self, name: str, metadata: dict[str, Any]) -> Space:
        """Merge `metadata` into what is noted about a space; a null takes its key away."""
        known = self.get(name)
        merged = {key: value for key, value in (known.metadata | metadata).items() if value is not None}
        if merged != known.metadata:
            self._ground.rows.run("set_space_metadata", id=known.id, metadata=msgspec.msgpack.encode(merged))
            self._ground.note("space", known.id, "update")
        return self.get(name)

    def retire(self, name: str) -> Space:
        """Take a space out of use. `Conflict` while others read through it."""
        known = self.get(name)
        children = [space.name for space in self.all(deleted=False) if space.parent == name]
        if children:
            raise Conflict(
                f"{len(children)} spaces read through {name!r}: {', '.join(children[:5])}.", "delete those first"
            )
        self._ground.rows.run("retire_space", id=known.id, number=self._ground.number)
        self._ground.note("space", known.id, "delete")
        found = self.find(name)
        return found if found is not None else known

    @staticmethod
    def _space(row: tuple[Any, ...]) -> Space:
        (number, name, parent, pinned, kind, metadata, ended, at, entity, _) = row
        return Space(
            id=number,
            name=name,
            parent=parent,
            pinned_at=pinned or None,
            entity=entity or None,
            kind=kind,
            created_at=moment_or_none(at),
            deleted=bool(ended),
            metadata=msgspec.msgpack.decode(metadata),
        )
