"""What was installed where, so that it can be taken back exactly: one small file of the user's state."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.folders import make_private

__all__ = ["Installation", "installations", "state_file"]


class Installation(msgspec.Struct):
    """One change of one file."""

    client: str
    scope: str
    file: str
    what: str
    """`server` or `hooks`."""
    path: list[str]
    name: str
    """The server's name."""
    written: str
    """The digest of the file as it was written."""
    backup: str = ""
    """The file as it was before; empty where it was not there, or cannot be brought back as a whole."""
    created: bool = False
    whole: bool = True
    """Whether the file as it was is the file without this: false once somebody changed it in between."""
    folders: list[str] = []
    made: int = 0
    """How many levels of `path` were not there before."""
    entry: dict[str, Any] = {}
    """What was added."""
    replaced: dict[str, Any] | None = None
    """The entry of the official server whose place was taken."""


class State(msgspec.Struct):
    """The file."""

    version: int = 1
    installed: list[Installation] = []


def state_file() -> Path:
    """Where it is kept."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path("~/.local/state").expanduser()) / "enhanced-memory" / "installed.json"


def read_state() -> list[Installation]:
    """What is noted. `Invalid` where the file cannot be read."""
    file = state_file()
    try:
        return msgspec.json.decode(file.read_bytes(), type=State).installed
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as problem:
        raise Invalid(f"{file} cannot be read: {problem}.", f"move it away: mv {file} {file}.aside") from None


@contextmanager
def installations() -> Generator[list[Installation]]:
    """What is noted, to be changed: kept when the block ends, by an error too, for what was written is written."""
    file = state_file()
    make_private(file.parent)
    with open(file.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        noted = read_state()
        before = msgspec.json.encode(State(installed=noted))
        try:
            yield noted
        finally:
            after = msgspec.json.encode(State(installed=noted))
            if after != before:
                draft = file.with_suffix(".new")
                with open(draft, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
                    out.write(msgspec.json.format(after, indent=2) + b"\n")
                    out.flush()
                    os.fsync(out.fileno())
                draft.replace(file)
