"""Changes of a merge, written in an order in which each name is free once it is wanted."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

import msgspec

from enhanced_memory.daemon.handlers.editing import copy
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.known import Stored

__all__ = ["Refused", "Wanted", "in_turn"]


class Wanted(msgspec.Struct):
    """What an entity is to say."""

    entity: int
    """The branch's."""
    ours: Stored
    state: State
    number: int
    """Its base."""


class Refused(msgspec.Struct):
    """A change that was written without its new name."""

    wanted: Wanted
    name: str
    holder: int
    """Who has the name, and keeps it."""


def in_turn(tx: Tx, wanted: list[Wanted], put: Callable[[Stored, State], None]) -> list[Refused]:
    """Write the changes, each as soon as its name is free; those whose name does not become free keep the one that they have.

    Round after round, in the order given; but who waits for a name is tried again only once its holder has moved. Names that go round
    in a ring are freed by parking one.
    """
    refused: list[Refused] = []
    waiting = dict(enumerate(wanted))
    behind: dict[int, list[int]] = {}
    """The places of those who wait for the name of an entity; some may have gone from there."""
    now, later = list(waiting), list[int]()
    places = len(wanted)
    while waiting:
        while now:
            place = heappop(now)
            one = waiting.get(place)
            if one is None:
                continue
            holder = _holder(tx, one)
            if holder:
                behind.setdefault(holder, []).append(place)
                continue
            del waiting[place]
            put(one.ours, one.state)
            if one.state.name != one.ours.state.name:
                for other in behind.pop(one.ours.id, ()):
                    heappush(now if other > place else later, other)
        now, later = later, []
        if not now and not _refuse(waiting, behind, put, refused) and waiting:
            place = next(iter(waiting))
            one = waiting.pop(place)
            parked = copy(one.ours.state)
            parked.name = f"{one.ours.state.name}~{one.ours.id}~{tx.number}"
            one.ours = tx.entities.change(one.ours, parked)
            waiting[places] = one
            now = [*behind.pop(one.ours.id, ()), places]
            heapify(now)
            places += 1
    return refused


def _holder(tx: Tx, one: Wanted) -> int:
    """Who has the name that an entity is to get; 0 where nobody else has."""
    if one.state.name == one.ours.state.name:
        return 0
    holder = tx.entities.named(one.state.name, one.ours.scope)
    return 0 if holder is None or holder == one.ours.id else holder


def _refuse(
    waiting: dict[int, Wanted],
    behind: dict[int, list[int]],
    put: Callable[[Stored, State], None],
    refused: list[Refused],
) -> bool:
    """Let those keep their names who wait for one whose holder stays, and those who wait for theirs in turn; whether there were any."""
    moving = {one.ours.id for one in waiting.values()}
    stuck = [(place, holder) for holder, places in behind.items() if holder not in moving for place in places]
    heapify(stuck)
    before = len(refused)
    while stuck:
        place, holder = heappop(stuck)
        one = waiting.pop(place, None)
        if one is None:
            continue
        refused.append(Refused(one, one.state.name, holder))
        one.state.name = one.ours.state.name
        put(one.ours, one.state)
        for other in behind.pop(one.ours.id, ()):
            heappush(stuck, (other, one.ours.id))
    return len(refused) > before
