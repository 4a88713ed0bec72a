# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The SQLite engine: one writer, a few readers, and point reads on the loop, all on one file."""

import asyncio
import os
import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import apsw

from enhanced_memory.client.errors import Error, Unavailable
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store import Followed, Health, Scrubbed, Touched, Usage
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec
from enhanced_memory.daemon.store.jobs import Job, Later, answer
from enhanced_memory.daemon.store.keeping import KeptWords
from enhanced_memory.daemon.store.purging import SCRUB_DUE
from enhanced_memory.daemon.store.readers import Answering, Readers
from enhanced_memory.daemon.store.sqlite import backup, file, learning, scrubbing, sealing, verifying
from enhanced_memory.daemon.store.sqlite.place import Place
from enhanced_memory.daemon.store.sqlite.posted import Looking
from enhanced_memory.daemon.store.sqlite.reader import Reader
from enhanced_memory.daemon.store.sqlite.rows import Epoch, dictionaries, each, translated
from enhanced_memory.daemon.store.sqlite.scrubbing import REPACK_DUE, Repacking
from enhanced_memory.daemon.store.sqlite.sealed_files import SealedFiles
from enhanced_memory.daemon.store.sqlite.writer import Writer
from enhanced_memory.daemon.store.training import trained
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["SqliteEngine"]

A = TypeVar("A")

ADD_DICTIONARY = "INSERT INTO dictionaries (id, at, bytes) VALUES (?, ?, ?)"
LAST = 255
"""The highest number that a body's first byte can name."""
_IDLE_ROWS = 100
"""Bodies that are packed anew in one idle moment: some milliseconds of work."""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class SqliteEngine:
    """Keeps memories in one SQLite file that it alone writes. Made by `open`, on the running loop."""

    near = True
    left_alone = ()

    def __init__(
        self, settings: Settings, clock: Callable[[], int], loop: asyncio.AbstractEventLoop, owned: file.Owned
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.path = str(settings.store_path)
        self.place = settings.store_path
        self.name = secrets.token_hex(4)
        self.listeners: list[Callable[[Touched], None]] = []
        self.chosen: list[Callable[[], None]] = []
        self.give_up: Callable[[str], None] = lambda why: None
        self._loop = loop
        self._owned = owned
        self._dropped: set[int] = set()
        self._trainer: threading.Thread | None = None
        self._scrubbing = asyncio.Lock()
        self._checks = backup.Checks()
        self.key = sealing.key_of(settings)
        self.sealing = SealedFiles(self.key is not None)
        connection = file.open_store(settings.store_path, settings.synchronous, self.key)
        self.dictionaries = dictionaries(connection)
        self.dictionary = max(self.dictionaries)
        self._stage = learning.learnt(connection, len(self.dictionaries) - 1)
        self.store_id: str = next(each(connection, "SELECT value FROM meta WHERE key = 'store_id'"))[0]
        self.scrub_due = bool(list(each(connection, "SELECT 1 FROM meta WHERE key = ?", (SCRUB_DUE,))))
        self.epoch = Epoch()
        self.followed = Followed("enhanced_memory.daemon.store.sqlite.follower", lambda: self.epoch.number)
        self._writer = Writer(
            connection, Codec(self.dictionaries, self.dictionary), settings, clock, loop, self._finished,
            Place(settings.store_path), self._harmed, self.epoch, key=self.key,
        )  # fmt: skip
        if list(each(connection, "SELECT 1 FROM meta WHERE key = ?", (REPACK_DUE,))):
            self._writer.repacking = self._older()
        self._writer.start()
        self.kept = KeptWords(lambda: Looking(self.place, self.key), self._writer.counters.passage, settings.words_memory_mb << 20)  # fmt: skip
        self.listeners.append(self.kept.changed)
        try:
            self._own = self._reader()
        except BaseException:
            self.kept.close()
            self._writer.stop()
            raise
        self._readers = Readers(max(1, settings.readers), loop, self._answering)

    @classmethod
    async def open(cls, settings: Settings, clock: Callable[[], int] = now_ms) -> Self:
        """Take ownership of the store and make ready. Raises what `file.open_store` and `file.Owned` raise."""
        loop = asyncio.get_running_loop()
        owned = file.Owned(settings.store_path)

        def made() -> Self:
            with translated():
                return cls(settings, clock, loop, owned)

        try:
            return await loop.run_in_executor(None, made)
        except BaseException:
            owned.release()
            raise

    # Reading

    def point(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run a `work` of a few row reads here, on the loop's own connection.

        Statements that stand alone cost half as much as a transaction around them. They have seen one and the same state of
        the store if no commit was under way or came in between; otherwise they are asked anew in a transaction.
        """
        writer, now = self._writer, self.clock()
        before = writer.committed
        if writer.committing == before:
            try:
                answer = self._own.glance(work, call, self.settings, now)
            except Exception:
                if writer.committing == before:
                    raise
            else:
                if writer.committing == before:
                    return answer
            call.used.clear()
        return self._own.run(work, call, self.settings, now)

    async def read(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run `work` on a reader's thread."""
        return await self._readers.read(work, call)

    def _reader(self) -> Reader:
        codec = Codec(self.dictionaries, self.dictionary)
        return Reader(Path(self.path), self.key, self.epoch, self.kept, codec)

    @contextmanager
    def _answering(self) -> Generator[Answering]:
        reader = self._reader()
        try:
            yield lambda work, call: reader.run(work, call, self.settings, self.clock())
        finally:
            reader.connection.close()

    # Writing

    async def write(self, work: Callable[[Tx], A], call: Call) -> A:
        """Run `work` on the writer's thread; its answer comes after the commit."""
        return await self._writer.intake.write(work, call)

    def note(
        self,
        name: str,
        rows: list[dict[str, Any]],
        prepare: Callable[[Tx, dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        """Write rows that nobody waits for."""
        self._writer.intake.put(Later(name, rows, prepare))

    def _finished(self, jobs: list[Job]) -> None:
        """Give each job its answer, and tell the listeners what changed; the changes are on disk."""
        answer(jobs, self.listeners)
        counters = self._writer.counters
        if learning.stage(counters.entity, counters.message) > self._stage:
            self._train()

    async def alone(self, work: Callable[[apsw.Connection], A]) -> A:
        """Run `work` on the writer's bare connection, between transactions."""
        return await self._writer.alone(work)

    def _train(self) -> None:
        """Make a dictionary from the store's own bodies, away from loop and writer, and pack with it from then on."""
        if self._trainer is not None and self._trainer.is_alive():
            return
        counters = self._writer.counters
        # One that is taken in whole passes several at once.
        stage = self._stage = learning.stage(counters.entity, counters.message)

        def make() -> None:
            found = trained(self._newest, Codec(self.dictionaries, self.dictionary))

            def keep(connection: apsw.Connection) -> None:
                number = max(self.dictionaries) + 1  # here: whoever purges may have added one
                words = found.words if found is not None and number <= LAST else None
                with connection:
                    learning.note(connection, stage)
                    if words is not None:
                        # What came before it, a burst of first entities above all, follows in idle moments.
                        connection.execute(ADD_DICTIONARY, (number, self.clock(), words))
                        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (REPACK_DUE, number))
                if words is not None:
                    self._pack_with(number, words)
                    self._writer.repacking = self._older()

            self._loop.call_soon_threadsafe(self._keep_dictionary, keep)

        self._trainer = threading.Thread(target=make, name="trainer", daemon=True)
        self._trainer.start()

    def _newest(self) -> list[tuple[int, bytes]]:
        return learning.newest(Path(self.path), self.key)

    def _pack_with(self, number: int, words: bytes) -> None:
        """Pack with a dictionary from now on. It is in the file already: what is packed with it must be readable for ever."""
        self.dictionaries[number] = words
        self.dictionary = number
        self._writer.codec.use(number)
        self._loop.call_soon_threadsafe(self.followed.age)

    def _older(self) -> Repacking:
        """What packs anew, a little at a time, bodies that were packed with other dictionaries than the present one."""
        older = self.dictionaries.keys() - self._dropped - {self.dictionary}
        return Repacking(older, Codec(self.dictionaries, self.dictionary), self._dropped, _IDLE_ROWS)

    def _keep_dictionary(self, keep: Callable[[apsw.Connection], None]) -> None:
        with suppress(Unavailable):  # the store is closing: the next daemon trains anew
            self._writer.alone(keep)

    # Forgetting

    async def scrub(self, texts: set[str] | None) -> Scrubbed:
        """Leave nothing of purged texts in the files: dictionaries that hold pieces of them are replaced, then free pages and log cleared."""
        async with self._scrubbing:  # one at a time: what one learns may hold what the next is to forget
            return await self._scrub(texts)

    async def _scrub(self, texts: set[str] | None) -> Scrubbed:
        if self._trainer is not None:
            await self._loop.run_in_executor(None, self._trainer.join)
            await self.alone(lambda _: None)  # what it hands over comes before us
        known = {
            number: words
            for number, words in self.dictionaries.items()
            if number != BUILT_IN and number not in self._dropped
        }
        going = (
            list(known)
            if texts is None
            else await self._loop.run_in_executor(None, scrubbing.held_by, texts, known, self.dictionaries[BUILT_IN])
        )
        if going:
            await self._replace(going)
        self.kept.forget()
        self.followed.age()
        done = await self.alone(lambda connection: scrubbing.clear(connection, SCRUB_DUE))
        self.scrub_due = not done.log_emptied
        done.dictionaries = len(going)
        return done

    async def _replace(self, going: list[int]) -> None:
        """Pack with another dictionary from now on, then anew what was packed with those that go, in steps between which others write."""
        codec = Codec(self.dictionaries, BUILT_IN)
        found = await self._loop.run_in_executor(None, trained, self._newest, codec)
        if self.dictionary in going:

            def use(connection: apsw.Connection) -> None:
                number = max(self.dictionaries) + 1
                if found is None or number > LAST:
                    self._pack_with(BUILT_IN, self.dictionaries[BUILT_IN])
                else:
                    connection.execute(ADD_DICTIONARY, (number, self.clock(), found.words))
                    self._pack_with(number, found.words)
                # It packs with a dictionary that goes. The next daemon goes on with what is left.
                self._writer.repacking = None

            await self.alone(use)
        repacking = Repacking(going, Codec(self.dictionaries, self.dictionary), self._dropped)
        while await self.alone(repacking.step):
            pass
        await self.alone(repacking.drop)

    # Care

    @property
    def state(self) -> tuple[str, str]:
        """`ready` or `failing`, and why."""
        return self._writer.state, self._writer.problem

    def harm(self) -> Error | None:
        """What became of the file under us, or nothing."""
        return self._writer.place.harm()

    def leads(self, work: str) -> bool:
        """Always: nobody else has the file."""
        return True

    async def present(self) -> set[str]:
        """This one alone."""
        return {self.name}

    def _harmed(self, why: str) -> None:
        self.give_up(why)

    @property
    def unclean(self) -> bool:
        """Whether whoever had the store before left it without closing it."""
        return self._owned.unclean

    @property
    def commits(self) -> int:
        """Transactions written since the start."""
        return self._writer.committed

    @property
    def waiting(self) -> int:
        """Changes that wait for the writer."""
        return self._writer.intake.waiting

    def reindexed(self) -> None:
        """The words index was made anew: what is kept of it is of another one."""
        self.kept.forget()
        self.followed.age()

    async def held(self, model: int, dimension: int) -> None:
        """Whoever asks keeps the vectors in memory."""

    def tend(self, now: int, access_before: int) -> None:
        """Nothing: the file has no parts."""

    async def fold(self) -> None:
        """Copy the log into the file on a connection that does nothing else. Left to the writer, every 40 MB of log would hold
        up one commit for as long as copying them takes."""
        await self._loop.run_in_executor(None, file.fold, Path(self.path), self.key)

    async def vacuum(self) -> str:
        """Merge the words index and write the file anew, between transactions."""
        await self.alone(scrubbing.compact)
        return ""

    async def alive(self) -> bool:
        """Whether the writer came round to its queue."""
        await self.alone(lambda _: None)
        return True

    @property
    def comparing(self) -> str:
        """What keeps the store from comparing vectors itself, or nothing."""
        return self._own.refused

    async def check(self, quick: bool) -> Health:
        """Check file, bodies and indexes on a connection of its own; a large file in a process of its own."""
        path = Path(self.path)
        if path.exists() and path.stat().st_size >= backup.APART:
            return await self._loop.run_in_executor(None, backup.checked_apart, path, quick, self.key, self._checks)
        return await self._loop.run_in_executor(None, verifying.check, path, quick, self.key)

    def end_checks(self) -> None:
        """End processes that look at the file: whoever leaves does not wait for them, and they only read."""
        self._checks.end()

    async def backup(self, to: str) -> backup.Copy:
        """Write a copy, open and check it, and note it in the store. One that lost its path is copied by whoever still has it open."""

        def copied(connection: apsw.Connection, copy: Path) -> None:
            connection.execute("VACUUM INTO ?", (os.fspath(copy),))

        def from_open_file(copy: Path) -> None:
            alone = self.alone(lambda connection: copied(connection, copy))
            asyncio.run_coroutine_threadsafe(alone, self._loop).result()

        source = from_open_file if self._writer.place.moved else None
        made = await self._loop.run_in_executor(
            None,
            backup.backup,
            Path(self.path),
            Path(to),
            self.settings.store_path,
            source,
            self.key,
        )
        self.note(
            "add_backup",
            [
                {
                    "at": self.clock(),
                    "path": made.path,
                    "bytes": made.bytes,
                    "sha256": made.sha256,
                    "number": made.change,
                }
            ],
        )
        return made

    async def usage(self) -> Usage:
        """The room that the file and its log take."""
        sizes = [os.path.getsize(self.path + end) if os.path.exists(self.path + end) else 0 for end in ("", "-wal")]
        return Usage(
            engine=f"SQLite {apsw.sqlite_lib_version()}", file=sizes[0], wal=sizes[1], memory=apsw.memory_used()
        )

    def leave(self) -> None:
        """Tell whoever wants the store that it will be free soon."""
        self._owned.leave()

    async def close(self) -> None:
        """Carry out what was handed over, then close the file and let others own it."""
        self._readers.stop()
        await self._loop.run_in_executor(None, self._close)

    def _close(self) -> None:
        self.end_checks()
        self._readers.join()
        if self._trainer is not None:
            self._trainer.join()
        self.kept.close()
        self._own.connection.close()
        self._writer.stop()
        self._owned.release()
