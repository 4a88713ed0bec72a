"""What curation does: the rules as a table, and which entities one of them moves to another tier. Pure."""

from dataclasses import dataclass

from enhanced_memory.client.operations.curation import RuleName
from enhanced_memory.client.values import Tier
from enhanced_memory.daemon.ageing import DAY_MS
from enhanced_memory.daemon.store.tended import Row

__all__ = ["ALWAYS", "MOVES", "RULES", "TITLES", "Move", "moved", "reason_for"]

TITLES: dict[RuleName, str] = {
    "to_episodic": "working → episodic: older than 30 days, fewer than 3 reads, none and no change in 7 days",
    "to_semantic": "episodic → semantic: confirmed, and read 5 times since it was made",
    "repeated_episodes": "episodic → semantic: at least 3 similar episodes say it",
    "repeated_actions": "→ procedural: actions that were done in the same order in at least 3 episodes",
    "size_limit": "the space holds more than its limit: the least important of the lowest priority goes",
}
"""Every rule, in the order in which they share what a run may do."""

RULES: tuple[RuleName, ...] = tuple(TITLES)

ALWAYS: frozenset[RuleName] = frozenset(("size_limit",))
"""Rules that the cap does not hold back: the limit was set by somebody, and what exceeds it would stay for ever."""


@dataclass(frozen=True, slots=True)
class Move:
    """A rule that moves single entities to another tier. All of its conditions must hold."""

    rule: RuleName
    before: Tier
    tier: Tier
    older_days: float = 0.0
    """Made more than so many days ago."""
    quiet_days: float = 0.0
    """Neither read nor changed for so many days."""
    fewer_reads: int | None = None
    least_reads: int = 0
    confirmed: bool = False


MOVES: tuple[Move, ...] = (
    Move("to_episodic", "working", "episodic", older_days=30, quiet_days=7, fewer_reads=3),
    Move("to_semantic", "episodic", "semantic", least_reads=5, confirmed=True),
)


def moved(rule: Move, one: Row, now: int, confirmed: bool = True) -> bool:
    """Whether a rule moves an entity. A time of the future counts as now."""
    used = one.used or 0
    quiet_since = max(one.changed_at, one.used_at or 0)
    return (
        not one.declined
        and now - one.made_at > rule.older_days * DAY_MS
        and now - quiet_since >= rule.quiet_days * DAY_MS
        and (rule.fewer_reads is None or used < rule.fewer_reads)
        and used >= rule.least_reads
        and (confirmed or not rule.confirmed)
    )


def reason_for(rule: Move, one: Row, now: int) -> str:
    """Why a rule moves an entity, in words."""
    used = one.used or 0
    reads = f"read {used} time{'' if used == 1 else 's'}" if used else "never read"
    last = f", last {_days(now - (one.used_at or 0))} ago" if used else ""
    confirmed = ", confirmed" if rule.confirmed else ""
    return f"made {_days(now - one.made_at)} ago, {reads}{last}{confirmed}"


def _days(age_ms: int) -> str:
    days = max(0, age_ms) // DAY_MS
    return f"{days} day{'' if days == 1 else 's'}"
