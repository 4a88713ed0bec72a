"""Figures, and how they are come by: percentiles, and rounds in which floor and subject take turns."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

__all__ = [
    "Figure",
    "Size",
    "Times",
    "at_least",
    "at_most",
    "each",
    "law",
    "percentile",
    "pooled",
    "ratio",
    "spread",
    "told",
    "turns",
]

Size = Literal["quick", "full"]

Times = dict[str, list[list[float]]]
"""Seconds of each call, by what was measured, a list for each round."""


@dataclass(frozen=True)
class Figure:
    """One line of the report. `measured` is compared with `target`; without one it is told for its own sake."""

    section: str
    name: str
    measured: str
    floor: str = ""
    """What it stands beside, measured in the same run."""
    target: str = ""
    met: bool | None = None
    value: float = 0.0
    """`measured` as a number."""
    law: bool = False
    """Whether missing it is a fault and no matter of speed."""


def at_least(section: str, name: str, value: float, target: float, unit: str, floor: str = "") -> Figure:
    """A figure that should not be smaller than its target."""
    return Figure(section, name, f"{value:.2f}{unit}", floor, f"≥ {target:g}{unit}", value >= target, value)


def at_most(section: str, name: str, value: float, target: float, unit: str, floor: str = "") -> Figure:
    """A figure that should not be larger than its target."""
    return Figure(section, name, f"{value:.2f}{unit}", floor, f"≤ {target:g}{unit}", value <= target, value)


def law(section: str, name: str, kept: int, of: int, floor: str = "") -> Figure:
    """A figure that must be whole, however slow the machine is."""
    return Figure(section, name, f"{kept:,} of {of:,}", floor, "all", kept == of, kept, law=True)


def turns(subjects: Mapping[str, Callable[[int], list[float]]], rounds: int) -> Times:
    """Call each subject once a round, in changing order, so that noise hits all; each gives its calls' seconds."""
    times: Times = {name: [] for name in subjects}
    names = list(subjects)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            times[name].append(subjects[name](number))
    return times


def each(call: Callable[[int], object], count: int) -> list[float]:
    """The seconds of `count` calls, one after another."""
    times: list[float] = []
    for number in range(count):
        began = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - began)
    return times


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def pooled(times: Times, name: str, share: float) -> float:
    """A percentile over all rounds."""
    return percentile([one for calls in times[name] for one in calls], share)


def ratio(times: Times, subject: str, floor: str, share: float = 0.5) -> float:
    """How many times the floor the subject takes: the median over the rounds of the ratio within each."""
    pairs = zip(times[subject], times[floor], strict=True)
    return median(percentile(one, share) / percentile(other, share) for one, other in pairs)


def spread(ratios: list[float]) -> str:
    """The least and the most of what the rounds gave."""
    return f"{min(ratios):.2f}–{max(ratios):.2f}"


def told(seconds: float) -> str:
    """Seconds as one would say them."""
    for below, unit, factor, digits in ((1e-3, "µs", 1e6, 0), (1.0, "ms", 1e3, 2), (1e9, "s", 1.0, 2)):
        if seconds < below:
            return f"{seconds * factor:.{digits}f} {unit}"
    raise ValueError(seconds)
