"""What it takes: bytes on disk for a byte of text, memory and processor with nothing to do, the time to start."""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import psutil
import zstandard
from corpus import Known, found, invented
from home import Home, until
from measure import Figure, Size, at_least, at_most, told

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon.embedding import STORED
from enhanced_memory.daemon.housekeeping import AFTER_START_S
from enhanced_memory.daemon.store.bodies import BUILT_IN

__all__ = ["measure", "processor_s"]

BODIES = "Bodies: how much smaller than their JSON"
FILE = "The file: bytes for each byte of text"
IDLE = "Start, and doing nothing"
FRESH = 500

BODIES_BY_NAME = "SELECT n.name, e.body FROM names n JOIN entities e ON e.id = n.entity WHERE n.ended = 0"
REPACKING = "SELECT 1 FROM meta WHERE key = 'repack_due'"
BYTES_BY_TABLE = """
    SELECT coalesce(s.tbl_name, d.name), sum(d.pgsize)
    FROM dbstat d LEFT JOIN sqlite_schema s ON s.name = d.name GROUP BY 1
"""


def measure(size: Size) -> list[Figure]:
    """All figures of this chapter."""
    return [*bodies(size), *whole_file(size), *idle(size), *starting(size)]


def bodies(size: Size) -> list[Figure]:
    """With the dictionary that is shipped, and with the one that a store trains on its own text."""
    figures: list[Figure] = []
    for says, entities in (
        ("invented text", invented(61, 1800)),
        ("found text", found(1800 if size == "full" else FRESH)),
    ):
        with Home() as home:
            home.serve()
            with home.client() as memory:
                _keep(memory, entities[:FRESH])
                at_once, _ = _saving(home, entities[:FRESH])
                home.trained()
                until(lambda: not home.rows(REPACKING), 60)
                saved, _ = _saving(home, entities[:FRESH])
                figures.append(
                    at_least(
                        BODIES,
                        f"{says}, first {FRESH} entities of a fresh store",
                        100 * saved,
                        60,
                        " %",
                        f"in one burst: {100 * at_once:.0f} % at once, the rest in idle moments; all of the text at once: {100 * _redundancy(entities[:FRESH]):.0f} %",
                    )
                )
                # Enough for a dictionary, then what is judged by it.
                ready = FRESH + 600
                later = entities[ready:]
                if len(later) < 100:
                    continue
                _keep(memory, entities[FRESH:ready])
                trained = home.trained(stages=2) or home.trained()
                _keep(memory, later)
                saved, own = _saving(home, later)
                figures.append(
                    at_least(
                        BODIES,
                        f"{says}, {len(later)} more once the store has trained its own",
                        100 * saved,
                        60,
                        " %",
                        f"{100 * own:.0f} % packed with it" if trained else "no dictionary of its own saved more",
                    )
                )
    return figures


def whole_file(size: Size) -> list[Figure]:
    """Everything that a store of entities made one by one takes, after the log is in the file."""
    entities = invented(62, 20_000 if size == "full" else 4_000)
    with Home() as home:
        daemon = home.serve()
        with home.client(timeout_s=120.0) as memory:
            _keep(memory, entities)
            memory.ping()
            until(lambda: (told := memory.get_memory_status().meaning) is not None and not told.backlog, 120)
        # The idle chores: access rows, merging words, the checkpoint.
        wal = Path(f"{home.settings.store_path}-wal")
        until(lambda: not wal.exists() or not wal.stat().st_size, 20)
        home.settled()
        home.stop(daemon)
        whole = home.settings.store_path.stat().st_size
        tables = _by_table(home)
    text = sum(one.text_bytes for one in entities)
    apart = sum(tables.get(table, 0) for table in ("access", "answers", "vectors"))
    largest = sorted(tables.items(), key=lambda table: -table[1])
    listed = ", ".join(f"{name} {taken / text:.2f}" for name, taken in largest if taken / text >= 0.01)
    says = f"{len(entities):,} entities, without vectors, access rows and answers"
    each = f"bytes an entity: {(whole - apart) / len(entities):,.0f}; its text: {text / len(entities):,.0f}"
    # A small store's pages are half empty and its dictionary weighs more: the target is meant for a store in use.
    small = Figure(FILE, says, f"{(whole - apart) / text:.2f} ×", each, value=(whole - apart) / text)
    return [
        at_most(FILE, says, (whole - apart) / text, 2.5, " ×", each) if size == "full" else small,
        Figure(
            FILE,
            "vectors",
            f"{tables.get('vectors', 0) / text:.2f} ×",
            f"{STORED} bytes for up to 400 characters of what an entity says",
        ),
        at_most(
            FILE,
            "words and vectors, without access rows and answers",
            (whole - apart) / text + tables.get("vectors", 0) / text,
            3.2,
            " ×",
        )
        if size == "full"
        else Figure(FILE, "words and vectors", f"{(whole - apart + tables.get('vectors', 0)) / text:.2f} ×"),
        Figure(FILE, "access rows", f"{tables.get('access', 0) / text:.2f} ×", "kept for 90 days"),
        Figure(FILE, "answers kept for repeats", f"{tables.get('answers', 0) / text:.2f} ×", "kept for 7 days"),
        Figure(FILE, "with them", f"{whole / text:.2f} ×", f"{whole / 2**20:.1f} MiB in all"),
        Figure(FILE, "by table, indexes included", listed, "of the text"),
    ]


def idle(size: Size) -> list[Figure]:
    """A daemon with an empty store, a client connected, and nothing asked."""
    seconds = 10 if size == "full" else 4
    with Home() as home:
        daemon = home.serve()
        with home.client() as memory:
            memory.ping()
            last = -1.0

            def settled() -> bool:
                nonlocal last
                time.sleep(0.5)
                before, last = last, processor_s(daemon)
                return last == before

            until(settled, 15)
            before_care = processor_s(daemon)
            time.sleep(AFTER_START_S + 1)
            until(settled, 15)
            care = processor_s(daemon) - before_care
            began, switches = processor_s(daemon), _switches(daemon)
            time.sleep(seconds)  # what is measured is that nothing happens in it
            used, woken = processor_s(daemon) - began, _switches(daemon) - switches
            room = daemon.memory_full_info()
    return [
        Figure(IDLE, f"what is due {AFTER_START_S:.0f} s after the start, once", told(care), "of a processor"),
        at_most(
            IDLE,
            f"processor in the {seconds} s after that",
            used * 1000,
            5.0,
            " ms",
            f"{woken} wake-ups; {100 * used / seconds:.3f} % of a core",
        ),
        at_most(
            IDLE,
            "resident memory, empty store",
            room.rss / 2**20,
            60,
            " MB",
            f"PSS {room.pss / 2**20:.1f}, its own (USS) {room.uss / 2**20:.1f} MB",
        ),
    ]


def starting(size: Size) -> list[Figure]:
    """From nobody there to the first answer, as a client meets it."""
    cold: list[float] = []
    bare: list[float] = []
    for _ in range(5 if size == "full" else 3):
        with Home() as home:
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", "import asyncio, apsw, msgpack, msgspec, zstandard, psutil"],
                env=home.environment,
                check=True,
            )
            bare.append(time.perf_counter() - began)
            began = time.perf_counter()
            with home.client() as memory:
                memory.ping()
                cold.append(time.perf_counter() - began)
                home.adopt(memory.welcome.pid)
    times = median(one / other for one, other in zip(cold, bare, strict=True))
    floor = f"Python importing what it stands on: {told(median(bare))} ({times:.1f} ×)"
    return [Figure(IDLE, "start to first ping, new store", told(median(cold)), floor)]


def _keep(memory: Memory, entities: list[Known]) -> None:
    """Create each by a request of its own, many under way at once."""
    for start in range(0, len(entities), 250):
        asks = [
            CreateEntities([EntityInput(one.name, one.type, list(one.observations))])
            for one in entities[start : start + 250]
        ]
        for answer in memory.send_all(asks):
            if isinstance(answer, Exception):
                raise answer


def _saving(home: Home, entities: list[Known]) -> tuple[float, float]:
    """The share saved of the entities' JSON, and the share of them that the store's own dictionary packed."""
    plain = stored = own = 0
    bodies: dict[str, bytes] = dict(home.rows(BODIES_BY_NAME))
    for one in entities:
        shape = {"name": one.name, "entityType": one.type, "observations": one.observations}
        plain += len(json.dumps(shape, separators=(",", ":"), ensure_ascii=False).encode())
        body = bodies[one.name]
        stored += len(body)
        own += body[0] > BUILT_IN
    return 1 - stored / plain, own / len(entities)


def _redundancy(entities: list[Known]) -> float:
    text = "\n".join(text for one in entities for text in one.observations).encode()
    return 1 - len(zstandard.compress(text, 19)) / len(text)


def _by_table(home: Home) -> dict[str, int]:
    """Bytes of each table with its indexes; those of the words' index together."""
    tables: dict[str, int] = {}
    for name, taken in home.rows(BYTES_BY_TABLE):
        whole = "words" if name.startswith("words") else name
        tables[whole] = tables.get(whole, 0) + taken
    return tables


def processor_s(process: psutil.Process) -> float:
    """Processor seconds of all its threads, to the nanosecond: psutil's clock ticks every 10 ms."""
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in _threads(process)) / 1e9
    except OSError:
        return sum(process.cpu_times()[:2])


def _switches(process: psutil.Process) -> int:
    """How often its threads gave up the processor of their own accord, that is, had been woken."""
    count = 0
    for task in _threads(process):
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                count += int(line.split()[1])
    return count


def _threads(process: psutil.Process) -> list[Path]:
    return list(Path(f"/proc/{process.pid}/task").iterdir())
