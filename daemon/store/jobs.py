"""What an engine's writer is handed: a request's work, and rows that nobody waits for."""

from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store.tx import Tx

__all__ = ["Job", "Later", "settle"]


@dataclass(slots=True)
class Job:
    """A request's work, and who waits for it."""

    work: Callable[[Tx], Any]
    call: Call
    waiter: "Future[Any]"
    result: Any = None
    error: BaseException | None = None
    touched: tuple[int, str, str, list[int], int, list[int], list[int], list[int]] | None = None


@dataclass(slots=True)
class Later:
    """Rows that nobody waits for."""

    name: str
    rows: list[dict[str, Any]]
    prepare: Callable[[Tx, dict[str, Any]], dict[str, Any]] | None = None


def settle(waiter: "Future[Any]", result: Any, error: BaseException | None) -> None:
    """Give whoever waits the answer; nobody may be waiting any more."""
    if waiter.done():
        return
    if error is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(result)
