"""Passages: the searchable text of entities, observations and messages, and the words index over it."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.views import View

__all__ = ["Candidate", "Words", "indexable", "match_all", "match_any", "terms", "word_row"]

_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+")
"""Scripts written without spaces: a run of them is indexed as its overlapping pairs, so that two-character words are found."""

_TERM = re.compile(r"[^\s\0\"'’“”„«»,;:!?()\[\]{}<>|=+*^~`]+")

STOP_WORDS = frozenset(
    """
    a about above after again against all am an and any are aren't as at be because been before being below
    between both but by can can't could couldn't did didn't do does doesn't doing don't down during each few
    for from further had hadn't has hasn't have haven't having he her here hers herself him himself his how i
    i'm if in into is isn't it it's its itself just let's me more most my myself no nor not now of off on once
    only or other our ours out over own same she should so some such than that that's the their theirs them
    then there there's these they this those through to too under until up very was wasn't we were weren't what
    what's when where which while who whom why will with won't would wouldn't you your yours yourself t s m d
    ll re ve
    """.split()  # noqa: SIM905 - a list of words reads better as words
)
"""English words, and what an apostrophe leaves of some, that say nothing of what is sought.

FTS5 reads a term's whole list: an OR with these costs half a second at a million rows.
"""

MAX_TERMS = 64

OF_ENTITIES = "bm25(2.0, 1.0, 0.0, 0.0)"
OF_MESSAGES = "bm25(1.0, 1.0, 0.3, 0.5)"
"""What a word weighs in the columns name, body, near and dates (measured on conversations: docs/decisions/0021-ranking.md)."""
MAX_CANDIDATES = 200_000


class Candidate(msgspec.Struct):
    """A passage that matched: whose it is and how well. A higher score is better."""

    passage: int
    score: float
    space: int
    entity: int
    part: int
    message: int
    began: int
    ended: int


class Words:
    """Writes passages and finds them again."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def add(
        self, entity: int, texts: Iterable[tuple[int, str, str]], message: int = 0, near: str = "", dates: str = ""
    ) -> None:
        """Index the texts of an entity (or of a message in its stream), each `(part, name, body)`."""
        ground = self._ground
        counters, number, space = ground.counters, ground.number, ground.space
        passages: list[dict[str, Any]] = []
        words: list[dict[str, Any]] = []
        for part, name, body in texts:
            counters.passage += 1
            passages.append(
                {
                    "id": counters.passage,
                    "space": space,
                    "entity": entity,
                    "part": part,
                    "message": message,
                    "began": number,
                }
            )
            words.append(word_row(counters.passage, name, body, near, dates))
        ground.rows.many("add_passage", passages)
        ground.rows.many("add_words", words)

    def end(self, entity: int, texts: dict[int, tuple[str, str]] | None) -> None:
        """End the passages of an entity in this space: those of the parts in `texts`, which go on in the index of the past."""
        if not texts:
            return
        ground = self._ground
        number = ground.number
        found = [
            row for row in ground.rows.all("entity_passages", space=ground.space, entity=entity) if row[1] in texts
        ]
        ids = [{"id": row[0], "ended": number} for row in found]
        ground.rows.many("drop_words", ids)
        ground.rows.many("end_passage", ids)
        ground.rows.many("add_words_past", [word_row(row[0], *texts[row[1]]) for row in found if row[2] < number])
        ground.ended += [row[0] for row in found]

    def again(self, passage: int, name: str, body: str, near: str, dates: str) -> None:
        """Index a living passage anew, now that something follows it."""
        self._ground.rows.many("drop_words", [{"id": passage}])
        self._ground.rows.many("add_words", [word_row(passage, name, body, near, dates)])

    def scour(self) -> None:
        """Leave nothing in the index of the words that were dropped from it. A few seconds at a million passages: for purges alone."""
        self._ground.rows.run("scour_words")
        self._ground.rows.run("scour_words_past")

    def matching(
        self, match: str, limit: int, view: View, messages: bool, stream: int = 0
    ) -> tuple[list[Candidate], bool]:
        """The passages that match best and are seen in `view`, best first, and whether there may be more.

        The index holds every space: what the view does not see is taken out, and the index asked for more until `limit` is
        met or nothing is left. A view of the past also asks the index of what has ended.
        """
        if not match or not view.layers:
            return [], False
        rows_of = self._ground.rows.all
        weights = OF_MESSAGES if messages else OF_ENTITIES
        asked = max(limit * 2, 100)
        while True:
            rows = rows_of("words_match", match=match, limit=asked, weights=weights)
            exhausted = len(rows) < asked
            if not view.now:
                past = rows_of("words_past_match", match=match, limit=asked, weights=weights)
                exhausted = exhausted and len(past) < asked
                rows = sorted(rows + past, key=lambda row: -row[1])
            wanted = [Candidate(*row) for row in rows if bool(row[5]) is messages and (not stream or row[3] == stream)]
            found = self.seen(wanted, view)
            if len(found) >= limit or exhausted or asked >= MAX_CANDIDATES:
                return found[:limit], len(found) > limit or not exhausted
            asked *= 8

    def seen(self, found: list[Candidate], view: View) -> list[Candidate]:
        """Those of `found` that the view sees: begun and not ended in one of its layers, and not hidden by a nearer one."""
        depth_of = {layer.space: depth for depth, layer in view}
        inside: list[tuple[int, Candidate]] = []
        for one in found:
            depth = depth_of.get(one.space)
            if depth is not None:
                at = view.layers[depth].at
                if one.began <= at and (not one.ended or one.ended > at):
                    inside.append((depth, one))
        hidden: set[tuple[int, int]] = set()
        for upper, layer in view:
            lower = {one.entity for depth, one in inside if depth > upper and not one.message}
            if lower:
                ids = msgspec.json.encode(sorted(lower)).decode()
                shadows = {row[0] for row in self._ground.rows.all("known_in", space=layer.space, ids=ids, at=layer.at)}
                hidden |= {(depth, one.entity) for depth, one in inside if depth > upper and one.entity in shadows}
        return [one for depth, one in inside if one.message or (depth, one.entity) not in hidden]


def word_row(passage: int, name: str, body: str, near: str = "", dates: str = "") -> dict[str, Any]:
    """A passage's words as the index takes them."""
    return {"id": passage, "name": indexable(name), "body": indexable(body), "near": indexable(near), "dates": dates}


def indexable(text: str) -> str:
    """`text` as the index takes it: runs of Chinese, Japanese and Korean characters as overlapping pairs."""
    if text.isascii():
        return text
    return _CJK.sub(lambda run: " " + " ".join(_pairs(run.group())) + " ", text)


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(max(1, len(run) - 1))]


def terms(query: str) -> list[str]:
    """What a query asks for: its words without stop words (all of them, if it has no others), once each."""
    found = [term.strip(".-_/\\&%$#@") for term in _TERM.findall(query)]
    found = [term for term in dict.fromkeys(found) if any(char.isalnum() for char in term)]
    telling = [term for term in found if term.lower() not in STOP_WORDS]
    return (telling or found)[:MAX_TERMS]


def match_any(query: str) -> str:
    """A query of the words index for passages with any of the words of `query`; empty where it has none.

    Every term is quoted, so nothing that a user types is an operator.
    """
    return " OR ".join(_quoted(term) for term in terms(query))


def match_all(query: str) -> str:
    """The same for passages with all of them."""
    return " AND ".join(_quoted(term) for term in terms(query))


def _quoted(term: str) -> str:
    parts = indexable(term).split()
    quoted = ['"' + part.replace('"', '""') + '"' for part in parts]
    if len(quoted) == 1:
        return quoted[0] + ("*" if len(parts[0]) == 1 and _CJK.fullmatch(parts[0]) else "")
    return "(" + " AND ".join(quoted) + ")"
