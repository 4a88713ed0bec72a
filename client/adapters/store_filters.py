"""Filters of LangGraph's stores: what they mean, and what of them the daemon can narrow by. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from enhanced_memory.client.adapters.containment import facets
from enhanced_memory.client.values import Filter

__all__ = ["matches", "namespace_matches", "narrowing"]


def narrowing(wanted: Mapping[str, Any]) -> list[Filter]:
    """Conditions that whatever matches meets; what they let through is still to be compared."""
    found: list[Filter] = []
    for key, value in wanted.items():
        exact: Any = value
        if isinstance(value, Mapping):
            told = cast("Mapping[str, Any]", value)
            if any(name.startswith("$") for name in told):
                if "$eq" not in told:
                    continue
                exact = told["$eq"]
        # 1, 1.0 and true are one value here, and a null is also what is not there.
        if isinstance(exact, str):
            found += [Filter("facets", equal=facet) for facet in facets({key: exact})]
    return found


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an item's value meets every condition. `ValueError` for an operator that is not known."""
    return all(_fits(value.get(key), one) for key, one in wanted.items())


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        told = cast("Mapping[str, Any]", wanted)
        if any(name.startswith("$") for name in told):
            return all(_compares(value, name, bound) for name, bound in told.items())
        if not isinstance(value, Mapping):
            return False
        held = cast("Mapping[str, Any]", value)
        return all(_fits(held.get(key), one) for key, one in told.items())
    if isinstance(wanted, list | tuple):
        ones = cast("Sequence[Any]", wanted)
        if not isinstance(value, list | tuple) or len(cast("Sequence[Any]", value)) != len(ones):
            return False
        return all(_fits(mine, one) for mine, one in zip(cast("Sequence[Any]", value), ones, strict=True))
    return bool(value == wanted)


def _compares(value: Any, operator: str, bound: Any) -> bool:
    match operator:
        case "$eq":
            return bool(value == bound)
        case "$ne":
            return bool(value != bound)
        case "$gt" | "$gte" | "$lt" | "$lte":
            mine, theirs = _number(value), _number(bound)
            if mine is None or theirs is None:
                return False
            return {"$gt": mine > theirs, "$gte": mine >= theirs, "$lt": mine < theirs, "$lte": mine <= theirs}[
                operator
            ]
        case _:
            raise ValueError(f"Unsupported operator: {operator}")


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def namespace_matches(how: str, path: Sequence[str], place: Sequence[str]) -> bool:
    """Whether a namespace begins (`prefix`) or ends (`suffix`) with a path, in which `*` is any label. `ValueError` for another way."""
    if how not in ("prefix", "suffix"):
        raise ValueError(f"Unsupported match type: {how}")
    if len(place) < len(path):
        return False
    part = place[: len(path)] if how == "prefix" else place[len(place) - len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))
