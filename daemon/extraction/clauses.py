"""An English sentence as clauses: who, the verb with its helpers and adverbs, and what follows. Pure.

This is no parser of English. It reads the beginnings of clauses – a subject, then auxiliaries and adverbs, then a verb – which
is where a sentence says of whom it speaks, whether it denies, plans, doubts or asks. What it cannot read it leaves alone.
"""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from enhanced_memory.daemon.extraction.english_words import (
    ADVERBS,
    BE,
    CUTTING,
    DO,
    GENERIC,
    HAVE,
    LEADING,
    MODALS,
    NOT_NAMES,
    verb_of,
)
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["Clause", "Subject", "Word", "clauses", "named", "read_words"]

Kind = Literal["I", "we", "you", "he", "it", "name", "my", "our", "their", "the", "bare", "generic", "none"]

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


class Subject(msgspec.Struct, frozen=True):
    """Of whom or what a clause speaks."""

    kind: Kind
    words: tuple[Word, ...] = ()
    head: str = ""
    """The noun of a phrase, in lower case."""
    name: str = ""
    """The proper name in it."""
    owner: str = ""
    """Whose it is, where a name owns it: `Maria's husband`."""
    with_us: bool = False
    """Whether the speaker is part of it: `Lea and I`."""


class Clause(msgspec.Struct, frozen=True):
    """One statement of a sentence."""

    subject: Subject
    verb: str
    """The verb; `be` and `have` for themselves; empty where none was recognised."""
    form: str
    """The verb's form: b, s, d, n, g; see `english_words`."""
    helpers: tuple[str, ...]
    """`will`, `must`, `perfect`, `passive`, `progressive`, `do`, `used`, `want`, `plan`, `tend`, `need`, `would` …"""
    adverbs: tuple[str, ...]
    denied: bool
    rest: tuple[Word, ...]
    """What follows the verb."""
    lead: tuple[Word, ...]
    """What stands in front of the subject."""
    start: int
    end: int

    def name_first(self) -> bool:
        """Whether a proper name follows the verb `be`, and nothing but names or an apposition: `I am Borin, the smith`."""
        if self.subject.kind not in ("I", "he", "we") or not self.rest or not self.rest[0].capital:
            return False
        length = named(self.rest, 0, first=True)
        after = self.rest[length].low if length < len(self.rest) else ","
        return length > 0 and after in (",", "from", "of", ".", "and", "–", "—", "-", "(")

    def said(self) -> str:
        """What follows the verb, in lower case."""
        return " ".join(word.low for word in self.rest)


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
                words += [Word(word, raw[: len(word)], start, cut), Word("is", "is", cut, end)]
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


_PERSONS: dict[str, Kind] = {
    "i": "I",
    "we": "we",
    "you": "you",
    "he": "he",
    "she": "he",
    "it": "it",
    "this": "it",
    "that": "it",
    "these": "it",
}
_OWNERS: dict[str, Kind] = {
    "my": "my",
    "our": "our",
    "his": "their",
    "her": "their",
    "their": "their",
    "your": "generic",
    "its": "it",
}
_ARTICLES = wordlist("the all every each any no both these those")
_COUNTS = wordlist("one two three four five six some most many none half several few each")
_FINITE = frozenset([*BE, *HAVE, *DO, *MODALS, "needs"]) - {"be", "been", "being", "having"}
_PHRASE = 7
"""Words that a noun phrase may have."""


def _subject(words: Sequence[Word], at: int) -> tuple[Subject, int] | None:
    """The subject that begins at `at`, and where it ends."""
    if at >= len(words):
        return None
    low = words[at].low
    if low in _PERSONS:
        if low in ("this", "that", "these") and at + 1 < len(words) and not _verbal(words, at + 1):
            return _phrase(words, at, "the")
        if low == "i" and words[at].raw not in ("I", "i", "im", "Im", "ive", "Ive", "i'm"):
            if not words[at].raw.lower().startswith("i"):
                return None
        return Subject(_PERSONS[low], (words[at],)), at + 1
    if low in _OWNERS:
        return _phrase(words, at, _OWNERS[low])
    if low in GENERIC and low not in ("all", "both", "each", "no", "any", "most", "some"):
        return Subject("generic", (words[at],)), at + 1
    if low in ("all", "both") and at + 1 < len(words) and words[at + 1].low in ("our", "my", "of"):
        step = 2 if words[at + 1].low == "of" else 1
        if at + step < len(words) and words[at + step].low in _OWNERS:
            return _phrase(words, at + step, _OWNERS[words[at + step].low])
    if low in _COUNTS and at + 2 < len(words) and words[at + 1].low == "of" and words[at + 2].low in _OWNERS:
        return _phrase(words, at + 2, _OWNERS[words[at + 2].low])
    if low in _ARTICLES:
        return _phrase(words, at, "the")
    length = named(words, at, first=True)
    if length:
        if length == 1 and at == 0 and _plural_noun(words, at):
            return Subject("bare", (words[at],), low), at + 1
        return _name(words, at, length)
    return None


def _plural_noun(words: Sequence[Word], at: int) -> bool:
    """`Backups have to`, `Cats like`: a sentence that begins with a noun in the plural, and a verb that agrees."""
    low = words[at].low
    if not low.endswith("s") or low.endswith(("ss", "us", "is")) or at + 1 >= len(words):
        return False
    after = _next(words, at + 1)
    follows = words[after].low if after < len(words) else ""
    found = verb_of(follows)
    return follows in ("are", "have", "were", "do", "must", "need", "should", "may", "can", "cannot") or (
        found is not None and found[1] == "b"
    )


def _name(words: Sequence[Word], at: int, length: int) -> tuple[Subject, int]:
    name = " ".join(word.raw for word in words[at : at + length])
    after = at + length
    if after < len(words) and words[after].low == "'s":
        # `Maria's husband Jo works`, but `Ella's allergic` and `Tom's a nurse`.
        nxt = words[after + 1].low if after + 1 < len(words) else ""
        found = verb_of(nxt)
        if (
            nxt in ("a", "an", "the", "not", "in", "from", "on", "at", "always", "never", "very", "our", "my")
            or (found and found[1] in "ng")
            or nxt in _STATES
        ):
            return Subject("name", tuple(words[at:after]), name=name), after
        owned = _phrase(words, after, "their", owner=name)
        if owned is not None:
            return owned
    if after + 1 < len(words) and words[after].low in ("and", "&"):
        nxt = words[after + 1]
        if nxt.low == "i":
            return Subject("we", tuple(words[at : after + 2]), name=name, with_us=True), after + 2
        more = named(words, after + 1, first=True)
        if more and _verbal(words, after + 1 + more):
            return Subject("name", tuple(words[at : after + 1 + more]), name=name), after + 1 + more
    return Subject("name", tuple(words[at:after]), name=name), after


_STRESSED = wordlist("like love need want have prefer enjoy use know think hope hate believe own live work care mind")
"""Verbs that `do` may stress: `I do like tea`. In `we do code reviews` it is the verb."""


_NO_ADVERBS = wordlist(
    "apply reply supply rely fly multiply comply imply family daily july italy bully jelly belly assembly ally"
)


def _adverb(word: str) -> bool:
    return word in ADVERBS or (len(word) > 5 and word.endswith("ly") and word not in _NO_ADVERBS)


def _denied_next(words: Sequence[Word], at: int) -> bool:
    return at < len(words) and words[at].low in ("not", "never")


_STATES = wordlist(
    "allergic married based born called named responsible fluent vegetarian vegan engaged retired divorced pregnant"
)


def _phrase(words: Sequence[Word], at: int, kind: Kind, owner: str = "") -> tuple[Subject, int] | None:
    """A noun phrase: everything up to what must be its verb."""
    end = at + 1
    while end < len(words) and end - at <= _PHRASE:
        word = words[end]
        if word.low == "and" and end + 1 < len(words) and words[end + 1].low == "i":
            return Subject("we", tuple(words[at : end + 2]), with_us=True), end + 2
        if word.low in _FINITE or (end > at + 1 and (word.low in ADVERBS or word.low == "not") and _verbal(words, end)):
            break
        if end > at + 1 and _main(words, end) and words[end - 1].low not in _JOINING:
            break
        if end > at + 1 and words[end - 1].low.endswith("s") and _agreeing(words, end):
            break
        if (
            word.low == "'s"
            and end + 1 < len(words)
            and words[end + 1].low in ("a", "an", "the", "not", "in", "from", "called", "always", "name")
        ):
            if words[end + 1].low != "name":
                break
        elif (
            not (word.raw[0].isalnum() or word.raw in ("'", "'s", "-", "&", "“…”"))
            or word.low in _PHRASE_ENDS
            or word.low in _PERSONS
        ):
            break
        end += 1
    inside = [word for word in words[at + 1 : end] if word.raw[0].isalnum()]
    if not inside:
        return None
    name, head = "", ""
    for number, word in enumerate(words[at + 1 : end], at + 1):
        if number > at + 1 and word.capital and word.low not in NOT_NAMES and not head_done(words, number, end):
            name = " ".join(one.raw for one in words[number:end] if one.capital)
            inside = [one for one in words[at + 1 : number] if one.raw[0].isalnum()] or inside
            break
    plain = [word for word in inside if word.low not in ("'s", "of", "in", "for", "on", "at")]
    for number, word in enumerate(inside):
        if word.low in ("of", "in", "for", "on", "at", "about", "with", "to", "from") and number:
            plain = list(inside[:number])
            break
    head = plain[-1].low if plain else inside[-1].low
    return Subject(kind, tuple(words[at:end]), head, name, owner), end


def head_done(words: Sequence[Word], at: int, end: int) -> bool:
    """Whether a capital word in a phrase is followed by its noun: `our Kafka cluster` is no name."""
    rest = words[at:end]
    return any(word.raw[0].isalpha() and not word.capital and word.low != "'s" for word in rest)


_JOINING = wordlist("of in for on at to and or the a with")
_PHRASE_ENDS = wordlist("because if when while but so since although who which that , ; : . ! ?")


def _main(words: Sequence[Word], at: int) -> bool:
    """Whether a word is a finite verb by its form alone."""
    if at >= len(words):
        return False
    found = verb_of(words[at].low)
    return found is not None and found[1] in "sd" and not words[at].capital


def _agreeing(words: Sequence[Word], at: int) -> bool:
    """Whether a verb stands there that agrees with a plural: `our servers run`."""
    found = verb_of(words[at].low)
    after = words[at + 1].low if at + 1 < len(words) else "."
    return (
        found is not None
        and found[1] == "b"
        and words[at - 1].low not in ("'s", "this", "its")
        and after not in (".", ",", "of", "is", "are")
    )


def _verbal(words: Sequence[Word], at: int) -> bool:
    """Whether a verb, or what helps one, stands at `at`, adverbs aside."""
    while at < len(words) and (words[at].low in ADVERBS or words[at].low == "not"):
        at += 1
    return at < len(words) and (words[at].low in _FINITE or verb_of(words[at].low) is not None)


class _Group(msgspec.Struct):
    helpers: list[str]
    adverbs: list[str]
    denied: bool = False
    verb: str = ""
    form: str = ""
    end: int = 0


_TO = {
    "want": "want",
    "plan": "plan",
    "hope": "plan",
    "intend": "plan",
    "aim": "plan",
    "tend": "tend",
    "need": "need",
    "wish": "want",
    "expect": "plan",
}


def _group(words: Sequence[Word], at: int, subject: Kind) -> _Group | None:
    """The verb with its helpers and adverbs; None where there is none."""
    group = _Group([], [])
    have = be = False
    start = at
    while at < len(words):
        low = words[at].low
        following = _next(words, at + 1)
        after = words[following].low if following < len(words) else ""
        found = verb_of(low)
        if low in ("not", "never"):
            group.denied = True
            if low == "never":
                group.adverbs.append(low)
        elif low == "no" and after == "longer":
            group.adverbs.append("no longer")
            at = following + 1
            continue
        elif _adverb(low) and not (low in ("like", "sort", "still") and found):
            group.adverbs.append(low)
        elif low in MODALS:
            group.helpers.append(low)
        elif low == "rather" and "would" in group.helpers:
            group.verb, group.form = "rather", "b"
        elif low == "'s" and at == start:
            be = True
            group.helpers.append("is")
            if not (found_after := verb_of(after)) or found_after[1] not in "ng":
                group.verb, group.form = "be", "s"
        elif low in BE:
            be = True
            group.helpers.append("was" if low in ("was", "were") else "been" if low == "been" else "is")
            nxt = verb_of(after)
            if after == "going" and _to_verb(words, following + 1):
                group.helpers.append("plan")
                at = following + 2
                continue
            if after == "about" and _to_verb(words, following + 1):
                group.helpers.append("plan")
                at = following + 2
                continue
            if (
                after in ("supposed", "required", "obliged", "expected")
                and words[following + 1 : following + 2]
                and words[following + 1].low == "to"
            ):
                group.helpers.append("must")
                at = following + 2
                continue
            if after in ("allowed", "permitted") and following + 1 < len(words) and words[following + 1].low == "to":
                group.helpers.append("may")
                at = following + 2
                continue
            if not ((nxt and nxt[1] in "ng") or (nxt and nxt[1] == "d")) and after not in BE:
                group.verb, group.form = "be", BE[low]
        elif low in HAVE and not group.verb:
            nxt = verb_of(after)
            if after == "to" and following + 1 < len(words):
                group.helpers.append("must")
                at = following + 1
                continue
            if after == "got" and following + 1 < len(words) and words[following + 1].low != "to":
                group.verb, group.form = "have", HAVE[low]
                at = following
            elif (nxt and nxt[1] in "nd" and after not in ("read", "set")) or after in ("been", "had", "done"):
                group.helpers.append("perfect")
                have = True
            else:
                group.verb, group.form = "have", HAVE[low]
        elif low in DO and (
            after in _STRESSED or group.denied or _denied_next(words, at + 1) or (low == "did" and verb_of(after))
        ):
            group.helpers.append("do" if low != "did" else "did")
        elif low == "used" and after == "to":
            group.helpers.append("used")
            at = following + 1
            continue
        elif found and found[0] in _TO and after == "to" and _to_verb(words, following):
            group.helpers += [_TO[found[0]]]
            if found[1] == "d" and not have:
                group.helpers.append("was")
            at = following + 1
            continue
        elif found:
            group.verb, group.form = found
            if found[1] == "g" and be:
                group.helpers.append("progressive")
            elif found[1] in "nd" and be:
                group.helpers.append("passive")
        elif (
            subject in ("I", "we", "he", "name", "my", "you")
            and low.isalpha()
            and low not in NOT_NAMES
            and at == _next(words, start)
        ):
            group.verb, group.form = _guessed(low)
        elif be and not group.verb:
            group.verb, group.form = "be", "s"
            at -= 1
        else:
            break
        at += 1
        if group.verb:
            break
    if not group.verb and not group.helpers:
        return None
    if not group.verb:
        # A helper that nothing followed: an unknown verb behind `will`, `must`, `to`.
        if at < len(words) and words[at].low.isalpha() and words[at].low not in NOT_NAMES:
            group.verb, group.form = _guessed(words[at].low)
            at += 1
            if be and group.form in "dn":
                group.helpers.append("passive")
        elif be:
            group.verb, group.form = "be", "s"
    # `I was never`, `she has always`: adverbs behind the verb `be` belong to it.
    if group.verb in ("be", "have"):
        while at < len(words) and (
            words[at].low in ("not", "never") or (words[at].low in ADVERBS and words[at].low not in ("all", "both"))
        ):
            if words[at].low in ("not", "never"):
                group.denied = True
            if words[at].low != "not":
                group.adverbs.append(words[at].low)
            at += 1
        if at + 1 < len(words) and words[at].low == "no" and words[at + 1].low == "longer":
            group.adverbs.append("no longer")
            at += 2
    group.end = at
    return group


def _guessed(word: str) -> tuple[str, str]:
    if word.endswith("ing") and len(word) > 5:
        return word[:-3], "g"
    if word.endswith("ed") and len(word) > 4:
        return word[:-2], "d"
    if word.endswith("s") and len(word) > 3 and not word.endswith("ss"):
        return word[:-1], "s"
    return word, "b"


def _next(words: Sequence[Word], at: int) -> int:
    """The next word that is neither an adverb nor a denial."""
    while at < len(words) and (_adverb(words[at].low) or words[at].low in ("not", "never")):
        at += 1
    return at


def _to_verb(words: Sequence[Word], at: int) -> bool:
    """Whether `to` and a verb's base stand at `at`."""
    if at + 1 >= len(words) or words[at].low != "to":
        return False
    at = _next(words, at + 1)
    low = words[at].low if at < len(words) else ""
    found = verb_of(low)
    if low in ("be", "have", "do"):
        return True
    return (found is not None and found[1] == "b") or (
        low.isalpha() and not words[at].capital and low not in NOT_NAMES and low not in ("work", "school", "bed")
    )


def clauses(words: Sequence[Word], bare: bool = True) -> list[Clause]:
    """The clauses of a sentence in order. `bare`: also one whose subject is a noun without an article."""
    starts: list[tuple[int, int, Subject, _Group]] = []
    at = 0
    while at < len(words):
        opened = at == 0 or words[at - 1].low in CUTTING or (not starts and _leads(words, at))
        found = _subject(words, at) if opened else None
        if found is not None:
            subject, end = found
            group = _group(words, end, subject.kind)
            if group is not None and group.verb:
                starts.append((_back(words, at, starts), at, subject, group))
                at = group.end
                continue
        at += 1
    if (
        bare
        and words
        and (
            not starts
            or (
                starts[0][2].kind == "name"
                and starts[0][1] == 0
                and verb_of(words[starts[0][3].end - 1].low) is None
                and starts[0][3].verb not in ("be", "have", "do")
            )
        )
    ):
        starts = _bare(words) or starts
    made: list[Clause] = []
    for number, (begin, first, subject, group) in enumerate(starts):
        stop = starts[number + 1][0] if number + 1 < len(starts) else len(words)
        rest = list(words[group.end : stop])
        while rest and rest[-1].low in CUTTING | {".", "!", "?"}:
            rest.pop()
        last = rest[-1] if rest else words[group.end - 1]
        made.append(
            Clause(
                subject, group.verb, group.form, tuple(group.helpers), tuple(group.adverbs), group.denied, tuple(rest),
                tuple(words[begin:first]), words[begin].start if begin < first else words[first].start, last.end,
            )
        )  # fmt: skip
    return made


def _leads(words: Sequence[Word], at: int) -> bool:
    """Whether what stands in front of `at` may lead a sentence: a time, a place, a circumstance."""
    return at <= 9 and words[0].low in LEADING


def _back(words: Sequence[Word], at: int, starts: list[tuple[int, int, Subject, _Group]]) -> int:
    """Where a clause begins whose subject stands at `at`: with what leads the sentence, or behind the last clause."""
    return at if starts or at > 9 or words[0].low not in LEADING else 0


def _bare(words: Sequence[Word]) -> list[tuple[int, int, Subject, _Group]]:
    """`Contributions must be signed off`: a noun without an article, and a helper within a few words."""
    for at in range(1, min(7, len(words))):
        if words[at].low in _FINITE or (words[at].low == "need" and at + 1 < len(words) and words[at + 1].low == "to"):
            if not all(word.raw[0].isalpha() for word in words[:at]):
                return []
            group = _group(words, at, "bare")
            if group is None or not group.verb:
                return []
            return [(0, 0, Subject("bare", tuple(words[:at]), words[at - 1].low), group)]
    return []
