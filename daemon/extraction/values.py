"""What extraction speaks of: a fact, and what is known of a conversation while it is read."""

from typing import Literal

import msgspec

__all__ = ["KINDS", "USER", "Found", "Kind", "Scene", "UnansweredError"]

Kind = Literal["preference", "requirement", "decision", "plan", "habit", "profile", "relationship", "correction"]

KINDS: tuple[Kind, ...] = (
    "preference", "requirement", "decision", "plan", "habit", "profile", "relationship", "correction",
)  # fmt: skip

USER = "user"
"""How the person is called that talks to an agent."""


class UnansweredError(Exception):
    """Why a model found nothing: the rules do, then, and the answer says so."""


class Found(msgspec.Struct, frozen=True):
    """A fact as a sentence tells it."""

    kind: Kind
    subject: str
    subject_type: str
    """`user`, `person` or `project`."""
    text: str
    confidence: float
    relation: str = ""
    """For a relationship with somebody named: what leads from the subject to `other`, `has_husband`."""
    other: str = ""


class Scene(msgspec.Struct):
    """What is known of a conversation by the time a sentence is read."""

    speaker: str = USER
    """Who speaks: `user`, or a name."""
    project: str = "project"
    """What `we` decided belongs to."""
    people: set[str] = msgspec.field(default_factory=set[str])
    projects: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    """Names that are known to be a project's, by their lower case."""
    recent: list[str] = msgspec.field(default_factory=list[str])
    """People as they were spoken of, the last one last: whom `she` and `he` may mean."""
    owners: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    """Whose relatives those are that have no name."""
    pronouns: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    """`he` or `she` of those of whom it is known, by their lower case."""
    common: set[str] = msgspec.field(default_factory=set[str])
    """Words that the conversation writes in lower case: no names, even at the beginning of a sentence."""

    def meet(self, name: str, pronoun: str = "") -> None:
        """Note that a person is spoken of."""
        self.people.add(name.lower())
        self.recent = [*(one for one in self.recent[-9:] if one != name), name]
        if pronoun:
            self.pronouns[name.lower()] = pronoun

    def meant(self, pronoun: str) -> str:
        """Whom `he` or `she` means; empty where nobody was spoken of."""
        for name in reversed(self.recent):
            if self.pronouns.get(name.lower(), pronoun) == pronoun:
                self.pronouns[name.lower()] = pronoun
                return self.owners.get(name, name)
        return ""

    def mention(self, relative: str, owner: str, pronoun: str) -> None:
        """Note that somebody's relative is spoken of without a name: what is said of them is said of the owner's family."""
        if pronoun:
            called = f"{owner}'s {relative}"
            self.owners[called] = owner
            self.meet(called, pronoun)
