"""Memory that looks after itself: tiers, what expires, and curation by rules."""

from typing import Annotated, Literal

from msgspec import Meta

from enhanced_memory.client.request import Change
from enhanced_memory.client.values import Action, Limit, Number, Ref, Tier, Value


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


RuleName = Literal["to_episodic", "to_semantic", "repeated_episodes", "repeated_actions", "size_limit"]


class CurationAct(Value, frozen=True):
    """One act of a curation, proposed or done, and why."""

    rule: RuleName
    act: Literal["promote", "create", "delete"]
    name: str
    type: str
    reason: str
    entity: int | None = None
    """None for what is still to be made."""
    before: Tier | None = None
    tier: Tier | None = None
    observations: list[str] = []
    """What a new entity says."""
    sources: list[int] = []
    """The entities that it comes from."""
    importance: float | None = None
    """Of what is deleted for a limit: why this and not another."""


class Curated(Value, frozen=True):
    """What a curation proposes or did, and how far it is."""

    state: Literal["none", "running", "done", "stopped", "failed"]
    dry_run: bool = True
    acts: list[CurationAct] = []
    """The first of them, as many as were asked for."""
    counts: dict[str, int] = {}
    """All of them by rule: proposed in a dry run, else done."""
    left: int = 0
    """Acts that the cap leaves for another day."""
    cap: int = 0
    """How many acts this run might do."""
    skipped: int = 0
    """Acts that were not done because their entities had changed meanwhile."""
    changes: list[int] = []
    """The changes that did it; each can be undone."""
    session: str = ""
    """Under which they are noted: `undo` with this session takes all of them back."""
    entities: int = 0
    """Entities looked at so far, of `total`."""
    total: int = 0
    seconds: float = 0.0
    problem: str = ""
    space: str = "default"


class AutonomousCuration(Change[Curated]):
    """Curate this space by rules, in the background: move what has settled into another tier, make knowledge of what episodes repeat.

    A dry run, which is the default, tells every act with its reason and does nothing. `dry_run` false does them, at most
    `cap` of the space's entities in a day (a share; 10 acts at least), in changes that `undo` takes back; what was undone
    is not done again. Where the space has a limit, the least important is deleted, softly, whatever the cap. Call with
    `start` false to see how far a run is, with `stop` to end it.
    """

    dry_run: bool = True
    rules: list[RuleName] = []
    """These rules alone; empty: every one."""
    cap: Annotated[float, Meta(ge=0, le=1)] | None = None
    """The setting `curation_cap`, unless given."""
    start: bool = True
    stop: bool = False
    limit: Limit = 100
    wait_s: Annotated[float, Meta(ge=0, le=20, description="how long to wait for its end")] = 10.0
    message: str = ""
