"""Whether two names are one name written twice. Pure. One letter more or less makes another name; signs, case and titles do not."""

import re
from functools import lru_cache

from enhanced_memory.daemon.conflicts.statements import folded

__all__ = ["name_key"]

_TITLES = frozenset(["dr", "prof", "professor", "mr", "mrs", "ms", "miss", "sir", "the"])
_FORMS = frozenset(["inc", "corp", "corporation", "ltd", "llc", "gmbh", "ag", "co", "company", "limited"])
_UMLAUTS = str.maketrans({"ä": "a", "ö": "o", "ü": "u", "ß": "ss"})
_PART = re.compile(r"\d+|[^\W\d_]+")


@lru_cache(1 << 16)
def name_key(name: str) -> str:
    """What is left of a name: equal keys are one name. Empty where nothing is."""
    parts = _PART.findall(folded(name.replace("&", " and ")).translate(_UMLAUTS))
    while len(parts) > 1 and parts[0] in _TITLES:
        parts = parts[1:]
    while len(parts) > 1 and parts[-1] in _FORMS:
        parts = parts[:-1]
    return "".join(parts)
