"""The conformance suite's ground: an engine of each kind, and people who work in its spaces.

Every law is tried on each of `ENGINES`. What only one engine has (its file, say) is tested in a file that names it, or marked
`engines("sqlite")`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec
import psutil
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

from ..conftest import ENGINES

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


class Databases:
    """The databases of one worker: one for each store that a test names. They are made once, and emptied for the test that comes."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.named: dict[str, str] = {}
        """By the test's name for it."""
        self.made: list[str] = []
        self.unused: list[str] = []

    def begin(self) -> None:
        """Let a test begin, which has named none of them yet."""
        self.named.clear()
        self.unused = list(self.made)

    def free(self, store: str) -> None:
        """Give up the store that a test calls `store`."""
        self.unused.append(self.named.pop(store))

    def url(self, store: str) -> str:
        """Where the store that a test calls `store` is."""
        if store not in self.named:
            if self.unused:
                self.named[store] = self.unused.pop()
                self._empty(self.named[store])
            else:
                self.named[store] = self._make(len(self.made))
                self.made.append(self.named[store])
        return self.named[store]

    def connect(self, url: str) -> Any:
        """A connection that sees the store's tables."""
        import psycopg

        return psycopg.connect(url, autocommit=True, options="-c search_path=enhanced_memory,public")

    def _make(self, place: int) -> str:
        name = f"{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}_{place}"
        with self.connect(self.server) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.server.replace("/postgres?", f"/{name}?")

    def _empty(self, url: str) -> None:
        """As a store is when it was just made. Deleting is quicker here than truncating: tests write little."""
        with self.connect(url) as connection:
            _left_alone(connection)
            tables = [
                row[0]
                for row in connection.execute(
                    "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                    "WHERE nspname = 'enhanced_memory' AND relkind IN ('r', 'p') AND NOT relispartition"
                )
            ]
            if not tables:
                return
            connection.execute(
                "; ".join(
                    ["DROP TABLE IF EXISTS words_next"]
                    + [f"DELETE FROM {table}" for table in tables if table not in ("meta", "words_next")]
                    + ["DELETE FROM meta WHERE key NOT IN ('schema', 'store_id', 'made_at')"]
                    + [
                        "INSERT INTO spaces (id, name, began) VALUES (1, 'default', 0)",
                        "INSERT INTO numbers (id) VALUES (1)",
                    ]
                )
            )


def _left_alone(connection: Any) -> None:
    """End the daemons that a test before has left behind in a database: they would keep house in another test's store."""
    theirs = connection.execute(
        "SELECT split_part(split_part(application_name, ' ', 2), '@', 1)::int FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name ~ '^enhanced-memory [0-9]+@'"
    ).fetchall()
    for (pid,) in theirs:
        if pid == os.getpid():
            continue
        with suppress(psutil.NoSuchProcess):
            daemon = psutil.Process(pid)
            daemon.terminate()
            daemon.wait(60)


@pytest.fixture(scope="session")
def _databases(postgres: str) -> Databases:
    return Databases(postgres)


@pytest.fixture
def databases(_databases: Databases) -> Databases:
    """This worker's databases, none of them named by the test yet."""
    _databases.begin()
    return _databases


def opener(kind: str, request: pytest.FixtureRequest, once: bool = False) -> Open:
    """What opens an engine of a kind on the store that the settings name, which is empty the first time.

    A store that is opened `once` is given up with its engine: its database may be the next one's.
    """
    if kind == "sqlite":
        return sqlite
    databases: Databases = request.getfixturevalue("databases")

    async def postgres(settings: Settings, clock: Callable[[], int]) -> Engine:
        from enhanced_memory.daemon.store.postgres.engine import PostgresEngine

        store = settings.store if settings.database else databases.url(str(settings.store_path))
        made = await PostgresEngine.open(replace(settings, store=store), clock)
        if once:
            close = made.close

            async def closed() -> None:
                await close()
                databases.free(str(settings.store_path))

            made.close = closed
        return made

    return postgres


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
    left: bool = False

    def __post_init__(self) -> None:
        self.default = self.place("default")

    async def leave(self) -> None:
        """End the engine, as a daemon does that ends; once."""
        if not self.left:
            self.left = True
            await self.engine.close()

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
        return self.spoil(sql, *values)

    def spoil(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Change the store behind the engine's back."""
        if isinstance(self.engine, SqliteEngine):
            file = apsw.Connection(self.engine.path)
            file.set_busy_timeout(5000)
            try:
                return list(file.execute(sql, values))
            finally:
                file.close()
        import psycopg

        with psycopg.connect(
            self.engine.path, options="-c search_path=enhanced_memory,public", autocommit=True
        ) as connection:
            cursor = connection.execute(sql.replace("?", "%s"), values)
            return cursor.fetchall() if cursor.description else []

    async def vectors(self) -> list[tuple[int, int]]:
        """The passage and the model of every vector."""
        packed = isinstance(self.engine, SqliteEngine)
        return await self.rows(
            f"SELECT {'key >> 6, key & 63' if packed else 'passage, model'} FROM vectors ORDER BY 1, 2"
        )

    async def sound(self) -> None:
        """Nothing in the store contradicts anything else in it."""
        health = await self.engine.check(quick=False)
        assert health.problems == []


@pytest.fixture
def settings(home: Path) -> Settings:
    """One reader is enough here, and nothing need outlive a power cut."""
    return Settings.load({"readers": 1, "synchronous": "NORMAL"})


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, settings: Settings, clock: Any) -> AsyncIterator[Engine]:
    """An engine on an empty store."""
    made = await opener(request.param, request)(settings, clock)
    yield made
    await made.close()


Reopen = Callable[[], AbstractAsyncContextManager[World]]


@pytest.fixture(params=ENGINES)
def reopen(request: pytest.FixtureRequest, settings: Settings, clock: Any) -> Reopen:
    """Opens this test's store, as often as it likes."""

    open_ = opener(request.param, request)

    @asynccontextmanager
    async def opened() -> AsyncIterator[World]:
        made = await open_(settings, clock)
        try:
            yield World(made, clock)
        finally:
            await made.close()

    return opened


@pytest.fixture(params=ENGINES)
def new_world(request: pytest.FixtureRequest, clock: Any) -> Callable[[Settings], Awaitable[World]]:
    """Makes a store wherever it is told to."""

    open_ = opener(request.param, request, once=True)

    async def made(settings: Settings) -> World:
        return World(await open_(settings, clock), clock)

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


Daemon = Callable[[], Awaitable[World]]


@pytest.fixture
async def daemon(stored: Settings, clock: Any) -> AsyncIterator[Daemon]:
    """Opens one more engine on the database that a test's `stored` settings name, as another daemon would."""
    from enhanced_memory.daemon.store.postgres.engine import PostgresEngine

    made: list[World] = []

    async def opened() -> World:
        made.append(World(await PostgresEngine.open(stored, clock), clock))
        return made[-1]

    yield opened
    for world in made:
        await world.leave()
