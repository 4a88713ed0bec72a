"""Branches in a running daemon: who hears of what, what is near in meaning, and the files that follow a space."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.entities import ObservationsInput
from enhanced_memory.client.values import EntityInput


def until(condition: Callable[[], bool], wait_s: float = 20.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def create(peer: Any, *names: str) -> dict[str, Any]:
    return peer.ask("create_entities", entities=[{"name": name, "type": "t"} for name in names])["ok"]


def test_a_branch_hears_of_its_own_changes_and_its_parent_of_a_merge(house: Any) -> None:
    writer, brancher = house.peer(space="trunk"), house.peer(space="trunk")
    create(writer, "first")
    assert "ok" in brancher.ask("memory_branch", name="twig")
    assert brancher.ask("switch", space="twig")["ok"]["kind"] == "branch"
    for one in (writer, brancher):
        assert "ok" in one.ask("subscribe")
    other = house.peer(space="trunk")
    create(other, "unseen in the branch")
    create(house.peer(space="twig"), "seen in the branch")
    heard = brancher.hear()
    assert (heard["event"], heard["space"]) == ("changed", "twig")
    merged = brancher.ask("merge_branch", branch="twig")["ok"]
    assert merged["created"] == 1
    told = [writer.hear(), writer.hear()]
    assert [(one["op"], one["space"]) for one in told] == [("create_entities", "trunk"), ("merge_branch", "trunk")]
    assert told[1]["entities"] == [one["id"] for one in merged["results"]]
    assert create(house.peer(space="twig"), "later")["results"]
    heard = brancher.hear()
    assert (heard["op"], heard["space"]) == ("create_entities", "twig")


def test_an_overlay_still_hears_of_its_live_parent(house: Any) -> None:
    writer = house.peer(space="live")
    create(writer, "first")
    writer.ask("create_space", name="over live", parent="live")
    listener = house.peer(space="over live")
    listener.ask("subscribe")
    create(writer, "second")
    assert listener.hear()["space"] == "live"


def near(memory: Memory, query: str) -> list[str]:
    found = memory.search_nodes(query)
    assert "meaning" in found.arms
    return [hit.entity.name for hit in found.hits]


def test_what_is_near_in_meaning_is_found_on_its_own_side_alone(memory: Memory) -> None:
    memory.create_entities([EntityInput("Rex", "pet", ["a dog that barks at the postman"])])
    memory.memory_branch("what if")
    with Memory(space="what if") as branch:
        memory.create_entities([EntityInput("Garage", "place", ["a car with a broken engine"])])
        branch.create_entities([EntityInput("Kitchen", "place", ["bread baked in an oven"])])
        until(
            lambda: (
                "meaning" in memory.get_memory_status().search
                and " 0 passages waiting" in memory.get_memory_status().search
            )
        )
        assert "Garage" in near(memory, "automobile motor")
        assert "Garage" not in near(branch, "automobile motor")
        assert "Kitchen" in near(branch, "loaf pastry baking")
        assert "Kitchen" not in near(memory, "loaf pastry baking")
        assert "Rex" in near(branch, "puppy hound")
        branch.delete_entities(["Rex"])
        until(lambda: " 0 passages waiting" in memory.get_memory_status().search)
        assert "Rex" not in near(branch, "puppy hound")
        assert "Rex" in near(memory, "puppy hound")
        memory.merge_branch("what if")
        until(lambda: " 0 passages waiting" in memory.get_memory_status().search)
        assert "Kitchen" in near(memory, "loaf pastry baking")
        assert "Rex" not in near(memory, "puppy hound")


def said(file: Path) -> list[str]:
    return [line.split('"name":"')[1].split('"')[0] for line in file.read_text().splitlines() if '"name":"' in line]


def test_a_branch_may_have_a_mirror_that_shows_the_branch(memory: Memory, home: Path) -> None:
    trunk, twig = home / "trunk.jsonl", home / "twig.jsonl"
    memory.create_entities([EntityInput("Ada", "person")])
    memory.update_space("default", {"mirror": str(trunk)})
    memory.memory_branch("twig")
    memory.update_space("twig", {"mirror": str(twig)})
    with Memory(space="twig") as branch:
        until(lambda: trunk.exists() and twig.exists())
        branch.create_entities([EntityInput("Bob", "person")])
        memory.create_entities([EntityInput("Eve", "person")])
        until(lambda: said(trunk) == ["Ada", "Eve"] and said(twig) == ["Ada", "Bob"])
        branch.merge_branch()
        until(lambda: sorted(said(trunk)) == ["Ada", "Bob", "Eve"])
        branch.add_observations([ObservationsInput("Ada", ["tea"])])
        until(lambda: "tea" in twig.read_text())
        assert "tea" not in trunk.read_text()
    memory.discard_branch("twig")
    memory.memory_branch("twig")
    with Memory(space="twig") as branch:
        branch.create_entities([EntityInput("Unmirrored", "t")])
    memory.create_entities([EntityInput("Last", "t")])
    until(lambda: "Last" in said(trunk))
    assert "Unmirrored" not in said(twig)
