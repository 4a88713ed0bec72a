"""What running code costs: over MCP beside a tool that does nothing, the worker by itself, its calls, sixteen at once.

And what it saves: one question asked by a hundred tool calls and by one, with the bytes of both.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from home import Home
from mcp_chapter import NO_OP, Session
from measure import Figure, Size, at_least, at_most, law, percentile, told

from enhanced_memory.client import AsyncMemory, Memory, Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.sandbox import Sandbox

__all__ = ["measure"]

SECTION = "Code over memory"
SMALL = "result = sum(n for n in range(10))"
CALLS = "for _ in range(400):\n    list_spaces()"
PEOPLE, CITIES = 100, ("London", "Paris", "Rome", "Oslo")
QUESTION = """
ages = defaultdict(list)
for person in list_entities(types=["person"], limit=1000)["entities"]:
    said = dict(line.split(": ") for line in person["observations"])
    ages[said["city"]].append(int(said["age"]))
result = {city: [len(years), round(statistics.mean(years), 1)] for city, years in sorted(ages.items())}
"""


def measure(size: Size) -> list[Figure]:
    """All of it, in one home."""
    rounds = 200 if size == "full" else 50
    with Home() as home:
        with Memory(home.settings) as memory:
            memory.create_entities([_person(number) for number in range(PEOPLE)])
        opened: list[Session] = []
        try:
            figures = _over_mcp(home, opened, rounds)
            figures += asyncio.run(_inside(home.settings, rounds))
            figures += _saved(opened[0])
        finally:
            for one in opened:
                one.end()
            _end_host(home)
    return figures


def _person(number: int) -> EntityInput:
    said = [f"city: {CITIES[number % 4]}", f"age: {20 + number % 50}", f"street: {number} Long Lane"]
    return EntityInput(f"person {number}", "person", list(said))


def _over_mcp(home: Home, opened: list[Session], rounds: int) -> list[Figure]:
    environment = dict(home.environment)
    plain = {name: value for name, value in environment.items() if not name.startswith("ENHANCED_MEMORY_")}
    relay = Session([str(Path(sys.executable).parent / "memory-mcp")], environment)
    opened.append(relay)
    began = time.perf_counter()
    assert not relay.call("execute_code", code=SMALL).get("isError")
    cold = time.perf_counter() - began
    bare = Session([sys.executable, "-c", NO_OP], plain)
    opened.append(bare)
    bare.call("no_op")
    runs: list[float] = []
    nothings: list[float] = []
    for _ in range(rounds):
        runs.append(_timed(lambda: relay.call("execute_code", code=SMALL)))
        nothings.append(_timed(lambda: bare.call("no_op")))
        time.sleep(0.01)  # a model does not call again at once
    floor = f"a no-op tool of FastMCP: {told(statistics.median(nothings))}, p95 {told(percentile(nothings, 0.95))}"
    return [
        at_most(SECTION, "execute_code over MCP, p50", statistics.median(runs) * 1000, 15, " ms", floor),
        at_most(SECTION, "execute_code over MCP, p95", percentile(runs, 0.95) * 1000, 40, " ms", floor),
        Figure(SECTION, "the first one of a host: the sandbox starts, every layer is tried", told(cold)),
    ]


async def _inside(settings: Settings, rounds: int) -> list[Figure]:
    memory = AsyncMemory(settings, client="bench")
    await memory.ping()
    async with Sandbox() as sandbox:
        began = time.perf_counter()
        isolation = await sandbox.isolation()
        start = time.perf_counter() - began
        alone: list[float] = []
        for _ in range(rounds):
            alone.append((await sandbox.run(SMALL, memory)).ms / 1000)
            await asyncio.sleep(0.01)
        cpu = psutil.Process(sandbox.zygote).cpu_times()
        spent = (cpu.user + cpu.system + cpu.children_user + cpu.children_system) / rounds
        ran = await sandbox.run(CALLS, memory)
        assert ran.calls == 400, ran
        began = time.perf_counter()
        for _ in range(400):
            await memory.list_spaces()
        floor = 400 / (time.perf_counter() - began)
        rate = ran.calls / (ran.ms / 1000)
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, _memory(sandbox.zygote))
                await asyncio.sleep(0.01)

        watching = asyncio.get_running_loop().create_task(watch())
        began = time.perf_counter()
        rans = await asyncio.gather(*(sandbox.run(CALLS.replace("400", "40"), memory, who=n % 4) for n in range(16)))
        together = time.perf_counter() - began
        watching.cancel()
    await memory.close()
    return [
        at_most(SECTION, "a run without MCP, p50", statistics.median(alone) * 1000, 6, " ms", f"level {isolation.level}"),
        Figure(SECTION, "… p95", told(percentile(alone, 0.95)), f"level {isolation.level}"),
        Figure(SECTION, "… time of the processor, making the worker included", told(spent)),
        Figure(SECTION, "the sandbox's start, every layer tried", told(start)),
        at_least(SECTION, "calls of the memory from code, beside the client's own", rate / floor, 0.4, " ×",
                 f"{rate:,.0f} of {floor:,.0f} calls/s"),
        law(SECTION, "16 runs at once: answered", sum(one.ok for one in rans), 16, f"in {told(together)}"),
        Figure(SECTION, "… memory of zygote and workers, PSS at the most", f"{most / 2**20:.0f} MB"),
    ]  # fmt: skip


def _saved(session: Session) -> list[Figure]:
    """The question in a hundred calls and in one; both answers must be the same."""
    many, count = 0, 0

    def call(name: str, **arguments: Any) -> Any:
        nonlocal many, count
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        answer = session.call(name, **arguments)
        many += len(json.dumps(asked).encode()) + len(json.dumps(answer).encode())
        count += 1
        return answer["structuredContent"]

    found = call("search_nodes", query="person", limit=1000, detail="names")["entities"]
    ages: dict[str, list[int]] = {}
    for one in found:
        [person] = call("open_nodes", names=[one["name"]])["entities"]
        said = dict(line.split(": ") for line in person["observations"])
        ages.setdefault(said["city"], []).append(int(said["age"]))
    told_by_many = {city: [len(years), round(statistics.mean(years), 1)] for city, years in sorted(ages.items())}
    calls_of_many, bytes_of_many = count, many
    many = count = 0
    told_by_one = call("execute_code", code=QUESTION)["result"]
    return [
        law(SECTION, "a question over 100 entities: the one call's answer is the many calls'",
            int(told_by_one == told_by_many), 1),
        at_least(SECTION, "… bytes between client and server, many calls beside one", bytes_of_many / many, 20, " ×",
                 f"{bytes_of_many:,} in {calls_of_many} calls; {many:,} in {count}"),
    ]  # fmt: skip


def _memory(zygote: int) -> int:
    total = 0
    try:
        first = psutil.Process(zygote)
        for process in (first, *first.children(recursive=True)):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
    except psutil.Error:
        return 0
    return total


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _end_host(home: Home) -> None:
    for process in psutil.process_iter(["pid"]):
        try:
            if str(home.folder) in process.environ().get("ENHANCED_MEMORY_STORE", "") and process.pid != os.getpid():
                process.kill()
        except (psutil.Error, OSError):
            continue
