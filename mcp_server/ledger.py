"""What a relay remembers so that a host may die under it: the lines not yet answered, and what the session was told.

Lines are numbered as they are sent, and the number stays with a line that is sent again: session and number are the key
under which the daemon applies a repeated change once. (Request ids would do, but for clients that use one twice.)
JSON is read only when a host has died or much has gathered, so that starting and copying cost nothing.
"""

TYPE_CHECKING = False  # type checkers know the name; `typing` itself takes longer to import than all of the relay
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Ledger", "answered_id"]

LINES = 512
BYTES = 1024 * 1024
SILENT_BYTES = 40 * BYTES
"""How much may gather while nothing is answered: more than the longest line, which is read better once it is answered."""

_ANSWER = b'{"jsonrpc":"2.0","id":'
"""How every answer of our host begins; its own questions to the client do too, and go on with a method."""

TELLING = ("notifications/cancelled", "logging/setLevel", "resources/subscribe", "resources/unsubscribe")
"""Messages of which more than the method is of interest."""

TWICE = "The memory host ended twice while it worked on this request, which is not sent a third time."


def answered_id(line: bytes) -> bytes | None:
    """The id, as JSON, that a line of the host answers; None where it is no answer."""
    if not line.startswith(_ANSWER):
        return None
    start = len(_ANSWER)
    if line[start : start + 1] == b'"':
        end = start + 1
        while True:
            end = line.find(b'"', end)
            if end < 0:
                return None
            slashes = end
            while line[slashes - 1 : slashes] == b"\\":
                slashes -= 1
            end += 1
            if (end - 1 - slashes) % 2 == 0:
                break
    else:
        end = line.find(b",", start)
        if end < 0:
            return None
    return line[start:end] if line.startswith((b',"result"', b',"error"'), end) else None


class _Line:
    """A line that was sent, and what is known of it once it was read."""

    __slots__ = ("deaths", "id", "method", "number", "params", "read", "text")

    def __init__(self, number: int, text: bytes) -> None:
        self.number = number
        self.text = text
        self.deaths = 0
        self.read = False
        self.method: str | None = None
        self.id: Any = None
        self.params: dict[str, Any] = {}


class Ledger:
    """The lines of one session, from the first to the last host that serves it."""

    def __init__(self) -> None:
        self.next = 0
        self._open: list[_Line] = []
        self._bytes = 0
        self._enough = LINES
        self._answers: list[bytes] = []
        self._initialize: _Line | None = None
        self._initialized: _Line | None = None
        self._level: _Line | None = None
        self._subscribed: dict[str, _Line] = {}

    def keep(self, text: bytes) -> None:
        """Note a line before it is sent."""
        self._open.append(_Line(self.next, text))
        self._bytes += len(text)
        self.next += 1

    def answered(self, raw: bytes) -> None:
        """Note that the client has the answer to this id. May be called from another thread than the rest."""
        self._answers.append(raw)

    @property
    def full(self) -> bool:
        """Whether it is time to `settle`."""
        return len(self._open) >= self._enough or self._bytes >= (BYTES if self._answers else SILENT_BYTES)

    @property
    def waiting(self) -> bool:
        """Whether an answer is still owed, subscriptions aside; true only after `settle`."""
        return any(line.method != "subscriptions/listen" for line in self._open)

    def settle(self) -> None:
        """Forget what was answered, and keep what a new host has to be told."""
        answers, self._answers = self._answers, []
        done: dict[Any, int] = {}
        for raw in answers:
            known = _id(raw)
            done[known] = done.get(known, 0) + 1
        left: list[_Line] = []
        for line in self._open:
            if not line.read:
                _read(line)
            if line.method is None:
                continue  # the client's answer to a host's question, or no JSON-RPC: nothing to send again
            if line.id is None:
                self._notified(line, left)
            elif done.get(line.id):
                done[line.id] -= 1
                self._settled(line)
            else:
                left.append(line)
        self._open = left
        self._bytes = sum(len(line.text) for line in left)
        self._enough = max(LINES, 2 * len(left))
        if self._bytes >= BYTES:
            self._bytes = 0  # one large unanswered line is no reason to look again at every next one

    def _notified(self, line: _Line, left: list[_Line]) -> None:
        if line.method == "notifications/initialized":
            self._initialized = line
        elif line.method == "notifications/cancelled":
            for one in left:
                if one.id == line.params.get("requestId"):
                    left.remove(one)
                    break

    def _settled(self, line: _Line) -> None:
        uri = line.params.get("uri")
        if line.method == "initialize":
            self._initialize = line
        elif line.method == "logging/setLevel":
            self._level = line
        elif line.method == "resources/subscribe" and isinstance(uri, str):
            self._subscribed[uri] = line
        elif line.method == "resources/unsubscribe" and isinstance(uri, str):
            self._subscribed.pop(uri, None)

    def died(self) -> list[bytes]:
        """Note that a host died over what is open. The errors for those that it was the second death of."""
        self.settle()
        errors: list[bytes] = []
        left: list[_Line] = []
        for line in self._open:
            line.deaths += line.method != "subscriptions/listen"
            if line.deaths < 2:
                left.append(line)
            else:
                errors.append(_error(line.id, TWICE))
        self._open = left
        return errors

    def again(self) -> tuple[list[bytes], list[int], dict[bytes, int]]:
        """What a new host is sent first, the lines' numbers, and the ids (as JSON) whose answers the client already has."""
        told = [self._initialize, self._initialized, self._level, *self._subscribed.values()]
        opening = [line for line in self._open if line.method == "initialize"]
        if opening:
            told = [*opening, self._initialized]
        lines = [line for line in told if line is not None]
        known: dict[bytes, int] = {}
        for line in lines:
            if line.id is not None and line not in opening:
                raw = _dumped(line.id)
                known[raw] = known.get(raw, 0) + 1
        lines += [line for line in self._open if line not in opening]
        return [line.text for line in lines], [line.number for line in lines], known


def _read(line: _Line) -> None:
    line.read = True
    said: dict[str, Any] = _json(line.text, {})
    method, number = said.get("method"), said.get("id")
    if isinstance(method, str):
        line.method = method
        line.id = number if isinstance(number, str | int) and not isinstance(number, bool) else None
        # What else a request holds may be large, and says nothing to us.
        if method in TELLING and isinstance(said.get("params"), dict):
            line.params = said["params"]


def _json(text: bytes, otherwise: "Any") -> "Any":
    """What `text` says, if that is of the kind of `otherwise`."""
    import json

    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return otherwise
    return said if isinstance(said, type(otherwise)) else otherwise


def _id(raw: bytes) -> str | int:
    """An id from what the host wrote."""
    return _json(raw, "") if raw.startswith(b'"') else _json(raw, 0)


def _dumped(number: str | int) -> bytes:
    """An id as the host writes it."""
    import json

    return json.dumps(number, ensure_ascii=False).encode()


def _error(number: str | int, message: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"%s"}}' % (_dumped(number), message.encode())
