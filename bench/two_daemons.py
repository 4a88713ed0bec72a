"""Two daemons on one database: how much more they answer than one does.

A machine with few cores is full with one daemon, its server and its clients. So each daemon is held to a share of a core, by being
stopped for the rest of each period, and what they lack is the processor alone: that two answer twice as much shows that nothing else
is in their way. They run at different times, so that the server always finds a core.
"""

import asyncio
import random
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import psutil
from footprint import processor_s
from home import Home, until
from measure import Figure, at_least

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.values import EntityInput

__all__ = ["adding_up"]

SHARE, PERIOD_S = 0.2, 0.02
ROUNDS, ROUND_S = 3, 8.0
CLIENTS = 4
NAMES = 200

Ask = Callable[[AsyncMemory, int], Awaitable[Any]]


def adding_up(store: str, questions: Sequence[str]) -> list[Figure]:
    """Requests a second of one daemon and of two, in turn: reads, searches whose words are known, changes."""
    with Home(store=store, embedder="none") as one, Home(store=store, embedder="none") as other:
        daemons = [one.serve(), other.serve()]
        with one.client(timeout_s=60.0) as memory:
            memory.create_entities([EntityInput(f"shared {number}", "thing", ["said"]) for number in range(NAMES)])
        for home in (one, other):
            with home.client(timeout_s=60.0) as memory:
                for question in questions:
                    memory.search_messages(question, limit=10)
        if not until(lambda: not _working(daemons), 60):
            raise RuntimeError("the daemons do not come to rest")
        number = count()
        asks: dict[str, Ask] = {
            "reads of an entity": lambda memory, draw: memory.open_nodes([f"shared {draw % NAMES}"]),
            "searches whose words are known": lambda memory, draw: memory.search_messages(
                questions[draw % len(questions)], limit=10
            ),
            "creates": lambda memory, _: memory.create_entities(
                [EntityInput(f"made {next(number)}", "thing", ["said"])]
            ),
        }
        found = [_in_turns(what, (one, other), daemons, ask) for what, ask in asks.items()]
        for home, daemon in zip((one, other), daemons, strict=True):
            home.stop(daemon)
    return found


def _in_turns(what: str, homes: tuple[Home, Home], daemons: list[psutil.Process], ask: Ask) -> Figure:
    rates: dict[int, list[float]] = {1: [], 2: []}
    shares: list[float] = []
    with _held(daemons):
        for _ in range(ROUNDS):
            for many in (1, 2):
                before = [processor_s(daemon) for daemon in daemons]
                began = time.perf_counter()
                answered = asyncio.run(_asked(homes[:many], ask))
                took = time.perf_counter() - began
                rates[many].append(answered / took)
                shares += [
                    (processor_s(daemon) - own) / took for daemon, own in list(zip(daemons, before, strict=True))[:many]
                ]
    alone, both = (sorted(rates[many])[ROUNDS // 2] for many in (1, 2))
    said = f"{both:,.0f} a second, one {alone:,.0f}; each held to a fifth of a core, of which it took {sum(shares) / len(shares):.2f}"
    name = f"two daemons beside one: {what}"
    if what == "creates":
        return Figure("postgres", name, f"{both / alone:.2f} ×", f"{said}; writers take turns", value=both / alone)
    return at_least("postgres", name, both / alone, 1.7, " ×", said)


async def _asked(homes: Sequence[Home], ask: Ask) -> int:
    """Requests answered in one round by the daemons of these homes."""
    end = time.monotonic() + ROUND_S

    async def client(home: Home, seed: int) -> int:
        chance = random.Random(seed)
        answered = 0
        async with AsyncMemory(home.settings) as memory:
            while time.monotonic() < end:
                await ask(memory, chance.randrange(1_000_000))
                answered += 1
        return answered

    asked = (client(home, seed) for seed, home in enumerate(home for home in homes for _ in range(CLIENTS)))
    return sum(await asyncio.gather(*asked))


@contextmanager
def _held(daemons: Sequence[psutil.Process]) -> Generator[None]:
    """Let each daemon run for its share of each period, one after the other, until the block ends."""
    over = threading.Event()

    def hold() -> None:
        slot = PERIOD_S / len(daemons)
        while not over.is_set():
            for daemon in daemons:
                daemon.send_signal(signal.SIGCONT)
                time.sleep(PERIOD_S * SHARE)
                daemon.send_signal(signal.SIGSTOP)
                time.sleep(slot - PERIOD_S * SHARE)

    for daemon in daemons:
        daemon.send_signal(signal.SIGSTOP)
    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for daemon in daemons:
            daemon.send_signal(signal.SIGCONT)
        if not until(lambda: all(daemon.status() != psutil.STATUS_STOPPED for daemon in daemons), 5):
            raise RuntimeError("a daemon stands still")


def _working(daemons: Sequence[psutil.Process]) -> bool:
    """Whether they do more than wait: what was written is followed by work that nobody waits for."""
    before = sum(map(processor_s, daemons))
    time.sleep(1.0)
    return sum(map(processor_s, daemons)) - before > 0.05
