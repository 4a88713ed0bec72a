"""What faults need: a daemon that can be killed and started again, and a disk that is small."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import PREFIX


class House:
    """A folder with a store, and the daemon that serves it, as often as it takes."""

    def __init__(self, folder: Path, store: Path | str | None = None, **settings: Any) -> None:
        self.folder = folder
        self.store: Path | Any = store or folder / "memory.db"
        self.log = folder / "daemon.log"
        given = {
            "store": self.store,
            "socket": folder / "run" / "db.sock",
            "backup_folder": folder / "backups",
        } | settings
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "XDG_"))
        } | {"HOME": str(folder)}
        # It is started a thousand times by `bench/kills.py`: what was compiled is kept.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environment |= {PREFIX + name.upper(): str(value) for name, value in given.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, through: tuple[str, ...] = ()) -> "House":
        with open(self.log, "ab") as log:
            command = [*through, sys.executable, "-P", "-m", "enhanced_memory.daemon", "serve"]
            self.process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def settings(self, **given: Any) -> Settings:
        return Settings.load({"autostart": False} | given, self.environment)

    def memory(self, wait_s: float = 20, **given: Any) -> Memory:
        """A client that is connected, as soon as the daemon answers."""
        settings = self.settings(**given)
        until = time.monotonic() + wait_s
        pause = 0.002
        while True:
            memory = Memory(settings)
            try:
                memory.connect()
                return memory
            except Error:
                assert time.monotonic() < until, self.log.read_text()[-2000:]
                # Whoever asks too often takes the processor from the daemon that is about to answer.
                time.sleep(pause)
                pause = min(0.05, pause * 1.5)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                assert self.process.wait(30) == 0
            finally:
                self.process.kill()


@pytest.fixture
def house() -> Iterator[House]:
    """One on the disk that is there."""
    made = House(Path(tempfile.mkdtemp(prefix="em-", dir="/tmp")))
    yield made
    made.end()
    shutil.rmtree(made.folder)


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], Path]]:
    """Makes a disk of so many megabytes. Needs the right to mount."""
    made: list[Path] = []

    def small_disk(megabytes: int) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", folder], capture_output=True
        )
        if done.returncode:
            folder.rmdir()
            pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
        made.append(folder)
        return folder

    yield small_disk
    for folder in made:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()
