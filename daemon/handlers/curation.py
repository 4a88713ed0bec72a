"""Tiers by hand. What goes by itself is in `daemon/curation/`."""

from enhanced_memory.client.operations.curation import Promoted, PromoteToTier
from enhanced_memory.daemon.handlers.editing import copy, expect, put, set_attribute
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import TIERS


@PromoteToTier.handler
def promote_to_tier(tx: Tx, ask: PromoteToTier) -> Promoted:
    """A version of its own; an entity that is in the tier already stays as it is."""
    known = tx.entities.get(ask.entity)
    expect(known, ask.expected_version)
    state = copy(known.state)
    set_attribute(state.attributes, "tier", TIERS.index(ask.tier), 0)
    done = put(tx, known, state, act="promote")
    before = TIERS[known.state.attributes.get("tier") or 0]
    return Promoted(known.id, done.name, before, ask.tier, done.action, done.version, tx.space_name)
