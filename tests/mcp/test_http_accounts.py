"""Accounts: one confined way to the memory for each token; what is revoked or idle is let go of."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from enhanced_memory.client import Settings
from enhanced_memory.client.errors import Denied, Invalid
from enhanced_memory.client.operations import service, spaces
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.request import Request
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.accounts import IDLE_S, Accounts, OnBehalf, Visit
from enhanced_memory.mcp_server.http import shown
from enhanced_memory.mcp_server.session import Session
from enhanced_memory.mcp_server.tokens import Tokens

ASKED_BEYOND: list[Request[object]] = [
    spaces.Switch("default"),
    spaces.CreateSpace("x", parent="default"),
    spaces.UpdateSpace("default", {"mirror": "/tmp/x"}),
    spaces.DeleteSpace("x"),
    service.Backup("/tmp"),
    service.Verify(),
    service.AccessLog(),
    service.ExportData(),
    service.ImportData([]),
    service.Hello(space="default"),
]


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def tokens(home: Path) -> Tokens:
    return Tokens(home / "memory.db")


@pytest.fixture
def accounts(tokens: Tokens, watch: Watch) -> Iterator[Accounts]:
    return Accounts(Settings.load(), tokens, clock=watch)


@pytest.mark.parametrize("ask", ASKED_BEYOND, ids=lambda ask: ask.op)
async def test_what_reaches_beyond_the_space_is_refused_by_the_daemon(
    accounts: Accounts, tokens: Tokens, ask: Request[object]
) -> None:
    """Nothing on this side knows what reaches how far."""
    account = accounts.enter(tokens.create("ada", ["read", "write"], "home"))
    assert account is not None
    try:
        with pytest.raises(Denied, match=r"beyond the space|may not work in"):
            await account.memory.send(ask)
    finally:
        await accounts.close()


async def test_the_daemon_is_told_whose_call_it_is_and_enforces_the_scopes(accounts: Accounts, tokens: Tokens) -> None:
    """The refusal is the daemon's own: nothing here knows what changes."""
    reader = accounts.enter(tokens.create("bob", ["read"], "home"))
    assert reader is not None
    try:
        with pytest.raises(Denied, match="may only read"):
            await reader.memory.send(CreateEntities([EntityInput("x", "t")]))
        assert (await reader.memory.get_memory_status()).total_entities == 0
    finally:
        await accounts.close()


async def test_the_space_is_the_tokens_whatever_the_settings_say(tokens: Tokens) -> None:
    secret = tokens.create("ada", ["read"], "home")
    token = tokens.find(secret)
    assert token is not None
    memory = OnBehalf(Settings.load({"space": "auto", "agent": "me", "session": "mine"}), token)
    assert (memory.space, memory.parent) == ("home", None)
    assert (memory.settings.agent, memory.settings.session) == ("", "")


async def test_a_token_has_one_way_to_the_memory(accounts: Accounts, tokens: Tokens) -> None:
    secret = tokens.create("ada", ["read"], "home")
    first, second = accounts.enter(secret), accounts.enter(secret)
    assert first is not None
    assert first is second
    assert accounts.enter("em_other") is None


async def test_a_session_that_was_idle_too_long_has_ended_and_one_with_a_stream_has_not(
    accounts: Accounts, tokens: Tokens, watch: Watch
) -> None:
    account = accounts.enter(tokens.create("ada", ["read"], "home"))
    assert account is not None
    idle, busy = Visit(account.session()), Visit(account.session(), requests=1)
    account.visits |= {"idle": idle, "busy": busy}
    left: list[Session] = []
    watch.now = IDLE_S
    await accounts.sweep(left.append)
    assert left == []
    watch.now = IDLE_S + 1
    await accounts.sweep(left.append)
    assert left == [idle.session]
    assert set(account.visits) == {"busy"}
    assert accounts.of(account.token.digest) is account
    busy.requests = 0
    await accounts.sweep(left.append)
    assert left == [idle.session, busy.session]
    assert accounts.of(account.token.digest) is None


async def test_what_a_revoked_token_has_under_way_is_ended(accounts: Accounts, tokens: Tokens) -> None:
    account, other = (
        accounts.enter(tokens.create("ada", ["read"], "s")),
        accounts.enter(tokens.create("bob", ["read"], "s")),
    )
    assert account is not None
    assert other is not None
    stream, others = asyncio.ensure_future(asyncio.Event().wait()), asyncio.ensure_future(asyncio.Event().wait())
    account.requests.add(stream)
    other.requests.add(others)
    account.visits["one"] = Visit(account.session(), requests=1)
    left: list[Session] = []
    tokens.revoke("ada")
    await accounts.sweep(left.append)
    with pytest.raises(asyncio.CancelledError):
        await stream
    assert len(left) == 1
    assert not others.done()
    others.cancel()


def test_a_profile_over_http_has_no_tool_that_reaches_beyond_the_space() -> None:
    names = {tool.name for tool in shown("full").tools}
    assert {"create_entities", "tag", "recent_messages"} <= names
    assert names.isdisjoint({"switch", "list_spaces", "create_space", "backup", "verify", "access_log"})
    for asked in ("admin", "spaces", "core, admin"):
        with pytest.raises(Invalid):
            shown(asked)
