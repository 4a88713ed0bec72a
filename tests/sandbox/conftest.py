"""A sandbox for each test file and level, over a real memory, and the snippets that attack it."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from enhanced_memory.client import AsyncMemory, Settings
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.sandbox import Limits, Ran, Sandbox

HERE = Path(__file__).parent
LIMITS = Limits(seconds=1.0, memory_mb=64)
"""Enough for honest code here, and little enough for bombs to be over soon."""
CONTROL = "c = Counter('abca')\nc['d'] += 2\nprint('hello')\nresult = [sorted(c.items()), context['n'] + 1]"
ANSWER = [[["a", 2], ["b", 1], ["c", 1], ["d", 2]], 42]

Run = Callable[..., Awaitable[Ran]]


def snippets(name: str) -> list[Any]:
    """The snippets of a file: each begins with a line `# what it is`."""
    parts = re.split(r"^# (?!-\*-)(.+)\n", (HERE / name).read_text("utf-8"), flags=re.MULTILINE)
    return [pytest.param(code, id=title) for title, code in zip(parts[1::2], parts[2::2], strict=True)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def memory() -> AsyncIterator[AsyncMemory]:
    """A client of a daemon of this file's own, which knows three entities."""
    home = Path(tempfile.mkdtemp(prefix="em", dir="/tmp"))
    environment = {
        "HOME": str(home),
        "ENHANCED_MEMORY_STORE": str(home / "memory.db"),
        "ENHANCED_MEMORY_SOCKET": str(home / "d.sock"),
        "ENHANCED_MEMORY_LOG_FILE": str(home / "daemon.log"),
    }
    kept = dict(os.environ)
    os.environ.update(environment)
    memory = AsyncMemory(Settings.load(environment=environment), client="tests", channel="mcp")
    try:
        await memory.create_entities(
            [
                EntityInput("Ada", "person", ["likes tea", "plays chess"], confidence=0.9),
                EntityInput("Bob", "person", ["climbs mountains"], confidence=0.4),
                EntityInput("Acme", "company", ["makes anvils"]),
            ]
        )
        yield memory
        await memory.ping()  # whatever was done, it is well
        assert memory.welcome is not None
        process = psutil.Process(memory.welcome.pid)
        await memory.close()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        os.environ.clear()
        os.environ.update(kept)
        shutil.rmtree(home, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["A", "B"])
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """A sandbox with all layers, and one as where namespaces are refused; both know the engine without a filter."""
    async with Sandbox(without=() if request.param == "A" else ("namespaces",), bare=True) as sandbox:
        found = await sandbox.isolation()
        if found.level != request.param:
            pytest.skip(f"this machine has level {found.level} at the most: {found.missing}")
        yield sandbox


@pytest.fixture
def run(sandbox: Sandbox, memory: AsyncMemory) -> Run:
    """Run code; whatever it was, honest code runs right after it and gets its answer."""

    async def run(code: str, **more: Any) -> Ran:
        ran = await sandbox.run(code, memory, **{"limits": LIMITS, **more})
        control = await sandbox.run(CONTROL, memory, context={"n": 41})
        assert (control.ok, control.result, control.stdout) == (True, ANSWER, "hello\n"), control
        return ran

    return run
