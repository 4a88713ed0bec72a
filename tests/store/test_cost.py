"""What an operation costs goes by what it changes, not by what else hangs on the entities that it touches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest
from msgspec.structs import replace

from enhanced_memory.client.operations.branches import DiffBranch, MergeBranch
from enhanced_memory.client.operations.entities import (
    AddObservations,
    CreateEntities,
    ListEntities,
    ObservationsInput,
    RenameEntity,
    UpdateEntity,
)
from enhanced_memory.client.operations.journal import Redo, Undo
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.operations.search import GetContext
from enhanced_memory.client.operations.sessions import ListSessions
from enhanced_memory.client.operations.versions import MemoryRevert
from enhanced_memory.client.values import EntityInput, RelationInput
from enhanced_memory.daemon.handlers.comparing import entity_diff
from enhanced_memory.daemon.store import Tx, known
from enhanced_memory.daemon.store.bodies import Codec, Noted, State
from enhanced_memory.daemon.store.branches import Branches
from enhanced_memory.daemon.store.known import Known, Stored
from enhanced_memory.daemon.store.relations import Relations

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, where: type, name: str) -> Iterator[list[Any]]:
    """What a method answered each time that it was called meanwhile."""
    answers: list[Any] = []
    method = getattr(where, name)

    def noted(*given: Any, **named: Any) -> Any:
        answers.append(method(*given, **named))
        return answers[-1]

    with monkeypatch.context() as patched:
        patched.setattr(where, name, noted)
        yield answers


async def spokes(place: Place, count: int, type: str = "knows", begin: int = 0) -> list[RelationInput]:
    """Entities that are related to a hub; the relations."""
    names = [f"n{number}" for number in range(begin, begin + count)]
    await place.do(CreateEntities([EntityInput(name, "thing") for name in names]))
    asked = [RelationInput("hub", name, type) for name in names]
    await place.do(CreateRelations(asked))
    return asked


@pytest.mark.parametrize("kind", ["overlay", "branch"])
async def test_a_relation_of_a_hub_is_compared_without_reading_the_others(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Each was first changed by another change, and is compared with what stood before that one."""
    changes = 6
    await default.create("hub")
    read: list[int] = []
    for others in (20, 80):
        await spokes(default, others, begin=10 * others)
        over = await (world.overlay(f"o{others}") if kind == "overlay" else world.branch(f"o{others}"))
        for number in range(changes):
            await over.relate("hub", f"since {others}", f"n{10 * others + number}")
        with counted(monkeypatch, Relations, "_edge") as edges:
            shown = await over.do(DiffBranch())
            merged = await default.do(MergeBranch(f"o{others}", into="default"))
        assert [one.action for one in shown.relations] == ["added"] * changes
        assert merged.relations_added == changes
        read.append(len(edges))
    assert read[0] == read[1]
    await world.sound()


@pytest.mark.parametrize("against", ["pin", "now"])
async def test_a_page_of_a_diff_compares_the_relations_that_it_shows(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch, against: Literal["pin", "now"]
) -> None:
    await default.create("hub")
    asked: list[int] = []
    for count in (20, 80):
        branch = await world.branch(f"b{count}")
        await spokes(branch, count, begin=10 * count)
        # Behind the entities' differences: where a page can only be of relations.
        first = await branch.do(DiffBranch(against=against, limit=count))
        assert len(first.entities) == count
        cursor, told = first.cursor, [one.to for one in first.relations]
        while cursor is not None:
            with counted(monkeypatch, Relations, "find") as looked:
                page = await branch.do(DiffBranch(against=against, limit=5, cursor=cursor))
            assert len(page.relations) <= 5
            told += [one.to for one in page.relations]
            cursor = page.cursor
            asked.append(len(looked))
        assert told == [f"n{number}" for number in range(10 * count, 11 * count)]
    assert max(asked) <= 2 * 6
    await world.sound()


async def test_a_relation_is_told_once_whatever_its_ends_were_called_and_however_long_the_pages_are(
    default: Place, world: World
) -> None:
    for name in ("Ada", "Bob"):
        await default.create(name)
    branch = await world.branch("b")
    for type in ("knows", "likes"):
        await branch.relate("Ada", type, "ghost")
    await branch.relate("ghost", "haunts", "Bob")
    await branch.create("ghost")  # what named it is its own now
    await branch.do(DeleteRelations([RelationInput("Ada", "ghost", "knows")]))
    await branch.relate("Ada", "knows", "ghost")  # under another id
    await branch.relate("Ada", "minds", "Bob")
    await branch.do(DeleteRelations([RelationInput("Ada", "Bob", "minds")]))
    await branch.relate("Bob", "hears", "ghost")
    for limit in (1, 2, 3, 100):
        told: list[tuple[str, str, str, str]] = []
        cursor: str | None = None
        while True:
            page = await branch.do(DiffBranch(limit=limit, cursor=cursor))
            told += [(one.action, one.from_, one.type, one.to) for one in page.relations]
            cursor = page.cursor
            if cursor is None:
                break
        assert told == [
            ("added", "Ada", "knows", "ghost"),
            ("added", "Ada", "likes", "ghost"),
            ("added", "ghost", "haunts", "Bob"),
            ("added", "Bob", "hears", "ghost"),
        ]
    await world.sound()


async def changed_since(world: World, name: str, count: int) -> Place:
    """A branch whose parent has changed so many entities since; one in ten of them is a session, one in twenty pinned."""
    names = [f"{name} {number:03}" for number in range(count)]
    made = [
        EntityInput(
            one, "thing" if number % 10 else "session", priority=number % 10 + 1, properties={"rank": number * 7 % count},
            always_include=number % 20 == 0,
        )
        for number, one in enumerate(names)
    ]  # fmt: skip
    ids = [one.id for one in (await world.default.do(CreateEntities(made))).results]
    branch = await world.branch(name)
    await world.default.do(AddObservations([ObservationsInput(one, ["changed"]) for one in ids]))
    return branch


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("order", ["id", "name", "updated", "property:rank"])
async def test_a_page_in_any_order_that_is_written_down_opens_what_it_shows(
    world: World, monkeypatch: pytest.MonkeyPatch, order: str, descending: bool
) -> None:
    monkeypatch.setattr(known, "CHUNK", 6)
    branch = await changed_since(world, "b", 60)
    cursor: str | None = None
    while True:
        with counted(monkeypatch, Known, "_back") as opened:
            page = await branch.do(ListEntities(order_by=order, descending=descending, limit=5, cursor=cursor))
        assert len(opened) <= 2 * 6
        cursor = page.cursor
        if cursor is None:
            break


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (ListSessions(order_by="created", limit=50), 6),
        (ListSessions(status="open", limit=50), 6),
        (ListEntities(types=["session"], order_by="priority", limit=50), 6),
        (GetContext(""), 3),
    ],
    ids=["sessions", "open sessions", "of a type", "context"],
)
async def test_what_cannot_be_meant_is_not_opened(
    world: World, monkeypatch: pytest.MonkeyPatch, ask: Any, told: int
) -> None:
    branch = await changed_since(world, "b", 60)
    with counted(monkeypatch, Known, "_back") as opened:
        found = await branch.do(ask)
    of = next(getattr(found, name) for name in ("sessions", "entities", "items") if hasattr(found, name))
    assert len(of) == told
    assert len(opened) == told


@pytest.mark.parametrize("order", ["id", "name", "updated", "priority", "property:rank"])
async def test_where_little_has_changed_since_it_is_found_without_going_through_the_rest(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr(known, "CHUNK", 6)
    names = [f"n{number:02}" for number in range(30)]
    made = [EntityInput(name, "thing", properties={"rank": number}) for number, name in enumerate(names)]
    await default.do(CreateEntities(made))
    branch = await world.branch("b")
    await default.do(AddObservations([ObservationsInput(name, ["changed"]) for name in names[::6]]))
    asked: list[str] = []
    rows: Any = await default.write(lambda tx: type(tx.rows))
    every = rows.all

    def noted(self: Any, name: str, /, *also: Any, **values: Any) -> Any:
        asked.append(name)
        return every(self, name, *also, **values)

    monkeypatch.setattr(rows, "all", noted)
    for descending in (False, True):
        assert await branch.listed(order_by=order, limit=7, descending=descending) == names[:: -1 if descending else 1]
    assert [name for name in dict.fromkeys(asked) if name.startswith("changed_")] == ["changed_few"]


async def test_what_many_entities_said_is_asked_for_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    for count in (10, 100):
        branch = await changed_since(world, f"b{count}", count)
        ids = [one.id for one in (await branch.do(ListEntities(limit=1000))).entities]

        def read(tx: Tx, ids: list[int] = ids) -> dict[int, Stored]:
            with counted(monkeypatch, type(tx.rows), "all") as rows, counted(monkeypatch, type(tx.rows), "one") as ones:
                found = tx.entities.many(ids)
            asked.append(len(rows) + len(ones))
            return found

        assert all(not one.state.observations for one in list((await branch.read(read)).values())[-count:])
    assert asked[0] == asked[1]


HEAVY = "what makes the hub heavy"


@contextmanager
def openings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What was unpacked of the hub meanwhile."""
    found: list[bytes] = []
    with counted(monkeypatch, Codec, "plain") as bodies:
        yield found
    found += [body for body in bodies if HEAVY.encode() in body]


async def test_an_undo_opens_a_hub_the_same_number_of_times_for_any_of_its_relations(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await default.create("hub", HEAVY)
    opened: list[list[int]] = []
    for count in (3, 30):
        await spokes(default, count, begin=10 * count)
        before = await default.related()
        opened.append([])
        for ask, left in ((Undo(), count), (Undo(dry_run=False), 0), (Redo(), 0), (Redo(dry_run=False), count)):
            with openings(monkeypatch) as bodies:
                done = await default.do(ask)
            assert len(done.effects) == count
            assert {effect.name for effect in done.effects} == {
                f"hub knows n{number}" for number in range(10 * count, 11 * count)
            }
            assert len(await default.related()) == len(before) - count + left
            opened[-1].append(len(bodies))
    assert opened[0] == opened[1]
    await world.sound()


async def test_a_merge_opens_a_hub_the_same_number_of_times_for_any_of_its_relations(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await default.create("hub", HEAVY)
    opened: list[list[int]] = []
    for count in (3, 30):
        asked = await spokes(default, count, begin=10 * count)
        branch = await world.branch(f"b{count}")
        await branch.do(CreateRelations([replace(one, type="since") for one in asked]))
        for place, strength in ((branch, 0.25), (default, 0.75)):
            await place.do(DeleteRelations(asked))
            await place.do(CreateRelations([replace(one, strength=strength) for one in asked]))
        opened.append([])
        for strategy in ("report", "theirs"):
            with openings(monkeypatch) as bodies:
                merged = await default.do(MergeBranch(f"b{count}", strategy=strategy))  # type: ignore[arg-type]
            assert {(one.name, one.ours["from"]) for one in merged.conflicts} == {("hub", "hub")}
            assert len(merged.conflicts) == count
            opened[-1].append(len(bodies))
        assert merged.open == 0
    assert opened[0] == opened[1]
    assert len(await default.related()) == 66
    await world.sound()


async def test_a_revert_opens_a_hub_the_same_number_of_times_for_any_of_its_relations(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = await default.create("hub", HEAVY)
    opened: list[int] = []
    for count in (3, 30):
        asked = await spokes(default, count, begin=10 * count)
        before = await default.related()
        await default.do(UpdateEntity(hub, priority=count // 10 + 1))
        version = (await default.history(hub))[1].version
        await default.do(DeleteRelations(asked))
        with openings(monkeypatch) as bodies:
            await default.do(MemoryRevert(hub, version, relations=True))
        assert await default.related() == before
        opened.append(len(bodies))
    assert opened[0] == opened[1]
    await world.sound()


async def test_what_was_left_open_is_gone_through_once_however_much_it_is(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counted(dict[Any, Any]):
        """What was noted, and how often all of it was asked for."""

        walks = 0

        def items(self) -> Any:
            Counted.walks += 1
            return super().items()

    noted = Branches.noted
    monkeypatch.setattr(Branches, "noted", lambda *given: Counted(noted(*given)))
    walks: list[int] = []
    for count in (2, 20):
        names = [f"e{count}-{number}" for number in range(count)]
        await default.do(CreateEntities([EntityInput(name, "thing") for name in names]))
        branch = await world.branch(f"b{count}")
        for place, priority in ((branch, 8), (default, 2)):
            for name in names:
                await place.do(UpdateEntity(name, priority=priority, properties={"of": priority}))
        assert (await default.do(MergeBranch(f"b{count}"))).open == 2 * count
        Counted.walks = 0
        merged = await default.do(MergeBranch(f"b{count}"))
        assert {(one.part, one.base, one.ours, one.theirs) for one in merged.conflicts} == {
            ("priority", 5, 2, 8),
            ("property:of", None, 2, 8),
        }
        assert merged.open == 2 * count
        walks.append(Counted.walks)
    assert walks[0] == walks[1]
    await world.sound()


@pytest.mark.parametrize("what", ["taken", "taken in a row", "in a row", "in rings"])
async def test_each_new_name_is_looked_up_a_few_times_however_many_there_are(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    asked: list[int] = []
    for count in (6, 60):
        names = [f"e{count}-{number}" for number in range(count)]
        new = {
            "taken": [f"new {name}" for name in names],
            "taken in a row": [*names[1:], f"new {count}"],
            "in a row": [*names[1:], f"new {count}"],
            "in rings": [names[number ^ 1] for number in range(count)],
        }[what]
        await default.do(CreateEntities([EntityInput(name, "thing", [f"was {name}"]) for name in names]))
        branch = await world.branch(f"b{count}")
        for name in names:
            await branch.do(RenameEntity(name, f"aside {name}"))
        for name, then in zip(names, new, strict=True):
            await branch.do(RenameEntity(f"aside {name}", then))
        taken = what.startswith("taken")
        if taken:
            await default.do(CreateEntities([EntityInput(name, "thing") for name in new if name not in names]))
        with counted(monkeypatch, Known, "named") as looked:
            merged = await default.do(MergeBranch(f"b{count}", limit=100))
        assert merged.open == count * taken
        assert merged.updated == count * (not taken)
        kept = names if taken else new
        assert [await default.says(name) for name in kept] == [[f"was {name}"] for name in names]
        asked.append(len(looked))
    assert asked[1] < 12 * asked[0]
    await world.sound()


def test_observations_are_compared_by_looking_them_up() -> None:
    class Text(str):
        """A text that counts how often it is compared."""

        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Text.compared += 1
            return str.__eq__(self, other)

    def stored(texts: list[str]) -> Stored:
        state = State("Ada", "thing", [Noted(place, 1, Text(text)) for place, text in enumerate(texts)])
        return Stored(1, 1, "", 1, 1, 1, False, 0, 0, 0, b"", state, 0, 0, 0, 0)

    count = 300
    same = [f"said {number}" for number in range(count)]
    told = entity_diff(stored(["twice", "old", "twice", *same]), stored([*reversed(same), "new", "twice", "newer"]))
    assert told is not None
    assert (told.observations_added, told.observations_removed) == (["new", "newer"], ["old", "twice"])
    assert Text.compared < 10 * count
