"""From the daemon's answers to what a tool shows: pure functions, keys and order as the official server has them.

Beside its keys stand ours, where they say something: `id`, `space`, `action`, `updated`, `trust`, `suspicious`, `arms`.
An exact profile drops them.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from enhanced_memory.client.operations.entities import Created
from enhanced_memory.client.operations.relations import Related
from enhanced_memory.client.values import Entity, Observation, Relation, Trust
from enhanced_memory.mcp_server.fencing import suspicious
from enhanced_memory.mcp_server.tools.declaration import Structured

__all__ = [
    "added_observations",
    "created_entities",
    "created_relations",
    "done",
    "entity",
    "in_order",
    "items",
    "message",
    "relation",
]

T = TypeVar("T", Entity, Relation)

DEFAULT_SPACE = "default"

_TRUST_ORDER: tuple[Trust, ...] = ("user", "agent", "tool", "import")


def created_entities(asked: Iterable[tuple[str, str, list[str]]], answer: Created, *, exact: bool = True) -> Structured:
    """What became of the entities (name, type, observations): those that are new; unless `exact` also those that were
    there, with what they gained.
    """
    shown: list[Structured] = []
    for (name, kind, observations), outcome in zip(asked, answer.results, strict=True):
        if outcome.action == "created":
            said = observations
        elif not exact:
            said = outcome.added
        else:
            continue
        told: Structured = {"name": name, "entityType": kind, "observations": said, "id": outcome.id}
        if not exact:
            told["action"] = outcome.action
        shown.append(told | _where(answer.space))
    return {"entities": shown}


def created_relations(answer: Related) -> Structured:
    """The relations that are new."""
    return {"relations": [relation(one) | _where(answer.space) for one in answer.created]}


def added_observations(answer: Created) -> Structured:
    """What was new, entity by entity."""
    return {
        "results": [
            {"entityName": outcome.name, "addedObservations": outcome.added, "id": outcome.id} | _where(answer.space)
            for outcome in answer.results
        ]
    }


def done(said: str) -> Structured:
    """A deletion's answer."""
    return {"success": True, "message": said}


def entity(one: Entity, space: str, detail: str = "full") -> Structured:
    """An entity read in `space`. `names` leaves out what it says; `provenance` adds where each observation comes
    from.
    """
    if detail == "names":
        shown: Structured = {"name": one.name, "entityType": one.type, "observations": []}
        shown |= {"id": one.id, "observationsLeft": len(one.observations)}
    else:
        shown = {"name": one.name, "entityType": one.type, "observations": one.observations, "id": one.id}
        if one.details:
            shown["trust"] = max((noted.origin.trust for noted in one.details), key=_TRUST_ORDER.index)
            if one.updated_at is not None:
                shown["updated"] = _moment(one.updated_at)
        if detail == "provenance":
            shown["provenance"] = [_provenance(noted) for noted in one.details]
        odd = [place for place, said in enumerate(one.observations) if suspicious(said)]
        if odd or suspicious(one.name) or suspicious(one.type):
            # Flagged, not judged: the observations by their place, or the name.
            shown["suspicious"] = odd
    return shown if one.space == space else shown | {"space": one.space}


def _provenance(noted: Observation) -> Structured:
    told: Structured = {"id": noted.id, "at": _moment(noted.at), "trust": noted.origin.trust}
    for name in ("channel", "client", "agent", "session", "tool", "run"):
        if getattr(noted.origin, name):
            told[name] = getattr(noted.origin, name)
    if noted.origin.method != "manual":
        told["method"] = noted.origin.method
    for name in ("confidence", "valid_from", "valid_to", "confirmed_at"):
        value: Any = getattr(noted, name)
        if value is not None:
            told[name] = msgspec.to_builtins(value)
    for name in ("quarantined", "sources", "speaker", "said"):
        if getattr(noted, name):
            told[name] = getattr(noted, name)
    return told


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def relation(one: Relation) -> Structured:
    """A relation."""
    return {"from": one.from_, "to": one.to, "relationType": one.type}


def items(key: str) -> Callable[[Structured], Any]:
    """A text that is the bare list under `key`."""
    return lambda structured: structured[key]


def message(structured: Structured) -> str:
    """A text that is the answer's sentence."""
    return str(structured["message"])


def in_order(things: Iterable[T]) -> list[T]:
    """Each once, oldest first: ids are given in the order of making."""
    return [thing for _, thing in sorted({thing.id: thing for thing in things}.items())]


def _where(space: str) -> Structured:
    """The space that was written to, unless it is the one that nobody has to be told of."""
    return {} if space == DEFAULT_SPACE else {"space": space}
