"""How long one client waits: a ping beside a bare echo, a read beside a ping, a create beside the store alone."""

import random
import sys
import time
from collections.abc import Callable
from itertools import pairwise

from corpus import COMMON, Known, invented
from floors import InProcess, disk
from home import HERE, Home, Program, apart
from measure import Figure, Size, at_most, each, percentile, pooled, ratio, told, turns

from enhanced_memory.client import Memory
from enhanced_memory.client.values import EntityInput, Ref, RelationInput

__all__ = ["measure"]

SECTION = "Latency, one Python client"
SEARCH_S = 0.1


def measure(size: Size) -> list[Figure]:
    """All figures of this chapter."""
    return [*reading(size), *creating(size), *beside_a_search(size)]


def reading(size: Size) -> list[Figure]:
    """Ping and reads by name."""
    rounds, calls = (9, 300) if size == "full" else (5, 200)
    entities = invented(11, 2000 if size == "full" else 600)
    with Home() as home:
        daemon = home.serve()
        path = home.folder / "echo.sock"
        echo = Program(
            [sys.executable, str(HERE / "floors.py"), str(path), str(home.settings.store_path)], home.environment
        )
        try:
            echo.heard()
            with home.client() as memory, home.client(socket=str(path)) as mirror:
                _fill(memory, entities)
                memory.create_relations(
                    [RelationInput(one.name, other.name, "knows") for one, other in pairwise(entities)]
                )
                chance = random.Random(2)
                names: list[Ref] = [chance.choice(entities).name for _ in range(calls)]
                assert memory.open_nodes(names[:1]).entities[0].name == names[0]
                rivals: dict[str, Callable[[int], list[float]]] = {
                    "echo": lambda _: each(lambda _: mirror.ping(), calls),
                    "ping": lambda _: each(lambda _: memory.ping(), calls),
                    "bare": lambda _: each(lambda at: memory.open_nodes([names[at]], relations=False), calls),
                    "related": lambda _: each(lambda at: memory.open_nodes([names[at]]), calls),
                }
                with apart(daemon.pid, echo.pid):
                    times = turns(rivals, rounds)
                free = turns({name: rivals[name] for name in ("echo", "ping")}, rounds)
        finally:
            echo.end()

    def beside(name: str, floor: str) -> str:
        return f"{told(pooled(times, name, 0.5))} / {told(pooled(times, floor, 0.5))}"

    return [
        at_most(
            SECTION,
            "ping, p50",
            ratio(times, "ping", "echo"),
            1.5,
            " ×",
            f"bare msgpack echo, same client: {beside('ping', 'echo')}",
        ),
        at_most(
            SECTION, "read by name, p50", ratio(times, "bare", "ping"), 2, " ×", f"own ping: {beside('bare', 'ping')}"
        ),
        at_most(
            SECTION,
            "read by name with its relations, p50",
            ratio(times, "related", "ping"),
            2,
            " ×",
            f"own ping: {beside('related', 'ping')}",
        ),
        Figure(
            SECTION,
            "ping, p50, wherever the scheduler puts the two",
            f"{ratio(free, 'ping', 'echo'):.2f} ×",
            f"the echo likewise: {told(pooled(free, 'ping', 0.5))} / {told(pooled(free, 'echo', 0.5))}",
        ),
        Figure(
            SECTION,
            "read by name, p99",
            told(pooled(times, "bare", 0.99)),
            f"own ping, p99: {told(pooled(times, 'ping', 0.99))}",
        ),
    ]


def creating(size: Size) -> list[Figure]:
    """One entity after another, each on disk before the next."""
    rounds, calls = (10, 120) if size == "full" else (5, 80)
    warm = 1200
    mine, theirs = invented(21, warm + rounds * calls), invented(22, warm + rounds * calls)
    with Home() as home, Home() as other, InProcess(other.settings) as store:
        home.serve()
        with home.client() as memory:
            _fill(memory, mine[:warm])
            store.grouped(theirs[:warm])
            # Both pack with a dictionary of their own before anything is timed, and no training runs beside it.
            home.trained()
            store.trained()

            def through_socket(number: int) -> list[float]:
                share = mine[warm + number * calls :][:calls]
                return each(lambda at: memory.create_entities([_given(share[at])]), calls)

            def in_process(number: int) -> list[float]:
                return store.one_by_one(theirs[warm + number * calls :][:calls])

            times = turns({"client": through_socket, "store": in_process, "disk": disk(home.folder, calls)}, rounds)

    def beside(share: float) -> str:
        mine, floor = pooled(times, "client", share), pooled(times, "store", 0.5)
        return f"in process, p50: {told(mine)} / {told(floor)}"

    return [
        Figure(
            SECTION,
            "4 KiB overwritten and on disk, p50",
            told(pooled(times, "disk", 0.5)),
            f"p99 {told(pooled(times, 'disk', 0.99))}",
        ),
        Figure(
            SECTION,
            "durable create in process, p50",
            told(pooled(times, "store", 0.5)),
            f"{ratio(times, 'store', 'disk'):.1f} × 4 KiB on disk; p99 {told(pooled(times, 'store', 0.99))}",
        ),
        at_most(SECTION, "durable create, p50", ratio(times, "client", "store"), 3, " ×", beside(0.5)),
        at_most(
            SECTION,
            "durable create, p99",
            pooled(times, "client", 0.99) / pooled(times, "store", 0.5),
            20,
            " ×",
            beside(0.99),
        ),
    ]


def beside_a_search(size: Size) -> list[Figure]:
    """A ping while another client's search of about 100 ms runs, again and again."""
    entities = invented(31, 16_000 if size == "full" else 5_000)
    pings = 2000 if size == "full" else 500
    with Home() as home:
        home.serve()
        with home.client(timeout_s=120.0) as memory:
            _fill(memory, entities)
            alone = _now_and_then(memory.ping, pings)
            words = _long_enough(lambda query: memory.search_nodes(query, limit=10))
            searching = home.program("search", ",".join(words))
            searching.heard()
            searching.go()
            beside = _now_and_then(memory.ping, pings)
            searching.go()
            took: list[float] = searching.heard()["took"]
    asked = f"a search for {len(words)} words in {len(entities):,} entities, p50"
    medians = f"p50 {told(percentile(beside, 0.5))} / {told(percentile(alone, 0.5))}"
    return [
        Figure(SECTION, asked, told(percentile(took, 0.5)), "what the next line stands beside"),
        at_most(
            SECTION,
            "ping while it runs, p99",
            percentile(beside, 0.99) * 1000,
            10,
            " ms",
            f"without it {told(percentile(alone, 0.99))}; {medians}",
        ),
    ]


def _now_and_then(call: Callable[[], object], count: int) -> list[float]:
    """The seconds of `count` calls with pauses between them, so that they meet many searches and not one alone."""
    times: list[float] = []
    for number in range(count):
        time.sleep(0.001 + number % 7 * 0.0005)
        times += each(lambda _: call(), 1)
    return times


def _long_enough(search: Callable[[str], object]) -> list[str]:
    """As many words as make a search take about a tenth of a second here; rarer ones first, so as not to overshoot."""
    choices = [COMMON[-count:] for count in (1, 2, 3, 4, 6, 9, 13, 19, 28, 42, 60)] + [COMMON[40:100], COMMON[20:80]]
    for words in choices:
        if percentile(each(lambda _, words=words: search(" ".join(words)), 3), 0.5) >= SEARCH_S:
            return words
    return COMMON[:60]


def _given(one: Known) -> EntityInput:
    return EntityInput(one.name, one.type, list(one.observations))


def _fill(memory: Memory, entities: list[Known]) -> None:
    for start in range(0, len(entities), 200):
        memory.create_entities([_given(one) for one in entities[start : start + 200]])
