"""Reindexing: everything derived is made anew in the background, while what was there before goes on serving.

What is to be done is noted in the store, and how far it is follows from the store too: a job that was cut short, by a stop or by
a kill, is taken up by the next daemon where it stood.
"""

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from enhanced_memory.client.errors import Conflict, Error, Invalid
from enhanced_memory.client.operations.service import Reindexing
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.embedding import STORED, Runner
from enhanced_memory.daemon.embedding.backlog import Backlog
from enhanced_memory.daemon.embedding.loading import Loader, runs
from enhanced_memory.daemon.store import Engine, Tx
from enhanced_memory.daemon.store.rederived import Mark
from enhanced_memory.daemon.store.vectors import Model

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.index import Index

__all__ = ["Job"]

log = logging.getLogger(__name__)

WORDS_AT_ONCE = 200
"""Passages whose words are written in one transaction: some 10 ms of the writer's time."""

DROPPED_AT_ONCE = 20_000
LOOK_S = 0.05
AGAIN_S = 10.0


class Host(Protocol):
    """Whose vectors a job makes anew."""

    engine: Engine
    call: Call
    kind: str
    loader: Loader
    backlog: Backlog
    problem: str
    runner: Runner | None
    model: Model | None

    def made(self, source: str) -> Runner:
        """What runs the model that a setting `embedder` names."""
        ...

    async def step(self, runner: Runner, model: Model, index: "Index") -> bool:
        """Embed a model's next passages; whether there may be more."""
        ...

    def serve(self, runner: Runner, model: Model, index: "Index") -> None:
        """Answer with another model from now on."""
        ...

    def aside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let `work` go on beside everything else."""
        ...


class Job:
    """The one reindexing that may be under way."""

    def __init__(self, embedding: Host) -> None:
        self._embedding = embedding
        self.told: Reindexing | None = None
        self.runner: Runner | None = None
        self.index: Index | None = None
        """What is filled, where it is not what serves."""

    @property
    def running(self) -> bool:
        """Whether one is under way."""
        return self.told is not None and self.told.state == "running"

    async def begin(self, what: str) -> Reindexing:
        """Note in the store what is to be done, and begin; or say how far it is. Raises what the new model cannot be loaded for."""
        embedding = self._embedding
        if self.told is not None and self.running:
            if self.told.what != what:
                raise Conflict(
                    f"A reindexing of {self.told.what} is under way.",
                    "wait for its end; `memoryctl status` says how far it is",
                )
            return self.told
        if what == "meaning" and embedding.kind == "none":
            raise Invalid("The setting `embedder` is none: there is nothing to embed with.", "set it to a model first")
        if what != "words" and embedding.kind != "none":
            await self._target().ready()
        mark = Mark(what)
        await embedding.engine.write(lambda tx: tx.rederived.note(mark), embedding.call)
        self._go(mark)
        assert self.told is not None
        return self.told

    async def take_up(self) -> None:
        """Go on with what an earlier daemon left."""
        mark = await self._embedding.engine.read(lambda tx: tx.rederived.noted(), self._embedding.call)
        if mark is not None and not self.running:
            log.info("a reindexing of %s is taken up again", mark.what)
            self._go(mark)

    def _go(self, mark: Mark) -> None:
        self.told = Reindexing(mark.what, "running")
        self._embedding.aside(self._run(mark))

    async def _run(self, mark: Mark) -> None:
        embedding = self._embedding
        while True:
            try:
                if mark.what != "meaning" and not mark.words_done:
                    await self._words(mark)
                if mark.what != "words" and embedding.kind != "none":
                    await self._meaning(mark)
                await embedding.engine.write(lambda tx: tx.rederived.note(None), embedding.call)
                self.told = Reindexing(mark.what, "done", "", self._done, self._done)
                log.info("reindexed %s", mark.what)
                return
            except Error as problem:
                log.warning("reindexing waits: %s", problem)
                self._tell(mark, self._done, self._total, problem.message)
                await asyncio.sleep(AGAIN_S)

    _done = 0
    _total = 0

    def _tell(self, mark: Mark, done: int, total: int, problem: str = "") -> None:
        self._done, self._total = done, max(done, total)
        self.told = Reindexing(mark.what, "running", self._step, self._done, self._total, problem)

    _step = ""

    # Words

    async def _words(self, mark: Mark) -> None:
        """Fill a second index of words beside the one that serves, then let it take that one's place."""
        embedding = self._embedding
        self._step = "words"
        await embedding.engine.write(lambda tx: tx.rederived.begin_words(mark), embedding.call)
        while True:
            more = await embedding.engine.write(lambda tx: tx.rederived.some_words(mark, WORDS_AT_ONCE), embedding.call)
            self._tell(mark, mark.words, await self._newest())
            if not more:
                break
            if embedding.backlog.busy():
                await asyncio.sleep(LOOK_S / 10)
        await embedding.engine.write(lambda tx: tx.rederived.end_words(mark), embedding.call)
        embedding.engine.reindexed()

    async def _newest(self) -> int:
        return await self._embedding.engine.read(lambda tx: tx.vectors.last_passage(), self._embedding.call)

    # Meaning

    def _target(self) -> Runner:
        """What runs the model that the settings name."""
        embedding = self._embedding
        if embedding.runner is not None and runs(embedding.runner, embedding.kind, STORED):
            return embedding.runner
        if self.runner is None or self.runner.source != embedding.kind:
            self.runner = embedding.made(embedding.kind)
        return self.runner

    async def _meaning(self, mark: Mark) -> None:
        embedding = self._embedding
        self._step = "meaning"
        runner = self._target()
        await runner.ready()
        if not await self._newest():
            return
        while embedding.model is None:  # the store is being opened
            embedding.backlog.woken.set()
            await asyncio.sleep(LOOK_S)
        if embedding.model.fingerprint == runner.fingerprint:
            await self._in_place(mark, embedding.model)
        else:
            await self._beside(mark, runner)
        await self._drop_others()

    async def _in_place(self, mark: Mark, model: Model) -> None:
        """The same model once more: each vector is replaced by the next."""
        embedding = self._embedding
        if not mark.reset:
            await embedding.engine.write(partial(_from_the_start, mark, model.id), embedding.call)
            model.embedded = 0
        embedding.backlog.woken.set()
        last = await self._newest()
        while embedding.model is model and model.embedded < last:
            self._tell(mark, model.embedded, last, embedding.problem)
            await asyncio.sleep(LOOK_S)
        self._tell(mark, last, last)

    async def _beside(self, mark: Mark, runner: Runner) -> None:
        """Another model: its vectors are made beside those that serve, and then take their place."""
        embedding = self._embedding
        name, fingerprint, dimension, source = runner.name, runner.fingerprint, runner.dimension, runner.source
        model = await embedding.engine.write(
            lambda tx: tx.vectors.add_model(name, fingerprint, dimension, source), embedding.call
        )
        index = self.index = await embedding.loader.loaded(model)
        try:
            while await embedding.step(runner, model, index):
                self._tell(mark, model.embedded, embedding.backlog.last)
            await embedding.engine.write(lambda tx: tx.vectors.serve(model.id), embedding.call)
            embedding.serve(runner, model, index)
            self.runner = None
        finally:
            self.index = None

    async def _drop_others(self) -> None:
        """Let go of the vectors of models that serve no more."""
        embedding = self._embedding
        models = await embedding.engine.read(lambda tx: tx.vectors.models(), embedding.call)
        for model in models:
            after: int | None = 0 if model.source and not model.serves else None
            while after is not None:
                after = await embedding.engine.write(partial(_drop_some, model.id, after), embedding.call)


def _from_the_start(mark: Mark, model: int, tx: Tx) -> None:
    tx.vectors.see_to(model, 0)
    mark.reset = True
    tx.rederived.note(mark)


def _drop_some(model: int, after: int, tx: Tx) -> int | None:
    return tx.vectors.drop_some(model, after, DROPPED_AT_ONCE)
