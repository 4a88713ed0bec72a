"""Where a database has an index of its own over a model's vectors, it finds what is near as memory does, filters and all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from enhanced_memory.client import Settings  # noqa: E402
from enhanced_memory.client.operations.streams import AppendMessages  # noqa: E402
from enhanced_memory.client.values import MessageInput  # noqa: E402
from enhanced_memory.daemon.embedding.asked import Asked  # noqa: E402
from enhanced_memory.daemon.embedding.index import Index  # noqa: E402
from enhanced_memory.daemon.embedding.loading import Loader  # noqa: E402
from enhanced_memory.daemon.embedding.service import Embedding  # noqa: E402
from enhanced_memory.daemon.store.postgres import nearest  # noqa: E402
from enhanced_memory.daemon.store.postgres.engine import PostgresEngine  # noqa: E402

from ..conftest import until  # noqa: E402
from .conftest import Databases, Place, World  # noqa: E402

pytestmark = pytest.mark.postgres

DIMENSION = 24
chance = np.random.default_rng(7)


def vector() -> list[float]:
    return [float(one) for one in chance.normal(size=DIMENSION)]


@pytest.fixture
async def world(settings: Settings, databases: Databases, clock: Any) -> AsyncIterator[World]:
    stored = replace(settings, store=databases.url("near"), vectors_indexed_from=100)
    made = World(await PostgresEngine.open(stored, clock), clock)
    yield made
    await made.engine.close()
    with databases.connect(stored.store) as connection:
        connection.execute("DELETE FROM models")
        nearest.drop_unused(connection)


def made_by_itself(engine: Any, databases: Databases, model: int, dimension: int) -> None:
    """Wait for the index that a daemon which embeds has begun to make; for another one, make it."""
    if engine._indexing.builder is not None:
        engine._indexing.builder.join(30)
    with databases.connect(engine.settings.store) as connection:
        assert nearest.build(connection, model, dimension, lambda: False)
        assert nearest.ready(connection, model)


async def filled(place: Place, count: int, stream: str) -> None:
    said = [MessageInput(f"line {n} of {stream}", vectors={"own": vector()}) for n in range(count)]
    await place.do(AppendMessages(stream, said))


async def test_the_index_answers_as_memory_does(world: World, databases: Databases) -> None:
    await filled(world.default, 150, "talk")
    await filled(world.default, 30, "other")
    small = world.place("small")
    await filled(small, 5, "their")
    engine = world.engine
    loader = Loader(engine, 1 << 20)
    model = (await world.default.read(lambda tx: tx.vectors.models()))[0]
    assert (model.name, model.dimension) == ("own", DIMENSION)
    in_memory = await loader.loaded(model)
    assert not in_memory.stored
    made_by_itself(engine, databases, model.id, model.dimension)
    stored = await loader.loaded(model)
    assert (stored.stored, len(stored), len(stored.of_messages)) == (True, 185, 185)

    async def found(place: Place, index: Index, asked: Any, **more: Any) -> list[tuple[int, float]]:
        return await place.read(lambda tx: Asked(asked, index, lambda: None).nearest(tx, 10, True, **more))

    stream = (await world.rows("SELECT id FROM entities ORDER BY id DESC LIMIT 1 OFFSET 1"))[0][0]
    for _ in range(5):
        asked = np.array(vector(), np.float32)
        asked /= np.linalg.norm(asked)
        for place, more in ((world.default, {}), (small, {}), (world.default, {"stream": stream})):
            exact, near = await found(place, in_memory, asked, **more), await found(place, stored, asked, **more)
            assert len(exact) in (5, 10)
            # The store compares with the question as int8: of two that are alike, either may be the nearer.
            assert len({one[0] for one in near} & {one[0] for one in exact}) >= len(exact) - 1
            assert [one[1] for one in near] == pytest.approx([one[1] for one in exact], abs=0.01)


async def test_the_index_is_what_the_server_uses(world: World, databases: Databases) -> None:
    await filled(world.default, 120, "talk")
    model = (await world.default.read(lambda tx: tx.vectors.models()))[0]
    with databases.connect(world.engine.settings.store) as connection:
        nearest.build(connection, model.id, model.dimension, lambda: False)
        said: list[str] = []

        class Explained:
            def say(self, text: str) -> None:
                connection.execute(text.replace(", true)", ", false)").encode())  # there is no transaction

            def plain(self, text: str, **values: Any) -> list[Any]:
                if "LATERAL" not in text:
                    text = text.replace(":query::halfvec", f"'{[1] * DIMENSION}'::halfvec").replace(":limit", "10")
                    text = text.replace(":spaces::bigint[]", "'{1}'")
                    said.extend(row[0] for row in connection.execute(f"EXPLAIN {text}".encode()))
                return [(1, 1.0)] * 10

        nearest.nearest(Explained(), model.id, model.dimension, b"", 10, "[1]", True, 0)
    assert any(f"near_{model.id}_1" in line for line in said), "\n".join(said)


async def test_what_ended_is_not_found(world: World, databases: Databases) -> None:
    await filled(world.default, 110, "talk")
    model = (await world.default.read(lambda tx: tx.vectors.models()))[0]
    with databases.connect(world.engine.settings.store) as connection:
        nearest.build(connection, model.id, model.dimension, lambda: False)
    (stream,) = (await world.rows("SELECT id FROM entities WHERE deleted = 0"))[0]
    (ids,) = [[row[0] for row in await world.rows("SELECT id FROM messages ORDER BY id LIMIT 100")]]
    await world.default.write(lambda tx: tx.streams.withdraw(stream, ids))
    stored = await Loader(world.engine, 1 << 20).loaded(model)
    assert not stored.stored, "few are compared in memory again"
    asked = np.array(vector(), np.float32)
    near = await world.default.read(
        lambda tx: tx.vectors.near(model.id, DIMENSION, (asked * 50).astype(np.int8).tobytes(), 50, tx.view, True, 0)
    )
    assert len(near) == 10


async def test_a_model_that_comes_to_have_many_vectors_is_handed_to_the_server_while_the_daemon_runs(
    settings: Settings, databases: Databases, clock: Any
) -> None:
    stored = replace(settings, store=databases.url("near"), vectors_indexed_from=20, embedder="static")
    world = World(await PostgresEngine.open(stored, clock), clock)
    embedding = Embedding(world.engine, stored)
    embedding.start()
    try:
        for number in range(15):  # a vector each
            await world.default.create(f"thing {number}", f"rope and shelf {number}")
        await until(lambda: embedding.index is not None and len(embedding.index) == 15, 30)
        assert embedding.index is not None
        assert not embedding.index.stored
        for number in range(15, 30):
            await world.default.create(f"thing {number}", f"rope and shelf {number}")
        await until(lambda: embedding.index is not None and embedding.index.stored, 60)
        asked, _ = await embedding.ask("rope")
        assert asked is not None
        assert await world.default.read(lambda tx: asked.nearest(tx, 5, False))
    finally:
        await embedding.stop()
        await world.engine.close()
        with databases.connect(stored.store) as connection:
            connection.execute("DELETE FROM models")
            nearest.drop_unused(connection)
