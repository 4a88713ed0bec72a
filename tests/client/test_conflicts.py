"""Looking for conflicts through a daemon: given data, entities in the store, a whole space in the background."""

import math
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from enhanced_memory.client import AsyncMemory, Memory
from enhanced_memory.client.conflict_values import ConflictFound
from enhanced_memory.client.errors import Invalid, NotFound, TooLarge
from enhanced_memory.client.operations.conflicts import Scan
from enhanced_memory.client.operations.entities import ObservationsInput
from enhanced_memory.client.settings import PREFIX
from enhanced_memory.client.values import EntityInput


def person(name: str, *observations: str) -> EntityInput:
    return EntityInput(name, "person", list(observations))


def detected(memory: Memory, name: str, *observations: str, **more: Any) -> list[ConflictFound]:
    return memory.detect_conflicts(entities=[person(name, *observations)], **more).conflicts


def scanned(memory: Memory, **more: Any) -> Scan:
    """A scan that is over."""
    scan = memory.scan_conflicts(**more, wait_s=0.0)
    while scan.state == "running":
        scan = memory.scan_conflicts(start=False, wait_s=5.0)
    return scan


@pytest.fixture
def known(memory: Memory) -> Memory:
    """A memory of a few people."""
    memory.create_entities(
        [
            person("Ada", "Lives in Prague", "Speaks Czech", "Is vegan"),
            person("Jan Novak", "Drives a taxi in Ostrava"),
            EntityInput("Ada", "ship", ["Lives in Prague"], scope="ships"),
        ]
    )
    return memory


# Given data


def test_data_is_compared_in_the_guides_terms_and_nothing_is_written(known: Memory) -> None:
    before = known.get_memory_status().changes
    [found] = detected(known, "Somebody", "Is vegan", "Speaks Czech", "Lives in Prague")
    assert (found.existing_entity, found.conflict_type, found.confidence, found.suggested_action) == (
        "Ada",
        "duplicate",
        1.0,
        "merge",
    )
    assert found.existing_id == known.open_nodes(["Ada"]).entities[0].id
    [found] = detected(known, "Somebody", "Is vegan", "Speaks Czech", "Paints in oil")
    assert (found.conflict_type, found.suggested_action) == ("update", "update")
    assert detected(known, "Somebody", "Is vegan", "Speaks Czech", "Lives in Prague", threshold=1.0)[
        0
    ].conflict_type == ("update")
    assert known.get_memory_status().changes == before
    assert known.list_conflicts(status="any").conflicts == []


def test_a_contradiction_names_both_sentences(known: Memory) -> None:
    [found] = detected(known, "Ada", "Lives in Vienna")
    assert (found.conflict_type, found.existing_says, found.new_says) == (
        "contradiction",
        "Lives in Prague",
        "Lives in Vienna",
    )
    assert [one.conflict_type for one in detected(known, "ada", "Is not vegan")] == ["contradiction"]
    assert detected(known, "Ada", "Speaks German") == []
    assert detected(known, "Jan Nowak", "Lives in Warsaw") == []


def test_the_fifty_first_of_a_type_is_compared_like_the_first(memory: Memory) -> None:
    memory.create_entities(
        [person(f"Person {number}", f"Collects stamps of country {number}") for number in range(300)]
    )
    for number in (0, 51, 299):
        [found] = detected(memory, "Somebody", f"Collects stamps of country {number}")
        assert found.existing_entity == f"Person {number}"


def test_a_view_is_compared_with_what_it_sees(known: Memory) -> None:
    known.create_space("project", parent="default")
    known.switch("project")
    known.delete_entities(["Ada"])
    assert detected(known, "Ada", "Lives in Vienna") == []
    known.switch("default")
    assert len(detected(known, "Ada", "Lives in Vienna")) == 1


def test_entities_in_the_store_are_compared_with_others_and_themselves_but_never_found_as_their_own_double(
    known: Memory,
) -> None:
    assert known.detect_conflicts(stored=["Ada"]).conflicts == []
    known.add_observations([ObservationsInput("Ada", ["Lives in Vienna"])])
    [found] = known.detect_conflicts(stored=["Ada"]).conflicts
    assert (found.existing_says, found.new_says) == ("Lives in Prague", "Lives in Vienna")


def test_words_answer_where_there_is_no_model(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "EMBEDDER", "none")
    with Memory() as memory:
        memory.create_entities([person("Ada", "Lives in Prague")])
        found = memory.detect_conflicts(entities=[person("Ada", "Lives in Vienna")])
        assert [one.conflict_type for one in found.conflicts] == ["contradiction"]
        assert found.arms == ["names", "words"]
        assert scanned(memory).state == "done"


@pytest.mark.parametrize("threshold", [-0.01, 1.01, math.nan, math.inf, -math.inf, 85])
def test_a_threshold_outside_its_range_is_refused(known: Memory, threshold: float) -> None:
    with pytest.raises(Invalid, match="threshold"):
        detected(known, "Ada", "x", threshold=threshold)
    with pytest.raises(Invalid, match="threshold"):
        known.scan_conflicts(threshold=threshold)


def test_what_cannot_be_compared_is_refused_with_what_to_do(known: Memory) -> None:
    with pytest.raises(Invalid, match="nothing to compare"):
        known.detect_conflicts()
    with pytest.raises(Invalid, match="says nothing"):
        detected(known, "Ada")
    with pytest.raises(Invalid, match="name is empty"):
        detected(known, " ", "x")
    with pytest.raises(NotFound):
        known.detect_conflicts(stored=[12345])
    with pytest.raises(TooLarge):
        detected(known, "Ada", "x" * 1_000_001)
    with pytest.raises(Invalid, match="NUL"):
        detected(known, "Ada", "a\0b")


def test_an_observation_of_a_million_characters_is_compared_like_any_other(known: Memory) -> None:
    long = "A sentence about the sea. " * 38_000
    assert detected(known, "Ada", long) == []
    known.create_entities([person("Book", long)])
    assert [one.conflict_type for one in detected(known, "Copy", long)] == ["duplicate"]


@pytest.mark.parametrize("text", ['"', "name : x OR", "*", "NEAR(a b)", "-", "()", "日本語", "\u202e", "AND OR NOT"])
def test_no_text_is_an_operator(known: Memory, text: str) -> None:
    known.create_entities([person(f"called {text}", text, "and more")])
    assert isinstance(detected(known, text, text), list)


# A whole space


def test_a_scan_records_what_it_finds_once(known: Memory) -> None:
    known.create_entities([person("ADA", "Lives in Vienna"), person("Double", "Drives a taxi in Ostrava")])
    known.add_observations([ObservationsInput("Ada", ["Eats meat only", "Is not vegan"])])
    scan = scanned(known)
    assert (scan.state, scan.entities, scan.recorded) == ("done", 5, 3)
    found = {(one.entity, one.conflicting_entity, one.type) for one in known.list_conflicts().conflicts}
    assert found == {
        ("Ada", "Ada", "contradiction"),
        ("ADA", "Ada", "contradiction"),
        ("Jan Novak", "Double", "duplicate"),
    }
    again = scanned(known)
    assert (again.found, again.recorded) == (3, 0)


def test_what_was_resolved_comes_back_only_when_it_has_changed(known: Memory) -> None:
    known.create_entities([person("Double", "Drives a taxi in Ostrava")])
    scanned(known)
    [one] = known.list_conflicts().conflicts
    known.resolve_conflict(one.id, "ignore")
    assert scanned(known).recorded == 0
    known.tag(["Double"], ["seen"])
    assert scanned(known).recorded == 1


def test_what_many_share_says_nothing_about_two_of_them(memory: Memory) -> None:
    memory.create_entities([person(f"Person {number}", "Is a member") for number in range(100)])
    scan = scanned(memory)
    assert (scan.state, scan.entities, scan.pairs) == ("done", 100, 0)


def test_a_scan_can_be_looked_at_and_stopped_from_elsewhere(known: Memory) -> None:
    assert known.scan_conflicts(start=False).state == "none"
    assert known.scan_conflicts(stop=True).state == "none"
    known.scan_conflicts(wait_s=0.0)
    with Memory() as other:
        assert other.scan_conflicts(start=False, wait_s=10.0).state == "done"
        assert other.scan_conflicts(stop=True).state == "done"


def test_a_scan_stays_in_the_space_in_which_it_was_begun(known: Memory) -> None:
    known.create_space("other")
    known.create_entities([person("Double", "Drives a taxi in Ostrava")])
    known.scan_conflicts(wait_s=0.0)
    known.switch("other")
    assert known.scan_conflicts(start=False).state == "none"
    known.switch("default")
    while known.scan_conflicts(start=False, wait_s=5.0).state == "running":
        pass
    assert len(known.list_conflicts().conflicts) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_next_daemon_goes_on_with_a_scan_that_was_cut_short(memory: Memory, number: signal.Signals) -> None:
    memory.create_entities([person(f"P {at}", f"Owns boat {at}", f"Sails {at}") for at in range(3000)])
    memory.create_entities([person("Ada", "Lives in Prague", "Lives in Vienna")])
    assert memory.scan_conflicts(wait_s=0.0).state == "running"
    assert memory.welcome is not None
    os.kill(memory.welcome.pid, number)
    scan = memory.scan_conflicts(start=False)
    while scan.state == "running":
        scan = memory.scan_conflicts(start=False, wait_s=5.0)
    assert scan.state in ("done", "none")  # none: it was over before the daemon was
    assert [one.entity for one in memory.list_conflicts().conflicts] == ["Ada"]


async def test_both_faces_resolve_what_was_found(amemory: AsyncMemory) -> None:
    await amemory.create_entities([person("Ada", "Is vegan", "Paints"), person("Eve", "Paints", "Is vegan")])
    scan = await amemory.scan_conflicts(wait_s=10.0)
    assert scan.state == "done"
    [one] = (await amemory.list_conflicts()).conflicts
    done = await amemory.resolve_conflict(one.id, "merge", keep=one.entity_id)
    assert done.conflict.status == "merged"
    assert (await amemory.open_nodes(["Eve"])).missing == ["Eve"]


# While storing


@pytest.fixture
def watchful(home: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """A memory that looks before it stores."""
    monkeypatch.setenv(PREFIX + "CHECK_CONFLICTS", "true")
    with Memory() as memory:
        yield memory


def test_unless_told_to_nothing_is_looked_for(known: Memory) -> None:
    assert known.create_entities([person("ADA", "Lives in Vienna")]).conflicts == []


def test_answers_name_what_the_new_data_conflicts_with_and_store_it_all_the_same(watchful: Memory) -> None:
    assert watchful.create_entities([person("Ada", "Lives in Prague")]).conflicts == []
    [found] = watchful.create_entities([person("Ada", "Lives in Vienna")]).conflicts
    assert (found.conflict_type, found.existing_says, found.new_says) == (
        "contradiction",
        "Lives in Prague",
        "Lives in Vienna",
    )
    [found] = watchful.add_observations([ObservationsInput("Ada", ["Lives in Rome"])]).conflicts[:1]
    assert found.new_says == "Lives in Rome"
    assert watchful.open_nodes(["Ada"]).entities[0].observations == [
        "Lives in Prague",
        "Lives in Vienna",
        "Lives in Rome",
    ]


def test_saying_the_same_again_is_no_conflict_while_storing(watchful: Memory) -> None:
    watchful.create_entities([person("Ada", "Lives in Prague")])
    assert watchful.create_entities([person("Ada", "Lives in Prague")]).conflicts == []
    assert watchful.create_entities([person("Ada", "Lives in Prague", "Paints")]).conflicts == []


@pytest.mark.parametrize(
    "change",
    [
        lambda memory: memory.create_entities([person("", "x")]),
        lambda memory: memory.create_entities([person("Ada", "a\0b")]),
        lambda memory: memory.add_observations([ObservationsInput("nobody", ["x"])]),
    ],
    ids=["no-name", "nul", "nobody"],
)
def test_what_is_wrong_with_the_data_is_said_as_ever(watchful: Memory, change: Callable[[Memory], Any]) -> None:
    with pytest.raises((Invalid, NotFound)):
        change(watchful)
