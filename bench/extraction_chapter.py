"""Extraction and summaries: how often they are right, and what they cost."""

import time
from collections.abc import Callable

from extraction_quality import HALVES, by_keywords, judged
from measure import Figure, Size, at_least, at_most, told

from enhanced_memory.daemon.extraction.extracting import extract
from enhanced_memory.daemon.extraction.turns import turns
from enhanced_memory.daemon.summary import Line, summarize

__all__ = ["measure"]

SECTION = "Extraction and summaries"
SAID = {"first.txt": "tuned on", "second.txt": "not tuned on"}
TALK = (
    "user: I prefer tea over coffee. The tram was late. Do you know why?\n"
    "assistant: I always recommend leaving early.\n"
    "user: We decided to use PostgreSQL, and the importer must accept CSV files with two headers.\n"
)
NAMES = ("Mara", "Teo", "Ilse", "Bran", "Noor")
THINGS = ("relay", "import", "ferry", "lamp", "schema", "parcel", "roof", "garden", "budget", "release")
DEEDS = (
    "failed after the update",
    "was moved to the second floor",
    "needs a check by Friday",
    "costs more than last year",
)


def measure(size: Size) -> list[Figure]:
    """All figures of this chapter."""
    return [*judging(), *costs()]


def judging() -> list[Figure]:
    """Precision and recall of each half, and the keyword rule's beside them."""
    figures: list[Figure] = []
    for half in HALVES:
        found, words = judged(half), by_keywords(half)
        name = f"facts, {SAID[half]} ({found.facts} facts, {found.traps} traps)"
        figures.append(
            at_least(SECTION, f"{name}: precision", found.precision, 0.9, "", f"keyword rule {words.precision:.2f}")
        )
        figures.append(at_least(SECTION, f"{name}: recall", found.recall, 0.8, "", f"keyword rule {words.recall:.2f}"))
        right = f"{found.kind:.2f} / {found.subject:.2f}"
        figures.append(Figure(SECTION, f"{name}: right kind / subject", right, "of those found"))
    return figures


def costs() -> list[Figure]:
    """A megabyte of conversation, and a summary of a thousand messages; seconds of this thread, the best of three."""
    talk = TALK * (1_000_000 // len(TALK))
    lines = [
        Line(f"The {THINGS[n % 10]} of team {n % 37} {DEEDS[n // 7 % 4]}, said {NAMES[n * 3 % 5]}. I wrote it down as number {n}.", NAMES[n % 5], n)
        for n in range(1000)
    ]  # fmt: skip
    extracting = min(_seconds(lambda: extract(turns(talk))) for _ in range(3))
    summing = min(_seconds(lambda: summarize(lines)) for _ in range(3))
    return [
        Figure(
            SECTION,
            f"facts of {len(talk) / 1e6:.1f} MB of conversation",
            told(extracting),
            "CPU, in a thread of its own",
        ),
        at_most(SECTION, "summary of 1,000 messages", summing * 1e3, 500, " ms", "CPU"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began
