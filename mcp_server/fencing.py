"""How remembered text is kept from passing for anything else: what cannot be seen is made visible, text stands in a
fence.

Nothing is ever dropped. In JSON the strings are the fence, and an escaped character is still the same data; plain
text is put
between boundaries that nobody can have written into a memory beforehand.
"""

import re
import secrets
from typing import Any, cast

import msgspec

__all__ = ["fenced", "flagged", "json_text", "suspicious", "visible"]

_HIDDEN = re.compile(
    "["
    "\u007f-\u009f"  # delete and C1 controls
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners and fillers
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, line separators, embeddings, overrides and isolates
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"  # fillers, variation selectors, byte order mark, annotations
    "\U0001d173-\U0001d17a"  # musical controls
    "\U000e0000-\U000e0fff"  # tags and further variation selectors
    "]"
)
"""Characters that a reader does not see and a model does."""

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f]")
"""What a terminal might act on, beside tab and newline. JSON escapes it by itself."""

_COVERT = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]|[\u200b-\u200f\u2060-\u2064\ufeff]{4,}|\x1b")
"""Hidden characters that turn text round or carry a message; a joiner in an emoji does neither."""

_ORDERS = re.compile(
    r"""
      \b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:previous|prior|above|earlier|all|your|system)\b.{0,40}\b(?:instruction|prompt|rule|message|guideline|context)
    | \b(?:system|developer)\s+(?:prompt|message|instruction)s?\b.{0,20}[:=]
    | \byou\s+(?:are\s+now|must\s+now|will\s+now)\b
    | \bnew\s+(?:system\s+)?instructions?\s*:
    | \b(?:do\s+not|don'?t|never)\s+(?:tell|inform|mention|reveal|show)\b.{0,30}\b(?:user|human|anyone|owner)\b
    | </?\s*(?:system|assistant|user|instructions?|tool_call|function_calls?|im_start|im_end)\b[^>]{0,40}>
    | <\|[a-z_]{2,20}\|>
    |
    \b(?:exfiltrate|send|post|upload|leak)\b.{0,60}(?:\b(?:passwords?|secrets?|tokens?|credentials?|api[\s_-]?keys?|private\s+keys?)\b|\.env\b)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""Phrases of texts that want to be obeyed. Easy to word around: a flag for the reader, no defence."""

_LOOKED_AT = 20_000
"""Characters in which orders are looked for, from each end of a text."""


def json_text(value: Any) -> str:
    """`value` as compact JSON in which no hidden character stands as itself. Parsed, it is the same data."""
    return _HIDDEN.sub(_escaped, msgspec.json.encode(value).decode())


def visible(text: str) -> str:
    """`text` with hidden and control characters as escapes, for a line of plain text."""
    return _CONTROLS.sub(_escaped, _HIDDEN.sub(_escaped, text.replace("\n", "\\n")))


def fenced(text: str) -> str:
    """`text` as data within plain text: between boundaries with a random word that it cannot hold."""
    word = secrets.token_hex(6)
    inside = _CONTROLS.sub(_escaped, _HIDDEN.sub(_escaped, text))
    return f"<memory-{word}>\n{inside}\n</memory-{word}>"


def suspicious(text: str) -> bool:
    """Whether `text` reads like orders to a model, or hides something."""
    if _COVERT.search(text):
        return True
    if len(text) > 2 * _LOOKED_AT:
        text = text[:_LOOKED_AT] + "\n" + text[-_LOOKED_AT:]
    return _ORDERS.search(text) is not None


_SAYS = ("content", "text", "summary", "entity_says", "conflicting_says")
"""Under which names a record tells what somebody stored."""

_THEIRS = frozenset(("properties", "metadata"))
"""Records of whoever stored them: nothing of ours is put into those."""


def flagged(shown: Any) -> Any:
    """An answer with `suspicious` in each record that tells a text which is: `true`, or the places of an entity's observations."""
    if isinstance(shown, list):
        return [flagged(one) for one in cast("list[Any]", shown)]
    if not isinstance(shown, dict):
        return shown
    record = cast("dict[str, Any]", shown)
    told = {name: value if name in _THEIRS else flagged(value) for name, value in record.items()}
    observations: list[Any] = record["observations"] if isinstance(record.get("observations"), list) else []
    odd = [place for place, said in enumerate(observations) if isinstance(said, str) and suspicious(said)]
    if odd:
        told.setdefault("suspicious", odd)
    elif any(isinstance(said := record.get(name), str) and suspicious(said) for name in _SAYS):
        told.setdefault("suspicious", True)
    return told


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
