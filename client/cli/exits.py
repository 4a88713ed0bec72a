"""What the exit code says, so that a script can decide on it."""

from enhanced_memory.client.errors import Broken, Error, Unavailable

__all__ = [
    "BROKEN_PIPE",
    "INTERRUPTED",
    "MEANINGS",
    "OK",
    "PROBLEM",
    "REFUSED",
    "STORE",
    "UNAVAILABLE",
    "USAGE",
    "Usage",
    "exit_code",
]

OK, PROBLEM, USAGE, UNAVAILABLE, REFUSED, STORE = range(6)
INTERRUPTED, BROKEN_PIPE = 130, 141

MEANINGS = {
    OK: "done",
    PROBLEM: "a problem was found, or something named is not there",
    USAGE: "the command line is wrong",
    UNAVAILABLE: "no daemon answers",
    REFUSED: "refused: a value, a name or a file is not acceptable",
    STORE: "the store or the daemon failed",
}


class Usage(Exception):
    """The command line is wrong."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def exit_code(problem: Error) -> int:
    """The exit code by which `problem` is told."""
    if isinstance(problem, Unavailable):
        return UNAVAILABLE
    return STORE if isinstance(problem, Broken) else REFUSED
