"""Entities that an adapter keeps as records of another system: a dictionary for each, saved by id, listed whole."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.operations.entities import CreateEntities, ListEntities, OpenNodes, UpdateEntity
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import Entity, EntityInput, Filter

__all__ = ["Records"]

PAGE = 500
TRIES = 20


class Records:
    """The entities of one type."""

    def __init__(self, memory: Memory, type_name: str) -> None:
        self._memory = memory
        self._type = type_name

    def one(self, number: int) -> Entity:
        """The record of an id. `NotFound` where there is none of this type."""
        found = self._memory.send(OpenNodes([number], relations=False)).entities
        if not found or found[0].type != self._type:
            raise NotFound(f"There is no {self._type} {number}.", "list them for the ids that there are")
        return found[0]

    def find(self, name: str, scope: str = "") -> Entity | None:
        """The record of a name, if there is one."""
        found = self._memory.send(OpenNodes([name], scope=scope or self._type, relations=False)).entities
        return next((one for one in found if one.type == self._type), None)

    def every(self, *where: Filter, order_by: str = "id", descending: bool = False) -> Iterator[Entity]:
        """Every record that meets the conditions, in order."""
        cursor: str | None = None
        while True:
            page = self._memory.send(
                ListEntities(
                    types=[self._type], where=list(where), order_by=order_by, descending=descending, limit=PAGE,
                    cursor=cursor,
                )
            )  # fmt: skip
            yield from page.entities
            cursor = page.cursor
            if cursor is None:
                return

    def add(self, name: str, properties: Mapping[str, Any], *, tags: list[str] | None = None, text: str = "") -> int:
        """A new record; its id."""
        made = self._memory.send(
            CreateEntities(
                [
                    EntityInput(
                        name, self._type, [text] if text else [],
                        {key: value for key, value in properties.items() if value is not None}, tags or [],
                    )
                ],
                on_existing="error",
            )
        )  # fmt: skip
        return made.results[0].id

    def change(self, number: int, alter: Callable[[Entity], Mapping[str, Any]]) -> Entity:
        """Change a record's properties by what it says now. Another's change in between is met by reading again; the record as it was."""
        for attempt in range(TRIES):
            known = self.one(number)
            try:
                self._memory.send(UpdateEntity(number, properties=dict(alter(known)), expected_version=known.version))
            except Conflict:
                if attempt == TRIES - 1:
                    raise
                continue
            return known
        raise AssertionError
