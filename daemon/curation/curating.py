"""One curation of one space: readers look at everything page by page, a thread of its own thinks, the writer acts in slices.

Nothing is done before all of it is thought of, so that a dry run and a real one come to the same; what has changed in between is
left alone.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from enhanced_memory.client.errors import Error
from enhanced_memory.client.operations.curation import AutonomousCuration, Curated, CurationAct, RuleName
from enhanced_memory.daemon.ageing import DAY_MS, Standing, importance, keeping
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.conflicts.comparing import Meaning
from enhanced_memory.daemon.curation import looking
from enhanced_memory.daemon.curation.actions import Done, Habit, habits
from enhanced_memory.daemon.curation.ahead import limited
from enhanced_memory.daemon.curation.episodes import Episode, Shared, Statement, shared
from enhanced_memory.daemon.curation.plans import Plan, carry_out, free_name, title
from enhanced_memory.daemon.curation.rules import ALWAYS, MOVES, RULES, TITLES, Move, moved, reason_for
from enhanced_memory.daemon.curation.slices import in_slices
from enhanced_memory.daemon.kinds import kind_of
from enhanced_memory.daemon.store import Engine, Tx
from enhanced_memory.daemon.store.known import TIERS
from enhanced_memory.daemon.store.tended import LIMITS, Mark, Row

__all__ = ["LEAST_ACTS", "Curating"]

EPISODIC, PROCEDURAL = TIERS.index("episodic"), TIERS.index("procedural")

log = logging.getLogger(__name__)

OPENED = 50
"""Entities opened by one question: two milliseconds of a reader's time."""

LEAST_ACTS = 10
"""What a run may do in a small space: a hundredth of fifty would be nothing for ever."""

WITHIN_MS = 20 * 3_600_000
"""The cap is for this time: less than a day, so that the run of the next day is not held back by that of the day before."""

ACTION_TYPES = frozenset(("action", "procedure", "task"))
"""Types of episodes that tell what was done: what they repeat is procedural, not semantic."""


class Curating:
    """One run. It goes on if its caller leaves."""

    def __init__(
        self, engine: Engine, pool: ThreadPoolExecutor, meaning: Callable[[], Meaning], call: Call, cap: float
    ) -> None:
        ask: Any = call.ask
        assert isinstance(ask, AutonomousCuration)
        self.ask = ask
        self._engine = engine
        self._pool = pool
        self._meaning = meaning
        # The connection may go to another space, or leave; the run stays where it was begun, however long it takes.
        self._call = Call(replace(call.peer), ask, tool=call.tool, run=call.run)
        self._cap = ask.cap if ask.cap is not None else cap
        self._told = Curated("running", ask.dry_run, space=call.peer.space)
        self._began = time.monotonic()
        self._stopping = False
        self._acts: list[CurationAct] = []
        self._room = self._beyond = 0
        """How much may be done yet, and how much was found beyond it."""
        self.task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """End it at the next step; what was done stays."""
        self._stopping = True

    def told(self, limit: int) -> Curated:
        """How far it is, with the first acts."""
        if self._told.state == "running":
            self._note(seconds=round(time.monotonic() - self._began, 3))
        return msgspec.structs.replace(self._told, acts=self._acts[:limit])

    def _note(self, **what: Any) -> None:
        self._told = msgspec.structs.replace(self._told, **what)

    async def _run(self) -> None:
        try:
            at = self._engine.clock()
            plans = await self._thought_of()
            if not self._stopping:
                if self.ask.dry_run:
                    self._acts = [plan.told for plan in plans]
                    self._note(counts=_counted(self._acts))
                else:
                    await self._act(plans)
            state = "stopped" if self._stopping else "done"
            self._note(state=state, seconds=round(time.monotonic() - self._began, 3))
            if not self._stopping:
                await self._keep(at)
        except Error as problem:
            self._note(state="failed", problem=problem.message)
        except Exception as problem:
            log.exception("a curation failed")
            self._note(state="failed", problem=f"the curation failed: {type(problem).__name__}")

    async def _keep(self, at: int) -> None:
        told = self._told
        mark = Mark(at, told.dry_run, told.counts, told.left, told.session, told.seconds)
        await self._engine.write(lambda tx: tx.tended.note(mark), self._call)

    # Thinking

    def _wants(self, *rules: RuleName) -> bool:
        return not self._stopping and (not self.ask.rules or any(rule in self.ask.rules for rule in rules))

    async def _read(self, work: Callable[[Tx], Any]) -> Any:
        return await self._engine.read(work, self._call)

    async def _think(self, work: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *given))

    async def _thought_of(self) -> list[Plan]:
        """Everything to be done, as much of it as the cap allows."""
        plans: dict[RuleName, list[Plan]] = {rule: [] for rule in RULES}
        size, done = await self._read(lambda tx: (tx.tended.size()[0], tx.tended.acts_since(tx.now - WITHIN_MS)))
        cap = max(int(self._cap * size), LEAST_ACTS if self._cap else 0)
        self._room = max(0, cap - done)
        self._note(total=size, cap=cap)
        every: list[Row] = []
        after = 0
        while not self._stopping:
            now, page = await self._read(partial(looking.page, after))
            for move in MOVES:
                if self._wants(move.rule):
                    plans[move.rule] += await self._moves(move, page, now, self._room - len(plans[move.rule]))
            every += page
            self._note(entities=len(every))
            if len(page) < looking.PAGE:
                break
            after = page[-1].id
        # What is moved in this run is looked at as it will stand, so that the next run finds nothing in it.
        moves = [plan.told for rule in plans for plan in plans[rule]][: self._room]
        tiers = {one.id: one.tier for one in every}
        tiers |= {
            told.entity: TIERS.index(told.tier) for told in moves if told.entity is not None and told.tier is not None
        }
        if self._wants("repeated_actions"):
            plans["repeated_actions"] = await self._procedures([one.id for one in every if tiers[one.id] == PROCEDURAL])
        going: set[int] = set()
        while not self._stopping:
            if self._wants("repeated_episodes"):
                told = [plan.shared for plan in plans["repeated_episodes"] if plan.shared is not None]
                ids = [one.id for one in every if one.id not in going and (tiers[one.id] or kind_of(one.type).curated)]
                plans["repeated_episodes"] += await self._knowledge(ids, tiers, told)
            before = len(going)
            if self._wants("size_limit"):
                made = [*plans["repeated_episodes"], *plans["repeated_actions"]][: self._room - len(moves)]
                plans["size_limit"] = await self._too_much(every, made)
                going = {plan.told.entity for plan in plans["size_limit"] if plan.told.entity is not None}
            if len(going) == before or not any(tiers[one] == EPISODIC for one in going):
                break  # else those that stay are looked at once more, as the next run would
        return self._capped(plans)

    def _capped(self, plans: dict[RuleName, list[Plan]]) -> list[Plan]:
        room = self._room
        going: set[int] = {plan.told.entity for plan in plans["size_limit"] if plan.told.entity is not None}
        kept: list[Plan] = []
        left = self._beyond
        for rule, some in plans.items():
            if rule in ALWAYS:
                kept += some
                continue
            some = [plan for plan in some if plan.told.entity not in going]
            kept += some[:room]
            left += len(some[room:])
            room -= len(some[:room])
        self._note(left=left)
        return kept

    async def _moves(self, move: Move, page: list[Row], now: int, room: int) -> list[Plan]:
        """What a rule moves of a page. What the cap leaves for another day is counted and not opened."""
        tier = TIERS.index(move.before)
        found = [one for one in page if one.tier == tier and kind_of(one.type).curated and moved(move, one, now)]
        if not move.confirmed:
            self._beyond += len(found[max(0, room) :])
            found = found[: max(0, room)]
        plans: list[Plan] = []
        for begin in range(0, len(found), OPENED):
            some = {one.id: one for one in found[begin : begin + OPENED]}
            for stored in (await self._read(partial(looking.opened, list(some)))).values():
                row = some[stored.id]
                if stored.began == row.began and moved(move, row, now, "confirmed_at" in stored.state.attributes):
                    act = CurationAct(
                        move.rule, "promote", stored.state.name, stored.state.type, reason_for(move, row, now), stored.id, move.before,
                        move.tier,
                    )  # fmt: skip
                    plans.append(Plan(act, row.began, row.used or 0))
        return plans

    async def _knowledge(self, ids: list[int], tiers: dict[int, int], made: list[Shared]) -> list[Plan]:
        """What episodes repeat that is neither known nor to be made in this run."""
        episodes: list[Episode] = []
        for known in (False, True):
            some = [one for one in ids if (tiers[one] > EPISODIC if known else tiers[one] == EPISODIC)]
            if not some and not known:
                return []
            for begin in range(0, len(some), OPENED):
                if self._stopping:
                    return []
                episodes += await self._read(partial(looking.episodes, some[begin : begin + OPENED], known))
        for one in made:
            says = [Statement(place, said.text) for place, said in enumerate(one.statements, 1)]
            episodes.append(Episode(0, one.type, says, True))
        found: list[Shared] = await self._think(lambda: shared(episodes, self._meaning(), lambda: self._stopping))
        names = await self._read(lambda tx: [free_name(tx, title(one.statements[0].text)) for one in found])
        plans: list[Plan] = []
        for one, name in zip(found, names, strict=True):
            if name is None:
                continue  # somebody has undone it
            says = [said.text for said in one.statements]
            act = CurationAct(
                "repeated_episodes", "create", name, one.type,
                f"{len(one.episodes)} similar episodes say {'it' if len(says) == 1 else 'these'}",
                None, "episodic", "procedural" if one.type.casefold() in ACTION_TYPES else "semantic", says, one.episodes,
            )  # fmt: skip
            plans.append(Plan(act, shared=one))
        return plans

    async def _procedures(self, known: list[int]) -> list[Plan]:
        """What was done again and again, and is none of the procedures that are known."""
        done: list[Done] = []
        after: int = 0
        while not self._stopping:
            streams: list[int] = await self._read(lambda tx, after=after: tx.tended.streams(after, looking.PAGE))
            for stream in streams:
                lines = await self._read(partial(looking.actions, stream))
                days: dict[int, list[tuple[int, str]]] = defaultdict(list)
                for number, at, text in lines:
                    days[at // DAY_MS].append((number, text))
                done += [Done(stream, actions) for _, actions in sorted(days.items())]
            if len(streams) < looking.PAGE:
                break
            after = streams[-1]
        if not done:
            return []
        found: list[Habit] = await self._think(habits, done)
        there: set[tuple[str, ...]] = set()
        for begin in range(0, len(known) if found else 0, OPENED):
            for one in (await self._read(partial(looking.opened, known[begin : begin + OPENED]))).values():
                there.add(looking.plain_steps(noted.text for noted in one.state.observations))
        found = [one for one in found if looking.plain_steps(one.steps) not in there]
        names = await self._read(partial(looking.procedure_names, found))
        plans: list[Plan] = []
        for one, name in zip(found, names, strict=True):
            if name is not None:
                what = "done" if len(one.steps) == 1 else "done in this order"
                act = CurationAct(
                    "repeated_actions", "create", name, "workflow", f"{what} in {one.times} episodes", None, None, "procedural",
                    one.steps, one.streams,
                )  # fmt: skip
                plans.append(Plan(act, habit=one))
        return plans

    async def _too_much(self, every: list[Row], made: list[Plan]) -> list[Plan]:
        """What goes where the space holds more than its limit, or will once the cap's share of what is planned is made."""
        limits, size = await self._read(limited)
        if not limits:
            return []
        size = size[0] + len(made), size[1] + sum(map(looking.bytes_of, made))
        if all(size[LIMITS[name]] <= limit for name, limit in limits.items()):
            return []
        now = self._engine.clock()
        ranked: list[tuple[tuple[int, float], int, Plan, int]] = []
        for begin in range(0, len(every), OPENED):
            if self._stopping:
                return []
            ids = [one.id for one in every[begin : begin + OPENED] if kind_of(one.type).curated]
            found, links = await self._read(partial(looking.open_with_links, ids))
            for stored in found.values():
                own = stored.state.attributes
                if own.get("pinned"):
                    continue
                one = Standing(
                    stored.touched_at, stored.used, stored.used_at, own.get("confirmed_at", 0), links.get(stored.id, 0),
                    own.get("importance"), own.get("priority", 5),
                )  # fmt: skip
                worth = sum(importance(one, now).values()) if one.rated is None else one.rated
                act = CurationAct(
                    "size_limit", "delete", stored.state.name, stored.state.type, "", stored.id,
                    TIERS[own.get("tier") or 0], importance=round(worth, 4),
                )  # fmt: skip
                ranked.append((keeping(one, now), stored.id, Plan(act, stored.began, stored.used), stored.text_bytes))
        ranked.sort(key=lambda each: each[:2])
        plans: list[Plan] = []
        entities, text = size
        for (priority, _), _, plan, size_of in ranked:
            if entities <= limits.get("max_entities", entities) and text <= limits.get("max_text_bytes", text):
                break
            entities, text = entities - 1, text - size_of
            which = " and ".join(f"{name} {limits[name]:,}" for name in LIMITS if name in limits)
            reason = f"priority {priority}, importance {plan.told.importance:.2f}: the space's limit is {which}"
            plans.append(msgspec.structs.replace(plan, told=msgspec.structs.replace(plan.told, reason=reason)))
        return plans

    # Acting

    async def _act(self, plans: list[Plan]) -> None:
        """Do it rule by rule, so that each change can say why."""
        if not plans:
            return
        last = await self._read(lambda tx: tx.log.last_change())
        session = f"curation-{last + 1}"
        self._note(session=session)
        peer = replace(self._call.peer, session=session)
        counts: Counter[str] = Counter()
        changes: list[int] = []
        by_rule: dict[RuleName, list[Plan]] = defaultdict(list)
        for plan in plans:
            by_rule[plan.told.rule].append(plan)
        for rule, some in by_rule.items():
            ask = msgspec.structs.replace(self.ask, message=self.ask.message or f"curation: {TITLES[rule]}")
            call = replace(self._call, peer=peer, ask=ask)
            async for slice_ in in_slices(self._engine, call, some, carry_out):
                self._acts += slice_.done
                counts.update(act.rule for act in slice_.done)
                changes += [slice_.change] if slice_.change else []
                skipped = self._told.skipped + slice_.looked_at - len(slice_.done)
                self._note(counts=dict(counts), skipped=skipped, changes=changes)
                if self._stopping:
                    return


def _counted(acts: Iterable[CurationAct]) -> dict[str, int]:
    return dict(Counter(act.rule for act in acts))
