"""`memory-db`: the daemon's command line."""

import argparse
import asyncio
import logging
import os
import sys
from typing import NoReturn

from enhanced_memory.client.errors import Error, Invalid, Refused, StoreHeld, StoreRefused
from enhanced_memory.client.launch import inherited
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import VERSION, commands
from enhanced_memory.daemon.curation.tending import MODES
from enhanced_memory.daemon.factfinding import EXTRACTORS
from enhanced_memory.daemon.lifetimes import lifetimes
from enhanced_memory.daemon.reloading import level
from enhanced_memory.daemon.roles import roles
from enhanced_memory.daemon.server import DRAIN_S, Server, listen, refuse
from enhanced_memory.daemon.store import Engine
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.sqlite.file import leaving
from enhanced_memory.daemon.summing_up import SUMMARIZERS

__all__ = ["main"]

log = logging.getLogger("enhanced_memory.daemon")


def main(argv: list[str] | None = None) -> NoReturn:
    """Run `memory-db`. Ends with 0 after a stop, 2 for wrong arguments or settings, 5 where the store cannot be served."""
    parser = argparse.ArgumentParser(
        prog="memory-db", description="The daemon that owns the memory store. Clients start it by themselves."
    )
    parser.add_argument("--version", action="version", version=f"memory-db {VERSION}")
    verbs = parser.add_subparsers(dest="verb", required=True)
    serve = verbs.add_parser("serve", help="serve the store until stopped")
    serve.add_argument("--store", help="the SQLite file, or postgresql://…; default: the setting")
    serve.add_argument("--socket", help="where to listen; default: the setting, or the socket handed over by systemd")
    serve.add_argument("--key-file", help="the key that the store is encrypted with; default: the setting key_file")
    serve.add_argument("--on-demand", action="store_true", help="leave after `idle_exit_s` without a connection")
    verbs.add_parser("embed", help="hold a model for the daemon; systemd runs it (memory-embed@.service)")
    commands.declare(verbs)
    given = parser.parse_args(argv)
    # Before numpy is loaded: a product of a matrix and one vector is no work for two threads. On a busy machine the second one
    # waits for its turn by spinning, seven times the processor time of one alone (2.8 ms against 0.4 for 10,000 vectors).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        if given.verb == "embed":
            from enhanced_memory.daemon.embedding.worker import serve as embed

            embed()
            sys.exit(0)
        if given.verb != "serve":
            sys.exit(commands.run(given))
        said = {"store": given.store, "socket": given.socket, "key_file": given.key_file}
        settings = Settings.load(said)
        _logging(settings)
        asyncio.run(_serve(settings, given.on_demand, said))
    except Error as problem:
        print(f"memory-db: {problem}", file=sys.stderr)
        sys.exit(2 if isinstance(problem, Refused) else 5)
    sys.exit(0)


async def _serve(settings: Settings, on_demand: bool, said: dict[str, str | None]) -> None:
    os.umask(0o077)
    listener = inherited()
    # A socket that a client handed over is ours to remove; systemd's is its own.
    owns_socket = listener is None or on_demand
    if listener is None:
        listener = listen(settings.socket_path)
    try:
        engine = await _open(settings)
    except Error as problem:
        await refuse(listener, problem, owns_socket)
        raise
    await Server(engine, settings, listener, on_demand, owns_socket, said).run()


async def _open(settings: Settings) -> Engine:
    """Open the store; a file that a leaving daemon still holds is waited for."""
    roles(settings)  # what is wrong is said now, not when somebody comes
    lifetimes(settings.expire_after_days)  # a wrong one is said now, not when something is stored
    for name, known in (("curation", MODES), ("extractor", EXTRACTORS), ("summarizer", SUMMARIZERS)):
        value = getattr(settings, name)
        if value not in known:
            raise Invalid(f"The setting {name} is one of {', '.join(known)}, not {value[:40]!r}.")
    if settings.database:
        return await _database(settings)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        try:
            return await SqliteEngine.open(settings)
        except StoreHeld:
            # One that answers what it took may take all of its time; any other one is not about to leave.
            wait_s = DRAIN_S + 5 if leaving(settings.store_path) else settings.connect_timeout_s / 2
            if loop.time() > began + wait_s:
                raise
            await asyncio.sleep(0.02)


async def _database(settings: Settings) -> Engine:
    try:
        # Nothing of it is loaded where a file is served.
        from enhanced_memory.daemon.store.postgres.engine import PostgresEngine
    except ImportError as problem:
        raise StoreRefused(
            f"A store in PostgreSQL needs the extra `postgres`: {problem}.", "pip install 'enhanced-memory[postgres]'"
        ) from None
    return await PostgresEngine.open(settings)


def _logging(settings: Settings) -> None:
    logging.basicConfig(
        level=level(settings),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )


if __name__ == "__main__":
    main()
