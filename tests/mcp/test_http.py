"""MCP over HTTP: this machine alone, with a token; a token is one user in one space, and the daemon holds it to its rights."""

import asyncio
import ipaddress
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.subscriptions import listen

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.errors import Denied
from enhanced_memory.mcp_server.accounts import SESSIONS
from enhanced_memory.mcp_server.listening import at_address
from enhanced_memory.mcp_server.tokens import Tokens

Environment = dict[str, str]
ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
ENTITY = {"name": "Keeper", "entityType": "person", "observations": ["The lighthouse keeper wrote this down."]}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


class Server:
    """`memory-mcp http` as a process."""

    def __init__(self, environment: Environment, *arguments: str) -> None:
        self.environment = environment
        command = [sys.executable, "-m", "enhanced_memory.mcp_server", "http", *arguments]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []
        self._heard = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        with self._heard:
            assert self._heard.wait_for(lambda: any("serving" in line for line in self.said), 60), self.said
        self.url = next(line for line in self.said if "serving" in line).split()[2]
        self.base = self.url.removesuffix("/mcp")
        self.tokens = Tokens(Path(environment["ENHANCED_MEMORY_STORE"]))

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._heard:
                self.said.append(line.rstrip())
                self._heard.notify_all()

    def token(self, name: str, *, scopes: str = "read,write", space: str = "") -> str:
        return self.tokens.create(name, scopes.split(","), space or name)

    def client(self, token: str, mode: Any = "auto") -> Client[StreamableHttpTransport]:
        return Client(StreamableHttpTransport(self.url, headers={"Authorization": f"Bearer {token}"}), mode=mode)

    def post(self, token: str, message: Any, **headers: str) -> httpx2.Response:
        given = ACCEPT | {"Authorization": f"Bearer {token}"} | headers
        return httpx2.post(self.url, json=message, headers=given, timeout=30)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait(10)


@contextmanager
def serving(environment: Environment, *arguments: str) -> Iterator[Server]:
    server = Server(environment, *arguments)
    try:
        yield server
    finally:
        server.end()


@pytest.fixture(scope="module")
def server(environment: Environment) -> Iterator[Server]:
    """Serves every tool that is served over HTTP at all."""
    with serving(environment, "--port", "0", "--profile", "full") as server:
        yield server


@pytest.fixture
def user(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """A name that no other test uses."""
    return lambda name: f"{name}-{abs(hash(request.node.nodeid)) % 10**9}"


def refused(environment: Environment, *arguments: str) -> str:
    """What it says where it does not begin to serve."""
    command = [sys.executable, "-m", "enhanced_memory.mcp_server", "http", *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    return ran.stderr.splitlines()[-1]


# Who gets in


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer em_wrong", "Basic YTpi", "em_wrong", "Bearer \x7f"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_nobody_gets_in_without_a_token(server: Server, given: str | None, method: str) -> None:
    headers = ACCEPT | ({} if given is None else {"Authorization": given})
    answer = httpx2.request(method, server.url, json=HELLO, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_digest_read_from_the_file_is_no_token(server: Server, user: Callable[[str], str]) -> None:
    server.token(user("ada"))
    for kept in server.tokens.all():
        assert server.post(kept.digest, HELLO).status_code == 401
        assert server.post("em_" + kept.digest, HELLO).status_code == 401


def test_anybody_may_ask_whether_it_is_alive_and_hears_nothing_more(server: Server) -> None:
    answer = httpx2.get(server.base + "/health")
    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "version"}
    assert "server" not in answer.headers
    assert httpx2.get(server.base + "/").status_code == 404


def test_figures_are_for_a_monitor_with_a_token_of_its_own(server: Server) -> None:
    monitor = server.token("monitor", scopes="metrics")
    reader = server.token("reader", scopes="read,write", space="figures")
    both = server.token("both", scopes="read,metrics", space="figures")
    for secret, status in (("", 401), ("em_nonsense", 401), (reader, 401), (monitor, 200), (both, 200)):
        answer = httpx2.get(server.base + "/metrics", headers={"Authorization": f"Bearer {secret}"} if secret else {})
        assert answer.status_code == status
        assert ("enhanced_memory_health{" in answer.text) == (status == 200)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    headers = {"Authorization": f"Bearer {monitor}"} | ACCEPT
    assert httpx2.post(server.url, json=HELLO, headers=headers).status_code in (401, 403)
    assert httpx2.get(server.base + "/metrics", headers=headers | {"Host": "evil.example"}).status_code in (403, 421)


@pytest.mark.parametrize("path", ["/mcp", "/health"])
@pytest.mark.parametrize(
    "header",
    [
        {"Host": "evil.example.com"},
        {"Host": "127.0.0.1.evil.com"},
        {"Host": ""},
        {"Origin": "http://evil.example.com"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_no_web_page_reaches_it_through_a_browser(
    server: Server, user: Callable[[str], str], path: str, header: dict[str, str]
) -> None:
    """Even with a token: a browser that was rebound to this address says whom it believes to speak to."""
    headers = ACCEPT | {"Authorization": f"Bearer {server.token(user('ada'))}"} | header
    answer = httpx2.request("GET" if path == "/health" else "POST", server.base + path, json=HELLO, headers=headers)
    assert answer.status_code in (400, 403, 421)
    assert "access-control-allow-origin" not in answer.headers


def test_a_session_belongs_to_the_token_that_began_it(server: Server, user: Callable[[str], str]) -> None:
    ada, bob = server.token(user("ada")), server.token(user("bob"))
    name = server.post(ada, HELLO).headers["mcp-session-id"]
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    assert server.post(bob, ping, **{"Mcp-Session-Id": name}).status_code == 404
    assert server.post(ada, ping, **{"Mcp-Session-Id": name}).status_code == 200


async def test_a_revoked_token_is_out_and_what_it_had_open_ends(server: Server, user: Callable[[str], str]) -> None:
    ada, bob = server.token(user("ada")), server.token(user("bob"))
    name = server.post(ada, HELLO).headers["mcp-session-id"]
    headers = ACCEPT | {"Authorization": f"Bearer {ada}", "Mcp-Session-Id": name}
    async with (
        httpx2.AsyncClient(timeout=20) as client,
        client.stream("GET", server.url, headers=headers) as stream,
    ):
        assert stream.status_code == 200
        server.tokens.revoke(user("ada"))
        assert (await client.post(server.url, json=HELLO, headers=headers)).status_code == 401
        async for _ in stream.aiter_raw():
            pass  # what is read ends, or the client's own timeout fails the test
    assert server.post(bob, HELLO).status_code == 200
    again = server.token(user("ada"))
    assert server.post(again, HELLO, **{"Mcp-Session-Id": name}).status_code == 404


# What a token may do


@ERAS
async def test_a_change_is_noted_under_the_user_of_the_token(
    server: Server, user: Callable[[str], str], mode: str
) -> None:
    async with server.client(server.token(user("ada")), mode) as client:
        await client.call_tool("create_entities", {"entities": [ENTITY]})
        history = (await client.call_tool("memory_history", {"entity": "Keeper"})).structured_content
    assert history is not None
    [version] = history["versions"]
    assert version["space"] == user("ada")
    assert version["origin"]["channel"] == "http"
    assert version["origin"]["user"].endswith("/" + user("ada"))
    assert version["origin"]["tool"] == "create_entities"


CHANGING: dict[str, dict[str, Any]] = {
    "create_entities": {"entities": [{"name": "new", "entityType": "t", "observations": []}]},
    "create_relations": {"relations": [{"from": "Keeper", "to": "Keeper", "relationType": "knows"}]},
    "add_observations": {"observations": [{"entityName": "Keeper", "contents": ["forged"]}]},
    "delete_entities": {"entityNames": ["Keeper"]},
    "delete_observations": {"deletions": [{"entityName": "Keeper", "observations": ENTITY["observations"]}]},
    "delete_relations": {"relations": [{"from": "Keeper", "to": "Keeper", "relationType": "knows"}]},
    "append_messages": {"stream": "s", "messages": [{"text": "forged"}]},
    "rename_entity": {"entity": "Keeper", "name": "Forged"},
    "pin": {"entities": ["Keeper"]},
    "tag": {"entities": ["Keeper"], "tags": ["forged"]},
    "confirm": {"entities": ["Keeper"]},
    "quarantine": {"entities": ["Keeper"]},
}


@ERAS
async def test_a_token_that_may_only_read_changes_nothing_whatever_it_calls(
    server: Server, user: Callable[[str], str], mode: str
) -> None:
    """It is shown no tool that changes; called nevertheless, the daemon refuses it."""
    space = user("house")
    writer, reader = server.token(user("w"), space=space), server.token(user("r"), scopes="read", space=space)
    async with server.client(writer, mode) as client:
        await client.call_tool("create_entities", {"entities": [ENTITY]})
        before = (await client.call_tool("read_graph")).structured_content
        every = await client.list_tools()
    changing = {tool.name for tool in every if tool.annotations is None or not tool.annotations.read_only_hint}
    assert set(CHANGING) <= changing
    async with server.client(reader, mode) as client:
        assert {tool.name for tool in await client.list_tools()} == {tool.name for tool in every} - changing
        for name in sorted(changing):
            answer = await client.call_tool(name, CHANGING.get(name, {}), raise_on_error=False)
            assert answer.is_error, name
            if name in CHANGING:
                assert "may only read" in answer.content[0].model_dump()["text"], name
        assert (await client.call_tool("read_graph")).structured_content == before


@ERAS
async def test_users_do_not_see_each_other(server: Server, user: Callable[[str], str], mode: str) -> None:
    ada, bob = server.token(user("ada")), server.token(user("bob"))
    async with server.client(ada, mode) as client:
        made = (await client.call_tool("create_entities", {"entities": [ENTITY]})).structured_content
        await client.call_tool(
            "append_messages", {"stream": "diary", "messages": [{"text": "the lighthouse was dark"}]}
        )
        assert made is not None
        number = made["entities"][0]["id"]
    async with server.client(bob, mode) as client:
        for tool, arguments in (
            ("read_graph", {}),
            ("search_nodes", {"query": "lighthouse"}),
            ("open_nodes", {"names": ["Keeper"]}),
            ("search_messages", {"query": "lighthouse"}),
            ("memory_history", {"entity": "Keeper"}),
            ("memory_history", {"entity": number}),
            ("recent_messages", {"stream": "diary"}),
            ("list_entities", {}),
            ("rename_entity", {"entity": number, "name": "Mine"}),
            ("restore_entities", {"entities": [number]}),
        ):
            answer = await client.call_tool(tool, arguments, raise_on_error=False)
            said = str(answer.structured_content) + str(answer.content)
            assert "lighthouse" not in said, (tool, arguments)
            assert "Keeper'" not in said.replace("'Keeper'", ""), (tool, arguments)
        assert "lighthouse" not in str(await client.read_resource("memory://recent"))
    async with server.client(ada, mode) as client:
        assert "lighthouse keeper" in str((await client.call_tool("open_nodes", {"names": ["Keeper"]})).content)


async def test_no_tool_leads_out_of_the_space(server: Server, user: Callable[[str], str]) -> None:
    async with server.client(server.token(user("ada"))) as client:
        listed = {tool.name for tool in await client.list_tools()}
        for name in ("switch", "list_spaces", "create_space", "backup", "verify", "access_log", "export_data"):
            assert name not in listed
            assert (
                await client.call_tool(name, {"space": "default", "name": "x", "to": "/tmp"}, raise_on_error=False)
            ).is_error


async def test_a_user_is_told_of_changes_in_the_own_space_alone(server: Server, user: Callable[[str], str]) -> None:
    """When Ada has heard of her change, Bob has not."""
    ada, bob = server.token(user("ada")), server.token(user("bob"))
    graph = ["memory://knowledge-graph"]
    async with (
        server.client(ada) as first,
        server.client(bob) as second,
        listen(first.session, resource_subscriptions=graph) as hers,
        listen(second.session, resource_subscriptions=graph) as his,
    ):
        await first.call_tool("create_entities", {"entities": [ENTITY]})
        assert (await asyncio.wait_for(anext(aiter(hers)), 20)).uri == graph[0]  # type: ignore[union-attr]
        waiting = asyncio.ensure_future(anext(aiter(his)))
        await second.call_tool("read_graph")
        assert not waiting.done()
        await second.call_tool("create_entities", {"entities": [ENTITY]})
        assert (await asyncio.wait_for(waiting, 20)).uri == graph[0]  # type: ignore[union-attr]


# Where it listens


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "192.168.0.1", "10.0.0.1", "example.org", "", "localhost.evil.com", "127.0.0.1:80", "8.8.8.8"],
)
def test_it_listens_to_this_machine_alone(host: str) -> None:
    with pytest.raises(Denied, match="loopback"):
        at_address(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_every_address_of_this_machine_alone_will_do(host: str) -> None:
    with at_address(host, 0) as listener:
        assert ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def test_an_address_that_others_can_reach_ends_it_before_it_serves(environment: Environment) -> None:
    assert "loopback" in refused(environment, "--host", "0.0.0.0", "--port", "0")


def test_a_port_that_is_taken_is_named(environment: Environment, server: Server) -> None:
    port = server.base.rsplit(":", 1)[1]
    assert port in refused(environment, "--port", port)


def test_toolsets_that_reach_beyond_one_space_are_not_served(environment: Environment) -> None:
    assert "admin" in refused(environment, "--profile", "core,admin", "--port", "0")


def test_a_file_of_tokens_that_others_may_read_is_not_served_from(own_environment: Environment) -> None:
    tokens = Tokens(Path(own_environment["ENHANCED_MEMORY_STORE"]))
    tokens.create("ada", ["read"], "s")
    tokens.path.chmod(0o644)
    assert "chmod 600" in refused(own_environment, "--port", "0")


def test_a_unix_socket_is_ours_alone_and_gone_afterwards(own_environment: Environment) -> None:
    path = Path(own_environment["HOME"]) / "http" / "mcp.sock"
    with serving(own_environment, "--unix", str(path)) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path)), base_url="http://localhost") as client:
            assert client.get("/health").status_code == 200
            assert client.post("/mcp", json=HELLO, headers=ACCEPT).status_code == 401
            allowed = ACCEPT | {"Authorization": f"Bearer {server.token('ada')}"}
            assert client.post("/mcp", json=HELLO, headers=allowed).status_code == 200
            assert client.post("/mcp", json=HELLO, headers=allowed | {"Host": "evil.example.com"}).status_code == 421
        assert "already" in refused(own_environment, "--unix", str(path))
        assert server.end() == 0
    assert not path.exists()


def test_what_lies_at_the_path_is_left_there(own_environment: Environment) -> None:
    home = Path(own_environment["HOME"])
    (home / "file").write_text("mine")
    assert "not a socket" in refused(own_environment, "--unix", str(home / "file"))
    assert (home / "file").read_text() == "mine"
    (home / "open").mkdir()
    (home / "open").chmod(0o777)
    assert "written to by others" in refused(own_environment, "--unix", str(home / "open" / "mcp.sock"))


def test_a_stale_socket_is_taken_over(own_environment: Environment) -> None:
    path = Path(own_environment["HOME"]) / "mcp.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with serving(own_environment, "--unix", str(path)):
        pass
    assert not path.exists()


# What may go wrong


def test_a_body_that_cannot_be_used_is_refused_and_the_next_is_answered(
    server: Server, user: Callable[[str], str]
) -> None:
    token = server.token(user("ada"))
    headers = ACCEPT | {"Authorization": f"Bearer {token}"}
    for body, status in ((b"x" * (5 * 1024 * 1024), 413), (b"{", 400), (b"[]", 400), (b'"a"', 400), (b"", 400)):
        assert httpx2.post(server.url, content=body, headers=headers, timeout=30).status_code == status, body[:10]
    assert server.post(token, HELLO).status_code == 200


def test_the_sessions_of_a_token_are_bounded_and_do_not_count_against_others(
    server: Server, user: Callable[[str], str]
) -> None:
    ada, bob = server.token(user("ada")), server.token(user("bob"))
    headers = ACCEPT | {"Authorization": f"Bearer {ada}"}
    with httpx2.Client(headers=headers, timeout=30) as client:
        names = [client.post(server.url, json=HELLO).headers["mcp-session-id"] for _ in range(SESSIONS)]
        assert client.post(server.url, json=HELLO).status_code == 429
        assert server.post(bob, HELLO).status_code == 200
        assert client.delete(server.url, headers={"Mcp-Session-Id": names[0]}).status_code == 200
        assert client.post(server.url, json=HELLO).status_code == 200
        for name in names[1:]:
            client.delete(server.url, headers={"Mcp-Session-Id": name})


async def test_a_daemon_that_was_killed_is_not_noticed(
    own_environment: Environment, kill: Callable[[int, int], None]
) -> None:
    with serving(own_environment, "--port", "0") as server:
        async with server.client(server.token("ada")) as client:
            await client.call_tool("create_entities", {"entities": [ENTITY]})
            with Memory(Settings.load({"autostart": False}, own_environment)) as memory:
                assert memory.welcome is not None
                pid = memory.welcome.pid
            kill(pid, signal.SIGKILL)
            found = (await client.call_tool("search_nodes", {"query": "lighthouse"})).structured_content
    assert found is not None
    assert [entity["name"] for entity in found["entities"]] == ["Keeper"]


def test_told_to_leave_it_leaves_although_a_stream_is_open(own_environment: Environment) -> None:
    with serving(own_environment, "--port", "0") as server:
        token = server.token("ada")
        headers = ACCEPT | {"Authorization": f"Bearer {token}"}
        name = server.post(token, HELLO).headers["mcp-session-id"]
        with httpx2.stream("GET", server.url, headers=headers | {"Mcp-Session-Id": name}, timeout=20):
            assert server.end() == 0
    assert len(server.said) == 2, server.said  # nobody had a token yet; serving


def test_without_a_token_it_says_how_to_make_one(own_environment: Environment) -> None:
    with serving(own_environment, "--port", "0") as server:
        assert any("token create" in line for line in server.said)
        assert os.fspath(server.tokens.path) not in "".join(server.said)
