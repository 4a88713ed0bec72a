"""Frames that nobody would send: the daemon goes on, and keeps neither memory nor descriptors for them.

`EM_FUZZ_FRAMES` says how many (600 where it says nothing), `EM_FUZZ_SECONDS` for how long at the most. `bench/frames.py` sends
a million.
"""

import os
import random
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgpack
import psutil

from enhanced_memory.client.request import REQUESTS

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
    files: int
    """Descriptors more than when it was warm."""
    tracebacks: int


def pelt(house: Any, chance: random.Random, frames: int, seconds: float) -> Pelted:
    """Send so many, for so long at the most; each few over a connection of their own."""
    house.start()
    with house.memory() as memory:
        memory.ping()
        process = psutil.Process(house.process.pid)
        path = str(house.settings().socket_path)
        sent, before = 0, (0.0, 0)
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
            if not before[1] and sent >= min(500, frames // 2):
                before = process.memory_info().rss / 2**20, process.num_fds()  # warmed up
        took = time.monotonic() - began
        memory.ping()
        deadline = time.monotonic() + 20
        while process.num_fds() > before[1] + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        memory_mb = process.memory_info().rss / 2**20
        files = process.num_fds() - before[1]
        sound = memory.verify().ok
        alive = house.process.poll() is None
    tracebacks = house.log.read_text().count("Traceback")
    return Pelted(sent, took, alive, sound, memory_mb - before[0], memory_mb, files, tracebacks)


def test_frames_of_every_kind_harm_nobody(house: Any, record_property: Any) -> None:
    found = pelt(house, random.Random(int(os.environ.get("EM_FUZZ_SEED", "11"))), FRAMES, SECONDS)
    assert (found.alive, found.sound, found.tracebacks) == (True, True, 0)
    assert found.files <= 2
    assert found.grown_mb < 100
    record_property("frames", found.sent)
    record_property("grown_mb", round(found.grown_mb, 1))
