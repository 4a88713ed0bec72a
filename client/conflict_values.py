"""Values about memories that duplicate, update or contradict each other."""

from datetime import datetime
from typing import Literal

from enhanced_memory.client.values import Value

__all__ = ["ConflictFound", "ConflictStatus", "ConflictType", "MemoryConflict", "Resolution"]

ConflictType = Literal["duplicate", "update", "contradiction", "merge"]
"""`merge`: a branch and the space that it was merged into changed one entity, each otherwise; `merge_branch` with a strategy settles it."""
Resolution = Literal["merge", "update", "branch", "ignore"]
ConflictStatus = Literal["pending", "merged", "updated", "branched", "ignored"]


class ConflictFound(Value, frozen=True):
    """What given data conflicts with. Nothing of it is recorded."""

    entity: str
    """The name that the data has."""
    existing_entity: str
    existing_id: int
    conflict_type: ConflictType
    confidence: float
    """0 to 1. Of shared observations: their share."""
    reason: str
    suggested_action: Resolution
    existing_says: str | None = None
    """The observation that it is about; none where it is about the whole."""
    new_says: str | None = None


class MemoryConflict(Value, frozen=True):
    """Two entities that duplicate, update or contradict each other; or one entity, where two of its observations do."""

    id: int
    type: ConflictType
    entity_id: int
    """The older one."""
    entity: str
    conflicting_entity_id: int
    conflicting_entity: str
    confidence: float
    reason: str
    suggested_action: Resolution
    status: ConflictStatus = "pending"
    entity_says: str | None = None
    """What it says by now; none where the conflict is about the whole, or where the observation is gone."""
    conflicting_says: str | None = None
    detected_at: datetime | None = None
    resolved_at: datetime | None = None
    notes: str = ""
    gone: list[int] = []
    """Which of the two are deleted by now."""
    space: str = "default"
