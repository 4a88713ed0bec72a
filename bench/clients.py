"""Clients in processes of their own: `python bench/clients.py VERB …`, in an environment that names the home's socket.

`swarm` pipelines frames that were encoded beforehand over many connections and does next to nothing with the answers;
`crowd` is many Python clients, each a process; `search` asks the same again and again; `asking` has many connections ask
the questions of a file, one at a time each. Each says a line of JSON when it
is ready, begins when it is sent a line, and says what it found.
"""

import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from itertools import count, cycle
from typing import Any

from corpus import Known, invented

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.errors import Error
from enhanced_memory.client.values import EntityInput
from enhanced_memory.client.wire import pack, unpack

_LENGTH = struct.Struct(">I")


def main() -> None:
    """Do what the verb says."""
    verb, *given = sys.argv[1:]
    {"swarm": swarm, "crowd": crowd, "search": search, "asking": asking}[verb](*given)


def say(value: Any) -> None:
    """Say a line to whoever started this."""
    print(json.dumps(value), flush=True)


def wait() -> bool:
    """Wait to be let go on; whether there is anything to go on with."""
    return bool(sys.stdin.readline())


# Pipelining


def swarm(clients: str, in_flight: str, rounds: str, each: str, keyed: str, seed: str) -> None:
    """`rounds` times `clients` x `each` creates of one entity, with `in_flight` under way on each connection."""
    total = int(clients) * int(each)
    made = invented(int(seed), total * int(rounds))
    lines = [_Line(_greeted(number)) for number in range(int(clients))]
    frames = iter([_create(number, one, int(keyed) > 0, seed) for number, one in enumerate(made)])
    work = [[[next(frames) for _ in range(int(each))] for _ in lines] for _ in range(int(rounds))]
    _drive(lines, work, int(in_flight))


def asking(clients: str, each: str, rounds: str, file: str) -> None:
    """`rounds` times `each` questions for messages from each of `clients` connections, one at a time."""
    with open(file, encoding="utf-8") as lines_of:
        asked = cycle([line.strip() for line in lines_of])
    lines = [_Line(_greeted(number)) for number in range(int(clients))]
    numbers = count(1)
    work = [
        [
            [pack({"id": next(numbers), "op": "search_messages", "args": {"query": next(asked), "limit": 10}}) for _ in range(int(each))]
            for _ in lines
        ]
        for _ in range(int(rounds))
    ]  # fmt: skip
    _drive(lines, work, 1)


def _drive(lines: "list[_Line]", work: list[list[list[bytes]]], in_flight: int) -> None:
    """Send each line its share of each round, `in_flight` at a time, and tell how long the answers took."""
    poll = select.epoll()
    for line in lines:
        poll.register(line.peer, select.EPOLLIN)
    by_number = {line.peer.fileno(): line for line in lines}
    say({"ready": len(lines)})
    for shares in work:
        if not wait():
            return
        total = sum(map(len, shares))
        began = time.perf_counter()
        took: list[float] = []
        failed = 0
        for line, share in zip(lines, shares, strict=True):
            line.begin(share, in_flight)
        left = total
        while left:
            for number, _ in poll.poll():
                line = by_number[number]
                answers, wrong = line.hear(took)
                left -= answers
                failed += wrong
        say({"seconds": time.perf_counter() - began, "failed": failed, "took": took})


class _Line:
    """One connection of the swarm."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self._frames: list[bytes] = []
        self._sent: list[float] = []
        self._next = 0
        self._held = b""

    def begin(self, frames: list[bytes], in_flight: int) -> None:
        self._frames, self._next, self._sent = frames, 0, []
        self._send(in_flight)

    def hear(self, took: list[float]) -> tuple[int, int]:
        """Read what came and send as much anew; how many answers, and how many of them errors."""
        data = self._held + self.peer.recv(262144)
        if len(data) == len(self._held):
            raise SystemExit(3)  # the daemon closed the connection; whoever started this hears of it by the status
        now = time.perf_counter()
        at = answers = failed = 0
        while len(data) - at >= 4:
            (length,) = _LENGTH.unpack_from(data, at)
            if len(data) - at - 4 < length:
                break
            # {"id": n, "ok" or "error": …}: which it is shows without unpacking. A connection's answers come in order.
            failed += b"\xa5error" in data[at + 4 : at + 20]
            at += 4 + length
            answers += 1
        self._held = data[at:]
        took += [now - one for one in self._sent[:answers]]
        del self._sent[:answers]
        self._send(answers)
        return answers, failed

    def _send(self, count: int) -> None:
        batch = self._frames[self._next : self._next + count]
        if batch:
            self._next += len(batch)
            self._sent += [time.perf_counter()] * len(batch)
            self.peer.sendall(b"".join(batch))


def _greeted(number: int) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    until = time.monotonic() + 10
    while True:
        try:
            peer.connect(os.fspath(Settings.load().socket_path))
            break
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.002)
    peer.sendall(
        pack({"id": 0, "op": "hello", "args": {"protocol": 1, "client": "bench", "session": f"s{number % 8}"}})
    )
    data = b""
    while len(data) < 4 or len(data) < 4 + _LENGTH.unpack_from(data)[0]:
        data += peer.recv(65536)
    assert "ok" in unpack(data[4:]), data
    return peer


def _create(number: int, one: Known, keyed: bool, seed: str) -> bytes:
    entity = {"name": one.name, "type": one.type, "observations": one.observations}
    message: dict[str, Any] = {"id": number, "op": "create_entities", "args": {"entities": [entity]}}
    if keyed:
        message["key"] = f"{seed}:{number}"
    return pack(message)


# Python clients


def crowd(clients: str, each: str, seed: str, file: str) -> None:
    """`clients` processes with a `Memory` each create `each` entities; `file`.N names the acknowledged ones."""
    made = invented(int(seed), int(clients) * int(each))
    gate, opener = os.pipe()
    children: list[int] = []
    for number in range(int(clients)):
        child = os.fork()
        if not child:
            os.close(opener)
            os._exit(_one_of_the_crowd(made[number :: int(clients)], gate, f"{file}.{number}"))
        children.append(child)
    os.close(gate)
    say({"ready": len(children)})
    wait()
    began = time.perf_counter()
    os.close(opener)  # each child reads the end of the pipe and begins
    failed = sum(os.waitpid(child, 0)[1] != 0 for child in children)
    say({"seconds": time.perf_counter() - began, "failed": failed})


def _one_of_the_crowd(share: list[Known], gate: int, file: str) -> int:
    problems = 0
    with Memory() as memory, open(file, "w") as kept:
        os.read(gate, 1)
        for one in share:
            began = time.perf_counter()
            try:
                answer = memory.create_entities([EntityInput(one.name, one.type, list(one.observations))])
            except Error:
                problems += 1
                continue
            took = time.perf_counter() - began
            kept.write(json.dumps([answer.results[0].id, one.name, one.observations, took]) + "\n")
    return min(problems, 100)


def search(words: str) -> None:
    """Search for all the words until told to stop; in another order each time, so that no answer is the last one's."""
    with Memory() as memory:
        say({"ready": 1})
        while wait():
            times: list[float] = []
            until = time.monotonic() + 3600
            for query in _queries(words.split(",")):
                began = time.perf_counter()
                memory.search_nodes(query, limit=10)
                times.append(time.perf_counter() - began)
                if select.select([sys.stdin], [], [], 0)[0] or time.monotonic() > until:
                    break
            wait()
            say({"took": times})


def _queries(words: list[str]) -> Iterator[str]:
    while True:
        for number in range(len(words)):
            yield " ".join(words[number:] + words[:number])


if __name__ == "__main__":
    main()
