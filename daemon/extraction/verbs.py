"""The verb of an English clause with its helpers and adverbs: will, must, never, no longer, has been."""

from collections.abc import Sequence

import msgspec

from enhanced_memory.daemon.extraction.english_words import (
    ADVERBS,
    BE,
    DO,
    HAVE,
    MODALS,
    NOT_NAMES,
    verb_of,
)
from enhanced_memory.daemon.extraction.phrases import Kind
from enhanced_memory.daemon.extraction.wordlists import wordlist
from enhanced_memory.daemon.extraction.words import Word, is_adverb, next_word

__all__ = ["Group", "read_group"]


class Group(msgspec.Struct):
    """A verb, and what stands before it."""

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
    "mean": "plan",
    "expect": "plan",
}


_STRESSED = wordlist("like love need want have prefer enjoy use know think hope hate believe own live work care mind")
"""Verbs that `do` may stress: `I do like tea`. In `we do code reviews` it is the verb."""


def _denied_next(words: Sequence[Word], at: int) -> bool:
    return at < len(words) and words[at].low in ("not", "never")


def read_group(words: Sequence[Word], at: int, subject: Kind) -> Group | None:
    """The verb with its helpers and adverbs; None where there is none."""
    group = Group([], [])
    have = be = False
    start = at
    while at < len(words):
        low = words[at].low
        following = next_word(words, at + 1)
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
        elif is_adverb(low) and not (low in ("like", "sort", "still") and found):
            group.adverbs.append(low)
        elif low in MODALS:
            group.helpers.append(low)
        elif low in ("rather", "sooner") and "would" in group.helpers:
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
                group.denied = group.denied or _denied_next(words, at + 1)
                at = following + 2
                continue
            if after in ("allowed", "permitted") and following + 1 < len(words) and words[following + 1].low == "to":
                group.helpers.append("may")
                group.denied = group.denied or _denied_next(words, at + 1)
                at = following + 2
                continue
            guessed = nxt is None and (
                (subject in ("I", "we", "he", "name") and _gerund(after))
                or (
                    bool({"must", "shall", "should", "will", "can", "may"} & set(group.helpers))
                    and _participle(after)
                    and after not in _FELT
                )
            )
            if not (guessed or (nxt and nxt[1] in "ng") or (nxt and nxt[1] == "d")) and after not in BE:
                group.verb, group.form = "be", BE[low]
        elif low in HAVE and not group.verb:
            nxt = verb_of(after)
            if after == "to" and following + 1 < len(words):
                group.helpers.append("must")
                at = following + 1
                continue
            if HAVE[low] == "g" and be:
                group.helpers.append("progressive")
            if after == "got" and following + 1 < len(words) and words[following + 1].low != "to":
                group.verb, group.form = "have", HAVE[low]
                at = following
            elif (
                (nxt and nxt[1] in "nd" and after not in ("read", "set"))
                or after in ("been", "had", "done")
                or (nxt is None and subject in ("I", "we", "he", "name", "my", "our") and _participle(after))
            ):
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
            and at == next_word(words, start)
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


_NO_GERUNDS = wordlist(
    "nothing anything something everything evening morning during interesting boring amazing exciting willing charming annoying "
    "disappointing surprising confusing sibling darling offspring outgoing overwhelming unwilling upcoming freezing starving"
)


def _gerund(word: str) -> bool:
    """Whether a word that no known verb has is built like a gerund: `we are pairing`."""
    return len(word) > 5 and word.endswith("ing") and word not in _NO_GERUNDS


def _participle(word: str) -> bool:
    """Whether a word that no known verb has is built like a participle: `I have guarded`."""
    return len(word) > 5 and word.endswith("ed") and word not in _NO_PARTICIPLES


_FELT = wordlist(
    "excited thrilled pleased delighted disappointed surprised confused worried scared annoyed amazed bored relaxed interested married ashamed"
)
"""Participles of what somebody feels."""

_NO_PARTICIPLES = wordlist(
    "hundred sacred wicked naked ragged rugged limited mixed unlimited advanced blessed beloved talented gifted"
)


def _guessed(word: str) -> tuple[str, str]:
    if word.endswith("ing") and len(word) > 5:
        return word[:-3], "g"
    if word.endswith("ed") and len(word) > 4:
        return word[:-2], "d"
    if word.endswith("s") and len(word) > 3 and not word.endswith("ss"):
        return word[:-1], "s"
    return word, "b"


def _to_verb(words: Sequence[Word], at: int) -> bool:
    """Whether `to` and a verb's base stand at `at`."""
    if at + 1 >= len(words) or words[at].low != "to":
        return False
    at = next_word(words, at + 1)
    low = words[at].low if at < len(words) else ""
    found = verb_of(low)
    if low in ("be", "have", "do"):
        return True
    return (found is not None and found[1] == "b") or (
        low.isalpha() and not words[at].capital and low not in NOT_NAMES and low not in ("work", "school", "bed")
    )
