"""The memory's operations as functions of the code: each sends its arguments through the channel and waits for the answer."""

from collections.abc import Callable
from typing import Any

from enhanced_memory.mcp_server.sandbox import plain
from enhanced_memory.mcp_server.sandbox.pipe import Pipe, pack

__all__ = ["CALL_BYTES", "PROBLEMS", "Calls", "Problem"]

CALL_BYTES = 1024 * 1024
"""The most that one call may send."""


class Problem(Exception):
    """What went wrong with a call; its kinds carry the names of the memory's own errors."""

    kind = "Error"

    def __init__(self, kind: str, message: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint


class _Named(Problem):
    """A kind of problem that code can name in an `except`."""

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__(self.kind, message, hint)


def _named(name: str) -> type[_Named]:
    return type(name, (_Named,), {"kind": name, "__doc__": f"The memory answered with {name}."})


PROBLEMS: dict[str, type[_Named]] = {
    name: _named(name)
    for name in ("Conflict", "Denied", "Invalid", "NotFound", "TooLarge", "Unavailable", "UnknownOperation")
}
"""By the name of the class in `client/errors.py`."""


class Calls:
    """The calls of one run."""

    def __init__(self, pipe: Pipe, before: Callable[[], None], operations: dict[str, list[str]], allowed: int) -> None:
        self.pipe = pipe
        self._before = before
        self._operations = operations
        self._allowed = allowed
        self._made = 0

    def functions(self) -> dict[str, Any]:
        """A function for each operation, under its name; `api`; and the errors that they raise."""
        made: dict[str, Any] = {name: self._function(name, takes) for name, takes in self._operations.items()}
        made["api"] = self.api
        made["Error"] = Problem
        return made | PROBLEMS

    def api(self) -> dict[str, list[str]]:
        """The operations and what each takes."""
        return {name: list(takes) for name, takes in self._operations.items()}

    def _function(self, name: str, takes: list[str]) -> Callable[..., Any]:
        def operation(*given: Any, **named: Any) -> Any:
            if len(given) > len(takes):
                raise TypeError(f"{name} takes {', '.join(takes)}")
            for key, value in zip(takes, given, strict=False):
                if key in named:
                    raise TypeError(f"{name} was given {key} twice")
                named[key] = value
            for key in named:
                if key not in takes:
                    raise TypeError(f"{name} does not take {key}; it takes {', '.join(takes)}")
            return self._ask(name, named)

        operation.__name__ = operation.__qualname__ = name
        return operation

    def _ask(self, name: str, named: dict[str, Any]) -> Any:
        # Counted here so that honest code is told at once; the broker counts for itself.
        if self._made >= self._allowed:
            raise PROBLEMS["TooLarge"](
                f"The run has used its {self._allowed} calls.", "ask for more at once: limit=1000"
            )
        arguments = plain.checked(named, CALL_BYTES)
        if len(pack(arguments)) > CALL_BYTES:
            raise PROBLEMS["TooLarge"](f"The call is larger than {CALL_BYTES:,} bytes.", "send it in parts")
        self._made += 1
        self._before()
        self.pipe.send({"call": self._made, "op": name, "args": arguments})
        answer = self.pipe.receive()
        if "error" in answer:
            said = answer["error"]
            kind = PROBLEMS.get(said["type"])
            raise (
                Problem(said["type"], said["message"], said["hint"])
                if kind is None
                else kind(said["message"], said["hint"])
            )
        return answer["ok"]
