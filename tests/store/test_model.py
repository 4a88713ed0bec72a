"""A store and a simple model of it are given the same random changes in three spaces, and agree after each."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.operations.entities import (
    AddObservations,
    CreateEntities,
    ObservationsInput,
    RenameEntity,
    RestoreEntities,
    Tag,
    Untag,
)
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput, RelationInput

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import World

SPACES = ("default", "overlay", "branch")
NAMES = ("ada", "bob", "cleo")
spaces, names = st.sampled_from(SPACES), st.sampled_from(NAMES)


@dataclass
class Thing:
    """What a space says of an entity."""

    name: str
    says: list[str] = field(default_factory=list[str])
    tags: set[str] = field(default_factory=set[str])
    deleted: bool = False
    ended: int = 0
    """The change that deleted it."""

    def copy(self) -> Thing:
        return Thing(self.name, list(self.says), set(self.tags), self.deleted, self.ended)


@dataclass
class Model:
    """A space: its own things over those of its parent, which a branch holds a copy of."""

    below: Model | None = None
    own: dict[int, Thing] = field(default_factory=dict[int, Thing])
    edges: dict[tuple[int, int], bool] = field(default_factory=dict[tuple[int, int], bool])

    def things(self) -> dict[int, Thing]:
        return (self.below.things() if self.below else {}) | self.own

    def living(self) -> dict[int, Thing]:
        return {number: thing for number, thing in self.things().items() if not thing.deleted}

    def named(self, name: str) -> int | None:
        """The nearest layer that has the name decides."""
        here = [number for number, thing in self.own.items() if thing.name == name and not thing.deleted]
        if here or self.below is None:
            return here[0] if here else None
        found = self.below.named(name)
        return None if found in self.own else found

    def related(self) -> dict[tuple[int, int], bool]:
        return (self.below.related() if self.below else {}) | self.edges

    def graph(self) -> set[tuple[str, str, str]]:
        living = self.living()
        return {
            (living[a].name, "likes", living[b].name)
            for (a, b), there in self.related().items()
            if there and a in living and b in living
        }

    def mine(self, number: int) -> Thing:
        """The thing as this space's own, copied where it was the parent's."""
        if number not in self.own:
            self.own[number] = self.things()[number].copy()
        return self.own[number]

    def frozen(self) -> Model:
        return Model(None, {number: thing.copy() for number, thing in self.things().items()}, dict(self.related()))


class Machine(RuleBasedStateMachine):
    """One store, one model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
        self.runner = asyncio.Runner()
        self.token = 0
        self.world: World = self.run(
            make_world(Settings.load({"store": str(self.folder / "m.db"), "readers": 1, "synchronous": "NORMAL"}))
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(first=st.lists(names, unique=True, min_size=1))
    def begin(self, first: list[str]) -> None:
        self.models = {"default": Model()}
        for name in first:
            self.create("default", name)
        self.models["overlay"] = Model(self.models["default"])
        self.run(self.world.overlay("overlay"))
        self.models["branch"] = Model(self.models["default"].frozen())
        self.run(self.world.branch("branch"))
        self.compare()

    def do(self, space: str, ask: Any) -> Any:
        return self.run(self.world.place(space).do(ask))

    def create(self, space: str, name: str) -> None:
        self.token += 1
        token = f"token{self.token}"
        model = self.models[space]
        number = model.named(name)
        (outcome,) = self.do(space, CreateEntities([EntityInput(name, "thing", [token])])).results
        if number is None:
            assert outcome.action == "created"
            model.own[outcome.id] = Thing(name, [token])
        else:
            assert (outcome.action, outcome.id) == ("updated", number)
            model.mine(number).says.append(token)

    @rule(space=spaces, name=names)
    def creates(self, space: str, name: str) -> None:
        self.create(space, name)
        self.compare()

    @rule(space=spaces, name=names)
    def adds(self, space: str, name: str) -> None:
        self.token += 1
        number = self.models[space].named(name)
        ask = AddObservations([ObservationsInput(name, [f"token{self.token}"])])
        if number is None:
            with pytest.raises(NotFound):
                self.do(space, ask)
        else:
            self.do(space, ask)
            self.models[space].mine(number).says.append(f"token{self.token}")
        self.compare()

    @rule(space=spaces, name=names)
    def deletes(self, space: str, name: str) -> None:
        number = self.models[space].named(name)
        self.run(self.world.place(space).delete(name))
        if number is not None:
            thing = self.models[space].mine(number)
            thing.deleted, thing.ended = True, self.run(self.world.last_change())
        self.compare()

    @precondition(
        lambda self: any(thing.deleted for model in self.models.values() for thing in model.things().values())
    )
    @rule(space=spaces, data=st.data())
    def restores(self, space: str, data: st.DataObject) -> None:
        model = self.models[space]
        gone = sorted(number for number, thing in model.things().items() if thing.deleted)
        if not gone:
            return
        number = data.draw(st.sampled_from(gone))
        if model.named(model.things()[number].name) is not None:
            with pytest.raises(Conflict):
                self.do(space, RestoreEntities([number]))
        else:
            self.do(space, RestoreEntities([number]))
            model.mine(number).deleted = False
        self.compare()

    @rule(space=spaces, old=names, new=names)
    def renames(self, space: str, old: str, new: str) -> None:
        model = self.models[space]
        number, holder = model.named(old), model.named(new)
        if number is None:
            with pytest.raises(NotFound):
                self.do(space, RenameEntity(old, new))
        elif holder not in (None, number):
            with pytest.raises(Conflict):
                self.do(space, RenameEntity(old, new))
        else:
            self.do(space, RenameEntity(old, new))
            if old != new:
                model.mine(number).name = new
        self.compare()

    @rule(space=spaces, name=names, tag=st.sampled_from("xy"), on=st.booleans())
    def tags(self, space: str, name: str, tag: str, on: bool) -> None:
        number = self.models[space].named(name)
        if number is None:
            return
        self.do(space, Tag([name], [tag]) if on else Untag([name], [tag]))
        if (tag in self.models[space].things()[number].tags) != on:
            thing = self.models[space].mine(number)
            thing.tags = thing.tags | {tag} if on else thing.tags - {tag}
        self.compare()

    @rule(space=spaces, from_=names, to=names, on=st.booleans())
    def relates(self, space: str, from_: str, to: str, on: bool) -> None:
        model = self.models[space]
        ends = (model.named(from_), model.named(to))
        if ends[0] is None or ends[1] is None:
            return
        given = [RelationInput(from_, to, "likes")]
        self.do(space, CreateRelations(given) if on else DeleteRelations(given))
        if model.related().get((ends[0], ends[1]), False) != on:
            model.edges[ends[0], ends[1]] = on
        self.compare()

    def compare(self) -> None:
        self.run(self._compare())

    async def _compare(self) -> None:
        for space, model in self.models.items():
            place, living = self.world.place(space), model.living()
            assert await place.listed(limit=2) == [living[number].name for number in sorted(living)]
            for name in NAMES:
                found, number = await place.entity(name), model.named(name)
                assert (found.id if found else None) == number
            for number, thing in living.items():
                found = await place.entity(number)
                assert found is not None
                assert (found.name, found.observations, set(found.tags)) == (thing.name, thing.says, thing.tags)
            for tag in "xy":
                assert sorted(await place.listed(tags=[tag])) == sorted(
                    thing.name for thing in living.values() if tag in thing.tags
                )
            for token in (f"token{self.token}", f"token{self.token // 2 + 1}"):
                assert await place.found(token) == [thing.name for thing in living.values() if token in thing.says]
            assert await place.related() == model.graph()

    def teardown(self) -> None:
        self.run(self.world.sound())
        self.run(self.world.engine.close())
        self.runner.close()
        shutil.rmtree(self.folder)


make_world: Any = None


def test_a_store_agrees_with_its_model(new_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "make_world", new_world)
    # `derandomize`: every run tries the same changes.
    chosen = settings(
        max_examples=15,
        stateful_step_count=25,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=chosen)
