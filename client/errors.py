"""Every error a caller can meet, as one tree.

    Error
    ├── Refused            the request cannot be served as it stands; change it
    │   ├── Invalid        a value is wrong; the message holds the path
    │   ├── UnknownOperation
    │   ├── Denied         the caller may not do this
    │   ├── TooLarge       over a stated limit
    │   └── Busy           too much at once; try again
    ├── NotFound           something named does not exist in this view
    ├── Conflict           the store has moved on, or the name is taken
    ├── Unavailable        nobody answered
    │   ├── Closed         the connection ended before the answer came
    │   ├── TimedOut       the deadline passed
    │   └── WrongStore     the daemon there serves another store
    └── Broken             the store or the daemon failed
        ├── StoreFull      no space left where the store lives
        ├── StoreDamaged   what was read is not what was written
        ├── SandboxBroken  the processes that run code failed
        └── StoreRefused   the file is not ours, newer than us, or read-only
            └── StoreHeld  another daemon owns it

On the wire an error is `{code, message, hint}`; the far end rebuilds the class from the code.
"""

from typing import Any, ClassVar, cast

__all__ = [
    "Broken",
    "Busy",
    "Closed",
    "Conflict",
    "Denied",
    "Error",
    "Invalid",
    "NotFound",
    "Refused",
    "SandboxBroken",
    "StoreDamaged",
    "StoreFull",
    "StoreHeld",
    "StoreRefused",
    "TimedOut",
    "TooLarge",
    "Unavailable",
    "UnknownOperation",
    "WrongStore",
    "from_wire",
]

_BY_CODE: dict[str, type["Error"]] = {}


class Error(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    hint: str = ""

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        if hint:
            self.hint = hint

    def __init_subclass__(cls, code: str, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.code = code
        _BY_CODE[code] = cls

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said} ({self.hint})" if self.hint else said

    @property
    def message(self) -> str:
        """What went wrong, without the hint."""
        return super().__str__()

    def to_wire(self) -> dict[str, str]:
        """The error as the map that travels: code, message and, where there is one, hint."""
        said = {"code": self.code, "message": self.message}
        return said | {"hint": self.hint} if self.hint else said


def from_wire(error: Any) -> Error:
    """The error that `error` (a wire map) says; an unknown code becomes a plain `Error`."""
    if not isinstance(error, dict):
        return Broken("The daemon answered with an error that cannot be read.")
    said = cast("dict[str, Any]", error)
    code, message, hint = (said.get(key) for key in ("code", "message", "hint"))
    kind = _BY_CODE.get(str(code), Error)
    return kind(str(message or ""), str(hint or ""))


class Refused(Error, code="refused"):
    """The request cannot be served as it stands."""


class Invalid(Refused, code="invalid"):
    """A value is not acceptable."""


class UnknownOperation(Refused, code="unknown_operation"):
    """There is no such operation."""


class Denied(Refused, code="denied"):
    """The caller may not do this."""


class TooLarge(Refused, code="too_large"):
    """Over a limit."""


class Busy(Refused, code="busy"):
    """Too much at once."""

    hint = "try again in a moment"


class NotFound(Error, code="not_found"):
    """There is no such thing in this space."""


class Conflict(Error, code="conflict"):
    """The store holds something else by now."""


class Unavailable(Error, code="unavailable"):
    """No daemon answered."""

    hint = "see `memoryctl doctor`"


class Closed(Unavailable, code="closed"):
    """The connection ended before the answer came."""

    hint = "ask again; a change with a key is applied once however often it is sent"


class TimedOut(Unavailable, code="timed_out"):
    """The deadline passed before the answer came."""

    hint = "ask again with a longer deadline; a change with a key is applied once however often it is sent"


class WrongStore(Unavailable, code="wrong_store"):
    """The daemon on this socket serves another store than the settings name."""

    hint = "set ENHANCED_MEMORY_SOCKET or ENHANCED_MEMORY_STORE so that they belong together"


class Broken(Error, code="broken"):
    """The daemon failed on this request."""

    hint = "see the daemon's log; a change that carried a key may be sent again"


class StoreFull(Broken, code="store_full"):
    """There is no space left where the store lives."""

    hint = "free some space; nothing was changed and reading still works"


class StoreDamaged(Broken, code="store_damaged"):
    """What was read from the store is not what was written."""

    hint = "run `memoryctl verify`, then restore a backup"


class SandboxBroken(Broken, code="sandbox_broken"):
    """The processes that run code failed."""

    hint = "try again; `memory-mcp check` tries the sandbox"


class StoreRefused(Broken, code="store_refused"):
    """The store cannot be opened by this daemon."""


class StoreHeld(StoreRefused, code="store_held"):
    """Another daemon owns the store."""

    hint = "use that one, or end it with `memoryctl stop`"
    pid: int = 0
    """The owner's process, where it is known; it does not travel."""
