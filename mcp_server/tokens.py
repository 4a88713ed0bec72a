"""Tokens: who may come over HTTP, with which rights, into which space. Each is shown once, when it is made.

The file keeps a SHA-256 of each. A slow hash such as scrypt guards secrets that can be guessed; a token is 256 random
bits, which nobody guesses, so that it would only slow every request down. Who reads the file can use none of it.
"""

import fcntl
import hashlib
import logging
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from enhanced_memory.client.errors import Broken, Conflict, Denied, Error, Invalid, NotFound, TooLarge
from enhanced_memory.client.folders import make_private
from enhanced_memory.client.settings import Settings

__all__ = ["METRICS", "READ", "SCOPES", "WRITE", "Token", "Tokens", "command", "digest"]

log = logging.getLogger(__name__)

A = TypeVar("A")

READ, WRITE, METRICS = "read", "write", "metrics"
SCOPES = (READ, WRITE, METRICS)
PREFIX = "em_"
"""Tells people and secret scanners what they have found."""
BYTES = 32
MOST = 256
"""Tokens of one store. Each has a connection to the daemon of its own while it is used."""
FILE_BYTES = 1024 * 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
SPACE_CHARS = 200

Stamp = tuple[int, int, int]


class Token(msgspec.Struct, frozen=True):
    """What is kept of a token."""

    name: str
    """The user: it stands in the provenance of every change."""
    digest: str
    scopes: tuple[str, ...]
    space: str
    created: datetime


class _File(msgspec.Struct):
    tokens: list[Token] = []


def digest(secret: str) -> str:
    """What is kept in place of the token itself."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Tokens:
    """The tokens of one store, in a file of mode 0600 beside it. Made by one process, looked up by another."""

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(store.name + ".tokens")
        self._stamp: Stamp | None = None
        self._known: dict[str, Token] = {}

    # What a server asks

    def find(self, secret: str) -> Token | None:
        """The token of this secret, if it is still there. A file that cannot be used lets nobody in."""
        return self.known().get(digest(secret)) if secret.startswith(PREFIX) else None

    def known(self) -> dict[str, Token]:
        """Every token by its digest, as the file has them now; none where it cannot be used: the log says why, once."""
        stamp = self._stamped()
        if stamp != self._stamp:
            self._known = {}
            try:
                self._known = {token.digest: token for token in self._read()}
            except Error as problem:
                log.error("nobody is let in: %s", problem)
            self._stamp = stamp
        return self._known

    def _stamped(self) -> Stamp | None:
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns

    # What a person asks

    def all(self) -> list[Token]:
        """Every token, oldest first. `Denied` where others may read or write the file, `Broken` where it is torn."""
        return self._read()

    def create(self, name: str, scopes: Sequence[str], space: str) -> str:
        """Keep a new token; the secret, which is nowhere else. `Conflict` where the name is taken."""
        if not NAME.fullmatch(name):
            raise Invalid(f"{name[:100]!r} cannot be a token's name.", "use up to 100 letters, digits and . _ @ + -")
        wanted = set(scopes)
        if not wanted <= set(SCOPES) or (READ not in wanted and wanted != {METRICS}):
            raise Invalid(
                f"The scopes {','.join(scopes)[:100]!r} cannot be used.",
                "use `read` or `read,write`, and `metrics` for a monitor",
            )
        if not space.strip() or len(space) > SPACE_CHARS or not space.isprintable() or space == "auto":
            raise Invalid(f"{space[:100]!r} cannot be a token's space.", "name one space")
        secret = PREFIX + secrets.token_urlsafe(BYTES)
        ordered = tuple(scope for scope in SCOPES if scope in wanted)
        made = Token(name, digest(secret), ordered, space, datetime.now(UTC).replace(microsecond=0))

        def add(tokens: list[Token]) -> str:
            if any(token.name == name for token in tokens):
                raise Conflict(f"There is a token {name!r} already.", "revoke it first, or choose another name")
            if len(tokens) >= MOST:
                raise TooLarge(f"There are {MOST} tokens already.", "revoke some first")
            tokens.append(made)
            return secret

        return self._change(add)

    def revoke(self, name: str) -> Token:
        """Forget a token; a server lets it in no more. `NotFound` where there is none of this name."""

        def remove(tokens: list[Token]) -> Token:
            for token in tokens:
                if token.name == name:
                    tokens.remove(token)
                    return token
            raise NotFound(f"There is no token {name[:100]!r}.", "see `memory-mcp token list`")

        return self._change(remove)

    # The file

    def _read(self) -> list[Token]:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise Denied(f"{self.path} cannot be opened: {problem.strerror}.", "it must be a file of yours") from None
        with open(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
                raise Denied(f"{self.path} is not yours alone.", f"look who changed it, then `chmod 600 {self.path}`")
            text = file.read(FILE_BYTES + 1)
        try:
            if len(text) > FILE_BYTES:
                raise ValueError("it is too long")
            return msgspec.json.decode(text, type=_File).tokens
        except ValueError as problem:
            raise Broken(f"{self.path} cannot be read: {problem}.", "move it away and make the tokens anew") from None

    def _change(self, change: Callable[[list[Token]], A]) -> A:
        with self._alone():
            tokens = self._read()
            made = change(tokens)
            self._write(tokens)
        return made

    @contextmanager
    def _alone(self) -> Generator[None]:
        try:
            make_private(self.path.parent)
            lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as problem:
            raise Denied(f"{self.path} cannot be written: {problem.strerror}.") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, tokens: list[Token]) -> None:
        """Old file or new file, whatever happens in between."""
        text = msgspec.json.format(msgspec.json.encode(_File(tokens)), indent=2) + b"\n"
        draft = Path(f"{self.path}.new")
        try:
            with suppress(FileNotFoundError):
                draft.unlink()
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(handle, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(handle)
            os.replace(draft, self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as problem:
            raise Broken(f"{self.path} cannot be written: {problem.strerror}.") from None


def command(given: Sequence[str]) -> int:
    """`memory-mcp token …`: 0, or 2 with one line that says why not."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="memory-mcp token", description="Tokens for `memory-mcp http`. See docs/http.md."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create", help="make a token and print it; it is not shown again")
    create.add_argument("name", help="the user: it stands in the provenance of every change")
    create.add_argument("--scopes", required=True, help="`read`, or `read,write`; `metrics`: for a monitor")
    create.add_argument("--space", default="default", help="the one space that it opens (default: %(default)s)")
    verbs.add_parser("list", help="who has one, with which rights, into which space")
    revoke = verbs.add_parser("revoke", help="let a token in no more, from now on")
    revoke.add_argument("name")
    parsed = parser.parse_args(given)
    try:
        tokens = Tokens(Settings.load().store_path)
        if parsed.verb == "create":
            secret = tokens.create(parsed.name, [scope.strip() for scope in parsed.scopes.split(",")], parsed.space)
            # The secret alone on standard output, so that a script can take it.
            print(secret)
            print("memory-mcp: this is the only time that it is shown", file=sys.stderr)
        elif parsed.verb == "revoke":
            gone = tokens.revoke(parsed.name)
            print(f"revoked {gone.name}")
        else:
            for token in tokens.all():
                print(f"{token.name}\t{','.join(token.scopes)}\t{token.space}\t{token.created.isoformat()}")
    except Error as problem:
        print(f"memory-mcp: {problem}", file=sys.stderr)
        return 2
    return 0
