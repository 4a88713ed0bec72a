"""Meaning as the daemon serves it: vectors follow writes, survive kills, and are the caller's own where the caller brings them."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from enhanced_memory.client import AsyncMemory, Memory
from enhanced_memory.client.errors import Conflict, Error, Invalid, NotFound
from enhanced_memory.client.operations.service import Reindexing, Status
from enhanced_memory.client.settings import PREFIX
from enhanced_memory.client.values import EntityInput, Filter, MessageInput, ObservationInput
from enhanced_memory.daemon.store.sqlite.comparing import PREVENT

from ..conftest import end_daemon, rows_of
from ..databases import url_of

PEOPLE = {
    "Alice": "repairs bicycles in a small workshop",
    "Bob": "cooks dinner for his whole family",
    "Carol": "studies the stars with a telescope",
}


def eventually(memory: Memory, holds: Callable[[Status], bool], wait_s: float = 30) -> Status:
    """Wait until the status says so."""
    end = time.monotonic() + wait_s
    while not holds(status := memory.get_memory_status()):
        assert time.monotonic() < end, status
        time.sleep(0.01)
    return status


def caught_up(memory: Memory, vectors: int) -> Status:
    return eventually(
        memory, lambda status: (told := status.meaning) is not None and told.vectors == vectors and not told.backlog
    )


def remember(memory: Memory) -> None:
    memory.create_entities([EntityInput(name, "person", [said]) for name, said in PEOPLE.items()])


def names(memory: Memory, query: str, **more: Any) -> list[str]:
    return [hit.entity.name for hit in memory.search_nodes(query, **more).hits]


def change(home: Path, sql: str) -> None:
    """Do something to the store behind the daemon's back."""
    rows_of(home / "memory.db", sql)


def rows(home: Path, sql: str) -> list[Any]:
    return rows_of(home / "memory.db", sql)


def of_passage(home: Path) -> str:
    """The passage of a row `v` of the vectors, as the engine of this home keeps it."""
    return "v.key >> 6" if url_of(home / "memory.db") is None else "v.passage"


def tables(home: Path) -> str:
    """Where the engine of this home lists its tables by `name`."""
    if url_of(home / "memory.db") is None:
        return "sqlite_schema"
    return "(SELECT relname::text AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace) s"


def test_what_is_near_in_meaning_is_found_without_a_common_word(memory: Memory) -> None:
    remember(memory)
    status = caught_up(memory, 3)
    assert status.meaning is not None
    assert (status.meaning.state, status.meaning.dimension, status.meaning.arm) == ("ready", 144, "exact (NumPy)")
    assert names(memory, "fixing a bike")[0] == "Alice"
    assert names(memory, "astronomy and galaxies")[0] == "Carol"


def test_a_write_is_found_by_words_at_once_and_the_backlog_is_told(memory: Memory) -> None:
    memory.create_entities(
        [EntityInput(f"thing {number}", "thing", [f"word{number} stands here"]) for number in range(500)]
    )
    status = memory.get_memory_status()
    assert names(memory, "word499") == ["thing 499"]
    told = status.meaning
    assert told is not None
    assert told.backlog > 0
    assert told.lag_s > 0
    caught_up(memory, 500)
    told = memory.get_memory_status().meaning
    assert told is not None
    assert (told.backlog, told.lag_s) == (0, 0.0)


def test_vectors_follow_changes_deletions_and_purges(memory: Memory, home: Path) -> None:
    remember(memory)
    caught_up(memory, 3)
    memory.delete_entities(["Alice"])
    memory.purge_entities(["Bob"], confirm=True)
    caught_up(memory, 1)
    assert names(memory, "fixing a bike")[:1] != ["Alice"]
    memory.restore_entities(["Alice"])
    caught_up(memory, 2)
    assert names(memory, "fixing a bike")[0] == "Alice"
    memory.delete_observations([{"entity": "Alice", "observations": [PEOPLE["Alice"]]}])
    memory.add_observations([{"entity": "Alice", "contents": ["bakes bread"]}])
    eventually(memory, lambda _: names(memory, "pastry and dough")[:1] == ["Alice"])
    assert rows(
        home,
        f"SELECT count(*) FROM vectors v WHERE NOT EXISTS (SELECT 1 FROM passages p WHERE p.id = {of_passage(home)})",
    ) == [(0,)]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_queue_survives_the_daemon(memory: Memory, home: Path, end: signal.Signals) -> None:
    memory.create_entities([EntityInput(f"thing {number}", "thing", [f"text {number}"]) for number in range(2000)])
    kill(memory, home, end)
    with Memory() as again:
        caught_up(again, 2000)


def kill(memory: Memory, home: Path, number: signal.Signals = signal.SIGKILL) -> None:
    memory.close()
    end_daemon(home / "memory.db", number)


def test_a_vector_table_emptied_by_hand_is_filled_again_by_the_next_daemon(memory: Memory, home: Path) -> None:
    remember(memory)
    memory.append_messages("chat", [MessageInput("hello there")])
    caught_up(memory, 5)
    kill(memory, home, signal.SIGTERM)
    change(home, "DELETE FROM vectors")
    with Memory() as again:
        assert names(again, "bicycles") == ["Alice"]
        caught_up(again, 5)
        eventually(again, lambda _: rows(home, "SELECT count(*) FROM vectors") == [(5,)])
        assert names(again, "fixing a bike")[0] == "Alice"


def test_models_emptied_by_hand_too_are_made_again(memory: Memory, home: Path) -> None:
    remember(memory)
    caught_up(memory, 3)
    kill(memory, home, signal.SIGTERM)
    change(home, "DELETE FROM vectors; DELETE FROM models")
    with Memory() as again:
        caught_up(again, 3)


def test_a_table_emptied_under_a_running_daemon_is_filled_by_reindex(memory: Memory, home: Path) -> None:
    remember(memory)
    caught_up(memory, 3)
    change(home, "DELETE FROM vectors")
    assert names(memory, "bicycles")[0] == "Alice"
    memory.reindex("meaning")
    reindexed(memory)
    assert rows(home, "SELECT count(*) FROM vectors") == [(3,)]


@pytest.mark.engines("sqlite", why="pgvector compares what PostgreSQL keeps, and is always there")
def test_without_sqlite_vec_numpy_compares_and_finds_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREVENT, "1")
    with Memory() as memory:
        remember(memory)
        caught_up(memory, 3)
        assert names(memory, "fixing a bike")[0] == "Alice"
    assert "NumPy compares" in (home / "memory-db.log").read_text()


def test_a_branch_pinned_in_the_past_finds_by_meaning_what_was_there_then(memory: Memory, home: Path) -> None:
    remember(memory)
    caught_up(memory, 3)
    then = rows(home, "SELECT max(number) FROM changes")[0][0]
    change(
        home,
        f"INSERT INTO spaces (id, name, parent, pinned, kind, began) VALUES (2, 'then', 1, {then}, 'branch', {then})",
    )
    memory.delete_entities(["Alice"])
    memory.create_entities([EntityInput("Dave", "person", ["mends broken bicycles"])])
    caught_up(memory, 3)
    assert names(memory, "fixing a bike")[0] == "Dave"
    with Memory(space="then") as past:
        found = names(past, "fixing a bike")
        assert found[0] == "Alice"
        assert "Dave" not in found


# Callers' own vectors


def test_callers_search_with_their_own_vectors(memory: Memory) -> None:
    memory.create_entities(
        [
            EntityInput(
                "Alice",
                "person",
                [ObservationInput("x", vectors={"mine": [0.0, 0.0, 1.0]})],
                vectors={"mine": [1.0, 0.0, 0.0]},
            ),
            EntityInput("Bob", "person", ["y"], vectors={"mine": [0.0, 1.0, 0.0], "yours": [1.0]}),
        ]
    )
    memory.append_messages("chat", [MessageInput("hello", vectors={"mine": [0.5, 0.5, 0.0]}), MessageInput("bye")])
    found = memory.search_nodes("", vector=[0.1, 0.9, 0.0], model="mine")
    assert found.arms == ["meaning"]
    assert [(hit.entity.name, round(hit.score, 2)) for hit in found.hits] == [("Bob", 0.99), ("Alice", 0.11)]
    assert names(memory, "", vector=[0.0, 0.1, 0.9], model="mine") == ["Alice", "Bob"]
    said = memory.search_messages("", vector=[1.0, 1.0, 0.0], model="mine").hits
    assert [hit.message.content for hit in said] == ["hello"]
    # What is stored after the model was first asked for is found as well, at once.
    for number in range(20):
        memory.create_entities(
            [EntityInput(f"Carol {number}", "person", vectors={"mine": [0.0, 0.7, 0.7 + number / 50]})]
        )
        assert names(memory, "", vector=[0.0, 0.7, 0.7 + number / 50], model="mine", limit=1) == [f"Carol {number}"]
    memory.create_entities([EntityInput("Carol", "person", vectors={"mine": [-1.0, 0.0, 0.0]})])
    assert names(memory, "", vector=[-1.0, 0.0, 0.0], model="mine", limit=1) == ["Carol"]
    memory.delete_entities(["Carol"])
    assert "Carol" not in names(memory, "", vector=[0.0, 0.7, 0.7], model="mine")


def test_a_vector_alone_ranks_by_nearness_and_fills_the_limit_through_filters(memory: Memory) -> None:
    """However many are nearer and do not meet the filter, and whatever is pinned or dear."""
    memory.create_entities(
        [
            EntityInput(
                f"e{number}", "jewel" if number % 100 == 99 else "thing", properties={"n": number % 100, "odd": number % 2 == 1},
                tags=["rare"] if number % 100 == 99 else ["most"] if number % 4 != 3 else [], priority=1 + number % 10,
                vectors={"mine": [1.0, number / 400]},
            )
            for number in range(400)
        ]
    )  # fmt: skip
    found = memory.search_nodes("", vector=[1.0, 0.0], model="mine", tags=["rare"], limit=3, explain=True)
    assert [hit.entity.name for hit in found.hits] == ["e99", "e199", "e299"]
    assert [hit.explained["meaning"] == hit.score for hit in found.hits] == [True] * 3
    assert names(memory, "", vector=[1.0, 0.0], model="mine", tags=["rare"], limit=10) == [
        "e99",
        "e199",
        "e299",
        "e399",
    ]
    # However it is filtered, by what an index knows or not, and in a view of the past.
    wanted = ["e99", "e199", "e299"]
    for filters in (
        {"where": [Filter("n", equal=99)]},
        {"where": [Filter("n", at_least=99.0)]},
        {"tags": ["rare"], "where": [Filter("n", equal=99), Filter("odd", equal=True)]},
        {"tags": ["rare"], "at": memory.memory_commit("now").change},
        {"types": ["jewel"]},
    ):
        for query in ("", "zebra"):  # words that nothing says
            assert names(memory, query, vector=[1.0, 0.0], model="mine", limit=3, **filters) == wanted
    # Of many that a tag leaves, too.
    most = [number for number in range(400) if number % 4 != 3]
    for filters, left in (
        ({}, most),
        ({"where": [Filter("n", at_least=50.0)]}, [one for one in most if one % 100 >= 50]),
    ):
        given = {"vector": [1.0, 0.0], "model": "mine", "tags": ["most"], "limit": 4, **filters}
        assert names(memory, "", **given) == [f"e{number}" for number in left[:4]]
        assert set(names(memory, "zebra", **given)) <= {f"e{number}" for number in left}
        assert len(names(memory, "zebra", **given)) == 4
    assert names(memory, "", vector=[1.0, 0.0], model="mine", tags=["nothing"]) == []
    assert names(memory, "", vector=[1.0, 0.0], model="mine", limit=5) == [f"e{number}" for number in range(5)]
    assert names(memory, "", vector=[1.0, 0.0], model="mine", limit=5, offset=5) == [
        f"e{number}" for number in range(5, 10)
    ]


async def test_both_faces_of_the_client_take_vectors(amemory: AsyncMemory) -> None:
    await amemory.create_entities([EntityInput("Alice", "person", vectors={"mine": [1.0, 0.0]})])
    found = await amemory.search_nodes("", vector=[1.0, 0.1], model="mine")
    assert [hit.entity.name for hit in found.hits] == ["Alice"]


def test_own_vectors_need_no_embedder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "EMBEDDER", "none")
    with Memory() as memory:
        memory.create_entities([EntityInput("Alice", "person", vectors={"mine": [1.0, 0.0]})])
        assert names(memory, "", vector=[1.0, 0.1], model="mine") == ["Alice"]


def test_a_vector_of_the_daemon_s_own_model_needs_no_name(memory: Memory) -> None:
    remember(memory)
    caught_up(memory, 3)
    from enhanced_memory.daemon.embedding import STORED
    from enhanced_memory.daemon.embedding.static import shipped

    vector = shipped().shortened(STORED).embed(["fixing a bike"])[0].tolist()
    assert names(memory, "", vector=vector)[0] == "Alice"


@pytest.mark.parametrize(
    ("vector", "model", "says"),
    [
        ([float("nan"), 1.0], "mine", "finite"),
        ([float("-inf"), 1.0], "mine", "finite"),
        ([0.0, 0.0], "mine", "zeros"),
        ([1.0, 2.0, 3.0], "mine", "have 2 numbers"),
        ([1.0, 2.0], "another", "No vectors of a model"),
        ([1.0, 2.0], "", "have 144 numbers"),
        (None, "mine", "without a vector"),
        ([], "mine", "length >= 1"),
    ],
    ids=["nan", "infinity", "zeros", "longer", "unknown", "daemon-s", "none", "empty"],
)
def test_a_search_by_what_is_no_vector_of_the_model_is_refused(
    memory: Memory, vector: list[float] | None, model: str, says: str
) -> None:
    memory.create_entities([EntityInput("Alice", "person", vectors={"mine": [1.0, 0.0]})])
    caught_up(memory, 1)
    for search in (memory.search_nodes, memory.search_messages):
        with pytest.raises(Error, match=says) as refused:
            search("x", vector=vector, model=model)
        assert isinstance(refused.value, NotFound if model == "another" else Invalid)
    assert names(memory, "alice") == ["Alice"]


# Reindexing


def reindexed(memory: Memory) -> Reindexing:
    status = eventually(memory, lambda status: status.reindexing is not None and status.reindexing.state == "done")
    assert status.reindexing is not None
    return status.reindexing


@pytest.mark.parametrize("what", ["all", "words", "meaning"])
def test_reindexing_leaves_everything_as_findable_as_it_was(memory: Memory, home: Path, what: Any) -> None:
    remember(memory)
    memory.append_messages(
        "chat", [MessageInput("the puppy sleeps", speaker="Ann"), MessageInput("so does Rex", speaker="Tom")]
    )
    caught_up(memory, 6)
    before = [rows(home, f"SELECT {of_passage(home)}, v.vector FROM vectors v ORDER BY 1"), found_by_words(home)]
    assert memory.reindex(what).state == "running"
    assert reindexed(memory).what == what
    assert [
        rows(home, f"SELECT {of_passage(home)}, v.vector FROM vectors v ORDER BY 1"),
        found_by_words(home),
    ] == before
    assert names(memory, "bicycles")[0] == "Alice"
    assert names(memory, "fixing a bike")[0] == "Alice"
    assert memory.verify().problems == []


def found_by_words(home: Path) -> list[Any]:
    """Which passages the words index has for some words, with their scores; of a database all that the index holds."""
    if url_of(home / "memory.db") is not None:
        return rows(home, "SELECT id, entity, length, lexemes::text FROM words ORDER BY id")
    return [
        rows(home, f"SELECT rowid, round(bm25(words), 6) FROM words WHERE words MATCH '{word}' ORDER BY rowid")
        for word in ("bicycle", "puppy", "body : puppy", "name : ann", "session", "dates : 2026")
    ]


def test_a_words_index_that_was_damaged_is_whole_after_a_reindexing(memory: Memory, home: Path) -> None:
    remember(memory)
    caught_up(memory, 3)
    kill(memory, home, signal.SIGTERM)
    key = "rowid" if url_of(home / "memory.db") is None else "id"
    change(home, f"DELETE FROM words WHERE {key} IN (SELECT id FROM passages)")
    with Memory() as again:
        again.reindex("words")
        reindexed(again)
        assert names(again, "bicycles", substring=False)[0] == "Alice"
        assert again.verify().problems == []


def test_what_changes_during_a_reindexing_is_in_the_new_index(memory: Memory) -> None:
    memory.create_entities(
        [EntityInput(f"thing {number}", "thing", [f"word{number} stands here"]) for number in range(3000)]
    )
    memory.reindex("all")
    number = 0
    while (told := memory.get_memory_status().reindexing) is not None and told.state == "running":
        memory.create_entities([EntityInput(f"new {number}", "thing", [f"fresh{number}"])])
        memory.delete_entities([f"thing {number}"])
        number += 1
        assert "thing 2999" in names(memory, "word2999")  # the old index serves
    for one in range(number):
        assert names(memory, f"fresh{one}")[:1] == [f"new {one}"]
        assert f"thing {one}" not in names(memory, f"word{one}")
    assert memory.verify().problems == []


def test_a_second_request_says_how_far_the_first_is_and_another_kind_is_refused(memory: Memory) -> None:
    memory.create_entities([EntityInput(f"thing {number}", "thing", [f"word{number}"]) for number in range(3000)])
    memory.reindex("all")
    assert memory.reindex("all").state == "running"
    with pytest.raises(Conflict, match="under way"):
        memory.reindex("words")
    reindexed(memory)


@pytest.mark.parametrize("what", ["words", "meaning"])
def test_a_reindexing_goes_on_after_kills(memory: Memory, home: Path, what: Any) -> None:
    memory.create_entities(
        [EntityInput(f"thing {number}", "thing", [f"word{number} stands here"]) for number in range(4000)]
    )
    caught_up(memory, 4000)
    memory.reindex(what)
    client: Memory = memory
    kills = 0
    for _ in range(3):
        eventually(
            client,
            lambda status: (
                status.reindexing is not None and (status.reindexing.done > 0 or status.reindexing.state == "done")
            ),
        )
        kill(client, home)
        kills += 1
        client = Memory()
    with client:
        eventually(
            client, lambda _: rows(home, "SELECT value FROM meta WHERE key = 'reindex'")[0][0] in (b"null", "null")
        )
        caught_up(client, 4000)
        assert rows(home, "SELECT count(*) FROM vectors") == [(4000,)]
        assert rows(home, f"SELECT count(*) FROM {tables(home)} WHERE name LIKE 'words_next%'") == [(0,)]
        assert names(client, "word3999")[0] == "thing 3999"
        assert client.verify().problems == []
    assert kills == 3


def test_an_empty_store_is_reindexed_at_once(memory: Memory) -> None:
    memory.reindex()
    assert reindexed(memory).problem == ""


def test_a_daemon_started_on_demand_stays_until_its_work_is_done(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "IDLE_EXIT_S", "0.2")
    with Memory() as memory:
        memory.create_entities([EntityInput(f"thing {number}", "thing", [f"word{number}"]) for number in range(3000)])
        pid = memory.welcome.pid
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(30)
    assert rows(home, "SELECT count(*) FROM vectors") == [(3000,)]
