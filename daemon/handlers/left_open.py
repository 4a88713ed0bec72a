"""What a merge leaves open, among the conflicts: recorded entity by entity, and settled by the merge that settles it."""

from collections.abc import Mapping

from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.branches import Line, Noted
from enhanced_memory.daemon.store.conflicts import Proposal

__all__ = ["still_open"]


def still_open(
    tx: Tx,
    line: Line,
    strategy: str,
    before: Mapping[Noted, int],
    same: Mapping[int, int],
    opened: Mapping[int, list[str]],
) -> None:
    """Record what is in conflict (`opened`: parts by entity), and settle what was (`before`) and is so no more."""
    asked = {same.get(one.id, one.id) for one in before if one.subject == "entity"} | opened.keys()
    kept = [one for one in tx.conflicts.among(asked) if one.type == "merge" and one.other_part == line.branch]
    pending = {one.entity: one for one in kept if one.status == "pending" and one.space == tx.space}
    for entity, parts in opened.items():
        if entity not in pending:
            reason = f"{', '.join(sorted(parts))} changed in branch {line.name!r} and here, each otherwise"
            tx.conflicts.record(Proposal(entity, entity, 0, line.branch, "merge", 1.0, reason, "merge"))
    for entity, one in pending.items():
        if entity not in opened:
            tx.conflicts.settle(one, "merged", f"settled by a merge ({strategy})")
