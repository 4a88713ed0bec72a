"""Times: milliseconds inside, aware UTC outside, and no guessing."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.daemon.times import millis, moment, moment_or_none


@pytest.mark.parametrize("ms", [0, 1, 999, 1_800_000_000_123, 253_402_300_799_999, -1, -62_135_596_800_000])
def test_milliseconds_and_moments_are_the_same_both_ways(ms: int) -> None:
    assert millis(moment(ms)) == ms
    assert moment(ms).tzinfo is UTC


def test_a_time_elsewhere_is_the_same_moment() -> None:
    there = datetime(2027, 1, 15, 10, 0, tzinfo=timezone(timedelta(hours=2)))
    assert moment(millis(there)) == there


def test_less_than_a_millisecond_is_cut_off_downwards() -> None:
    assert millis(datetime(1970, 1, 1, 0, 0, 0, 1999, tzinfo=UTC)) == 1
    assert millis(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_a_time_without_a_zone_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="since 2027-01-15T10:00:00 has no time zone"):
        millis(datetime(2027, 1, 15, 10, 0), "since")


def test_none_is_none() -> None:
    assert moment_or_none(None) is None
    assert moment_or_none(0) == datetime(1970, 1, 1, tzinfo=UTC)
