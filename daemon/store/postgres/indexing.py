"""The indexes over vectors, made in the background once a model has many; all daemons are told when they are there."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event, Thread
from typing import Any

from psycopg import Connection

from enhanced_memory.client.errors import Error
from enhanced_memory.daemon.store import Held, Touched
from enhanced_memory.daemon.store.postgres import nearest
from enhanced_memory.daemon.store.postgres.failures import translated
from enhanced_memory.daemon.store.postgres.hearing import pieces
from enhanced_memory.daemon.store.postgres.rows import PostgresRows

__all__ = ["Indexing"]

log = logging.getLogger(__name__)


class Indexing:
    """Knows of which models the server finds the nearest."""

    def __init__(
        self,
        least: int,
        lent: Callable[[], AbstractContextManager[PostgresRows]],
        reach: "Callable[[], Connection[tuple[Any, ...]]]",
        leads: Callable[[], bool],
    ) -> None:
        """Of models with `least` vectors and more; 0: of none. Who `leads` makes what is lacking."""
        self._least, self._lent, self._reach, self._leads = least, lent, reach, leads
        self._building, self._closing = Event(), Event()
        self.builder: Thread | None = None

    def stop(self) -> None:
        """Begin no further index; one that is being made goes on alone, and is whole or made anew."""
        self._closing.set()

    def held(self, model: int, dimension: int) -> Held | None:
        """A model's vectors, where pgvector's index answers; what is lacking of it is begun."""
        if not self._least or dimension > nearest.WIDEST:
            return None
        with translated(), self._lent() as rows:
            counts = nearest.counted(rows, model)
            if counts.of_entities + counts.of_messages < self._least:
                return None
            if nearest.ready(rows.connection, model):
                return Held(counts.of_entities, counts.entities, counts.of_messages, "HNSW (pgvector)")
        if self._leads() and not self._building.is_set():
            self._building.set()
            self.builder = Thread(target=self._build, args=(model, dimension), name="vectors' index", daemon=True)
            self.builder.start()
        return None

    def _build(self, model: int, dimension: int) -> None:
        began = time.monotonic()
        try:
            with translated(), self._reach() as connection:
                nearest.drop_unused(connection)
                if not nearest.build(connection, model, dimension, self._closing.is_set):
                    return
                anew = Touched(0, "", "", [], 0, everything=True)
                for piece in pieces("", [anew]):  # of nobody's own: we hear it as the others do
                    connection.execute("SELECT pg_notify('enhanced_memory', %s)", (piece,))
        except Error as problem:
            if not self._closing.is_set():
                log.warning("the vectors' index was not made: %s", problem)
            return
        finally:
            self._building.clear()
        log.info("vectors' index: model=%d seconds=%.0f", model, time.monotonic() - began)
