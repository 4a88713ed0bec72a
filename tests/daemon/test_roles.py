"""What other accounts may do, settings that are read anew, and timings in the log without what was said."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from enhanced_memory.client.errors import Busy, Denied, Invalid
from enhanced_memory.client.request import REQUESTS
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.roles import ADMIN_ONLY, Allowance, admit, role_of, roles

NOBODY = 65534
ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another account")


def test_roles_are_read_from_the_settings() -> None:
    given = roles(Settings(serve_users="ada, eve", roles="bob=admin, eve=read, *=read"))
    assert given == {"ada": "write", "bob": "admin", "eve": "read", "*": "read"}
    assert [role_of(NOBODY, name, given) for name in ("ada", "bob", "eve", "zoe")] == ["write", "admin", "read", "read"]
    assert role_of(os.getuid(), "whoever", {}) == "admin"
    assert role_of(NOBODY, "zoe", roles(Settings(serve_users="ada"))) is None
    for wrong in ("ada", "ada=owner", "=read", "ada=read; bob=write"):
        with pytest.raises(Invalid, match="roles"):
            roles(Settings(roles=wrong))


@pytest.mark.parametrize("op", sorted(ADMIN_ONLY))
def test_what_reaches_beyond_memories_is_for_admins(op: str) -> None:
    ask: Any = SimpleNamespace(op=op)
    assert op in REQUESTS
    admit(Call(Peer(admin=True), ask))
    with pytest.raises(Denied, match="role admin"):
        admit(Call(Peer(admin=False), ask))


def test_an_allowance_is_used_up_and_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("enhanced_memory.daemon.roles.monotonic", lambda: now)
    allowance = Allowance(5)
    for _ in range(10):
        allowance.take(NOBODY)
    with pytest.raises(Busy):
        allowance.take(NOBODY)
    allowance.take(NOBODY + 1 if os.getuid() != NOBODY + 1 else NOBODY - 1)
    for _ in range(100):
        allowance.take(os.getuid())
    now += 0.4
    allowance.take(NOBODY)
    allowance.take(NOBODY)
    with pytest.raises(Busy):
        allowance.take(NOBODY)


def as_nobody(daemon: Any, work: Callable[[Any], Any]) -> Any:
    """What somebody else is told who may reach the socket."""
    for folder in (daemon.folder, daemon.settings.socket_path.parent):
        folder.chmod(0o755)
    daemon.settings.socket_path.chmod(0o666)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writing, msgpack.packb(work(daemon)))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        return msgpack.unpackb(pipe.read())


def tried(daemon: Any) -> dict[str, str]:
    """What each of a few requests is answered with, by the code of its error."""
    peer = daemon.peer()
    asks = {
        "list_entities": {},
        "create_entities": {"entities": [{"name": "x", "type": "t", "observations": ["y"]}]},
        "backup": {"to": str(daemon.folder / "copy.db")},
    }
    return {op: peer.ask(op, **args).get("error", {}).get("code", "ok") for op, args in asks.items()}


@ROOT
def test_each_account_may_do_what_its_role_says_and_a_reload_changes_it(serve: Any) -> None:
    config = serve().folder / "unused"  # a folder of this test's own
    config = config.parent / "config.toml"
    config.write_text('serve_users = "nobody"\nuser_connections = 2\n')
    daemon = serve(config=config)
    assert as_nobody(daemon, tried) == {"list_entities": "ok", "create_entities": "ok", "backup": "denied"}
    config.write_text('roles = "nobody=read"\nuser_connections = 2\n')
    reload(daemon, "taken=serve_users,roles")
    assert as_nobody(daemon, tried) == {"list_entities": "ok", "create_entities": "denied", "backup": "denied"}
    config.write_text('roles = "nobody=admin"\nuser_connections = 2\n')
    reload(daemon, "taken=roles ")
    assert as_nobody(daemon, tried) == {"list_entities": "ok", "create_entities": "ok", "backup": "ok"}
    assert as_nobody(daemon, crowd) == ["ok", "ok", "busy"]
    config.write_text('roles = "nobody=owner"\n')
    reload(daemon, "are not taken")
    assert tried(daemon)["list_entities"] == "ok"


def crowd(daemon: Any) -> list[str]:
    """What the first frame of three connections at once says."""
    said: list[str] = []
    peers: list[Any] = []
    for _ in range(3):
        peers.append(daemon.peer(greeted=False))
        peers[-1].say({"id": 1, "op": "ping"})
        said.append(peers[-1].hear().get("error", {}).get("code", "ok"))
    return said


def reload(daemon: Any, says: str) -> None:
    """Have the daemon read its settings, and wait until it says so."""
    before = len(daemon.log.read_text())
    daemon.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 20
    while says not in daemon.log.read_text()[before:]:
        assert time.monotonic() < until, daemon.log.read_text()[before:]
        time.sleep(0.01)


def test_the_debug_log_tells_times_and_never_what_was_said(serve: Any) -> None:
    daemon = serve(log_level="DEBUG")
    with daemon.memory() as memory:
        peer = daemon.peer()
        secret = {"name": "Mrs Whisper", "type": "secretkind", "observations": ["the password is swordfish"]}
        peer.ask("create_entities", entities=[secret])
        memory.search_nodes("swordfish")
        memory.open_nodes(["Mrs Whisper"])
    daemon.end()
    log = daemon.log.read_text()
    assert "op=create_entities ms=" in log
    assert "op=search_nodes ms=" in log
    for word in ("swordfish", "Whisper", "secretkind"):
        assert word not in log
