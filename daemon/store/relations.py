"""Relations: typed edges, by id where an end exists and by name where it does not yet."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from enhanced_memory.client.values import Ref, Relation
from enhanced_memory.daemon.store.entities import Entities
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.views import View
from enhanced_memory.daemon.times import moment

__all__ = ["Edge", "End", "Held", "Relations", "between"]


class End(msgspec.Struct, frozen=True):
    """One end of a relation: an entity's id, or 0 and the name it will have."""

    id: int
    name: str = ""


class Edge(msgspec.Struct):
    """A relation as one layer of a view holds it."""

    row: int
    space: int
    id: int
    from_: End
    to: End
    type: str
    strength: float
    metadata: dict[str, Any]
    began: int
    at: int


class Held(msgspec.Struct):
    """A row of a relation: what it said, from when to when, and whether it hid a parent's."""

    edge: Edge
    ended: int
    hiding: bool

    @property
    def says(self) -> tuple[Any, ...]:
        """All but the numbers: two rows of one relation that say the same are the same relation."""
        edge = self.edge
        return (edge.from_, edge.to, edge.type, edge.strength, edge.metadata, self.hiding)


class Relations:
    """Reads and writes relations."""

    def __init__(self, ground: Ground, entities: Entities) -> None:
        self._ground = ground
        self._entities = entities

    def end(self, ref: Ref) -> End:
        """What `ref` means as an end. An id must exist; a name need not. `NotFound` for an unknown id."""
        if isinstance(ref, int):
            return End(self._entities.get(ref).id)
        found = self._entities.named(ref)
        return End(found) if found is not None else End(0, ref)

    def find(self, from_: End, to: End, type_name: str, view: View | None = None) -> Edge | None:
        """The relation of this type between these ends, if the view has it."""
        found = self._seen(
            "relations_same", self._ground.view if view is None else view, **between(from_, to, type_name)
        )
        return found[0] if found else None

    def expect(self, wanted: Mapping[tuple[End, End, str], View | None]) -> None:
        """Let the store look at once for what `find` will be asked: each in its view, None for the caller's."""
        self._ground.rows.expect(
            ("relations_same", {"space": layer.space, "at": layer.at, "nearer": view.nearer(depth)} | between(*one))
            for one, given in wanted.items()
            for view in (self._ground.view if given is None else given,)
            for depth, layer in view
        )

    def create(self, from_: End, to: End, type_name: str, strength: float, metadata: dict[str, Any]) -> Edge:
        """Write a relation that `find` did not find."""
        counters = self._ground.counters
        counters.relation += 1
        edge = Edge(
            0,
            self._ground.space,
            counters.relation,
            from_,
            to,
            type_name,
            strength,
            metadata,
            self._ground.number,
            self._ground.now,
        )
        self._write(edge)
        self._ground.note("relation", edge.id, "create", after=1, entity=from_.id)
        return edge

    def admit(self, edge: Edge, from_: End, to: End) -> Edge:
        """Write a relation of another space that `find` did not find here, under the id that it has there unless that is in use."""
        ground = self._ground
        if any(
            ground.rows.one("relation_held", space=layer.space, id=edge.id, at=layer.at) for _, layer in ground.view
        ):
            return self.create(from_, to, edge.type, edge.strength, edge.metadata)
        here = msgspec.structs.replace(edge, from_=from_, to=to, space=ground.space)
        self._write(here)
        ground.note("relation", edge.id, "create", after=1, entity=from_.id)
        return here

    def edge(self, row: tuple[Any, ...]) -> Edge:
        """The edge that a row says."""
        return self._edge(row)

    def delete(self, edge: Edge) -> None:
        """End a relation; one that a parent space holds is hidden here."""
        ground = self._ground
        ground.permit(edge.from_.id, edge.to.id)
        if edge.space == ground.space:
            self._end(edge)
        if edge.space != ground.space or self._held_below(edge.id):
            self._write(edge, deleted=True)
        ground.note("relation", edge.id, "delete", before=1, entity=edge.from_.id)

    def restore(self, entity: int, number: int, space: int) -> int:
        """Bring back the relations of an entity that ended in `space` with change `number`; how many.

        Where the other end is deleted too, the relation is not told before that end is restored as well.
        """
        ground = self._ground
        back = 0
        for row in ground.rows.all("relations_ended", space=space, entity=entity, number=number):
            edge = self._edge(row)
            if self.find(edge.from_, edge.to, edge.type) is None:
                self._write(edge)
                ground.note("relation", edge.id, "restore", after=1, entity=edge.from_.id)
                back += 1
        for relation, from_ in ground.rows.all("relations_hidden", space=ground.space, entity=entity, number=number):
            ground.note("relation", relation, "restore", after=1, entity=from_)
        ground.rows.run("unhide_relations", space=ground.space, entity=entity, number=number, ended=ground.number)
        return back

    def adopt(self, entity: int, name: str) -> None:
        """Ends that named an entity before it existed are its own from now on, in the spaces over this one, too.

        Those that see this one as it was, and those that have another entity of that name, keep the name.
        """
        ground = self._ground
        if ground.rows.one("dangling", name=name) is None:
            return
        own, here = ground.space, ground.space_name
        for (space,) in ground.rows.all("dangling_spaces", name=name):
            row = ground.rows.one("space_by_id", id=space)
            if space == own or row is None or row[4]:
                continue
            view = ground.view_of(row[1])
            if view is not None and here in view.live and self._entities.named(name, "", view) == entity:
                with ground.inside(row[1]):
                    self._adopt(entity, name)
        self._adopt(entity, name)

    def bind(self) -> None:
        """Give the ends that are names in this space alone to the entities that have come to be called so meanwhile."""
        ground = self._ground
        for (name,) in ground.rows.all("dangling_names", space=ground.space):
            entity = self._entities.named(name, "")
            if name and entity is not None:
                self._adopt(entity, name)

    def _adopt(self, entity: int, name: str) -> None:
        ground = self._ground
        for edge in self.touching([], names=[name]):
            from_ = End(entity) if edge.from_ == End(0, name) else edge.from_
            to = End(entity) if edge.to == End(0, name) else edge.to
            if self.find(from_, to, edge.type) is not None:
                self.delete(edge)  # it was related by its id already
                continue
            if edge.space == ground.space:
                self._end(edge)
            self._write(msgspec.structs.replace(edge, from_=from_, to=to))
            ground.note("relation", edge.id, "adopt", before=1, after=1, entity=entity)

    def rows_of(self, relation: int) -> list[Held]:
        """Every row that the caller's space has or had of a relation, oldest first."""
        rows = self._ground.rows.all("relation_rows", space=self._ground.space, id=relation)
        return [self._held(row) for row in rows]

    def between(self, entity: int, space: int, after: int, upto: int, limit: int) -> list[Held]:
        """The rows of relations that touch an entity and that began or ended in a space after one change and up to another, newest first."""
        rows = self._ground.rows.all(
            "relations_between", entity=entity, space=space, after=after, upto=upto, limit=limit
        )
        return [self._held(row) for row in rows]

    def put(self, edge: Edge, hiding: bool = False) -> None:
        """Write a row of a relation that the caller's space has no living row of."""
        self._write(edge, deleted=hiding)
        self._ground.note(
            "relation",
            edge.id,
            "delete" if hiding else "restore",
            before=int(hiding),
            after=int(not hiding),
            entity=edge.from_.id,
        )

    def end_row(self, edge: Edge, hiding: bool = False) -> None:
        """End the caller's space's own row of a relation. What a parent holds is seen again."""
        self._end(edge)
        self._ground.note(
            "relation",
            edge.id,
            "restore" if hiding else "delete",
            before=int(not hiding),
            after=int(hiding),
            entity=edge.from_.id,
        )

    def touching(
        self,
        ids: Iterable[int],
        names: Iterable[str] = (),
        outgoing: bool = False,
        incoming: bool = False,
        view: View | None = None,
        types: Iterable[str] = (),
        most: int = -1,
    ) -> list[Edge]:
        """The relations with an end among the given ids or names, in the order of their making. `outgoing` and `incoming` narrow
        to one side, `types` to these; `most` is how many of each layer are read.
        """
        view = self._ground.view if view is None else view
        ids = list(ids)
        types = list(types)
        if len(ids) == 1 and not names and not outgoing and not incoming and not types and most < 0:
            return self._seen("relations_of", view, entity=ids[0])
        given = {
            "ids": msgspec.json.encode(sorted(set(ids))).decode(),
            "names": msgspec.json.encode(sorted(set(names))).decode(),
            "outgoing": not incoming,
            "incoming": not outgoing,
            "most": most,
        }
        if types:
            return self._seen(
                "relations_touching", view, "relation_types", **given, types=msgspec.json.encode(types).decode()
            )
        return self._seen("relations_touching", view, **given)

    def loose(self, view: View | None = None) -> list[Edge]:
        """The relations whose start is a name that no entity has."""
        return self._seen("relations_loose", self._ground.view if view is None else view)

    def told(self, edges: list[Edge], names: dict[int, str] | None = None) -> list[Relation]:
        """The edges as values, their ends by the names they have now; edges to what is gone from the view are left out."""
        names = dict(names or {})
        needed = {end.id for edge in edges for end in (edge.from_, edge.to) if end.id} - names.keys()
        if needed:
            names |= self._entities.names_of(needed)
        space_of = self._ground.view.name_of
        return [
            Relation(
                id=edge.id,
                from_=names[edge.from_.id] if edge.from_.id else edge.from_.name,
                to=names[edge.to.id] if edge.to.id else edge.to.name,
                type=edge.type,
                from_id=edge.from_.id or None,
                to_id=edge.to.id or None,
                strength=edge.strength,
                metadata=edge.metadata,
                space=space_of(edge.space) or self._ground.call.peer.space,
                created_at=moment(edge.at),
            )
            for edge in edges
            if all(not end.id or end.id in names for end in (edge.from_, edge.to))
        ]

    def _seen(self, query: str, view: View, *also: str, **given: Any) -> list[Edge]:
        """The edges that the view sees: the nearest layer that has any row of a relation decides, a hiding one included."""
        found: dict[int, Edge] = {}
        for depth, layer in view:
            rows = self._ground.rows.all(
                query, *also, space=layer.space, at=layer.at, nearer=view.nearer(depth), **given
            )
            for row in rows:
                edge = self._edge(row)
                found.setdefault(edge.id, edge)
        if len(view.layers) > 1:
            # Parent and overlay may each have made the same relation: the nearest one speaks for it.
            said: dict[tuple[End, End, str], Edge] = {}
            for edge in found.values():
                said.setdefault((edge.from_, edge.to, edge.type), edge)
            found = {edge.id: edge for edge in said.values()}
        return [found[number] for number in sorted(found)]

    def _end(self, edge: Edge) -> None:
        number = self._ground.number
        self._ground.rows.run("drop_relation_begun", row=edge.row, number=number)
        self._ground.rows.run("end_relation", row=edge.row, number=number)

    def _held_below(self, relation: int) -> bool:
        """Whether a parent space holds the relation too, so that it would be seen again once this space's own row ends."""
        view = self._ground.view
        return any(
            self._ground.rows.one("relation_held", space=layer.space, id=relation, at=layer.at)
            for layer in view.layers[1:]
        )

    def _write(self, edge: Edge, deleted: bool = False) -> None:
        ground = self._ground
        ground.permit(edge.from_.id, edge.to.id)
        ground.rows.run(
            "add_relation",
            space=ground.space,
            id=edge.id,
            from_id=edge.from_.id,
            to_id=edge.to.id,
            from_name=edge.from_.name,
            to_name=edge.to.name,
            type=edge.type,
            strength=edge.strength,
            metadata=msgspec.msgpack.encode(edge.metadata) if edge.metadata else None,
            deleted=deleted,
            began=ground.number,
        )

    def _held(self, row: tuple[Any, ...]) -> Held:
        return Held(self._edge(row[:12]), row[12], bool(row[13]))

    def _edge(self, row: tuple[Any, ...]) -> Edge:
        (key, space, number, from_id, to_id, from_name, to_name, type_name, strength, metadata, began, at) = row
        return Edge(
            key, space, number, End(from_id, from_name), End(to_id, to_name), type_name, strength,
            msgspec.msgpack.decode(metadata) if metadata else {}, began, self._ground.now if at is None else at,
        )  # fmt: skip


def between(from_: End, to: End, type_name: str) -> dict[str, Any]:
    """What queries ask of a relation between two ends."""
    return {"from_id": from_.id, "from_name": from_.name, "to_id": to.id, "to_name": to.name, "type": type_name}
