"""The same calls put to the real official server and to the exact profile, side by side; `docs/drop-in.md` lists
every difference.

The server is installed from its public registry into `build/`, once; without npm, or without a way there, the tests
say so.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from enhanced_memory.client import AsyncMemory
from enhanced_memory.mcp_server.profiles import COMPAT
from enhanced_memory.mcp_server.server import build
from enhanced_memory.mcp_server.session import Launch

ROOT = Path(__file__).parents[2]
PACKAGE = "@modelcontextprotocol/server-memory"
VERSION = "2026.8.31"
FOLDER = ROOT / "build" / "official"

Step = tuple[str, dict[str, Any]]
Told = dict[str, Any]

ADA = {"name": "Ada", "entityType": "person", "observations": ["likes tea", "ünï ☃", "likes tea"]}
BOB = {"name": "Bob", "entityType": "Person-Type", "observations": []}
EMPTY = {"name": "", "entityType": "", "observations": [""]}
WORKS = {"from": "Ada", "to": "Acme", "relationType": "works_at"}
KNOWS = {"from": "Bob", "to": "Ghost", "relationType": "knows"}

SAME: list[Step] = [
    ("read_graph", {}),
    ("open_nodes", {"names": []}),
    ("search_nodes", {"query": ""}),
    ("create_entities", {"entities": [ADA, BOB]}),
    ("create_entities", {"entities": [ADA | {"observations": ["other"]}]}),
    ("create_entities", {"entities": []}),
    (
        "create_entities",
        {"entities": [{"name": "Acme", "entityType": "company", "observations": [], "more": 1}], "also": {}},
    ),
    ("create_entities", {"entities": [{"name": "ada", "entityType": "other case", "observations": ["x"]}]}),
    ("create_entities", {"entities": [EMPTY]}),
    ("create_relations", {"relations": [WORKS, KNOWS]}),
    ("create_relations", {"relations": [WORKS]}),
    (
        "create_relations",
        {"relations": [WORKS | {"relationType": "owns"}, {"from": "No", "to": "Where", "relationType": ""}]},
    ),
    ("add_observations", {"observations": [{"entityName": "Ada", "contents": ["likes tea", "plays chess"]}]}),
    ("add_observations", {"observations": [{"entityName": "Bob", "contents": []}]}),
    (
        "add_observations",
        {"observations": [{"entityName": "Ada", "contents": ["a"]}, {"entityName": "Nobody", "contents": ["b"]}]},
    ),
    (
        "add_observations",
        {
            "observations": [
                {"entityName": "Ada", "contents": ["one"]},
                {"entityName": "Ada", "contents": ["one", "two"]},
            ]
        },
    ),
    ("read_graph", {}),
    ("read_graph", {"unknown": [1]}),
    ("search_nodes", {"query": "TEA"}),
    ("search_nodes", {"query": "ES CH"}),
    ("search_nodes", {"query": "son-ty"}),
    ("search_nodes", {"query": "NÏ"}),
    ("search_nodes", {"query": ".*"}),
    ("search_nodes", {"query": "ghost"}),
    ("search_nodes", {"query": ""}),
    ("open_nodes", {"names": ["Acme", "Ada", "Nobody", "Ada"]}),
    ("open_nodes", {"names": ["ADA"]}),
    ("open_nodes", {"names": ["Ghost"]}),
    (
        "delete_observations",
        {
            "deletions": [
                {"entityName": "Ada", "observations": ["likes tea", "never"]},
                {"entityName": "No", "observations": ["x"]},
            ]
        },
    ),
    ("open_nodes", {"names": ["Ada"]}),
    ("delete_relations", {"relations": [KNOWS, WORKS | {"relationType": "nothing"}]}),
    ("delete_entities", {"entityNames": ["Acme", "Unknown", ""]}),
    ("read_graph", {}),
    ("delete_entities", {"entityNames": ["No"]}),
    ("create_entities", {"entities": [{"name": "Acme", "entityType": "again", "observations": ["new"]}]}),
    ("read_graph", {}),
]
"""Calls that are answered alike, to the byte, in this order on one memory."""


def official() -> Path | None:
    """The server's program, installed if need be."""
    program = FOLDER / "node_modules" / PACKAGE / "dist" / "index.js"
    if program.exists():
        return program
    if shutil.which("npm") is None:
        return None
    command = [
        "npm",
        "install",
        "--no-fund",
        "--no-audit",
        "--no-save",
        "--prefix",
        str(FOLDER),
        f"{PACKAGE}@{VERSION}",
    ]
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=180)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return program


@pytest.fixture(scope="module")
def program() -> Path:
    """The official server's program."""
    found = official()
    if found is None:
        pytest.skip(f"THE OFFICIAL SERVER IS NOT THERE TO COMPARE WITH: npm cannot install {PACKAGE}@{VERSION}")
    return found


class Pair:
    """Both servers, on a memory each."""

    def __init__(self, theirs: Client[Any], ours: Client[Any], file: Path) -> None:
        self.theirs, self.ours, self.file = theirs, ours, file

    async def ask(self, tool: str, arguments: dict[str, Any]) -> tuple[Told, Told]:
        """What each answers."""
        return await told(self.theirs, tool, arguments), await told(self.ours, tool, arguments)


async def told(client: Client[Any], tool: str, arguments: dict[str, Any]) -> Told:
    result = await client.call_tool_mcp(tool, arguments)
    return {
        "content": [item.model_dump(include={"type", "text"}) for item in result.content],
        "structured": result.structured_content,
        "error": bool(result.is_error),
    }


@pytest.fixture
async def pair(program: Path, memory: AsyncMemory, tmp_path: Path) -> AsyncIterator[Pair]:
    """Both servers in the protocol era that the official one speaks."""
    file = tmp_path / "memory.jsonl"
    environment = {"PATH": os.environ["PATH"], "MEMORY_FILE_PATH": str(file)}
    log = tmp_path / "theirs.log"
    transport = StdioTransport("node", [str(program)], env=environment, log_file=log, keep_alive=False)
    async with Client(transport, mode="legacy") as theirs, Client(build(lambda: memory, COMPAT), mode="legacy") as ours:
        yield Pair(theirs, ours, file)


async def test_the_same_calls_are_answered_alike(pair: Pair) -> None:
    for number, (tool, arguments) in enumerate(SAME):
        theirs, ours = await pair.ask(tool, arguments)
        assert ours == theirs, (number, tool, arguments)


async def test_what_theirs_wrote_is_what_ours_holds(pair: Pair) -> None:
    for tool, arguments in SAME:
        await pair.ask(tool, arguments)
    records = [json.loads(line) for line in pair.file.read_text().splitlines()]
    graph = (await told(pair.ours, "read_graph", {}))["structured"]
    assert [{"type": "entity"} | one for one in graph["entities"]] == [
        one for one in records if one["type"] == "entity"
    ]
    assert [{"type": "relation"} | one for one in graph["relations"]] == [
        one for one in records if one["type"] == "relation"
    ]


async def test_the_resource_is_the_same(pair: Pair) -> None:
    await pair.ask("create_entities", {"entities": [ADA, BOB]})
    shown = [await client.read_resource("memory://knowledge-graph") for client in (pair.theirs, pair.ours)]
    assert [content.model_dump(include={"uri", "mime_type", "text"}) for content in shown[1]] == [
        content.model_dump(include={"uri", "mime_type", "text"}) for content in shown[0]
    ]
    listed = [
        [
            one.model_dump(include={"uri", "name", "title", "description", "mime_type"})
            for one in await client.list_resources()
        ]
        for client in (pair.theirs, pair.ours)
    ]
    assert listed[1] == listed[0]


async def test_a_file_is_taken_in_while_theirs_writes_it(program: Path, memory: AsyncMemory, tmp_path: Path) -> None:
    """Theirs writes the whole file anew with each change, so a reader may meet any part of it."""
    file, log = tmp_path / "busy.jsonl", tmp_path / "theirs.log"
    environment = {"PATH": os.environ["PATH"], "MEMORY_FILE_PATH": str(file)}
    transport = StdioTransport("node", [str(program)], env=environment, log_file=log, keep_alive=False)
    before = [ADA | {"name": f"before {number}"} for number in range(400)]
    going = True
    async with Client(transport, mode="legacy") as theirs:
        await theirs.call_tool("create_entities", {"entities": before})
        during = 0

        async def go_on() -> None:
            nonlocal during
            while going:
                await theirs.call_tool("create_entities", {"entities": [ADA | {"name": f"during {during}"}]})
                during += 1

        writing = asyncio.ensure_future(go_on())
        launch = Launch(str(tmp_path), str(file), False, str(tmp_path / "home"))
        async with Client(build(lambda: memory, COMPAT, lambda: launch), mode="legacy") as ours:
            first = await told(ours, "read_graph", {})
            going = False
            await writing
            assert not first["error"]
            names = {one["name"] for one in first["structured"]["entities"]}
            kept = {one["name"] for one in json.loads("[" + ",".join(file.read_text().splitlines()) + "]")}
            assert names <= kept
            assert names >= {one["name"] for one in before}
            again = await told(ours, "create_entities", {"entities": [ADA | {"name": "ours"}]})
            assert not again["error"]
        assert len(kept) == len(before) + during
        assert json.loads(file.read_text().splitlines()[0])["name"] == "before 0"


DIFFERENT: dict[str, tuple[list[Step], Step]] = {
    "two entities of one name in one call: the first wins": (
        [("create_entities", {"entities": [ADA, ADA | {"entityType": "robot"}]})],
        ("open_nodes", {"names": ["Ada"]}),
    ),
    "equal observations in one add_observations are added once": (
        [("create_entities", {"entities": [BOB]})],
        ("add_observations", {"observations": [{"entityName": "Bob", "contents": ["x", "x"]}]}),
    ),
    "words are found that do not stand together": (
        [
            (
                "create_entities",
                {"entities": [{"name": "John", "entityType": "person", "observations": ["speaks Spanish"]}]},
            )
        ],
        ("search_nodes", {"query": "John Spanish"}),
    ),
    "the best hit comes first": (
        [
            (
                "create_entities",
                {
                    "entities": [
                        {"name": name, "entityType": "x", "observations": said}
                        for name, said in (("a", ["tea time"]), ("tea", []))
                    ]
                },
            )
        ],
        ("search_nodes", {"query": "tea"}),
    ),
    "a blank query is an empty one": ([("create_entities", {"entities": [BOB]})], ("search_nodes", {"query": "   "})),
    "a NUL character is refused": ([], ("create_entities", {"entities": [BOB | {"name": "a\0b"}]})),
    "a name of more than 2,000 characters is refused": (
        [],
        ("create_entities", {"entities": [BOB | {"name": "x" * 2001}]}),
    ),
    "wrong arguments are named in our words": ([], ("create_entities", {"entities": "[]"})),
    "an unknown tool is named in our words": ([], ("nope", {})),
}
"""Differences, each on purpose: what was done before, and the call that is answered otherwise."""


@pytest.mark.parametrize("difference", DIFFERENT)
async def test_each_difference_is_one_and_is_written_down(pair: Pair, difference: str) -> None:
    before, (tool, arguments) = DIFFERENT[difference]
    for step in before:
        await pair.ask(*step)
    theirs, ours = await pair.ask(tool, arguments)
    assert ours != theirs
    assert difference in (ROOT / "docs" / "drop-in.md").read_text("utf-8")
