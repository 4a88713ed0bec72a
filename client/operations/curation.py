"""Memory that looks after itself: tiers, what expires, and curation by rules."""

from typing import Annotated

from msgspec import Meta

from enhanced_memory.client.request import Change
from enhanced_memory.client.values import Action, Number, Ref, Tier, Value


class Promoted(Value, frozen=True):
    """An entity that was put into a tier."""

    id: int
    name: str
    before: Tier
    tier: Tier
    action: Action
    version: int
    space: str = "default"


class PromoteToTier(Change[Promoted]):
    """Put an entity into a tier by hand, up or down: working, episodic, semantic or procedural."""

    entity: Ref
    tier: Tier
    expected_version: Number | None = None
    message: str = ""


class Expired(Value, frozen=True):
    """What had expired and is deleted now, softly, or would be."""

    ids: list[int]
    """Up to a thousand of them."""
    count: int
    more: bool = False
    """Whether there was no time for all of them: ask again."""
    changes: list[int] = []
    """The changes that did it, up to a thousand; each can be undone."""
    dry_run: bool = False
    space: str = "default"


class Expire(Change[Expired]):
    """Delete what has expired in this space now, softly, instead of waiting for the daemon to do so.

    Searches and listings leave out what has expired from that moment on. `restore_entities` and `undo` bring it back; what
    an undoing brought back is not deleted again.
    """

    dry_run: bool = False
    wait_s: Annotated[float, Meta(ge=0, le=20, description="how long it may take")] = 10.0
    message: str = ""
