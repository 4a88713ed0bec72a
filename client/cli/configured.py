"""`memoryctl clients`: the MCP clients that are known, and what is configured for them."""

from dataclasses import dataclass

import msgspec

from enhanced_memory.client.cli.changing import servers
from enhanced_memory.client.cli.clients import CLIENTS, Client, Scope
from enhanced_memory.client.cli.declare import Answer, Call, verb
from enhanced_memory.client.cli.installed import read_state
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.errors import Invalid

__all__ = ["Known"]


@dataclass
class Known:
    """A client, and what is configured for it."""

    name: str
    title: str
    found: bool
    file: str
    state: str
    """`memory-mcp`, `official` (the official memory server), `malformed`, or empty."""
    project_file: str
    project_state: str
    hooks: bool
    page: str


@verb("clients", "List the MCP clients that are known, which are here, and which are configured.")
def clients(call: Call) -> Answer:
    """Looks only at files; `memoryctl doctor` tries what they launch."""
    del call
    noted = read_state()
    hooked = {note.client for note in noted if note.what == "hooks" and note.scope == "user"}
    every = [
        Known(
            client.name,
            client.title,
            client.found,
            str(client.file("user") or ""),
            _state(client, "user"),
            str(client.file("project") or "") if "project" in client.scopes else "",
            _state(client, "project") if "project" in client.scopes else "",
            client.name in hooked,
            client.page,
        )
        for client in CLIENTS
    ]

    def tell(paper: Paper) -> None:
        rows = [
            (
                each.name,
                "yes" if each.found else "",
                each.state or "–",
                (each.project_state or "–") if each.project_file else "",
                each.file,
            )
            for each in every
        ]
        paper.table(("client", "here", "configured", "in this project", "file"), rows)

    return Answer(msgspec.to_builtins(every), tell)


def _state(client: Client, scope: Scope) -> str:
    try:
        found = servers(client, scope)
    except Invalid:
        return "malformed"
    launches = list(found.launches().values()) if found else []
    if any(each.ours for each in launches):
        return "memory-mcp"
    return "official" if any(each.official for each in launches) else ""
