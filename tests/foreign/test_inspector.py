"""The Inspector's command line: what it finds wrong with our schemas is nothing, and a call is a call."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Node = Callable[..., subprocess.CompletedProcess[str]]
Serving = Any
"""A process that serves: its `url`, and `token(name)`."""

INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


@ERAS
@pytest.mark.parametrize("profile", ["core", "compat", "full"])
def test_no_schema_is_found_wanting(
    node: Node, environment: dict[str, str], command: list[str], profile: str, era: str
) -> None:
    """`--strict` ends with 6 where a schema would not carry to every model's tool format."""
    ran = inspected(
        node, [*command, "--profile", profile], environment, "--method", "tools/list", "--strict", "--protocol-era", era
    )
    assert not re.search(r"(?i)\berror:|\berrors?\b(?! *[\",])", ran)


@ERAS
def test_a_call_on_stdio(node: Node, environment: dict[str, str], command: list[str], era: str) -> None:
    entities = {"entities": [{"name": "Keeper", "entityType": "t", "observations": ["lamp"]}]}
    call = ["--method", "tools/call", "--protocol-era", era]
    inspected(
        node, command, environment, *call, "--tool-name", "create_entities", "--tool-args-json", json.dumps(entities)
    )
    found = inspected(
        node, command, environment, *call, "--tool-name", "search_nodes", "--tool-args-json", '{"query":"lamp"}'
    )
    assert "Keeper" in found


@ERAS
def test_a_call_over_http(node: Node, server: Serving, era: str) -> None:
    given = ["--header", f"Authorization: Bearer {server.token('keeper')}", "--protocol-era", era]
    ran = node(INSPECTOR, "--cli", server.url, *given, "--method", "tools/list", "--strict")
    assert ran.returncode == 0, ran.stderr
    ran = node(
        INSPECTOR,
        "--cli",
        server.url,
        *given,
        "--method",
        "tools/call",
        "--tool-name",
        "get_memory_status",
        "--format",
        "json",
    )
    assert ran.returncode == 0, ran.stderr
    assert '"space":"keeper"' in ran.stdout.replace(" ", "").replace("\\", "")


def inspected(node: Node, command: list[str], environment: dict[str, str], *asked: str) -> str:
    """What it says of our server, launched with this environment."""
    variables = [part for name, value in environment.items() if name != "PATH" for part in ("-e", f"{name}={value}")]
    ran = node(INSPECTOR, "--cli", *variables, *asked, *command)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return ran.stdout + ran.stderr
