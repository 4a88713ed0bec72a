"""Writers that go on for so many seconds over restarts of the daemon: what was acknowledged must be there in the end."""

import sys
import threading
import time

from enhanced_memory.client import Memory
from enhanced_memory.client.errors import Error
from enhanced_memory.client.values import EntityInput

SECONDS = float(sys.argv[1])


def write(who: int, kept: list[str], failed: list[str]) -> None:
    until = time.monotonic() + SECONDS
    memory = Memory()
    number = 0
    while time.monotonic() < until:
        name = f"load {who} {number}"
        number += 1
        try:
            memory.create_entities([EntityInput(name, "load", ["one", "two"])])
            kept.append(name)
        except Error as problem:
            failed.append(f"{type(problem).__name__}: {problem}")
    memory.close()


kept: list[str] = []
failed: list[str] = []
threads = [threading.Thread(target=write, args=(who, kept, failed)) for who in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with Memory() as memory:
    lost = [
        name
        for start in range(0, len(kept), 500)
        for name in memory.open_nodes(kept[start : start + 500], relations=False).missing
    ]
print(f"{len(kept)} acknowledged, {len(lost)} lost, {len(failed)} refused {sorted(set(failed))[:3]}")
sys.exit(1 if lost or not kept or failed else 0)
