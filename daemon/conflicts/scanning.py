"""A whole space compared with itself, in the background.

Entities are read page by page, and each is compared with itself; then the pairs that an index brings together are opened again and
compared. What is found goes to the writer in batches, and with it how far the scan is: a daemon that ends leaves the next one to go
on from there.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from enhanced_memory.client.errors import Error
from enhanced_memory.client.operations.conflicts import Scan
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.conflicts.comparing import Meaning
from enhanced_memory.daemon.conflicts.entities import Found, Told, judge, judge_alone
from enhanced_memory.daemon.conflicts.gathering import Gathered, Pair
from enhanced_memory.daemon.store import Engine, Tx
from enhanced_memory.daemon.store.conflicts import Proposal, ScanMark
from enhanced_memory.daemon.store.known import Stored

__all__ = ["Scanning"]

log = logging.getLogger(__name__)

PAGE = 500
PAIRS = 200
"""Entities read, and pairs compared, at one time: others get their turn in between."""

RECORDED = 100
"""Conflicts written in one transaction."""

MARKED = 10_000
"""Entities or pairs after which the store learns how far the scan is: what a daemon that is killed does once more."""


class Scanning:
    """One scan of one space, from its beginning or from where `mark` says that an earlier daemon left it."""

    def __init__(
        self,
        engine: Engine,
        pool: ThreadPoolExecutor,
        meaning: Meaning,
        call: Call,
        threshold: float,
        mark: ScanMark | None = None,
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._meaning = meaning
        # The connection may go to another space, or leave; the scan stays where it was begun.
        self._call = Call(replace(call.peer), call.ask, tool=call.tool, run=call.run)
        self._threshold = threshold
        self._mark = mark
        self._told = Scan("running", space=call.peer.space)
        if mark is not None:
            self._note(found=mark.found, recorded=mark.recorded)
        self._began = time.monotonic()
        self._stopping = self._leaving = False
        self._gathered = Gathered(meaning)
        self._waiting: list[tuple[Proposal, int]] = []
        self.marked = asyncio.Event()
        """Set once the next daemon would go on with it, or there is nothing left to go on with."""
        self.task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """End it at the next step; what was recorded stays."""
        self._stopping = True

    def leave(self) -> None:
        """The same, for the next daemon to go on."""
        self._stopping = self._leaving = True

    def told(self) -> Scan:
        """How far it is."""
        if self._told.state == "running":
            self._note(seconds=round(time.monotonic() - self._began, 3))
        return self._told

    def _note(self, **what: Any) -> None:
        self._told = msgspec.structs.replace(self._told, **what)

    async def _run(self) -> None:
        try:
            await self._scan()
            state = "stopped" if self._stopping else "done"
            if not self._leaving:
                await self._engine.write(lambda tx: tx.conflicts.mark(None), self._call)
            self._note(state=state, seconds=round(time.monotonic() - self._began, 3))
        except Error as problem:
            self._note(state="failed", problem=problem.message)
        except Exception as problem:
            log.exception("a scan for conflicts failed")
            self._note(state="failed", problem=f"the scan failed: {type(problem).__name__}")
        finally:
            self.marked.set()
            self._gathered = Gathered(self._meaning)

    async def _in_pool(self, work: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *given))

    async def _scan(self) -> None:
        total, last = await self._engine.read(_size, self._call)
        mark = self._mark = self._mark or ScanMark(last, self._threshold, self._call.peer.agent, self._call.peer.client)
        mark.daemon = self._engine.name
        self._note(total=total)
        await self._write(mark)
        self.marked.set()
        await self._read(mark, total)
        pairs: list[Pair] = [] if self._stopping else await self._in_pool(self._gathered.pairs)
        self._note(pairs=len(pairs), total=len(self._gathered) + len(pairs))
        await self._look_at(mark, pairs)
        await self._write(mark)

    async def _read(self, mark: ScanMark, total: int) -> None:
        """Gather all entities, and compare each with itself unless an earlier daemon did."""
        after, marked = 0, mark.after
        while not self._stopping:
            page: list[Stored] = await self._engine.read(partial(_page, after), self._call)
            fresh = [one for one in page if one.id > mark.after or one.began > mark.change]
            await self._keep(mark, await self._in_pool(self._take, page, fresh))
            self._note(
                done=self._told.done + len(page), entities=len(self._gathered), total=max(total, len(self._gathered))
            )
            if page:
                after = page[-1].id
                mark.after = max(mark.after, after)
            if len(page) < PAGE:
                return
            if mark.after >= marked + MARKED:
                marked = mark.after
                await self._write(mark)

    def _take(self, page: Sequence[Stored], fresh: Sequence[Stored]) -> list[tuple[Proposal, int]]:
        """Note what pairs are found by; the conflicts that entities have with themselves."""
        self._gathered.add(page)
        return [
            (_proposal(one, one, each), one.began) for one in fresh for each in judge_alone(_told(one), self._meaning)
        ]

    async def _look_at(self, mark: ScanMark, pairs: list[Pair]) -> None:
        """Compare pairs, in their order; those that an earlier daemon compared only if they have changed since."""
        marked = 0
        for begin in range(0, len(pairs), PAIRS):
            if self._stopping:
                return
            some = pairs[begin : begin + PAIRS]
            known = await self._engine.read(partial(_known, {one for pair in some for one in pair}), self._call)
            await self._keep(mark, await self._in_pool(self._compare, some, known, mark))
            mark.pair = max(mark.pair, some[-1])
            self._note(done=self._told.done + len(some))
            marked += len(some)
            if marked >= MARKED:
                marked = 0
                await self._write(mark)

    def _compare(self, pairs: list[Pair], known: dict[int, Stored], mark: ScanMark) -> list[tuple[Proposal, int]]:
        found: list[tuple[Proposal, int]] = []
        for pair in pairs:
            both = [known[one] for one in pair if one in known]
            if len(both) < 2 or (pair <= mark.pair and max(one.began for one in both) <= mark.change):
                continue  # deleted meanwhile, or compared before
            # What changed last is the newer one.
            one, other = sorted(both, key=lambda each: (each.began, each.id))
            found += [
                (_proposal(one, other, each), max(one.began, other.began))
                for each in judge(_told(one), _told(other), self._threshold, self._meaning)
            ]
        return found

    async def _keep(self, mark: ScanMark, found: list[tuple[Proposal, int]]) -> None:
        self._waiting += found
        self._note(found=self._told.found + len(found))
        if len(self._waiting) >= RECORDED:
            await self._write()

    async def _write(self, mark: ScanMark | None = None) -> None:
        """Record what waits; and, behind it, how far the scan is."""
        while self._waiting:
            batch, self._waiting = self._waiting[:RECORDED], self._waiting[RECORDED:]
            recorded = await self._engine.write(partial(_record, batch), self._call)
            self._note(recorded=self._told.recorded + recorded)
        if mark is not None:
            mark.found, mark.recorded = self._told.found, self._told.recorded
            await self._engine.write(lambda tx: tx.conflicts.mark(mark), self._call)


def _size(tx: Tx) -> tuple[int, int]:
    return tx.census.living().count, tx.log.last_change()


def _page(after: int, tx: Tx) -> list[Stored]:
    return tx.entities.page("not_expired", "after_id", limit=PAGE, after=after)


def _known(ids: set[int], tx: Tx) -> dict[int, Stored]:
    return tx.entities.many(ids)


def _told(one: Stored) -> Told:
    return Told(one.state.name, one.state.type, [noted.text for noted in one.state.observations])


def _proposal(one: Stored, other: Stored, found: Found) -> Proposal:
    return Proposal(
        one.id,
        other.id,
        one.state.observations[found.one].id if found.one >= 0 else 0,
        other.state.observations[found.other].id if found.other >= 0 else 0,
        found.type,
        found.confidence,
        found.reason,
        found.action,
    )


def _record(batch: list[tuple[Proposal, int]], tx: Tx) -> int:
    """Write what is not known yet; how many. What was resolved is known until what it is about changes."""
    known: dict[tuple[frozenset[int], str], list[Any]] = defaultdict(list)
    for kept in tx.conflicts.among({each for one, _ in batch for each in (one.entity, one.other)}):
        known[frozenset((kept.entity, kept.other)), kept.type].append(kept)
    recorded = 0
    for one, changed in batch:
        before = known[frozenset((one.entity, one.other)), one.type]
        alone = one.entity == one.other
        if any(
            (kept.status == "pending" and (not alone or (kept.part, kept.other_part) == (one.part, one.other_part)))
            or (one.part and (kept.part, kept.other_part) == (one.part, one.other_part) and kept.entity == one.entity)
            or (kept.status != "pending" and not alone and kept.began >= changed)
            for kept in before
        ):
            continue
        if any(entity is None for entity in (tx.entities.find(one.entity), tx.entities.find(one.other))):
            continue  # deleted meanwhile
        tx.conflicts.record(one)
        recorded += 1
    return recorded
