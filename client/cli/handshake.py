"""Whether what a client is configured to launch really serves: launched as it would be, greeted, asked for its tools.

With the standard library alone, so that what is tried is the server and nothing of ours on this side of it.
"""

import json
import os
import select
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from enhanced_memory.client.cli.changing import Servers, servers
from enhanced_memory.client.cli.clients import CLIENTS, Client, Launch, Scope
from enhanced_memory.client.cli.installed import Installation, read_state
from enhanced_memory.client.cli.surroundings import Finding, good, wary, wrong
from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.settings import Settings

__all__ = ["Failed", "Greeting", "greet", "mcp_clients"]

LIMIT_S = 10.0
LEAVE_S = 2.0
MAX_BYTES = 16 * 1024 * 1024
PROTOCOL = "2025-06-18"
INHERITED = ("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "TMPDIR")
"""What clients hand on of their environment at the least: an entry that needs more has to say so itself."""


class Failed(Exception):
    """The server did not serve; says why."""


@dataclass(frozen=True)
class Greeting:
    """What a server answered."""

    server: str
    version: str
    tools: int
    seconds: float


def mcp_clients(settings: Settings) -> Iterator[Finding]:
    """Every client that launches `memory-mcp`: whether it would get an answer. The servers of others are left alone."""
    del settings  # what a client launches has its settings from the entry
    noted = read_state()
    tried: dict[str, Finding] = {}
    for client in CLIENTS:
        for scope in client.scopes:
            try:
                found = servers(client, scope)
            except Invalid as problem:
                if client.found:
                    yield wary(f"client {client.name}", problem.message, problem.hint)
                continue
            if found is not None:
                yield from _entries(client, scope, found, noted, tried)


def _entries(
    client: Client, scope: Scope, found: Servers, noted: list[Installation], tried: dict[str, Finding]
) -> Iterator[Finding]:
    check = f"client {client.name}"
    for name, launch in found.launches().items():
        mine = any(
            (note.file, note.name, note.what) == (str(found.file), name, "server") and note.entry == found.named[name]
            for note in noted
        )
        if launch.official:
            more = " --scope project" if scope == "project" else ""
            yield wary(
                check,
                f"{found.file} launches the official memory server as {name}: what it keeps is not here",
                f"memoryctl install {client.name}{more} --replace-official",
            )
        elif launch.ours and scope == "project" and not mine:
            # A project's file comes with the project: what it launches, its author chose.
            yield wary(
                check,
                f"{found.file} launches {launch.command} as {name}; not tried, for it was not installed from here",
                f"memoryctl install {client.name} --scope project",
            )
        elif launch.ours or mine:
            key = json.dumps([launch.command, launch.args, launch.env])
            if key not in tried:
                tried[key] = _tried(launch)
            result = tried[key]
            yield Finding(check, result.state, f"{found.file}: {name} {result.says}", result.mend)


def _tried(launch: Launch) -> Finding:
    try:
        said = greet(launch)
    except Failed as problem:
        command = " ".join(shlex.quote(word) for word in (launch.command, *launch.args))
        return wrong("", f"does not serve: {problem}", f"{command} --help; or `memoryctl install` again")
    return good("", f"serves {said.tools} tools ({said.server} {said.version}, {said.seconds:.2f} s)")


def greet(launch: Launch, limit_s: float = LIMIT_S) -> Greeting:
    """Launch the server, greet it, list its tools, and end it. `Failed` where it does not answer within `limit_s`."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | launch.env
    began = time.monotonic()
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                [launch.command, *launch.args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=environment,
                bufsize=0,
            )
        except (OSError, ValueError) as problem:
            raise Failed(f"{launch.command} cannot be run: {getattr(problem, 'strerror', None) or problem}") from None
        try:
            talk = _Talk(process, complaints, began + limit_s)
            about = talk.ask(
                1,
                "initialize",
                {
                    "protocolVersion": PROTOCOL,
                    "capabilities": {},
                    "clientInfo": {"name": "memoryctl", "version": "1"},
                },
            )
            talk.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
            listed = talk.ask(2, "tools/list", {})
        finally:
            _end(process)
    server: Any = about.get("serverInfo")
    server = cast("dict[str, Any]", server) if isinstance(server, dict) else {}
    tools: Any = listed.get("tools")
    if not isinstance(tools, list) or not tools:
        raise Failed("it lists no tools")
    count = len(cast("list[Any]", tools))
    return Greeting(str(server.get("name", "")), str(server.get("version", "")), count, time.monotonic() - began)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Close its input, which tells it to leave, and kill it by its id if it stays."""
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):  # it may have left already
                pipe.close()
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Talk:
    """Lines of JSON-RPC with a process, until a deadline."""

    def __init__(self, process: "subprocess.Popen[bytes]", complaints: BinaryIO, deadline: float) -> None:
        self.process = process
        self.complaints = complaints
        self.deadline = deadline
        self.unread = b""

    def say(self, message: dict[str, Any]) -> None:
        try:
            cast(BinaryIO, self.process.stdin).write(json.dumps(message).encode() + b"\n")
        except OSError:
            raise Failed(self._left()) from None

    def ask(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.say({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            answer = self._line(method)
            if answer.get("id") != number or "method" in answer:
                continue
            if "error" in answer:
                raise Failed(f"it answers {method} with an error: {answer['error']}")
            result: Any = answer.get("result")
            if not isinstance(result, dict):
                raise Failed(f"its answer to {method} has no result")
            return cast("dict[str, Any]", result)

    def _line(self, method: str) -> dict[str, Any]:
        pipe = cast(BinaryIO, self.process.stdout)
        while b"\n" not in self.unread:
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise Failed(f"it did not answer {method} in time{self._told()}")
            data = os.read(pipe.fileno(), 65536)
            if not data:
                raise Failed(self._left())
            self.unread += data
            if len(self.unread) > MAX_BYTES:
                raise Failed("its answer has no end")
        line, _, self.unread = self.unread.partition(b"\n")
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            raise Failed(f"it writes to stdout what is no message: {line[:80]!r}") from None
        return cast("dict[str, Any]", said) if isinstance(said, dict) else {}

    def _left(self) -> str:
        try:
            code = self.process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            return f"it closed its output{self._told()}"
        return f"it left with {code}{self._told()}"

    def _told(self) -> str:
        self.complaints.seek(0, os.SEEK_END)
        self.complaints.seek(max(0, self.complaints.tell() - 4096))
        lines = self.complaints.read().decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ""
