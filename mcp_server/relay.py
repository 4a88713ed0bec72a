"""The relay: what an MCP client launches. It says hello to the host and copies lines, both ways, whole.

A host that dies is replaced without the client's notice: what was not answered is sent again, once. Only the standard
library is imported, and at start only the little of it that costs nothing: this is paid by every session.
"""

import _socket
import _thread
import os
import sys

from enhanced_memory.mcp_server.door import PREFIX, NoHost, Refused, meet, place
from enhanced_memory.mcp_server.hello import BYE, MOVE, SPACE, VERSION, encoded
from enhanced_memory.mcp_server.ledger import Ledger, answered_id
from enhanced_memory.mcp_server.lines import Lines

TYPE_CHECKING = False  # type checkers know the name; `typing` itself takes longer to import than all of this
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["greeting", "relay"]

CHUNK = 65536
LINE_BYTES = 32 * 1024 * 1024
"""The longest line that a client may send."""
UNBOUNDED = 1 << 62

RESTARTS = 6
WITHIN_S = 60.0
"""No more hosts than this may die under a session within this time."""

TOO_LONG = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"The message is longer than 32 MiB."}}'

SESSION_VARIABLES = ("MEMORY_FILE_PATH", "HOME", "XDG_CONFIG_HOME", "STATE_DIRECTORY")


def relay(profile: str) -> None:
    """Serve this process's stdio through a host, and end the process. Returns, saying why, where no host can be had."""
    session = os.urandom(9).hex().encode()
    try:
        path = place(os.environ)
        link = meet(path, greeting(session, profile, [], 0))
    except NoHost as problem:
        print(f"memory-mcp: no host, so this session serves itself: {problem}", file=sys.stderr)
        return
    except Refused as problem:
        _leave(2, str(problem))
    import _signal  # pyright: ignore[reportMissingImports]  # `signal` itself imports enum, and takes longer than all of this

    # A thread blocks on stdin: Python's own Ctrl-C would wait for it.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # pyright: ignore[reportUnknownMemberType]
    for stream in (0, 1):
        if not os.get_blocking(stream):
            os.set_blocking(stream, True)
    _Relay(path, link, session, profile).run()


def greeting(session: bytes, profile: str, again: list[int], following: int, space: bytes = b"") -> bytes:
    """The hello: who we are, where the client stands and what its environment says; and which lines are sent again."""
    try:
        folder = os.getcwdb()
    except OSError:
        folder = b""
    pairs = {b"relay": VERSION.encode(), b"session": session, b"profile": os.fsencode(profile), b"cwd": folder}
    if following:
        pairs[b"again"] = ",".join(map(str, again)).encode()
        pairs[b"next"] = str(following).encode()
    if space:
        pairs[b"space"] = space
    for name, value in os.environb.items():
        if name.startswith(PREFIX.encode()) or name.decode("latin-1") in SESSION_VARIABLES:
            pairs[name] = value
    return encoded(pairs)


def _leave(code: int, why: str = "") -> "NoReturn":
    if why:
        print(f"memory-mcp: {why}", file=sys.stderr, flush=True)
    os._exit(code)  # a thread may block on stdin, and would be waited for


class _Relay:
    """One session. The main thread copies from the host, a second one to it."""

    def __init__(self, path: str, link: _socket.socket, session: bytes, profile: str) -> None:
        self._path = path
        self._link = link
        self._session = session
        self._profile = profile
        self._ledger = Ledger()
        self._sending = _thread.allocate_lock()
        """Held by whoever writes to the host, or to the ledger."""
        self._saying = _thread.allocate_lock()
        """Held by whoever writes to the client."""
        self._known: dict[bytes, int] = {}
        self._space: bytes = b""
        """The space that the session has gone on to, as the host says it."""
        self._done = False
        self._ended = b""
        self._deaths: list[float] = []

    def run(self) -> None:
        """Copy until both sides have ended."""
        _thread.start_new_thread(self._to_host, ())
        while True:
            self._from_host()
            if self._ended == BYE:
                _leave(0)
            self._sending.acquire()  # released by whoever has sent the new host what it must know
            self._go_on()

    # To the host

    def _to_host(self) -> None:
        lines = Lines(LINE_BYTES)
        while not self._done:
            try:
                data = os.read(0, CHUNK)
            except OSError:
                data = b""
            found: list[bytes | None] = lines.feed(data) if data else [lines.rest()]
            with self._sending:
                self._send(found)
                if not data:
                    # In this order: else a host that is quick to end would pass for one that died.
                    self._done = True
                    self._end()
                if self._ledger.full:
                    self._ledger.settle()

    def _send(self, found: list[bytes | None]) -> None:
        batch: list[bytes] = []
        for line in found:
            if line is None:
                self._say(TOO_LONG + b"\n")
            elif line.strip():
                self._ledger.keep(line)
                batch.append(line)
        if batch:
            batch.append(b"")
            try:
                self._link.sendall(b"\n".join(batch))
            except OSError:
                pass  # the host has died: the main thread finds it out, and these lines are kept

    def _end(self) -> None:
        try:
            self._link.shutdown(_socket.SHUT_WR)
        except OSError:
            pass

    # From the host

    def _from_host(self) -> None:
        """Copy until the host hangs up. Half a line is dropped: its request is not answered then."""
        lines = Lines(UNBOUNDED)
        self._ended = b""
        while True:
            try:
                data = self._link.recv(CHUNK)
            except OSError:
                return
            if not data:
                return
            out: list[bytes] = []
            ids: list[bytes] = []
            for line in lines.feed(data):
                if line is None:
                    continue
                raw = answered_id(line)
                if raw is None:
                    if line in (BYE, MOVE):
                        self._ended = line
                        continue
                    if line.startswith(SPACE):
                        self._space = line[len(SPACE) :]
                        continue
                elif self._known.get(raw):
                    self._known[raw] -= 1
                    continue
                else:
                    ids.append(raw)
                out.append(line)
            if out:
                out.append(b"")
                self._say(b"\n".join(out))
            for raw in ids:
                self._ledger.answered(raw)
            if ids and self._ledger.full and self._sending.acquire(False):
                self._ledger.settle()
                self._sending.release()

    def _say(self, data: bytes) -> None:
        """Write to the client; one that no longer listens ends us."""
        with self._saying:
            left = memoryview(data)
            while left:
                try:
                    left = left[os.write(1, left) :]
                except OSError:
                    _leave(0)

    # Another host

    def _go_on(self) -> None:
        """Find a host to go on with. The lock is held, and is released once that host has been sent what it must know."""
        ledger = self._ledger
        if self._ended == MOVE:
            ledger.settle()
        else:
            errors = ledger.died()
            self._count()
            if errors:
                self._say(b"\n".join([*errors, b""]))
        if self._done and not ledger.waiting:
            _leave(0)
        lines, numbers, self._known = ledger.again()
        try:
            self._link = meet(self._path, greeting(self._session, self._profile, numbers, ledger.next, self._space))
        except (NoHost, Refused) as problem:
            _leave(1, f"the host has gone and there is no other: {problem}")
        # In a thread of its own: a host reads no further while its answers are not taken, and taking them is our part.
        _thread.start_new_thread(self._repeat, (lines,))

    def _repeat(self, lines: list[bytes]) -> None:
        try:
            if lines:
                self._link.sendall(b"\n".join([*lines, b""]))
        except OSError:
            pass
        if self._done:
            self._end()
        self._sending.release()

    def _count(self) -> None:
        import time

        now = time.monotonic()
        self._deaths = [*(at for at in self._deaths if now - at < WITHIN_S), now]
        if len(self._deaths) > RESTARTS:
            _leave(1, f"{len(self._deaths)} hosts have died within a minute; their log may say why")
