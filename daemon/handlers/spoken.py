"""What a model is given to read where a change is going to sum up a stream: the newest that was said, and which messages those are."""

from typing import Any, NamedTuple

from enhanced_memory.client.operations.sessions import ArchiveSession, EndSession
from enhanced_memory.client.operations.streams import KeepSummary
from enhanced_memory.daemon.handlers.keeping import READ
from enhanced_memory.daemon.handlers.moments import stream_of
from enhanced_memory.daemon.handlers.sessions import SUMMARY_CHARS, lacks_summary, session_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import Stored

__all__ = ["Spoken", "spoken"]


class Spoken(NamedTuple):
    """What was said, and about how long its summary is to be."""

    text: str
    chars: int
    stream: int
    first: int
    last: int
    messages: int


def spoken(tx: Tx, ask: Any, most_chars: int) -> Spoken | None:
    """What `ask` is going to sum up, secrets masked, at the most so many characters; None where it sums nothing up."""
    known, chars = _asked(tx, ask)
    return None if known is None else _newest(tx, known, chars, most_chars)


def _asked(tx: Tx, ask: Any) -> tuple[Stored | None, int]:
    if isinstance(ask, KeepSummary):
        return (stream_of(tx, ask.stream) if ask.text is None else None), ask.chars
    ends = isinstance(ask, EndSession) and ask.summary is None and ask.summarize
    if ends or (isinstance(ask, ArchiveSession) and ask.archived):
        known = session_of(tx, ask.session)
        away = isinstance(ask, ArchiveSession) and known.state.properties.get("archived_at")
        return (known if not away and lacks_summary(tx, known) else None), SUMMARY_CHARS
    return None, 0


def _newest(tx: Tx, known: Stored, chars: int, most_chars: int) -> Spoken | None:
    from enhanced_memory.daemon.extraction.secrets import masked

    lines: list[str] = []
    first = last = count = 0
    room = most_chars
    # Backwards, until there is no room: the range that a summary tells of is what the model has read.
    for one in tx.streams.read(known.id, down=True, limit=READ):
        line = "" if one.role == "system" else f"{one.speaker or one.role}: {one.content}"[:most_chars]
        room -= len(line) + 1
        if room < 0:
            break
        first, last, count = one.id, last or one.id, count + 1
        lines += [line] if line else []
    if not lines:
        return None
    said = known.state.properties
    earlier = said.get("summary") or said.get("running_summary") if room < 0 else ""
    text = "\n".join([f"Earlier, in short: {earlier}"[: most_chars // 4]] * bool(earlier) + lines[::-1])
    return Spoken(masked(text)[0], chars, known.id, first, last, count)
