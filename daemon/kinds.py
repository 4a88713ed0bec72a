"""What the daemon knows about types of entities: a row each. Types that are not here are welcome and use the default row."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.values import Tier

__all__ = ["DEFAULT", "KINDS", "Kind", "kind_of", "lifetimes"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How entities of one type are kept."""

    text: tuple[str, ...] | None = None
    """Properties whose text is searched; None: every property that holds text."""
    indexed: tuple[str, ...] | None = None
    """Properties that can be filtered and ordered by; None: every scalar one."""
    tier: Tier = "working"
    scope: Literal["shared", "type", "own"] = "shared"
    """Where a name is unique: among all entities, among those of the type, or nowhere (two characters of one name are two characters)."""
    expires_after_s: float | None = None
    versions: int | None = None
    """How many versions are kept; None: all."""


DEFAULT = Kind()

KINDS: dict[str, Kind] = {
    "session": Kind(text=("title", "summary"), scope="type"),
    "character": Kind(text=("description", "background", "persona"), scope="own"),
    "prop": Kind(text=("description", "category"), scope="own"),
    "agent_config": Kind(text=("display_name",), scope="type"),
    "preference": Kind(scope="type"),
    "user_profile": Kind(scope="type"),
    "agent_state": Kind(text=(), scope="type", versions=20),
    "persona": Kind(scope="type"),
    "tool": Kind(scope="type", tier="procedural"),
    "workflow": Kind(scope="type", tier="procedural"),
    "skill": Kind(text=("description",), scope="type", tier="procedural"),
    "summary": Kind(scope="own", tier="semantic"),
    "memory_entry": Kind(scope="type"),
}


def kind_of(type_name: str) -> Kind:
    """The row for entities of `type_name`."""
    return KINDS.get(type_name, DEFAULT)


_DAY_S = 86400.0
LONGEST_DAYS = 36_500.0


@lru_cache(8)
def lifetimes(text: str) -> dict[str, float]:
    """Seconds after which entities expire, by type: the kinds' own, and over them what the setting `expire_after_days` says.

    `Invalid` names the part of it that says nothing.
    """
    found = {name: kind.expires_after_s for name, kind in KINDS.items() if kind.expires_after_s is not None}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, days = (each.strip() for each in part.rpartition("="))
        try:
            number = float(days)
        except ValueError:
            number = math.nan
        if not name or not 0 < number <= LONGEST_DAYS:
            raise Invalid(
                f"expire_after_days: {part[:60]!r} is no type with a number of days.",
                f"write it as in `note=30, agent_state=0.5`, with up to {LONGEST_DAYS:,.0f} days",
            )
        found[name] = number * _DAY_S
    return found
