"""A model that could not be loaded, or asked, for want of memory: tried again, later and later, until it answers."""

from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.embedding import here, service
from enhanced_memory.daemon.embedding.service import Embedding
from enhanced_memory.daemon.embedding.static import StaticEmbedder
from enhanced_memory.daemon.embedding.telling import meaning
from enhanced_memory.daemon.handlers import HANDLERS
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

from ..conftest import until


async def write(engine: SqliteEngine, name: str) -> None:
    ask = CreateEntities([EntityInput(name, "t", ["it mends bicycles"])])
    await engine.write(
        lambda tx: HANDLERS[ask.op](tx, ask), Call(Peer(client="test", user="tester", greeted=True), ask)
    )


def ready(embedding: Embedding, vectors: int) -> bool:
    told = meaning(embedding)
    return (told.state, told.vectors, told.backlog, told.problem) == ("ready", vectors, 0, "")


async def test_one_that_could_not_be_loaded_is_tried_again_though_nothing_is_written(
    engine: SqliteEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(engine, "first")
    first = Embedding(engine, settings)
    first.start()
    await until(lambda: ready(first, 1))
    await first.stop()  # every passage has its vector: nothing waits for the next one

    lacking, pauses = [MemoryError(), ImportError("libopenblas.so: failed to map segment")], list[float]()
    load = here._loaded

    def loaded(dimension: int) -> Any:
        if lacking:
            raise lacking.pop(0)
        return load(dimension)

    def again_in(embedding: Embedding, pause_s: float) -> None:
        pauses.append(pause_s)
        embedding.backlog.woken.set()

    monkeypatch.setattr(here, "_loaded", loaded)
    monkeypatch.setattr(Embedding, "_again_in", again_in)
    second = Embedding(engine, settings)
    second.start()
    try:
        await until(lambda: ready(second, 1))
        assert pauses == [service.FIRST_AGAIN_S, 2 * service.FIRST_AGAIN_S]
        asked, why = await second.ask("bicycles")
        assert (asked is not None, why) == (True, "")
    finally:
        await second.stop()


async def test_one_that_fails_at_its_work_goes_on_with_what_was_left(
    engine: SqliteEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = Embedding(engine, settings)
    embed, failures = StaticEmbedder.embed, [3]

    def embedded(self: StaticEmbedder, texts: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise MemoryError
        return embed(self, texts)

    monkeypatch.setattr(service, "FIRST_AGAIN_S", 0.01)
    monkeypatch.setattr(StaticEmbedder, "embed", embedded)
    embedding.start()
    try:
        await write(engine, "one")
        await until(lambda: embedding.problem)
        assert meaning(embedding).state == "failing"
        assert "keywords only" in (await embedding.ask("bicycles"))[1]
        await until(lambda: ready(embedding, 1))
        assert embedding._failures == 0
    finally:
        await embedding.stop()


def test_a_pause_doubles_and_has_a_bound(settings: Settings, home: Path) -> None:
    embedding = Embedding.__new__(Embedding)
    embedding._failures = 0
    pauses = [embedding._pause_s() for _ in range(2000)]
    assert pauses[:6] == [1, 2, 4, 8, 16, 30]
    assert set(pauses[5:]) == {service.AGAIN_S}
