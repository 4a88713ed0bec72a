"""A database of its own for every store that a test calls by a path: a copy of one that was made once, so that it costs little."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

import psutil

from enhanced_memory.client.settings import Settings

__all__ = ["Cloned", "connected", "daemons_of", "drop", "url_of"]

_URLS: dict[Path, str] = {}
"""The databases of this process's tests, by the path that a test calls each by."""


def url_of(store: Path) -> str | None:
    """The database that stands for the store at a path, or whose things lie beside that path on this machine; none: it is a file."""
    return _URLS.get(store) or next(
        (url for url in _URLS.values() if Settings.load({"store": url}).store_path == store), None
    )


def daemons_of(url: str) -> list[psutil.Process]:
    """The daemon processes that serve a database. A file says in its lock whose it is; a database is anybody's."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("ENHANCED_MEMORY_STORE") == url:
                if "enhanced_memory.daemon" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        except psutil.Error:
            continue
    return found


class Cloned:
    """The databases of one worker."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._worker = re.sub(r"\W", "_", os.environ.get("PYTEST_XDIST_WORKER", "alone"))
        self._count = 0

    def at(self, store: Path) -> str:
        """The URL of the database that stands for a store; an empty store is there from the start."""
        if store not in _URLS:
            if not self._count:
                self._say(f"CREATE DATABASE {self._name(0)}")
                _make(self._url(self._name(0)))
            self._count += 1
            name = self._name(self._count)
            # Copying its files costs a third of what copying its pages through the log does, on a server that does not wait for the disk.
            self._say(f"CREATE DATABASE {name} TEMPLATE {self._name(0)} STRATEGY file_copy")
            _URLS[store] = self._url(name)
            with connected(self._url(name)) as connection:  # two stores are two, whatever they were copied from
                connection.execute(
                    "UPDATE meta SET value = %s WHERE key = 'store_id'", (secrets.token_hex(8).encode(),)
                )
        return _URLS[store]

    def _name(self, number: int) -> str:
        return f"of_{self._worker}_{number}"

    def _url(self, name: str) -> str:
        return self._server.replace("/postgres?", f"/{name}?")

    def _say(self, sql: str) -> None:
        with connected(self._server) as connection:
            connection.execute(sql)


def drop(folder: Path) -> None:
    """Let go of the databases that stand for stores in a folder."""
    for store in [store for store in _URLS if store.is_relative_to(folder)]:
        import psycopg

        url = _URLS.pop(store)
        name = url.split("@/")[1].split("?")[0]
        with connected(url.replace(f"/{name}?", "/postgres?")) as connection:
            for again in (True, True, False):
                try:
                    connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                    break
                except psycopg.errors.InternalError:  # a checkpoint met a file of another that went just then
                    if not again:
                        raise


def connected(url: str) -> Any:
    """A connection that sees the store's tables."""
    import psycopg

    return psycopg.connect(url, autocommit=True, options="-c search_path=enhanced_memory,public")


def _make(url: str) -> None:
    from enhanced_memory.client.settings import Settings
    from enhanced_memory.daemon.store.postgres import database

    database.opened(Settings.load({"store": url}))
