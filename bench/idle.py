"""Ten thousand connections that ask nothing: what they cost, and whether a ping notices them. Run by hand.

python bench/idle.py --connections 10000 [--record]

Each is a descriptor here and one in the daemon, whose limit has to be above `max_connections` and 64 (systemd: `LimitNOFILE=`).
"""

import argparse
import resource
import socket
import struct
import sys
import time

import msgpack
import page
from home import Home, until
from measure import Figure, at_most, each, law, percentile, told

SECTION = "Connections that ask nothing"
SPARE = 200


def held(path: str, count: int) -> list[socket.socket]:
    """So many connections, greeted."""
    hello = msgpack.packb({"id": 0, "op": "hello", "args": {}})
    found: list[socket.socket] = []
    for _ in range(count):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(60)
        while True:
            try:
                peer.connect(path)
                break
            except BlockingIOError:
                time.sleep(0.002)  # the backlog is full
        peer.sendall(struct.pack(">I", len(hello)) + hello)
        found.append(peer)
        if len(found) % 100 == 0:
            for one in found[-100:]:
                one.recv(1 << 16)
    return found


def measure(count: int) -> list[Figure]:
    """Hold them, look, let them go."""
    with Home(max_connections=count + 16, embedder="none") as home:
        daemon = home.serve()
        path = str(home.settings.socket_path)
        with home.client() as memory:
            for one in held(path, 50):  # warm
                one.close()
            until(lambda: memory.get_memory_status().connections == 1, 20)

            def pings() -> list[float]:
                return each(lambda _: memory.ping(), 400)

            before, quiet, files = daemon.memory_full_info().uss, pings(), daemon.num_fds()
            began = time.monotonic()
            peers = held(path, count)
            took = time.monotonic() - began
            there = memory.get_memory_status().connections - 1
            after = daemon.memory_full_info().uss
            cpu = sum(daemon.cpu_times()[:2])
            time.sleep(10)
            idle = sum(daemon.cpu_times()[:2]) - cpu
            crowded = pings()
            healthy = memory.health().state
            for peer in peers:
                peer.close()
            until(lambda: daemon.num_fds() <= files + 4, 60)
            left = daemon.num_fds() - files
    p50, p99 = ((percentile(crowded, share), percentile(quiet, share)) for share in (0.5, 0.99))
    return [
        law(SECTION, "connections held at once", there, count, f"made in {took:.1f} s; health meanwhile: {healthy}"),
        at_most(SECTION, "memory of each", (after - before) / count / 1024, 32, " KiB",
                f"the daemon's own (USS): {before / 2**20:.0f} → {after / 2**20:.0f} MB; the kernel's part is not in it"),
        Figure(SECTION, "processor in 10 s meanwhile", told(idle), "nothing is asked", value=idle),
        at_most(SECTION, "ping, p50, beside without them", p50[0] / p50[1], 2, " ×",
                f"{told(p50[0])} / {told(p50[1])}, p99 {told(p99[0])} / {told(p99[1])}"),
        at_most(SECTION, "descriptors left when they are gone", left, 4, ""),
    ]  # fmt: skip


def main() -> int:
    """Measure; 1 where they were not all held, 2 where this machine may not have so many files open."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--record", action="store_true", help="write the figures into docs/performance.md")
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < given.connections + SPARE:
        print(
            f"Only {hard:,} files may be open here (ulimit -Hn): {given.connections + SPARE:,} are needed.",
            file=sys.stderr,
        )
        return 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    busy, began = page.load(), time.monotonic()
    found = measure(given.connections)
    for one in found:
        print(page.line(one))
    if given.record:
        seconds = round(time.monotonic() - began, 1)
        page.keep(page.PAGE, "idle", page.Measured(page.date(), page.commit(), seconds, "full", busy, found))
    return int(any(one.law and not one.met for one in found))


if __name__ == "__main__":
    sys.exit(main())
