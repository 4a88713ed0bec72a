"""Many small acts through the one writer, without holding anybody up: each slice is a change of its own and takes milliseconds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic, thread_time
from typing import Generic, TypeVar

from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.store import Engine, Tx

__all__ = ["SLICE_S", "Slice", "in_slices"]

SLICE_S = 0.003
"""How long a slice goes on; with the act it is at, and its share of a commit, it stays below what a write may wait (20 ms)."""

PAUSE_S = 0.005
"""Between two slices others have the writer, the processor and Python's lock to themselves."""

FOLD_AFTER = 12
"""Slices after which the log is brought into the file: they write a few MB. Where it is more at a time, whoever writes waits longer
for the disk."""

AT_ONCE = 64
"""Acts in one slice at the most: their words and rows are written at its end."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Slice(Generic[B]):
    """What a slice has done."""

    done: list[B]
    looked_at: int
    """How many acts it came to, done or not any longer to be done."""
    change: int
    """Its change; 0 where it changed nothing."""


async def in_slices(
    engine: Engine, call: Call, acts: Sequence[A], act: Callable[[Tx, A], B | None], until: float | None = None
) -> AsyncIterator[Slice[B]]:
    """Carry out `acts` in order, slice by slice, up to the time `until`. What `act` gives as None was not to be done any more."""
    place = slices = 0
    while place < len(acts) and (until is None or monotonic() < until):
        some = acts[place : place + AT_ONCE]
        here = replace(call, used=[], change=0)

        def work(tx: Tx, some: Sequence[A] = some) -> tuple[list[B], int]:
            end = thread_time() + SLICE_S  # of the processor: on a busy machine nothing would get done otherwise
            done: list[B] = []
            for number, one in enumerate(some, 1):
                result = act(tx, one)
                if result is not None:
                    done.append(result)
                if thread_time() >= end:
                    return done, number
            return done, len(some)

        done, looked_at = await engine.write(work, here)
        place += looked_at
        yield Slice(done, looked_at, here.change)
        slices += 1
        if slices % FOLD_AFTER == 0:
            await engine.fold()
        if place < len(acts):
            await asyncio.sleep(PAUSE_S)
