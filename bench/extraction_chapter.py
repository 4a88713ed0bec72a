"""Extraction and summaries: how often they are right, and what they cost."""

import threading
import time
from collections.abc import Callable

from corpus import invented
from extraction_quality import HALVES, by_keywords, judged
from home import Home
from measure import Figure, Size, at_least, at_most, percentile, told

from enhanced_memory.client import Memory
from enhanced_memory.daemon.extraction.extracting import extract
from enhanced_memory.daemon.extraction.turns import turns
from enhanced_memory.daemon.summary import Line, summarize

__all__ = ["measure"]

SECTION = "Extraction and summaries"
SAID = {
    "first.txt": "tuned on",
    "second.txt": "not tuned on",
    "third.txt": "later, mended for",
    "fourth.txt": "later still, mended for",
    "fifth.txt": "last, never looked at",
    "sixth.txt": "mended for",
    "seventh.txt": "mended for",
    "eighth.txt": "hard, mended for",
    "ninth.txt": "plain, not looked at",
    "tenth.txt": "many sorts, mended for",
    "eleventh.txt": "many sorts again, mended for",
    "twelfth.txt": "plainer, mended for",
    "thirteenth.txt": "many traps, mended for",
    "fourteenth.txt": "many again, mended for",
    "fifteenth.txt": "everyday, not looked at",
    "sixteenth.txt": "everyday again, not looked at",
}
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
    return [*judging(), *costs(), beside()]


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


def beside() -> Figure:
    """What another client waits while the daemon reads a megabyte of conversation, none of it said twice."""
    said = (text for one in invented(9, 4000) for text in one.observations)
    talk = "\n".join(f"user: {text} I prefer tea number {number}." for number, text in enumerate(said))[:1_000_000]
    with Home(embedder="none", curation="off") as home:
        home.serve()
        with home.client(timeout_s=600.0) as talker, home.client(timeout_s=600.0) as other:
            return _beside(talker, other, talk)


def _beside(talker: Memory, other: Memory, talk: str) -> Figure:
    talker.auto_extract_facts("user: I prefer tea.", auto_store=False)  # the rules are loaded with the first
    alone = _pings(other, lambda: False, 500)
    reading = threading.Thread(target=lambda: talker.auto_extract_facts(talk, auto_store=False))
    reading.start()
    pings = _pings(other, lambda: not reading.is_alive(), None)
    reading.join()
    return Figure(
        SECTION, "ping while a megabyte of conversation is read, p99", told(percentile(pings, 0.99)),
        f"p50 {told(percentile(pings, 0.5))} of {len(pings):,}; alone p50 {told(percentile(alone, 0.5))}, p99 {told(percentile(alone, 0.99))}",
    )  # fmt: skip


def _pings(memory: Memory, over: Callable[[], bool], most: int | None) -> list[float]:
    times: list[float] = []
    while (most is None or len(times) < most) and not over():
        began = time.perf_counter()
        memory.ping()
        times.append(time.perf_counter() - began)
        time.sleep(0.002)
    return times


def _seconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began
