"""Backups as the running daemon makes them: one at a time, into one or two folders, old ones let go, failures remembered."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from enhanced_memory.client.errors import Broken, Error
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import BackupMade
from enhanced_memory.daemon.backups import NAME, copied, let_go
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.curation.steadiness import Steadiness
from enhanced_memory.daemon.store import HOUSE, Engine
from enhanced_memory.daemon.times import moment

__all__ = ["FAILED", "Backups"]

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0

FAILED = "backup_failed"
"""Under this key `meta` keeps why the last backup was not made, until one is: `[milliseconds, why]` as JSON text."""


class Backups:
    """Makes backups of one store."""

    def __init__(self, engine: Engine, settings: Settings, steadiness: Steadiness | None = None) -> None:
        self._engine = engine
        self._steadiness = steadiness or Steadiness(engine.clock)
        self._settings = settings
        self._turn = asyncio.Lock()

    @property
    def folder(self) -> Path:
        """Where they go unless told otherwise."""
        return Path(self._settings.backup_folder).expanduser().absolute()

    async def make(self, to: str, prune: bool) -> BackupMade:
        """A backup in `to` (empty: the folder of the settings); its copy in the second folder; then, with `prune`, older ones let go."""
        async with self._turn:
            try:
                copy = await self._engine.backup(to or str(self.folder))
            except Error as problem:
                log.warning("no backup was made: %s", problem.message)
                await self._note(problem.message)
                raise
            made = BackupMade(
                copy.path, copy.bytes, copy.sha256, copy.entities, copy.messages, copy.change, round(copy.seconds, 3),
                copy.store_bytes,
            )  # fmt: skip
            loop = asyncio.get_running_loop()
            told = await loop.run_in_executor(None, self._beside, made, prune)
            await self._note(told.problem)
            return told

    def _beside(self, made: BackupMade, prune: bool) -> BackupMade:
        path, problem, second, pruned = Path(made.path), "", "", list[Path]()
        named = NAME.fullmatch(path.name) is not None
        folders = [path.parent]
        try:
            if named and self._settings.backup_second_folder and path.parent == self.folder:
                other = Path(self._settings.backup_second_folder).expanduser().absolute()
                folders.append(other)
                second = str(copied(path, other))
            if named and prune and (why := self._steadiness.look()):
                raise Broken(f"No older backup is let go. {why}", "sudo timedatectl set-ntp true")
            for folder in folders if named and prune else []:
                days, count = self._settings.backup_keep_days, self._settings.backup_keep_count
                pruned += let_go(folder, days, count, self._engine.store_id, datetime.now(UTC))
        except (Error, OSError) as failed:
            problem = failed.message if isinstance(failed, Error) else f"{failed.filename}: {failed.strerror}"
            log.warning("a backup was made, but not all that belongs to it: %s", problem)
        return msgspec.structs.replace(made, second=second, pruned=[str(one) for one in pruned], problem=problem)

    async def _note(self, problem: str) -> None:
        """Keep it for whoever asks how the daemon fares. A store that takes no writes says so itself."""
        said = msgspec.json.encode([self._engine.clock(), problem]).decode() if problem else ""
        with suppress(Error):
            await self._engine.write(lambda tx: tx.log.keep(FAILED, said), Call(Peer(), Request()))

    async def keep_making(self) -> None:
        """Look now and then whether one is due, for as long as the daemon runs."""
        while self._settings.backup_every_h:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.make_if_due()

    async def make_if_due(self) -> None:
        """Make one where the settings want it, the last is old enough, and no other daemon does it. What goes wrong is logged
        and noted.
        """
        every_s = self._settings.backup_every_h * 3600
        if not every_s or not self._engine.leads(HOUSE):
            return
        now = self._engine.clock()
        # One of tomorrow was made by a clock that was wrong: it says nothing of today.
        last = await self._engine.read(lambda tx: tx.log.last_backup(now), Call(Peer(), Request()))
        if last is None or now - last[0] >= every_s * 1000:
            try:
                made = await self.make("", prune=True)
            except Error:
                return
            log.info("backup path=%s bytes=%d of=%s", made.path, made.bytes, moment(self._engine.clock()))
