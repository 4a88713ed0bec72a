"""The Memory Orchestrator's tables, constraints and searches, on the daemon. The acceptance list of its users, a test a line, comes first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.adapters.orchestrator import MemoryOrchestrator
from enhanced_memory.client.errors import Conflict, Invalid, NotFound, Refused
from enhanced_memory.client.operations.cold import ArchiveEntities, ListArchived
from enhanced_memory.client.operations.entities import ListEntities, RestoreEntities
from enhanced_memory.client.settings import Settings

SOON = datetime.now(UTC) + timedelta(days=1)
GONE = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def orchestrator(memory: Memory) -> Iterator[MemoryOrchestrator]:
    with MemoryOrchestrator(memory) as made:
        yield made


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition never came to hold"
        time.sleep(0.01)


# The acceptance list


@pytest.mark.parametrize("priority", [0, 11, -1])
def test_a_priority_outside_1_to_10_is_refused(orchestrator: MemoryOrchestrator, priority: int) -> None:
    with pytest.raises(Invalid):
        orchestrator.create_memory({"text": "tea"}, "context", memory_id="m", priority=priority)
    assert orchestrator.get_memory("m") is None
    orchestrator.create_memory({"text": "tea"}, "context", memory_id="m", priority=10)
    with pytest.raises(Invalid):
        orchestrator.update_memory("m", priority=priority)
    assert (orchestrator.get_memory("m") or {})["priority"] == 10


def test_a_repeated_tag_is_refused(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_memory({"text": "tea"}, "context", memory_id="m", tags=["drinks"])
    orchestrator.add_tag("m", "likes")
    for tag in ("drinks", "likes"):
        with pytest.raises(Conflict):
            orchestrator.add_tag("m", tag)
    assert (orchestrator.get_memory("m") or {})["tags"] == ["drinks", "likes"]
    assert orchestrator.remove_tag("m", "likes")
    assert not orchestrator.remove_tag("m", "likes")


def test_a_repeated_embedding_of_a_model_is_refused(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_memory({"text": "tea"}, "context", memory_id="m", embeddings={"one": [1, 0, 0]})
    orchestrator.add_embedding("m", [0, 1], "two")
    for model, vector in (("one", [1.0, 0, 0]), ("two", [0.0, 1])):
        with pytest.raises(Conflict):
            orchestrator.add_embedding("m", vector, model)
    assert (orchestrator.get_memory("m") or {})["embedding_models"] == ["one", "two"]


def test_a_repeated_relationship_is_refused(orchestrator: MemoryOrchestrator) -> None:
    for name in ("a", "b"):
        orchestrator.create_memory({"text": name}, "context", memory_id=name)
    number = orchestrator.add_relationship("a", "b", "reply", {"turn": 3})
    with pytest.raises(Conflict):
        orchestrator.add_relationship("a", "b", "reply")
    assert orchestrator.add_relationship("b", "a", "reply") != number
    (row,) = [one for one in orchestrator.get_relationships("a") if one["relationship_id"] == number]
    assert (row["source_memory_id"], row["target_memory_id"], row["relationship_type"], row["metadata"]) == (
        "a",
        "b",
        "reply",
        {"turn": 3},
    )
    assert orchestrator.remove_relationship("a", "b", "reply")
    with pytest.raises(Invalid):
        orchestrator.add_relationship("a", "a", "reference")


def test_deleting_a_session_removes_its_memories_and_leaves_states_and_log(orchestrator: MemoryOrchestrator) -> None:
    for session in ("s1", "s2"):
        orchestrator.create_session(session, "ada")
        orchestrator.create_memory(
            {"text": f"said in {session}"}, "conversation", memory_id=f"m-{session}", session_id=session, tags=["said"],
            embeddings={"own": [1, 2]}, source_agent="listener",
        )  # fmt: skip
        orchestrator.save_agent_state("planner", {"in": session}, session)
    orchestrator.add_relationship("m-s1", "m-s2", "follow-up")
    assert orchestrator.delete_session("s1") == 1
    assert orchestrator.get_session("s1") is None
    assert orchestrator.get_memory("m-s1") is None
    assert [one["memory_id"] for one in orchestrator.search("said", tags=["said"])] == ["m-s2"]
    assert [one["memory_id"] for one in orchestrator.search(embedding=[1, 2], model="own")] == ["m-s2"]
    assert orchestrator.get_relationships("m-s2") == []
    states = {one["session_id"]: one["state_data"]["in"] for one in orchestrator.list_agent_states("planner")}
    assert states == {None: "s1", "s2": "s2"}
    (row,) = orchestrator.access_log("m-s1", operation="create")
    assert (row["memory_id"], row["session_id"], row["agent_id"], row["success"]) == ("m-s1", "s1", "listener", True)


def test_what_was_deleted_or_has_expired_is_in_no_result(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_memory({"text": "lasting tea"}, "context", memory_id="lasting")
    orchestrator.create_memory({"text": "soft tea"}, "context", memory_id="soft")
    orchestrator.create_memory({"text": "inactive tea"}, "context", memory_id="inactive")
    end = datetime.now(UTC) + timedelta(seconds=3)
    orchestrator.create_memory({"text": "expired tea"}, "context", memory_id="expired", expires_at=end)
    orchestrator.create_memory({"text": "later tea"}, "context", memory_id="later", expires_at=SOON)
    assert orchestrator.delete_memory("soft")
    assert not orchestrator.delete_memory("soft")
    orchestrator.update_memory("inactive", is_active=False)
    expected = ["lasting", "later"]
    until(lambda: datetime.now(UTC) > end)
    assert sorted(one["memory_id"] for one in orchestrator.search("tea")) == expected
    assert sorted(one["memory_id"] for one in orchestrator.list_memories()) == expected
    assert [
        name for name in ("lasting", "soft", "inactive", "expired", "later") if orchestrator.get_memory(name)
    ] == expected
    orchestrator.restore_memory("soft")
    assert orchestrator.get_memory("soft") is not None


# Sessions


def test_a_session_says_what_it_was_told_and_when_it_moved(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("s", "ada", "task", {"device": "kitchen"})
    before = orchestrator.get_session("s") or {}
    assert (before["user_id"], before["session_type"], before["metadata"], before["ended_at"], before["is_archived"]) == (
        "ada", "task", {"device": "kitchen"}, None, False,
    )  # fmt: skip
    orchestrator.create_memory({"text": "x"}, "conversation", session_id="s")
    assert (orchestrator.get_session("s") or {})["updated_at"] > before["updated_at"]
    orchestrator.update_session("s", user_id=None, metadata={"device": "hall"})
    orchestrator.end_session("s", "all is said")
    orchestrator.archive_session("s")
    after = orchestrator.get_session("s") or {}
    assert (after["user_id"], after["metadata"], after["summary"], after["is_archived"]) == (
        None, {"device": "hall"}, "all is said", True,
    )  # fmt: skip
    first = after["ended_at"]
    orchestrator.end_session("s")
    assert (orchestrator.get_session("s") or {})["ended_at"] == first
    with pytest.raises(Conflict):
        orchestrator.create_session("s")
    with pytest.raises(Invalid):
        orchestrator.update_session("s", colour="red")
    with pytest.raises(NotFound):
        orchestrator.end_session("nowhere")


def test_sessions_are_listed_by_user_type_end_and_archive(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("a", "ada")
    orchestrator.create_session("b", "bob", "task")
    orchestrator.end_session("b")

    def listed(**how: Any) -> list[str]:
        return [one["session_id"] for one in orchestrator.list_sessions(**how)]

    assert listed() == ["b", "a"]
    assert listed(user_id="ada") == ["a"]
    assert listed(session_type="task") == ["b"]
    assert (listed(active=True), listed(active=False)) == (["a"], ["b"])
    orchestrator.archive_session("a")
    assert (listed(is_archived=True), listed(is_archived=False)) == (["a"], ["b"])


def test_a_deleted_session_may_leave_what_never_expires(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("s")
    orchestrator.create_memory({"text": "for ever"}, "context", memory_id="kept", session_id="s")
    orchestrator.create_memory({"text": "for a day"}, "context", memory_id="short", session_id="s", expires_at=SOON)
    assert orchestrator.delete_session("s", keep_permanent=True) == 1
    assert (orchestrator.get_memory("kept") or {})["session_id"] is None
    assert orchestrator.get_memory("short") is None
    with pytest.raises(NotFound):
        orchestrator.create_memory({"text": "late"}, "context", session_id="s")


# Memories


def test_a_memory_comes_back_as_it_was_given(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("s")
    said = {"text": "Lights on", "device": {"name": "lamp", "on": True}, "levels": [1, 2.5]}
    made = datetime(2025, 5, 5, tzinfo=UTC)
    orchestrator.create_memory(
        said, "context", memory_id="ctx-1", session_id="s", source_agent="home", expires_at=SOON, priority=8, tags=["b", "a"], created_at=made,
    )  # fmt: skip
    row = orchestrator.get_memory("ctx-1") or {}
    assert {key: value for key, value in row.items() if key not in ("updated_at", "expires_at")} == {
        "memory_id": "ctx-1", "session_id": "s", "memory_type": "context", "content": said, "text_content": "Lights on\nlamp",
        "source_agent": "home", "created_at": made, "priority": 8, "is_active": True, "tags": ["b", "a"], "embedding_models": [],
    }  # fmt: skip
    assert abs(row["expires_at"] - SOON) < timedelta(milliseconds=2)
    assert row["updated_at"].tzinfo is not None


def test_an_id_that_is_taken_is_refused_and_costs_no_other_its_place(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_memory({"text": "first"}, "context", memory_id="m")
    rows = [{"memory_id": name, "memory_type": "context", "content": {"text": name}} for name in ("n", "m")]
    with pytest.raises(Conflict):
        orchestrator.create_memories(rows)
    assert orchestrator.get_memory("n") is None
    assert orchestrator.create_memories(rows, skip_existing=True) == ["n", "m"]
    assert (orchestrator.get_memory("m") or {})["content"] == {"text": "first"}


def test_a_memory_without_the_key_text_is_found_by_its_words(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_memory({"entity": "Zurich", "facts": ["has a lake"]}, "entity", memory_id="z")
    assert [one["memory_id"] for one in orchestrator.search("lake")] == ["z"]
    orchestrator.update_memory("z", content={"entity": "Zurich", "facts": ["has a river"]})
    assert (orchestrator.get_memory("z") or {})["text_content"] == "Zurich\nhas a river"


def test_memories_are_found_by_a_part_of_their_content(orchestrator: MemoryOrchestrator) -> None:
    for name, content in {
        "a": {"device": {"name": "lamp", "on": True}, "rooms": ["hall", "attic"]},
        "b": {"device": {"name": "lamp", "on": False}, "rooms": ["hall"]},
        "c": {"note": "x" * 500, "n": 1},
    }.items():
        orchestrator.create_memory(content, "context", memory_id=name)

    def found(part: Any) -> list[str]:
        return sorted(one["memory_id"] for one in orchestrator.list_memories(content=part))

    assert found({"device": {"name": "lamp"}}) == ["a", "b"]
    assert found({"device": {"on": True}}) == ["a"]
    assert found({"rooms": ["attic", "hall"]}) == ["a"]
    assert found({"device": {}}) == ["a", "b"]
    assert found({"note": "x" * 500}) == ["c"]
    assert found({"n": 1.0}) == ["c"]
    assert found({"n": True}) == []
    assert [one["memory_id"] for one in orchestrator.search(content={"rooms": ["attic"]})] == ["a"]


def test_memories_are_found_by_tag_type_agent_session_priority_and_time(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("s")
    orchestrator.create_memory(
        {"text": "tea one"}, "context", memory_id="a", session_id="s", tags=["x", "y"], priority=9
    )
    orchestrator.create_memory({"text": "tea two"}, "user_preference", memory_id="b", source_agent="home", tags=["x"])

    def found(**how: Any) -> list[str]:
        names = sorted(one["memory_id"] for one in orchestrator.search("tea", **how))
        assert names == sorted(one["memory_id"] for one in orchestrator.list_memories(**how))
        return names

    assert found(tags=["x"]) == ["a", "b"]
    assert found(tags=["x", "y"]) == ["a"]
    assert found(memory_type="user_preference") == ["b"]
    assert found(source_agent="home") == ["b"]
    assert found(session_id="s") == ["a"]
    assert found(min_priority=6) == ["a"]
    assert found(since=SOON) == []
    assert [one["memory_id"] for one in orchestrator.list_memories(order_by="priority")] == ["a", "b"]
    with pytest.raises(Invalid, match="colour"):
        orchestrator.search("tea", colour="red")


def test_embeddings_are_searched_by_model_and_a_wrong_length_is_a_clear_error(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_memory(
        {"text": "north"}, "context", memory_id="n", embeddings={"own-a": [1, 0, 0], "own-b": [0, 1]}
    )
    orchestrator.create_memory({"text": "east"}, "context", memory_id="e", embeddings={"own-a": [0, 1, 0]})
    assert [one["memory_id"] for one in orchestrator.search(embedding=[0.9, 0.1, 0], model="own-a")] == ["n", "e"]
    assert [one["memory_id"] for one in orchestrator.search(embedding=[0.1, 0.9], model="own-b")] == ["n"]
    with pytest.raises(Invalid, match="3"):
        orchestrator.create_memory({"text": "west"}, "context", memory_id="w", embeddings={"own-a": [1, 0]})
    with pytest.raises(Invalid, match="3"):
        orchestrator.search(embedding=[1, 0], model="own-a")
    assert orchestrator.get_memory("w") is None


# Profiles and states


def test_a_profile_is_made_once_and_changed_in_parts(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.save_profile("ada", {"name": "Ada"}, {"units": "metric", "voice": {"speed": 2}})
    orchestrator.save_profile("bob", preferences={"units": "imperial"})
    orchestrator.save_profile("ada", is_active=False)
    row = orchestrator.get_profile("ada") or {}
    assert (row["profile_data"], row["preferences"], row["is_active"]) == (
        {"name": "Ada"}, {"units": "metric", "voice": {"speed": 2}}, False,
    )  # fmt: skip
    assert [one["user_id"] for one in orchestrator.find_profiles({"voice": {"speed": 2}})] == ["ada"]
    assert [one["user_id"] for one in orchestrator.find_profiles(is_active=True)] == ["bob"]
    assert orchestrator.get_profile("nobody") is None


def test_an_agent_has_one_state_in_a_session_and_one_outside_of_any(orchestrator: MemoryOrchestrator) -> None:
    first = orchestrator.save_agent_state("planner", {"step": 1})
    assert orchestrator.save_agent_state("planner", {"step": 2}) == first
    orchestrator.create_session("s")
    other = orchestrator.save_agent_state("planner", {"step": 7}, "s")
    assert other != first
    assert (orchestrator.get_agent_state("planner") or {})["state_data"] == {"step": 2}
    assert (orchestrator.get_agent_state("planner", "s") or {})["state_data"] == {"step": 7}
    assert [one["state_id"] for one in orchestrator.list_agent_states(session_id="s")] == [other]
    assert orchestrator.delete_agent_state("planner", "s")
    assert orchestrator.get_agent_state("planner", "s") is None
    assert orchestrator.get_agent_state("planner") is not None


def test_a_state_that_has_expired_is_not_told(orchestrator: MemoryOrchestrator) -> None:
    end = datetime.now(UTC) + timedelta(seconds=3)
    orchestrator.save_agent_state("planner", {"step": 1}, expires_at=end)
    orchestrator.save_agent_state("waiter", {"step": 1}, expires_at=SOON)
    until(lambda: orchestrator.get_agent_state("planner") is None)
    assert [one["agent_id"] for one in orchestrator.list_agent_states()] == ["waiter"]
    orchestrator.save_agent_state("planner", {"step": 2})
    assert (orchestrator.get_agent_state("planner") or {})["state_data"] == {"step": 2}


# The access log


def test_every_access_leaves_a_row_and_no_text(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("s")
    orchestrator.create_memory(
        {"text": "the secret is tea"}, "context", memory_id="m", session_id="s", source_agent="home"
    )
    orchestrator.get_memory("m", agent_id="reader")
    orchestrator.search("secret", agent_id="seeker")
    with pytest.raises(Invalid):
        orchestrator.update_memory("m", priority=99)
    orchestrator.delete_memory("m")
    rows = orchestrator.access_log("m")
    assert [one["operation"] for one in rows] == ["delete", "update", "search", "read", "create"]
    assert {one["memory_id"] for one in rows} == {"m"}
    assert [one["agent_id"] for one in rows][2:] == ["seeker", "reader", "home"]
    assert [one["success"] for one in rows] == [True, False, True, True, True]
    assert rows[1]["request_data"] == {"priority": 99}
    assert rows[4]["request_data"] == {"memories": 1, "content": {"text": "<17 characters>"}}
    assert "secret" not in str(rows)
    assert [one["operation"] for one in orchestrator.access_log("m", success=False)] == ["update"]
    assert [one["operation"] for one in orchestrator.access_log(session_id="s", operation="read")] == ["read"]


def test_rows_outlive_a_purge_under_the_memory_s_number(orchestrator: MemoryOrchestrator, memory: Memory) -> None:
    orchestrator.create_memory({"text": "x"}, "context", memory_id="m")
    number = memory.open_nodes(["m"]).entities[0].id
    orchestrator.log_access(
        "read", "m", agent_id="web", ip_address="192.0.2.7", request_data={"q": "x"}, timestamp=GONE
    )
    memory.purge_entities([number], confirm=True)
    (row,) = orchestrator.access_log(number, agent_id="web")
    assert (row["memory_id"], row["ip_address"], row["timestamp"], row["request_data"]) == (
        number,
        "192.0.2.7",
        GONE,
        None,
    )
    with pytest.raises(NotFound):
        orchestrator.access_log("m")


def test_what_waits_is_written_at_the_end(memory: Memory, served: Settings) -> None:
    with MemoryOrchestrator(memory) as one:
        one.create_memory({"text": "x"}, "context", memory_id="m")
        one.get_memory("m")
    number = memory.open_nodes(["m"]).entities[0].id
    assert [row.op for row in memory.access_log(entity=number).rows] == ["read", "create"]
    with MemoryOrchestrator(memory, log_accesses=False) as one:
        one.get_memory("m")
    assert len(memory.access_log(entity=number).rows) == 2


# What cannot be kept


WRONG: dict[str, dict[str, Any]] = {
    "a type too long": {"memory_type": "x" * 33},
    "content that is not JSON": {"content": {"n": float("nan")}},
    "a NUL": {"content": {"text": "a\0b"}},
    "an id of a megabyte": {"memory_id": "x" * 1_000_000},
    "no id at all": {"memory_id": " "},
    "a tag that is blank": {"tags": [" "]},
    "an embedding of nothing": {"embeddings": {"own": []}},
    "a time that is over": {"expires_at": GONE},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_what_cannot_be_kept_is_refused_and_noted(orchestrator: MemoryOrchestrator, wrong: dict[str, Any]) -> None:
    row: dict[str, Any] = {"memory_id": "m", "memory_type": "context", "content": {"text": "x"}} | wrong
    with pytest.raises(Refused):
        orchestrator.create_memory(**row)
    assert orchestrator.list_memories() == []
    (noted,) = orchestrator.access_log(operation="create", success=False, limit=1)
    assert noted["error_message"]


def test_a_session_goes_to_cold_storage_and_comes_back(orchestrator: MemoryOrchestrator) -> None:
    """Its memories leave the database, their address stays, and they come back with tags and priority."""
    orchestrator.create_session("old", "ada")
    orchestrator.create_memories(
        {"memory_id": f"cold-{n}", "session_id": "old", "memory_type": "context", "content": {"text": f"the fjord {n}"},
         "tags": ["north"], "priority": 7}
        for n in range(5)
    )  # fmt: skip
    before = orchestrator.get_memory("cold-3")
    assert before is not None
    assert orchestrator.archive_session("old", cold=True) == 5
    assert orchestrator.search("fjord") == []
    assert orchestrator.get_memory("cold-3") is None
    told = orchestrator.archived_memories("old")
    assert [row["memory_id"] for row in told] == [f"cold-{n}" for n in range(5)]
    assert told[3]["content"] == before["content"]
    assert [row["memory_id"] for row in orchestrator.archived_memories(containing="FJORD 4")] == ["cold-4"]
    assert orchestrator.restore_session("old") == 5
    after = orchestrator.get_memory("cold-3")
    assert after is not None
    assert {key: after[key] for key in before if key != "updated_at"} == {
        key: before[key] for key in before if key != "updated_at"
    }
    assert len(orchestrator.search("fjord")) == 5


class _Sent:
    """A store of entries, the first thousand of which have to stay hot; its listings of what is cold look at a few addresses at a time."""

    def __init__(self) -> None:
        self.hot, self.cold = list(range(1, 1204)), list[int]()

    def send(self, ask: Any) -> Any:
        if isinstance(ask, ListEntities):
            found = [one for one in self.hot if one > int(ask.cursor or 0)]
            page = found[: ask.limit]
            more = str(page[-1]) if len(found) > ask.limit else None
            return SimpleNamespace(entities=[SimpleNamespace(id=one) for one in page], cursor=more)
        if isinstance(ask, ArchiveEntities):
            meant = ask.entities or self.hot
            gone = [one for one in meant[: ask.limit] if isinstance(one, int) and one > 1000]
            self.hot = [one for one in self.hot if one not in gone]
            self.cold += gone
            return SimpleNamespace(ids=gone, more=len(meant) > ask.limit)
        if isinstance(ask, ListArchived):
            begin = int(ask.cursor or 0)
            page = [one for one in self.cold if begin < one <= begin + 400]
            more = str(begin + 400) if begin < 1200 else None
            return SimpleNamespace(entities=[SimpleNamespace(id=one) for one in page], cursor=more)
        if isinstance(ask, RestoreEntities):
            self.cold = [one for one in self.cold if one not in ask.entities]
        return None


def test_a_session_goes_and_comes_back_past_what_stays_and_past_empty_pages() -> None:
    memory = _Sent()
    session = SimpleNamespace(id=9999)
    hand: Any = SimpleNamespace(
        memory=memory, _session=lambda _: session, _change=lambda *_: None, accesses=SimpleNamespace(flush=lambda: None),
        _pages=lambda ask, limit: MemoryOrchestrator._pages(hand, ask, limit),
        _from_cold=lambda session: MemoryOrchestrator._from_cold(hand, session),
    )  # fmt: skip
    assert MemoryOrchestrator.archive_session(hand, "s", cold=True) == 203
    assert memory.hot[-1] == 1000
    assert MemoryOrchestrator.restore_session(hand, "s") == 203
    assert memory.cold == []
