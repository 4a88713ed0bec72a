"""Curation as tools: tiers by hand, and curation by rules. How much it may do at once is not for a model to say."""

from typing import Any

import msgspec

from enhanced_memory.client.operations import curation
from enhanced_memory.mcp_server.tools.budget import size_of
from enhanced_memory.mcp_server.tools.declaration import Call, Structured, Tool
from enhanced_memory.mcp_server.tools.waiting import STEP_S, answered, awaited

__all__ = ["CURATION"]


async def _curated(call: Call, request: curation.AutonomousCuration) -> Structured:
    look = curation.AutonomousCuration(start=False, limit=request.limit, wait_s=STEP_S)
    answer = await awaited(
        call, request, look, lambda told: (told.entities, max(told.entities, told.total)), "curating"
    )
    shown: Structured = msgspec.to_builtins(answer) | {"dry_run": answer.dry_run}
    return _within(shown, call.budget)


def _within(shown: Structured, budget: int) -> Structured:
    """As many acts as fit; the counts tell of all."""
    acts: list[Any] = shown.get("acts", [])
    while len(acts) > 1 and size_of(shown) > budget:
        acts = acts[: len(acts) // 2]
        shown |= {"acts": acts, "note": "not all acts are told: ask for one rule at a time"}
    return shown


CURATE = Tool(
    name=curation.AutonomousCuration.op,
    title="Curate memory",
    description="Curate: promote what has settled, make knowledge of what episodes repeat. Tells what it would do unless dry_run is false; undo takes it back.",
    takes=curation.AutonomousCuration,
    ask=_curated,
    hidden=frozenset({"cap"}),
    destroys=True,
    repeatable=True,
)

PROMOTE = Tool(
    name=curation.PromoteToTier.op,
    title="Promote to tier",
    description="Promote an entity to a tier, or demote it: working, episodic, semantic, procedural.",
    takes=curation.PromoteToTier,
    ask=answered,
    repeatable=True,
)

CURATION = (PROMOTE, CURATE)
"""Tools of the toolset `curation`."""
