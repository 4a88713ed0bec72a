"""Chronicle Weaver's summariser: heuristics over `role: content` lines, as its users know them, in an order that never varies."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

__all__ = ["ConversationSummarizer"]

A = TypeVar("A")

HAPPENED = frozenset(("went", "said", "did", "came", "left", "found"))
TURNED = frozenset(("suddenly", "then", "next", "after", "before", "when"))
INWARD = frozenset(("feels", "thinks", "believes", "remembers", "learns"))

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class ConversationSummarizer:
    """Sums conversations up without a model. Lines may be `role: content` texts, or maps with `content`."""

    def create_summary(self, messages: Sequence[Any], target_length: int = 200) -> str:
        """At most `target_length` characters: few messages joined; of more, who is involved and what happened."""
        return _or("Summary unavailable", self._summary, messages, target_length)

    def _summary(self, messages: Sequence[Any], target_length: int) -> str:
        lines = [_text(one) for one in messages]
        if not lines:
            return "Conversation in progress"
        if len(lines) <= 3:
            return _cut(" | ".join(lines), target_length)
        names = list(dict.fromkeys(name for line in lines for name in _names(line)))[:3]
        events = [line[:100] for line in lines if _has(line, HAPPENED)][:3]
        parts = [f"Characters involved: {', '.join(names)}"] if names else []
        parts += [f"Key events: {' | '.join(events)}"] if events else []
        return _cut(". ".join(parts), target_length) if parts else "Conversation in progress"

    def extract_key_events(self, messages: Sequence[Any]) -> list[str]:
        """At most five lines in which something turns, each cut at 150 characters."""
        none: list[str] = []
        return _or(none, lambda: [line[:150] for line in map(_text, messages) if _has(line, TURNED)][:5])

    def extract_character_developments(self, messages: Sequence[Any]) -> dict[str, list[str]]:
        """By the first name in a line: what they feel, think, believe, remember, learn, each cut at 100 characters."""
        none: dict[str, list[str]] = {}
        return _or(none, self._developments, messages)

    def _developments(self, messages: Sequence[Any]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in map(_text, messages):
            names = _names(line)
            if names and _has(line, INWARD):
                found.setdefault(names[0], []).append(line[:100])
        return found


def _or(empty: A, work: Callable[..., A], *given: Any) -> A:
    """What `work` gives; `empty` for lines that are none."""
    try:
        return work(*given)
    except (TypeError, AttributeError, KeyError):
        return empty


def _text(line: Any) -> str:
    if isinstance(line, str):
        return line
    content: Any = cast("dict[str, Any]", line)["content"] if isinstance(line, dict) else line.content
    if not isinstance(content, str):
        raise TypeError("a line's content is no text")
    return content


def _said(line: str) -> str:
    """A line without who says it."""
    role, colon, rest = line.partition(": ")
    return rest if colon and role.lower() in ("user", "assistant", "system") else line


def _names(line: str) -> list[str]:
    return [word for word in _WORD.findall(_said(line)) if len(word) > 2 and word.istitle()]


def _has(line: str, words: frozenset[str]) -> bool:
    return any(word.lower() in words for word in _WORD.findall(line))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 3)] + "..."
