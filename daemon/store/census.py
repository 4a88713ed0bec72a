"""How many entities a view has, of what kind, and how many are soon to go."""

import math
from collections import Counter
from itertools import pairwise

import msgspec

from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.known import TIERS, Known

__all__ = ["Census", "Living"]

_DAY_MS = 86_400_000
_AGES = {"day": 1.0, "week": 7.0, "month": 30.0, "year": 365.0, "older": math.inf}
"""Below how many days."""


class Living(msgspec.Struct):
    """Living entities, counted by what they are."""

    types: dict[str, int]
    """The commonest first."""
    tiers: dict[str, int]
    ages: dict[str, int]

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.types.values())


class Census:
    """Counts what a view knows."""

    def __init__(self, ground: Ground, known: Known) -> None:
        self._ground = ground
        self._known = known

    def living(self) -> Living:
        """How many living entities the view has by type, by tier and by age, told in one walk through them."""
        view = self._ground.view
        types, tiers, ages = Counter[str](), Counter[str](), Counter[str]()
        for depth, layer in view:
            for kind, count, *told in self._ground.rows.all(
                "count_living", space=layer.space, at=layer.at, nearer=view.nearer(depth), now=self._ground.now
            ):
                types[kind] += count
                tiers.update(dict(zip(TIERS, told, strict=False)))
                within = [0, *told[len(TIERS) :], count]
                ages.update({age: upto - below for age, (below, upto) in zip(_AGES, pairwise(within), strict=True)})
        for one in self._known.changed_since(view):
            if not one.deleted:
                types[one.state.type] += 1
                tiers[TIERS[one.state.attributes.get("tier") or 0]] += 1
                ages[_age(self._ground.now - one.created_at)] += 1
        return Living(dict(types.most_common()), dict(+tiers), dict(+ages))

    def expiring(self) -> dict[str, int]:
        """How many living entities of the view have expired, or expire within a day, a week, a month; each counted once."""
        view = self._ground.view
        total = Counter[str]()
        for depth, layer in view:
            for name, count in self._ground.rows.all(
                "count_expiring", space=layer.space, at=layer.at, nearer=view.nearer(depth), now=self._ground.now
            ):
                total[name] += count
        return dict(total)


def _age(ms: int) -> str:
    return next(age for age, days in _AGES.items() if ms < days * _DAY_MS)
