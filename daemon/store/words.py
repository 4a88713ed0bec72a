"""Passages: the searchable text of entities, observations and messages, and the words index over it."""

from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any, Literal

import msgspec

from enhanced_memory.daemon.store.bm25 import BESIDE, K1, LONGEST_BESIDE, OF_ENTITIES, OF_MESSAGES, B
from enhanced_memory.daemon.store.ground import NOTHING_BEGUN, Ground
from enhanced_memory.daemon.store.plan import PLAIN, Step, steps
from enhanced_memory.daemon.store.terms import all_plain, expressions, indexable, match_all
from enhanced_memory.daemon.store.views import View

__all__ = [
    "MAX_CANDIDATES",
    "Candidate",
    "Words",
    "word_row",
]

MAX_CANDIDATES = 200_000
"""Passages that are looked at for one search at the most, however many it leaves out."""

PROBED = 250
"""Passages of a word that are looked at from each end of the index to tell how common it is."""


class Candidate(msgspec.Struct, array_like=True):
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
        self, entity: int, texts: Iterable[tuple[int, str, str]], message: int = 0, dates: str = ""
    ) -> dict[int, int]:
        """Index the texts of an entity (or of a message in its stream), each `(part, name, body)`; the passages made, by part."""
        ground = self._ground
        counters, number, space = ground.counters, ground.number, ground.space
        passages: list[dict[str, Any]] = []
        words: list[dict[str, Any]] = []
        texts = list(texts)
        plain = all_plain(chain.from_iterable((name, body) for _, name, body in texts))
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
            words.append(word_row(counters.passage, entity, name, body, dates, plain=plain))
        ground.rows.many("add_passage", passages)
        ground.rows.many("add_words", words)
        ground.begun = NOTHING_BEGUN
        return {passage["part"]: passage["id"] for passage in passages}

    def change(self, entity: int, before: dict[int, tuple[str, str]], after: dict[int, tuple[str, str]]) -> None:
        """End the passages of what an entity no longer says, and begin those of what is new.

        What shares a vector with an ended passage begins anew: the vector speaks of what is gone.
        """
        ground = self._ground
        gone = {part for part, text in before.items() if after.get(part) != text}
        fresh = {part for part, text in after.items() if before.get(part) != text}
        if gone:
            rows = ground.rows.all("entity_passages", space=ground.space, entity=entity)
            renewed = self._beside(rows, gone) & after.keys()
            old = {part: passage for passage, part, _ in rows}
            self._end(entity, [row for row in rows if row[1] in gone | renewed], before)
            fresh |= renewed
        else:
            old = {}
        first = ground.counters.passage + 1
        parts = sorted(fresh)
        self.add(entity, [(part, *after[part]) for part in parts])
        # What a caller said that these mean stays said: of renewed observations, and of the entity as a whole.
        ground.rows.many(
            "copy_own_vectors",
            [
                {"from": old[part], "to": passage}
                for passage, part in enumerate(parts, first)
                if part in old and (not part or before.get(part) == after[part])
            ],
        )
        ground.given += [passage for passage, part in enumerate(parts, first) if part in old]

    def _beside(self, rows: list[tuple[Any, ...]], gone: set[int]) -> set[int]:
        """The parts that share a vector with one of `gone`. Each of `rows` is `(passage, part, began)`."""
        leading = {
            row[0] for row in self._ground.rows.all("leads", ids=msgspec.json.encode([row[0] for row in rows]).decode())
        }
        sharing: dict[int, set[int]] = {}
        lead = since = 0
        for passage, part, began in sorted(rows):
            if passage in leading:
                lead, since = passage, began
            elif began != since:
                lead = 0  # what has no vector yet shares none
            if lead:
                sharing.setdefault(lead, set()).add(part)
        return set[int]().union(*(parts for parts in sharing.values() if parts & gone)) - gone

    def _end(self, entity: int, found: list[tuple[Any, ...]], texts: dict[int, tuple[str, str]]) -> None:
        """End passages of an entity, each `(passage, part, began)`; they go on in the index of the past."""
        ground = self._ground
        number = ground.number
        ground.begun = NOTHING_BEGUN
        ids = [{"id": row[0], "ended": number} for row in found]
        ground.rows.many("drop_words", ids)
        ground.rows.many("end_passage", ids)
        ground.rows.many(
            "add_words_past", [word_row(row[0], entity, *texts[row[1]]) for row in found if row[2] < number]
        )
        ground.ended += [row[0] for row in found]

    def scour(self) -> None:
        """Leave nothing in the index of the words that were dropped from it. A few seconds at a million passages: for purges alone."""
        self._ground.rows.run("scour_words")
        self._ground.rows.run("scour_words_past")

    def matching(
        self, query: str, limit: int, view: View, messages: bool, stream: int = 0, *also: str, enough: int = 0,
        whole: bool = False, beside: bool = True, among: Collection[int] = (), **values: Any,
    ) -> tuple[list[Candidate], bool]:  # fmt: skip
        """The passages that answer `query` best and are seen in `view`, best first, and whether there may be more.

        `also` names conditions that they, or whose they are, must meet, with their `values`: they are judged before the cut
        in a view of the present; in one of the past they are left to the caller. Once `enough` are found (`limit`, unless
        given) nothing weaker is looked for; `whole` asks for any of the words at once, however many passages hold one.
        What is said just `beside` a message counts too, less than what it says itself; without, only what has a word is found.
        `among` are the entities that can meet the conditions in a view of the present, where the caller knows that they are few.
        """
        asked = expressions(query)
        if not asked or not view.layers:
            return [], False
        if beside or not messages:
            kept = self._kept(asked, limit, view, messages, frozenset([stream] if stream else among), *also, **values)
            if kept is not None:
                return kept
        found: dict[int, Candidate] = {}
        more = False
        plan = [Step(" OR ".join(asked))] if whole else self._plan(asked, view)
        for place, step in enumerate(plan, 1):
            if view.now:
                fresh, cut = self._matching_now(step, limit, view, messages, stream, *also, **values)
            else:
                fresh, cut = self._matching_then(step, limit, view, messages, stream)
            for one in fresh:
                if one.passage not in found or found[one.passage].score < one.score:
                    found[one.passage] = one
            more = more or cut or bool(step.floor)
            if len(found) >= (enough or limit):
                more = more or place < len(plan)
                break
        if messages and beside and view.now:
            self._gain(found, limit, view, *also, **values)
        best = sorted(found.values(), key=lambda one: (-one.score, one.passage))
        return best[:limit], more or len(best) > limit

    def _gain(self, found: dict[int, Candidate], limit: int, view: View, *also: str, **values: Any) -> None:
        """Let messages gain by what was said just before and after, and find those that gain alone.

        A message is then as long as it and what is beside it, which keeps BM25 from liking short ones too much.
        """
        near_top = sorted(found.values(), key=lambda one: (-one.score, one.passage))[:limit]
        row = self._ground.rows.one("messages_beside", *also, ids=_json(one.message for one in near_top), **values)
        told = msgspec.json.decode(row[0], type=list[tuple[Candidate, int, int, int]]) if row else []
        fresh = {one.passage: one for one, *_ in told if one.passage not in found}
        found |= {one.passage: one for one in self.seen(list(fresh.values()), view)}
        own = {message: length for _, _, message, length in told}
        whole = dict(own)
        for _, length, message, _ in told:
            if own[message] <= LONGEST_BESIDE:
                whole[message] += length
        if told:
            average, average_whole = (max(1.0, sum(each.values()) / len(each)) for each in (own, whole))
            for one in near_top:
                if one.message in own:
                    one.score *= _damped(own[one.message] / average) / _damped(whole[one.message] / average_whole)
        scores = {one.message: one.score for one in near_top}
        for one, length, beside, _ in told:
            if one.passage in found and length <= LONGEST_BESIDE:
                found[one.passage].score += BESIDE * scores[beside]

    def _kept(
        self,
        asked: list[str],
        limit: int,
        view: View,
        messages: bool,
        owners: frozenset[int],
        *also: str,
        **values: Any,
    ) -> tuple[list[Candidate], bool] | None:
        """The same from the postings in memory: any of the words, exactly. None where the index on disk is to be asked."""
        posted = self._ground.rows.posted
        if posted is None:
            return None
        ceiling = None
        if not view.now:
            row = self._ground.rows.one("passage_span")
            ceiling = self._newest(view, row[0], row[1]) if row else 0
        spaces = {layer.space for _, layer in view}
        wanted = limit if view.now and not also and len(view.layers) == 1 else limit * 2
        while True:
            best = posted.best(asked, wanted, spaces, messages, owners, ceiling)
            if best is None:
                return None
            ids, scores, more = best
            # In a view of the past conditions are left to the caller: rows say what holds now.
            rows = self._candidates(
                dict(zip(ids, scores, strict=True)), messages, *(also if view.now else ()), **values
            )
            found = self.seen([one for one in rows if not owners or one.entity in owners], view)
            if len(found) >= limit or not more or wanted >= MAX_CANDIDATES:
                break
            wanted *= 8
        if not view.now:
            then, cut = self._ended(asked, limit, view, messages, next(iter(owners), 0))
            found, more = found + then, more or cut
        found.sort(key=lambda one: (-one.score, one.passage))
        return found[:limit], more or len(found) > limit

    def _candidates(self, scores: dict[int, float], messages: bool, *also: str, **values: Any) -> list[Candidate]:
        """The rows of passages that meet conditions, with their scores."""
        name = "matched" if not also else "matched_messages" if messages else "matched_entities"
        row = self._ground.rows.one(name, *also, ids=_json(scores), messages=messages, **values)
        found = msgspec.json.decode(row[0], type=list[Candidate]) if row else []
        for one in found:
            one.score = scores[one.passage]
        return found

    def _ended(
        self, asked: list[str], limit: int, view: View, messages: bool, stream: int
    ) -> tuple[list[Candidate], bool]:
        """What has ended since and was there then, by the index of the past."""
        wanted = max(limit * 2, 100)
        while True:
            then = self._rows("words_past_match", Step(" OR ".join(asked)), wanted, view, messages, stream)
            found = self.seen(then, view)
            if len(found) >= limit or len(then) < wanted or wanted >= MAX_CANDIDATES:
                return found, len(then) == wanted
            wanted *= 8

    def _plan(self, asked: list[str], view: View) -> list[Step]:
        """How to put a query to the index: as it is, while that is small."""
        row = self._ground.rows.one("passage_span")
        first, last = (row[0], row[1]) if row else (0, 0)
        total = last - first + 1
        if total <= PLAIN:
            return [Step(" OR ".join(asked))]
        counts: dict[str, int] = {}
        told = self._ground.rows.one("term_spans", terms=_json(asked), limit=PROBED)
        spans = msgspec.json.decode(told[0], type=list[tuple[str, tuple[int, int], int]]) if told else []
        for one, (count, upto), downto in spans:
            # As dense as the passages looked at, from both ends, say it is in between.
            looked_at = (upto - first + 1) + (last - downto + 1)
            counts[one] = count if count < PROBED else max(count, min(total, 2 * PROBED * total // max(1, looked_at)))
        return steps(counts, total, last if view.now else self._newest(view, first, last))

    def _newest(self, view: View, first: int, last: int) -> int:
        """About the newest passage that a view of the past sees: passages are numbered as they are written."""
        at = max(layer.at for layer in view.layers)
        while first < last:
            middle = (first + last + 1) // 2
            row = self._ground.rows.one("passage_from", id=middle)
            first, last = (middle, last) if row is not None and row[0] <= at else (first, middle - 1)
        return last

    def _matching_now(
        self, step: Step, limit: int, view: View, messages: bool, stream: int, *also: str, **values: Any
    ) -> tuple[list[Candidate], bool]:
        """What one expression finds; more is asked for while what the view does not see takes the places of what it does."""
        name = "words_match" if not also else "words_match_messages" if messages else "words_match_entities"
        wanted = limit if len(view.layers) == 1 else limit * 2
        while True:
            rows = self._rows(name, step, wanted, view, messages, stream, *also, **values)
            found = self.seen(rows, view)
            if len(found) >= limit or len(rows) < wanted or wanted >= MAX_CANDIDATES:
                return found[:limit], len(rows) == wanted
            wanted *= 8

    def _matching_then(
        self, step: Step, limit: int, view: View, messages: bool, stream: int
    ) -> tuple[list[Candidate], bool]:
        """The same in a view of the past, which also asks the index of what has ended."""
        wanted = max(limit * 2, 100)
        while True:
            now = self._rows("words_match", step, wanted, view, messages, stream)
            then = self._rows("words_past_match", step, wanted, view, messages, stream)
            found = self.seen(sorted(now + then, key=lambda one: (-one.score, one.passage)), view)
            cut = len(now) == wanted or len(then) == wanted
            if len(found) >= limit or not cut or wanted >= MAX_CANDIDATES:
                return found[:limit], len(found) > limit or cut
            wanted *= 8

    def _rows(
        self, name: str, step: Step, limit: int, view: View, messages: bool, stream: int, *also: str, **values: Any
    ) -> list[Candidate]:
        row = self._ground.rows.one(
            name, *also, match=step.match, floor=step.floor, ceiling=step.ceiling, limit=limit, **(OF_MESSAGES if messages else OF_ENTITIES).ranks(),
            spaces=_json(layer.space for _, layer in view), messages=messages, stream=stream, **values,
        )  # fmt: skip
        return msgspec.json.decode(row[0], type=list[Candidate]) if row else []

    def holding_all(self, text: str, column: Literal["name", "body"], limit: int, view: View) -> list[Candidate]:
        """The passages of entities that hold every word of `text`, stop words aside, in one column; best first."""
        match = match_all(text)
        if not match or not view.layers:
            return []
        step = Step(f"{column} : ({match})")
        look = self._matching_now if view.now else self._matching_then
        return look(step, limit, view, False, 0)[0]

    def messages_by_stream(self, query: str, view: View, stream: int, *also: str, **values: Any) -> dict[int, int]:
        """How many messages of each stream, in a view of the present, hold any word of `query` and meet the conditions."""
        asked = expressions(query)
        if not asked or not view.layers:
            return {}
        rows = self._ground.rows.all(
            "count_words_messages", *also, match=" OR ".join(asked), spaces=_json(layer.space for _, layer in view),
            stream=stream, **values,
        )  # fmt: skip
        return {row[0]: row[1] for row in rows}

    def entities_with(self, query: str, view: View) -> set[int]:
        """Every entity of which the view sees a passage with any word of `query`."""
        asked = expressions(query)
        if not asked or not view.layers:
            return set()
        step = Step(" OR ".join(asked))
        names = ["words_every"] if view.now else ["words_every", "words_past_every"]
        rows = [one for name in names for one in self._rows(name, step, -1, view, False, 0)]
        return {one.entity for one in self.seen(rows, view)}

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


def _damped(length: float) -> float:
    """What BM25 divides a word's worth by in a passage so much longer than others."""
    return 1 + K1 * (1 - B + B * length)


def word_row(
    passage: int, entity: int, name: str, body: str, dates: str = "", *, plain: bool = False
) -> dict[str, Any]:
    """The words of a passage of an entity, or of a message in its stream, as the index takes them; it takes `plain` ones as they are."""
    if not plain:
        name, body = indexable(name), indexable(body)
    return {"id": passage, "entity": entity, "name": name, "body": body, "dates": dates}


def _json(values: Iterable[Any]) -> str:
    return msgspec.json.encode(list(values)).decode()
