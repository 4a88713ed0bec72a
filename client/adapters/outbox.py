"""A bounded queue for changes while no daemon answers: nothing is lost, the order is kept, and nothing is applied twice."""

import logging
import os
import threading
from collections import deque
from typing import Any, TypeVar

from enhanced_memory.client.errors import Error, TooLarge, Unavailable, WrongStore
from enhanced_memory.client.request import Change
from enhanced_memory.client.sync import Memory

__all__ = ["Outbox"]

A = TypeVar("A")

log = logging.getLogger(__name__)


class Outbox:
    """Sends changes in order; those that nobody takes wait, `limit` at the most, and go before the next one.

    Each keeps the key that it was first sent under, so that one whose answer was lost is not applied again. What the daemon
    refuses when its turn comes (its session was deleted meanwhile, say) is kept in `refused` with the error.
    """

    def __init__(self, memory: Memory, limit: int = 1000) -> None:
        self.memory = memory
        self.limit = limit
        self.refused: list[tuple[Change[Any], Error]] = []
        self._waiting: deque[tuple[Change[Any], str]] = deque()
        self._turn = threading.RLock()

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, ask: Change[A]) -> A | None:
        """Send `ask` behind everything that waits; None where it has to wait, too. `TooLarge` where the queue is full: then
        it was not taken.
        """
        with self._turn:
            key = os.urandom(12).hex()
            try:
                self.flush()
                return self.memory.send(ask, key=key)
            except WrongStore:
                raise  # no waiting helps
            except Unavailable:
                if len(self._waiting) >= self.limit:
                    raise TooLarge(
                        f"{self.limit} changes wait for the daemon; no more are taken.",
                        "start the daemon (`memoryctl doctor` says why it does not answer), then repeat this one",
                    ) from None
                self._waiting.append((ask, key))
                log.warning("the memory daemon is away: %d changes wait for it", len(self._waiting))
                return None

    def flush(self) -> int:
        """Send what waits; how many that were. `Unavailable` where still nobody answers."""
        sent = 0
        with self._turn:
            while self._waiting:
                ask, key = self._waiting[0]
                try:
                    self.memory.send(ask, key=key)
                except Unavailable:
                    raise
                except Error as problem:
                    log.error("a change that waited was refused: %s", problem)
                    self.refused.append((ask, problem))
                self._waiting.popleft()
                sent += 1
        return sent
