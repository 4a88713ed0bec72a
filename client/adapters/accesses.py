"""What an adapter notes in the access log: collected here and sent along with the next change, so that reading stays reading."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from enhanced_memory.client.errors import Error
from enhanced_memory.client.operations.service import AccessInput, NoteAccess
from enhanced_memory.client.request import Request
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import Entity

__all__ = ["OPERATIONS", "Access", "Accesses"]

A = TypeVar("A")

OPERATIONS = ("create", "read", "update", "delete", "search")
"""What an access can be."""

WAITING = 500
"""As many are sent by themselves, if no change takes them along before."""
MOST = 1000
"""What one request of the daemon takes."""
TEXT = 200


@dataclass
class Access:
    """One access while it is made."""

    about: list[int] = field(default_factory=list[int])
    agents: list[str] = field(default_factory=list[str])
    sessions: list[str] = field(default_factory=list[str])
    """Of each of those, where they differ."""
    session: str = ""
    agent: str = ""

    def concerns(self, one: Entity) -> None:
        """Note which memory it is about; the session is that memory's."""
        self.about = [one.id]
        self.session = self.session or str(one.properties.get("session") or "")


class Accesses:
    """Accesses that wait to be written. A crash takes what waits; `flush` writes it."""

    def __init__(self, memory: Memory, on: bool, address: str = "") -> None:
        self._memory = memory
        self._on = on
        self._address = address
        self._turn = threading.Lock()
        self._waiting: list[AccessInput] = []

    @contextmanager
    def noted(
        self, operation: str, *, session: str = "", agent: str = "", request: Mapping[str, Any] | None = None
    ) -> Generator[Access]:
        """Note what is done inside, and whether it succeeded."""
        access = Access(session=session, agent=agent)
        try:
            yield access
        except Error as problem:
            self._note(operation, access, request, problem)
            raise
        self._note(operation, access, request, None)

    def send(self, ask: Request[A]) -> A:
        """Send a change, and with it what waits."""
        rows = self._take()
        if not rows:
            return self._memory.send(ask)
        answer, noted = self._memory.send_all([ask, NoteAccess(rows)])
        if isinstance(noted, Error):
            with self._turn:
                self._waiting = [*rows, *self._waiting][-MOST:]
        if isinstance(answer, Error):
            raise answer
        return answer

    def add(self, row: AccessInput) -> None:
        """Let an access wait to be written."""
        with self._turn:
            self._waiting.append(row)
            due = len(self._waiting) >= WAITING
        if due:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        while rows := self._take():
            try:
                self._memory.send(NoteAccess(rows))
            except Error:
                with self._turn:
                    self._waiting = [*rows, *self._waiting][-MOST:]
                raise

    def _take(self) -> list[AccessInput]:
        with self._turn:
            rows, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        return rows

    def _note(self, operation: str, access: Access, request: Mapping[str, Any] | None, problem: Error | None) -> None:
        if not self._on:
            return
        plain = {key: _plain(value) for key, value in (request or {}).items()}
        for place, entity in enumerate(access.about or [None]):
            agent = access.agents[place] if place < len(access.agents) else ""
            session = access.sessions[place] if place < len(access.sessions) else ""
            row = AccessInput(
                operation, entity, session=_short(access.session or session), agent=_short(access.agent or agent), address=self._address,
                at=datetime.now(UTC), error=problem.code if problem else "", says=_short(problem.message, 4000) if problem else "", request=plain,
            )  # fmt: skip
            self.add(row)


def _short(text: str, chars: int = TEXT) -> str:
    return text.replace("\0", "")[:chars]


def _plain(value: Any) -> Any:
    """What of a request can be told as plain data; the daemon keeps no text of it."""
    if isinstance(value, Mapping):
        told = cast("Mapping[Any, Any]", value)
        return {str(key).replace("\0", ""): _plain(item) for key, item in list(told.items())[:40]}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)[:40]]
    if isinstance(value, str):
        return "x" * min(len(value), 10_000)  # its length is all that is kept
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**62):
        return value
    return (
        value
        if isinstance(value, float) and value == value and abs(value) != float("inf")
        else str(type(value).__name__)
    )
