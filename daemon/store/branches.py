"""Branches: what a space holds of its own over another, what it began from, and how far it was merged.

Nothing here is special to branches: a space over a live parent is compared in the same way, each thing with what the parent
said when the space first changed it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.branches import Branch
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.relations import End, between
from enhanced_memory.daemon.store.views import NOW, View
from enhanced_memory.daemon.times import moment

__all__ = ["Branches", "Line", "Noted", "Span"]

Subject = Literal["all", "entity", "relation", "same"]
PAGE = 500


class Span(NamedTuple):
    """What a space did after one change and up to another."""

    space: int
    since: int
    at: int


class Noted(msgspec.Struct, frozen=True):
    """What a merge left for the next one."""

    subject: Subject
    id: int
    part: str


class Line(msgspec.Struct):
    """A space's own layers over another one, and what lies beneath them."""

    name: str
    branch: int
    target: int
    into: str
    view: View
    """All that is seen from the branch."""
    depth: int
    """How many of its layers are its own, counted from the nearest."""
    here: View
    """What is seen from the space that it is over, as it is now."""

    @property
    def own(self) -> View:
        """The branch's layers alone."""
        return self.view.above(self.depth)

    @property
    def beneath(self) -> View:
        """What the branch sees of the other space."""
        return self.view.below(self.depth)


class Branches:
    """Reads and writes branches."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def begin(self, name: str, parent: str, at: int | None, entity: int) -> None:
        """Write a branch of `parent` as it is, or as it was after change `at`. `Conflict` where the name is in use."""
        ground = self._ground
        over = ground.rows.one("space_named", name=parent)
        if over is None or over[4]:
            raise NotFound(f"There is no space {parent!r} to branch from.", "see `list_spaces`")
        known = ground.rows.one("space_row", name=name)
        if known is not None and not known[6]:
            raise Conflict(
                f"The name {name[:100]!r} is in use by a {known[4]}.", "choose another name, or discard that one"
            )
        if known is not None:
            if known[4] != "branch":
                raise Conflict(
                    f"The name {name[:100]!r} belongs to a deleted space.",
                    "choose another name, or bring it back with `create_space`",
                )
            # A discarded branch stays readable; its name is free for the next one.
            ground.rows.run("rename_space", id=known[0], name=f"{name}~{known[0]}")
        # Nothing but the branch itself is written by this change, so that it sees all that was before, an empty store included.
        ground.add_space(name, over[0], at or ground.number, "branch", msgspec.msgpack.encode({}), entity)

    def number_at(self, time: int) -> int:
        """The last change until a time; 0 where there was none."""
        row = self._ground.rows.one("number_at", at=time)
        return row[0] if row and row[0] else 0

    def page(self, *also: str, after: int, limit: int, **values: Any) -> list[tuple[int, Branch]]:
        """Branches with their ids, in the order of their making. `also` names conditions."""
        return [
            (row[0], self._branch(row))
            for row in self._ground.rows.all("branches_page", *also, after=after, limit=limit, **values)
        ]

    def get(self, name: str) -> Branch:
        """A branch in use. `NotFound` where there is none, `Invalid` for a space that is none."""
        row = self._ground.rows.one("space_row", name=name)
        if row is None or row[6]:
            raise NotFound(f"There is no branch {name[:100]!r}{' any more' if row else ''}.", "see `list_branches`")
        if row[4] != "branch":
            raise Invalid(
                f"{name!r} is a space and no branch.", "see `list_branches`; spaces are deleted with `delete_space`"
            )
        return self.page("branch_named", after=0, limit=1, name=name)[0][1]

    def line(self, name: str, into: str | None = None) -> Line:
        """A space over its parent, or over `into`, which the parent reads through to. `Invalid` where it does not read through to that."""
        ground = self._ground
        view = ground.view_of(name)
        if view is None:
            raise NotFound(f"There is no branch {name[:100]!r}.", "see `list_branches`")
        if into == name:
            raise Invalid(f"{name!r} cannot be merged with itself.", "name its parent, or nothing")
        if len(view.layers) == 1:
            raise Invalid(f"{name!r} reads through to no other space: it is no branch.", "see `list_branches`")
        into = view.names[1] if into is None else into
        here = ground.view_of(into)
        if here is None:
            raise NotFound(f"There is no space {into[:100]!r} in use.", "see `list_spaces`")
        if into not in view.names:
            if name in here.names:
                raise Invalid(
                    f"{into!r} reads through to {name!r}: it is its branch, not its parent.",
                    f"merge {into!r} into {name!r} instead",
                )
            raise Invalid(
                f"{name!r} does not read through to {into!r}.",
                f"it can be merged into {', '.join(map(repr, view.names[1:]))}",
            )
        depth = view.names.index(into)
        return Line(name, view.layers[0].space, view.layers[depth].space, into, view, depth, here)

    # What a space holds of its own

    def entities(self, view: View, since: int, after: int, limit: int = PAGE) -> list[int]:
        """The entities of which the layers of `view` got a version after change `since`: a page, by their ids."""
        found: set[int] = set()
        for _, layer in view:
            rows = self._ground.rows.all(
                "own_entities", space=layer.space, since=since, at=layer.at, after=after, limit=limit
            )
            found |= {row[0] for row in rows}
        return sorted(found)[:limit]

    def since(self, line: Line, after: int, limit: int = PAGE) -> list[int]:
        """The entities that the other space changed since the branch saw it: a page, by their ids."""
        seen = {layer.space: layer.at for layer in line.beneath.layers}
        found: set[int] = set()
        for _, layer in line.here:
            pinned = seen.get(layer.space, 0)
            if pinned < layer.at:
                rows = self._ground.rows.all(
                    "own_entities", space=layer.space, since=pinned, at=layer.at, after=after, limit=limit
                )
                found |= {row[0] for row in rows}
        return sorted(found)[:limit]

    def first(self, view: View, entity: int) -> int:
        """The change at which the layers of `view` first got a row of an entity; 0 where they have none."""
        rows = (self._ground.rows.one("own_entity", space=layer.space, id=entity, at=layer.at) for _, layer in view)
        return min((row[0] for row in rows if row is not None), default=0)

    def base(self, line: Line, entity: int, number: int) -> View:
        """The view in which an entity is as the branch had it at change `number`, or as the branch found it if it had not changed it by then."""
        first = self.first(line.own, entity)
        return line.view.until(number) if first and first <= number else line.beneath.until(first or NOW)

    def born(self, line: Line, entity: int) -> bool:
        """Whether an entity was made in the branch, and is no copy of what the other space has or had."""
        row = self._ground.rows.one("begun_as", number=self.first(line.own, entity), id=entity)
        return row is None or not row[0]

    def relation_rows(self, view: View, since: int) -> Iterator[tuple[Any, ...]]:
        """The rows of relations that the layers of `view` began or ended after change `since`."""
        for _, layer in view:
            yield from self._ground.rows.all("own_relations", space=layer.space, since=since, at=layer.at)

    def spans(self, line: Line, now: bool) -> list[Span]:
        """What the branch did of its own; `now`: and what the other space did since the branch saw it."""
        own = [Span(layer.space, 0, layer.at) for _, layer in line.own]
        seen = {layer.space: layer.at for layer in line.beneath.layers}
        return own + [Span(layer.space, seen.get(layer.space, 0), layer.at) for _, layer in line.here if now]

    def relation_ids(self, spans: list[Span], after: int, limit: int) -> list[int]:
        """The relations that were begun or ended in `spans`: a page, by their ids."""
        rows = self._ground.rows
        asked = [rows.all("own_relation_ids", **span._asdict(), after=after, limit=limit) for span in spans]
        return sorted({row[0] for each in asked for row in each})[:limit]

    def relation_rows_among(self, spans: list[Span], after: int, upto: int) -> Iterator[tuple[Any, ...]]:
        """The rows that `spans` have of the relations behind one id and up to another."""
        for span in spans:
            yield from self._ground.rows.all(
                "own_relations", "relation_among", **span._asdict(), after=after, upto=upto
            )

    def relation_rows_between(
        self, spans: list[Span], wanted: Iterable[tuple[End, End, str]]
    ) -> Iterator[tuple[Any, ...]]:
        """The rows that `spans` have of relations of these types between these ends."""
        asked = [(span, between(*one)) for span in spans for one in wanted]
        self._ground.rows.expect(("own_relations_same", span._asdict() | given) for span, given in asked)
        for span, given in asked:
            yield from self._ground.rows.all("own_relations_same", **span._asdict(), **given)

    def ends(self, spans: list[Span], names: Iterable[str]) -> set[str]:
        """Those of some names that stand for an end in a row of the spaces of `spans`."""
        given = msgspec.json.encode(sorted(set(names))).decode()
        spaces = dict.fromkeys(span.space for span in spans)
        return {row[0] for space in spaces for row in self._ground.rows.all("own_ends", space=space, names=given)}

    def relation_rows_of(self, view: View, relation: int) -> Iterator[tuple[Any, ...]]:
        """All rows of one relation in the layers of `view`."""
        for _, layer in view:
            yield from self._ground.rows.all("own_relation", space=layer.space, id=relation)

    def message_rows(self, view: View, since: int, stream: int = 0) -> list[tuple[Any, ...]]:
        """The rows of messages that the layers of `view` got after change `since`, in their order."""
        also, values = (("of_stream",), {"stream": stream}) if stream else ((), {})
        found = [
            row
            for _, layer in view
            for row in self._ground.rows.all("own_messages", *also, space=layer.space, since=since, **values)
        ]
        return sorted(found, key=lambda row: row[0])

    def count_messages(self, view: View) -> int:
        """How many messages the layers of `view` hold."""
        rows = (self._ground.rows.one("count_own_messages", space=layer.space) for _, layer in view)
        return sum(row[0] for row in rows if row)

    # What merges leave for the next one

    def noted(self, line: Line) -> dict[Noted, int]:
        """What earlier merges of the branch into the other space left, each with its base."""
        rows = self._ground.rows.all("merges", branch=line.branch, target=line.target)
        return {Noted(subject, number, part): base for subject, number, part, base in rows}

    def keep(self, line: Line, before: dict[Noted, int], after: dict[Noted, int]) -> bool:
        """Make `after` what is noted, and say whether that differs from `before`."""
        rows, which = self._ground.rows, {"branch": line.branch, "target": line.target}
        gone = [which | msgspec.structs.asdict(one) for one, base in before.items() if after.get(one) != base]
        come = [
            which | msgspec.structs.asdict(one) | {"base": base}
            for one, base in after.items()
            if before.get(one) != base
        ]
        if not gone and not come:
            return False
        number = self._ground.number
        ended = [row | {"number": number} for row in gone]
        rows.many("drop_merge_begun", ended)
        rows.many("end_merge", ended)
        rows.many("add_merge", [row | {"began": number} for row in come])
        return True

    def forget(self, number: int) -> None:
        """Take back what the merge in change `number` noted, so that what is undone of it can be merged again."""
        self._ground.rows.run("unmerge_begun", number=number)
        self._ground.rows.run("unmerge_ended", number=number)

    def take_in_again(self, branch: int, upto: int) -> None:
        """Note anew that the caller's space has taken a branch in up to change `upto`: a merge that was undone is redone."""
        rows, number = self._ground.rows, self._ground.number
        which = {"branch": branch, "target": self._ground.space, "subject": "all", "id": 0, "part": ""}
        rows.run("drop_merge_begun", **which, number=number)
        rows.run("end_merge", **which, number=number)
        rows.run("add_merge", **which, began=number, base=upto)

    def readers(self, names: Iterable[str], limit: int = 5) -> list[str]:
        """Spaces in use that read through to one of `names`."""
        rows = self._ground.rows
        ids = [row[0] for row in (rows.one("space_named", name=name) for name in names) if row is not None]
        return [row[0] for number in ids for row in rows.all("readers_of", id=number, limit=limit)]

    def _branch(self, row: tuple[Any, ...]) -> Branch:
        (_, name, parent, pinned, entity, ended, at, by, message, entities, merged) = row
        if at is None:  # it is being made: its change is not written yet
            call = self._ground.call
            at, by, message = self._ground.now, call.peer.agent or call.peer.client, getattr(call.ask, "message", "")
        return Branch(
            name,
            parent or "",
            pinned or None,
            entity or None,
            "",
            moment(at),
            by,
            message,
            entities,
            merged,
            bool(ended),
        )
