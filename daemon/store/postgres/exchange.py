"""Statements put to the server in one exchange, however many they are, each prepared once for a connection.

It speaks by libpq's pipeline, as psycopg's cursors can, too. Those send each statement by itself and look what has come back after each,
which costs a change of twenty statements more of the processor than the daemon's own part of it does; here they go out together.
What values travel as, and what rows become, is what the connection's adapters say.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from psycopg import Connection, OperationalError, errors
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

    def put(self, said: Sequence[Said]) -> list[Row]:
        """Carry out statements in their order; the rows of the last one.

        Raises what psycopg does, for the first of them that failed: none after it is carried out.
        """
        if self._socket.status == ConnStatus.BAD:
            raise OperationalError("the connection is closed")
        steps = self._steps(said)
        self._socket.enter_pipeline_mode()
        try:
            results = self._wait(self._talk(steps))
        finally:
            self._leave()
        last = self._looked_at(steps, results)
        self.changed = last.command_tuples or 0
        if last.status != ExecStatus.TUPLES_OK:
            return []
        self._adapting.set_pgresult(last)
        return self._adapting.load_rows(0, last.ntuples, cast("Any", tuple))

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
            elif (name := fresh.get(key)) is None:
                self._count += 1
                name = fresh[key] = b"em_%d" % self._count
                steps.append(_Step(partial(self._socket.send_prepare, name, text, param_types=key[1]), key, name))
            put = partial(
                self._socket.send_query_prepared, name, values, param_formats=formats, result_format=Format.TEXT
            )
            steps.append(_Step(put))
        unwanted, self._unwanted = self._unwanted, []
        return [
            _Step(partial(self._socket.send_query_params, b"DEALLOCATE " + name, None)) for name in unwanted
        ] + steps

    def _talk(self, steps: list[_Step]) -> "PQGen[list[list[PGresult]]]":
        """Send all of it and hear of each; the last result is that of the sync at the end."""
        parts = [steps[place : place + TOGETHER] for place in range(0, len(steps), TOGETHER)]
        commands: deque[PipelineCommand] = deque(partial(_send_all, part) for part in parts[:-1])
        commands.append(partial(_send_all, parts[-1], self._socket.pipeline_sync))
        results = yield from pipeline_communicate(self._socket, commands)
        yield from send(self._socket)
        while len(results) <= len(steps):
            results.append((yield from fetch_many(self._socket)))
        return results

    def _leave(self) -> None:
        """End the pipeline; a connection that is in the middle of one can be asked nothing more."""
        if self._socket.status != ConnStatus.BAD:
            try:
                self._socket.exit_pipeline_mode()
            except OperationalError:
                self._socket.finish()

    def _looked_at(self, steps: list[_Step], results: list[list[PGresult]]) -> PGresult:
        """The last statement's result; raises the error of the first that has one."""
        failed: PGresult | None = None
        last: PGresult | None = None
        for step, told in zip(steps, results[:-1], strict=True):
            if not told:
                raise OperationalError("the connection was lost in the middle of an exchange")
            last = told[-1]
            if last.status == ExecStatus.FATAL_ERROR:
                failed = failed or last
            elif step.prepares is not None and last.status == ExecStatus.COMMAND_OK:
                self._prepared[step.prepares] = step.name
        while len(self._prepared) > PREPARED:
            self._unwanted.append(self._prepared.popitem(last=False)[1])
        if failed is not None:
            raise errors.error_from_result(failed, encoding=self._encoding)
        assert last is not None
        if last.status == ExecStatus.PIPELINE_ABORTED:
            raise errors.PipelineAborted("pipeline aborted")
        return last


def _send_all(steps: Sequence[_Step], then: Callable[[], None] | None = None) -> None:
    for step in steps:
        step.send()
    if then is not None:
        then()
