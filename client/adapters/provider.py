"""Records by memory type: a plain `MemoryProvider` that needs no package, and what the one for MemoRizz is made of.

A record is a dictionary. Each is an entity of its memory type's kind, under the record's id; what it says is found by words and by
the daemon's model of meaning, its `embedding` as a vector of the caller's own model. What a record said before is in its history.
"""

import base64
import math
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, cast

import msgspec

from enhanced_memory.client.adapters.containment import facets, text_of
from enhanced_memory.client.adapters.lent import Lent
from enhanced_memory.client.adapters.store_filters import matches, narrowing
from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.entities import CreateEntities, DeleteEntities, ListEntities, OpenNodes
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import Entity, EntityInput, Filter

__all__ = ["KINDS", "MemoryProvider", "Records", "plain"]

KINDS = {
    "personas": "persona",
    "toolbox": "tool",
    "workflow_memory": "workflow",
    "long_term_memory": "knowledge_base",
}
"""Memory types whose records are entities of a kind that the daemon knows, or of another type's; all others are called alike."""

UNSEARCHED = frozenset({"_id", "id", "embedding", "timestamp", "created_at", "updated_at"})
"""Fields whose text says nothing about what a record is about."""
SCOPING = ("name", "memory_id", "user_id", "thread_id", "agent_id")
"""Fields that stand beside the record, to be filtered by however long it is."""
PAGE = 1000
TRIES = 20


class Records:
    """Records of every memory type in the client's space. `model` names the caller's own model that embeddings are of."""

    def __init__(self, memory: Memory, model: str) -> None:
        self.memory = memory
        self.model = model

    def put(self, kind: str, record: Mapping[str, Any]) -> str:
        """Keep a record under its `_id` or `id`, or a new one; its id. One that is there is replaced."""
        made = self._entity(kind, record)
        self.memory.send(CreateEntities([made], on_existing="replace"))
        return made.name

    def put_all(self, kind: str, records: Iterable[Mapping[str, Any]]) -> list[str]:
        """Keep many records, all or none of up to 1,000; their ids."""
        made = [self._entity(kind, one) for one in records]
        for begin in range(0, len(made), PAGE):
            self.memory.send(CreateEntities(made[begin : begin + PAGE], on_existing="replace"))
        return [one.name for one in made]

    def get(self, kind: str, identifier: str) -> dict[str, Any] | None:
        """The record of an id; None where there is none."""
        found = self._entity_of(kind, identifier)
        return None if found is None else record_of(found)

    def change(self, kind: str, identifier: str, alter: Callable[[dict[str, Any]], Mapping[str, Any] | None]) -> bool:
        """Replace a record by what `alter` makes of it, whoever else changes it meanwhile; whether there was one, and `alter` gave anything."""
        for _ in range(TRIES):
            found = self._entity_of(kind, identifier)
            altered = None if found is None else alter(record_of(found))
            if found is None or altered is None:
                return False
            made = self._entity(kind, {**altered, "_id": identifier}, found)
            made.expected_version = found.version
            try:
                self.memory.send(CreateEntities([made], on_existing="replace"))
            except Conflict:
                continue
            return True
        raise Conflict(f"Somebody else changed the record each of {TRIES} times.", "try again")

    def put_with(
        self, kind: str, record: Mapping[str, Any], others: str, alter: Mapping[str, Mapping[str, Any]]
    ) -> str:
        """Keep a record and change fields of others, by their ids, all in one change; the record's id."""
        for _ in range(TRIES):
            made = self._entity(kind, record)
            batch = [made]
            for identifier, fields in alter.items():
                found = self._entity_of(others, identifier)
                if found is not None:
                    batch.append(self._entity(others, {**record_of(found), **fields, "_id": identifier}, found))
                    batch[-1].expected_version = found.version
            try:
                self.memory.send(CreateEntities(batch, on_existing="replace"))
            except Conflict:
                continue
            return made.name
        raise Conflict(f"Somebody else changed the records each of {TRIES} times.", "try again")

    def remove(self, kind: str, identifiers: Iterable[str]) -> int:
        """Delete records softly; how many there were."""
        found = [one.id for name in identifiers if (one := self._entity_of(kind, name)) is not None]
        return len(self.memory.send(DeleteEntities(list(found))).ids) if found else 0

    def clear(self, kind: str, wanted: Mapping[str, Any] | None = None) -> int:
        """Delete every record of a type, or those that meet the filter; how many there were."""
        ids = [one.id for one in self._listed(kind, wanted or {})]
        for begin in range(0, len(ids), PAGE):
            self.memory.send(DeleteEntities(list(ids[begin : begin + PAGE])))
        return len(ids)

    def all(self, kind: str, wanted: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Every record of a type that meets the filter, in the order of their making."""
        return (record_of(one) for one in self._listed(kind, wanted or {}))

    def latest(
        self, kind: str, wanted: Mapping[str, Any], limit: int | None, fits: Callable[[dict[str, Any]], bool]
    ) -> list[dict[str, Any]]:
        """The newest records by their `timestamp`, of those that meet the filter and `fits`; the oldest of them first."""
        found: list[dict[str, Any]] = []
        for one in self._listed(kind, wanted, order_by="property:at", descending=True):
            record = record_of(one)
            if fits(record):
                found.append(record)
                if limit is not None and len(found) >= limit:
                    break
        return found[::-1]

    def search(
        self,
        kind: str,
        *,
        query: str = "",
        embedding: Sequence[float] | None = None,
        wanted: Mapping[str, Any] | None = None,
        fits: Callable[[dict[str, Any]], bool] = lambda _: True,
        limit: int,
    ) -> list[dict[str, Any]]:
        """The best records by words and meaning, or by nearness to an embedding, with their `score`; as many as `limit`, if so many meet the filter."""
        condition = wanted or {}
        asked = SearchNodes(query, types=[_type(kind)], where=self._where(condition))
        if embedding is not None:
            asked.vector, asked.model = [float(one) for one in embedding], self.model
        found: list[dict[str, Any]] = []
        while len(found) < limit:
            asked.limit = min(PAGE, max(2 * limit, 20))
            try:
                answer = self.memory.send(asked)
            except NotFound:
                break  # no record has an embedding yet
            for hit in answer.hits:
                record = record_of(hit.entity)
                if hit.entity.scope == _scope(kind) and _meets(record, condition) and fits(record):
                    found.append(record | {"score": hit.score})
            asked.offset += len(answer.hits)
            if not answer.cut or not answer.hits:
                break
        return found[:limit]

    # Records as entities

    def _listed(self, kind: str, wanted: Mapping[str, Any], **order: Any) -> Iterator[Entity]:
        asked = ListEntities(
            types=[_type(kind)],
            scope=_scope(kind),
            where=self._where(wanted),
            limit=PAGE if not order else 100,
            **order,
        )
        while True:
            page = self.memory.send(asked)
            yield from (one for one in page.entities if _meets(one.properties["record"] | _called(one), wanted))
            if page.cursor is None:
                return
            asked = msgspec.structs.replace(asked, cursor=page.cursor)

    def _where(self, wanted: Mapping[str, Any]) -> list[Filter]:
        wanted = {key: value for key, value in wanted.items() if key not in ("_id", "id")}
        beside = [
            Filter(key, equal=value) for key, value in wanted.items() if key in SCOPING and isinstance(value, str)
        ]
        return beside + narrowing({key: value for key, value in wanted.items() if key not in SCOPING})

    def _entity_of(self, kind: str, identifier: str) -> Entity | None:
        found = self.memory.send(OpenNodes([str(identifier)], scope=_scope(kind), relations=False)).entities
        return found[0] if found else None

    def _entity(self, kind: str, record: Mapping[str, Any], before: Entity | None = None) -> EntityInput:
        said = cast("dict[str, Any]", plain(record))
        identifier = str(said.pop("_id", None) or said.pop("id", None) or uuid.uuid4())
        said.pop("id", None)
        embedding = said.pop("embedding", None)
        told = {key: value for key, value in said.items() if key not in UNSEARCHED}
        held: dict[str, Any] = {"record": said, "text": text_of(told), "facets": facets(told), "at": _instant(said)}
        if before is not None and "timestamp" not in said:
            # A record that says no time is from when it came, however often it is changed.
            held["at"] = before.properties.get("at", held["at"])
        held |= {key: said[key] for key in SCOPING if isinstance(said.get(key), str)}
        vectors: dict[str, list[float]] = {}
        if embedding is not None:
            numbers = _numbers(embedding)
            held["embedding"] = {"packed": _packed(numbers)}
            if any(numbers):
                vectors = {self.model: numbers}
        return EntityInput(identifier, _type(kind), properties=held, scope=_scope(kind), vectors=vectors)


class MemoryProvider(Lent):
    """Store, retrieve, list, update and delete records by memory type (`"personas"`, `"long_term_memory"`, or any other name).

    `memory` is a client of the daemon; without one, a `Memory` is made with the settings given. All embeddings are of one `model`
    and so of one length; another is `Invalid`.
    """

    def __init__(self, memory: Memory | None = None, *, model: str = "provider", **settings: Any) -> None:
        super().__init__(memory, "provider", settings)
        self._records = Records(self.memory, model)

    def store(self, data: Mapping[str, Any], memory_type: Any) -> str:
        """Keep a record; its id. `_id` or `id` in it is kept, and replaces what is there under it."""
        return self._records.put(name_of(memory_type), data)

    def retrieve_by_id(self, id: str, memory_type: Any) -> dict[str, Any] | None:
        """The record of an id, with `_id` and `id`; None where there is none."""
        return self._records.get(name_of(memory_type), id)

    def retrieve_by_query(
        self, query: Mapping[str, Any] | str, memory_type: Any, limit: int = 10
    ) -> list[dict[str, Any]]:
        """Records that meet a filter, each field as it stands there; with an `embedding` in it, the nearest first; for text, the best first.

        What was searched for has a `score`.
        """
        if limit < 1:
            raise Invalid("The limit is at least 1.")
        if isinstance(query, str):
            return self._records.search(name_of(memory_type), query=query, limit=limit)
        wanted = dict(query)
        embedding = wanted.pop("embedding", None)
        if embedding is not None:
            return self._records.search(name_of(memory_type), embedding=_numbers(embedding), wanted=wanted, limit=limit)
        found = self._records.all(name_of(memory_type), wanted)
        return [one for one, _ in zip(found, range(limit), strict=False)]

    def list_all(self, memory_type: Any) -> list[dict[str, Any]]:
        """Every record of a type, in the order of their making."""
        return list(self._records.all(name_of(memory_type)))

    def update(self, id: str, data: Mapping[str, Any], memory_type: Any) -> bool:
        """Change the fields that `data` names; whether there was such a record."""
        return self._records.change(name_of(memory_type), id, lambda record: record | dict(data))

    def delete(self, id: str, memory_type: Any) -> bool:
        """Delete a record softly; whether there was one."""
        return self._records.remove(name_of(memory_type), [id]) > 0


def name_of(memory_type: Any) -> str:
    """A memory type's name, given by itself or as an enumeration's member. `Invalid` for what is neither."""
    value = memory_type.value if isinstance(memory_type, Enum) else memory_type
    if not isinstance(value, str) or not value.strip():
        raise Invalid("No memory type was named.", "name one: personas, toolbox, conversation_memory …")
    return "knowledge_base" if value.lower() == "long_term_memory" else value.lower()


def record_of(one: Entity) -> dict[str, Any]:
    """The record that an entity holds, under its id."""
    record = dict(cast("dict[str, Any]", one.properties["record"]))
    packed = one.properties.get("embedding")
    if packed is not None:
        record["embedding"] = _unpacked(packed["packed"])
    return record | _called(one)


def _meets(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    try:
        return matches(record, wanted)
    except ValueError as unknown:
        raise Invalid(
            f"{unknown}.", "a filter compares by $eq, $ne, $gt, $gte, $lt, $lte, or by the value itself"
        ) from None


def _called(one: Entity) -> dict[str, str]:
    return {"_id": one.name, "id": one.name}


def plain(value: Any) -> Any:
    """A value as plain data: times as text, members of enumerations by their values, models as maps; what can be called is left out."""
    if value is None or isinstance(value, str | int | float | bool):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        told = cast("Mapping[Any, Any]", value)
        return {str(key): plain(item) for key, item in told.items() if not _code(item)}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in cast("Iterable[Any]", value) if not _code(item)]
    for how in ("model_dump", "to_dict", "tolist"):
        made = getattr(value, how, None)
        if callable(made):
            return plain(made())
    raise Invalid(
        f"A record holds {type(value).__name__}, which is no plain data.", "give text, numbers, lists and maps"
    )


def _code(value: Any) -> bool:
    return callable(value) and not hasattr(value, "model_dump") and not hasattr(value, "to_dict")


def _type(kind: str) -> str:
    return KINDS.get(kind, kind)


def _scope(kind: str) -> str:
    return f"provider/{kind}"


def _instant(record: Mapping[str, Any]) -> float:
    """When a record is from, in seconds; now, where it does not say. A time without a zone is local, as programs write it."""
    said = record.get("timestamp")
    try:
        if isinstance(said, str):
            return datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp()
        if isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said):
            return float(said)
    except ValueError:
        pass
    return datetime.now(UTC).timestamp()


def _numbers(embedding: Any) -> list[float]:
    told = plain(embedding)
    if not isinstance(told, list) or not all(isinstance(one, int | float) for one in cast("list[Any]", told)):
        raise Invalid("An embedding is a list of numbers.")
    return [float(one) for one in cast("list[float]", told)]


def _packed(numbers: list[float]) -> str:
    """Numbers as they are: with four bytes each where that loses nothing, else with eight."""
    try:
        short = struct.pack(f"<{len(numbers)}f", *numbers)
        if list(struct.unpack(f"<{len(numbers)}f", short)) == numbers:
            return "4" + base64.b64encode(short).decode()
    except OverflowError:
        pass
    return "8" + base64.b64encode(struct.pack(f"<{len(numbers)}d", *numbers)).decode()


def _unpacked(packed: str) -> list[float]:
    data = base64.b64decode(packed[1:])
    size, letter = (4, "f") if packed[0] == "4" else (8, "d")
    return list(struct.unpack(f"<{len(data) // size}{letter}", data))
