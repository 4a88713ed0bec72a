"""From a request to its answer: through the layers, to the handler, in the transaction that its kind calls for."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from msgspec import to_builtins

from enhanced_memory.client.errors import Conflict
from enhanced_memory.client.request import HANDLERS, Change
from enhanced_memory.client.wire import pack_value, unpack_value
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store import Engine, Tx

__all__ = ["Answer", "Attendant", "Layer", "answer_from", "compose", "drive", "keyed"]

Answer = Callable[[Call], Awaitable[Any]]
Attendant = Callable[[Call], Awaitable[Any]]
Layer = Callable[[Answer, Call], Awaitable[Any]]


def compose(layers: tuple[Layer, ...], answer: Answer) -> Answer:
    """`answer` inside the layers, the first of them outermost."""
    for layer in reversed(layers):
        answer = partial(layer, answer)
    return answer


def answer_from(
    engine: Engine, attended: Mapping[str, Attendant], before: Mapping[str, Attendant] | None = None
) -> Answer:
    """What carries a call out on `engine`: point reads at once, questions on a reader, changes through the writer.

    The operations in `attended` are answered there: they need more than a transaction. What is in `before` is awaited first,
    and notes on the call what the handler should know.
    """

    async def carry_out(call: Call) -> Any:
        ask = call.ask
        attendant = attended.get(ask.op)
        if attendant is not None:
            return to_builtins(await attendant(call))
        handler = HANDLERS[ask.op]
        if before and ask.op in before:
            await before[ask.op](call)

        def work(tx: Tx) -> Any:
            return to_builtins(handler(tx, ask))

        if isinstance(ask, Change):
            return await engine.write(work if call.key is None else keyed(handler, call), call)
        # What is asked about the past opens older versions: more than the loop should wait for.
        if engine.near and ask.point and getattr(ask, "at", None) is None and getattr(ask, "version", None) is None:
            return engine.point(work, call)
        call.may_lag = True
        return await engine.read(work, call)

    return carry_out


def keyed(handler: Callable[[Any, Any], Any], call: Call) -> Callable[[Tx], Any]:
    """A change that is carried out once for its key: a repeat gets the first one's answer. Both stand in one transaction."""

    def work(tx: Tx) -> Any:
        kept = tx.log.kept_answer(call.peer.uid, call.kept_as)
        if kept is not None:
            op, answer, call.change = kept
            if op != call.ask.op:
                raise Conflict(f"The key was used for {op} before.", "give every change a key of its own")
            return unpack_value(answer)
        answer = to_builtins(handler(tx, call.ask))
        tx.log.keep_answer(call.peer.uid, call.kept_as, call.ask.op, pack_value(answer))
        return answer

    return work


def drive(answering: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine now, up to where it waits for a future, and on from there whenever that is done.

    A task would begin on the loop's next round; what needs no waiting is answered here within the same one.
    """
    _step(answering, None)


def _step(answering: Coroutine[Any, Any, None], _: Any) -> None:
    try:
        waits_for = answering.send(None)
    except StopIteration:
        return
    # What `await future` hands to whoever drives the coroutine; asyncio's own tasks do the same.
    waits_for._asyncio_future_blocking = False
    waits_for.add_done_callback(partial(_step, answering))
