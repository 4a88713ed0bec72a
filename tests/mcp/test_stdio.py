"""The command as MCP clients launch it: a process, pipes, the `mcp` SDK, and a daemon that comes and goes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.types import CallToolResult

from enhanced_memory.client import Memory, Settings
from enhanced_memory.mcp_server.profiles import CORE

Environment = dict[str, str]

ENTITY = {"name": "Keeper", "entityType": "person", "observations": ["The lighthouse keeper wrote this down."]}


def run(
    command: list[str], environment: Environment, *arguments: str, said: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *arguments], input=said, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def data(result: Any) -> dict[str, Any]:
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def test_what_was_stored_is_found_after_the_daemon_was_stopped(
    own_environment: Environment, command: list[str], kill: Callable[[int, int], None]
) -> None:
    launched = StdioServerParameters(command=command[0], args=command[1:], env=own_environment)
    async with stdio_client(launched) as (read, write), ClientSession(read, write) as session:
        hello = await session.initialize()
        assert hello.server_info.name == "enhanced-memory"
        assert hello.instructions is not None
        assert len((await session.list_tools()).tools) == len(CORE.tools)
        made = data(await session.call_tool("create_entities", {"entities": [ENTITY]}))
        assert made["entities"][0]["name"] == "Keeper"
        before = data(await session.call_tool("search_nodes", {"query": "lighthouse"}))
        assert before["entities"][0]["observations"] == ENTITY["observations"]

        first = data(await session.call_tool("get_memory_status"))["pid"]
        kill(first, signal.SIGTERM)

        assert data(await session.call_tool("search_nodes", {"query": "lighthouse"})) == before
        assert data(await session.call_tool("get_memory_status"))["pid"] != first


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_process_serves_both_protocol_eras(environment: Environment, command: list[str], mode: Any) -> None:
    space = environment | {"ENHANCED_MEMORY_SPACE": f"era-{mode}"}
    async with Client(StdioTransport(command[0], command[1:], env=space), mode=mode) as client:
        assert len(await client.list_tools()) == len(CORE.tools)
        await client.call_tool("create_entities", {"entities": [ENTITY]})
        found = (await client.call_tool("search_nodes", {"query": "lighthouse"})).structured_content
    assert found is not None
    assert [entity["name"] for entity in found["entities"]] == ["Keeper"]
    assert found["space"] == f"era-{mode}"


async def test_without_a_daemon_the_server_starts_and_a_call_says_what_to_do_until_there_is_one(
    own_environment: Environment, command: list[str]
) -> None:
    alone = own_environment | {"ENHANCED_MEMORY_AUTOSTART": "false"}
    launched = StdioServerParameters(command=command[0], args=command[1:], env=alone)
    async with stdio_client(launched) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        assert len((await session.list_tools()).tools) == len(CORE.tools)
        refused = await session.call_tool("read_graph")
        assert isinstance(refused, CallToolResult)
        assert refused.is_error
        assert "memory-db serve" in refused.content[0].model_dump()["text"]
        with Memory(Settings.load(environment=own_environment)):
            assert data(await session.call_tool("read_graph"))["entities"] == []


def test_settings_that_cannot_be_used_end_it_at_once_with_one_line(
    environment: Environment, command: list[str]
) -> None:
    ran = run(command, environment | {"ENHANCED_MEMORY_TIMEOUT_S": "soon"})
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1
    assert "TIMEOUT_S" in ran.stderr


def test_help_and_version_are_printed_without_waking_anything(environment: Environment, command: list[str]) -> None:
    helped = run(command, environment, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "ENHANCED_MEMORY_SPACE" in helped.stdout
    told = run(command, environment, "--version")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("memory-mcp ")
    assert run(command, environment, "--nonsense").returncode == 2


@pytest.fixture
def handshake() -> str:
    """The first lines of a session of the older era."""
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


class Pipes:
    """The process with its pipes open: a line in, the answer's line out."""

    def __init__(self, command: list[str], environment: Environment, folder: str) -> None:
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def end(self) -> tuple[str, str, int]:
        """Close stdin; what was still said on both channels, and the exit code."""
        out, errors = self.process.communicate(timeout=30)
        return out, errors, self.process.returncode


def tool(number: int, name: str, arguments: Any = None) -> dict[str, Any]:
    params = {"name": name} if arguments is None else {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def test_refused_calls_and_a_project_s_own_settings_leave_stderr_silent_and_stdout_pure(
    environment: Environment, command: list[str], handshake: str, tmp_path: Any
) -> None:
    (tmp_path / ".env").write_text("FASTMCP_LOG_LEVEL=nonsense\nFASTMCP_MASK_ERROR_DETAILS=perhaps\n")
    noisy = environment | {"FASTMCP_LOG_LEVEL": "DEBUG", "FASTMCP_SHOW_SERVER_BANNER": "true"}
    pipes = Pipes(command, noisy, str(tmp_path))
    first, second = handshake.splitlines()
    assert pipes.ask(json.loads(first))["result"]["serverInfo"]["name"] == "enhanced-memory"
    assert pipes.process.stdin is not None
    pipes.process.stdin.write(second + "\n")
    assert pipes.ask(tool(2, "open_nodes", {"names": 3}))["result"]["isError"] is True
    assert pipes.ask(tool(3, "nonsense"))["result"]["isError"] is True
    answer = pipes.ask(tool(4, "read_graph", ["not", "an", "object"]))
    assert "error" in answer
    assert "http" not in json.dumps(answer)
    graph = pipes.ask(tool(5, "read_graph"))["result"]
    assert graph.get("isError") is not True
    assert "_meta" not in graph
    assert pipes.end() == ("", "", 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_while_it_waits(
    environment: Environment, command: list[str], handshake: str, number: int, tmp_path: Any
) -> None:
    pipes = Pipes(command, environment, str(tmp_path))
    pipes.ask(json.loads(handshake.splitlines()[0]))
    os.kill(pipes.process.pid, number)
    assert pipes.process.wait(10) == -number
    assert pipes.end()[1] == ""


def test_the_installed_command_is_this_module() -> None:
    from importlib.metadata import entry_points

    from enhanced_memory.mcp_server.__main__ import main

    [found] = [entry for entry in entry_points(group="console_scripts") if entry.name == "memory-mcp"]
    assert found.load() is main
    assert sys.modules["enhanced_memory.mcp_server.__main__"].main is main
