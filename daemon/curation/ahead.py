"""What curation has before it in the caller's space, as far as counting tells, without looking at anything closely."""

from enhanced_memory.daemon.ageing import DAY_MS
from enhanced_memory.daemon.curation.rules import MOVES
from enhanced_memory.daemon.kinds import KINDS
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import TIERS
from enhanced_memory.daemon.store.tended import LIMITS

__all__ = ["above_limit", "limited", "settled"]

_UNCURATED = [name for name, kind in KINDS.items() if not kind.curated]


def settled(tx: Tx) -> int:
    """How many entities have settled, by the first rule."""
    rule = MOVES[0]
    made, quiet = (tx.now - int(days * DAY_MS) for days in (rule.older_days, rule.quiet_days))
    assert rule.fewer_reads is not None
    return tx.tended.settled(TIERS.index(rule.before), _UNCURATED, made, quiet, rule.fewer_reads)


def limited(tx: Tx) -> tuple[dict[str, int], tuple[int, int]]:
    """The limits that were set for the space, and what it holds: entities, and bytes of text."""
    space = tx.spaces.find(tx.space_name)
    noted = space.metadata if space is not None else {}
    limits = {name: noted[name] for name in LIMITS if isinstance(noted.get(name), int)}
    return limits, tx.tended.size()


def above_limit(tx: Tx) -> int:
    """How many entities too many the space has, or would have if all were of the same size."""
    limits, size = limited(tx)
    entities, text = size
    over = entities - limits.get("max_entities", entities)
    if text > limits.get("max_text_bytes", text):
        over = max(over, -(-entities * (text - limits["max_text_bytes"]) // text))
    return max(0, over)
