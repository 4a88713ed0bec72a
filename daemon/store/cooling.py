"""Archiving out of the store and bringing back: an entity's records go to a file and its rows go, but for its address.

The address is a tombstone: id, name, type, tags and short properties stay, as do relations that ended with it and the journal.
"""

import zlib
from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.errors import Conflict, StoreDamaged
from enhanced_memory.daemon.kinds import kind_of
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.cold import Address, Cold
from enhanced_memory.daemon.store.cold_files import Given, Group
from enhanced_memory.daemon.store.entities import Entities
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.imports import Report
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.records import read
from enhanced_memory.daemon.store.restoring import Restoring
from enhanced_memory.daemon.store.transfer import Transfer
from enhanced_memory.daemon.store.vectors import Vectors

__all__ = ["Cooling", "Mark"]

SHORT_CHARS = 200
"""Texts among the properties that an address keeps."""
MOST_MESSAGES = 20_000
"""A stream with more is not moved in one transaction."""
Mark = tuple[int, int, int, int, int]
_GOING = ("passages", "versions", "messages", "blocks")
_GOING_TOGETHER = ("properties", "tags")
"""What no index finds by the entity: these are read through once, for all that go into a file."""


class Cooling:
    """Moves entities to cold storage, and back."""

    def __init__(self, ground: Ground, entities: Entities, vectors: Vectors, cold: Cold) -> None:
        self._ground = ground
        self._entities = entities
        self._vectors = vectors
        self._cold = cold

    # Away

    def hindrance(self, known: Stored) -> str:
        """Why an entity has to stay where it is, or nothing."""
        rows, space = self._ground.rows, self._ground.space
        if known.space != space:
            return "it is held by a space that this one reads through to"
        if known.state.attributes.get("pinned"):
            return "it is always included"
        others = [row[1] for row in rows.all("spaces_knowing", entity=known.id) if row[0] != space]
        if others:
            return f"the space {others[0]!r} has a version of its own"
        seen = rows.one("branch_seeing", space=space, first=known.first)
        if seen is not None:
            return f"the branch {seen[0]!r} still sees it: merge or discard that first"
        here, all_of_it, *_ = self._lines(known.id)
        if here != all_of_it:
            return "another space has messages in its stream"
        if here > MOST_MESSAGES:
            return f"its stream has {here:,} messages, and {MOST_MESSAGES:,} are moved at a time"
        return ""

    def _lines(self, stream: int) -> tuple[int, int, int, int]:
        """Of a stream: its messages here, all of them, the newest, and the change at which one last ended."""
        row = self._ground.rows.one("cold_lines", stream=stream, space=self._ground.space)
        return (row[0] or 0, row[1] or 0, row[2] or 0, row[3] or 0) if row else (0, 0, 0, 0)

    def _passages(self, entity: int) -> list[int]:
        space = self._ground.space
        which: dict[str, Any] = {"entity": entity, "space": space, "spaces": f"[{space}]", "everywhere": False}
        return [row[0] for row in self._ground.rows.all("all_passages", **which)]

    def mark(self, known: Stored) -> Mark:
        """What tells whether anything of an entity or its stream has changed, or of the vectors that were given for it."""
        here, _, last, ended = self._lines(known.id)
        vectors = 0
        for model, passage, vector, *_ in sorted(self._vectors.given(self._passages(known.id))):
            vectors = zlib.crc32(vector, zlib.crc32(b"%d %d" % (model, passage), vectors))
        return known.began, here, last, ended, vectors

    def gathered(self, known: Stored) -> Group:
        """All that the caller's space holds of an entity."""
        transfer = Transfer(self._ground)
        space, rows = self._ground.space, self._ground.rows
        records = list(transfer.entity_records(space, known.id))
        messages = list(transfer.message_records(space, known.id))
        passages = {row[0]: (row[1], 0) for row in rows.all("entity_passages", space=space, entity=known.id)}
        for begin in range(0, len(messages), 500):
            ids = msgspec.json.encode([one["id"] for one in messages[begin : begin + 500]]).decode()
            passages |= {passage: (0, message) for message, passage in rows.all("message_passages", ids=ids)}
        models = {one.id: one for one in self._vectors.models()}
        vectors = [
            Given(*passages[passage], models[model].name, models[model].dimension, vector)
            for model, passage, vector, *_ in self._vectors.given(passages)
        ]
        return Group(space, known.id, records + messages, vectors)

    def put_away(self, known: Stored, group: Group, file: int) -> None:
        """Leave an address in an entity's place; the file has been written. What is left to do once for all is in `finish`."""
        ground, rows = self._ground, self._ground.rows
        self._entities.change(known, address_of(known.state), act="store", deleted=True)
        which: dict[str, Any] = {
            "entity": known.id, "space": ground.space, "spaces": f"[{ground.space}]", "everywhere": False,
        }  # fmt: skip
        passages = self._passages(known.id)
        found = [{"id": passage} for passage in passages]
        for name in ("purge_vectors", "drop_words", "drop_words_past"):
            rows.many(name, found)
        ground.ended += passages
        which["passages"] = msgspec.json.encode(passages).decode()
        for table in _GOING:
            rows.count(f"purge_{table}", **which)
        self._cold.keep(group, file)

    def finish(self, entities: Iterable[int]) -> None:
        """Let go of what is looked for by the space alone, of all that was put away."""
        ground, rows = self._ground, self._ground.rows
        ids = msgspec.json.encode(list(entities)).decode()
        for table in _GOING_TOGETHER:
            rows.count(f"purge_{table}", ids=ids, spaces=f"[{ground.space}]")
        # Where the newest went, no row would say that their ids were ever given out.
        rows.run("set_meta", key="message_high_water", value=ground.counters.message)
        rows.run("set_meta", key="passage_high_water", value=ground.counters.passage)

    # Back

    def bring_back(self, known: Stored, address: Address) -> tuple[Stored, list[Given]]:
        """Write an entity's rows again as they were, deleted with the change that archived it; and the vectors that were given for it."""
        ground = self._ground
        group = self._cold.group(address)
        told = [record for record in group.records if record["type"] == "entity"]
        head, last = known.version, told[-1]["versions"][-1]
        if last["version"] != head - 1:
            raise Conflict(f"Entity {known.id} has changed since it was archived.", "purge it, or restore a backup")
        # The change that archived it deleted it as it was: so it is brought back as what is deleted is restored.
        noted = [one if isinstance(one, int) else one["id"] for one in last.get("observations", ())]
        stone = last | {"version": head, "began": known.began, "deleted": True, "observations": noted}
        told[-1]["versions"].append(stone)
        for record in told:
            record["head"] = head
        names = msgspec.json.encode(sorted({one["name"] for record in told for one in record["versions"]})).decode()
        which = {"entity": known.id, "ids": f"[{known.id}]", "spaces": f"[{address.space}]"}
        ground.rows.count("purge_named", **which, space=address.space, names=names)
        for table in ("entities", "versions"):
            ground.rows.count(f"purge_{table}", **which)
        report = Report()
        restoring = Restoring(ground, report)
        for records in (told, group.messages):
            if records:
                restoring.take([(place, read(record)) for place, record in enumerate(records)])
        if report.problems:
            raise StoreDamaged(
                f"Entity {known.id} cannot be brought back from cold storage: {report.problems[0]}.",
                "run `memoryctl verify`",
            )
        self._cold.leave(address)
        found = self._entities.known(known.id)
        if found is None:
            raise StoreDamaged(f"Entity {known.id} was brought back and is not there.")
        return found, group.vectors

    def give(self, entity: int, vectors: list[Given]) -> None:
        """Store vectors that callers gave once more, for the passages that stand now."""
        if not vectors:
            return
        ground = self._ground
        parts = {row[1]: row[0] for row in ground.rows.all("entity_passages", space=ground.space, entity=entity)}
        ids = msgspec.json.encode(sorted({one.message for one in vectors if one.message})).decode()
        lines: dict[int, int] = {row[0]: row[1] for row in ground.rows.all("message_passages", ids=ids)}
        for one in vectors:
            passage = lines.get(one.message) if one.message else parts.get(one.part)
            model = self._vectors.own_model(one.model, one.dimension)
            if passage is not None and model is not None:
                ground.rows.many("add_vector", [{"model": model.id, "passage": passage, "vector": one.vector}])
                ground.given.append(passage)


def address_of(state: State) -> State:
    """What stays of a state in the store: what it is called and short facts to list it by."""
    named = kind_of(state.type)
    short = {
        key: value
        for key, value in state.properties.items()
        if isinstance(value, bool | int | float)
        or (isinstance(value, str) and len(value) <= SHORT_CHARS and named.text is not None and key not in named.text)
    }
    return State(state.name, state.type, [], short, list(state.tags), {}, state.next_id)
