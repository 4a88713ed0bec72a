"""The service that moves entities into cold storage: what is to go is read beside other work, written to a file, and only then let go.

A file is on disk before the row that names it commits, and has its name soon after. What a daemon that ended in between has left is
put right later: named where a row names it, removed where none does for an hour. Whole files that no row names are left alone:
they may be another store's, or a backup may need them.
"""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.errors import Conflict, Error, Invalid, StoreDamaged
from enhanced_memory.client.operations.cold import Archival, ArchiveEntities
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import Ref
from enhanced_memory.client.wire import unpack_value
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.dispatch import keyed
from enhanced_memory.daemon.handlers.filters import entity_conditions
from enhanced_memory.daemon.handlers.removal import bury_relations
from enhanced_memory.daemon.store import HOUSE, Engine, Tx, cold_files
from enhanced_memory.daemon.store.cold import Cold
from enhanced_memory.daemon.store.cold_files import Group, Written
from enhanced_memory.daemon.store.cooling import Mark
from enhanced_memory.daemon.store.known import Stored

__all__ = ["ColdStorage"]

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Entities of one file and one transaction."""
MESSAGES_AT_ONCE = 5_000
TRIES = 3
DAY_MS = 86_400_000
OLD_PARTIAL_S = 3600.0
LOOK_EVERY_S = 3600.0


class _Moving(msgspec.Struct):
    """What is to go into one file."""

    groups: list[Group] = []
    marks: dict[int, Mark] = {}
    kept: dict[str, str] = {}
    taken: int = 0
    """How many of those asked for this has seen to."""


class _Changed(Exception):
    """Something that was read has changed before it could go."""


class ColdStorage:
    """Moves entities to cold storage, and looks after the files."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._call = Call(Peer(), Request())
        self.turn = asyncio.Lock()
        """Held while files are written and until they have their names, so that nobody sweeps them away meanwhile."""
        self._asked = asyncio.Lock()
        """One request to archive at a time: one that is sent again waits for the first one's answer."""
        self.problem = ""
        self._woken = asyncio.Event()
        engine.chosen.append(self._woken.set)

    # Away

    async def archive(self, call: Call) -> Archival:
        """Answer `archive_entities`: file after file, until all that was asked for has gone."""
        async with self._asked:
            kept = None if call.key is None else await self._engine.read(partial(_kept, call), call)
            if kept is not None:
                return kept
            answer = await self._archive(call)
            if call.key is not None:
                # What has gone has gone, however late it is: whoever asks again is told the same.
                late = replace(call, deadline=None)
                await self._engine.write(keyed(lambda tx, ask: answer, late), late)
            return answer

    async def _archive(self, call: Call) -> Archival:
        ask: Any = call.ask
        chosen, missing, more = await self._engine.read(partial(_chosen, ask), call)
        answer = Archival([], missing=missing, more=more, dry_run=ask.dry_run, space=call.peer.space)
        while chosen:
            async with self.turn:
                moving, written, change = await self._move(call, chosen, ask.dry_run)
            answer = msgspec.structs.replace(
                answer,
                ids=answer.ids + [one.entity for one in moving.groups],
                files=answer.files + ([written.name] if written else []),
                bytes=answer.bytes + (written.bytes if written else 0),
                versions=answer.versions + sum(len(one.versions) for one in moving.groups),
                messages=answer.messages + sum(len(one.messages) for one in moving.groups),
                kept=answer.kept | moving.kept,
                changes=answer.changes + ([change] if change else []),
            )
            chosen = chosen[moving.taken :]
        return answer

    async def _move(self, call: Call, chosen: list[int], dry_run: bool) -> tuple[_Moving, Written | None, int]:
        """Move the first of those that are left; what went, its file, and the change."""
        loop = asyncio.get_running_loop()
        folder = self._settings.cold_path
        for _ in range(TRIES):
            moving = await self._engine.read(partial(_gathered, chosen), call)
            if dry_run or not moving.groups:
                return moving, None, 0
            write = partial(cold_files.write, folder, self._engine.store_id, moving.groups, self._engine.sealing)
            written = await loop.run_in_executor(None, write)
            try:
                change = await self._engine.write(partial(_put_away, moving, written), call)
            except _Changed:
                await loop.run_in_executor(None, cold_files.discard, folder, written.name)
                continue
            # Whatever else it fails with, it may stand all the same: then the file is needed.
            await loop.run_in_executor(None, cold_files.named, folder, written.name)
            return moving, written, change
        raise Conflict("What is to be archived keeps changing.", "archive it when nobody writes to it")

    # Files

    async def settle(self, cold: Cold, undone: set[str]) -> list[str]:
        """Name the files that a transaction began to need, then delete those that it needs no more; the files that still hold them.

        Where one of the first cannot be named, none of the others is deleted: they hold what it was to hold. `undone` are
        files of an attempt that does not stand.
        """
        loop, folder, gone = asyncio.get_running_loop(), self._settings.cold_path, cold.gone
        holding = [str(folder / name) for name in cold.holding]
        try:
            for name in undone:
                await loop.run_in_executor(None, cold_files.discard, folder, name)
            for name in cold.made:
                await loop.run_in_executor(None, cold_files.named, folder, name)
        except (StoreDamaged, OSError) as problem:
            self.problem = f"What replaces {len(gone)} files of cold storage has not got its name: {problem}"
            log.error("%s", self.problem)
            return holding + [str(folder / name) for name in gone]
        for name in gone:
            await loop.run_in_executor(None, cold_files.delete, folder, name)
        if gone:
            await self._engine.write(lambda tx: tx.cold.drop(gone), self._call)
        return holding

    def strangers(self, known: set[str]) -> list[str]:
        """Files in the folder that the store does not know: another store's, or of a time before a backup was restored."""
        folder = self._settings.cold_path
        whole, begun = cold_files.lie_there(folder)
        return [str(folder / name) for name in whole if name not in known] + [
            str(folder / (name + cold_files.PARTIAL)) for name in begun if name not in known
        ]

    async def keep_at_it(self) -> None:
        """Look after the files now and then, and once that has become this daemon's work, for as long as it runs."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_EVERY_S)
            self._woken.clear()
            await self.look_after()

    async def look_after(self) -> None:
        """Put right what a daemon that was killed has left, delete what is due, and look whether a file is missing; unless another
        daemon does it.
        """
        if not self._engine.leads(HOUSE):
            return
        try:
            await self._look_after()
        except (Error, OSError) as problem:
            log.warning("cold storage is not looked after: %s", problem)

    async def _look_after(self) -> None:
        loop, folder = asyncio.get_running_loop(), self._settings.cold_path
        if not folder.is_dir():
            files = await self._engine.read(lambda tx: tx.cold.files(), self._call)
            self.problem = f"The folder {folder} of cold storage is not there." if any(not f.due for f in files) else ""
            return
        async with self.turn:
            files = await self._engine.read(lambda tx: tx.cold.files(), self._call)
            known = {one.name for one in files}

            def tidy() -> tuple[list[str], list[str]]:
                for name in cold_files.lie_there(folder)[1]:
                    if name in known:
                        cold_files.named(folder, name)
                    elif self._left_behind(folder / (name + cold_files.PARTIAL)):
                        log.info("removed a file of cold storage that was never part of the store: %s", name)
                        cold_files.discard(folder, name)
                missing = [one.name for one in files if not one.due and not (folder / one.name).exists()]
                # What a missing file was to take the place of may be all that is left of it.
                due = [one.name for one in files if one.due and one.due <= self._engine.clock() and not missing]
                for name in due:
                    cold_files.delete(folder, name)
                return due, missing

            due, missing = await loop.run_in_executor(None, tidy)
            if due:
                await self._engine.write(lambda tx: tx.cold.drop(due), self._call)
        self.problem = (
            f"{len(missing)} files of cold storage are not in {folder}: {', '.join(missing[:3])}" if missing else ""
        )

    def _left_behind(self, path: Path) -> bool:
        """Whether a file without a name, of which no row knows, is this store's own, or nobody's since its writing never ended."""
        try:
            return time.time() - path.stat().st_mtime > OLD_PARTIAL_S and cold_files.whose(path) in (
                self._engine.store_id,
                "",
            )
        except OSError:
            return False

    def problems(self) -> list[str]:
        """What an operator should know."""
        return [self.problem] if self.problem else []

    async def verify(self, quick: bool) -> tuple[list[str], dict[str, int]]:
        """What is wrong with the files, each with its remedy, and what was checked."""
        folder = self._settings.cold_path
        files, (_, _, entities), keyless = await self._engine.read(
            lambda tx: (tx.cold.files(), tx.cold.count(), tx.cold.keyless()), self._call
        )
        needed = [one for one in files if not one.due]

        def look() -> list[str]:
            found: list[str] = []
            for one in needed:
                wrong = cold_files.wrong(folder, one.name, one.bytes, one.sha256, quick)
                if one.name in keyless:
                    found.append(
                        f"cold storage: the key of {folder / one.name} is not in the store any more: restore a backup that has it"
                    )
                elif wrong:
                    found.append(f"cold storage: {folder / one.name} {wrong}: {cold_files.remedy(one.sha256)}")
            return found

        problems = await asyncio.get_running_loop().run_in_executor(None, look)
        checked = {"cold_files": len(needed), "cold_entities": entities} if needed else {}
        strangers = self.strangers({one.name for one in files})
        return problems, checked | ({"cold_files_of_others": len(strangers)} if strangers else {})


def _kept(call: Call, tx: Tx) -> Archival | None:
    """The answer that was given under the call's key."""
    kept = tx.log.kept_answer(call.peer.uid, call.kept_as)
    if kept is None:
        return None
    op, answer, _ = kept
    if op != call.ask.op:
        raise Conflict(f"The key was used for {op} before.", "give every change a key of its own")
    return msgspec.convert(unpack_value(answer), Archival)


def _chosen(ask: ArchiveEntities, tx: Tx) -> tuple[list[int], list[Ref], bool]:
    """The ids of what is asked for, what is not there, and whether there is more."""
    missing: list[Ref] = []
    if ask.entities:
        ids: dict[int, None] = {}
        for ref in ask.entities:
            known = tx.entities.find(ref)
            if known is None:
                missing.append(ref)
            else:
                ids[known.id] = None
        return list(ids)[: ask.limit], missing, len(ids) > ask.limit
    if not ask.types and not ask.tags and not ask.where and ask.unused_days is None:
        raise Invalid("It is not said what to archive.", "name entities, or give types, tags, where or unused_days")
    before = None if ask.unused_days is None else tx.now - int(ask.unused_days * DAY_MS)
    conditions, values = entity_conditions(
        types=ask.types, tiers=[], tags=ask.tags, where=ask.where, quarantined=None, pinned=False, until=before
    )
    found: list[int] = []
    after = 0
    while len(found) <= ask.limit:
        page = tx.entities.page(*conditions, "after_id", limit=500, after=after, **values)
        found += [one.id for one in page if one.space == tx.space and (before is None or one.last_at <= before)]
        if len(page) < 500:
            break
        after = page[-1].id
    return found[: ask.limit], missing, len(found) > ask.limit


def _gathered(chosen: list[int], tx: Tx) -> _Moving:
    """All that is held of the first of them."""
    moving = _Moving()
    messages = 0
    for entity in chosen:
        if len(moving.groups) >= AT_ONCE or messages >= MESSAGES_AT_ONCE:
            break
        moving.taken += 1
        known = tx.entities.find(entity)
        if known is None:
            continue
        why = tx.cooling.hindrance(known)
        if why:
            moving.kept[str(entity)] = why
            continue
        group = tx.cooling.gathered(known)
        messages += len(group.messages)
        moving.groups.append(group)
        moving.marks[entity] = tx.cooling.mark(known)
    return moving


def _put_away(moving: _Moving, written: Written, tx: Tx) -> int:
    """Let go of the rows, unless anything has changed since they were read."""
    known: dict[int, Stored] = {}
    for entity, mark in moving.marks.items():
        one = tx.entities.find(entity)
        if one is None or one.space != tx.space or tx.cooling.hindrance(one) or tx.cooling.mark(one) != mark:
            raise _Changed
        known[entity] = one
    file = tx.cold.add(written)
    for group in moving.groups:
        bury_relations(tx, known[group.entity])
        tx.cooling.put_away(known[group.entity], group, file)
    tx.cooling.finish(known)
    return tx.number
