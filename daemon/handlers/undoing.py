"""Taking changes back: what each did to each thing is worked out from versions and rows, taken out of what stands now, and
written only when all of it can be.

Changes are taken back newest first, on states in memory; so what a later one of them did is no obstacle to an earlier one, and
what others did since stays, unless it is of the same thing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from enhanced_memory.client.errors import Error
from enhanced_memory.client.operations.journal import Effect, Obstacle
from enhanced_memory.daemon.differences import Refusal, alike, taken_back
from enhanced_memory.daemon.handlers.editing import copy
from enhanced_memory.daemon.handlers.keeping import renew
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.log import JournalRow
from enhanced_memory.daemon.store.relations import Edge, Held

__all__ = ["Undoing"]


@dataclass
class _Thing:
    """An entity as it stands, and as it will."""

    known: Stored
    state: State
    deleted: bool

    @property
    def changed(self) -> bool:
        return self.deleted != self.known.deleted or (not self.deleted and not alike(self.state, self.known.state))


@dataclass
class _Bond:
    """A relation's living row in this space, and the one that will be there."""

    id: int
    row: Held | None
    will: Held | None

    @property
    def changed(self) -> bool:
        return (self.row and self.row.says) != (self.will and self.will.says)


@dataclass
class _Lines:
    """Messages of a stream that go, or that are appended once more."""

    change: int
    stream: int
    ids: list[int] = field(default_factory=list[int])
    again: bool = False


class Undoing:
    """A plan, made change by change; then its obstacles and effects are known, and it can be carried out."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._things: dict[int, _Thing] = {}
        self._bonds: dict[int, _Bond] = {}
        self._lines: list[_Lines] = []
        self._beside: list[Callable[[], None]] = []
        """What else is to be done: merges are forgotten or taken in again, conflicts are what they were."""
        self._refused: dict[tuple[str, int], Obstacle] = {}
        self._touched_by: dict[tuple[str, int], int] = {}
        """The oldest change that is taken back, of each thing."""

    def take_back(self, changes: list[int]) -> None:
        """Work out what is left of each thing without `changes`, which come newest first."""
        entries: dict[int, list[JournalRow]] = {}
        for entry in self._tx.log.entries(changes):
            entries.setdefault(entry.number, []).append(entry)
        for number in changes:
            # The first entry of an entity says what was before the change, the last one what was after it.
            ends: dict[int, tuple[JournalRow, JournalRow]] = {}
            bonds: dict[int, None] = {}
            for entry in entries.get(number, []):
                if entry.subject == "entity" and entry.act not in ("prune", "archive"):
                    ends[entry.id] = (ends.get(entry.id, (entry, entry))[0], entry)
                elif entry.subject == "entity":
                    pass  # what a stream archived by the way is no change to be taken back: its summary is made anew
                elif entry.subject == "relation":
                    bonds[entry.id] = None
                elif entry.subject == "messages":
                    self._said(number, entry)
                else:
                    self._noted(number, entry)
            for entity, (first, last) in ends.items():
                self._entity(number, entity, first, last)
            for relation in bonds:
                self._relation(number, relation)

    def _noted(self, number: int, entry: JournalRow) -> None:
        tx = self._tx
        if entry.subject == "conflict":
            self._beside.append(partial(tx.conflicts.take_back, entry.id, number))
        elif entry.subject == "space" and entry.act == "merge":
            self._beside.append(partial(tx.branches.forget, number))
        elif entry.subject == "change" and entry.act == "undo":
            for undone in tx.log.entries([entry.id]):
                if undone.subject == "space" and undone.act == "merge":
                    self._beside.append(partial(tx.branches.take_in_again, undone.id, undone.after))

    def _refuse(self, change: int, subject: str, thing: int, name: str, reason: str) -> None:
        self._refused.setdefault((subject, thing), Obstacle(change, subject, thing, name, reason))

    # Entities

    def _thing(self, entity: int) -> _Thing | None:
        if entity not in self._things:
            known = self._tx.entities.known(entity)
            if known is None:
                return None
            self._things[entity] = _Thing(known, copy(known.state), known.deleted)
        return self._things[entity]

    def _entity(self, number: int, entity: int, first: JournalRow, last: JournalRow) -> None:
        self._touched_by["entity", entity] = number
        thing = self._thing(entity)
        if thing is None or first.act == "purge" or last.act == "purge":
            self._refuse(number, "entity", entity, "", "it was purged")
            return
        name = thing.known.state.name
        if self._tx.cold.address(thing.known.space, entity) is not None:
            self._refuse(number, "entity", entity, name, "it is in cold storage: `restore_entities` brings it back")
            return
        if thing.known.space != self._tx.space:
            self._refuse(number, "entity", entity, name, "another space holds it")
            return
        try:
            after = self._tx.entities.stood(entity, last.after)[0]
            before = self._tx.entities.stood(entity, first.before)[0] if first.before else None
        except Error:
            self._refuse(number, "entity", entity, name, "what it said before is not kept any more")
            return
        reason = self._without(thing, before, after)
        if reason:
            self._refuse(
                number,
                "entity",
                entity,
                name,
                f"{reason} (it is at version {thing.known.version} of change {thing.known.began})",
            )

    @staticmethod
    def _without(thing: _Thing, before: Stored | None, after: Stored) -> str:
        """Take one change out of a thing; why not, if it cannot be."""
        if before is None or before.deleted:
            if after.deleted or thing.deleted:
                return ""
            if not alike(thing.state, after.state):
                return "it was changed again since"
            thing.deleted = True
            if before is not None:
                thing.state = copy(after.state)
            return ""
        if after.deleted:
            if not thing.deleted:
                return ""  # somebody has brought it back already
            thing.deleted = False
        elif thing.deleted:
            return "it was deleted since"
        found = taken_back(before.state, after.state, thing.state)
        if isinstance(found, Refusal):
            return found.reason
        thing.state = found
        return ""

    # Relations

    def _relation(self, number: int, relation: int) -> None:
        self._touched_by["relation", relation] = number
        rows = self._tx.relations.rows_of(relation)
        if relation not in self._bonds:
            living = next((row for row in rows if not row.ended), None)
            self._bonds[relation] = _Bond(relation, living, living)
        bond = self._bonds[relation]
        was = next((row for row in rows if row.ended == number), None)
        became = next((row for row in rows if row.edge.began == number), None)
        if was is None and became is None:
            return  # it came and went within the change, or was purged
        now, then, since = (row and row.says for row in (bond.will, was, became))
        if now == since:
            bond.will = was
        elif now != then:
            shown = next(row.edge for row in (became, was) if row is not None)
            self._refuse(number, "relation", relation, shown.type, "it was changed again since")

    # Messages

    def _said(self, number: int, entry: JournalRow) -> None:
        stream, ids = self._tx.streams.of_change(entry.id, entry.after, number, withdrawn=entry.act == "withdraw")
        if ids:
            self._lines.append(_Lines(number, stream, ids, again=entry.act == "withdraw"))
        elif not self._tx.streams.there(entry.id):
            reason = "they were purged, or their stream is in cold storage: `restore_entities` brings it back"
            self._refuse(number, "messages", entry.id, "", reason)

    # What it comes to

    @property
    def obstacles(self) -> list[Obstacle]:
        """Everything that stands in the way."""
        found = dict(self._refused)
        for entity, thing in self._things.items():
            reason = "" if ("entity", entity) in found or not thing.changed else self._obstacle(entity, thing)
            if reason:
                number = self._touched_by["entity", entity]
                found["entity", entity] = Obstacle(number, "entity", entity, thing.known.state.name, reason)
        return list(found.values())

    def _obstacle(self, entity: int, thing: _Thing) -> str:
        """What hangs on an entity that is to go, or who has its name."""
        tx = self._tx
        if thing.deleted:
            for edge in tx.relations.touching([entity]):
                bond = self._bonds.get(edge.id)
                if bond is None or (
                    bond.will is not None and not bond.will.hiding and self._touches(bond.will.edge, entity)
                ):
                    return f"it was related since, by change {edge.began}"
            going = {number for lines in self._lines if not lines.again for number in lines.ids}
            left = [
                line.id for line in tx.streams.read(entity, limit=len(going) + 1, down=True) if line.id not in going
            ]
            return f"messages were appended to it since (message {left[0]})" if left else ""
        if thing.known.deleted or thing.state.name != thing.known.state.name:
            holder = tx.entities.named(thing.state.name, thing.known.scope)
            if holder is not None and holder != entity:
                other = self._things.get(holder)
                if other is None or (not other.deleted and other.state.name == thing.state.name):
                    return f"the name {thing.state.name[:100]!r} is entity {holder}'s by now"
        return ""

    @staticmethod
    def _touches(edge: Edge, entity: int) -> bool:
        return entity in (edge.from_.id, edge.to.id)

    def effects(self) -> list[Effect]:
        """What carrying it out does."""
        told = [self._effect(thing) for thing in self._things.values() if thing.changed]
        bonds = [(bond, row) for bond in self._bonds.values() if bond.changed and (row := bond.will or bond.row)]
        ends = {end.id for _, row in bonds for end in (row.edge.from_, row.edge.to) if end.id}
        names = self._tx.entities.last_names(ends | {lines.stream for lines in self._lines})
        for bond, row in bonds:
            there = bond.will is not None
            act = "relate" if there != row.hiding else "unrelate"
            told.append(Effect("relation", bond.id, act, self._in_words(row.edge, names)))
        for lines in self._lines:
            act = "append" if lines.again else "withdraw"
            told.append(Effect("messages", lines.ids[0], act, names.get(lines.stream, "")))
        return told

    def _effect(self, thing: _Thing) -> Effect:
        known = thing.known
        if thing.deleted:
            return Effect("entity", known.id, "delete", known.state.name, known.version)
        old = {noted.id: noted.text for noted in known.state.observations}
        new = {noted.id: noted.text for noted in thing.state.observations}
        return Effect(
            "entity", known.id, "restore" if known.deleted else "change", thing.state.name, known.version,
            [text for number, text in new.items() if number not in old], [text for number, text in old.items() if number not in new],
        )  # fmt: skip

    @staticmethod
    def _in_words(edge: Edge, names: dict[int, str]) -> str:
        start, end = (names.get(end.id, f"#{end.id}") if end.id else end.name for end in (edge.from_, edge.to))
        return f"{start} {edge.type} {end}"

    def carry_out(self) -> None:
        """Write it. What goes makes room before what comes."""
        tx = self._tx
        bonds = [bond for bond in self._bonds.values() if bond.changed]
        things = sorted((thing for thing in self._things.values() if thing.changed), key=lambda one: not one.deleted)
        for lines in self._lines:
            if not lines.again:
                tx.streams.withdraw(lines.stream, lines.ids)
        for bond in bonds:
            if bond.row is not None:
                tx.relations.end_row(bond.row.edge, bond.row.hiding)
        for thing in things:
            if thing.deleted:
                tx.entities.change(thing.known, copy(thing.known.state), act="delete", deleted=True)
            else:
                act = "restore" if thing.known.deleted else "update"
                tx.entities.change(thing.known, thing.state, act=act)
                if act == "restore" or thing.state.name != thing.known.state.name:
                    tx.relations.adopt(thing.known.id, thing.state.name)
        self._relate([bond.will for bond in bonds if bond.will is not None])
        for lines in self._lines:
            if lines.again:
                tx.streams.append_again(lines.stream, lines.ids)
        for stream in {lines.stream for lines in self._lines}:
            renew(tx, stream, min(lines.ids[0] for lines in self._lines if lines.stream == stream))
        for work in self._beside:
            work()

    def _relate(self, rows: list[Held]) -> None:
        """Write relations' rows anew, those whose ends are there by now and of which nobody has made the same meanwhile."""
        tx = self._tx
        there = tx.entities.living({end.id for row in rows for end in (row.edge.from_, row.edge.to) if end.id})
        for row in rows:
            edge = row.edge
            both = all(not end.id or end.id in there for end in (edge.from_, edge.to))
            if row.hiding or (both and tx.relations.find(edge.from_, edge.to, edge.type) is None):
                tx.relations.put(msgspec.structs.replace(edge), hiding=row.hiding)
