"""Conflicts of an export, in a store that has memories of its own: those that wait, and those that somebody chose to ignore.

What was resolved otherwise stands in what the entities say. What a branch's merge left open is about numbers of another store.
"""

from enhanced_memory.client.errors import Invalid
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.conflicts import Proposal
from enhanced_memory.daemon.store.imports import ImportJob, Report
from enhanced_memory.daemon.store.records import ConflictRecord
from enhanced_memory.daemon.text import check_text

__all__ = ["record_missing"]

TAKEN = ("pending", "ignored")


def record_missing(tx: Tx, job: ImportJob, report: Report, one: ConflictRecord) -> None:
    """Record a conflict in the caller's space, unless it is known there. `Invalid` where it refers to what was not among the records."""
    here = [job.get("entity", number) for number in (one.entity, one.other)]
    if None in here:
        missing = one.entity if here[0] is None else one.other
        raise Invalid(f"it refers to entity {missing}, which is not among the records before it")
    parts = [_part(job, entity, part) for entity, part in ((one.entity, one.part), (one.other, one.other_part))]
    lasting = not one.ended and one.status in TAKEN and one.kind != "merge"
    if not lasting or not all(here) or not all(_says(tx, *each) for each in zip(here, parts, strict=True)):
        report.count("conflicts_left_out")
        return
    for text in (one.reason, one.notes):
        check_text(text, "What a conflict says", tx.settings.max_text_chars)
    entity, other, part, other_part = (number or 0 for number in (*here, *parts))
    for kept in tx.conflicts.among([entity]):
        known = (kept.other, kept.type, kept.part, kept.other_part)
        if kept.entity == entity and known == (other, one.kind, part, other_part):
            report.count("unchanged")
            return
    given = Proposal(entity, other, part, other_part, one.kind, one.confidence, one.reason, one.action)
    number = tx.conflicts.record(given)
    if one.status != "pending":
        tx.conflicts.settle(tx.conflicts.get(number), one.status, one.notes)
    report.count("conflicts")


def _part(job: ImportJob, entity: int, part: int) -> int | None:
    """What an observation's number there is here; None where what it says is not told. Only numbers that differ are noted."""
    known = job.get("noted", entity)
    return part if known is None or not part else known.get(part)


def _says(tx: Tx, entity: int, part: int | None) -> bool:
    """Whether there is such an entity, and such an observation of it."""
    known = tx.entities.find(entity)
    return known is not None and (part == 0 or any(noted.id == part for noted in known.state.observations))
