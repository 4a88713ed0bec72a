"""Items of one call that change the same entity are gathered: the first makes the version, the last writes what it says in the end.

Each item is answered as if it stood alone: with the version that it makes or meets, and with a line of its own in the journal. What lies
between the first and the last is never written, and costs what the item says, not what the entity does.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

import msgspec

from enhanced_memory.client.values import ObservationInput, Outcome, Ref
from enhanced_memory.daemon.handlers.editing import copy, noted
from enhanced_memory.daemon.handlers.sources import Sources
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted, State
from enhanced_memory.daemon.store.known import Stored

__all__ = ["Draft", "Gathering", "vectors_of"]

Vectors = dict[int, dict[str, list[float]]]
"""Callers' vectors by part and by model."""


class Draft:
    """An entity that is being changed."""

    def __init__(self, known: Stored, changed: bool = False) -> None:
        self.known = known
        """As the store has it."""
        self.state = copy(known.state)
        """What it says by now."""
        self.changed = changed
        """Whether the version that the store has was made by this call."""
        self.waiting = False
        """Whether it says what the store does not have yet."""
        self.more = False
        """Whether a later item is about it."""
        self.vectors: Vectors = {}
        """What is still to be given to it."""
        self._said: dict[str, int] | None = None
        self._places: dict[Ref, list[int]] | None = None
        self._were: list[Noted] = []
        self._gone: set[int] = set()

    @property
    def said(self) -> dict[str, int]:
        """The texts of its observations with their ids: of those that say the same, the last one's."""
        if self._said is None:
            self._said = {one.text: one.id for one in self.state.observations}
        return self._said

    def add(self, tx: Tx, given: Iterable[str | ObservationInput], sources: Sources) -> list[Noted]:
        """Add observations that it does not have; which those were."""
        fresh = noted(tx, given, self.said, self.state.next_id, sources)
        self.state.observations += fresh
        self.state.next_id += len(fresh)
        return fresh

    def take(self, refs: Iterable[Ref]) -> bool:
        """Let go of observations by text or id; whether there were any. `settle` makes it so."""
        if self._places is None and not self.more:
            wanted, count = set(refs), len(self.state.observations)
            self.state.observations = [
                one for one in self.state.observations if one.id not in wanted and one.text not in wanted
            ]
            return len(self.state.observations) < count
        if self._places is None:
            self._were, self._places = self.state.observations, {}
            for place, one in enumerate(self._were):
                for ref in (one.id, one.text):
                    self._places.setdefault(ref, []).append(place)
        places = self._places
        gone = {place for ref in refs for place in places.get(ref, ())} - self._gone
        self._gone |= gone
        return bool(gone)

    def replace(self, state: State) -> None:
        """It says something else altogether."""
        self.state = state
        self._said = self._places = None
        self._gone.clear()

    def settle(self) -> State:
        """What it says by now, without what was taken from it."""
        if self._gone:
            self.state.observations = [one for place, one in enumerate(self._were) if place not in self._gone]
        return self.state


class Gathering:
    """The entities that the items of one call change."""

    def __init__(self, tx: Tx, about: Iterable[Hashable]) -> None:
        """`about` tells what each item is about, in their order: items of one entity may call it differently."""
        self._tx = tx
        self._left = defaultdict[Hashable, int](
            int
        )  # to make a `Counter` takes longer than all else where there is one item
        for one in about:
            self._left[one] += 1
        self._ids: dict[Hashable, int] = {}
        self._drafts: dict[int, Draft] = {}
        self._met: dict[Hashable, Stored] = {}
        self.sources = Sources(tx, self._by_now)

    def _by_now(self, known: Stored) -> Stored:
        draft = self._drafts.get(known.id)
        return known if draft is None else msgspec.structs.replace(draft.known, state=draft.state)

    def open(self, about: Hashable, find: Callable[[], Stored | None]) -> Draft | None:
        """What the next item is about, which `find` looks up unless an item before has. To be asked once for each item."""
        self._left[about] -= 1
        draft = self._drafts.get(self._ids.get(about, 0))
        if draft is None:
            known = find()
            if known is None:
                return None
            draft = self._drafts.get(known.id) or Draft(known)
        self._keep(about, draft)
        return draft

    def meet(self, about: Hashable, find: Callable[[], Stored | None]) -> Stored | None:
        """What the next item is about, which leaves it as it is: looked up once for all that do. To be asked once for each item."""
        self._left[about] -= 1
        known = self._met.pop(about, None) or find()
        if known is not None:
            self.made(about, known)
        return known

    def made(self, about: Hashable, known: Stored) -> None:
        """The item that was last asked for has made an entity, which others will leave as it is."""
        if self._left[about] > 0:
            self._met[about] = known

    def begun(self, about: Hashable, known: Stored) -> None:
        """The item that was last asked for has made an entity."""
        if self._left[about]:
            self._keep(about, Draft(known, changed=True))

    def _keep(self, about: Hashable, draft: Draft) -> None:
        draft.more = self._left[about] > 0
        if draft.more:
            self._ids[about] = draft.known.id
            self._drafts[draft.known.id] = draft

    def put(
        self, draft: Draft, changed: bool, fresh: Sequence[Noted] = (), vectors: Mapping[int, dict[str, list[float]]] = {}
    ) -> Outcome:  # fmt: skip
        """What an item did to an entity, with the observations that are new and the vectors given."""
        tx = self._tx
        if changed:
            self._change(draft)
            self.sources.grown(draft.known.id, list(fresh))
        known = draft.known
        if vectors and draft.more and known.space == tx.space:
            for part, given in vectors.items():
                for name, vector in given.items():
                    tx.vectors.checked(name, vector, make=True)
                draft.vectors[part] = draft.vectors.get(part, {}) | given
            vectors = {}
        if not draft.more:
            self._write(draft)
        if vectors:
            tx.vectors.give_entity(known.id, vectors)
        return Outcome(
            known.id,
            known.state.name,
            "updated" if changed else "unchanged",
            known.version,
            [one.text for one in fresh],
        )

    def _change(self, draft: Draft) -> None:
        known = draft.known
        if draft.changed:
            self._tx.note("entity", known.id, "update", known.version, known.version)
            draft.waiting = True
            return
        state = draft.settle()
        if draft.more:
            state = copy(state)
        draft.known = self._tx.entities.change(known, state)
        draft.state.attributes = dict(state.attributes)
        draft.changed = True

    def _write(self, draft: Draft) -> None:
        """Write what waits, after the last item about an entity."""
        self._drafts.pop(draft.known.id, None)
        if draft.waiting:
            draft.known = self._tx.entities.change(draft.known, draft.settle(), act="")
        if draft.vectors:
            self._tx.vectors.give_entity(draft.known.id, draft.vectors)


def vectors_of(
    said: Mapping[str, int], told: Sequence[str | ObservationInput], whole: dict[str, list[float]] | None = None
) -> Vectors:
    """The caller's own vectors of an entity (as a `whole`) and of its observations, by part."""
    given: Vectors = {0: whole} if whole else {}
    return given | {said[one.text]: one.vectors for one in told if isinstance(one, ObservationInput) and one.vectors}
