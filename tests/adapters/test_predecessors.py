"""The exports of the orchestrator's predecessors: every field of the mapping arrives at its target, and nothing goes silently."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.adapters.orchestrator import MemoryOrchestrator
from enhanced_memory.client.adapters.predecessors import Intake, Report
from enhanced_memory.client.cli.__main__ import main
from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.settings import Settings

SOON = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)

SESSION: dict[str, Any] = {
    "session_id": "s-1",
    "user_id": "ada",
    "conversation_history": [
        {"role": "user", "text": "put the kettle on", "timestamp": "2025-01-01T10:00:00"},
        "it is on",
        {"role": "user", "content": "thanks"},
    ],
    "session_data": {"device": "kitchen"},
    "session_summary": "about tea",
    "created_at": "2025-01-01T09:59:00",
    "last_interaction": 1735725720,
    "colour": "red",
}
CONTEXT: dict[str, Any] = {
    "context_id": "ctx-1",
    "session_id": "s-9",
    "context_data": {"text": "the lamp is on", "room": "hall"},
    "embedding": [0.5, 0.5, 0.0],
    "created_at": "2025-02-02T00:00:00Z",
    "expires_at": SOON.isoformat(),
    "source_agent": "home",
    "tags": ["light", "hall"],
}
JARVIS: dict[str, Any] = {
    "user_id": "ada",
    "preferences": {"units": "metric"},
    "entity_knowledge": {"Zurich": {"text": "has a lake"}, "Bob": "is a friend"},
    "interaction_history": [{"text": "asked for the weather", "timestamp": "2025-03-03T00:00:00Z"}, "said hello"],
    "skill_states": {"timer": {"left": 30}, "music": "paused"},
}


@pytest.fixture
def orchestrator(memory: Memory) -> Iterator[MemoryOrchestrator]:
    with MemoryOrchestrator(memory, log_accesses=False) as made:
        yield made


@pytest.fixture
def taken(orchestrator: MemoryOrchestrator) -> Callable[..., Report]:
    def taken(source: str, *records: Any, model: str = "") -> Report:
        intake = Intake(orchestrator, source, model or f"{source} {orchestrator.memory.space}")
        for place, record in enumerate(records, 1):
            intake.take(place, record)
        return intake.finish()

    return taken


def test_every_field_of_a_session_arrives(taken: Callable[..., Report], orchestrator: MemoryOrchestrator) -> None:
    report = taken("session_memory_agent", SESSION)
    row = orchestrator.get_session("s-1") or {}
    assert row == {
        "session_id": "s-1", "user_id": "ada", "created_at": datetime(2025, 1, 1, 9, 59, tzinfo=UTC),
        "updated_at": datetime.fromtimestamp(1735725720, UTC), "ended_at": None, "metadata": {"device": "kitchen"},
        "summary": "about tea", "is_archived": False, "session_type": "conversation",
    }  # fmt: skip
    said = [orchestrator.get_memory(f"s-1:{number}") or {} for number in range(3)]
    assert [one["content"] for one in said] == [
        SESSION["conversation_history"][0],
        {"text": "it is on"},
        {"role": "user", "content": "thanks"},
    ]
    assert {one["memory_type"] for one in said} == {"conversation"}
    assert {one["session_id"] for one in said} == {"s-1"}
    assert said[0]["created_at"] == datetime(2025, 1, 1, 10, tzinfo=UTC)
    assert [one["memory_id"] for one in orchestrator.search("thanks")] == ["s-1:2"]
    assert (report.counts["sessions"], report.counts["memory_entries"], report.problems) == (1, 3, [])
    assert report.without_target == {"colour": 1}


def test_every_field_of_a_context_arrives(taken: Callable[..., Report], orchestrator: MemoryOrchestrator) -> None:
    model = f"voice {orchestrator.memory.space}"
    report = taken("contextual_memory_pc2", CONTEXT, model=model)
    row = orchestrator.get_memory("ctx-1") or {}
    del row["updated_at"]
    assert row == {
        "memory_id": "ctx-1", "session_id": "s-9", "memory_type": "context", "content": CONTEXT["context_data"],
        "text_content": "the lamp is on\nhall", "source_agent": "home", "created_at": datetime(2025, 2, 2, tzinfo=UTC),
        "expires_at": SOON, "priority": 5, "is_active": True, "tags": ["light", "hall"], "embedding_models": [model],
    }  # fmt: skip
    assert (orchestrator.get_session("s-9") or {})["session_type"] == "context"
    assert [one["memory_id"] for one in orchestrator.search(embedding=[1, 1, 0], model=model)] == ["ctx-1"]
    assert [one["memory_id"] for one in orchestrator.search(tags=["hall"])] == ["ctx-1"]
    assert report.counts == {
        "sessions": 1, "memory_entries": 1, "memory_tags": 2, "vector_embeddings": 1, "user_profiles": 0, "agent_states": 0,
    }  # fmt: skip


def test_every_field_of_a_user_arrives(taken: Callable[..., Report], orchestrator: MemoryOrchestrator) -> None:
    report = taken("jarvis_memory_pc2", JARVIS)
    assert (orchestrator.get_profile("ada") or {})["preferences"] == {"units": "metric"}
    entities = {one["memory_id"]: one["content"] for one in orchestrator.list_memories(memory_type="entity")}
    assert entities == {
        "ada:entity:Zurich": {"text": "has a lake"},
        "ada:entity:Bob": {"entity": "Bob", "text": "is a friend"},
    }
    said = {one["memory_id"]: one for one in orchestrator.list_memories(memory_type="interaction", tags=["user:ada"])}
    assert {name: one["content"]["text"] for name, one in said.items()} == {
        "ada:interaction:0": "asked for the weather", "ada:interaction:1": "said hello",
    }  # fmt: skip
    assert said["ada:interaction:0"]["created_at"] == datetime(2025, 3, 3, tzinfo=UTC)
    assert (orchestrator.get_agent_state("ada/timer") or {})["state_data"] == {"left": 30}
    assert (orchestrator.get_agent_state("ada/music") or {})["state_data"] == {"value": "paused"}
    assert (report.counts["user_profiles"], report.counts["memory_entries"], report.counts["agent_states"]) == (1, 4, 2)


@pytest.mark.parametrize(
    ("source", "record"),
    [("session_memory_agent", SESSION), ("contextual_memory_pc2", CONTEXT), ("jarvis_memory_pc2", JARVIS)],
    ids=["session", "context", "jarvis"],
)
def test_taking_an_export_in_twice_adds_nothing(
    taken: Callable[..., Report], memory: Memory, source: str, record: dict[str, Any]
) -> None:
    taken(source, record)
    before = [(one.id, one.version) for one in memory.list_entities(limit=1000).entities]
    report = taken(source, record, record)
    assert report.counts["memory_entries"] == 0
    assert report.unchanged > 0
    assert [(one.id, one.version) for one in memory.list_entities(limit=1000).entities] == before


def test_what_cannot_be_used_is_named_and_costs_no_other(
    taken: Callable[..., Report], orchestrator: MemoryOrchestrator
) -> None:
    report = taken(
        "contextual_memory_pc2",
        {"context_id": "a", "context_data": "plain words"},
        {"context_data": "no id"},
        "no object",
        {"context_id": "b", "context_data": {"text": "x"}, "created_at": "yesterday"},
        {"context_id": "c", "context_data": {"text": "x\0"}},
        {"context_id": "d", "context_data": {"text": "x"}, "embedding": [1, "two"]},
        {"context_id": "e", "context_data": {"text": "x"}, "tags": "none"},
        {"context_id": "f", "context_data": {"text": "over"}, "expires_at": "2020-01-01T00:00:00Z"},
        {"context_id": "g", "context_data": {"text": "good"}},
    )
    assert [one.record for one in report.problems] == [2, 3, 4, 5, 6, 7]
    assert "context_id" in report.problems[0].reason
    assert (report.records, report.expired, report.counts["memory_entries"]) == (9, 1, 2)
    assert sorted(one["memory_id"] for one in orchestrator.list_memories()) == ["a", "g"]
    assert (orchestrator.get_memory("a") or {})["content"] == {"text": "plain words"}


def test_more_than_a_batch_is_taken_in(taken: Callable[..., Report], orchestrator: MemoryOrchestrator) -> None:
    history: list[Any] = [{"text": f"line {number}"} for number in range(1100)]
    history[700] = {"text": "bad\0"}
    report = taken("session_memory_agent", {"session_id": "long", "conversation_history": history})
    assert report.counts["memory_entries"] == 1099
    assert [one.record for one in report.problems] == [1]


def test_a_source_that_nobody_knows_is_refused(orchestrator: MemoryOrchestrator) -> None:
    with pytest.raises(Invalid, match="jarvis_memory_pc2"):
        Intake(orchestrator, "elsewhere")


# memoryctl


FORMS: dict[str, Callable[[list[Any]], str]] = {
    "a list": json.dumps,
    "a record a line": lambda records: "\n".join(map(json.dumps, records)) + "\n",
    "a list in an object": lambda records: json.dumps({"contexts": records}, indent=2),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_memoryctl_takes_an_export_in_and_reports(
    served: Settings,
    memory: Memory,
    tmp_path: Path,
    form: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = [CONTEXT | {"context_id": "one"}, {"context_data": "no id"}]
    (tmp_path / "export.json").write_text(FORMS[form](records))
    monkeypatch.setenv("ENHANCED_MEMORY_STORE", served.store)
    monkeypatch.setenv("ENHANCED_MEMORY_SOCKET", served.socket)
    given = ["--json", "--space", memory.space, "import", str(tmp_path / "export.json")]
    with pytest.raises(SystemExit) as left:
        main([*given, "--from", "contextual_memory_pc2", "--embedding-model", f"cli {memory.space}"])
    told = json.loads(capsys.readouterr().out)
    assert left.value.code == 1
    assert (told["records"], told["counts"]["memory_entries"], [one["record"] for one in told["problems"]]) == (
        2,
        1,
        [2],
    )
    assert memory.open_nodes(["one"]).entities[0].properties["embedding_models"] == [f"cli {memory.space}"]
