"""What extraction speaks of: a fact, and what is known of a conversation while it is read."""

from typing import Literal

import msgspec

__all__ = ["KINDS", "USER", "Found", "Kind", "Scene"]

Kind = Literal["preference", "requirement", "decision", "plan", "habit", "profile", "relationship", "correction"]

KINDS: tuple[Kind, ...] = (
    "preference", "requirement", "decision", "plan", "habit", "profile", "relationship", "correction",
)  # fmt: skip

USER = "user"
"""How the person is called that talks to an agent."""


class Found(msgspec.Struct, frozen=True):
    """A fact as a sentence tells it."""

    kind: Kind
    subject: str
    subject_type: str
    """`user`, `person` or `project`."""
    text: str
    confidence: float


class Scene(msgspec.Struct):
    """What is known of a conversation by the time a sentence is read."""

    speaker: str = USER
    """Who speaks: `user`, or a name."""
    project: str = "project"
    """What `we` decided belongs to."""
    people: set[str] = msgspec.field(default_factory=set[str])
    projects: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    """Names that are known to be a project's, by their lower case."""
    last: str = ""
    """The person spoken of last: `she` and `he`."""
    common: set[str] = msgspec.field(default_factory=set[str])
    """Words that the conversation writes in lower case: no names, even at the beginning of a sentence."""
