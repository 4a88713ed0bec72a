"""A connection that is confined to spaces sees, changes and learns of nothing beyond them, whatever it says on the wire."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from enhanced_memory.client.request import REQUESTS
from enhanced_memory.daemon.confinement import BEYOND, WITHIN

_numbers = itertools.count(1)

SECRET = "what nobody else may see"


def entity(name: str, *said: str) -> dict[str, Any]:
    return {"name": name, "type": "t", "observations": list(said)}


class Places(NamedTuple):
    mine: str
    theirs: str


@pytest.fixture
def places() -> Places:
    """Two spaces of this test's own."""
    number = next(_numbers)
    return Places(f"mine {number}", f"theirs {number}")


@pytest.fixture
def theirs(house: Any, places: Places) -> int:
    """Somebody else's space with an entity, a relation and messages in it; the entity's id."""
    peer = house.peer(space=places.theirs)
    made = peer.ask("create_entities", entities=[entity("secret", SECRET), entity("other")])["ok"]["results"]
    peer.ask("create_relations", relations=[{"from": "secret", "to": "other", "type": "hides"}])
    peer.ask("append_messages", stream="diary", messages=[{"content": SECRET}])
    return int(made[0]["id"])


@pytest.fixture
def confined(house: Any, places: Places, theirs: int) -> Any:
    peer = house.peer(space=places.mine, behalf={"user": "ada", "spaces": [places.mine]})
    assert "ok" in peer.ask("create_entities", entities=[entity("own", "seen")])
    return peer


def denied(answer: dict[str, Any]) -> bool:
    return bool(answer.get("error", {}).get("code") == "denied")


def test_every_operation_is_said_to_be_within_or_beyond() -> None:
    """A new operation must be put into one of the two lists: until then a confined connection is refused it."""
    operations = {op for op, request in REQUESTS.items() if request.__module__.startswith("enhanced_memory.")}
    assert operations - WITHIN - BEYOND == set()
    assert set() == WITHIN & BEYOND
    assert (WITHIN | BEYOND) - operations == set()


BEYOND_ARGUMENTS: dict[str, dict[str, Any]] = {
    "create_space": {"name": "x", "parent": "default"},
    "update_space": {"name": "default", "metadata": {"mirror": "/tmp/x.json"}},
    "delete_space": {"name": "x"},
    "backup": {"to": "/tmp/x"},
    "import_data": {"records": []},
    "memory_branch": {"name": "x", "parent": "default"},
    "diff_branch": {"branch": "x"},
    "merge_branch": {"branch": "x"},
    "discard_branch": {"branch": "x"},
}


@pytest.mark.parametrize("op", sorted(BEYOND))
def test_what_reaches_beyond_is_refused(confined: Any, op: str) -> None:
    assert denied(confined.ask(op, **BEYOND_ARGUMENTS.get(op, {})))


def test_a_conflict_is_not_set_apart_in_a_branch(confined: Any) -> None:
    assert denied(confined.ask("resolve_conflict", conflict=1, action="branch"))


def test_no_other_space_can_be_switched_to_nor_is_it_told_which_there_are(confined: Any, places: Places) -> None:
    for space in (places.theirs, "default", "nowhere"):
        answer = confined.ask("switch", space=space)
        assert denied(answer)
        assert answer["error"]["message"] == f"This connection may not work in {space!r}."
    assert "ok" in confined.ask("switch", space=places.mine)


WIDENING: dict[str, Callable[[Places], dict[str, Any]]] = {
    "another space": lambda at: {"space": at.theirs},
    "a confinement to another": lambda at: {"space": at.theirs, "behalf": {"spaces": [at.theirs]}},
    "a confinement to both": lambda at: {"space": at.theirs, "behalf": {"spaces": [at.theirs, at.mine]}},
    "a parent": lambda at: {"space": at.mine, "parent": at.theirs},
    "a parent and both": lambda at: {
        "space": at.mine, "parent": at.theirs, "behalf": {"spaces": [at.mine, at.theirs]}
    },
    "no confinement": lambda _: {"behalf": {"spaces": []}},
}  # fmt: skip


@pytest.mark.parametrize("how", WIDENING)
def test_a_second_greeting_widens_nothing(confined: Any, places: Places, how: str) -> None:
    assert denied(confined.ask("hello", **WIDENING[how](places)))
    assert [one["name"] for one in confined.ask("list_entities")["ok"]["entities"]] == ["own"]
    assert denied(confined.ask("switch", space=places.theirs))


def test_a_second_greeting_may_narrow(house: Any) -> None:
    peer = house.peer(space="one", behalf={"spaces": ["one", "two"]})
    peer.ask("create_entities", entities=[entity("x")])
    assert "ok" in peer.ask("hello", space="two", behalf={"spaces": ["two"]})
    assert denied(peer.ask("switch", space="one"))
    assert "ok" in peer.ask("hello", space="two")
    assert denied(peer.ask("switch", space="one"))


def test_a_greeting_in_a_space_that_it_does_not_name_is_refused(house: Any, places: Places) -> None:
    """Also the first one; and then nothing further can be asked."""
    peer = house.peer(greeted=False)
    assert denied(peer.ask("hello", space=places.theirs, behalf={"spaces": [places.mine]}))
    assert denied(peer.ask("read_graph"))


def test_an_id_from_another_space_leads_nowhere(confined: Any, theirs: int) -> None:
    """Ids are one row of numbers for the whole store, and easily guessed."""
    for op, args in (
        ("open_nodes", {"names": [theirs, "secret"]}),
        ("memory_history", {"entity": theirs}),
        ("add_observations", {"observations": [{"entity": theirs, "contents": ["x"]}]}),
        ("update_entity", {"entity": theirs, "tier": "semantic"}),
        ("rename_entity", {"entity": theirs, "name": "taken"}),
        ("delete_entities", {"entities": [theirs]}),
        ("purge_entities", {"entities": [theirs]}),
        ("restore_entities", {"entities": [theirs]}),
        ("tag", {"entities": [theirs], "tags": ["x"]}),
        ("pin", {"entities": [theirs]}),
        ("confirm", {"entities": [theirs]}),
        ("quarantine", {"entities": [theirs]}),
        ("recent_messages", {"stream": theirs}),
        ("messages_by", {"stream": theirs}),
        ("get_window", {"stream": theirs}),
        ("append_messages", {"stream": theirs, "messages": [{"content": "x"}]}),
        ("subscribe", {"entities": [theirs]}),
        ("find_related", {"entity": theirs}),
        ("find_path", {"from": theirs, "to": "own"}),
        ("get_context", {"query": SECRET, "stream": theirs}),
        ("get_context", {"query": SECRET, "entities": [theirs]}),
        ("get_context", {"query": SECRET}),
        ("list_skills", {"names": [theirs]}),
        ("detect_conflicts", {"entities": [theirs]}),
        ("list_conflicts", {"entity": theirs}),
        ("resolve_conflict", {"conflict": 1, "action": "ignore"}),
        ("create_relations", {"relations": [{"from": theirs, "to": "own", "type": "x"}]}),
        ("memory_diff", {"entity": theirs, "from": 0, "to": 1}),
        ("memory_revert", {"entity": theirs, "to": 1}),
    ):
        answer = confined.ask(op, **args)
        assert SECRET not in str(answer), op
        assert "secret" not in str({**answer, "ok": {**answer.get("ok", {}), "missing": []}}), op


def test_what_others_hold_is_as_it_was_afterwards(house: Any, confined: Any, theirs: int, places: Places) -> None:
    for op in ("delete_entities", "purge_entities", "quarantine"):
        confined.ask(op, entities=[theirs])
    confined.ask("add_observations", observations=[{"entity": theirs, "contents": ["planted"]}])
    found = house.peer(space=places.theirs).ask("open_nodes", names=["secret"])["ok"]["entities"]
    assert [(one["name"], one["observations"]) for one in found] == [("secret", [SECRET])]


def test_changes_of_others_are_neither_told_nor_taken_back(
    house: Any, confined: Any, theirs: int, places: Places
) -> None:
    """Changes are one row of numbers for the whole store, too."""
    other = house.peer(space=places.theirs)
    assert "ok" in other.ask("memory_commit", name="a name of theirs")
    their_changes = [one["change"] for one in other.ask("journal")["ok"]["entries"]]
    assert len(their_changes) > 2
    assert {one["change"] for one in confined.ask("journal")["ok"]["entries"]}.isdisjoint(their_changes)
    for number in their_changes:
        for op in ("undo", "redo"):
            for dry_run in (True, False):
                answer = confined.ask(op, change=number, dry_run=dry_run)
                assert answer["error"]["code"] in ("conflict", "not_found"), (op, answer)
                assert SECRET not in str(answer)
        graph = confined.ask("graph_at", at=number)
        assert {one["name"] for one in graph.get("ok", {}).get("entities", [])} <= {"own"}
        assert "secret" not in str(graph)
    assert "a name of theirs" not in str(confined.ask("list_snapshots"))
    assert confined.ask("delete_snapshot", name="a name of theirs")["error"]["code"] == "not_found"
    assert [one["name"] for one in other.ask("list_snapshots")["ok"]["snapshots"]] == ["a name of theirs"]
    found = other.ask("open_nodes", names=["secret"])["ok"]["entities"]
    assert [one["observations"] for one in found] == [[SECRET]]


def test_a_confined_caller_takes_back_what_it_did_itself(confined: Any) -> None:
    confined.ask("add_observations", observations=[{"entity": "own", "contents": ["more"]}])
    assert "ok" in confined.ask("memory_commit", name="before")
    assert confined.ask("memory_diff", entity="own", **{"from": 1, "to": 2})["ok"]["added"] == ["more"]
    assert confined.ask("undo", dry_run=False)["ok"]["changes"]
    assert confined.ask("open_nodes", names=["own"])["ok"]["entities"][0]["observations"] == ["seen"]
    assert confined.ask("redo", dry_run=False)["ok"]["changes"]
    assert "ok" in confined.ask("memory_revert", entity="own", to=1)


def test_searches_find_nothing_of_others(confined: Any) -> None:
    for op in ("search_nodes", "search_messages", "search_streams"):
        answer = confined.ask(op, query=SECRET)["ok"]
        assert SECRET not in str(answer)


def test_the_status_tells_nothing_of_other_spaces(house: Any, confined: Any, places: Places) -> None:
    before = confined.ask("get_memory_status")["ok"]
    assert (before["total_entities"], before["entities"], before["relations"], before["messages"]) == (1, 1, 0, 0)
    assert (before["spaces"], before["changes"], before["versions"]) == (1, 1, 1)
    other = house.peer(space=places.theirs)
    other.ask("create_entities", entities=[entity(f"more {number}", "x" * 1000) for number in range(20)])
    other.ask("append_messages", stream="diary", messages=[{"content": "more"}] * 5)
    after = confined.ask("get_memory_status")["ok"]
    moving = {"uptime_s", "search"}
    assert {k: v for k, v in after.items() if k not in moving} == {k: v for k, v in before.items() if k not in moving}
    for hidden in ("store", "pid", "memory_mb", "connections", "requests", "file_bytes", "wal_bytes"):
        assert not after.get(hidden), hidden
    assert after.get("problems", []) == []
    assert "vectors" not in after["search"]
    # The same questions without confinement are answered in full.
    whole = other.ask("get_memory_status")["ok"]
    assert whole["total_entities"] > 20
    assert whole["store"]


def test_the_list_of_spaces_holds_its_own_without_what_is_noted_about_them(
    house: Any, confined: Any, places: Places
) -> None:
    house.peer().ask("update_space", name=places.mine, metadata={"imported": {"/home/somebody/file.json": {}}})
    [space] = confined.ask("list_spaces", deleted=True)["ok"]["spaces"]
    assert (space["name"], space.get("metadata", {})) == (places.mine, {})


def test_changes_of_others_are_not_told_of(house: Any, confined: Any, places: Places) -> None:
    assert "ok" in confined.ask("subscribe")
    house.peer(space=places.theirs).ask("create_entities", entities=[entity("unheard")])
    house.peer(space=places.mine).ask("create_entities", entities=[entity("heard")])
    event = confined.hear()
    assert (event["event"], event["space"]) == ("changed", places.mine)


def test_an_answer_kept_for_somebody_else_is_not_given_for_its_key(house: Any, confined: Any, places: Places) -> None:
    other = house.peer(space=places.theirs)
    key = {"key": "shared"}
    made = [entity("kept", SECRET)]
    first = other.ask("create_entities", beside=key, entities=made)["ok"]
    assert other.ask("create_entities", beside=key, entities=made)["ok"] == first
    again = confined.ask("create_entities", beside=key, entities=made)["ok"]
    assert (again["space"], again["results"][0]["action"]) == (places.mine, "created")
    assert confined.ask("create_entities", beside=key, entities=made)["ok"] == again


def test_a_reader_writes_no_file_either(house: Any, places: Places) -> None:
    peer = house.peer(space=places.mine, behalf={"scopes": ["read"]})
    assert denied(peer.ask("backup", to="/tmp/never.db"))
