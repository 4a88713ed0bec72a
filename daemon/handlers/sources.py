"""What observations are derived from: opened once for all that a call derives from it."""

from collections.abc import Callable

import msgspec

from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.values import TRUST_ORDER, Ref, Source
from enhanced_memory.daemon.handlers.told import details_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted, State
from enhanced_memory.daemon.store.known import Stored

__all__ = ["Sources"]


class _Said:
    """What an entity says that others may be derived from, and how far that is trusted: places in `TRUST_ORDER`."""

    def __init__(self, known: Stored) -> None:
        self.known = known
        self.trust = 0
        self.parts: dict[Ref, tuple[int, int]] = {}
        """By id and by text: the first observation that is meant, and the least trust in any that is."""

    def learn(self, tx: Tx, noted: list[Noted]) -> None:
        """Take in observations."""
        part = msgspec.structs.replace(self.known, state=State(self.known.state.name, self.known.state.type, noted))
        for one in details_of(tx, [part])[part.id]:
            trust = TRUST_ORDER.index(one.origin.trust)
            self.trust = max(self.trust, trust)
            for ref in (one.id, one.text):
                first, least = self.parts.get(ref, (one.id, 0))
                self.parts[ref] = first, max(least, trust)


class Sources:
    """What the observations of one call may be derived from.

    `by_now` tells what an entity says where the store does not have it yet.
    """

    def __init__(self, tx: Tx, by_now: Callable[[Stored], Stored] = lambda known: known) -> None:
        self._tx = tx
        self._by_now = by_now
        self._ids: dict[Ref, int] = {}
        self._said: dict[int, _Said] = {}

    def of(self, source: Source) -> tuple[list[int], int]:
        """The entity and the observation that are meant, 0 for all of them, and the place in `TRUST_ORDER` of the least trusted."""
        said = self._opened(source.entity)
        if source.observation is None:
            return [said.known.id, 0], said.trust
        part = said.parts.get(source.observation)
        if part is None:
            raise NotFound(
                f"Entity {said.known.id} has no observation {str(source.observation)[:100]!r} to derive from.",
                "open it with `details`",
            )
        return [said.known.id, part[0]], part[1]

    def _opened(self, ref: Ref) -> _Said:
        entity = self._ids.get(ref)
        if entity is None or entity not in self._said:
            one = self._by_now(self._tx.entities.get(ref))
            entity = self._ids[ref] = one.id
            if entity not in self._said:
                self._said[entity] = _Said(one)
                self._said[entity].learn(self._tx, one.state.observations)
        return self._said[entity]

    def grown(self, entity: int, noted: list[Noted]) -> None:
        """An entity says this, too, from now on."""
        said = self._said.get(entity)
        if said is not None and noted:
            said.learn(self._tx, noted)

    def changed(self, entity: int, name: str) -> None:
        """An entity says something else from now on, or goes by a name that meant another one."""
        self._said.pop(entity, None)
        self._ids.pop(name, None)
