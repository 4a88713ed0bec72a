"""Other programs' files: read whole, written in one step, with the old one kept beside.

Nothing is written over a change that somebody else made in the meantime. A link is followed, so that it stays a link.
"""

import difflib
import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import Conflict, Invalid

__all__ = ["Edit", "backed_up", "digest", "read", "text_of", "write"]

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Edit:
    """A file as it is and as it is to be; None where it is not there."""

    file: Path
    before: bytes | None
    after: bytes | None

    @cached_property
    def diff(self) -> str:
        """The change as a unified diff."""
        old, new = (text_of(self.file, said or b"").splitlines(keepends=True) for said in (self.before, self.after))
        here = str(self.file)
        lines: list[str] = []
        for line in difflib.unified_diff(
            old, new, "/dev/null" if self.before is None else here, "/dev/null" if self.after is None else here
        ):
            lines.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
        return "".join(lines)


def text_of(file: Path, raw: bytes) -> str:
    """`raw` as text. `Invalid` where it is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Invalid(f"{file} is not UTF-8 (byte {problem.start}).", "mend it, or write the entry by hand") from None


def digest(raw: bytes) -> str:
    """What tells one content of a file from another."""
    return hashlib.sha256(raw).hexdigest()


def read(file: Path) -> bytes | None:
    """What is in `file`, links followed; None where it is not there. `Invalid` where it cannot be such a file."""
    try:
        with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
                raise Invalid(f"{file} is not a file of a usual size.", "move it away")
            return opened.read()
    except FileNotFoundError:
        if file.is_symlink():
            raise Invalid(f"{file} is a link to nothing.", f"make what it leads to, or remove it: rm {file}") from None
        return None
    except IsADirectoryError:
        raise Invalid(f"{file} is a folder.", "move it away") from None
    except OSError as problem:
        raise Invalid(f"{file} cannot be read: {problem.strerror}.", f"ls -l {file}") from None


def backed_up(file: Path, raw: bytes) -> Path:
    """A copy of `raw` beside `file`, under a name with the time in it and the mode of the file."""
    real = file.resolve()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    mode = stat.S_IMODE(real.stat().st_mode)
    for number in range(100):
        place = real.with_name(f"{real.name}.{stamp}{f'-{number}' if number else ''}.backup")
        try:
            _fill(place, raw, mode, None)
            return place
        except FileExistsError:
            continue
    raise Invalid(f"No name is free for a backup of {file}.", f"ls {real.parent}")


def write(edit: Edit) -> list[Path]:
    """Make the change, and the folders that are missing, which are answered. `Conflict` where the file has changed."""
    real = edit.file.resolve()
    if read(edit.file) != edit.before:
        raise Conflict(f"{edit.file} was changed by another program in the meantime.", "try again")
    if edit.after is None:
        real.unlink(missing_ok=True)
        return []
    made: list[Path] = []
    for folder in reversed((real.parent, *real.parent.parents)):
        if not folder.exists():
            folder.mkdir(mode=0o700)
            made.append(folder)
    old = real.stat() if edit.before is not None else None
    draft = real.with_name(f".{real.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    try:
        _fill(draft, edit.after, stat.S_IMODE(old.st_mode) if old else 0o600, old)
        if read(edit.file) != edit.before:
            raise Conflict(f"{edit.file} was changed by another program in the meantime.", "try again")
        draft.replace(real)
    finally:
        draft.unlink(missing_ok=True)
    with suppress(OSError):  # a file system that cannot is no worse off
        sync(real.parent)
    return made


def _fill(place: Path, raw: bytes, mode: int, owner: os.stat_result | None) -> None:
    number = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(number, "wb") as file:
        file.write(raw)
        if owner and (owner.st_uid, owner.st_gid) != (os.getuid(), os.getgid()):
            os.fchown(number, owner.st_uid, owner.st_gid)
        os.fchmod(number, mode)
        file.flush()
        os.fsync(number)
