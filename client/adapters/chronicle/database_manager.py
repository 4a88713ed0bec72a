"""Where everything is kept, as Chronicle Weaver's users open, back up and close it."""

import hashlib
import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from enhanced_memory.client.adapters.outbox import Outbox
from enhanced_memory.client.errors import Error, Unavailable, WrongStore
from enhanced_memory.client.operations.cold import Vacuum
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.sync import Memory

__all__ = ["DatabaseManager"]

log = logging.getLogger(__name__)

VACUUM_S = 3600.0


class DatabaseManager:
    """Where everything is kept. Without a URL: the memory that the settings name.

    `sqlite:///path` and `postgresql://…` name a store of their own, served by a daemon of its own that is started for it.
    """

    def __init__(self, database_url: str | None = None, *, memory: Memory | None = None, queue: int = 1000) -> None:
        self.engine = memory or Memory(_settings(database_url), client="chronicle")
        self.database_url = database_url or f"sqlite:///{self.engine.settings.store_path}"
        self.outbox = Outbox(self.engine, self._owner, queue)
        try:
            self.engine.connect()
        except WrongStore:
            raise
        except Unavailable as problem:
            log.warning("the memory daemon is away, what is written waits for it: %s", problem)

    def _owner(self) -> Any:
        """What carries out the calls that waited; it is made of this, so it can only be named here."""
        from enhanced_memory.client.adapters.chronicle.persistent_memory import PersistentMemory

        return PersistentMemory(self)

    @property
    def memory(self) -> Memory:
        """The client that everything goes through."""
        return self.outbox.memory

    def SessionLocal(self) -> Memory:
        """The client: there are no sessions to be opened."""
        return self.engine

    @contextmanager
    def get_session(self) -> Generator[Memory]:
        """The client. Every call on it is a transaction of its own; an error is logged and raised."""
        try:
            yield self.engine
        except Error:
            log.exception("a call of the memory failed")
            raise

    def get_session_sync(self) -> Memory:
        """The client, for the caller to close when it ends."""
        return self.engine

    def close(self) -> None:
        """Send what waits, if anybody takes it, and end the connection."""
        try:
            self.outbox.flush()
        except Error as problem:
            log.warning("%d changes are still waiting: %s", len(self.outbox), problem)
        self.engine.close()

    def backup_database(self, backup_path: str) -> bool:
        """Write a copy while everything goes on, opened and checked; False (and a log line) where that fails."""
        try:
            self.engine.backup(str(Path(backup_path).expanduser().absolute()))
        except Error as problem:
            log.error("no backup was made: %s", problem)
            return False
        return True

    def vacuum_database(self) -> None:
        """Write the store anew without free room, and its words index compactly; what that did is logged, as errors are."""
        try:
            self.outbox.flush()
            done = self.engine.send(Vacuum(), timeout_s=VACUUM_S)
        except Error as problem:
            log.error("the store was not written anew: %s", problem)
            return
        log.info(
            "vacuum: %d bytes before, %d after, %.1f s%s", done.before, done.after, done.seconds,
            f"; {done.problem}" if done.problem else "",
        )  # fmt: skip


def _settings(url: str | None) -> Settings:
    if url is None:
        return Settings.load()
    parsed = urlparse(url)
    if parsed.scheme == "sqlite":
        store = str(Path(url.removeprefix("sqlite:///")).expanduser().absolute())
        Path(store).parent.mkdir(parents=True, exist_ok=True)
    else:
        store = url
    name = hashlib.sha256(store.encode()).hexdigest()[:12]
    folder = Settings.load().socket_path.parent
    return Settings.load({"store": store, "socket": str(folder / f"chronicle-{name}.sock")})
