"""A whole space compared with itself, in the background.

Entities are read page by page; of each stays what candidates are found by: its name, its observations' digests, the sum of its
vectors. Pairs come from equal names, shared observations and near vectors; only those are opened again and compared. What is
found goes to the writer in batches.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from enhanced_memory.client.errors import Error
from enhanced_memory.client.operations.conflicts import Scan
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.conflicts.comparing import Meaning
from enhanced_memory.daemon.conflicts.entities import UPDATE, Found, Told, judge, judge_alone
from enhanced_memory.daemon.conflicts.names import name_key
from enhanced_memory.daemon.conflicts.statements import plain
from enhanced_memory.daemon.embedding.service import Embedding
from enhanced_memory.daemon.store import Engine, Tx
from enhanced_memory.daemon.store.conflicts import Proposal
from enhanced_memory.daemon.store.known import Stored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Scanning"]

log = logging.getLogger(__name__)

PAGE = 500
PAIRS = 200
"""Entities read, and pairs compared, at one time: others get their turn in between."""

RECORDED = 100
"""Conflicts written in one transaction."""

COMMON = 20
"""An observation or a name that more entities share than this says nothing about any two of them."""

NEAR = 0.86
"""The cosine of two entities' vectors from which on they are compared."""

MOST_VECTORS = 500_000
"""Entities whose vectors are held at one time, 384 bytes each; beyond it names and words alone bring pairs together."""


class Scanning:
    """One scan of one space."""

    def __init__(
        self,
        engine: Engine,
        embedding: Embedding,
        pool: ThreadPoolExecutor,
        meaning: Meaning,
        call: Call,
        threshold: float,
    ) -> None:
        self._engine = engine
        self._model = embedding.serving
        self._pool = pool
        self._meaning = meaning
        # The connection may go to another space, or leave; the scan stays where it was begun.
        self._call = Call(replace(call.peer), call.ask, tool=call.tool, run=call.run)
        self._threshold = threshold
        self._told = Scan("running", space=call.peer.space)
        self._began = time.monotonic()
        self._stopping = False
        self._ids: list[int] = []
        self._types: list[str] = []
        self._names: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._said: dict[tuple[str, int], list[int]] = defaultdict(list)
        self._sizes: list[int] = []
        self._waiting: list[tuple[Proposal, int]] = []
        self.task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """End it at the next step; what was recorded stays."""
        self._stopping = True

    def told(self) -> Scan:
        """How far it is."""
        if self._told.state == "running":
            self._note(seconds=round(time.monotonic() - self._began, 3))
        return self._told

    def _note(self, **what: Any) -> None:
        import msgspec

        self._told = msgspec.structs.replace(self._told, **what)

    async def _run(self) -> None:
        try:
            await self._scan()
            state = "stopped" if self._stopping else "done"
            self._note(state=state, seconds=round(time.monotonic() - self._began, 3))
        except Error as problem:
            self._note(state="failed", problem=problem.message)
        except Exception as problem:
            log.exception("a scan for conflicts failed")
            self._note(state="failed", problem=f"the scan failed: {type(problem).__name__}")
        finally:
            self._names.clear()
            self._said.clear()

    async def _in_pool(self, work: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *given))

    async def _scan(self) -> None:
        total = sum((await self._engine.read(lambda tx: tx.entities.by("type"), self._call)).values())
        self._note(total=total)
        after = 0
        while not self._stopping:
            page: list[Stored] = await self._engine.read(partial(_page, after), self._call)
            alone = await self._in_pool(self._take, page)
            await self._keep(alone)
            self._note(done=self._told.done + len(page), entities=len(self._ids), total=max(total, len(self._ids)))
            if len(page) < PAGE:
                break
            after = page[-1].id
        pairs = await self._pairs()
        self._note(pairs=len(pairs), total=len(self._ids) + len(pairs))
        for begin in range(0, len(pairs), PAIRS):
            if self._stopping:
                break
            some = pairs[begin : begin + PAIRS]
            ids = {self._ids[place] for pair in some for place in pair}
            known = await self._engine.read(partial(_known, ids), self._call)
            await self._keep(await self._in_pool(self._compare, some, known))
            self._note(done=self._told.done + len(some))
        await self._write()

    # Reading

    def _take(self, page: Sequence[Stored]) -> list[tuple[Proposal, int]]:
        """Note what pairs are found by; the conflicts that entities have with themselves."""
        found: list[tuple[Proposal, int]] = []
        for one in page:
            place = len(self._ids)
            kind = one.state.type.casefold()
            self._ids.append(one.id)
            self._types.append(kind)
            key = name_key(one.state.name)
            if key:
                self._names[kind, key].append(place)
            said = {hash(plain(noted.text)) for noted in one.state.observations}
            self._sizes.append(len(said))
            for digest in said:
                self._said[kind, digest].append(place)
            told = _told(one)
            found += [(_proposal(one, one, each), one.began) for each in judge_alone(told, self._meaning)]
        return found

    # Pairs

    async def _pairs(self) -> list[tuple[int, int]]:
        """The pairs of places that are worth a comparison."""
        pairs: dict[tuple[int, int], None] = dict.fromkeys(await self._in_pool(self._alike))
        if self._model is not None and len(self._ids) <= MOST_VECTORS:
            vectors = await self._vectors()
            if not self._stopping:
                for pair in await self._in_pool(_near, vectors, self._types):
                    pairs.setdefault(pair)
        return list(pairs)

    def _alike(self) -> list[tuple[int, int]]:
        """Pairs of one name, and pairs that share enough of what they say."""
        pairs = list(_couples(self._names.values()))
        shared: Counter[tuple[int, int]] = Counter(_couples(self._said.values()))
        sizes = self._sizes
        return pairs + [
            (one, other) for (one, other), count in shared.items() if count > UPDATE * max(sizes[one], sizes[other])
        ]

    async def _vectors(self) -> "NDArray[np.float32]":
        """A unit vector for each entity: the sum of those of its passages; zeros where it has none."""
        import numpy as np

        assert self._model is not None
        model, dimension = self._model.id, self._model.dimension
        found = np.zeros((len(self._ids), dimension), np.float32)
        ids = np.array(self._ids, np.int64)
        for begin in range(0, len(ids), 4 * PAGE):
            if self._stopping:
                break
            after, upto = (int(ids[begin - 1]) if begin else 0), int(ids[min(begin + 4 * PAGE, len(ids)) - 1])
            rows = await self._engine.read(partial(_vectors_of, model, after, upto), self._call)
            await self._in_pool(_add, found, ids, rows)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        return found

    # Comparing

    def _compare(self, pairs: list[tuple[int, int]], known: dict[int, Stored]) -> list[tuple[Proposal, int]]:
        found: list[tuple[Proposal, int]] = []
        for pair in pairs:
            both = [known.get(self._ids[place]) for place in pair]
            if both[0] is None or both[1] is None:
                continue  # deleted meanwhile
            # What changed last is the newer one.
            one, other = sorted((each for each in both if each is not None), key=lambda each: (each.began, each.id))
            found += [
                (_proposal(one, other, each), max(one.began, other.began))
                for each in judge(_told(one), _told(other), self._threshold, self._meaning)
            ]
        return found

    async def _keep(self, found: list[tuple[Proposal, int]]) -> None:
        self._waiting += found
        self._note(found=self._told.found + len(found))
        if len(self._waiting) >= RECORDED:
            await self._write()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:RECORDED], self._waiting[RECORDED:]
            recorded = await self._engine.write(partial(_record, batch), self._call)
            self._note(recorded=self._told.recorded + recorded)


def _page(after: int, tx: Tx) -> list[Stored]:
    return tx.entities.page("not_expired", "after_id", limit=PAGE, after=after)


def _known(ids: set[int], tx: Tx) -> dict[int, Stored]:
    return tx.entities.many(ids)


def _vectors_of(model: int, after: int, upto: int, tx: Tx) -> list[tuple[int, bytes]]:
    return tx.vectors.of_entities(model, after, upto)


def _add(found: "NDArray[np.float32]", ids: "NDArray[np.int64]", rows: list[tuple[int, bytes]]) -> None:
    """Add unit vectors to their entities' sums."""
    import numpy as np

    from enhanced_memory.daemon.embedding.index import unit

    if not rows:
        return
    owners = np.array([entity for entity, _ in rows], np.int64)
    places = np.searchsorted(ids, owners)
    fits = (places < len(ids)) & (ids[np.minimum(places, len(ids) - 1)] == owners)
    vectors = unit(np.frombuffer(b"".join(vector for _, vector in rows), np.int8).reshape(len(rows), -1))
    np.add.at(found, places[fits], vectors[fits])


def _near(vectors: "NDArray[np.float32]", types: list[str]) -> list[tuple[int, int]]:
    """Pairs of one type whose vectors are near."""
    import numpy as np

    from enhanced_memory.daemon.conflicts.neighbours import near_pairs

    by_type: dict[str, list[int]] = defaultdict(list)
    for place, kind in enumerate(types):
        by_type[kind].append(place)
    pairs: list[tuple[int, int]] = []
    for places in by_type.values():
        where = np.array(places)
        pairs += [(places[one], places[other]) for one, other in near_pairs(vectors[where], NEAR)]
    return pairs


def _couples(groups: Any) -> Iterator[tuple[int, int]]:
    for places in groups:
        if 1 < len(places) <= COMMON:
            yield from combinations(places, 2)


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
