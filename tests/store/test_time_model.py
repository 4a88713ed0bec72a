"""A store and a simple model of it are given the same random changes, undone, redone, reverted and purged, and agree on now and on then."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteObservations,
    ObservationsDeletion,
    PurgeEntities,
    RenameEntity,
    RestoreEntities,
    Tag,
    Untag,
)
from enhanced_memory.client.operations.journal import Redo, Undo
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.operations.versions import MemoryRevert
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput, RelationInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import World

NAMES = ("ada", "bob", "cleo")
names, picks = st.sampled_from(NAMES), st.integers(0, 9999)


def chosen(among: list[Any], pick: int) -> Any:
    """One of several, by a number."""
    return among[pick % len(among)]


@dataclass
class Thing:
    """What an entity says. Two are equal where they say the same."""

    name: str
    says: set[str] = field(default_factory=set[str])
    tags: set[str] = field(default_factory=set[str])
    deleted: bool = False


@dataclass
class State:
    """All that a store knows: things by id, relations by id with their ends."""

    things: dict[int, Thing] = field(default_factory=dict[int, Thing])
    edges: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])

    def living(self) -> dict[int, Thing]:
        return {number: thing for number, thing in self.things.items() if not thing.deleted}

    def named(self, name: str) -> int | None:
        return next((number for number, thing in self.living().items() if thing.name == name), None)

    def graph(self) -> set[tuple[str, str, str]]:
        living = self.living()
        return {
            (living[a].name, "likes", living[b].name) for a, b in self.edges.values() if a in living and b in living
        }

    def forget(self, number: int) -> None:
        self.things.pop(number, None)
        self.edges = {key: ends for key, ends in self.edges.items() if number not in ends}


@dataclass
class Done:
    """A change: what was before and after it, and what it touched."""

    before: State
    after: State
    op: str
    undoes: int = 0
    undone: bool = False

    @property
    def touched(self) -> set[int]:
        both = self.before.things.keys() | self.after.things.keys()
        return {number for number in both if self.before.things.get(number) != self.after.things.get(number)}


class Clash(Exception):
    """The model finds that a change cannot be taken back."""


def without(now: State, done: Done, touched: set[int], purged: set[int]) -> State:
    """`now` with one change taken out of it. `Clash` where something of it was changed since."""
    if touched & purged:
        raise Clash
    state = deepcopy(now)
    for number in touched:
        was, became, thing = done.before.things.get(number), done.after.things[number], state.things[number]
        if was is None or was.deleted:
            if thing.deleted or became.deleted:
                continue
            if thing != became:
                raise Clash
            thing.deleted = True
            continue
        if became.deleted:
            thing.deleted = False
        elif thing.deleted:
            raise Clash
        if was.name != became.name and thing.name != was.name:
            if thing.name != became.name:
                raise Clash
            thing.name = was.name
        thing.says = (thing.says - (became.says - was.says)) | (was.says - became.says)
        thing.tags = (thing.tags - (became.tags - was.tags)) | (was.tags - became.tags)
    taken = [thing.name for thing in state.living().values()]
    if len(taken) != len(set(taken)):
        raise Clash
    was, became = done.before.edges, done.after.edges
    back: dict[int, tuple[int, int]] = {}
    for edge in was.keys() | became.keys():
        if (edge in was) == (edge in became):
            continue
        if edge in became:
            state.edges.pop(edge, None)
        elif edge not in state.edges:
            back[edge] = was[edge]
    gone = {number for number in touched if state.things[number].deleted and not now.things[number].deleted}
    if any(gone & set(ends) for ends in state.edges.values()):
        raise Clash
    living = state.living()
    for edge, ends in back.items():
        if set(ends) <= living.keys() and ends not in state.edges.values():
            state.edges[edge] = ends
    return state


class Machine(RuleBasedStateMachine):
    """One store, one model, and everything that was done."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
        self.runner = asyncio.Runner()
        self.token = 0
        self.world: World = self.run(
            make_world(Settings.load({"store": str(self.folder / "m.db"), "readers": 1, "synchronous": "NORMAL"}))
        )
        self.state = State()
        self.done: dict[int, Done] = {}
        self.touched: dict[int, set[int]] = {}
        self.purged: set[int] = set()
        self.last = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def ask(self, ask: Any) -> Any:
        return self.run(self.world.default.do(ask))

    def changed(self, state: State, op: str = "", undoes: int = 0) -> int:
        """The store was changed: so is the model, if a change was made at all."""
        number = self.run(self.world.last_change())
        if number != self.last:
            assert number == self.last + 1
            self.done[number] = Done(self.state, state, op, undoes)
            self.touched[number] = self.done[number].touched
            self.last = number
        else:
            assert state == self.state
        self.state = state
        self.check()
        return number

    @rule(name=names)
    def creates(self, name: str) -> None:
        self.token += 1
        text = f"token{self.token}"
        (outcome,) = self.ask(CreateEntities([EntityInput(name, "thing", [text])])).results
        state = deepcopy(self.state)
        known = state.named(name)
        assert (outcome.action == "created") is (known is None)
        if known is None:
            assert outcome.id not in state.things
            state.things[outcome.id] = Thing(name, {text})
        else:
            state.things[known].says.add(text)
        self.changed(state)

    @rule(name=names, pick=picks)
    def takes(self, name: str, pick: int) -> None:
        number = self.state.named(name)
        if number is None or not self.state.things[number].says:
            return
        text = chosen(sorted(self.state.things[number].says), pick)
        self.ask(DeleteObservations([ObservationsDeletion(name, [text])]))
        state = deepcopy(self.state)
        state.things[number].says.discard(text)
        self.changed(state)

    @rule(name=names, on=st.booleans(), tag=st.sampled_from("xy"))
    def tags(self, name: str, on: bool, tag: str) -> None:
        number = self.state.named(name)
        if number is None:
            return
        self.ask(Tag([name], [tag]) if on else Untag([name], [tag]))
        state = deepcopy(self.state)
        (state.things[number].tags.add if on else state.things[number].tags.discard)(tag)
        self.changed(state)

    @rule(old=names, new=names)
    def renames(self, old: str, new: str) -> None:
        number, holder = self.state.named(old), self.state.named(new)
        if number is None:
            return
        if holder not in (None, number):
            with pytest.raises(Conflict):
                self.ask(RenameEntity(old, new))
            return
        self.ask(RenameEntity(old, new))
        state = deepcopy(self.state)
        state.things[number].name = new
        self.changed(state)

    @rule(start=names, end=names, on=st.booleans())
    def relates(self, start: str, end: str, on: bool) -> None:
        ends = (self.state.named(start), self.state.named(end))
        if ends[0] is None or ends[1] is None:
            return
        state = deepcopy(self.state)
        if on:
            made = self.ask(CreateRelations([RelationInput(start, end, "likes")]))
            assert bool(made.created) is (ends not in state.edges.values())
            state.edges |= {one.id: (ends[0], ends[1]) for one in made.created}
        else:
            self.ask(DeleteRelations([RelationInput(start, end, "likes")]))
            state.edges = {edge: held for edge, held in state.edges.items() if held != ends}
        self.changed(state)

    @rule(name=names)
    def deletes(self, name: str) -> None:
        number = self.state.named(name)
        if number is None:
            return
        self.run(self.world.default.delete(name))
        state = deepcopy(self.state)
        state.things[number].deleted = True
        state.edges = {edge: ends for edge, ends in state.edges.items() if number not in ends}
        self.changed(state)

    @rule(pick=picks)
    def restores(self, pick: int) -> None:
        gone = sorted(number for number, thing in self.state.things.items() if thing.deleted)
        if not gone:
            return
        number = chosen(gone, pick)
        if self.state.named(self.state.things[number].name) is not None:
            with pytest.raises(Conflict):
                self.ask(RestoreEntities([number]))
            return
        self.ask(RestoreEntities([number]))
        state = deepcopy(self.state)
        state.things[number].deleted = False
        deletion = self.done[max(change for change, touched in self.touched.items() if number in touched)]
        for edge, ends in deletion.before.edges.items():
            if number in ends and edge not in deletion.after.edges and ends not in state.edges.values():
                state.edges[edge] = ends
        self.changed(state)

    @rule(name=names, pick=picks)
    def reverts(self, name: str, pick: int) -> None:
        number = self.state.named(name)
        if number is None:
            return
        change = chosen(sorted(self.done), pick)
        then = self.done[change].after.things.get(number)
        ask = MemoryRevert(number, f"change:{change}")
        if then is None or then.deleted:
            with pytest.raises(NotFound if then is None else Conflict):
                self.ask(ask)
        elif self.state.named(then.name) not in (None, number):
            with pytest.raises(Conflict):
                self.ask(ask)
        else:
            self.ask(ask)
            state = deepcopy(self.state)
            state.things[number] = deepcopy(then)
            self.changed(state)

    @rule(pick=picks)
    def undoes(self, pick: int) -> None:
        possible = [number for number, done in self.done.items() if done.op not in ("undo", "redo", "purge")]
        if not possible:
            return
        self._undo(chosen(possible[-6:], pick))

    @rule()
    def undoes_the_last(self) -> None:
        possible = [number for number, done in self.done.items() if done.op == "" and not done.undone]
        if possible:
            self._undo(possible[-1], named=False)

    def _undo(self, number: int, named: bool = True) -> None:
        done = self.done[number]
        if done.undone:
            with pytest.raises(Conflict, match="undone already"):
                self.ask(Undo(number, dry_run=False))
            return
        named_change = number if named else None
        planned = self.ask(Undo(named_change))
        assert planned.changes == [number]
        try:
            state = without(self.state, done, self.touched[number], self.purged)
        except Clash:
            assert planned.conflicts, done
            with pytest.raises(Conflict, match="Nothing was undone"):
                self.ask(Undo(named_change, dry_run=False))
            self.changed(self.state)
            return
        assert planned.conflicts == []
        self.ask(Undo(named_change, dry_run=False))
        self.changed(state, "undo", number)
        done.undone = True

    @rule()
    def redoes(self) -> None:
        undone = [number for number, done in self.done.items() if done.op == "undo" and not done.undone]
        if not undone:
            with pytest.raises(NotFound):
                self.ask(Redo())
            return
        number = undone[-1]
        try:
            state = without(self.state, self.done[number], self.touched[number], self.purged)
        except Clash:
            with pytest.raises(Conflict, match="Nothing was undone"):
                self.ask(Redo(dry_run=False))
            return
        assert self.ask(Redo(dry_run=False)).changes == [self.done[number].undoes]
        self.changed(state, "redo")
        self.done[number].undone = True
        self.done[self.done[number].undoes].undone = False

    @rule(pick=picks)
    def purges(self, pick: int) -> None:
        if not self.state.things or pick % 4:
            return
        number = chosen(sorted(self.state.things), pick // 4)
        self.ask(PurgeEntities([number], confirm=True))
        state = deepcopy(self.state)
        state.forget(number)
        self.changed(state, "purge")
        self.purged.add(number)
        for done in self.done.values():
            # States are shared from change to change; forgetting twice does no harm.
            done.before.forget(number)
            done.after.forget(number)

    @rule(pick=picks)
    def looks_back(self, pick: int) -> None:
        if self.done:
            number = chosen(sorted(self.done), pick)
            self.run(self._compare(self.done[number].after, number))

    def check(self) -> None:
        self.run(self._compare(self.state, None))

    async def _compare(self, state: State, at: int | None) -> None:
        place, living = self.world.default, state.living()
        assert await place.listed(as_of=at) == [living[number].name for number in sorted(living)]
        for number, thing in living.items():
            found = await place.entity(number, as_of=at)
            assert found is not None
            assert (found.name, set(found.observations), set(found.tags)) == (thing.name, thing.says, thing.tags)
        assert await place.related(as_of=at) == state.graph()
        for token in (f"token{self.token}", f"token{self.token // 2 + 1}"):
            said = sorted(thing.name for thing in living.values() if token in thing.says)
            assert sorted(await place.found(token, as_of=at)) == said
        for tag in "xy":
            tagged = sorted(thing.name for thing in living.values() if tag in thing.tags)
            assert sorted(await place.listed(as_of=at, tags=[tag])) == tagged

    def teardown(self) -> None:
        self.check()
        self.run(self.world.sound())
        self.run(self.world.engine.close())
        self.runner.close()
        shutil.rmtree(self.folder)


make_world: Any = None


def test_a_store_agrees_with_its_model_now_and_then(new_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "make_world", new_world)
    # `derandomize`: every run tries the same changes.
    limits = settings(
        max_examples=15,
        stateful_step_count=25,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=limits)


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_through_hundreds_of_changes(seed: int, new_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What hypothesis tries is short, so that it can be read where it fails; this is long."""
    monkeypatch.setitem(globals(), "make_world", new_world)
    draw = random.Random(seed)
    machine = Machine()
    steps: list[Callable[[], None]] = [
        *[lambda: machine.creates(name=draw.choice(NAMES))] * 4,
        *[lambda: machine.takes(name=draw.choice(NAMES), pick=draw.randrange(9999))] * 2,
        lambda: machine.tags(name=draw.choice(NAMES), on=draw.random() < 0.6, tag=draw.choice("xy")),
        lambda: machine.renames(old=draw.choice(NAMES), new=draw.choice(NAMES)),
        *[lambda: machine.relates(start=draw.choice(NAMES), end=draw.choice(NAMES), on=draw.random() < 0.7)] * 2,
        lambda: machine.deletes(name=draw.choice(NAMES)),
        lambda: machine.restores(pick=draw.randrange(9999)),
        *[lambda: machine.reverts(name=draw.choice(NAMES), pick=draw.randrange(9999))] * 2,
        *[lambda: machine.undoes(pick=draw.randrange(9999))] * 3,
        *[lambda: machine.undoes_the_last()] * 2,
        *[lambda: machine.redoes()] * 3,
        lambda: machine.purges(pick=draw.randrange(9999)),
        lambda: machine.looks_back(pick=draw.randrange(9999)),
    ]
    try:
        for _ in range(300):
            draw.choice(steps)()
        kinds = {done.op for done in machine.done.values()}
        assert {"undo", "redo", "purge"} <= kinds
    finally:
        machine.teardown()
