"""What code often does with what the memory answers, as functions: filter, count, take the best, shorten.

They take an answer (its entities, hits, messages or versions are meant), or a list of those.
"""

import operator
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from functools import reduce
from typing import Any, cast

__all__ = ["HELPERS"]

LISTS = ("entities", "hits", "messages", "versions", "relations", "rows", "spaces", "results")
INSIDE = ("entity", "message", "properties")
"""Where a field may stand, if not in the item itself."""

Thing = dict[str, Any]


def items_of(answer: Any) -> list[Any]:
    """The list that an answer holds; a list as it is."""
    if isinstance(answer, dict):
        held = cast("Thing", answer)
        for name in LISTS:
            if isinstance(held.get(name), list):
                return held[name]
        raise ValueError(f"there is no list in this answer; it has {', '.join(map(str, held))}")
    return list(answer)


def field_of(item: Any, name: str) -> Any:
    """A field of an entity, hit or message, wherever in it that stands; None where it has none."""
    if not isinstance(item, dict):
        return None
    held = cast("Thing", item)
    if held.get(name) is not None:
        return held[name]
    for inside in INSIDE:
        found = field_of(held.get(inside), name)
        if found is not None:
            return found
    return None


def filter_by_confidence(answer: Any, minimum: float = 0.5, unknown: bool = False) -> list[Any]:
    """Those with at least this confidence; those that say none only where `unknown` is true."""
    kept: list[Any] = []
    for item in items_of(answer):
        confidence = field_of(item, "confidence")
        if confidence >= minimum if confidence is not None else unknown:
            kept.append(item)
    return kept


def filter_by_type(answer: Any, *types: str) -> list[Any]:
    """Those of one of these types; of messages, kinds."""
    wanted = set(types)
    return [item for item in items_of(answer) if (field_of(item, "type") or field_of(item, "kind")) in wanted]


def filter_by_date_range(answer: Any, since: Any = None, until: Any = None, field: str = "") -> list[Any]:
    """Those whose time is within the range, both ends included. `field` is when they last changed, unless given."""
    first = None if since is None else _moment(since)
    last = None if until is None else _moment(until, end=True)
    kept: list[Any] = []
    for item in items_of(answer):
        said = field_of(item, field) if field else _when(item)
        if said is None:
            continue
        when = _moment(said)
        if (first is None or when >= first) and (last is None or when <= last):
            kept.append(item)
    return kept


def _when(item: Any) -> Any:
    for name in ("updated_at", "at", "created_at"):
        found = field_of(item, name)
        if found is not None:
            return found
    return None


def _moment(given: Any, end: bool = False) -> datetime:
    if isinstance(given, datetime):
        moment = given
    elif isinstance(given, date):
        moment = datetime(given.year, given.month, given.day)
        if end:
            moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    else:
        text = str(given)
        moment = datetime.fromisoformat(text)
        if end and len(text) == len("2026-01-01"):
            moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def top_n(answer: Any, n: int = 10, key: str | Callable[[Any], Any] = "score", descending: bool = True) -> list[Any]:
    """The `n` with the most of a field (or of what a function says); those that have none come last."""
    told: list[tuple[Any, Any]] = [
        (key(item) if callable(key) else field_of(item, key), item) for item in items_of(answer)
    ]
    known = [pair for pair in told if pair[0] is not None]
    known.sort(key=operator.itemgetter(0), reverse=descending)
    return [item for _, item in known + [pair for pair in told if pair[0] is None]][:n]


def aggregate_stats(answer: Any, field: str = "", by: str = "type") -> Thing:
    """How many there are, how many of each `by`, and of a numeric `field`: sum, mean, least and most."""
    items = items_of(answer)
    groups: dict[str, int] = {}
    for item in items:
        name = str(field_of(item, by))
        groups[name] = groups.get(name, 0) + 1
    told: Thing = {"count": len(items), "by": dict(sorted(groups.items(), key=lambda one: (-one[1], one[0])))}
    if field:
        values = [value for item in items if _numeric(value := field_of(item, field))]
        told["known"] = len(values)
        if values:
            total = reduce(operator.add, values)
            told |= {"sum": total, "mean": total / len(values), "min": min(values), "max": max(values)}
    return told


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def summarize_results(answer: Any, limit: int = 10, chars: int = 120) -> list[Thing]:
    """The first `limit` as a name (or who speaks), a type and the beginning of what they say."""
    told: list[Thing] = []
    for item in items_of(answer)[:limit]:
        said = field_of(item, "snippet") or _text(item)
        short = said if len(said) <= chars else said[: chars - 1] + "…"
        name = field_of(item, "name") or field_of(item, "speaker") or field_of(item, "role") or ""
        told.append({"name": name, "type": field_of(item, "type") or field_of(item, "kind") or "", "text": short})
    return told


def _text(item: Any) -> str:
    observations = field_of(item, "observations")
    if isinstance(observations, list):
        lines: Iterable[Any] = cast("list[Any]", observations)
        return "; ".join(str(line) for line in lines)
    return str(field_of(item, "content") or "")


HELPERS: dict[str, Callable[..., Any]] = {
    "filter_by_confidence": filter_by_confidence,
    "filter_by_type": filter_by_type,
    "filter_by_date_range": filter_by_date_range,
    "top_n": top_n,
    "aggregate_stats": aggregate_stats,
    "summarize_results": summarize_results,
}
