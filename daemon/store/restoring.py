"""An export back into a store of its own: same ids, versions, changes, times and origins, and every index as it was."""

from collections.abc import Callable
from typing import Any, cast

import msgspec

from enhanced_memory.client.errors import Invalid
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.imports import Report
from enhanced_memory.daemon.store.rebuilt import Rebuilt
from enhanced_memory.daemon.store.records import (
    ChangeRecord,
    ConflictRecord,
    EntityRecord,
    JournalRecord,
    MergeRecord,
    MessageRecord,
    NotedRecord,
    RelationRecord,
    SnapshotRecord,
    SpaceRecord,
    UseRecord,
)
from enhanced_memory.daemon.store.restored_lines import RestoredLines
from enhanced_memory.daemon.store.taken import Run, Taken, as_json, missing
from enhanced_memory.daemon.store.words import word_row

__all__ = ["Restoring"]


class Restoring:
    """Writes records as they are. Each is checked whole before any of it is written."""

    def __init__(self, ground: Ground, report: Report) -> None:
        self._ground = ground
        self._report = report
        self._taken = Taken(ground, report)
        self._kinds: dict[type[Any], Callable[[Run], None]] = {
            SpaceRecord: self._spaces,
            ChangeRecord: self._changes,
            EntityRecord: self._entities,
            RelationRecord: self._relations,
            MessageRecord: RestoredLines(self._taken).take,
            JournalRecord: self._journal,
            UseRecord: self._uses,
            MergeRecord: self._merges,
            SnapshotRecord: self._snapshots,
            ConflictRecord: self._conflicts,
        }

    def take(self, run: Run) -> None:
        """Write records of one kind; what they refer to stands before them."""
        write = self._kinds.get(cast("type[Any]", type(run[0][1])))
        if write is not None:
            write(run)

    def finish(self) -> None:
        """Numbers that were given out stay so, also those of what was purged since."""
        self._ground.rows.run("set_meta", key="entity_high_water", value=self._ground.counters.entity)

    # Kind by kind

    def _spaces(self, run: Run) -> None:
        known: dict[int, str] = {row[0]: row[1] for row in self._ground.rows.all("spaces")}
        rows: list[dict[str, Any]] = []
        for place, one in run:
            if known.get(one.id, one.name) != one.name or any(
                name == one.name and number != one.id for number, name in known.items()
            ):
                self._report.problem(
                    place, f"space {one.id} cannot be called {one.name[:100]!r}: the number or the name is taken"
                )
            elif one.parent and (one.parent not in known or one.parent >= one.id):
                self._report.problem(
                    place, f"space {one.id} reads through space {one.parent}, which is not among those before it"
                )
            else:
                known[one.id] = one.name
                values = {
                    name: getattr(one, name)
                    for name in ("id", "name", "parent", "pinned", "kind", "entity", "began", "ended")
                }
                rows.append(values | {"metadata": msgspec.msgpack.encode(one.metadata)})
        self._taken.write("spaces", "transfer_space", rows)

    def _changes(self, run: Run) -> None:
        spaces = self._taken.known_spaces()
        known = {number: "" for number in self._taken.known_changes(one.number for _, one in run)}
        rows: list[dict[str, Any]] = []
        for place, one in run:
            if one.number in known:
                self._report.count("unchanged")
            elif one.space not in spaces:
                self._report.problem(place, missing("change", one.number, "space", one.space))
            else:
                known[one.number] = one.op
                origin = self._ground.origin(one.origin)
                rows.append(
                    {
                        "number": one.number,
                        "at": one.at,
                        "space": one.space,
                        "origin": origin,
                        "op": one.op,
                        "message": one.message,
                    }
                )
        counters = self._ground.counters
        counters.change = max([counters.change, *(row["number"] for row in rows)])
        self._taken.write("changes", "add_change", rows)

    def _relations(self, run: Run) -> None:
        spaces = self._taken.known_spaces()
        changes = self._taken.known_changes(number for _, one in run for number in (one.began, one.ended))
        entities = self._taken.known_entities(number for _, one in run for number in (one.from_id, one.to_id))
        known: set[tuple[Any, ...]] = set()
        for space in {one.space for _, one in run}:
            known.update(
                self._ground.rows.all("transfer_known_relations", space=space, ids=as_json(one.id for _, one in run))
            )
        rows: list[dict[str, Any]] = []
        for place, one in run:
            itself = (
                one.space,
                one.id,
                one.from_id,
                one.to_id,
                one.from_name,
                one.to_name,
                one.kind,
                int(one.deleted),
                one.began,
                one.ended,
            )
            # Ends of what no longer stands may be of entities that were purged.
            ends = [] if one.ended or one.deleted else [end for end in (one.from_id, one.to_id) if end]
            gone = next(((kind, number) for kind, number, among in (
                ("space", one.space, spaces), ("change", one.began, changes), ("change", one.ended or one.began, changes),
                *(("entity", end, entities) for end in ends)) if number not in among), None)  # fmt: skip
            if itself in known:
                self._report.count("unchanged")
            elif gone is not None:
                self._report.problem(place, missing("relation", one.id, *gone))
            else:
                known.add(itself)
                values = {
                    name: getattr(one, name)
                    for name in (
                        "space",
                        "id",
                        "from_id",
                        "to_id",
                        "from_name",
                        "to_name",
                        "strength",
                        "began",
                        "ended",
                    )
                }
                metadata = msgspec.msgpack.encode(one.metadata) if one.metadata else None
                rows.append(values | {"type": one.kind, "deleted": one.deleted, "metadata": metadata})
        counters = self._ground.counters
        counters.relation = max([counters.relation, *(row["id"] for row in rows)])
        self._taken.write("relations", "transfer_relation", rows)

    def _journal(self, run: Run) -> None:
        numbers = [one.number for _, one in run]
        changes = self._taken.known_changes(numbers)
        known = {row[:2]: row[2:] for row in self._ground.rows.all("transfer_known_journal", numbers=as_json(numbers))}
        rows: list[dict[str, Any]] = []
        counters = self._ground.counters
        for place, one in run:
            says = (one.subject, one.id, one.act, one.before, one.after)
            if one.number not in changes:
                self._report.problem(place, missing("journal entry", one.seq, "change", one.number))
            elif known.get((one.number, one.seq), says) != says:
                self._report.problem(place, f"change {one.number} has another journal entry {one.seq}")
            elif (one.number, one.seq) in known:
                self._report.count("unchanged")
            else:
                known[one.number, one.seq] = says
                rows.append(
                    {name: getattr(one, name) for name in ("number", "seq", "subject", "id", "act", "before", "after")}
                )
                if one.subject == "entity":
                    counters.entity = max(counters.entity, one.id)
                elif one.subject == "relation":
                    counters.relation = max(counters.relation, one.id)
                elif one.subject == "messages":
                    counters.message = max(counters.message, one.id, one.after)
        self._taken.write("journal", "add_journal", rows)

    def _uses(self, run: Run) -> None:
        entities = self._taken.known_entities(one.entity for _, one in run)
        rows: list[dict[str, Any]] = []
        for place, one in run:
            if one.entity in entities:
                rows.append({"entity": one.entity, "count": one.count, "last": one.last})
            else:
                self._report.problem(place, missing("use", one.entity, "entity", one.entity))
        self._taken.write("uses", "transfer_use", rows)

    def _merges(self, run: Run) -> None:
        spaces = self._taken.known_spaces()
        changes = self._taken.known_changes(number for _, one in run for number in (one.began, one.ended))
        known = set(self._ground.rows.all("transfer_known_merges"))
        rows: list[dict[str, Any]] = []
        for place, one in run:
            itself = (one.branch, one.target, one.subject, one.id, one.part, one.ended)
            gone = next(((kind, number) for kind, number, among in (
                ("space", one.branch, spaces), ("space", one.target, spaces), ("change", one.began, changes),
                ("change", one.ended or one.began, changes)) if number not in among), None)  # fmt: skip
            if itself in known:
                self._report.count("unchanged")
            elif gone is not None:
                self._report.problem(place, missing("merge", one.branch, *gone))
            else:
                known.add(itself)
                rows.append(msgspec.structs.asdict(one))
        self._taken.write("merges", "transfer_merge", rows)

    # Entities

    def _entities(self, run: Run) -> None:
        """A second record of one entity goes on where the first ended, so it waits until that is written."""
        while run:
            here: list[tuple[int, EntityRecord]] = []
            met: set[tuple[int, int]] = set()
            for place, one in run:
                if (one.space, one.id) in met:
                    break
                met.add((one.space, one.id))
                here.append((place, one))
            self._once(here)
            run = run[len(here) :]

    def _once(self, run: list[tuple[int, EntityRecord]]) -> None:
        """Write records, each of another entity."""
        ground, report = self._ground, self._report
        spaces = self._taken.known_spaces()
        changes = self._taken.known_changes(number for _, one in run for number in _numbers(one))
        heads: dict[tuple[int, int], tuple[Any, ...]] = {}
        for space in {one.space for _, one in run}:
            ids = as_json(one.id for _, one in run if one.space == space)
            heads |= {(space, row[0]): row for row in ground.rows.all("transfer_heads", space=space, ids=ids)}
        rebuilt: list[tuple[int, Rebuilt]] = []
        for place, one in run:
            head = heads.get((one.space, one.id))
            gone = next((number for number in _numbers(one) if number not in changes), None)
            if one.space not in spaces:
                report.problem(place, missing("entity", one.id, "space", one.space))
            elif gone is not None:
                report.problem(place, missing("entity", one.id, "change", gone))
            elif head is not None and one.versions[-1].version <= head[2]:
                report.count("unchanged")
            elif head is not None and (
                one.versions[0].version != head[2] + 1 or one.versions[0].began <= head[4] or one.scope != head[1]
            ):
                report.problem(
                    place,
                    f"version {one.versions[0].version} of entity {one.id} does not follow version {head[2]}, which is there",
                )
            else:
                try:
                    rebuilt.append((place, Rebuilt(ground, one, head)))
                except Invalid as problem:
                    report.problem(place, problem.message)
        keys = [key for _, one in rebuilt for key in one.name_keys]
        taken = (
            {tuple(row) for row in ground.rows.all("transfer_known_names", names=msgspec.json.encode(keys).decode())}
            if keys
            else set[Any]()
        )
        kept: list[Rebuilt] = []
        for place, one in rebuilt:
            clash = next((key for key in one.name_keys if key in taken), None)
            if clash is not None:
                report.problem(
                    place, f"entity {one.record.id} cannot be called {clash[1][:100]!r} then: the name is another's"
                )
                continue
            taken.update(one.name_keys)
            kept.append(one)
        for name in ("add_version", "add_entity", "set_entity", "end_name", "end_tag", "end_property"):
            ground.rows.many(name, [row for one in kept for row in one.rows.get(name, ())])
        for name in ("transfer_name", "transfer_tag", "transfer_property"):
            ground.rows.many(name, [row for one in kept for row in one.rows.get(name, ())])
        for one in kept:
            self._end_passages(one)
        self._taken.index([(*passage, "") for one in kept for passage in one.passages])
        counters = ground.counters
        counters.entity = max([counters.entity, *(one.record.id for one in kept)])
        report.count("entities", sum(one.record.versions[-1].version == one.record.head for one in kept))
        report.count("versions", sum(len(one.record.versions) for one in kept))

    def _end_passages(self, one: Rebuilt) -> None:
        """End what an earlier record of the entity began."""
        if not one.ended_parts:
            return
        rows = self._ground.rows
        living = rows.all("entity_passages", space=one.record.space, entity=one.record.id)
        # A vector may speak of what ends here and of what goes on: all of the entity's are made anew.
        rows.many("drop_embedded", [{"id": row[0]} for row in living])
        rows.run("see_to_again", passage=min((row[0] for row in living), default=1) - 1)
        for number, part, _ in living:
            if part in one.ended_parts:
                self._ground.ended.append(number)
                ended, name, body = one.ended_parts[part]
                rows.many("drop_words", [{"id": number}])
                rows.run("end_passage", id=number, ended=ended)
                rows.many("add_words_past", [word_row(number, one.record.id, name, body)])

    def _snapshots(self, run: Run) -> None:
        spaces = self._taken.known_spaces()
        changes = self._taken.known_changes(number for _, one in run for number in (one.change, one.began))
        rows: list[dict[str, Any]] = []
        for place, one in run:
            missing = next((number for number in (one.change, one.began) if number and number not in changes), None)
            if one.space not in spaces or missing is not None:
                self._report.problem(place, f"snapshot {one.name[:100]!r} refers to what is not there")
            else:
                own = {name: getattr(one, name) for name in ("space", "name", "ended", "began")}
                rows.append(own | {"number": one.change})
        self._taken.write("snapshots", "transfer_snapshot", rows)

    def _conflicts(self, run: Run) -> None:
        ground = self._ground
        spaces = self._taken.known_spaces()
        changes = self._taken.known_changes(number for _, one in run for number in (one.found, one.began, one.ended))
        entities = self._taken.known_entities(number for _, one in run for number in (one.entity, one.other))
        known = set(ground.rows.all("transfer_known_conflicts", ids=as_json(one.id for _, one in run)))
        rows: list[dict[str, Any]] = []
        for place, one in run:
            gone = next(((kind, number) for kind, number, among in (
                ("space", one.space, spaces), ("entity", one.entity, entities), ("entity", one.other, entities),
                ("change", one.found, changes), ("change", one.began, changes), ("change", one.ended or one.began, changes)
            ) if number not in among), None)  # fmt: skip
            if (one.space, one.id, one.began) in known:
                self._report.count("unchanged")
            elif gone is not None:
                self._report.problem(place, missing("conflict", one.id, *gone))
            else:
                known.add((one.space, one.id, one.began))
                rows.append(msgspec.structs.asdict(one))
        ground.counters.conflict = max([ground.counters.conflict, *(row["id"] for row in rows)])
        self._taken.write("conflicts", "transfer_conflict", rows)


def _numbers(one: EntityRecord) -> set[int]:
    """The changes that an entity refers to."""
    noted = {
        noted.change for version in one.versions for noted in version.observations if isinstance(noted, NotedRecord)
    }
    return noted | {version.began for version in one.versions} | {one.first}
