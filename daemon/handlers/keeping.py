"""What a stream keeps at hand, and how the rest is summed up and archived.

Four properties of the stream's entity say it all: `keep_messages` and `keep_days`, `archived_upto` (the newest message in the
archive) and `running_summary` (what the archived ones came to since `summary_upto`). As properties they are seen, branched,
exported and undone as everything else is.
"""

from typing import Any, Literal

from msgspec import structs

from enhanced_memory.client.operations.streams import Summary
from enhanced_memory.daemon.handlers.editing import copy
from enhanced_memory.daemon.handlers.summing import gist_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.text import check_text

__all__ = ["STEP", "archive_upto", "by_whom", "keep", "keep_as_own", "kept", "renew", "summed_up"]

STEP = 128
"""Messages are archived so many at a time: a block of few is hardly smaller than they were."""

AT_ONCE = 5_000
"""Messages that one change archives of one stream, so that others' changes need not wait for seconds."""

SUMMED = 2_000
"""Of what is archived at once, the newest that are summed up."""

READ = 20_000
"""Messages that one summary reads, the newest."""

DAY_MS = 86_400_000

CALLER = "caller"
"""The method of a summary that came with the request."""

By = Literal["caller", "extract", "model"]


def kept(tx: Tx, known: Stored) -> tuple[list[str], dict[str, Any]]:
    """The conditions that messages of a stream meet which it keeps at hand, and their values."""
    said = known.state.properties
    names: list[str] = []
    values: dict[str, Any] = {}
    upto = said.get("archived_upto", 0)
    if said.get("keep_messages"):
        upto = max(upto, tx.archive.cut(known.id, said["keep_messages"]))
    if upto:
        names.append("after_message")
        values["after"] = upto
    if said.get("keep_days"):
        names.append("kept_since")
        values["kept_since"] = tx.now - int(said["keep_days"] * DAY_MS)
    return names, values


def _beyond(tx: Tx, known: Stored) -> tuple[int, int]:
    """Up to which message the caller's space holds more of a stream than it keeps, and how many those are."""
    said = known.state.properties
    after = said.get("archived_upto", 0)
    upto = 0
    if said.get("keep_messages"):
        upto = tx.archive.cut(known.id, said["keep_messages"])
    if said.get("keep_days"):
        upto = max(upto, tx.archive.older(known.id, after, tx.now - int(said["keep_days"] * DAY_MS)))
    return upto, tx.archive.count(known.id, after, upto) if upto > after else 0


def keep(tx: Tx, known: Stored, at_least: int = STEP) -> int:
    """Archive what a stream no longer keeps, once that is `at_least` so many messages; how many were archived."""
    said = known.state.properties
    if not said.get("keep_messages") and not said.get("keep_days"):
        return 0
    upto, count = _beyond(tx, known)
    return archive_upto(tx, known, upto)[1] if count >= at_least else 0


def archive_upto(tx: Tx, known: Stored, upto: int) -> tuple[Stored, int]:
    """Archive the messages of a stream up to one, some thousand at the most; the stream as it is then, and how many were archived."""
    after = known.state.properties.get("archived_upto", 0)
    if upto <= after:
        return known, 0
    last = tx.archive.pack(known.id, after, upto, AT_ONCE).last
    state = copy(known.state)
    state.properties["archived_upto"] = last
    _sum_up(tx, known.id, state.properties, after)
    return tx.entities.change(known, state, act="archive"), tx.archive.count(known.id, after, last)


def renew(tx: Tx, stream: int, first: int) -> None:
    """Sum the archive up anew where message `first` or a later one of it went or came back."""
    known = tx.entities.find(stream)
    if known is None or first > known.state.properties.get("archived_upto", 0):
        return
    state = copy(known.state)
    state.properties.pop("running_summary", None)
    _sum_up(tx, stream, state.properties, 0)
    if state.properties != known.state.properties:
        tx.entities.change(known, state, act="archive")


def _sum_up(tx: Tx, stream: int, said: dict[str, Any], after: int) -> None:
    """Fold the archived messages behind `after` into the running summary; those that the stream's own summary covers are told there."""
    after = max(after, said.get("summary_upto", 0))
    upto = said.get("archived_upto", 0)
    if upto <= after:
        return
    lines = tx.streams.read(stream, "after_message", "upto_message", down=True, limit=SUMMED, after=after, upto=upto)[
        ::-1
    ]
    text = gist_of(lines, said.get("running_summary", "")).text
    if text:
        said["running_summary"] = text


def summed_up(tx: Tx, known: Stored, text: str | None, chars: int) -> Summary:
    """What all messages of a stream come to, or the caller's `text` as that, or a model's where it was asked before the change.

    The text is empty where nothing was said.
    """
    if text is not None:
        check_text(text, "The summary", tx.settings.max_text_chars)
        newest = tx.streams.read(known.id, down=True, limit=1)
        last = newest[0].id if newest else 0
        count = tx.streams.count(known.id)
        return Summary(text, known.id, 0, last, count, method=CALLER, space=tx.space_name)
    messages = tx.streams.read(known.id, down=True, limit=READ)[::-1]
    if not messages:
        return Summary("", known.id, space=tx.space_name)
    gist = gist_of(messages, chars=chars)
    told = Summary(
        gist.text,
        known.id,
        messages[0].id,
        messages[-1].id,
        len(messages),
        [one.text for one in gist.key_events],
        {name: [one.text for one in told] for name, told in gist.developments.items()},
        [one.text for one in gist.plot_points],
        space=tx.space_name,
    )
    written = tx.call.written
    if written is None or written.stream != known.id:
        return told
    if not written.text:
        return structs.replace(told, note=written.note)
    return structs.replace(
        told,
        text=written.text,
        first=written.first,
        last=written.last,
        messages=written.messages,
        method=written.method,
    )


def by_whom(told: Summary) -> By:
    """Who made a summary, as the stream's entity notes it."""
    return "caller" if told.method == CALLER else "extract" if told.method == "extractive" else "model"


def keep_as_own(tx: Tx, known: Stored, told: Summary, by: By) -> Stored:
    """Keep a summary as the stream's own; the running one goes on behind it. The stream as it is then."""
    state = copy(known.state)
    state.properties |= {"summary": told.text, "summary_upto": told.last, "summary_by": by}
    state.properties.pop("running_summary", None)
    _sum_up(tx, known.id, state.properties, 0)
    if state.properties == known.state.properties:
        return known
    return tx.entities.change(known, state)
