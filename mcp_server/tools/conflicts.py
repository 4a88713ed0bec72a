"""Conflicts as tools: looking before storing, scanning, listing, and resolving, where a person may be asked which to keep."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations import conflicts
from enhanced_memory.client.values import EntityInput, Ref
from enhanced_memory.mcp_server.fencing import flagged, visible
from enhanced_memory.mcp_server.tools.declaration import Call, Choice, Structured, Tool
from enhanced_memory.mcp_server.tools.waiting import STEP_S, answered, awaited

__all__ = ["CONFLICTS", "DETECT"]

QUOTED = 300
"""Characters of each side that a question quotes."""

SCAN_S = 20.0
"""How long one call waits for a scan."""


class EntityData(msgspec.Struct, rename="camel"):
    """An entity that may be stored."""

    name: str
    entity_type: str
    observations: list[str]


class DetectArguments(msgspec.Struct):
    """What is to be compared with what is remembered."""

    entity_data: EntityData
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.85


async def _detect(call: Call, given: DetectArguments) -> Structured:
    data = given.entity_data
    request = conflicts.DetectConflicts(
        entities=[EntityInput(data.name, data.entity_type, list(data.observations))], threshold=given.threshold
    )
    answer = await call.ask(request)
    shown: Structured = msgspec.to_builtins(answer)
    return flagged(shown) | {"conflict_count": len(answer.conflicts)}


DETECT = Tool(
    name=conflicts.DetectConflicts.op,
    title="Detect conflicts",
    description="Detect what data would duplicate, update or contradict, before it is stored. Nothing is written.",
    takes=DetectArguments,
    ask=_detect,
    reads=True,
    repeatable=True,
)


async def _scan(call: Call, request: conflicts.ScanConflicts) -> Structured:
    look = conflicts.ScanConflicts(start=False, wait_s=STEP_S)
    scan = await awaited(call, request, look, lambda told: (told.done, told.total), "comparing")
    return msgspec.to_builtins(scan)


async def _which(memory: AsyncMemory, given: conflicts.ResolveConflict) -> Choice | None:
    """Which of the two a person wants to keep, where the model does not say."""
    if given.keep is not None or given.action == "ignore":
        return None
    page = await memory.send(conflicts.ListConflicts(status="any", before=given.conflict + 1, limit=1))
    one = next((each for each in page.conflicts if each.id == given.conflict), None)
    if one is None:
        raise NotFound(f"There is no conflict {given.conflict}.", "see `list_conflicts`")
    if one.status != "pending" or one.gone:
        return None  # the daemon says why that cannot be resolved
    alone = one.entity_id == one.conflicting_entity_id
    keys: tuple[Ref, Ref] = ("older", "newer") if alone else (one.entity_id, one.conflicting_entity_id)
    verb = {"merge": "be kept", "update": "rank above the other", "branch": "stay here"}[given.action]
    sides = (_side("older", one.entity, one.entity_says), _side("newer", one.conflicting_entity, one.conflicting_says))
    question = f"Conflict {one.id} ({one.type}, {one.reason}). {sides[0]} {sides[1]} Which should {verb}?"
    return Choice(question, "keep", {"older": keys[0], "newer": keys[1]})


def _side(which: str, name: str, says: str | None) -> str:
    said = f" says: “{visible(says[:QUOTED])}{'…' if len(says) > QUOTED else ''}”" if says else ""
    return f"The {which}, “{visible(name[:QUOTED])}”{said}."


def _tool(
    request: type[Any],
    title: str,
    description: str,
    ask: Callable[[Call, Any], Awaitable[Structured]] = answered,
    **more: Any,
) -> Tool:
    return Tool(name=request.op, title=title, description=description, takes=request, ask=ask, **more)


CONFLICTS = (
    _tool(
        conflicts.ListConflicts,
        "List conflicts",
        "List recorded conflicts with what both sides say, newest first.",
        reads=True,
        repeatable=True,
    ),
    _tool(
        conflicts.ScanConflicts,
        "Scan for conflicts",
        "Scan the whole space for conflicts in the background and record them; call again to see how far it is.",
        _scan,
        repeatable=True,
    ),
    _tool(
        conflicts.ResolveConflict,
        "Resolve conflict",
        "Resolve a conflict: merge both, update (one ranks above the other), branch (set one apart), or ignore.",
        chooses=_which,
        destroys=True,
    ),
)
"""Tools of the toolset `versions`."""
