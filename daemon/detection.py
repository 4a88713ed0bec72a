"""Conflicts looked for: of given data, at once; in a whole space, in the background. Nothing of it takes the writer's time
but the recording of what was found, in batches.
"""

import asyncio
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from enhanced_memory.client.conflict_values import ConflictFound
from enhanced_memory.client.errors import Error, Invalid
from enhanced_memory.client.operations.conflicts import DetectConflicts, Detected, Scan, ScanConflicts
from enhanced_memory.client.operations.entities import AddObservations, CreateEntities
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput, Ref
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.conflicts.candidates import candidates, probes
from enhanced_memory.daemon.conflicts.comparing import LEXICAL, Meaning
from enhanced_memory.daemon.conflicts.entities import THRESHOLD, Found, Told, judge, judge_alone
from enhanced_memory.daemon.conflicts.scanning import Scanning
from enhanced_memory.daemon.embedding.service import Embedding
from enhanced_memory.daemon.store import HOUSE, Engine, Tx
from enhanced_memory.daemon.store.conflicts import ScanMark
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.text import check_name, check_text

__all__ = ["Detection"]

log = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
"""How often it is looked whether a daemon has left a scan behind."""

_ENTITY_TEXT = 16_000_000
"""Characters of one entity's observations: what a message may hold."""


class Detection:
    """Answers `detect_conflicts` and `scan_conflicts`, and looks before changes where the setting says so."""

    def __init__(self, engine: Engine, embedding: Embedding, settings: Settings) -> None:
        self._engine = engine
        self._embedding = embedding
        self._settings = settings
        self._pool = ThreadPoolExecutor(1, "conflicts")
        self._scans: dict[str, Scanning] = {}
        self._taking_up: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def working(self) -> bool:
        """Whether a scan is under way."""
        return any(not one.task.done() for one in self._scans.values())

    def start(self) -> None:
        """Go on with the scans that a daemon left that is there no more: now, and where several share the store, whenever one leaves."""
        loop = asyncio.get_running_loop()
        self._taking_up = loop.create_task(self._take_up())
        if not self._engine.near:
            self._looking = loop.create_task(self._keep_looking())

    async def stop(self) -> None:
        """End the scans; what they recorded stays, and the next daemon goes on with them."""
        for task in (self._taking_up, self._looking):
            if task is not None:
                task.cancel()
        for one in self._scans.values():
            one.leave()
        for one in list(self._scans.values()):
            with suppress(Error, asyncio.CancelledError):
                await one.task
        self._pool.shutdown(wait=True)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._take_up()

    async def _take_up(self) -> None:
        if not self._engine.leads(HOUSE):
            return
        try:
            spaces = await self._engine.read(lambda tx: tx.conflicts.scans_left(), Call(Peer(), Request()))
            present = await self._engine.present() if spaces else set[str]()
            for space in spaces:
                peer = Peer(client="memory-db", space=space, greeted=True)
                mark = await self._left(Call(peer, Request()))
                at_it = self._scans.get(space)
                if mark is not None and mark.daemon not in present and (at_it is None or at_it.task.done()):
                    log.info("a scan for conflicts is taken up again space=%s", space)
                    peer = replace(peer, client=mark.client, agent=mark.agent)
                    self._begin(Call(peer, ScanConflicts(threshold=mark.threshold)), mark)
        except Error as problem:
            log.warning("scans that were cut short are not taken up: %s", problem)

    async def _left(self, call: Call) -> ScanMark | None:
        return await self._engine.read(lambda tx: tx.conflicts.marked(), call)

    def _begin(self, call: Call, mark: ScanMark | None) -> Scanning:
        ask: Any = call.ask
        one = Scanning(self._engine, self._pool, self._meaning(), call, ask.threshold, mark)
        self._scans[call.peer.space] = one
        return one

    def _meaning(self) -> Meaning:
        if self._settings.embedder == "none":
            return LEXICAL
        from enhanced_memory.daemon.conflicts.meaning import static_meaning

        return static_meaning()

    async def _run(self, work: Any, *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *given))

    # Given data

    async def detect(self, call: Call) -> Detected:
        """The conflicts of everything that is asked about, in its order."""
        ask: Any = call.ask
        assert isinstance(ask, DetectConflicts)
        if not ask.entities and not ask.stored:
            raise Invalid("There is nothing to compare.", "give entities, or stored ones by name or id")
        for given in ask.entities:
            self._checked(given)
        answers = [await self._conflicts_of(call, told_of(given), ask.threshold) for given in ask.entities]
        answers += [await self._of_stored(call, ref, ask.threshold) for ref in ask.stored]
        return Detected(
            [one for answer in answers for one in answer.conflicts],
            sum(answer.compared for answer in answers),
            max((answer.arms for answer in answers), key=len),
            call.peer.space,
        )

    async def check(self, call: Call) -> None:
        """Note on the call what the data of a change conflicts with. What is wrong with the data is for the change to say."""
        ask: Any = call.ask
        found: list[ConflictFound] = []
        if isinstance(ask, CreateEntities):
            for given in ask.entities:
                found += (await self._conflicts_of(call, told_of(given), THRESHOLD)).conflicts
        elif isinstance(ask, AddObservations):
            for given in ask.observations:
                with suppress(Error):
                    known = await self._engine.read(partial(_got, given.entity), call)
                    texts = [one if isinstance(one, str) else one.text for one in given.contents]
                    told = Told(known.state.name, known.state.type, texts)
                    found += (await self._conflicts_of(call, told, THRESHOLD)).conflicts
        # What says the same is not stored twice, and what adds to an entity is what it was given for.
        call.conflicts = [
            one
            for one in found
            if not (one.existing_entity == one.entity and one.conflict_type != "contradiction" and one.new_says is None)
            and not (
                one.conflict_type == "duplicate" and one.existing_says == one.new_says and one.new_says is not None
            )
        ]

    def _checked(self, given: EntityInput) -> None:
        settings = self._settings
        check_name(given.name, "The entity's name", settings.max_name_chars)
        check_name(given.type, "The entity's type", settings.max_name_chars)
        for one in given.observations:
            check_text(one if isinstance(one, str) else one.text, "An observation", settings.max_text_chars)
        if not given.observations:
            raise Invalid(
                f"The entity {given.name[:100]!r} says nothing that could be compared.", "give it observations"
            )

    async def _conflicts_of(self, call: Call, told: Told, threshold: float, itself: int = 0) -> Detected:
        meant = await self._embedding.ask_all(probes(told))
        found = await self._engine.read(lambda tx: candidates(tx, told, meant), call)
        found = [one for one in found if one.id != itself]
        judged: list[ConflictFound] = await self._run(_judged, told, found, threshold, self._meaning())
        return Detected(judged, len(found), ["names", "words", *(["meaning"] if any(meant) else [])])

    async def _of_stored(self, call: Call, ref: Ref, threshold: float) -> Detected:
        known: Stored = await self._engine.read(partial(_got, ref), call)
        told = told_of_stored(known)
        alone: list[Found] = await self._run(judge_alone, told, self._meaning())
        others = await self._conflicts_of(call, told, threshold, itself=known.id)
        own = [_found(told, known, one) for one in alone]
        return Detected(own + others.conflicts, others.compared + 1, others.arms)

    # The whole space

    async def scan(self, call: Call) -> Scan:
        """Begin, end or look at the scan of the caller's space."""
        ask: Any = call.ask
        assert isinstance(ask, ScanConflicts)
        if not math.isfinite(ask.wait_s):
            raise Invalid("wait_s is not a number of seconds.")
        if self._taking_up is not None:
            await asyncio.wait([self._taking_up])
        space = call.peer.space
        one = self._scans.get(space)
        if ask.stop:
            if one is None:
                return Scan("none", space=space)
            one.stop()
        elif ask.start and (one is None or one.task.done()):
            mark = await self._left(call)
            one = self._scans.get(space)
            if one is None or one.task.done():  # nobody else began one meanwhile
                one = self._begin(call, mark if mark is not None and mark.threshold == ask.threshold else None)
        elif one is None:
            return Scan("none", space=space)
        await one.marked.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(one.task), ask.wait_s)
        return one.told()


def told_of(given: EntityInput) -> Told:
    """Given data as far as conflicts go."""
    return Told(given.name, given.type, [one if isinstance(one, str) else one.text for one in given.observations])


def told_of_stored(known: Stored) -> Told:
    """An entity as far as conflicts go."""
    return Told(known.state.name, known.state.type, [noted.text for noted in known.state.observations])


def _got(ref: Ref, tx: Tx) -> Stored:
    return tx.entities.get(ref)


def _judged(told: Told, found: list[Stored], threshold: float, meaning: Meaning) -> list[ConflictFound]:
    conflicts = [
        _found(told, known, one) for known in found for one in judge(told_of_stored(known), told, threshold, meaning)
    ]
    return sorted(conflicts, key=lambda one: -one.confidence)


def _found(told: Told, known: Stored, one: Found) -> ConflictFound:
    texts = known.state.observations
    return ConflictFound(
        told.name,
        known.state.name,
        known.id,
        one.type,
        one.confidence,
        one.reason,
        one.action,
        texts[one.one].text if one.one >= 0 else None,
        told.observations[one.other] if one.other >= 0 else None,
    )
