"""What the daemon knows about types of entities: a row each. Types that are not here are welcome and use the default row."""

from dataclasses import dataclass
from typing import Literal

from enhanced_memory.client.values import Tier

__all__ = ["DEFAULT", "KINDS", "Kind", "kind_of"]


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
