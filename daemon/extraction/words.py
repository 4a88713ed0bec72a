"""An English sentence as words: as they count, as they are written, short forms written out."""

import re
from collections.abc import Sequence

import msgspec

from enhanced_memory.daemon.extraction.english_words import (
    ADVERBS,
    NOT_NAMES,
)
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["MOST", "Word", "is_adverb", "named", "next_word", "read_words"]


MOST = 80
"""Words of a sentence that are read."""


class Word(msgspec.Struct, frozen=True):
    """A word as it counts, as it is written, and where it stands."""

    low: str
    raw: str
    start: int
    end: int

    @property
    def capital(self) -> bool:
        """Whether it is written with a capital letter."""
        return self.raw[:1].isupper()


_TOKEN = re.compile(
    r"[^\W\d_][\w]*(?:[-.&+/][^\W_][\w]*)*(?:['’][^\W\d_]+)?|\d(?:[\d.,:/-]*\d)?\w*%?|[\w.+-]+@[\w.-]+|“…”|[^\w\s]"
)


_SHORT = {
    "im": "i am", "ive": "i have", "ill": "", "id": "", "dont": "do not", "doesnt": "does not", "didnt": "did not", "cant": "can not",
    "wont": "will not", "isnt": "is not", "arent": "are not", "wasnt": "was not", "havent": "have not", "hasnt": "has not",
    "gonna": "going to", "wanna": "want to", "gotta": "have to", "cannot": "can not", "u": "you", "theyre": "they are", "youre": "you are",
    "hes": "he is", "shes": "she is", "thats": "that is", "lets": "let us", "whats": "what is", "ain't": "is not", "couldnt": "could not",
    "wouldnt": "would not", "shouldnt": "should not", "weve": "we have",
}  # fmt: skip


_ENDING = re.compile(r"^(?P<word>.+?)(?P<end>n['’]t|['’](?:m|re|ve|ll|d|s))$")


_ENDINGS = {"m": "am", "re": "are", "ve": "have", "ll": "will", "d": "would"}


_BEFORE_IS = frozenset(
    [
        "he",
        "she",
        "it",
        "that",
        "this",
        "there",
        "what",
        "who",
        "where",
        "how",
        "here",
        "when",
        "everything",
        "everyone",
        "everybody",
    ]
)


_HAS = re.compile(r" (?:(?:always|never|just|only|already|also|not|recently|now) )*(?:been|got|had)\b", re.IGNORECASE)
"""What follows an `'s` that stands for `has`."""


def read_words(text: str) -> list[Word]:
    """The words and signs of a sentence, short forms written out: `I'm` is `i am`."""
    words: list[Word] = []
    for match in _TOKEN.finditer(text):
        if len(words) >= MOST:
            break
        raw, start, end = match[0], match.start(), match.end()
        low = raw.lower().replace("’", "'")
        if _SHORT.get(low):
            words += [
                Word(part, raw if number == 0 else part, start, end) for number, part in enumerate(_SHORT[low].split())
            ]
            continue
        short = _ENDING.match(low) if "'" in low else None
        if short is None:
            words.append(Word(low, raw, start, end))
            continue
        word, ending = short["word"], short["end"].lstrip("'")
        cut = start + len(word)
        if short["end"] == "n't":
            first = {"ca": "can", "wo": "will", "sha": "shall"}.get(word, word)
            words += [Word(first, raw[: len(word)], start, cut), Word("not", "not", cut, end)]
        elif ending == "s":
            if word == "let":
                words += [Word("let", raw[: len(word)], start, cut), Word("us", "us", cut, end)]
            elif word in _BEFORE_IS:
                verb = "has" if _HAS.match(text, end) else "is"
                words += [Word(word, raw[: len(word)], start, cut), Word(verb, verb, cut, end)]
            else:
                words += [Word(word, raw[: len(word)], start, cut), Word("'s", "'s", cut, end)]
        else:
            words += [Word(word, raw[: len(word)], start, cut), Word(_ENDINGS[ending], _ENDINGS[ending], cut, end)]
    return words


def named(words: Sequence[Word], at: int, first: bool = False) -> int:
    """How many words from `at` on are a proper name: capital letters, no small words. A sentence's `first` word counts, too."""
    count = 0
    while at + count < len(words) and count < 4:
        word = words[at + count]
        if not word.capital or word.low in NOT_NAMES or (count == 0 and at == 0 and not first):
            break
        count += 1
    return count


_NO_ADVERBS = wordlist(
    "apply reply supply rely fly multiply comply imply family daily july italy bully jelly belly assembly ally"
)


def is_adverb(word: str) -> bool:
    """Whether a word stands beside a verb and changes nothing of what it is."""
    return word in ADVERBS or (len(word) > 5 and word.endswith("ly") and word not in _NO_ADVERBS)


def next_word(words: Sequence[Word], at: int) -> int:
    """The next word that is neither an adverb nor a denial."""
    while at < len(words) and (is_adverb(words[at].low) or words[at].low in ("not", "never")):
        at += 1
    return at
