"""Named queries on one PostgreSQL connection. What only writes is gathered and sent with the next thing that is read."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from psycopg import Connection

from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store.ground import Counters, Posted, Sealing
from enhanced_memory.daemon.store.plan import ANY
from enhanced_memory.daemon.store.postgres.exchange import exchange_of
from enhanced_memory.daemon.store.postgres.foreseen import MOST, Foreseen, Question, questions
from enhanced_memory.daemon.store.postgres.nearest import nearest
from enhanced_memory.daemon.store.postgres.searching import Searching
from enhanced_memory.daemon.store.postgres.statements import Statement, filled, int8, property_told, statement
from enhanced_memory.daemon.store.views import View

__all__ = ["BEGIN_READING", "PostgresRows"]

BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

AHEAD = 4
"""Statements that wait before the server is sent them without being waited for."""
UNHEARD = 2048
"""Statements that the server may have been sent without our having heard about them: each takes memory."""

_BOTH = frozenset(("add_words", "drop_words"))
"""What is done to the second words index too, while there is one."""

_OF_SPACES = frozenset(
    ("add_space", "set_space_metadata", "retire_space", "revive_space", "rename_space", "transfer_space")
)
"""Statements after which a view may be another one."""

_SEARCHES = frozenset(
    ("words_match", "words_match_entities", "words_match_messages", "words_past_match", "words_every", "words_past_every",
     "count_words_messages")
)  # fmt: skip

_RESHAPING = frozenset(("serve_model", "swap_words", "scour_words"))
"""After which what others hold in memory is to be read anew: another model serves, the words stand in another way, or something
was purged."""

Row = tuple[Any, ...]


class PostgresRows:
    """The statements of `queries.sql` on one connection. Not shared between threads.

    A statement of which nothing is wanted back is not waited for: the server is sent it, and heard about it with the next that is read
    from, or with the commit. So a change costs as many round trips as it asks questions that were not foreseen, and the server works
    while the change is being made. The order stays what it was.
    """

    compares = True

    def __init__(self, connection: "Connection[Row]", searching: Searching) -> None:
        self.memo: dict[Any, int] = {}
        self.views: dict[str, View] = {}
        self.wrote = False
        """Whether anything was written since `begin`."""
        self.vectors: tuple[int, int] | None = None
        """The first and the last passage of which vectors were stored since then."""
        self.reshaped = False
        """Whether what others hold in memory is to be read anew since then."""
        self.posted: Posted | None = None
        self.searching = searching
        self._waiting: list[tuple[bytes, list[Any]]] = []
        self._twice: bool | None = None
        self._foreseen = Foreseen()
        self.use(connection)

    @property
    def sealing(self) -> Sealing:
        """Reads what an encrypted store in a file left behind that was moved here; what is written is not encrypted."""
        from enhanced_memory.daemon.store.sqlite.sealed_files import SealedFiles

        return SealedFiles()

    def use(self, connection: "Connection[Row]") -> None:
        """Go on with another connection; what the last one knew is forgotten."""
        self.connection = connection
        self._exchange = exchange_of(connection)
        self.forget()

    def begin(self, how: str) -> None:
        """Begin a transaction, with the first thing that is asked in it."""
        if self.posted is not None:
            self.posted.begin()
        self.views.clear()
        self._foreseen.forget()
        self._twice = None
        self.wrote = self.reshaped = False
        self.vectors = None
        self._waiting = [(how.encode(), [])]

    def take_turn(self, last: int, calls: Iterable[Call] = ()) -> tuple[Counters, int] | None:
        """Begin a transaction to write in, once nobody else writes: the highest numbers given out, and what tells this transaction from
        others. What is known of spaces stays known where the one before it was `last`, this writer's own. What `calls` will ask is
        asked along."""
        views = dict(self.views)
        self.begin("BEGIN ISOLATION LEVEL READ COMMITTED")
        asked = questions(calls, views)
        turn, *answers = self._each([("take_turn", {}), *asked])
        if not turn:
            return None
        *numbers, before, own, self._twice = turn[0]
        if before == last:
            self.views.update(views)
        for question, rows in zip(asked, answers, strict=True):
            self._foreseen.keep(question, rows)
        return Counters(*numbers), own

    def expect(self, asked: Iterable[Question], /) -> None:
        """Ask together what will be asked, so that it is known then."""
        wanted = iter(asked)
        while part := list(islice(wanted, MOST)):
            for question, rows in zip(part, self._each(part), strict=True):
                self._foreseen.keep(question, rows)

    def forget(self) -> None:
        """Forget what a transaction found out that is undone, and what it has not sent yet."""
        self.memo.clear()
        self.views.clear()
        self._waiting.clear()
        self._exchange.drop()
        self._foreseen.forget()
        self._twice = None

    def say(self, text: str) -> None:
        """Let a statement without values go out with the next ones."""
        self._waiting.append((text.encode(), []))

    def settle(self) -> None:
        """Send all that waits, and hear that it was done."""
        if self._waiting or self._exchange.under_way:
            self._send(None)

    def all(self, name: str, /, *also: str, key: str = "", down: bool = False, **values: Any) -> list[Row]:
        """Every row. `also`, `key` and `down` fill the statement's slots with named parts."""
        return self._ask(name, also, key, down, values)

    def one(self, name: str, /, *also: str, **values: Any) -> Row | None:
        """The first row."""
        rows = self._ask(name, also, "", False, values)
        return rows[0] if rows else None

    def _ask(self, name: str, also: tuple[str, ...], key: str, down: bool, values: dict[str, Any]) -> list[Row]:
        if name in _SEARCHES:
            found = self.searching.values(self, name, values)
            if found is None:
                return [("[]",)] if name != "count_words_messages" else []
            values = found
            if values.get("floor") or values.get("ceiling", ANY) != ANY:
                also = (*also, "words_within")
        elif name == "term_spans":
            return self.searching.spans(self, values["terms"])
        known = self._foreseen.answer(name, values)
        if known is not None:
            return known
        asked = statement(name, also, key, down)
        rows = self._send((asked.text, [_sought(value) for value in asked.values(values)]))
        if b"halfvec_send" in asked.text:
            return [tuple(int8(value) if type(value) is bytes else value for value in row) for row in rows]
        if name in ("list_ids_by_property", "changed_by_property"):
            return [(row[0], property_told(*row[1:])) for row in rows]
        return _as_told(asked.text, rows)

    def run(self, name: str, /, **values: Any) -> None:
        """Carry it out with what is asked next."""
        self.many(name, (values,))

    def count(self, name: str, /, **values: Any) -> int:
        """Carry it out now; how many rows it changed."""
        if name == "add_name" and self._foreseen.free(values["space"], values["name"], values["scope"]):
            self.run("add_free_name", **values)
            return 1
        asked = statement(name)
        self.wrote = True
        self._foreseen.written(name, (values,))
        self._send((asked.text, asked.values(values)))
        return self._exchange.changed

    def many(self, name: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Carry it out once for each of `rows`, with what is asked next."""
        asked = statement(name)
        rows = [dict(row) for row in rows]
        if not rows:
            return
        self.wrote = True
        self._foreseen.written(name, rows)
        self._waiting += [(asked.text, asked.values(row)) for row in rows]
        if name in _BOTH and self._filled_twice():
            other = statement(name + "_next")
            self._waiting += [(other.text, other.values(row)) for row in rows]
        if name in ("begin_words_next", "swap_words"):
            self._twice = None
        if name in _OF_SPACES:
            self.views.clear()
        elif name == "add_vector":
            passages = [row["passage"] for row in rows] + list(self.vectors or ())
            self.vectors = min(passages), max(passages)
        elif name in _RESHAPING:
            self.reshaped = True
        if self._exchange.under_way > UNHEARD:
            self.settle()
        elif len(self._waiting) >= AHEAD:
            said, self._waiting = self._waiting, []
            self._exchange.ahead(said)

    def near(
        self, model: int, dimension: int, query: bytes, count: int, spaces: str, messages: bool, stream: int
    ) -> list[tuple[int, float]]:
        """The nearest vectors, by pgvector's index."""
        return nearest(self, model, dimension, query, count, spaces, messages, stream)

    def plain(self, text: str, **values: Any) -> list[Row]:
        """The rows of a statement of the engine's own that is no named query."""
        return self.told(filled(text), **values)

    def told(self, asked: Statement, /, **values: Any) -> list[Row]:
        """The same of one that was made ready before."""
        return self._send((asked.text, asked.values(values)))

    def _filled_twice(self) -> bool:
        """Whether the words index is being filled a second time (`store/rederived.py`): what changes in the first changes in both."""
        if self._twice is None:
            self._twice = bool(self.all("has_words_next"))
        return self._twice

    def _send(self, asked: tuple[bytes, list[Any]] | None) -> list[Row]:
        said, self._waiting = self._waiting, []
        if asked is None:
            self._exchange.put(said)
            return []
        return self._exchange.put([*said, asked])

    def _each(self, asked: Iterable[Question]) -> list[list[Row]]:
        """The rows of several questions, put together."""
        said, self._waiting = self._waiting, []
        named = [(statement(name), values) for name, values in asked]
        given = [(one.text, [_sought(value) for value in one.values(values)]) for one, values in named]
        answers = self._exchange.each([*said, *given])[len(said) :]
        return [_as_told(text, rows) for (text, _), rows in zip(given, answers, strict=True)]


def _as_told(text: bytes, rows: list[Row]) -> list[Row]:
    """Rows as the chapters take them; some statements tell of bodies that a block has."""
    return [tuple(map(_opened, row)) for row in rows] if b"int8send" in text else rows


def _opened(value: Any) -> Any:
    """A body as the chapters take it: where a block has it, the block's number."""
    return int.from_bytes(value[1:], "big") if type(value) is bytes and len(value) == 9 and value[0] == 255 else value


def _sought(value: Any) -> Any:
    """A value that is only looked for. No text that is kept holds a NUL, and PostgreSQL takes none: what does is like no other."""
    return value.replace("\0", "\uffff") if type(value) is str and "\0" in value else value
