"""The drill: a backup is restored into a folder of its own and used, which shows that it could be."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.errors import StoreDamaged
from enhanced_memory.client.operations.entities import CreateEntities, ListEntities, OpenNodes
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.backups import Kept
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.restore import unpack
from enhanced_memory.daemon.store.sqlite.sealing import Key

__all__ = ["Drilled", "drill"]

ASKED = 20
"""Entities that are opened by their ids; one of their words is looked for."""


class Step(msgspec.Struct):
    """One thing that a drill tried."""

    what: str
    ok: bool
    says: str
    seconds: float


class Drilled(msgspec.Struct):
    """What a drill found."""

    ok: bool
    backup: str
    made_at: datetime
    steps: list[Step]


def drill(one: Kept, key: Key | None = None, theirs: Key | None = None) -> Drilled:
    """Restore the backup into a folder of its own, open it as a daemon does, and use it: find, open, write, check."""
    steps: list[Step] = []
    with tempfile.TemporaryDirectory(prefix="memory-drill-") as folder:
        store = Path(folder) / "memory.db"
        if _tried(steps, "unpack and check", lambda: _said(unpack(one, store, key, theirs))):
            asyncio.run(_used(store, key, steps))
    return Drilled(all(step.ok for step in steps), str(one.path), one.made_at, steps)


def _said(counts: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in counts.items())


def _tried(steps: list[Step], what: str, work: Callable[[], str]) -> bool:
    began = time.monotonic()
    try:
        says, ok = work(), True
    except Exception as problem:  # whatever goes wrong is what a drill is for
        says, ok = f"{type(problem).__name__}: {problem}", False
    steps.append(Step(what, ok, says, round(time.monotonic() - began, 3)))
    return ok


async def _used(store: Path, key: Key | None, steps: list[Step]) -> None:
    assert handlers.__all__  # importing the chapters registers them
    given = {"store": str(store), "readers": 1, "embedder": "none", "key_file": str(key.path) if key else None}
    settings = Settings.load(given)
    began = time.monotonic()
    engine = await SqliteEngine.open(settings)
    steps.append(Step("open", True, (await engine.usage()).engine, round(time.monotonic() - began, 3)))
    try:
        for what, work in (("find", _found), ("write", _written), ("verify", _verified)):
            began = time.monotonic()
            try:
                says, ok = await work(engine), True
            except Exception as problem:  # see above
                says, ok = f"{type(problem).__name__}: {problem}", False
            steps.append(Step(what, ok, says, round(time.monotonic() - began, 3)))
    finally:
        await engine.close()


def _call(ask: Any) -> Call:
    return Call(Peer(client="drill", greeted=True), ask)


async def _ask(engine: SqliteEngine, ask: Any) -> Any:
    return await engine.read(lambda tx: HANDLERS[ask.op](tx, ask), _call(ask))


async def _found(engine: SqliteEngine) -> str:
    listed = (await _ask(engine, ListEntities(limit=ASKED))).entities
    for entity in listed:
        opened = (await _ask(engine, OpenNodes([entity.id]))).entities
        if [one.name for one in opened] != [entity.name]:
            raise StoreDamaged(f"entity {entity.id} cannot be opened by its id")
    word = next(
        (word for one in listed for text in (one.name, *one.observations) for word in text.split() if len(word) > 3), ""
    )
    hits: list[Any] = (await _ask(engine, SearchNodes(word[:100]))).hits if word else []
    if word and not hits:
        raise StoreDamaged("a word that stands in it is not found")
    return f"{len(listed)} entities opened, {len(hits)} found by a word of theirs"


async def _written(engine: SqliteEngine) -> str:
    ask = CreateEntities([EntityInput(f"drill {time.time_ns()}", "drill", ["written by a drill"])])
    made = await engine.write(lambda tx: HANDLERS[ask.op](tx, ask), _call(ask))
    opened = (await _ask(engine, OpenNodes([made.results[0].id]))).entities
    if [one.observations for one in opened] != [["written by a drill"]]:
        raise StoreDamaged("what was written is not read back")
    return "an entity was written and read back"


async def _verified(engine: SqliteEngine) -> str:
    health = await engine.check(quick=False)
    if health.problems:
        raise StoreDamaged(f"{len(health.problems)} problems: {health.problems[0]}")
    return _said(health.checked)
