"""Moments as requests name them: a number, a time, a snapshot. What they come to is a change number and a time of day."""

from datetime import UTC, date, datetime

from enhanced_memory.client.errors import Invalid, NotFound
from enhanced_memory.client.values import At, Ref
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.times import millis

__all__ = ["any_time", "change_at", "check_snapshot_name", "look_back"]

_CHANGE = "change:"


def look_back(tx: Tx, at: At | None) -> None:
    """From here on the transaction sees what was known at a moment; none: now. `Invalid` or `NotFound` for no such moment."""
    if at is not None:
        number, ms = change_at(tx, at)
        tx.look_back(number, ms)


def change_at(tx: Tx, at: At) -> tuple[int, int | None]:
    """The last change made by a moment, and its time of day where it was named by one. A number is a change."""
    if isinstance(at, int):
        return _numbered(tx, at), None
    text = at.strip()
    number = text.removeprefix(_CHANGE)
    if text.isascii() and number.isdigit() and len(number) < 20:
        return _numbered(tx, int(number)), None
    when = _time(text)
    if when is not None:
        ms = millis(when)
        if ms > tx.now:
            raise Invalid(f"{text} is in the future.", "name a time that has passed, or leave it out for now")
        return tx.log.change_until(ms), ms
    found = tx.snapshots.find(at)
    if found is None:
        raise NotFound(
            f"There is no snapshot {at[:100]!r} in space {tx.space_name!r}.",
            "see `list_snapshots`; a time is written 2026-11-20T08:00:00Z, a change 17 or change:17",
        )
    return found.number, None


def _numbered(tx: Tx, number: int) -> int:
    if number < 1:
        raise Invalid("Changes are numbered from 1.", "see `journal`")
    last = tx.log.last_change()
    if number > last:
        raise Invalid(f"Change {number} has not been made yet; the newest is {last}.", "see `journal`")
    return number


def _time(text: str) -> datetime | None:
    """The time that a text says; a day alone begins at midnight in UTC. None where it says none."""
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return datetime.fromisoformat(text) if len(text) > 10 and text[:4].isdigit() else None
    except ValueError:
        return None


def check_snapshot_name(name: str) -> None:
    """`Invalid` for a name that would be read as something else."""
    plain = name.strip()
    if plain.isdigit() or plain.startswith(_CHANGE) or _time(plain) is not None or plain != name or not plain:
        raise Invalid(
            f"A snapshot cannot be called {name[:100]!r}: it would be read as a number or a time.", "choose a word"
        )


def any_time(tx: Tx, ref: Ref, scope: str | None = None) -> int:
    """The id of the entity that `ref` means in the caller's view, or meant last. `NotFound` where there never was one.

    Of a `scope`, where one is named: what has the name elsewhere is another.
    """
    ids = (
        [ref]
        if isinstance(ref, int)
        else [found]
        if (found := tx.entities.named(ref, scope)) is not None
        else tx.entities.once_named(ref)
    )
    found_of = ((one, tx.entities.known(one)) for one in ids)
    entity = next((one for one, known in found_of if known is not None and scope in (None, known.scope)), None)
    if entity is None:
        raise NotFound(f"There is no entity {ref!r}, nor was there one.", "search for it with `search_nodes`")
    return entity


def stream_of(tx: Tx, ref: Ref) -> Stored:
    """The entity whose stream `ref` means. A name is a session's first, as it is for whoever appends; then any entity's. `NotFound`."""
    known = tx.entities.find(ref, "session") if isinstance(ref, str) else None
    return tx.entities.get(ref) if known is None else known
