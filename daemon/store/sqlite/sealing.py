# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Encryption at rest: the key of a store, and which file goes with which key.

The key is 32 random bytes in a file of its own, as 64 hexadecimal digits, or a credential that systemd hands over. SQLite3
Multiple Ciphers encrypts each page with it (ChaCha20, and a Poly1305 tag by which a changed page is known). Beside the store
lies `<store>.sealed`: the mark of its key, from which nothing of the key can be found out, so that a wrong key is told from a
broken file.
"""

import hmac
import os
import secrets
import stat
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from enhanced_memory.client.durable import sync
from enhanced_memory.client.errors import Conflict, StoreDamaged, StoreRefused
from enhanced_memory.client.folders import make_private
from enhanced_memory.client.settings import Settings

__all__ = [
    "CHANGE_BUILD",
    "CREDENTIAL",
    "Key",
    "fits",
    "fresh",
    "key_of",
    "made",
    "marks",
    "note",
    "opened",
    "read",
    "reseal",
    "sealed",
    "unlock",
]

CREDENTIAL = "enhanced-memory.key"
"""What systemd's credential is called (`LoadCredential=enhanced-memory.key:/path`)."""

CHANGE_BUILD = "pip uninstall -y apsw && pip install --force-reinstall --no-deps apsw-sqlite3mc"
MAKE = "`memory-db key FILE` makes one"
_PLAIN = b"SQLite format 3\0"
_RESERVED = bytes([32, 64, 32, 32])
"""What an encrypted file shows of its header: 32 bytes of each page are kept for nonce and tag; the fractions that every file has."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the file that it was read from. What is printed of it is its mark."""

    path: Path
    digits: str = field(repr=False)

    @property
    def mark(self) -> str:
        """By which it is known again: eight bytes that depend on the key, and do not tell it."""
        return hmac.digest(bytes.fromhex(self.digits), b"enhanced-memory: mark of a key", "sha256")[:8].hex()


def key_of(settings: Settings) -> Key | None:
    """The key that the settings name, or the credential that systemd handed over; None where the store is not to be encrypted."""
    if settings.key_file:
        return read(Path(settings.key_file).expanduser().absolute())
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if given and (path := Path(given) / CREDENTIAL).is_file():
        return read(path)
    return None


def read(path: Path) -> Key:
    """The key in a file. `StoreRefused` where there is none, others may read it, or this build of SQLite cannot use one."""
    if not hasattr(apsw, "mc_version"):
        raise StoreRefused("The SQLite that is installed cannot encrypt.", CHANGE_BUILD)
    try:
        found = os.stat(path)
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it holds no hexadecimal digits"
        raise StoreRefused(f"The key {path} cannot be read: {why}.", MAKE) from None
    # A credential's folder is its unit's alone, whatever the modes in it.
    if stat.S_IMODE(found.st_mode) & 0o077 and os.fspath(path.parent) != os.environ.get("CREDENTIALS_DIRECTORY"):
        raise StoreRefused(f"The key {path} can be read by others.", f"chmod 600 {path}")
    try:
        whole = len(bytes.fromhex(text)) == 32 and len(text) == 64
    except ValueError:
        whole = False
    if not whole:
        raise StoreRefused(f"{path} holds no key: 64 hexadecimal digits.", MAKE)
    return Key(path, text.lower())


def fresh(path: Path) -> Key:
    """A new key, which nobody else knows and no file holds, for what is to lie at `path`."""
    return Key(path, secrets.token_hex(32))


def made(path: Path) -> Key:
    """A new key, in a file that must not exist yet (0600, on disk)."""
    try:
        make_private(path.parent)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Conflict(f"{path} exists.", "name a file that does not exist yet") from None
    except OSError as problem:
        raise StoreRefused(f"{path} cannot be written: {problem.strerror}.", "name another file") from None
    key = fresh(path)
    with open(handle, "w") as out:
        out.write(key.digits + "\n")
    sync(path)
    sync(path.parent)
    return key


def unlock(connection: apsw.Connection, key: Key) -> None:
    """Let a connection read and write with the key. Before its first statement."""
    connection.execute("PRAGMA cipher = 'chacha20'")
    connection.execute(f"PRAGMA key = 'raw:{key.digits}'")  # a pragma takes no bound value; the digits were looked at


def sealed(store: Path) -> bool:
    """Whether the file is encrypted, by its header or by the mark beside it."""
    try:
        with open(store, "rb") as file:
            head = file.read(24)
    except OSError:
        return False
    return bool(head) and not head.startswith(_PLAIN) and (head[20:24] == _RESERVED or bool(marks(store)))


def _beside(store: Path) -> Path:
    return store.with_name(store.name + ".sealed")


def marks(store: Path) -> list[str]:
    """The marks of the keys that may open the store: one, or two while its key is being changed; none where nothing is noted."""
    try:
        return _beside(store).read_text("ascii", "replace").split()
    except OSError:
        return []


def note(store: Path, *keys: Key | None, besides: Iterable[str] = ()) -> None:
    """Note which keys may open the store, and which marks stay noted; none: nothing is to be noted any more."""
    beside = _beside(store)
    said = dict.fromkeys([*besides, *(key.mark for key in keys if key is not None)])
    if not said:
        beside.unlink(missing_ok=True)
        return
    partial = beside.with_name(beside.name + ".partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(handle, "w") as out:
        out.write("\n".join([*said, ""]))
    sync(partial)
    os.replace(partial, beside)
    sync(store.parent)


def fits(store: Path, key: Key | None) -> None:
    """`StoreRefused` where the file needs a key and has none, has one and needs none, or has another one's. A new file takes any."""
    try:
        empty = store.stat().st_size == 0
    except OSError:
        return
    if empty:
        return
    encrypted = sealed(store)
    if encrypted and key is None:
        raise StoreRefused(
            f"{store} is encrypted.",
            "name its key: the setting key_file (ENHANCED_MEMORY_KEY_FILE), or systemd's credential " + CREDENTIAL,
        )
    if key is None:
        return
    if not encrypted and _begins_plain(store):
        raise StoreRefused(
            f"{store} is not encrypted, and the key {key.path} is named for it.",
            f"`memory-db rekey --to {key.path}` encrypts it, or leave key_file out",
        )
    noted = marks(store)
    if noted and key.mark not in noted:
        raise StoreRefused(
            f"The key {key.path} is not this store's: its mark is {key.mark}, and {store} wants {' or '.join(noted)}.",
            "the file was left untouched; name the right key",
        )


def _begins_plain(store: Path) -> bool:
    with open(store, "rb") as file:
        return file.read(16) == _PLAIN


@contextmanager
def opened(store: Path, key: Key | None) -> Generator[None]:
    """Inside, what SQLite cannot read with the key comes out as what it is: a damaged file, or maybe a wrong key."""
    try:
        yield
    except apsw.NotADBError:
        if key is None:
            raise
        noted = marks(store)
        if key.mark in noted and len(noted) > 1:
            others = " or ".join(mark for mark in noted if mark != key.mark)
            raise StoreRefused(
                f"{store} cannot be read with the key {key.path} (mark {key.mark}): its key was being changed, and is maybe the other.",
                f"the file was left untouched; name the key with the mark {others}. If that does not fit either, restore a backup",
            ) from None
        if key.mark in noted:
            raise StoreDamaged(
                f"The key is the right one, and the first page of {store} does not match it: the file is damaged.",
                "restore a backup: `memoryctl backups restore latest`",
            ) from None
        raise StoreRefused(
            f"{store} cannot be read with the key {key.path} (mark {key.mark}).",
            "the file was left untouched; name the right key. If it is the right one, the file's first page is damaged: restore a backup",
        ) from None


def reseal(store: Path, old: Key | None, new: Key | None) -> None:
    """Encrypt a file that nobody has open with another key, or none. Its size in pages may change; what it holds does not."""
    connection = apsw.Connection(os.fspath(store), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        if old is not None:
            unlock(connection, old)
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_mode = DELETE")
        if new is not None:
            connection.execute("PRAGMA cipher = 'chacha20'")
        connection.execute(f"PRAGMA rekey = '{f'raw:{new.digits}' if new is not None else ''}'")
    finally:
        connection.close()
    sync(store)
