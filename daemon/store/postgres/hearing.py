"""Hears what other daemons changed, and settles which of them does what only one should: a thread with a connection that listens.

Every commit tells its changes to all (NOTIFY). What could not be heard, because the connection was lost, is read from the journal
afterwards. Work for one is a lock in the server that lasts as long as the connection: who dies loses it, and the next takes it.
"""

import json
import logging
import math
import os
import platform
import secrets
import select
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import msgspec
from psycopg import Connection, Notify, RawCursor
from psycopg import Error as PostgresError

from enhanced_memory.client.errors import Error
from enhanced_memory.daemon.store import HOUSE, MEANING, Touched
from enhanced_memory.daemon.store.postgres.statements import statement

__all__ = ["HOST", "PRESENT", "Hearing", "pieces"]

log = logging.getLogger(__name__)

LOCKS = {HOUSE: 0x454D686B, MEANING: 0x454D6D6B}
PRESENT = 0x454D6464
"""With a daemon's name behind it, a lock that says that this daemon is there."""
HOST = platform.node()[:30]
"""This host, as the server shows it beside a daemon's process."""
LOOK_S = 5.0
"""How often it is looked whether work for one has become free, and whether the connection still stands."""
AGAIN_S = 1.0
"""Between attempts to reach the server again."""
PIECE = 7000
"""Characters in one notification; the server takes 7,999 bytes."""
MANY = 10_000
"""Missed changes that are told one by one; of more, only that there were some."""


def pieces(sender: str, changes: list[Touched]) -> Iterator[str]:
    """Changes as notifications: several where one does not hold them."""
    text = json.dumps(msgspec.to_builtins(changes), separators=(",", ":"))
    count = -(-len(text) // PIECE)
    for place in range(count):
        yield f"{sender} {place + 1} {count} {text[place * PIECE : (place + 1) * PIECE]}"


class Hearing:
    """Tells changes of other daemons, in their order, and when this one has work that only one does."""

    def __init__(
        self,
        reach: Callable[[], "Connection[tuple[Any, ...]]"],
        wanted: Collection[str],
        told: Callable[[list[Touched]], None],
        chosen: Callable[[], None],
    ) -> None:
        """`told` and `chosen` are called on the thread that listens. Of the works for one, only what is `wanted` is taken."""
        self.name = secrets.token_hex(4)
        """Of this daemon, before what it tells."""
        self.leading: frozenset[str] = frozenset()
        self._reach = reach
        self._wanted = wanted
        self._told = told
        self._chosen = chosen
        self._heard = -1
        self._own: set[int] = set()
        self._parts: dict[str, list[str]] = {}
        self._missed = False
        """Whether the server could not be listened to at first: what was changed meanwhile, nobody has told."""
        self._stopping = False
        self._tried = threading.Event()
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="hearing", daemon=True)

    def start(self) -> None:
        """Begin to listen. Returns once the server was asked for work that is free."""
        self._thread.start()
        self._tried.wait()

    def stop(self) -> None:
        """Listen no more, and give work for one back."""
        self._stopping = True
        os.write(self._wake, b"x")
        self._thread.join()
        os.close(self._woken)
        os.close(self._wake)

    def committed(self, changes: Iterable[Touched]) -> None:
        """These are this daemon's own, and known here."""
        self._own.update(one.number for one in changes if one.number)

    def withdrawn(self, changes: Iterable[Touched]) -> None:
        """These were not committed after all: their numbers are free for another daemon's."""
        self._own.difference_update(one.number for one in changes)

    def _run(self) -> None:
        while not self._stopping:
            try:
                with self._reach() as connection:
                    try:
                        self._listen(connection)
                    finally:
                        # The locks go with the connection, and from then on another daemon may lead.
                        self.leading = frozenset()
            except (PostgresError, Error) as problem:
                if not self._stopping:
                    log.warning("other daemons cannot be heard: %s", problem)
            except Exception:
                # A daemon without this thread would be deaf until its end.
                log.exception("other daemons cannot be heard")
            self._missed = self._missed or self._heard < 0
            self._tried.set()
            if not self._stopping:
                self._wait(AGAIN_S)

    def _wait(self, seconds: float, *also: int) -> None:
        """Wait until this is to stop or there is something to read; `poll`, because `select` takes no descriptor above 1,023."""
        waiting = select.poll()
        for one in (self._woken, *also):
            waiting.register(one, select.POLLIN)
        waiting.poll(math.ceil(max(0.0, seconds) * 1000))

    def _listen(self, connection: "Connection[tuple[Any, ...]]") -> None:
        connection.add_notify_handler(self._piece)
        connection.execute("LISTEN enhanced_memory")
        self._parts.clear()
        # Who looks for daemons finds their processes.
        connection.execute(
            "SELECT set_config('application_name', %s, false)", (f"enhanced-memory {os.getpid()}@{HOST}",)
        )
        # A lock of two numbers takes them with their signs.
        number = int.from_bytes(bytes.fromhex(self.name), signed=True)
        connection.execute("SELECT pg_try_advisory_lock(%s::bigint::int, %s::bigint::int)", (PRESENT, number))
        self._catch_up(connection)
        self._stand(connection)
        self._tried.set()
        looked = time.monotonic()
        while not self._stopping:
            self._wait(looked + LOOK_S - time.monotonic(), connection.fileno())
            connection.pgconn.consume_input()
            while (notice := connection.pgconn.notifies()) is not None:
                self._piece(Notify(notice.relname.decode(), notice.extra.decode(), notice.be_pid))
            if time.monotonic() >= looked + LOOK_S:
                self._stand(connection)
                looked = time.monotonic()

    def _stand(self, connection: "Connection[tuple[Any, ...]]") -> None:
        """Take what work is free; what is held already stays so, and the question shows that the connection stands."""
        held = self.leading
        connection.execute("SELECT 1")
        for work in self._wanted:
            if work not in held:
                row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCKS[work],)).fetchone()
                if row is not None and row[0]:
                    held |= {work}
        if held != self.leading:
            log.info("this daemon does by itself: %s", ", ".join(sorted(held)))
            self.leading = held
            self._chosen()

    def _piece(self, notice: Notify) -> None:
        try:
            sender, place, count, text = notice.payload.split(" ", 3)
            if int(place) == 1:
                self._parts[sender] = []
            parts = self._parts.setdefault(sender, [])
            parts.append(text)
            if len(parts) < int(count):
                return
            changes = msgspec.json.decode("".join(self._parts.pop(sender)), type=list[Touched])
        except (ValueError, msgspec.DecodeError) as problem:
            # Whoever may connect may notify.
            log.warning("a notification that no daemon sends was dropped: %s", problem)
            return
        if sender == self.name:
            self._own.difference_update(one.number for one in changes)
        else:
            self._tell([one for one in changes if not one.number or one.number > self._heard])
        self._heard = max([self._heard, *(one.number for one in changes)])

    def _tell(self, changes: list[Touched]) -> None:
        if changes:
            self._told(changes)

    def _catch_up(self, connection: "Connection[tuple[Any, ...]]") -> None:
        """Learn where the store stands; what came while nobody listened is told as far as the journal says it."""
        row = connection.execute("SELECT change, passage FROM numbers").fetchone()
        newest, passage = (row[0], row[1]) if row is not None else (0, 0)
        changes: list[Touched] = []
        if 0 <= self._heard < newest:
            asked = statement("changes_missed")
            given = asked.values({"heard": self._heard, "limit": MANY})
            found = RawCursor(connection).execute(asked.text, given).fetchall()
            changes = [
                Touched(number, op, space, msgspec.json.decode(entities, type=list[int]), passage)
                for number, op, space, entities in reversed(found)
                if number not in self._own
            ]
        if self._heard >= 0 or self._missed:
            # Vectors are told of, too, and stand in no journal.
            self._tell([*changes, Touched(newest, "", "", [], passage, everything=True)])
            self._own.clear()
        self._heard = newest
