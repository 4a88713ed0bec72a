"""Remember something through the MCP server and find it again, as an MCP client does.

The client is the `mcp` SDK over stdio: it launches the server, initialises, lists the tools, stores one entity and
searches for it. With --find nothing is stored, so that a second call shows what outlived the first. The entity goes
into a space of its own; nobody's memories are touched. The exit code is 1, with a word why, where the search fails.
"""

import argparse
import asyncio
import json
import os
import sys
from typing import Any

from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent

ENTITY = {
    "name": "round trip",
    "entityType": "demonstration",
    "observations": ["The lighthouse keeper wrote this down so that tomorrow's watch would know."],
}
QUERY = "lighthouse"

# An MCP client hands its server few variables of its own accord. These say which daemon and which store are meant.
FOLLOWED = ("ENHANCED_MEMORY_", "XDG_RUNTIME_DIR")


class Failed(Exception):
    """The round trip did not come back with what was sent."""


def main() -> int:
    """Make the round trip that the arguments ask for; 0 when the memory was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", default="memory-mcp", help="the MCP server's command (default: %(default)s)")
    parser.add_argument("--space", default="demo", help="the space to use (default: %(default)s)")
    parser.add_argument("--find", action="store_true", help="store nothing; only find what an earlier call stored")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="give up after (default: 60)")
    chosen = parser.parse_args()
    try:
        asyncio.run(within(chosen.timeout, chosen.server, chosen.space, store=not chosen.find))
    except Failed as failure:
        print(f"round trip failed: {failure}", file=sys.stderr)
        return 1
    except TimeoutError:
        print(f"round trip failed: no answer within {chosen.timeout:g} s", file=sys.stderr)
        return 1
    return 0


async def within(timeout_s: float, server: str, space: str, *, store: bool) -> None:
    """Make the round trip, or raise TimeoutError."""
    async with asyncio.timeout(timeout_s):
        await round_trip(server, space, store=store)


async def round_trip(server: str, space: str, *, store: bool) -> None:
    """Launch the server, store the entity if asked, and find it."""
    followed = {name: value for name, value in os.environ.items() if name.startswith(FOLLOWED)}
    launched = StdioServerParameters(command=server, env={**followed, "ENHANCED_MEMORY_SPACE": space})
    async with stdio_client(launched) as (read, write), ClientSession(read, write) as session:
        hello = await session.initialize()
        print(f"initialize      {hello.server_info.name} {hello.server_info.version}, MCP {hello.protocol_version}")
        tools = (await session.list_tools()).tools
        print(f"tools/list      {', '.join(tool.name for tool in tools)}")
        if store:
            made = answer("create_entities", await session.call_tool("create_entities", {"entities": [ENTITY]}))
            print(f"create_entities {brief(made)}")
        found = answer("search_nodes", await session.call_tool("search_nodes", {"query": QUERY}))
        print(f"search_nodes    {brief(found)}")
    names = [entity["name"] for entity in found.get("entities", [])]
    if ENTITY["name"] not in names:
        raise Failed(f"a search for {QUERY!r} found {names or 'nothing'}, not {ENTITY['name']!r}")


def answer(tool: str, result: CallToolResult) -> dict[str, Any]:
    """Give the tool's answer as data; an answer that is an error raises Failed with the server's words."""
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if result.is_error:
        raise Failed(f"{tool} answered: {text}")
    if result.structured_content is None:
        raise Failed(f"{tool} answered without structured content: {text}")
    return result.structured_content


def brief(value: dict[str, Any]) -> str:
    """Say it in one line that fits a terminal."""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= 300 else line[:299] + "…"


if __name__ == "__main__":
    sys.exit(main())
