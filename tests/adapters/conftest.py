"""One daemon for all tests of a module: adapters are asked from the outside, and each test has a space of its own."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.settings import PREFIX

from ..conftest import Stores, gone, on_every_engine

pytest_generate_tests = on_every_engine

_numbers = itertools.count(1)

NAMES = ("store", "socket", "log_file", "backup_folder")


@pytest.fixture(scope="module")
def shared(stores: Stores) -> Iterator[dict[str, str]]:
    """The settings of the module's daemon."""
    folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    paths = ("memory.db", "run/db.sock", "log", "backups")
    named = {name: str(folder / path) for name, path in zip(NAMES, paths, strict=True)}
    yield named | {"store": stores(folder / "memory.db")}
    gone(folder)


@pytest.fixture
def there(shared: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The module's daemon and a space of the test's own, found by the environment as users' programs find theirs: the space."""
    space = f"{request.node.name[:80]} {os.urandom(3).hex()}"
    for name, value in (shared | {"space": space}).items():
        monkeypatch.setenv(PREFIX + name.upper(), value)
    return space


@pytest.fixture
def apart(there: str) -> Iterator[Memory]:
    """A client in that space."""
    with Memory(Settings.load()) as memory:
        yield memory


@pytest.fixture(scope="module")
def served(shared: dict[str, str]) -> Settings:
    """The module's daemon as settings that need no environment."""
    # A machine that does much else starts a daemon slowly, and no law here is about how fast.
    slow = {"connect_timeout_s": 120.0, "timeout_s": 120.0, "synchronous": "NORMAL"}
    return Settings.load(shared | slow, environment={"HOME": str(Path(shared["log_file"]).parent)})


@pytest.fixture
def memory(served: Settings) -> Iterator[Memory]:
    """A client in a space of this test's own, which nothing else is said to by the environment."""
    with Memory(served, on_ignored=_unknown) as client:
        space = f"test {next(_numbers)}"
        client.create_space(space)
        client.switch(space)
        yield client


def _unknown(op: str, ignored: list[str]) -> None:
    raise AssertionError(f"the daemon does not know {ignored} of {op}")
