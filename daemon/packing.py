"""Which of many things go into a context: each once, within a budget of tokens, no part at another's cost. Pure."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from enhanced_memory.client.operations.search import ContextItem, Part

__all__ = ["SHARES", "SHOWN", "line", "packed", "rendered", "shortened"]

SHARES: dict[Part, float] = {"pinned": 0.4, "state": 0.2, "recent": 0.3, "relevant": 1.0}
"""In the order of their claims: what of the budget each may take while another still wants some of it."""

SHOWN: tuple[Part, ...] = ("pinned", "state", "relevant", "recent")
"""In the order in which they are read: what was said last stands last."""

LONGEST = 0.5
"""Of the budget, what one item may take; it is shortened to that."""


def packed(
    parts: Mapping[Part, Iterable[ContextItem]], budget: int, count: Callable[[str], int]
) -> tuple[list[ContextItem], str, int]:
    """The items that fit, in the order in which they are read, their text, and how many did not.

    Each part's items come most wanted first. One whose text stood before is left out and counts as told.
    """
    heard: set[str] = set()
    wanted: dict[Part, list[ContextItem]] = {}
    for part in SHARES:
        wanted[part] = []
        for item in parts.get(part, ()):
            words = " ".join(f"{item.name} {item.text}".casefold().split())
            if words not in heard:
                heard.add(words)
                short = shortened(item, int(budget * LONGEST), count)
                wanted[part].append(msgspec.structs.replace(short, tokens=count(line(short)) + 1))
    # Headings first: they are few, and what is left is for the items alone.
    left = budget - count(rendered([items[0] for items in wanted.values() if items], heads=True))
    taken: dict[Part, list[ContextItem]] = {part: [] for part in SHARES}
    for within_share in (True, False):
        for part, share in SHARES.items():
            room = share * budget - sum(item.tokens for item in taken[part])
            for item in wanted[part]:
                if any(item is other for other in taken[part]):
                    continue
                if item.tokens > left or (within_share and item.tokens > room):
                    break  # what comes after is wanted less: it does not take the place of this
                taken[part].append(item)
                left -= item.tokens
                room -= item.tokens
    while True:
        chosen = [item for part in SHOWN for item in (taken[part][::-1] if part == "recent" else taken[part])]
        text = rendered(chosen)
        if not chosen or count(text) <= budget:
            return chosen, text, sum(map(len, wanted.values())) - len(chosen)
        # The sum of tokens is not exactly the tokens of the whole.
        last = next(part for part in ("relevant", "state", "recent", "pinned") if taken[part])
        taken[last].pop()


def rendered(items: Iterable[ContextItem], heads: bool = False) -> str:
    """Items as text under the headings of their parts; `heads`: the headings alone."""
    told: list[str] = []
    part = ""
    for item in items:
        if item.part != part:
            part = item.part
            told.append(f"## {part}")
        if not heads:
            told.append(line(item))
    return "\n".join(told)


def line(item: ContextItem) -> str:
    """An item as one line: whose it is, what it says, when and by whom."""
    who = item.speaker or item.name
    source = ", ".join(
        each
        for each in (
            f"{item.at:%Y-%m-%d}" if item.at else "",
            item.name if item.speaker and item.part == "relevant" else "",
            (item.origin.agent or item.origin.trust) if item.origin and item.message is None else "",
        )
        if each
    )
    says = " ".join(item.text.split())
    return f"- {who + ': ' if who else ''}{says}{f' ({source})' if source else ''}"


def shortened(item: ContextItem, tokens: int, count: Callable[[str], int]) -> ContextItem:
    """The item, its text cut to about so many tokens."""
    text = item.text
    while len(text) > 8 and count(text) > tokens:
        text = text[: max(8, min(len(text) - 1, len(text) * tokens // count(text)))]
    return item if text is item.text else msgspec.structs.replace(item, text=text.rstrip() + "…")
