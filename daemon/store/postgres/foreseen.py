"""Questions of a change that are put to the server before they are asked, together with the change's beginning.

Most changes ask first what goes by a name. The names stand in the request, so all of them are looked for in the exchange that begins the
transaction, those of a whole group of changes at once: a change costs two exchanges with the server, however many names it tells of,
where each name would cost one to three more. What a later write of the same transaction touches is forgotten, and asked anew.
"""

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import cache
from itertools import islice
from typing import Any, cast

from enhanced_memory.client.operations.entities import AddObservations, CreateEntities, DeleteObservations
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.request import Request
from enhanced_memory.client.values import Ref
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store.postgres.statements import QUERIES
from enhanced_memory.daemon.store.views import NOW, View

__all__ = ["Foreseen", "Question", "questions"]

MOST = 4096
"""Questions that one transaction begins with; what lies beyond is asked when it is."""

Row = tuple[Any, ...]
Question = tuple[str, dict[str, Any]]
"""A named query, and its values."""

_OF: dict[str, tuple[str, ...]] = {
    "name": ("names",),
    "entities_named": ("names", "entities", "uses"),
    "entity": ("entities", "uses"),
    "dangling": ("relations",),
    "relations_same": ("relations",),
    "own_relations_same": ("relations",),
    "kept_answer": ("answers",),
}
"""The queries whose answers are kept, and the tables that they look into."""

_ABOUT: dict[str, tuple[str, ...]] = {
    "name": ("name",),
    "entities_named": ("name",),
    "entity": ("id",),
    "dangling": ("name",),
    "relations_same": ("from_id", "from_name", "to_id", "to_name"),
    "own_relations_same": ("from_id", "from_name", "to_id", "to_name"),
    "kept_answer": ("key",),
}
"""The values by which an answer is found that a write touches."""

About = tuple[Any, ...]
_Touched = Callable[[Mapping[str, Any]], Iterable[About]]


def _same(query: str) -> _Touched:
    """What a row touches that has a query's values under the same names."""
    return lambda row: (tuple(row[name] for name in _ABOUT[query]),)


_NAMES: dict[str, _Touched] = {"name": _same("name"), "entities_named": _same("entities_named")}
_ENTITY: dict[str, _Touched] = {"entity": _same("entity")}
_ANSWER: dict[str, _Touched] = {"kept_answer": _same("kept_answer")}
_TOUCHES: dict[str, dict[str, _Touched]] = {
    "add_name": _NAMES,
    "add_free_name": _NAMES,
    "drop_name_begun": _NAMES,
    "end_name": _NAMES,
    "add_entity": _ENTITY,
    "set_entity": _ENTITY,
    "add_relation": {
        "relations_same": _same("relations_same"),
        "dangling": lambda row: ((row["from_name"],), (row["to_name"],)),
    },
    "keep_answer": _ANSWER,
    "drop_answer": _ANSWER,
}
"""Writes that touch a few answers of some queries; any other touches every answer from its tables."""

_ENDS: Callable[[Any], Iterable[Any]] = lambda ask: (end for one in ask.relations for end in (one.from_, one.to))  # noqa: E731
_SPOKEN_OF: dict[type[Request[Any]], Callable[[Any], Iterable[Any]]] = {
    AddObservations: lambda ask: (one.entity for one in ask.observations),
    DeleteObservations: lambda ask: (one.entity for one in ask.deletions),
    CreateRelations: _ENDS,
    DeleteRelations: _ENDS,
}
"""The entities that a request speaks of, where it is not in its fields `entity`, `stream` or `entities`."""


def questions(calls: Iterable[Call], views: Mapping[str, View]) -> list[Question]:
    """What these calls will ask, as far as their names tell and their spaces are known."""
    return list(islice(_questions(calls, views), MOST))


def _questions(calls: Iterable[Call], views: Mapping[str, View]) -> Generator[Question]:
    asked: set[tuple[int, Ref]] = set()
    for call in calls:
        if call.key is not None:
            yield "kept_answer", {"uid": call.peer.uid, "key": call.kept_as}
        view = views.get(call.peer.space)
        if view is None or not view.now:
            continue
        made = isinstance(call.ask, CreateEntities)
        for name in _refs(call.ask):
            for _, layer in view:
                if (layer.space, name) in asked:
                    continue
                asked.add((layer.space, name))
                if isinstance(name, int):
                    yield "entity", {"space": layer.space, "id": name}
                    continue
                yield "name", {"space": layer.space, "name": name, "at": NOW}
                if not made:
                    yield "entities_named", {"space": layer.space, "name": name}
            if made and (0, name) not in asked:
                asked.add((0, name))
                yield "dangling", {"name": name}


def _refs(ask: Request[Any]) -> Generator[Ref]:
    if isinstance(ask, CreateEntities):
        yield from (one.name for one in ask.entities)
        return
    spoken_of = _SPOKEN_OF.get(type(ask))
    found: Iterable[Any] = (
        spoken_of(ask)
        if spoken_of is not None
        else (getattr(ask, "entity", None), getattr(ask, "stream", None), *_listed(getattr(ask, "entities", None)))
    )
    yield from (one for one in found if isinstance(one, int | str))


def _listed(told: Any) -> list[Any]:
    return cast("list[Any]", told) if isinstance(told, list) else []


class Foreseen:
    """What a transaction knows before it asks."""

    def __init__(self) -> None:
        self._answers: dict[str, dict[About, dict[tuple[Any, ...], list[Row]]]] = {}

    def forget(self) -> None:
        """Know nothing any more."""
        self._answers.clear()

    def keep(self, asked: Question, rows: list[Row]) -> None:
        """Know an answer, and what it tells of the entities in it."""
        name, values = asked
        self._keep(name, values, rows)
        if name == "entities_named":
            for row in rows:
                self._keep("entity", {"space": row[1], "id": row[0]}, [row])

    def _keep(self, name: str, values: Mapping[str, Any], rows: list[Row]) -> None:
        self._answers.setdefault(name, {}).setdefault(_about(name, values), {})[_key(values)] = rows

    def answer(self, name: str, values: Mapping[str, Any]) -> list[Row] | None:
        """The rows of a query, if they are known."""
        known = self._answers.get(name)
        if known is None:
            return None
        about = known.get(_about(name, values))
        return None if about is None else about.get(_key(values))

    def free(self, space: int, name: str, scope: str) -> bool:
        """Whether it is known that nothing in a space goes by a name in a scope."""
        rows = self.answer("name", {"space": space, "name": name, "at": NOW})
        return rows is not None and all(within != scope for within, _ in rows)

    def written(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Forget what a write touches."""
        touches = _TOUCHES.get(name, {})
        for query in [query for query in self._answers if not _written(name).isdisjoint(_OF[query])]:
            touched = touches.get(query)
            if touched is None:
                del self._answers[query]
                continue
            for about in (about for row in rows for about in touched(row)):
                self._answers[query].pop(about, None)


def _about(name: str, values: Mapping[str, Any]) -> About:
    return tuple(values[part] for part in _ABOUT[name])


def _key(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(values[name] for name in sorted(values))


@cache
def _written(name: str) -> frozenset[str]:
    """The tables that a named query writes to."""
    return frozenset(re.findall(r"\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)", QUERIES[name]))
