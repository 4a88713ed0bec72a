"""What every chapter of a transaction stands on: the engine's named queries, who asks, in which view, and the change being made."""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from enhanced_memory.client.errors import Broken, Conflict, Denied, NotFound, StoreDamaged
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import Origin
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store.bodies import Codec, Line, crc
from enhanced_memory.daemon.store.views import NOW, Layer, View
from enhanced_memory.daemon.text import check_text

__all__ = ["DEEPEST", "NOTHING_BEGUN", "Counters", "Ground", "Posted", "Rows", "Sealing"]

MESSAGE_CHARS = 10_000
"""What may be said about a change."""

OPEN_BLOCKS = 8
"""Blocks of archived messages that one request keeps unpacked."""

DEEPEST = 32
"""How many spaces may read through one another."""


NOTHING_BEGUN: tuple[int, int, dict[int, int]] = (0, 0, {})


class Rows(Protocol):
    """Named queries on one connection. `also` names conditions that are added where the query says `/*also*/`."""

    memo: dict[Any, int]
    """Ids of what never changes once it is written; emptied when a transaction is undone."""
    compares: bool
    """Whether vectors can be compared by a query."""

    views: dict[str, View]
    """What was found out of spaces' views; emptied when a space changes. An engine that cannot know when one does keeps none."""

    @property
    def posted(self) -> "Posted | None":
        """The words that are kept in memory, where the engine keeps any."""
        ...

    @property
    def sealing(self) -> "Sealing":
        """What encrypts files beside the store, and reads them."""
        ...

    def all(self, name: str, /, *also: str, **values: Any) -> list[tuple[Any, ...]]:
        """Every row."""
        ...

    def one(self, name: str, /, *also: str, **values: Any) -> tuple[Any, ...] | None:
        """The first row."""
        ...

    def expect(self, asked: Iterable[tuple[str, dict[str, Any]]], /) -> None:
        """These queries will be asked, each with these values: where every question costs a way to a server, ask them together."""
        ...

    def run(self, name: str, /, **values: Any) -> None:
        """Carry it out, at once or together with what follows: before anything is read, and before the commit."""
        ...

    def count(self, name: str, /, **values: Any) -> int:
        """Carry it out now; how many rows it changed."""
        ...

    def many(self, name: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Carry it out once for each of `rows`."""
        ...

    def near(
        self, model: int, dimension: int, query: bytes, count: int, spaces: str, messages: bool, stream: int
    ) -> list[tuple[int, float]]:
        """The nearest vectors, by an index of the engine's own: where `Engine.held` tells of one."""
        ...


class Sealing(Protocol):
    """Files beside the store, each encrypted with a key of its own that the store keeps."""

    @property
    def wanted(self) -> bool:
        """Whether what is written is to be encrypted, for the store is."""
        ...

    def write(self, path: Path, packed: bytes) -> str:
        """Write a new file (0600), not yet synced; its key. `OSError`, `StoreFull`, `Broken`."""
        ...

    def read(self, path: Path, digits: str) -> bytes:
        """What a file holds. `OSError`, `StoreDamaged`; `StoreRefused` where nothing encrypted can be read here."""
        ...


class Posted(Protocol):
    """Words kept in memory with the passages that hold them."""

    def begin(self) -> None:
        """To be called before a transaction begins: what is told by now, it sees."""
        ...

    def best(
        self, asked: Sequence[str], count: int, spaces: Collection[int], messages: bool, owners: Collection[int] = (), ceiling: int | None = None
    ) -> tuple[list[int], list[float], bool] | None:  # fmt: skip
        """The passages with any of the expressions that score highest, their scores, and whether there are more.

        Of some spaces, of entities or messages, of these entities or streams where `owners` are named, up to the passage `ceiling`. Whether they
        last is to be looked up. None where the index on disk is to be asked.
        """
        ...


class Counters(msgspec.Struct):
    """The highest numbers given out. The writer keeps them, and takes a transaction's only once that stands."""

    change: int = 0
    entity: int = 0
    relation: int = 0
    message: int = 0
    passage: int = 0
    conflict: int = 0


class Ground:
    """One request's footing in the store. Without counters it only reads."""

    def __init__(
        self, rows: Rows, codec: Codec, call: Call, now: int, settings: Settings, counters: Counters | None = None
    ) -> None:
        self.rows = rows
        self.codec = codec
        self.call = call
        self._asked = call
        self.now = now
        """Milliseconds since 1970, the same for all of the transaction."""
        self.settings = settings
        self._counters = counters
        self.started = False
        """Whether anything was changed, so that the change has a number."""
        self.rehearsal = False
        """Whether all that is written is to be undone once the answer is known: what would happen, and nothing of it."""
        self.ended: list[int] = []
        """The passages that this change ends."""
        self.given: list[int] = []
        """The passages that this change gives vectors of a caller's own."""
        self.begun: tuple[int, int, dict[int, int]] = NOTHING_BEGUN
        """The space and the entity whose first row was written last, and its passages by part, as long as they are all that it has."""
        self._journal: list[dict[str, Any]] = []
        self._view: View | None = None
        self._space = 0
        self._blocks: dict[int, dict[int, bytes]] = {}

    def line(self, body: bytes | int, checksum: int) -> Line:
        """What a message says, by its row's body: the bytes, or the block of archived messages that holds them."""
        if isinstance(body, bytes):
            return self.codec.line(body, checksum)
        known = self._blocks.get(body)
        if known is None:
            row = self.rows.one("block", id=body)
            if row is None:
                raise StoreDamaged(f"The block {body} of archived messages is not there.")
            if len(self._blocks) >= OPEN_BLOCKS:
                self._blocks.pop(next(iter(self._blocks)))
            known = self._blocks[body] = {crc(raw): raw for raw in self.codec.unbundle(row[1], row[0])}
        raw = known.get(checksum)
        if raw is None:
            raise StoreDamaged(f"The block {body} of archived messages lacks one of them.")
        return self.codec.said(raw)

    @property
    def counters(self) -> Counters:
        """The numbers to be given out next. `Denied` in a question."""
        if self._counters is None:
            raise Denied("A question may not change anything.")
        return self._counters

    @property
    def number(self) -> int:
        """This change's number."""
        counters = self.counters
        if not self.started:
            self.started = True
            counters.change += 1
        return counters.change

    @property
    def touched(self) -> list[int]:
        """The entities that this change touched."""
        return list(dict.fromkeys(row["touched"] for row in self._journal if row["touched"]))

    def note(self, subject: str, thing: int, act: str, before: int = 0, after: int = 0, entity: int = 0) -> None:
        """Put into the journal what this change does to one thing. `entity` is the one that is touched, where it is not the thing itself."""
        seq = len(self._journal)
        touched = thing if subject == "entity" else entity
        self._journal.append(
            {
                "number": self.number,
                "seq": seq,
                "subject": subject,
                "id": thing,
                "act": act,
                "before": before,
                "after": after,
                "touched": touched,
            }
        )

    def finish(self) -> None:
        """Write the change itself and its journal, if anything was changed."""
        if not self.started:
            return
        call = self.call
        call.change = self._asked.change = self.number
        self.rows.run(
            "add_change",
            number=self.number,
            at=self.now,
            space=self.space,
            origin=self.origin(call.origin()),
            op=call.ask.op,
            message=check_text(getattr(call.ask, "message", ""), "The change's message", MESSAGE_CHARS),
        )
        self.rows.many("add_journal", self._journal)

    def origin(self, origin: Origin) -> int:
        """The id of an origin, written when it is met for the first time."""
        known = self.rows.memo.get(origin)
        if known is not None:
            return known
        values = msgspec.structs.asdict(origin)
        found = self.rows.one("origin_id", **values)
        if found is None:
            self.rows.run("add_origin", **values)
            found = self.rows.one("origin_id", **values)
        if found is None:
            raise Broken("An origin was written and is not there.")
        self.rows.memo[origin] = found[0]
        return found[0]

    @property
    def space_name(self) -> str:
        """The name of the space that the caller works in."""
        return self.call.peer.space

    @property
    def view(self) -> View:
        """What the caller sees: the connection's space over its parents. A space not made yet is seen as its parent-to-be."""
        if self._view is None:
            self._view = self._find_view()
        return self._view

    def _find_view(self) -> View:
        peer = self.call.peer
        found = self.view_of(peer.space)
        if found is None:
            found = self.view_of(peer.parent) if peer.parent else View()
            if found is None:
                raise NotFound(f"There is no space {peer.parent!r} to read through to.", "see `list_spaces`")
        return found

    def view_as(self, view: View) -> View:
        """Read through another view from here on; the one before."""
        before, self._view = self.view, view
        return before

    def look_back(self, number: int, at: int | None = None) -> None:
        """From here on see what was known after change `number`, and judge by the time `at` (that change's own) what had expired."""
        self._view = self.view.until(number)
        row = self.rows.one("change_time", number=number) if at is None else (at,)
        if row is not None:
            self.now = min(self.now, row[0])

    def view_of(self, name: str) -> View | None:
        """The view from a space; None where no such space is in use."""
        known = self.rows.views.get(name)
        if known is None:
            known = self._view_of(name)
            if known is not None:
                self.rows.views[name] = known
        return known

    def _view_of(self, name: str) -> View | None:
        row = self.rows.one("space_named", name=name)
        if row is None or row[4]:
            return None
        only: int = row[5]
        layers: list[Layer] = []
        names: list[str] = []
        at = NOW
        while row is not None:
            layers.append(Layer(row[0], at))
            names.append(row[1])
            if not row[2]:
                break
            if len(layers) >= DEEPEST:
                raise Broken(f"The spaces under {name!r} read through one another more than {DEEPEST} deep.")
            at = min(at, row[3]) if row[3] else at
            row = self.rows.one("space_by_id", id=row[2])
        return View(tuple(layers), tuple(names), only)

    def permit(self, *entities: int) -> None:
        """Refuse to change what the caller's space is no branch of. `entities`: what the change is of, one of them being enough."""
        only = self.view.only
        if only and only not in entities:
            raise Denied(
                f"{self.space_name!r} is a branch of entity {only} alone; nothing else is changed in it.",
                "`switch` to its parent, or make a branch of the whole space",
            )

    @contextmanager
    def inside(self, space: str) -> Generator[None]:
        """Read and write in another space until the block ends. What is written is part of the same change."""
        before = self.call, self._view, self._space
        self.work_in(space)
        try:
            yield
        finally:
            self.call, self._view, self._space = before

    def work_in(self, space: str) -> None:
        """Read and write in another space from now on; the change is told as that space's."""
        self.call = replace(self.call, peer=replace(self.call.peer, space=space, parent=None))
        self._view, self._space = None, 0

    @property
    def space(self) -> int:
        """The id of the space in which the caller's changes land; made if this is the first of them."""
        if not self._space:
            self._space = self._find_space()
        return self._space

    def _find_space(self) -> int:
        peer = self.call.peer
        view = self.view
        if view.names and view.names[0] == peer.space:
            return view.layers[0].space
        row = self.rows.one("space_named", name=peer.space)
        if row is not None:
            raise NotFound(f"The space {peer.space!r} was deleted.", "name it in `create_space` to use it again")
        parent = self.rows.one("space_named", name=peer.parent) if peer.parent else None
        if peer.parent and parent is None:
            raise NotFound(f"There is no space {peer.parent!r} to read through to.", "see `list_spaces`")
        return self.add_space(peer.space, parent[0] if parent else 0, 0, "space", msgspec.msgpack.encode({}))

    def add_space(self, name: str, parent: int, pinned: int, kind: str, metadata: bytes, entity: int = 0) -> int:
        """Write a new space; its id. `Conflict` where too many would read through one another."""
        above, deep = parent, 1
        while above:
            row = self.rows.one("space_by_id", id=above)
            above, deep = row[2] if row else 0, deep + 1
        if deep > DEEPEST:
            raise Conflict(
                f"{deep} spaces would read through one another; {DEEPEST} may.",
                "merge some of them back into their parents first",
            )
        self.rows.run(
            "add_space",
            name=name,
            parent=parent,
            pinned=pinned,
            kind=kind,
            entity=entity,
            metadata=metadata,
            began=self.number,
        )
        row = self.rows.one("space_named", name=name)
        if row is None:
            raise Broken("A space was written and is not there.")
        self._view = None  # what the caller sees begins here now
        self.note("space", row[0], "create")
        return row[0]
