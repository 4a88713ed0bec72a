"""scripts/backup_memory.sh as cron runs it: what it deletes, what it never deletes, and with what code it ends.

memoryctl is a stand-in here, so that it can fail in every way; the real one has its own tests.
"""

import fcntl
import os
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "backup_memory.sh"
GOOD = 'path="$3/memory_$(date +%Y%m%d_%H%M%S).db.zst"; echo data > "$path"; echo "$path"'
DAY_S = 86_400


class Cron:
    """A bare environment, a folder of backups, and a memoryctl that does what it is told."""

    def __init__(self, place: Path) -> None:
        self.home = place / "a home"
        self.home.mkdir()
        self.folder = self.home / "memory_backups"
        self.memoryctl = place / "memoryctl"
        self.does(GOOD)

    def does(self, body: str) -> None:
        """Let memoryctl be this shell script."""
        self.memoryctl.write_text(f"#!/bin/sh\n{body}\n")
        self.memoryctl.chmod(0o755)

    def has(self, name: str, days: float) -> Path:
        """Put a file into the folder, written so many days ago."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        path.write_text("old")
        then = time.time() - days * DAY_S
        os.utime(path, (then, then))
        return path

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script as cron does: little environment, no terminal."""
        bare = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "MEMORYCTL": str(self.memoryctl)}
        return subprocess.run(
            [str(SCRIPT), *arguments],
            env=bare | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def backups(self) -> list[Path]:
        """What is in the folder and not hidden."""
        return sorted(path for path in self.folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def cron(tmp_path: Path) -> Cron:
    return Cron(tmp_path)


def test_a_backup_is_made_and_named(cron: Cron) -> None:
    ran = cron.run()
    (made,) = cron.backups()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert str(made) in ran.stdout
    assert made.stat().st_mode & 0o777 == 0o600
    assert cron.folder.stat().st_mode & 0o777 == 0o700


def test_backups_older_than_a_week_go_and_younger_ones_stay(cron: Cron) -> None:
    old = cron.has("memory_20200101_000000.db.zst", 8)
    young = cron.has("memory_20200102_000000.db", 6)
    ran = cron.run()
    assert ran.returncode == 0
    assert not old.exists()
    assert f"deleted {old}" in ran.stdout
    assert young.exists()


def test_a_second_copy_is_no_stranger_and_its_folder_is_kept_tidy_too(cron: Cron) -> None:
    second = cron.home / "another disk"
    second.mkdir()
    cron.does(
        f'{GOOD}; cp "$path" \'{second}\'; echo "size         9.0 KiB"; echo "second copy  {second}/$(basename "$path")"'
    )
    old = cron.has("memory_20200101_000000.db.zst", 8)
    older = second / old.name
    older.write_text("old")
    os.utime(older, (0, 0))
    ran = cron.run()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not old.exists()
    assert not older.exists()
    assert len(cron.backups()) == len(list(second.iterdir())) == 1


def test_where_the_second_copy_is_not_there_nothing_is_deleted(cron: Cron) -> None:
    cron.does(f'{GOOD}; echo "second copy  {cron.home}/memory_20200103_000000.db.zst"')
    old = cron.has("memory_20200101_000000.db.zst", 8)
    ran = cron.run()
    assert (ran.returncode, "the second copy" in ran.stderr, old.exists()) == (1, True, True)


def test_how_long_they_are_kept_can_be_set(cron: Cron) -> None:
    old = cron.has("memory_20200101_000000.db.zst", 8)
    assert cron.run(BACKUP_KEEP_DAYS="30").returncode == 0
    assert old.exists()


@pytest.mark.parametrize("name", ["memory.db", "notes.txt", "memory_2020.db", "my_memory_20200101_000000.db"])
def test_what_is_not_a_backup_of_ours_is_never_deleted(cron: Cron, name: str) -> None:
    foreign = cron.has(name, 400)
    assert cron.run().returncode == 0
    assert foreign.exists()


def test_a_new_backup_with_an_old_time_stays(cron: Cron) -> None:
    """A clock that jumped, or a copy that keeps the times of its source."""
    cron.does(GOOD + '; touch -d "2001-01-01" "$path"')
    assert cron.run().returncode == 0
    assert len(cron.backups()) == 1


@pytest.mark.parametrize(
    "body",
    [
        "exit 4",
        "echo done",
        f'{GOOD} | sed "s/^/no /"; exit 1',
        'echo "$3/memory_20300101_000000.db"',
        'echo "$3/memory_20300101_000000.db"; : > "$3/memory_20300101_000000.db"',
        'path="$HOME/memory_20300101_000000.db"; echo data > "$path"; echo "$path"',
    ],
    ids=["fails", "names nothing", "fails after naming", "names what is not there", "empty", "elsewhere"],
)
def test_after_a_failure_nothing_is_deleted(cron: Cron, body: str) -> None:
    old = cron.has("memory_20200101_000000.db.zst", 400)
    cron.does(body)
    ran = cron.run()
    assert ran.returncode == 1
    assert "nothing was deleted" in ran.stderr
    assert old.exists()


def test_two_runs_do_not_overlap(cron: Cron) -> None:
    cron.folder.mkdir()
    with open(cron.folder / ".backup_memory.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cron.run().returncode == 75
    assert cron.backups() == []
    assert cron.run().returncode == 0


def test_a_daemon_started_by_a_backup_does_not_hold_the_lock(cron: Cron) -> None:
    cron.does(GOOD + "; ls -l /proc/$$/fd >&2")
    ran = cron.run()
    assert ran.returncode == 0
    assert ".backup_memory.lock" not in ran.stderr


@pytest.mark.parametrize("days", ["0", "-1", "seven", "", "7 days"])
def test_a_setting_that_makes_no_sense_is_refused(cron: Cron, days: str) -> None:
    expected = 0 if days == "" else 2
    assert cron.run(BACKUP_KEEP_DAYS=days).returncode == expected


@pytest.mark.parametrize("arguments", [("--help",), ("a", "b")])
def test_arguments_that_make_no_sense_are_refused(cron: Cron, arguments: tuple[str, ...]) -> None:
    assert cron.run(*arguments).returncode == 2
    assert not cron.folder.exists()


def test_a_folder_can_be_named(cron: Cron, tmp_path: Path) -> None:
    assert cron.run(str(tmp_path / "elsewhere")).returncode == 0
    assert len(list((tmp_path / "elsewhere").glob("memory_*.db.zst"))) == 1


def test_a_missing_memoryctl_is_said(cron: Cron) -> None:
    ran = cron.run(MEMORYCTL="/nowhere/memoryctl")
    assert ran.returncode == 2
    assert "/nowhere/memoryctl" in ran.stderr
