"""Vectors: how fast and how surely the nearest are found, and how fast those of new memories follow.

The vectors are the default model's own: of invented sentences, and of texts of two such sentences (the model adds up pieces, so
a longer text's vector is the sum of its parts'); and of lines whose words are drawn by Zipf's law, the hardest case. Found is
measured against comparing every float32 vector before it was stored. Times are of the calling thread's processor, the second look
in SQLite included.
"""

import os
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from corpus import invented
from home import Home, until
from measure import Figure, Size, at_least, at_most, percentile, told
from passages import lines, questions

from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon.embedding import STORED
from enhanced_memory.daemon.embedding.arms import Arm, FaissArm, NumpyArm
from enhanced_memory.daemon.embedding.asked import Asked
from enhanced_memory.daemon.embedding.index import Index, Matrix, quantised
from enhanced_memory.daemon.embedding.static import shipped
from enhanced_memory.daemon.store.sqlite import comparing, file
from enhanced_memory.daemon.store.sqlite.rows import QUERIES, SqliteRows
from enhanced_memory.daemon.store.sqlite.sealed_files import SealedFiles
from enhanced_memory.daemon.store.vectors import Vectors
from enhanced_memory.daemon.store.views import Layer, View

__all__ = ["measure"]

NEAR = "The nearest vectors"
QUEUE = "Vectors that follow writes"
MODEL = 1
SENTENCES = 100_000
QUERIES_ASKED = 200

TARGETS_MS = {("NumPy", 100_000): 5.0, ("faiss", 100_000): 1.0, ("NumPy", 1_000_000): 40.0, ("faiss", 1_000_000): 5.0}


def measure(size: Size) -> list[Figure]:
    """Every figure of this chapter."""
    return [*near(size), *following(size)]


def near(size: Size) -> list[Figure]:
    """Time and recall of each arm, at each size."""
    counts = (20_000, 100_000, 1_000_000) if size == "full" else (20_000, 100_000)
    return _near("", drawn(counts[-1]), counts) + _near("lines much alike, ", alike(100_000), (100_000,))


def _near(what: str, given: tuple[Any, Any], counts: tuple[int, ...]) -> list[Figure]:
    base, queries = given
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="em-bench-") as folder:
        path = Path(folder) / "memory.db"
        stored = quantised(base)
        store(path, stored)
        connection = file.connect(path, readonly=True)
        rows = SqliteRows(connection, SealedFiles())
        refused = comparing.load(connection)
        rows.compares = not refused
        tx: Any = SimpleNamespace(
            view=View((Layer(1),), ("default",)), vectors=Vectors(cast(Any, SimpleNamespace(rows=rows)))
        )
        for count in counts:
            best = exact(base[:count], queries)
            for arm in arms():
                if count <= 20_000 and arm is not NumpyArm:
                    continue  # compared exactly, with no arm at all
                figures += arm_figures(what, tx, arm, stored[:count], queries, best)
        connection.close()
    return figures


def arms() -> list[Callable[[], Arm]]:
    """What is installed."""
    try:
        FaissArm()
    except ImportError:
        return [NumpyArm]
    return [NumpyArm, FaissArm]


def arm_figures(
    what: str, tx: Any, arm: Callable[[], Arm], stored: Any, queries: Any, best: list[set[int]]
) -> list[Figure]:
    """One arm at one size."""
    count = len(stored)
    index = Index(
        MODEL, stored.shape[1], lambda dimension: Matrix(dimension, arm, most_bytes=Settings().vectors_memory_mb << 20)
    )
    ids = np.arange(1, count + 1)
    index.of_messages.add(ids, np.ones_like(ids), np.ones_like(ids), stored)
    cpu: list[float] = []
    wall: list[float] = []
    hits = 0
    for query, wanted in zip(queries, best, strict=True):
        began, began_cpu = time.perf_counter(), time.thread_time()
        found = Asked(query, index, lambda: None).nearest(tx, 10, messages=True)
        cpu.append(time.thread_time() - began_cpu)
        wall.append(time.perf_counter() - began)
        hits += len(wanted & {passage for passage, _ in found})
    name = index.of_messages.arm.name if index.of_messages.arm is not None else "exact, NumPy"
    recall = hits / (10 * len(queries))
    looked = "all compared" if index.of_messages.exact else index.arm
    says = f"{what}{name}, {count:,} vectors of {stored.shape[1]}"
    beside = f"p95 {told(percentile(cpu, 0.95))}; wall p50 {told(median(wall))}; {looked}"
    target = None if what else TARGETS_MS.get((name, count))
    value = 1000 * median(cpu)
    time_figure = (
        at_most(NEAR, f"{says}: top 10, p50", value, target, " ms", beside)
        if target is not None
        else Figure(NEAR, f"{says}: top 10, p50", f"{value:.2f} ms", beside, value=value)
    )
    return [time_figure, at_least(NEAR, f"{says}: recall at 10", recall, 0.95, "", "against float32, all compared")]


def drawn(count: int) -> tuple[Any, Any]:
    """`count` vectors of the default model, and those of questions that are not among them."""
    embedder = shipped().shortened(STORED)
    texts = list(dict.fromkeys(text for one in invented(77, SENTENCES // 4) for text in one.observations))
    asked, texts = texts[:QUERIES_ASKED], texts[QUERIES_ASKED:]
    # Questions are shorter than what answers them.
    queries = embedder.embed([" ".join(text.split()[:9]) for text in asked])
    parts = [embedder.embed(texts[begin : begin + 512]) for begin in range(0, len(texts), 512)]
    singles = np.concatenate(parts)[:count]
    base = np.empty((count, singles.shape[1]), np.float32)
    base[: len(singles)] = singles
    chance = np.random.default_rng(7)
    for begin in range(len(singles), count, 50_000):
        end = min(begin + 50_000, count)
        pairs = chance.integers(0, len(singles), (2, end - begin))
        both = singles[pairs[0]] + singles[pairs[1]]
        base[begin:end] = both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-9)
    return base, queries


def alike(count: int) -> tuple[Any, Any]:
    """The vectors of lines whose words are drawn by Zipf's law, and of questions about some: the nearest are hardly nearer than others."""
    embedder = shipped().shortened(STORED)
    texts = (text for _, _, text in lines(4, count))
    parts = [embedder.embed(some) for some in iter(lambda: list(islice(texts, 512)), [])]
    return np.concatenate(parts), embedder.embed(questions(4, 20_000, QUERIES_ASKED))


def exact(base: Any, queries: Any) -> list[set[int]]:
    """The ten nearest of each query, by passage."""
    found: list[set[int]] = []
    for begin in range(0, len(queries), 20):
        scores = base @ queries[begin : begin + 20].T
        best = np.argpartition(-scores, 9, axis=0)[:10]
        found += [set((best[:, column] + 1).tolist()) for column in range(best.shape[1])]
    return found


def store(path: Path, stored: Any) -> None:
    """A store that holds the vectors, under the passages 1 and on."""
    connection = file.open_store(path, "NORMAL")
    for begin in range(0, len(stored), 50_000):
        part = stored[begin : begin + 50_000]
        with connection:
            connection.executemany(
                QUERIES["add_vector"],
                (
                    {"passage": passage, "model": MODEL, "vector": row.tobytes()}
                    for passage, row in enumerate(part, begin + 1)
                ),
            )
    connection.close()


def following(size: Size) -> list[Figure]:
    """How fast vectors of what was written follow, and what they cost whoever writes."""
    count = 20_000 if size == "full" else 4_000
    entities = [EntityInput(one.name, one.type, list(one.observations)) for one in invented(78, count)]
    spent: dict[str, float] = {}
    drained_s, passages, drained_cpu = 0.0, 0, 0.0
    for embedder in ("none", "static"):
        with Home(embedder=embedder) as home:
            daemon = home.serve()
            with home.client(timeout_s=120.0) as memory:
                memory.create_entities(entities[:1])
                if embedder == "static":
                    until(lambda: _backlog(home) == 0, 20)
                before = _cpu_s(daemon.pid)
                asks = [CreateEntities([one]) for one in entities[1:]]
                for begin in range(0, len(asks), 500):
                    memory.send_all(asks[begin : begin + 500])
                at = time.perf_counter()
                if embedder == "static":
                    waiting, cpu = _backlog(home), _cpu_s(daemon.pid)
                    while _backlog(home):
                        time.sleep(0.02)
                    drained_s, passages, drained_cpu = time.perf_counter() - at, waiting, _cpu_s(daemon.pid) - cpu
                time.sleep(1.0)  # the chores of an idle moment are part of the cost
                spent[embedder] = _cpu_s(daemon.pid) - before
    more = (spent["static"] - spent["none"]) / count
    return [
        at_least(QUEUE, "passages a second, once writing pauses", passages / drained_s, 3000, "", f"{passages:,} waited; processor {told(drained_cpu)}"),
        Figure(
            QUEUE, "processor for each entity created, vectors and all", told(spent["static"] / count),
            f"{told(spent['none'] / count)} without an embedder: vectors cost {told(more)} each, 3 to 5 observations",
            value=more,
        ),
    ]  # fmt: skip


def _backlog(home: Home) -> int:
    """Passages without a vector, read past the daemon: to ask it would be work for it."""
    return home.rows("SELECT coalesce(max(p.id), 0) - coalesce((SELECT max(embedded) FROM models), 0) FROM passages p")[
        0
    ][0]


def _cpu_s(pid: int) -> float:
    """Processor seconds of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((tasks / one / "schedstat").read_text().split()[0]) for one in os.listdir(tasks)) / 1e9


if __name__ == "__main__":
    import sys

    for figure in measure("quick" if "--quick" in sys.argv else "full"):
        print(f"{figure.name}: {figure.measured} [{figure.target}] {figure.met}\n    {figure.floor}", flush=True)
