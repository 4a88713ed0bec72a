"""Curation as tools: tiers by hand, what has expired, and curation by rules."""

from typing import Any

import msgspec

from enhanced_memory.client.operations import curation
from enhanced_memory.mcp_server.tools.declaration import Call, Structured, Tool

__all__ = ["CURATION"]


async def _answered(call: Call, request: Any) -> Structured:
    return msgspec.to_builtins(await call.ask(request))


PROMOTE = Tool(
    name=curation.PromoteToTier.op,
    title="Promote to tier",
    description="Promote an entity to a tier, or demote it: working, episodic, semantic, procedural.",
    takes=curation.PromoteToTier,
    ask=_answered,
    repeatable=True,
)

EXPIRE = Tool(
    name=curation.Expire.op,
    title="Expire",
    description="Expire: delete softly what has expired, now; the daemon does so by itself before long.",
    takes=curation.Expire,
    ask=_answered,
    hidden=frozenset({"wait_s"}),
    destroys=True,
    repeatable=True,
)

CURATION = (PROMOTE, EXPIRE)
"""Tools of the toolset `curation`."""
