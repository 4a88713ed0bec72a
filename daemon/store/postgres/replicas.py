"""Read replicas: standbys that answer questions, as long as what they know is new enough for whoever asks.

How far a server is, its place in the write-ahead log says. A replica answers a question if it has come to

- the furthest place that this connection was shown or has written to, so that nobody sees his own change vanish, or time go back;
- a place where the primary was at most `replica_lag_s` ago, as this daemon saw it there. Clocks of servers are not compared.

Else the primary answers. A replica that cannot be reached is left alone until its pool has reached it again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from psycopg import Connection
from psycopg import Error as PostgresError
from psycopg_pool import ConnectionPool, PoolTimeout

from enhanced_memory.client.database_url import without_password
from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Peer
from enhanced_memory.daemon.store.postgres import database

__all__ = ["PLACE", "REPLAYED", "Replicas"]

Row = tuple[Any, ...]

log = logging.getLogger(__name__)

PLACE = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
"""Where the primary is: whatever is committed there lies before it."""
REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint END"
"""Up to where a replica knows everything; nothing of one that was made a primary, whose log is another's."""
WAIT_S = 0.05
"""For a replica's connection; the primary has one."""
AGAIN_S = 2.0
"""How long a replica that could not be had is not asked for."""


@dataclass(slots=True)
class Replica:
    """A standby, and the connections to it."""

    name: str
    pool: "ConnectionPool[Connection[Row]]"
    asked: int = 0
    """Questions that it answered."""
    away: str = ""
    """Why it is left alone."""
    again: float = 0.0
    """When to try it once more, on the monotonic clock."""


@dataclass(slots=True)
class Replicas:
    """Those of one daemon. Used by its readers' threads and by its writer's."""

    settings: Settings
    prepare: "Callable[[Connection[Row]], None]"
    all: list[Replica] = field(default_factory=list[Replica])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _places: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    """Where the primary was, and when at the latest it was there; the newest last."""
    _turns: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        for url in self.settings.replicas.split():
            own = replace(self.settings, store=url)
            pool: ConnectionPool[Connection[Row]] = ConnectionPool(
                kwargs=database.parameters(own) | {"autocommit": True}, min_size=1, max_size=max(1, self.settings.readers),
                configure=self.prepare, timeout=WAIT_S, reconnect_timeout=AGAIN_S, name=own.store_name, open=True,
            )  # fmt: skip
            self.all.append(Replica(without_password(url), pool))

    def seen(self, at: float, place: int) -> None:
        """The primary had come to `place` after `at`, on the monotonic clock."""
        with self._lock:
            self._places.append((at, place))

    def reached(self, peer: Peer, place: int) -> None:
        """A connection was shown what stands up to `place`, or wrote it."""
        with self._lock:
            peer.reached = max(peer.reached, place)

    def least(self, peer: Peer, primary: Callable[[], int]) -> int:
        """The place that a replica has to have come to for a question of `peer`. `primary` asks where that one is."""
        bound = self.settings.replica_lag_s
        with self._lock:
            places, now = self._places, time.monotonic()
            while places and places[0][0] < now - bound:
                places.popleft()
            if places and places[-1][0] > now - bound / 2:
                return max(peer.reached, places[0][1])
        place = primary()
        with self._lock:
            places.append((now, place))
            return max(peer.reached, min(places)[1])

    def lend(self, least: int) -> "tuple[Replica, Connection[Row]] | None":
        """A connection to a replica that has come so far; none where no replica has, or can be had."""
        first = next(self._turns)
        for turn in range(len(self.all)):
            one = self.all[(first + turn) % len(self.all)]
            if one.away and time.monotonic() < one.again:
                continue
            try:
                connection = one.pool.getconn()
            except (PoolTimeout, PostgresError, Error) as problem:
                self._leave(one, str(problem))
                continue
            try:
                row = connection.execute(REPLAYED).fetchone()
            except PostgresError as problem:
                one.pool.putconn(connection)
                self._leave(one, str(problem))
                continue
            if row is None or row[0] is None:
                one.pool.putconn(connection)
                self._leave(one, "it is no standby")
                continue
            if one.away:
                log.info("the replica %s answers questions again", one.name)
                one.away = ""
            if row[0] >= least:
                return one, connection
            one.pool.putconn(connection)
        return None

    def _leave(self, one: Replica, why: str) -> None:
        if not one.away:
            log.warning("the replica %s is left alone, the primary answers: %s", one.name, why)
        one.away, one.again = why or "it cannot be reached", time.monotonic() + AGAIN_S

    def close(self) -> None:
        """Let go of the connections."""
        for one in self.all:
            one.pool.close()
