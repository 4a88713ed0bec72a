"""Meaning as a service of the daemon: passages get their vectors after they are on disk, queries theirs before they are asked.

The queue is the store itself: passages are numbered in the order in which they are written, and the model remembers up to
which one it has seen them. So it survives restarts, and a write never waits for a model.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from enhanced_memory.client.errors import Error, Unavailable
from enhanced_memory.client.operations.service import Reindexing
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.embedding import STATIC, STORED, Runner
from enhanced_memory.daemon.embedding.backlog import Backlog
from enhanced_memory.daemon.embedding.beside import Beside
from enhanced_memory.daemon.embedding.following import Following
from enhanced_memory.daemon.embedding.here import HereEmbedder
from enhanced_memory.daemon.embedding.loading import Loader, OwnModels, beside, runner_of, runs
from enhanced_memory.daemon.embedding.reindex import Job
from enhanced_memory.daemon.embedding.stepping import step
from enhanced_memory.daemon.store import MEANING, Engine, Touched
from enhanced_memory.daemon.store.vectors import Model

if TYPE_CHECKING:
    from enhanced_memory.daemon.embedding.asked import Asked
    from enhanced_memory.daemon.embedding.index import Index

__all__ = ["Embedding"]

log = logging.getLogger(__name__)

NONE = "none"
FIRST_AGAIN_S, AGAIN_S = 1.0, 30.0
"""After a fault that is not the model's own, such as a full disk or memory that is lacking: twice as long each time, up to this."""

TOLERATED = 0.001
"""The share of vectors that may be lacking before all are made anew; `memoryctl reindex` makes up for fewer."""


class Embedding:
    """Keeps the vectors of the model that serves up with the store, and asks it about queries."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.kind = settings.embedder.strip() or STATIC
        self.runner: Runner | None = None
        self.model: Model | None = None
        self.index: Index | None = None
        self.backlog = Backlog(engine)
        self.job = Job(self)
        self.problem = ""
        self.hint = ""
        self.call = Call(Peer(), Request())
        self.loader = Loader(engine, settings.vectors_memory_mb << 20, settings.vectors_indexed_from)
        self.own = OwnModels(self.loader)
        self.mismatch = ""
        self.told: list[Callable[[int, int, list[int]], None]] = []
        """Called on the loop once vectors were stored: of passages from the first to the last, and those whose vectors are gone."""
        self.aged: list[Callable[[], None]] = []
        """Called on the loop when other vectors answer than did."""
        self._following = Following(self.loader)
        self._usable = False
        """Whether the runner's vectors may stand beside those that are stored."""
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._beside = Beside()

    # Beginning and end

    def start(self) -> None:
        """Begin to keep up; on the running loop."""
        self.engine.listeners.append(self._changed)
        self.engine.chosen.append(self.backlog.woken.set)
        if self.kind != NONE:
            self._task = asyncio.get_running_loop().create_task(self._keep_up())
            self.backlog.woken.set()

    async def stop(self) -> None:
        """Stop; what is left waits for the next start."""
        for task in [self._task, *self._beside.tasks, *self.own.loading]:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Error):
                    await task
        for runner in {id(one): one for one in (self.runner, self.job.runner) if one is not None}.values():
            await runner.stop()

    # Queries

    async def ask(self, query: str) -> "tuple[Asked | None, str]":
        """What `query` means; where there is nothing to say so, None and why words answer alone."""
        runner, index, model = self.runner, self.index, self.model
        if self.kind == NONE or not query.strip():
            return None, ""
        if runner is None or index is None or model is None:
            return None, self._alone() if self.problem or self.backlog.last else ""
        if not self._usable:
            return None, self._alone()
        if not len(index):
            return None, self._alone() if self.trouble()[0] else ""
        if isinstance(runner, HereEmbedder) and runner.running:
            vector = await runner.embed([query], query=True)
        else:
            told = await self._beside.soon(self._vectors(runner, model, [query]), self._well)
            if told is None:
                return None, self._alone()
            vector = told
        if not vector.any():
            return None, ""
        from enhanced_memory.daemon.embedding.asked import Asked

        return Asked(vector[0], index, self._missed), ""

    async def ask_all(self, texts: "Sequence[str]") -> "list[Asked | None]":
        """The same for several texts at once; None for each where there is nothing to say so."""
        runner, index, model = self.runner, self.index, self.model
        if runner is None or index is None or model is None or not self._usable or not len(index) or not texts:
            return [None] * len(texts)
        vectors = await self._beside.soon(self._vectors(runner, model, list(texts)), self._well)
        if vectors is None:
            return [None] * len(texts)
        from enhanced_memory.daemon.embedding.asked import Asked

        return [Asked(vector, index, self._missed) if vector.any() else None for vector in vectors]

    @property
    def wanted(self) -> bool:
        """Whether meaning is to be looked at at all."""
        return self.kind != NONE

    @property
    def serving(self) -> Model | None:
        """The model whose vectors answer; None while there is none."""
        return self.model if self.usable else None

    async def ask_own(self, name: str, vector: Sequence[float]) -> "Asked":
        """What a caller's own vector is near, among those stored of its model; without a name, of the daemon's model."""
        if name:
            return await self.own.ask(name, vector)
        model, index = self.model, self.index
        if model is None or index is None:
            raise Unavailable("There is no model of the daemon's own here.", "name the `model` of the vector")
        return beside(await self.engine.read(lambda tx: tx.vectors.fitting(model, vector), self.call), index)

    async def _vectors(self, runner: Runner, model: Model, texts: list[str]) -> Any:
        await runner.ready()
        if not self._fits(runner, model):
            raise Unavailable(self.problem, self.hint)
        return await runner.embed(texts, query=True)

    def _well(self) -> None:
        self.problem = self.hint = ""

    def _alone(self) -> str:
        """Why words answer alone."""
        problem, hint = self.trouble()
        return f"keywords only: {problem or 'the model is being loaded'}" + (f" ({hint})" if hint else "")

    def trouble(self) -> tuple[str, str]:
        """What keeps meaning from answering, and what helps; nothing where all is well."""
        if self.problem:
            return self.problem, self.hint
        if self.runner is not None and self.runner.problem:
            return self.runner.problem, self.runner.hint
        return "", ""

    # What changes in the store

    def _changed(self, touched: Touched) -> None:
        self.backlog.grew(touched.passage)
        if touched.ended:
            self.backlog.ended(touched.ended)
            for index in self.indexes():
                index.drop(touched.ended)
        if touched.given and self.own.held:
            self.aside(self.own.follow(touched.given))
        if touched.vectors is not None:
            self._following.told(touched.vectors)
            self.backlog.woken.set()
        if touched.everything:
            # Another daemon serves another model, or we could not hear what became of vectors.
            self.model = None
            self.own.forget()
            self.backlog.woken.set()

    def indexes(self) -> "list[Index]":
        """Every index that is in memory."""
        return [index for index in (self.index, self.job.index, *self.own.held) if index is not None]

    def aside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let `work` go on beside everything else; it ends with the service."""
        self._beside.begin(work)

    # Keeping up

    async def _keep_up(self) -> None:
        while True:
            await self.backlog.woken.wait()
            self.backlog.woken.clear()
            try:
                if self.model is None:
                    await self.backlog.begin()
                    if not self.backlog.last:
                        continue
                    await self._open()
                await self._following.take_in(self.model, self.indexes())
                if not self.job.told and self._usable and self.engine.leads(MEANING):
                    await self.job.take_up()
                await self.backlog.gather()
                await self._drain()
                await self.loader.compact(self.indexes())
                if self.model is not None and self.index is not None and await self.loader.outgrown(self.index):
                    self.model = None  # opened anew, as the store's own
                    self.backlog.woken.set()
                self._failures = 0
                if self._usable:
                    # Whether or not there was anything to embed: what failed before has mended itself.
                    self.problem = self.hint = ""
            except Error as problem:
                self._again_in(getattr(self.runner, "pause_s", 0.0) or self._pause_s())
                self._note(problem)
            except Exception:
                # First, what must be done even where no memory is left to tell of it.
                self._again_in(self._pause_s())
                self.problem, self.hint = "The embedder failed unexpectedly.", "see the daemon's log"
                log.exception("embedding stopped for a while")

    def _again_in(self, pause_s: float) -> None:
        asyncio.get_running_loop().call_later(pause_s, self.backlog.woken.set)

    def _pause_s(self) -> float:
        self._failures += 1
        return min(AGAIN_S, FIRST_AGAIN_S * 2.0 ** min(self._failures - 1, 10))

    def _note(self, problem: Error) -> None:
        if problem.message != self.problem:
            log.error("embedding: %s", problem)
        self.problem, self.hint = problem.message, problem.hint

    async def _drain(self) -> None:
        runner, model, index = self.runner, self.model, self.index
        if runner is None or model is None or index is None or not self.backlog.waiting(model.embedded):
            return
        if not self.engine.leads(MEANING):
            self.backlog.seen(model.embedded)
            return  # whoever does it tells us
        await runner.ready()
        if self._fits(runner, model):
            while await self.step(runner, model, index):
                self.backlog.seen(model.embedded)
            self.backlog.seen(model.embedded)

    async def step(self, runner: Runner, model: Model, index: "Index") -> bool:
        """Embed a model's next passages; whether there may be more."""
        done = await step(self.engine, self.backlog, self.call, runner, model, index)
        if done.stored and index is self.index:
            for tell in self.told:
                tell(min(done.stored), max(done.stored), done.gone)
        return done.more

    def _missed(self) -> None:
        """The store lacks vectors that it had (called from any thread): make them anew."""
        self.backlog.from_any_thread(self._again)

    def _again(self) -> None:
        model = self.model
        if model is not None and model.embedded:
            log.warning("vectors that were stored are gone; they are made anew")
            model.embedded = 0
            self.aside(self._begin_anew(model))

    async def _begin_anew(self, model: Model) -> None:
        await self.engine.write(lambda tx: tx.vectors.see_to(model.id, 0), self.call)
        self.backlog.woken.set()

    # Opening

    async def _open(self) -> None:
        """Find out which model serves, and load what the store has of it."""
        if self.engine.comparing:
            log.warning("vectors: %s; NumPy compares them", self.engine.comparing)
        models = await self.engine.read(lambda tx: tx.vectors.models(), self.call)
        model = next((one for one in models if one.serves), None)
        source = model.source if model is not None else self.kind
        dimension = model.dimension if model is not None else STORED
        if self.runner is None or not runs(self.runner, source, dimension):
            self.runner = self.made(source, dimension)
        runner = self.runner
        if model is None:
            if not self.engine.leads(MEANING):
                return  # whoever does it notes its model with the first vectors, and tells us
            await runner.ready()
            model = await self._noted(runner)
        if isinstance(runner, HereEmbedder):
            await runner.ready()  # before it serves: what cannot be loaded is opened anew, with all that follows
        index = await self.loader.loaded(model)
        if not len(index) and source != self.kind:  # nothing speaks for the old one
            await runner.stop()
            runner = self.runner = self.made(self.kind)
            await runner.ready()
            model = await self._noted(runner)
            index = await self.loader.loaded(model)
        self._usable = True
        if source != self.kind and len(index):
            self.mismatch = (
                f"The stored vectors are of the model {model.name}, and the setting `embedder` names {self.kind}."
            )
            log.warning("%s `memoryctl reindex` changes to it.", self.mismatch)
        self.runner, self.model, self.index = runner, model, index
        self._age()
        if runner.running:
            await runner.ready()
            self._fits(runner, model)
        await self._look_for_gaps(model, index)
        log.info("meaning: model=%s dimension=%d vectors=%d", model.name, model.dimension, len(index))

    async def _noted(self, runner: Runner) -> Model:
        return await self.engine.write(
            lambda tx: tx.vectors.add_model(
                runner.name, runner.fingerprint, runner.dimension, runner.source, serves=True
            ),
            self.call,
        )

    def _fits(self, runner: Runner, model: Model) -> bool:
        """Whether the runner is the model that made what is stored; said plainly where it is not."""
        if runner.fingerprint == model.fingerprint:
            return True
        if self.index is not None and not len(self.index):
            self.model = None  # nothing was stored yet: begin with the one that there is
            self.aside(self._forget(model))
            return False
        self._usable = False
        self.problem = (
            f"The stored vectors are of another model than what `embedder` = {runner.source} is now "
            f"(dimension {model.dimension}, now {runner.dimension})."
        )
        self.hint = "run `memoryctl reindex`"
        log.error("%s", self.problem)
        return False

    async def _forget(self, model: Model) -> None:
        await self.engine.write(lambda tx: tx.vectors.drop_some(model.id, 0, 1 << 40), self.call)
        self.backlog.woken.set()

    async def _look_for_gaps(self, model: Model, index: "Index") -> None:
        """Make all vectors anew where many are lacking: the table may have been emptied by hand."""
        messages, entities = await self.engine.read(lambda tx: tx.vectors.owed(model.embedded), self.call)
        for owed, held in ((messages, len(index.of_messages)), (entities, index.of_entities.entities)):
            if owed - held > TOLERATED * owed and self.engine.leads(MEANING):
                log.warning("%d of %d vectors are lacking; all are made anew", owed - held, owed)
                model.embedded = 0
                await self.engine.write(lambda tx: tx.vectors.see_to(model.id, 0), self.call)
                return

    def made(self, source: str, dimension: int = STORED) -> Runner:
        """What runs the model that a setting `embedder` names, for vectors that the store has or for new ones."""
        return runner_of(source, self.settings, self.backlog.busy, dimension)

    # Reindexing

    async def reindex(self, what: str) -> Reindexing:
        """Begin to make everything derived anew, or say how far that is."""
        return await self.job.begin(what)

    def serve(self, runner: Runner, model: Model, index: "Index") -> None:
        """Answer with another model from now on."""
        before = self.runner
        self.runner, self.model, self.index = runner, model, index
        self._usable, self.mismatch, self.problem, self.hint = True, "", "", ""
        self._age()
        if before is not None and before is not runner:
            self.aside(before.stop())
        self.backlog.woken.set()

    def _age(self) -> None:
        for tell in self.aged:
            tell()

    # Told

    @property
    def working(self) -> bool:
        """Whether there is work that a daemon should not leave undone, and that goes on."""
        if self.job.told is not None and self.job.running:
            return not self.job.told.problem
        if self.problem or self.kind == NONE:
            return False
        if self.model is None:
            return self.backlog.last > 0
        return self._usable and self.engine.leads(MEANING) and bool(self.backlog.waiting(self.model.embedded))

    @property
    def usable(self) -> bool:
        """Whether queries are embedded with the model that made what is stored."""
        return self._usable and self.runner is not None and self.model is not None and self.index is not None
