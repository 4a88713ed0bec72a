"""Tools that are one request each: arguments, checks and answer come straight from the request's declaration."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from enhanced_memory.client.operations import (
    branches,
    entities,
    journal,
    relations,
    search,
    service,
    sessions,
    skills,
    spaces,
    streams,
    versions,
)
from enhanced_memory.client.request import Question, Request
from enhanced_memory.mcp_server.fencing import flagged
from enhanced_memory.mcp_server.sandbox.offering import told_isolation
from enhanced_memory.mcp_server.tools.budget import size_of
from enhanced_memory.mcp_server.tools.code import EXECUTE_CODE, RUN_SKILL
from enhanced_memory.mcp_server.tools.conflicts import CONFLICTS, DETECT
from enhanced_memory.mcp_server.tools.curation import CURATION
from enhanced_memory.mcp_server.tools.declaration import Call, Structured, Tool
from enhanced_memory.mcp_server.tools.facts import FACTS, STORE_FACTS

__all__ = ["TOOLSETS", "request_tool"]

LISTS = (
    "hits",
    "items",
    "found",
    "skills",
    "messages",
    "sessions",
    "versions",
    "entities",
    "rows",
    "entries",
    "snapshots",
    "effects",
    "branches",
)
"""Under which key an answer holds what there may be too much of."""


def request_tool(
    request: type[Request[Any]],
    title: str,
    description: str = "",
    *,
    always: tuple[str, ...] = (),
    hidden: tuple[str, ...] = (),
    destroys: bool = False,
    repeatable: bool | None = None,
) -> Tool:
    """`request` as a tool of the same name. `always` names fields of the answer shown even as their defaults,
    `hidden` arguments that are not for clients.
    """
    reads = issubclass(request, Question)
    return Tool(
        name=request.op,
        title=title,
        description=description or (request.__doc__ or "").strip().splitlines()[0],
        takes=request,
        ask=_asking(always),
        hidden=frozenset(hidden),
        reads=reads and request is not spaces.Switch and request is not service.Backup,
        destroys=destroys,
        repeatable=reads if repeatable is None else repeatable,
    )


def _asking(always: tuple[str, ...]) -> Callable[[Call, Any], Awaitable[Structured]]:
    async def ask(call: Call, request: Request[Any]) -> Structured:
        answer = await call.ask(request)
        shown: Structured = msgspec.to_builtins(answer)
        shown |= {name: msgspec.to_builtins(getattr(answer, name)) for name in always}
        return within(flagged(shown), call.budget)

    return ask


def within(shown: Structured, budget: int) -> Structured:
    """`shown` with its list as long as fits into the budget, one item at least, and how many were left off."""
    key = next((name for name in LISTS if isinstance(shown.get(name), list)), None)
    if key is None or size_of(shown) <= budget:
        return shown
    values: list[Any] = shown[key]
    room = budget - size_of(shown | {key: []}) - 80
    fitting = 0
    for value in values:
        room -= size_of(value)
        if room < 0 and fitting:
            break
        fitting += 1
    if fitting == len(values):
        return shown
    # The daemon's cursor leads behind what is left off here: going on means asking for less at once.
    told = {name: value for name, value in shown.items() if name != "cursor"}
    return told | {
        key: values[:fitting],
        "leftOff": len(values) - fitting,
        "note": f"cut to fit: ask again with limit {fitting} and go on from its cursor",
    }


async def _status(call: Call, request: service.GetMemoryStatus) -> Structured:
    """The daemon's status, and what became of the file that this space came from."""
    status = await call.ask(request)
    listed = await call.ask(spaces.ListSpaces())
    here = next((space for space in listed.spaces if space.name == listed.current), None)
    noted = here.metadata if here is not None else {}
    shown: Structured = msgspec.to_builtins(status) | {"state": status.state}
    if call.sandbox is not None:
        shown["sandbox"] = await told_isolation(call.sandbox, call.settings)
    if "mirror" in noted:
        shown["mirror"] = noted["mirror"]
    if "imported" in noted:
        shown["imported"] = await asyncio.to_thread(_as_they_are_now, noted["imported"], noted.get("mirror"))
    return shown


def _as_they_are_now(imported: Any, mirror: Any) -> Structured:
    """What became of files that were taken in; `changedSince` where one holds something else that is not ours."""
    told: Structured = {}
    for path, report in imported.items():
        try:
            found = os.stat(path)
        except OSError:
            told[path] = report | {"gone": True}
            continue
        same = (found.st_size, found.st_mtime_ns) == (report.get("bytes", 0), report.get("mtime_ns"))
        told[path] = report if same or path == mirror else report | {"changedSince": True}
    return told


STATUS = Tool(
    name=service.GetMemoryStatus.op,
    title="Memory status",
    description="Memory status: how much is remembered, in which space, how it is stored, and whether all is well.",
    takes=service.GetMemoryStatus,
    ask=_status,
    whole=True,
    reads=True,
    repeatable=True,
)


async def _context(call: Call, request: search.GetContext) -> Structured:
    """The items with where each comes from; their text once, as data."""
    shown: Structured = msgspec.to_builtins(await call.ask(request))
    del shown["text"]
    for item in shown["items"]:
        origin: Structured = item.pop("origin", None) or {}
        item |= {key: origin[key] for key in ("agent", "session", "trust", "tool") if origin.get(key)}
        del item["tokens"]
    return within(flagged(shown), call.budget)


CONTEXT = Tool(
    name=search.GetContext.op,
    title="Get context",
    description="Context for a turn: pinned, relevant, recent and state, each once, within a token budget.",
    takes=search.GetContext,
    ask=_context,
    hidden=frozenset({"minimum_trust"}),
    reads=True,
    repeatable=True,
)

CORE = (
    CONTEXT,
    request_tool(
        streams.AppendMessages,
        "Append messages",
        "Log conversation lines (messages) in a stream, e.g. a session; a new stream is made.",
    ),
    request_tool(
        search.SearchMessages,
        "Search messages",
        "Search conversation messages by words and meaning, best first, in one stream or in all.",
        hidden=("vector", "model"),
    ),
    request_tool(
        versions.MemoryHistory,
        "Memory history",
        "History of an entity: its versions, newest first, who changed it, when, and what it said.",
    ),
    request_tool(
        versions.MemoryRevert,
        "Memory revert",
        "Revert an entity to an earlier version (number, time or snapshot), by a new version.",
        repeatable=True,
    ),
    DETECT,
    STORE_FACTS,
    EXECUTE_CODE,
    STATUS,
)

SWITCH = request_tool(
    spaces.Switch, "Switch space", "Switch to another space or to a branch for the rest of this session."
)

TOOLSETS: dict[str, tuple[Tool, ...]] = {
    "spaces": (
        request_tool(spaces.ListSpaces, "List spaces", "List the spaces (worlds of memory), and which one is in use."),
        SWITCH,
        # A space's metadata names files that the daemon writes: not for a model to set.
        request_tool(
            spaces.CreateSpace,
            "Create space",
            "Create a space; with a parent it reads through to it.",
            hidden=("metadata",),
            repeatable=True,
        ),
    ),
    "streams": (
        request_tool(streams.RecentMessages, "Recent messages", "Recent messages of a stream, oldest of them first."),
        request_tool(streams.MessagesBy, "Messages by", "Messages of a stream by time, tick, role, kind or speaker."),
        request_tool(
            streams.GetWindow,
            "Get window",
            "Window: the last messages of a stream that fit a count and a token budget.",
        ),
    ),
    "sessions": (
        request_tool(
            sessions.StartSession,
            "Start session",
            "Start a session, or go on with the one of that name.",
            repeatable=True,
        ),
        request_tool(
            sessions.EndSession,
            "End session",
            "End a session; it is summed up unless a summary is given.",
            repeatable=True,
        ),
        request_tool(
            sessions.ArchiveSession,
            "Archive session",
            "Archive a session: put it away, or (archived false) take it up again.",
            repeatable=True,
        ),
        request_tool(
            sessions.DeleteSession,
            "Delete session",
            "Delete a session; restore_entities brings it back.",
            destroys=True,
        ),
        request_tool(
            sessions.ListSessions,
            "List sessions",
            "List sessions with titles, summaries and counts, the last active first.",
        ),
        request_tool(
            streams.SetRetention,
            "Set retention",
            "Retention: keep a stream's newest messages or days; older ones are summed up and archived, not dropped.",
            repeatable=True,
        ),
        request_tool(
            streams.KeepSummary,
            "Keep summary",
            "Keep a summary of a stream: your text, or without one an extract. Windows begin with it.",
        ),
    ),
    "entities": (
        request_tool(
            entities.UpdateEntity,
            "Update entity",
            "Update an entity's type, properties, tier, priority or expiry; what is not given stays.",
            repeatable=True,
        ),
        request_tool(
            entities.RenameEntity,
            "Rename entity",
            "Rename an entity; its relations and history stay with it.",
            repeatable=True,
        ),
        request_tool(
            entities.RestoreEntities,
            "Restore entities",
            "Restore deleted entities with their relations.",
            repeatable=True,
        ),
        request_tool(
            entities.ListEntities,
            "List entities",
            "List entities by type, tag, tier or property, in order, page by page.",
        ),
        request_tool(entities.Tag, "Tag", "Tag entities.", repeatable=True),
        request_tool(entities.Untag, "Untag", "Untag: take tags from entities.", repeatable=True),
        request_tool(
            entities.Pin, "Pin", "Pin entities, so that every context holds them, or unpin them.", repeatable=True
        ),
        request_tool(
            entities.Confirm, "Confirm", "Confirm that what entities or some of their observations say is still true."
        ),
        request_tool(
            entities.Quarantine,
            "Quarantine",
            "Quarantine entities: searches no longer show them; or release them.",
            repeatable=True,
        ),
    ),
    "facts": FACTS,
    "skills": (
        request_tool(
            skills.SaveSkill,
            "Save skill",
            "Save a skill: code under a name, to be run again.",
            repeatable=True,
            hidden=("message",),
        ),
        request_tool(
            skills.ListSkills,
            "List skills",
            "List skills: what each does and takes, how often it ran and how it fared.",
        ),
        RUN_SKILL,
    ),
    "graph": (
        request_tool(
            relations.FindRelated,
            "Find related",
            "Related entities within some steps, by relation types and direction.",
        ),
        request_tool(relations.FindPath, "Find path", "Path: the shortest way between two entities over relations."),
    ),
    "versions": (
        *CONFLICTS,
        request_tool(
            versions.MemoryCommit,
            "Memory commit",
            "Commit: give what this space knows now a name (a snapshot) that may stand wherever a time may.",
        ),
        request_tool(versions.ListSnapshots, "List snapshots", "List the snapshots of this space, the newest first."),
        request_tool(
            versions.MemoryDiff,
            "Memory diff",
            "Diff of an entity between two versions, times or snapshots: observations, properties, tags, relations.",
        ),
        request_tool(
            versions.GraphAt,
            "Graph at",
            "The graph as it was known at a change, a time or a snapshot, page by page.",
        ),
        request_tool(
            journal.Journal,
            "Journal",
            "Journal: what was changed, by whom, when, why and what it touched, newest first.",
        ),
        request_tool(
            journal.Undo,
            "Undo",
            "Undo a change, or all by an agent or session since a time. Tells what would happen unless dry_run is false.",
            always=("dry_run", "conflicts"),
            destroys=True,
        ),
        request_tool(
            journal.Redo,
            "Redo",
            "Redo what was undone. Tells what would happen unless dry_run is false.",
            always=("dry_run", "conflicts"),
        ),
        request_tool(
            branches.MemoryBranch,
            "Branch memory",
            "Branch memory: try out changes apart from the rest, of everything or of one entity. Then switch to it.",
        ),
        request_tool(branches.ListBranches, "List branches", "List the branches of memory, and which is in use."),
        # Beside the branches, so that the toolset is enough to work in one.
        SWITCH,
        request_tool(
            branches.DiffBranch,
            "Diff branch",
            "Diff a branch against its parent: what was added, removed and changed.",
        ),
        request_tool(
            branches.MergeBranch,
            "Merge branch",
            "Merge a branch into its parent. What both changed comes back as conflicts with both sides and stays open, "
            "unless a strategy settles it; dry_run tells what would happen.",
            repeatable=True,
        ),
        request_tool(branches.DiscardBranch, "Discard branch", "Discard a branch, merged or not.", destroys=True),
        *CONFLICTS,
    ),
    "curation": CURATION,
    "admin": (
        request_tool(service.Verify, "Verify", "Verify the whole store: file, checksums and indexes.", always=("ok",)),
        request_tool(
            service.Backup,
            "Backup",
            "Back up the store into a file that is checked; `to` is a folder or a new file.",
            repeatable=False,
        ),
        request_tool(
            service.Reindex,
            "Reindex",
            "Reindex: make the words index and the vectors anew in the background; again: how far it is.",
            repeatable=True,
            always=("state",),
        ),
        request_tool(
            service.AccessLog, "Access log", "Access log: who asked for what and what came of it, newest first."
        ),
    ),
}
"""What may be chosen beside the core."""
