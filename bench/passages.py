"""Passages and questions by the million: words drawn as often as their rank in English says (Zipf's law), the same for the same seed.

The n-th most common word is drawn about 1/n as often as the first. The words are those of the embedder's vocabulary, which
stands in the order of their frequency; behind them come invented ones, for names and the long tail. Neighbouring passages
share a topic, as the lines of a conversation do. A question is eight to twelve words running of one passage.
"""

import random
import re
from bisect import bisect
from collections.abc import Iterator
from functools import cache
from itertools import accumulate

from enhanced_memory.daemon.embedding.static import MODEL

__all__ = ["STREAM_LINES", "lines", "questions"]

WORDS = 60_000
SHIFT = 2.7
"""Zipf's law as Mandelbrot corrected it: the share of rank n is 1 / (n + SHIFT)."""

STREAM_LINES = 20
"""Lines of a stream, which share a topic."""

TOPIC_WORDS = 12
TOPIC_SHARE = 0.15
"""How much of a line is about its stream's topic."""

SPEAKERS = ("Ada", "Ben", "Chiara", "Dmitri", "Elena", "Farid", "Greta", "Hugo")


@cache
def vocabulary() -> list[str]:
    """Words, the most common first."""
    pieces = (MODEL / "vocabulary.txt").read_text("utf-8").split("\n")
    real = [word for word in pieces[pieces.index("the") :] if re.fullmatch("[a-z]{1,}", word)]
    chance = random.Random("vocabulary")
    made = {"".join(chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(4)) for _ in range(WORDS)}
    return (real + sorted(made - set(real)))[:WORDS]


@cache
def _weights() -> list[float]:
    return list(accumulate(1 / (rank + 1 + SHIFT) for rank in range(WORDS)))


def _drawn(chance: random.Random, count: int) -> list[str]:
    return chance.choices(vocabulary(), cum_weights=_weights(), k=count)


def lines(seed: int, count: int) -> Iterator[tuple[int, str, str]]:
    """Lines as (stream, speaker, text): 28 words on average, as in conversations between people."""
    chance = random.Random(seed)
    words = vocabulary()
    topic: list[str] = []
    pair = list(SPEAKERS[:2])
    rarer = bisect(_weights(), _weights()[-1] * 0.5)
    for number in range(count):
        if number % STREAM_LINES == 0:
            topic = [words[chance.randrange(rarer, WORDS)] for _ in range(TOPIC_WORDS)]
            pair = chance.sample(SPEAKERS, 2)
        length = max(4, min(120, int(chance.lognormvariate(3.15, 0.6))))
        text = _drawn(chance, length)
        for place in range(length):
            if chance.random() < TOPIC_SHARE:
                text[place] = chance.choice(topic)
        yield number // STREAM_LINES, pair[number % 2], " ".join(text).capitalize() + "."


def questions(seed: int, passages: int, count: int) -> list[str]:
    """Questions about lines of the same seed, spread evenly over `passages` of them."""
    chance = random.Random(f"questions {seed}")
    wanted = set(chance.sample(range(passages), count))
    asked: list[str] = []
    for number, (_, _, text) in enumerate(lines(seed, passages)):
        if number in wanted:
            words = text.rstrip(".").lower().split()
            length = min(len(words), chance.randint(8, 12))
            begin = chance.randrange(len(words) - length + 1)
            asked.append(" ".join([*words[begin : begin + length]]) + "?")
    return asked
