"""Whether the time of day can be believed: a clock that jumps must not make memories expire.

The time of day is compared with the time that has passed since the machine was started, sleep included.
"""

import time
from collections.abc import Callable

__all__ = ["JUMP_S", "Steadiness", "due", "elapsed_s"]

JUMP_S = 3600.0
"""What the clock may be moved by without a doubt: time servers correct by less, summer time does not touch UTC."""

BELIEVED_AFTER_S = 86_400.0
"""A clock that stays moved for so long is right."""


def elapsed_s() -> float:
    """Seconds since the machine was started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def due(last: int, now: int, every_h: float) -> bool:
    """Whether what is done every so many hours is due, the last time having begun at `last`; one of the future was begun by a wrong clock."""
    return now - last >= every_h * 3_600_000 or last - now > JUMP_S * 1000


class Steadiness:
    """Watches the clock from look to look."""

    def __init__(self, clock: Callable[[], int], elapsed: Callable[[], float] = elapsed_s) -> None:
        self._clock = clock
        self._elapsed = elapsed
        self._offset = self._now()
        self._moved_at: float | None = None

    def _now(self) -> float:
        return self._clock() / 1000 - self._elapsed()

    def look(self) -> str:
        """Nothing where the clock can be believed; else what is wrong with it, in words."""
        moved = self._now() - self._offset
        if abs(moved) <= JUMP_S:
            self._offset += moved  # it drifts, and is corrected
            self._moved_at = None
            return ""
        if self._moved_at is None:
            self._moved_at = self._elapsed()
        if self._elapsed() - self._moved_at >= BELIEVED_AFTER_S:
            self._offset += moved
            self._moved_at = None
            return ""
        hours = abs(moved) / 3600
        return (
            f"The clock jumped {'ahead' if moved > 0 else 'back'} by {hours:,.1f} h: nothing expires or is curated by itself"
            " until it is back, or has stayed there for a day."
        )
