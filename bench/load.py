"""What many clients get through: 64 that pipeline, 50 ordinary Python ones, and a kill among them."""

import json
import time
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil
from corpus import invented
from floors import InProcess
from home import Home, Program, until
from measure import Figure, Size, at_least, at_most, law, percentile, spread, told
from page import IN_FLIGHT

__all__ = ["measure"]

SECTION = "Load"
CLIENTS = 64
WARM = 1200


def measure(size: Size) -> list[Figure]:
    """All figures of this chapter."""
    return [*pipelining(size), *crowded(size)]


def pipelining(size: Size) -> list[Figure]:
    """64 connections with frames encoded beforehand, beside the same rows in process, and a commit for each request."""
    rounds, each = (7, 32) if size == "full" else (3, 16)
    total = CLIENTS * each
    theirs = invented(42, WARM + rounds * total)
    with (
        Home() as home,
        Home() as keyed,
        Home(group_max=1) as single,
        Home() as other,
        InProcess(other.settings) as store,
    ):
        swarms: dict[str, Program] = {}
        daemons: dict[str, psutil.Process] = {}
        for name, where in (("grouped", home), ("keyed", keyed), ("single", single)):
            daemons[name] = where.serve()
            warm = where.program("swarm", CLIENTS, IN_FLIGHT, 1, -(-WARM // CLIENTS), 0, 40)
            _round(warm)
            where.trained()
            warm.end()
            swarms[name] = where.program("swarm", CLIENTS, IN_FLIGHT, rounds, each, int(name == "keyed"), 41)
            swarms[name].heard()
        store.grouped(theirs[:WARM])
        store.trained()
        rates: dict[str, list[float]] = {name: [] for name in ("store", *swarms)}
        cpu: dict[str, float] = {}
        took: list[float] = []
        for number in range(rounds):
            _settled(daemons)
            rates["store"].append(total / store.grouped(theirs[WARM + number * total :][:total]))
            for name, swarm in swarms.items():
                _settled(daemons)
                before = sum(daemons[name].cpu_times()[:2])
                swarm.go()
                heard = swarm.heard()
                assert not heard["failed"], f"{heard['failed']} creates failed"
                rates[name].append(total / heard["seconds"])
                cpu[name] = cpu.get(name, 0.0) + sum(daemons[name].cpu_times()[:2]) - before
                took += heard["took"] if name == "grouped" else []

    each_took = {name: told(seconds / (rounds * total)) for name, seconds in cpu.items()}

    def share(one: str, of: str) -> list[float]:
        return [a / b for a, b in zip(rates[one], rates[of], strict=True)]

    def beside(one: str, of: str, says: str) -> str:
        return f"{says}: {median(rates[one]):,.0f} / {median(rates[of]):,.0f} per s (rounds {spread(share(one, of))})"

    return [
        at_least(
            SECTION,
            f"{CLIENTS} pipelining clients, durable creates beside the store alone",
            100 * median(share("grouped", "store")),
            45,
            " %",
            beside("grouped", "store", "the same rows in process, 64 at a time"),
        ),
        at_least(
            SECTION,
            f"{CLIENTS} pipelining clients, beside a commit for each",
            median(share("grouped", "single")),
            6,
            " ×",
            beside("grouped", "single", "one commit for each request"),
        ),
        Figure(
            SECTION,
            f"{CLIENTS} pipelining clients, each request with a key",
            f"{100 * median(share('keyed', 'store')):.2f} %",
            beside("keyed", "store", "the same rows in process, without the kept answers"),
            value=100 * median(share("keyed", "store")),
        ),
        Figure(
            SECTION,
            f"{CLIENTS} pipelining clients, until answered",
            f"p50 {told(percentile(took, 0.5))}, p99 {told(percentile(took, 0.99))}",
            f"{CLIENTS * IN_FLIGHT} under way at once",
        ),
        Figure(
            SECTION,
            "the daemon's CPU for each create",
            each_took["grouped"],
            f"with a key {each_took['keyed']}, with a commit for each {each_took['single']}",
        ),
    ]


def _settled(daemons: dict[str, psutil.Process], wait_s: float = 15.0) -> bool:
    """Wait until no daemon has anything left to do, vectors and merging among it: it would be done in another one's round."""

    def used() -> float:
        return sum(sum(daemon.cpu_times()[:2]) for daemon in daemons.values())

    def still() -> bool:
        before = used()
        time.sleep(0.25)
        return used() - before < 0.02

    return until(still, wait_s)


def crowded(size: Size) -> list[Figure]:
    """50 Python clients create; then the daemon is killed under load and started by the next one who asks."""
    clients, each = (50, 200) if size == "full" else (50, 30)
    with Home() as home:
        daemon = home.serve()
        acknowledged = home.folder / "acknowledged"
        crowd = home.program("crowd", clients, each, 51, acknowledged)
        crowd.heard()
        crowd.go()
        heard = crowd.heard()
        assert not heard["failed"], f"{heard['failed']} clients met an error"
        kept = _lines(acknowledged)

        # Killed while the next ones write, so that the log is warm and requests are under way.
        swarm = home.program("swarm", CLIENTS, IN_FLIGHT, 1, 200, 0, 52)
        swarm.heard()
        swarm.go()
        _until_busy(daemon)
        daemon.kill()
        daemon.wait(10)
        began = perf_counter()
        with home.client() as memory:
            memory.ping()
            restarted = perf_counter() - began
            home.adopt(memory.welcome.pid)
            there = 0
            for start in range(0, len(kept), 500):
                some = {line[1]: line for line in kept[start : start + 500]}
                for one in memory.open_nodes(list(some), relations=False).entities:
                    there += one.id == some[one.name][0] and one.observations == some[one.name][2]
    took = [line[3] for line in kept]
    return [
        law(
            SECTION,
            f"{clients} Python clients x {each} creates, then kill -9: acknowledged ones that are there",
            there,
            len(kept),
            f"{clients * each:,} asked for",
        ),
        Figure(
            SECTION,
            f"{clients} Python clients, creates",
            f"{len(kept) / heard['seconds']:,.0f} per s",
            f"until answered p50 {told(percentile(took, 0.5))}, p99 {told(percentile(took, 0.99))}",
        ),
        at_most(
            SECTION,
            "first ping after kill -9 under load",
            restarted,
            2,
            " s",
            "a client starts the daemon, which recovers the log",
        ),
    ]


def _round(swarm: Program) -> None:
    swarm.heard()
    swarm.go()
    swarm.heard()


def _lines(file: Path) -> list[tuple[int, str, list[str], float]]:
    return [
        json.loads(line)
        for path in sorted(file.parent.glob(file.name + ".*"))
        for line in path.read_text().splitlines()
    ]


def _until_busy(daemon: psutil.Process) -> None:
    """Wait until the daemon has worked for 0.3 s of processor time since now."""
    before = sum(daemon.cpu_times()[:2])
    while sum(daemon.cpu_times()[:2]) - before < 0.3:
        pass
