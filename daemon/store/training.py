"""A dictionary of the store's own: once there are enough bodies, one trained on them saves far more than the one that is shipped."""

import logging
from collections.abc import Callable

import msgspec

from enhanced_memory.client.errors import Error
from enhanced_memory.daemon.store.bodies import Codec, built_in, crc, train

__all__ = ["SAMPLES", "STAGES", "Trained", "trained"]

log = logging.getLogger(__name__)

STAGES = (128, 1000)
"""Entities, and messages, at which a dictionary of the store's own is trained: soon, and once more (measured: 1,000 serve as well as 8,000)."""

SAMPLES = 2000
"""Of so many bodies a dictionary is made."""
_PIECE = 400
_HELD_OUT = 10
"""One body in so many is not trained on but judged by."""


class Trained(msgspec.Struct):
    """A dictionary, and the bytes that it saves of a hundred that the present one leaves."""

    words: bytes
    gain: float


def trained(newest: Callable[[], list[tuple[int, bytes]]], codec: Codec) -> Trained | None:
    """A dictionary trained on a store's `newest` bodies, each a checksum and what is stored; None where they are too few, or are
    packed no better by it.

    Pieces of the shipped dictionary are trained on too: what a hundred bodies do not know yet, it does.
    """
    try:
        bodies = [codec.plain(body, checksum) for checksum, body in newest()]
    except Error as problem:
        log.warning("no dictionary was trained: %s", problem)
        return None
    if len(bodies) < STAGES[0]:
        return None
    judged = bodies[::_HELD_OUT]
    shipped = built_in()
    pieces = [shipped[at : at + _PIECE] for at in range(0, len(shipped), _PIECE)]
    words = train([*(body for place, body in enumerate(bodies) if place % _HELD_OUT), *pieces])
    own = Codec({1: words}, 1)
    before, after = (sum(len(one.squeeze(body)) for body in judged) for one in (codec, own))
    assert all(own.plain(own.squeeze(body), crc(body)) == body for body in judged[:10])
    return Trained(words, 100 * (1 - after / before)) if after < before else None
