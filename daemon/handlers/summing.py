"""Summaries of messages: what was said, as `daemon/summary.py` reads it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from enhanced_memory.client.values import Message

if TYPE_CHECKING:
    from enhanced_memory.daemon.summary import Gist

__all__ = ["RUNNING_CHARS", "gist_of"]

RUNNING_CHARS = 1_200
"""Of a running summary: what a window can afford beside its messages."""


def gist_of(messages: Iterable[Message], before: str = "", chars: int = RUNNING_CHARS, events: int = 5) -> "Gist":
    """What messages come to, instructions to an assistant aside, and what `before` says that went before them."""
    # Not loaded with the daemon: it needs NumPy, and a store that sums nothing up does not.
    from enhanced_memory.daemon.summary import Line, summarize

    lines = [Line(one.content, one.speaker or one.role, one.id) for one in messages if one.role != "system"]
    earlier = [Line(text) for text in before.splitlines() if text.strip()]
    return summarize([*earlier, *lines], chars, events)
