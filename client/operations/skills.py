"""Skills: code that is kept under a name, to be run in the sandbox of `execute_code`.

A skill is an entity of the type `skill`: it has versions, a history, and is found by search. Its runs are lines of the
kind `run` in the skill's own stream.
"""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import Number, Outcome, Ref, Value

Name = Annotated[str, Meta(min_length=1)]


class SaveSkill(Change[Outcome]):
    """Keep code under a name. A name that exists gets a new version, unless nothing differs; its runs stay counted."""

    name: Name
    code: Annotated[str, Meta(min_length=1, description="Python that assigns `result`; arguments are in `context`")]
    description: Annotated[str, Meta(description="what it does, in words that a search would use")] = ""
    parameters: Annotated[dict[str, Any], Meta(description="arguments with their defaults; null: must be given")] = {}
    grants: Annotated[list[str], Meta(description="what it needs: change, delete, or names of operations")] = []
    tags: list[str] | None = None
    """None: as they were."""
    expected_version: Number | None = None
    message: str = ""


class Skill(Value, frozen=True):
    """A skill, and how its runs fared."""

    id: int
    name: str
    description: str
    parameters: dict[str, Any]
    grants: list[str]
    version: int
    code: str = ""
    """Where asked for."""
    updated_at: datetime | None = None
    runs: int = 0
    failures: int = 0
    """Of the last 50 runs."""
    mean_ms: float = 0.0
    """Of the last 50 runs."""
    last_run: datetime | None = None
    last_error: str = ""
    """Of the last 50 runs; empty: none failed."""
    tags: list[str] = []
    slowest_ms: float = 0.0
    """Of the last 50 runs."""


class SkillList(Value, frozen=True):
    """Skills, by name, and which of those asked for are not there."""

    skills: list[Skill]
    missing: list[Ref] = []
    cursor: str | None = None
    space: str = "default"


class ListSkills(Question[SkillList]):
    """The skills there are, or those named, each with how often it was run, how long it took, and what went wrong last.

    A `query` finds skills by what they are called and said to do, best first; `tags` are all to be there.
    """

    names: Annotated[list[Ref], Meta(max_length=100)] = []
    code: bool = False
    limit: Annotated[int, Meta(ge=1, le=100, description="how many at most")] = 50
    cursor: str | None = None
    query: Annotated[str, Meta(max_length=2000)] = ""
    tags: list[str] = []
