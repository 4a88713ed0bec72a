"""How long entities last that do not say it themselves: by their type."""

import math
from functools import lru_cache

from enhanced_memory.client.errors import Invalid
from enhanced_memory.daemon.kinds import KINDS

__all__ = ["lifetimes"]

_DAY_S = 86400.0
LONGEST_DAYS = 36_500.0


@lru_cache(8)
def lifetimes(text: str) -> dict[str, float]:
    """Seconds after which entities expire, by type: the kinds' own, and over them what the setting `expire_after_days` says.

    `Invalid` names the part of it that says nothing.
    """
    found = {name: kind.expires_after_s for name, kind in KINDS.items() if kind.expires_after_s is not None}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, days = (each.strip() for each in part.rpartition("="))
        try:
            number = float(days)
        except ValueError:
            number = math.nan
        if not name or not 0 < number <= LONGEST_DAYS:
            raise Invalid(
                f"expire_after_days: {part[:60]!r} is no type with a number of days.",
                f"write it as in `note=30, agent_state=0.5`, with up to {LONGEST_DAYS:,.0f} days",
            )
        found[name] = number * _DAY_S
    return found
