"""Who comes over HTTP: each token has one way to the memory, confined to its space and rights, and so many sessions."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.conversation import Conversation
from enhanced_memory.client.operations.service import Behalf, Hello
from enhanced_memory.client.settings import Settings
from enhanced_memory.mcp_server.session import Session
from enhanced_memory.mcp_server.tokens import Token, Tokens

__all__ = ["IDLE_S", "REQUESTS", "SESSIONS", "Account", "Accounts", "OnBehalf", "Visit"]

CLIENT, CHANNEL = "memory-mcp", "http"

SESSIONS = 256
"""Sessions of the older era that one token may have at a time."""
REQUESTS = 512
"""Requests of one token under way at a time, open streams among them."""
IDLE_S = 1800.0
"""After so long without a request a session has ended, and a token's connection to the daemon is closed."""
SWEEP_S = 2.0
"""How soon a revoked token's streams end."""


class OnBehalf(AsyncMemory):
    """A way to the memory for somebody else: the daemon is told whose, enforces the rights and confines it to the space."""

    def __init__(self, settings: Settings, token: Token) -> None:
        own = replace(settings, space=token.space, agent="", session="")
        super().__init__(own, client=CLIENT, channel=CHANNEL, folder="/")
        self._talk = _Talk(own, token)


class _Talk(Conversation):
    def __init__(self, settings: Settings, token: Token) -> None:
        super().__init__(settings, CLIENT, CHANNEL, folder="/")
        self._behalf = Behalf(user=token.name, scopes=list(token.scopes), spaces=[token.space])

    def hello(self) -> Hello:
        return msgspec.structs.replace(super().hello(), behalf=self._behalf)


@dataclass(slots=True, eq=False)
class Visit:
    """A session of the older era, which lasts from one request to the next."""

    session: Session
    requests: int = 0
    """Under way now, an open stream among them."""
    last: float = 0.0


@dataclass(slots=True, eq=False)
class Account:
    """A token in use."""

    token: Token
    memory: AsyncMemory
    visits: dict[str, Visit] = field(default_factory=dict[str, Visit])
    requests: set["asyncio.Task[Any]"] = field(default_factory=set["asyncio.Task[Any]"])
    """Those under way, so that they can be ended."""
    last: float = 0.0
    over: bool = False

    def end(self) -> None:
        """End what is under way: the token is revoked, or the server leaves."""
        self.over = True
        for task in self.requests:
            task.cancel()

    def session(self) -> Session:
        """A session that is new."""
        return Session(memory=self.memory)


class Accounts:
    """The tokens in use, by their digest. There are no more than the file has."""

    def __init__(self, settings: Settings, tokens: Tokens, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.tokens = tokens
        self.clock = clock
        self._accounts: dict[str, Account] = {}

    def enter(self, secret: str) -> Account | None:
        """The account of a token; None for one that is not, or no longer, let in."""
        token = self.tokens.find(secret)
        if token is None:
            return None
        account = self._accounts.get(token.digest)
        if account is None:
            account = self._accounts[token.digest] = Account(token, OnBehalf(self.settings, token))
        account.last = self.clock()
        return account

    def of(self, digest: str) -> Account | None:
        """The account of a digest that was let in before."""
        return self._accounts.get(digest)

    async def sweep(self, left: Callable[[Session], None]) -> None:
        """End what a revoked token has open, and forget what was idle too long. `left` hears of sessions that end."""
        now, known = self.clock(), self.tokens.known()
        for digest, account in list(self._accounts.items()):
            if digest not in known:
                account.end()
            for name, visit in list(account.visits.items()):
                if account.over or (not visit.requests and now - visit.last > IDLE_S):
                    del account.visits[name]
                    left(visit.session)
            if account.over or (not account.visits and not account.requests and now - account.last > IDLE_S):
                del self._accounts[digest]
                await account.memory.close()

    async def sweeping(self, left: Callable[[Session], None]) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.sweep(left)

    def end(self) -> None:
        """End what every token has under way."""
        for account in self._accounts.values():
            account.end()

    async def close(self) -> None:
        """Close every connection to the daemon."""
        accounts, self._accounts = self._accounts, {}
        for account in accounts.values():
            await account.memory.close()
