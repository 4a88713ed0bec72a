"""Where an English clause's finite verb stands, and what goes with it: helpers, denial, tense, aspect and voice. Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from enhanced_memory.daemon.extraction.english_words import BE, DO, HAVE, MODALS
from enhanced_memory.daemon.extraction.lexicon import any_verb
from enhanced_memory.daemon.extraction.wordlists import wordlist
from enhanced_memory.daemon.extraction.words import Word, is_adverb

__all__ = ["BREAKS", "DETERMINERS", "LINKS", "SUBJECTS", "Group", "Tense", "finite", "read_group"]

Tense = Literal["present", "past", "perfect", "future", "modal", "guess"]

SUBJECTS = wordlist("i we he she it they you there")

LINKS = wordlist(
    "and but so because since although though while whereas if unless when whenever whether until before after as than"
)

BREAKS = wordlist(", ; : — – - ( ) … . !")

DETERMINERS = wordlist("the a an my our your his her its their this that these those no every each some any")

_PREPOSITIONS = wordlist("of in on at for from with to by about over under between near without into per like than as")

_AFTER = wordlist("last next then both all so too each first already once")
"""What stands between a pronoun and its verb, and looks like one: `since we last spoke`."""

_LONGEST = 12
"""Words that a subject may have."""

_FEELINGS = wordlist(
    "tired bored worried excited interested married confused scared annoyed stuck set broken used done finished"
)


def finite(words: Sequence[Word], begin: int) -> int | None:
    """Where the finite verb of the clause stands that begins there; relative clauses of its subject are passed over."""
    relative = 0
    for at in range(begin + 1, min(len(words), begin + _LONGEST + 8)):
        low = words[at].low
        if low in ("that", "which", "who", "where", "whose") and words[at - 1].low not in BREAKS and at > begin:
            relative += 1
        elif _is_finite(words, at, begin):
            if relative and not (words[at - 1].low in ("that", "which", "who") and at - 1 == begin):
                relative -= 1
                continue
            return at
    return None


def _is_finite(words: Sequence[Word], at: int, begin: int) -> bool:
    low, before = words[at].low, words[at - 1].low
    after = words[at + 1].low if at + 1 < len(words) else "."
    if low == "'s":
        return not _owns(words, at)
    if low in BE or low in HAVE or low in MODALS or low in DO:
        return low not in ("be", "been", "being", "having") and before not in ("to", "'s")
    if before in ("that", "this") and _is_form(words[at].low, "s") and words[at].low not in ("likes", "needs", "plans"):
        return True
    if words[at].capital or before in DETERMINERS or before in _PREPOSITIONS or before == "'s":
        return False
    found = any_verb(low)
    if found is None and _guessed(words, at):
        return True
    if before in SUBJECTS or (
        (is_adverb(before) or before in _AFTER) and at - 2 >= begin and words[at - 2].low in SUBJECTS
    ):
        return low not in _AFTER and (
            found is not None
            or (low.isalpha() and not is_adverb(low) and low not in _PREPOSITIONS and low not in LINKS)
        )
    if found is None:
        return False
    form = found[1]
    if form == "s":
        following = any_verb(after)
        if (
            following is not None
            and following[1] == "b"
            and found[0] not in ("help", "let", "make", "do")
            and at > begin
        ):
            return False  # `long queues make`
        return after not in BE and after not in MODALS and after not in HAVE and after != "of"
    if form == "d":
        return after not in BE and after not in HAVE and after not in MODALS
    if form == "b":
        plural = (before.endswith("s") and not before.endswith(("ss", "us", "is"))) or before in (
            "us",
            "them",
            "people",
            "children",
            "kids",
        )
        joined = any(word.low == "and" for word in words[begin:at])
        return (plural or joined) and after not in BE and after not in (".", ",")
    return False


def _is_form(word: str, form: str) -> bool:
    """Whether a word is such a form of a verb."""
    found = any_verb(word)
    return found is not None and found[1] == form


def _guessed(words: Sequence[Word], at: int) -> bool:
    """Whether a word that no table knows is a verb by where it stands: it agrees with the noun before it, and an object or a place follows."""
    low, before = words[at].low, words[at - 1].low
    after = words[at + 1].low if at + 1 < len(words) else "."
    if (
        not (low.isalpha() and before.isalpha())
        or is_adverb(low)
        or low in _PREPOSITIONS
        or low in LINKS
        or len(low) < 4
    ):
        return False
    follows = after in (
        "me",
        "us",
        "them",
        "him",
        "her",
        "it",
        "the",
        "a",
        "an",
        "my",
        "our",
        "every",
        "on",
        "in",
        "at",
        "to",
        "from",
        "with",
        "for",
    )
    third = low.endswith("s") and not low.endswith(("ss", "us", "is"))
    plural = before.endswith("s") and not before.endswith(("ss", "us", "is"))
    return (
        follows
        and third != plural
        and not (third and any_verb(before) is not None)
        and (third or after in ("me", "us"))
    )


def _owns(words: Sequence[Word], at: int) -> bool:
    """Whether an `'s` marks an owner: the finite verb comes later, with nothing but a noun phrase between."""
    for place in range(at + 1, min(len(words), at + 6)):
        low = words[place].low
        if low in DETERMINERS or low in _PREPOSITIONS or low in BREAKS or low == "not" or low in SUBJECTS:
            return False
        if low in BE or low in HAVE or low in MODALS:
            return True
        found = any_verb(low)
        if place == at + 1 and (found is None or found[1] in "ng"):
            if found is not None:
                return False
            continue
        if found is not None and found[1] == "s":
            return True
    return False


class Group(msgspec.Struct):
    """A finite verb with its helpers and adverbs, and where it ends."""

    verb: str = ""
    tense: Tense = "present"
    modal: str = ""
    progressive: bool = False
    passive: bool = False
    denied: bool = False
    adverbs: tuple[str, ...] = ()
    end: int = 0


def read_group(words: Sequence[Word], at: int) -> Group:
    """The verb that begins at `at` with its helpers: tense, aspect, voice, denial."""
    group = Group()
    adverbs: list[str] = []
    place = at
    be = have = False
    while place < len(words):
        low = words[place].low
        after = words[place + 1].low if place + 1 < len(words) else ""
        if low in ("not", "never"):
            group.denied = True
            if low == "never":
                adverbs.append(low)
        elif is_adverb(low) and place != at:
            adverbs.append(low)
        elif low in MODALS:
            group.tense = "future" if low in ("will", "shall") else "modal"
            group.modal = low
        elif low in DO and place + 1 < len(words) and _helped(words, place + 1):
            if low == "did":
                group.tense = "past"
        elif low == "'s" and _participle_next(words, place + 1) and after in ("been", "got", "had"):
            have = True
            group.tense = "perfect"
            if after == "got":
                group.verb, group.tense = "have", "present"
                place += 2
                break
        elif low in BE or low == "'s":
            be = True
            if low in ("was", "were"):
                group.tense = "past"
        elif low in HAVE and _got(words, place + 1):
            group.verb = "have"
            place = _got(words, place + 1)
            break
        elif low in HAVE and _participle_next(words, place + 1):
            have = True
            if group.modal:
                group.tense = "guess"
            elif group.tense == "present":
                group.tense = "perfect" if low != "had" else "past"
        else:
            found = any_verb(low)
            if be and found is not None and found[1] == "g":
                group.progressive = True
                group.verb = found[0]
            elif be and found is not None and found[1] in "nd" and low not in _FEELINGS:
                group.passive = True
                group.verb = found[0]
            elif be:
                group.verb = "be"
                break
            else:
                group.verb = found[0] if found is not None else low
                past = found[1] == "d" if found is not None else low.endswith("ed")
                if past and not have and group.tense == "present":
                    group.tense = "past"
                if low in HAVE:
                    group.verb = "have"
                    if low == "had" and not have:
                        group.tense = "past"
            place += 1
            break
        place += 1
    if not group.verb:
        group.verb = "be" if be else "have" if have else group.verb or (words[at].low if at < len(words) else "")
    group.adverbs, group.end = tuple(adverbs), place
    return group


def _got(words: Sequence[Word], at: int) -> int:
    """Where `have got`, `have only got` ends; 0 where it is none."""
    while at < len(words) and is_adverb(words[at].low):
        at += 1
    return at + 1 if at < len(words) and words[at].low == "got" else 0


def _helped(words: Sequence[Word], at: int) -> bool:
    """Whether `do` helps the verb that follows: `do not like`, `does love`."""
    if words[at].low in ("not", "never"):
        return True
    found = any_verb(words[at].low)
    return found is not None and found[1] == "b"


def _participle_next(words: Sequence[Word], at: int) -> bool:
    while at < len(words) and (is_adverb(words[at].low) or words[at].low in ("not", "never")):
        at += 1
    if at >= len(words):
        return False
    low = words[at].low
    found = any_verb(low)
    return (
        low in ("been", "had", "done", "gone")
        or (found is not None and found[1] in "nd")
        or low in ("put", "read", "set", "cut")
        or (low.endswith("ed") and len(low) > 4)
    )
