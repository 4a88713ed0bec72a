"""Entities as a view knows them: by id, by name, in lists, and as they were.

The nearest layer that has a row of an entity decides, a deletion included.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from enhanced_memory.client.errors import Conflict, NotFound
from enhanced_memory.client.values import Ref, Tier
from enhanced_memory.daemon.store import past
from enhanced_memory.daemon.store.bodies import name_in
from enhanced_memory.daemon.store.narrowing import few
from enhanced_memory.daemon.store.opening import KEYFRAME, Opening, Stored
from enhanced_memory.daemon.store.views import NOW, View

__all__ = ["KEYFRAME", "TIERS", "Known", "Stored", "shown"]

TIERS: tuple[Tier, ...] = ("working", "episodic", "semantic", "procedural")


CHUNK = 200
"""Entities of the past that are opened at a time."""

THEN = {
    "key_id": ("changed_since", "key_id", "after_id", "before_id"),
    "key_updated": ("changed_then", "then_updated", "further_up", "further_down"),
    "key_spoken": ("changed_then", "then_spoken", "further_up", "further_down"),
    "key_name": ("changed_by_name", "key_name", "further_up_names", "further_down_names"),
    "key_property": ("changed_by_property", "key_property", "", ""),
}
"""The orders in which queries tell what was changed since as it was: each with what it is ordered by there, and what is behind a place."""


class Known(Opening):
    """Reads entities."""

    def get(self, ref: Ref, scope: str | None = None) -> Stored:
        """The entity that `ref` means in the caller's view. `NotFound` where there is none, `Conflict` where a name means several."""
        found = self.find(ref, scope)
        if found is None:
            raise NotFound(
                f"There is no entity {'with id ' if isinstance(ref, int) else ''}{shown(ref)} in space {self._ground.call.peer.space!r}.",
                "search for it with `search_nodes`, or make it with `create_entities`",
            )
        return found

    def find(self, ref: Ref, scope: str | None = None, view: View | None = None) -> Stored | None:
        """The same, with None where there is none. What is deleted is not there."""
        view = self._ground.view if view is None else view
        entity = ref if isinstance(ref, int) else self.named(ref, scope, view)
        if entity is None:
            return None
        found = self.known(entity, view)
        return None if found is None or found.deleted else found

    def known(self, entity: int, view: View | None = None) -> Stored | None:
        """What the view knows of an entity, deleted or not."""
        for _, layer in self._ground.view if view is None else view:
            row = self._ground.rows.one("entity", space=layer.space, id=entity)
            if row is not None and row[4] <= layer.at:
                return self._stored(row, layer.at)
        return None

    def named(self, name: str, scope: str | None = None, view: View | None = None) -> int | None:
        """The id of the entity with a name; ordinary entities go before those whose names are kept apart by scope."""
        view = self._ground.view if view is None else view
        found = self.meant(name, scope, view)
        if len(found) > 1:
            ids = ", ".join(map(str, found[:5]))
            raise Conflict(f"{len(found)} entities are called {shown(name)}.", f"say which by its id: {ids}")
        return found[0] if found else None

    def meant(self, name: str, scope: str | None = None, view: View | None = None) -> list[int]:
        """The ids of the entities that a name can mean: the ordinary one of that name, else all that are called so within their scopes."""
        found = self._named(name, self._ground.view if view is None else view)
        if scope is not None:
            return [entity for within, entity in found if within == scope]
        plain = [entity for within, entity in found if not within]
        return plain or [entity for _, entity in found]

    def opened(self, ref: Ref, scope: str | None = None) -> list[Stored]:
        """What an id or a name means, deleted entities left out: several where entities share a name within scopes of their own."""
        view = self._ground.view
        if isinstance(ref, str) and len(view.layers) == 1 and view.now:
            space = view.layers[0].space
            here = [self.now_of(row) for row in self._ground.rows.all("entities_named", space=space, name=ref)]
            if scope is not None:
                return [one for one in here if one.scope == scope]
            return [one for one in here if not one.scope] or here
        ids = [ref] if isinstance(ref, int) else self.meant(ref, scope)
        return [one for one in (self.find(each, scope) for each in ids) if one is not None]

    def named_in_any_scope(self, name: str) -> list[int]:
        """The ids of all entities with a name."""
        return [entity for _, entity in self._named(name, self._ground.view)]

    def _named(self, name: str, view: View) -> list[tuple[str, int]]:
        """The scopes and ids of what has a name in a view; in each scope the nearest layer decides."""
        found: dict[str, int] = {}
        for depth, layer in view:
            for within, entity in self._ground.rows.all("name", space=layer.space, name=name, at=layer.at):
                if within not in found and not (depth and self._hidden(entity, depth, view)):
                    found[within] = entity
        return list(found.items())

    def _hidden(self, entity: int, depth: int, view: View) -> bool:
        ids = f"[{entity}]"
        return any(
            self._ground.rows.all("known_in", space=layer.space, ids=ids, at=layer.at) for layer in view.layers[:depth]
        )

    def names_of(self, ids: Iterable[int]) -> dict[int, str]:
        """The names of entities that are there in the caller's view."""
        view = self._ground.view
        if not view.now or len(view.layers) != 1:
            return {one.id: one.state.name for one in self.many(ids).values()}
        codec = self._ground.codec
        rows = self._ground.rows.all(
            "living_bodies", space=view.layers[0].space, ids=msgspec.json.encode(sorted(set(ids))).decode()
        )
        return {entity: name_in(codec.plain(body, checksum)) for entity, checksum, body in rows}

    def once_named(self, name: str) -> list[int]:
        """The ids of entities that had a name once, the one that lost it last first. In a parent, a name that lives there may be hidden here."""
        rows_of = self._ground.rows.all
        return [
            row[0]
            for depth, layer in self._ground.view
            for row in rows_of("deleted_names", space=layer.space, name=name, at=layer.at, below=depth > 0)
        ]

    def many(self, ids: Iterable[int], *also: str, view: View | None = None, **values: Any) -> dict[int, Stored]:
        """What the view knows of the given entities, those deleted left out. `also` names conditions that they must meet."""
        view = self._ground.view if view is None else view
        found = {entity: one for entity, one in self.load(ids, view).items() if not one.deleted}
        if also and found:
            values |= {"now": self._ground.now}
            kept = {one.id for one in found.values() if not one.current and past.meets(one, also, values)}
            for space in {one.space for one in found.values() if one.current}:
                here = [one.id for one in found.values() if one.space == space and one.current]
                kept |= self._meeting(space, here, also, values)
            found = {entity: one for entity, one in found.items() if entity in kept}
        return found

    def living(self, ids: Iterable[int], *also: str, **values: Any) -> set[int]:
        """Those of the given entities that the caller's view knows, that are not deleted and that meet the conditions `also` names.

        What they are is not opened.
        """
        view = self._ground.view
        if not view.now:
            return set(self.many(ids, *also, **values))
        left = set(ids)
        found: set[int] = set()
        for _, layer in view:
            if not left:
                break
            row = self._ground.rows.one(
                "known_heads", space=layer.space, ids=msgspec.json.encode(sorted(left)).decode()
            )
            rows = msgspec.json.decode(row[0], type=list[tuple[int, int]]) if row else []
            here = {entity for entity, deleted in rows if not deleted}
            left.difference_update(entity for entity, _ in rows)
            found |= self._meeting(layer.space, here, also, values) if also else here
        return found

    def _meeting(self, space: int, ids: Iterable[int], also: tuple[str, ...], values: dict[str, Any]) -> set[int]:
        """Those of the entities of a space that meet conditions now."""
        here = msgspec.json.encode(sorted(ids)).decode()
        rows = self._ground.rows.all(
            "entities_meeting", *also, space=space, ids=here, **values | {"now": self._ground.now}
        )
        return {row[0] for row in rows}

    def load(self, ids: Iterable[int], view: View) -> dict[int, Stored]:
        """The given entities from the nearest layer that knows each, deleted ones included."""
        left = set(ids)
        found: dict[int, Stored] = {}
        for _, layer in view:
            if not left:
                break
            rows = self._ground.rows.all(
                "entities_by_id", space=layer.space, ids=msgspec.json.encode(sorted(left)).decode()
            )
            here = [row for row in rows if row[4] <= layer.at]
            left.difference_update(row[0] for row in here)
            found |= self._opened(here, layer.space, layer.at)
        return found

    def seen(self, ids: Iterable[int], view: View) -> dict[int, Stored]:
        """What a view knows of the given entities, deleted or not."""
        return self.load(ids, view)

    def page(
        self, *also: str, key: str = "key_id", down: bool = False, limit: int, beyond: tuple[Any, int] | None = None,
        deleted: bool = False, view: View | None = None,
        rare: tuple[Iterable[str], Iterable[tuple[str, Any]]] | None = None, **values: Any,
    ) -> list[Stored]:  # fmt: skip
        """A page of entities in order. `also` names conditions, `key` what to order by; `beyond` is the place and id of the last one before it.

        `rare` are tags and properties' values that the conditions ask for: where few have one, or are pinned or of the types that
        are asked for, those alone are looked at.
        """
        view = self._ground.view if view is None else view
        values |= {"now": self._ground.now}
        query = {"key_name": "list_ids_by_name", "key_property": "list_ids_by_property"}.get(key, "list_ids")
        (last, last_id), further = beyond or (None, 0), []
        if beyond is not None and query != "list_ids_by_property":
            further = ["further_down" if down else "further_up"]
        rows: list[tuple[Any, ...]] = []
        then: dict[int, Stored] = {}
        for depth, layer in view:
            # What few have is looked up; in a layer of the past they may have had it then.
            here = (
                few(
                    self._ground, layer.space, *(rare or ((), ())),
                    types=values["types"] if "of_types" in also else "", pinned="is_pinned" in also,
                )
                if layer.at == NOW and not deleted
                else None
            )  # fmt: skip
            within: dict[str, Any] = {
                "space": layer.space,
                "at": layer.at,
                "nearer": view.nearer(depth),
                "deleted": deleted,
            }
            if here is not None:
                within["few"] = msgspec.json.encode(sorted(set(here))).decode()
            if here is not None and query != "list_ids":
                # Their places are in what they are, and not in their rows.
                ids = self._ground.rows.all("list_ids_few", *also, key="key_id", limit=len(here), **within, **values)
                for one in self.load([row[0] for row in ids], view).values():
                    place = past.place(one, key, values)
                    if place is not None and (beyond is None or _after((place, one.id), (last, last_id), down)):
                        then[one.id] = one
                        rows.append((one.id, place))
                continue
            rows += self._ground.rows.all(
                query if here is None else "list_ids_few", *also, *further, key=key, down=down, falling=down,
                beyond=last, beyond_id=last_id, limit=limit, **within, **values,
            )  # fmt: skip
        start = beyond
        if key == "key_id" and not down and (after := values.get("after", 0)) > (last_id if beyond is not None else 0):
            start = (after, after)
        for depth, _ in view:
            there = 0
            for one in self._changed_in(
                view, depth, key, down, start, past.marks(also, values), **{"deleted": deleted} | values
            ):
                place = past.place(one, key, values)
                if one.deleted == deleted and place is not None and past.meets(one, also, values):
                    if beyond is None or _after((place, one.id), (last, last_id), down):
                        then[one.id] = one
                        rows.append((one.id, place))
                        there += 1
                        if key in THEN and there >= limit:
                            break  # a layer's come in their order: no later one of it is on this page
        if len(view.layers) > 1 or then:
            rows.sort(key=lambda row: (past.in_order(row[1]), row[0]), reverse=down)
        rows = rows[:limit]
        loaded = self.load([row[0] for row in rows if row[0] not in then], view) | then
        for entity, place in rows:
            loaded[entity].place = place
        return [loaded[entity] for entity, _ in rows]

    def changed_since(self, view: View) -> Iterator[Stored]:
        """The entities that the view sees in a layer of the past and that have changed since, as they were: no head row tells of those.

        Layer by layer, opened as they are asked for.
        """
        for depth, _ in view:
            yield from self._changed_in(view, depth)

    def _changed_in(
        self, view: View, depth: int, key: str = "key_id", down: bool = False, beyond: tuple[Any, int] | None = None,
        marks: Sequence[Sequence[bytes]] = (), **values: Any,
    ) -> Iterator[Stored]:  # fmt: skip
        """The same of one layer, behind a place, in an order that a query tells; in that of their ids where none does."""
        layer = view.layers[depth]
        if layer.at >= NOW:
            return
        few = self._ground.rows.all("changed_few", space=layer.space, at=layer.at, limit=CHUNK + 1)
        if len(few) <= CHUNK:  # they are looked at sooner than all that has an order
            some = [entity for entity, first in few if first <= layer.at]
            loaded = self.load(self._holding(some, layer.space, layer.at, marks) if some and marks else some, view)
            placed = [(past.place(one, key, values), one) for one in loaded.values() if one.space == layer.space]
            found = [(past.in_order(place), one.id, one) for place, one in placed if place is not None]
            yield from (one for *_, one in sorted(found, key=lambda each: each[:2], reverse=down))
            return
        if key not in THEN:
            key, down, beyond = "key_id", False, None
        query, by, above, below = THEN[key]
        within: dict[str, Any] = {"space": layer.space, "at": layer.at, "nearer": view.nearer(depth)}
        many = CHUNK
        while True:
            place, number = beyond or (None, 0)
            rows = self._ground.rows.all(
                query, *([below if down else above] if number and above else []), key=by, down=down, falling=down,
                **values | within | {"beyond": place, "beyond_id": number, "after": number, "limit": many},
            )  # fmt: skip
            for begin in range(0, len(rows), CHUNK):
                some = [row[0] for row in rows[begin : begin + CHUNK]]
                if marks:
                    some = self._holding(some, layer.space, layer.at, marks)
                loaded = self.load(some, view)
                yield from (loaded[entity] for entity in some if entity in loaded)
            if len(rows) < many:
                break
            # Where a page finds little among them it may come to all: they are put in order a few times, not once for each chunk.
            beyond, many = (rows[-1][1], rows[-1][0]), 8 * many


def _after(place: tuple[Any, int], last: tuple[Any, int], down: bool) -> bool:
    """Whether a place comes after the last one of the page before."""
    here, there = (past.in_order(place[0]), place[1]), (past.in_order(last[0]), last[1])
    return here < there if down else here > there


def shown(ref: Ref) -> str:
    """A reference as errors quote it: never more than a hundred characters of it."""
    return repr(ref if isinstance(ref, int) or len(ref) <= 100 else ref[:97] + "…")
