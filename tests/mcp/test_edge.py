"""What only `edge` may know, and what it does with a fault of our own."""

import ast
import logging
from pathlib import Path

import pytest
from fastmcp import Client

from enhanced_memory.client import AsyncMemory
from enhanced_memory.mcp_server import profiles
from enhanced_memory.mcp_server.server import build

PACKAGE = Path(profiles.__file__).parent
SECRET = "what somebody remembered"
INSIDE = (
    "_mcp_server",
    "serve_dual_era_loop",
    "mcp.server.runner",
    "mcp.server.subscriptions",
    "mcp.shared",
    "fastmcp.server.context",
    "to_mcp_tool",
)


@pytest.mark.parametrize("name", INSIDE)
def test_the_inside_of_fastmcp_and_the_sdk_is_touched_in_one_module(name: str) -> None:
    # Middleware is FastMCP's public way in; only its address looks like the SDK's.
    texts = {path.name: path.read_text().replace("fastmcp.server.middleware", "") for path in PACKAGE.rglob("*.py")}
    users = {file for file, text in texts.items() if name in text}
    assert users <= {"edge.py"}


def test_importing_the_package_imports_nothing() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert [type(node) for node in tree.body] == [ast.Expr]


def test_the_tools_know_nothing_of_fastmcp() -> None:
    for path in (PACKAGE / "tools").rglob("*.py"):
        imported = [
            name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            )
        ]
        assert not [name for name in imported if name.split(".")[0] in ("fastmcp", "mcp", "pydantic")], path.name


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_fault_of_ours_is_a_tool_error_and_no_memory_reaches_the_log(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty() -> AsyncMemory:
        raise RuntimeError(SECRET)

    with caplog.at_level(logging.ERROR):
        async with Client(build(faulty), mode=mode) as client:
            result = await client.call_tool("read_graph", {}, raise_on_error=False)
    assert result.is_error
    assert result.content[0].text == "read_graph failed inside the MCP server (RuntimeError). (its stderr says where)"
    ours = [record for record in caplog.records if record.name.startswith("enhanced_memory")]
    assert len(ours) == 1
    assert "faulty" in ours[0].getMessage()
    assert SECRET not in caplog.text


async def test_servers_share_no_state() -> None:
    asked: list[str] = []

    def of(name: str) -> AsyncMemory:
        asked.append(name)
        raise RuntimeError

    async with Client(build(lambda: of("one"))) as one, Client(build(lambda: of("two"))) as two:
        await two.call_tool("read_graph", raise_on_error=False)
        await one.call_tool("read_graph", raise_on_error=False)
    assert asked == ["two", "one"]
