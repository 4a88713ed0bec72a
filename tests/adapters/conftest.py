"""One daemon for all tests of a module: adapters are asked from the outside, and each test has a space of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.settings import PREFIX

from ..conftest import end_daemon

NAMES = ("store", "socket", "log_file", "backup_folder")


@pytest.fixture(scope="module")
def shared() -> Iterator[dict[str, str]]:
    """The settings of the module's daemon."""
    folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    paths = ("memory.db", "run/db.sock", "log", "backups")
    yield {name: str(folder / path) for name, path in zip(NAMES, paths, strict=True)}
    end_daemon(folder / "memory.db")
    shutil.rmtree(folder, ignore_errors=True)


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
