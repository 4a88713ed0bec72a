"""The operations that need more than a transaction: greeting, status, backup, verify."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import psutil
from msgspec import to_builtins

from enhanced_memory.client.errors import Error, Invalid, StoreDamaged
from enhanced_memory.client.operations.cold import ArchiveEntities, Vacuum, Vacuumed
from enhanced_memory.client.operations.conflicts import DetectConflicts, ScanConflicts
from enhanced_memory.client.operations.curation import AutonomousCuration, Expire
from enhanced_memory.client.operations.entities import AddObservations, CreateEntities, PurgeEntities, Receipt
from enhanced_memory.client.operations.facts import AutoExtractFacts, StoreFacts
from enhanced_memory.client.operations.search import GetContext, SearchMessages, SearchNodes
from enhanced_memory.client.operations.service import (
    Ailment,
    Backup,
    Exposition,
    GetMemoryStatus,
    Health,
    Hello,
    Ping,
    Pong,
    Reindex,
    Reindexing,
    Status,
    Verified,
    Verify,
    Welcome,
    Wellness,
)
from enhanced_memory.client.operations.service import Metrics as AskMetrics
from enhanced_memory.client.operations.sessions import ArchiveSession, EndSession
from enhanced_memory.client.operations.streams import KeepSummary
from enhanced_memory.client.operations.summaries import SummarizeEntity
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import BackupMade
from enhanced_memory.daemon.apart.pool import Apart
from enhanced_memory.daemon.archiving import ColdStorage
from enhanced_memory.daemon.backing_up import Backups
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.curation.tending import Tending
from enhanced_memory.daemon.detection import Detection
from enhanced_memory.daemon.dispatch import Attendant, keyed
from enhanced_memory.daemon.embedding.service import Embedding
from enhanced_memory.daemon.embedding.telling import in_words, meaning
from enhanced_memory.daemon.exposition import exposition
from enhanced_memory.daemon.factfinding import Extracting
from enhanced_memory.daemon.metrics import Metrics
from enhanced_memory.daemon.mirror import Mirrors
from enhanced_memory.daemon.retention import Retention
from enhanced_memory.daemon.store import Engine, Tx
from enhanced_memory.daemon.summing_up import SummingUp
from enhanced_memory.daemon.times import moment
from enhanced_memory.daemon.wellbeing import Wellbeing

__all__ = ["Service"]

log = logging.getLogger(__name__)


FIGURES_WITHIN_S = 60.0
"""How old the state of health may be that figures come with: a monitor that reads them often makes no writes of it."""

QUERY_CHARS = 2000
"""What of a query is embedded: more says no more."""


class Service:
    """Answers what the store alone cannot."""

    def __init__(self, engine: Engine, metrics: Metrics, settings: Settings) -> None:
        self._engine = engine
        self._metrics = metrics
        self._settings = settings
        self.embedding = Embedding(engine, settings)
        self.apart = Apart(engine, settings, self.embedding)
        self.backups = Backups(engine, settings)
        self.cold = ColdStorage(engine, settings)
        self.retention = Retention(engine, settings)
        self.detection = Detection(engine, self.embedding, settings)
        self.extraction = Extracting(engine, settings)
        self.tending = Tending(engine, settings)
        self.summing_up = SummingUp(engine, settings)
        self.connections = 0
        self.mirrors = Mirrors(engine)
        self.wellbeing = Wellbeing(engine, settings, self._unwell, lambda: self._metrics.uptime_s)
        self.notices: Callable[[], list[str]] = lambda: [*self.mirrors.problems(), *self.cold.problems()]
        """What an operator should know beside the store's own state."""
        self.attended: dict[str, Attendant] = {
            Hello.op: self._hello,
            Ping.op: self._ping,
            GetMemoryStatus.op: self._status,
            Health.op: self._health,
            AskMetrics.op: self._figures,
            Backup.op: self._backup,
            Reindex.op: self._reindex,
            Verify.op: self._verify,
            PurgeEntities.op: self._purge,
            SearchNodes.op: self._search,
            SearchMessages.op: self._search,
            DetectConflicts.op: self.detection.detect,
            ScanConflicts.op: self.detection.scan,
            GetContext.op: self._search,
            Expire.op: self.tending.expire,
            ArchiveEntities.op: self.cold.archive,
            Vacuum.op: self._vacuum,
            AutonomousCuration.op: self.tending.curate,
            SummarizeEntity.op: self.summing_up.summarize,
        }
        self.before: dict[str, Attendant] = {
            AutoExtractFacts.op: self.extraction.extract,
            StoreFacts.op: self.extraction.look,
            KeepSummary.op: self.summing_up.write,
            EndSession.op: self.summing_up.write,
            ArchiveSession.op: self.summing_up.write,
        }
        """What is done before a change is carried out; its answer says what it found."""
        if settings.check_conflicts:
            self.before |= {one.op: self.detection.check for one in (CreateEntities, AddObservations)}

    async def _ping(self, call: Call) -> Pong:
        return Pong(moment(self._engine.clock()))  # whether the store works is for `get_memory_status` to say

    async def _hello(self, call: Call) -> Welcome:
        def work(tx: Tx) -> Welcome:
            return HANDLERS[Hello.op](tx, call.ask)

        welcome = self._engine.point(work, call) if self._engine.near else await self._engine.read(work, call)
        return msgspec.structs.replace(
            welcome, pid=os.getpid(), store=self._engine.path, store_id=self._engine.store_id
        )

    async def _search(self, call: Call) -> Any:
        """Embed the query first: a transaction may not wait."""
        ask: Any = call.ask
        vector, model = getattr(ask, "vector", None), getattr(ask, "model", "")  # get_context has neither

        async def here() -> Any:
            return await self._engine.read(lambda tx: HANDLERS[call.ask.op](tx, call.ask), call)

        if vector is not None:
            call.meaning = await self.embedding.ask_own(model, vector)
            return await here()
        if model:
            raise Invalid("A model is named without a vector of it.", "give the query's `vector`, or leave `model` out")
        call.meaning, note = await self.embedding.ask(ask.query[:QUERY_CHARS])
        answer = await self.apart.answer(call, here)
        if not note:
            return answer
        if isinstance(answer, dict):
            return cast("dict[str, Any]", answer) | {"note": note}
        return msgspec.structs.replace(answer, note=note)

    async def _reindex(self, call: Call) -> Reindexing:
        ask: Any = call.ask
        return await self.embedding.reindex(ask.what)

    async def _status(self, call: Call) -> Status:
        status: Status = await self._engine.read(lambda tx: HANDLERS[GetMemoryStatus.op](tx, call.ask), call)
        usage = await self._engine.usage()
        state, problem = self._engine.state
        if status.curation is not None:
            tended = msgspec.structs.replace(status.curation, problem=self.tending.problem)
            status = msgspec.structs.replace(status, curation=tended)
        if call.peer.confined:
            # Sizes, counts, paths and problems of the whole store are somebody else's affair.
            return msgspec.structs.replace(
                status,
                engine=usage.engine,
                search=told if "keywords only" in (told := in_words(self.embedding)) else told.partition(" (")[0],
                uptime_s=round(self._metrics.uptime_s, 1),
                state="failing" if state == "failing" else "ready",
            )
        return msgspec.structs.replace(
            status,
            store=self._engine.path,
            engine=usage.engine,
            search=in_words(self.embedding),
            meaning=meaning(self.embedding),
            reindexing=self.embedding.job.told,
            file_bytes=usage.file,
            wal_bytes=usage.wal,
            uptime_s=round(self._metrics.uptime_s, 1),
            pid=os.getpid(),
            memory_mb=round(psutil.Process().memory_info().rss / 2**20, 1),
            connections=self.connections,
            requests=self._metrics.calls.total(),
            search_processes=self.apart.running,
            state="failing"
            if state == "failing" or self._engine.harm()
            else "checking"
            if self.wellbeing.checking
            else "ready",
            problems=[
                *([harm.message] if (harm := self._engine.harm()) else []),
                *self.wellbeing.damage[:3],
                *([problem] if problem else []),
                *self.notices(),
            ],
        )

    async def _health(self, call: Call) -> Wellness:
        return await self.wellbeing.look()

    async def _figures(self, call: Call) -> Exposition:
        asked = Call(Peer(uid=call.peer.uid, space=call.peer.space), GetMemoryStatus())
        status = await self._status(asked)
        health = await self.wellbeing.look(FIGURES_WITHIN_S)
        engine, kept = self._engine, (await self._engine.usage()).memory
        return Exposition(exposition(self._metrics, status, health, engine.waiting, engine.commits, kept))

    def _unwell(self) -> Iterator[Ailment]:
        """What the parts beside the store have to complain of."""
        problem, hint = self.embedding.trouble()
        if problem:
            yield Ailment("keywords_only", "degraded", problem, hint or "memoryctl status")
        for problem in self.mirrors.problems():
            yield Ailment("mirror", "degraded", problem, "see docs/drop-in.md")

    async def _backup(self, call: Call) -> BackupMade:
        ask: Any = call.ask
        made = await self.backups.make(ask.to, ask.prune)
        files, size, _ = await self._engine.read(lambda tx: tx.cold.count(), call)
        if not files:
            return made
        folder = str(self._settings.cold_path)
        return msgspec.structs.replace(made, cold_files=files, cold_bytes=size, cold_folder=folder)

    async def _vacuum(self, call: Call) -> Vacuumed:
        began, before = time.monotonic(), await self._engine.usage()
        problem = await self._engine.vacuum()
        after = await self._engine.usage()
        return Vacuumed(
            before.file + before.wal, after.file + after.wal, round(time.monotonic() - began, 3), after.engine, problem
        )

    async def _purge(self, call: Call) -> Receipt:
        """Remove the rows in one transaction; then clear what is left of them in files, and say what could not be."""
        tries: list[Tx] = []
        handler = HANDLERS[PurgeEntities.op]

        def work(tx: Tx) -> Any:
            tries.append(tx)  # a group in which another change fails is carried out anew: only the last one stands
            return keyed(handler, call)(tx) if call.key is not None else to_builtins(handler(tx, call.ask))

        async with self.cold.turn:
            receipt = msgspec.convert(await self._engine.write(work, call), Receipt)
            *others, last = tries
            held = await self.cold.settle(last.cold, {name for tx in others for name in tx.cold.made})
        if not receipt.ids:
            return receipt
        done = await self._engine.scrub(last.forgotten)
        known = {one.name for one in await self._engine.read(lambda tx: tx.cold.files(), call)}
        written, kept = await self.mirrors.renew(frozenset((*receipt.spaces, call.peer.space)))
        listed = await self._engine.read(lambda tx: tx.spaces.all(deleted=True), call)
        imported = [
            path
            for space in listed
            for path in cast("dict[str, Any]", space.metadata.get("imported") or {})
            if path not in written
        ]
        beside = self._engine.place
        copies = [
            str(path)
            for end in ("before-schema-*", "replaced-*")
            for path in beside.parent.glob(f"{beside.name}.{end}")
        ]
        strangers = self.cold.strangers(known)
        files = [path for path in dict.fromkeys([*kept, *imported, *held, *strangers]) if os.path.exists(path)]
        return msgspec.structs.replace(
            receipt,
            backups=[path for path in dict.fromkeys([*receipt.backups, *copies]) if os.path.exists(path)],
            files=files,
            mirrors=written,
            dictionaries=done.dictionaries,
            rewritten=done.rewritten,
            log_emptied=done.log_emptied,
        )

    async def finish_purge(self) -> None:
        """Clear what a purge left in the files when the daemon ended before it could."""
        if self._engine.scrub_due:
            try:
                await self._engine.scrub(None)
            except Error as problem:
                log.warning("what a purge left is not cleared yet: %s", problem)

    async def _verify(self, call: Call) -> Verified:
        ask: Any = call.ask
        began = time.monotonic()
        problems, checked = list[str](), dict[str, int]()
        try:
            health = await self._engine.check(ask.quick)
            problems, checked = health.problems, health.checked
            more, files = await self.cold.verify(ask.quick)
            problems += more
            checked |= files
        except StoreDamaged as problem:
            problems.append(problem.message)  # so broken that it cannot be read to its end
        return Verified(not problems, problems, checked, round(time.monotonic() - began, 3))
