"""A LangGraph store on the daemon answers as the store in memory that LangGraph ships, by either face.

Neither LangGraph nor LangChain ships conformance tests for such stores. So their own implementation is the measure: the same
operations, put to both, have the same answers.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytest.importorskip(
    "langgraph.store.base", reason="LEFT OUT: the extra langchain is not installed (scripts/test --adapters)"
)

from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from enhanced_memory.client import Memory
from enhanced_memory.client.adapters.langgraph_store import EnhancedStore
from enhanced_memory.client.errors import Invalid, Refused

LETTERS = "abcdefghijklmnop"


def embed(texts: list[str]) -> list[list[float]]:
    """How often each of some letters stands in a text, and one more so that nothing is zero."""
    return [[float(text.lower().count(letter)) for letter in LETTERS] + [1.0] for text in texts]


INDEX = {"dims": len(LETTERS) + 1, "embed": embed, "fields": ["text", "notes[*].said"]}


class Both:
    """A store asked by one of its faces, beside the one that is the measure."""

    def __init__(self, memory: Memory, face: str, **how: Any) -> None:
        self.loop = asyncio.new_event_loop() if face == "async" else None
        self.store = EnhancedStore(memory, model=f"test {memory.space}", **how)
        self.other = InMemoryStore(index=how.get("index"))

    def mine(self, ops: list[Any]) -> list[Any]:
        return self.loop.run_until_complete(self.store.abatch(ops)) if self.loop else self.store.batch(ops)

    def theirs(self, ops: list[Any]) -> list[Any]:
        return self.other.batch(ops)

    def do(self, *ops: Any) -> list[Any]:
        """The same to both; ours is given back."""
        mine, theirs = self.mine(list(ops)), self.theirs(list(ops))
        for op, ours, other in zip(ops, mine, theirs, strict=True):
            same(op, ours, other)
        return mine

    def close(self) -> None:
        if self.loop:
            self.loop.run_until_complete(self.store.aclose())
            self.loop.close()


def same(op: Any, ours: Any, theirs: Any) -> None:
    if isinstance(op, GetOp):
        assert plain(ours) == plain(theirs)
    elif isinstance(op, SearchOp):
        if op.query is None:
            # Their order is that of their dictionaries; ours says what was changed last first.
            assert sorted(map(str, map(plain, ours))) == sorted(map(str, map(plain, theirs)))
        else:
            assert [one is None for one in scores(ours)] == [one is None for one in scores(theirs)]
            pairs = zip(scores(ours), scores(theirs), strict=True)
            # Vectors are kept in whole numbers of 8 bits.
            assert all(one is None or abs(one - other) < 0.02 for one, other in pairs)
    else:
        assert ours == theirs


def plain(item: Any) -> Any:
    return None if item is None else (item.namespace, item.key, item.value)


def scores(items: list[Any]) -> list[float | None]:
    return [one.score for one in items]


@pytest.fixture(params=["sync", "async"])
def both(memory: Memory, request: pytest.FixtureRequest) -> Iterator[Callable[..., Both]]:
    made: list[Both] = []

    def both(**how: Any) -> Both:
        made.append(Both(memory, request.param, **how))
        return made[-1]

    yield both
    for one in made:
        one.close()


WORDS = ["a bed", "cab dab", "gone fishing", "old jokes", "mild pop", "be", "égal", "知識"]
PLACES = [
    ("users",),
    ("users", "ada"),
    ("users", "ada", "notes"),
    ("users", "bob"),
    ("docs",),
    ("docs", "ada"),
    ("x-y z",),
]


def some_value(dice: random.Random) -> dict[str, Any]:
    return {
        "text": dice.choice(WORDS),
        "n": dice.choice([1, 2, 3.5, None, "1"]),
        "nested": {"colour": dice.choice(["red", "blue"]), "deep": {"on": dice.random() < 0.5}},
        "notes": [{"said": said} for said in dice.sample(["fog", "jab", "一", "kick"], dice.randrange(3))],
    }


def some_filter(dice: random.Random) -> dict[str, Any] | None:
    return dice.choice(
        [
            None,
            {"nested": {"colour": "red"}},
            {"nested": {"colour": "blue", "deep": {"on": True}}},
            {"n": 1},
            {"n": {"$ne": 1}},
            {"text": {"$eq": "a bed"}},
            {"text": "be", "n": None},
            {"missing": "x"},
            {"notes": []},
        ]
    )


def some_op(dice: random.Random, index: bool) -> Any:
    place, key = dice.choice(PLACES), dice.choice(["k1", "k2", "K1", "key with spaces", "ключ"])
    roll = dice.random()
    if roll < 0.45:
        fields: Any = dice.choice([None, None, False, ["nested.colour"]]) if index else None
        return PutOp(place, key, some_value(dice), index=fields)
    if roll < 0.6:
        return PutOp(place, key, None)
    if roll < 0.75:
        return GetOp(place, key)
    if roll < 0.9:
        prefix = place[: dice.randrange(len(place) + 1)]
        if index and dice.random() < 0.5:
            return SearchOp(prefix, some_filter(dice), limit=50, query=dice.choice(["bed", "fish", "jokes"]))
        return SearchOp(prefix, some_filter(dice), limit=50)
    conditions = dice.choice(
        [
            (),
            (MatchCondition("prefix", ("users",)),),
            (MatchCondition("suffix", ("ada",)),),
            (MatchCondition("prefix", ("*", "ada")),),
            (MatchCondition("prefix", ("users",)), MatchCondition("suffix", ("*", "notes"))),
        ]
    )
    return ListNamespacesOp(
        conditions, dice.choice([None, 1, 2]), limit=dice.choice([100, 2]), offset=dice.choice([0, 1])
    )


@pytest.mark.parametrize("index", [False, True], ids=["plain", "embedded"])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_asked_is_answered_as_by_the_store_in_memory(
    both: Callable[..., Both], seed: int, index: bool
) -> None:
    dice = random.Random(seed)
    pair = both(index=INDEX) if index else both()
    for _ in range(40):
        ops = [some_op(dice, index) for _ in range(dice.choice([1, 1, 3, 8]))]
        # What the store in memory does otherwise than the databases: it tells of namespaces that are empty, also of those that
        # were only asked for; it keeps embeddings of what an item said before; and a text may not come twice in a batch.
        if index or any(isinstance(op, ListNamespacesOp) for op in ops):
            batches = [[op] for op in ops]
        else:
            batches = [ops]
        for batch in batches:
            for place in [place for place, items in pair.other._data.items() if not items]:
                pair.other._data.pop(place)
            if index and isinstance(batch[0], PutOp):
                pair.do(PutOp(batch[0].namespace, batch[0].key, None))
            pair.do(*batch)
    everything = pair.do(SearchOp((), limit=1000))[0]
    assert everything


def test_what_is_nearest_comes_first_and_what_was_not_embedded_last(both: Callable[..., Both]) -> None:
    pair = both(index=INDEX)
    for key, text in {"near": "bed bed", "far": "fog", "mid": "bed fog"}.items():
        pair.do(PutOp(("d",), key, {"text": text}))
    pair.do(PutOp(("d",), "dark", {"text": "bed"}, index=False))
    (found,) = pair.do(SearchOp(("d",), query="bed", limit=4))
    assert [one.key for one in found] == ["near", "mid", "far", "dark"]
    assert found[3].score is None
    assert [one.key for one in pair.do(SearchOp(("d",), query="bed", limit=1, offset=1))[0]] == ["mid"]
    pair.do(PutOp(("d",), "near", {"text": "fog"}))
    assert [one.key for one in pair.do(SearchOp(("d",), query="bed", limit=1))[0]] == ["mid"]


def test_of_several_texts_of_an_item_the_nearest_counts(both: Callable[..., Both]) -> None:
    pair = both(index=INDEX)
    pair.do(PutOp(("d",), "one", {"text": "fog", "notes": [{"said": "jokes"}, {"said": "bed"}]}))
    pair.do(PutOp(("d",), "two", {"text": "bed fog"}))
    assert [one.key for one in pair.do(SearchOp(("d",), query="bed"))[0]] == ["one", "two"]


def test_a_search_before_anything_was_embedded_finds_what_is_there(both: Callable[..., Both]) -> None:
    pair = both(index=INDEX)
    pair.do(PutOp(("d",), "k", {"text": "bed"}, index=False))
    (found,) = pair.do(SearchOp(("d",), query="bed"))
    assert [(one.key, one.score) for one in found] == [("k", None)]


def test_without_an_index_the_daemon_s_own_search_answers(both: Callable[..., Both]) -> None:
    pair = both()
    pair.mine(
        [
            PutOp(("d",), "a", {"text": "Ada likes green tea"}),
            PutOp(("d",), "b", {"deep": {"said": ["a kettle boils"]}}),
        ]
    )
    pair.mine([PutOp(("d",), "c", {"text": "a secret kettle"}, index=False)])
    (found,) = pair.mine([SearchOp(("d",), query="kettle")])
    assert [one.key for one in found] == ["b"]
    assert found[0].score > 0


def test_reads_of_a_batch_see_what_was_before_it_and_the_last_put_of_a_key_counts(both: Callable[..., Both]) -> None:
    pair = both()
    before, *_ = pair.do(GetOp(("d",), "k"), PutOp(("d",), "k", {"n": 1}), PutOp(("d",), "k", {"n": 2}))
    assert before is None
    (after,) = pair.do(GetOp(("d",), "k"))
    assert after.value == {"n": 2}


def test_an_item_keeps_when_it_was_made(both: Callable[..., Both]) -> None:
    pair = both()
    pair.mine([PutOp(("d",), "k", {"n": 1})])
    first = pair.mine([GetOp(("d",), "k")])[0]
    pair.mine([PutOp(("d",), "k", {"n": 2})])
    second = pair.mine([GetOp(("d",), "k")])[0]
    assert (second.created_at, second.updated_at > first.updated_at) == (first.created_at, True)
    assert first.created_at.tzinfo is not None


def test_what_an_item_said_before_is_in_its_history(memory: Memory) -> None:
    store = EnhancedStore(memory)
    store.put(("users", "ada"), "likes", {"text": "tea"})
    store.put(("users", "ada"), "likes", {"text": "rum"})
    (item,) = memory.list_entities(types=["store_item"]).entities
    assert [one.properties["value"]["text"] for one in memory.memory_history(item.id).versions] == ["rum", "tea"]


def test_an_item_lasts_its_time_and_reading_prolongs_it(both: Callable[..., Both], memory: Memory) -> None:
    pair = both()

    def until() -> datetime:
        (item,) = memory.list_entities(types=["store_item"]).entities
        assert item.expires_at is not None
        return item.expires_at

    pair.mine([PutOp(("d",), "k", {"n": 1}, ttl=0.05)])
    first = until()
    assert first - datetime.now(UTC) < timedelta(seconds=3)
    deadline = time.monotonic() + 60
    while pair.mine([GetOp(("d",), "k", refresh_ttl=False)])[0] is not None:
        assert time.monotonic() < deadline
    assert pair.mine([SearchOp(("d",)), ListNamespacesOp()]) == [[], []]
    pair.mine([PutOp(("d",), "k", {"n": 1}, ttl=5)])
    first = until()
    memory.update_entity(
        memory.list_entities(types=["store_item"]).entities[0].id, expires_at=first - timedelta(minutes=2)
    )
    assert pair.mine([GetOp(("d",), "k", refresh_ttl=False)])[0] is not None
    assert until() < first
    assert pair.mine([GetOp(("d",), "k")])[0] is not None
    assert until() >= first
    memory.update_entity(
        memory.list_entities(types=["store_item"]).entities[0].id, expires_at=first - timedelta(minutes=2)
    )
    assert pair.mine([SearchOp(("d",))])[0]
    assert until() >= first


def test_a_default_time_is_every_item_s(memory: Memory) -> None:
    store = EnhancedStore(memory, ttl={"default_ttl": 5, "refresh_on_read": False})
    store.put(("d",), "k", {"n": 1})
    store.put(("d",), "forever", {"n": 1}, ttl=None)
    ends = {one.name: one.expires_at for one in memory.list_entities(types=["store_item"]).entities}
    assert ends["forever"] is None
    assert ends["k"] is not None
    assert timedelta(minutes=4) < ends["k"] - datetime.now(UTC) <= timedelta(minutes=5)


def test_a_wrong_dimension_is_a_clear_error(both: Callable[..., Both]) -> None:
    pair = both(index=INDEX)
    pair.do(PutOp(("d",), "k", {"text": "bed"}))
    short = EnhancedStore(pair.store.memory, index={"dims": 3, "embed": lambda texts: [[1.0, 2.0] for _ in texts]})
    with pytest.raises(Invalid, match="2 numbers"):
        short.put(("d",), "x", {"text": "bed"})
    other = EnhancedStore(
        pair.store.memory, model=pair.store.model, index={"dims": 2, "embed": lambda texts: [[1.0, 2.0] for _ in texts]}
    )
    with pytest.raises(Invalid, match="have 17 numbers"):
        other.put(("d",), "x", {"text": "bed"})
    with pytest.raises(Invalid, match="have 17 numbers"):
        other.search(("d",), query="bed")
    assert pair.mine([GetOp(("d",), "x")]) == [None]


WRONG: dict[str, tuple[Any, type[Exception]]] = {
    "a label with a period": (PutOp(("a.b",), "k", {}), InvalidNamespaceError),
    "an empty label": (GetOp(("",), "k"), InvalidNamespaceError),
    "a label of a megabyte": (PutOp(("x" * 1_000_000,), "k", {}), Refused),
    "a key of a megabyte": (PutOp(("d",), "k" * 1_000_000, {}), Refused),
    "a blank key": (PutOp(("d",), " ", {}), Refused),
    "what is not JSON": (PutOp(("d",), "k", {"n": float("nan")}), Refused),
    "an operator nobody knows": (SearchOp(("d",), {"n": {"$near": 1}}), ValueError),
    "what is no operation": ("put", ValueError),
}


@pytest.mark.parametrize(("op", "error"), WRONG.values(), ids=list(WRONG))
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    both: Callable[..., Both], op: Any, error: type[Exception]
) -> None:
    pair = both()
    pair.mine([PutOp(("d",), "there", {"n": 1})])
    with pytest.raises(error):
        pair.mine([op])
    assert [one.key for one in pair.mine([SearchOp(())])[0]] == ["there"]


async def test_an_agent_of_langgraph_remembers_across_threads(memory: Memory) -> None:
    """The store as a compiled graph uses it."""
    graph = pytest.importorskip(
        "langgraph.graph", reason="LEFT OUT: the package langgraph is not installed (scripts/test --adapters)"
    )

    from langgraph.runtime import Runtime

    async def remember(state: Any, runtime: Runtime) -> Any:
        store = runtime.store
        await store.aput(("users", state["user"]), "said", {"text": state["said"]})
        found = await store.asearch(("users", state["user"]), query=state["said"])
        return {"heard": [one.value["text"] for one in found]}

    state: Any = dict[str, Any]
    built = graph.StateGraph(state)
    built.add_node("remember", remember)
    built.add_edge(graph.START, "remember")
    built.add_edge("remember", graph.END)
    store = EnhancedStore(memory)
    answer = await built.compile(store=store).ainvoke({"user": "ada", "said": "green tea"})
    await store.aclose()
    assert answer["heard"] == ["green tea"]
    assert EnhancedStore(memory).get(("users", "ada"), "said").value == {"text": "green tea"}
