"""A branch merged into the space it was begun from: three-way, entity by entity, then relations, then messages.

Whatever is in conflict stays as it is and keeps its base, so that the next merge asks about it again.
"""

from enhanced_memory.client.operations.branches import MergeBranch, MergeConflict, Merged
from enhanced_memory.client.values import MessageInput, Outcome
from enhanced_memory.daemon.handlers.comparing import Bound, Key, edges_in, key_of, shown_part, told_name
from enhanced_memory.daemon.handlers.editing import copy, outcome
from enhanced_memory.daemon.handlers.left_open import still_open
from enhanced_memory.daemon.handlers.renaming import Refused, Wanted, in_turn
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.branches import Line, Noted
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.relations import Edge, End
from enhanced_memory.daemon.store.views import NOW, View
from enhanced_memory.daemon.threeway import (
    ABSENT,
    Clash,
    Settled,
    Strategy,
    alike,
    joined,
    plain,
    said_of,
    settle,
    united,
)

ALL = Noted("all", 0, "")
COUNTED = (
    "created", "updated", "deleted", "restored", "relations_added", "relations_removed", "relations_waiting", "messages"
)  # fmt: skip


@MergeBranch.handler
def merge_branch(tx: Tx, ask: MergeBranch) -> Merged:
    """One change of the space merged into, wherever the caller stands; a dry run is that change taken back."""
    line = tx.branches.line(ask.branch or tx.space_name, ask.into)
    tx.work_in(line.into)
    merge = _Merge(tx, line, ask.strategy)
    merge.entities()
    merge.relations()
    merge.messages()
    merge.note()
    tx.rehearsal = ask.dry_run
    return merge.told(ask)


class _Merge:
    """A merge under way. `theirs` is the branch, `ours` the space that `tx` works in now."""

    def __init__(self, tx: Tx, line: Line, strategy: Strategy) -> None:
        self._tx = tx
        self._line = line
        self._strategy: Strategy = strategy
        self._before = tx.branches.noted(line)
        self._at = self._before.get(ALL, 0)
        """The change up to which the branch was taken in."""
        self._parts: dict[int, dict[str, int]] = {}
        """The parts of an entity that stayed in conflict, each with its base."""
        for one, base in self._before.items():
            if one.subject == "entity" and one.part not in ("", "messages"):
                self._parts.setdefault(one.id, {})[one.part] = base
        self._same = {one.id: entity for one, entity in self._before.items() if one.subject == "same"}
        self._after = {one: base for one, base in self._before.items() if one.subject == "same"}
        self._news = False
        """Whether the branch has changed since."""
        self._held: set[int] = set()
        """The branch's entities that are not taken in."""
        self._conflicts: list[MergeConflict] = []
        self._open: dict[int, list[str]] = {}
        """What stays in conflict, by the entity here."""
        self._renames: list[Wanted] = []
        self._there: set[int] = set()
        """The ends of relations that are there once the entities are merged."""
        self._names: dict[int, str] = {}
        """What the ends of relations in conflict are called here."""
        self.results: list[Outcome] = []
        self.counts = dict.fromkeys(COUNTED, 0)

    def entities(self) -> None:
        """Deletions first, for they free names; then changes, then what is new here."""
        news: list[int] = []
        while page := self._tx.branches.entities(self._line.own, self._at, news[-1] if news else 0):
            news += page
        self._news = bool(news)
        open_before = {one.id for one in self._before if one.subject == "entity" and one.part != "messages"}
        come: list[tuple[int, Stored, int]] = []
        back: list[tuple[int, Stored, Stored]] = []
        for entity in sorted({*news, *open_before}):
            self._judge(entity, come, back)
        self._rename()
        for entity, theirs, number in come:
            self._admit(entity, theirs, number)
        for entity, ours, theirs in back:
            self._restore(entity, ours, theirs)

    def _judge(self, entity: int, come: list[tuple[int, Stored, int]], back: list[tuple[int, Stored, Stored]]) -> None:
        """Decide what becomes of one entity. What can be done at once is; what needs a free name waits in the lists."""
        tx, line = self._tx, self._line
        number = self._before.get(Noted("entity", entity, ""), self._at)
        theirs = tx.entities.known(entity, line.view)
        if theirs is None:
            return
        base = tx.entities.known(entity, tx.branches.base(line, entity, number))
        ours = tx.entities.known(self._same.get(entity, entity))
        before = base.state if base is not None and not base.deleted else None
        if theirs.deleted:
            if ours is None or ours.deleted or before is None:
                return
            if (
                alike(ours.state, before)
                or self._whole(entity, number, base, ours, theirs, "deleted there, changed here") == "theirs"
            ):
                self._delete(ours)
        elif ours is None:
            made_there = base is None and tx.branches.born(line, entity)
            if made_there or self._whole(entity, number, base, None, theirs, "purged here, changed there") == "theirs":
                come.append((entity, theirs, number))
        elif not ours.deleted:
            self._change(entity, number, before, ours, theirs.state, self._strategy)
        elif base is not None and base.deleted:
            back.append((entity, ours, theirs))
        elif before is None or not alike(before, theirs.state):
            if self._whole(entity, number, base, ours, theirs, "deleted here, changed there") in ("theirs", "union"):
                back.append((entity, ours, theirs))

    def _whole(
        self, entity: int, number: int, base: Stored | None, ours: Stored | None, theirs: Stored, says: str
    ) -> Settled:
        """Note a conflict about an entity as a whole; how the strategy settles it, empty where it stays open.

        `union` keeps what one side deleted and the other changed; a purge is undone by `theirs` alone.
        """
        settled: Settled = (
            "" if self._strategy == "report" or (self._strategy == "union" and ours is None) else self._strategy
        )
        was, mine, other = (None if one is None or one.deleted else plain(one.state) for one in (base, ours, theirs))
        conflict = MergeConflict(entity, theirs.state.name, "entity", says, was, mine, other, settled)
        self._conflict(conflict, "", number, ours)
        if not settled:
            self._held.add(entity)
        return settled

    def _change(
        self, entity: int, number: int, base: State | None, ours: Stored, theirs: State, strategy: Strategy
    ) -> None:
        """Merge what two living states say, part by part."""
        numbers = self._parts.get(entity, {})
        states: dict[int, State | None] = {}
        for at in set(numbers.values()):
            known = self._tx.entities.known(entity, self._tx.branches.base(self._line, entity, at))
            states[at] = known.state if known is not None and not known.deleted else None
        older = {part: states[at] for part, at in numbers.items()}
        found = united(base, ours.state, theirs, strategy, older)
        for clash in found.clashes:
            self._clash(entity, ours, clash, numbers.get(clash.part, number))
        if found.state != ours.state:
            self._renames.append(Wanted(entity, ours, found.state, number))

    def _clash(self, entity: int, ours: Stored, clash: Clash, number: int) -> None:
        base, mine, other = (shown_part(clash.part, side) for side in (clash.base, clash.ours, clash.theirs))
        says = said_of(mine, other)
        part = told_name(clash.part)
        conflict = MergeConflict(entity, ours.state.name, part, says, base, mine, other, clash.settled)
        self._conflict(conflict, clash.part, number, ours)

    def _rename(self) -> None:
        """Write the changes, each as soon as its name is free."""
        renames, self._renames = self._renames, []
        refused = in_turn(self._tx, renames, self._put)
        less = {one.wanted.entity for one in refused}
        if less:
            self._conflicts = [one for one in self._conflicts if one.part != "name" or one.id not in less]
        for one in refused:
            self._name_taken(one)

    def _name_taken(self, one: Refused) -> None:
        ours, entity = one.wanted.ours, one.wanted.entity
        says = f"the new name is taken here by entity {one.holder}; rename or delete that one, then merge again"
        settled: Settled = "ours" if self._strategy == "ours" else ""
        conflict = MergeConflict(entity, ours.state.name, "name", says, None, ours.state.name, one.name, settled)
        self._conflict(conflict, "name", one.wanted.number, ours)

    def _put(self, ours: Stored, state: State) -> None:
        if state == ours.state:
            return
        renamed = state.name != ours.state.name
        done = self._tx.entities.change(ours, state, act="rename" if renamed else "update")
        if renamed:
            self._tx.relations.adopt(ours.id, state.name)
        self.counts["updated"] += 1
        self.results.append(outcome(ours, done, "updated"))

    def _delete(self, ours: Stored) -> None:
        for edge in self._tx.relations.touching([ours.id]):
            self._tx.relations.delete(edge)
        done = self._tx.entities.change(ours, copy(ours.state), act="delete", deleted=True)
        self.counts["deleted"] += 1
        self.results.append(Outcome(ours.id, ours.state.name, "updated", done.version))

    def _admit(self, entity: int, theirs: Stored, number: int) -> None:
        """Write what the branch made. Where its name is taken by another entity, only a strategy makes them one."""
        tx = self._tx
        holder = tx.entities.find(theirs.state.name, theirs.scope)
        if holder is None:
            state = copy(theirs.state)
            state.attributes["born"] = theirs.created_at
            done = tx.entities.admit(entity, state, theirs.scope, "create")
            tx.relations.adopt(entity, state.name)
            self.counts["created"] += 1
            self.results.append(Outcome(entity, state.name, "created", done.version))
            return
        settled: Settled = "" if self._strategy == "report" else self._strategy
        says = f"the name is taken here by entity {holder.id}, made apart from it"
        mine, other = plain(holder.state), plain(theirs.state)
        conflict = MergeConflict(entity, theirs.state.name, "entity", says, None, mine, other, settled)
        self._conflict(conflict, "", number, holder)
        if not settled:
            self._held.add(entity)
            return
        self._same[entity] = self._after[Noted("same", entity, "")] = holder.id
        if settled != "ours":
            self._change(entity, number, None, holder, theirs.state, self._strategy)
            self._rename()

    def _restore(self, entity: int, ours: Stored, theirs: Stored) -> None:
        tx = self._tx
        holder = tx.entities.named(theirs.state.name, ours.scope)
        if holder is not None:
            says = f"deleted here, and the name is taken by entity {holder} by now"
            number = self._before.get(Noted("entity", entity, ""), self._at)
            settled: Settled = "ours" if self._strategy == "ours" else ""
            conflict = MergeConflict(
                entity, theirs.state.name, "entity", says, None, None, plain(theirs.state), settled
            )
            self._conflict(conflict, "", number, ours)
            if not settled:
                self._held.add(entity)
            return
        state = copy(theirs.state)
        state.next_id = max(state.next_id, ours.state.next_id)
        done = tx.entities.change(ours, state, act="restore")
        tx.relations.restore(ours.id, ours.began, ours.space)
        tx.relations.adopt(ours.id, state.name)
        self.counts["restored"] += 1
        self.results.append(Outcome(ours.id, state.name, "updated", done.version))

    def _conflict(self, conflict: MergeConflict, part: str, number: int, ours: Stored | None) -> None:
        """Tell of a conflict about an entity; one that stays open keeps its base."""
        self._conflicts.append(conflict)
        if conflict.settled:
            return
        self._after[Noted("entity", conflict.id, part)] = number
        if ours is not None:
            self._open.setdefault(ours.id, []).append(conflict.part)

    def relations(self) -> None:
        """What the branch made or removed, by ends and type; ends that are not taken in hold their relations back."""
        tx, line = self._tx, self._line
        news = [tx.relations.edge(row).id for row in tx.branches.relation_rows(line.own, self._at)]
        self._news = self._news or bool(news)
        numbers = {one.id: base for one, base in self._before.items() if one.subject == "relation"}
        edges: list[Edge] = []
        views: dict[int, View] = {}
        for relation in sorted({*news, *numbers}):
            own = [tx.relations.edge(row) for row in tx.branches.relation_rows_of(line.own, relation)]
            edges += own + [tx.relations.edge(row) for row in tx.branches.relation_rows_of(line.beneath, relation)]
            at, first = numbers.get(relation, self._at), min((edge.began for edge in own), default=NOW)
            views[relation] = line.view.until(at) if first <= at else line.beneath.until(first)
        # A relation to a name is the same as that to the entity which has the name in the branch by now.
        bound = Bound(tx, (end for edge in edges for end in (edge.from_, edge.to)), line.view)
        bases = {key: views[edge.id] for edge in edges for key in (key_of(edge), bound.key(key_of(edge)))}
        of = {bound.key(key_of(edge)): edge.id for edge in edges}
        base = {bound.key(key): edge for key, edge in edges_in(tx, bases).items()}
        theirs = {bound.key(key): edge for key, edge in edges_in(tx, dict.fromkeys(bases, line.view)).items()}
        ours = edges_in(tx, {self._here(key): tx.view for key in of})
        held = {number for key, number in of.items() if any(end.id in self._held for end in key[:2])}
        self._there = tx.entities.living({end.id for key in of for end in self._here(key)[:2] if end.id})
        for key in sorted(of, key=lambda key: (of[key], str(key))):
            at = numbers.get(of[key], self._at)
            self._relation(self._here(key), of[key], at, base.get(key), ours, theirs.get(key), of[key] in held)

    def _here(self, key: Key) -> Key:
        from_, to = (End(self._same.get(end.id, end.id), end.name) for end in key[:2])
        return from_, to, key[2]

    def _relation(
        self, key: Key, number: int, at: int, base: Edge | None, here: dict[Key, Edge], theirs: Edge | None, held: bool
    ) -> None:
        tx, ours = self._tx, here.get(key)
        clashes: list[Clash] = []
        before, mine, other = (
            ABSENT if edge is None else {"strength": edge.strength, "metadata": edge.metadata}
            for edge in (base, ours, theirs)
        )
        value = settle(clashes, "relation", before, mine, other, self._strategy, joined(mine, other))
        if value is mine and not clashes:
            return
        if held or (value is not ABSENT and not self._ends_there(key)):
            if held or self._strategy != "ours":  # else the end is gone here, and that stands
                self.counts["relations_waiting"] += 1
                self._after[Noted("relation", number, "")] = at
            return
        for clash in clashes:
            self._relation_conflict(key, number, clash, at)
        if value is mine:
            return
        if ours is not None:
            tx.relations.delete(ours)
            self.counts["relations_removed"] += 1
        if value is ABSENT:
            return
        if ours is None and theirs is not None:
            here[key] = tx.relations.admit(theirs, key[0], key[1])
        else:
            here[key] = tx.relations.create(*key, value["strength"], value["metadata"])
        self.counts["relations_added"] += 1

    def _ends_there(self, key: Key) -> bool:
        return all(not end.id or end.id in self._there for end in key[:2])

    def _relation_conflict(self, key: Key, number: int, clash: Clash, at: int) -> None:
        self._names |= self._tx.entities.last_names({end.id for end in key[:2] if end.id} - self._names.keys())
        names = [self._names.get(end.id, "") if end.id else end.name for end in key[:2]]
        edge = {"from": names[0], "to": names[1], "type": key[2]}
        base, mine, other = (None if side is ABSENT else edge | side for side in (clash.base, clash.ours, clash.theirs))
        says = said_of(mine, other)
        self._conflicts.append(MergeConflict(key[0].id, names[0], "relation", says, base, mine, other, clash.settled))
        if not clash.settled:
            self._after[Noted("relation", number, "")] = at
            if key[0].id:
                self._open.setdefault(key[0].id, []).append(f"relation {key[2]}")

    def messages(self) -> None:
        """Append what the branch said, stream by stream, in its order."""
        tx, line = self._tx, self._line
        rows = tx.branches.message_rows(line.own, self._at)
        self._news = self._news or bool(rows)
        streams: dict[int, list[int]] = {}
        for row in rows:
            streams.setdefault(row[2], []).append(row[0])
        before = self._before.items()
        waited = {one.id: base for one, base in before if one.subject == "entity" and one.part == "messages"}
        for stream, at in waited.items():
            streams[stream] = [row[0] for row in tx.branches.message_rows(line.own, at, stream)]
        for stream, ids in streams.items():
            here = self._same.get(stream, stream)
            if tx.entities.find(here) is None or stream in self._held:
                self._after[Noted("entity", stream, "messages")] = waited.get(stream, self._at)
                known = tx.entities.known(stream, line.view)
                name = known.state.name if known is not None else ""
                settled: Settled = "ours" if self._strategy == "ours" and stream not in self._held else ""
                says = f"{len(ids)} messages {'are left out' if settled else 'wait'}: their stream is not there"
                self._conflicts.append(MergeConflict(stream, name, "messages", says, None, None, len(ids), settled))
                if settled:
                    del self._after[Noted("entity", stream, "messages")]
                continue
            said = tx.streams.many(ids)
            tx.streams.append(here, [
                MessageInput(one.content, one.role, one.kind, one.speaker, one.at, one.tick, one.importance, one.tokens, one.provider, one.metadata)
                for one in (said[number] for number in ids)
            ])  # fmt: skip
            self.counts["messages"] += len(ids)

    def note(self) -> None:
        """Note how far the branch is taken in, and what is not."""
        if self._news:
            self._after[ALL] = self._tx.number
        elif self._at:
            self._after[ALL] = self._at
        if self._tx.branches.keep(self._line, self._before, self._after):
            self._tx.note("space", self._line.branch, "merge", before=self._at, after=self._after.get(ALL, 0))
        still_open(self._tx, self._line, self._strategy, self._before, self._same, self._open)

    def told(self, ask: MergeBranch) -> Merged:
        """The answer."""
        ordered = sorted(self._conflicts, key=lambda one: bool(one.settled))
        still = sum(not one.settled for one in ordered)
        return Merged(
            self._line.name, self._line.into, ask.dry_run, self.results[: ask.limit], conflicts=ordered[: ask.limit],
            open=still, settled=len(ordered) - still, **self.counts,
        )  # fmt: skip
