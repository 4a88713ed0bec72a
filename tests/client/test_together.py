"""Several clients at one entity: nobody's observation is lost, and who was overtaken is told."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.errors import Conflict
from enhanced_memory.client.operations.entities import ObservationsInput
from enhanced_memory.client.values import EntityInput


def at_once(*works: Callable[[Memory], None]) -> None:
    """Run each with a client of its own, all at the same time."""
    failed: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[Memory], None]) -> None:
        try:
            with Memory() as memory:
                start.wait()
                work(memory)
        except BaseException as problem:
            failed.append(problem)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_clients_that_add_to_one_entity_lose_nothing(memory: Memory) -> None:
    memory.create_entities([EntityInput("Ada", "person")])

    def add(who: int) -> Callable[[Memory], None]:
        def work(own: Memory) -> None:
            for number in range(25):
                if number % 2:
                    own.add_observations([ObservationsInput("Ada", [f"{who} says {number}"])])
                else:
                    own.create_entities([EntityInput("Ada", "person", [f"{who} says {number}"])])

        return work

    at_once(*(add(who) for who in range(4)))
    (found,) = memory.open_nodes(["Ada"]).entities
    assert sorted(found.observations) == sorted(f"{who} says {number}" for who in range(4) for number in range(25))
    assert found.version == 101
    ids = [noted.id for noted in memory.open_nodes(["Ada"], details=True).entities[0].details]
    assert ids == list(range(1, 101))


def test_clients_that_read_change_and_write_lose_nothing_if_they_say_what_they_read(memory: Memory) -> None:
    memory.create_entities([EntityInput("Ada", "person", ["start"])])
    overtaken: list[int] = []

    def rewrite(who: int) -> Callable[[Memory], None]:
        def work(own: Memory) -> None:
            for number in range(10):
                while True:
                    (seen,) = own.open_nodes(["Ada"]).entities
                    says: list[Any] = [*seen.observations, f"{who} says {number}"]
                    whole = EntityInput("Ada", "person", says, expected_version=seen.version)
                    try:
                        own.create_entities([whole], on_existing="replace")
                        break
                    except Conflict as problem:
                        assert "is at version" in problem.message
                        overtaken.append(who)

        return work

    at_once(rewrite(1), rewrite(2), rewrite(3))
    (found,) = memory.open_nodes(["Ada"]).entities
    assert sorted(found.observations) == sorted(
        ["start", *(f"{who} says {number}" for who in (1, 2, 3) for number in range(10))]
    )
    assert found.version == 31


def test_who_was_overtaken_hears_the_version_that_is_there(memory: Memory) -> None:
    memory.create_entities([EntityInput("Ada", "person")])
    with Memory() as other:
        other.add_observations([ObservationsInput("Ada", ["first"])])
    with pytest.raises(Conflict, match="at version 2, not 1") as told:
        memory.add_observations([ObservationsInput("Ada", ["second"], expected_version=1)])
    assert "read it again" in told.value.hint
    assert memory.open_nodes(["Ada"]).entities[0].observations == ["first"]
