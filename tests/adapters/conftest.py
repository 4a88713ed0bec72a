"""A daemon for a whole module: laws about adapters hold in any store, so they share one, each test in a space of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enhanced_memory.client import Memory, Settings

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared() -> Iterator[Settings]:
    """The settings of a daemon that runs as long as this module's tests."""
    folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    given = {
        "store": str(folder / "memory.db"),
        "socket": str(folder / "db.sock"),
        "log_file": str(folder / "memory-db.log"),
        "backup_folder": str(folder / "backups"),
        "synchronous": "NORMAL",
        # A machine that does much else starts a daemon slowly, and no law here is about how fast.
        "connect_timeout_s": 120.0,
        "timeout_s": 120.0,
    }
    settings = Settings.load(given, environment={"HOME": str(folder)})
    with Memory(settings) as memory:
        pid = memory.welcome.pid
    yield settings
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + 20
    while (folder / "db.sock").exists() or _runs(pid):
        assert time.monotonic() < until, f"the daemon {pid} did not leave"
        time.sleep(0.005)
    shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def memory(shared: Settings) -> Iterator[Memory]:
    """A client in a space of this test's own."""
    with Memory(shared, on_ignored=_unknown) as client:
        space = f"test {next(_numbers)}"
        client.create_space(space)
        client.switch(space)
        yield client


def _unknown(op: str, ignored: list[str]) -> None:
    raise AssertionError(f"the daemon does not know {ignored} of {op}")
