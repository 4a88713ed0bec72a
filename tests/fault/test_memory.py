"""Little memory: what cannot be done is refused, what was acknowledged is there, and the daemon says how it fares."""

import resource
from typing import Any

import psutil
import pytest

from enhanced_memory.client.errors import Error
from enhanced_memory.client.settings import PREFIX
from enhanced_memory.client.values import EntityInput

ROOM = 24 * 2**20


def test_without_memory_nothing_acknowledged_is_lost_and_the_daemon_says_so(house: Any) -> None:
    house.environment[PREFIX + "EMBEDDER"] = "none"  # its own law is that words answer without it
    house.start()
    with house.memory(timeout_s=60) as memory:
        memory.create_entities([EntityInput("before", "t", ["one"])])
        memory.search_nodes("one")  # what is loaded for it is loaded
        process = psutil.Process(house.process.pid)
        limit = process.memory_info().vms + ROOM
        try:
            process.rlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        except (AttributeError, PermissionError):
            pytest.skip("limits of another process cannot be set here")
        kept, refused = ["before"], 0
        for number in range(5):
            name = f"large {number}"
            try:
                memory.create_entities(
                    [EntityInput(name, "t", [], {"held": [f"{number} {at} " * 200 for at in range(4000)]})]
                )
                kept.append(name)
            except Error:
                refused += 1
        assert refused
    with house.memory() as memory:  # it serves, or the next one does
        names = [ailment.name for ailment in memory.health().ailments]
        assert "memory" in names
        process.rlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert memory.create_entities([EntityInput("after", "t", ["two"])]).results[0].action == "created"
        assert {one.name for one in memory.open_nodes([*kept, "after"], relations=False).entities} == {*kept, "after"}
        assert {one.name for one in memory.health().ailments}.isdisjoint({"memory", "not_writing", "damaged"})
        assert memory.verify().problems == []
