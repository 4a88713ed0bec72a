"""Filters of requests as conditions of the store: names of conditions and the values that they need."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.values import Filter, MessageInput
from enhanced_memory.daemon.store.known import TIERS
from enhanced_memory.daemon.times import millis

__all__ = ["as_json", "entity_conditions", "equals", "message_conditions", "of_kinds", "property_filters"]


def as_json(values: Iterable[Any]) -> str:
    """A list as queries take it."""
    return msgspec.json.encode(list(values)).decode()


def property_filters(where: Iterable[Filter]) -> str:
    """Conditions on properties as the store takes them. `Invalid` for one that says nothing, or contradicts itself."""
    told: list[dict[str, Any]] = []
    for one in where:
        given = [
            name for name in ("equal", "any_of", "at_least", "at_most", "exists") if getattr(one, name) is not UNSET
        ]
        if not given:
            raise Invalid(
                f"The filter on {one.property!r} says nothing.", "give equal, any_of, at_least, at_most or exists"
            )
        if one.exists is False and len(given) > 1:
            raise Invalid(
                f"The filter on {one.property!r} wants the property absent and asks about its value.",
                "leave out one of the two",
            )
        values: dict[str, Any] = {"key": one.property, "absent": int(one.exists is False)}
        if one.equal is not UNSET or one.any_of is not UNSET:
            options = ([] if one.equal is UNSET else [one.equal]) if one.any_of is UNSET else list(one.any_of)
            if one.equal is not UNSET and one.any_of is not UNSET:
                options = [one.equal] if one.equal in options else []
            values["any_of"] = [int(option) if isinstance(option, bool) else option for option in options]
        for name in ("at_least", "at_most"):
            if getattr(one, name) is not UNSET:
                values[name] = getattr(one, name)
        told.append(values)
    return msgspec.json.encode(told).decode()


def equals(where: Iterable[Filter]) -> list[tuple[str, Any]]:
    """The properties of which one value is wanted, as the index has them."""
    return [
        (one.property, int(one.equal) if isinstance(one.equal, bool) else one.equal)
        for one in where
        if one.equal is not UNSET
    ]


def entity_conditions(
    *, types: list[str], tiers: list[str], tags: list[str], where: list[Filter], quarantined: bool | None, pinned: bool | None = None,
    scope: str | None = None, since: int | None = None, until: int | None = None,
) -> tuple[list[str], dict[str, Any]]:  # fmt: skip
    """The conditions that entities must meet, and their values. What has expired meets none."""
    names: list[str] = ["not_expired"]
    values: dict[str, Any] = {}
    if types:
        names.append("of_types")
        values["types"] = as_json(types)
    if tiers:
        names.append("of_tiers")
        values["tiers"] = as_json(TIERS.index(tier) for tier in tiers)
    if tags:
        names.append("with_tags")
        values["tags"] = as_json(dict.fromkeys(tags))
    if where:
        names.append("with_properties")
        values["filters"] = property_filters(where)
    if quarantined is not None:
        names.append("is_quarantined" if quarantined else "not_quarantined")
    if pinned is not None:
        names.append("is_pinned" if pinned else "not_pinned")
    if scope is not None:
        names.append("in_scope")
        values["scope"] = scope
    if since is not None:
        names.append("updated_since")
        values["updated_since"] = since
    if until is not None:
        names.append("updated_until")
        values["updated_until"] = until
    return names, values


def of_kinds(kinds: Collection[str]) -> str:
    """The condition that messages are of some kinds: the index of kinds has those that are not what most are."""
    return "of_kinds" if MessageInput("").kind in kinds else "of_rare_kinds"


def message_conditions(
    roles: list[str],
    kinds: list[str],
    speakers: list[str],
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[list[str], dict[str, Any]]:
    """The conditions that messages must meet, and their values."""
    names: list[str] = []
    values: dict[str, Any] = {}
    for name, key, given in (
        ("of_roles", "roles", roles),
        (of_kinds(kinds), "kinds", kinds),
        ("of_speakers", "speakers", speakers),
    ):
        if given:
            names.append(name)
            values[key] = as_json(given)
    for name, key, when in (("said_since", "since", since), ("said_until", "until", until)):
        if when is not None:
            names.append(name)
            values[key] = millis(when, key)
    return names, values
