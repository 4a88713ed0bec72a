"""Statements put to the server in one exchange, however many they are, each prepared once for a connection.

It speaks by libpq's pipeline, as psycopg's cursors can, too. Those send each statement by itself and look what has come back after each,
which costs a change of twenty statements more of the processor than the daemon's own part of it does; here they go out together.
What values travel as, and what rows become, is what the connection's adapters say.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, cast

from psycopg import Connection, OperationalError, errors
from psycopg import Error as PostgresError
from psycopg.abc import PipelineCommand, PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.generators import fetch_many, pipeline_communicate, send
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

__all__ = ["PREPARED", "Exchange", "exchange_of"]

PREPARED = 400
"""Statements that a connection keeps prepared; the one not asked for longest makes room."""

TOGETHER = 64
"""Statements that are handed to libpq before it is looked whether the server has answered: of thousands, it begins with the first ones."""

Row = tuple[Any, ...]
Said = tuple[bytes, Sequence[Any]]
"""A statement and its values, which stand in it as $1, $2, …"""

_Key = tuple[bytes, tuple[int, ...]]
"""A statement, and the types that its values travel as."""


def exchange_of(connection: "Connection[Row]") -> "Exchange":
    """The exchange with the server of a connection, which knows what is prepared there. It is kept with the connection, and goes with
    it. For one that `database.prepare` has made ours: psycopg would forget for all what it has prepared itself."""
    kept = vars(connection)
    if _KEPT not in kept:
        kept[_KEPT] = Exchange(connection)
    return kept[_KEPT]


_KEPT = "_enhanced_memory_exchange"


class _Step(NamedTuple):
    """Something of which the server answers, and the statement that it prepares, if it does."""

    send: Callable[[], None]
    prepares: _Key | None = None
    name: bytes = b""


class Exchange:
    """Puts statements to the server. Not shared between threads."""

    def __init__(self, connection: "Connection[Row]") -> None:
        self.changed = 0
        """How many rows the last statement of the last exchange changed."""
        self._socket = connection.pgconn
        self._wait = connection.wait
        self._encoding = connection.info.encoding
        self._adapting = Transformer(connection)
        self._prepared: OrderedDict[_Key, bytes] = OrderedDict()
        self._count = 0
        self._unwanted: list[bytes] = []
        self._sent: list[_Step] = []
        """What the server was sent ahead, and has not been heard of."""
        self._fresh: dict[_Key, bytes] = {}
        """What was to be prepared with it."""

    @property
    def under_way(self) -> int:
        """How much the server was sent that it has not been heard about."""
        return len(self._sent)

    def put(self, said: Sequence[Said]) -> list[Row]:
        """Carry out statements in their order, after what was sent ahead; the rows of the last one.

        Raises what psycopg does, for the first of them that failed: none after it is carried out.
        """
        return self._rows(self._put(said)[-1])

    def each(self, said: Sequence[Said]) -> list[list[Row]]:
        """The same, and the rows of each."""
        return [self._rows(result) for result in self._put(said)[-len(said) :]]

    def ahead(self, said: Sequence[Said]) -> None:
        """Let the server begin with statements that nobody waits for yet: `put` is to follow, and tells of those that failed."""
        steps = self._begun(said)
        self._sent += steps
        _send_all(steps)
        self._socket.flush()
        if len(self._sent) > TOGETHER:
            self._socket.consume_input()

    def drop(self) -> None:
        """Hear the server out about what was sent ahead, whatever became of it."""
        if self._sent:
            with suppress(PostgresError):
                self._put(())

    def _begun(self, said: Sequence[Said]) -> list[_Step]:
        """What is to be sent for statements, on a connection that is ready for it."""
        if self._socket.status == ConnStatus.BAD:
            self._sent, self._fresh = [], {}
            raise OperationalError("the connection is closed")
        steps = self._steps(said)
        if not self._sent:
            self._socket.enter_pipeline_mode()
        return steps

    def _put(self, said: Sequence[Said]) -> list[PGresult]:
        """The results of what was sent ahead, and of statements."""
        steps, sent = self._begun(said), self._sent
        try:
            results = self._wait(self._talk(steps, len(sent)))
        finally:
            self._sent, self._fresh = [], {}
            self._leave()
        return self._looked_at(sent + steps, results)

    def _rows(self, result: PGresult) -> list[Row]:
        if result.status != ExecStatus.TUPLES_OK:
            return []
        self._adapting.set_pgresult(result)
        return self._adapting.load_rows(0, result.ntuples, cast("Any", tuple))

    def _steps(self, said: Sequence[Said]) -> list[_Step]:
        """What is sent for statements: where one is met for the first time, it is prepared before."""
        fresh: dict[_Key, bytes] = {}
        steps: list[_Step] = []
        adapting = self._adapting
        for text, given in said:
            values = adapting.dump_sequence(given, [PyFormat.AUTO] * len(given)) if given else None
            key = (text, (adapting.types or ()) if given else ())
            formats = adapting.formats if given else None
            name = self._prepared.get(key)
            if name is not None:
                self._prepared.move_to_end(key)
            elif (name := fresh.get(key) or self._fresh.get(key)) is None:
                self._count += 1
                name = fresh[key] = b"em_%d" % self._count
                steps.append(_Step(partial(self._socket.send_prepare, name, text, param_types=key[1]), key, name))
            put = partial(
                self._socket.send_query_prepared, name, values, param_formats=formats, result_format=Format.TEXT
            )
            steps.append(_Step(put))
        self._fresh |= fresh
        unwanted, self._unwanted = self._unwanted, []
        return [
            _Step(partial(self._socket.send_query_params, b"DEALLOCATE " + name, None)) for name in unwanted
        ] + steps

    def _talk(self, steps: list[_Step], ahead: int) -> "PQGen[list[list[PGresult]]]":
        """Send all of it and hear of each, and of what was sent `ahead`; the last result is that of the sync at the end."""
        parts = [steps[place : place + TOGETHER] for place in range(0, len(steps), TOGETHER)] or [[]]
        commands: deque[PipelineCommand] = deque(partial(_send_all, part) for part in parts[:-1])
        commands.append(partial(_send_all, parts[-1], self._socket.pipeline_sync))
        results = yield from pipeline_communicate(self._socket, commands)
        yield from send(self._socket)
        while len(results) <= len(steps) + ahead:
            results.append((yield from fetch_many(self._socket)))
        return results

    def _leave(self) -> None:
        """End the pipeline; a connection that is in the middle of one can be asked nothing more."""
        if self._socket.status != ConnStatus.BAD:
            try:
                self._socket.exit_pipeline_mode()
            except OperationalError:
                self._socket.finish()

    def _looked_at(self, steps: list[_Step], results: list[list[PGresult]]) -> list[PGresult]:
        """The statements' results, without those of preparing them; raises the error of the first that has one."""
        failed: PGresult | None = None
        last: PGresult | None = None
        found: list[PGresult] = []
        for step, told in zip(steps, results[:-1], strict=True):
            if not told:
                raise OperationalError("the connection was lost in the middle of an exchange")
            last = told[-1]
            if last.status == ExecStatus.FATAL_ERROR:
                failed = failed or last
            elif step.prepares is not None and last.status == ExecStatus.COMMAND_OK:
                self._prepared[step.prepares] = step.name
            if step.prepares is None:
                found.append(last)
        while len(self._prepared) > PREPARED:
            self._unwanted.append(self._prepared.popitem(last=False)[1])
        if failed is not None:
            raise errors.error_from_result(failed, encoding=self._encoding)
        if last is not None:
            if last.status == ExecStatus.PIPELINE_ABORTED:
                raise errors.PipelineAborted("pipeline aborted")
            self.changed = last.command_tuples or 0
        return found


def _send_all(steps: Sequence[_Step], then: Callable[[], None] | None = None) -> None:
    for step in steps:
        step.send()
    if then is not None:
        then()
