"""A PostgreSQL server for a measurement, and databases in it."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psutil

__all__ = ["databases", "say", "serving"]

SERVER = Path(__file__).parents[1] / "scripts" / "postgres_server.py"


@contextmanager
def serving() -> Generator[tuple[Callable[[str], str], psutil.Process] | None]:
    """A server that waits for its disk: the URL of each database by its name, and its process. None where there is none."""
    with tempfile.TemporaryDirectory(prefix="em-bench-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        ran = subprocess.run(
            [sys.executable, SERVER, "start", f"{folder}/srv", "--safe"], capture_output=True, text=True, check=False
        )
        if ran.returncode == 3:
            yield None
            return
        if ran.returncode:
            raise RuntimeError(ran.stderr)
        base = ran.stdout.strip()
        try:
            pid = int(Path(folder, "srv/data/postmaster.pid").read_text().splitlines()[0])
            yield (lambda name: base.replace("/postgres?", f"/{name}?")), psutil.Process(pid)
        finally:
            subprocess.run([sys.executable, SERVER, "stop", f"{folder}/srv"], check=True)


@contextmanager
def databases() -> Generator[Callable[[], str] | None]:
    """Makes an empty database each time that it is called, and gives its URL. None where there is no server."""
    with serving() as server:
        if server is None:
            yield None
            return
        url, _ = server
        number = count(1)

        def made() -> str:
            name = f"store_{next(number)}"
            say(url("postgres"), f"CREATE DATABASE {name}")
            return url(name)

        yield made


def say(url: str, text: str) -> list[Any]:
    """The rows of a statement."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []
