"""How the daemon fares: every state that is not well has a name, and a remedy.

Healthy means that something was written a moment ago and read back by another connection, not that nobody has complained.
"""

import asyncio
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Literal

import msgspec
import psutil

from enhanced_memory.client.errors import Error, StoreDamaged
from enhanced_memory.client.operations.service import Ailment, Wellness
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.backing_up import FAILED
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.pressure import pressure
from enhanced_memory.daemon.store import Engine
from enhanced_memory.daemon.times import moment

__all__ = ["Wellbeing"]

log = logging.getLogger(__name__)

PROOF = "proof"
PROVEN_FOR_S = 10.0
"""For how long a write that was made and read back speaks for the store."""
PROVE_WITHIN_S = 5.0
LEAST_FREE = 64 * 1024 * 1024
MANY_WAITING = 2000
BACKWARDS_MS = 60_000
FILES_SHARE = 0.9
MEMORY_SHARE = 0.9
BACKUP_AFTER = timedelta(days=7)

State = Literal["degraded", "failing"]


class Wellbeing:
    """Looks after one daemon."""

    def __init__(
        self, engine: Engine, settings: Settings, others: Callable[[], Iterator[Ailment]], uptime: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._others = others
        self._uptime = uptime
        self._proven: float | None = None
        self._proof_ms = 0.0
        self._last: tuple[float, Wellness] | None = None
        self.checking = False
        self.damage: list[str] = []
        """What the check after a start that followed no orderly end has found."""

    async def check_after_crash(self) -> None:
        """Look at the whole store once, if the daemon before ended without closing it. Questions and changes are served meanwhile."""
        if not self._engine.unclean:
            return
        self.checking = True
        try:
            found = await self._engine.check(quick=True)
            self.damage = found.problems
            if found.problems:
                log.error(
                    "the check after a crash found %d problems, first: %s", len(found.problems), found.problems[0]
                )
        except Error as problem:
            log.warning("the store could not be checked after a crash: %s", problem)
        finally:
            self.checking = False

    async def look(self, within_s: float = 0.0) -> Wellness:
        """How all is, now, or as it was found at most `within_s` ago."""
        if self._last is not None and monotonic() - self._last[0] < within_s:
            return self._last[1]
        ailments = await self._store()
        try:
            backups = await self._backup()
        except StoreDamaged as problem:
            # What cannot be read is told, and not why health cannot be.
            backups = [Ailment("damaged", "failing", problem.message, problem.hint)]
        ailments += [*self._machine(), *backups, *self._others()]
        worst = {one.state for one in ailments}
        found = Wellness(
            "failing" if "failing" in worst else "degraded" if worst else "healthy",
            ailments,
            proven_at=moment(int(self._proven)) if self._proven is not None else None,
            proof_ms=round(self._proof_ms, 3),
            uptime_s=round(self._uptime(), 1),
            waiting=self._engine.waiting,
            checking=self.checking,
        )
        self._last = monotonic(), found
        return found

    async def _store(self) -> list[Ailment]:
        found: list[Ailment] = []
        problem = self._engine.harm()
        if problem is not None:
            found.append(Ailment("file_replaced", "failing", problem.message, problem.hint))
        state, says = self._engine.state
        try:
            await asyncio.wait_for(self._prove(), PROVE_WITHIN_S)
        except TimeoutError:
            found.append(
                Ailment("not_writing", "failing", f"A write was not done within {PROVE_WITHIN_S:g} s.",
                        "see the daemon's log and the disk; `memoryctl stop` starts it anew")
            )  # fmt: skip
        except Error as failed:
            found.append(Ailment("not_writing", "failing", failed.message, failed.hint))
        else:
            # What failed before has mended itself if a write came through just now.
            if state == "failing" and self._engine.state[0] == "failing":
                found.append(Ailment("not_writing", "failing", says, "see the daemon's log"))
        if self.damage:
            found.append(
                Ailment("damaged", "failing", f"{len(self.damage)} problems in the store, first: {self.damage[0]}",
                        "memoryctl verify; memoryctl backups restore latest")
            )  # fmt: skip
        for name, why in self._engine.left_alone:
            found.append(
                Ailment("replica_away", "degraded", f"The replica {name} could not be asked, the primary answers for it: {why}",
                        "see that it runs and replays the primary's log; it is asked again by itself")
            )  # fmt: skip
        if self._engine.waiting > MANY_WAITING:
            found.append(
                Ailment("busy", "degraded", f"{self._engine.waiting:,} changes wait for the writer.",
                        "see `memoryctl top` for who asks")
            )  # fmt: skip
        return found

    async def _prove(self) -> None:
        """Write something, and read it back on another connection. Raises what kept it from being so."""
        now = self._engine.clock()
        if (
            self._proven is not None
            and 0 <= now - self._proven < PROVEN_FOR_S * 1000
            and self._engine.state[0] == "ready"
        ):
            return
        began, word = monotonic(), secrets.token_hex(8)
        call = Call(Peer(), Request())
        await self._engine.write(lambda tx: tx.log.keep(PROOF, word), call)
        read = await self._engine.read(lambda tx: tx.log.kept(PROOF), call)
        if read != word:
            raise Error("What was written is not read back.", "memoryctl verify")
        self._proven, self._proof_ms = now, (monotonic() - began) * 1000

    def _machine(self) -> Iterator[Ailment]:
        folder = self._engine.place.parent
        if not self._engine.near and not folder.exists():
            # Of a database nothing need lie here; what a daemon writes beside it would.
            folder = Path.home()
        try:
            free, inodes = shutil.disk_usage(folder).free, os.statvfs(folder)
        except OSError as problem:
            yield Ailment("disk", "failing", f"{folder}: {problem.strerror}.", "put the folder back")
        else:
            if free < LEAST_FREE:
                yield Ailment(
                    "disk_full",
                    "degraded",
                    f"{free // 2**20} MiB are free at {folder}.",
                    f"df -h {folder}; free some space",
                )
            elif inodes.f_files and not inodes.f_favail:
                yield Ailment(
                    "disk_full", "degraded", f"No file can be made at {folder}: no inodes are left.", f"df -i {folder}"
                )
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        files = psutil.Process().num_fds()
        if limit > 0 and files > limit * FILES_SHARE:
            yield Ailment(
                "many_files",
                "degraded",
                f"{files:,} of {limit:,} files are open.",
                "raise LimitNOFILE=, or lower max_connections",
            )

        near = pressure()
        if near is not None and near.share > MEMORY_SHARE:
            yield Ailment(
                "memory",
                "degraded",
                f"{near.used // 2**20:,} of {near.limit // 2**20:,} MiB of memory are used, as {near.by} has it.",
                "raise the limit, or lower words_memory_mb, search_processes, readers or max_frame_bytes",
            )

    async def _backup(self) -> list[Ailment]:
        call = Call(Peer(), Request())
        now = self._engine.clock()
        last, failed, newest, made_at = await self._engine.read(
            lambda tx: (tx.log.last_backup(now), tx.log.kept(FAILED), tx.log.last_change_at(), tx.log.kept("made_at")),
            call,
        )
        found: list[Ailment] = []
        if newest and newest > now + BACKWARDS_MS:
            found.append(
                Ailment("clock", "degraded", f"The clock says {moment(now):%Y-%m-%d %H:%M}, and the last change was at {moment(newest):%Y-%m-%d %H:%M}.",
                        "sudo timedatectl set-ntp true")
            )  # fmt: skip
        if failed:
            at, why = msgspec.json.decode(failed, type=tuple[int, str])
            found.append(
                Ailment(
                    "backup_failed",
                    "degraded",
                    f"The backup of {moment(at):%Y-%m-%d %H:%M} failed: {why}",
                    "memoryctl backup",
                )
            )
        # A store that has never held anything, or is young, has nothing to lose yet.
        reference = last[0] if last else int(made_at) if made_at and newest else None
        if reference is not None and now - reference > BACKUP_AFTER / timedelta(milliseconds=1):
            name, says = (
                ("backup_old", "The last backup was made")
                if last
                else ("no_backup", "None was made, and the store exists since")
            )
            found.append(
                Ailment(
                    name,
                    "degraded",
                    f"{says} {moment(reference):%Y-%m-%d}.",
                    "memoryctl backup; see docs/running.md for every night",
                )
            )
        return found
