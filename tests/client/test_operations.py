"""Every operation over a real socket, with both clients."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import errors
from enhanced_memory.client.operations import Operations
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    ObservationsDeletion,
    ObservationsInput,
    OpenNodes,
)
from enhanced_memory.client.operations.facts import FactInput
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.operations.service import AccessInput, Ping
from enhanced_memory.client.request import method
from enhanced_memory.client.values import EntityInput, Filter, MessageInput, ObservationInput, RelationInput

from ..databases import url_of

Call = Callable[..., Any]
Face = Callable[..., Any]


def entities(call: Call, home: Path) -> None:
    ada = EntityInput("Ada", "person", ["writes programs"], {"born": 1815}, ["history"])
    made = call("create_entities", [ada, EntityInput("Bob", "person")])
    assert [(one.id, one.action) for one in made.results] == [(1, "created"), (2, "created")]
    added = call(
        "add_observations", [ObservationsInput("Ada", ["likes tea", ObservationInput("plays chess", confidence=0.5)])]
    )
    assert added.results[0].added == ["likes tea", "plays chess"]
    assert call("update_entity", 1, properties={"born": 1816}, priority=9).version == 3
    assert call("rename_entity", 2, "Robert").name == "Robert"
    call("tag", ["Ada", 2], ["pioneer"])
    call("untag", [2], ["pioneer"])
    call("pin", ["Ada"])
    call("confirm", ["Ada"])
    call("quarantine", ["Robert"])
    call("delete_observations", [ObservationsDeletion("Ada", ["likes tea", 77])])
    (found,) = call("open_nodes", ["Ada"], details=True).entities
    assert (found.observations, found.properties, found.tags) == (
        ["writes programs", "plays chess"],
        {"born": 1816},
        ["history", "pioneer"],
    )
    assert (found.priority, found.always_include, found.last_confirmed is not None) == (9, True, True)
    assert [one.confidence for one in found.details] == [None, 0.5]
    listed = call("list_entities", tags=["pioneer"], where=[Filter("born", at_least=1800)], order_by="property:born")
    assert [one.name for one in listed.entities] == ["Ada"]
    assert call("delete_entities", ["Robert", "Nobody"]).missing == ["Nobody"]
    assert [one.name for one in call("list_entities", deleted=True).entities] == ["Robert"]
    assert call("restore_entities", [2]).results[0].name == "Robert"
    receipt = call("purge_entities", [2], confirm=True)
    assert (receipt.ids, receipt.removed["entities"]) == ([2], 1)
    history = call("memory_history", "Ada")
    assert [one.version for one in history.versions] == list(range(history.versions[0].version, 0, -1))


def relations(call: Call, home: Path) -> None:
    call("create_entities", [EntityInput("A", "t"), EntityInput("B", "t")])
    edge = RelationInput("A", "B", "knows", 0.5, {"since": 1990})
    assert len(call("create_relations", [edge]).created) == 1
    assert len(call("create_relations", [edge]).existing) == 1
    graph = call("read_graph")
    assert [(one.from_, one.to, one.type, one.strength, one.metadata) for one in graph.relations] == [
        ("A", "B", "knows", 0.5, {"since": 1990})
    ]
    assert [(one.entity.name, one.distance) for one in call("find_related", "A", types=["knows"]).found] == [("B", 1)]
    path = call("find_path", "B", "A")
    assert ([one.name for one in path.entities], [one.type for one in path.relations]) == (["B", "A"], ["knows"])
    assert call("delete_relations", [edge]).removed == 1


def spaces(call: Call, home: Path) -> None:
    assert call("create_space", "project", parent="default").parent == "default"
    assert call("switch", "project").name == "project"
    assert call("list_spaces").current == "project"
    assert call("create_entities", [EntityInput("here", "t")]).space == "project"
    call("switch", "default")
    assert call("open_nodes", ["here"]).missing == ["here"]
    assert call("update_space", "project", {"owner": "Ada"}).metadata == {"owner": "Ada"}
    assert call("delete_space", "project").deleted


def branches(call: Call, home: Path) -> None:
    call("create_entities", [EntityInput("Ada", "person", ["tea"], {"n": 1}), EntityInput("Bob", "person")])
    made = call("memory_branch", "what/if", message="why not")
    assert (made.parent, made.pinned_at is not None, made.message) == ("default", True, "why not")
    assert call("memory_branch", "of Bob", entity="Bob").entity_name == "Bob"
    assert [one.name for one in call("list_branches", limit=1).branches] == ["what/if"]
    assert call("switch", "what/if").kind == "branch"
    call("add_observations", [ObservationsInput("Ada", ["rum"])])
    call("update_entity", "Ada", properties={"n": 2})
    (one,) = call("diff_branch").entities
    assert (one.action, one.observations_added) == ("changed", ["rum"])
    assert [(part.part, part.before, part.after) for part in one.changed] == [("property:n", 1, 2)]
    call("switch", "default")
    call("update_entity", "Ada", properties={"n": 3})
    assert call("merge_branch", "what/if", dry_run=True).open == 1
    merged = call("merge_branch", "what/if")
    (clash,) = merged.conflicts
    assert (clash.part, clash.base, clash.ours, clash.theirs, clash.settled) == ("property:n", 1, 3, 2, "")
    assert call("merge_branch", "what/if", strategy="theirs").settled == 1
    (found,) = call("open_nodes", ["Ada"]).entities
    assert (found.observations, found.properties) == (["tea", "rum"], {"n": 2})
    assert call("discard_branch", "what/if").deleted
    assert [one.name for one in call("list_branches").branches] == ["of Bob"]


def streams(call: Call, home: Path) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [
        MessageInput(f"line {n}", kind="action" if n % 2 else "dialogue", tick=n, at=at + timedelta(seconds=n))
        for n in range(10)
    ]
    appended = call("append_messages", "talk", lines)
    assert appended.ids == list(range(1, 11))
    assert [one.content for one in call("recent_messages", "talk", limit=2).messages] == ["line 8", "line 9"]
    assert [one.tick for one in call("messages_by", "talk", tick_from=3, tick_to=6, kinds=["action"]).messages] == [
        3,
        5,
    ]
    assert call("messages_by", "talk", since=at + timedelta(seconds=9)).messages[0].at == at + timedelta(seconds=9)
    assert [one.content for one in call("get_window", "talk", messages=3).messages] == ["line 7", "line 8", "line 9"]
    hits = call("search_messages", "line", stream="talk", limit=3, count=True, explain=True)
    assert (len(hits.hits), hits.total) == (3, 10)
    assert all({"words", "fused"} <= hit.explained.keys() for hit in hits.hits)
    assert [(one.name, one.messages) for one in call("search_streams", "line").hits] == [("talk", 10)]
    context = call("get_context", "line", stream="talk", recent=2, tokens=500)
    assert [one.text for one in context.items if one.part == "recent"] == ["line 8", "line 9"]
    assert context.tokens <= 500


def search(call: Call, home: Path) -> None:
    call(
        "create_entities",
        [EntityInput("tea", "drink", ["made of leaves"]), EntityInput("coffee", "drink", ["made of beans"])],
    )
    assert [one.entity.name for one in call("search_nodes", "leaves").hits] == ["tea"]
    assert call("search_nodes", "coffee").hits[0].entity.name == "coffee"


def service(call: Call, home: Path) -> None:
    assert call("hello").protocol == 1
    assert abs(call("ping").at - datetime.now(UTC)) < timedelta(minutes=1)
    call("create_entities", [EntityInput("kept", "t", ["x"])])
    status = call("get_memory_status")
    assert (status.state, status.total_entities) == ("ready", 1)
    if url_of(home / "memory.db") is None:  # a database is copied by its server's tools
        made = call("backup", str(home / "copy.db"))
        assert (Path(made.path).stat().st_size, made.entities) == (made.bytes, 1)
    assert call("verify").ok
    assert call("access_log").rows is not None
    assert call("note_access", [AccessInput("read", 1, agent="planner")]).rows == 1
    assert [row.origin.agent for row in call("access_log", entity=1).rows] == ["planner"]
    assert call("export_data", format="official").records[0]["name"] == "kept"
    record = {"type": "entity", "name": "brought", "entityType": "t", "observations": ["in"]}
    assert call("import_data", [record], format="official").counts["created"] == 1
    assert call("subscribe").change == call("unsubscribe").change
    assert call("reindex", "words").what == "words"


def conflicts(call: Call, home: Path) -> None:
    call("create_entities", [EntityInput("Ada", "person", ["Is vegan"]), EntityInput("Eve", "person", ["Is vegan"])])
    [found] = call("detect_conflicts", stored=["Eve"]).conflicts
    assert (found.existing_entity, found.conflict_type, found.confidence) == ("Ada", "duplicate", 1.0)
    scan = call("scan_conflicts", wait_s=20.0)
    assert (scan.state, scan.recorded) == ("done", 1)
    [one] = call("list_conflicts").conflicts
    assert (one.entity, one.conflicting_entity, one.status) == ("Ada", "Eve", "pending")
    done = call("resolve_conflict", one.id, "merge", notes="the same")
    assert (done.conflict.status, done.conflict.gone) == ("merged", [2])
    assert call("list_conflicts").conflicts == []


def skills(call: Call, home: Path) -> None:
    assert call("save_skill", "double", "result = context['n'] * 2", parameters={"n": 1}).action == "created"
    [one] = call("list_skills").skills
    assert (one.name, one.parameters) == ("double", {"n": 1})


def time(call: Call, home: Path) -> None:
    call("create_entities", [EntityInput("Ada", "person", ["first"])])
    taken = call("memory_commit", "then", message="why")
    assert (taken.name, taken.message) == ("then", "why")
    call("add_observations", [ObservationsInput("Ada", ["second"])])
    assert call("open_nodes", ["Ada"], at="then").entities[0].observations == ["first"]
    assert call("search_nodes", "Ada", at=taken.change).hits[0].entity.observations == ["first"]
    assert call("graph_at", "then").entities[0].observations == ["first"]
    found = call("memory_diff", "Ada", 1, 2, unified=True)
    assert (found.added, "+- second" in found.text, found.old.version) == (["second"], True, 1)
    entry = call("journal", of="Ada").entries[0]
    assert [(one.act, one.name, one.after) for one in entry.deeds] == [("update", "Ada", 2)]
    assert call("undo", entry.change).effects[0].removed == ["second"]
    assert call("undo", entry.change, dry_run=False).change == entry.change + 1
    assert call("redo", dry_run=False).changes == [entry.change]
    assert call("memory_revert", "Ada", 1).version == 5
    assert [one.name for one in call("list_snapshots").snapshots] == ["then"]
    assert call("delete_snapshot", "then").change == taken.change


def sessions(call: Call, home: Path) -> None:
    begun = call("start_session", "talk", session_type="support", user="ada", title="A talk")
    assert (begun.name, begun.session_type, begun.user) == ("talk", "support", "ada")
    call("append_messages", "talk", [MessageInput(f"line {number} about the lighthouse") for number in range(30)])
    call("set_retention", "talk", messages=10)
    assert call("archive_messages", "talk", everything=True).messages > 0
    assert "lighthouse" in call("keep_summary", "talk").text
    assert call("end_session", "talk").ended_at is not None
    assert call("archive_session", "talk").id == begun.id
    assert [one.name for one in call("list_sessions", status="archived").sessions] == ["talk"]
    assert call("delete_session", "talk").ids == [begun.id]


def facts(call: Call, home: Path) -> None:
    found = call("auto_extract_facts", "User: I prefer dark roast coffee. I live in Lisbon.", "s1")
    assert any("Lisbon" in one.text for one in found.facts)
    assert call("store_facts", [FactInput("plays the cello", "habit")]).facts
    assert call("summarize_entity", "user", chars=2000).lines == 3
    assert call("store_summary", "user", "Lives in Lisbon and plays the cello.").name


def care(call: Call, home: Path) -> None:
    call("create_entities", [EntityInput("Ada", "person", ["first"])])
    assert call("promote_to_tier", "Ada", "semantic").tier == "semantic"
    assert call("autonomous_curation").dry_run
    assert call("expire").count == 0
    assert call("health").ailments is not None
    assert "enhanced_memory" in call("metrics").text


def room(call: Call, home: Path) -> None:
    call("create_entities", [EntityInput("Ada", "person", ["first"]), EntityInput("Eve", "person", ["second"])])
    assert call("archive_entities", ["Ada"]).ids == [1]
    assert [one.name for one in call("list_archived").entities] == ["Ada"]
    assert call("open_nodes", ["Ada"]).missing == ["Ada"]
    assert call("vacuum").after > 0


CHAPTERS = [
    room,
    care,
    facts,
    sessions,
    time,
    skills,
    entities,
    relations,
    spaces,
    branches,
    streams,
    search,
    conflicts,
    service,
]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.__name__)
def test_a_chapter_does_what_it_says(face: Face, home: Path, chapter: Callable[[Call, Path], None]) -> None:
    chapter(face().call, home)


def test_no_operation_is_left_out(home: Path) -> None:
    source = Path(__file__).read_text()
    offered = {name for name, value in vars(Operations).items() if isinstance(value, method)}
    asked = {name for name in offered if re.search(rf'call\(\s*"{name}"', source)}
    assert offered - asked == set()


def test_two_thousand_mixed_requests_are_answered_each_in_its_place(face: Face) -> None:
    client = face()
    client.call("create_entities", [EntityInput("there", "t", ["a stone in the wall"])])
    asks: list[Any] = []
    for number in range(500):
        asks += [
            CreateEntities([EntityInput(f"n{number}", "t", [f"says {number}"])]),
            OpenNodes(["there"]),
            SearchNodes("stone"),
            Ping(),
        ]
    answers = client.send_all(asks, timeout_s=60)
    assert [one.results[0].name for one in answers[::4]] == [f"n{number}" for number in range(500)]
    assert {one.entities[0].name for one in answers[1::4]} == {"there"}
    assert {one.hits[0].entity.name for one in answers[2::4]} == {"there"}
    assert len({one.at for one in answers[3::4]}) > 1
    assert client.call("get_memory_status").total_entities == 501


def test_large_requests_with_larger_answers_do_not_lock_both_sides(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of both than the socket and the daemon's bounds hold: whoever only wrote, or only read, would wait for ever."""
    monkeypatch.setenv("ENHANCED_MEMORY_MAX_UNSENT_BYTES", "100000")
    client = face()
    client.call("create_entities", [EntityInput("large", "t", ["x" * 200_000])])
    padding = [f"{n}" * 50 for n in range(20)]
    answers = client.send_all([OpenNodes(["large", *padding]) for _ in range(300)], timeout_s=60)
    assert [len(one.entities[0].observations[0]) for one in answers] == [200_000] * 300


def test_one_request_that_cannot_be_sent_harms_no_other(face: Face) -> None:
    client = face()
    bad = EntityInput("bad", "t", properties={"thing": object()})
    asks: list[Any] = [Ping(), CreateEntities([bad]), CreateEntities([EntityInput("lone \ud800", "t")]), Ping()]
    answers = client.send_all(asks)
    assert [type(one).__name__ for one in answers] == ["Pong", "Invalid", "Invalid", "Pong"]


def test_one_request_that_cannot_be_read_harms_no_other(face: Face) -> None:
    client = face()
    bad = EntityInput("bad", "t", properties={"map": {1: 2}})
    answers = client.send_all([Ping(), CreateEntities([bad]), Ping()])
    assert [type(one).__name__ for one in answers] == ["Pong", "Invalid", "Pong"]


@pytest.mark.parametrize(
    "value", [object(), b"bytes", float("nan"), float("inf"), 2**64, -(2**63) - 1, 2**63, {1: 2}, {"deep": None}]
)
def test_what_is_not_plain_data_is_refused_and_nothing_is_kept(face: Face, value: Any) -> None:
    if value == {"deep": None}:
        for _ in range(400):
            value = {"deep": value}
    client = face()
    with pytest.raises(errors.Invalid):
        client.call("create_entities", [EntityInput("bad", "t", properties={"value": value})])
    with pytest.raises(errors.Invalid):
        client.call("append_messages", "stream", [MessageInput("hello", metadata={"value": value})])
    assert client.call("get_memory_status").total_entities == 0


def test_what_goes_round_in_a_circle_is_refused(face: Face) -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    with pytest.raises(errors.Invalid):
        face().call("create_entities", [EntityInput("bad", "t", properties=circle)])


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda call: call("open_nodes", "text, not a list"), errors.Invalid),
        (lambda call: call("rename_entity", "nobody", "somebody"), errors.NotFound),
        (lambda call: call("create_entities", [EntityInput("taken", "t")], on_existing="error"), errors.Conflict),
        (lambda call: call("purge_entities", ["taken"]), errors.Denied),
        (lambda call: call("create_entities", [EntityInput("n" * 3000, "t")]), errors.TooLarge),
    ],
    ids=["invalid", "not_found", "conflict", "denied", "too_large"],
)
def test_an_error_is_the_same_on_this_side_as_on_that(
    face: Face, ask: Callable[[Call], Any], kind: type[errors.Error]
) -> None:
    client = face()
    client.call("create_entities", [EntityInput("taken", "t")])
    with pytest.raises(errors.Error) as caught:
        ask(client.call)
    assert type(caught.value) is kind
    assert caught.value.code == kind.code
    assert caught.value.message
    assert caught.value.hint


def test_every_error_survives_the_wire() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if name[0].isupper()]
    for kind in kinds:
        told = errors.from_wire(kind("what", "do this").to_wire())
        assert (type(told), told.message, told.hint) == (kind, "what", "do this")


def test_a_misspelt_parameter_is_named(face: Face) -> None:
    heard: list[tuple[str, list[str]]] = []
    client = face(on_ignored=lambda op, names: heard.append((op, names)))
    given: Any = [{"name": "a", "type": "t", "observation": ["x"]}]
    client.call("create_entities", given)
    assert heard == [("create_entities", ["entities[0].observation"])]
