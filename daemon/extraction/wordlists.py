"""Lists of words as they are written down: one text, blanks between."""

__all__ = ["wordlist"]


def wordlist(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
