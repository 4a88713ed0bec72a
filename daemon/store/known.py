"""Entities as a view knows them: by id, by name, in lists, and as they were.

The nearest layer that has a row of an entity decides, a deletion included.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from enhanced_memory.client.errors import Conflict, NotFound, StoreDamaged
from enhanced_memory.client.values import Ref, Tier
from enhanced_memory.daemon.store import derived, past
from enhanced_memory.daemon.store.bodies import State, decoded, name_in, undelta
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.narrowing import few
from enhanced_memory.daemon.store.views import NOW, View

__all__ = ["KEYFRAME", "TIERS", "Known", "Stored", "shown"]

TIERS: tuple[Tier, ...] = ("working", "episodic", "semantic", "procedural")


KEYFRAME = 32
"""Every so many versions one is kept whole, so that any opens with at most this many deltas."""


CHUNK = 200
"""Entities of the past that are opened at a time."""


class Stored(msgspec.Struct):
    """An entity as one layer of a view holds it."""

    id: int
    space: int
    scope: str
    version: int
    first: int
    began: int
    deleted: bool
    text_bytes: int
    crc: int
    stored_bytes: int
    raw: bytes
    state: State
    updated_at: int
    created_at: int
    used: int
    used_at: int
    current: bool = True
    """Whether this is the newest version its space holds."""
    place: Any = None
    """What it was ordered by, where it was listed."""

    @property
    def touched_at(self) -> int:
        """When somebody last changed it; what curation does to it makes it no younger."""
        return self.state.attributes.get("touched", self.updated_at)

    @property
    def last_at(self) -> int:
        """When it was last changed, read or confirmed."""
        return max(self.touched_at, self.used_at, self.state.attributes.get("confirmed_at", 0))


class Known:
    """Reads entities."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

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
            for row in self._ground.rows.all(
                "entities_by_id", space=layer.space, ids=msgspec.json.encode(sorted(left)).decode()
            ):
                if row[4] <= layer.at:
                    left.discard(row[0])
                    stored = self._stored(row, layer.at)
                    if stored is not None:
                        found[row[0]] = stored
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
        by_id = key == "key_id" and not down
        start = max(last_id if beyond is not None else 0, values.get("after", 0)) if by_id else 0
        for depth, _ in view:
            there = 0
            for one in self._changed_in(view, depth, start):
                place = past.place(one, key, values)
                if one.deleted == deleted and place is not None and past.meets(one, also, values):
                    if beyond is None or _after((place, one.id), (last, last_id), down):
                        then[one.id] = one
                        rows.append((one.id, place))
                        there += 1
                        if by_id and there >= limit:
                            break  # a layer's come in the order of their ids: no later one of it is on this page
        if len(view.layers) > 1 or then:
            rows.sort(key=lambda row: (past.in_order(row[1]), row[0]), reverse=down)
        rows = rows[:limit]
        loaded = self.load([row[0] for row in rows if row[0] not in then], view) | then
        for entity, place in rows:
            loaded[entity].place = place
        return [loaded[entity] for entity, _ in rows]

    def changed_since(self, view: View, after: int = 0) -> Iterator[Stored]:
        """The entities that the view sees in a layer of the past and that have changed since, as they were: no head row tells of those.

        Layer by layer in the order of their ids, those above `after`, opened as they are asked for.
        """
        for depth, _ in view:
            yield from self._changed_in(view, depth, after)

    def _changed_in(self, view: View, depth: int, after: int) -> Iterator[Stored]:
        """The same of one layer."""
        layer, beyond = view.layers[depth], after
        while layer.at < NOW:
            rows = self._ground.rows.all(
                "changed_since",
                space=layer.space,
                at=layer.at,
                nearer=view.nearer(depth),
                after=beyond,
                limit=CHUNK,
            )
            loaded = self.load([row[0] for row in rows], view)
            yield from (loaded[row[0]] for row in rows if row[0] in loaded)
            if len(rows) < CHUNK:
                break
            beyond = rows[-1][0]

    def version(self, entity: int, space: int, number: int) -> tuple[State, bytes]:
        """What version `number` of an entity said in a space, and its plain bytes. `NotFound` where there is none such."""
        head = self._ground.rows.one("entity", space=space, id=entity)
        if head is None or number > head[3]:
            raise NotFound(f"Entity {entity} has no version {number}.", "see `memory_history`")
        if number == head[3]:
            raw = self._ground.codec.plain(head[8], head[7])
            return decoded(raw), raw
        rows = self._ground.rows.all(
            "versions_from", space=space, entity=entity, version=number, last=number + KEYFRAME
        )
        if not rows or rows[0][0] != number:
            raise NotFound(f"Entity {entity} has no version {number} in this space.", "see `memory_history`")
        path: list[tuple[Any, ...]] = []
        raw: bytes | None = None
        for row in rows:
            path.append(row)
            if row[4]:
                raw = self._ground.codec.plain(row[6], row[5])
                path.pop()
                break
        if raw is None:
            if path[-1][0] != head[3] - 1:
                raise StoreDamaged(f"The versions of entity {entity} have a gap.")
            raw = self._ground.codec.plain(head[8], head[7])
        for row in reversed(path):
            raw = undelta(row[6], raw, row[5])
        return decoded(raw), raw

    def _hidden(self, entity: int, depth: int, view: View) -> bool:
        ids = f"[{entity}]"
        return any(
            self._ground.rows.all("known_in", space=layer.space, ids=ids, at=layer.at) for layer in view.layers[:depth]
        )

    def _stored(self, row: tuple[Any, ...], at: int) -> Stored | None:
        """What a head row says; for a layer in the past, the version that stood then. None where its kind no longer keeps that."""
        (entity, space, scope, _, first, began, *_, created_at, used, used_at) = row
        if began <= at:
            return self.now_of(row)
        then = self._ground.rows.one("version_at", space=space, entity=entity, at=at)
        if then is None:
            if self._ground.rows.all("versions_page", space=space, entity=entity, before=NOW, at=at, limit=1):
                raise StoreDamaged(f"Entity {entity} has no version at change {at}.")
            return None
        version, began, deleted, checksum, updated_at = then
        state, raw = self.version(entity, space, version)
        return Stored(
            entity, space, scope, version, first, began, bool(deleted), derived.text_bytes(state), checksum, 0, raw, state,
            updated_at or 0, state.attributes.get("born", created_at or 0), used or 0, used_at or 0, False,
        )  # fmt: skip

    def now_of(self, row: tuple[Any, ...]) -> Stored:
        """What a head row says."""
        (
            entity,
            space,
            scope,
            version,
            first,
            began,
            deleted,
            checksum,
            body,
            text_bytes,
            updated_at,
            created_at,
            used,
            used_at,
        ) = row
        raw = self._ground.codec.plain(body, checksum)
        state = decoded(raw)
        return Stored(
            entity, space, scope, version, first, began, bool(deleted), text_bytes, checksum, len(body), raw, state,
            updated_at or 0, state.attributes.get("born", created_at or 0), used or 0, used_at or 0,
        )  # fmt: skip


def _after(place: tuple[Any, int], last: tuple[Any, int], down: bool) -> bool:
    """Whether a place comes after the last one of the page before."""
    here, there = (past.in_order(place[0]), place[1]), (past.in_order(last[0]), last[1])
    return here < there if down else here > there


def shown(ref: Ref) -> str:
    """A reference as errors quote it: never more than a hundred characters of it."""
    return repr(ref if isinstance(ref, int) or len(ref) <= 100 else ref[:97] + "…")
