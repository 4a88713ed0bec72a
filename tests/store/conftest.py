"""The conformance suite's ground: an engine of each kind, and people who work in its spaces.

Another engine is one more row in `ENGINES`; what only one engine has (its files, say) is tested in a file that names it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec
import pytest

from enhanced_memory.client.operations.branches import MemoryBranch
from enhanced_memory.client.operations.entities import (
    AddObservations,
    CreateEntities,
    DeleteEntities,
    ListEntities,
    ObservationsInput,
    OpenNodes,
)
from enhanced_memory.client.operations.relations import CreateRelations, ReadGraph
from enhanced_memory.client.operations.search import SearchMessages, SearchNodes
from enhanced_memory.client.operations.service import Ping
from enhanced_memory.client.operations.spaces import CreateSpace
from enhanced_memory.client.operations.streams import AppendMessages, RecentMessages
from enhanced_memory.client.operations.versions import MemoryHistory
from enhanced_memory.client.request import HANDLERS, Change, Request, answer_type
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import Entity, EntityInput, MessageInput, RelationInput, Version
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.dispatch import answer_from
from enhanced_memory.daemon.store import Engine, Tx
from enhanced_memory.daemon.store.sqlite import file
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

A = TypeVar("A")

assert handlers.__all__  # importing the chapters registers them

Open = Callable[[Settings, Callable[[], int]], Awaitable[Engine]]

_fresh: list[bytes] = []


async def sqlite(settings: Settings, clock: Callable[[], int]) -> Engine:
    """The SQLite engine. An empty store is copied from the first one that was made: that takes half the time."""
    path = settings.store_path
    if not path.exists():
        if not _fresh:
            file.open_store(path, "NORMAL").close()
            _fresh.append(path.read_bytes())
        path.write_bytes(_fresh[0])
    return await SqliteEngine.open(settings, clock)


ENGINES: dict[str, Open] = {"sqlite": sqlite}
"""How each engine is opened on the store that the settings name, which is empty the first time."""


@dataclass
class Place:
    """Somebody who works in one space."""

    world: World
    peer: dict[str, Any]

    def call(self, ask: Request[Any] | None = None, **more: Any) -> Call:
        """A call as the daemon makes it for a request on this connection."""
        return Call(Peer(**{"client": "test", "user": "tester", "greeted": True} | self.peer), ask or Ping(), **more)

    async def do(self, ask: Request[A], as_of: int | None = None, **more: Any) -> A:
        """Ask, and get the handler's answer. A question may be put to the past: `as_of` is the last change that it sees."""
        handler = HANDLERS[ask.op]
        if isinstance(ask, Change):
            self.world.clock.ms += 1000
            return await self.world.engine.write(lambda tx: handler(tx, ask), self.call(ask, **more))
        return await self.read(lambda tx: handler(tx, ask), as_of)

    async def keyed(self, ask: Request[A], key: str, **more: Any) -> A:
        """Ask under a key, as clients do that may ask twice."""
        told = await answer_from(self.world.engine, {})(self.call(ask, key=key, **more))
        return msgspec.convert(told, answer_type(type(ask)))

    async def write(self, work: Callable[[Tx], A], ask: Request[Any] | None = None) -> A:
        """Run `work` as one change."""
        self.world.clock.ms += 1000
        return await self.world.engine.write(work, self.call(ask))

    async def read(self, work: Callable[[Tx], A], as_of: int | None = None) -> A:
        """Run `work` as one question, in the view as it was after change `as_of`."""

        def seen(tx: Tx) -> A:
            if as_of is not None:
                tx._view = tx.view.until(as_of)
            return work(tx)

        return await self.world.engine.read(seen, self.call())

    # Shorthand for what nearly every test says

    async def create(
        self, name: str, *observations: str, type: str = "thing", on_existing: Any = "merge", **more: Any
    ) -> int:
        """Create (or add to) one entity; its id."""
        made = await self.do(
            CreateEntities([EntityInput(name, type, list(observations), **more)], on_existing=on_existing)
        )
        return made.results[0].id

    async def add(self, ref: int | str, *texts: str) -> None:
        """Add observations to an entity."""
        await self.do(AddObservations([ObservationsInput(ref, list(texts))]))

    async def delete(self, *refs: int | str) -> None:
        """Delete entities."""
        await self.do(DeleteEntities(list(refs)))

    async def relate(self, from_: int | str, type: str, to: int | str) -> None:
        """Relate two entities."""
        await self.do(CreateRelations([RelationInput(from_, to, type)]))

    async def say(self, stream: int | str, *contents: str, **more: Any) -> list[int]:
        """Append messages; their ids."""
        return (await self.do(AppendMessages(stream, [MessageInput(content, **more) for content in contents]))).ids

    async def entity(self, ref: int | str, as_of: int | None = None) -> Entity | None:
        """An entity as it is seen from here."""
        found = (await self.do(OpenNodes([ref]), as_of)).entities
        return found[0] if found else None

    async def says(self, ref: int | str, as_of: int | None = None) -> list[str] | None:
        """An entity's observations; None where there is no such entity."""
        found = await self.entity(ref, as_of)
        return None if found is None else found.observations

    async def listed(self, as_of: int | None = None, **filters: Any) -> list[str]:
        """The names of a listing, all its pages."""
        names: list[str] = []
        cursor: str | None = None
        while True:
            page = await self.do(ListEntities(**filters, cursor=cursor), as_of)
            names += [one.name for one in page.entities]
            cursor = page.cursor
            if cursor is None:
                return names

    async def found(self, query: str, as_of: int | None = None, **filters: Any) -> list[str]:
        """The names that a search finds, best first."""
        return [hit.entity.name for hit in (await self.do(SearchNodes(query, **filters), as_of)).hits]

    async def related(self, as_of: int | None = None) -> set[tuple[str, str, str]]:
        """Every relation as (from, type, to)."""
        edges: list[tuple[str, str, str]] = []
        cursor: str | None = None
        while True:
            page = await self.do(ReadGraph(cursor=cursor), as_of)
            edges += [(edge.from_, edge.type, edge.to) for edge in page.relations]
            cursor = page.cursor
            if cursor is None:
                assert len(edges) == len(set(edges)), f"a relation is told twice: {edges}"
                return set(edges)

    async def heard(self, stream: int | str, as_of: int | None = None) -> list[str]:
        """The last messages of a stream."""
        return [line.content for line in (await self.do(RecentMessages(stream, limit=1000), as_of)).messages]

    async def overheard(self, query: str, as_of: int | None = None) -> list[str]:
        """The messages that a search finds."""
        return [hit.message.content for hit in (await self.do(SearchMessages(query), as_of)).hits]

    async def history(self, ref: int | str, as_of: int | None = None, **more: Any) -> list[Version]:
        """The versions of an entity, newest first."""
        return (await self.do(MemoryHistory(ref, **more), as_of)).versions


@dataclass
class World:
    """A store, and whoever works in it."""

    engine: Engine
    clock: Any
    places: dict[str, Place] = field(default_factory=dict[str, Place])

    def __post_init__(self) -> None:
        self.default = self.place("default")

    def place(self, space: str, **peer: Any) -> Place:
        """Somebody in a space that exists."""
        return Place(self, {"space": space} | peer)

    async def overlay(self, name: str, parent: str = "default") -> Place:
        """Somebody in a new space that reads through to its parent as it is."""
        await self.default.do(CreateSpace(name, parent))
        return self.place(name)

    async def branch(self, name: str, parent: str = "default", pinned: int | None = None, **more: Any) -> Place:
        """Somebody in a new space that sees its parent as it was at a change (now, unless given)."""
        await self.default.do(MemoryBranch(name, parent=parent, at=pinned, **more))
        return self.place(name)

    async def last_change(self) -> int:
        """The newest change's number."""
        return await self.engine.read(lambda tx: tx.log.last_change(), self.default.call())

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the store itself, past everything that the engine does about them."""
        connection = apsw.Connection(self.engine.path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return list(connection.execute(sql, values))
        finally:
            connection.close()

    async def sound(self) -> None:
        """Nothing in the store contradicts anything else in it."""
        health = await self.engine.check(quick=False)
        assert health.problems == []


@pytest.fixture
def settings(home: Path) -> Settings:
    """One reader is enough here, and nothing need outlive a power cut."""
    return Settings.load({"readers": 1, "synchronous": "NORMAL"})


@pytest.fixture(params=list(ENGINES))
async def engine(request: pytest.FixtureRequest, settings: Settings, clock: Any) -> AsyncIterator[Engine]:
    """An engine on an empty store."""
    made = await ENGINES[request.param](settings, clock)
    yield made
    await made.close()


Reopen = Callable[[], AbstractAsyncContextManager[World]]


@pytest.fixture(params=list(ENGINES))
def reopen(request: pytest.FixtureRequest, settings: Settings, clock: Any) -> Reopen:
    """Opens this test's store, as often as it likes."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[World]:
        made = await ENGINES[request.param](settings, clock)
        try:
            yield World(made, clock)
        finally:
            await made.close()

    return opened


@pytest.fixture(params=list(ENGINES))
def new_world(request: pytest.FixtureRequest, clock: Any) -> Callable[[Settings], Awaitable[World]]:
    """Makes a store wherever it is told to."""

    async def made(settings: Settings) -> World:
        return World(await ENGINES[request.param](settings, clock), clock)

    return made


@pytest.fixture
async def world(engine: Engine, clock: Any) -> World:
    """A store with nobody's memories yet."""
    return World(engine, clock)


@pytest.fixture
async def project(world: World) -> Place:
    """Somebody in a space over `default`."""
    return await world.overlay("project")


@pytest.fixture
async def default(world: World) -> Place:
    """Somebody in the space everybody starts in."""
    return world.default
