"""A home of its own for each measurement, and the programs that run in it: the daemon, clients in other processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw
import psutil

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.errors import Unavailable
from enhanced_memory.client.settings import PREFIX
from enhanced_memory.daemon.store.sqlite.scrubbing import REPACK_DUE, TIDIED, TIDY_BYTES

__all__ = ["Home", "Program", "until"]

HERE = Path(__file__).parent
_SETTLED = f"""
SELECT page_count - coalesce((SELECT value FROM meta WHERE key = '{TIDIED}'), 0) < 32
    AND NOT EXISTS (SELECT 1 FROM meta WHERE key = '{REPACK_DUE}') FROM pragma_page_count
"""
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV", "PYTHONPATH")


class Home:
    """A temporary folder with a store and a socket; on leaving, what was started in it is ended and it is removed."""

    def __init__(self, folder: Path | None = None, **settings: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="em-bench-", dir=folder))
        given: dict[str, Any] = {
            "store": self.folder / "memory.db",
            "socket": self.folder / "db.sock",
            "log_file": self.folder / "memory-db.log",
            "idle_exit_s": 600,
            **settings,
        }
        self.environment = {name: value for name, value in os.environ.items() if name in _KEPT}
        self.environment |= {"HOME": str(self.folder)} | {
            PREFIX + name.upper(): str(value) for name, value in given.items()
        }
        self.settings = Settings.load(environment=self.environment)
        self._programs: list[Program] = []
        self._daemons: list[psutil.Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in self._programs:
            program.end()
        for process in self._daemons:
            _end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def serve(self) -> psutil.Process:
        """Start a daemon and wait until it answers."""
        child = subprocess.Popen(
            [sys.executable, "-m", "enhanced_memory.daemon", "serve"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(self.folder / "memory-db.log", "ab"),  # noqa: SIM115 - the child's from here on
        )
        process = psutil.Process(child.pid)
        self._daemons.append(process)
        if not until(lambda: child.poll() is not None or self._answers(), 20) or child.poll() is not None:
            raise RuntimeError(f"the daemon did not start: {(self.folder / 'memory-db.log').read_text()[-500:]}")
        return process

    def _answers(self) -> bool:
        try:
            with self.client(autostart=False) as memory:
                memory.ping()
        except Unavailable:
            return False
        return True

    def adopt(self, pid: int) -> psutil.Process:
        """Take a daemon that a client started into our care."""
        process = psutil.Process(pid)
        self._daemons.append(process)
        return process

    def client(self, **given: Any) -> Memory:
        """A client of this home's daemon."""
        return Memory(Settings.load(given, self.environment))

    def program(self, verb: str, *arguments: Any) -> "Program":
        """A client in a process of its own: `bench/clients.py VERB`."""
        made = Program([sys.executable, str(HERE / "clients.py"), verb, *map(str, arguments)], self.environment)
        self._programs.append(made)
        return made

    def stop(self, process: psutil.Process) -> None:
        """End a daemon in order, so that the log is in the file."""
        _end(process)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query of the store's file gives."""
        file: Any = apsw.Connection(os.fspath(self.settings.store_path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return file.execute(query).fetchall()
        finally:
            file.close()

    def trained(self, wait_s: float = 20.0, stages: int = 1) -> bool:
        """Wait until the store has learnt so often how its own text is packed."""
        return until(lambda: bool(self.rows(f"SELECT 1 FROM meta WHERE key = 'learnt' AND value >= {stages}")), wait_s)

    def settled(self, wait_s: float = 120.0) -> bool:
        """Wait until what the daemon does with a small file when nobody writes is done: it is packed with the newest dictionary and
        written anew. True at once of a file that is too large for that."""
        if self.settings.store_path.stat().st_size > TIDY_BYTES:
            return True
        return until(lambda: self.rows(_SETTLED) == [(1,)], wait_s)


@contextmanager
def apart(*servers: int) -> Generator[None]:
    """This thread on one core, the main threads of the servers on another, until the block ends.

    A round trip between threads that share a core takes half as long as one that has to wake a sleeping core, and the
    scheduler decides anew which of the two a pair is. Two servers are compared only where it cannot.
    """
    before = sorted(os.sched_getaffinity(0))
    for pid in servers:
        os.sched_setaffinity(pid, {before[-1]})
    os.sched_setaffinity(0, {before[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        for pid in servers:
            os.sched_setaffinity(pid, before)


class Program:
    """A client in another process. It says one line of JSON when it is ready and one with what it found."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._says = " ".join(command[1:3])
        self._child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._child.pid

    def heard(self) -> Any:
        """The next line that it says. `RuntimeError` where it has ended instead."""
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._says} ended with {self._child.wait()}")
        return json.loads(line)

    def go(self) -> None:
        """Let it begin, or go on."""
        assert self._child.stdin is not None
        self._child.stdin.write(b"\n")
        self._child.stdin.flush()

    def end(self) -> None:
        """End it, if it still runs."""
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def until(holds: Any, wait_s: float) -> bool:
    """Wait until `holds()`; whether it came to hold in time."""
    end = time.monotonic() + wait_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def _end(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(5)
