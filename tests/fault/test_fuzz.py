"""Frames that nobody would send: the daemon goes on, and keeps neither memory nor descriptors for them.

`EM_FUZZ_FRAMES` says how many (600 where it says nothing), `EM_FUZZ_SECONDS` for how long at the most. `bench/frames.py` sends
a million.
"""

import os
import random
import socket
import struct
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgpack
import psutil

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.service import GetMemoryStatus
from enhanced_memory.client.request import REQUESTS
from enhanced_memory.client.values import EntityInput

FRAMES = int(os.environ.get("EM_FUZZ_FRAMES", "600"))
SECONDS = float(os.environ.get("EM_FUZZ_SECONDS", "30"))
OPS = sorted(name for name in REQUESTS if name not in ("reindex", "backup", "purge_entities"))
VALUES: list[Any] = [
    None, True, -1, 0, 2**63, 1.5, float("nan"), "", "x" * 3000, "\0", "\ud7ff", b"\xff", [], [[]] * 9, {}, {"a": {"b": 1}}, "default", 1,
]  # fmt: skip


def value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(8)
    if kind == 0 and depth < 5:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 1 and depth < 5:
        return {str(chance.choice(VALUES))[:20]: value(chance, depth + 1) for _ in range(chance.randrange(4))}
    return chance.choice(VALUES)


def frame(chance: random.Random) -> bytes:
    """One that is nearly right, or torn, or noise."""
    kind = chance.randrange(10)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 64))
    op = chance.choice(OPS)
    fields = REQUESTS[op].__struct_fields__
    args = {name: value(chance) for name in fields if chance.random() < 0.7}
    message: Any = {"id": chance.choice([1, "a", -1, None, 2**70 % 2**63]), "op": op, "args": args}
    if chance.random() < 0.2:
        message[chance.choice(["key", "run", "tool", "deadline_ms", "args", "op", "id"])] = value(chance)
    payload = msgpack.packb(message, unicode_errors="surrogatepass")
    if kind == 1:
        at = chance.randrange(len(payload))
        payload = payload[:at] + bytes((chance.randrange(256),)) + payload[at + 1 :]
    length = len(payload) if kind != 2 else chance.choice([0, len(payload) - 1, len(payload) + 5, 2**31, 2**32 - 1])
    return struct.pack(">I", length) + payload


@dataclass
class Pelted:
    """What became of a daemon that such frames were sent to."""

    sent: int
    seconds: float
    alive: bool
    """Whether the process that was started is there and answers."""
    sound: bool
    grown_mb: float
    memory_mb: float
    opened: dict[str, int]
    """What it has open more of than when it was warm: peers' sockets, pipes, files. The store's own are counted by themselves."""
    handles: int
    """Handles of the store's files more than when it was warm."""
    tracebacks: int


STORE_HANDLES = 8
"""A connection's files, which SQLite closes with the last connection of the process and gives to the next one until then (closing
one would give up the locks of all): as many as were ever open at once, by the fold of the log, by checks that peers asked for
side by side, by a backup, by a trainer. A million frames left five."""


def held(process: psutil.Process, store: str) -> tuple[Counter[str], int]:
    """What a process has open, by name (all sockets under one), and its handles of the store's files."""
    found, handles = Counter[str](), 0
    for one in os.listdir(f"/proc/{process.pid}/fd"):
        with suppress(FileNotFoundError):
            name = os.readlink(f"/proc/{process.pid}/fd/{one}")
            if name.startswith(store) and not name.endswith(".lock"):
                handles += 1
            else:
                found[name.split(":[")[0]] += 1
    return found, handles


def warm(memory: Memory) -> None:
    """Have the daemon open what it opens once and keeps: its model, what compares statements, the words that it keeps in memory."""
    for number in range(11):
        memory.create_entities([EntityInput(f"warm {number}/{one}", "t", ["is warm"]) for one in range(100)])
    memory.detect_conflicts([EntityInput("someone", "person", ["is cold"])])
    memory.search_nodes("warm")
    deadline = time.monotonic() + 60
    while memory.send(GetMemoryStatus()).meaning.state != "ready":
        assert time.monotonic() < deadline, "the embedder is not ready"
        time.sleep(0.05)


def pelt(house: Any, chance: random.Random, frames: int, seconds: float) -> Pelted:
    """Send so many, for so long at the most; each few over a connection of their own."""
    house.start()
    with house.memory() as memory:
        memory.ping()
        process = psutil.Process(house.process.pid)
        path, store = str(house.settings().socket_path), str(house.store)
        warm(memory)
        sent, warm_mb, before = 0, 0.0, held(process, store)
        began = time.monotonic()
        while sent < frames and time.monotonic() < began + seconds:
            with socket.socket(socket.AF_UNIX) as peer, suppress(OSError):
                peer.settimeout(5)
                peer.connect(path)
                if chance.random() < 0.9:
                    hello = msgpack.packb({"id": 0, "op": "hello", "args": {}})
                    peer.sendall(struct.pack(">I", len(hello)) + hello)
                for _ in range(chance.randrange(1, 60)):
                    peer.sendall(frame(chance))
                    sent += 1
                peer.setblocking(False)
                with suppress(BlockingIOError):
                    while peer.recv(1 << 16):
                        pass
            if not warm_mb and sent >= min(500, frames // 2):
                warm_mb = process.memory_info().rss / 2**20
        took = time.monotonic() - began
        memory.ping()
        deadline = time.monotonic() + 20
        while (now := held(process, store))[0] - before[0] and time.monotonic() < deadline:
            time.sleep(0.05)
        memory_mb = process.memory_info().rss / 2**20
        sound = memory.verify().ok
        alive = house.process.poll() is None
    tracebacks = house.log.read_text().count("Traceback")
    opened, handles = dict(now[0] - before[0]), now[1] - before[1]
    return Pelted(sent, took, alive, sound, memory_mb - warm_mb, memory_mb, opened, handles, tracebacks)


def test_frames_of_every_kind_harm_nobody(house: Any, record_property: Any) -> None:
    found = pelt(house, random.Random(int(os.environ.get("EM_FUZZ_SEED", "11"))), FRAMES, SECONDS)
    assert (found.alive, found.sound, found.tracebacks) == (True, True, 0)
    assert found.opened == {}
    assert found.handles <= STORE_HANDLES
    assert found.grown_mb < 100
    record_property("frames", found.sent)
    record_property("grown_mb", round(found.grown_mb, 1))
