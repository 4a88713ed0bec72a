"""Profiles: which tools a client is shown, and whether their answers hold more than their contract names."""

from dataclasses import dataclass
from functools import cache

from enhanced_memory.client.errors import Invalid
from enhanced_memory.mcp_server.tools.declaration import Tool
from enhanced_memory.mcp_server.tools.official import GENEROUS, OFFICIAL
from enhanced_memory.mcp_server.tools.requests import CORE as BESIDE
from enhanced_memory.mcp_server.tools.requests import TOOLSETS

__all__ = ["COMPAT", "CORE", "FULL", "NAMES", "Profile", "profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """A choice of tools, in the order in which they are listed."""

    name: str
    tools: tuple[Tool, ...]
    exact: bool = False
    """Whether a tool takes and gives what its contract names and nothing more, output schemas included."""


def _once(*tools: Tool) -> tuple[Tool, ...]:
    """Each tool where it comes first: toolsets may share one."""
    return tuple({tool.name: tool for tool in tools}.values())


CORE = Profile("core", (*GENEROUS, *BESIDE))
COMPAT = Profile("compat", OFFICIAL, exact=True)
FULL = Profile("full", _once(*CORE.tools, *(tool for tools in TOOLSETS.values() for tool in tools)))

NAMES = ("compat", "core", "full", *TOOLSETS)
"""What a profile may be called; toolsets may also be listed with commas between."""


@cache
def profile(text: str) -> Profile:
    """The profile of a name, or of a comma list of toolsets, which are listed in a fixed order behind `core` if it is
    among them.

    `Invalid` for a name that there is not, and for `compat` with anything beside it: it would be exact no more.
    """
    chosen = {name.strip() for name in text.split(",")} - {""}
    unknown = sorted(chosen.difference(NAMES))
    if unknown:
        raise Invalid(f"There is no profile {unknown[0]!r}.", f"use {', '.join(NAMES)}, or several with commas between")
    if "compat" in chosen and len(chosen) > 1:
        raise Invalid("The profile 'compat' is exactly the official tools.", "use core with the toolsets instead")
    if not chosen or chosen == {"core"}:
        return CORE
    if chosen == {"compat"}:
        return COMPAT
    if "full" in chosen:
        return FULL
    tools = _once(
        *(CORE.tools if "core" in chosen else ()),
        *(tool for name, tools in TOOLSETS.items() if name in chosen for tool in tools),
    )
    return Profile(",".join(name for name in NAMES if name in chosen), tools)
