"""The official TypeScript clients, the one that most hosts carry today and its successor, on stdio and over HTTP."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Node = Callable[..., subprocess.CompletedProcess[str]]
Serving = Any
"""A process that serves: its `url`, and `token(name)`."""

CLIENT = Path(__file__).with_name("client.mjs")
GRAPH = "memory://knowledge-graph"
SDKS = pytest.mark.parametrize(("sdk", "era"), [("v1", "legacy"), ("v2", "legacy"), ("v2", "modern")])
TEXT = "Keeps the lamp — «ünïcödé» ✓"


def session(node: Node, given: dict[str, object]) -> None:
    """List, subscribe, create, be told, call in vain, read: as it should be."""
    ran = node(CLIENT, json.dumps(given | {"name": "Keeper"}))
    assert ran.returncode == 0, ran.stderr
    met = json.loads(ran.stdout)
    assert met["server"]["name"] == "enhanced-memory"
    assert {"create_entities", "search_nodes", "get_memory_status"} <= set(met["tools"])
    assert met["made"]["isError"] is False
    assert met["made"]["structuredContent"]["entities"][0]["observations"] == [TEXT]
    assert json.loads(met["made"]["content"][0]["text"]) == met["made"]["structuredContent"]["entities"]
    assert met["told"] == GRAPH
    assert met["wrong"]["isError"] is True
    assert "names" in met["wrong"]["content"][0]["text"]
    assert met["graph"]["entities"] == [{"name": "Keeper", "entityType": "keeper", "observations": [TEXT]}]


@SDKS
def test_a_session_on_stdio(
    node: Node, tools: Path, environment: dict[str, str], command: list[str], sdk: str, era: str
) -> None:
    launched = {"command": command[0], "args": command[1:], "env": environment}
    session(node, {"tools": str(tools), "sdk": sdk, "era": era} | launched)


@SDKS
def test_a_session_over_http(node: Node, tools: Path, server: Serving, sdk: str, era: str) -> None:
    token = server.token("keeper")
    session(node, {"tools": str(tools), "sdk": sdk, "era": era, "url": server.url, "token": token})


def test_a_session_over_http_without_a_token_is_refused(node: Node, tools: Path, server: Serving) -> None:
    given = {"tools": str(tools), "sdk": "v2", "era": "legacy", "url": server.url, "token": "em_none", "name": "x"}
    ran = node(CLIENT, json.dumps(given))
    assert ran.returncode != 0
    assert "401" in ran.stderr or "nauthorized" in ran.stderr
