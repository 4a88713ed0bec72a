"""Counters of what the daemon does."""

from collections import Counter
from time import monotonic

__all__ = ["Metrics"]

BUCKETS_MS = (0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000)


class Metrics:
    """How often each operation was asked, how often it failed, and how long it took."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.calls: Counter[str] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self.seconds: Counter[str] = Counter()
        self.within: Counter[tuple[str, float]] = Counter()

    def note(self, op: str, seconds: float, error: str) -> None:
        """Count one call."""
        self.calls[op] += 1
        self.seconds[op] += seconds  # pyright: ignore[reportArgumentType] - a Counter of floats counts as well
        if error:
            self.errors[op, error] += 1
        ms = seconds * 1000
        for bound in BUCKETS_MS:
            if ms <= bound:
                self.within[op, bound] += 1
                break

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return monotonic() - self.began
