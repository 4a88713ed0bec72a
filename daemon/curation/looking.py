"""What readers do for a curation: each holds Python's lock for a moment at a time, so that point reads need not wait for it."""

from collections.abc import Iterable
from typing import Any

from enhanced_memory.daemon.curation.actions import Habit
from enhanced_memory.daemon.curation.episodes import Episode, Statement
from enhanced_memory.daemon.curation.plans import Plan, free_name, title
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import Noted, State
from enhanced_memory.daemon.store.derived import text_bytes
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.tended import Row

__all__ = [
    "ACTIONS",
    "PAGE",
    "actions",
    "bytes_of",
    "episodes",
    "open_with_links",
    "opened",
    "page",
    "plain_steps",
    "procedure_names",
]

PAGE = 250
"""Entities looked at by one question: two milliseconds of a reader's time."""

ACTIONS = 2000
"""The newest actions of a stream that are looked at."""


def page(after: int, tx: Tx) -> tuple[int, list[Row]]:
    """The time, and a page of the space's own entities."""
    return tx.now, tx.tended.rows(after, PAGE) if tx.tended.space else []


def opened(ids: list[int], tx: Tx) -> dict[int, Stored]:
    """Entities with all that they say; those deleted meanwhile are left out."""
    return tx.entities.many(ids)


def open_with_links(ids: list[int], tx: Tx) -> tuple[dict[int, Stored], dict[int, int]]:
    """The same, with how many relations touch each."""
    return tx.entities.many(ids), tx.tended.links(ids)


def episodes(ids: list[int], known: bool, tx: Tx) -> list[Episode]:
    """Entities as far as what they say goes: without what is set aside or no longer true."""
    return [
        Episode(
            one.id,
            one.state.type,
            [
                Statement(noted.id, noted.text)
                for noted in one.state.observations
                if not (extra := noted.extra or {}).get("quarantined") and extra.get("valid_to", tx.now + 1) > tx.now
            ],
            known,
        )
        for one in tx.entities.many(ids).values()
    ]


def actions(stream: int, tx: Tx) -> list[tuple[int, int, str]]:
    """The newest actions of a stream: ids, times, and what they say."""
    return tx.tended.actions(stream, ACTIONS)


def procedure_names(found: list[Habit], tx: Tx) -> list[str | None]:
    """What procedures are to be called; None for one that stands under its name in another tier, or was taken back."""
    names: list[str | None] = []
    for one in found:
        name = title(" → ".join(one.steps))
        there = [tx.entities.find(entity) for entity in tx.entities.named_in_any_scope(name)]
        known = any(
            each is not None and plain_steps(noted.text for noted in each.state.observations) == plain_steps(one.steps)
            for each in there
        )
        names.append(None if known else free_name(tx, name))
    return names


def plain_steps(steps: Iterable[str]) -> tuple[str, ...]:
    """Steps as they are compared: case and spaces do not count."""
    return tuple(" ".join(step.split()).casefold() for step in steps)


def bytes_of(plan: Plan) -> int:
    """The bytes of text of what a plan makes."""
    told, habit = plan.told, plan.habit
    properties: dict[str, Any] = {"steps": list(habit.steps), "times": habit.times} if habit is not None else {}
    said = [Noted(place, 0, text) for place, text in enumerate(told.observations, 1)]
    return text_bytes(State(told.name, told.type, said, properties))
