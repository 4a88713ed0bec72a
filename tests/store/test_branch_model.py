"""Spaces that are branched, changed, merged and discarded at random agree with a model that knows no layers.

The model keeps every space as a whole of its own, and what a branch was last merged from as plain copies. A run of the suite
tries a few hundred changes; `ENHANCED_MEMORY_MODEL_RUNS=200` tries thousands, other ones each time.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from enhanced_memory.client.errors import Conflict
from enhanced_memory.client.operations.branches import DiscardBranch, MemoryBranch, MergeBranch
from enhanced_memory.client.operations.entities import (
    DeleteObservations,
    ObservationsDeletion,
    RenameEntity,
    RestoreEntities,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import RelationInput

if TYPE_CHECKING:
    from enhanced_memory.daemon.store import Tx
    from enhanced_memory.tests.store.conftest import World

RUNS = int(os.environ.get("ENHANCED_MEMORY_MODEL_RUNS", "0"))
MOST = 6
"""Spaces at a time."""

at = st.integers(0, 1000)
"""Which of what there is; taken modulo how many there are."""


@dataclass
class Thing:
    """What a space says of an entity."""

    name: str
    n: int = 0
    says: set[str] = field(default_factory=set[str])
    tags: set[str] = field(default_factory=set[str])
    deleted: bool = False

    def content(self) -> tuple[Any, ...]:
        return self.name, self.n, self.says, self.tags


@dataclass
class Whole:
    """A space with all that is seen in it."""

    parent: str = ""
    things: dict[int, Thing] = field(default_factory=dict[int, Thing])
    edges: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    own: set[int] = field(default_factory=set[int])
    bases: dict[int, Thing | None] = field(default_factory=dict[int, "Thing | None"])
    """What each entity is compared with by the next merge; a part in conflict keeps an older one."""
    edges_before: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    open: int = 0


def merged(branch: Whole, parent: Whole, strategy: str) -> None:
    """Merge as the manual says."""
    branch.open = 0
    for number in sorted(branch.own):
        base, theirs, ours = branch.bases.get(number), branch.things[number], parent.things.get(number)
        was = base if base is not None and not base.deleted else None
        taken = deepcopy(theirs)
        if ours is None:
            if not theirs.deleted:
                parent.things[number] = deepcopy(theirs)
                parent.own.add(number)
        elif theirs.deleted:
            if was is not None and not ours.deleted:
                clean = ours.content() == was.content()
                if clean or strategy == "theirs":
                    ours.deleted = True
                    parent.own.add(number)
                elif strategy == "report":
                    branch.open += 1
                    continue
        elif ours.deleted:
            again = base is not None and base.deleted
            if again or was is None or was.content() != theirs.content():
                if again or strategy in ("theirs", "union"):
                    parent.things[number] = deepcopy(theirs)
                    parent.own.add(number)
                elif strategy == "report":
                    branch.open += 1
                    continue
        else:
            before = deepcopy(ours)
            for part in ("name", "n"):
                b = getattr(was, part) if was is not None else None
                o, t = getattr(ours, part), getattr(theirs, part)
                if t in (b, o):
                    continue
                if o == b or strategy == "theirs":
                    setattr(ours, part, t)
                elif strategy != "ours" and not (part == "n" and strategy == "union"):
                    branch.open += 1
                    setattr(taken, part, b)
                elif strategy == "union":
                    raise AssertionError("a union of numbers is a list: not asked for here")
            for part in ("says", "tags"):
                b, o, t = (getattr(one, part) if one is not None else set[str]() for one in (was, ours, theirs))
                setattr(ours, part, (o - (b - t)) | (t - b))
            if before != ours:
                parent.own.add(number)
        branch.bases[number] = taken
    came, went = branch.edges - branch.edges_before, branch.edges_before - branch.edges
    parent.edges |= came
    parent.edges -= went
    branch.edges_before = set(branch.edges)


class Machine(RuleBasedStateMachine):
    """One store, one model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
        self.runner = asyncio.Runner()
        self.count = 0
        self.related: set[int] = set()
        """Entities that were ever related: they are never deleted, and what was deleted is never related."""
        self.gone: set[int] = set()
        self.past: list[tuple[str, int, Any]] = []
        self.world: World = self.run(
            make_world(Settings.load({"store": str(self.folder / "m.db"), "readers": 1, "synchronous": "NORMAL"}))
        )
        self.spaces = {"default": Whole()}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def do(self, space: str, ask: Any) -> Any:
        return self.run(self.world.place(space).do(ask))

    def fresh(self, what: str) -> str:
        self.count += 1
        return f"{what}{self.count}"

    def space(self, which: int, of: list[str] | None = None) -> str:
        names = list(self.spaces) if of is None else of
        return names[which % len(names)]

    def thing(self, space: str, which: int, deleted: bool = False) -> int | None:
        there = sorted(number for number, one in self.spaces[space].things.items() if one.deleted == deleted)
        return there[which % len(there)] if there else None

    def mine(self, space: str, number: int) -> Thing:
        self.spaces[space].own.add(number)
        return self.spaces[space].things[number]

    @initialize()
    def begin(self) -> None:
        for _ in range(3):
            self.create("default")

    def create(self, space: str) -> None:
        name, text = self.fresh("name"), self.fresh("token")
        number = self.run(self.world.place(space).create(name, text, properties={"n": 0}))
        self.spaces[space].things[number] = Thing(name, 0, {text})
        self.spaces[space].own.add(number)

    # Changes

    @rule(where=at)
    def creates(self, where: int) -> None:
        space = self.space(where)
        if len(self.spaces[space].things) < 10:
            self.create(space)
        self.compare()

    @rule(where=at, which=at)
    def adds(self, where: int, which: int) -> None:
        space = self.space(where)
        number = self.thing(space, which)
        if number is not None:
            text = self.fresh("token")
            self.run(self.world.place(space).add(number, text))
            self.mine(space, number).says.add(text)
        self.compare()

    @rule(where=at, which=at, what=at)
    def takes(self, where: int, which: int, what: int) -> None:
        space = self.space(where)
        number = self.thing(space, which)
        if number is not None and self.spaces[space].things[number].says:
            says = sorted(self.spaces[space].things[number].says)
            text = says[what % len(says)]
            self.do(space, DeleteObservations([ObservationsDeletion(number, [text])]))
            self.mine(space, number).says.discard(text)
        self.compare()

    @rule(where=at, which=at, kind=st.sampled_from(["name", "n", "tag", "untag"]), tag=st.sampled_from("xy"))
    def changes(self, where: int, which: int, kind: str, tag: str) -> None:
        space = self.space(where)
        number = self.thing(space, which)
        if number is None:
            return
        if kind == "name":
            name = self.fresh("name")
            self.do(space, RenameEntity(number, name))
            self.mine(space, number).name = name
        elif kind == "n":
            self.count += 1
            self.do(space, UpdateEntity(number, properties={"n": self.count}))
            self.mine(space, number).n = self.count
        elif (tag in self.spaces[space].things[number].tags) != (kind == "tag"):
            self.do(space, Tag([number], [tag]) if kind == "tag" else Untag([number], [tag]))
            tags = self.mine(space, number).tags
            tags.add(tag) if kind == "tag" else tags.discard(tag)
        self.compare()

    @rule(where=at, which=at)
    def deletes(self, where: int, which: int) -> None:
        space = self.space(where)
        number = self.thing(space, which)
        if number is not None and number not in self.related:
            self.run(self.world.place(space).delete(number))
            self.mine(space, number).deleted = True
            self.gone.add(number)
        self.compare()

    @rule(where=at, which=at)
    def restores(self, where: int, which: int) -> None:
        space = self.space(where)
        number = self.thing(space, which, deleted=True)
        if number is not None:
            self.do(space, RestoreEntities([number]))
            self.mine(space, number).deleted = False
        self.compare()

    @rule(where=at, one=at, other=at, on=st.booleans())
    def relates(self, where: int, one: int, other: int, on: bool) -> None:
        space = self.space(where)
        ends = self.thing(space, one), self.thing(space, other)
        if None in ends or self.gone & {*ends}:
            return
        given = [RelationInput(ends[0], ends[1], "likes")]  # type: ignore[arg-type]
        self.do(space, CreateRelations(given) if on else DeleteRelations(given))
        edges = self.spaces[space].edges
        edges.add(ends) if on else edges.discard(ends)  # type: ignore[arg-type]
        self.related |= {*ends}  # type: ignore[arg-type]
        self.compare()

    # Branches

    @precondition(lambda self: len(self.spaces) < MOST)
    @rule(where=at)
    def branches(self, where: int) -> None:
        parent = self.space(where)
        name = self.fresh("branch/")
        self.do(parent, MemoryBranch(name))
        seen = self.spaces[parent]
        self.spaces[name] = Whole(parent, deepcopy(seen.things), set(seen.edges))
        self.spaces[name].bases = dict(deepcopy(seen.things))
        self.spaces[name].edges_before = set(seen.edges)
        self.compare()

    @precondition(lambda self: len(self.spaces) > 1)
    @rule(where=at, strategy=st.sampled_from(["report", "report", "ours", "theirs"]), rehearse=st.booleans())
    def merges(self, where: int, strategy: Any, rehearse: bool) -> None:
        name = self.space(where, [one for one in self.spaces if one != "default"])
        told = self.do("default", MergeBranch(name, strategy=strategy, dry_run=True)) if rehearse else None
        if rehearse:
            self.compare()
        done = self.do("default", MergeBranch(name, strategy=strategy))
        if told is not None:
            assert (told.results, told.conflicts, told.relations_added) == (
                done.results,
                done.conflicts,
                done.relations_added,
            )
        branch = self.spaces[name]
        merged(branch, self.spaces[branch.parent], strategy)
        assert done.open == branch.open
        self.compare()

    @precondition(lambda self: len(self.spaces) > 1)
    @rule(where=at)
    def discards(self, where: int) -> None:
        name = self.space(where, [one for one in self.spaces if one != "default"])
        if any(one.parent == name for one in self.spaces.values()):
            with pytest.raises(Conflict):
                self.do("default", DiscardBranch(name))
        else:
            self.do("default", DiscardBranch(name))
            del self.spaces[name]
            self.past = [one for one in self.past if one[0] != name]
        self.compare()

    # What is seen

    @precondition(lambda self: bool(self.past))
    @rule(which=at)
    def looks_back(self, which: int) -> None:
        space, number, seen = self.past[which % len(self.past)]
        assert self.run(self.world.place(space).read(_seen, number)) == seen

    def compare(self) -> None:
        self.run(self._compare())

    async def _compare(self) -> None:
        last = await self.world.last_change()
        for space, whole in self.spaces.items():
            place = self.world.place(space)
            living = {number: one for number, one in whole.things.items() if not one.deleted}
            seen = await place.read(_seen)
            assert seen == (
                {number: (one.name, one.n, sorted(one.says), sorted(one.tags)) for number, one in living.items()},
                sorted(whole.edges),
                {one.name: number for number, one in living.items()},
            )
            if len(self.past) < 400:
                self.past.append((space, last, seen))
            for token in (f"token{self.count}", f"token{self.count // 2 + 1}"):
                assert await place.found(token) == [one.name for one in living.values() if token in one.says], token
            for tag in "xy":
                assert sorted(await place.listed(tags=[tag])) == sorted(
                    one.name for one in living.values() if tag in one.tags
                )

    def teardown(self) -> None:
        self.run(self.world.sound())
        self.run(self.world.engine.close())
        self.runner.close()
        shutil.rmtree(self.folder)


def _seen(tx: Tx) -> Any:
    """All that a view tells, by ids: what entities say, how they are related, and whom names mean."""
    found = {one.id: one for one in tx.entities.page(limit=1000)}
    edges = [edge for edge in tx.relations.touching(found) if edge.from_.id in found and edge.to.id in found]
    return (
        {
            number: (
                one.state.name,
                one.state.properties["n"],
                sorted(noted.text for noted in one.state.observations),
                sorted(one.state.tags),
            )
            for number, one in found.items()
        },
        sorted((edge.from_.id, edge.to.id) for edge in edges),
        {one.state.name: tx.entities.named(one.state.name) for one in found.values()},
    )


make_world: Any = None


def test_branches_agree_with_their_model(new_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "make_world", new_world)
    # `derandomize`: every run of the suite tries the same changes.
    chosen = settings(
        max_examples=RUNS or 8,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=not RUNS,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=chosen)
