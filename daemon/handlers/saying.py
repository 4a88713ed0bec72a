"""Which observations of an entity a caller asks for: by whom they are said, how far they are trusted, when they were true."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from enhanced_memory.client.values import TRUST_ORDER, Trust
from enhanced_memory.daemon.handlers.told import details_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.times import millis

__all__ = ["Fit", "Wanted", "only_valid", "shown_of"]


class Fit(msgspec.Struct):
    """What of an entity fits."""

    wanted: bool = True
    """Whether the entity has what is asked for at all."""
    found_by: set[int] | None = None
    """The observations that it may be found by; None: all."""
    shown: set[int] | None = None
    """The observations that are shown; None: all."""

    def through(self, part: int) -> bool:
        """Whether the entity may be found by this part of it: an observation's id, 0 for its name and properties."""
        return not part or self.found_by is None or part in self.found_by


class Wanted(msgspec.Struct):
    """What is asked of observations."""

    session: str | None = None
    agent: str | None = None
    minimum_trust: Trust | None = None
    valid_at: datetime | None = None
    quarantined: bool = True
    """Whether those that are quarantined are wanted too."""

    @property
    def of_each(self) -> bool:
        """Whether it is asked of each observation by itself who said it, or when it was true."""
        return (self.session, self.agent, self.minimum_trust, self.valid_at) != (None,) * 4

    def of(self, tx: Tx, found: Iterable[Stored]) -> dict[int, Fit]:
        """What of each entity fits."""
        return {one.id: self._fit(tx, one) for one in found}

    def _fit(self, tx: Tx, one: Stored) -> Fit:
        at = None if self.valid_at is None else millis(self.valid_at, "valid_at")
        notes = one.state.observations
        shown = [
            noted for noted in notes if (at is None or _true_at(noted, at)) and (self.quarantined or not _hidden(noted))
        ]
        if self.session is None and self.agent is None and self.minimum_trust is None:
            if len(shown) == len(notes):
                return Fit()
            ids = {noted.id for noted in shown}
            return Fit(True, ids, ids)
        lowest = len(TRUST_ORDER) if self.minimum_trust is None else TRUST_ORDER.index(self.minimum_trust)
        kept = {noted.id for noted in shown}
        said = [noted for noted in details_of(tx, [one])[one.id] if noted.id in kept]
        trusted = {noted.id for noted in said if TRUST_ORDER.index(noted.origin.trust) <= lowest}
        by = {
            noted.id
            for noted in said
            if noted.id in trusted
            and (self.session is None or noted.origin.session == self.session)
            and (self.agent is None or noted.origin.agent == self.agent)
        }
        everything = len(trusted) == len(notes)
        return Fit(bool(by), None if everything and len(by) == len(notes) else by, None if everything else trusted)


def _true_at(noted: Noted, at: int) -> bool:
    extra = noted.extra
    return not extra or (extra.get("valid_from", at) <= at and extra.get("valid_to", at + 1) > at)


def _hidden(noted: Noted) -> bool:
    return bool(noted.extra and noted.extra.get("quarantined"))


def shown_of(one: Stored, fit: Fit) -> Stored:
    """An entity with those of its observations alone that are shown."""
    if fit.shown is None:
        return one
    kept = [noted for noted in one.state.observations if noted.id in fit.shown]
    return msgspec.structs.replace(one, state=msgspec.structs.replace(one.state, observations=kept))


def only_valid(tx: Tx, found: list[Stored], valid_at: datetime | None) -> list[Stored]:
    """Entities with those of their observations that were true at a time; all of them where none is given."""
    if valid_at is None:
        return found
    fits = Wanted(valid_at=valid_at).of(tx, found)
    return [shown_of(one, fits[one.id]) for one in found]
