"""An export merged into a store that has memories of its own.

The numbers in the records are another store's: spaces are found by their names, entities by space, scope and name, relations
by their ends and type, messages by what they say. What exists is added to; what was deleted or ended there, and what entities
said before, is left out and counted. Conflicts that wait or were ignored come along. Who said an observation, and when, is kept; it is trusted as what is imported is.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, cast

import msgspec

from enhanced_memory.client.errors import Conflict, Invalid, Refused
from enhanced_memory.client.values import Origin, Outcome
from enhanced_memory.daemon.handlers.editing import checked_tags, copy, put
from enhanced_memory.daemon.handlers.merged_conflicts import record_missing
from enhanced_memory.daemon.handlers.merged_lines import append_missing
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted, State
from enhanced_memory.daemon.store.imports import ImportJob, Report
from enhanced_memory.daemon.store.known import Stored
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
    states,
)
from enhanced_memory.daemon.store.relations import End
from enhanced_memory.daemon.text import check_data, check_name, check_text

__all__ = ["Merging"]

Run = Sequence[tuple[int, Any]]
"""Records of one kind with their places."""


class Merging:
    """Takes records in. Each is checked whole before any of it is written."""

    def __init__(self, tx: Tx, job: ImportJob, skip: bool, report: Report) -> None:
        self._tx = tx
        self._job = job
        self._skip = skip
        self._report = report
        self.results: list[Outcome] = []
        self._kinds: dict[type[Any], Callable[[Run], None]] = {
            SpaceRecord: self._spaces,
            ChangeRecord: self._changes,
            EntityRecord: self._each(self._entity),
            RelationRecord: self._each(self._relation),
            MessageRecord: self._messages,
            JournalRecord: lambda run: self._report.count("journal_left_out", len(run)),
            SnapshotRecord: lambda run: self._report.count("snapshots_left_out", len(run)),
            UseRecord: lambda run: self._report.count("uses_left_out", len(run)),
            MergeRecord: lambda run: self._report.count("merges_left_out", len(run)),
            ConflictRecord: self._each(lambda one, _: record_missing(tx, job, report, one)),
        }

    def take(self, run: Run) -> None:
        """Merge records of one kind; what they refer to stands before them."""
        take = self._kinds.get(cast("type[Any]", type(run[0][1])))
        if take is not None:
            take(run)

    def _each(self, take: Callable[[Any, bool], None]) -> Callable[[Run], None]:
        """Records one by one, in their space; `take` is also told whether this import made it."""

        def merge(run: Run) -> None:
            for space, records in groupby(run, key=lambda one: one[1].space):
                here = list(records)
                known = self._space(space, here)
                if known is None:
                    continue
                with self._tx.inside(known[0]):
                    for place, record in here:
                        try:
                            take(record, known[1])
                        except (Refused, Conflict) as problem:
                            self._report.problem(place, problem.message)

        return merge

    def _space(self, number: int, run: Run) -> tuple[str, bool] | None:
        """The name of a space, and whether this import made it; None for one whose records are not taken."""
        known = self._job.get("space", number)
        if known is None:
            for place, _ in run:
                self._report.problem(place, f"it refers to space {number}, which is not among the records before it")
        elif not known[0]:
            self._report.count("in_retired_spaces_left_out", len(run))
        else:
            return known[0], known[1]
        return None

    # Spaces and changes

    def _spaces(self, run: Run) -> None:
        for place, one in run:
            try:
                self._one_space(one)
            except (Refused, Conflict) as problem:
                self._report.problem(place, problem.message)

    def _one_space(self, one: SpaceRecord) -> None:
        tx, limit = self._tx, self._tx.settings.max_text_chars
        parent = self._job.get("space", one.parent) if one.parent else ("", False)
        if parent is None:
            raise Invalid(f"it reads through space {one.parent}, which is not among the records before it")
        if one.ended or (one.parent and not parent[0]):
            self._job.put("space", one.id, ("", False))
            self._report.count("retired_spaces_left_out")
            return
        if self._job.get("space", one.id) is not None:
            return
        check_name(one.name, "The space's name", 200)
        check_data(one.metadata, "The space's metadata", limit)
        known = tx.spaces.find(one.name)
        if known is None:
            over = tx.spaces.get(parent[0]).id if parent[0] else 0
            # A branch is pinned at a change of the store that it comes from; here it reads through to the present.
            self._report.count("pins_left_out", int(one.pinned > 0))
            tx.add_space(one.name, over, 0, one.kind, msgspec.msgpack.encode(one.metadata))
            self._report.count("spaces")
        elif known.deleted:
            tx.spaces.create(known.name, known.parent, {})
            self._report.count("spaces_brought_back")
        self._job.put("space", one.id, (one.name, known is None))

    def _changes(self, run: Run) -> None:
        """When each change was made and by whom: what its observations are told to come from."""
        for _, one in run:
            self._job.put("change", one.number, (one.at, self._origin(one.origin)))

    def _origin(self, origin: Origin) -> int:
        """The id of an origin, trusted as what is imported is."""
        return self._tx.origin(msgspec.structs.replace(origin, trust="import"))

    # Entities

    def _entity(self, one: EntityRecord, made: bool) -> None:
        tx, count = self._tx, self._report.count
        if one.versions[-1].version != one.head:
            count("versions_left_out", len(one.versions))
            return
        state, told = states(one)[-1]
        wanted = self._checked(one, state, told)
        if one.versions[-1].deleted:
            self._deleted(one, made)
            return
        count("versions_left_out", len(one.versions) - 1)
        known = self._known(one, state, made)
        if known is None:
            scope = f"#{tx.counters.entity + 1}" if _alone(one) else one.scope
            fresh = State(
                state.name,
                state.type,
                [],
                wanted.properties,
                wanted.tags,
                wanted.attributes | {"born": self._mark(one)[1]},
            )
            self._add(fresh, wanted)
            created = tx.entities.create(fresh, scope)
            tx.relations.adopt(created.id, state.name)
            outcome = Outcome(created.id, state.name, "created", created.version)
        elif made and known.space != tx.space:
            # The space is new and this is what it changed of its parent's entity: it says exactly what it said there.
            outcome = put(tx, known, self._over(known, wanted))
            tx.relations.adopt(known.id, state.name)
        elif self._skip:
            outcome = Outcome(known.id, state.name, "skipped", known.version)
        else:
            merged = copy(known.state)
            self._add(merged, wanted)
            merged.properties |= wanted.properties
            merged.tags += [tag for tag in wanted.tags if tag not in merged.tags]
            merged.attributes |= {key: value for key, value in wanted.attributes.items() if key != "copied"}
            outcome = put(tx, known, merged)
        self._job.put("entity", one.id, outcome.id)
        numbers = self._numbers(outcome.id, wanted)
        if len(numbers) < len(wanted.observations) or any(there != here for there, here in numbers.items()):
            self._job.put("noted", one.id, numbers)
        self.results.append(outcome)
        count(outcome.action)

    def _numbers(self, entity: int, wanted: State) -> dict[int, int]:
        """By which numbers the observations of a record are known here: conflicts are about single ones."""
        known = self._tx.entities.find(entity)
        here = {noted.text: noted.id for noted in known.state.observations} if known is not None else {}
        return {noted.id: here[noted.text] for noted in wanted.observations if noted.text in here}

    def _checked(self, one: EntityRecord, state: State, told: list[NotedRecord]) -> State:
        """The state with its observations' provenance as it is kept here, checked as any other that comes in."""
        tx, settings = self._tx, self._tx.settings
        check_name(state.name, "The entity's name", settings.max_name_chars, empty=True)
        check_name(state.type, "The entity's type", settings.max_name_chars, empty=True)
        check_text(one.scope, "The scope", settings.max_name_chars)
        check_data(state.properties, "A property", settings.max_text_chars)
        notes = [Noted(noted.id, 0, noted.text, self._extra(noted)) for noted in told]
        for noted in notes:
            check_text(noted.text, "An observation", settings.max_text_chars)
        own = {key: value for key, value in state.attributes.items() if key not in ("born", "copied")}
        if _alone(one):
            own["copied"] = self._mark(one)
        return State(state.name, state.type, notes, state.properties, checked_tags(tx, state.tags), own)

    def _extra(self, noted: NotedRecord) -> dict[str, Any]:
        change = self._job.get("change", noted.change)
        if change is None:
            raise Invalid(
                f"observation {noted.id} refers to change {noted.change}, which is not among the records before it"
            )
        said = {} if noted.extra is None else msgspec.structs.asdict(noted.extra)
        extra = {
            name: value
            for name, value in said.items()
            if value is not msgspec.UNSET and name not in ("origin", "trusted", "sources")
        }
        # What it was derived from has another id here, and its observations may have others, too.
        told: list[list[int]] = said.get("sources") or []
        sources = [[here, 0] for entity, _ in told if (here := self._job.get("entity", entity))]
        if sources:
            extra["sources"] = sources
        origin = said.get("origin", msgspec.UNSET)
        return {"at": change[0]} | extra | {"origin": change[1] if origin is msgspec.UNSET else self._origin(origin)}

    def _mark(self, one: EntityRecord) -> list[int]:
        """By what an entity is known again that shares its name with others: its id there, and the time of its making."""
        own = one.versions[-1].attributes
        if own.copied is not msgspec.UNSET:
            return own.copied
        if own.born is not msgspec.UNSET:
            return [one.id, own.born]
        change = self._job.get("change", one.first)
        if change is None:
            raise Invalid(f"it refers to change {one.first}, which is not among the records before it")
        return [one.id, change[0]]

    def _known(self, one: EntityRecord, state: State, made: bool) -> Stored | None:
        """The entity here that a record means."""
        entities = self._tx.entities
        found: Stored | None = None
        if _alone(one):
            mark = self._mark(one)
            for number in entities.named_in_any_scope(state.name):
                other = entities.find(number)
                if (
                    other is not None
                    and other.scope == f"#{number}"
                    and mark in (other.state.attributes.get("copied"), [number, other.created_at])
                ):
                    found = other
        else:
            found = entities.find(state.name, one.scope)
        if found is None and made:
            below = self._job.get("entity", one.id)
            found = entities.find(below) if below else None
        return found

    def _add(self, state: State, wanted: State) -> None:
        """Add the observations that a state does not have yet; equal ones within a new entity stay as they are."""
        said = {noted.text for noted in state.observations}
        for noted in wanted.observations:
            if noted.text not in said:
                state.observations.append(Noted(state.next_id, self._tx.number, noted.text, noted.extra))
                state.next_id += 1

    def _over(self, known: Stored, wanted: State) -> State:
        """What `wanted` says, with the observations that the entity has already as they are."""
        state = copy(known.state)
        had = {noted.text: noted for noted in state.observations}
        state.observations = [had[noted.text] for noted in wanted.observations if noted.text in had]
        self._add(state, wanted)
        state.name, state.type, state.properties, state.tags = wanted.name, wanted.type, wanted.properties, wanted.tags
        state.attributes = wanted.attributes | {
            key: value for key, value in state.attributes.items() if key in ("born", "copied")
        }
        return state

    def _deleted(self, one: EntityRecord, made: bool) -> None:
        """A deletion in a space that this import made hides what that space would otherwise see of its parent."""
        below = self._job.get("entity", one.id)
        known = self._tx.entities.find(below) if made and below else None
        if known is None or known.space == self._tx.space:
            if below is None:
                self._job.put("entity", one.id, 0)
            self._report.count("deleted_left_out")
            return
        for edge in self._tx.relations.touching([known.id]):
            self._tx.relations.delete(edge)
        self._tx.entities.change(known, copy(known.state), act="delete", deleted=True)
        self._report.count("deleted")

    # Relations

    def _relation(self, one: RelationRecord, made: bool) -> None:
        tx, settings = self._tx, self._tx.settings
        if one.ended or (one.deleted and not made):
            self._report.count("ended_relations_left_out")
            return
        check_text(one.kind, "The relation's type", settings.max_name_chars)
        check_data(one.metadata, "The relation's metadata", settings.max_text_chars)
        from_, to = self._end(one.from_id, one.from_name), self._end(one.to_id, one.to_name)
        if from_ is None or to is None:
            self._report.count("ended_relations_left_out")
            return
        if made and self._job.get("relation", one.id) is not None:
            # The parent names an end that exists in this space alone: here it is that entity's.
            for end in (end for end in (from_, to) if end.id):
                named = tx.entities.find(end.id)
                if named is not None:
                    tx.relations.adopt(end.id, named.state.name)
        self._job.put("relation", one.id, one.space)
        known = tx.relations.find(from_, to, one.kind)
        if one.deleted:
            if known is not None and known.space != tx.space:
                tx.relations.delete(known)
                self._report.count("relations_hidden")
        elif known is None:
            tx.relations.create(from_, to, one.kind, one.strength, one.metadata)
            self._report.count("relations")
        else:
            self._report.count("unchanged")

    def _end(self, number: int, name: str) -> End | None:
        """What an end means here; None for an entity that was left out."""
        if not number:
            return self._tx.relations.end(check_text(name, "An end of the relation", self._tx.settings.max_name_chars))
        here = self._job.get("entity", number)
        if here is None:
            raise Invalid(f"it refers to entity {number}, which is not among the records before it")
        return End(here) if here else None

    # Messages

    def _messages(self, run: Run) -> None:
        for (space, stream), records in groupby(run, key=lambda one: (one[1].space, one[1].stream)):
            here = list(records)
            known = self._space(space, here)
            if known is None:
                continue
            target = self._job.get("entity", stream)
            if target is None:
                for place, _ in here:
                    self._report.problem(
                        place, f"it refers to entity {stream}, which is not among the records before it"
                    )
            elif not target:
                self._report.count("messages_of_deleted_left_out", len(here))
            else:
                with self._tx.inside(known[0]):
                    append_missing(self._tx, self._job, self._report, target, here)


def _alone(one: EntityRecord) -> bool:
    """Whether the entity's name is its own matter: others may have it too."""
    return one.scope == f"#{one.id}"
