"""Times: milliseconds since 1970 in the store, aware UTC datetimes in answers."""

from datetime import UTC, datetime, timedelta

from enhanced_memory.client.errors import Invalid

__all__ = ["LATEST", "millis", "moment", "moment_or_none"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLI = timedelta(milliseconds=1)
_EARLIEST = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLI
LATEST = (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - _EPOCH) // _MILLI


def moment(ms: int) -> datetime:
    """The time that `ms` milliseconds since 1970 are."""
    return _EPOCH + _MILLI * ms


def moment_or_none(ms: int | None) -> datetime | None:
    """The same; None for none."""
    return None if ms is None else moment(ms)


def millis(when: datetime, what: str = "The time") -> int:
    """Milliseconds since 1970 of a time. `Invalid` for one without a time zone: guessing would move it by hours."""
    if when.tzinfo is None:
        raise Invalid(f"{what} {when.isoformat()} has no time zone.", "write it with one, as in 2026-11-20T08:00:00Z")
    ms = (when - _EPOCH) // _MILLI
    if not _EARLIEST <= ms <= LATEST:
        raise Invalid(f"{what} {when.isoformat()} is outside the years 1 to 9999 in UTC.", "choose a time within them")
    return ms
