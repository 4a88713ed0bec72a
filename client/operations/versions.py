"""Versions: what entities said before."""

from enhanced_memory.client.request import Question
from enhanced_memory.client.values import Limit, Number, Ref, Value, Version


class History(Value, frozen=True):
    """Versions, newest first, and where the next page begins."""

    entity: int
    versions: list[Version]
    cursor: int | None = None
    space: str = "default"


class MemoryHistory(Question[History]):
    """The versions of an entity, newest first, deleted or not: who changed it, when, and what it said then."""

    entity: Ref
    limit: Limit = 20
    before: Number | None = None
