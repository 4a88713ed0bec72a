"""What the daemon knows about types of entities: a row each. Types that are not here are welcome and use the default row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from enhanced_memory.client.values import Tier
from enhanced_memory.daemon.properties import Property, check_properties

__all__ = ["DEFAULT", "KINDS", "Kind", "accept", "kind_of"]


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
    curated: bool = True
    """Whether entities go from tier to tier by themselves: what tells how something is, not what happened, stays where it is."""
    holds: Mapping[str, Property] = field(default_factory=dict[str, Property])
    """What its properties hold; those that are not named may hold anything."""
    roles: tuple[str, ...] = ()
    """The roles that messages in its stream may have; none named: any."""
    ticks_rise: bool = False
    """Whether its stream is one life, in which no tick goes back."""

    @property
    def defaults(self) -> dict[str, Any]:
        """What a new entity has where it does not say."""
        return {key: one.default for key, one in self.holds.items() if one.default is not None}


TEXT = Property("text")
NAME = Property("text", chars=100)
SHORT = Property("text", chars=50)
WHOLE = Property("whole")
LIST = Property("list")
MAP = Property("map")
TIME = Property("time")
ON = Property("boolean", True)
OFF = Property("boolean", False)

STREAM = {
    "summary": TEXT,
    "summary_upto": Property("whole", at_least=0),
    "summary_by": Property("text", choices=("caller", "extract", "model")),
    "running_summary": TEXT,
    "archived_upto": Property("whole", at_least=0),
    "keep_messages": Property("whole", at_least=1),
    "keep_days": Property("number", at_least=0),
    "message_kinds": LIST,
}
"""What any stream may say of itself: its summary and up to which message it goes, what was archived, what is kept, and the
kinds of messages that it takes."""

ROLES = ("user", "assistant", "system", "tool", "developer", "function")
"""Who may speak in a conversation, as interfaces of language models have it."""

DEFAULT = Kind()

KINDS: dict[str, Kind] = {
    "session": Kind(
        curated=False,
        text=("title", "summary", "running_summary"),
        scope="type",
        roles=ROLES,
        holds={
            **STREAM,
            "session_type": Property("text", "conversation", chars=32),
            "user": Property("text", chars=200),
            "title": Property("text", chars=1000),
            "metadata": MAP,
            "ended_at": TIME,
            "archived_at": TIME,
        },
    ),
    "character": Kind(
        curated=False,
        text=("description", "background", "persona", "summary", "running_summary"),
        scope="own",
        ticks_rise=True,
        holds={
            **STREAM,
            "character_name": NAME,
            "current_tick": WHOLE,
            "last_decision_time": Property("number"),
            "description": TEXT,
            "background": TEXT,
            "persona": TEXT,
            "personality_traits": LIST,
            "current_mood": SHORT,
            "current_location": Property("text", chars=200),
            "relationships": MAP,
            "inventory": LIST,
            "stats": MAP,
            "last_seen": TIME,
            "is_active": ON,
            "metadata": MAP,
            "conversation": WHOLE,
        },
    ),
    "prop": Kind(
        curated=False,
        text=("description", "category"),
        scope="own",
        holds={
            "category": SHORT,
            "subcategory": SHORT,
            "description": TEXT,
            "image_path": Property("text", chars=500),
            "rarity": Property("text", "common", chars=20),
            "properties": MAP,
            "usage_count": Property("whole", 0, at_least=0),
            "last_used": TIME,
            "is_favorite": OFF,
        },
    ),
    "agent_config": Kind(
        curated=False,
        text=("display_name",),
        scope="type",
        holds={
            "display_name": Property("text", chars=200),
            "system_prompt": TEXT,
            "enabled": ON,
            "llm_provider": SHORT,
            "temperature": Property("number", 0.7, at_least=0),
            "max_tokens": Property("whole", 2048, at_least=1),
            "capabilities": LIST,
            "metadata": MAP,
        },
    ),
    "preference": Kind(
        curated=False,
        scope="type",
        holds={
            "category": Property("text", "general", chars=50),
            "description": Property("text", chars=500),
        },
    ),
    "user_profile": Kind(
        curated=False,
        scope="type",
        holds={"profile_data": Property("data"), "preferences": Property("data"), "is_active": ON},
    ),
    "agent_state": Kind(
        curated=False,
        text=(),
        scope="type",
        versions=20,
        holds={
            "agent": Property("text", chars=200),
            "session": Property("text", chars=200),
            "state_data": Property("data"),
        },
    ),
    "persona": Kind(scope="type", curated=False),
    "tool": Kind(scope="type", tier="procedural"),
    "workflow": Kind(scope="type", tier="procedural"),
    "skill": Kind(text=("description",), scope="type", tier="procedural"),
    "summary": Kind(
        scope="own",
        tier="semantic",
        holds={
            "session": WHOLE,
            "key_events": LIST,
            "character_developments": MAP,
            "plot_points": LIST,
            "first": WHOLE,
            "last": WHOLE,
        },
    ),
    "memory_entry": Kind(
        text=("text_content",),
        scope="type",
        holds={
            "memory_type": Property("text", chars=32),
            "session": Property("text", chars=200),
            "source_agent": Property("text", chars=200),
            "content": Property("data"),
            "text_content": TEXT,
            "facets": LIST,
            "embedding_models": LIST,
            "created_at": TIME,
        },
    ),
}


def kind_of(type_name: str) -> Kind:
    """The row for entities of `type_name`."""
    return KINDS.get(type_name, DEFAULT)


def accept(type_name: str, given: Mapping[str, Any]) -> None:
    """Refuse properties that entities of a type cannot have: `Invalid`, `TooLarge`."""
    check_properties(type_name, kind_of(type_name).holds, given)
