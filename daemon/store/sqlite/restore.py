"""Putting a backup in the store's place, and the drill that shows that it could be done.

Nothing of the present store is touched before the backup was unpacked, brought to this program's schema, and checked. What it
replaces is kept beside it.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from enhanced_memory.client.errors import Broken, StoreDamaged, StoreHeld
from enhanced_memory.client.operations.entities import CreateEntities, ListEntities, OpenNodes
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.backups import Kept, sync, unpacked
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.bodies import BUILT_IN, built_in
from enhanced_memory.daemon.store.sqlite import file, verifying
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

__all__ = ["Drilled", "Restored", "drill", "owned", "restore"]

ASKED = 20
"""Entities that a drill opens by name and looks for by words."""


class Restored(msgspec.Struct):
    """What was put in the store's place."""

    store: str
    backup: str
    made_at: datetime
    change: int
    counts: dict[str, int]
    manifest: bool
    """Whether the backup was compared with its manifest; without one it was only checked."""
    replaced: str
    """Where the store that was there lies now; empty where there was none."""
    ended: int
    """The daemon that was ended for it; 0: none."""
    seconds: float


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


def restore(store: Path, one: Kept, stop: bool = False, wait_s: float = 30.0) -> Restored:
    """Put the backup in the place of `store`; what was there is kept as `<store>.replaced-TIME`.

    `StoreDamaged` where the backup is not sound, `StoreHeld` where a daemon owns the store: with `stop` it is ended first.
    In either case nothing was changed.
    """
    began = time.monotonic()
    store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = store.with_name(store.name + ".restoring")
    try:
        counts = _proven(one, draft)
        held, ended = owned(store, stop, wait_s)
        try:
            replaced = _put(draft, store)
        finally:
            held.release()
    finally:
        for path in store.parent.glob(draft.name + "*"):
            path.unlink(missing_ok=True)
    return Restored(
        str(store), str(one.path), one.made_at, counts["last_change"], counts, one.manifest is not None,
        str(replaced or ""), ended, time.monotonic() - began,
    )  # fmt: skip


def _proven(one: Kept, draft: Path) -> dict[str, int]:
    """Unpack the backup as `draft`, bring it to our schema, check it, and compare it with its manifest; what was counted."""
    for path in draft.parent.glob(draft.name + "*"):
        path.unlink()
    unpacked(one, draft)
    file.open_store(draft, "FULL").close()
    health = verifying.check(draft, {BUILT_IN: built_in()}, quick=True)
    if health.problems:
        raise StoreDamaged(
            f"{one.path} has {len(health.problems)} problems: {health.problems[0]}", "take another backup"
        )
    wanted = one.manifest.counts if one.manifest else {}
    lacking = {name: number for name, number in wanted.items() if health.checked.get(name, number) != number}
    if lacking:
        raise StoreDamaged(f"{one.path} should hold {lacking} and holds {health.checked}.", "take another backup")
    return health.checked


def owned(store: Path, stop: bool, wait_s: float) -> tuple[file.Owned, int]:
    """The right to write `store`; a daemon that has it is ended first, with `stop`. Which one was."""
    until = time.monotonic() + wait_s
    ended = 0
    while True:
        try:
            return file.Owned(store), ended
        except StoreHeld as held:
            if not stop or not held.pid or time.monotonic() > until:
                raise
            if held.pid != ended:
                ended = held.pid  # a client may have started the next one by now
                try:
                    os.kill(ended, signal.SIGTERM)
                except ProcessLookupError:
                    pass
                except PermissionError:
                    raise held from None
            time.sleep(0.02)


def _put(draft: Path, store: Path) -> Path | None:
    """Let `draft` be the store from one moment to the next; where the one before lies now."""
    if not store.exists():
        os.rename(draft, store)
        sync(store.parent)
        return None
    aside = store.with_name(f"{store.name}.replaced-{datetime.now(UTC):%Y%m%d_%H%M%S}")
    if aside.exists():
        raise Broken(f"{aside} exists.", "try again in a second")
    with suppress(apsw.Error, OSError):
        # What stands in its log belongs to the file: folded in, one file is all of it.
        old = apsw.Connection(os.fspath(store), flags=apsw.SQLITE_OPEN_READWRITE)
        old.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        old.close()
    for end in ("-wal", "-shm"):
        # Still there: the store cannot be opened. Its log would be taken for the new file's.
        with suppress(FileNotFoundError):
            os.rename(store.with_name(store.name + end), aside.with_name(aside.name + end))
    # A second name and not another one: there is a store at its place at every moment.
    os.link(store, aside)
    os.replace(draft, store)
    sync(store.parent)
    return aside


# The drill


def drill(one: Kept) -> Drilled:
    """Restore the backup into a folder of its own, open it as a daemon does, and use it: find, open, write, check."""
    steps: list[Step] = []
    with tempfile.TemporaryDirectory(prefix="memory-drill-") as folder:
        store = Path(folder) / "memory.db"
        if _tried(steps, "unpack and check", lambda: _said(_proven(one, store))):
            asyncio.run(_used(store, steps))
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


async def _used(store: Path, steps: list[Step]) -> None:
    assert handlers.__all__  # importing the chapters registers them
    settings = Settings.load({"store": str(store), "readers": 1, "embedder": "none"})
    began = time.monotonic()
    engine = await SqliteEngine.open(settings)
    steps.append(Step("open", True, engine.usage().engine, round(time.monotonic() - began, 3)))
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
