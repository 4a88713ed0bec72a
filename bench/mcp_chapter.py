"""What an MCP client meets: the relay and its host beside a FastMCP process of its own and the official server.

Speaks JSON-RPC lines over stdio itself, so that no client library stands between the clock and the server. The official
server takes part where `build/official` holds it (the drop-in tests install it there). What is measured is a wheel.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from footprint import processor_s
from home import Home
from installed import installed
from measure import Figure, Size

from enhanced_memory.client import Memory, Settings

__all__ = ["measure"]

SECTION = "MCP"
OFFICIAL = Path(__file__).parents[1] / "build/official/node_modules/@modelcontextprotocol/server-memory/dist/index.js"
NO_OP = """
from fastmcp import FastMCP
server = FastMCP("no-op")
@server.tool
def no_op() -> str:
    return "ok"
server.run(show_banner=False, log_level="CRITICAL")
"""


class Session:
    """One server process on stdio, as an MCP client has it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._next = 0
        self.ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "b", "version": "1"})
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.ask("tools/list")
        self.start_s = time.perf_counter() - self.began

    def _write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask and wait; notifications in between are passed over."""
        assert self.process.stdout is not None
        self._next += 1
        self._write({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        while True:
            said = json.loads(self.process.stdout.readline())
            if said.get("id") == self._next:
                return said["result"]

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool."""
        return self.ask("tools/call", name=name, arguments=arguments)

    def create(self, name: str) -> bool:
        """Remember one entity; whether it was acknowledged."""
        entity = {"name": name, "entityType": "thing", "observations": ["It stands on the shelf by the window."]}
        return not self.call("create_entities", entities=[entity]).get("isError")

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def measure(size: Size) -> list[Figure]:
    """Start-up, one call, fifty sessions."""
    many, rounds = (50, 200) if size == "full" else (10, 50)
    with installed() as (commands, how), Home() as home:
        environment = dict(home.environment)
        relay = [str(commands / "memory-mcp")]
        no_op = [sys.executable, "-c", NO_OP]
        official = ["node", str(OFFICIAL)] if OFFICIAL.is_file() and shutil.which("node") else None
        # The others' processes are no part of our home, or their memory would be counted as ours.
        plain = {name: value for name, value in environment.items() if not name.startswith("ENHANCED_MEMORY_")}
        ledger = {**plain, "MEMORY_FILE_PATH": str(home.folder / "official.jsonl")}
        opened: list[Session] = []

        def session(command: list[str], around: dict[str, str]) -> Session:
            opened.append(Session(command, around))
            return opened[-1]

        try:
            figures = _measure(
                session, relay, no_op, official, home.settings, environment, plain, ledger, many, rounds, how
            )
        finally:
            for one in opened:
                one.end()
            for process in psutil.process_iter(["pid"]):
                try:
                    if (
                        str(home.folder) in process.environ().get("ENHANCED_MEMORY_STORE", "")
                        and process.pid != os.getpid()
                    ):
                        process.kill()
                except (psutil.Error, OSError):
                    continue
    return figures


def _measure(
    session: Any,
    relay: list[str],
    no_op: list[str],
    official: list[str] | None,
    settings: Settings,
    environment: dict[str, str],
    plain: dict[str, str],
    ledger: dict[str, str],
    many: int,
    rounds: int,
    how: str,
) -> list[Figure]:
    figures: list[Figure] = []

    def told(
        name: str, measured: str, floor: str, target: str = "", met: bool | None = None, law: bool = False
    ) -> None:
        figures.append(
            Figure(section=SECTION, name=name, measured=measured, floor=floor, target=target, met=met, law=law)
        )

    first = session(relay, environment)
    first.create("warm")
    starts: dict[str, list[float]] = {"relay": [], "fastmcp": [], "official": []}
    for _ in range(5):
        starts["relay"].append(session(relay, environment).start_s)
        starts["fastmcp"].append(session(no_op, plain).start_s)
        if official:
            starts["official"].append(session(official, ledger).start_s)
    ours, theirs = statistics.median(starts["relay"]), statistics.median(starts["fastmcp"])
    told(
        "start to tools/list, host warm, beside a FastMCP process",
        f"{ours * 1000:.0f} ms, {ours / theirs:.3f} ×",
        f"{theirs * 1000:.0f} ms",
        "≤ 0.05 ×",
        ours / theirs <= 0.05,
    )
    if official:
        node = statistics.median(starts["official"])
        told(
            "… beside the official server",
            f"{ours / node:.3f} ×",
            f"{node * 1000:.0f} ms",
            "≤ 0.25 ×",
            ours / node <= 0.25,
        )

    bare = session(no_op, plain)
    creates: list[float] = []
    nothings: list[float] = []
    parts = {
        "relay": psutil.Process(first.process.pid),
        **_others(environment),
        "": psutil.Process(bare.process.pid),
    }
    before = {name: processor_s(part) for name, part in parts.items()}
    for number in range(rounds):
        creates.append(_timed(lambda n=number: first.create(f"one {n}")))
        nothings.append(_timed(lambda: bare.call("no_op")))
    used = {name: (processor_s(part) - before[name]) / rounds * 1e6 for name, part in parts.items()}
    create, nothing = statistics.median(creates), statistics.median(nothings)
    told(
        "one durable create through the relay, p50, beside a no-op tool of FastMCP on stdio",
        f"{create * 1000:.2f} ms, {create / nothing:.2f} ×",
        f"{nothing * 1000:.2f} ms",
        "≤ 1.3 ×",
        create / nothing <= 1.3,
    )
    told(
        "… processor time of one, by process",
        ", ".join(f"{name} {spent:.0f}" for name, spent in used.items() if name) + " µs",
        f"{used['']:.0f} µs in FastMCP",
    )

    sessions = [session(relay, environment) for _ in range(many)]
    memory = _pss(environment)
    relays = [psutil.Process(one.process.pid).memory_full_info() for one in sessions]
    told(
        f"{many} sessions with host and daemon, PSS ({how})",
        f"{memory / 2**20:.0f} MB",
        f"a relay: {max(one.rss for one in relays) / 2**20:.1f} MB RSS, {max(one.uss for one in relays) / 2**20:.1f} MB private",
        "≤ 400 MB; a relay ≤ 12 and ≤ 5",
        memory <= 400 * 2**20 and all(one.rss <= 12 * 2**20 and one.uss <= 5 * 2**20 for one in relays),
    )
    quick = _crowd(sessions, lambda one, number, turn: bool(one.call("open_nodes", names=[])))
    busy = _crowd(sessions, lambda one, number, turn: one.create(f"s {number} {turn}"))
    there = _remembered(settings, "s ")
    told(
        f"{many} busy sessions × {TURNS} creates: acknowledged ones there",
        f"{there} of {busy[0]}",
        f"{busy[0] / busy[1]:.0f} creates/s",
        "all",
        there == busy[0] == many * TURNS,
        law=True,
    )
    killed = _killed(environment, sessions)
    there = _remembered(settings, "k ")
    told(
        f"… the same with the host killed {killed[1]} times meanwhile",
        f"{there} of {killed[0]}, each once",
        "",
        "all",
        there == killed[0] == many * TURNS,
        law=True,
    )
    ratio = (busy[0] / busy[1]) / (quick[0] / quick[1])
    told(
        "… rate beside reads of nothing",
        f"{ratio:.2f} ×",
        f"{quick[0] / quick[1]:.0f} calls/s",
        "≥ 0.6 ×",
        ratio >= 0.6,
    )
    if official:
        rivals = [session(official, ledger) for _ in range(many)]
        rival = _crowd(rivals, lambda one, number, turn: one.create(f"s {number} {turn}"))
        kept = Path(ledger["MEMORY_FILE_PATH"]).read_text("utf-8").count('"type":"entity"')
        ratio = (busy[0] / busy[1]) / (rival[0] / rival[1])
        told(
            "… rate beside the official server, a process each on one file",
            f"{ratio:.1f} ×",
            f"{rival[0] / rival[1]:.0f} creates/s; of {rival[0]} acknowledged {kept} in the file",
            "≥ 2 ×",
            ratio >= 2,
        )
    return figures


TURNS = 20


def _remembered(settings: Settings, beginning: str) -> int:
    """How many entities have a name that begins so; asked of the daemon itself, page by page."""
    total, cursor = 0, None
    with Memory(settings) as memory:
        while True:
            page = memory.list_entities(limit=1000, cursor=cursor)
            total += sum(one.name.startswith(beginning) for one in page.entities)
            cursor = page.cursor
            if cursor is None:
                return total


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _crowd(sessions: list[Session], work: Any) -> tuple[int, float]:
    """Every session at once, each `TURNS` times; how often it was acknowledged, and in how many seconds."""
    done = [0] * len(sessions)

    def run(number: int) -> None:
        for turn in range(TURNS):
            done[number] += bool(work(sessions[number], number, turn))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(sessions))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done), time.perf_counter() - began


def _others(environment: dict[str, str]) -> dict[str, psutil.Process]:
    """The host and the daemon of this home."""
    found: dict[str, psutil.Process] = {}
    for process in _of(environment):
        command = process.cmdline()
        if "host" in command or "serve" in command:
            found["host" if "host" in command else "daemon"] = process
    return found


def _of(environment: dict[str, str]) -> Generator[psutil.Process]:
    """The processes of this home."""
    for process in psutil.process_iter(["pid"]):
        try:
            if process.environ().get("ENHANCED_MEMORY_STORE") == environment["ENHANCED_MEMORY_STORE"]:
                yield process
        except (psutil.Error, OSError):
            continue


KILLS = 4
"""Deaths of a host within a minute that every relay survives (`RESTARTS`), less some."""


def _killed(environment: dict[str, str], sessions: list[Session]) -> tuple[int, int]:
    """A crowd of creates, and somebody who kills the host at random moments; acknowledged ones, and how many hosts died."""
    over = threading.Event()
    died: list[int] = []
    acknowledged: list[str] = []

    def kill() -> None:
        enough = 0
        while len(died) < KILLS and not over.wait(random.uniform(0.02, 0.3)):
            # Not before it has served: a host that nobody lets start is another matter.
            host = _others(environment).get("host") if len(acknowledged) >= enough else None
            if host is not None and host.pid not in died:
                host.kill()
                died.append(host.pid)
                enough = len(acknowledged) + len(sessions)

    def create(one: Session, number: int, turn: int) -> bool:
        done = one.create(f"k {number} {turn}")
        if done:
            acknowledged.append(f"k {number} {turn}")
        return done

    killing = threading.Thread(target=kill)
    killing.start()
    done, _ = _crowd(sessions, create)
    over.set()
    killing.join()
    return done, len(died)


def _pss(environment: dict[str, str]) -> int:
    """Memory of every process of this home, what is shared counted once."""
    total = 0
    for process in _of(environment):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total
