# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Making a backup: a copy of the store while it is in use, which was opened, checked and counted before it is called one."""

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec

from enhanced_memory.client.errors import Broken, Conflict, Invalid, StoreDamaged, StoreFull
from enhanced_memory.client.folders import make_private
from enhanced_memory.daemon import VERSION
from enhanced_memory.daemon.backups import Manifest, name_at, packed
from enhanced_memory.daemon.store import Health
from enhanced_memory.daemon.store.sqlite import file, sealing, verifying
from enhanced_memory.daemon.store.sqlite.rows import each, translated

__all__ = ["APART", "Checks", "Copy", "backup", "checked_apart"]

APART = 32 * 1024 * 1024
"""Bytes from which a copy is checked by a process of its own: in this one that would hold up everybody who asks meanwhile."""

_NO_SPACE = 28


class Copy(msgspec.Struct):
    """A verified copy of the store."""

    path: str
    bytes: int
    sha256: str
    entities: int
    messages: int
    change: int
    seconds: float
    store_bytes: int


class Checks:
    """The processes that look at a file for somebody. Once they are ended, one that begins just then is ended too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._over = False

    @contextmanager
    def holding(self, child: "subprocess.Popen[bytes]") -> Generator[None]:
        """While the block runs, `end` ends the child."""
        with self._lock:
            self._running.add(child)
            if self._over:
                child.kill()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(child)

    def end(self) -> None:
        """End them, and whatever begins from now on."""
        with self._lock:
            self._over = True
            for child in self._running:
                child.kill()


def backup(
    store: Path,
    to: Path,
    own: Path,
    write: Callable[[Path], None] | None = None,
    key: sealing.Key | None = None,
) -> Copy:
    """Copy the store while it is in use, check the copy, and only then give it its name.

    `to` is a folder (the copy is named by its time in it, and packed) or a file that must not exist yet, packed if its name ends
    with `.zst`. A manifest is written beside it.
    The copy is encrypted as the store is.
    `write` writes the copy, where not the file at `store` is meant. `Conflict` where it exists, `StoreDamaged` where the copy is not sound.
    """
    began = time.monotonic()
    made_at = datetime.now(UTC)
    to = _target(to, own, made_at)
    copy = to.with_name(to.name.removesuffix(".zst") + ".copy.partial")
    try:
        copy.unlink(missing_ok=True)
        copy.touch(mode=0o600)
        with translated():
            (write or partial(_written, store, key))(copy)
        apart = copy.stat().st_size >= APART
        health = checked_apart(copy, True, key) if apart else verifying.check(copy, True, key)
        if health.problems:
            raise StoreDamaged(
                f"The copy has {len(health.problems)} problems: {health.problems[0]}",
                "run `memoryctl verify` on the store itself",
            )
        store_id, schema = _known(copy, key)

        def manifest(sha256: str, size: int, store_sha256: str, store_bytes: int) -> Manifest:
            return Manifest(
                1, made_at, to.name, size, sha256, store_bytes, store_sha256, store_id, schema, VERSION,
                health.checked["last_change"], health.checked, platform.node(), key.mark if key is not None else "",
            )  # fmt: skip

        made = packed(copy, to, manifest)
    except OSError as problem:
        if problem.errno == _NO_SPACE:
            raise StoreFull(f"There is no space left at {to.parent}.") from None
        raise Broken(f"{to} cannot be written: {problem.strerror}.", "choose another folder") from None
    finally:
        for end in ("", "-wal", "-shm", "-journal"):
            copy.with_name(copy.name + end).unlink(missing_ok=True)
    return Copy(
        str(to), made.bytes, made.sha256, health.checked["entities"], health.checked["messages"], made.change,
        time.monotonic() - began, made.store_bytes,
    )  # fmt: skip


def _written(store: Path, key: sealing.Key | None, copy: Path) -> None:
    source = file.connect(store, readonly=True, key=key)
    try:
        # One snapshot, written compactly; writers go on meanwhile.
        source.execute("PRAGMA query_only = OFF")
        source.execute("VACUUM INTO ?", (os.fspath(copy),))
    finally:
        source.close()


def checked_apart(
    store: Path,
    quick: bool,
    key: sealing.Key | None = None,
    checks: Checks | None = None,
) -> Health:
    """What `verifying.check` finds, found by a process of its own that gives way to others. It stands in `checks` while it
    runs: whoever has to leave ends it there, which is `Broken` here."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "enhanced_memory.daemon",
        "check",
        "--json",
        "--with-parent",
        *(["--quick"] if quick else []),
    ]
    command += ["--key-file", str(key.path)] if key is not None else []
    with (
        subprocess.Popen(
            [*command, "--", str(store)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child,
        (checks or Checks()).holding(child),
    ):
        out, err = child.communicate()
    try:
        return msgspec.json.decode(out, type=Health)
    except msgspec.DecodeError:
        said = err.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"it ended with {child.returncode}"]
        raise Broken(f"{store} could not be checked: {said[0]}.", "try again") from None


def _known(copy: Path, key: sealing.Key | None) -> tuple[str, int]:
    connection = file.connect(copy, readonly=True, key=key)
    try:
        store_id = next(each(connection, "SELECT value FROM meta WHERE key = 'store_id'"))[0]
        return str(store_id), next(each(connection, "PRAGMA user_version"))[0]
    finally:
        connection.close()


def _target(to: Path, own: Path, at: datetime) -> Path:
    """The file that a backup to `to` is written to; its folder is made if need be."""
    if "\0" in os.fspath(to):
        raise Invalid("The backup's path holds a NUL character.", "remove it")
    try:
        to = to.expanduser().absolute()
        if to.is_dir() or (to.suffix == "" and not to.exists()):
            folder = to
            while (to := folder / name_at(at)).exists():  # another one of the same second
                at += timedelta(seconds=1)
        if to.exists() or to == own:
            raise Conflict(f"{to} exists.", "name a folder, or a file that does not exist yet")
        make_private(to.parent)
    except (OSError, RuntimeError) as problem:
        raise Invalid(
            f"A backup cannot be written there: {getattr(problem, 'strerror', None) or problem}.",
            "choose another folder",
        ) from None
    return to
