"""The exports of the orchestrator's three predecessors, taken in by the mapping tables, with a report of what became of each field.

An export is records as their tables had them. Ids are made of what a record has, so that taking a file in twice adds nothing.
What has no target is named in the report; nothing is left out silently.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from enhanced_memory.client.adapters.orchestrator import BATCH, MemoryOrchestrator
from enhanced_memory.client.errors import Conflict, Invalid, NotFound, Refused

__all__ = ["SOURCES", "Intake", "Report"]

TABLES = ("sessions", "memory_entries", "memory_tags", "vector_embeddings", "user_profiles", "agent_states")


@dataclass
class Problem:
    """A record that was not taken in, or not whole, and why."""

    record: int
    reason: str


@dataclass
class Report:
    """What became of an export."""

    source: str
    records: int = 0
    """Records read."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    """Rows of each target that were written."""
    completed: int = 0
    """Sessions that were there already, and of which more is known now."""
    unchanged: int = 0
    """Sessions, memories and states that were there already and stay as they are."""
    expired: int = 0
    """Memories whose time was over, and which were left out for it."""
    without_target: dict[str, int] = field(default_factory=dict[str, int])
    """Fields that the mapping does not know, and in how many records each stood."""
    problems: list[Problem] = field(default_factory=list[Problem])


class Intake:
    """Takes in the records of one export. `embedding_model` names the model that its embeddings are of: no export says it."""

    def __init__(self, orchestrator: MemoryOrchestrator, source: str, embedding_model: str = "") -> None:
        if source not in SOURCES:
            raise Invalid(f"There is no mapping from {source[:100]!r}.", f"use {', '.join(SOURCES)}")
        self._orchestrator = orchestrator
        self._model = embedding_model or source
        self._take, self._fields = SOURCES[source]
        self._met: set[str] = set()
        self._waiting: list[tuple[int, dict[str, Any]]] = []
        self._left = Counter[str]()
        self.report = Report(source)

    def take(self, place: int, record: Any) -> None:
        """Take in one record; `place` is where it stands, to be named if it cannot be used."""
        self.report.records += 1
        if not isinstance(record, dict):
            self.problem(place, "it is no object")
            return
        said = cast("dict[str, Any]", record)
        self._left.update(key for key in said if key not in self._fields)
        try:
            self._take(self, place, said)
        except (Refused, Conflict, NotFound) as problem:
            self.problem(place, problem.message)
        except (TypeError, ValueError, OverflowError) as problem:
            self.problem(place, str(problem) or type(problem).__name__)

    def problem(self, place: int, reason: str) -> None:
        """Name a record that cannot be used."""
        self.report.problems.append(Problem(place, reason))

    def finish(self) -> Report:
        """Write what waits; the report."""
        self._write()
        self._orchestrator.accesses.flush()
        self.report.without_target = dict(sorted(self._left.items()))
        self.report.problems.sort(key=lambda one: one.record)
        return self.report

    # Targets

    def session(self, name: str, **columns: Any) -> None:
        """Make a session, or fill in what is not known of it yet."""
        if self._orchestrator.get_session(name) is None:
            self._orchestrator.create_session(name, **columns)
            self.report.counts["sessions"] += 1
        elif self._orchestrator.complete_session(name, **columns):
            self.report.completed += 1
        else:
            self.report.unchanged += 1

    def met(self, name: str) -> None:
        """Make a session of which nothing is known but that a memory is of it, unless there is one."""
        if name in self._met:
            return
        if self._orchestrator.get_session(name) is None:
            self._orchestrator.create_session(name, session_type="context")
            self.report.counts["sessions"] += 1
        else:
            self.report.unchanged += 1
        self._met.add(name)

    def memory(self, place: int, **columns: Any) -> None:
        """Let a memory wait to be written with others."""
        ends = columns.get("expires_at")
        if ends is not None and ends <= datetime.now(UTC):
            self.report.expired += 1
            return
        self._waiting.append((place, columns))
        if len(self._waiting) >= BATCH:
            self._write()

    def profile(self, user: str, preferences: Any, data: dict[str, Any]) -> None:
        """Make or complete a user's profile."""
        self._orchestrator.save_profile(user, profile_data=data or None, preferences=_document(preferences, "value"))
        self.report.counts["user_profiles"] += 1

    def state(self, agent: str, state: Any) -> None:
        """Keep an agent's state outside of any session."""
        said = _document(state, "value") or {}
        known = self._orchestrator.get_agent_state(agent)
        if known is not None and known["state_data"] == said:
            self.report.unchanged += 1
            return
        self._orchestrator.save_agent_state(agent, said)
        self.report.counts["agent_states"] += 1

    @property
    def model(self) -> str:
        """The model that embeddings are of."""
        return self._model

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._write_some(waiting)

    def _write_some(self, waiting: list[tuple[int, dict[str, Any]]]) -> None:
        try:
            there = self._orchestrator.known_memories([columns["memory_id"] for _, columns in waiting])
            fresh = [(place, columns) for place, columns in waiting if columns["memory_id"] not in there]
            if fresh:
                self._orchestrator.create_memories([columns for _, columns in fresh], kept_elsewhere=True)
        except (Refused, Conflict, NotFound) as problem:
            # Nothing of a refused batch stands. Halving it finds the record that cannot be taken.
            if len(waiting) == 1:
                self.problem(waiting[0][0], problem.message)
                return
            half = len(waiting) // 2
            self._write_some(waiting[:half])
            self._write_some(waiting[half:])
            return
        counts = self.report.counts
        self.report.unchanged += len(waiting) - len(fresh)
        counts["memory_entries"] += len(fresh)
        counts["memory_tags"] += sum(len(columns.get("tags") or ()) for _, columns in fresh)
        counts["vector_embeddings"] += sum(len(columns.get("embeddings") or ()) for _, columns in fresh)


def _session_memory_agent(intake: Intake, place: int, record: Mapping[str, Any]) -> None:
    name = _named(record, "session_id")
    history: list[Any] = _listed(record, "conversation_history")
    intake.session(
        name,
        user_id=record.get("user_id"),
        session_type="conversation",
        metadata=_document(record.get("session_data"), "value"),
        summary=record.get("session_summary"),
        created_at=_time(record, "created_at"),
        updated_at=_time(record, "last_interaction"),
    )
    for number, one in enumerate(history):
        said = _document(one, "text") or {}
        when = next((_time(said, key) for key in ("timestamp", "created_at") if said.get(key) is not None), None)
        intake.memory(
            place,
            memory_id=f"{name}:{number}",
            session_id=name,
            memory_type="conversation",
            content=said,
            created_at=when,
        )


def _contextual_memory(intake: Intake, place: int, record: Mapping[str, Any]) -> None:
    name = _named(record, "context_id")
    session = record.get("session_id")
    embedding: Any = record.get("embedding")
    given: dict[str, Any] = {
        "memory_id": name,
        "session_id": None if session is None else str(session),
        "memory_type": "context",
        "content": _document(record.get("context_data"), "text") or {},
        "source_agent": record.get("source_agent"),
        "created_at": _time(record, "created_at"),
        "expires_at": _time(record, "expires_at"),
        "tags": list(dict.fromkeys(str(tag) for tag in _listed(record, "tags"))),
        "embeddings": None if not embedding else {intake.model: [float(one) for one in embedding]},
    }
    if session is not None:
        intake.met(str(session))
    intake.memory(place, **given)


def _jarvis_memory(intake: Intake, place: int, record: Mapping[str, Any]) -> None:
    user = _named(record, "user_id")
    mine = [f"user:{user}"]
    knowledge, history, skills = (
        list(_keyed(record, key)) for key in ("entity_knowledge", "interaction_history", "skill_states")
    )
    intake.profile(user, record.get("preferences"), {})
    for kind, items in (("entity", knowledge), ("interaction", history)):
        for key, one in items:
            said = _document(one, "text") or {}
            if kind == "entity" and not isinstance(one, dict):
                said = {"entity": key} | said
            when = next((_time(said, name) for name in ("timestamp", "created_at") if said.get(name) is not None), None)
            intake.memory(
                place, memory_id=f"{user}:{kind}:{key}", memory_type=kind, content=said, tags=mine, created_at=when
            )
    for key, one in skills:
        intake.state(f"{user}/{key}", one)


Source = tuple[Callable[[Intake, int, Mapping[str, Any]], None], frozenset[str]]

SOURCES: dict[str, Source] = {
    "session_memory_agent": (
        _session_memory_agent,
        frozenset(
            (
                "session_id",
                "user_id",
                "conversation_history",
                "session_data",
                "session_summary",
                "created_at",
                "last_interaction",
            )
        ),
    ),
    "contextual_memory_pc2": (
        _contextual_memory,
        frozenset(
            (
                "context_id",
                "session_id",
                "context_data",
                "embedding",
                "created_at",
                "expires_at",
                "source_agent",
                "tags",
            )
        ),
    ),
    "jarvis_memory_pc2": (
        _jarvis_memory,
        frozenset(("user_id", "preferences", "entity_knowledge", "interaction_history", "skill_states")),
    ),
}
"""The predecessors by their names: what takes in a record of each, and the fields that have a target."""


def _named(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if value is None or isinstance(value, dict | list) or not str(value).strip():
        raise Invalid(f"{key} is missing.")
    return str(value)


def _document(value: Any, key: str) -> dict[str, Any] | None:
    """A value as a JSON object; what is none stands under `key` in one."""
    if value is None or isinstance(value, dict):
        return cast("dict[str, Any] | None", value)
    return {key if isinstance(value, str) or key != "text" else "value": value}


def _listed(record: Mapping[str, Any], key: str) -> list[Any]:
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid(f"{key} is no list.")
    return cast("list[Any]", value)


def _keyed(record: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    """The items of a map or of a list, each with a name: its key, what it calls itself, or its place."""
    value = record.get(key)
    if value is None:
        return
    if isinstance(value, dict):
        yield from cast("dict[str, Any]", value).items()
        return
    for number, one in enumerate(_listed(record, key)):
        said = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
        name = next((said[what] for what in ("id", "agent_id", "skill", "name", "entity") if said.get(what)), number)
        yield str(name), one


def _time(record: Mapping[str, Any], key: str) -> datetime | None:
    """A time as text or in seconds since 1970; without a zone it is UTC."""
    value = record.get(key)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            when = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            when = datetime.fromtimestamp(value, UTC)
        else:
            raise ValueError
    except (ValueError, OverflowError, OSError):
        raise Invalid(f"{key} is no time: {str(value)[:60]!r}.", "write it as 2026-11-20T08:00:00Z") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
