"""What the orchestrator's schema says of its columns and keys, and what its users do besides: null, references, times, the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.adapters.orchestrator import MemoryOrchestrator
from enhanced_memory.client.adapters.predecessors import Intake
from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.values import EntityInput

PAST = datetime(2025, 1, 2, tzinfo=UTC)


@pytest.fixture
def orchestrator(memory: Memory) -> Iterator[MemoryOrchestrator]:
    with MemoryOrchestrator(memory) as made:
        yield made


# What cannot be null, and what has to be there


NULLS: dict[str, Callable[[MemoryOrchestrator], Any]] = {
    "content": lambda one: one.create_memory(None, "context"),
    "memory_type": lambda one: one.create_memory({"text": "x"}, None),  # type: ignore[arg-type]
    "a blank memory_type": lambda one: one.create_memory({"text": "x"}, " "),
    "a row without content": lambda one: one.create_memories([{"memory_type": "context"}]),
    "changed content": lambda one: one.update_memory("m", content=None),
    "changed memory_type": lambda one: one.update_memory("m", memory_type=None),
    "changed priority": lambda one: one.update_memory("m", priority=None),
    "changed session_type": lambda one: one.update_session("s", session_type=None),
    "state_data": lambda one: one.save_agent_state("planner", None),
    "relationship_type": lambda one: one.add_relationship("m", "n", ""),
    "metadata that is no map": lambda one: one.add_relationship("m", "n", "reply", metadata=[1]),  # type: ignore[arg-type]
    "a session's metadata": lambda one: one.create_session("t", metadata=[1]),  # type: ignore[arg-type]
    "an operation of the log": lambda one: one.log_access("frobnicate", "m"),
}


@pytest.mark.parametrize("act", NULLS.values(), ids=list(NULLS))
def test_what_cannot_be_empty_is_refused_and_changes_nothing(
    orchestrator: MemoryOrchestrator, act: Callable[[MemoryOrchestrator], Any]
) -> None:
    orchestrator.create_session("s")
    for name in ("m", "n"):
        orchestrator.create_memory({"text": "tea"}, "context", memory_id=name, session_id="s")
    before = orchestrator.list_memories(), orchestrator.list_sessions()
    with pytest.raises(Invalid) as refused:
        act(orchestrator)
    assert refused.value.hint or "true or false" in refused.value.message
    assert (orchestrator.list_memories(), orchestrator.list_sessions()) == before
    assert orchestrator.list_agent_states() == []


def test_a_memory_and_a_state_are_of_a_session_that_is_there(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_memory({"text": "tea"}, "context", memory_id="m")
    for act in (
        lambda: orchestrator.update_memory("m", session_id="nowhere"),
        lambda: orchestrator.create_memory({"text": "x"}, "context", session_id="nowhere"),
        lambda: orchestrator.save_agent_state("planner", {"step": 1}, "nowhere"),
    ):
        with pytest.raises(NotFound, match="nowhere"):
            act()
    assert (orchestrator.get_memory("m") or {})["session_id"] is None
    assert orchestrator.list_agent_states() == []


def test_documents_are_any_json(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.save_agent_state("planner", ["first", "second"])
    orchestrator.save_profile("ada", preferences=["metric", "dark"])
    orchestrator.create_memory(["tea", {"warm": True}], "context", memory_id="m")
    assert (orchestrator.get_agent_state("planner") or {})["state_data"] == ["first", "second"]
    assert [one["user_id"] for one in orchestrator.find_profiles(["dark"])] == ["ada"]
    assert (orchestrator.get_memory("m") or {})["content"] == ["tea", {"warm": True}]
    assert orchestrator.delete_profile("ada")
    assert not orchestrator.delete_profile("ada")
    assert orchestrator.get_profile("ada") is None


# States and their sessions


def test_a_later_session_of_the_same_id_has_states_of_its_own(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("s")
    first = orchestrator.save_agent_state("planner", {"life": 1}, "s")
    orchestrator.delete_session("s")
    assert orchestrator.get_agent_state("planner", "s") is None
    orchestrator.create_session("s")
    assert orchestrator.get_agent_state("planner", "s") is None
    second = orchestrator.save_agent_state("planner", {"life": 2}, "s")
    assert second == orchestrator.save_agent_state("planner", {"life": 3}, "s")
    assert {one["state_id"]: (one["session_id"], one["state_data"]["life"]) for one in orchestrator.list_agent_states()} == {
        first: (None, 1), second: ("s", 3),
    }  # fmt: skip
    assert orchestrator.get_agent_state("planner") is None
    assert orchestrator.delete_agent_state(first)
    assert not orchestrator.delete_agent_state(first)
    assert [one["state_id"] for one in orchestrator.list_agent_states()] == [second]


def test_a_state_saved_by_an_earlier_release_is_found_and_stays_the_one(
    orchestrator: MemoryOrchestrator, memory: Memory
) -> None:
    orchestrator.create_session("s")
    said = {"agent": "planner", "state_data": {"step": 1}, "session": "s"}
    made = memory.create_entities([EntityInput("planner", "agent_state", properties=said, scope="agent_state/s")])
    assert (orchestrator.get_agent_state("planner", "s") or {})["state_data"] == {"step": 1}
    assert orchestrator.save_agent_state("planner", {"step": 2}, "s") == made.results[0].id


# Deleted and brought back


def test_is_active_brings_a_memory_back_whatever_else_has_its_name(
    orchestrator: MemoryOrchestrator, memory: Memory
) -> None:
    orchestrator.create_memory({"text": "tea"}, "context", memory_id="m")
    memory.create_entities([EntityInput("m", "note", ["another m"])])
    orchestrator.update_memory("m", is_active=False)
    assert orchestrator.get_memory("m") is None
    orchestrator.update_memory("m", is_active=True, priority=9)
    assert (orchestrator.get_memory("m") or {})["priority"] == 9
    with pytest.raises(Conflict):
        orchestrator.restore_memory("m")
    orchestrator.delete_memory("m")
    orchestrator.restore_memory("m")
    assert orchestrator.get_memory("m") is not None
    with pytest.raises(NotFound):
        orchestrator.restore_memory("never")


def test_a_session_deleted_takes_what_lies_in_cold_storage_along(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("s")
    rows = [{"memory_id": f"m-{n}", "memory_type": "context", "content": {"text": "fjord"}, "session_id": "s"} for n in range(3)]  # fmt: skip
    orchestrator.create_memories(rows)
    assert orchestrator.archive_session("s", cold=True) == 3
    orchestrator.create_memory({"text": "fjord"}, "context", session_id="s")
    assert orchestrator.delete_session("s") == 4
    assert orchestrator.archived_memories() == []
    assert orchestrator.search("fjord") == []


def test_cold_storage_keeps_embeddings_and_the_log_knows_what_lies_there(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("s")
    orchestrator.create_memory({"text": "x"}, "context", memory_id="m", session_id="s", embeddings={"cold-e": [1, 2]})
    orchestrator.archive_session("s", cold=True)
    assert orchestrator.search(embedding=[1, 2], model="cold-e") == []
    assert [(row["memory_id"], row["operation"]) for row in orchestrator.access_log("m")] == [("m", "create")]
    orchestrator.restore_session("s")
    assert [one["memory_id"] for one in orchestrator.search(embedding=[1, 2], model="cold-e")] == ["m"]
    assert not (orchestrator.get_session("s") or {})["is_archived"]


def test_what_has_expired_is_deleted_on_request(orchestrator: MemoryOrchestrator) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    orchestrator.create_memory({"text": "x"}, "context", memory_id="m", expires_at=soon)
    orchestrator.create_memory({"text": "x"}, "context", memory_id="n")
    while datetime.now(UTC) <= soon:
        orchestrator.get_memory("n")
    assert orchestrator.purge_expired() == 1
    orchestrator.create_memory({"text": "again"}, "context", memory_id="m")
    assert orchestrator.purge_expired() == 0


# Embeddings


def test_an_embedding_is_replaced_where_that_is_asked_for(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_memory({"text": "a"}, "context", memory_id="a", embeddings={"own-r": [1, 0]})
    orchestrator.create_memory({"text": "b"}, "context", memory_id="b", embeddings={"own-r": [0.7, 0.7]})
    orchestrator.add_embedding("a", [0, 1], "own-r", replace=True)
    assert [one["memory_id"] for one in orchestrator.search(embedding=[1, 0], model="own-r")] == ["b", "a"]
    assert (orchestrator.get_memory("a") or {})["embedding_models"] == ["own-r"]


# Times


def test_memories_come_by_when_they_were_made_wherever_that_was(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_memory({"text": "x"}, "context", memory_id="here-1")
    orchestrator.create_memory({"text": "x"}, "context", memory_id="older", created_at=PAST)
    orchestrator.create_memory({"text": "x"}, "context", memory_id="oldest", created_at=PAST - timedelta(days=1))
    orchestrator.create_memory({"text": "x"}, "context", memory_id="here-2")
    expected = ["here-2", "here-1", "older", "oldest"]
    assert [one["memory_id"] for one in orchestrator.list_memories(order_by="created")] == expected
    assert [one["memory_id"] for one in orchestrator.list_memories(order_by="created", limit=3)] == expected[:3]


def test_a_session_of_elsewhere_moves_with_what_happens_here(orchestrator: MemoryOrchestrator) -> None:
    intake = Intake(orchestrator, "session_memory_agent")
    intake.take(1, {"session_id": "s", "last_interaction": PAST.isoformat(), "conversation_history": ["hello"]})
    intake.finish()
    assert (orchestrator.get_session("s") or {})["updated_at"] == PAST
    assert [one["updated_at"] for one in orchestrator.list_sessions()] == [PAST]
    begun = datetime.now(UTC) - timedelta(milliseconds=5)
    orchestrator.create_memory({"text": "new"}, "conversation", session_id="s")
    moved = (orchestrator.get_session("s") or {})["updated_at"]
    assert moved > begun
    assert [one["updated_at"] for one in orchestrator.list_sessions()] == [moved]


def test_a_session_is_opened_again_and_taken_from_the_archive_by_its_columns(orchestrator: MemoryOrchestrator) -> None:
    orchestrator.create_session("s")
    orchestrator.end_session("s")
    orchestrator.update_session("s", ended_at=None, is_archived=True)
    row = orchestrator.get_session("s") or {}
    assert (row["ended_at"], row["is_archived"]) == (None, True)
    orchestrator.update_session("s", is_archived=False, ended_at=PAST)
    row = orchestrator.get_session("s") or {}
    assert (row["ended_at"], row["is_archived"]) == (PAST, False)


# Importers


def test_a_session_that_a_context_named_is_filled_in_by_its_own_export(orchestrator: MemoryOrchestrator) -> None:
    contexts = Intake(orchestrator, "contextual_memory_pc2")
    contexts.take(1, {"context_id": "c", "session_id": "s", "context_data": "hall", "tags": ["a", "a", "b"]})
    assert contexts.finish().counts["memory_tags"] == 2
    record = {
        "session_id": "s", "user_id": "ada", "session_data": {"device": "lamp"}, "session_summary": "about light",
        "created_at": (PAST - timedelta(days=1)).isoformat(), "last_interaction": PAST.isoformat(), "conversation_history": ["on"],
    }  # fmt: skip
    sessions = Intake(orchestrator, "session_memory_agent")
    sessions.take(1, record)
    report = sessions.finish()
    row = orchestrator.get_session("s") or {}
    assert (row["user_id"], row["metadata"], row["summary"]) == ("ada", {"device": "lamp"}, "about light")
    assert (row["created_at"], row["updated_at"]) == (PAST - timedelta(days=1), PAST)
    assert (report.completed, report.unchanged, report.counts["sessions"]) == (1, 0, 0)
    again = Intake(orchestrator, "session_memory_agent")
    again.take(1, record)
    assert (again.finish().completed, orchestrator.get_session("s")) == (0, row)


# The access log


def test_every_call_on_a_memory_is_in_the_log_with_session_agent_and_address(memory: Memory) -> None:
    with MemoryOrchestrator(memory, ip_address="192.0.2.9") as one:
        for session in ("s", "t"):
            one.create_session(session)
        one.create_memories(
            {"memory_id": f"m-{session}", "memory_type": "context", "content": {"text": "secret tea"}, "session_id": session}
            for session in ("s", "t")
        )  # fmt: skip
        one.add_tag("m-s", "secret")
        with pytest.raises(Conflict):
            one.add_tag("m-s", "secret")
        one.remove_tag("m-s", "secret")
        one.add_embedding("m-s", [1, 2], "own-log")
        one.add_relationship("m-s", "m-t", "reply")
        one.get_relationships("m-s")
        one.list_memories(session_id="s", agent_id="lister")
        one.delete_memory("m-s")
        one.restore_memory("m-s", agent_id="keeper")
        one.delete_session("s")
        rows = one.access_log("m-s")
        told = [(row["operation"], row["success"]) for row in reversed(rows)]
        assert told == [
            ("create", True), ("update", True), ("update", False), ("update", True), ("update", True), ("update", True),
            ("read", True), ("search", True), ("delete", True), ("update", True), ("delete", True),
        ]  # fmt: skip
        assert {row["ip_address"] for row in rows} == {"192.0.2.9"}
        assert [row["session_id"] for row in one.access_log("m-t", operation="create")] == ["t"]
        assert "secret" not in str(rows)
        numbers = [row["log_id"] for row in rows]
        assert numbers == sorted(numbers, reverse=True)
        assert [row["log_id"] for row in one.access_log("m-s", before=numbers[2], limit=2)] == numbers[3:5]


def test_the_log_of_a_deleted_memory_is_not_that_of_another_of_its_name(
    orchestrator: MemoryOrchestrator, memory: Memory
) -> None:
    memory.create_entities([EntityInput("m", "note", ["another m"])])
    orchestrator.create_memory({"text": "x"}, "context", memory_id="m")
    orchestrator.delete_memory("m")
    assert [row["operation"] for row in orchestrator.access_log("m")] == ["delete", "create"]
    orchestrator.log_access("read", "m", agent_id="late")
    assert [row["agent_id"] for row in orchestrator.access_log("m", operation="read")] == ["late"]
