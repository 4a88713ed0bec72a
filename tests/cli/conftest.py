"""memoryctl against a real daemon, in a folder and with a HOME of its own."""

import io
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client.cli.__main__ import main
from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.sync import Memory


@dataclass
class Ran:
    """What a run of memoryctl said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as one JSON document."""
        return json.loads(self.out)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty HOME with a short path (a socket's is limited); a daemon that was started in it is ended."""
    folder = Path(tempfile.mkdtemp(prefix="ctl-", dir="/tmp"))
    for name in os.environ:
        if name.startswith(("ENHANCED_MEMORY_", "XDG_")) or name in ("STATE_DIRECTORY", "NO_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("ENHANCED_MEMORY_STORE", str(folder / "memory.db"))
    monkeypatch.setenv("ENHANCED_MEMORY_SOCKET", str(folder / "run" / "db.sock"))
    monkeypatch.setenv("ENHANCED_MEMORY_LOG_FILE", str(folder / "daemon.log"))
    monkeypatch.setenv("ENHANCED_MEMORY_BACKUP_FOLDER", str(folder / "backups"))
    monkeypatch.setenv("ENHANCED_MEMORY_IDLE_EXIT_S", "60")
    yield folder
    for path in (*folder.glob("run*/mcp*.sock"), *folder.glob(".memories/run/mcp*.sock")):
        _end_host(path)
    for path in (*folder.glob("run*/*.sock"), *folder.glob("run*/*/*.sock")):
        _end_daemon(path, folder)
    shutil.rmtree(folder)


def _end_host(path: Path) -> None:
    """End the host that a real `memory-mcp` has left behind for the next one."""
    with socket.socket(socket.AF_UNIX) as peer:
        try:
            peer.connect(str(path))
        except OSError:
            return
        pid, _, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    _end(pid)


def _end_daemon(path: Path, folder: Path) -> None:
    store = folder / ("other.db" if path.name.startswith("other") else "memory.db")
    try:
        with Memory(Settings(store=str(store), socket=str(path), autostart=False, connect_timeout_s=2)) as memory:
            pid = memory.welcome.pid
    except Error:
        return
    _end(pid)


def _end(pid: int) -> None:
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], 10)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)


Ctl = Callable[..., Ran]


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether `condition` holds within that time. For what the daemon writes later than it answers."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def ctl(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ctl:
    """Run memoryctl in this process."""

    def run(*argv: str, stdin: str | bytes = b"") -> Ran:
        raw = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(raw))))  # pyright: ignore
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(argv))
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, said.out, said.err)

    return run


@pytest.fixture
def ctl_process(home: Path) -> Ctl:
    """Run memoryctl as a program of its own."""

    def run(*argv: str, **more: Any) -> Ran:
        command = [sys.executable, "-m", "enhanced_memory.client.cli", *argv]
        ran = subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=home, **more)
        return Ran(
            ran.returncode, ran.stdout.decode("utf-8", "surrogateescape"), ran.stderr.decode("utf-8", "surrogateescape")
        )

    return run
